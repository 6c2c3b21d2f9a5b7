//! `resolve`: print the live attachment id of a file.

use std::cell::Cell;
use std::time::Instant;

use futures::StreamExt;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::{describe, exit_for};
use crate::cli::events::{AssetEvent, SummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::library::{AssetRef, AssetReport, ResolveOptions, Summary, UploadOnMiss};

use super::references::{RULES, inspector_for, live_id, must_exist, reference};

/// References looked at, or uploaded, at once.
const CONCURRENCY: usize = 4;

pub(super) async fn run(context: &Context, args: ResolveArgs) -> Result<Exit, Failure> {
    let started = Instant::now();
    let references = args.references.iter().map(|text| reference(text)).collect::<Result<Vec<_>, _>>()?;
    references.iter().try_for_each(|reference| match reference {
        AssetRef::File(path) => must_exist(path),
        _ => Ok(()),
    })?;
    let record = context.record().await?;
    let session = context.session(&*record).await?;
    let bars = context.bars();
    let inspector = context.fitting(inspector_for(context, &references), args.fit);
    let library = context.library(&session, record, inspector, CONCURRENCY, bars.clone());
    let on_miss = if args.no_upload { UploadOnMiss::Refused } else { UploadOnMiss::Allowed };

    let options = ResolveOptions { on_miss, kind: args.kind, ..ResolveOptions::uploading(RULES) };
    let mut summary = Summary::default();
    let mut halted_by = None;
    let halted = Cell::new(false);
    let mut reports = futures::stream::iter(&references)
        // Nothing new is begun; what is under way comes to its end.
        .take_while(|_| std::future::ready(!halted.get() && !context.stop.is_requested()))
        .map(async |reference| (reference, library.resolve(reference, &options).await))
        .buffered(CONCURRENCY);
    while let Some((reference, report)) = reports.next().await {
        summary.add(&report);
        print(context, reference, &report, references.len() > 1);
        if let Some(error) = report.error.filter(|error| error.concerns_every_file()) {
            halted.set(true);
            halted_by.get_or_insert(error);
        }
    }
    drop(reports);
    if let Some(bars) = bars {
        bars.end();
    }
    summary.elapsed = started.elapsed();
    context.output.event(&SummaryEvent::new(&summary));
    match halted_by {
        Some(error) => Err(Failure::of_library(&error)),
        None => Ok(context.ending(exit_for(&summary))),
    }
}

/// Ids go to stdout, alone where one was asked for; what has none is explained on stderr.
fn print(context: &Context, reference: &AssetRef, report: &AssetReport, several: bool) {
    let output = &context.output;
    output.event(&AssetEvent::new(report).asked_for_as(reference.to_string()));
    match live_id(report) {
        Some(upload) if several => {
            output.result(format_args!("{}\t{}", upload.attachment_id, shown_text(&reference.to_string())));
        }
        Some(upload) => output.result(&upload.attachment_id),
        None => output.complain(describe(output.palette, report)),
    }
    output.flush();
}
