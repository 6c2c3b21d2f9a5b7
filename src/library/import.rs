//! Import: ids from a manifest onto the record, each as what it is. Nothing is asked of Meta, so nothing passes for alive
//! that does not say since when.

mod content;
mod error;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use futures::StreamExt;

use crate::blocking::blocking;
use crate::clock::Timestamp;
use crate::ids::{AliasName, KeySpace};
use crate::record::{Adopted, Alias, AliasTarget, Derivation, Record, Upload, UploadState};

use super::manifest::{BadEntry, Entry};
use super::survey::readers;
use super::{Inspector, LibraryError, UrlQuery};

pub use self::error::ImportError;

/// Entries whose ids are stored together.
const TOGETHER: usize = 500;

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Whose ids are taken.
    pub space: KeySpace,
    /// Where paths are meant from. Files known by their name alone must lie in it.
    pub library: PathBuf,
    /// What the query of a web address means.
    pub url_query: UrlQuery,
    /// Say what would be imported, and import nothing.
    pub dry_run: bool,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is on record now.
    Imported,
    /// A dry run: it would be.
    Planned,
    /// What was on record is at least as good.
    Kept,
    /// It is none of ours, or not what it says.
    Rejected,
    /// What it takes to import it is not there.
    Failed,
}

impl ImportOutcome {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Planned => "planned",
            Self::Kept => "kept",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// What became of an entry, and why.
#[derive(Debug)]
pub struct ImportReport {
    /// What it is called in the manifest.
    pub name: String,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// The id it brought; `None` where it brought none, or it could not be told of what.
    pub upload: Option<Upload>,
    /// The names it brought that stand for it now.
    pub aliases: Vec<AliasName>,
    /// The names it brought that go on standing for something else.
    pub aliases_kept: Vec<AliasName>,
    /// Why it was not imported.
    pub error: Option<ImportError>,
}

/// Counts over all entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts what it is called")]
pub struct ImportSummary {
    pub entries: u64,
    pub imported: u64,
    pub planned: u64,
    pub kept: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Those imported whose age is not known.
    pub unknown_age: u64,
    pub aliases: u64,
    pub aliases_kept: u64,
}

/// Imports the entries, in their order, and hands what became of each to `each`.
///
/// # Errors
/// When the record cannot be read or written. What was handed to `each` by then is on record.
pub async fn import(
    inspector: &Inspector,
    record: &dyn Record,
    entries: Vec<Result<Entry, BadEntry>>,
    options: &ImportOptions,
    now: Timestamp,
    mut each: impl FnMut(&ImportReport),
) -> Result<ImportSummary, LibraryError> {
    let import =
        Arc::new(Import { inspector: inspector.clone(), options: options.clone(), now, files: OnceLock::new() });
    let mut summary = ImportSummary::default();
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        let some: Vec<_> = entries.by_ref().take(TOGETHER).collect();
        let read = futures::stream::iter(some).map(|entry| Arc::clone(&import).read(entry)).buffered(readers());
        for mut report in import.store(record, read.collect().await).await? {
            import.keep_the_rest(record, &mut report).await?;
            summary.add(&report.0);
            each(&report.0);
        }
    }
    Ok(summary)
}

impl ImportSummary {
    fn add(&mut self, report: &ImportReport) {
        self.entries += 1;
        self.aliases += report.aliases.len() as u64;
        self.aliases_kept += report.aliases_kept.len() as u64;
        let is_in = matches!(report.outcome, ImportOutcome::Imported | ImportOutcome::Planned);
        let has_no_age = |upload: &Upload| upload.state == UploadState::UnknownAge;
        self.unknown_age += u64::from(is_in && report.upload.as_ref().is_some_and(has_no_age));
        *match report.outcome {
            ImportOutcome::Imported => &mut self.imported,
            ImportOutcome::Planned => &mut self.planned,
            ImportOutcome::Kept => &mut self.kept,
            ImportOutcome::Rejected => &mut self.rejected,
            ImportOutcome::Failed => &mut self.failed,
        } += 1;
    }
}

/// What an entry brings besides its id.
struct Besides {
    /// What its names are to stand for.
    target: AliasTarget,
    aliases: Vec<AliasName>,
    /// What its bytes were made of, where they are a copy.
    derivation: Option<Derivation>,
}

/// A report, and what the entry brings besides its id.
type Read = (ImportReport, Option<Besides>);

/// One import under way.
struct Import {
    inspector: Inspector,
    options: ImportOptions,
    now: Timestamp,
    /// The files of the library by their bare names, once somebody asked.
    files: OnceLock<HashMap<OsString, Vec<PathBuf>>>,
}

impl Import {
    async fn read(self: Arc<Self>, entry: Result<Entry, BadEntry>) -> Read {
        let (name, read) = match entry {
            Ok(entry) => (entry.name(), blocking(move || self.take(entry)).await),
            Err(BadEntry { name, reason }) => (name, Err(ImportError::Malformed(reason))),
        };
        let report = |outcome, upload, error| ImportReport {
            name,
            outcome,
            upload,
            aliases: Vec::new(),
            aliases_kept: Vec::new(),
            error,
        };
        match read {
            Ok((upload, besides)) => (report(ImportOutcome::Kept, upload, None), Some(besides)),
            Err(error) => {
                let outcome = if error.is_failure() { ImportOutcome::Failed } else { ImportOutcome::Rejected };
                (report(outcome, None, Some(error)), None)
            }
        }
    }

    /// Stores the ids of these reports, or in a dry run finds out what would become of them.
    async fn store(&self, record: &dyn Record, mut reports: Vec<Read>) -> Result<Vec<Read>, LibraryError> {
        let uploads: Vec<_> = reports.iter().filter_map(|(report, _)| report.upload.clone()).collect();
        let adopted = if self.options.dry_run {
            let keys: Vec<_> = uploads.iter().map(|upload| upload.key.clone()).collect();
            let stored = record.find(&keys).await?;
            let is_kept = |(stored, new): (Option<Upload>, &Upload)| stored.is_some_and(|old| !old.gives_way_to(new));
            stored.into_iter().zip(&uploads).map(is_kept).map(adopted_unless).collect()
        } else {
            record.adopt(&uploads).await?
        };
        let with_id = reports.iter_mut().filter(|(report, _)| report.upload.is_some());
        for ((report, _), adopted) in with_id.zip(adopted) {
            report.outcome = match (adopted, self.options.dry_run) {
                (Adopted::Kept, _) => ImportOutcome::Kept,
                (Adopted::Stored, true) => ImportOutcome::Planned,
                (Adopted::Stored, false) => ImportOutcome::Imported,
            };
        }
        Ok(reports)
    }

    /// Keeps what the entry's bytes were made of, unless something else is known of it, and points its names at it. A name
    /// that stands for something else goes on doing so.
    async fn keep_the_rest(&self, record: &dyn Record, (report, besides): &mut Read) -> Result<(), LibraryError> {
        let Some(Besides { target, aliases, derivation }) = besides.take() else { return Ok(()) };
        if let Some(made) = derivation.filter(|_| !self.options.dry_run)
            && record.copies_of(made.source).await?.iter().all(|known| known.rules != made.rules)
        {
            record.remember_derivation(&made, self.now).await?;
        }
        for name in aliases {
            match record.alias(&name).await? {
                Some(known) if known.target.asset == target.asset && known.target.kind == target.kind => {}
                Some(_) => report.aliases_kept.push(name),
                None => {
                    let alias = Alias { name: name.clone(), target: target.clone(), set_at: self.now };
                    if !self.options.dry_run {
                        record.set_alias(&alias).await?;
                    }
                    report.aliases.push(name);
                }
            }
        }
        if report.upload.is_none() && !report.aliases.is_empty() {
            report.outcome = if self.options.dry_run { ImportOutcome::Planned } else { ImportOutcome::Imported };
        }
        Ok(())
    }
}

const fn adopted_unless(is_kept: bool) -> Adopted {
    if is_kept { Adopted::Kept } else { Adopted::Stored }
}
