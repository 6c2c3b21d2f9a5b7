//! `GET /v1/duplicates` and `GET /v1/expiries`: the library looked over.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::service::catalogue::Snapshot;
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::MayRead;

use super::in_time;

/// The files that hold the same bytes as others, what wastes most first.
#[utoipa::path(get, path = "/v1/duplicates", responses((status = 200, description = "`{\"groups\":[…],\"wasted_bytes\"}`")))]
pub(super) async fn duplicates(State(shared): State<Arc<Shared>>, _: MayRead) -> Result<Response, Problem> {
    in_time(async {
        let snapshot = shared.catalogue.view(&shared).await?;
        let sizes = sizes(&snapshot);
        let copies = snapshot.files.iter().filter(|(_, paths)| paths.len() > 1);
        let mut groups: Vec<_> = copies
            .map(|(hash, paths)| {
                let size = sizes.get(hash).copied().unwrap_or_default();
                (size * (paths.len() as u64 - 1), size, hash, paths)
            })
            .collect();
        groups.sort_unstable_by(|one, other| other.0.cmp(&one.0).then_with(|| one.3.cmp(other.3)));
        let wasted: u64 = groups.iter().map(|group| group.0).sum();
        let groups: Vec<_> = groups
            .into_iter()
            .map(|(wasted_bytes, size_bytes, sha256, paths)| {
                let copies = paths.len();
                let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
                json!({ "sha256": sha256, "size_bytes": size_bytes, "copies": copies, "wasted_bytes": wasted_bytes, "paths": paths })
            })
            .collect();
        Ok(Json(json!({ "groups": groups, "wasted_bytes": wasted })).into_response())
    })
    .await
}

fn sizes(snapshot: &Snapshot) -> std::collections::HashMap<crate::ids::ContentHash, u64> {
    let size = |row: &crate::service::catalogue::Row| Some((row.asset.hash()?, row.size_bytes?));
    snapshot.rows.iter().filter_map(size).collect()
}

/// On which days (UTC) how many ids end.
#[utoipa::path(get, path = "/v1/expiries", responses((status = 200, description = "`{\"days\":[{\"date\",\"count\",\"bytes\"}]}`")))]
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
