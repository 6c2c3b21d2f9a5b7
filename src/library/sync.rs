//! `sync`: every file under some folders ends with a live id, and no byte is sent twice.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::graph::Scope;
use crate::ids::Asset;
use crate::media::{ScanOptions, scan};
use crate::record::Upload;
use crate::stop::Stop;

use super::manager::AssetLibrary;
use super::report::digest_prefix;
use super::subject::{Candidate, Subject};
use super::survey::{Chunk, Place, readers, survey};
use super::upload::Meter;
use super::{AssetOutcome, AssetReport, LibraryError, Plan, PlanRules, Reason, Summary, Via};

/// Chunks whose keys are looked up in the record at a time.
const LOOKUP: usize = 64;

/// So many uploads in a row without a clear word from Meta are no accident.
const OUTAGE: u32 = 8;

/// How to sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Which files to look at.
    pub scan: ScanOptions,
    /// What to renew.
    pub rules: PlanRules,
    /// Say what would be uploaded, and upload nothing.
    pub dry_run: bool,
    /// Leave the rest for later once this many uploads were begun.
    pub max_uploads: Option<u64>,
    /// Leave for later whatever would bring the uploads over this many bytes.
    pub max_bytes: Option<u64>,
    /// How files are uploaded.
    pub via: Via,
}

/// How a sync ended.
#[derive(Debug)]
pub struct Synced {
    /// What became of the files.
    pub summary: Summary,
    /// What made going on pointless, such as a dead token. Files found by then are reported as deferred; others were not
    /// looked for any more.
    pub halted_by: Option<Arc<LibraryError>>,
}

impl AssetLibrary {
    /// Uploads what has no live id under `roots`, reuses the rest, and hands each report to `each` as it is made.
    ///
    /// When `stop` is requested, or an error concerns every file, nothing new is begun; uploads under way are finished
    /// and recorded first.
    ///
    /// # Errors
    /// When a root does not exist or a pattern cannot be read, or the record cannot be asked. What goes wrong with
    /// single files is in their reports.
    pub async fn sync(
        &self,
        roots: &[PathBuf],
        options: &SyncOptions,
        stop: &Stop,
        each: impl FnMut(&AssetReport),
    ) -> Result<Synced, LibraryError> {
        let started = Instant::now();
        let stop = stop.child();
        let _on_every_way_out = stop.on_drop();
        let scan = scan(roots, &options.scan)?;
        let allowance = Allowance::new(options, &stop);
        let (library, runtime, enough) = (self.clone(), Handle::current(), allowance.enough.clone());
        let candidate = move |path, seen| library.surveyed(path, seen, &runtime, &enough);
        let files = survey(&self.parts.inspector, scan, readers(), &self.parts.reporter, &stop, candidate);
        let mut run = Run {
            library: self,
            options,
            stop,
            allowance,
            uploads: JoinSet::new(),
            summary: Summary::default(),
            halted_by: None,
            in_doubt: 0,
            spent: HashMap::new(),
            begun_at: self.parts.clock.now(),
            each,
        };
        let end = run.take_all(files).await;
        while let Some(landed) = run.uploads.join_next().await {
            run.landed(landed);
        }
        end?;
        run.summary.elapsed = started.elapsed();
        Ok(Synced { summary: run.summary, halted_by: run.halted_by })
    }
}

/// A file of the survey: one to decide about, or one that was refused.
type Surveyed = Result<Candidate, Box<AssetReport>>;

/// An upload that was decided on.
struct Planned {
    subject: Subject,
    stored: Option<Upload>,
    place: Place,
    meter: Arc<Meter>,
}

/// One sync under way.
struct Run<'a, F> {
    library: &'a AssetLibrary,
    options: &'a SyncOptions,
    stop: Stop,
    allowance: Allowance,
    uploads: JoinSet<AssetReport>,
    summary: Summary,
    halted_by: Option<Arc<LibraryError>>,
    /// Uploads in a row of which it is not known what Meta did.
    in_doubt: u32,
    /// What went out with a message, or may have, and has no id: the same bytes under another name would go out again.
    spent: HashMap<Asset, Arc<LibraryError>>,
    begun_at: Timestamp,
    each: F,
}

impl<F: FnMut(&AssetReport)> Run<'_, F> {
    async fn take_all(&mut self, mut files: UnboundedReceiver<Chunk<Surveyed>>) -> Result<(), LibraryError> {
        let mut batch = Vec::with_capacity(LOOKUP);
        loop {
            tokio::select! {
                Some(landed) = self.uploads.join_next() => self.landed(landed),
                received = files.recv_many(&mut batch, LOOKUP) => match received {
                    0 => return Ok(()),
                    _ => self.take(std::mem::take(&mut batch)).await?,
                },
            }
        }
    }

    /// Decides about all files of a batch, then uploads those that need it; waits while as many uploads run as may.
    async fn take(&mut self, batch: Vec<Chunk<Surveyed>>) -> Result<(), LibraryError> {
        let mut candidates = Vec::with_capacity(batch.len());
        for Chunk { files, place, .. } in batch {
            for file in files {
                match file {
                    Ok(candidate) => candidates.push((candidate, Arc::clone(&place))),
                    Err(refused) => self.report(&refused),
                }
            }
        }
        let keys: Vec<_> = candidates.iter().map(|(candidate, _)| candidate.key.clone()).collect();
        let stored = self.library.parts.record.find(&keys).await?;
        let mut uploads = Vec::new();
        for ((candidate, place), stored) in candidates.into_iter().zip(stored) {
            if let Some(outcome) = self.decide(&candidate, stored.as_ref()) {
                self.report(&candidate.report(outcome).with(stored));
            } else {
                let subject = Subject::File(candidate);
                uploads.push(Planned { meter: self.library.planned(&subject), subject, stored, place });
            }
        }
        for upload in uploads {
            self.upload(upload).await;
        }
        Ok(())
    }

    /// What becomes of the candidate; `None` when it is to be uploaded.
    fn decide(&mut self, candidate: &Candidate, stored: Option<&Upload>) -> Option<AssetOutcome> {
        let made_just_now = |upload: &Upload| upload.uploaded_at >= self.begun_at;
        match self.library.plan(candidate, stored, self.options.rules) {
            // The same bytes under another name.
            Plan::Refresh(Reason::Forced | Reason::Due) if stored.is_some_and(made_just_now) => {
                Some(AssetOutcome::Reused)
            }
            Plan::Reject => Some(AssetOutcome::Rejected),
            Plan::Reuse => Some(AssetOutcome::Reused),
            Plan::Upload | Plan::Refresh(_) if self.stop.is_requested() => Some(AssetOutcome::Deferred),
            Plan::Upload | Plan::Refresh(_) => match self.allowance.ask(candidate) {
                Allowed::Again if self.options.dry_run => Some(AssetOutcome::Reused),
                Allowed::First if self.options.dry_run => Some(AssetOutcome::Planned),
                Allowed::First | Allowed::Again => None,
                Allowed::Later => Some(AssetOutcome::Deferred),
            },
        }
    }

    /// How many uploads may run at once: messages to one person keep their order.
    fn concurrency(&self) -> usize {
        match self.options.via {
            Via::Upload => self.library.parts.concurrency,
            Via::Send(_) => 1,
        }
    }

    async fn upload(&mut self, Planned { subject, stored, place, meter }: Planned) {
        while self.uploads.len() >= self.concurrency()
            && let Some(landed) = self.uploads.join_next().await
        {
            self.landed(landed);
        }
        // What landed meanwhile may have been the end of it.
        if self.stop.is_requested() {
            self.report(&subject.report(AssetOutcome::Deferred).with(stored));
            return;
        }
        if let Some(error) = self.spent.get(&subject.key().asset) {
            let report = subject.report(AssetOutcome::Failed).with(stored).because(Arc::clone(error));
            self.report(&report);
            return;
        }
        let (library, via) = (self.library.clone(), self.options.via.clone());
        self.uploads.spawn(async move {
            let report = library.upload(subject, stored, meter, &via).await;
            drop(place);
            report
        });
    }

    fn landed(&mut self, landed: Result<AssetReport, tokio::task::JoinError>) {
        let report = landed.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
        self.in_doubt = match &report.error {
            Some(error) if error.is_doubtful() => self.in_doubt + 1,
            _ => 0,
        };
        if let (Some(error), Some(hash)) = (&report.error, report.sent_hash())
            && error.may_have_sent()
        {
            self.spent.insert(Asset::Bytes(hash), Arc::clone(error));
        }
        let nobody_to_send_to = |error: &LibraryError| matches!(error, LibraryError::Graph(error) if error.scope() == Some(Scope::Recipient));
        let hopeless =
            |error: &LibraryError| error.concerns_every_file() || nobody_to_send_to(error) || self.in_doubt >= OUTAGE;
        if let Some(error) = report.error.as_ref().filter(|error| hopeless(error)) {
            self.halted_by.get_or_insert_with(|| Arc::clone(error));
            self.stop.request();
        }
        let is_put_off = report.error.as_ref().is_some_and(|error| error.is_rate_limit());
        let outcome = if is_put_off { AssetOutcome::Deferred } else { report.outcome };
        self.report(&AssetReport { outcome, ..report });
    }

    fn report(&mut self, report: &AssetReport) {
        self.summary.add(report);
        (self.each)(report);
    }
}

/// How much may still be uploaded. The same bytes under another name cost nothing more.
#[derive(Debug)]
struct Allowance {
    uploads_left: u64,
    bytes_left: u64,
    granted: HashSet<u64>,
    /// Requested when no upload is left: nothing more need be made ready for one.
    enough: Stop,
}

#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    /// Its bytes are the first of their kind: upload them.
    First,
    /// Its bytes are being uploaded, or were, under another name.
    Again,
    /// The allowance is spent.
    Later,
}

impl Allowance {
    fn new(options: &SyncOptions, stop: &Stop) -> Self {
        let allowance = Self {
            uploads_left: options.max_uploads.unwrap_or(u64::MAX),
            bytes_left: options.max_bytes.unwrap_or(u64::MAX),
            granted: HashSet::new(),
            enough: stop.child(),
        };
        allowance.mind_the_end();
        allowance
    }

    fn mind_the_end(&self) {
        if self.uploads_left == 0 {
            self.enough.request();
        }
    }

    fn ask(&mut self, candidate: &Candidate) -> Allowed {
        let content = digest_prefix(&candidate.facts);
        if self.granted.contains(&content) {
            return Allowed::Again;
        }
        let size = candidate.facts.size_bytes;
        if self.uploads_left == 0 || size > self.bytes_left {
            return Allowed::Later;
        }
        self.uploads_left -= 1;
        self.bytes_left -= size;
        self.granted.insert(content);
        self.mind_the_end();
        Allowed::First
    }
}
