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
use tokio::task::JoinHandle;

use super::problem::Problem;
use super::shared::Shared;

pub(super) use item::Item;
pub(super) use query::{Counts, Query};
pub(super) use snapshot::{Row, Snapshot};

/// An older picture is made anew behind the back of whoever looks at it.
const FRESH: Duration = Duration::from_secs(3);
/// An older one is not shown, if there is a new one in time.
const STALE: Duration = Duration::from_secs(15);
/// How long a new one is waited for where there is an old one.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let Some(kept) = self.kept() else { return Self::newer(shared).await };
        let age = kept.made.elapsed();
        if age < FRESH {
            return Ok(kept.snapshot);
        }
        if age < STALE {
            Self::renew(shared);
            return Ok(kept.snapshot);
        }
        // Of a large library, or one on a share that is slow, the old one is shown first; and while the record is away.
        match tokio::time::timeout(PATIENCE, Self::newer(shared)).await {
            Ok(Ok(newer)) => Ok(newer),
            Ok(Err(_)) | Err(_) => Ok(kept.snapshot),
        }
    }

    /// Begins to make a new picture, unless that was done in the last `age`.
    pub(super) fn look_again(shared: &Arc<Shared>, age: Duration) {
        if shared.catalogue.kept().is_none_or(|kept| kept.made.elapsed() >= age) {
            Self::renew(shared);
        }
    }

    /// Begins to make a new picture, unless one is being made.
    fn renew(shared: &Arc<Shared>) {
        if let Ok(making) = Arc::clone(&shared.catalogue.making).try_lock_owned() {
            drop(Self::begin(shared, making));
        }
    }

    /// A picture that is fresh.
    async fn newer(shared: &Arc<Shared>) -> Result<Arc<Snapshot>, Problem> {
        let asked = shared.catalogue.epoch.load(Ordering::Acquire);
        let making = Arc::clone(&shared.catalogue.making).lock_owned().await;
        match shared.catalogue.kept_since(asked).filter(|kept| kept.made.elapsed() < FRESH) {
            Some(kept) => Ok(kept.snapshot),
            None => Self::begin(shared, making).await.map_err(|_| Problem::unexpected())?,
        }
    }

    /// Makes a picture, though nobody wait for it to the end.
    fn begin(shared: &Arc<Shared>, making: OwnedMutexGuard<()>) -> JoinHandle<Result<Arc<Snapshot>, Problem>> {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let _making = making;
            shared.catalogue.make(&shared).await.inspect_err(|problem| {
                tracing::warn!(?problem, "the library could not be looked through");
            })
        })
    }

    /// What was seen so far is old: who looks next waits for a new picture.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn kept(&self) -> Option<Kept> {
        self.kept_since(self.epoch.load(Ordering::Acquire))
    }

    fn kept_since(&self, epoch: u64) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone().filter(|kept| kept.epoch >= epoch)
    }

    async fn make(&self, shared: &Arc<Shared>) -> Result<Arc<Snapshot>, Problem> {
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
