//! What the library tells the outside: progress while it works, one report for each file, one summary at the end.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::facts::Facts;
use crate::graph::Sent;
use crate::ids::{AttachmentId, ContentHash, MediaKind, WebUrl};
use crate::media::{Problem, Severity};
use crate::record::{Derivation, Upload};

use super::LibraryError;
use super::contents::Contents;

/// Something that moved. Numbers are always what was added, never totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many more files will be looked at.
    Found(u64),
    /// One of them was.
    Inspected,
    /// So many bytes of files were read.
    Read(u64),
    /// One more file of so many bytes will be uploaded.
    UploadPlanned(u64),
    /// So many bytes of planned uploads are done with: handed to the network, or not needed, or given up.
    UploadSent(u64),
    /// One upload came to its end, well or badly.
    UploadFinished,
}

/// Hears of progress. Called from many threads, often: it must be quick and never block.
pub trait Reporter: fmt::Debug + Send + Sync {
    /// Takes note of one movement.
    fn report(&self, progress: Progress);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReport;

impl Reporter for NoReport {
    fn report(&self, _: Progress) {}
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetOutcome {
    /// `check`: the platform takes it.
    Ok,
    /// The platform would refuse it; nothing was sent.
    Rejected,
    /// Its bytes were uploaded.
    Uploaded,
    /// Its id was known and alive.
    Reused,
    /// Its id was replaced by a new upload.
    Refreshed,
    /// A dry run: it would be uploaded.
    Planned,
    /// Left for later by `--max-uploads`, `--max-bytes`, an interruption, or a Page that cannot go on.
    Deferred,
    /// `resolve --no-upload`: no live id is known.
    Missing,
    /// Something went wrong.
    Failed,
}

impl AssetOutcome {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Uploaded => "uploaded",
            Self::Reused => "reused",
            Self::Refreshed => "refreshed",
            Self::Planned => "planned",
            Self::Deferred => "deferred",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }
}

/// What became of one file, and everything known of it.
#[derive(Debug, Clone)]
pub struct AssetReport {
    /// Where the file lies; `None` for a web address, and for bytes named by their digest whose file is not known.
    pub path: Option<PathBuf>,
    /// The web address, of an asset Meta fetches.
    pub url: Option<WebUrl>,
    /// What its bytes say; `None` when they could not be read.
    pub facts: Option<Facts>,
    /// The kind it is sent as, and its media type; `None` when its bytes could not be read.
    pub media: Option<(MediaKind, Cow<'static, str>)>,
    /// The copy that goes in its place, where one does. All the above is of the file itself.
    pub fitted: Option<Derivation>,
    /// What became of it.
    pub outcome: AssetOutcome,
    /// What is on record of it, if anything. Of what was put off or failed that may be over: what it can be sent by is its
    /// [`live_upload`](AssetReport::live_upload).
    pub upload: Option<Upload>,
    /// What the platform would say of it.
    pub problems: Vec<Problem>,
    /// Meta's receipt, where it was uploaded with a message.
    pub sent: Option<Sent>,
    /// Why it failed or was put off, when it was.
    pub error: Option<Arc<LibraryError>>,
}

impl AssetReport {
    /// The id it can be sent by.
    ///
    /// # Errors
    /// Why it has none: what went wrong, or what the platform would refuse it for, or `NoLiveId`, where it was only looked
    /// for, or put off.
    pub fn into_id(self) -> Result<AttachmentId, Arc<LibraryError>> {
        let Some(upload) = self.live_upload() else {
            let name = self.name();
            return Err(self.reason(|| name));
        };
        Ok(upload.attachment_id.clone())
    }

    /// What is on record of the id it can be sent by; `None` where it has none that is known to be alive.
    pub fn live_upload(&self) -> Option<&Upload> {
        let is_live = matches!(self.outcome, AssetOutcome::Reused | AssetOutcome::Uploaded | AssetOutcome::Refreshed);
        self.upload.as_ref().filter(|_| is_live)
    }

    /// Why it has no id; `written` is what it was asked for as.
    pub(crate) fn reason(self, written: impl FnOnce() -> String) -> Arc<LibraryError> {
        self.error.unwrap_or_else(|| {
            Arc::new(match self.problems.into_iter().find(|problem| problem.severity == Severity::Error) {
                Some(problem) => {
                    LibraryError::Unusable { path: self.path.unwrap_or_else(|| PathBuf::from(written())), problem }
                }
                None => LibraryError::NoLiveId { reference: written() },
            })
        })
    }

    /// What names it where nobody says what it was asked for as.
    fn name(&self) -> String {
        let file = self.path.as_ref().map(|path| path.display().to_string());
        let address = || self.url.as_ref().map(ToString::to_string);
        let digest = || self.facts.as_ref().map(|facts| format!("sha256:{}", facts.hash));
        file.or_else(address).or_else(digest).unwrap_or_else(|| "the asset".to_owned())
    }

    /// Its size in bytes, where that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        let recorded = || self.upload.as_ref().and_then(Upload::known_size);
        let refused = || self.problems.iter().find_map(|problem| problem.size_bytes);
        self.facts.as_ref().map(|facts| facts.size_bytes).or_else(recorded).or_else(refused)
    }

    /// How many bytes of it are sent: those of the copy, where one goes in its place.
    pub fn sent_bytes(&self) -> Option<u64> {
        self.fitted.as_ref().map(|copy| copy.size_bytes).or_else(|| self.size_bytes())
    }

    /// SHA-256 of what is sent of it.
    pub(super) fn sent_hash(&self) -> Option<ContentHash> {
        let own = || self.facts.as_ref().map(|facts| facts.hash);
        self.fitted.as_ref().map(|copy| copy.result).or_else(own)
    }

    /// A file that was refused before its bytes could be judged.
    pub(super) fn refused(path: PathBuf, problem: Problem) -> Self {
        Self { path: Some(path), problems: vec![problem], ..Self::bare(AssetOutcome::Rejected) }
    }

    /// A reference that led nowhere.
    pub(super) fn failed(error: LibraryError) -> Self {
        Self::bare(AssetOutcome::Failed).because(error)
    }

    /// A digest of which nothing is known.
    pub(super) fn missing() -> Self {
        Self::bare(AssetOutcome::Missing)
    }

    /// What is known from the record alone.
    pub(super) fn recorded(upload: Upload, outcome: AssetOutcome) -> Self {
        let facts = upload.key.asset.hash().map(|hash| Facts {
            hash,
            size_bytes: upload.size_bytes,
            mime: Some(upload.mime.clone().into()),
            dimensions: upload.dimensions,
            damage: None,
        });
        let (path, url) = (upload.source.clone(), upload.key.asset.url().cloned());
        let media = Some((upload.key.kind, upload.mime.clone().into()));
        Self { path, url, facts, media, ..Self::bare(outcome).with(Some(upload)) }
    }

    /// The same, with the id on record.
    #[must_use]
    pub(super) fn with(self, upload: Option<Upload>) -> Self {
        Self { upload, ..self }
    }

    /// The same, failed for this reason.
    #[must_use]
    pub(super) fn because(self, error: impl Into<Arc<LibraryError>>) -> Self {
        Self { outcome: AssetOutcome::Failed, error: Some(error.into()), ..self }
    }

    pub(super) fn bare(outcome: AssetOutcome) -> Self {
        Self {
            path: None,
            url: None,
            facts: None,
            media: None,
            fitted: None,
            outcome,
            upload: None,
            problems: Vec::new(),
            sent: None,
            error: None,
        }
    }
}

/// Counts over many files. `bytes_saved` is what reuse did not send again.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Files looked at.
    pub files: u64,
    /// Files the platform takes (`check`).
    pub ok: u64,
    /// Files by what became of them.
    pub uploaded: u64,
    /// Reused ids.
    pub reused: u64,
    /// Replaced ids.
    pub refreshed: u64,
    /// Uploads a dry run would make.
    pub planned: u64,
    /// Files the platform would refuse.
    pub rejected: u64,
    /// Files left for later.
    pub deferred: u64,
    /// References without a live id.
    pub missing: u64,
    /// Files something went wrong with.
    pub failed: u64,
    /// Those of them whose message was sent or not: nobody knows.
    pub unknown: u64,
    /// Those of them that a moment's trouble kept, and that may go later.
    pub momentary: u64,
    /// Files with at least one warning.
    pub warned: u64,
    /// Bytes of all files whose size is known.
    pub bytes: u64,
    /// Bytes uploaded.
    pub bytes_uploaded: u64,
    /// Bytes that reuse did not send again.
    pub bytes_saved: u64,
    /// How long it took.
    pub elapsed: Duration,
    contents: Contents,
}

impl Summary {
    /// Counts one report.
    pub fn add(&mut self, report: &AssetReport) {
        let size = report.size_bytes().unwrap_or(0);
        let sent = report.sent_bytes().unwrap_or(0);
        self.files += 1;
        self.bytes += size;
        if let Some(facts) = &report.facts {
            self.contents.add(&facts.hash);
        }
        if report.problems.iter().any(|problem| problem.severity == Severity::Warning) {
            self.warned += 1;
        }
        self.unknown += u64::from(report.error.as_ref().is_some_and(|error| error.is_unknown_send()));
        if report.outcome == AssetOutcome::Failed {
            self.momentary += u64::from(report.error.as_ref().is_some_and(|error| error.is_momentary()));
        }
        *self.counter(report.outcome) += 1;
        match report.outcome {
            AssetOutcome::Uploaded | AssetOutcome::Refreshed => self.bytes_uploaded += sent,
            AssetOutcome::Reused => self.bytes_saved += sent,
            _ => {}
        }
    }

    /// Several Pages' counts of the same files as one: each file counts once, and what became of it once for each Page.
    pub fn total<'a>(pages: impl IntoIterator<Item = &'a Self>) -> Self {
        pages.into_iter().fold(Self::default(), |total, page| Self {
            files: total.files.max(page.files),
            ok: total.ok + page.ok,
            uploaded: total.uploaded + page.uploaded,
            reused: total.reused + page.reused,
            refreshed: total.refreshed + page.refreshed,
            planned: total.planned + page.planned,
            rejected: total.rejected + page.rejected,
            deferred: total.deferred + page.deferred,
            missing: total.missing + page.missing,
            failed: total.failed + page.failed,
            unknown: total.unknown + page.unknown,
            momentary: total.momentary + page.momentary,
            warned: total.warned.max(page.warned),
            bytes: total.bytes.max(page.bytes),
            bytes_uploaded: total.bytes_uploaded + page.bytes_uploaded,
            bytes_saved: total.bytes_saved + page.bytes_saved,
            elapsed: total.elapsed.max(page.elapsed),
            contents: if total.unique() < page.unique() { page.contents.clone() } else { total.contents },
        })
    }

    /// How many different contents were seen.
    pub fn unique(&self) -> u64 {
        self.contents.count()
    }

    fn counter(&mut self, outcome: AssetOutcome) -> &mut u64 {
        match outcome {
            AssetOutcome::Ok => &mut self.ok,
            AssetOutcome::Rejected => &mut self.rejected,
            AssetOutcome::Uploaded => &mut self.uploaded,
            AssetOutcome::Reused => &mut self.reused,
            AssetOutcome::Refreshed => &mut self.refreshed,
            AssetOutcome::Planned => &mut self.planned,
            AssetOutcome::Deferred => &mut self.deferred,
            AssetOutcome::Missing => &mut self.missing,
            AssetOutcome::Failed => &mut self.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::graph::{Failure, GraphError, Operation};
    use crate::ids::{Asset, AssetKey, KeySpace, Origin, Platform};
    use crate::record::UploadState;

    #[test]
    fn a_report_gives_its_live_id_or_says_why_there_is_none() {
        let uploaded_at = Timestamp::from_unix_millis(0);
        let upload = Upload {
            key: AssetKey {
                space: KeySpace {
                    origin: Origin::GRAPH.parse().expect("an origin"),
                    page: "1".parse().expect("a Page"),
                    platform: Platform::Messenger,
                },
                kind: MediaKind::Image,
                asset: Asset::Bytes(ContentHash([7; 32])),
            },
            attachment_id: "11".parse().expect("an id"),
            uploaded_at,
            expires_at: uploaded_at,
            size_bytes: 4,
            mime: "image/png".to_owned(),
            dimensions: None,
            source: Some("hero.png".into()),
            state: UploadState::Live,
        };
        let recorded = |outcome| AssetReport::recorded(upload.clone(), outcome);
        for outcome in [AssetOutcome::Reused, AssetOutcome::Uploaded, AssetOutcome::Refreshed] {
            assert_eq!(recorded(outcome).into_id().expect("alive"), upload.attachment_id);
        }
        let why_not = |report: AssetReport| report.into_id().expect_err("not known to be alive");
        let ours = Arc::new(LibraryError::Changed { path: "hero.png".into() });
        let failed = recorded(AssetOutcome::Uploaded).because(Arc::clone(&ours));
        assert!(Arc::ptr_eq(&why_not(failed), &ours));
        for outcome in [AssetOutcome::Deferred, AssetOutcome::Planned, AssetOutcome::Missing, AssetOutcome::Ok] {
            let said = why_not(recorded(outcome)).to_string();
            assert_eq!(said, "hero.png has no id that is known to be alive");
        }
    }

    #[test]
    fn what_failed_for_a_moment_is_counted_apart() {
        let failure = Failure::Unreadable { http_status: 502, excerpt: String::new() };
        let busy = |operation| LibraryError::Graph(GraphError::Unknown { operation, failure: failure.clone() });
        let mut summary = Summary::default();
        let referred = LibraryError::Reference { reference: "a.png".into(), cause: Arc::new(busy(Operation::Upload)) };
        for error in [busy(Operation::Upload), referred, busy(Operation::Send), LibraryError::NoPage] {
            summary.add(&AssetReport::failed(error));
        }
        summary.add(&AssetReport { outcome: AssetOutcome::Deferred, ..AssetReport::failed(busy(Operation::Upload)) });
        assert_eq!((summary.failed, summary.momentary, summary.unknown), (4, 2, 1));
        assert_eq!(Summary::total([&summary, &summary]).momentary, 4);
    }
}
