//! `check`: what the platform would say of every file, without a token and without the network.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::ids::Platform;
use crate::media::fit::extension;
use crate::media::{Problem, ScanOptions, judge, scan};
use crate::stop::Stop;

use super::fitter::{Source, refused};
use super::survey::{Chunk, Inspected, Inspector, readers, survey};
use super::{AssetOutcome, AssetReport, Fitter, LibraryError, Reporter, Summary};

/// How to check.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Which files to look at.
    pub scan: ScanOptions,
    /// Whose limits apply.
    pub platform: Platform,
}

/// Looks at every file under `roots` and hands each report to `each`, in the walk's stable order.
///
/// # Errors
/// When a root does not exist or a pattern cannot be read. What is wrong with single files is in their reports.
pub async fn check(
    inspector: &Inspector,
    roots: &[PathBuf],
    options: &CheckOptions,
    reporter: Arc<dyn Reporter>,
    stop: &Stop,
    mut each: impl FnMut(&AssetReport),
) -> Result<Summary, LibraryError> {
    let started = Instant::now();
    let platform = options.platform;
    let (fitter, wish) = (inspector.fitter.clone(), stop.clone());
    let judge = move |path, seen| judged(path, seen, platform, fitter.as_deref().map(|fitter| (fitter, &wish)));
    let mut files = survey(inspector, scan(roots, &options.scan)?, readers(), &reporter, stop, judge);
    let mut summary = Summary::default();
    let mut waiting = InOrder::default();
    while let Some(chunk) = files.recv().await {
        waiting.add(chunk);
        while let Some(reports) = waiting.next() {
            for report in &reports {
                summary.add(report);
                each(report);
            }
        }
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// The report of one file, or of the copy that would go in its place. Bytes are let go.
fn judged(
    path: PathBuf,
    seen: Result<Inspected, Problem>,
    platform: Platform,
    fitter: Option<(&Fitter, &Stop)>,
) -> AssetReport {
    let Inspected { facts, bytes } = match seen {
        Ok(inspected) => inspected,
        Err(problem) => return refused(path, problem, fitter.map(|(fitter, _)| fitter)),
    };
    let mut verdict = judge(&facts, &path, platform);
    let mut copied = None;
    if let Some((fitter, stop)) = fitter {
        let source = Source { path: &path, facts: &facts, bytes: bytes.as_ref() };
        match fitter.fit(source, &verdict, platform, stop) {
            Ok(Some(copy)) => {
                let copys = judge(&copy.facts(), &path.with_extension(extension(&copy.mime)), platform);
                verdict.problems = copys.problems;
                copied = Some(copy);
            }
            Ok(None) => {}
            Err(problem) => verdict.problems.push(problem),
        }
    }
    let outcome = if verdict.accepted() { AssetOutcome::Ok } else { AssetOutcome::Rejected };
    AssetReport {
        path: Some(path),
        facts: Some(facts),
        media: Some((verdict.kind, verdict.mime)),
        fitted: copied,
        problems: verdict.problems,
        ..AssetReport::bare(outcome)
    }
}

/// Puts chunks back in order. Their places bound how many wait here.
#[derive(Debug, Default)]
struct InOrder {
    next: u64,
    early: BTreeMap<u64, Chunk<AssetReport>>,
}

impl InOrder {
    fn add(&mut self, chunk: Chunk<AssetReport>) {
        self.early.insert(chunk.first, chunk);
    }

    fn next(&mut self) -> Option<Vec<AssetReport>> {
        let chunk = self.early.remove(&self.next)?;
        self.next += chunk.files.len() as u64;
        Some(chunk.files)
    }
}
