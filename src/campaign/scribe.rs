//! Group commit: what all messages under way have to write goes to the disk together.
//!
//! One task writes. Whoever wants something written waits until it is on the disk; what arrives while the disk is busy
//! goes with the next write. So the order that matters is kept for each message – intent, first byte, result, next – and
//! the disk is waited for once for many.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::record::{Entry, Record, RecordError, Worker, Written};

/// The most that is written at once.
const MOST: usize = 2_048;
/// A record that is locked or full gets a little time: what is to be written has happened already.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Why nothing was written: the same for all that were to be.
pub(super) type WriteError = Arc<RecordError>;

struct Job {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<Vec<Written>, WriteError>>,
}

/// Writes for many at once. Clones write with each other; the task ends with the last of them.
#[derive(Clone)]
pub(super) struct Scribe {
    jobs: mpsc::Sender<Job>,
}

impl Scribe {
    pub(super) fn new(record: Arc<dyn Record>, worker: Worker, clock: Arc<dyn Clock>) -> Self {
        let (jobs, queue) = mpsc::channel(MOST);
        tokio::spawn(write_all(record, worker, clock, queue));
        Self { jobs }
    }

    /// Writes the entries; when this returns they are on the disk, all of them or, on an error, none.
    pub(super) async fn write(&self, entries: Vec<Entry>) -> Result<Vec<Written>, WriteError> {
        let (done, answer) = oneshot::channel();
        // The task runs as long as there is anybody to ask it.
        let gone = "the scribe outlives those who ask it";
        self.jobs.send(Job { entries, done }).await.unwrap_or_else(|_| panic!("{gone}"));
        answer.await.expect(gone)
    }
}

async fn write_all(record: Arc<dyn Record>, worker: Worker, clock: Arc<dyn Clock>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    while queue.recv_many(&mut jobs, MOST).await > 0 {
        let mut entries = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        for Job { entries: own, done } in jobs.drain(..) {
            answers.push((own.len(), done));
            entries.extend(own);
        }
        let mut written = write_once(&*record, &worker, &*clock, &entries).await.map(Vec::into_iter).map_err(Arc::new);
        for (count, done) in answers {
            let answer = match &mut written {
                Ok(written) => Ok(written.by_ref().take(count).collect()),
                Err(error) => Err(Arc::clone(error)),
            };
            // Who was abandoned meanwhile hears of it from the record.
            let _ = done.send(answer);
        }
    }
}

async fn write_once(
    record: &dyn Record,
    worker: &Worker,
    clock: &dyn Clock,
    entries: &[Entry],
) -> Result<Vec<Written>, RecordError> {
    for pause in PAUSES {
        match record.write(worker, entries).await {
            Err(RecordError::Locked { .. } | RecordError::Full { .. }) => clock.sleep(pause).await,
            done => return done,
        }
    }
    record.write(worker, entries).await
}
