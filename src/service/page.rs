//! The gallery page: a few files, part of the program. There is nothing of the library's in them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Every part of the page: its name under `/page/`, its media type, its bytes.
const PARTS: &[(&str, &str, &[u8])] = &[("index.html", "text/html; charset=utf-8", include_bytes!("page/index.html"))];

/// Tells one build's page from another's.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let parts = PARTS.iter().fold(Sha256::new(), |hash, (name, _, bytes)| hash.chain_update(name).chain_update(bytes));
    format!("\"{}\"", &hex::encode(parts.finalize())[..16])
});

/// `GET /`.
pub(super) async fn show(headers: HeaderMap) -> Response {
    part(Path("index.html".to_owned()), headers).await
}

/// `GET /page/{name}`.
pub(super) async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, mime, bytes)) = PARTS.iter().find(|(known, ..)| *known == name) else {
        return Problem::not_found("the page has no such part").into_response();
    };
    let tag = TAG.as_str();
    let caching = [(ETAG, tag), (CACHE_CONTROL, "no-cache")];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, *mime)], *bytes).into_response()
}
