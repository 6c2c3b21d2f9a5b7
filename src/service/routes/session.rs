//! `/v1/session`: a browser is signed in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use serde_json::json;

use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::MayRead;

/// Who is signed in, and what there is to see.
#[utoipa::path(
    get,
    path = "/v1/session",
    responses((status = 200, description = "`{\"scope\",\"version\",\"platform\",\"pages\",\"folders\"}`", body = Object))
)]
pub(super) async fn show(State(shared): State<Arc<Shared>>, MayRead(visitor): MayRead) -> Result<Response, Problem> {
    let platform = shared.platform()?;
    let page = |page: &crate::service::ServedPage| {
        let name = page.name.clone().unwrap_or_else(|| page.identity.name.clone());
        json!({ "id": page.identity.id, "name": name })
    };
    let pages: Vec<_> = shared.parts.pages.iter().map(page).collect();
    let folders = shared.folders.all().iter().enumerate();
    let folders: Vec<_> = folders.map(|(id, folder)| json!({ "id": id, "name": folder.name })).collect();
    let body = json!({
        "scope": visitor.scope.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "platform": platform.as_str(),
        "api_version": shared.parts.pages.first().map(|page| page.graph.api_version().to_string()),
        "pages": pages,
        "folders": folders,
    });
    Ok(Json(body).into_response())
}

/// Signs a browser in that shows the token: its cookie may do what the token may, together with the word that is told here
/// and never again.
#[utoipa::path(
    post,
    path = "/v1/session",
    responses((status = 200, description = "`{\"scope\",\"csrf\"}` and a cookie", body = Object))
)]
pub(super) async fn begin(State(shared): State<Arc<Shared>>, MayRead(visitor): MayRead) -> Response {
    let (cookie, csrf) = shared.access.new_session(visitor.scope, shared.parts.clock.now());
    let body = json!({ "scope": visitor.scope.as_str(), "csrf": csrf });
    ([(SET_COOKIE, cookie)], Json(body)).into_response()
}

/// Signs a browser out: it forgets its cookie. A copy of that is good until it is 30 days old, or the token it was made
/// with is made anew.
#[utoipa::path(delete, path = "/v1/session", responses((status = 204, description = "The cookie is gone")))]
pub(super) async fn end(State(shared): State<Arc<Shared>>, _: MayRead) -> Response {
    (http::StatusCode::NO_CONTENT, [(SET_COOKIE, shared.access.no_session())]).into_response()
}
