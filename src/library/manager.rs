//! `AssetLibrary`: one Page's assets, and the live id of each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::facts::Facts;
use crate::graph::GraphClient;
use crate::ids::{AssetKey, AttachmentId, ContentHash, KeySpace, MediaKind};
use crate::media::{Follow, Problem, Reader, Verdict, judge};
use crate::record::{Record, Upload, UploadFilter};
use crate::stop::Stop;

use super::plan::staleness;
use super::single_flight::SingleFlight;
use super::survey::{Inspected, Inspector, readers};
use super::{AssetOutcome, AssetRef, AssetReport, LibraryError, Plan, PlanRules, Reporter, plan};

/// What an [`AssetLibrary`] is made of.
#[derive(Debug)]
pub struct LibraryParts {
    /// Talks to Meta.
    pub graph: Arc<GraphClient>,
    /// Holds the truth about uploads.
    pub record: Arc<dyn Record>,
    /// Recognises files.
    pub inspector: Inspector,
    /// Reads files again when an upload needs bytes that were only recognised. Its buffers are its own, so that an
    /// upload never waits for memory that is held by files waiting for an upload.
    pub upload_reader: Arc<Reader>,
    /// Whose ids these are.
    pub space: KeySpace,
    /// How many uploads may run at once; at least one.
    pub concurrency: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Once requested, nobody is waited for any more.
    pub stop: Stop,
    /// Hears of progress.
    pub reporter: Arc<dyn Reporter>,
}

/// One Page's library of assets. Clones share everything, single-flight included.
#[derive(Debug, Clone)]
pub struct AssetLibrary {
    pub(super) parts: Arc<LibraryParts>,
    pub(super) upload_slots: Arc<Semaphore>,
    /// How many files may be looked at outside of a survey at once.
    turns: Arc<Semaphore>,
    pub(super) flights: Arc<SingleFlight<AssetKey, super::upload::Ensured, LibraryError>>,
}

/// Whether `resolve` may upload what has no live id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOnMiss {
    /// Upload it.
    Allowed,
    /// Report it missing.
    Refused,
}

/// What a file has to hold to be uploaded.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Whatever it holds: the user named it.
    Anything,
    /// The bytes it was recorded with.
    These(ContentHash),
}

/// A file that was looked at, and the key its id is stored under.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) key: AssetKey,
    pub(super) facts: Facts,
    pub(super) verdict: Verdict,
    pub(super) bytes: Option<Bytes>,
}

impl AssetLibrary {
    /// The library made of these parts.
    pub fn new(parts: LibraryParts) -> Self {
        Self {
            upload_slots: Arc::new(Semaphore::new(parts.concurrency.max(1))),
            turns: Arc::new(Semaphore::new(readers())),
            flights: Arc::new(SingleFlight::new()),
            parts: Arc::new(parts),
        }
    }

    /// Where this library's ids are valid.
    pub fn space(&self) -> &KeySpace {
        &self.parts.space
    }

    /// The report of one reference: its live id, uploaded first where none is known and that is allowed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves an upload that has begun running to its end.
    pub async fn resolve(&self, reference: &AssetRef, rules: PlanRules, on_miss: UploadOnMiss) -> AssetReport {
        match reference {
            AssetRef::File(path) => self.resolve_file(path, Expected::Anything, rules, on_miss).await,
            AssetRef::Hash(hash) => self.resolve_hash(*hash, rules, on_miss).await,
            AssetRef::Alias(alias) => AssetReport::failed(LibraryError::NoSuchAlias { alias: alias.clone() }),
            AssetRef::Url(url) => AssetReport::failed(LibraryError::WebAddress { url: url.to_string() }),
        }
    }

    /// Takes note that Meta refused `attachment_id`, the id of what lies at `path`: it is not used again.
    ///
    /// # Errors
    /// When the file cannot be looked at any more, or the record cannot be written.
    pub async fn reject(&self, path: &Path, attachment_id: &AttachmentId) -> Result<(), LibraryError> {
        match self.look(path, Expected::Anything).await {
            Ok(candidate) => Ok(self.parts.record.reject(&candidate.key, attachment_id).await?),
            Err(_) => Err(LibraryError::Changed { path: path.to_owned() }),
        }
    }

    async fn resolve_file(
        &self,
        path: &Path,
        expected: Expected,
        rules: PlanRules,
        on_miss: UploadOnMiss,
    ) -> AssetReport {
        let candidate = match self.look(path, expected).await {
            Ok(candidate) => candidate,
            Err(report) => return *report,
        };
        let stored = match self.parts.record.find(std::slice::from_ref(&candidate.key)).await {
            Ok(stored) => stored.into_iter().next().flatten(),
            Err(error) => return candidate.report(AssetOutcome::Failed).because(LibraryError::from(error)),
        };
        match (self.plan(&candidate, stored.as_ref(), rules), on_miss) {
            (Plan::Reject, _) => candidate.report(AssetOutcome::Rejected),
            (Plan::Reuse, _) => candidate.report(AssetOutcome::Reused).with(stored),
            (Plan::Upload | Plan::Refresh(_), UploadOnMiss::Refused) => candidate.report(AssetOutcome::Missing),
            (Plan::Upload | Plan::Refresh(_), UploadOnMiss::Allowed) => {
                let meter = self.planned(&candidate);
                self.upload(candidate, stored, meter).await
            }
        }
    }

    /// What lies at `path`, as something to decide about.
    async fn look(&self, path: &Path, expected: Expected) -> Result<Candidate, Box<AssetReport>> {
        let follow = match expected {
            Expected::Anything => Follow::Named,
            Expected::These(_) => Follow::Never,
        };
        let inspected = {
            // Reading waits for memory, on threads the record needs as well: so never on many of them.
            let _turn = self.turns.acquire().await;
            let (inspector, reporter) = (self.parts.inspector.clone(), Arc::clone(&self.parts.reporter));
            let path = path.to_owned();
            blocking(move || inspector.inspect(&path, follow, &*reporter)).await
        };
        let candidate = self.candidate(path.to_owned(), inspected)?;
        match expected {
            Expected::These(hash) if hash != candidate.facts.hash => {
                let changed = LibraryError::Changed { path: path.to_owned() };
                Err(Box::new(candidate.report(AssetOutcome::Failed).because(changed)))
            }
            _ => Ok(candidate),
        }
    }

    async fn resolve_hash(&self, hash: ContentHash, rules: PlanRules, on_miss: UploadOnMiss) -> AssetReport {
        let reference = || format!("sha256:{hash}");
        let stored = match self.recorded(hash, rules).await {
            Ok(Some(stored)) => stored,
            Ok(None) if on_miss == UploadOnMiss::Refused => return AssetReport::missing(),
            Ok(None) => return AssetReport::failed(LibraryError::NotRecorded { reference: reference() }),
            Err(error) => return AssetReport::failed(error),
        };
        if staleness(&stored, self.parts.clock.now(), rules).is_none() {
            return AssetReport::recorded(stored, AssetOutcome::Reused);
        }
        match (&stored.source, on_miss) {
            (_, UploadOnMiss::Refused) => AssetReport::recorded(stored, AssetOutcome::Missing).with(None),
            (None, _) => AssetReport::recorded(stored, AssetOutcome::Failed)
                .because(LibraryError::NoSource { reference: reference() }),
            (Some(path), UploadOnMiss::Allowed) => self.resolve_file(path, Expected::These(hash), rules, on_miss).await,
        }
    }

    /// What is recorded of these bytes here, the live one first where they were sent as several kinds.
    async fn recorded(&self, hash: ContentHash, rules: PlanRules) -> Result<Option<Upload>, LibraryError> {
        let filter =
            UploadFilter { space: Some(self.parts.space.clone()), hash: Some(hash), ..UploadFilter::default() };
        let now = self.parts.clock.now();
        let uploads = self.parts.record.list(&filter, None, MediaKind::ALL.len()).await?;
        Ok(uploads.into_iter().min_by_key(|upload| staleness(upload, now, rules).is_some()))
    }

    /// The file as something to decide about; its report where it could not even be looked at.
    pub(super) fn candidate(
        &self,
        path: PathBuf,
        seen: Result<Inspected, Problem>,
    ) -> Result<Candidate, Box<AssetReport>> {
        match seen {
            Ok(Inspected { facts, bytes }) => {
                let verdict = judge(&facts, &path, self.parts.space.platform);
                let key = AssetKey { space: self.parts.space.clone(), kind: verdict.kind, hash: facts.hash };
                Ok(Candidate { path, key, facts, verdict, bytes })
            }
            Err(problem) => Err(Box::new(AssetReport::refused(path, problem))),
        }
    }

    pub(super) fn plan(&self, candidate: &Candidate, stored: Option<&Upload>, rules: PlanRules) -> Plan {
        plan(&candidate.verdict, stored, self.parts.clock.now(), rules)
    }
}

impl Candidate {
    /// What became of it; its bytes are let go.
    pub(super) fn report(self, outcome: AssetOutcome) -> AssetReport {
        AssetReport {
            path: Some(self.path),
            facts: Some(self.facts),
            media: Some((self.verdict.kind, self.verdict.mime)),
            outcome,
            upload: None,
            problems: self.verdict.problems,
            error: None,
        }
    }
}

/// Runs `work`, which blocks, away from the tasks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Never begun: the runtime is going down, and nobody will hear the answer.
            Err(_) => std::future::pending().await,
        },
    }
}
