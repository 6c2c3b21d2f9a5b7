//! What can go wrong with a call to the Graph API, told apart by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::catalogue::{self, Class, Entry};
use super::message::InvalidRequest;
use super::outcome::{Outcome, Retry, Scope};
use super::transport::{Phase, TransportError};
use crate::json;

/// How much of Meta's words is kept, in characters.
const MESSAGE_LIMIT: usize = 500;
/// How much of an answer nobody understands is kept, in characters.
const EXCERPT_LIMIT: usize = 200;

/// A call that did not do what was asked. No variant holds a token or a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The request breaks a rule of Meta's and never left.
    #[error("the request breaks a rule of Meta's")]
    Invalid(#[from] InvalidRequest),
    /// Meta refused it; nothing was done.
    #[error("Meta refused the {operation}: {refusal}")]
    Refused {
        /// What was asked.
        operation: Operation,
        /// What else the refusal holds for.
        scope: Scope,
        /// What Meta said.
        refusal: Box<Refusal>,
    },
    /// The Page's rate limit stands in the way, longer than we may wait; nothing was done.
    #[error("{}", held_back(*operation, *wait, refusal.as_deref(), *spent))]
    RateLimited {
        /// What was asked.
        operation: Operation,
        /// How much longer it holds, where that is known.
        wait: Option<Duration>,
        /// What Meta said, to this call or another; `None` where its usage headers, or our own count, stand in the way.
        refusal: Option<Box<Refusal>>,
        /// Our own count, where that stands in the way.
        spent: Option<DaySpent>,
    },
    /// Whoever divides the Page's budget among all who draw on it gave no share, for longer than we may wait; nothing was
    /// done.
    #[error("no share of the Page's budget was to be had for the {operation}")]
    Unshared {
        /// What was asked.
        operation: Operation,
        /// What keeps it from giving one.
        #[source]
        cause: NoShare,
    },
    /// A stop was requested before the first attempt; nothing was done.
    #[error("stopped before the {operation} was begun")]
    Stopped {
        /// What was asked.
        operation: Operation,
    },
    /// The request did not get to Meta whole; nothing was done.
    #[error("the {operation} did not reach Meta: {phase}")]
    Unreachable {
        /// What was asked.
        operation: Operation,
        /// How far it got.
        phase: Phase,
        /// What went wrong.
        #[source]
        cause: TransportError,
    },
    /// It may have been done, or not.
    #[error("the outcome of the {operation} is unknown")]
    Unknown {
        /// What was asked.
        operation: Operation,
        /// What came back instead of an answer.
        #[source]
        failure: Failure,
    },
}

impl GraphError {
    /// The answer an attempt got, or the error it ended with.
    pub(super) fn of<T>(operation: Operation, outcome: Outcome<T>) -> Result<T, Self> {
        match outcome {
            Outcome::Done(answer) => Ok(answer),
            Outcome::NotDone { scope, retry, failure } => {
                let wait = if let Retry::Throttled(wait) = retry { wait } else { None };
                Err(Self::not_done(operation, scope, wait, failure))
            }
            Outcome::Unknown { failure, .. } => Err(Self::Unknown { operation, failure }),
        }
    }

    /// The error for a failure that did nothing. An answer that could not be read proves no such thing.
    fn not_done(operation: Operation, scope: Scope, wait: Option<Duration>, failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) if scope == Scope::Rate => {
                Self::RateLimited { operation, wait, refusal: Some(refusal), spent: None }
            }
            Failure::Refused(refusal) => Self::Refused { operation, scope, refusal },
            Failure::Broken { phase, cause } => Self::Unreachable { operation, phase, cause },
            Failure::Unreadable { .. } | Failure::Unanswered { .. } | Failure::OutOfStep => {
                Self::Unknown { operation, failure }
            }
        }
    }

    /// Whether it is known that nothing was done.
    pub fn outcome(&self) -> Certainty {
        match self {
            Self::Unknown { .. } => Certainty::Unknown,
            Self::Invalid(_)
            | Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::Unshared { .. }
            | Self::Stopped { .. }
            | Self::Unreachable { .. } => Certainty::NotDone,
        }
    }

    /// What Meta said; `None` when it said nothing that could be read as a refusal.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } | Self::Unknown { failure: Failure::Refused(refusal), .. } => Some(refusal),
            Self::RateLimited { refusal, .. } => refusal.as_deref(),
            Self::Invalid(_)
            | Self::Unshared { .. }
            | Self::Stopped { .. }
            | Self::Unreachable { .. }
            | Self::Unknown { .. } => None,
        }
    }

    /// The class of Meta's code; `None` without a code, or with one that is not in the catalogue.
    pub fn class(&self) -> Option<Class> {
        Some(self.refusal()?.entry()?.class)
    }

    /// What else the error holds for; `None` when it is about this request alone, or nothing is known.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Self::Refused { scope, .. } => Some(*scope),
            Self::RateLimited { .. } | Self::Unshared { .. } => Some(Scope::Rate),
            Self::Unreachable { .. } => Some(Scope::Connection),
            Self::Invalid(_) => Some(Scope::Request),
            Self::Stopped { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Whether the same call may succeed later, and cannot do harm by then: an unknown send is never so.
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unshared { .. } | Self::Stopped { .. } | Self::Unreachable { .. } => true,
            Self::Unknown { operation, .. } => operation.is_repeatable(),
            Self::Invalid(_) | Self::Refused { .. } => false,
        }
    }

    /// What to do about it; `None` where the message says all there is to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(invalid) => invalid.hint(),
            Self::Stopped { .. } => None,
            Self::Unshared { cause, .. } => cause.hint,
            Self::RateLimited { spent: Some(_), .. } => {
                Some("Wait until then, or raise calls_per_day in the configuration.")
            }
            Self::RateLimited { refusal: None, .. } => {
                Some("Wait until the limit is lifted, or raise --max-wait; calls made meanwhile prolong it.")
            }
            Self::Unreachable { .. } => Some("Check the network, the proxy settings and the Graph origin."),
            Self::Unknown { operation: Operation::Send | Operation::Batch, .. } => {
                Some("The message may have arrived: look in the Page's inbox before sending it again.")
            }
            Self::Unknown { operation: Operation::Upload, .. } => {
                Some("Try again later: at worst, the first try leaves an id that nobody uses.")
            }
            Self::Refused { .. } | Self::RateLimited { .. } | Self::Unknown { .. } => {
                Some(self.refusal()?.entry()?.action)
            }
        }
    }
}

/// What holds a call back, in words.
fn held_back(
    operation: Operation,
    wait: Option<Duration>,
    refusal: Option<&Refusal>,
    spent: Option<DaySpent>,
) -> String {
    match (refusal, spent) {
        (Some(refusal), _) => format!("the rate limit holds the {operation} back: {refusal}"),
        (None, Some(spent)) => {
            let more = wait.map_or_else(String::new, |wait| format!(", and there are more in {}", in_minutes(wait)));
            format!("the setting calls_per_day holds the {operation} back: {spent}{more}")
        }
        (None, None) => format!("the rate limit holds the {operation} back"),
    }
}

/// As `23 h 59 min`, rounded up.
fn in_minutes(span: Duration) -> String {
    let minutes = span.as_millis().div_ceil(60_000);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// How much is used of the calls a Page may make in 24 hours, by the setting `calls_per_day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpent {
    /// How many it may make.
    pub limit: u64,
    /// How many of them were made, or are promised to others.
    pub used: u64,
}

impl fmt::Display for DaySpent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} calls of 24 hours are used", self.used, self.limit)
    }
}

/// Why no share of a Page's budget is to be had, in the words of whoever divides it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NoShare {
    words: String,
    hint: Option<&'static str>,
}

impl NoShare {
    /// What happened, and what to do about it.
    pub fn new(words: String, hint: Option<&'static str>) -> Self {
        Self { words, hint }
    }
}

/// What is known after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Nothing was done.
    NotDone,
    /// It may have been done.
    Unknown,
}

/// What was asked of Meta, as far as repeating it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A message to somebody: repeated, it arrives twice.
    Send,
    /// Messages to several people at once: repeated, they arrive twice.
    Batch,
    /// An upload: repeated, it leaves an id nobody uses.
    Upload,
    /// A question: repeated, it changes nothing.
    Read,
}

impl Operation {
    /// Whether it sends something to somebody.
    pub const fn sends_messages(self) -> bool {
        matches!(self, Self::Send | Self::Batch)
    }

    /// Whether doing it twice harms nobody.
    pub const fn is_repeatable(self) -> bool {
        !self.sends_messages()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Batch => "batch",
            Self::Upload => "upload",
            Self::Read => "look-up",
        })
    }
}

/// What came back from one attempt instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Meta answered with an error of its own.
    #[error("Meta answered with HTTP {}: {}", .0.http_status, .0)]
    Refused(Box<Refusal>),
    /// Something answered, in a form the reference does not promise.
    #[error("the answer, HTTP {http_status}, is not one the reference promises: {excerpt:?}")]
    Unreadable {
        /// The HTTP status.
        http_status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// Meta answered a batch, but not this item of it.
    #[error("{}", if *fits { "the batch came back without an answer to it" } else { "the answers do not fit the batch" })]
    Unanswered {
        /// Whether the answers fit the batch as a whole.
        fits: bool,
    },
    /// The answer is that to a message to somebody else.
    #[error("the answer names another recipient: it belongs to another message")]
    OutOfStep,
    /// Nothing answered.
    #[error("{phase}")]
    Broken {
        /// How far the request got.
        phase: Phase,
        /// What went wrong.
        #[source]
        cause: TransportError,
    },
}

impl Failure {
    /// The failure an answer stands for that brings nothing we can use.
    pub(super) fn answered(status: StatusCode, body: &[u8]) -> Self {
        match Refusal::read(status, body) {
            Some(refusal) => Self::Refused(Box::new(refusal)),
            None => Self::Unreadable {
                http_status: status.as_u16(),
                excerpt: printable(&String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_LIMIT)]), EXCERPT_LIMIT),
            },
        }
    }
}

/// An error in Meta's own words.
///
/// **Shape**: `{"error":{"message","type","code","error_subcode","is_transient","fbtrace_id"}}`; only the code is sure to
/// be there. **Source**: Graph API, "Handle Errors" (v25.0, read 2026-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status it came with, which means little: a bad token is a 400.
    pub http_status: u16,
    /// `message`: at most 500 characters, without control characters.
    pub message: String,
    /// `type`, such as `OAuthException`: says nothing the code does not.
    pub kind: Option<String>,
    /// `code`.
    pub code: i64,
    /// `error_subcode`.
    pub subcode: Option<i64>,
    /// `is_transient`: a hiccup of the server's, which does not mean that nothing was done.
    pub is_transient: bool,
    /// `fbtrace_id`: what Meta's support asks for.
    pub fbtrace_id: Option<String>,
}

impl Refusal {
    /// The refusal in `body`; `None` when it holds no error object with a code, or more than one.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        let body = json::from_slice(body).ok()?;
        let error = body.get("error")?;
        let text = |key| error.get(key).and_then(Value::as_str).map(|text| printable(text, MESSAGE_LIMIT));
        Some(Self {
            http_status: status.as_u16(),
            message: text("message").unwrap_or_default(),
            kind: text("type"),
            code: integer(error.get("code")?)?,
            subcode: error.get("error_subcode").and_then(integer),
            is_transient: error.get("is_transient").is_some_and(is_true),
            fbtrace_id: text("fbtrace_id"),
        })
    }

    /// What the catalogue knows of it.
    pub fn entry(&self) -> Option<&'static Entry> {
        catalogue::lookup_text(self.code, self.subcode, &self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.message.is_empty() { "no reason given" } else { &self.message };
        write!(f, "{message} (code {}", self.code)?;
        if let Some(subcode) = self.subcode {
            write!(f, ", subcode {subcode}")?;
        }
        if let Some(trace) = &self.fbtrace_id {
            write!(f, ", trace {trace}")?;
        }
        f.write_str(")")
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Anything but a plain "no" counts: doubt is what the flag is for.
fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value != "false" && value != 0
}

fn printable(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Option<Refusal> {
        Refusal::read(StatusCode::BAD_REQUEST, body.as_bytes())
    }

    #[test]
    fn a_refusal_reads_as_meta_wrote_it() {
        let body = r#"{"error":{"message":"(#100) Upload attachment failure.","type":"OAuthException","code":100,
                       "error_subcode":2018047,"is_transient":false,"fbtrace_id":"A7CV8v0"}}"#;
        let refusal = Box::new(refusal(body).expect("a refusal"));
        let error = GraphError::Refused { operation: Operation::Upload, scope: Scope::Media, refusal };
        assert_eq!(
            error.to_string(),
            "Meta refused the upload: (#100) Upload attachment failure. (code 100, subcode 2018047, trace A7CV8v0)"
        );
        assert_eq!(
            (error.class(), error.outcome(), error.retryable()),
            (Some(Class::Media), Certainty::NotDone, false)
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn wrong_types_are_read_as_far_as_they_go() {
        let odd = refusal(r#"{"error":{"message":7,"code":"100","error_subcode":"2018074","is_transient":"true"}}"#);
        let odd = odd.expect("a refusal");
        assert_eq!((odd.code, odd.subcode, odd.is_transient), (100, Some(2_018_074), true));
        assert_eq!(odd.to_string(), "no reason given (code 100, subcode 2018074)");
    }

    #[test]
    fn what_is_no_graph_error_is_no_refusal() {
        let deep = "[".repeat(100_000);
        for body in [
            r#"{"error":{}}"#,
            r#"{"error":"denied"}"#,
            r#"{"error":{"code":1e300}}"#,
            r#"{"error":{"code":1,"code":100}}"#,
            "[]",
            "<html>",
            "",
            &deep,
        ] {
            assert_eq!(refusal(body), None, "{body:.40}");
        }
        assert_eq!(Refusal::read(StatusCode::BAD_REQUEST, b"{\"error\":{\"code\":1,\"message\":\"\xff\"}}"), None);
    }

    #[test]
    fn long_and_unprintable_words_are_tamed() {
        let body = format!(r#"{{"error":{{"code":1,"message":"a\u001b[31m{}"}}}}"#, "é".repeat(5000));
        let message = refusal(&body).expect("a refusal").message;
        assert_eq!(message.chars().count(), MESSAGE_LIMIT);
        assert!(message.starts_with("a [31mé"));
        let Failure::Unreadable { excerpt, .. } = Failure::answered(StatusCode::OK, &[0xff; 5000]) else {
            panic!("bytes are no refusal");
        };
        assert_eq!(excerpt.chars().count(), EXCERPT_LIMIT);
    }

    #[test]
    fn an_unknown_send_is_neither_retryable_nor_done() {
        let failure = Failure::Broken { phase: Phase::AfterRequest, cause: TransportError::new("reset") };
        let send = GraphError::Unknown { operation: Operation::Send, failure: failure.clone() };
        let upload = GraphError::Unknown { operation: Operation::Upload, failure };
        assert_eq!((send.outcome(), send.retryable()), (Certainty::Unknown, false));
        assert_eq!((upload.outcome(), upload.retryable()), (Certainty::Unknown, true));
    }
}
