//! `campaign status` and `campaign list`.

use crate::campaign::{Counts, State, VariantCounts};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, shown_text};
use crate::cli::values::{count, local_time, thousands};
use crate::events::CampaignEvent;
use crate::ids::CampaignName;
use crate::record::Campaign;

use super::{counts, find};

pub(super) async fn status(context: &Context, name: &CampaignName) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, name).await?;
    let counts = counts(context, &*record, &campaign).await?;
    print_status(context, &campaign, &counts);
    context.output.event(&CampaignEvent::new(&campaign, &counts));
    Ok(Exit::Done)
}

pub(super) async fn list(context: &Context) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaigns = record.campaigns(context.clock.now()).await?;
    if campaigns.is_empty() {
        context.output.remark("there are no campaigns yet: `reattach campaign run FILE.toml` sends one");
    }
    for campaign in campaigns {
        let counts = counts(context, &*record, &campaign).await?;
        context.output.event(&CampaignEvent::new(&campaign, &counts));
        context.output.result(format_args!(
            "{:<24} {:<17} {:<10} {}  {}",
            campaign.name,
            campaign.space.page.as_str(),
            campaign.space.platform.as_str(),
            coloured(context, &campaign, &counts),
            figures(&counts),
        ));
    }
    Ok(Exit::Done)
}

/// Where a campaign stands, in a few lines.
pub(super) fn print_status(context: &Context, campaign: &Campaign, counts: &Counts) {
    let output = &context.output;
    let name = output.palette.strong(&campaign.name);
    output.result(format_args!("{name}  {}", coloured(context, campaign, counts).trim_end()));
    output.result(format_args!("  {}", figures(counts)));
    output.result(format_args!("  {}", proof(campaign, counts)));
    print_variants(output, counts);
    if campaign.digest.is_none() {
        output.result("  its plan is not complete: plan it again");
    }
    if let Some(holder) = campaign.holder {
        output.result(format_args!("  process {} has been at it since {}", holder.pid, local_time(holder.since)));
    } else if let Some(why) = campaign.paused.as_deref().filter(|_| counts.pending > 0) {
        output.result(format_args!("  {}", shown_text(why)));
    } else if State::of(campaign, counts) == State::Paused {
        output.result(format_args!("  it ended before all was sent: `reattach campaign resume {}`", campaign.name));
    }
    if counts.unknown > 0 {
        output.result(format_args!(
            "  {} may have arrived: `reattach campaign settle {}`",
            count(counts.unknown, "message"),
            campaign.name
        ));
    }
}

/// What became of each variant: `part 2, variant a: 4,990 sent, 2 failed`.
pub(super) fn print_variants(output: &Output, counts: &Counts) {
    for VariantCounts { part, variant, sent, failed, unknown } in &counts.variants {
        let mut text = format!("{} sent", thousands(*sent));
        for (number, word) in [(*failed, "failed"), (*unknown, "unknown")].into_iter().filter(|(number, _)| *number > 0)
        {
            text = format!("{text}, {} {word}", thousands(number));
        }
        output.result(format_args!("  part {part}, variant {}: {text}", shown_text(variant)));
    }
}

fn coloured(context: &Context, campaign: &Campaign, counts: &Counts) -> String {
    let palette = context.output.palette;
    let state = State::of(campaign, counts);
    let word = format!("{:<14}", state.as_str());
    match state {
        State::Finished | State::Running => palette.good(word),
        State::NeedsSettling | State::Paused => palette.warning(word),
        State::Planned => word,
    }
}

/// `9,990 of 10,000 sent, 3 failed, 7 unknown`.
pub(super) fn figures(counts: &Counts) -> String {
    let mut text = format!("{} of {} sent", thousands(counts.sent), thousands(counts.total));
    let others = [
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.skipped, "skipped"),
        (counts.pending, "to be sent"),
    ];
    for (number, word) in others.into_iter().filter(|(number, _)| *number > 0) {
        text = format!("{text}, {} {word}", thousands(number));
    }
    text
}

/// `1 upload, 10,000 sends by id, 0 by URL`.
pub(super) fn proof(campaign: &Campaign, counts: &Counts) -> String {
    format!(
        "{}, {} by id, {} by URL",
        count(campaign.uploads, "upload"),
        count(counts.sends_by_id, "send"),
        thousands(counts.sends_by_url)
    )
}
