//! Campaigns as the service sees and sends them: counts that are a moment old, how they came to be, and the runs of this
//! process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::campaign::{CampaignError, Counts, Run, RunParts, RunSummary, at_own_pace, counts};
use crate::clock::Timestamp;
use crate::events::CampaignEvent;
use crate::record::{Campaign, CampaignId, Change, RecordError};

use super::problem::Problem;
use super::shared::Shared;

/// How old counts may be: to count a large campaign takes its time.
const FRESH: Duration = Duration::from_secs(1);
/// Between two looks at campaigns that are being sent.
const LOOK: Duration = Duration::from_secs(2);
/// Counting takes at most this share of the time: a twentieth.
const SHARE: u32 = 20;
/// Samples of one campaign; when there are more, every other one goes.
const SAMPLES: usize = 720;

/// How a campaign stood at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) pending: u64,
}

impl Sample {
    fn new(at: Timestamp, counts: &Counts) -> Self {
        Self { at, sent: counts.sent, failed: counts.failed, unknown: counts.unknown, pending: counts.pending }
    }

    fn is_like(&self, other: &Self) -> bool {
        Self { at: self.at, ..*other } == *self
    }
}

/// What is known of the campaigns.
#[derive(Debug, Default)]
pub(super) struct Campaigns {
    seen: Mutex<HashMap<CampaignId, Seen>>,
    runs: TaskTracker,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    /// Whether it was being sent when somebody last asked: then its end is news.
    is_running: bool,
    counted: Option<Counted>,
    history: VecDeque<Sample>,
    /// What was told last.
    told: String,
}

/// Counts, when they were taken, and how the campaign stood then: what is paused or begun is counted anew.
#[derive(Debug, Clone)]
struct Counted {
    at: Instant,
    stood: (u8, Option<String>, bool),
    counts: Counts,
}

fn stood(campaign: &Campaign) -> (u8, Option<String>, bool) {
    (campaign.stage, campaign.paused.clone(), campaign.holder.is_some())
}

impl Campaigns {
    /// All of the served Pages, in the record's order.
    pub(super) async fn all(&self, shared: &Shared) -> Result<Vec<Campaign>, RecordError> {
        let mut campaigns = shared.parts.record.campaigns(shared.parts.clock.now()).await?;
        campaigns.retain(|campaign| shared.parts.pages.iter().any(|page| *page.library.space() == campaign.space));
        let mut seen = self.seen();
        for campaign in campaigns.iter().filter(|campaign| campaign.holder.is_some()) {
            seen.entry(campaign.id).or_default().is_running = true;
        }
        Ok(campaigns)
    }

    /// Its deliveries, counted a moment ago at most.
    pub(super) async fn counts(&self, shared: &Shared, campaign: &Campaign) -> Result<Counts, RecordError> {
        let known = self.seen().get(&campaign.id).and_then(|seen| seen.counted.clone());
        if let Some(known) = known.filter(|known| known.at.elapsed() < FRESH && known.stood == stood(campaign)) {
            return Ok(known.counts);
        }
        self.count(shared, campaign).await
    }

    async fn count(&self, shared: &Shared, campaign: &Campaign) -> Result<Counts, RecordError> {
        let now = shared.parts.clock.now();
        let counts = counts(&*shared.parts.record, campaign, now).await?;
        let mut seen = self.seen();
        let seen = seen.entry(campaign.id).or_default();
        seen.counted = Some(Counted { at: Instant::now(), stood: stood(campaign), counts: counts.clone() });
        let sample = Sample::new(now, &counts);
        if seen.history.back().is_none_or(|last| !last.is_like(&sample)) {
            seen.history.push_back(sample);
        }
        if seen.history.len() > SAMPLES {
            // Every other one: of an odd number, the first and the newest stay.
            let mut stays = false;
            seen.history.retain(|_| {
                stays = !stays;
                stays
            });
        }
        Ok(counts)
    }

    /// What somebody has changed is counted anew.
    pub(super) fn forget(&self, campaign: CampaignId) {
        if let Some(seen) = self.seen().get_mut(&campaign) {
            seen.counted = None;
        }
    }

    /// How it came to stand as it does, as far as this service has seen; the oldest first.
    pub(super) fn history(&self, campaign: CampaignId) -> Vec<Sample> {
        self.seen().get(&campaign).map(|seen| seen.history.iter().copied().collect()).unwrap_or_default()
    }

    /// Looks at what is being sent, by whomever, and tells those who listen; until the service stops.
    pub(super) async fn look_on(shared: Arc<Shared>) {
        let (clock, stop) = (Arc::clone(&shared.parts.clock), shared.parts.stop.clone());
        while !stop.is_requested() {
            let began = Instant::now();
            if let Err(error) = shared.campaigns.look(&shared).await {
                tracing::warn!(%error, "campaigns cannot be looked at");
            }
            tokio::select! {
                () = stop.requested() => {}
                () = clock.sleep(LOOK.max(began.elapsed() * SHARE)) => {}
            }
        }
    }

    /// Counts what is being sent, or was when somebody last saw it, though it began and ended between two looks.
    async fn look(&self, shared: &Shared) -> Result<(), RecordError> {
        let mut running = 0;
        for campaign in self.all(shared).await? {
            let is_running = campaign.holder.is_some();
            running += usize::from(is_running);
            if self.seen().get(&campaign.id).is_some_and(|seen| seen.is_running) {
                let counts = self.count(shared, &campaign).await?;
                self.tell(shared, &campaign, &counts);
                self.seen().entry(campaign.id).or_default().is_running = is_running;
            }
        }
        shared.metrics.running(running);
        Ok(())
    }

    /// Tells those who listen how it stands, where that is news.
    pub(super) fn tell(&self, shared: &Shared, campaign: &Campaign, counts: &Counts) {
        let json = serde_json::to_string(&CampaignEvent::new(campaign, counts)).unwrap_or_default();
        {
            let mut seen = self.seen();
            let seen = seen.entry(campaign.id).or_default();
            if seen.told == json {
                return;
            }
            seen.told.clone_from(&json);
        }
        shared.news.tell("campaign", json);
    }

    /// Begins to send a campaign nobody is sending, and returns once the look ahead is done. It is sent to its end, or
    /// until somebody pauses it or the service stops.
    ///
    /// # Errors
    /// Those of the look ahead; the campaign stays as it was.
    pub(super) async fn resume(&self, shared: &Arc<Shared>, campaign: Campaign) -> Result<(), Problem> {
        let page = shared.parts.pages.iter().find(|page| *page.library.space() == campaign.space);
        let page = page.ok_or_else(|| Problem::not_found("this service does not work for the campaign's Page"))?;
        let own = at_own_pace(&page.graph, &campaign);
        let library =
            own.as_ref().map_or_else(|| page.library.clone(), |graph| page.library.through(Arc::clone(graph)));
        let parts = RunParts {
            record: Arc::clone(&shared.parts.record),
            graph: own.unwrap_or_else(|| Arc::clone(&page.graph)),
            library,
            clock: Arc::clone(&shared.parts.clock),
            stop: shared.parts.stop.clone(),
        };
        let (begun, ready) = oneshot::channel();
        let shared = Arc::clone(shared);
        self.runs.spawn(async move {
            let name = campaign.name.clone();
            match send(&shared, parts, campaign, begun).await {
                Ok(summary) => {
                    tracing::info!(campaign = %name, sent = summary.sent, end = %summary.end, "a run has ended");
                    for unsaved in &summary.unsaved {
                        // Evidence, in the form `campaign settle --echoes` takes.
                        tracing::error!(line = unsaved.to_line(&name), "the record could not be told of a message");
                    }
                }
                Err(problem) => tracing::warn!(campaign = %name, problem = problem.detail(), "a run has failed"),
            }
        });
        ready.await.unwrap_or_else(|_| Err(Problem::unexpected()))
    }

    /// Returns when the runs of this process have ended.
    pub(super) async fn at_rest(&self) {
        self.runs.close();
        self.runs.wait().await;
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<CampaignId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks ahead, says so, and sends.
async fn send(
    shared: &Shared,
    parts: RunParts,
    campaign: Campaign,
    begun: oneshot::Sender<Result<(), Problem>>,
) -> Result<RunSummary, Problem> {
    let record = Arc::clone(&parts.record);
    let ahead = async {
        let mut run = match Run::begin(parts, &campaign).await {
            Err(held @ (CampaignError::Held { .. } | CampaignError::Overtaken { .. })) => {
                return Err(Problem::conflict(held.to_string()));
            }
            begun => begun?,
        };
        if let Err(error) = run.preflight().await {
            run.give_up().await?;
            return Err(Problem::from(error));
        }
        // Only the pause that was seen is lifted: another was asked for meanwhile.
        if let Some(why) = campaign.paused.clone() {
            record.change(campaign.id, Change::Unpause(why)).await?;
        }
        Ok(run)
    };
    let ahead: Result<Run, Problem> = ahead.await;
    let run = match ahead {
        Ok(run) => run,
        Err(problem) => {
            let _ = begun.send(Err(problem.clone()));
            return Err(problem);
        }
    };
    // Who asked may have gone; the campaign goes on.
    let _ = begun.send(Ok(()));
    let summary = run.send().await?;
    shared.campaigns.forget(campaign.id);
    shared.campaigns.tell(shared, &summary.campaign, &summary.counts);
    shared.changed();
    Ok(summary)
}
