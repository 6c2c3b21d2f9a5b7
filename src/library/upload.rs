//! One upload: shared in the process, claimed in the record, its result durable before anyone hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::blocking::blocking;
use crate::graph::{Envelope, FileUpload, GraphError, Hook, Message, SendRequest, Sent, UrlUpload};
use crate::ids::{AssetKey, AttachmentId};
use crate::media::{Follow, Reader};
use crate::record::{Claim, Completed, NewUpload, RecordError, Upload, UploadState, patiently};

use super::errand::Errand;
use super::manager::{AssetLibrary, Via};
use super::plan::{PlanRules, staleness};
use super::single_flight::Flight;
use super::subject::{Candidate, SharedBytes, Subject, WebAddress};
use super::tenure::Tenure;
use super::{AssetOutcome, AssetReport, LibraryError, Progress, Reporter};

/// How long to wait for it without a word.
const WORTH_A_WORD: Duration = Duration::from_secs(5);

/// How long to wait for it at all: longer than any upload takes that is still going on.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// A live id, and who made it.
#[derive(Debug, Clone)]
pub(super) enum Ensured {
    /// This flight uploaded it, with a message where that was the way.
    Uploaded(Upload, Option<Sent>),
    /// Another process had, or was just doing so.
    Found(Upload),
}

/// One upload to be made.
struct Job {
    subject: Subject,
    meter: Arc<Meter>,
    via: Via,
}

impl AssetLibrary {
    /// An upload of this, to be made soon.
    pub(super) fn planned(&self, subject: &Subject) -> Arc<Meter> {
        Arc::new(Meter::planned(Arc::clone(&self.parts.reporter), subject.size_bytes()))
    }

    /// Uploads the subject, unless somebody does so meanwhile. `seen` is what the record held when that was decided.
    pub(super) async fn upload(
        &self,
        subject: Subject,
        seen: Option<Upload>,
        meter: Arc<Meter>,
        via: &Via,
    ) -> AssetReport {
        let (subject, seen) = match self.made(subject, seen).await {
            Ok(made) => made,
            Err(report) => return *report,
        };
        let replaces = seen.is_some();
        let seen = seen.map(|upload| upload.attachment_id);
        let work = || {
            let job = Job { subject: subject.clone(), meter: Arc::clone(&meter), via: via.clone() };
            let (library, seen) = (self.clone(), seen.clone());
            async move { library.ensure(&job, seen.as_ref()).await }
        };
        let ensured = self.flights.run(subject.key().clone(), work).await;
        self.keep_the_time().await;
        match ensured {
            Ok((Ensured::Uploaded(upload, sent), Flight::Flown)) => {
                let outcome = if replaces { AssetOutcome::Refreshed } else { AssetOutcome::Uploaded };
                AssetReport { sent, ..subject.report(outcome).with(Some(upload)) }
            }
            Ok((Ensured::Uploaded(upload, _) | Ensured::Found(upload), _)) => {
                subject.report(AssetOutcome::Reused).with(Some(upload))
            }
            // Nothing was begun, and nothing went wrong.
            Err(error) if matches!(&*error, LibraryError::Graph(GraphError::Stopped { .. })) => {
                AssetReport { error: Some(error), ..subject.report(AssetOutcome::Deferred) }
            }
            Err(error) => {
                let sent =
                    if let LibraryError::NotSaved { sent, .. } = &*error { Some((**sent).clone()) } else { None };
                AssetReport { sent, ..subject.report(AssetOutcome::Failed).because(error) }
            }
        }
    }

    async fn ensure(&self, job: &Job, seen: Option<&AttachmentId>) -> Result<Ensured, LibraryError> {
        let key = job.subject.key();
        let record = &self.parts.record;
        let (begun, mut told) = (Instant::now(), false);
        loop {
            let slot = self.upload_slots.acquire().await;
            let Some(tenure) = Tenure::of(record, key, self.parts.clock.now()).await? else {
                drop(slot);
                if let Some(upload) = self.newer_than(key, seen).await? {
                    return Ok(Ensured::Found(upload));
                }
                self.wait_for_other(&job.subject, begun, &mut told).await?;
                continue;
            };
            let done = self.upload_claimed(job, seen, tenure.claim()).await;
            if matches!(done, Ok(Ensured::Uploaded(..))) {
                tenure.completed();
                return done;
            }
            let released = tenure.release().await;
            if matches!(done, Err(LibraryError::Superseded { .. })) && begun.elapsed() < LONGEST_WAIT {
                // The claim had passed on: whoever has it now brings the id everybody is to use.
                continue;
            }
            return done.and_then(|found| Ok(released.map(|()| found)?));
        }
    }

    /// Waits for the upload another process has claimed, until it is worth asking again.
    async fn wait_for_other(&self, subject: &Subject, begun: Instant, told: &mut bool) -> Result<(), LibraryError> {
        let waited = begun.elapsed();
        if waited >= WORTH_A_WORD && !std::mem::replace(told, true) {
            tracing::warn!(asset = subject.name(), "waiting for another process that is uploading the same");
        }
        let stop = &self.parts.stop;
        if stop.is_requested() || waited >= LONGEST_WAIT {
            return Err(LibraryError::Claimed { asset: subject.name() });
        }
        tokio::select! {
            () = self.parts.record.until_free(subject.key()) => {}
            () = stop.requested() => {}
        }
        Ok(())
    }

    /// The live id that was recorded for `key` since `seen` was.
    pub(super) async fn newer_than(
        &self,
        key: &AssetKey,
        seen: Option<&AttachmentId>,
    ) -> Result<Option<Upload>, LibraryError> {
        Ok(self.stored(key).await?.filter(|upload| self.is_newer(upload, seen)))
    }

    fn is_newer(&self, upload: &Upload, seen: Option<&AttachmentId>) -> bool {
        Some(&upload.attachment_id) != seen && staleness(upload, self.parts.clock.moment(), PlanRules::ALIVE).is_none()
    }

    /// Uploads under a claim, unless somebody else's upload was completed just before it was won. Whatever takes the place
    /// of an id Meta refused is a heal, whoever asked for it.
    async fn upload_claimed(
        &self,
        job: &Job,
        seen: Option<&AttachmentId>,
        claim: &Claim,
    ) -> Result<Ensured, LibraryError> {
        let refused = match self.stored(&claim.key).await? {
            Some(upload) if self.is_newer(&upload, seen) => return Ok(Ensured::Found(upload)),
            Some(upload) if upload.state == UploadState::Rejected => Some(upload.attachment_id),
            _ => None,
        };
        if refused.is_some() {
            self.may_heal(&claim.key, || job.subject.name()).await?;
        }
        let record = &*self.parts.record;
        let errand = match &job.via {
            Via::Upload => None,
            Via::Send { envelope, again } => {
                Some(Errand::begin(record, &claim.key, envelope, *again, || job.subject.name()).await?)
            }
        };
        let ended = self.upload_now(job, claim, refused).await;
        if let Some(errand) = errand
            && let Err(error) = errand.end(record, &ended).await
        {
            tracing::warn!(%error, asset = job.subject.name(), "a message that is over is still on record as one that may arrive");
        }
        ended
    }

    /// Uploads, and records the id, which may take the place of one Meta `refused`.
    async fn upload_now(
        &self,
        job: &Job,
        claim: &Claim,
        refused: Option<AttachmentId>,
    ) -> Result<Ensured, LibraryError> {
        let begun = Instant::now();
        let (attachment_id, sent) = self.transfer(job).await?;
        // The age counts from before the first byte left, so it is never taken for less than it is; and in Meta's time,
        // which may be known only since its answer.
        let uploaded_at = self.parts.clock.now().minus(begun.elapsed());
        let upload = job.subject.uploaded(attachment_id, uploaded_at);
        let kept = self.keep(job, claim, upload).await;
        if let (Ok(Ensured::Uploaded(..)), Some(refused)) = (&kept, refused) {
            self.remember_heal(&claim.key, refused).await;
        }
        let Some(sent) = sent else { return kept };
        // Whatever became of the id, the message is out, and must not be taken for one that is not.
        match kept {
            Ok(Ensured::Uploaded(upload, _) | Ensured::Found(upload)) => Ok(Ensured::Uploaded(upload, Some(sent))),
            Err(cause) => Err(LibraryError::NotSaved {
                asset: job.subject.name(),
                sent: Box::new(sent),
                cause: Some(Arc::new(cause)),
            }),
        }
    }

    /// Records what was uploaded: the id everybody is to use from now on.
    async fn keep(&self, job: &Job, claim: &Claim, upload: NewUpload) -> Result<Ensured, LibraryError> {
        match self.complete(claim, &upload).await? {
            Completed::Stored => {
                let upload = stored(claim.key.clone(), upload);
                self.known.learn(std::iter::once((&claim.key, Some(&upload))), Instant::now()).await;
                Ok(Ensured::Uploaded(upload, None))
            }
            // Our id is an orphan now: everybody is to use the one on record.
            Completed::Superseded => match self.newer_than(&claim.key, Some(&upload.attachment_id)).await? {
                Some(other) => Ok(Ensured::Found(other)),
                None => Err(LibraryError::Superseded { asset: job.subject.name() }),
            },
        }
    }

    /// Records the result. A record that is locked, or a disk that is full, gets a little time: the bytes are uploaded,
    /// and it would be a pity to lose their id.
    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, LibraryError> {
        let record = &self.parts.record;
        let may_pass = |error: &RecordError| matches!(error, RecordError::Locked { .. } | RecordError::Full { .. });
        let completed = patiently(&*self.parts.clock, may_pass, || record.complete(claim, upload)).await;
        completed.map_err(|error| {
            let id = &upload.attachment_id;
            tracing::error!(asset = %claim.key.asset, %id, "uploaded, but the id could not be recorded");
            error.into()
        })
    }

    /// Takes the bytes, or the address, to Meta: the new id, and the receipt where a message carried it.
    async fn transfer(&self, job: &Job) -> Result<(AttachmentId, Option<Sent>), LibraryError> {
        let (graph, page) = (&self.parts.graph, &self.parts.page);
        let sent = match (&job.subject, &job.via) {
            (Subject::File(candidate), Via::Upload) => {
                let (name, bytes) = self.to_send(candidate).await?;
                return Ok((graph.upload_file(page, self.file(candidate, &name, bytes, &job.meter)).await?, None));
            }
            (Subject::Web(WebAddress { url, key }), Via::Upload) => {
                let upload = UrlUpload { platform: key.space.platform, kind: key.kind, url: url.as_str() };
                return Ok((graph.upload_url(page, upload).await?, None));
            }
            (Subject::File(candidate), Via::Send { envelope, .. }) => {
                let (name, bytes) = self.to_send(candidate).await?;
                graph.send_file(page, envelope, self.file(candidate, &name, bytes, &job.meter)).await?
            }
            (Subject::Web(WebAddress { url, key }), Via::Send { envelope, .. }) => {
                let content = Message::saving_url(key.kind, url.as_str()).into();
                graph.send(page, &SendRequest { envelope: Envelope::clone(envelope), content }).await?
            }
        };
        match sent.attachment_id.clone() {
            Some(attachment_id) => Ok((attachment_id, Some(sent))),
            None => Err(LibraryError::NotSaved { asset: job.subject.name(), sent: Box::new(sent), cause: None }),
        }
    }

    /// The file's name and bytes.
    async fn to_send(&self, candidate: &Candidate) -> Result<(String, Bytes), LibraryError> {
        let bytes = match (&candidate.bytes, candidate.shared.as_deref()) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(SharedBytes { reader, bytes })) => {
                bytes.get_or_try_init(|| self.read_again(reader, candidate)).await?.clone()
            }
            (None, None) => self.read_again(&self.parts.upload_reader, candidate).await?,
        };
        Ok((candidate.file_name(), bytes))
    }

    fn file<'a>(
        &self,
        candidate: &'a Candidate,
        filename: &'a str,
        bytes: Bytes,
        meter: &Arc<Meter>,
    ) -> FileUpload<'a> {
        let meter = Arc::clone(meter);
        FileUpload {
            platform: self.space().platform,
            kind: candidate.verdict.kind,
            filename,
            mime: &candidate.verdict.mime,
            bytes,
            progress: Some(Hook::new(move |bytes| meter.reach(bytes))),
        }
    }

    /// The bytes of a file that was only recognised. They must still be the ones its fingerprint stood for.
    async fn read_again(&self, reader: &Arc<Reader>, candidate: &Candidate) -> Result<Bytes, LibraryError> {
        let (reader, path) = (Arc::clone(reader), candidate.path.clone());
        let reporter = Arc::clone(&self.parts.reporter);
        let mut progress = move |bytes| reporter.report(Progress::Read(bytes));
        let read = blocking(move || reader.read(&path, Follow::Named, &mut progress)).await;
        let path = || candidate.path.clone();
        let content = read.map_err(|problem| LibraryError::Unusable { path: path(), problem })?;
        if content.facts.hash == candidate.facts.hash {
            Ok(content.bytes)
        } else {
            Err(LibraryError::Changed { path: path() })
        }
    }
}

/// The upload as it stands on record.
fn stored(key: AssetKey, upload: NewUpload) -> Upload {
    let NewUpload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source } = upload;
    let state = UploadState::Live;
    Upload { key, attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state }
}

/// Reports an upload's bytes so that they add up to its size, however often it is tried.
#[derive(Debug)]
pub(super) struct Meter {
    reporter: Arc<dyn Reporter>,
    size_bytes: u64,
    reported: AtomicU64,
}

impl Meter {
    fn planned(reporter: Arc<dyn Reporter>, size_bytes: u64) -> Self {
        reporter.report(Progress::UploadPlanned(size_bytes));
        Self { reporter, size_bytes, reported: AtomicU64::new(0) }
    }

    /// Takes note that an attempt has come to `bytes`; a second attempt adds nothing until it gets further.
    fn reach(&self, bytes: u64) {
        let bytes = bytes.min(self.size_bytes);
        let before = self.reported.fetch_max(bytes, Ordering::Relaxed);
        if bytes > before {
            self.reporter.report(Progress::UploadSent(bytes - before));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.reach(self.size_bytes);
        self.reporter.report(Progress::UploadFinished);
    }
}
