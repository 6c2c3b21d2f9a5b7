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
//!            (readmitted, when the reason is gone)
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
    /// It is sent once more although it may have arrived: the campaign prefers two to none.
    Resend {
        /// When.
        due: Timestamp,
    },
    /// The same, and an operator prefers it, whatever the campaign does.
    SendAgain {
        /// When.
        due: Timestamp,
    },
    /// An operator says that it arrived.
    AssumeSent,
    /// An operator says that it did not, and wants it sent.
    AssumeNotSent,
    /// An operator wants what Meta refused to be tried again.
    Reopen,
    /// What it was skipped or put off for holds no more.
    Readmit,
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

/// Why a delivery is skipped whose campaign is over.
pub const EXPIRED: &str = "expired";
/// Why a delivery is skipped to somebody who has not written lately enough.
pub const WINDOW: &str = "window";
/// Why a delivery is skipped to somebody whom the plan names no more.
pub const OFF_THE_LIST: &str = "no longer on the list";
/// Why a delivery is skipped to somebody who is to get nothing more, whatever plan names them.
pub const SUPPRESSED: &str = "suppressed";

/// Why a delivery is unknown whose sender was killed.
pub const LOST: &str = "the process that sent it ended before it had an answer";
/// What stands before a doubt where an operator wants it sent again in spite of it.
const WANTED: &str = "an operator wants it sent again; before: ";
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

    /// Whether it is yet to be sent and may have arrived, and no operator wants it in spite of that.
    pub fn is_doubtful(&self) -> bool {
        self.is_in_doubt() && self.reason.as_deref().is_some_and(|reason| !reason.starts_with(WANTED))
    }

    /// Whether it may have arrived, whatever is to become of it.
    pub fn is_unknown_or_in_doubt(&self) -> bool {
        self.state == State::Unknown || self.is_in_doubt()
    }

    /// Whether it waits for its time, and nothing was sent.
    pub fn is_put_off(&self) -> bool {
        self.state == State::RetryAt && !self.is_in_doubt()
    }

    /// Whether it is skipped for one of these reasons.
    pub fn is_skipped_for(&self, reasons: &[&str]) -> bool {
        self.state == State::Skipped && self.reason.as_deref().is_some_and(|reason| reasons.contains(&reason))
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
            (
                State::Unknown,
                Event::Resend { .. } | Event::SendAgain { .. } | Event::AssumeNotSent | Event::InferredNotSent,
            )
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
            (Unknown, Event::SendAgain { due }) => {
                let doubt = self.reason.as_deref().unwrap_or_default();
                let reason = format!("{WANTED}{}", doubt.strip_prefix(WANTED).unwrap_or(doubt));
                Self { at: *due, reason: Some(reason), ..doubtful(now(RetryAt)) }
            }
            (Unknown | RetryAt | Planned | Failed | Skipped, Event::Echoed { message_id }) if self.attempt > 0 => {
                Self { message_id: Some(message_id.clone()), ..now(Sent) }
            }
            (Sent, Event::Echoed { message_id }) if !self.is_certainly_sent() => {
                Self { message_id: Some(message_id.clone()), ..now(Sent) }
            }
            (RetryAt, Event::Readmit) if self.is_put_off() => now(Planned),
            (Unknown | RetryAt, Event::InferredSent { message_id }) if self.is_unknown_or_in_doubt() => {
                Self { message_id: Some(message_id.clone()), ..because(Sent, INFERRED) }
            }
            (Unknown | RetryAt, Event::InferredNotSent) if self.is_unknown_or_in_doubt() => because(Planned, INFERRED),
            (Unknown, Event::AssumeSent) => because(Sent, SAID),
            (Claimed, Event::Release)
            | (Unknown, Event::AssumeNotSent)
            | (Failed, Event::Reopen)
            | (Skipped, Event::Readmit) => now(Planned),
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
mod tests;
