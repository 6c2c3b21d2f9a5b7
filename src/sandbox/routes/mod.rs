//! A request's way from arrival to answer, past the faults.

mod attachment;
mod auth;
mod batch;
mod buttons;
mod call;
mod conversation;
mod debug_token;
mod media_template;
mod message;
mod node;
mod quick_reply;
mod send;
mod upload;
mod utility;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub(super) use call::Target;

use self::call::Call;
use super::control;
use super::error::GraphError;
use super::faults::{Candidate, Fault, When};
use super::pages::Bearer;
use super::params::Params;
use super::recipient;
use super::shared::Shared;
use super::wire::Answer;

/// Everything the sandbox answers: control routes under `/__sandbox/`, Graph everywhere else. `port` is the one it
/// listens on.
pub(super) fn router(shared: Arc<Shared>, port: u16) -> Router {
    Router::new().nest("/__sandbox", control::router(port)).fallback(graph).with_state(shared)
}

async fn graph(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = Call::of(request.method().clone(), request.uri());
    let _under_way = shared.counters.arrived(call.target());
    let fault = shared.faults().strike_head(call.target());
    if let Some(fault) = fault {
        shared.counters.struck(&fault);
        if let Some(response) = fault.spoil(None, &shared.clock).await {
            return response;
        }
    }
    match Params::read(request, &shared.counters.bytes_received).await {
        Ok(params) => respond(&shared, &call, params).await,
        Err(error) => Answer::from(error).into_response(),
    }
}

async fn respond(shared: &Shared, call: &Call, params: Params) -> Response {
    match strike(shared, call, &params, false) {
        None => work(shared, call, params).await.into_response(),
        Some((When::After, fault)) => {
            let answer = work(shared, call, params).await;
            fault.spoil(Some(answer), &shared.clock).await.expect("an answer is spoiled into some response")
        }
        Some((_, fault)) => match fault.spoil(None, &shared.clock).await {
            Some(response) => response,
            None => work(shared, call, params).await.into_response(),
        },
    }
}

/// The fault that strikes a request that was read; `in_batch` if it is one of several in a batch.
fn strike(shared: &Shared, call: &Call, params: &Params, in_batch: bool) -> Option<(When, Fault)> {
    let recipient = recipient::value_in(&params.fields);
    let bytes = params.files.first().map(|file| file.sha256.as_str());
    let request = Candidate {
        target: call.target(),
        subject: recipient.as_deref().or(bytes).unwrap_or(&call.node),
        recipient: recipient.as_deref(),
        sha256: bytes,
        in_batch,
    };
    let struck = shared.faults().strike(request);
    if let Some((_, fault)) = &struck {
        shared.counters.struck(fault);
    }
    struck
}

/// Does what was asked, be it one thing or many.
async fn work(shared: &Shared, call: &Call, params: Params) -> Answer {
    if call.target() == Target::Batch && params.fields.contains_key("batch") {
        return batch::run(shared, call, params).await;
    }
    answer(shared, call, params)
}

/// Does the one thing that was asked.
fn answer(shared: &Shared, call: &Call, params: Params) -> Answer {
    match auth::check(shared, &params) {
        Ok(bearer) => {
            let answered = run(shared, bearer, call, params);
            with_usage(shared, bearer, answered.map_or_else(Answer::from, |body| Answer::ok(&body)))
        }
        Err(error) => error.into(),
    }
}

/// `answer` with the headers that say how much of its limits the caller has used.
fn with_usage(shared: &Shared, bearer: Bearer, mut answer: Answer) -> Answer {
    if let Bearer::Page(page) = bearer {
        answer.headers.extend(shared.limits().headers(page.id, shared.clock.now()));
    }
    answer
}

fn run(shared: &Shared, bearer: Bearer, call: &Call, params: Params) -> Result<Value, GraphError> {
    if let Bearer::Page(page) = bearer {
        let load = send::load(call.target(), &params.fields);
        shared.limits().admit(page.id, load, shared.clock.now())?;
    }
    match call.target() {
        Target::Upload => upload::run(shared, auth::page(bearer, call)?, &params),
        Target::Send => send::run(shared, auth::page(bearer, call)?, params),
        Target::Me => node::run(bearer, call, &params),
        Target::DebugToken => debug_token::run(&params, shared.clock.now()),
        Target::Conversations => conversation::run(shared, bearer, call, &params),
        // A batch without items, or one within a batch.
        Target::Batch | Target::Other => Err(call.unsupported()),
    }
}
