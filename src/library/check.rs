//! `check`: what the platform would say of every file, without a token and without the network.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use crate::ids::Platform;
use crate::media::{ScanOptions, judge, scan};

use super::survey::{Inspector, Place, Surveyed, survey};
use super::{AssetOutcome, AssetReport, LibraryError, Reporter, Stop, Summary};

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
    let mut files = survey(inspector, scan(roots, &options.scan)?, readers(), &reporter, stop);
    let mut summary = Summary::default();
    let mut waiting = InOrder::default();
    while let Some(file) = files.recv().await {
        let (index, place) = (file.index, Arc::clone(&file.place));
        waiting.add(index, judged(file, options.platform), place);
        while let Some(report) = waiting.next() {
            summary.add(&report);
            each(&report);
        }
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Reading threads: two for each core keep a disk busy while others hash.
pub(super) fn readers() -> usize {
    available_parallelism().map_or(2, |cores| (2 * cores.get()).clamp(2, 16))
}

fn judged(file: Surveyed, platform: Platform) -> AssetReport {
    let facts = match file.seen {
        Ok(inspected) => inspected.facts,
        Err(problem) => return AssetReport::refused(file.path, problem),
    };
    let verdict = judge(&facts, &file.path, platform);
    let outcome = if verdict.accepted() { AssetOutcome::Ok } else { AssetOutcome::Rejected };
    AssetReport {
        path: Some(file.path),
        facts: Some(facts),
        media: Some((verdict.kind, verdict.mime)),
        outcome,
        upload: None,
        problems: verdict.problems,
        error: None,
    }
}

/// Puts numbered reports back in order. Their places bound how many wait here; their bytes are gone already.
#[derive(Debug, Default)]
struct InOrder {
    next: u64,
    early: BTreeMap<u64, (AssetReport, Place)>,
}

impl InOrder {
    fn add(&mut self, index: u64, report: AssetReport, place: Place) {
        self.early.insert(index, (report, place));
    }

    fn next(&mut self) -> Option<AssetReport> {
        let (report, _) = self.early.remove(&self.next)?;
        self.next += 1;
        Some(report)
    }
}
