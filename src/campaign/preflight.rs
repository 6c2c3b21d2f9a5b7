//! A look ahead, before the first message: what will be sent, by which ids, for how long, to whom not.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use super::part::Variant;
use super::ramp::Stage;
use super::run::as_seen;
use super::spec::Guarantee;
use super::template::Template;
use super::times::Times;
use super::{CampaignError, Permission, Run};
use crate::clock::Timestamp;
use crate::graph::{Load, Message, PaceLimits};
use crate::library::{AssetOutcome, ID_LIFETIME, PlanRules, Prepared, PreparedAsset};
use crate::record::Change;

/// How much longer than the campaign an id must live.
const MARGIN: Duration = DAY;
const DAY: Duration = Duration::from_hours(24);
/// The longest life that is asked of an id: one that was made in the last week is not made anew for a campaign that takes
/// longer than any id lives.
const LONGEST: Duration = ID_LIFETIME.saturating_sub(Duration::from_hours(7 * 24));
/// The longest anybody's quiet hours put a message off: a night and a day, and another where clocks skip the hour between.
const NIGHT: Duration = Duration::from_hours(50);
/// How long after a person's last word the window counts as open: an hour less than Meta's 24, for clocks and queues.
///
/// **Source**: Messenger Platform, "Messaging window" (read 2026): 24 hours.
pub(super) const OPEN_WINDOW: Duration = Duration::from_hours(23);

/// What a run is about to do.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// Where the campaign stands.
    pub counts: Counts,
    /// People on the list.
    pub recipients: u64,
    /// Rows that named somebody once more.
    pub duplicates: u64,
    /// Rows that could not be used.
    pub malformed: u64,
    /// People whose window is closed already, and who will be left out.
    pub closed_windows: u64,
    /// What the message draws on, each once.
    pub assets: Vec<PreflightAsset>,
    /// Calls it takes, if nothing goes wrong.
    pub calls: u64,
    /// Messages a second, at most.
    pub messages_per_second: u32,
    /// What the campaign asks for, where the Page's own limit is lower and holds.
    pub asked_per_second: Option<u32>,
    /// How long it takes at that pace.
    pub duration: Duration,
    /// Bytes that are not uploaded once for each person.
    pub bytes_saved: u64,
    /// What becomes of a message that may have arrived.
    pub delivery: Guarantee,
    /// Who gets it now.
    pub stage: Stage,
    /// How many people those are, who already have it included.
    pub stage_recipients: u64,
    /// When it may be sent.
    pub times: Times,
    /// When it will be done, at that pace and if nobody sleeps.
    pub ends_at: Timestamp,
    /// Whether the token may send.
    pub permission: Permission,
}

/// An asset a campaign draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightAsset {
    /// As the message names it.
    pub reference: String,
    /// The id it is sent by.
    pub attachment_id: String,
    /// When that id is expected to end.
    pub expires_at: Timestamp,
    /// Whether it was uploaded just now.
    pub uploaded: bool,
    /// How large it is, where that is known.
    pub size_bytes: Option<u64>,
}

/// A variant of a part that can be sent: its references are ids, its gaps are open.
#[derive(Debug, Clone)]
pub(super) struct ReadyPart {
    pub(super) template: Template,
    pub(super) prepared: Prepared,
    /// Whether it has an id that is everybody's, and none out of the list alone.
    pub(super) has_id_for_all: bool,
    /// How often its ids were made anew in this run.
    pub(super) healed: u32,
}

impl ReadyPart {
    /// # Errors
    /// Says what is wrong with a gap.
    pub(super) fn new(variant: &Variant, prepared: Prepared, healed: u32) -> Result<Self, String> {
        let ids: Vec<_> = prepared.assets().iter().map(PreparedAsset::place).collect();
        let message = Message::from_json(variant.message.clone()).with_ids(&ids).with_ids_replaced(prepared.replaced());
        let has_id_for_all = message.attachment_ids().iter().any(|id| !id.contains('{'));
        Ok(Self { template: Template::parse(message.as_json())?, prepared, has_id_for_all, healed })
    }

    /// Uploads it took to have its ids.
    pub(super) fn uploads(&self) -> u64 {
        self.prepared.assets().iter().filter(|asset| is_upload(asset)).count() as u64
    }
}

fn is_upload(asset: &PreparedAsset) -> bool {
    matches!(asset.outcome, AssetOutcome::Uploaded | AssetOutcome::Refreshed)
}

/// Which content an asset had when the first message left.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Frozen<'a> {
    part: usize,
    reference: &'a str,
    digest: String,
}

impl Run {
    /// Looks ahead: resolves what the message draws on, uploads what has no id that lives long enough, and says what is
    /// about to happen. Nothing is sent.
    ///
    /// # Errors
    /// When the token may not send, and when an asset leads to no id, or to other bytes than when the campaign was begun.
    pub async fn preflight(&mut self) -> Result<Preflight, CampaignError> {
        let parts = &self.parts;
        let permission = Permission::of(&parts.graph, &*parts.clock).await?;
        let now = parts.clock.now();
        let counted = parts.record.count(self.campaign.id, now).await?;
        let mut counts = Counts::new(&self.message, &counted);
        if let Some((scope, _)) = &self.again {
            counts = counts.with_again(*scope, &self.message, &counted);
        }
        let sample = parts.record.first_recipient(self.campaign.id).await?;
        let Some(sample) = sample else {
            return Err(CampaignError::NotPlanned { name: self.campaign.name.clone() });
        };
        let templates = self.message.templates()?;
        let sampled =
            |template: &Template| self.message.request(sample.recipient.clone(), template.fill(&sample.variables));
        let with_media =
            templates.iter().filter(|all| all.iter().any(|template| Load::of(&sampled(template)).media > 0));
        let share = (with_media.count() as u64, templates.len() as u64);
        let limits = parts.graph.governor().limits();
        let duration = duration_of(counts.pending, share, limits);
        let times = self.settings.times.clone();
        let begins_at = times.start_at.map_or(now, |start| start.max(now));
        let ends_at = begins_at.plus(duration);
        // Whoever sleeps when it begins gets it later.
        let night = if times.quiet_hours.is_some() { NIGHT } else { Duration::ZERO };
        let life = ends_at.plus(night).since(now) + MARGIN;
        let rules = PlanRules { renew_within: life.min(LONGEST), force: false };
        let asked = self.settings.messages_per_second.map(NonZeroU32::get);
        let mut ready = Vec::new();
        for (part, (templates, said)) in templates.iter().zip(&self.message.parts).enumerate() {
            let mut variants = Vec::new();
            for (template, variant) in templates.iter().zip(said.variants()) {
                let prepared = parts.library.prepare(sampled(template), &self.settings.base, rules).await?;
                let variant = ReadyPart::new(variant, prepared, 0);
                variants.push(variant.map_err(|reason| CampaignError::Template { part: part + 1, reason })?);
            }
            ready.push(variants);
        }
        self.freeze(&ready).await?;
        let uploads = ready.iter().flatten().map(ReadyPart::uploads).sum::<u64>();
        if uploads > 0 {
            self.parts.record.change(self.campaign.id, Change::Uploads(uploads)).await?;
        }
        self.tally.add_uploads(uploads);
        let closed_windows = if self.message.needs_open_window() {
            self.parts.record.count_silent(self.campaign.id, begins_at.minus(OPEN_WINDOW)).await?
        } else {
            0
        };
        let bytes_saved = self.bytes_saved(&ready);
        let assets = listed(&ready);
        self.ready = ready;
        Ok(Preflight {
            calls: counts.pending.div_ceil(u64::from(self.settings.batch.max(1))),
            counts,
            recipients: self.campaign.recipients,
            duplicates: self.campaign.duplicates,
            malformed: self.campaign.malformed,
            closed_windows,
            bytes_saved,
            assets,
            messages_per_second: limits.messages_per_second,
            asked_per_second: asked.filter(|asked| *asked > limits.messages_per_second),
            duration,
            delivery: self.settings.delivery,
            stage: self.stage,
            stage_recipients: self.stage_recipients().await?,
            times,
            ends_at,
            permission,
        })
    }

    async fn stage_recipients(&self) -> Result<u64, CampaignError> {
        Ok(match self.stage {
            Stage::Testers => self.settings.ramp.testers.len() as u64,
            Stage::Canary => self.few().await?,
            Stage::Everybody => self.campaign.recipients,
        })
    }

    /// Bytes that would be uploaded if each message brought its files along, less those that are uploaded once.
    fn bytes_saved(&self, ready: &[Vec<ReadyPart>]) -> u64 {
        let size = |variant: &ReadyPart| -> u64 {
            variant.prepared.assets().iter().filter_map(|asset| asset.upload.known_size()).sum()
        };
        let (mut for_each, mut once) = (0_u128, 0_u64);
        for (variants, said) in ready.iter().zip(&self.message.parts) {
            let weight = |variant: &Variant| u128::from(variant.weight.get());
            let all: u128 = said.variants().iter().map(weight).sum();
            let weighed =
                variants.iter().zip(said.variants()).map(|(ready, said)| u128::from(size(ready)) * weight(said));
            for_each += weighed.sum::<u128>() * u128::from(self.campaign.recipients) / all;
            once += variants.iter().map(size).sum::<u64>();
        }
        u64::try_from(for_each).unwrap_or(u64::MAX).saturating_sub(once)
    }

    /// Compares the assets with those the campaign was begun with, and keeps them where it was not yet.
    async fn freeze(&self, ready: &[Vec<ReadyPart>]) -> Result<(), CampaignError> {
        let frozen: Vec<Frozen> = ready
            .iter()
            .enumerate()
            .flat_map(|(part, ready)| ready.iter().flat_map(|it| it.prepared.assets()).map(move |asset| (part, asset)))
            .map(|(part, asset)| Frozen {
                part,
                reference: &asset.reference,
                digest: hex::encode(asset.upload.key.asset.digest()),
            })
            .collect();
        let now = serde_json::to_value(&frozen).unwrap_or_default();
        let mut before = self.campaign.assets.clone();
        if before.is_none() {
            self.parts.record.change(self.campaign.id, Change::FreezeAssets(now.to_string())).await?;
            // Another machine may have begun it meanwhile, with other files under these names.
            let overtaken = || CampaignError::Overtaken { name: self.campaign.name.clone() };
            before = as_seen(&self.parts, &self.campaign).await?.ok_or_else(overtaken)?.assets;
        }
        let before: serde_json::Value = serde_json::from_str(&before.unwrap_or_default()).unwrap_or_default();
        if before == now {
            return Ok(());
        }
        let changed = frozen.iter().enumerate().find(|(place, _)| before.get(place) != now.get(place));
        let reference = changed.map_or_else(String::new, |(_, frozen)| frozen.reference.to_owned());
        Err(CampaignError::AssetChanged { reference })
    }
}

/// How long so many messages take; `with_media` of all parts have audio or video. Whoever may make so many calls a day waits
/// for the next day with the rest.
fn duration_of(pending: u64, (with_media, all): (u64, u64), limits: PaceLimits) -> Duration {
    let at_pace = |messages: u64| {
        let media = messages * with_media / all.max(1);
        let millis = |count: u64, per_second: u32| (count * 1_000).div_ceil(u64::from(per_second.max(1)));
        let millis = millis(messages, limits.messages_per_second).max(millis(media, limits.media_per_second));
        Duration::from_millis(millis)
    };
    let a_day = limits.calls_per_day.unwrap_or(u64::MAX).max(1);
    let days = pending.saturating_sub(1) / a_day;
    let by_day = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX)) + at_pace(pending - days * a_day);
    at_pace(pending).max(by_day)
}

fn listed(ready: &[Vec<ReadyPart>]) -> Vec<PreflightAsset> {
    let mut seen = BTreeSet::new();
    let assets = ready.iter().flatten().flat_map(|part| part.prepared.assets());
    assets
        .filter(|asset| seen.insert((asset.reference.clone(), asset.upload.attachment_id.as_str().to_owned())))
        .map(|asset| PreflightAsset {
            reference: asset.reference.clone(),
            attachment_id: asset.upload.attachment_id.as_str().to_owned(),
            expires_at: asset.upload.expires_at,
            uploaded: is_upload(asset),
            size_bytes: asset.upload.known_size(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_as_long_as_the_slowest_limit_and_whole_days_where_a_day_has_one() {
        let limits = PaceLimits { messages_per_second: 40, media_per_second: 10, ..PaceLimits::default() };
        let takes = |pending, share, limits| duration_of(pending, share, limits).as_secs();
        assert_eq!(duration_of(0, (0, 1), limits), Duration::ZERO);
        assert_eq!(duration_of(81, (0, 1), limits), Duration::from_millis(2_025));
        assert_eq!(takes(80, (1, 1), limits), 8);
        assert_eq!(takes(80, (1, 2), limits), 4);
        let with_days = |calls| PaceLimits { calls_per_day: Some(calls), ..limits };
        assert_eq!(takes(1_000, (0, 1), with_days(1_000)), 25);
        assert_eq!(takes(2_400, (0, 1), with_days(1_000)), 2 * 86_400 + 10);
        let slow = PaceLimits { messages_per_second: 1, ..with_days(1_000_000) };
        assert_eq!(takes(1_500_000, (0, 1), slow), 1_500_000, "the pace is narrower than the day");
    }
}
