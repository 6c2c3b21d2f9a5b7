//! What may have arrived, for people to look at: why first, then who.

use crate::campaign::Nonce;
use crate::campaign::settle::reasons;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::values::{count, human_span, thousands};
use crate::delivery::State;
use crate::record::{Campaign, ListedDelivery, Record};

use crate::events::RecipientEvent;

/// How many deliveries are read at once.
const PAGE: usize = 1_000;
/// How many are shown one by one, unless all are asked for.
const SHOWN: usize = 20;
/// How long two questions about a conversation take.
const ASKED_IN: std::time::Duration = std::time::Duration::from_secs(1);

/// Shows why deliveries are unknown, who they are to, and what can be done about it; nothing where there are none.
pub(super) async fn show_unknown(context: &Context, record: &dyn Record, campaign: &Campaign) -> Result<(), Failure> {
    let output = &context.output;
    let reasons = reasons(record, campaign.id).await?;
    let total: u64 = reasons.iter().map(|(_, number)| number).sum();
    if total == 0 {
        return Ok(());
    }
    output.result(format_args!("{} may have arrived:", output.palette.strong(count(total, "message"))));
    for (reason, number) in &reasons {
        output.result(format_args!("  {:>6}  {}", thousands(*number), shown_text(reason)));
    }
    let (mut after, mut shown) = (None, 0);
    // People need not see all of them; programs do.
    while output.is_json() || output.is_verbose() || shown < SHOWN {
        let page = record.deliveries(campaign.id, Some(State::Unknown), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for listed in &page {
            output.event(&RecipientEvent::new(campaign, listed, listed.recipient.to_string()));
            if output.is_verbose() || shown < SHOWN {
                output.result(line(context, campaign, listed));
            }
            shown += 1;
        }
    }
    let hidden = total.saturating_sub(SHOWN as u64);
    if hidden > 0 && !output.is_verbose() {
        output.result(format_args!("  … and {} more: -v shows all", thousands(hidden)));
    }
    let asked_in = human_span(ASKED_IN * u32::try_from(total).unwrap_or(u32::MAX));
    let name = &campaign.name;
    for (what, why) in [
        ("--echoes FILE.jsonl", "proves what arrived, by your webhooks".to_owned()),
        ("--from-conversations", format!("asks Meta, which takes {asked_in}, and infers the rest")),
        ("--assume sent|not-sent", "takes your word for all that is left".to_owned()),
    ] {
        output.remark(format_args!("  `reattach campaign settle {name} {what}` {why}"));
    }
    Ok(())
}

/// One of them: who, which part, when, how often, and what an echo of it would bear.
pub(super) fn line(context: &Context, campaign: &Campaign, listed: &ListedDelivery) -> String {
    let ListedDelivery { key, recipient, delivery } = listed;
    let palette = context.output.palette;
    let nonce = delivery.nonce.map(|random| {
        Nonce { campaign: campaign.name.clone(), key: *key, attempt: delivery.attempt, random }.to_string()
    });
    let times = if delivery.attempt > 1 { format!("  tried {} times", delivery.attempt) } else { String::new() };
    format!(
        "{} {}  part {}  {}{times}  {}",
        palette.warning("? unknown"),
        shown_text(&recipient.to_string()),
        key.part + 1,
        delivery.at,
        palette.faint(nonce.unwrap_or_default()),
    )
}
