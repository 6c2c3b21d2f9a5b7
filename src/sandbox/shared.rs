//! Everything the connections of one sandbox share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::faults::Faults;
use super::limits::Limits;
use super::pages::PAGES;
use super::people::People;
use super::state::State;
use super::state_lock::StateLock;
use super::time::SandboxClock;
use super::truth::{Truth, TruthMessage};

/// How many messages are taken from the log while requests wait.
const MESSAGES_AT_ONCE: usize = 1_024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Arc<SandboxClock>,
    pub(super) counters: Counters,
    /// Told whenever something changed that a state file keeps.
    pub(super) changed: Notify,
    /// Ends every connection.
    pub(super) stop: CancellationToken,
    /// Whether a call without `appsecret_proof` is refused.
    pub(super) proof_required: AtomicBool,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    limits: Mutex<Limits>,
    people: Mutex<People>,
    /// Held as long as anything here can still be saved.
    _state_lock: Option<StateLock>,
}

impl Shared {
    pub(super) fn new(clock: SandboxClock, state: State, state_lock: Option<StateLock>) -> Self {
        Self {
            clock: Arc::new(clock),
            counters: Counters::default(),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            proof_required: AtomicBool::new(false),
            state: Mutex::new(state),
            faults: Mutex::new(Faults::default()),
            limits: Mutex::new(Limits::default()),
            people: Mutex::new(People::default()),
            _state_lock: state_lock,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was accepted, with at most `limit` messages from the one after number `since`.
    pub(super) fn truth(&self, since: u64, limit: usize) -> Truth {
        let (attachments, message_count) = {
            let state = self.state();
            (state.attachments().to_vec(), state.message_count())
        };
        let left = usize::try_from(message_count.saturating_sub(since)).unwrap_or(usize::MAX);
        let messages: Vec<TruthMessage> = self.messages(since).take(limit.min(left)).collect();
        Truth {
            now: self.clock.now(),
            pages: &PAGES,
            attachments,
            next: messages.last().map(|last| last.sequence).filter(|last| *last < message_count),
            messages,
            message_count,
            counters: self.counters.read(),
        }
    }

    /// Messages from the one after number `since`, a page at a time so that requests need not wait for all of them.
    pub(super) fn messages(&self, since: u64) -> impl Iterator<Item = TruthMessage> {
        let mut next = since;
        let page = move || {
            let page = self.state().messages(next, MESSAGES_AT_ONCE);
            next = page.last()?.sequence;
            Some(page)
        };
        std::iter::from_fn(page).flatten()
    }

    /// Makes an id useless; `false` if there is no such id.
    pub(super) fn revoke(&self, id: &str) -> bool {
        let revoked = self.state().revoke(id);
        self.changed.notify_one();
        revoked
    }

    /// As if it had just been started: nothing accepted, no faults, no limits, nobody described, real time.
    pub(super) fn reset(&self) {
        self.state().clear();
        *self.faults() = Faults::default();
        *self.limits() = Limits::default();
        *self.people() = People::default();
        self.counters.clear();
        self.clock.reset();
        self.proof_required.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::state::NewMessage;
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_log_of_many_pages_is_read_whole_and_in_order() {
        let shared = Shared::new(SandboxClock::new(Arc::new(SystemClock), 0), State::new(None), None);
        for text in 1..=2_500 {
            let request = json!({ "message": { "text": text } }).as_object().cloned().expect("an object");
            let new = NewMessage { request, attachment_id: None, chunked: false };
            shared.state().add_message(&PAGES[0], shared.clock.now(), new);
        }
        let truth = shared.truth(0, usize::MAX);
        let texts: Vec<_> =
            truth.messages.iter().filter_map(|message| message.request["message"]["text"].as_u64()).collect();
        assert_eq!((texts, truth.next), ((1..=2_500).collect(), None));
        assert_eq!(shared.truth(1_100, 1_200).next, Some(2_300));
        assert_eq!(shared.messages(2_499).count(), 1);
    }
}
