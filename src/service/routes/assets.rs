//! `GET /v1/assets` and `GET /v1/assets/{sha256}`: the library.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::ids::ContentHash;
use crate::service::catalogue::{Counts, Item, Query as Wanted};
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::{Asked, MayRead, Path};

use super::in_time;

/// Some assets, and how many there are.
#[derive(Serialize, ToSchema)]
struct Found<'a> {
    assets: Vec<Item<'a>>,
    /// To be given as `cursor` for the next ones.
    next_cursor: Option<String>,
    /// All that match.
    total: u64,
    /// All that match but for `state`, by state.
    counts: Counts,
    /// Another one, another library.
    revision: String,
}

/// What is on record for the served Pages, and what lies in the folders and is not.
#[utoipa::path(
    get,
    path = "/v1/assets",
    operation_id = "list_assets",
    params(Wanted),
    responses(
        (status = 200, description = "Some of them, and how many there are", body = Found),
        (status = 400, description = "Something is asked for that nothing can be", body = Problem),
        (status = 404, description = "The Page is not one of those served", body = Problem),
    )
)]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    in_time(async {
        let page = wanted.page.as_deref().map(|page| shared.page(Some(page))).transpose()?;
        let wanted = Wanted { page: page.map(|page| page.identity.id.to_string()), ..wanted };
        let snapshot = shared.catalogue.view(&shared).await?;
        let found = snapshot.search(&wanted)?;
        let assets = Found {
            assets: found.rows.iter().map(|row| Item::new(&snapshot, row)).collect(),
            next_cursor: found.next_cursor,
            total: found.total,
            counts: found.counts,
            revision: snapshot.revision_word(),
        };
        Ok(Json(assets).into_response())
    })
    .await
}

/// All that is known of some bytes.
#[utoipa::path(
    get,
    path = "/v1/assets/{sha256}",
    operation_id = "show_asset",
    params(("sha256" = String, Path, description = "64 hexadecimal digits")),
    responses(
        (status = 200, description = "Its paths, aliases, and what is on record on each Page", body = Object),
        (status = 404, description = "Nothing is known of these bytes", body = Problem),
    )
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Path(sha256): Path<String>,
) -> Result<Response, Problem> {
    in_time(async {
        let hash = hash(&sha256)?;
        let snapshot = shared.catalogue.view(&shared).await?;
        let rows: Vec<_> = snapshot.rows_of(hash).collect();
        let first = rows.first().ok_or_else(|| Problem::not_found("nothing is known of these bytes"))?;
        let paths: Vec<_> =
            snapshot.files.get(&hash).into_iter().flatten().map(|path| path.to_string_lossy()).collect();
        let uploads: Vec<_> =
            rows.iter().filter(|row| row.upload.is_some()).map(|row| Item::new(&snapshot, row)).collect();
        let body = json!({
            "sha256": hash,
            "kind": first.kind,
            "mime": first.mime,
            "size_bytes": first.size_bytes,
            "width": first.dimensions.map(|d| d.width),
            "height": first.dimensions.map(|d| d.height),
            "state": first.state.as_str(),
            "paths": paths,
            "aliases": snapshot.names_of(first),
            "uploads": uploads,
        });
        Ok(Json(body).into_response())
    })
    .await
}

/// The digest in an address.
pub(super) fn hash(text: &str) -> Result<ContentHash, Problem> {
    text.parse().map_err(|_| Problem::not_found("an asset is named by the 64 hexadecimal digits of its SHA-256"))
}
