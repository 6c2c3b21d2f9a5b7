//! What may come back from Meta, or from whatever answers in its place, and what has to hold then.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::batch::{Items, outcomes};
use super::conversation::Ids;
use super::error::{Certainty, Failure, GraphError, Operation};
use super::message::{Message, SendRequest};
use super::outcome::{Answer, Outcome, Retry, classify};
use super::receipt::Sent;
use super::server_time::ServerTime;
use super::token::{Identity, TokenFacts};
use super::transport::{Answered, Attempt};
use super::wire::{Acted, ascii_filename};
use super::{Conversation, Governor, PaceLimits, retry, usage};
use crate::clock::{ManualClock, Timestamp};
use crate::ids::{AttachmentId, Recipient};

/// The body of a refusal, under every sort of status.
pub fn graph_error(body: &[u8]) {
    for status in [200, 204, 302, 400, 403, 429, 500, 503] {
        let status = StatusCode::from_u16(status).expect("a status");
        let answered = Answered { status, headers: HeaderMap::new(), body: body.to_vec().into() };
        let outcome = classify::<Sent>(&Attempt::Answered(answered));
        match &outcome {
            Outcome::Done(sent) => assert!(status.is_success() && sent.message_id.is_some()),
            Outcome::NotDone { scope, failure, .. } => {
                assert!(status.is_client_error() && matches!(failure, Failure::Refused(_)), "{scope:?}: {failure:?}");
                is_tame(failure);
            }
            Outcome::Unknown { retry, failure } => {
                assert_eq!(retry::allowed(Operation::Send, None, *retry), Retry::Never, "a send that may have arrived");
                is_tame(failure);
            }
        }
        let is_unknown = matches!(outcome, Outcome::Unknown { .. });
        if let Err(error) = GraphError::of(Operation::Send, outcome) {
            assert_eq!(error.outcome() == Certainty::Unknown, is_unknown, "{error:?}");
            assert!(!(is_unknown && error.retryable()), "{error:?}");
            let _ = (error.to_string(), error.hint(), error.class(), error.scope());
        }
    }
}

/// Words of Meta's are short, and speak to no terminal.
fn is_tame(failure: &Failure) {
    let text = failure.to_string();
    assert!(text.chars().count() < 2_500 && !text.chars().any(char::is_control), "{text:?}");
}

/// The body of an answer that may be what was asked for.
pub fn graph_answer(body: &[u8]) {
    if let Some(id) = AttachmentId::read(body) {
        assert_eq!(id.as_str().parse().as_ref(), Ok(&id));
    }
    let sent = Sent::read(body);
    assert!(sent.is_none_or(|sent| sent.message_id.is_some_and(|id| !id.is_empty())));
    let _ =
        (Acted::read(body), Identity::read(body), TokenFacts::read(body), Ids::read(body), Conversation::read(body));
    let _ = ascii_filename(&String::from_utf8_lossy(body));
    let Some(items) = Items::read(body) else { return };
    let _ = items.throttle();
    let to = |psid: u32| SendRequest::new(Recipient::Psid(psid.to_string()), Message::text("hi"));
    for count in 0..=3 {
        let requests: Vec<_> = (1..=count).map(to).collect();
        let outcomes = outcomes(&requests, &items.0);
        assert_eq!(outcomes.len(), requests.len());
        for (outcome, psid) in outcomes.iter().zip(1_u32..) {
            let Outcome::Done(Sent { recipient_id, .. }) = outcome else { continue };
            let is_theirs = recipient_id.as_ref().is_none_or(|id| *id == psid.to_string());
            assert!(is_theirs, "what {recipient_id:?} got is counted for {psid}");
        }
    }
}

/// Headers, one `name: value` a line, that a governor and a clock act upon.
pub fn usage_headers(text: &[u8]) {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii()).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    let headers: HeaderMap = text.split(|byte| *byte == b'\n').filter_map(header).collect();
    if let Some(usage) = usage::read(&headers) {
        assert!(usage.percent.is_finite() && usage.regain != Some(Duration::ZERO), "{usage:?}");
    }
    let limits = PaceLimits::default();
    let governor = Governor::new(limits);
    governor.observe(&headers);
    governor.throttled(usage::time_to_regain(&headers), None);
    let pace = governor.pace();
    assert!((1..=limits.messages_per_second).contains(&pace.per_second) && pace.shut_for.is_some(), "{pace:?}");
    let time = ServerTime::default();
    let clock = ManualClock::new(Timestamp::from_unix_millis(1_800_000_000_000));
    time.observe(&headers, &clock);
    let _ = (time.to_keep(), time.skew(), time.now(&clock));
}
