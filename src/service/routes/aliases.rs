//! `/v1/aliases`: names for assets.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::events::AliasEvent;
use crate::ids::AliasName;
use crate::library::{AliasRequest, point_at};
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::{MayRead, MaySend, Path};

use super::body::json_body;
use super::in_time;

/// What a name shall stand for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// A reference, as `resolve` takes it.
    #[serde(rename = "ref")]
    reference: String,
}

/// All names.
#[utoipa::path(
    get,
    path = "/v1/aliases",
    operation_id = "list_aliases",
    responses((status = 200, description = "`{\"aliases\":[…]}`, by name", body = Object))
)]
pub(super) async fn list(State(shared): State<Arc<Shared>>, _: MayRead) -> Result<Response, Problem> {
    in_time(async {
        let aliases = shared.parts.record.aliases().await?;
        let aliases: Vec<_> = aliases.iter().map(|alias| AliasEvent::new(alias, "listed")).collect();
        Ok(Json(json!({ "aliases": aliases })).into_response())
    })
    .await
}

/// Gives a name to what the reference points at now. Nothing is uploaded.
#[utoipa::path(
    put,
    path = "/v1/aliases/{name}",
    params(("name" = String, Path)),
    request_body = Target,
    responses(
        (status = 200, description = "The alias", body = Object),
        (status = 400, description = "No name, a body of another form, or a text that refers to nothing", body = Problem),
        (status = 403, description = "A path outside of the library, or a token that may not do this", body = Problem),
        (status = 404, description = "There is no such file in the library", body = Problem),
        (status = 422, description = "The file cannot be read", body = Problem),
        (status = 429, description = "Too many a second", body = Problem),
    )
)]
pub(super) async fn set(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    in_time(async {
        let target: Target = json_body(&body)?;
        let request = AliasRequest {
            name: alias_name(&name)?,
            reference: shared.looking(move |shared| shared.reference(&target.reference)).await???,
            kind: None,
            platform: shared.platform()?,
        };
        let parts = &shared.parts;
        let (alias, before) = point_at(&parts.inspector, &*parts.record, &request, parts.clock.now()).await?;
        shared.changed();
        Ok(Json(AliasEvent::set(&alias, before.as_ref())).into_response())
    })
    .await
}

/// Takes a name away.
#[utoipa::path(
    delete,
    path = "/v1/aliases/{name}",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "The alias as it was", body = Object),
        (status = 400, description = "A name that is none", body = Problem),
        (status = 404, description = "There is no alias of that name", body = Problem),
        (status = 429, description = "Too many a second", body = Problem),
    )
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    in_time(async {
        let removed = shared.parts.record.remove_alias(&alias_name(&name)?).await?;
        let removed = removed.ok_or_else(|| Problem::not_found("there is no alias of that name"))?;
        shared.changed();
        Ok(Json(AliasEvent::new(&removed, "removed")).into_response())
    })
    .await
}

fn alias_name(text: &str) -> Result<AliasName, Problem> {
    AliasName::with_or_without_at(text).map_err(|error| Problem::invalid(format!("{error}")))
}
