//! The same bytes under many names: what they are, and what they waste.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blocking::blocking;
use crate::ids::ContentHash;
use crate::media::{Problem, ScanOptions, fingerprint, scan};
use crate::stop::Stop;

use super::survey::{Chunk, Inspected, Inspector, readers, survey};
use super::{LibraryError, Reporter};

/// Files that hold the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameBytes {
    /// Of the bytes.
    pub hash: ContentHash,
    /// Of each file.
    pub size_bytes: u64,
    /// Where they lie, sorted; at least two.
    pub paths: Vec<PathBuf>,
    /// How often the bytes lie on the disk: names of one file (hard links) are one.
    pub copies: u64,
}

impl SameBytes {
    /// What these files are, which hold the same bytes. Asks the disk which of them are one.
    pub fn of(hash: ContentHash, size_bytes: u64, mut paths: Vec<PathBuf>) -> Self {
        paths.sort_unstable();
        let file = |path: &Path| {
            let print = fingerprint(&fs::metadata(path).ok()?)?;
            Some((print.device, print.inode))
        };
        let mut seen = HashSet::new();
        let copies = paths.iter().filter(|path| file(path).is_none_or(|file| seen.insert(file))).count() as u64;
        Self { hash, size_bytes, paths, copies }
    }

    /// What all copies but one take up.
    pub fn wasted_bytes(&self) -> u64 {
        self.copies.saturating_sub(1).saturating_mul(self.size_bytes)
    }

    /// The order in which what wastes most comes first.
    pub fn by_waste(&self, other: &Self) -> Ordering {
        other.wasted_bytes().cmp(&self.wasted_bytes()).then_with(|| self.paths.cmp(&other.paths))
    }
}

/// What a search for duplicates found.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// Those that waste most first.
    pub groups: Vec<SameBytes>,
    /// Files that were compared.
    pub files: u64,
    /// Files that could not be compared: unreadable, empty, or too large to be of any use here.
    pub not_compared: u64,
}

/// Compares all files under `roots` by their bytes; those the cache knows are not read. Until it is stopped.
///
/// # Errors
/// When a root does not exist or a pattern cannot be read.
pub async fn duplicates(
    inspector: &Inspector,
    roots: &[PathBuf],
    options: &ScanOptions,
    reporter: Arc<dyn Reporter>,
    stop: &Stop,
) -> Result<Duplicates, LibraryError> {
    let mut files = survey(inspector, scan(roots, options)?, readers(), &reporter, stop, known);
    let mut found = Duplicates::default();
    let mut by_hash: HashMap<ContentHash, (u64, Vec<PathBuf>)> = HashMap::new();
    while let Some(Chunk { files, .. }) = files.recv().await {
        for file in files {
            match file {
                Some((path, hash, size_bytes)) => {
                    found.files += 1;
                    by_hash.entry(hash).or_insert_with(|| (size_bytes, Vec::new())).1.push(path);
                }
                None => found.not_compared += 1,
            }
        }
    }
    by_hash.retain(|_, (_, paths)| paths.len() > 1);
    let group = |(hash, (size_bytes, paths))| SameBytes::of(hash, size_bytes, paths);
    found.groups = blocking(move || by_hash.into_iter().map(group).collect()).await;
    found.groups.sort_by(SameBytes::by_waste);
    Ok(found)
}

fn known(path: PathBuf, seen: Result<Inspected, Problem>) -> Option<(PathBuf, ContentHash, u64)> {
    let facts = seen.ok()?.facts;
    Some((path, facts.hash, facts.size_bytes))
}
