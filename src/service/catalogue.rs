//! The library as the gallery shows it: every id on record and every file in the folders, put together.
//!
//! A picture of a moment, made anew when somebody looks and the last one is a few seconds old. Searching and leafing
//! through it asks neither record nor disk.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod item;
mod query;
mod snapshot;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::problem::Problem;
use super::shared::Shared;

pub(super) use item::Item;
pub(super) use query::{Counts, Query};
pub(super) use snapshot::{Row, Snapshot};

/// An older picture is made anew behind the back of whoever looks at it.
const FRESH: Duration = Duration::from_secs(3);

/// The picture, and when it was made.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    kept: RwLock<Option<Kept>>,
    /// Held while one is made.
    making: Arc<Mutex<()>>,
    /// Counts what makes all older pictures wrong.
    epoch: AtomicU64,
}

#[derive(Debug, Clone)]
struct Kept {
    snapshot: Arc<Snapshot>,
    made: Instant,
    epoch: u64,
}

impl Catalogue {
    /// The library as it is now, or was a few seconds ago; never from before the last [`forget`](Self::forget).
    pub(super) async fn view(&self, shared: &Arc<Shared>) -> Result<Arc<Snapshot>, Problem> {
        if let Some(kept) = self.kept() {
            if kept.made.elapsed() >= FRESH
                && let Ok(making) = Arc::clone(&self.making).try_lock_owned()
            {
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    if let Err(problem) = shared.catalogue.make(&shared, making).await {
                        tracing::warn!(?problem, "the library could not be looked through");
                    }
                });
            }
            return Ok(kept.snapshot);
        }
        let making = Arc::clone(&self.making).lock_owned().await;
        match self.kept() {
            Some(kept) => Ok(kept.snapshot),
            None => self.make(shared, making).await,
        }
    }

    /// Begins to make the first picture.
    pub(super) fn warm(shared: &Arc<Shared>) {
        let shared = Arc::clone(shared);
        tokio::spawn(async move { shared.catalogue.view(&shared).await.map(drop) });
    }

    /// What was seen so far is old: who looks next waits for a new picture.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn kept(&self) -> Option<Kept> {
        let epoch = self.epoch.load(Ordering::Acquire);
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone().filter(|kept| kept.epoch == epoch)
    }

    async fn make(&self, shared: &Arc<Shared>, _making: OwnedMutexGuard<()>) -> Result<Arc<Snapshot>, Problem> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let snapshot = Arc::new(Snapshot::take(shared).await?);
        shared.metrics.stand(&snapshot.stands());
        let kept = Kept { snapshot: Arc::clone(&snapshot), made: Instant::now(), epoch };
        let before = self.kept.write().unwrap_or_else(PoisonError::into_inner).replace(kept);
        if before.is_some_and(|before| before.snapshot.revision != snapshot.revision) {
            shared.news.tell("library", json!({ "revision": snapshot.revision_word() }).to_string());
        }
        Ok(snapshot)
    }
}
