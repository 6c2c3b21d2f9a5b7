//! `resolve`: print the live attachment id of a file.

use std::cell::Cell;
use std::time::Instant;

use futures::StreamExt;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::{describe_asked, print_summary_event};
use crate::cli::context::{Context, WhenAway};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::events::{AssetEvent, PageOf};
use crate::library::{
    AssetOutcome, AssetRef, AssetReport, LibraryError, PlanRules, ResolveOptions, Synced, UploadOnMiss,
};
use crate::media::ProblemCode;

use super::crew::Crew;
use super::markers;
use super::references::{inspector_for, must_exist, reference};

/// References looked at, or uploaded, at once.
const CONCURRENCY: usize = 4;

pub(super) async fn run(context: &Context, args: ResolveArgs) -> Result<Exit, Failure> {
    if let Some(text) = &args.aliases_in {
        return markers::run(context, &args, text).await;
    }
    let references = args.references.iter().map(|text| reference(text)).collect::<Result<Vec<_>, _>>()?;
    // Of several, the others may be there.
    if let [AssetRef::File(path)] = &references[..] {
        must_exist(path)?;
    }
    let several = references.len() > 1;
    resolve_all(context, &references, &args, |reference, page, report| print(context, reference, report, several, page))
        .await
}

/// Resolves the references on every Page asked for, a few at a time, and hands what came of each to `each`, in their
/// order; then prints the counts, and ends as they say.
pub(super) async fn resolve_all(
    context: &Context,
    references: &[AssetRef],
    args: &ResolveArgs,
    mut each: impl FnMut(&AssetRef, Option<&PageOf>, &AssetReport),
) -> Result<Exit, Failure> {
    let started = Instant::now();
    // The cache also holds what a record that is elsewhere last said.
    let is_elsewhere = context.settings.server.is_some();
    let inspector = || if is_elsewhere { context.inspector() } else { inspector_for(context, references) };
    let inspector = || context.fitting(inspector(), args.fit);
    let crew = Crew::gather(context, inspector, CONCURRENCY, WhenAway::GoByWhatIsKnown).await?;
    let on_miss = if args.no_upload { UploadOnMiss::Refused } else { UploadOnMiss::Allowed };
    let options = ResolveOptions {
        on_miss,
        kind: args.kind,
        ..ResolveOptions::uploading(PlanRules::HANDED_OUT).from_what_is_known()
    };

    let mut pages: Vec<Synced> = crew.libraries.iter().map(|_| Synced::default()).collect();
    let halted: Vec<_> = crew.libraries.iter().map(|_| Cell::new(false)).collect();
    let asked = references.iter().flat_map(|reference| (0..crew.libraries.len()).map(move |page| (reference, page)));
    let mut reports = futures::stream::iter(asked)
        // Nothing new is begun; what is under way comes to its end.
        .filter(|(_, page)| std::future::ready(!halted[*page].get() && !context.stop.is_requested()))
        .map(async |(reference, page)| {
            let report = crew.libraries[page].resolve(reference, &options).await;
            (reference, page, failed_if_nowhere(reference, report))
        })
        .buffered(CONCURRENCY);
    while let Some((reference, page, report)) = reports.next().await {
        pages[page].summary.add(&report);
        each(reference, crew.page(page), &report);
        let Some(error) = report.error else { continue };
        if error.concerns_every_file() {
            halted[page].set(true);
            pages[page].halted_by.get_or_insert(error);
        } else if matches!(*error, LibraryError::NotKnown { .. }) {
            // Others may be known.
            pages[page].halted_by.get_or_insert(error);
        }
    }
    drop(reports);
    for page in &mut pages {
        page.summary.elapsed = started.elapsed();
    }
    // The ids are the answer: people need no counts.
    crew.close(pages, print_summary_event)
}

/// The platform has nothing against a path that leads nowhere: it fails, as a name does that nobody gave.
fn failed_if_nowhere(reference: &AssetRef, report: AssetReport) -> AssetReport {
    let leads_nowhere = report.problems.iter().any(|problem| problem.code == ProblemCode::Vanished);
    match reference {
        AssetRef::File(_) if leads_nowhere => AssetReport { outcome: AssetOutcome::Failed, ..report },
        _ => report,
    }
}

/// Ids go to stdout, alone where one was asked for; what has none is explained on stderr.
fn print(context: &Context, reference: &AssetRef, report: &AssetReport, several: bool, page: Option<&PageOf>) {
    let output = &context.output;
    let event = AssetEvent::new(report).asked_for_as(reference.to_string());
    match page {
        Some(page) => output.event(&event.of_page(page)),
        None => output.event(&event),
    }
    let written = || shown_text(&reference.to_string());
    match (report.live_upload(), page) {
        (Some(upload), Some(page)) => {
            output.result(format_args!("{}\t{}\t{}", upload.attachment_id, shown_text(&page.name), written()));
        }
        (Some(upload), None) if several => output.result(format_args!("{}\t{}", upload.attachment_id, written())),
        (Some(upload), None) => output.result(&upload.attachment_id),
        (None, page) => output.complain(describe_asked(output.palette, &reference.to_string(), report, page)),
    }
    output.flush();
}
