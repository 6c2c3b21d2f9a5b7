//! Files that lie elsewhere than on record: they were renamed, or are what is left of several with the same bytes. The
//! record follows them, so that whoever has only the record finds the bytes.

use std::path::{Path, PathBuf};

use crate::ids::ContentHash;
use crate::media::{Follow, Neighbours};
use crate::record::{Moved, Upload};

use super::subject::Candidate;
use super::{Agreement, Inspector};

/// A file seen elsewhere than where its bytes were uploaded from.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// What it holds, and may still lie at the recorded place too.
    hash: ContentHash,
    recorded: Option<PathBuf>,
    moved: Moved,
}

impl Sighting {
    /// Of a file in or below the folder `here`, or with a path from the root, whose id is `stored`; `None` where it lies
    /// where the record has it.
    pub(super) fn of(candidate: &Candidate, stored: &Upload, here: &Path) -> Option<Self> {
        let source = here.join(&candidate.path);
        if stored.source.as_deref() == Some(&*source) {
            return None;
        }
        let facts = candidate.original.as_ref().map_or(&candidate.facts, |original| &original.facts);
        let source = std::path::absolute(source).ok()?;
        let moved = Moved { key: stored.key.clone(), attachment_id: stored.attachment_id.clone(), source };
        Some(Self { hash: facts.hash, recorded: stored.source.clone(), moved })
    }
}

impl Inspector {
    /// The files of `sightings` whose bytes certainly lie no more where the record has them. Nothing is read: what lies
    /// there, and was not read since it was written, may still be those bytes. To be called where blocking is allowed.
    pub(super) fn moved(&self, sightings: Vec<Sighting>) -> Vec<Moved> {
        let mut looks = Neighbours::new(&self.reader);
        let mut is_gone = |Sighting { hash, recorded, .. }: &Sighting| {
            let Some(recorded) = recorded else { return true };
            let there = self.recall(&mut looks, recorded, Follow::Named).map(|facts| facts.map(|facts| facts.hash));
            match there.transpose().map(|there| Agreement::of(there, *hash)) {
                Some(Agreement::Missing | Agreement::Changed) => true,
                Some(_) | None => false,
            }
        };
        sightings.into_iter().filter(|sighting| is_gone(sighting)).map(|sighting| sighting.moved).collect()
    }
}
