//! What is known after one attempt: [`classify`], a pure and total function.
//!
//! Three verdicts, because a send cannot be taken back and Meta knows no idempotency key: done, not done, and unknown.
//! Where two readings are possible the one with more doubt wins. Nothing here decides whether to try again; it says what
//! trying again would be worth, and `retry` decides by what was asked.
//!
//! **Source**: Messenger Platform, "Error Codes" (read 2026-06-25), whose own table lists an error that means "all sent"
//! (1/1357046); Graph API, "Handle Errors" (v25.0, read 2026-11).

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::catalogue::{Class, Entry};
use super::error::{Failure, Refusal};
use super::transport::{Answered, Attempt, Phase};
use super::usage;

/// What a successful call is answered with.
pub(super) trait Answer: Sized {
    /// The answer in the body of a 2xx; `None` unless it carries, as a string of plausible form, the id it must.
    fn read(body: &[u8]) -> Option<Self>;

    /// The throttle that a part of the answer is, where it has parts.
    fn throttle(&self) -> Option<Throttle> {
        None
    }
}

/// A refusal for the Page's rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Throttle {
    /// How long Meta says to stay away.
    pub(super) wait: Option<Duration>,
    /// What it said.
    pub(super) refusal: Box<Refusal>,
}

/// What is known after one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was not done.
    NotDone {
        /// What the reason holds for.
        scope: Scope,
        /// What trying again is worth.
        retry: Retry,
        /// The reason.
        failure: Failure,
    },
    /// It may have been done, or not.
    Unknown {
        /// What trying again is worth, for those who may.
        retry: Retry,
        /// What came back.
        failure: Failure,
    },
}

impl<T> Outcome<T> {
    /// The same, with what came of it as `change` makes it.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(answer) => Outcome::Done(change(answer)),
            Self::NotDone { scope, retry, failure } => Outcome::NotDone { scope, retry, failure },
            Self::Unknown { retry, failure } => Outcome::Unknown { retry, failure },
        }
    }

    /// The same of what may be asked twice: there a refusal of token or Page needs no proof, whatever its status was. To take
    /// it at its word costs an attempt, and to doubt it as many as there are.
    ///
    /// **Source**: reports from the field: the status of an error says little, and its code what it is.
    pub(super) fn at_its_word(self) -> Self {
        match self {
            Self::Unknown { failure: Failure::Refused(refusal), retry } => {
                let entry = refusal.entry().filter(|entry| !refusal.is_transient && entry.scope() == Some(Scope::Page));
                let failure = Failure::Refused(refusal);
                match entry {
                    Some(entry) => Self::NotDone { scope: Scope::Page, retry: entry.retry, failure },
                    None => Self::Unknown { retry, failure },
                }
            }
            other => other,
        }
    }
}

/// What the reason of a refusal holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// This recipient, whatever is sent to them now.
    Recipient,
    /// This attachment id, whoever it is sent to.
    Attachment,
    /// These bytes, whoever uploads them.
    Media,
    /// This request, as it was put.
    Request,
    /// Everything this Page and token do.
    Page,
    /// The moment: the Page is too fast.
    Rate,
    /// The moment: Meta was not reached.
    Connection,
}

/// What trying again is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing: the answer will be the same.
    Never,
    /// One more attempt; some pass then.
    Once,
    /// A few attempts, further and further apart.
    Backoff,
    /// As many as it takes, once the limit is lifted: after so long, where Meta says so.
    Throttled(Option<Duration>),
}

/// Codes that never prove anything, whatever their subcode is documented to mean.
const DOUBTFUL_CODES: [i64; 4] = [-1, 1, 2, 1200];

/// The verdict on one attempt.
pub(super) fn classify<T: Answer>(attempt: &Attempt) -> Outcome<T> {
    match attempt {
        Attempt::Answered(answered) => classify_answer(answered),
        Attempt::Failed { phase, cause } => {
            let failure = Failure::Broken { phase: *phase, cause: cause.clone() };
            match phase {
                Phase::BeforeRequest | Phase::RequestIncomplete => {
                    Outcome::NotDone { scope: Scope::Connection, retry: Retry::Backoff, failure }
                }
                Phase::AfterRequest => Outcome::Unknown { retry: Retry::Backoff, failure },
            }
        }
    }
}

fn classify_answer<T: Answer>(answered: &Answered) -> Outcome<T> {
    let Answered { status, headers, body } = answered;
    let failure = Failure::answered(*status, body);
    if status.is_success() {
        return match (T::read(body), failure) {
            (Some(answer), Failure::Unreadable { .. }) => Outcome::Done(answer),
            // Neither an id nor a plain refusal: the contract is broken, and asking often will not mend it.
            (_, failure) => Outcome::Unknown { retry: Retry::Once, failure },
        };
    }
    match failure {
        Failure::Refused(refusal) if status.is_client_error() => classify_refusal(refusal, headers),
        // From somewhere before the API itself, so it does not prove that nothing got past; but it is no time to hurry.
        failure if *status == StatusCode::TOO_MANY_REQUESTS => {
            Outcome::Unknown { retry: Retry::Throttled(usage::time_to_regain(headers)), failure }
        }
        // Whoever says when to come back means everybody. It proves as little of this one call as a 503 without.
        failure if *status == StatusCode::SERVICE_UNAVAILABLE => {
            let wait = usage::retry_after(headers);
            Outcome::Unknown { retry: wait.map_or(Retry::Backoff, |wait| Retry::Throttled(Some(wait))), failure }
        }
        failure => Outcome::Unknown { retry: Retry::Backoff, failure },
    }
}

fn classify_refusal<T>(refusal: Box<Refusal>, headers: &HeaderMap) -> Outcome<T> {
    let entry = refusal.entry();
    let doubtful = refusal.is_transient || DOUBTFUL_CODES.contains(&refusal.code);
    let failure = Failure::Refused(refusal);
    match entry.and_then(|entry| Some((entry.class.scope()?, entry.retry))) {
        // Meta calls its own throttles transient; that they did nothing is certain all the same.
        Some((Scope::Rate, _)) => {
            let retry = Retry::Throttled(usage::time_to_regain(headers));
            Outcome::NotDone { scope: Scope::Rate, retry, failure }
        }
        Some((scope, retry)) if !doubtful => Outcome::NotDone { scope, retry, failure },
        _ => Outcome::Unknown { retry: Retry::Backoff, failure },
    }
}

impl Entry {
    /// What a refusal with this code holds for; `None` where it does not even prove that nothing was done.
    pub fn scope(&self) -> Option<Scope> {
        self.class.scope().filter(|_| !DOUBTFUL_CODES.contains(&self.code))
    }
}

impl Class {
    /// What a refusal of this class holds for; `None` where it does not even prove that nothing was done.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Transient | Self::Ambiguous => None,
            Self::RateLimit => Some(Scope::Rate),
            Self::Token | Self::Permission | Self::Stop => Some(Scope::Page),
            Self::Window | Self::Recipient => Some(Scope::Recipient),
            Self::Attachment => Some(Scope::Attachment),
            Self::Media => Some(Scope::Media),
            Self::Request => Some(Scope::Request),
        }
    }
}

#[cfg(test)]
mod tests;
