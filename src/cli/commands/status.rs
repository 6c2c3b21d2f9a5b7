//! `status`: how the ids on record stand, by Page; and with `--expiring`, which of them will not last.
//!
//! Asks nobody: neither a token nor the network is needed. The record is read a page at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::args::StatusArgs;
use crate::cli::events::StatusEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::session::Context;
use crate::cli::values::{count, human_size, human_span, thousands};
use crate::clock::{Moment, Timestamp};
use crate::events::RecordedEvent;
use crate::ids::KeySpace;
use crate::library::{PlanRules, Reason, staleness};
use crate::record::{Upload, UploadFilter};

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
        if let Some(reason) = args.expiring.and_then(|within| why(upload, within)) {
            counts.expiring += 1;
            expiring.push((reason, upload.clone()));
        }
    })
    .await?;
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
    output.remark(palette.strong(format_args!("{name}{}, {}", space.page, space.platform)));
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
}
