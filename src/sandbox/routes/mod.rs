//! Which request is which, and its way from arrival to answer, past the faults.

mod attachment;
mod auth;
mod message;
mod node;
mod send;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::Method;
use serde_json::Value;

use super::control;
use super::faults::{Candidate, Fault, When};
use super::params::Params;
use super::recipient;
use super::shared::Shared;
use super::wire::{Answer, GraphError};

/// Everything the sandbox answers: control routes under `/__sandbox/`, Graph everywhere else.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().nest("/__sandbox", control::router()).fallback(graph).with_state(shared)
}

/// What a request is after, as faults and counters tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Upload,
    Send,
    Me,
    Other,
}

/// A Graph path taken apart: `/v25.0/{node}/{edge}`, the version being optional.
#[derive(Debug)]
struct Call {
    method: Method,
    node: String,
    edge: String,
}

impl Call {
    fn of(request: &Request) -> Self {
        let path = request.uri().path().trim_matches('/');
        let path = match path.split_once('/').unwrap_or((path, "")) {
            (first, rest) if is_version(first) => rest,
            _ => path,
        };
        let (node, edge) = path.split_once('/').unwrap_or((path, ""));
        Self { method: request.method().clone(), node: node.to_owned(), edge: edge.to_owned() }
    }

    fn target(&self) -> Target {
        match (&self.method, self.edge.as_str()) {
            (&Method::POST, "message_attachments") => Target::Upload,
            (&Method::POST, "messages") => Target::Send,
            (&Method::GET, "") if !self.node.is_empty() => Target::Me,
            _ => Target::Other,
        }
    }

    /// The refusal of a path or method nothing answers to.
    fn unsupported(&self) -> GraphError {
        match self.edge.as_str() {
            "" | "message_attachments" | "messages" => GraphError::unsupported(self.method.as_str(), &self.node),
            edge => GraphError::unknown_path(edge),
        }
    }
}

/// Whether `segment` looks like `v25.0`.
fn is_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

async fn graph(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = Call::of(&request);
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
    let fault = strike(shared, call, &params);
    match fault {
        None => answer(shared, call, params).into_response(),
        Some((When::After, fault)) => {
            let answer = answer(shared, call, params);
            fault.spoil(Some(answer), &shared.clock).await.expect("an answer is spoiled into some response")
        }
        Some((_, fault)) => match fault.spoil(None, &shared.clock).await {
            Some(response) => response,
            None => answer(shared, call, params).into_response(),
        },
    }
}

fn strike(shared: &Shared, call: &Call, params: &Params) -> Option<(When, Fault)> {
    let recipient = recipient::value_in(&params.fields);
    let bytes = params.files.first().map(|file| file.sha256.as_str());
    let request = Candidate {
        target: call.target(),
        subject: recipient.as_deref().or(bytes).unwrap_or(&call.node),
        recipient: recipient.as_deref(),
    };
    let struck = shared.faults().strike(request);
    if let Some((_, fault)) = &struck {
        shared.counters.struck(fault);
    }
    struck
}

/// Does what was asked.
fn answer(shared: &Shared, call: &Call, params: Params) -> Answer {
    match run(shared, call, params) {
        Ok(body) => Answer::ok(&body),
        Err(error) => error.into(),
    }
}

fn run(shared: &Shared, call: &Call, params: Params) -> Result<Value, GraphError> {
    let bearer = auth::check(shared, &params)?;
    match call.target() {
        Target::Upload => upload::run(shared, auth::page(bearer, call)?, &params),
        Target::Send => send::run(shared, auth::page(bearer, call)?, params),
        Target::Me => node::run(bearer, call, &params),
        Target::Other => Err(call.unsupported()),
    }
}
