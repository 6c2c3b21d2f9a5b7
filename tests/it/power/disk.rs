//! A disk as a program sees it, and as the power may leave it.
//!
//! What a file held when it was last synced stays. Each change since then is kept or lost on its own, a kept write
//! perhaps only in some of its sectors of 512 bytes, and a lost one may leave the file's new size behind, filled with
//! zeros. `sync_file_range` counts for bytes within the size last synced, and for no size.
//!
//! Names of files are kept as they were, in half of the images. In the other half those of a folder that was not synced
//! since may be lost: of what happened there after, a beginning stays.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::Range;
use std::path::Path;

use fastrand::Rng;

use super::log::{Event, Log};
use crate::support::marks;

const SECTOR: usize = 512;
/// How many of the writes that are kept are kept in part.
const TORN: f64 = 0.3;
/// How likely a change is kept, one of these for each image: all kinds of loss, from everything to next to nothing.
const KEPT: [f64; 5] = [0.0, 0.1, 0.5, 0.9, 1.0];

/// Files and folders, with what of them is safe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: Vec<Content>,
    inodes: HashMap<u64, usize>,
    /// As the program sees them.
    names: Tree,
    safe_names: Tree,
    unsafe_names: Vec<NameChange>,
}

/// Path → file, or `None` for a folder.
type Tree = BTreeMap<String, Option<usize>>;

#[derive(Debug, Clone, Default)]
struct Content {
    safe: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Written { offset: usize, bytes: Range<usize> },
    Resized(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Put { path: String, what: Option<usize> },
    Gone { path: String },
    Moved { from: String, to: String },
}

impl Disk {
    /// What lies in the folder, all of it safe.
    pub(crate) fn load(folder: &Path) -> Self {
        let mut disk = Self::default();
        disk.load_below(folder, "");
        disk.safe_names.clone_from(&disk.names);
        disk
    }

    fn load_below(&mut self, folder: &Path, within: &str) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().into_string().expect("names of tests are text");
            let path = if within.is_empty() { name } else { format!("{within}/{name}") };
            if entry.file_type().expect("a type").is_dir() {
                self.names.insert(path.clone(), None);
                self.load_below(&entry.path(), &path);
            } else if !path.ends_with("-shm") {
                let safe = fs::read(entry.path()).expect("a file");
                self.files.push(Content { safe, unsynced: Vec::new() });
                self.names.insert(path, Some(self.files.len() - 1));
            }
        }
    }

    /// Lets the event happen.
    pub(crate) fn apply(&mut self, log: &Log, event: &Event) {
        match event {
            Event::Created { inode, path } => {
                self.files.push(Content::default());
                self.inodes.insert(*inode, self.files.len() - 1);
                self.rename(NameChange::Put { path: path.clone(), what: Some(self.files.len() - 1) });
            }
            Event::Opened { inode, path } => {
                let file = self.names.get(path).copied().flatten().unwrap_or_else(|| panic!("no file {path}"));
                self.inodes.insert(*inode, file);
            }
            Event::Written { inode, offset, bytes } => {
                self.file(*inode).unsynced.push(Change::Written { offset: *offset, bytes: bytes.clone() });
            }
            Event::Resized { inode, size } => self.file(*inode).unsynced.push(Change::Resized(*size)),
            Event::Synced { inode } => self.file(*inode).sync(log),
            Event::RangeSynced { inode } => self.file(*inode).sync_within_size(log),
            Event::FolderSynced { path } => self.sync_names(|change| change.folder() == path),
            Event::Renamed { from, to } => {
                if self.names.get(from) == Some(&None) {
                    // Whose names within it were safe would be lost track of.
                    self.sync_names(|change| change.folder().starts_with(from.as_str()));
                }
                self.rename(NameChange::Moved { from: from.clone(), to: to.clone() });
            }
            Event::Linked { from, to } => {
                self.rename(NameChange::Put { path: to.clone(), what: self.names[from] });
            }
            Event::FolderMade { path } => self.rename(NameChange::Put { path: path.clone(), what: None }),
            Event::Unlinked { path } | Event::FolderRemoved { path } => {
                self.rename(NameChange::Gone { path: path.clone() });
            }
            Event::Printed { .. } | Event::Sent { .. } => {}
        }
    }

    fn file(&mut self, inode: u64) -> &mut Content {
        &mut self.files[self.inodes[&inode]]
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsafe_names.push(change);
    }

    fn sync_names(&mut self, which: impl Fn(&NameChange) -> bool) {
        let (safe, unsafe_names) = std::mem::take(&mut self.unsafe_names).into_iter().partition(which);
        self.unsafe_names = unsafe_names;
        let safe: Vec<NameChange> = safe;
        for change in &safe {
            change.apply(&mut self.safe_names);
        }
    }

    /// Writes into the folder, which is empty, what the power left if it failed now.
    pub(crate) fn write_image(&self, log: &Log, rng: &mut Rng, folder: &Path) {
        let kept = KEPT[rng.usize(..KEPT.len())];
        let names = if rng.bool() { self.names.clone() } else { self.names_left(rng) };
        write_tree(&names, folder, |file| self.files[file].left(log, kept, rng));
        for record in names.keys().filter_map(|path| path.strip_suffix(".mark")) {
            marks::put_in_place(&folder.join(record));
        }
    }

    /// Of each folder's changes since it was synced, a beginning.
    fn names_left(&self, rng: &mut Rng) -> Tree {
        let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &self.unsafe_names {
            *changes.entry(change.folder()).or_default() += 1;
        }
        for count in changes.values_mut() {
            *count = rng.usize(..=*count);
        }
        let mut tree = self.safe_names.clone();
        for change in &self.unsafe_names {
            let left = changes.get_mut(change.folder()).expect("counted");
            if *left > 0 {
                *left -= 1;
                change.apply(&mut tree);
            }
        }
        tree
    }

    /// Where the folder is not what the program should have left there, had the power stayed on.
    pub(crate) fn difference_to(&self, log: &Log, folder: &Path) -> Option<String> {
        let found = Self::load(folder);
        let paths = |disk: &Self| disk.names.keys().cloned().collect::<Vec<_>>();
        if paths(self) != paths(&found) {
            return Some(format!("names: {:?} instead of {:?}", paths(&found), paths(self)));
        }
        self.names.iter().find_map(|(path, file)| {
            let expected = self.files[(*file)?].current(log);
            let found = &found.files[found.names[path]?].safe;
            (expected != *found).then(|| format!("{path}: {} bytes instead of {}", found.len(), expected.len()))
        })
    }
}

impl NameChange {
    /// The folder whose names change; tests move nothing from one to another.
    fn folder(&self) -> &str {
        let (Self::Put { path, .. } | Self::Gone { path } | Self::Moved { to: path, .. }) = self;
        path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    fn apply(&self, tree: &mut Tree) {
        match self {
            Self::Put { path, what } => {
                tree.insert(path.clone(), *what);
            }
            Self::Gone { path } => {
                tree.remove(path);
            }
            Self::Moved { from, to } => {
                let below = format!("{from}/");
                let moved: Vec<String> =
                    tree.keys().filter(|path| *path == from || path.starts_with(&below)).cloned().collect();
                for path in moved {
                    let what = tree.remove(&path).expect("there");
                    tree.insert(format!("{to}{}", &path[from.len()..]), what);
                }
            }
        }
    }
}

/// Writes what can be reached from the top: without its folder, no file.
fn write_tree(tree: &Tree, folder: &Path, mut content: impl FnMut(usize) -> Vec<u8>) {
    for (path, what) in tree {
        let target = folder.join(path);
        match what {
            _ if !target.parent().is_some_and(Path::exists) => {}
            None => fs::create_dir(target).expect("a folder"),
            Some(file) => fs::write(target, content(*file)).expect("a file"),
        }
    }
}

impl Content {
    fn sync(&mut self, log: &Log) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(log, &mut self.safe);
        }
    }

    fn current(&self, log: &Log) -> Vec<u8> {
        let mut content = self.safe.clone();
        self.unsynced.iter().for_each(|change| change.apply(log, &mut content));
        content
    }

    fn sync_within_size(&mut self, log: &Log) {
        let mut rest = Vec::new();
        for change in std::mem::take(&mut self.unsynced) {
            let Change::Written { offset, bytes } = change else {
                rest.push(change);
                continue;
            };
            let inside = self.safe.len().saturating_sub(offset).min(bytes.len());
            let (safe, unsynced) = (bytes.start..bytes.start + inside, bytes.start + inside..bytes.end);
            put_within(&mut self.safe, offset, log.bytes(&safe));
            if !unsynced.is_empty() {
                rest.push(Change::Written { offset: offset + inside, bytes: unsynced });
            }
        }
        self.unsynced = rest;
    }

    /// What the power leaves of it.
    fn left(&self, log: &Log, kept: f64, rng: &mut Rng) -> Vec<u8> {
        let mut content = self.safe.clone();
        for change in &self.unsynced {
            let is_kept = rng.f64() < kept;
            match change {
                Change::Written { offset, bytes } if is_kept && rng.f64() < TORN => {
                    put_torn(&mut content, *offset, log.bytes(bytes), rng);
                }
                Change::Written { offset, bytes } if !is_kept && rng.bool() => grow(&mut content, offset + bytes.len()),
                change if is_kept => change.apply(log, &mut content),
                Change::Written { .. } | Change::Resized(_) => {}
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, log: &Log, content: &mut Vec<u8>) {
        match self {
            Self::Written { offset, bytes } => put(content, *offset, log.bytes(bytes)),
            Self::Resized(size) => content.resize(*size, 0),
        }
    }
}

fn grow(content: &mut Vec<u8>, size: usize) {
    content.resize(content.len().max(size), 0);
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    grow(content, offset + bytes.len());
    put_within(content, offset, bytes);
}

fn put_within(content: &mut [u8], offset: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Puts every other sector, more or less.
fn put_torn(content: &mut Vec<u8>, offset: usize, bytes: &[u8], rng: &mut Rng) {
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min((offset + at) / SECTOR * SECTOR + SECTOR - offset);
        if rng.bool() {
            put(content, offset + at, &bytes[at..end]);
        }
        at = end;
    }
}
