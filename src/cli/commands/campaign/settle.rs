//! `campaign settle`: what may have been sent, and what became of it.

use crate::campaign::Nonce;
use crate::campaign::settle::{Assumption, apply_echoes, apply_not_sent, assume, read_echoes};
use crate::cli::args::{SettleArgs, SettleAssumption};
use crate::cli::config::PageSettings;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::session::Context;
use crate::cli::values::count;
use crate::delivery::State;
use crate::record::{Campaign, Record};

use super::events::{CampaignEvent, RecipientEvent};
use super::show::figures;
use super::{counts, find};

/// How many deliveries are read at once.
const PAGE: usize = 1_000;

pub(super) async fn run(context: &Context, args: SettleArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, &args.name).await?;
    let now = context.clock.now();
    if let Some(path) = &args.echoes {
        let secret = context.settings.page.chosen().ok().map(PageSettings::app_secret).transpose()?.flatten();
        let echoes = read_echoes(path, &campaign.name, secret.as_ref())?;
        for bad in &echoes.bad {
            context.output.complain(format_args!("{}: {}", shown(path), shown_text(&bad.to_string())));
        }
        let settled = apply_echoes(&*record, campaign.id, &echoes.found, now).await?;
        let not_sent = apply_not_sent(&*record, campaign.id, &echoes.not_sent, now).await?;
        context.output.remark(format_args!(
            "{} came back: {} settled as sent{}",
            count(echoes.found.len() as u64, "message"),
            settled,
            if echoes.verified || echoes.found.is_empty() { "" } else { " (signatures were not checked)" }
        ));
        if not_sent > 0 {
            let messages = count(not_sent, "message");
            context.output.remark(format_args!("{messages} had not been sent: the next run sends them"));
        }
    }
    if let Some(what) = args.assume {
        let (assumption, words) = match what {
            SettleAssumption::Sent => (Assumption::Sent, "taken for sent"),
            SettleAssumption::NotSent => (Assumption::NotSent, "taken for not sent: the next run sends them"),
        };
        let settled = assume(&*record, campaign.id, assumption, now).await?;
        context.output.remark(format_args!("{} {words}", count(settled, "message")));
    }
    show_unknown(context, &*record, &campaign).await?;
    let campaign = find(context, &*record, &args.name).await?;
    let counts = counts(context, &*record, &campaign).await?;
    context.output.event(&CampaignEvent::new(&campaign, &counts));
    context.output.result(format_args!("{}: {}", campaign.name, figures(&counts)));
    Ok(if counts.unknown > 0 { Exit::UnknownOutcome } else { Exit::Done })
}

/// Each delivery that may have arrived, with all that is known of it.
async fn show_unknown(context: &Context, record: &dyn Record, campaign: &Campaign) -> Result<(), Failure> {
    let output = &context.output;
    let mut last = None;
    loop {
        let page = record.deliveries(campaign.id, Some(State::Unknown), last, PAGE).await?;
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.key);
        for listed in &page {
            output.event(&RecipientEvent::new(campaign, listed, listed.recipient.to_string()));
            let (key, delivery) = (listed.key, &listed.delivery);
            let nonce = delivery.nonce.map(|random| {
                Nonce { campaign: campaign.name.clone(), key, attempt: delivery.attempt, random }.to_string()
            });
            output.result(format_args!(
                "{} {}  part {}  {}  {}",
                output.palette.warning("? unknown"),
                shown_text(&listed.recipient.to_string()),
                key.part + 1,
                delivery.at,
                output.palette.faint(nonce.unwrap_or_default()),
            ));
            output.result(format_args!("    {}", shown_text(delivery.reason.as_deref().unwrap_or_default())));
        }
    }
}
