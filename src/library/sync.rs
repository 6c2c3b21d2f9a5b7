//! `sync`: every file under some folders ends with a live id, and no byte is sent twice.
//!
//! What has no live id is uploaded as it is found. What has one, and is only to be renewed, waits until all files were
//! seen, and is then renewed in the order in which ids end: an allowance that does not last for all is spent where it is
//! needed most.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::Timestamp;
use crate::media::{Scan, ScanOptions, scan};
use crate::record::Upload;
use crate::stop::Stop;

use super::lane::{Allowance, Allowed};
use super::manager::AssetLibrary;
use super::moved::Moves;
use super::run::{Job, Run, Wish, take_turns};
use super::subject::{Candidate, Subject};
use super::survey::{Chunk, Place, readers, survey};
use super::{AssetOutcome, AssetReport, LibraryError, Plan, PlanRules, Reason, Summary, Via};

/// Chunks whose keys are looked up in the record at a time.
const LOOKUP: usize = 64;

/// How to sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Which files to look at.
    pub scan: ScanOptions,
    /// What to renew.
    pub rules: PlanRules,
    /// Say what would be uploaded, and upload nothing.
    pub dry_run: bool,
    /// Leave the rest for later once this many uploads were begun on a Page.
    pub max_uploads: Option<u64>,
    /// Leave for later whatever would bring a Page's uploads over this many bytes.
    pub max_bytes: Option<u64>,
    /// How files are uploaded.
    pub via: Via,
}

/// How a sync or refresh ended for one Page.
#[derive(Debug, Default)]
pub struct Synced {
    /// What became of the files.
    pub summary: Summary,
    /// What made going on pointless, such as a dead token. Files found by then are reported as deferred; where no other
    /// Page goes on, others were not looked for any more.
    pub halted_by: Option<Arc<LibraryError>>,
    /// Ids a refresh of all that is due has left to end, for the files they were made from were replaced.
    pub replaced: u64,
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
        mut each: impl FnMut(&AssetReport),
    ) -> Result<Synced, LibraryError> {
        let synced = Self::sync_all(std::slice::from_ref(self), roots, options, stop, |_, report| each(report)).await?;
        synced.into_iter().next().ok_or(LibraryError::NoPage)
    }

    /// The same for several Pages at once, each file read once for all of them, by the first one's inspector. `each` also
    /// gets the number of the library a report is of, and there is one result for each.
    ///
    /// What makes going on pointless on one Page ends that Page's part alone.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); and when there is no library.
    pub async fn sync_all(
        libraries: &[Self],
        roots: &[PathBuf],
        options: &SyncOptions,
        stop: &Stop,
        each: impl FnMut(usize, &AssetReport),
    ) -> Result<Vec<Synced>, LibraryError> {
        Self::sync_found(libraries, roots, scan(roots, &options.scan)?, options, stop, each).await
    }

    /// The same for what `scan`, which is one of `roots`, comes upon.
    pub(super) async fn sync_found(
        libraries: &[Self],
        roots: &[PathBuf],
        scan: Scan,
        options: &SyncOptions,
        stop: &Stop,
        each: impl FnMut(usize, &AssetReport),
    ) -> Result<Vec<Synced>, LibraryError> {
        let started = Instant::now();
        let stop = stop.child();
        let _on_every_way_out = stop.on_drop();
        let allowance = Allowance::new(options.max_uploads, options.max_bytes);
        let mut run = Run::new(libraries, &allowance, options.via.clone(), stop.clone(), each)?;
        run.greet().await;
        let parts = Arc::clone(&run.lanes[0].library.parts);
        let pages: Vec<_> = run.lanes_taking_part().into_iter().map(|lane| run.fitting(lane)).collect();
        let runtime = Handle::current();
        let candidates = move |path: PathBuf, seen: Result<_, _>| -> Surveyed {
            let surveyed = |(lane, page, enough): &(usize, Self, Stop)| {
                (*lane, page.surveyed(path.clone(), seen.clone(), &runtime, enough))
            };
            pages.iter().map(surveyed).collect()
        };
        let files = survey(&parts.inspector, scan, readers(), &parts.reporter, &stop, candidates);
        let moves = Moves::of(&run.lanes[0].library, roots);
        let mut walk = Walk { run, options, moves, held_back: Vec::new() };
        let end = walk.sync(files).await;
        walk.run.land_all().await;
        end?;
        Ok(walk.run.lanes.into_iter().map(|lane| lane.close(started.elapsed())).collect())
    }
}

/// A file of the survey, as each Page sees it: something to decide about, or something that was refused.
type Surveyed = Vec<(usize, Result<Candidate, Box<AssetReport>>)>;

/// One sync under way.
struct Walk<'a, F> {
    run: Run<F>,
    options: &'a SyncOptions,
    /// What lies elsewhere than on record.
    moves: Moves,
    /// What lives and is to be renewed: one entry for each file.
    held_back: Vec<Vec<Wish<Candidate>>>,
}

/// What is done about a file on one Page.
enum Decision {
    Is(AssetOutcome),
    /// In a dry run: another file would bring the same bytes, and their id is still to come.
    Twin,
    Upload,
    HoldBack {
        expires_at: Timestamp,
    },
}

impl<F: FnMut(usize, &AssetReport)> Walk<'_, F> {
    async fn sync(&mut self, mut files: UnboundedReceiver<Chunk<Surveyed>>) -> Result<(), LibraryError> {
        let mut batch = Vec::with_capacity(LOOKUP);
        loop {
            tokio::select! {
                () = self.run.landing() => {}
                received = files.recv_many(&mut batch, LOOKUP) => match received {
                    0 => break,
                    _ => self.take(std::mem::take(&mut batch)).await?,
                },
            }
        }
        self.moves.settle(&self.run.stop).await?;
        self.renew().await
    }

    /// Decides about all files of a batch, then uploads those that need it.
    async fn take(&mut self, batch: Vec<Chunk<Surveyed>>) -> Result<(), LibraryError> {
        let mut files = Vec::with_capacity(batch.len());
        for Chunk { files: surveyed, place, .. } in batch {
            for file in surveyed {
                let mut candidates = Vec::with_capacity(file.len());
                for (lane, seen) in file {
                    match seen {
                        Ok(candidate) => candidates.push((lane, candidate)),
                        Err(refused) => self.run.report(lane, &refused),
                    }
                }
                files.push((candidates, Arc::clone(&place)));
            }
        }
        let keys = files.iter().flat_map(|(candidates, _)| candidates);
        let mut found = self.run.find(keys.map(|(lane, candidate)| (*lane, candidate.key.clone()))).await?;
        let mut uploads = Vec::new();
        for (candidates, place) in files {
            let stored = |lane: usize| found[lane].next().flatten();
            uploads.push((self.decide_all(candidates, stored), Some(place)));
        }
        self.begin_all(uploads).await;
        Ok(self.moves.look().await?)
    }

    /// Decides about one file on all Pages, and gives the uploads it needs at once.
    fn decide_all(
        &mut self,
        candidates: Vec<(usize, Candidate)>,
        mut stored: impl FnMut(usize) -> Option<Upload>,
    ) -> Vec<Job> {
        let (mut jobs, mut held_back) = (Vec::new(), Vec::new());
        for (lane, candidate) in candidates {
            let stored = stored(lane);
            if let Some(stored) = stored.as_ref().filter(|_| !self.options.dry_run) {
                self.moves.see(&candidate, stored);
            }
            match self.decide(lane, &candidate, stored.as_ref()) {
                Decision::Is(outcome) => self.run.report(lane, &candidate.report(outcome).with(stored)),
                Decision::Twin => self.run.report(lane, &candidate.report(AssetOutcome::Reused)),
                Decision::Upload => jobs.push(self.run.job(lane, Subject::File(candidate), stored)),
                Decision::HoldBack { expires_at } => held_back.push(Wish {
                    lane,
                    expires_at,
                    asset: candidate.key.asset.clone(),
                    size_bytes: candidate.facts.size_bytes,
                    what: Candidate { bytes: None, ..candidate },
                }),
            }
        }
        if !held_back.is_empty() {
            self.held_back.push(held_back);
        }
        jobs
    }

    fn decide(&mut self, lane: usize, candidate: &Candidate, stored: Option<&Upload>) -> Decision {
        let dry_run = self.options.dry_run;
        let lane = &mut self.run.lanes[lane];
        match (lane.library.plan(candidate, stored, self.options.rules), stored) {
            (Plan::Reject, _) => Decision::Is(AssetOutcome::Rejected),
            (Plan::Reuse, _) => Decision::Is(AssetOutcome::Reused),
            // The same bytes under another name.
            (Plan::Refresh(Reason::Forced | Reason::Due), _) if lane.has_settled(&candidate.key) => {
                Decision::Is(AssetOutcome::Reused)
            }
            _ if lane.stop.is_requested() => Decision::Is(AssetOutcome::Deferred),
            (Plan::Refresh(Reason::Forced | Reason::Due), Some(stored)) => {
                Decision::HoldBack { expires_at: stored.expires_at }
            }
            (Plan::Upload | Plan::Refresh(_), _) => {
                let allowed = lane.ask(&candidate.key.asset, candidate.facts.size_bytes);
                match unless_uploaded(allowed, dry_run) {
                    None => Decision::Upload,
                    Some(AssetOutcome::Reused) => Decision::Twin,
                    Some(outcome) => Decision::Is(outcome),
                }
            }
        }
    }

    /// Renews what was held back, what ends soonest first, as far as the allowances last.
    async fn renew(&mut self) -> Result<(), LibraryError> {
        let mut turns = take_turns(&mut self.run.lanes, std::mem::take(&mut self.held_back)).into_iter();
        loop {
            let batch: Vec<_> = turns.by_ref().take(LOOKUP).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let wishes = batch.iter().flatten();
            let mut found = self.run.find(wishes.map(|(wish, _)| (wish.lane, wish.what.key.clone()))).await?;
            let mut uploads = Vec::new();
            for turn in batch {
                let mut jobs = Vec::new();
                for (Wish { lane, what: candidate, asset, size_bytes, .. }, allowed) in turn {
                    let stored = found[lane].next().flatten();
                    let allowed = self.run.lanes[lane].ask_again(allowed, &asset, size_bytes);
                    match self.outcome_of_turn(lane, &candidate, stored.as_ref(), allowed) {
                        Some(outcome) => {
                            if (outcome, allowed) == (AssetOutcome::Reused, Allowed::First) {
                                self.run.lanes[lane].take_back(&asset, size_bytes);
                            }
                            self.run.report(lane, &candidate.report(outcome).with(stored));
                        }
                        None => jobs.push(self.run.job(lane, Subject::File(candidate), stored)),
                    }
                }
                uploads.push((jobs, None));
            }
            self.begin_all(uploads).await;
        }
    }

    /// What becomes of a renewal whose turn has come; `None` when it is to be uploaded. Somebody else may have renewed it.
    fn outcome_of_turn(
        &self,
        lane: usize,
        candidate: &Candidate,
        stored: Option<&Upload>,
        allowed: Allowed,
    ) -> Option<AssetOutcome> {
        let lane = &self.run.lanes[lane];
        let plan = lane.library.plan(candidate, stored, self.options.rules);
        if plan == Plan::Reuse || lane.has_settled(&candidate.key) {
            Some(AssetOutcome::Reused)
        } else if lane.stop.is_requested() {
            Some(AssetOutcome::Deferred)
        } else {
            unless_uploaded(allowed, self.options.dry_run)
        }
    }

    async fn begin_all(&mut self, uploads: Vec<(Vec<Job>, Option<Place>)>) {
        for (jobs, place) in uploads {
            self.run.begin(jobs, place).await;
        }
    }
}

/// What becomes of a file the allowance has spoken about; `None` when it is to be uploaded.
pub(super) const fn unless_uploaded(allowed: Allowed, dry_run: bool) -> Option<AssetOutcome> {
    match (allowed, dry_run) {
        (Allowed::Later, _) => Some(AssetOutcome::Deferred),
        (Allowed::First, true) => Some(AssetOutcome::Planned),
        (Allowed::Again, true) => Some(AssetOutcome::Reused),
        (Allowed::First | Allowed::Again, false) => None,
    }
}
