//! Room that is kept for what has happened already: the file `record.db.reserve`, which is given up when the disk is full.
//!
//! A message whose intent is on the disk may be at Meta when the disk turns out to be full. Its result then has the room
//! of this file; nothing new is begun.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How much is kept: the results of a thousand messages and more, in SQLite's pages of 4 KiB.
const SIZE_BYTES: usize = 1 << 20;

/// The room beside one record.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn beside(record: &Path) -> Self {
        let mut path = record.as_os_str().to_owned();
        path.push(".reserve");
        Self { path: path.into() }
    }

    /// Takes the room, unless it was taken before.
    pub(super) fn keep(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|found| found.len() >= SIZE_BYTES as u64) {
            return Ok(());
        }
        let mut bytes = vec![0; SIZE_BYTES];
        // Bytes of no pattern: holes, and on some file systems what can be compressed, would keep no room.
        fastrand::Rng::with_seed(0).fill(&mut bytes);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        let kept = file.write_all(&bytes).and_then(|()| file.sync_all());
        if kept.is_err() {
            // Half of it would be taken for the whole by nobody, and only be in the way.
            let _ = fs::remove_file(&self.path);
        }
        kept
    }

    /// Gives the room up; whether there was any.
    pub(super) fn release(&self) -> io::Result<bool> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn room_is_taken_on_the_disk_and_given_up_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::beside(&folder.path().join("record.db"));
        assert!(!reserve.release().expect("an answer"));
        fs::write(folder.path().join("record.db.reserve"), b"cut short").expect("a file");
        reserve.keep().expect("room");
        reserve.keep().expect("room");
        let found = fs::metadata(folder.path().join("record.db.reserve")).expect("a file");
        assert!(found.blocks() * 512 >= SIZE_BYTES as u64, "{} blocks", found.blocks());
        assert!(reserve.release().expect("an answer") && !reserve.release().expect("an answer"));
    }
}
