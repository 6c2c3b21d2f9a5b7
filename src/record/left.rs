//! What is over and still stands on record, because whoever had it went away or could not write that down: kept in mind
//! until somebody settles it. Nobody else can: its owner lives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Claim, Worker};

/// What was left with one open record.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) workers: Kept<Worker>,
    pub(super) claims: Kept<Claim>,
}

/// Things to settle, each once.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<Vec<T>>);

impl<T: Clone + PartialEq> Kept<T> {
    pub(super) fn add(&self, one: T) {
        let mut kept = self.kept();
        if !kept.contains(&one) {
            kept.push(one);
        }
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.kept().clone()
    }

    /// Forgets those that are settled; others may have come meanwhile.
    pub(super) fn settled(&self, these: &[T]) {
        self.kept().retain(|one| !these.contains(one));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
