//! The marks of records on a disk that a test makes anew. On a real one a file keeps its inode, whatever the power does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The record's name and how many changes it has seen.
const HEAD: usize = 24;
/// Two inodes, and when the mark's file was made.
const PLACE: usize = 24;

/// Has the mark beside this record say that it lies where it does. One that says nothing goes on saying nothing.
pub(crate) fn put_in_place(record: &Path) {
    let path = PathBuf::from(format!("{}.mark", record.display()));
    let (Ok(mut bytes), Ok(record)) = (fs::read(&path), fs::metadata(record)) else { return };
    let inodes = [record.ino(), fs::metadata(&path).expect("a mark").ino()];
    let Some((body, checksum)) = bytes.split_last_chunk_mut::<4>() else { return };
    if body.len() != HEAD + PLACE || crc32fast::hash(body).to_le_bytes() != *checksum {
        return;
    }
    // Nobody knows when it was made.
    let numbers = inodes.into_iter().chain([0]).flat_map(u64::to_le_bytes);
    body[HEAD..].iter_mut().zip(numbers).for_each(|(byte, new)| *byte = new);
    *checksum = crc32fast::hash(body).to_le_bytes();
    fs::write(path, bytes).expect("a mark");
}
