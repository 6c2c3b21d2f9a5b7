//! One delivery: one part of a campaign's message for one recipient. Its states, and the only steps between them.
//!
//! Pure and small, because everything a campaign promises rests on it: nobody gets a message twice, and everybody ends in
//! one named state. The record applies [`Delivery::step`] to each row it writes, whoever asks; a step that is not in it
//! cannot be stored.
//!
//! ```text
//! planned ─▶ claimed ─▶ in_flight ─▶ sent
//!    ▲          │ │         ├──────▶ failed    (an operator may reopen it)
//!    │          │ ▼         ├──────▶ unknown   (left by an operator's word or by evidence alone)
//!    └──────────┘ skipped   └──────▶ retry_at  (unknown, where a campaign sends at least once)
//! ```
//!
//! An echo proves that a message arrived, whatever was said or inferred of it meanwhile: it makes any delivery that was
//! ever tried, and that nobody holds, a sent one.
//!
//! A delivery that is in flight never goes back, except on proof that nothing was sent; and when its sender is gone it is
//! `unknown`, for nobody can know. A doubt is never painted over by what comes later: a delivery that may have arrived ends
//! as sent or unknown, though its second attempt be refused.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// The longest a message's call takes. Whoever sends waits for no answer longer, and whoever takes a sender for dead waits
/// longer than that: no delivery is another's while its call is under way.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(130);

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nobody has taken it yet.
    Planned,
    /// A worker has taken it; nothing has left.
    Claimed,
    /// It may be on its way.
    InFlight,
    /// Meta has it.
    Sent,
    /// Its turn comes at a certain time. In doubt, it may have arrived, and is sent once more: only where a campaign
    /// chose so.
    RetryAt,
    /// Meta refused it, or it could not be sent as it was.
    Failed,
    /// It may have arrived. Nobody sends it again by themselves.
    Unknown,
    /// It is not to be sent.
    Skipped,
}

impl State {
    /// All of them, in the order of a delivery's life.
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Claimed,
        Self::InFlight,
        Self::Sent,
        Self::RetryAt,
        Self::Failed,
        Self::Unknown,
        Self::Skipped,
    ];

    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Claimed => "claimed",
            Self::InFlight => "in_flight",
            Self::Sent => "sent",
            Self::RetryAt => "retry_at",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// The state stored as this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether it still is to be sent, as far as anybody knows.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Planned | Self::Claimed | Self::InFlight | Self::RetryAt)
    }

    /// Whether a worker answers for it.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Claimed | Self::InFlight)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// All that is known of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Where it stands.
    pub state: State,
    /// How often it was, or may have been, handed to Meta; one that is proven not to have left does not count.
    pub attempt: u32,
    /// What tells the last attempt from all others: it travels with the message.
    pub nonce: Option<u32>,
    /// Which variant of the part was last on its way; nothing of a part that has none.
    pub variant: Option<String>,
    /// When it came into its state; of `retry_at`, when it is due.
    pub at: Timestamp,
    /// The message's id, once Meta has it.
    pub message_id: Option<String>,
    /// Meta's code, where it refused, or gave one that leaves a doubt.
    pub code: Option<i64>,
    /// Meta's subcode, likewise.
    pub subcode: Option<i64>,
    /// Why it is in its state, in words. Of one that is yet to be sent: why an earlier attempt may have arrived; of one
    /// that is sent: why that is taken for so, where it is not certain.
    pub reason: Option<String>,
}

/// An attempt that may have arrived. It is kept for good, whatever comes after it: its echo may come at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Doubted {
    /// Which, from 1.
    pub attempt: u32,
    /// What tells it from all others.
    pub nonce: u32,
    /// When it was about to leave, by Meta's clock; `None` where that was not kept.
    pub intended_at: Option<Timestamp>,
}

/// What happens to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker takes it.
    Claim,
    /// The worker gives it back, or is gone, and nothing had left.
    Release,
    /// It is about to leave, under this nonce.
    Intend {
        /// What tells this attempt from all others.
        nonce: u32,
        /// Which variant of the part it is, where there are several.
        variant: Option<String>,
    },
    /// Its time has not come: the worker gives it back until then.
    Defer {
        /// When its turn comes.
        due: Timestamp,
    },
    /// Meta has it.
    Sent {
        /// Its id; a sender action has none.
        message_id: Option<String>,
    },
    /// It is proven that nothing was sent, for a reason that is not the recipient's: its turn comes again, and no attempt
    /// is lost.
    NotSent,
    /// Meta refused it for good.
    Refused(Refusal),
    /// It cannot be sent as it is, and never left.
    Invalid {
        /// Why.
        reason: String,
    },
    /// It may have arrived.
    Doubt {
        /// What came instead of an answer.
        why: Refusal,
    },
    /// It may have arrived, and the campaign prefers two to none.
    DoubtAndRetry {
        /// What came instead of an answer.
        why: Refusal,
        /// When to send it again.
        due: Timestamp,
    },
    /// It is not to be sent.
    Skip {
        /// Why.
        reason: String,
    },
    /// The echo of one of its attempts came back: Meta has it, for certain.
    Echoed {
        /// The message's id.
        message_id: String,
    },
    /// The conversation shows a message that nothing else explains.
    InferredSent {
        /// The message's id.
        message_id: String,
    },
    /// The conversation shows no such message, though it would: it is to be sent.
    InferredNotSent,
    /// It is sent once more although it may have arrived: the campaign, or an operator, prefers two to none.
    Resend {
        /// When.
        due: Timestamp,
    },
    /// An operator says that it arrived.
    AssumeSent,
    /// An operator says that it did not, and wants it sent.
    AssumeNotSent,
    /// An operator wants what Meta refused to be tried again.
    Reopen,
}

impl Event {
    /// Whether it is what came of an attempt that was intended.
    pub const fn is_outcome(&self) -> bool {
        use Event::{Doubt, DoubtAndRetry, NotSent, Refused, Sent};
        matches!(self, Sent { .. } | NotSent | Refused(_) | Doubt { .. } | DoubtAndRetry { .. })
    }
}

/// Why Meta refused, or what it said that leaves a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Meta's code.
    pub code: Option<i64>,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// Meta's words, or ours where it gave no code.
    pub reason: String,
}

impl Refusal {
    /// One of which there are words alone.
    pub const fn in_words(reason: String) -> Self {
        Self { code: None, subcode: None, reason }
    }
}

/// A step nobody may take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {from} cannot take the step {event:?}")]
pub struct IllegalStep {
    /// Where the delivery stands.
    pub from: State,
    /// What was to happen to it.
    pub event: Event,
}

/// Why a delivery is unknown whose sender was killed.
pub const LOST: &str = "the process that sent it ended before it had an answer";
/// Why a delivery is sent that an operator says is.
const SAID: &str = "an operator said so";
/// Why a delivery is where a conversation led to.
const INFERRED: &str = "inferred from the conversation";

impl Delivery {
    /// A delivery nothing has happened to yet.
    pub const fn planned(at: Timestamp) -> Self {
        Self {
            state: State::Planned,
            attempt: 0,
            nonce: None,
            variant: None,
            at,
            message_id: None,
            code: None,
            subcode: None,
            reason: None,
        }
    }

    /// Whether it is yet to be sent, and may have arrived by an earlier attempt.
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self.state, State::RetryAt | State::Claimed | State::InFlight) && self.reason.is_some()
    }

    /// Whether it may have arrived, whatever is to become of it.
    pub fn is_unknown_or_in_doubt(&self) -> bool {
        self.state == State::Unknown || self.is_in_doubt()
    }

    /// Whether Meta's word is known that it has the message: its receipt, or its echo.
    pub fn is_certainly_sent(&self) -> bool {
        self.state == State::Sent && self.reason.is_none()
    }

    /// Whether it is where it is because of what its conversation shows.
    pub fn is_inferred(&self) -> bool {
        self.reason.as_deref() == Some(INFERRED)
    }

    /// The attempt that `event` leaves in doubt, and that is to be kept; `None` where it leaves none, or where the one it
    /// leaves was in doubt before.
    pub fn doubted_by(&self, event: &Event) -> Option<Doubted> {
        let intended_at = match (self.state, event) {
            // It came into its state with its intent.
            (State::InFlight, Event::Doubt { .. } | Event::DoubtAndRetry { .. }) => Some(self.at),
            // Kept already, but for those of records older than this.
            (State::Unknown, Event::Resend { .. } | Event::AssumeNotSent | Event::InferredNotSent)
            | (State::RetryAt, Event::Claim | Event::InferredNotSent)
                if self.is_unknown_or_in_doubt() =>
            {
                None
            }
            _ => return None,
        };
        Some(Doubted { attempt: self.attempt, nonce: self.nonce?, intended_at })
    }

    /// The delivery after `event`, which happened at `at`.
    pub fn step(&self, event: &Event, at: Timestamp) -> Result<Self, IllegalStep> {
        use State::{Claimed, Failed, InFlight, Planned, RetryAt, Sent, Skipped, Unknown};
        let now = |state| {
            let (attempt, nonce, variant) = (self.attempt, self.nonce, self.variant.clone());
            Self { state, attempt, nonce, variant, ..Self::planned(at) }
        };
        let because = |state, reason: &str| Self { reason: Some(reason.to_owned()), ..now(state) };
        let said = |state, why: &Refusal| Self { code: why.code, subcode: why.subcode, ..because(state, &why.reason) };
        // What is not at its end keeps its doubt; what comes to its end in doubt is unknown.
        let doubtful = |next: Self| {
            let (code, subcode, reason) = (self.code, self.subcode, self.reason.clone());
            Self { code, subcode, reason, ..next }
        };
        // Of one that is planned, the reason says why nothing was sent.
        let ended = |end: Self| match self.reason.as_ref().filter(|_| self.state != Planned) {
            Some(doubt) => {
                let reason = format!("{doubt}; later: {}", end.reason.as_deref().unwrap_or_default());
                Self { reason: Some(reason), ..doubtful(now(Unknown)) }
            }
            None => end,
        };
        Ok(match (self.state, event) {
            (Planned, Event::Claim) => now(Claimed),
            (RetryAt, Event::Claim) if self.at <= at => doubtful(now(Claimed)),
            (Claimed, Event::Release) if self.is_in_doubt() => doubtful(now(RetryAt)),
            (Claimed, Event::Defer { due }) => doubtful(Self { at: *due, ..now(RetryAt) }),
            (Claimed, Event::Intend { nonce, variant }) => {
                let (attempt, nonce, variant) = (self.attempt + 1, Some(*nonce), variant.clone());
                doubtful(Self { attempt, nonce, variant, ..now(InFlight) })
            }
            (InFlight, Event::Sent { message_id }) => Self { message_id: message_id.clone(), ..now(Sent) },
            (InFlight, Event::NotSent) => {
                doubtful(Self { attempt: self.attempt.saturating_sub(1), nonce: None, variant: None, ..now(Claimed) })
            }
            (InFlight, Event::Refused(why)) => ended(said(Failed, why)),
            (Claimed, Event::Invalid { reason }) => ended(because(Failed, reason)),
            (InFlight, Event::Doubt { why }) => said(Unknown, why),
            (InFlight, Event::DoubtAndRetry { why, due }) => Self { at: *due, ..said(RetryAt, why) },
            (Planned | Claimed | RetryAt, Event::Skip { reason }) => ended(because(Skipped, reason)),
            (Unknown, Event::Resend { due }) => Self { at: *due, ..doubtful(now(RetryAt)) },
            (Unknown | RetryAt | Planned | Failed | Skipped, Event::Echoed { message_id }) if self.attempt > 0 => {
                Self { message_id: Some(message_id.clone()), ..now(Sent) }
            }
            (Sent, Event::Echoed { message_id }) if !self.is_certainly_sent() => {
                Self { message_id: Some(message_id.clone()), ..now(Sent) }
            }
            (Unknown | RetryAt, Event::InferredSent { message_id }) if self.is_unknown_or_in_doubt() => {
                Self { message_id: Some(message_id.clone()), ..because(Sent, INFERRED) }
            }
            (Unknown | RetryAt, Event::InferredNotSent) if self.is_unknown_or_in_doubt() => because(Planned, INFERRED),
            (Unknown, Event::AssumeSent) => because(Sent, SAID),
            (Claimed, Event::Release) | (Unknown, Event::AssumeNotSent) | (Failed, Event::Reopen) => now(Planned),
            (from, event) => return Err(IllegalStep { from, event: event.clone() }),
        })
    }

    /// What happens to it when its worker is gone: what had not left is given back, what may have left is in doubt.
    pub fn abandonment(&self) -> Event {
        let lost = || Event::Doubt { why: Refusal::in_words(LOST.to_owned()) };
        if self.state == State::InFlight { lost() } else { Event::Release }
    }

    /// What becomes of it when its worker is gone: what had not left is planned again, what may have left is unknown.
    #[must_use]
    pub fn abandoned(&self, at: Timestamp) -> Self {
        self.step(&self.abandonment(), at).unwrap_or_else(|_| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

    fn in_state(state: State) -> Delivery {
        Delivery { state, attempt: 1, nonce: Some(7), ..Delivery::planned(NOW) }
    }

    fn events() -> Vec<Event> {
        let reason = || "why".to_owned();
        vec![
            Event::Claim,
            Event::Release,
            Event::Intend { nonce: 9, variant: None },
            Event::Defer { due: NOW },
            Event::Sent { message_id: Some("m_1".to_owned()) },
            Event::NotSent,
            Event::Refused(Refusal { code: Some(551), subcode: None, reason: reason() }),
            Event::Invalid { reason: reason() },
            Event::Doubt { why: Refusal::in_words(reason()) },
            Event::DoubtAndRetry { why: Refusal::in_words(reason()), due: NOW },
            Event::Skip { reason: reason() },
            Event::Resend { due: NOW },
            Event::Echoed { message_id: "m_1".to_owned() },
            Event::InferredSent { message_id: "m_1".to_owned() },
            Event::InferredNotSent,
            Event::AssumeSent,
            Event::AssumeNotSent,
            Event::Reopen,
        ]
    }

    /// Every step there is, as words.
    fn table() -> String {
        let mut lines = Vec::new();
        for from in State::ALL {
            for event in events() {
                let doubtful =
                    Delivery { reason: (from == State::RetryAt).then(|| "why".to_owned()), ..in_state(from) };
                if let Ok(to) = doubtful.step(&event, NOW) {
                    let name = format!("{event:?}");
                    let name = name.split([' ', '(']).next().unwrap_or_default().to_owned();
                    lines.push(format!("{from} {name} {}", to.state));
                }
            }
        }
        lines.join("\n")
    }

    #[test]
    fn these_are_all_the_steps_there_are() {
        insta::assert_snapshot!(table(), @r"
        planned Claim claimed
        planned Skip skipped
        planned Echoed sent
        claimed Release planned
        claimed Intend in_flight
        claimed Defer retry_at
        claimed Invalid failed
        claimed Skip skipped
        in_flight Sent sent
        in_flight NotSent claimed
        in_flight Refused failed
        in_flight Doubt unknown
        in_flight DoubtAndRetry retry_at
        retry_at Claim claimed
        retry_at Skip unknown
        retry_at Echoed sent
        retry_at InferredSent sent
        retry_at InferredNotSent planned
        failed Echoed sent
        failed Reopen planned
        unknown Resend retry_at
        unknown Echoed sent
        unknown InferredSent sent
        unknown InferredNotSent planned
        unknown AssumeSent sent
        unknown AssumeNotSent planned
        skipped Echoed sent
        ");
    }

    #[test]
    fn a_state_is_stored_as_one_word_of_its_own() {
        assert_eq!(State::ALL.map(|state| State::parse(state.as_str())), State::ALL.map(Some));
        assert_eq!(State::parse("xyzzy"), None);
    }

    #[test]
    fn what_is_pending_is_yet_to_be_sent_and_what_is_held_is_somebodys() {
        let pending = State::ALL.map(State::is_pending);
        let (yes, no) = (true, false);
        assert_eq!(pending, [yes, yes, yes, no, yes, no, no, no]);
        assert_eq!(State::ALL.map(State::is_held), [no, yes, yes, no, no, no, no, no]);
    }

    #[test]
    fn only_what_came_of_an_attempt_is_its_outcome() {
        let outcomes: Vec<Event> = events().into_iter().filter(Event::is_outcome).collect();
        let from_flight: Vec<Event> =
            events().into_iter().filter(|event| in_state(State::InFlight).step(event, NOW).is_ok()).collect();
        assert_eq!(outcomes, from_flight);
        assert_eq!(outcomes.len(), 5);
    }

    /// What a step brings is on record, and what it leaves alone stays.
    #[test]
    fn a_step_keeps_who_it_is_and_brings_what_happened() {
        let later = NOW.plus(std::time::Duration::from_secs(9));
        let flying = Delivery { variant: Some("b".to_owned()), ..in_state(State::InFlight) };
        let (message_id, reason) = (Some("m_1".to_owned()), "reset".to_owned());
        let refusal = Refusal { code: Some(551), subcode: Some(1_545_041), reason: "gone".to_owned() };
        let after = |delivery: &Delivery, event: &Event| delivery.step(event, NOW).expect("a step");
        let sent = after(&flying, &Event::Sent { message_id: message_id.clone() });
        assert_eq!(sent, Delivery { state: State::Sent, message_id: message_id.clone(), ..flying.clone() });
        let failed = after(&flying, &Event::Refused(refusal));
        assert_eq!((failed.code, failed.subcode, failed.reason.as_deref()), (Some(551), Some(1_545_041), Some("gone")));
        let again = after(&flying, &Event::DoubtAndRetry { why: Refusal::in_words(reason.clone()), due: later });
        assert_eq!(again, Delivery { state: State::RetryAt, at: later, reason: Some(reason), ..flying.clone() });
        let unknown = Delivery { state: State::Unknown, ..flying.clone() };
        assert_eq!(after(&unknown, &Event::Resend { due: later }).at, later);
        for event in
            [Event::Echoed { message_id: "m_1".to_owned() }, Event::InferredSent { message_id: "m_1".to_owned() }]
        {
            assert_eq!(after(&unknown, &event).message_id, message_id);
        }
        let claimed = after(&flying, &Event::NotSent);
        assert_eq!((claimed.attempt, claimed.nonce, claimed.variant.clone()), (0, None, None));
        let intended = after(&claimed, &Event::Intend { nonce: 8, variant: Some("c".to_owned()) });
        assert_eq!((intended.nonce, intended.variant.as_deref()), (Some(8), Some("c")));
    }

    #[test]
    fn what_waits_for_its_time_in_no_doubt_proves_nothing_and_leaves_nothing_to_keep() {
        let waiting = in_state(State::RetryAt);
        assert!(waiting.step(&Event::InferredSent { message_id: "m_1".to_owned() }, NOW).is_err());
        assert_eq!(waiting.doubted_by(&Event::Claim), None);
        assert!(!waiting.is_inferred() && !Delivery { reason: Some("reset".to_owned()), ..waiting }.is_inferred());
    }

    #[test]
    fn a_throttle_costs_no_attempt_and_a_doubt_does() {
        let claimed = Delivery { attempt: 0, nonce: None, ..in_state(State::Claimed) };
        let flying = claimed.step(&Event::Intend { nonce: 3, variant: None }, NOW).unwrap();
        assert_eq!((flying.attempt, flying.nonce), (1, Some(3)));
        assert_eq!(flying.step(&Event::NotSent, NOW).unwrap(), claimed);
        assert_eq!(flying.step(&Event::Doubt { why: Refusal::in_words(String::new()) }, NOW).unwrap().attempt, 1);
    }

    #[test]
    fn what_may_have_left_is_unknown_once_its_worker_is_gone() {
        let after = |state| in_state(state).abandoned(NOW).state;
        assert_eq!((after(State::InFlight), after(State::Claimed)), (State::Unknown, State::Planned));
        assert_eq!(in_state(State::InFlight).abandoned(NOW).nonce, Some(7), "an echo must still find it");
        assert_eq!(after(State::Sent), State::Sent);
    }

    #[test]
    fn a_retry_is_not_taken_before_it_is_due() {
        let later = Delivery { at: NOW.plus(std::time::Duration::from_secs(1)), ..in_state(State::RetryAt) };
        assert!(later.step(&Event::Claim, NOW).is_err());
        assert!(later.step(&Event::Claim, later.at).is_ok());
    }

    #[test]
    fn what_is_put_off_keeps_its_doubt_and_comes_back() {
        let due = NOW.plus(std::time::Duration::from_hours(8));
        let claimed = in_state(State::Claimed);
        let waiting = claimed.step(&Event::Defer { due }, NOW).unwrap();
        assert_eq!((waiting.state, waiting.at, waiting.is_in_doubt()), (State::RetryAt, due, false));
        let back = waiting.step(&Event::Claim, due).unwrap().step(&Event::Release, due).unwrap();
        assert_eq!(back.state, State::Planned);
        let doubtful = Delivery { reason: Some("reset".to_owned()), ..claimed };
        assert!(doubtful.step(&Event::Defer { due }, NOW).unwrap().is_in_doubt());
    }

    #[test]
    fn a_doubt_is_not_painted_over() {
        let doubted = in_state(State::RetryAt);
        let doubted = Delivery { reason: Some("reset".to_owned()), ..doubted };
        let claimed = doubted.step(&Event::Claim, NOW).unwrap();
        let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
        let flying = claimed.step(&Event::Intend { nonce: 1, variant: None }, NOW).unwrap();
        let ended = flying.step(&refused, NOW).unwrap();
        assert_eq!((ended.state, ended.reason.as_deref()), (State::Unknown, Some("reset; later: gone")));
        let skip = Event::Skip { reason: "window".to_owned() };
        assert_eq!(claimed.step(&skip, NOW).unwrap().state, State::Unknown);
        let back = flying.step(&Event::NotSent, NOW).unwrap().step(&Event::Release, NOW).unwrap();
        assert_eq!((back.state, back.is_in_doubt()), (State::RetryAt, true));
    }

    #[test]
    fn a_doubt_keeps_the_code_it_came_with_as_long_as_it_is_one() {
        let why = Refusal { code: Some(2), subcode: Some(2_018_999), reason: "busy".to_owned() };
        let codes = |delivery: &Delivery| (delivery.code, delivery.subcode);
        let after = |delivery: &Delivery, event: &Event| delivery.step(event, NOW).expect("a step");
        let unknown = after(&in_state(State::InFlight), &Event::Doubt { why: why.clone() });
        let waiting = after(&in_state(State::InFlight), &Event::DoubtAndRetry { why, due: NOW });
        let again = after(&unknown, &Event::Resend { due: NOW });
        let flying = after(&after(&waiting, &Event::Claim), &Event::Intend { nonce: 9, variant: None });
        let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
        let ended = after(&flying, &refused);
        assert_eq!(ended.reason.as_deref(), Some("busy; later: gone"));
        for doubtful in [&unknown, &waiting, &again, &flying, &ended] {
            assert_eq!(codes(doubtful), (Some(2), Some(2_018_999)), "{doubtful:?}");
        }
        for settled in [
            after(&flying, &Event::Sent { message_id: None }),
            after(&unknown, &Event::AssumeSent),
            after(&unknown, &Event::AssumeNotSent),
            after(&unknown, &Event::InferredNotSent),
            flying.abandoned(NOW),
        ] {
            assert_eq!(codes(&settled), (None, None), "{settled:?}");
        }
    }

    #[test]
    fn an_echo_proves_what_was_only_said_or_inferred_and_changes_nothing_that_is_certain() {
        let echo = Event::Echoed { message_id: "m_2".to_owned() };
        let inferred =
            in_state(State::Unknown).step(&Event::InferredSent { message_id: "m_1".to_owned() }, NOW).unwrap();
        assert!(inferred.is_inferred() && !inferred.is_certainly_sent());
        let said = in_state(State::Unknown).step(&Event::AssumeSent, NOW).unwrap();
        for taken in [inferred, said] {
            let proven = taken.step(&echo, NOW).unwrap();
            assert_eq!((proven.message_id.as_deref(), proven.is_certainly_sent()), (Some("m_2"), true));
            assert!(proven.step(&echo, NOW).is_err());
        }
        assert!(Delivery::planned(NOW).step(&echo, NOW).is_err(), "nothing was ever sent");
    }

    #[test]
    fn what_is_inferred_not_sent_is_sent_as_if_it_had_never_been() {
        assert!(in_state(State::RetryAt).step(&Event::InferredNotSent, NOW).is_err(), "it is in no doubt");
        let planned = Delivery { reason: Some("reset".to_owned()), ..in_state(State::RetryAt) }
            .step(&Event::InferredNotSent, NOW)
            .unwrap();
        assert!(planned.is_inferred() && !planned.is_in_doubt());
        assert_eq!(planned.step(&Event::Skip { reason: String::new() }, NOW).unwrap().state, State::Skipped);
        let claimed = planned.step(&Event::Claim, NOW).unwrap();
        assert!(!claimed.is_in_doubt());
        let flying = claimed.step(&Event::Intend { nonce: 1, variant: None }, NOW).unwrap();
        let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
        assert_eq!(flying.step(&refused, NOW).unwrap().state, State::Failed);
    }

    #[test]
    fn an_attempt_in_doubt_is_kept_with_the_time_of_its_intent() {
        let flying = in_state(State::InFlight);
        let kept = Doubted { attempt: 1, nonce: 7, intended_at: Some(NOW) };
        assert_eq!(flying.doubted_by(&flying.abandonment()), Some(kept));
        let doubt = Event::DoubtAndRetry { why: Refusal::in_words(String::new()), due: NOW };
        assert_eq!(flying.doubted_by(&doubt), Some(kept));
        assert_eq!(flying.doubted_by(&Event::Sent { message_id: None }), None);
        assert_eq!(flying.doubted_by(&Event::NotSent), None);
        // As older records left it.
        let retried = in_state(State::Unknown).doubted_by(&Event::Resend { due: NOW });
        assert_eq!(retried, Some(Doubted { intended_at: None, ..kept }));
        assert_eq!(in_state(State::Claimed).doubted_by(&Event::Release), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Whatever happens, in whatever order: without an operator, and unless the campaign asked for it, nothing is
        /// handed to Meta again once it may have been.
        #[test]
        fn no_order_of_events_sends_twice(choices in prop::collection::vec(0_usize..10, 0..40)) {
            let mut delivery = Delivery::planned(NOW);
            let mut may_have_arrived = false;
            for choice in choices {
                let event = &events()[choice];
                if matches!(event, Event::DoubtAndRetry { .. }) {
                    continue;
                }
                let Ok(next) = delivery.step(event, NOW) else { continue };
                prop_assert!(next.state != State::InFlight || !may_have_arrived);
                may_have_arrived |= matches!(event, Event::Sent { .. } | Event::Doubt { .. });
                delivery = next;
            }
        }
    }
}
