//! `campaign settle`: what may have been sent, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::settle::{
    Assumption, Echo, Inquiry, InquirySummary, Unclear, Verdict, apply_echoes, apply_not_sent, assume, read_echoes,
};
use crate::cli::args::{SettleArgs, SettleAssumption};
use crate::cli::config::PageSettings;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::{count, local_time, thousands};
use crate::delivery::State;
use crate::events::{CampaignEvent, ErrorEvent};
use crate::record::{Campaign, DeliveryKey, DoubtfulDelivery, Record};

use super::events::{DuplicateEvent, SettledEvent};
use super::show::figures;
use super::unknown::show_unknown;
use super::{counts, find};

/// How many people who got it twice are shown.
const SHOWN: usize = 20;

pub(super) async fn run(context: &Context, args: SettleArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, &args.name).await?;
    let (mut is_whole, mut leaning) = (true, BTreeSet::new());
    if let Some(path) = &args.echoes {
        is_whole = echoes(context, &*record, &campaign, path, &mut leaning).await?;
    }
    let inquiry =
        if args.from_conversations { Some(inquire(context, &record, &campaign, &mut leaning).await?) } else { None };
    let failure = inquiry.as_ref().and_then(|inquiry| inquiry.end.clone()).map(Failure::Graph);
    let cut_short = failure.is_some() || inquiry.is_some_and(|inquiry| inquiry.stopped);
    // Nobody's word is taken for what was still to be asked about.
    match args.assume.filter(|_| !cut_short) {
        None => {}
        Some(SettleAssumption::NotSent) if !is_whole => context.output.complain(
            "nothing is taken for not sent: what could not be read may say that it was; mend the file, or say so without it",
        ),
        Some(what) => {
            let (assumption, words) = match what {
                SettleAssumption::Sent => (Assumption::Sent, "taken for sent"),
                SettleAssumption::NotSent => (Assumption::NotSent, "taken for not sent: the next run sends them"),
            };
            let left = if assumption == Assumption::Sent { BTreeSet::new() } else { leaning };
            let settled = assume(&*record, campaign.id, assumption, &left, context.clock.now()).await?;
            context.output.remark(format_args!("{} {words}", count(settled, "message")));
            if !left.is_empty() {
                let left = count(left.len() as u64, "message");
                context.output.complain(format_args!("{left} left unknown: there are signs that they arrived, or may still"));
            }
        }
    }
    show_unknown(context, &*record, &campaign).await?;
    let duplicates = show_duplicates(context, &*record, &campaign).await?;
    let campaign = find(context, &*record, &args.name).await?;
    let counts = counts(context, &*record, &campaign).await?;
    context.output.result(format_args!("{}: {}", context.output.palette.strong(&campaign.name), figures(&counts)));
    if let Some(failure) = &failure {
        context.output.event(&ErrorEvent::new(failure.body()));
        failure.print(&context.output);
    }
    context.output.event(&CampaignEvent::new(&campaign, &counts).with_duplicates(duplicates));
    Ok(match failure {
        Some(failure) => failure.exit(),
        None if context.stop.is_requested() => Exit::Interrupted,
        None if counts.unknown > 0 => Exit::UnknownOutcome,
        None => Exit::Done,
    })
}

/// Takes the echoes for evidence; whether all of the file could be read. `leaning` gets those that arrived by an attempt the
/// record does not know of.
async fn echoes(
    context: &Context,
    record: &dyn Record,
    campaign: &Campaign,
    path: &Path,
    leaning: &mut BTreeSet<DeliveryKey>,
) -> Result<bool, Failure> {
    let secret = context.settings.page.chosen().ok().map(PageSettings::app_secret).transpose()?.flatten();
    let echoes = read_echoes(path, &campaign.name, secret.as_ref())?;
    for bad in &echoes.bad {
        context.output.complain(format_args!("{}: {}", shown(path), shown_text(&bad.to_string())));
    }
    let applied = apply_echoes(record, campaign.id, &echoes.found, context.clock.now()).await?;
    let mut words = format!(
        "{} came back: {} settled as sent",
        count(echoes.found.len() as u64, "message"),
        thousands(applied.settled)
    );
    for (number, what) in [(applied.duplicates, "arrived beside another"), (applied.held, "being sent right now")] {
        if number > 0 {
            words = format!("{words}, {} {what}", thousands(number));
        }
    }
    leaning.extend(applied.forgotten.iter().map(|echo| echo.nonce.key));
    if !applied.forgotten.is_empty() {
        name_forgotten(context, &applied.forgotten);
    }
    let not_sent = apply_not_sent(record, campaign.id, &echoes.not_sent, context.clock.now()).await?;
    if not_sent > 0 {
        let messages = count(not_sent, "message");
        context.output.remark(format_args!("{messages} had not been sent: the next run sends them"));
    }
    let unchecked = if echoes.verified || echoes.found.is_empty() { "" } else { " (signatures were not checked)" };
    context.output.remark(format_args!("{words}{unchecked}"));
    Ok(echoes.bad.is_empty())
}

/// Names who has a message of which the record does not know that it was sent.
fn name_forgotten(context: &Context, forgotten: &[Echo]) {
    let output = &context.output;
    let messages = count(forgotten.len() as u64, "message");
    output
        .complain(format_args!("{messages} came back that the record does not know of; nothing was changed by them:"));
    for echo in forgotten.iter().take(SHOWN) {
        let part = echo.nonce.key.part + 1;
        let to = echo.to.as_deref().unwrap_or("somebody, whom the webhook does not name");
        output.note(format_args!("  {}  part {part}  {}", shown_text(to), shown_text(&echo.message_id)));
    }
    if forgotten.len() > SHOWN {
        output.note(format_args!("  and {} more", thousands((forgotten.len() - SHOWN) as u64)));
    }
    output.note(format_args!(
        "  The campaign was begun anew since, another record has one of that name, or this one has lost something: then they \
         get it again, unless `--suppress` leaves them out."
    ));
}

/// Asks Meta, conversation by conversation; `leaning` gets those that stay unknown though something speaks for them.
async fn inquire(
    context: &Context,
    record: &Arc<dyn Record>,
    campaign: &Campaign,
    leaning: &mut BTreeSet<DeliveryKey>,
) -> Result<InquirySummary, Failure> {
    let session = context.session(&**record).await?;
    if campaign.space.page != session.page.id {
        return Err(Failure::WrongPage {
            expected: campaign.space.page.clone(),
            actual: session.page.id,
            actual_name: session.page.name,
        });
    }
    let bar = progress(context, counts(context, &**record, campaign).await?.unknown);
    let inquiry = Inquiry { record: &**record, graph: &session.graph, campaign, stop: &context.stop };
    let mut unclear = BTreeMap::<String, u64>::new();
    let told = |doubt: &DoubtfulDelivery, verdict: &Verdict| {
        context.output.event(&SettledEvent::new(campaign, &doubt.listed, verdict));
        match verdict {
            Verdict::Unclear(why) => {
                *unclear.entry(kind_of(why)).or_default() += 1;
                if why.speaks_for_it() && doubt.listed.delivery.state == State::Unknown {
                    leaning.insert(doubt.listed.key);
                }
            }
            Verdict::Sent { .. } | Verdict::NotSent { .. } => {
                context.output.result(verdict_line(context, doubt, verdict));
            }
        }
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    };
    let summary = inquiry.run(told).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let summary = summary?;
    context.output.remark(format_args!(
        "by their conversations, {} taken for sent and {} for not sent: inferred, not proven",
        count(summary.sent, "message"),
        thousands(summary.not_sent),
    ));
    for (why, number) in unclear {
        context.output.remark(format_args!("  {} not told: {why}", thousands(number)));
    }
    Ok(summary)
}

/// The reason without what is each one's own.
fn kind_of(why: &Unclear) -> String {
    match why {
        Unclear::TooEarly(_) => "they may still arrive: ask again in three minutes".to_owned(),
        Unclear::Resembling(_) => "a message may be it, or not".to_owned(),
        Unclear::Shared(_) => "a message may be it, or another of yours that may have arrived".to_owned(),
        why => why.to_string(),
    }
}

fn verdict_line(context: &Context, doubt: &DoubtfulDelivery, verdict: &Verdict) -> String {
    let palette = context.output.palette;
    let who = format!("{}  part {}", shown_text(&doubt.listed.recipient.to_string()), doubt.listed.key.part + 1);
    match verdict {
        Verdict::Sent { found } => {
            let ids: Vec<_> = found
                .iter()
                .map(|(finding, at)| format!("{} of {}", shown_text(&finding.message_id), local_time(*at)))
                .collect();
            format!("{} {who}  {}", palette.good("+ sent    "), palette.faint(ids.join(", ")))
        }
        Verdict::NotSent { shown } => {
            let shown = format!("not among the {} of the conversation", count(*shown as u64, "message"));
            format!("{} {who}  {}", palette.warning("- not sent"), palette.faint(shown))
        }
        Verdict::Unclear(why) => format!("{} {who}  {}", palette.warning("? unknown "), shown_text(&why.to_string())),
    }
}

fn progress(context: &Context, total: u64) -> Option<ProgressBar> {
    let output = &context.output;
    let hidden = context.global.no_progress || output.is_quiet() || output.bars.is_hidden();
    let template = "  asking {bar:30.green/dim} {percent:>3}%  {human_pos} of {human_len}, {eta} left";
    (!hidden).then(|| {
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        output.bars.add(ProgressBar::new(total).with_style(style.progress_chars("━━─")))
    })
}

/// Names those who have a part more than once; says how many messages they have too many.
async fn show_duplicates(context: &Context, record: &dyn Record, campaign: &Campaign) -> Result<u64, Failure> {
    let duplicates = record.duplicates(campaign.id).await?;
    let too_many = duplicates.iter().map(|duplicate| duplicate.others.len() as u64).sum();
    if duplicates.is_empty() {
        return Ok(too_many);
    }
    let output = &context.output;
    output.result(format_args!("{} arrived beside another:", count(too_many, "message")));
    for (place, duplicate) in duplicates.iter().enumerate() {
        output.event(&DuplicateEvent::new(campaign, duplicate));
        if place < SHOWN {
            let (who, part) = (duplicate.listed.recipient.to_string(), duplicate.listed.key.part + 1);
            let times = duplicate.others.len() + 1;
            output.result(format_args!(
                "{} {}  part {part}  {} times",
                output.palette.warning("! twice  "),
                shown_text(&who),
                times
            ));
        }
    }
    if duplicates.len() > SHOWN {
        output.result(format_args!("  … and {} more people: `campaign export` names all", duplicates.len() - SHOWN));
    }
    Ok(too_many)
}
