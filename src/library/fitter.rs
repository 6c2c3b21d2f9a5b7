//! Copies that fit, made one at a time: a decoded picture takes hundreds of megabytes.
//!
//! What was made lately is remembered, and the bytes of the last few copies are kept for the upload that follows. What
//! outlives the process is in the record, and none of it is known here.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::clock::Clock;
use crate::facts::{Dimensions, Facts};
use crate::ids::{ContentHash, Platform};
use crate::media::fit::{Deadline, MAX_SOURCE_BYTES, make_copy, too_large_to_copy};
use crate::media::{BytePool, Fit, FitRules, FittedCopy, Follow, Problem, Reader, Verdict, fit};
use crate::record::Derivation;
use crate::stop::Stop;

use super::AssetReport;

/// How many copies are remembered: some megabytes.
const REMEMBERED: usize = 10_000;

/// Bytes of copies kept: two of the largest.
const KEPT_BYTES: usize = 48 << 20;

/// Makes copies that fit. To be shared by all who want any: two of these would decode two pictures at once.
pub struct Fitter {
    /// Reads what is too large to be uploaded. Its pool is for one file at a time, whatever its size.
    large: Reader,
    turn: Mutex<()>,
    made: Mutex<Made>,
    count: AtomicU64,
}

#[derive(Default)]
struct Made {
    derivations: HashMap<(ContentHash, FitRules), Derivation>,
    /// Of what they are remembered, the oldest first.
    order: VecDeque<(ContentHash, FitRules)>,
    /// The last copies, the oldest first.
    kept: VecDeque<(ContentHash, Bytes)>,
    kept_bytes: usize,
}

/// What a copy is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) facts: &'a Facts,
    /// Its bytes, where they are at hand; read from `path` where not.
    pub(super) bytes: Option<&'a Bytes>,
}

/// Why there is no copy.
#[derive(Debug)]
pub(super) enum NotMade {
    /// None can be made, or the file cannot be read.
    Problem(Problem),
    /// The file no longer holds the bytes the facts are of.
    Changed,
    /// It was its turn after all were told to stop.
    Stopped,
}

/// The report of a file that was refused before its bytes could be judged, with the reason why it gets no copy either
/// where a `fitter` makes them.
pub(super) fn refused(path: PathBuf, problem: Problem, fitter: Option<&Fitter>) -> AssetReport {
    let uncopied = fitter.and_then(|_| too_large_to_copy(&path, &problem));
    let mut report = AssetReport::refused(path, problem);
    report.problems.extend(uncopied);
    report
}

impl Fitter {
    /// A fitter that judges the age of files by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            large: Reader::new(Arc::new(BytePool::new(1)), clock).up_to(MAX_SOURCE_BYTES),
            turn: Mutex::default(),
            made: Mutex::default(),
            count: AtomicU64::new(0),
        }
    }

    /// How many pictures were decoded so far to make copies of them.
    pub fn copies_made(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Reads files that are too large to be uploaded.
    pub(super) fn reader(&self) -> &Reader {
        &self.large
    }

    /// The copy that goes in the source's place; `None` where it fits as it is.
    ///
    /// # Errors
    /// Why none can be made, though one is needed.
    pub(super) fn fit(
        &self,
        source: Source,
        verdict: &Verdict,
        platform: Platform,
        stop: &Stop,
    ) -> Result<Option<Derivation>, Problem> {
        let rules = match fit(source.facts, verdict, platform) {
            Fit::AsItIs => return Ok(None),
            Fit::LeftAlone(problem) => return Err(problem),
            Fit::Copy(rules) => rules,
        };
        match self.derive(source, rules, stop) {
            Ok(derivation) => Ok(Some(derivation)),
            Err(NotMade::Problem(problem)) => Err(problem),
            // Nobody waits for it any more.
            Err(NotMade::Stopped) => Ok(None),
            Err(NotMade::Changed) => Err(Problem::changed()),
        }
    }

    /// Which copy `rules` make of the source. Blocks for seconds, and for its turn.
    pub(super) fn derive(&self, source: Source, rules: FitRules, stop: &Stop) -> Result<Derivation, NotMade> {
        let _turn = lock(&self.turn);
        let known = lock(&self.made).derivations.get(&(source.facts.hash, rules)).cloned();
        known.map_or_else(|| Ok(self.make(source, rules, stop)?.0), Ok)
    }

    /// The same, with the bytes of the copy.
    pub(super) fn copy(&self, source: Source, rules: FitRules, stop: &Stop) -> Result<(Derivation, Bytes), NotMade> {
        let _turn = lock(&self.turn);
        let known = lock(&self.made).with_bytes(source.facts.hash, rules);
        known.map_or_else(|| self.make(source, rules, stop), Ok)
    }

    /// Makes a copy; the caller has the turn.
    fn make(&self, source: Source, rules: FitRules, stop: &Stop) -> Result<(Derivation, Bytes), NotMade> {
        if stop.is_requested() {
            return Err(NotMade::Stopped);
        }
        let bytes = match source.bytes {
            Some(bytes) => bytes.clone(),
            None => self.read(source)?,
        };
        tracing::info!(path = ?source.path, %rules, "making a copy that fits");
        self.count.fetch_add(1, Ordering::Relaxed);
        let mime = source.facts.mime.as_deref().unwrap_or_default();
        let copy = make_copy(bytes, mime, rules, Deadline::usual()).map_err(NotMade::Problem)?;
        let FittedCopy { bytes, facts, recipe } = copy;
        let bytes = Bytes::from(bytes);
        let derivation = Derivation {
            source: source.facts.hash,
            rules: rules.to_string(),
            recipe,
            result: facts.hash,
            size_bytes: facts.size_bytes,
            mime: facts.mime.unwrap_or_default().into_owned(),
            dimensions: facts.dimensions.unwrap_or(Dimensions { width: 0, height: 0 }),
        };
        lock(&self.made).remember(rules, &derivation, &bytes);
        Ok((derivation, bytes))
    }

    /// The source's bytes, which must still be the ones its facts are of.
    fn read(&self, source: Source) -> Result<Bytes, NotMade> {
        let content = self.large.read(source.path, Follow::Named, &mut |_| {}).map_err(NotMade::Problem)?;
        if content.facts.hash == source.facts.hash { Ok(content.bytes) } else { Err(NotMade::Changed) }
    }
}

impl Made {
    fn with_bytes(&self, source: ContentHash, rules: FitRules) -> Option<(Derivation, Bytes)> {
        let derivation = self.derivations.get(&(source, rules))?;
        let (_, bytes) = self.kept.iter().find(|(result, _)| *result == derivation.result)?;
        Some((derivation.clone(), bytes.clone()))
    }

    fn remember(&mut self, rules: FitRules, derivation: &Derivation, bytes: &Bytes) {
        let key = (derivation.source, rules);
        if self.derivations.insert(key, derivation.clone()).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.derivations.remove(&oldest);
        }
        self.kept.push_back((derivation.result, bytes.clone()));
        self.kept_bytes += bytes.len();
        while self.kept_bytes > KEPT_BYTES
            && let Some((_, oldest)) = self.kept.pop_front()
        {
            self.kept_bytes -= oldest.len();
        }
    }
}

impl fmt::Debug for Fitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fitter").field("copies_made", &self.count).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_copies_are_remembered_and_their_bytes_as_far_as_there_is_room() {
        let rules = FitRules::of(Platform::Messenger);
        let hash = |number: usize| {
            let (mut hash, number) = ([0; 32], number.to_be_bytes());
            hash[..number.len()].copy_from_slice(&number);
            ContentHash(hash)
        };
        let derivation = |number| Derivation {
            source: hash(number),
            rules: rules.to_string(),
            recipe: "png".to_owned(),
            result: hash(REMEMBERED * 2 + number),
            size_bytes: 1,
            mime: "image/png".to_owned(),
            dimensions: Dimensions { width: 1, height: 1 },
        };
        let mut made = Made::default();
        for number in 0..=REMEMBERED {
            made.remember(rules, &derivation(number), &Bytes::from_static(b"1"));
            made.remember(rules, &derivation(number), &Bytes::from_static(b"1"));
        }
        assert_eq!((made.derivations.len(), made.order.len()), (REMEMBERED, REMEMBERED));
        assert!(made.with_bytes(hash(0), rules).is_none());
        assert_eq!(made.with_bytes(hash(1), rules), Some((derivation(1), Bytes::from_static(b"1"))));
        made.remember(rules, &derivation(0), &Bytes::from(vec![0; KEPT_BYTES]));
        assert_eq!((made.kept.len(), made.kept_bytes), (1, KEPT_BYTES));
        assert!(made.with_bytes(hash(0), rules).is_some() && made.with_bytes(hash(2), rules).is_none());
    }
}
