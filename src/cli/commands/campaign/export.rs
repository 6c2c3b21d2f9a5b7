//! `campaign export`: what became of each recipient, as a table or as JSON Lines.

use std::collections::HashMap;

use csv::WriterBuilder;

use crate::cli::args::{LedgerExportArgs, LedgerFormat};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::events::RecipientEvent;
use crate::record::ListedDelivery;

use super::find;

/// How many deliveries are read at once.
const PAGE: usize = 2_000;

const HEADER: [&str; 11] = [
    "campaign",
    "recipient",
    "part",
    "outcome",
    "message_id",
    "code",
    "subcode",
    "reason",
    "at",
    "variant",
    "duplicate_messages",
];

pub(super) async fn run(context: &Context, args: LedgerExportArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, &args.name).await?;
    let usual = if context.output.is_json() { LedgerFormat::Jsonl } else { LedgerFormat::Csv };
    let format = args.format.unwrap_or(usual);
    if format == LedgerFormat::Csv {
        context.output.raw(&line(HEADER.map(ToOwned::to_owned)));
    }
    let duplicates = record.duplicates(campaign.id).await?;
    let duplicates: HashMap<_, _> = duplicates.iter().map(|one| (one.listed.key, one.others.as_slice())).collect();
    let mut last = None;
    while !context.stop.is_requested() {
        let page = record.deliveries(campaign.id, None, last, PAGE).await?;
        let Some(end) = page.last() else { return Ok(Exit::Done) };
        last = Some(end.key);
        for listed in &page {
            let mut event = RecipientEvent::new(&campaign, listed, name_of(listed, args.redact));
            event.duplicate_ids = duplicates.get(&listed.key).copied().unwrap_or_default();
            match format {
                LedgerFormat::Csv => context.output.raw(&line(cells(campaign.name.as_str(), event))),
                LedgerFormat::Jsonl => {
                    let mut text = serde_json::to_vec(&event).unwrap_or_default();
                    text.push(b'\n');
                    context.output.raw(&text);
                }
            }
        }
    }
    Ok(Exit::Interrupted)
}

fn name_of(listed: &ListedDelivery, redact: bool) -> String {
    if redact { format!("#{}", listed.key.seq) } else { listed.recipient.to_string() }
}

fn cells(campaign: &str, event: RecipientEvent) -> [String; 11] {
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let error = event.error.as_ref();
    [
        campaign.to_owned(),
        event.recipient,
        event.part.to_string(),
        event.outcome.to_owned(),
        event.message_id.unwrap_or_default().to_owned(),
        number(error.and_then(|error| error.code)),
        number(error.and_then(|error| error.subcode)),
        error.map(|error| error.message.to_owned()).unwrap_or_default(),
        event.at.map(|at| at.to_string()).unwrap_or_default(),
        event.variant.unwrap_or_default().to_owned(),
        event.duplicate_ids.len().to_string(),
    ]
}

/// A row of a table. No cell can be taken for a formula.
fn line(cells: [String; 11]) -> Vec<u8> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(cells.map(harmless));
    writer.into_inner().unwrap_or_default()
}

/// The cell with a quote before whatever a spreadsheet would reckon with; numbers stay numbers.
fn harmless(cell: String) -> String {
    let dangerous = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<i64>().is_err();
    if dangerous { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=cmd|' /C calc'!A0", "@SUM(1)", "+1 for you", "-a", "\tx"] {
            assert_eq!(harmless(cell.to_owned()), format!("'{cell}"));
        }
        for cell in ["-1", "phone:+1", "", "m_1"] {
            assert_eq!(harmless(cell.to_owned()), cell);
        }
    }
}
