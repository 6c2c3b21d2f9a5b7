//! Writes that share a sync. Whatever has queued up while the disk was busy is done in one transaction, each write in a
//! savepoint of its own, so that one that is refused takes nothing from the others. Nobody is told anything before all of
//! it is durable.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::fault::Fault;
use super::owners::Owners;
use super::{State, claims, commit};
use crate::record::RecordError;

/// What a write works on.
pub(super) struct Turn<'t> {
    pub transaction: &'t Transaction<'t>,
    pub owners: &'t Owners,
    /// Who writes, alive for as long as the record is open.
    pub owner: &'t str,
}

/// Where a write's result arrives: `None` where nobody will do it; nothing where a panic took the turn.
pub(super) type Answer<T> = oneshot::Receiver<Told<T>>;

type Told<T> = Option<Result<T, RecordError>>;

/// The writes that nobody has begun.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<Box<dyn Job>>>);

/// The duty to do what is in the queue; one at most is waiting at any time. Dropped undone, those in the queue learn that
/// nobody will.
pub(super) struct Lead(Option<Arc<Queue>>);

/// Writes that have come to an end together, and those who wait for them.
#[must_use]
pub(super) struct Done {
    jobs: Vec<Box<dyn Job>>,
    shared: Result<(), RecordError>,
}

trait Job: Send {
    /// Works inside of the savepoint; whether what was done there is to stay. Fails where the engine or the disk does,
    /// for all.
    fn work(&mut self, turn: &Turn) -> Result<bool, Fault>;

    /// Tells whoever waits: the write's own result, if what is shared has become durable.
    fn tell(self: Box<Self>, shared: Result<&Path, RecordError>);

    /// Tells whoever waits that nobody will do it.
    fn leave(self: Box<Self>);
}

struct Write<W, T> {
    work: Option<W>,
    result: Option<Result<T, Fault>>,
    answer: oneshot::Sender<Told<T>>,
}

impl<W, T> Job for Write<W, T>
where
    W: FnOnce(&Turn) -> Result<T, Fault> + Send,
    T: Send,
{
    fn work(&mut self, turn: &Turn) -> Result<bool, Fault> {
        let Some(work) = self.work.take() else { return Ok(true) };
        match work(turn) {
            Err(fault) if !fault.is_a_refusal() => Err(fault),
            result => Ok(self.result.insert(result).is_ok()),
        }
    }

    fn tell(self: Box<Self>, shared: Result<&Path, RecordError>) {
        let result = match (shared, self.result) {
            (Err(error), _) => Err(error),
            (Ok(path), Some(result)) => result.map_err(|fault| fault.using(path)),
            (Ok(_), None) => return,
        };
        // Whoever has stopped waiting wants no answer.
        let _ = self.answer.send(Some(result));
    }

    fn leave(self: Box<Self>) {
        let _ = self.answer.send(None);
    }
}

impl Queue {
    /// Queues `work` up, and says where its result arrives. Who gets the lead as well has to take it up.
    pub(super) fn push<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Turn) -> Result<T, Fault> + Send + 'static,
    ) -> (Answer<T>, Option<Lead>) {
        let (answer, arrives) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lead = waiting.is_empty().then(|| Lead(Some(Arc::clone(self))));
        waiting.push(Box::new(Write { work: Some(work), result: None, answer }));
        (arrives, lead)
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lead {
    /// Does all that has queued up by now. Nobody knows it yet.
    pub(super) fn take_up(mut self, state: &mut State, path: &Path) -> Done {
        let mut jobs = self.jobs();
        let shared = state.attempt(path, |state| state.work_together(&mut jobs));
        Done { jobs, shared }
    }

    /// Takes them out of the queue, and gives up the lead: whoever comes now has the next.
    fn jobs(&mut self) -> Vec<Box<dyn Job>> {
        self.0.take().map(|queue| queue.take()).unwrap_or_default()
    }
}

impl Done {
    pub(super) fn tell(self, path: &Path) {
        for job in self.jobs {
            job.tell(self.shared.clone().map(|()| path));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        for job in self.jobs() {
            job.leave();
        }
    }
}

impl State {
    /// Does the jobs in one transaction, and makes it durable. After an error there is nothing left of any.
    fn work_together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Fault> {
        let newcomer = !self.owners.has_own();
        let owner = self.owners.own()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = transaction.total_changes();
        // Whoever becomes an owner settles what the dead have left.
        if newcomer {
            claims::bury_all_dead(&transaction, &self.owners)?;
        }
        let over = self.left.claims.all();
        for claim in &over {
            claims::release(&transaction, claim)?;
        }
        let turn = Turn { transaction: &transaction, owners: &self.owners, owner: &owner };
        for job in jobs {
            let step = |sql| transaction.prepare_cached(sql)?.execute([]);
            step("SAVEPOINT one")?;
            if !job.work(&turn)? {
                step("ROLLBACK TO one")?;
            }
            step("RELEASE one")?;
        }
        commit(transaction, before, &mut self.mark)?;
        self.left.claims.settled(&over);
        Ok(())
    }
}
