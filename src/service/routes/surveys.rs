//! `GET /v1/duplicates` and `GET /v1/expiries`: the library looked over.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::library::SameBytes;
use crate::service::catalogue::Snapshot;
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::MayRead;

use super::in_time;

/// The files that hold the same bytes as others, what wastes most first.
#[utoipa::path(
    get,
    path = "/v1/duplicates",
    responses((status = 200, description = "`{\"groups\":[…],\"wasted_bytes\"}`", body = Object))
)]
pub(super) async fn duplicates(State(shared): State<Arc<Shared>>, _: MayRead) -> Result<Response, Problem> {
    in_time(async {
        let snapshot = shared.catalogue.view(&shared).await?;
        let sizes = sizes(&snapshot);
        let several = snapshot.files.iter().filter(|(_, paths)| paths.len() > 1);
        let copies: Vec<_> = several
            .map(|(hash, paths)| {
                let size_bytes = sizes.get(hash).copied().unwrap_or_default();
                (*hash, size_bytes, paths.iter().map(|path| path.to_path_buf()).collect())
            })
            .collect();
        let groups = shared.looking(|_| {
            let group = |(hash, size_bytes, paths)| SameBytes::of(hash, size_bytes, paths);
            let mut groups: Vec<_> = copies.into_iter().map(group).collect();
            groups.sort_unstable_by(SameBytes::by_waste);
            groups
        });
        let groups = groups.await?;
        let wasted: u64 = groups.iter().map(SameBytes::wasted_bytes).sum();
        let groups: Vec<_> = groups
            .iter()
            .map(|group| {
                let paths: Vec<_> = group.paths.iter().map(|path| path.to_string_lossy()).collect();
                json!({
                    "sha256": group.hash,
                    "size_bytes": group.size_bytes,
                    "copies": group.copies,
                    "wasted_bytes": group.wasted_bytes(),
                    "paths": paths,
                })
            })
            .collect();
        Ok(Json(json!({ "groups": groups, "wasted_bytes": wasted })).into_response())
    })
    .await
}

fn sizes(snapshot: &Snapshot) -> std::collections::HashMap<crate::ids::ContentHash, u64> {
    let size = |row: &crate::service::catalogue::Row| Some((row.sha256()?, row.size_bytes?));
    snapshot.rows.iter().filter_map(size).collect()
}

/// On which days (UTC) how many ids end.
#[utoipa::path(
    get,
    path = "/v1/expiries",
    responses((status = 200, description = "`{\"days\":[{\"date\",\"count\",\"bytes\"}]}`", body = Object))
)]
pub(super) async fn expiries(State(shared): State<Arc<Shared>>, _: MayRead) -> Result<Response, Problem> {
    in_time(async {
        let snapshot = shared.catalogue.view(&shared).await?;
        let mut days: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for row in &snapshot.rows {
            let Some(end) = row.upload.as_ref().and_then(|upload| upload.expires_at) else { continue };
            // RFC 3339 in UTC begins with the day.
            let day = end.to_string().chars().take(10).collect();
            let (count, bytes) = days.entry(day).or_default();
            *count += 1;
            *bytes += row.size_bytes.unwrap_or_default();
        }
        let day = |(date, (count, bytes))| json!({ "date": date, "count": count, "bytes": bytes });
        let days: Vec<_> = days.into_iter().map(day).collect();
        Ok(Json(json!({ "days": days })).into_response())
    })
    .await
}
