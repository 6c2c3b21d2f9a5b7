//! Where a campaign stands, and at what pace it goes: what everybody asks who has one before them.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{CampaignError, CampaignMessage, Counts, Settings, Stage};
use crate::clock::Timestamp;
use crate::graph::{Governor, GraphClient, PaceLimits};
use crate::record::{Campaign, Record, RecordError};

/// The deliveries of a campaign, counted.
pub async fn counts(record: &dyn Record, campaign: &Campaign, now: Timestamp) -> Result<Counts, RecordError> {
    let counted = record.count(campaign.id, now).await?;
    // A plan that was never completed has no message.
    let message: Option<CampaignMessage> = serde_json::from_str(&campaign.message).ok();
    Ok(message.map(|message| Counts::new(&message, &counted)).unwrap_or_default())
}

/// The stage a run of the campaign would send now; `None` where nobody can tell, as of a plan that was cut off.
pub fn next_stage(campaign: &Campaign) -> Option<Stage> {
    let settings: Settings = serde_json::from_str(&campaign.settings).ok()?;
    campaign.digest.map(|_| settings.ramp.stage(campaign))
}

/// Returns if `asked` is the stage a run of the campaign would send now, or that cannot be told.
///
/// # Errors
/// `OtherStage`.
pub fn must_come_next(campaign: &Campaign, asked: Stage) -> Result<(), CampaignError> {
    match next_stage(campaign) {
        Some(next) if next != asked => Err(CampaignError::OtherStage { name: campaign.name.clone(), asked, next }),
        _ => Ok(()),
    }
}

/// The Page's client at the campaign's own pace, where that is slower than the Page's; `None` where it is not.
pub fn at_own_pace(graph: &GraphClient, campaign: &Campaign) -> Option<Arc<GraphClient>> {
    let settings: Settings = serde_json::from_str(&campaign.settings).ok()?;
    let page = graph.governor().limits();
    let slower = |own: Option<NonZeroU32>, page: u32| own.map_or(page, |own| own.get().min(page));
    let limits = PaceLimits {
        messages_per_second: slower(settings.messages_per_second, page.messages_per_second),
        media_per_second: slower(settings.media_per_second, page.media_per_second),
        ..page
    };
    let governor = || Governor::within(page, campaign.name.to_string(), limits);
    (limits != page).then(|| Arc::new(graph.clone().with_governor(Arc::new(governor()))))
}
