//! Uploads for several Pages at once: each file's bytes are read once, whoever needs them.
//!
//! A file is taken to all Pages that want it together, and its bytes are let go when the last has them; as many files are
//! under way as one Page may have uploads. So memory does not grow with the number of Pages, and the fastest Page waits
//! for the slowest, though never for one that was given up.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::detached::came_of;
use crate::ids::{Asset, AssetKey};
use crate::media::{BytePool, Reader};
use crate::record::Upload;
use crate::stop::Stop;

use super::lane::{Allowance, Allowed, Lane};
use super::subject::{SharedBytes, Subject};
use super::survey::Place;
use super::upload::Meter;
use super::{AssetLibrary, AssetOutcome, AssetReport, LibraryError, Via};

/// Buffers for files that are read again for several Pages. They are no other upload's, which might wait for them while
/// it keeps one of these Pages from being uploaded to.
const SHARED_MEMORY: usize = 64 << 20;

/// One run under way.
pub(super) struct Run<F> {
    pub(super) lanes: Vec<Lane>,
    /// Requested when nothing more is to be begun anywhere.
    pub(super) stop: Stop,
    uploads: JoinSet<(usize, AssetReport, Held)>,
    /// How many files may be under way.
    slots: Arc<Semaphore>,
    reader: Arc<Reader>,
    via: Via,
    each: F,
}

/// What an upload holds on to until what came of it is known to the run, which may be the end of it: its file's place in
/// the survey, and the right to be under way.
type Held = (Option<Place>, Arc<OwnedSemaphorePermit>);

/// An upload that was decided on.
pub(super) struct Job {
    lane: usize,
    subject: Subject,
    stored: Option<Upload>,
    meter: Arc<Meter>,
}

impl<F: FnMut(usize, &AssetReport)> Run<F> {
    /// A run over `libraries`, each with this allowance, that hands every report to `each` with its library's number.
    pub(super) fn new(
        libraries: &[AssetLibrary],
        allowance: &Allowance,
        via: Via,
        stop: Stop,
        each: F,
    ) -> Result<Self, LibraryError> {
        let clock = libraries.first().map(|library| Arc::clone(&library.parts.clock)).ok_or(LibraryError::NoPage)?;
        let concurrency = match via {
            Via::Upload => libraries.iter().map(|library| library.parts.concurrency.max(1)).min().unwrap_or(1),
            // Messages to one person keep their order.
            Via::Send { .. } => 1,
        };
        let lane = |library: &AssetLibrary| Lane::new(library.clone(), allowance.clone(), stop.child());
        Ok(Self {
            lanes: libraries.iter().map(lane).collect(),
            uploads: JoinSet::new(),
            slots: Arc::new(Semaphore::new(concurrency)),
            reader: Arc::new(Reader::new(Arc::new(BytePool::new(SHARED_MEMORY)), clock)),
            stop,
            via,
            each,
        })
    }

    /// Asks Meta, for each Page, whose token this is and what time it is. A Page whose token is of no use is left out.
    pub(super) async fn greet(&mut self) {
        let greetings = join_all(self.lanes.iter().map(|lane| lane.library.greet())).await;
        for (lane, greeting) in self.lanes.iter_mut().zip(greetings) {
            if let Err(error) = greeting {
                lane.halt(Arc::new(error));
                lane.is_left_out = true;
            }
        }
        self.stop_with_the_last();
    }

    /// The Pages that take part.
    pub(super) fn lanes_taking_part(&self) -> Vec<usize> {
        (0..self.lanes.len()).filter(|lane| !self.lanes[*lane].is_left_out).collect()
    }

    /// The library of a Page that takes part, and what tells it that nothing more need be made ready.
    pub(super) fn fitting(&self, lane: usize) -> (usize, AssetLibrary, Stop) {
        (lane, self.lanes[lane].library.clone(), self.lanes[lane].enough.clone())
    }

    /// What is on record under each key, in the order of `keys`, for each Page apart.
    pub(super) async fn find(
        &self,
        keys: impl Iterator<Item = (usize, AssetKey)>,
    ) -> Result<Vec<std::vec::IntoIter<Option<Upload>>>, LibraryError> {
        let mut by_lane = vec![Vec::new(); self.lanes.len()];
        for (lane, key) in keys {
            by_lane[lane].push(key);
        }
        let mut found = Vec::with_capacity(by_lane.len());
        for (lane, keys) in self.lanes.iter().zip(by_lane) {
            let asked = Instant::now();
            let uploads = lane.library.parts.record.find(&keys).await?;
            lane.library.known.learn(keys.iter().zip(uploads.iter().map(Option::as_ref)), asked).await;
            found.push(uploads.into_iter());
        }
        Ok(found)
    }

    /// An upload of this to the Page of that lane, to be begun soon.
    pub(super) fn job(&self, lane: usize, subject: Subject, stored: Option<Upload>) -> Job {
        Job { lane, meter: self.lanes[lane].library.planned(&subject), subject, stored }
    }

    /// Begins the uploads of one file to all Pages that want it; waits while as many files are under way as may.
    pub(super) async fn begin(&mut self, jobs: Vec<Job>, place: Option<Place>) {
        if jobs.is_empty() {
            return;
        }
        let slot = self.slot().await;
        let shared = (jobs.len() > 1).then(|| Arc::new(SharedBytes::new(Arc::clone(&self.reader))));
        for Job { lane, mut subject, stored, meter } in jobs {
            let at = &self.lanes[lane];
            // What landed meanwhile may have been the end of it.
            if at.stop.is_requested() {
                self.report(lane, &subject.report(AssetOutcome::Deferred).with(stored));
                continue;
            }
            if let Some(error) = at.spent(&subject.key().asset).cloned() {
                self.report(lane, &subject.report(AssetOutcome::Failed).with(stored).because(error));
                continue;
            }
            if let Subject::File(candidate) = &mut subject {
                candidate.shared.clone_from(&shared);
            }
            let (library, via) = (at.library.clone(), self.via.clone());
            let held = (place.clone(), Arc::clone(&slot));
            self.uploads.spawn(async move { (lane, library.upload(subject, stored, meter, &via).await, held) });
        }
    }

    /// The right to have one more file under way.
    async fn slot(&mut self) -> Arc<OwnedSemaphorePermit> {
        loop {
            if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
                return Arc::new(permit);
            }
            self.land_next().await;
        }
    }

    /// Returns when one more upload has ended; never when none is under way.
    pub(super) async fn landing(&mut self) {
        if !self.land_next().await {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until no upload is under way.
    pub(super) async fn land_all(&mut self) {
        while self.land_next().await {}
    }

    async fn land_next(&mut self) -> bool {
        let Some(landed) = self.uploads.join_next().await else { return false };
        let (lane, report, _held) = came_of(landed).await;
        let report = self.lanes[lane].land(report);
        self.stop_with_the_last();
        self.report(lane, &report);
        true
    }

    /// Where no Page goes on, nothing more is looked for.
    fn stop_with_the_last(&self) {
        if self.lanes.iter().all(|lane| lane.stop.is_requested()) {
            self.stop.request();
        }
    }

    pub(super) fn report(&mut self, lane: usize, report: &AssetReport) {
        self.lanes[lane].count(report);
        (self.each)(lane, report);
    }
}

/// Something to renew on one Page.
pub(super) struct Wish<T> {
    pub(super) lane: usize,
    /// When what is to be renewed ends.
    pub(super) expires_at: Timestamp,
    pub(super) asset: Asset,
    pub(super) size_bytes: u64,
    pub(super) what: T,
}

/// The wishes of one file, and what each Page's allowance says to it.
pub(super) type Turn<T> = Vec<(Wish<T>, Allowed)>;

/// Asks each Page's allowance, and puts files in order: what ends soonest comes first.
pub(super) fn take_turns<T>(lanes: &mut [Lane], files: Vec<Vec<Wish<T>>>) -> Vec<Turn<T>> {
    let mut wishes: Vec<(usize, Wish<T>)> = files
        .into_iter()
        .enumerate()
        .flat_map(|(file, wishes)| wishes.into_iter().map(move |wish| (file, wish)))
        .collect();
    wishes.sort_by_key(|(file, wish)| (wish.expires_at, *file));
    let mut turns: Vec<Turn<T>> = Vec::new();
    let mut turn_of = HashMap::new();
    for (file, wish) in wishes {
        let allowed = lanes[wish.lane].ask(&wish.asset, wish.size_bytes);
        let turn = *turn_of.entry(file).or_insert_with(|| {
            turns.push(Vec::new());
            turns.len() - 1
        });
        turns[turn].push((wish, allowed));
    }
    turns
}
