//! A run: holds the campaign, hands out its recipients, and ends when there is nothing more to send, or a reason not to.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::CampaignError;
use super::counts::Counts;
use super::hold::Hold;
use super::pause::question;
use super::plan::must_not_be_begun_elsewhere;
use super::ramp::Stage;
use super::scribe::Scribe;
use super::sending::{Job, Ready, Sending};
use super::settle::{self, Scope};
use super::spec::{CampaignMessage, Guarantee, Settings};
use super::summary::{End, RunSummary};
use super::tally::{Tally, Waiting};
use super::unsaved::Unsaved;
use crate::clock::{Clock, Timestamp};
use crate::delivery::State;
use crate::graph::GraphClient;
use crate::ids::Recipient;
use crate::library::AssetLibrary;
use crate::record::{Campaign, Change, ClaimedRow, Reach, Record, RecordError, patiently};
use crate::stop::Stop;

/// How many calls are under way at once, unless the campaign says otherwise. A call that waits for the Page's pace costs
/// next to nothing, and nothing of it is written down before it may go.
const CONCURRENCY: usize = 64;

/// Deliveries read from the record at a time.
const ROWS: usize = 1_000;

/// How often a run that waits looks whether the campaign was paused.
const LOOK: Duration = Duration::from_secs(5);

/// What a campaign is sent with.
#[derive(Debug, Clone)]
pub struct RunParts {
    /// Holds the plan and the ledger.
    pub record: Arc<dyn Record>,
    /// Talks to Meta, as the Page that sends.
    pub graph: Arc<GraphClient>,
    /// Resolves what the message draws on.
    pub library: AssetLibrary,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Once requested, what is under way is finished and nothing else begun.
    pub stop: Stop,
}

/// The right to send one campaign. Nobody else has it at the same time. Dropping it, wherever that is, lets go of it.
#[derive(Debug)]
pub struct Run {
    pub(super) parts: RunParts,
    pub(super) campaign: Campaign,
    pub(super) message: CampaignMessage,
    pub(super) settings: Settings,
    pub(super) tally: Arc<Tally>,
    pub(super) ready: Ready,
    pub(super) stage: Stage,
    /// What is sent once more, and to whom not.
    pub(super) again: Option<(Scope, HashSet<Recipient>)>,
    hold: Hold,
}

impl Run {
    /// Takes hold of a campaign, whose plan is the one that was `seen`; all else is as it stands now.
    ///
    /// # Errors
    /// `Held` while somebody else has it; `Overtaken` where it was planned anew; `NotPlanned` where its plan was cut off;
    /// `OtherSpace` where the client's origin or platform is another than the campaign's.
    ///
    /// # Cancel safety
    /// Dropping the future gives it up: the campaign is free as soon as the call that was under way has ended.
    pub async fn begin(parts: RunParts, seen: &Campaign) -> Result<Self, CampaignError> {
        let name = &seen.name;
        if seen.digest.is_none() {
            return Err(CampaignError::NotPlanned { name: name.clone() });
        }
        if parts.graph.space(seen.space.page.clone()) != seen.space {
            return Err(CampaignError::OtherSpace { name: name.clone(), space: Box::new(seen.space.clone()) });
        }
        if seen.started_at.is_none() {
            must_not_be_begun_elsewhere(&*parts.record, &seen.space, name, &*parts.clock).await?;
        }
        let hold = Hold::take(&parts.record, &parts.clock, seen.id).await?;
        let mut hold = hold.map_err(|holder| CampaignError::Held { name: name.clone(), holder })?;
        // Nobody plans what somebody holds: from here on it says what it says now.
        let Some(campaign) = as_seen(&parts, seen).await? else {
            hold.let_go().await?;
            return Err(CampaignError::Overtaken { name: name.clone() });
        };
        let (message, settings) = (CampaignMessage::of(&campaign)?, Settings::of(&campaign)?);
        let stage = settings.ramp.stage(&campaign);
        let (tally, ready, again) = (Arc::default(), Vec::new(), None);
        Ok(Self { parts, campaign, message, settings, tally, ready, stage, again, hold })
    }

    /// Sends these as well, once more, but not to people who are to be left out.
    #[must_use]
    pub fn again(mut self, scope: Scope, left_out: HashSet<Recipient>) -> Self {
        self.again = Some((scope, left_out));
        self
    }

    /// What can be seen of it while it sends.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Lets go of the campaign with nothing sent.
    pub async fn give_up(mut self) -> Result<(), CampaignError> {
        Ok(self.hold.let_go().await?)
    }

    /// Sends what is to be sent. A look ahead comes first, unless there was one.
    ///
    /// # Errors
    /// Of the look ahead, and of a record that does not even say how it ended. Whatever else ends it is in the summary.
    ///
    /// # Cancel safety
    /// Dropping the future leaves messages on their way: they are unknown as soon as somebody looks.
    pub async fn send(mut self) -> Result<RunSummary, CampaignError> {
        let began = Instant::now();
        if self.ready.is_empty() {
            self.preflight().await?;
        }
        if let Some((scope, left_out)) = &self.again {
            let RunParts { record, clock, .. } = &self.parts;
            settle::reopen(&**record, self.campaign.id, *scope, left_out, clock.now()).await?;
        }
        let is_over = self.settings.times.expires_at.is_some_and(|end| end <= self.parts.clock.now());
        if self.settings.delivery == Guarantee::AtLeastOnce && !is_over {
            // What a crash left in doubt is sent again as well.
            settle::resend_doubtful(&*self.parts.record, self.campaign.id, self.parts.clock.now()).await?;
        }
        let (mut uploads, mut unsaved) = (0, Vec::new());
        let (halted, retired) = loop {
            let sending = Arc::new(self.sending());
            self.wait_for_start(&sending).await;
            self.send_all(&sending).await;
            uploads += sending.uploads();
            unsaved.extend(sending.unsaved());
            let retired = self.hold.let_go().await;
            match sending.halted() {
                Some(End::Store(error)) if matches!(*error, RecordError::Lapsed) => {
                    unsaved = self.tell_late(unsaved).await;
                    if self.parts.stop.is_requested() {
                        break (Some(End::Interrupted), retired);
                    }
                    if let Err(error) = self.enlist_again().await {
                        break (Some(End::Store(Arc::new(error))), retired);
                    }
                }
                halted => break (halted, retired),
            }
        };
        let mut end = match (halted, retired) {
            (Some(end), _) => end,
            (None, Err(error)) => End::Store(Arc::new(error)),
            (None, Ok(())) if self.parts.stop.is_requested() => End::Interrupted,
            (None, Ok(())) => self.stage_end().await.unwrap_or_else(|error| End::Store(Arc::new(error))),
        };
        // Whatever fails from here on: what the record could not be told must still be told to somebody.
        if let Err(error) = self.note_end(&end, uploads).await {
            end = End::Store(Arc::new(error));
        }
        let (campaign, counts) = match self.stand().await {
            Ok(stand) => stand,
            Err(error) => {
                end = End::Store(Arc::new(error));
                (self.campaign.clone(), Counts::default())
            }
        };
        let (sent, errors) = (self.tally.sent(), self.tally.errors());
        Ok(RunSummary { end, campaign, counts, sent, errors, unsaved, elapsed: began.elapsed() })
    }

    /// Goes on as another worker, where this one was taken for dead.
    async fn enlist_again(&mut self) -> Result<(), RecordError> {
        tracing::warn!("the record was out of reach for too long: going on with what is left");
        let hold = Hold::take(&self.parts.record, &self.parts.clock, self.campaign.id).await?;
        self.hold = hold.map_err(|_| RecordError::Lapsed)?;
        // Whoever planned it anew meanwhile has it sent by a run of their own.
        if as_seen(&self.parts, &self.campaign).await?.is_none() {
            self.hold.let_go().await?;
            return Err(RecordError::Lapsed);
        }
        Ok(())
    }

    /// Tells the record what became of messages that are no longer this worker's; gives back what it does not take.
    async fn tell_late(&self, unsaved: Vec<Unsaved>) -> Vec<Unsaved> {
        let (record, now) = (&*self.parts.record, self.parts.clock.now());
        settle::apply_unsaved(record, self.campaign.id, &unsaved, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the record could not be told what became of {} messages", unsaved.len());
            unsaved
        })
    }

    /// Writes down why nothing more is sent, where that is more than the end of the list or of our patience.
    async fn note_end(&self, end: &End, uploads: u64) -> Result<(), RecordError> {
        let record = &self.parts.record;
        if uploads > 0 {
            record.change(self.campaign.id, Change::Uploads(uploads)).await?;
        }
        let why = match end {
            End::Page { error, to: None } => error.to_string(),
            End::Page { error, to: Some(to) } => format!("{error}; it was the message to {to}"),
            End::Asset(error) => error.to_string(),
            // Whoever shares the campaign would go on into the same defect.
            End::Panicked => CampaignError::Panicked.to_string(),
            End::Stage { stage, has_arrived } => {
                let change = Change::Stage(stage.next().number(), question(*stage, *has_arrived));
                return record.change(self.campaign.id, change).await;
            }
            End::Paused(Some(why)) => why.clone(),
            _ => return Ok(()),
        };
        // Whoever paused it meanwhile has written down why.
        record.change(self.campaign.id, Change::PauseUnlessPaused(why)).await
    }

    /// What it means that nothing is left to be sent of the stage.
    async fn stage_end(&self) -> Result<End, RecordError> {
        let (_, counts) = self.stand().await?;
        // Behind a part that is unknown others wait; that is no reason to ask.
        if self.stage == Stage::Everybody || counts.pending <= counts.held_back {
            return Ok(End::Finished);
        }
        Ok(End::Stage { stage: self.stage, has_arrived: self.has_arrived().await? })
    }

    /// Whether anybody of the stage, which is through, is known to have the message.
    async fn has_arrived(&self) -> Result<bool, RecordError> {
        let Campaign { id, space, planned_at, .. } = &self.campaign;
        let (record, testers) = (&self.parts.record, &self.settings.ramp.testers);
        if self.tally.sent() > 0 {
            return Ok(true);
        }
        if self.stage == Stage::Testers {
            for tester in testers {
                let theirs = record.deliveries_to(space, tester).await?;
                if theirs.iter().any(|theirs| theirs.campaign == *id && theirs.delivery.state == State::Sent) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        // It may have been a run before this one that sent to them.
        let mut after = None;
        loop {
            let sent = record.deliveries(*id, Some(State::Sent), after, ROWS).await?;
            let Some(last) = sent.last() else { return Ok(false) };
            after = Some(last.key);
            if sent.iter().any(|sent| sent.delivery.at >= *planned_at && !testers.contains(&sent.recipient)) {
                return Ok(true);
            }
        }
    }

    /// Waits until the campaign may be sent. Those who try it out need not wait.
    async fn wait_for_start(&self, sending: &Sending) {
        let clock = &self.parts.clock;
        let Some(start) = self.settings.times.start_at.filter(|_| self.stage != Stage::Testers) else { return };
        self.tally.set_waiting(Some(Waiting { reason: "it begins then".to_owned(), until: Some(start) }));
        while let Some(wait) = Some(start.since(clock.now())).filter(|wait| !wait.is_zero()) {
            tokio::select! {
                () = clock.sleep(wait.min(LOOK)) => {}
                () = sending.over() => break,
            }
            self.look_around(sending).await;
        }
        self.tally.set_waiting(None);
    }

    /// Ends the run where somebody has paused the campaign, and sees to it that the time is known: who sends learns both of
    /// the next message; who waits has to look.
    async fn look_around(&self, sending: &Sending) {
        match self.is_paused().await {
            // Where Meta has shut the gate, it answers this no sooner than anything else.
            Ok(false) => tokio::select! {
                () = self.parts.library.ask_the_time_if_in_doubt() => {}
                () = sending.over() => {}
                () = sleep(LOOK) => {}
            },
            Ok(true) => sending.halt(End::Paused(None)),
            // Nothing is lost by looking later: before anything is sent, it has to be there again.
            Err(error @ (RecordError::Away { .. } | RecordError::Locked { .. })) => {
                tracing::warn!(%error, "looking later whether it is paused");
            }
            Err(error) => sending.halt(End::Store(Arc::new(error))),
        }
    }

    async fn is_paused(&self) -> Result<bool, RecordError> {
        let Campaign { space, name, .. } = &self.campaign;
        let campaign = self.parts.record.campaign(space, name, self.parts.clock.now()).await?;
        Ok(campaign.is_some_and(|campaign| campaign.paused.is_some()))
    }

    /// Where the campaign stands now.
    async fn stand(&self) -> Result<(Campaign, Counts), RecordError> {
        let (record, now) = (&self.parts.record, self.parts.clock.now());
        let campaign = record.campaign(&self.campaign.space, &self.campaign.name, now).await?;
        let campaign = campaign.unwrap_or_else(|| self.campaign.clone());
        let counts = Counts::new(&self.message, &record.count(campaign.id, now).await?);
        Ok((campaign, counts))
    }

    fn sending(&self) -> Sending {
        let RunParts { record, clock, .. } = &self.parts;
        let scribe = Scribe::new(Arc::clone(record), self.hold.worker(), Arc::clone(clock));
        let mut times = self.settings.times.clone();
        if self.stage == Stage::Testers {
            times.quiet_hours = None;
        }
        Sending::new(scribe, self, times)
    }

    async fn send_all(&self, sending: &Arc<Sending>) {
        let workers = self.settings.concurrency.map_or(CONCURRENCY, |number| usize::from(number.get()));
        let batch = usize::from(self.settings.batch.max(1));
        let (rows, queue) = mpsc::channel(workers * batch);
        let (queue, handed_out) = (Arc::new(Mutex::new(queue)), Arc::new(HandedOut::default()));
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            tasks.spawn(work(Arc::clone(sending), Arc::clone(&queue), Arc::clone(&handed_out), batch));
        }
        self.feed(sending, &rows, &handed_out, workers * batch).await;
        drop(rows);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a worker ended before its time");
            }
        }
    }

    /// How many are to try it out, behind the testers.
    pub(super) async fn few(&self) -> Result<u64, RecordError> {
        let (Campaign { id, planned_at, .. }, ramp) = (&self.campaign, &self.settings.ramp);
        let Some(canary) = ramp.canary else { return Ok(0) };
        Ok(canary.of(self.parts.record.count_untouched(*id, *planned_at, &ramp.testers).await?))
    }

    /// Who belongs to the stage.
    async fn reach(&self) -> Result<Reach<'_>, RecordError> {
        Ok(match self.stage {
            Stage::Testers => Reach::These(&self.settings.ramp.testers),
            Stage::Canary => {
                let Campaign { id, planned_at, .. } = self.campaign;
                let few = self.few().await?;
                // Nobody tries out what they had, or had a part of, before it was planned.
                let testers = &self.settings.ramp.testers;
                let last = self.parts.record.place_of(id, few, planned_at, testers).await?;
                Reach::UpTo { place: last.unwrap_or(u64::MAX), since: planned_at }
            }
            Stage::Everybody => Reach::All,
        })
    }

    fn waiting_until(&self, due: Timestamp) -> Waiting {
        let reason = match self.settings.times.quiet_hours {
            Some(quiet) => format!("quiet hours, {quiet} where they live"),
            None => "for signs of what may have arrived".to_owned(),
        };
        Waiting { reason, until: Some(due) }
    }

    /// Waits until somebody takes the row; false where nobody will. While nothing leaves, such as for want of a share of the
    /// budget, nobody else would see that the campaign is paused or its record lost.
    async fn hand_over(&self, row: ClaimedRow, sending: &Sending, rows: &mpsc::Sender<ClaimedRow>) -> bool {
        let mut handing = std::pin::pin!(rows.send(row));
        loop {
            tokio::select! {
                biased;
                () = sending.over() => return false,
                sent = &mut handing => return sent.is_ok(),
                () = sleep(LOOK) => self.look_around(sending).await,
            }
        }
    }

    /// Hands out recipients until there are none, or a reason to stop.
    async fn feed(&self, sending: &Sending, rows: &mpsc::Sender<ClaimedRow>, handed_out: &HandedOut, chunk: usize) {
        let RunParts { record, clock, .. } = &self.parts;
        let reach = match self.reach().await {
            Ok(reach) => reach,
            Err(error) => return sending.halt(End::Store(Arc::new(error))),
        };
        loop {
            // Asked before claiming: what is handed out may still come back.
            let idle = handed_out.is_none();
            if sending.is_over() {
                return;
            }
            let worker = self.hold.worker();
            let claiming = || record.claim_deliveries(&worker, reach, chunk, clock.now());
            // Somebody may be planning another campaign, for many people.
            let may_pass = |error: &RecordError| matches!(error, RecordError::Locked { .. }) && !sending.is_over();
            let claims = match patiently(&**clock, may_pass, claiming).await {
                Ok(claims) => claims,
                Err(error) => return sending.halt(End::Store(Arc::new(error))),
            };
            if claims.rows.is_empty() {
                let Some(wait) = claims.next_due.map(|due| due.since(clock.now())).or((!idle).then_some(Duration::MAX))
                else {
                    return;
                };
                if idle {
                    self.tally.set_waiting(claims.next_due.map(|due| self.waiting_until(due)));
                }
                tokio::select! {
                    biased;
                    () = handed_out.returned.notified() => {}
                    () = clock.sleep(wait.min(LOOK)) => self.look_around(sending).await,
                    () = sending.over() => {}
                }
                continue;
            }
            self.tally.set_waiting(None);
            for row in claims.rows {
                handed_out.add();
                if !self.hand_over(row, sending, rows).await {
                    return;
                }
            }
        }
    }
}

/// The campaign as it stands now, if its plan is still the one that was seen.
pub(super) async fn as_seen(parts: &RunParts, seen: &Campaign) -> Result<Option<Campaign>, RecordError> {
    let found = parts.record.campaign(&seen.space, &seen.name, parts.clock.now()).await?;
    Ok(found.filter(|found| (found.id, found.digest) == (seen.id, seen.digest)))
}

/// Recipients some worker has.
#[derive(Debug, Default)]
struct HandedOut {
    count: AtomicUsize,
    /// Rung when one is done with.
    returned: Notify,
}

impl HandedOut {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn give_back(&self, count: usize) {
        self.count.fetch_sub(count, Ordering::SeqCst);
        self.returned.notify_one();
    }

    fn is_none(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

/// Takes recipients and sends to them, until there are none or a reason to stop.
async fn work(
    sending: Arc<Sending>,
    queue: Arc<Mutex<mpsc::Receiver<ClaimedRow>>>,
    handed_out: Arc<HandedOut>,
    batch: usize,
) {
    let mut rows = Vec::with_capacity(batch);
    loop {
        let taken = {
            let mut queue = queue.lock().await;
            tokio::select! {
                biased;
                () = sending.over() => 0,
                taken = queue.recv_many(&mut rows, batch) => taken,
            }
        };
        if taken == 0 {
            return;
        }
        let jobs = rows.drain(..).map(Job::from).collect();
        // A panic leaves its recipients as they stand on record: what may have left is unknown in the end.
        if AssertUnwindSafe(sending.deliver(jobs)).catch_unwind().await.is_err() {
            tracing::error!("a delivery ended in a panic: what became of it is unknown");
            // The next may end like it, and nobody would be told.
            sending.halt(End::Panicked);
        }
        handed_out.give_back(taken);
    }
}
