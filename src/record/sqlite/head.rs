//! How far the record has come: the table `head`, and the mark beside the record's file.
//!
//! The mark `record.db.mark` holds the record's name (16 bytes), how many changes were made (8, little-endian), its
//! [`Place`] (24) and a CRC-32 of all that (4, little-endian); in its old form there is no place. It is written after a
//! change is durable, and not synced. So it costs next to nothing, and a power cut can only let it lag behind: a mark that
//! is ahead of the record means that changes are gone. One that does not parse says nothing. Its name is made durable once:
//! where there is none beside a record that has been written to, or another record's, somebody took it away, or brought the
//! record from elsewhere, and it may be an older copy. So it may where the mark is of another place: it was copied as well.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, Transaction};

use super::fault::Fault;
use super::file::folder_of;
use super::uploads::column;
use crate::record::RecordError;
use crate::record::rows::damaged;

const TABLE: &str = "head";

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
}

/// Which files lie beside each other: a copy of them is others. The device is none of it, for it may have another number
/// each time the machine starts.
///
/// **Layout** of a mark's: three numbers of 8 bytes, little-endian, as they stand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The inode of the record's file.
    record: u64,
    /// The inode of the mark's own.
    mark: u64,
    /// When the mark's file was made, in nanoseconds since 1970, for an inode may be given out again; 0 where nobody knows.
    made: u64,
}

impl Place {
    fn of(record: u64, mark: &Metadata) -> Self {
        let made = mark.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
        Self { record, mark: mark.ino(), made }
    }

    fn is(self, other: Self) -> bool {
        let same_age = self.made == other.made || self.made == 0 || other.made == 0;
        same_age && self.record == other.record && self.mark == other.mark
    }
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    head: Head,
    /// Where it was said; `None` in the old form.
    place: Option<Place>,
}

impl Word {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.head.record.to_vec();
        bytes.extend(self.head.changes.to_le_bytes());
        for number in self.place.iter().flat_map(|place| [place.record, place.mark, place.made]) {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (record, rest) = bytes.split_first_chunk()?;
        let (changes, rest) = rest.split_first_chunk()?;
        let head = Head { record: *record, changes: i64::from_le_bytes(*changes) };
        let place = place_from_bytes(rest);
        let word = Self { head, place };
        (word.to_bytes() == bytes).then_some(word)
    }
}

/// The place that stands here; `None` where it is cut off, or there is none.
fn place_from_bytes(bytes: &[u8]) -> Option<Place> {
    let (record, rest) = bytes.split_first_chunk()?;
    let (mark, rest) = rest.split_first_chunk()?;
    let (made, _) = rest.split_first_chunk()?;
    let [record, mark, made] = [record, mark, made].map(|number| u64::from_le_bytes(*number));
    Some(Place { record, mark, made })
}

/// The mark beside one record.
#[derive(Debug)]
pub(super) struct Mark {
    record: PathBuf,
    path: PathBuf,
    /// The inode the record's file had when it was opened.
    inode: Option<u64>,
    file: Option<(File, Place)>,
}

impl Mark {
    pub(super) fn beside(record: &Path) -> Self {
        let mut path = record.as_os_str().to_owned();
        path.push(".mark");
        Self { record: record.to_owned(), path: path.into(), inode: None, file: None }
    }

    /// The state of the record when it was last changed, as far as anybody remembers.
    pub(super) fn read(&self) -> Option<Head> {
        self.word().map(|word| word.head)
    }

    fn word(&self) -> Option<Word> {
        Word::from_bytes(&fs::read(&self.path).ok()?)
    }

    /// Looks which file the record is, as soon as it is open, which is when a layered file system makes another of it: one that
    /// takes its place from now on is not the record.
    pub(super) fn look_at_record(&mut self) -> io::Result<()> {
        self.inode = Some(fs::metadata(&self.record)?.ino());
        Ok(())
    }

    /// Whether it was kept where it lies, beside the record in this state, or says nothing of any.
    pub(super) fn is_of(&self, head: Head) -> bool {
        let Ok(file) = fs::metadata(&self.path) else { return false };
        let lies_at = |place: Place| self.inode.is_some_and(|record| Place::of(record, &file).is(place));
        match self.word() {
            None => file.is_file(),
            Some(word) => word.head.record == head.record && word.place.is_none_or(lies_at),
        }
    }

    /// Remembers that the record has come so far. Where it cannot, a loss may go unnoticed, which is no reason to stop.
    ///
    /// # Errors
    /// When another file has taken the place of the one that was opened, or none: whoever opens the record finds nothing of what
    /// was written.
    pub(super) fn keep(&mut self, head: Head) -> Result<(), Fault> {
        if self.is_beside_another() {
            return Err(RecordError::Replaced { path: self.record.clone() }.into());
        }
        let _ = self.file().and_then(|(file, place)| {
            let word = Word { head, place: Some(*place) };
            file.write_all_at(&word.to_bytes(), 0)
        });
        Ok(())
    }

    /// Whether it is known that the record is not the file any more that was opened.
    fn is_beside_another(&self) -> bool {
        match fs::metadata(&self.record) {
            Ok(found) => self.inode.is_some_and(|inode| inode != found.ino()),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn file(&mut self) -> io::Result<&(File, Place)> {
        if self.file.is_none() {
            let record = self.inode.ok_or(io::ErrorKind::NotFound)?;
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
            let place = Place::of(record, &file.metadata()?);
            self.file = Some((file, place));
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
        let place = Place { record: 0x0304, mark: 5, made: 6 };
        let old = format!("{}0201000000000000", "07".repeat(16));
        let new = format!("{old}040300000000000005000000000000000600000000000000");
        for (place, body) in [(None, old), (Some(place), new)] {
            let word = Word { head, place };
            let bytes = word.to_bytes();
            assert_eq!(hex::encode(&bytes[..bytes.len() - 4]), body);
            assert_eq!(Word::from_bytes(&bytes), Some(word));
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Word::from_bytes(&damaged), None, "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(Word::from_bytes(&bytes[..length]), None, "{length} bytes");
            }
            assert_eq!(Word::from_bytes(&[&bytes[..], b"\0"].concat()), None, "a byte too many");
        }
    }

    #[test]
    fn a_place_is_told_by_all_that_is_known_of_it() {
        let place = Place { record: 1, mark: 2, made: 3 };
        assert!(place.is(place) && place.is(Place { made: 0, ..place }) && Place { made: 0, ..place }.is(place));
        for other in [Place { record: 9, ..place }, Place { mark: 9, ..place }, Place { made: 9, ..place }] {
            assert!(!place.is(other) && !other.is(place), "{other:?}");
        }
    }
}
