//! How far the record has come: the table `head`, and the mark beside the record's file.
//!
//! The mark `record.db.mark` holds the record's name (16 bytes), how many changes were made (8, little-endian) and a
//! CRC-32 of both (4, little-endian). It is written after a change is durable, and not synced. So it costs next to
//! nothing, and a power cut can only let it lag behind: a mark that is ahead of the record means that changes are gone.
//! One that does not parse says nothing. Its name is made durable once: where there is none beside a record that has been
//! written to, or another record's, somebody took it away, or brought the record from elsewhere, and it may be an older copy.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};

use super::fault::Fault;
use super::file::folder_of;
use super::uploads::column;
use crate::record::RecordError;
use crate::record::rows::damaged;

const TABLE: &str = "head";
const BODY: usize = 24;

/// A state of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    record: [u8; 16],
    changes: i64,
}

impl Head {
    /// The state the record is in.
    pub(super) fn of(connection: &Connection) -> Result<Self, Fault> {
        Self::ask(connection, "SELECT record, changes FROM head")
    }

    /// Counts the transaction as a change, and gives the state it leads to.
    pub(super) fn advance(transaction: &Transaction) -> Result<Self, Fault> {
        Self::ask(transaction, "UPDATE head SET changes = changes + 1 RETURNING record, changes")
    }

    fn ask(connection: &Connection, sql: &str) -> Result<Self, Fault> {
        let mut query = connection.prepare_cached(sql)?;
        let mut found = query.query([])?;
        let row = found.next()?.ok_or_else(|| damaged(TABLE, "its row is gone"))?;
        Ok(Self { record: column(row, TABLE, 0)?, changes: column(row, TABLE, 1)? })
    }

    /// Fails if the record at `path`, now in this state, was further when `mark` was made.
    pub(super) fn reaches(self, mark: Option<Self>, path: &Path) -> Result<(), Fault> {
        match mark {
            Some(mark) if mark.record == self.record && mark.changes > self.changes => {
                Err(behind(path, mark.changes - self.changes))
            }
            _ => Ok(()),
        }
    }

    fn to_bytes(self) -> [u8; BODY + 4] {
        let mut bytes = [0; BODY + 4];
        bytes[..16].copy_from_slice(&self.record);
        bytes[16..BODY].copy_from_slice(&self.changes.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (record, rest) = bytes.split_first_chunk()?;
        let (changes, _) = rest.split_first_chunk()?;
        let head = Self { record: *record, changes: i64::from_le_bytes(*changes) };
        (head.to_bytes() == bytes).then_some(head)
    }
}

/// The mark beside one record.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: Option<File>,
}

impl Mark {
    pub(super) fn beside(record: &Path) -> Self {
        let mut path = record.as_os_str().to_owned();
        path.push(".mark");
        Self { path: path.into(), file: None }
    }

    /// The state of the record when it was last changed, as far as anybody remembers.
    pub(super) fn read(&self) -> Option<Head> {
        Head::from_bytes(&fs::read(&self.path).ok()?)
    }

    /// Whether it is beside the record in this state, or says nothing of any.
    pub(super) fn is_of(&self, head: Head) -> bool {
        let is_there = || fs::metadata(&self.path).is_ok_and(|file| file.is_file());
        self.read().map_or_else(is_there, |mark| mark.record == head.record)
    }

    /// Remembers that the record has come so far. Where it cannot, a loss may go unnoticed, which is no reason to stop.
    pub(super) fn keep(&mut self, head: Head) {
        let _ = self.file().and_then(|file| file.write_all_at(&head.to_bytes(), 0));
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.write(true).mode(0o600);
            let file = match options.create_new(true).open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    options.create_new(false).open(&self.path)?
                }
                made => {
                    let made = made?;
                    File::open(folder_of(&self.path))?.sync_all()?;
                    made
                }
            };
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Fails if there is a mark: the record at `path`, which is empty or missing, was once more than that.
    pub(super) fn allows_nothing(&self, path: &Path) -> Result<(), Fault> {
        self.read().map_or(Ok(()), |mark| Err(behind(path, mark.changes)))
    }
}

fn behind(path: &Path, lost: i64) -> Fault {
    RecordError::Behind { path: path.to_owned(), lost: lost.unsigned_abs() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_a_damaged_one_is_none() {
        let head = Head { record: [7; 16], changes: 0x0102 };
        let bytes = head.to_bytes();
        assert_eq!(hex::encode(&bytes[..BODY]), format!("{}0201000000000000", "07".repeat(16)));
        assert_eq!(Head::from_bytes(&bytes), Some(head));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::from_bytes(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Head::from_bytes(&bytes[..length]), None, "{length} bytes");
        }
    }
}
