//! `/__sandbox/…`: how tests and demos look into the sandbox and move it. No token is needed, but
//! web pages are turned away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::faults::Faults;
use super::limits::Limits;
use super::people::People;
use super::shared::Shared;
use super::time::parse_rfc3339;
use super::visitor;
use super::wire::Answer;
use crate::clock::Timestamp;

/// How many messages are shown unless more are asked for.
const MESSAGES_SHOWN: usize = 10_000;

/// The control routes of a sandbox that listens on `port`.
pub(super) fn router(port: u16) -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/faults", get(faults).post(set_faults).delete(clear_faults))
        .route("/limits", get(limits).post(set_limits).delete(clear_limits))
        .route("/people", get(people).post(add_people).delete(clear_people))
        .route("/clock", get(clock).post(set_clock))
        .route("/attachments/{id}/revoke", post(revoke))
        .route("/proof", post(set_proof))
        .route("/reset", post(reset))
        .route("/stop", post(stop))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is no such control route".to_owned()))
        .method_not_allowed_fallback(async || {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "this control route does not take this method".to_owned())
        })
        .layer(from_fn_with_state(port, turn_away_strangers))
}

/// Answers 403 to whoever is not a program on this machine.
async fn turn_away_strangers(State(port): State<u16>, request: Request, next: Next) -> Response {
    match visitor::check(port, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refusal(StatusCode::FORBIDDEN, problem.to_owned()).into_response(),
    }
}

/// What was wrong with a control call: `{"error":"…"}`.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad_input(problem: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, problem.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Answer::json(self.0, &json!({ "error": self.1 })).into_response()
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_input(error.to_string()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateQuery {
    messages: Option<bool>,
    since: Option<u64>,
    limit: Option<usize>,
}

async fn state(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<StateQuery>, QueryRejection>,
) -> Result<Answer, Refusal> {
    let Query(query) = query.map_err(|rejection| Refusal::bad_input(rejection.body_text()))?;
    let limit = if query.messages == Some(false) { 0 } else { query.limit.unwrap_or(MESSAGES_SHOWN) };
    Ok(Answer::json(StatusCode::OK, &shared.truth(query.since.unwrap_or(0), limit)))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Answer {
    Answer::json(StatusCode::OK, &*shared.faults())
}

async fn set_faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Answer, Refusal> {
    let faults = Faults::parse(parse(&body)?).map_err(Refusal::bad_input)?;
    let answer = Answer::json(StatusCode::OK, &faults);
    *shared.faults() = faults;
    Ok(answer)
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Answer {
    *shared.faults() = Faults::default();
    Answer::json(StatusCode::OK, &*shared.faults())
}

async fn limits(State(shared): State<Arc<Shared>>) -> Answer {
    Answer::json(StatusCode::OK, &*shared.limits())
}

async fn set_limits(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Answer, Refusal> {
    *shared.limits() = Limits::parse(parse(&body)?).map_err(Refusal::bad_input)?;
    Ok(limits(State(shared)).await)
}

async fn clear_limits(State(shared): State<Arc<Shared>>) -> Answer {
    *shared.limits() = Limits::default();
    limits(State(shared)).await
}

async fn people(State(shared): State<Arc<Shared>>) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "people": shared.people().list() }))
}

async fn add_people(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Answer, Refusal> {
    let described = People::parse(parse(&body)?).map_err(Refusal::bad_input)?;
    shared.people().add(described);
    Ok(people(State(shared)).await)
}

async fn clear_people(State(shared): State<Arc<Shared>>) -> Answer {
    *shared.people() = People::default();
    people(State(shared)).await
}

/// One of three ways to say when it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockChange {
    Advance(String),
    AdvanceSeconds(i64),
    Set(String),
}

async fn clock(State(shared): State<Arc<Shared>>) -> Answer {
    let offset_seconds = shared.clock.offset_millis() / 1_000;
    Answer::ok(&json!({ "now": shared.clock.now(), "offset_seconds": offset_seconds }))
}

async fn set_clock(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Answer, Refusal> {
    let now = shared.clock.now();
    let moved = moment(&parse(&body)?, now).map_err(|error| Refusal::bad_input(error.to_string()))?;
    shared.clock.shift(now, moved);
    shared.changed.notify_one();
    Ok(clock(State(shared)).await)
}

/// The moment a change leads to, if calendars know it.
fn moment(change: &ClockChange, now: Timestamp) -> Result<Timestamp, jiff::Error> {
    let now = jiff::Timestamp::from_millisecond(now.as_unix_millis())?;
    let moved = match change {
        ClockChange::Set(text) => return parse_rfc3339(text),
        ClockChange::Advance(text) => {
            let span: Span = text.parse()?;
            now.checked_add(span.to_duration(SpanRelativeTo::days_are_24_hours())?)?
        }
        ClockChange::AdvanceSeconds(seconds) => now.checked_add(SignedDuration::from_secs(*seconds))?,
    };
    Ok(Timestamp::from_unix_millis(moved.as_millisecond()))
}

async fn revoke(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Answer, Refusal> {
    if shared.revoke(&id) {
        return Ok(Answer::ok(&json!({ "revoked": id })));
    }
    Err(Refusal(StatusCode::NOT_FOUND, format!("there is no attachment {id}")))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofChange {
    required: bool,
}

async fn set_proof(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Answer, Refusal> {
    let ProofChange { required } = parse(&body)?;
    shared.proof_required.store(required, Ordering::Relaxed);
    Ok(Answer::ok(&json!({ "required": required })))
}

async fn reset(State(shared): State<Arc<Shared>>) -> Answer {
    shared.reset();
    Answer::ok(&json!({ "reset": true }))
}

async fn stop(State(shared): State<Arc<Shared>>) -> Answer {
    shared.stop.cancel();
    Answer::ok(&json!({ "stopped": true }))
}
