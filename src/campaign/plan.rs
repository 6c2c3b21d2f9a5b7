//! From a campaign file and a list to a plan on record: streamed, checked row by row, sealed with a digest.
//!
//! Nothing is sent. To plan the same again changes nothing; to plan something else under the same name is refused unless
//! it is asked for.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hold::Hold;
use super::recipients::{BadRow, RecipientReader};
use super::spec::{CampaignMessage, CampaignSpec, Delivery, Settings};
use super::template::Template;
use super::{CampaignError, Nonce, settle};
use crate::clock::{Clock, Timestamp};
use crate::delivery::State;
use crate::ids::{CampaignName, KeySpace, Platform, Recipient};
use crate::record::{
    Begun, Campaign, Change, DeliveryKey, NewCampaign, NewRecipient, PlanDigest, Record, RecordError, Worker,
};
use crate::stop::Stop;

/// How many rows go to the record at once.
const BATCH: usize = 4_000;
/// How often to look whether somebody else's plan is complete.
const LOOK: Duration = Duration::from_millis(500);
/// How many bad rows are told one by one.
const TOLD: usize = 100;

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
    let list = List::open(spec, space.platform)?.begin().await?;
    let (space, name, parts) = (space.clone(), spec.name.clone(), spec.message.count());
    let testers = spec.settings.ramp.testers.clone();
    let new = NewCampaign { space, name, message, settings, parts, replaces, testers };
    let planner = match record.begin_plan(&new, std::process::id(), clock.now()).await {
        Ok(Begun::Won(planner)) => planner,
        Ok(Begun::Held(holder)) => return Err(CampaignError::Held { name: spec.name.clone(), holder }),
        Ok(Begun::Overtaken) => return Ok(None),
        Err(RecordError::Refused { .. }) if let Some(was) = was.filter(|was| *was != parts) => {
            return Err(CampaignError::OtherParts { name: spec.name.clone(), was, now: parts });
        }
        Err(error) => return Err(error.into()),
    };
    let mut hold = Hold::of(record, clock, planner);
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
    let is_wanted = |delivery| delivery == Delivery::AtLeastOnce;
    let was_wanted = serde_json::from_str::<Settings>(&was.settings).is_ok_and(|was| is_wanted(was.delivery));
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
        let is_another_way =
            other.origin != space.origin && !(other.origin.is_of_this_machine() && space.origin.is_of_this_machine());
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

/// The list, read to its end.
async fn read_through(spec: &CampaignSpec, platform: Platform, stop: &Stop) -> Result<List, CampaignError> {
    let mut list = List::open(spec, platform)?;
    loop {
        list = list.forward().await?;
        if stop.is_requested() {
            return Err(CampaignError::Stopped);
        }
        if list.ended {
            return Ok(list);
        }
    }
}

/// Writes all rows down; one batch is read while the one before it is written.
async fn write_down(record: &dyn Record, planner: &Worker, mut list: List, stop: &Stop) -> Result<List, CampaignError> {
    loop {
        let batch = std::mem::take(&mut list.batch);
        if batch.is_empty() {
            return Ok(list);
        }
        if stop.is_requested() {
            return Err(CampaignError::Stopped);
        }
        let (added, read) = futures::join!(record.add_recipients(planner, batch), list.forward());
        added?;
        list = read?;
    }
}

/// A list being read.
struct List {
    reader: RecipientReader,
    check: RowCheck,
    hasher: Sha256,
    batch: Vec<NewRecipient>,
    malformed: u64,
    bad_rows: Vec<BadRow>,
    ended: bool,
    /// Testers who have not been found on the list.
    missing: Vec<Recipient>,
    first: Option<NewRecipient>,
    added: u64,
    path: std::path::PathBuf,
}

impl List {
    fn open(spec: &CampaignSpec, platform: Platform) -> Result<Self, CampaignError> {
        let check = RowCheck::new(&spec.name, &spec.message, platform)?;
        let mut reader = RecipientReader::open(&spec.recipients, &check.variables())?;
        if spec.settings.times.quiet_hours.is_some() {
            reader = reader.with_timezones();
        }
        Ok(Self {
            reader,
            hasher: Sha256::new().chain_update(text_of(&spec.message)),
            check,
            batch: Vec::new(),
            malformed: 0,
            bad_rows: Vec::new(),
            ended: false,
            missing: spec.settings.ramp.testers.clone(),
            first: None,
            added: 0,
            path: spec.recipients.clone(),
        })
    }

    /// Reads the first rows that can be used: without any there is no campaign.
    async fn begin(self) -> Result<Self, CampaignError> {
        let begun = self.forward().await?;
        if begun.batch.is_empty() {
            let first = begun.bad_rows.first().map(ToString::to_string);
            return Err(CampaignError::Nobody { path: begun.path, first });
        }
        Ok(begun)
    }

    /// Reads the next batch, on a thread that may block: as many rows that can be used as it holds, or all that are left.
    async fn forward(mut self) -> Result<Self, CampaignError> {
        let reading = tokio::task::spawn_blocking(move || self.read_batch().map(|()| self));
        reading.await.unwrap_or_else(|stopped| std::panic::resume_unwind(stopped.into_panic()))
    }

    fn read_batch(&mut self) -> Result<(), CampaignError> {
        self.batch.clear();
        while self.batch.len() < BATCH {
            let Some(row) = self.reader.next_row()? else {
                self.ended = true;
                self.add_missing();
                return Ok(());
            };
            let row = row.and_then(|(line, person)| match self.check.problem(&person) {
                None => Ok(person),
                Some(reason) => Err(BadRow { line, reason }),
            });
            match row {
                Ok(person) => self.take(person),
                Err(bad) => {
                    self.malformed += 1;
                    if self.bad_rows.len() < TOLD {
                        self.bad_rows.push(bad);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, person: NewRecipient) {
        self.digest_row(&person);
        self.missing.retain(|tester| *tester != person.recipient);
        self.first.get_or_insert_with(|| person.clone());
        self.batch.push(person);
    }

    /// Puts testers on the list who are not: they get what the first on it gets.
    fn add_missing(&mut self) {
        let Some(first) = self.first.clone() else { return };
        for recipient in std::mem::take(&mut self.missing) {
            self.added += 1;
            self.take(NewRecipient { recipient, last_interaction_at: None, timezone: None, ..first.clone() });
        }
    }

    fn planned(self, campaign: Campaign, unchanged: bool) -> Planned {
        Planned { campaign, unchanged, bad_rows: self.bad_rows, added: self.added }
    }

    fn digest_row(&mut self, person: &NewRecipient) {
        let NewRecipient { recipient, variables, last_interaction_at, timezone } = person;
        // JSON escapes line ends, so no row passes for two.
        let row = (recipient.to_string(), variables, last_interaction_at.map(Timestamp::as_unix_millis));
        self.hasher.update(b"\n");
        self.hasher.update(text_of(&row));
        if let Some(timezone) = timezone {
            self.hasher.update(text_of(timezone));
        }
    }

    fn digest(&self) -> PlanDigest {
        self.hasher.clone().finalize().into()
    }
}

/// Looks at every message before anything is sent.
struct RowCheck {
    name: CampaignName,
    message: CampaignMessage,
    templates: Vec<Vec<Template>>,
    platform: Platform,
    /// As long as any nonce of this campaign's.
    longest_nonce: String,
}

impl RowCheck {
    fn new(name: &CampaignName, message: &CampaignMessage, platform: Platform) -> Result<Self, CampaignError> {
        let key = DeliveryKey { seq: u64::MAX / 100, part: 9 };
        let nonce = Nonce { campaign: name.clone(), key, attempt: 1_000, random: u32::MAX };
        let templates = message.templates()?;
        Ok(Self { name: name.clone(), templates, message: message.clone(), platform, longest_nonce: nonce.to_string() })
    }

    /// The variables the message uses.
    fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.templates.iter().flatten().flat_map(Template::variables).map(ToOwned::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What is wrong with the message this person would get.
    fn problem(&self, person: &NewRecipient) -> Option<String> {
        self.templates.iter().zip(&self.message.parts).zip(1..).find_map(|((templates, said), part)| {
            let template = &templates[said.draw(&self.name, &person.recipient)];
            let message = with_nonce(template.fill(&person.variables), &self.longest_nonce);
            let request = self.message.request(person.recipient.clone(), message);
            request.check_for(self.platform).err().map(|error| match self.templates.len() {
                1 => error.to_string(),
                _ => format!("part {part}: {error}"),
            })
        })
    }
}

/// The message with the nonce before whatever metadata it has.
pub(super) fn with_nonce(message: crate::graph::Message, nonce: &str) -> crate::graph::Message {
    let metadata = match message.as_json().get("metadata").and_then(serde_json::Value::as_str) {
        Some(own) if !own.is_empty() => format!("{nonce} {own}"),
        _ => nonce.to_owned(),
    };
    message.with_metadata(metadata)
}

#[cfg(test)]
mod tests;
