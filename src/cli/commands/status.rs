//! `status`: how the ids on record stand, by Page; and with `--expiring`, which of them will not last.
//!
//! Asks nobody: neither a token nor the network is needed. The record is read a page at a time; files are looked at only
//! where something else has come from the same place since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::StatusArgs;
use crate::cli::context::Context;
use crate::cli::events::StatusEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::{count, human_size, human_span, thousands};
use crate::clock::{Moment, Timestamp};
use crate::events::RecordedEvent;
use crate::ids::{Asset, AssetKey, KeySpace};
use crate::library::{PlanRules, Reason, Replacements, staleness};
use crate::record::{Record, Upload, UploadFilter};

use super::recorded::{AliasNames, each_recorded, time_left};

/// How the ids of one Page and platform stand.
#[derive(Debug, Default)]
pub(in crate::cli) struct Counts {
    pub(in crate::cli) fresh: u64,
    pub(in crate::cli) due: u64,
    pub(in crate::cli) expired: u64,
    pub(in crate::cli) rejected: u64,
    pub(in crate::cli) unknown_age: u64,
    pub(in crate::cli) bytes: u64,
    /// When the next of those that live ends.
    pub(in crate::cli) next_expiry: Option<Timestamp>,
    /// How many will not last for the time asked for.
    pub(in crate::cli) expiring: u64,
    /// How many more would not, and need not: their files were replaced.
    pub(in crate::cli) replaced: u64,
}

impl Counts {
    fn add(&mut self, upload: &Upload, reason: Option<Reason>) {
        self.bytes += upload.known_size().unwrap_or(0);
        *match reason {
            None | Some(Reason::Forced) => &mut self.fresh,
            Some(Reason::Due) => &mut self.due,
            Some(Reason::Expired) => &mut self.expired,
            Some(Reason::Rejected) => &mut self.rejected,
            Some(Reason::UnknownAge) => &mut self.unknown_age,
        } += 1;
        if matches!(reason, None | Some(Reason::Due)) {
            let next = self.next_expiry.unwrap_or(upload.expires_at);
            self.next_expiry = Some(next.min(upload.expires_at));
        }
    }

    const fn ids(&self) -> u64 {
        self.fresh + self.due + self.expired + self.rejected + self.unknown_age
    }
}

pub(super) async fn run(context: &Context, args: StatusArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    context.mention_doubts();
    let now = context.clock.moment();
    let why = |upload: &Upload, renew_within| staleness(upload, now, PlanRules { renew_within, force: false });
    let mut spaces: BTreeMap<KeySpace, Counts> = BTreeMap::new();
    let mut expiring = Vec::new();
    each_recorded(context, &*record, &UploadFilter::default(), |upload| {
        let counts = spaces.entry(upload.key.space.clone()).or_default();
        counts.add(upload, why(upload, args.renew_within));
        expiring.extend(args.expiring.and_then(|within| why(upload, within)).map(|reason| (reason, upload.clone())));
    })
    .await?;
    let replaced = replaced(context, &record, &expiring, now).await?;
    expiring.retain(|(_, upload)| {
        let counts = spaces.entry(upload.key.space.clone()).or_default();
        let is_missed = !replaced.contains(&upload.key);
        *if is_missed { &mut counts.expiring } else { &mut counts.replaced } += 1;
        is_missed
    });
    expiring.sort_by(|(_, one), (_, other)| (one.expires_at, &one.key).cmp(&(other.expires_at, &other.key)));
    let aliases = AliasNames::load(context, &*record).await?;
    for (reason, upload) in &expiring {
        print_expiring(context, upload, *reason, &aliases);
    }
    for (space, counts) in &spaces {
        print_counts(context, space, counts, now, args.expiring);
    }
    if spaces.is_empty() {
        context.output.remark("nothing is on record yet: `reattach sync FOLDER` uploads a library");
    }
    Ok(context.ending(if expiring.is_empty() { Exit::Done } else { Exit::Expiring }))
}

/// Those of `ending` whose file was replaced, so that nobody misses them.
async fn replaced(
    context: &Context,
    record: &Arc<dyn Record>,
    ending: &[(Reason, Upload)],
    now: Moment,
) -> Result<HashSet<AssetKey>, Failure> {
    let mut successors: HashMap<(KeySpace, PathBuf), HashSet<Asset>> =
        ending.iter().filter_map(|(_, upload)| Some((place(upload)?, HashSet::new()))).collect();
    if successors.is_empty() {
        return Ok(HashSet::new());
    }
    each_recorded(context, &**record, &UploadFilter::default(), |upload| {
        let is_alive = staleness(upload, now, PlanRules::ALIVE).is_none();
        let assets = place(upload).filter(|_| is_alive).and_then(|place| successors.get_mut(&place));
        assets.map(|assets| assets.insert(upload.key.asset.clone()));
    })
    .await?;
    // Only where something else came from the same place need anybody look at what lies there.
    let has_successor = |upload: &Upload| {
        let assets = place(upload).and_then(|place| successors.get(&place));
        assets.is_some_and(|assets| assets.iter().any(|asset| *asset != upload.key.asset))
    };
    let suspects: Vec<_> = ending.iter().map(|(_, upload)| upload).filter(|upload| has_successor(upload)).collect();
    let mut replaced = HashSet::new();
    if suspects.is_empty() {
        return Ok(replaced);
    }
    let (inspector, replacements) = (context.fitting(context.inspector(), true), Replacements::on(record).await?);
    for upload in suspects {
        let (Some(path), Some(hash)) = (&upload.source, upload.key.asset.hash()) else { continue };
        if replacements.covers(&inspector, path, &upload.key.space, hash, now).await? {
            replaced.insert(upload.key.clone());
        }
    }
    Ok(replaced)
}

/// Where it came from, and for whom.
fn place(upload: &Upload) -> Option<(KeySpace, PathBuf)> {
    Some((upload.key.space.clone(), upload.source.clone()?))
}

/// One line for an id that will not last, or that nobody should rely on.
fn print_expiring(context: &Context, upload: &Upload, reason: Reason, aliases: &AliasNames) {
    let output = &context.output;
    output.event(&RecordedEvent::new(upload, reason.as_str(), aliases.of(&upload.key.asset)));
    if output.is_json() {
        return;
    }
    // Due is what the next `sync` renews; how long these were to last is another matter.
    let word = if reason == Reason::Due { "expiring" } else { reason.as_str() };
    let (palette, word) = (output.palette, word.replace('_', " "));
    let word = if reason == Reason::Due {
        palette.warning(format_args!("{word:<11}"))
    } else {
        palette.bad(format_args!("{word:<11}"))
    };
    let left = match reason {
        Reason::Due => time_left(context, upload),
        _ => String::new(),
    };
    let name = upload.source.as_deref().map_or_else(|| shown_text(&upload.key.asset.to_string()), shown);
    output.result(format_args!("{word} {left:>10}  {:<17} {:<20} {name}", upload.key.space.page, upload.attachment_id));
}

fn print_counts(context: &Context, space: &KeySpace, counts: &Counts, now: Moment, expiring: Option<Duration>) {
    let output = &context.output;
    let page = context.settings.name_of(&space.page);
    output.event(&StatusEvent::new(space, page, counts, expiring.is_some()));
    if output.is_json() {
        return;
    }
    let palette = output.palette;
    let name = page.map_or_else(String::new, |name| format!("{} ", shown_text(name)));
    output.result(palette.strong(format_args!("{name}{}, {}", space.page, space.platform)));
    let told = |number: u64, what: &str| (number > 0).then(|| format!("{} {what}", thousands(number)));
    let states = [
        Some(format!("{} fresh", thousands(counts.fresh))),
        told(counts.due, "due"),
        told(counts.expired, "expired"),
        told(counts.rejected, "rejected by Meta"),
        told(counts.unknown_age, "of unknown age"),
    ];
    let states = states.into_iter().flatten().collect::<Vec<_>>().join(", ");
    output.result(format_args!("  {}, {}: {states}", count(counts.ids(), "id"), human_size(counts.bytes)));
    if let Some(next) = counts.next_expiry {
        let left = human_span(next.since(now.shown()));
        output.result(format_args!("  the next one expires in {left} {}", palette.faint(format_args!("({next})"))));
    }
    if let Some(within) = expiring {
        let within = human_span(within);
        let line = match counts.expiring {
            0 => palette.good(format_args!("all are good for {within}")),
            1 => palette.warning(format_args!("1 is not good for {within}")),
            many => palette.warning(format_args!("{} are not good for {within}", thousands(many))),
        };
        output.result(format_args!("  {line}"));
    }
    if counts.replaced > 0 {
        let line = format_args!("{} more need not be: their files were replaced", thousands(counts.replaced));
        output.result(format_args!("  {}", palette.faint(line)));
    }
}
