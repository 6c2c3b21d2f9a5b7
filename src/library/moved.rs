//! Files that lie elsewhere than on record: they were renamed, or are what is left of several with the same bytes. The
//! record follows them, so that whoever has only the record finds the bytes.
//!
//! A place on record is given up only where its bytes certainly lie there no more. Most places are told by a look and the
//! cache; what is left is read when all files were seen, for until then those who read may wait for each other's memory.
//! Of a record that others share, only places under the folders of this run are given up: another machine may see what
//! this one does not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blocking::blocking;
use crate::ids::{AssetKey, ContentHash};
use crate::media::{Follow, Neighbours, Problem};
use crate::record::{Moved, Record, RecordError, Upload};
use crate::stop::Stop;

use super::manager::AssetLibrary;
use super::subject::Candidate;
use super::{Agreement, Inspector, NoReport, place_of};

/// How many moves are recorded at a time.
const BATCH: usize = 4_000;

/// Where the files of one run lie, as far as the record has them elsewhere.
#[derive(Debug)]
pub(super) struct Moves {
    record: Arc<dyn Record>,
    inspector: Inspector,
    /// The folder of paths that do not begin at the root.
    here: PathBuf,
    /// Where places on record may be given up; `None` for anywhere.
    roots: Option<Vec<PathBuf>>,
    /// Files nobody has looked into yet, their places as they were found.
    seen: Vec<Sighting>,
    /// Files at whose recorded place lies what has to be read.
    unsure: HashMap<AssetKey, Sighting>,
    /// What is to be recorded.
    moved: HashMap<AssetKey, Moved>,
}

/// A file that lies elsewhere than where the record has its bytes.
#[derive(Debug)]
struct Sighting {
    /// What it holds: what was uploaded, or what that was made of.
    file: ContentHash,
    recorded: Option<PathBuf>,
    moved: Moved,
}

impl Sighting {
    /// The same with its place as a record has it; `None` where this one has it so already.
    fn placed(mut self) -> Option<Self> {
        self.moved.source = place_of(&self.moved.source).ok()?;
        (self.recorded.as_ref() != Some(&self.moved.source)).then_some(self)
    }

    /// Whether its bytes lie no more where the record has them, by what is `found` there; `None` where nobody can tell.
    fn is_gone(&self, found: impl FnOnce(&Path) -> Option<Result<ContentHash, Problem>>) -> Option<bool> {
        let Some(recorded) = &self.recorded else { return Some(true) };
        let is_gone = matches!(Agreement::of(found(recorded)?, self.file), Agreement::Missing | Agreement::Changed);
        // A link that was named is read, and is not followed from what is on record.
        Some(is_gone && !self.moved.source.is_symlink())
    }
}

impl Moves {
    /// None yet, of a run over these roots.
    pub(super) fn of(library: &AssetLibrary, roots: &[PathBuf]) -> Self {
        let (record, inspector) = (Arc::clone(&library.parts.record), library.parts.inspector.clone());
        let roots = record.is_shared().then(|| roots.iter().filter_map(|root| place_of(root).ok()).collect());
        let (here, seen) = (std::env::current_dir().unwrap_or_default(), Vec::new());
        Self { record, inspector, here, roots, seen, unsure: HashMap::new(), moved: HashMap::new() }
    }

    /// Takes in a file whose bytes have this id.
    pub(super) fn see(&mut self, candidate: &Candidate, stored: &Upload) {
        let recorded = stored.source.as_deref();
        let is_ours =
            |place: &Path| self.roots.as_ref().is_none_or(|roots| roots.iter().any(|root| place.starts_with(root)));
        let source = self.here.join(&candidate.path);
        if recorded == Some(&*source) || !recorded.is_none_or(is_ours) {
            return;
        }
        let facts = candidate.original.as_ref().map_or(&candidate.facts, |original| &original.facts);
        let moved = Moved { key: stored.key.clone(), attachment_id: stored.attachment_id.clone(), source };
        self.seen.push(Sighting { file: facts.hash, recorded: stored.source.clone(), moved });
    }

    /// Looks at the places of what was seen, without reading, and records the moves once there are many.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) async fn look(&mut self) -> Result<(), RecordError> {
        if self.seen.is_empty() {
            return Ok(());
        }
        let (inspector, seen) = (self.inspector.clone(), std::mem::take(&mut self.seen));
        let looked_at = blocking(move || {
            let mut looks = Neighbours::new(&inspector.reader);
            let mut hash_at = |place: &Path| {
                let facts = inspector.recall(&mut looks, place, Follow::Never);
                facts.map(|facts| facts.map(|facts| facts.hash)).transpose()
            };
            let placed = seen.into_iter().filter_map(Sighting::placed);
            let told = placed.map(|sighting| (sighting.is_gone(&mut hash_at), sighting));
            told.collect::<Vec<_>>()
        });
        self.keep(looked_at.await);
        if self.moved.len() >= BATCH { self.write().await } else { Ok(()) }
    }

    /// Reads what has to be read, unless `stop` is requested, and records the moves that are left. To be called when all
    /// files were seen.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) async fn settle(&mut self, stop: &Stop) -> Result<(), RecordError> {
        let (inspector, unsure, stop) = (self.inspector.clone(), std::mem::take(&mut self.unsure), stop.clone());
        let read = blocking(move || {
            let hash_at = |place: &Path| {
                let seen = inspector.inspect(place, Follow::Never, &NoReport);
                Some(seen.map(|inspected| inspected.facts.hash))
            };
            let going_on = unsure.into_values().take_while(|_| !stop.is_requested());
            going_on.map(|sighting| (sighting.is_gone(hash_at), sighting)).collect::<Vec<_>>()
        });
        self.keep(read.await);
        self.write().await
    }

    /// Keeps what is to be recorded, and what nobody can tell yet.
    fn keep(&mut self, sightings: Vec<(Option<bool>, Sighting)>) {
        for (is_gone, sighting) in sightings {
            let key = sighting.moved.key.clone();
            match is_gone {
                Some(true) => drop(self.moved.insert(key, sighting.moved)),
                Some(false) => {}
                None => drop(self.unsure.insert(key, sighting)),
            }
        }
    }

    async fn write(&mut self) -> Result<(), RecordError> {
        let moved: Vec<_> = std::mem::take(&mut self.moved).into_values().collect();
        if moved.is_empty() { Ok(()) } else { self.record.follow(&moved).await }
    }
}
