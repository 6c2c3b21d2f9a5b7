//! `resolve`: print the live attachment id of a file.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::{describe, exit_for};
use crate::cli::events::{AssetEvent, SummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::library::{AssetRef, AssetReport, LibraryError, ResolveOptions, Summary, UploadOnMiss};
use crate::record::Record;

use super::markers;
use super::references::{RULES, inspector_for, live_id, must_exist, reference};

/// References looked at, or uploaded, at once.
const CONCURRENCY: usize = 4;

pub(super) async fn run(context: &Context, args: ResolveArgs) -> Result<Exit, Failure> {
    if let Some(text) = &args.aliases_in {
        return markers::run(context, &args, text).await;
    }
    let references = args.references.iter().map(|text| reference(text)).collect::<Result<Vec<_>, _>>()?;
    references.iter().try_for_each(|reference| match reference {
        AssetRef::File(path) => must_exist(path),
        _ => Ok(()),
    })?;
    let record = context.record().await?;
    let resolved = resolve_all(context, record, &references, &args, |reference, report| {
        print(context, reference, &report, references.len() > 1);
    })
    .await?;
    resolved.conclude(context)
}

/// What came of several references.
pub(super) struct Resolved {
    pub(super) summary: Summary,
    /// What made going on pointless.
    halted_by: Option<Arc<LibraryError>>,
}

impl Resolved {
    /// Prints the counts, and ends as they say.
    pub(super) fn conclude(self, context: &Context) -> Result<Exit, Failure> {
        context.output.event(&SummaryEvent::new(&self.summary));
        match self.halted_by {
            Some(error) => Err(Failure::of_library(&error)),
            None => Ok(context.ending(exit_for(&self.summary))),
        }
    }
}

/// Resolves the references, a few at a time, and hands what came of each to `each`, in their order.
pub(super) async fn resolve_all(
    context: &Context,
    record: Arc<dyn Record>,
    references: &[AssetRef],
    args: &ResolveArgs,
    mut each: impl FnMut(&AssetRef, AssetReport),
) -> Result<Resolved, Failure> {
    let started = Instant::now();
    let session = context.session(&*record).await?;
    let bars = context.bars();
    let library = context.library(&session, record, inspector_for(context, references), CONCURRENCY, bars.clone());
    let on_miss = if args.no_upload { UploadOnMiss::Refused } else { UploadOnMiss::Allowed };

    let options = ResolveOptions { on_miss, kind: args.kind, ..ResolveOptions::uploading(RULES) };
    let mut resolved = Resolved { summary: Summary::default(), halted_by: None };
    let halted = Cell::new(false);
    let mut reports = futures::stream::iter(references)
        // Nothing new is begun; what is under way comes to its end.
        .take_while(|_| std::future::ready(!halted.get() && !context.stop.is_requested()))
        .map(async |reference| (reference, library.resolve(reference, &options).await))
        .buffered(CONCURRENCY);
    while let Some((reference, report)) = reports.next().await {
        resolved.summary.add(&report);
        if let Some(error) = report.error.as_ref().filter(|error| error.concerns_every_file()) {
            halted.set(true);
            resolved.halted_by.get_or_insert_with(|| Arc::clone(error));
        }
        each(reference, report);
    }
    drop(reports);
    if let Some(bars) = bars {
        bars.end();
    }
    resolved.summary.elapsed = started.elapsed();
    Ok(resolved)
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
