//! `delivery = "ask"`: what became of each message that may have arrived, asked on the terminal.

use std::io::IsTerminal;

use crate::campaign::settle::{self, Decision};
use crate::campaign::{Guarantee, Settings};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::values::count;
use crate::delivery::State;
use crate::record::{Campaign, Record};

use super::unknown::line;

/// How many deliveries are read at once.
const PAGE: usize = 100;

/// What somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// This one, or this one and all that follow; `None` leaves it unknown.
    Decided { decision: Option<Decision>, for_all: bool },
    /// It was no answer.
    Unclear,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let for_all = text.starts_with(|letter: char| letter.is_ascii_uppercase());
        let decided = |decision| Self::Decided { decision, for_all };
        match text.to_ascii_lowercase().as_str() {
            "s" | "sent" => decided(Some(Decision::Sent)),
            "a" | "again" => decided(Some(Decision::SendAgain)),
            "l" | "leave" => decided(None),
            _ => Self::Unclear,
        }
    }
}

/// Whether this campaign wants its doubts decided by somebody, and there is somebody to decide.
pub(super) fn is_wanted(context: &Context, campaign: &Campaign) -> bool {
    let asks = Settings::of(campaign).is_ok_and(|settings| settings.delivery == Guarantee::Ask);
    asks && !context.global.yes && !context.stop.is_requested() && std::io::stdin().is_terminal()
}

/// Asks about everything that is unknown, and does as is said; an end of input leaves the rest.
pub(super) async fn about_unknown(context: &Context, record: &dyn Record, campaign: &Campaign) -> Result<(), Failure> {
    let output = &context.output;
    let (mut after, mut for_all, mut sent, mut again) = (None, None, 0, 0);
    output.flush();
    'asking: loop {
        let page = record.deliveries(campaign.id, Some(State::Unknown), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for listed in &page {
            let decision = if let Some(decided) = for_all {
                decided
            } else {
                output.complain(line(context, campaign, listed));
                output.complain(format_args!(
                    "    {}",
                    shown_text(listed.delivery.reason.as_deref().unwrap_or_default())
                ));
                let Some((decision, all)) = ask(context).await else { break 'asking };
                for_all = all.then_some(decision);
                decision
            };
            let Some(decision) = decision else { continue };
            settle::decide(record, campaign.id, listed.key, decision, context.clock.now()).await?;
            match decision {
                Decision::Sent => sent += 1,
                Decision::SendAgain => again += 1,
            }
        }
    }
    if sent > 0 {
        output.remark(format_args!("  {} taken for sent", count(sent, "message")));
    }
    if again > 0 {
        let resume = format!("`reattach campaign resume {}` sends", campaign.name);
        output.remark(format_args!("  {} to be sent again: {resume} {}", count(again, "message"), them(again)));
    }
    Ok(())
}

fn them(number: u64) -> &'static str {
    if number == 1 { "it" } else { "them" }
}

/// The answer, once there is one, and whether it holds for all that follow; `None` where there will be none.
async fn ask(context: &Context) -> Option<(Option<Decision>, bool)> {
    loop {
        let text = context.ask("    sent, send again, or leave it? [s/a/l; S/A/L for all that follow] ").await?;
        if let Answer::Decided { decision, for_all } = Answer::parse(text.trim()) {
            return Some((decision, for_all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capital_answers_for_all_that_follow() {
        let decided = |decision, for_all| Answer::Decided { decision, for_all };
        assert_eq!(Answer::parse("s"), decided(Some(Decision::Sent), false));
        assert_eq!(Answer::parse("Again"), decided(Some(Decision::SendAgain), true));
        assert_eq!(Answer::parse("L"), decided(None, true));
        for none in ["", "y", "sa", "?"] {
            assert_eq!(Answer::parse(none), Answer::Unclear, "{none}");
        }
    }
}
