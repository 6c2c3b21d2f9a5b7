//! The rows of a campaign's ledger, and what a step of one means for the others: the same in every engine.
//!
//! An engine reads and writes rows within a transaction; which row becomes what is said here alone.

use crate::clock::Timestamp;
use crate::delivery::{Delivery, Doubted, EXPIRED, Event, IllegalStep, OFF_THE_LIST, SUPPRESSED, State, WINDOW};
use crate::record::campaigns::NO_PLAN;
use crate::record::{
    ClaimedRow, DeliveryKey, DoubtedAttempt, Entry, NewRecipient, PartCount, Proof, Proven, Worker, Written,
};

/// A row as it is stored: the delivery, and who answers for it.
pub(super) type Stored = (Delivery, Option<i64>);

/// Why a part is skipped whose predecessor was not sent. Those rows go when the predecessor's turn comes again.
const BEHIND: &str = "an earlier part was not sent";

/// Why a part is skipped that may be judged anew by another plan.
pub(super) const PASSING: [&str; 3] = [OFF_THE_LIST, WINDOW, EXPIRED];

/// The rows of one campaign within a transaction, nobody else's until it ends.
pub(super) trait DeliveryRows {
    /// What can go wrong.
    type Fault: From<IllegalStep>;

    /// How many parts the campaign's message has.
    fn parts(&self) -> u8;

    /// A row as it stands; `None` for who has none, and is planned.
    fn row(&self, key: DeliveryKey) -> Result<Option<Stored>, Self::Fault>;

    /// Writes a row, in the place of the one there may be.
    fn put(&mut self, key: DeliveryKey, row: Stored) -> Result<(), Self::Fault>;

    /// Takes a row away.
    fn remove(&mut self, key: DeliveryKey) -> Result<(), Self::Fault>;

    /// Keeps an attempt that may have arrived.
    fn keep(&mut self, key: DeliveryKey, doubted: Doubted) -> Result<(), Self::Fault>;

    /// An attempt that is kept; `None` where there is none of that number.
    fn attempt(&self, key: DeliveryKey, attempt: u32) -> Result<Option<DoubtedAttempt>, Self::Fault>;

    /// Says which message an attempt was, if it is one that is kept.
    fn identify(&mut self, key: DeliveryKey, attempt: u32, message_id: &str) -> Result<(), Self::Fault>;

    /// Why nothing more is to be sent to a recipient, as far as the list says; `None` where it names them.
    fn off_the_list(&self, seq: u64) -> Result<Option<&'static str>, Self::Fault>;

    /// Forgets the attempts at all parts of a recipient's message.
    fn forget(&mut self, seq: u64) -> Result<(), Self::Fault>;

    /// What a worker hears of a delivery that is not its own.
    fn not_held(key: DeliveryKey, worker: &Worker) -> Self::Fault;

    /// Applies what a worker writes. Where it may begin nothing, its intents come back as that says.
    fn write(
        &mut self,
        worker: &Worker,
        entries: &[Entry],
        begin_nothing: Option<Written>,
    ) -> Result<Vec<Written>, Self::Fault> {
        entries
            .iter()
            .map(|entry| match begin_nothing {
                Some(why) if matches!(entry.event, Event::Intend { .. }) => Ok(why),
                _ => self.apply(entry, Some(worker)).map(|()| Written::Stored),
            })
            .collect()
    }

    /// Gives the worker a delivery to this recipient.
    fn claim_one(
        &mut self,
        worker: &Worker,
        key: DeliveryKey,
        recipient: NewRecipient,
        at: Timestamp,
    ) -> Result<ClaimedRow, Self::Fault> {
        let row = self.row(key)?.map(|(delivery, _)| delivery);
        let (attempt, is_doubtful) = row.map_or((0, false), |row| (row.attempt, row.is_doubtful()));
        self.apply(&Entry { key, event: Event::Claim, at }, Some(worker))?;
        Ok(ClaimedRow { key, attempt, is_doubtful, recipient })
    }

    /// Applies `event` to a delivery, and what follows from it to the parts behind it. `by` is the worker, if it is one.
    fn apply(&mut self, entry: &Entry, by: Option<&Worker>) -> Result<(), Self::Fault> {
        let Entry { key, event, at } = entry;
        let (delivery, holder) = self.row(*key)?.unwrap_or_else(|| (Delivery::planned(*at), None));
        if let Some(worker) = by
            && holder != Some(worker.epoch)
            && *event != Event::Claim
        {
            return Err(Self::not_held(*key, worker));
        }
        let next = delivery.step(event, *at)?;
        let left_out = if is_decision(event) { self.off_the_list(key.seq)? } else { None };
        if left_out.is_some() && matches!(event, Event::Resend { .. } | Event::SendAgain { .. } | Event::Reopen) {
            return Ok(());
        }
        let worker = by.map(|worker| worker.epoch);
        self.put(*key, (next.clone(), worker.filter(|_| next.state.is_held())))?;
        if let Some(doubted) = delivery.doubted_by(event) {
            self.keep(*key, doubted)?;
        }
        match left_out {
            Some(reason) if next.state == State::Planned => {
                self.apply(&Entry { key: *key, event: Event::Skip { reason: reason.to_owned() }, at: *at }, None)
            }
            // It did arrive.
            Some(reason) => {
                self.take_back_behind(*key)?;
                self.skip_behind(*key, reason, *at)
            }
            None => self.follow(*key, event, &next, worker),
        }
    }

    /// What a delivery's step means for the parts behind it.
    fn follow(
        &mut self,
        key: DeliveryKey,
        event: &Event,
        next: &Delivery,
        worker: Option<i64>,
    ) -> Result<(), Self::Fault> {
        match next.state {
            State::Sent => {
                self.take_back_behind(key)?;
                let state = if worker.is_some() { State::Claimed } else { State::Planned };
                let following = Delivery { state, ..Delivery::planned(next.at) };
                behind(key, self.parts()).next().map_or(Ok(()), |key| self.put_if_missing(key, (following, worker)))
            }
            State::Failed | State::Skipped => self.skip_behind(key, BEHIND, next.at),
            State::Planned if matches!(event, Event::Reopen | Event::Readmit) => self.take_back_behind(key),
            _ => Ok(()),
        }
    }

    fn put_if_missing(&mut self, key: DeliveryKey, row: Stored) -> Result<(), Self::Fault> {
        if self.row(key)?.is_none() { self.put(key, row) } else { Ok(()) }
    }

    /// Skips the parts behind this one that have no row.
    fn skip_behind(&mut self, key: DeliveryKey, reason: &str, at: Timestamp) -> Result<(), Self::Fault> {
        let skipped = Delivery { state: State::Skipped, reason: Some(reason.to_owned()), ..Delivery::planned(at) };
        behind(key, self.parts()).try_for_each(|key| self.put_if_missing(key, (skipped.clone(), None)))
    }

    /// Takes away the rows of parts that were skipped because of this one.
    fn take_back_behind(&mut self, key: DeliveryKey) -> Result<(), Self::Fault> {
        for key in behind(key, self.parts()) {
            if !self.row(key)?.is_some_and(|(delivery, _)| delivery.is_skipped_for(&[BEHIND])) {
                break;
            }
            self.remove(key)?;
        }
        Ok(())
    }

    /// Has what was put off, or skipped for one of `reasons`, judged anew, and what was skipped behind it.
    fn readmit(&mut self, seq: u64, reasons: &[&str], at: Timestamp) -> Result<(), Self::Fault> {
        let mut before = State::Sent;
        for part in 0..self.parts() {
            let key = DeliveryKey { seq, part };
            let Some((delivery, _)) = self.row(key)? else { break };
            before = match before {
                _ if !delivery.is_skipped_for(reasons) && !delivery.is_put_off() => delivery.state,
                State::Sent => {
                    self.apply(&Entry { key, event: Event::Readmit, at }, None)?;
                    State::Planned
                }
                State::Failed | State::Skipped => {
                    self.remove(key)?;
                    self.skip_behind(DeliveryKey { part: part - 1, ..key }, BEHIND, at)?;
                    State::Skipped
                }
                before => {
                    self.remove(key)?;
                    before
                }
            };
        }
        Ok(())
    }

    /// Settles what an echo proves.
    fn prove(&mut self, proof: &Proof, now: Timestamp) -> Result<Proven, Self::Fault> {
        let Proof { key, attempt, nonce, message_id } = proof;
        let kept = self.attempt(*key, *attempt)?.filter(|kept| kept.doubted.nonce == *nonce);
        let delivery = match self.row(*key)? {
            Some((delivery, _)) if kept.is_some() || (delivery.attempt, delivery.nonce) == (*attempt, Some(*nonce)) => {
                delivery
            }
            Some((delivery, _)) if *attempt <= delivery.attempt => return Ok(Proven::Foreign),
            _ => return Ok(Proven::Forgotten),
        };
        if delivery.state.is_held() {
            return Ok(Proven::Held);
        }
        if delivery.is_certainly_sent() {
            let is_news = kept.is_some_and(|kept| kept.message_id.as_ref() != Some(message_id));
            if is_news {
                self.identify(*key, *attempt, message_id)?;
            }
            let is_another = delivery.message_id.as_ref() != Some(message_id);
            return Ok(if is_news && is_another { Proven::Twice } else { Proven::Known });
        }
        let event = Event::Echoed { message_id: message_id.clone() };
        self.apply(&Entry { key: *key, event, at: now }, None)?;
        self.identify(*key, *attempt, message_id)?;
        Ok(Proven::Settled)
    }

    /// Skips all that is not yet sent to a recipient nobody holds; says whether there was anything.
    fn drop_rest(&mut self, seq: u64, reason: &str, at: Timestamp) -> Result<bool, Self::Fault> {
        let mut dropped = false;
        for part in 0..self.parts() {
            let key = DeliveryKey { seq, part };
            let skip = Entry { key, event: Event::Skip { reason: reason.to_owned() }, at };
            match self.row(key)?.map(|(delivery, _)| delivery.state) {
                None if part == 0 => {
                    self.apply(&skip, None)?;
                    return Ok(true);
                }
                None => {
                    dropped = true;
                    self.skip_behind(DeliveryKey { part: part - 1, ..key }, reason, at)?;
                    break;
                }
                Some(State::Planned | State::RetryAt) => {
                    dropped = true;
                    self.apply(&skip, None)?;
                }
                Some(_) => {}
            }
        }
        Ok(dropped)
    }

    /// Forgets what became of all that was sent to a recipient nobody holds, unless they are to be left out. They have a
    /// row, for everybody up to the frontier has one.
    fn begin_again(&mut self, seq: u64, now: Timestamp) -> Result<(), Self::Fault> {
        if self.off_the_list(seq)?.is_some() {
            return Ok(());
        }
        self.forget(seq)?;
        (1..self.parts()).try_for_each(|part| self.remove(DeliveryKey { seq, part }))?;
        self.put(DeliveryKey { seq, part: 0 }, (Delivery::planned(now), None))
    }

    /// The part that is to be sent to a recipient next, and from when on; nothing where none is, or somebody has it.
    fn turn_of(&self, seq: u64) -> Result<Option<(DeliveryKey, Timestamp)>, Self::Fault> {
        let anytime = Timestamp::from_unix_millis(i64::MIN);
        for part in 0..self.parts() {
            let key = DeliveryKey { seq, part };
            match self.row(key)?.map(|(delivery, _)| (delivery.state, delivery.at)) {
                None if part == 0 => return Ok(Some((key, anytime))),
                Some((State::Planned, _)) => return Ok(Some((key, anytime))),
                Some((State::RetryAt, at)) => return Ok(Some((key, at))),
                Some((State::Sent, _)) => {}
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// SQL, for every engine: that a row of `campaign_recipients` is somebody to whom something is to be sent, or who got it
/// since; `plan` is the number of the last plan.
pub(super) fn is_meant(since: Timestamp, plan: &str) -> String {
    format!(
        "{} AND (generation = {plan} OR EXISTS (SELECT 1 FROM deliveries AS tried
         WHERE tried.campaign = campaign_recipients.campaign AND tried.seq = campaign_recipients.seq AND tried.part = 0
         AND tried.at >= {} AND tried.state IN ('sent', 'failed', 'unknown')))",
        untouched("campaign_recipients", since),
        since.as_unix_millis()
    )
}

/// SQL, for every engine: that a row of `campaign_recipients` is somebody the last plan, number `plan`, names, and the
/// first part is still to be sent to them.
pub(super) fn is_waiting(plan: &str) -> String {
    format!("generation = {plan} AND {}", unsettled("campaign_recipients", ""))
}

/// SQL, for every engine: that nothing was settled before `since` with the recipient of a row of `table`.
pub(super) fn untouched(table: &str, since: Timestamp) -> String {
    unsettled(table, &format!("AND first.at < {}", since.as_unix_millis()))
}

/// SQL, for every engine: that the first part is not settled, by a row of which `condition` holds as well, with the
/// recipient of a row of `table`.
fn unsettled(table: &str, condition: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM deliveries AS first WHERE first.campaign = {table}.campaign AND first.seq = {table}.seq
         AND first.part = 0 {condition} AND first.state IN ('sent', 'failed', 'unknown', 'skipped'))"
    )
}

/// SQL, for every engine: when something was last settled in a campaign; `NULL` where nothing was.
pub(super) fn last_settled(campaign: &str) -> String {
    format!(
        "SELECT max(at) FROM deliveries WHERE campaign = {campaign} AND state IN ('sent', 'failed', 'unknown', 'skipped')"
    )
}

/// When a campaign is planned, by a clock that says `now`: behind all that was settled before, at `last`, though that clock
/// was put back since, or is another's.
pub(super) fn time_of_plan(now: Timestamp, last: Option<i64>) -> Timestamp {
    last.map_or(now, |last| now.max(Timestamp::from_unix_millis(last.saturating_add(1))))
}

/// Why somebody gets nothing more whom plan number `named` was the last to name, where there is a complete `plan`.
pub(super) const fn off_the_list(named: i64, plan: Option<i64>) -> Option<&'static str> {
    match plan {
        _ if named == NO_PLAN => Some(SUPPRESSED),
        Some(plan) if named < plan => Some(OFF_THE_LIST),
        _ => None,
    }
}

/// Whether it is an operator's word or evidence, upon which something may come to be sent.
const fn is_decision(event: &Event) -> bool {
    use Event::{AssumeNotSent, AssumeSent, Echoed, InferredNotSent, InferredSent, Reopen, Resend, SendAgain};
    matches!(
        event,
        AssumeNotSent
            | AssumeSent
            | Echoed { .. }
            | InferredNotSent
            | InferredSent { .. }
            | Reopen
            | Resend { .. }
            | SendAgain { .. }
    )
}

/// The deliveries to the same recipient that come after this one, of so many parts.
fn behind(key: DeliveryKey, parts: u8) -> impl Iterator<Item = DeliveryKey> {
    (key.part..parts).skip(1).map(move |part| DeliveryKey { part, ..key })
}

/// The counts of all deliveries to so many people, of which those that have no row are planned.
pub(super) fn with_those_without_a_row(mut counts: Vec<PartCount>, parts: u8, people: u64) -> Vec<PartCount> {
    for part in 0..parts {
        let explicit: u64 = counts.iter().filter(|count| count.part == part).map(|count| count.count).sum();
        let implicit = people.saturating_sub(explicit);
        let is_alike =
            |count: &&mut PartCount| count.part == part && count.variant.is_none() && count.state == State::Planned;
        match counts.iter_mut().find(is_alike) {
            Some(planned) => planned.count += implicit,
            None if implicit > 0 => {
                counts.push(PartCount { part, variant: None, state: State::Planned, count: implicit });
            }
            None => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::delivery::Refusal;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

    /// The rows of a campaign whose message has three parts, and why its people get nothing more.
    #[derive(Debug, Default)]
    struct Leaf(BTreeMap<DeliveryKey, Stored>, Option<&'static str>);

    impl DeliveryRows for Leaf {
        type Fault = IllegalStep;

        fn parts(&self) -> u8 {
            3
        }

        fn row(&self, key: DeliveryKey) -> Result<Option<Stored>, IllegalStep> {
            Ok(self.0.get(&key).cloned())
        }

        fn put(&mut self, key: DeliveryKey, row: Stored) -> Result<(), IllegalStep> {
            self.0.insert(key, row);
            Ok(())
        }

        fn remove(&mut self, key: DeliveryKey) -> Result<(), IllegalStep> {
            self.0.remove(&key);
            Ok(())
        }

        fn keep(&mut self, _: DeliveryKey, _: Doubted) -> Result<(), IllegalStep> {
            Ok(())
        }

        fn attempt(&self, _: DeliveryKey, _: u32) -> Result<Option<DoubtedAttempt>, IllegalStep> {
            Ok(None)
        }

        fn identify(&mut self, _: DeliveryKey, _: u32, _: &str) -> Result<(), IllegalStep> {
            Ok(())
        }

        fn off_the_list(&self, _: u64) -> Result<Option<&'static str>, IllegalStep> {
            Ok(self.1)
        }

        fn forget(&mut self, _: u64) -> Result<(), IllegalStep> {
            Ok(())
        }

        fn not_held(key: DeliveryKey, worker: &Worker) -> IllegalStep {
            panic!("{key} is not held by {worker:?}")
        }
    }

    impl Leaf {
        /// A recipient of whose message these parts have a row, from the first on.
        fn of(rows: &[(State, Option<&str>)]) -> Self {
            let row = |(part, (state, reason)): (u8, &(State, Option<&str>))| {
                let reason = reason.map(ToOwned::to_owned);
                let delivery = Delivery { state: *state, attempt: 1, reason, ..Delivery::planned(NOW) };
                (key(part), (delivery, None))
            };
            Self((0..).zip(rows).map(row).collect(), None)
        }

        fn after(mut self, part: u8, event: Event) -> Self {
            self.apply(&Entry { key: key(part), event, at: NOW }, None).expect("a step");
            self
        }

        /// The part, state and reason of each row.
        fn rows(&self) -> Vec<(u8, State, Option<&str>)> {
            self.0.iter().map(|(key, (row, _))| (key.part, row.state, row.reason.as_deref())).collect()
        }
    }

    fn key(part: u8) -> DeliveryKey {
        DeliveryKey { seq: 1, part }
    }

    #[test]
    fn behind_a_part_are_those_that_come_after_it() {
        let parts = |part| behind(key(part), 3).map(|key| key.part).collect::<Vec<_>>();
        assert_eq!([parts(0), parts(1), parts(2)], [vec![1, 2], vec![2], vec![]]);
    }

    #[test]
    fn parts_behind_a_refused_one_are_skipped_and_come_back_with_it_but_for_those_skipped_for_themselves() {
        let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
        let leaf = Leaf::of(&[(State::InFlight, None)]).after(0, refused);
        let skipped = State::Skipped;
        assert_eq!(
            leaf.rows(),
            [(0, State::Failed, Some("gone")), (1, skipped, Some(BEHIND)), (2, skipped, Some(BEHIND))]
        );
        let leaf = leaf.after(0, Event::Reopen);
        assert_eq!(leaf.rows(), [(0, State::Planned, None)]);
        let leaf = Leaf::of(&[(State::Failed, None), (skipped, Some("stop list")), (State::Failed, Some(BEHIND))]);
        let leaf = leaf.after(0, Event::Reopen);
        assert_eq!(leaf.rows()[1..], [(1, skipped, Some("stop list")), (2, State::Failed, Some(BEHIND))]);
    }

    #[test]
    fn whoever_is_to_get_nothing_more_gets_the_reason_for_all_that_is_not_sent() {
        let (sent, unknown, skipped, why) = (State::Sent, State::Unknown, State::Skipped, Some("stop list"));
        let dropped = |rows: &[(State, Option<&str>)]| {
            let mut leaf = Leaf::of(rows);
            let was_any = leaf.drop_rest(1, "stop list", NOW).expect("dropped");
            let rows =
                leaf.rows().into_iter().map(|(_, state, reason)| (state, reason.map(ToOwned::to_owned))).collect();
            (was_any, rows)
        };
        let rows = |rows: &[(State, Option<&str>)]| -> Vec<(State, Option<String>)> {
            rows.iter().map(|(state, reason)| (*state, reason.map(ToOwned::to_owned))).collect()
        };
        let waiting = dropped(&[(unknown, Some("reset"))]);
        assert_eq!(waiting, (true, rows(&[(unknown, Some("reset")), (skipped, why), (skipped, why)])));
        let begun = dropped(&[(sent, None), (State::Planned, None)]);
        assert_eq!(begun, (true, rows(&[(sent, None), (skipped, why), (skipped, Some(BEHIND))])));
        assert_eq!(dropped(&[(sent, None); 3]), (false, rows(&[(sent, None); 3])));
    }

    #[test]
    fn the_turn_is_the_first_part_s_that_is_not_sent_unless_somebody_has_it_or_nobody_knows() {
        use State::{Claimed, Failed, InFlight, Planned, RetryAt, Sent, Skipped, Unknown};
        let anytime = Timestamp::from_unix_millis(i64::MIN);
        let turn = |rows: &[State]| {
            let rows: Vec<_> = rows.iter().map(|state| (*state, None)).collect();
            Leaf::of(&rows).turn_of(1).expect("a turn").map(|(key, at)| (key.part, at))
        };
        assert_eq!(turn(&[]), Some((0, anytime)));
        assert_eq!(turn(&[Planned]), Some((0, anytime)));
        assert_eq!(turn(&[Sent, Planned]), Some((1, anytime)));
        assert_eq!(turn(&[Sent, Sent, RetryAt]), Some((2, NOW)));
        assert_eq!(turn(&[Sent, Sent, Sent]), None);
        for state in [Claimed, InFlight, Failed, Skipped, Unknown] {
            assert_eq!(turn(&[state]), None, "{state}");
        }
        // Behind one that is sent there is a row: one that has none was taken away, and is nobody's turn.
        assert_eq!(turn(&[Sent]), None);
    }

    #[test]
    fn whoever_has_no_row_is_counted_as_planned_in_every_part() {
        let count = |part, variant: Option<&str>, state, count| {
            let variant = variant.map(ToOwned::to_owned);
            PartCount { part, variant, state, count }
        };
        let (planned, sent) = (State::Planned, State::Sent);
        let explicit = vec![count(0, None, planned, 2), count(0, Some("a"), sent, 5), count(1, Some("a"), planned, 1)];
        let counted = with_those_without_a_row(explicit.clone(), 2, 10);
        let expected = [
            count(0, None, planned, 5),
            count(0, Some("a"), sent, 5),
            count(1, Some("a"), planned, 1),
            count(1, None, planned, 9),
        ];
        assert_eq!(counted, expected);
        let everybody = vec![count(0, None, sent, 7)];
        assert_eq!(with_those_without_a_row(everybody.clone(), 1, 7), everybody);
    }
}
