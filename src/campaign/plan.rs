//! From a campaign file and a list to a plan on record: streamed, checked row by row, sealed with a digest.
//!
//! Nothing is sent. To plan the same again changes nothing; to plan something else under the same name is refused unless
//! it is asked for.

use std::sync::Arc;
use std::time::Duration;

use self::list::{List, read_through, write_down};
use super::hold::Hold;
use super::recipients::BadRow;
use super::spec::{CampaignSpec, Guarantee, Settings};
use super::{CampaignError, settle};
use crate::clock::{Clock, Timestamp};
use crate::delivery::State;
use crate::ids::{CampaignName, KeySpace};
use crate::record::{Campaign, Change, NewCampaign, PlanDigest, Record, RecordError};
use crate::stop::Stop;

mod check;
mod list;

/// How often to look whether somebody else's plan is complete.
const LOOK: Duration = Duration::from_millis(500);

/// Whether a campaign may be planned anew with something else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replan {
    /// No.
    #[default]
    Refused,
    /// Yes: what was sent stays sent, and the rest goes by the new plan.
    Allowed,
}

/// How to plan.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The Page that sends it.
    pub space: KeySpace,
    /// Whether another plan may be replaced.
    pub replan: Replan,
    /// Ends it early.
    pub stop: Stop,
}

/// What came of planning.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The campaign as it stands on record.
    pub campaign: Campaign,
    /// Whether it stood there already, just so.
    pub unchanged: bool,
    /// The first rows that could not be used; how many there are in all, the campaign says.
    pub bad_rows: Vec<BadRow>,
    /// Testers who are not on the list, and were put on it with what its first row says.
    pub added: u64,
}

/// Writes the campaign down.
///
/// # Errors
/// `Changed` when it was planned with something else; `Held` while somebody plans or sends it; and whatever is wrong with
/// message or list as a whole.
///
/// # Cancel safety
/// Dropping the future cuts the plan off, unless it is complete already: the campaign is free as soon as the call that was
/// under way has ended.
pub async fn plan(
    record: &Arc<dyn Record>,
    spec: &CampaignSpec,
    options: &PlanOptions,
    clock: &Arc<dyn Clock>,
) -> Result<Planned, CampaignError> {
    let mut seen = None;
    loop {
        match plan_once(record, spec, options, clock).await {
            Ok(Some(planned)) => return Ok(planned),
            Ok(None) => {}
            Err(held @ CampaignError::Held { .. }) if record.is_shared() => {
                seen = wait_for_others(&**record, spec, options, &**clock, seen, held).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns when it is worth another look, with the digest of the plan that stands there now: others may be planning just
/// the same, to send it together.
///
/// # Errors
/// `held`, where the plan that stands has been `seen` before: it is being sent, and is not what is to be planned.
async fn wait_for_others(
    record: &dyn Record,
    spec: &CampaignSpec,
    options: &PlanOptions,
    clock: &dyn Clock,
    seen: Option<PlanDigest>,
    held: CampaignError,
) -> Result<Option<PlanDigest>, CampaignError> {
    let known = record.campaign(&options.space, &spec.name, clock.now()).await?;
    let Some(known) = known.filter(|_| !options.stop.is_requested()) else { return Err(held) };
    match known.digest {
        None => tokio::select! {
            () = clock.sleep(LOOK) => {}
            () = options.stop.requested() => {}
        },
        digest if digest == seen => return Err(held),
        Some(_) => {}
    }
    Ok(known.digest)
}

/// Plans it, unless somebody has planned it while this was getting ready to: then there is nothing yet, and it has to be
/// looked at anew.
async fn plan_once(
    record: &Arc<dyn Record>,
    spec: &CampaignSpec,
    options: &PlanOptions,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Planned>, CampaignError> {
    let PlanOptions { space, replan, stop } = options;
    spec.message.check(space.platform)?;
    let message = text_of(&spec.message);
    let settings = text_of(&spec.settings);
    let known = record.campaign(space, &spec.name, clock.now()).await?;
    let replaces = known.as_ref().and_then(|known| known.digest);
    if known.as_ref().is_none_or(|known| known.started_at.is_none()) {
        must_not_be_begun_elsewhere(&**record, space, &spec.name, &**clock).await?;
    }
    let was = known.as_ref().map(|known| known.parts);
    let changed = |what| Err(CampaignError::Changed { name: spec.name.clone(), what });
    let is_cut_off = |known: &&Campaign| known.digest.is_none() && known.holder.is_none() && known.started_at.is_some();
    if let Some(known) = known.as_ref().filter(is_cut_off).filter(|_| *replan == Replan::Refused) {
        // Nobody can tell whether the list is the one it was begun with.
        let is_same = known.message == message;
        return changed(if is_same { "list of recipients, and that plan was cut off" } else { "message" });
    }
    if let Some(known) = known.as_ref().filter(|known| known.digest.is_some()) {
        let is_same = known.message == message;
        if !is_same && *replan == Replan::Refused {
            return changed("message");
        }
        // To its end, whatever comes of it: a list with a mistake in it takes no other's place.
        let list = read_through(spec, space.platform, stop).await?;
        if is_same && known.digest == Some(list.digest()) {
            // Where others may join, who sends it goes by what it began with; where nobody may, it is for the next run to say.
            if known.holder.is_none() || record.is_shared() {
                record.change(known.id, Change::Settings(settings)).await?;
                doubt_no_more(&**record, known, spec, clock.now()).await?;
            }
            if *replan == Replan::Allowed && known.holder.is_none() {
                record.change(known.id, Change::ThawAssets).await?;
            }
            let campaign = again(record, options, &spec.name, clock).await?;
            return Ok(Some(list.planned(campaign, true)));
        }
        if *replan == Replan::Refused {
            return changed("list of recipients");
        }
    }
    let list = List::open(spec, space.platform).await?.begin().await?;
    let (space, name, parts) = (space.clone(), spec.name.clone(), spec.message.count());
    let testers = spec.settings.ramp.testers.clone();
    let new = NewCampaign { space, name, message, settings, parts, replaces, testers };
    let mut hold = match Hold::plan(record, clock, &new).await {
        Ok(Ok(Some(hold))) => hold,
        Ok(Ok(None)) => return Ok(None),
        Ok(Err(holder)) => return Err(CampaignError::Held { name: spec.name.clone(), holder }),
        Err(RecordError::Refused { .. }) if let Some(was) = was.filter(|was| *was != parts) => {
            return Err(CampaignError::OtherParts { name: spec.name.clone(), was, now: parts });
        }
        Err(error) => return Err(error.into()),
    };
    let planner = hold.worker();
    let written = async {
        let list = write_down(&**record, &planner, list, stop).await?;
        record.seal_plan(&planner, &new, list.digest(), list.malformed, clock.now()).await?;
        Ok(list)
    };
    match written.await {
        Ok(list) => {
            hold.ended();
            if let Some(known) = &known {
                doubt_no_more(&**record, known, spec, clock.now()).await?;
            }
            let campaign = again(record, options, &spec.name, clock).await?;
            Ok(Some(list.planned(campaign, false)))
        }
        Err(error) => {
            // The first error is the one to tell.
            let _ = hold.let_go().await;
            Err(error)
        }
    }
}

/// Leaves unknown what an earlier plan would have sent once more though it may have arrived, where this one would not.
async fn doubt_no_more(
    record: &dyn Record,
    was: &Campaign,
    now: &CampaignSpec,
    at: Timestamp,
) -> Result<(), CampaignError> {
    let is_wanted = |delivery| delivery == Guarantee::AtLeastOnce;
    let was_wanted = Settings::of(was).is_ok_and(|was| is_wanted(was.delivery));
    if was_wanted && !is_wanted(now.settings.delivery) {
        settle::leave_unknown(record, was.id, at).await?;
    }
    Ok(())
}

/// Another way to Meta leads to the same people: whoever goes another way in the midst of a campaign does not mean to begin it
/// anew. Sandboxes are no ways to Meta.
pub(super) async fn must_not_be_begun_elsewhere(
    record: &dyn Record,
    space: &KeySpace,
    name: &CampaignName,
    clock: &dyn Clock,
) -> Result<(), CampaignError> {
    let is_it = |other: &Campaign| {
        let Campaign { space: other, name: named, started_at, .. } = other;
        // A sandbox at another port of this machine is another world; the same port by another name is not.
        let is_another_world = other.origin.is_of_this_machine()
            && space.origin.is_of_this_machine()
            && other.origin.url().port_or_known_default() != space.origin.url().port_or_known_default();
        let is_another_way = other.origin != space.origin && !is_another_world;
        named == name
            && started_at.is_some()
            && is_another_way
            && (&other.page, other.platform) == (&space.page, space.platform)
    };
    for begun in record.campaigns(clock.now()).await?.into_iter().filter(is_it) {
        // Whoever looked ahead and said no has sent nothing.
        let counted = record.count(begun.id, clock.now()).await?;
        if counted
            .iter()
            .any(|counted| matches!(counted.state, State::Sent | State::Unknown | State::InFlight | State::RetryAt))
        {
            return Err(CampaignError::BegunElsewhere { name: name.clone(), origin: begun.space.origin });
        }
    }
    Ok(())
}

fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a campaign has no form JSON lacks")
}

async fn again(
    record: &Arc<dyn Record>,
    options: &PlanOptions,
    name: &CampaignName,
    clock: &Arc<dyn Clock>,
) -> Result<Campaign, CampaignError> {
    let campaign = record.campaign(&options.space, name, clock.now()).await?;
    campaign.ok_or_else(|| CampaignError::NotPlanned { name: name.clone() })
}

#[cfg(test)]
mod tests;
