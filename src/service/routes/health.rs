//! `GET /healthz`, `/readyz` and `/metrics`: whether it lives, whether it can work, and what it has done.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::service::catalogue::Catalogue;
use crate::service::shared::Shared;
use crate::service::visitor::MayRead;

/// Assets that were counted longer ago are counted again behind a scrape, and told by the next.
const COUNTED: Duration = Duration::from_mins(1);

/// How long the record may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// That the process answers at all.
#[utoipa::path(get, path = "/healthz", security(()), responses((status = 200, description = "It does", body = Object)))]
pub(super) async fn alive() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Whether the record can be asked, and each Page's token was taken when Meta was last asked.
#[utoipa::path(
    get,
    path = "/readyz",
    security(()),
    responses((status = 200, description = "All of it"), (status = 503, description = "Which of it not, by name"))
)]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let origin = shared.parts.pages.first().map(|page| page.library.space().origin.clone());
    let record = match origin {
        Some(origin) => tokio::time::timeout(PATIENCE, shared.parts.record.clock_reading(&origin)).await,
        None => Ok(Ok(None)),
    };
    let record = matches!(record, Ok(Ok(_)));
    let tokens = shared.tokens.are_taken(shared.parts.pages.iter().map(|page| &*page.graph)).await;
    let tokens = tokens && shared.parts.unserved.is_empty();
    let stopping = shared.parts.stop.is_requested();
    let word = |is_well: bool| if is_well { "ok" } else { "failed" };
    let is_ready = record && tokens && !stopping;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": word(is_ready), "record": word(record), "token": word(tokens), "stopping": stopping });
    (status, Json(body)).into_response()
}

/// Counters for Prometheus; a scraper shows the token as everybody does.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "OpenMetrics", content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, _: MayRead) -> Response {
    Catalogue::look_again(&shared, COUNTED);
    let text = shared.metrics.text(&shared);
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
