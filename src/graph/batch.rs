//! Several requests in one call: up to fifty sends, each with an outcome of its own, and one question no address may hold.
//!
//! What it saves is round trips; for Meta's limits every item is a call. What it costs is certainty: an item may come back
//! as `null`, which says nothing of whether it was sent. Items never depend on one another and have no names, for Meta
//! answers `null` to those that others depend on.
//!
//! **Source**: Graph API, "Batch Requests" (read 2026-11).

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

use super::client::GraphClient;
use super::error::{Failure, GraphError, Operation};
use super::governor::Load;
use super::message::{InvalidRequest, SendRequest};
use super::outcome::{Answer, Outcome, Retry, Throttle, classify};
use super::receipt::{self, Sent};
use super::retry;
use super::token::TokenFacts;
use super::transport::{Answered, Attempt, Body};
use super::wire;
use crate::ids::PageId;

/// The most items in a batch; Meta allows no more.
pub const MAX_BATCH: usize = 50;

impl GraphClient {
    /// What became of as many of the requests, from the first on, as the Page's pace lets go in one second: they leave in one
    /// call and, as with [`send_once`](Self::send_once), in one attempt. `ready` is told how many these are; so many outcomes
    /// come back, in the order of the requests.
    ///
    /// Items run in parallel: two messages to one person may arrive in either order.
    ///
    /// # Errors
    /// Of the call as a whole: then no item has an outcome of its own, and [`GraphError::outcome`] holds for each that was to
    /// go in it. A request that breaks a rule of Meta's keeps the whole batch from leaving. No item is ever sent twice.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the batch: the outcome of every item is then unknown.
    pub async fn send_batch_once<R: Future<Output = bool> + Send>(
        &self,
        page: &PageId,
        requests: &[SendRequest],
        patience: &mut Duration,
        ready: impl FnOnce(usize) -> R + Send,
    ) -> Result<Vec<Result<Sent, GraphError>>, GraphError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        if requests.len() > MAX_BATCH {
            return Err(InvalidRequest::BatchTooLarge { items: requests.len() }.into());
        }
        requests.iter().try_for_each(|request| request.check_ready_for(self.platform()))?;
        let (requests, _) = requests.split_at(self.governor.portion(requests.iter().map(Load::of)).min(requests.len()));
        let load = requests.iter().map(Load::of).fold(Load::default(), Load::plus);
        let (body, url) = (Body::Form(body(page, requests)), self.url(&[""]));
        let attempt = self.attempt(&Method::POST, &url, &body);
        let ready = ready(requests.len());
        let items: Items = retry::once(self.means(), Operation::Batch, load, patience, ready, attempt).await?;
        Ok(self.item_results(requests, &items))
    }

    /// What Meta knows of this token: whose it is, what it may do, and until when. The question goes as a batch of one: its
    /// own address would have the token in it, and addresses stand in logs.
    ///
    /// # Errors
    /// Meta may refuse to tell a token about itself.
    pub async fn inspect_token(&self) -> Result<TokenFacts, GraphError> {
        let operation = Operation::Read;
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("input_token", self.token().expose()).finish();
        let relative_url = format!("debug_token?{query}");
        let body = Body::Form(form(&[Written { method: "GET", relative_url, body: None }]));
        let items: Items = self.run(operation, Load::CALL, Method::POST, self.url(&[""]), body).await?;
        match items.0.into_iter().next().flatten() {
            Some(answered) => GraphError::of(operation, classify(&Attempt::Answered(answered))),
            None => Err(GraphError::Unknown { operation, failure: Failure::Unanswered { fits: true } }),
        }
    }

    fn item_results(&self, requests: &[SendRequest], items: &Items) -> Vec<Result<Sent, GraphError>> {
        for item in items.0.iter().flatten() {
            self.governor.observe(&item.headers);
        }
        let outcomes = outcomes(requests, &items.0);
        let is_strange = |outcome: &Outcome<Sent>| {
            matches!(outcome, Outcome::Unknown { failure: Failure::Unanswered { fits: false }, .. })
        };
        if outcomes.iter().any(is_strange) {
            self.get_back_into_step();
        }
        outcomes.into_iter().map(|outcome| GraphError::of(Operation::Send, outcome)).collect()
    }
}

/// One request of a batch as it is written.
#[derive(Serialize)]
struct Written {
    method: &'static str,
    relative_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// The form of `POST /`: `batch` is a JSON text, and every item's body a form again.
fn body(page: &PageId, requests: &[SendRequest]) -> bytes::Bytes {
    let written = |request| Written {
        method: "POST",
        relative_url: format!("{page}/messages"),
        body: Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(wire::send_fields(request)).finish()),
    };
    form(&requests.iter().map(written).collect::<Vec<_>>())
}

fn form(items: &[Written]) -> bytes::Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("batch", &wire::to_text(&items)).append_pair("include_headers", "true");
    form.finish().into()
}

/// The answers to a batch; `None` where Meta gave none.
#[derive(Debug)]
pub(super) struct Items(pub(super) Vec<Option<Answered>>);

impl Answer for Items {
    fn read(body: &[u8]) -> Option<Self> {
        let items: Vec<Value> = serde_json::from_slice(body).ok()?;
        Some(Self(items.iter().map(item).collect()))
    }

    /// The one that names the longest time, of the items that were refused for their rate.
    fn throttle(&self) -> Option<Throttle> {
        let throttle = |item: &Answered| match classify::<Sent>(&Attempt::Answered(item.clone())) {
            Outcome::NotDone { retry: Retry::Throttled(wait), failure: Failure::Refused(refusal), .. } => {
                Some(Throttle { wait, refusal })
            }
            _ => None,
        };
        self.0.iter().flatten().filter_map(throttle).max_by_key(|throttle| throttle.wait)
    }
}

/// One answer taken out of the list; `None` where it is null or of no form anybody promised.
fn item(value: &Value) -> Option<Answered> {
    let status = StatusCode::from_u16(u16::try_from(value.get("code")?.as_u64()?).ok()?).ok()?;
    let body = match value.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let headers = value.get("headers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Some(Answered { status, headers: headers.iter().filter_map(header).collect(), body: body.into() })
}

fn header(value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let text = |key| value.get(key).and_then(Value::as_str);
    Some((text("name")?.parse().ok()?, text("value")?.parse().ok()?))
}

/// The outcome of each request. Where the answers do not fit the requests, none is believed but those that name their
/// own recipient.
pub(super) fn outcomes(requests: &[SendRequest], items: &[Option<Answered>]) -> Vec<Outcome<Sent>> {
    let answer = |place: usize| items.get(place).and_then(Option::as_ref);
    let read: Vec<_> = requests.iter().enumerate().map(|(place, request)| outcome(request, answer(place))).collect();
    if items.len() == requests.len()
        && !requests.iter().zip(&read).any(|(request, outcome)| receipt::is_anothers(request, outcome))
    {
        return read;
    }
    let believed = |(request, outcome): (&SendRequest, Outcome<Sent>)| match (receipt::named(request), outcome) {
        (Some(psid), Outcome::Done(sent)) if sent.recipient_id.as_deref() == Some(psid) => Outcome::Done(sent),
        _ => Outcome::Unknown { retry: Retry::Never, failure: Failure::Unanswered { fits: false } },
    };
    requests.iter().zip(read).map(believed).collect()
}

fn outcome(request: &SendRequest, answered: Option<&Answered>) -> Outcome<Sent> {
    let Some(answered) = answered else {
        return Outcome::Unknown { retry: Retry::Never, failure: Failure::Unanswered { fits: true } };
    };
    receipt::read(request, &Attempt::Answered(answered.clone()))
}

#[cfg(test)]
mod tests;
