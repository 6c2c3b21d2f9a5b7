//! What is about to happen, on one page, and the question whether it shall.

use std::time::Duration;

use crate::campaign::{Permission, Preflight, Stage, Times};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::Session;
use crate::cli::values::{count, human_size, human_span, local_moment, thousands};
use crate::clock::Timestamp;
use crate::graph::SEND_PERMISSION;
use crate::record::Campaign;

use super::show::figures;

/// One page of what is about to happen.
pub(super) fn print_ahead(
    context: &Context,
    session: &Session,
    campaign: &Campaign,
    ahead: &Preflight,
    suppressed: u64,
) {
    let output = &context.output;
    let line = |what: &str, words: String| output.remark(format_args!("  {what:<12} {words}"));
    line("page", format!("{} ({})", shown_text(&session.page.name), session.page.id));
    line(
        "permission",
        match ahead.permission {
            Permission::Granted => SEND_PERMISSION.to_owned(),
            Permission::NotChecked => "not checked: Meta does not tell this token what it may do".to_owned(),
        },
    );
    let mut to = count(ahead.recipients, "recipient");
    let others = [(suppressed, "suppressed"), (ahead.closed_windows, "whose 24 hours are over, left out")];
    for (number, word) in others.into_iter().filter(|(number, _)| *number > 0) {
        to = format!("{to}, {} {word}", thousands(number));
    }
    line("to", to);
    let first = match ahead.stage {
        Stage::Testers => Some("tester"),
        Stage::Canary => Some("recipient"),
        Stage::Everybody => None,
    };
    if let Some(word) = first {
        line("first", format!("{}; then it waits for a yes", count(ahead.stage_recipients, word)));
    }
    for asset in &ahead.assets {
        let size = asset.size_bytes.map_or_else(String::new, |size| format!(", {}", human_size(size)));
        let how = if asset.uploaded { "uploaded just now" } else { "uploaded before" };
        let left = human_span(asset.expires_at.since(context.clock.now()));
        let reference = shown_text(&asset.reference);
        let end = if asset.expires_at < ahead.ends_at { "; it ends first, and is made anew then" } else { "" };
        line("asset", format!("{reference}{size}, {how}: {}, {left} left{end}", asset.attachment_id));
    }
    if campaign.started_at.is_some() && ahead.counts.pending < ahead.counts.total {
        line("so far", figures(&ahead.counts));
    }
    let pace = thousands(ahead.messages_per_second.into());
    if let Some(asked) = ahead.asked_per_second {
        let asked = thousands(asked.into());
        line("pace", format!("{pace} a second: the Page's own limit; the campaign asks for {asked}"));
    }
    let duration = if ahead.duration < Duration::from_secs(1) { "a moment".into() } else { human_span(ahead.duration) };
    line("calls", format!("{}, {pace} a second at most: {duration}", thousands(ahead.calls)));
    for (what, words) in when(ahead, context.clock.now()) {
        line(what, words);
    }
    if ahead.bytes_saved > 0 {
        line("saved", format!("{} that need no upload, sent by id", human_size(ahead.bytes_saved)));
    }
    line("delivery", format!("{}: {}", ahead.delivery.as_str(), ahead.delivery.promise()));
}

/// When it may be sent, as far as there are rules.
fn when(ahead: &Preflight, now: Timestamp) -> Vec<(&'static str, String)> {
    let Times { start_at, expires_at, quiet_hours, timezone } = &ahead.times;
    let mut lines = Vec::new();
    if let Some(start) = start_at.filter(|start| *start > now && ahead.stage != Stage::Testers) {
        lines.push(("begins", format!("{}, in {}", local_moment(start, now), human_span(start.since(now)))));
    }
    if let Some(quiet) = quiet_hours.filter(|_| ahead.stage != Stage::Testers) {
        let zone = shown_text(&timezone.to_string());
        lines.push(("quiet", format!("{quiet} by each recipient's clock; {zone}, where the list does not say")));
    }
    if let Some(end) = expires_at {
        let rest = match (*end <= now, *end < ahead.ends_at) {
            (true, _) => ": it is over, and whoever does not have it is left out",
            (false, true) => ", before everybody has it at that pace: the last are left out",
            (false, false) => "",
        };
        lines.push(("expires", format!("{}{rest}", local_moment(*end, now))));
    }
    lines
}

/// Asks before the first message.
pub(super) async fn confirm(context: &Context, campaign: &Campaign, ahead: &Preflight) -> Result<(), Failure> {
    if ahead.counts.pending == 0 {
        return Ok(());
    }
    let most = ahead.stage_recipients.saturating_mul(u64::from(campaign.parts));
    let messages = count(ahead.counts.pending.min(most), "message");
    let about_to = match ahead.stage {
        Stage::Testers | Stage::Canary => format!("This sends {messages} at most, and then waits for a yes."),
        Stage::Everybody => format!("This sends {messages}."),
    };
    context.confirm(&about_to).await
}
