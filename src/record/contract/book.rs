//! A ledger by the book: a map in memory that does what an engine must.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::NOW;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Event, OFF_THE_LIST, SUPPRESSED, State};
use crate::record::{DeliveryKey, DoubtedAttempt, Entry, Proof, Proven, Worker, Written};

pub(super) const PEOPLE: u64 = 4;
pub(super) const PARTS: u8 = 2;

/// A campaign.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// What is past `planned`, or was, and whose it is.
    pub(super) rows: BTreeMap<DeliveryKey, (Delivery, Option<i64>)>,
    /// Attempts that may have arrived.
    pub(super) doubts: BTreeMap<(DeliveryKey, u32), DoubtedAttempt>,
    pub(super) worker: Option<Worker>,
    /// The last one that is no more.
    pub(super) late: Option<Worker>,
    pub(super) paused: bool,
    /// Who gets nothing more, whatever plan names them.
    pub(super) suppressed: BTreeSet<u64>,
    /// Whom the last plan named.
    pub(super) named: BTreeSet<u64>,
    pub(super) now: Timestamp,
}

/// It must not be, and nothing is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Book {
    pub(super) fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            doubts: BTreeMap::new(),
            worker: None,
            late: None,
            paused: false,
            suppressed: BTreeSet::new(),
            named: people().collect(),
            now: NOW,
        }
    }

    pub(super) fn delivery(&self, key: DeliveryKey) -> Delivery {
        self.rows.get(&key).map_or(Delivery::planned(self.now), |row| row.0.clone())
    }

    pub(super) fn held(&self) -> Vec<DeliveryKey> {
        self.in_states(&[State::Claimed, State::InFlight])
    }

    pub(super) fn in_states(&self, states: &[State]) -> Vec<DeliveryKey> {
        self.rows.iter().filter(|row| states.contains(&row.1.0.state)).map(|row| *row.0).collect()
    }

    pub(super) fn claim(&mut self, worker: Worker, limit: usize) -> Vec<DeliveryKey> {
        let mut turn = self.in_states(&[State::Planned]);
        let mut due = self.in_states(&[State::RetryAt]);
        due.retain(|key| self.rows[key].0.at <= self.now);
        due.sort_by_key(|key| (self.rows[key].0.at, *key));
        turn.extend(due);
        turn.extend(people().map(|seq| DeliveryKey { seq, part: 0 }).filter(|key| !self.rows.contains_key(key)));
        turn.truncate(limit);
        for key in &turn {
            let claimed = self.delivery(*key).step(&Event::Claim, self.now).expect("it is its turn");
            self.keep(*key, &Event::Claim);
            self.rows.insert(*key, (claimed, Some(worker.epoch)));
        }
        turn
    }

    pub(super) fn write(&mut self, worker: Worker, entries: &[Entry]) -> Result<Vec<Written>, Refused> {
        let mut next = self.clone();
        let mut written = Vec::new();
        for entry in entries {
            if self.paused && matches!(entry.event, Event::Intend { .. }) {
                written.push(Written::Paused);
                continue;
            }
            if next.rows.get(&entry.key).is_none_or(|row| row.1 != Some(worker.epoch)) {
                return Err(Refused);
            }
            next.apply(entry, Some(worker))?;
            written.push(Written::Stored);
        }
        *self = next;
        Ok(written)
    }

    /// What a worker that is no more is told: its own mistake or the pause, and nothing is stored either way.
    pub(super) fn write_late(&self, entry: &Entry) -> Vec<Result<Vec<Written>, Refused>> {
        let told_of_the_pause = self.paused && matches!(entry.event, Event::Intend { .. });
        let paused = told_of_the_pause.then(|| Ok(vec![Written::Paused]));
        paused.into_iter().chain([Err(Refused)]).collect()
    }

    pub(super) fn decide(&mut self, entries: &[Entry]) -> Result<(), Refused> {
        let mut next = self.clone();
        entries.iter().try_for_each(|entry| next.apply(entry, None))?;
        *self = next;
        Ok(())
    }

    fn apply(&mut self, Entry { key, event, at }: &Entry, by: Option<Worker>) -> Result<(), Refused> {
        let next = self.delivery(*key).step(event, *at).map_err(|_| Refused)?;
        let holder = by.map(|worker| worker.epoch).filter(|_| next.state.is_held());
        let mut behind = (key.part + 1..PARTS).map(|part| DeliveryKey { part, ..*key });
        let left_out = self.left_out(key.seq).filter(|_| by.is_none());
        match next.state {
            State::RetryAt if left_out.is_some() && matches!(event, Event::Resend { .. } | Event::SendAgain { .. }) => {
                return Ok(());
            }
            State::Planned if left_out.is_some() && *event == Event::Reopen => return Ok(()),
            State::Planned if matches!(event, Event::AssumeNotSent | Event::InferredNotSent) => {
                if let Some(reason) = left_out {
                    self.keep(*key, event);
                    self.rows.insert(*key, (next, holder));
                    let skip = Event::Skip { reason: reason.to_owned() };
                    return self.apply(&Entry { key: *key, event: skip, at: *at }, None);
                }
            }
            State::Sent => {
                self.rows.retain(|other, row| {
                    (other.seq, other.part) <= (key.seq, key.part)
                        || other.seq != key.seq
                        || row.0.reason.as_deref() != Some(BEHIND)
                });
                let state = if by.is_some() { State::Claimed } else { State::Planned };
                let following = (Delivery { state, ..Delivery::planned(*at) }, by.map(|worker| worker.epoch));
                if left_out.is_some() {
                    behind.for_each(|key| self.skip_if_missing(key, left_out));
                } else if let Some(key) = behind.next() {
                    self.rows.entry(key).or_insert(following);
                }
            }
            State::Failed | State::Skipped => behind.for_each(|key| self.skip_if_missing(key, None)),
            State::Planned if matches!(event, Event::Reopen | Event::Readmit) => {
                behind.for_each(|key| {
                    if self.rows.get(&key).is_some_and(|row| row.0.reason.as_deref() == Some(BEHIND)) {
                        self.rows.remove(&key);
                    }
                });
            }
            _ => {}
        }
        self.keep(*key, event);
        self.rows.insert(*key, (next, holder));
        Ok(())
    }

    fn keep(&mut self, key: DeliveryKey, event: &Event) {
        if let Some(doubted) = self.delivery(key).doubted_by(event) {
            let kept = DoubtedAttempt { doubted, message_id: None };
            let is_old = doubted.intended_at.is_none();
            if is_old && self.doubts.keys().any(|(other, _)| *other == key) {
                return;
            }
            self.doubts.entry((key, doubted.attempt)).or_insert(kept);
        }
    }

    pub(super) fn prove(&mut self, proof: &Proof) -> Proven {
        let Proof { key, attempt, nonce, message_id } = proof;
        let delivery = self.delivery(*key);
        let kept = self.doubts.get_mut(&(*key, *attempt)).filter(|kept| kept.doubted.nonce == *nonce);
        let is_last = (delivery.attempt, delivery.nonce) == (*attempt, Some(*nonce));
        let known = kept.as_ref().and_then(|kept| kept.message_id.clone()).or(delivery.message_id.clone());
        match (delivery.state, kept) {
            (_, None) if !is_last && *attempt > delivery.attempt => Proven::Forgotten,
            (_, None) if !is_last => Proven::Foreign,
            (State::Claimed | State::InFlight, _) => Proven::Held,
            (State::Sent, kept) if delivery.reason.is_none() => {
                let is_news = known.as_ref() != Some(message_id);
                match kept {
                    Some(kept) if is_news || kept.message_id.is_none() => kept.message_id = Some(message_id.clone()),
                    Some(_) => {}
                    None => return Proven::Known,
                }
                let is_another = delivery.message_id.as_ref() != Some(message_id);
                if is_news && is_another { Proven::Twice } else { Proven::Known }
            }
            (_, kept) => {
                if let Some(kept) = kept {
                    kept.message_id = Some(message_id.clone());
                }
                let event = Event::Echoed { message_id: message_id.clone() };
                self.decide(&[Entry { key: *key, event, at: self.now }]).expect("it was tried");
                Proven::Settled
            }
        }
    }

    fn skip_if_missing(&mut self, key: DeliveryKey, reason: Option<&str>) {
        let reason = Some(reason.unwrap_or(BEHIND).to_owned());
        let skipped = Delivery { state: State::Skipped, reason, ..Delivery::planned(self.now) };
        self.rows.entry(key).or_insert((skipped, None));
    }

    /// Whether there was anything to be sent to them.
    pub(super) fn suppress(&mut self, seq: u64) -> Result<u64, Refused> {
        if self.worker.is_some() {
            return Err(Refused);
        }
        self.suppressed.insert(seq);
        self.drop_rest(seq, SUPPRESSED)
    }

    fn left_out(&self, seq: u64) -> Option<&'static str> {
        let off = || (!self.named.contains(&seq)).then_some(OFF_THE_LIST);
        self.suppressed.contains(&seq).then_some(SUPPRESSED).or_else(off)
    }

    /// A plan that names these people, who have not had its message if it `is_another`: `tester` gets it first.
    pub(super) fn plan(&mut self, named: BTreeSet<u64>, is_another: bool, tester: u64) -> Result<(), Refused> {
        if self.worker.is_some() {
            return Err(Refused);
        }
        self.named = named;
        if is_another {
            self.paused = false;
        }
        if is_another && !self.suppressed.contains(&tester) {
            self.doubts.retain(|(key, _), _| key.seq != tester);
            self.rows.retain(|key, _| key.seq != tester);
            self.rows.insert(DeliveryKey { seq: tester, part: 0 }, (Delivery::planned(self.now), None));
        }
        for seq in people() {
            if self.named.contains(&seq) {
                self.readmit(seq)?;
            } else {
                self.drop_rest(seq, OFF_THE_LIST)?;
            }
        }
        Ok(())
    }

    fn readmit(&mut self, seq: u64) -> Result<(), Refused> {
        let mut before = State::Sent;
        let parts = if self.suppressed.contains(&seq) { 0 } else { PARTS };
        for part in 0..parts {
            let key = DeliveryKey { seq, part };
            let Some((delivery, _)) = self.rows.get_mut(&key) else { break };
            if !delivery.is_skipped_for(&["window", "expired", OFF_THE_LIST]) && !delivery.is_put_off() {
                before = delivery.state;
            } else if before == State::Sent {
                self.apply(&Entry { key, event: Event::Readmit, at: self.now }, None)?;
                before = State::Planned;
            } else if matches!(before, State::Failed | State::Skipped) {
                delivery.reason = Some(BEHIND.to_owned());
                before = State::Skipped;
            } else {
                self.rows.remove(&key);
            }
        }
        Ok(())
    }

    fn drop_rest(&mut self, seq: u64, reason: &str) -> Result<u64, Refused> {
        let mut dropped = 0;
        for part in 0..PARTS {
            let key = DeliveryKey { seq, part };
            match self.rows.get(&key).map(|row| row.0.state) {
                // Behind what is skipped now, for the reason that it is; behind anything else, for the operator's.
                None if part > 0 => {
                    self.skip_if_missing(key, Some(reason));
                    dropped = 1;
                }
                None | Some(State::Planned | State::RetryAt) => {
                    let event = Event::Skip { reason: reason.to_owned() };
                    self.apply(&Entry { key, event, at: self.now }, None)?;
                    dropped = 1;
                }
                Some(_) => {}
            }
        }
        Ok(dropped)
    }

    /// The end of the worker, if there is one.
    pub(super) fn bury(&mut self) {
        for key in self.held() {
            self.keep(key, &self.delivery(key).abandonment());
            let next = self.delivery(key).abandoned(self.now);
            self.rows.insert(key, (next, None));
        }
        self.late = self.worker.take().or(self.late);
    }

    /// Every delivery there is; of what nobody has touched, no time is told.
    pub(super) fn all(&self) -> Vec<(DeliveryKey, Delivery)> {
        let keys = people().flat_map(|seq| (0..PARTS).map(move |part| DeliveryKey { seq, part }));
        keys.map(|key| (key, timeless(self.delivery(key)))).collect()
    }
}

const BEHIND: &str = "an earlier part was not sent";

pub(super) fn people() -> RangeInclusive<u64> {
    1..=PEOPLE
}

pub(super) fn timeless(delivery: Delivery) -> Delivery {
    let at = if delivery.state == State::Planned { NOW } else { delivery.at };
    Delivery { at, ..delivery }
}
