//! One upload: shared in the process, claimed in the record, its result durable before anyone hears of it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;

use crate::graph::{FileUpload, Hook};
use crate::ids::{AssetKey, AttachmentId};
use crate::media::Follow;
use crate::record::{Claim, Claimed, Completed, NewUpload, RecordError, Upload, UploadState};

use super::manager::{AssetLibrary, Candidate, blocking};
use super::plan::{PlanRules, staleness};
use super::single_flight::Flight;
use super::{AssetOutcome, AssetReport, ID_LIFETIME, LibraryError, Progress, Reporter};

/// How often to ask whether another process has finished an upload we wait for.
const POLL: Duration = Duration::from_millis(50);

/// How long to wait for it without a word.
const WORTH_A_WORD: Duration = Duration::from_secs(5);

/// How long to wait for it at all: longer than any upload takes that is still going on.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// A live id, and who made it.
#[derive(Debug, Clone)]
pub(super) enum Ensured {
    /// This flight uploaded the bytes.
    Uploaded(Upload),
    /// Another process had, or was just doing so.
    Found(Upload),
}

impl AssetLibrary {
    /// An upload of this candidate, to be made soon.
    pub(super) fn planned(&self, candidate: &Candidate) -> Arc<Meter> {
        Arc::new(Meter::planned(Arc::clone(&self.parts.reporter), candidate.facts.size_bytes))
    }

    /// Uploads the candidate, unless somebody does so meanwhile. `seen` is what the record held when that was decided.
    pub(super) async fn upload(&self, candidate: Candidate, seen: Option<Upload>, meter: Arc<Meter>) -> AssetReport {
        let replaces = seen.is_some();
        let seen = seen.map(|upload| upload.attachment_id);
        let work = || {
            let (library, candidate, seen, meter) = (self.clone(), candidate.clone(), seen.clone(), Arc::clone(&meter));
            async move { library.ensure(&candidate, seen.as_ref(), &meter).await }
        };
        let ensured = self.flights.run(candidate.key.clone(), work).await;
        match ensured {
            Ok((Ensured::Uploaded(upload), Flight::Flown)) => {
                let outcome = if replaces { AssetOutcome::Refreshed } else { AssetOutcome::Uploaded };
                candidate.report(outcome).with(Some(upload))
            }
            Ok((Ensured::Uploaded(upload) | Ensured::Found(upload), _)) => {
                candidate.report(AssetOutcome::Reused).with(Some(upload))
            }
            Err(error) => candidate.report(AssetOutcome::Failed).because(error),
        }
    }

    async fn ensure(
        &self,
        candidate: &Candidate,
        seen: Option<&AttachmentId>,
        meter: &Arc<Meter>,
    ) -> Result<Ensured, LibraryError> {
        let record = &self.parts.record;
        let mut waited = Duration::ZERO;
        loop {
            let slot = self.upload_slots.acquire().await;
            match record.claim(&candidate.key, self.parts.clock.now()).await? {
                Claimed::Won(claim) => {
                    let work = AssertUnwindSafe(self.upload_claimed(candidate, seen, &claim, meter));
                    let done = work.catch_unwind().await;
                    if matches!(done, Ok(Ok(Ensured::Uploaded(_)))) {
                        return done.unwrap_or_else(|panic| resume_unwind(panic));
                    }
                    // Whatever ended it, the next one who wants these bytes must not wait for this claim.
                    let released = record.release(&claim).await;
                    let done = done.unwrap_or_else(|panic| resume_unwind(panic));
                    return done.and_then(|found| Ok(released.map(|()| found)?));
                }
                Claimed::Held { .. } => {
                    drop(slot);
                    if let Some(upload) = self.newer_than(&candidate.key, seen).await? {
                        return Ok(Ensured::Found(upload));
                    }
                    self.wait_for_other(candidate, &mut waited).await?;
                }
            }
        }
    }

    /// Waits a little for the upload another process has claimed.
    async fn wait_for_other(&self, candidate: &Candidate, waited: &mut Duration) -> Result<(), LibraryError> {
        if *waited == WORTH_A_WORD {
            tracing::warn!(path = ?candidate.path, "waiting for another process that is uploading the same bytes");
        }
        if self.parts.stop.is_requested() || *waited >= LONGEST_WAIT {
            return Err(LibraryError::Claimed { path: candidate.path.clone() });
        }
        self.parts.clock.sleep(POLL).await;
        *waited += POLL;
        Ok(())
    }

    /// The live id that was recorded for `key` since `seen` was.
    async fn newer_than(&self, key: &AssetKey, seen: Option<&AttachmentId>) -> Result<Option<Upload>, LibraryError> {
        const ALIVE: PlanRules = PlanRules { renew_within: Duration::ZERO, force: false };
        let stored = self.parts.record.find(std::slice::from_ref(key)).await?.into_iter().next().flatten();
        let now = self.parts.clock.now();
        Ok(stored.filter(|upload| Some(&upload.attachment_id) != seen && staleness(upload, now, ALIVE).is_none()))
    }

    /// Uploads under a claim, unless somebody else's upload was completed just before it was won.
    async fn upload_claimed(
        &self,
        candidate: &Candidate,
        seen: Option<&AttachmentId>,
        claim: &Claim,
        meter: &Arc<Meter>,
    ) -> Result<Ensured, LibraryError> {
        if let Some(upload) = self.newer_than(&claim.key, seen).await? {
            return Ok(Ensured::Found(upload));
        }
        // The age counts from before the first byte leaves, so it is never taken for less than it is.
        let uploaded_at = self.parts.clock.now();
        let attachment_id = self.transfer(candidate, meter).await?;
        let upload = NewUpload {
            attachment_id,
            uploaded_at,
            expires_at: uploaded_at.plus(ID_LIFETIME),
            size_bytes: candidate.facts.size_bytes,
            mime: candidate.verdict.mime.clone(),
            dimensions: candidate.facts.dimensions,
            source: std::path::absolute(&candidate.path).ok(),
        };
        match self.complete(claim, &upload).await? {
            Completed::Stored => Ok(Ensured::Uploaded(stored(claim.key.clone(), upload))),
            // Our id is an orphan now: everybody is to use the one on record.
            Completed::Superseded => match self.newer_than(&claim.key, Some(&upload.attachment_id)).await? {
                Some(other) => Ok(Ensured::Found(other)),
                None => Err(LibraryError::Superseded { path: candidate.path.clone() }),
            },
        }
    }

    /// Records the result. A record that is locked, or a disk that is full, gets a little time: the bytes are uploaded,
    /// and it would be a pity to lose their id.
    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, LibraryError> {
        const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
        for pause in PAUSES {
            match self.parts.record.complete(claim, upload).await {
                Err(RecordError::Locked { .. } | RecordError::Full { .. }) => self.parts.clock.sleep(pause).await,
                done => return Ok(done?),
            }
        }
        self.parts.record.complete(claim, upload).await.map_err(|error| {
            let id = &upload.attachment_id;
            tracing::error!(hash = %claim.key.hash, %id, "uploaded, but the id could not be recorded");
            error.into()
        })
    }

    async fn transfer(&self, candidate: &Candidate, meter: &Arc<Meter>) -> Result<AttachmentId, LibraryError> {
        let bytes = match &candidate.bytes {
            Some(bytes) => bytes.clone(),
            None => self.read_again(candidate).await?,
        };
        let meter = Arc::clone(meter);
        let upload = FileUpload {
            platform: self.parts.space.platform,
            kind: candidate.verdict.kind,
            filename: &file_name(&candidate.path),
            mime: &candidate.verdict.mime,
            bytes,
            progress: Some(Hook::new(move |bytes| meter.reach(bytes))),
        };
        Ok(self.parts.graph.upload_file(&self.parts.space.page, upload).await?)
    }

    /// The bytes of a file that was only recognised. They must still be the ones its fingerprint stood for.
    async fn read_again(&self, candidate: &Candidate) -> Result<Bytes, LibraryError> {
        let (reader, path) = (Arc::clone(&self.parts.upload_reader), candidate.path.clone());
        let read = blocking(move || reader.read(&path, Follow::Named, &mut |_| {})).await;
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

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned())
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
