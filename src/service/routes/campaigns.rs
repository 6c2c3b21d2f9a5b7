//! `/v1/campaigns`: how they stand, and the levers an operator has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::campaign::settle::{Assumption, assume};
use crate::campaign::{self, Stage, State as Stands, must_come_next};
use crate::delivery;
use crate::events::{CampaignEvent, RecipientEvent};
use crate::graph::lookup;
use crate::record::{Campaign, CampaignId, RecordError};
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::{Asked, Exactly, MayRead, MaySend, Path};

use super::body::json_body;
use super::in_time;

/// Rows read from the record at a time.
const ROWS: usize = 1_000;
/// Refusals looked through for their reasons; a campaign that has more has paused long before.
const LOOKED_THROUGH: usize = 20_000;
/// Deliveries shown of those that may have arrived.
const SHOWN: usize = 1_000;

/// Whose campaign.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The Page's id or name, where more than one has a campaign of that name.
    page: Option<String>,
}

/// Whose campaign goes on, and with what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Yes {
    /// The Page's id or name, where more than one has a campaign of that name.
    page: Option<String>,
    /// The `stage` of the campaign this is the yes to – `testers`, `canary` or `everybody` –: where it has come to another
    /// meanwhile, nothing is sent. Without it, this is the yes to whatever comes next.
    #[param(value_type = Option<String>)]
    stage: Option<Stage>,
}

/// All campaigns of the served Pages.
#[utoipa::path(
    get,
    path = "/v1/campaigns",
    operation_id = "list_campaigns",
    responses((status = 200, description = "`{\"campaigns\":[…]}`", body = Object))
)]
pub(super) async fn list(State(shared): State<Arc<Shared>>, _: MayRead) -> Result<Response, Problem> {
    in_time(async {
        let mut campaigns = Vec::new();
        for campaign in shared.campaigns.all(&shared).await? {
            campaigns.push(object(&shared, &campaign).await?);
        }
        Ok(Json(json!({ "campaigns": campaigns })).into_response())
    })
    .await
}

/// One campaign, how it came to stand as it does, and why Meta refused.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{name}",
    operation_id = "show_campaign",
    params(("name" = String, Path), Of),
    responses(
        (status = 200, description = "The campaign, with `history` and `reasons`", body = Object),
        (status = 404, description = "There is no campaign of that name", body = Problem),
        (status = 409, description = "More than one Page has a campaign of that name", body = Problem),
    )
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Path(name): Path<String>,
    Asked(of): Asked<Of>,
) -> Result<Response, Problem> {
    in_time(async {
        let campaign = find(&shared, &name, &of).await?;
        let mut body = object(&shared, &campaign).await?;
        body["history"] = json!(shared.campaigns.history(campaign.id));
        body["reasons"] = json!(reasons(&shared, campaign.id).await?);
        Ok(Json(body).into_response())
    })
    .await
}

/// Pauses it: what is under way is finished, and nobody goes on with it but by a resume.
#[utoipa::path(
    post,
    path = "/v1/campaigns/{name}/pause",
    params(("name" = String, Path), Of),
    responses(
        (status = 200, description = "The campaign", body = Object),
        (status = 404, description = "There is no campaign of that name", body = Problem),
        (status = 409, description = "More than one Page has a campaign of that name", body = Problem),
        (status = 429, description = "Too many a second", body = Problem),
    )
)]
pub(super) async fn pause(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    Path(name): Path<String>,
    Asked(of): Asked<Of>,
) -> Result<Response, Problem> {
    in_time(async {
        let campaign = find(&shared, &name, &of).await?;
        // What is finished has nothing left to pause.
        if Stands::of(&campaign, &shared.campaigns.counts(&shared, &campaign).await?) != Stands::Finished {
            campaign::pause(&*shared.parts.record, campaign.id, shared.parts.clock.now()).await?;
        }
        changed(&shared, &campaign).await
    })
    .await
}

/// Goes on with it in this process, if nobody else is at it; testers and canary end in a pause of their own.
#[utoipa::path(
    post,
    path = "/v1/campaigns/{name}/resume",
    params(("name" = String, Path), Yes),
    responses(
        (status = 200, description = "The campaign, being sent", body = Object),
        (status = 400, description = "A stage that is none, or something else is asked for than there is", body = Problem),
        (status = 404, description = "There is no campaign of that name", body = Problem),
        (
            status = 409,
            description = "It has come to another stage; or more than one Page has a campaign of that name",
            body = Problem
        ),
        (status = 429, description = "Too many a second", body = Problem),
    )
)]
pub(super) async fn resume(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    Path(name): Path<String>,
    Exactly(Yes { page, stage }): Exactly<Yes>,
) -> Result<Response, Problem> {
    let campaign = find(&shared, &name, &Of { page }).await?;
    if let Some(asked) = stage {
        must_come_next(&campaign, asked).map_err(|other| Problem::conflict(other.to_string()))?;
    }
    if campaign.holder.is_none() || shared.parts.record.is_shared() {
        // The look ahead may upload, which takes as long as it takes.
        shared.campaigns.resume(&shared, campaign.clone()).await?;
    }
    in_time(changed(&shared, &campaign)).await
}

/// Those who may have it, each with what is known of it.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{name}/unknown",
    params(("name" = String, Path), Of),
    responses(
        (status = 200, description = "`{\"deliveries\":[…]}`, the first 1,000", body = Object),
        (status = 404, description = "There is no campaign of that name", body = Problem),
        (status = 409, description = "More than one Page has a campaign of that name", body = Problem),
    )
)]
pub(super) async fn unknown(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Path(name): Path<String>,
    Asked(of): Asked<Of>,
) -> Result<Response, Problem> {
    in_time(async {
        let campaign = find(&shared, &name, &of).await?;
        let state = Some(delivery::State::Unknown);
        let listed = shared.parts.record.deliveries(campaign.id, state, None, SHOWN).await?;
        let event = |listed| serde_json::to_value(RecipientEvent::new(&campaign, listed, listed.recipient.to_string()));
        let deliveries: Vec<_> = listed.iter().filter_map(|listed| event(listed).ok()).collect();
        Ok(Json(json!({ "deliveries": deliveries })).into_response())
    })
    .await
}

/// What an operator has found out about those who may have it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settlement {
    /// `sent`: they have it. `not-sent`: they do not, and it is to be sent to them.
    assume: Word,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Sent,
    NotSent,
}

/// Settles all that may have arrived.
#[utoipa::path(
    post,
    path = "/v1/campaigns/{name}/settle",
    params(("name" = String, Path), Of),
    request_body = Settlement,
    responses(
        (status = 200, description = "The campaign", body = Object),
        (status = 404, description = "There is no campaign of that name", body = Problem),
        (status = 409, description = "More than one Page has a campaign of that name", body = Problem),
        (status = 429, description = "Too many a second", body = Problem),
    )
)]
pub(super) async fn settle(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    Path(name): Path<String>,
    Asked(of): Asked<Of>,
    body: Bytes,
) -> Result<Response, Problem> {
    in_time(async {
        let assumption = match json_body::<Settlement>(&body)?.assume {
            Word::Sent => Assumption::Sent,
            Word::NotSent => Assumption::NotSent,
        };
        let campaign = find(&shared, &name, &of).await?;
        assume(&*shared.parts.record, campaign.id, assumption, &BTreeSet::new(), shared.parts.clock.now()).await?;
        changed(&shared, &campaign).await
    })
    .await
}

/// The campaign as it stands after a change, told to those who listen as well.
async fn changed(shared: &Shared, campaign: &Campaign) -> Result<Response, Problem> {
    let (record, now) = (&shared.parts.record, shared.parts.clock.now());
    let campaign = record.campaign(&campaign.space, &campaign.name, now).await?.ok_or_else(no_campaign)?;
    shared.campaigns.forget(campaign.id);
    let counts = shared.campaigns.counts(shared, &campaign).await?;
    shared.campaigns.tell(shared, &campaign, &counts);
    Ok(Json(CampaignEvent::new(&campaign, &counts)).into_response())
}

async fn object(shared: &Shared, campaign: &Campaign) -> Result<Value, RecordError> {
    let counts = shared.campaigns.counts(shared, campaign).await?;
    Ok(serde_json::to_value(CampaignEvent::new(campaign, &counts)).unwrap_or_default())
}

/// The campaign of that name, of the Page asked for, or of the only one that has one.
async fn find(shared: &Shared, name: &str, of: &Of) -> Result<Campaign, Problem> {
    let page = of.page.as_deref().map(|page| shared.page(Some(page))).transpose()?;
    if let (None, [unserved, ..]) = (page, &*shared.parts.unserved) {
        // It may be that Page's, and another's of that name is not meant.
        return Err(Problem::unserved(unserved));
    }
    let all = shared.campaigns.all(shared).await?.into_iter().filter(|campaign| {
        campaign.name.as_str() == name && page.is_none_or(|page| *page.library.space() == campaign.space)
    });
    match *all.collect::<Vec<_>>() {
        [] => Err(no_campaign()),
        [ref campaign] => Ok(campaign.clone()),
        _ => Err(Problem::conflict("more than one Page has a campaign of that name: say whose, by ?page=ID")),
    }
}

fn no_campaign() -> Problem {
    Problem::not_found("there is no campaign of that name")
}

/// Why Meta refused, the most frequent first, in the catalogue's words.
async fn reasons(shared: &Shared, campaign: CampaignId) -> Result<Vec<Value>, RecordError> {
    let (mut after, mut looked_through) = (None, 0);
    let mut counts: BTreeMap<_, (u64, String)> = BTreeMap::new();
    while looked_through < LOOKED_THROUGH {
        let state = Some(delivery::State::Failed);
        let page = shared.parts.record.deliveries(campaign, state, after, ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        looked_through += page.len();
        for delivery in page.into_iter().map(|listed| listed.delivery) {
            let (count, message) = counts.entry((delivery.code, delivery.subcode)).or_default();
            *count += 1;
            *message = delivery.reason.unwrap_or_default();
        }
    }
    let mut reasons: Vec<_> = counts.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let reason = |((code, subcode), (count, message)): ((Option<i64>, Option<i64>), (u64, String))| {
        let entry = code.and_then(|code| lookup(code, subcode));
        json!({
            "code": code,
            "subcode": subcode,
            "count": count,
            "message": message,
            "meaning": entry.map(|entry| entry.meaning),
            "action": entry.map(|entry| entry.action),
        })
    };
    Ok(reasons.into_iter().map(reason).collect())
}
