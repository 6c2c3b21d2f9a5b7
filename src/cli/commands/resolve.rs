//! `resolve`: print the live attachment id of a file.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::{describe, exit_for};
use crate::cli::events::{AssetEvent, SummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::ids::ContentHash;
use crate::library::{AssetOutcome, AssetRef, AssetReport, Inspector, PlanRules, Summary, UploadOnMiss};
use crate::record::Upload;

/// An id that is printed is good for at least a day.
pub(super) const RULES: PlanRules = PlanRules { renew_within: Duration::from_hours(24), force: false };

/// Reading this much takes less time than opening the cache that would spare it.
const READ_RATHER_THAN_RECALL: u64 = 8 << 20;

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
    let library = context.library(&session, record, inspector_for(context, &references), CONCURRENCY, bars.clone());
    let on_miss = if args.no_upload { UploadOnMiss::Refused } else { UploadOnMiss::Allowed };

    let mut summary = Summary::default();
    let mut halted_by = None;
    let halted = Cell::new(false);
    let mut reports = futures::stream::iter(&references)
        // Nothing new is begun; what is under way comes to its end.
        .take_while(|_| std::future::ready(!halted.get() && !context.stop.is_requested()))
        .map(async |reference| (reference, library.resolve(reference, RULES, on_miss).await))
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
    output.event(&AssetEvent::new(report));
    match live_id(report) {
        Some(upload) if several => {
            output.result(format_args!("{}\t{}", upload.attachment_id, shown_text(&reference.to_string())));
        }
        Some(upload) => output.result(&upload.attachment_id),
        None => output.complain(describe(output.palette, report)),
    }
    output.flush();
}

/// A path that leads nowhere is a mistake in the command, not in a file.
pub(super) fn must_exist(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::Usage {
            message: format!("there is no file {}", path.display()),
            hint: "check the path; it is read from the current folder".into(),
        }),
        _ => Ok(()),
    }
}

/// The id a resolved reference may be sent by.
pub(super) fn live_id(report: &AssetReport) -> Option<&Upload> {
    let live = matches!(report.outcome, AssetOutcome::Reused | AssetOutcome::Uploaded | AssetOutcome::Refreshed);
    report.upload.as_ref().filter(|_| live)
}

/// The digest of what a reference points at, taken from the file's bytes where it is one.
pub(super) async fn hash_of(context: &Context, text: &OsStr) -> Result<ContentHash, Failure> {
    let reference = reference(text)?;
    let inspector = inspector_for(context, std::slice::from_ref(&reference));
    Ok(inspector.hash_of(&reference).await?)
}

/// Reads a reference, as a usage failure where it is none.
pub(super) fn reference(text: &OsStr) -> Result<AssetRef, Failure> {
    AssetRef::parse(text).map_err(|error| Failure::Usage {
        message: error.to_string(),
        hint: "a reference is a path or sha256: with 64 hexadecimal digits".into(),
    })
}

fn inspector_for(context: &Context, references: &[AssetRef]) -> Inspector {
    let size = |reference: &AssetRef| match reference {
        AssetRef::File(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    let total = references.iter().map(size).fold(0, u64::saturating_add);
    if total > READ_RATHER_THAN_RECALL { context.inspector() } else { context.inspector_without_cache() }
}
