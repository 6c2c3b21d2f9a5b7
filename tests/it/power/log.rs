//! What a watched program did, in the order in which it did it.

use std::ops::Range;
use std::path::Path;

/// One thing it did. Paths are relative to the watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Created { inode: u64, path: String },
    Opened { inode: u64, path: String },
    Written { inode: u64, offset: usize, bytes: Range<usize> },
    Resized { inode: u64, size: usize },
    Synced { inode: u64 },
    RangeSynced { inode: u64 },
    FolderSynced { path: String },
    Renamed { from: String, to: String },
    Linked { from: String, to: String },
    Unlinked { path: String },
    FolderMade { path: String },
    FolderRemoved { path: String },
    Printed { bytes: Range<usize> },
    Sent { descriptor: u64, bytes: Range<usize> },
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Log {
    raw: Vec<u8>,
    pub(crate) events: Vec<Event>,
}

const HEAD: usize = 21;

impl Log {
    /// The log in that file.
    ///
    /// # Panics
    /// Where the program changed a file in a way nobody followed: then no image would be worth anything.
    pub(crate) fn read(path: &Path) -> Self {
        let raw = std::fs::read(path).expect("a log: the program was watched");
        let mut events = Vec::new();
        let mut at = 0;
        while let Some(head) = raw.get(at..at + HEAD) {
            let number = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().expect("eight bytes"));
            let length = u32::from_ne_bytes(head[17..].try_into().expect("four bytes")) as usize;
            let bytes = at + HEAD..at + HEAD + length;
            at = bytes.end;
            events.extend(event(&raw, head[0], (number(1), number(9)), bytes));
        }
        assert_eq!(at, raw.len(), "the log ends within an event");
        Self { raw, events }
    }

    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.raw[range.clone()]
    }
}

/// `None` for the mark that begins a log.
fn event(raw: &[u8], kind: u8, (first, second): (u64, u64), bytes: Range<usize>) -> Option<Event> {
    let text = || String::from_utf8(raw[bytes.clone()].to_vec()).expect("paths of tests are text");
    let two = || {
        let both = text();
        let (from, to) = both.split_once('\0').expect("two paths");
        (from.to_owned(), to.to_owned())
    };
    let size = || usize::try_from(second).expect("a size");
    Some(match kind {
        b'H' => return None,
        b'C' => Event::Created { inode: first, path: text() },
        b'O' => Event::Opened { inode: first, path: text() },
        b'W' => Event::Written { inode: first, offset: size(), bytes },
        b'T' => Event::Resized { inode: first, size: size() },
        b'S' => Event::Synced { inode: first },
        b'R' => Event::RangeSynced { inode: first },
        b'D' => Event::FolderSynced { path: text() },
        b'M' => {
            let (from, to) = two();
            Event::Renamed { from, to }
        }
        b'L' => {
            let (from, to) = two();
            Event::Linked { from, to }
        }
        b'U' => Event::Unlinked { path: text() },
        b'K' => Event::FolderMade { path: text() },
        b'X' => Event::FolderRemoved { path: text() },
        b'P' => Event::Printed { bytes },
        b'N' => Event::Sent { descriptor: first, bytes },
        _ => panic!("{} of {}: such changes are not followed", char::from(kind), text()),
    })
}
