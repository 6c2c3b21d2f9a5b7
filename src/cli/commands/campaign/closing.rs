//! How a run ended: what it came to, what could not be recorded, and which code the process ends with.

use std::sync::Arc;
use std::time::Duration;

use crate::campaign::{CampaignError, Counts, End, ErrorCount, Pause, RunSummary, State};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::{count, thousands};
use crate::events::{CampaignEvent, ErrorEvent};
use crate::record::{Campaign, Record};

use super::show::{figures, print_variants, proof};
use super::{ask, emergency, find};

/// Prints how a run ended.
pub(super) async fn conclude(context: &Context, record: &dyn Record, summary: &RunSummary) -> Result<Exit, Failure> {
    let output = &context.output;
    let failure = match &summary.end {
        End::Page { error, .. } | End::Busy(error) => Some(Failure::Graph(error.clone())),
        End::Asset(error) => Some(Failure::of_library(error)),
        End::Store(error) => Some(Failure::Campaign(CampaignError::Ledger(Arc::clone(error)))),
        End::Panicked => Some(Failure::Campaign(CampaignError::Panicked)),
        End::Finished | End::Interrupted | End::Paused(_) | End::Stage { .. } => None,
    };
    for unsaved in &summary.unsaved {
        let id = unsaved.fate.message_id().unwrap_or_default();
        output.complain(format_args!("not recorded: {} is {} {}", unsaved.key, unsaved.fate.as_str(), shown_text(id)));
    }
    if !summary.unsaved.is_empty() {
        keep_unsaved(context, summary);
    }
    let (campaign, mut counts) = (find(context, record, &summary.campaign.name).await?, summary.counts.clone());
    for error in &summary.errors {
        output.remark(format_args!("  {}", shown_text(&refusal_line(error))));
    }
    let paused = match &summary.end {
        End::Paused(why) => Some(campaign.paused.as_deref().or(why.as_deref()).unwrap_or("it was paused")),
        End::Stage { .. } => campaign.paused.as_deref(),
        _ => None,
    };
    print_closing(context, &campaign, &counts, paused, summary.elapsed);
    if counts.unknown > 0 && ask::is_wanted(context, &campaign) {
        ask::about_unknown(context, record, &campaign).await?;
        counts = super::counts(context, record, &campaign).await?;
        output.result(format_args!("  {}", figures(&counts)));
    }
    if let Some(failure) = &failure {
        output.event(&ErrorEvent::new(failure.body()));
        failure.print(output);
        if let End::Page { to: Some(to), .. } = &summary.end {
            output.note(format_args!(
                "  it was the message to {}; if it holds for them alone, `--suppress FILE` leaves them out",
                shown_text(&to.to_string())
            ));
        }
        if counts.pending > 0 {
            output.note(format_args!(
                "  {} untouched: `reattach campaign resume {}` goes on",
                if counts.pending == 1 {
                    "1 message is".into()
                } else {
                    format!("{} messages are", thousands(counts.pending))
                },
                campaign.name
            ));
        }
    }
    output.event(&CampaignEvent::new(&campaign, &counts));
    Ok(match (&failure, &summary.end) {
        (Some(failure), End::Page { .. }) => {
            failure.exit().or_worse(Exit::Credentials).or_worse(exit_by_counts(&campaign, &counts))
        }
        (Some(failure), _) => failure.exit().or_worse(exit_by_counts(&campaign, &counts)),
        (None, End::Interrupted) => Exit::Interrupted,
        _ => ending(context, &campaign, &counts),
    })
}

/// Keeps what the record could not be told where it can be read again.
fn keep_unsaved(context: &Context, summary: &RunSummary) {
    let (output, name) = (&context.output, &summary.campaign.name);
    let (path, kept) = emergency::keep(&std::env::temp_dir(), name, &summary.unsaved, context.clock.now());
    let path = shown(&path);
    match kept {
        Ok(()) => output.complain(format_args!(
            "  kept in {path}: once the record can be written, `reattach campaign settle {name} --echoes {path}`"
        )),
        Err(error) => output.complain(format_args!("  nor could it be kept in {path}: {error}")),
    }
}

/// The lines everybody gets who sent a campaign or looked on.
pub(super) fn print_closing(
    context: &Context,
    campaign: &Campaign,
    counts: &Counts,
    paused: Option<&str>,
    elapsed: Duration,
) {
    let output = &context.output;
    output.result(format_args!(
        "{}: {}  {}",
        output.palette.strong(&campaign.name),
        figures(counts),
        output.palette.faint(format_args!("({:.2} s)", elapsed.as_secs_f64())),
    ));
    output.result(format_args!("  {}", proof(campaign, counts)));
    print_variants(output, counts);
    if let Some(why) = paused {
        output.result(format_args!("  paused: {}", shown_text(why)));
    }
    if counts.unknown > 0 {
        let settle = format!("`reattach campaign settle {}`", campaign.name);
        output.result(format_args!("  {} may have arrived: {settle}", count(counts.unknown, "message")));
    }
}

/// How a run ended, as far as the record tells.
pub(super) fn ending(context: &Context, campaign: &Campaign, counts: &Counts) -> Exit {
    match (State::of(campaign, counts), Pause::of(campaign)) {
        (State::Paused, None) => {
            context.output.note(format_args!(
                "  it ended before everything was sent: `reattach campaign resume {}` goes on",
                campaign.name
            ));
            Exit::TryLater.or_worse(exit_by_counts(campaign, counts))
        }
        (State::Paused, Some(Pause::Refusal)) => Exit::Credentials.or_worse(exit_by_counts(campaign, counts)),
        _ => exit_by_counts(campaign, counts),
    }
}

/// How a command ends whose campaign is at its end, or paused.
fn exit_by_counts(campaign: &Campaign, counts: &Counts) -> Exit {
    match counts {
        Counts { unknown: 1.., .. } => Exit::UnknownOutcome,
        Counts { pending: 1.., .. } if Pause::of(campaign) == Some(Pause::Lost) => Exit::Store,
        Counts { pending: 1.., .. } if Pause::of(campaign) == Some(Pause::ByHand) => Exit::Interrupted,
        Counts { failed: 1.., .. } => Exit::SomeFailed,
        _ if campaign.malformed > 0 => Exit::SomeFailed,
        _ => Exit::Done,
    }
}

/// `551/1545041 × 12: This person isn't available right now. …`
pub(super) fn refusal_line(error: &ErrorCount) -> String {
    let code = match (error.code, error.subcode) {
        (Some(code), Some(subcode)) => format!("{code}/{subcode}"),
        (Some(code), None) => code.to_string(),
        (None, _) => "not sent".to_owned(),
    };
    let meaning = error.entry().map_or(error.message.as_str(), |entry| entry.meaning);
    format!("{code} × {}: {meaning}", thousands(error.count))
}
