//! Whether the record can be asked: found out by one question a second, however many want to know.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::record::{Record, RecordError};

/// How long an answer is waited for before it is found out what is wrong. To find out costs little, and means nothing yet.
const HASTE: Duration = Duration::from_millis(250);
/// How long the record may be away before whoever has nothing else to go by is told so: longer than a server takes to start
/// again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to leave it alone before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<T, K> {
    /// The record's.
    Record(T),
    /// What stands in for it.
    StandIn(K),
}

/// What is known of whether the record is there.
#[derive(Debug)]
pub(super) struct Absence {
    record: Arc<dyn Record>,
    state: watch::Sender<State>,
    /// Whether somebody is finding out.
    is_looked_for: Arc<AtomicBool>,
}

#[derive(Debug)]
enum State {
    Here,
    Away {
        /// Until when it may yet come back before anybody is told.
        patient_until: Instant,
        why: RecordError,
    },
}

impl Absence {
    pub(super) fn of(record: Arc<dyn Record>) -> Self {
        Self { record, state: watch::Sender::new(State::Here), is_looked_for: Arc::default() }
    }

    /// Finds out whether it is there now. That it is away is no error; of that, nobody is patient.
    pub(super) async fn find_out(self: &Arc<Self>) -> Result<(), RecordError> {
        let reached = self.record.reach().await;
        if self.note(&reached, Duration::ZERO) == Sign::OfLife {
            return reached;
        }
        self.look_for(PAUSE);
        Ok(())
    }

    /// The answer of `asking` or, where the record is away, `stand_in`; where there is none, the answer is waited for as long
    /// as a short absence takes.
    pub(super) async fn ask<T, K>(
        self: &Arc<Self>,
        asking: impl Future<Output = Result<T, RecordError>>,
        stand_in: impl Future<Output = Option<K>>,
    ) -> Result<Answer<T, K>, RecordError> {
        if !self.record.is_shared() {
            return asking.await.map(Answer::Record);
        }
        let mut asking = pin!(asking);
        if self.is_here() {
            tokio::select! {
                answer = &mut asking => return match self.answered(answer) {
                    Err(why @ RecordError::Away { .. }) => stand_in.await.map(Answer::StandIn).ok_or(why),
                    answer => answer,
                },
                () = self.gone() => {}
            }
        }
        self.look_for(PAUSE);
        if let Some(stand_in) = stand_in.await {
            return Ok(Answer::StandIn(stand_in));
        }
        tokio::select! {
            answer = asking => self.answered(answer),
            why = self.given_up() => Err(why),
        }
    }

    /// Returns once it is found out that it is away, which begins when an answer is due.
    async fn gone(self: &Arc<Self>) {
        let mut state = self.state.subscribe();
        loop {
            sleep(HASTE).await;
            self.look_for(Duration::ZERO);
            let is_gone = state.wait_for(|state| matches!(state, State::Away { .. }));
            if timeout(PAUSE, is_gone).await.is_ok() {
                return;
            }
        }
    }

    fn answered<T, K>(&self, answer: Result<T, RecordError>) -> Result<Answer<T, K>, RecordError> {
        if !self.is_here() || matches!(answer, Err(RecordError::Away { .. })) {
            self.note(&answer, PATIENCE);
        }
        answer.map(Answer::Record)
    }

    fn is_here(&self) -> bool {
        matches!(*self.state.borrow(), State::Here)
    }

    /// Returns why it is away, once it has been for so long that it is no use to wait.
    async fn given_up(&self) -> RecordError {
        let mut changes = self.state.subscribe();
        loop {
            let until = match &*changes.borrow_and_update() {
                State::Away { patient_until, why } if *patient_until <= Instant::now() => return why.clone(),
                State::Away { patient_until, .. } => Some(*patient_until),
                State::Here => None,
            };
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => {}
                // Its sender is ours.
                _ = changes.changed() => {}
            }
        }
    }

    /// Asks for a sign of life after `pause`, and then again and again, until there is one; unless somebody does already.
    fn look_for(self: &Arc<Self>, pause: Duration) {
        if self.is_looked_for.swap(true, Ordering::SeqCst) {
            return;
        }
        let (absence, looking) = (Arc::downgrade(self), Looking(Arc::clone(&self.is_looked_for)));
        tokio::spawn(async move {
            let _looking = looking;
            sleep(pause).await;
            while let Some(absence) = absence.upgrade() {
                if absence.note(&absence.record.reach().await, PATIENCE) == Sign::OfLife {
                    return;
                }
                drop(absence);
                sleep(PAUSE).await;
            }
        });
    }

    /// Takes note of what an answer says of how it stands; where that is new, it is said once. Whatever else it answers, it
    /// is there.
    fn note<T>(&self, answer: &Result<T, RecordError>, patience: Duration) -> Sign {
        let Err(why @ RecordError::Away { server, source, .. }) = answer else {
            if self.state.send_if_modified(|state| !matches!(std::mem::replace(state, State::Here), State::Here)) {
                tracing::info!("the record can be asked again");
            }
            return Sign::OfLife;
        };
        let is_new = self.state.send_if_modified(|state| {
            let is_new = matches!(state, State::Here);
            if is_new {
                let patient_until = Instant::now() + patience;
                *state = State::Away { patient_until, why: why.clone() };
            }
            is_new
        });
        if is_new {
            tracing::warn!(%server, cause = %source, "the record is away: until it is back, ids it gave before are used");
        }
        Sign::None
    }
}

/// Somebody who finds out, until this is dropped, be it with the runtime.
struct Looking(Arc<AtomicBool>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What an answer says of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    OfLife,
    None,
}
