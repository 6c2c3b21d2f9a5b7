//! Group commit: what all messages under way have to write goes to the disk together.
//!
//! One task writes; on a server, which has several flushed by one sync, two take turns. Whoever wants something written
//! waits until it is on the disk; what arrives while the disk is busy goes with the next write. So the order that
//! matters is kept for each message – intent, first byte, result, next – and the disk is waited for once for many.
//!
//! Where the disk is full when there is a result to write, the record gives up the room it keeps for that. From then on
//! results are written, and no intents. Where a claim is gone that somebody relies on, nothing more is begun either.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::clock::Clock;
use crate::delivery::Event;
use crate::record::{Entry, Record, RecordError, Worker, Written, patiently};

/// The most that is written at once.
const MOST: usize = 2_048;

/// Why nothing was written: the same for all that were to be.
pub(super) type WriteError = Arc<RecordError>;

struct Job {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<Vec<Written>, WriteError>>,
}

impl Job {
    fn begins_something(&self) -> bool {
        self.entries.iter().any(is_intent)
    }

    /// Whether nothing of it can be taken back.
    fn has_happened(&self) -> bool {
        self.entries.iter().all(|entry| entry.event.is_outcome())
    }
}

fn is_intent(entry: &Entry) -> bool {
    matches!(entry.event, Event::Intend { .. })
}

/// Writes for many at once. Clones write with each other; the task ends with the last of them.
#[derive(Clone)]
pub(super) struct Scribe {
    jobs: mpsc::Sender<Job>,
    full: Arc<OnceLock<WriteError>>,
    record: Arc<dyn Record>,
    worker: Worker,
}

impl Scribe {
    pub(super) fn new(record: Arc<dyn Record>, worker: Worker, clock: Arc<dyn Clock>) -> Self {
        let (jobs, queue) = mpsc::channel(MOST);
        let (full, queue) = (Arc::default(), Arc::new(Mutex::new(queue)));
        let desk = Desk { record: Arc::clone(&record), worker, clock, full: Arc::clone(&full) };
        if record.is_shared() {
            tokio::spawn(desk.clone().write_all(Arc::clone(&queue)));
        }
        tokio::spawn(desk.write_all(queue));
        Self { jobs, full, record, worker }
    }

    /// Whether a call that takes no longer than this may begin now, its intent being on the disk.
    pub(super) fn may_begin(&self, call: Duration) -> bool {
        self.record.may_begin(&self.worker, call)
    }

    /// Writes the entries; when this returns they are on the disk, all of them or, on an error, none.
    pub(super) async fn write(&self, entries: Vec<Entry>) -> Result<Vec<Written>, WriteError> {
        let (done, answer) = oneshot::channel();
        // The task runs as long as there is anybody to ask it.
        let gone = "the scribe outlives those who ask it";
        self.jobs.send(Job { entries, done }).await.unwrap_or_else(|_| panic!("{gone}"));
        answer.await.expect(gone)
    }

    /// Why nothing more may be begun, though results can still be written: they have the last room there is.
    pub(super) fn full(&self) -> Option<WriteError> {
        self.full.get().cloned()
    }
}

/// The task that writes.
#[derive(Clone)]
struct Desk {
    record: Arc<dyn Record>,
    worker: Worker,
    clock: Arc<dyn Clock>,
    full: Arc<OnceLock<WriteError>>,
}

impl Desk {
    async fn write_all(self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut jobs = Vec::new();
        while queue.lock().await.recv_many(&mut jobs, MOST).await > 0 {
            let was_full = self.full.get().is_some();
            let mut written = self.write(&mut jobs).await;
            if let Err(error) = &written
                && (refuse_the_rest(error, &mut jobs) || (!was_full && self.makes_room(error, &jobs).await))
            {
                written = self.write(&mut jobs).await;
            }
            let mut written = written.map(Vec::into_iter);
            for Job { entries, done } in jobs.drain(..) {
                let answer = match &mut written {
                    Ok(written) => Ok(written.by_ref().take(entries.len()).collect()),
                    Err(error) => Err(Arc::clone(error)),
                };
                // Who was abandoned meanwhile hears of it from the record.
                let _ = done.send(answer);
            }
        }
    }

    /// Writes what all jobs bring, but for intents where the disk is full: those are taken out and refused.
    async fn write(&self, jobs: &mut Vec<Job>) -> Result<Vec<Written>, WriteError> {
        if let Some(full) = self.full.get() {
            for Job { done, .. } in jobs.extract_if(.., |job| job.begins_something()) {
                let _ = done.send(Err(Arc::clone(full)));
            }
        }
        let entries: Vec<Entry> = jobs.iter().flat_map(|job| job.entries.iter().cloned()).collect();
        if entries.is_empty() { Ok(Vec::new()) } else { self.write_patiently(&entries).await.map_err(Arc::new) }
    }

    /// A record that is locked or full gets a little time: what is to be written has happened already.
    async fn write_patiently(&self, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        let may_pass = |error: &RecordError| match error {
            RecordError::Locked { .. } => true,
            // The time is not spent before the room that is kept for results.
            RecordError::Full { .. } => self.full.get().is_some(),
            _ => false,
        };
        patiently(&*self.clock, may_pass, || self.record.write(&self.worker, entries)).await
    }

    /// Whether it is worth another try: the disk is full, and among the jobs is a result, for which room is kept.
    async fn makes_room(&self, error: &WriteError, jobs: &[Job]) -> bool {
        let is_full = matches!(**error, RecordError::Full { .. });
        if !is_full || jobs.iter().all(Job::begins_something) {
            return false;
        }
        // Whoever else writes may have found out first.
        if self.full.set(Arc::clone(error)).is_ok() {
            tracing::warn!(%error, "nothing more is begun: what has left is written into the room that was kept for it");
            if let Err(error) = self.record.make_room().await {
                tracing::warn!(%error, "that room could not be given up");
            }
        }
        true
    }
}

/// Where the worker has lost a claim: tells so all who want more than to write down what has happened; whether any others
/// are left.
fn refuse_the_rest(error: &WriteError, jobs: &mut Vec<Job>) -> bool {
    if !matches!(**error, RecordError::Lapsed) {
        return false;
    }
    for Job { done, .. } in jobs.extract_if(.., |job| !job.has_happened()) {
        // Who was abandoned meanwhile hears of it from the record.
        let _ = done.send(Err(Arc::clone(error)));
    }
    !jobs.is_empty()
}
