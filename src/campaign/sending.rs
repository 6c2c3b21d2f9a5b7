//! One call: intents to the disk, messages to Meta, results to the disk, in this order and no other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{self, Semaphore, SemaphorePermit};

use super::Nonce;
use super::nonce::with_nonce;
use super::preflight::{OPEN_WINDOW, ReadyPart};
use super::run::{Run, RunParts};
use super::scribe::Scribe;
use super::spec::{CampaignMessage, Guarantee, Settings};
use super::summary::End;
use super::tally::{AfterRefusal, SAME_REFUSALS, Tally, Waiting};
use super::times::{Times, Turn};
use super::unsaved::{Fate, Unsaved};
use super::verdict::{Verdict, may_be_about_one, refusal};
use crate::clock::{Clock, Timestamp};
use crate::delivery::{EXPIRED, Event, LONGEST_CALL, Refusal, WINDOW};
use crate::graph::{GraphClient, GraphError, SendRequest, Sent};
use crate::library::{AssetLibrary, LibraryError};
use crate::record::{Campaign, ClaimedRow, DeliveryKey, Entry, NewRecipient, RecordError, Written};
use crate::stop::Stop;

/// How often a message that may have arrived is sent in all, where a campaign sends at least once.
pub(super) const MOST_ATTEMPTS: u32 = 3;
/// How long to wait for a sign of it before sending it again.
pub(super) const DOUBT_LASTS: Duration = Duration::from_mins(2);
/// How often Meta is not reached, at least, before the run ends for it.
const UNREACHABLE: u32 = 4;
/// The first pause after that; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an outage is waited out, unless Meta's limits are to be waited for less.
const OUTAGE: Duration = Duration::from_mins(1);
/// How often a part's ids are made anew in one run.
const MOST_HEALED: u32 = 2;
/// More permits than there are workers.
const MANY: usize = 1 << 16;

/// The variants of each part.
pub(super) type Ready = Vec<Vec<ReadyPart>>;

/// A delivery a worker has, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Job {
    key: DeliveryKey,
    attempt: u32,
    recipient: Arc<NewRecipient>,
    /// Whether it may have arrived, and no operator wants it sent again in spite of that.
    is_doubtful: bool,
    /// Whether it comes right behind the part before it.
    follows: bool,
}

impl From<ClaimedRow> for Job {
    fn from(row: ClaimedRow) -> Self {
        let ClaimedRow { key, attempt, is_doubtful, recipient } = row;
        Self { key, attempt, recipient: Arc::new(recipient), is_doubtful, follows: false }
    }
}

impl Job {
    /// The end of a run whose Page may send nothing, as Meta said of this message.
    fn end_of_page(&self, error: GraphError) -> End {
        let to = may_be_about_one(&error).then(|| self.recipient.recipient.clone());
        End::Page { error, to }
    }
}

/// What all workers of a run share.
pub(super) struct Sending {
    scribe: Scribe,
    graph: GraphClient,
    library: AssetLibrary,
    clock: Arc<dyn Clock>,
    campaign: Campaign,
    message: CampaignMessage,
    settings: Settings,
    times: Times,
    /// The parts as they are sent now.
    ready: Mutex<Arc<Ready>>,
    /// One at a time makes ids anew.
    healing: sync::Mutex<()>,
    healed: AtomicU64,
    tally: Arc<Tally>,
    /// Few until somebody has got the first message: a mistake in it should not reach many.
    permits: Semaphore,
    /// Why nothing more is begun.
    halt: OnceLock<End>,
    over: Stop,
    unsaved: Mutex<Vec<Unsaved>>,
}

/// What comes after a result is on the disk.
enum Then {
    /// The delivery is at its end.
    Done,
    /// The recipient's next part, if there is one.
    Next,
    /// The same once more: nothing was sent.
    Again,
    /// The same once more, after a pause.
    Unreachable(GraphError),
    /// The same once more, with other ids.
    Heal(GraphError),
    /// Nothing more is sent.
    Halt(End),
}

impl Sending {
    /// What the run is to send, at these times.
    pub(super) fn new(scribe: Scribe, run: &Run, times: Times) -> Self {
        let RunParts { graph, library, clock, stop, .. } = run.parts.clone();
        let over = stop.child();
        Self {
            scribe,
            // Who waits for Meta's limits is not waited for where nothing more is to be sent.
            graph: graph.as_ref().clone().until(over.clone()),
            library,
            clock,
            over,
            campaign: run.campaign.clone(),
            message: run.message.clone(),
            settings: run.settings.clone(),
            times,
            ready: Mutex::new(Arc::new(run.ready.clone())),
            healing: sync::Mutex::new(()),
            healed: AtomicU64::new(0),
            tally: Arc::clone(&run.tally),
            permits: Semaphore::new(usize::try_from(SAME_REFUSALS).unwrap_or(1)),
            halt: OnceLock::new(),
            unsaved: Mutex::default(),
        }
    }

    /// Begins nothing more, for this reason or one there was before.
    pub(super) fn halt(&self, end: End) {
        // The first reason is the one that is told.
        let _ = self.halt.set(end);
        self.over.request();
    }

    pub(super) fn halted(&self) -> Option<End> {
        self.halt.get().cloned()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_requested()
    }

    pub(super) async fn over(&self) {
        self.over.requested().await;
    }

    /// Uploads that were made on the way.
    pub(super) fn uploads(&self) -> u64 {
        self.healed.load(Ordering::Relaxed)
    }

    pub(super) fn unsaved(&self) -> Vec<Unsaved> {
        locked(&self.unsaved).clone()
    }

    /// Sends to these recipients all that is to be sent to them.
    pub(super) async fn deliver(&self, mut jobs: Vec<Job>) {
        let mut patience = self.graph.patience();
        let (mut unreachable, mut outage) = (0, Duration::ZERO);
        while !jobs.is_empty() && !self.is_over() {
            jobs = self.whose_turn_it_is(jobs).await;
            if jobs.is_empty() {
                return;
            }
            let (again, lost) = self.round(jobs, &mut patience).await;
            jobs = again;
            if let Some(error) = lost {
                unreachable += 1;
                if unreachable >= UNREACHABLE && outage >= OUTAGE.min(self.graph.patience()) {
                    return self.halt(End::Busy(error));
                }
                let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(unreachable - 1)).min(LONGEST_PAUSE);
                outage += pause;
                self.tally.set_waiting(Some(Waiting::unreachable(self.clock.now().plus(pause))));
                tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    () = self.over() => {}
                }
            } else if std::mem::take(&mut unreachable) > 0 {
                outage = Duration::ZERO;
                self.tally.set_waiting(None);
            }
        }
    }

    /// Those who may get it now; the others are left out, or put off until they may.
    async fn whose_turn_it_is(&self, jobs: Vec<Job>) -> Vec<Job> {
        let now = self.clock.now();
        let (mut going, mut entries, mut skipped) = (Vec::new(), Vec::new(), 0);
        for job in jobs {
            let skip = |reason: &str| Event::Skip { reason: reason.to_owned() };
            // One that a campaign would have sent twice is left unknown where it is to do so no more.
            let is_once = self.settings.delivery != Guarantee::AtLeastOnce;
            let event = match self.times.turn(now, job.recipient.timezone.as_deref(), !job.follows) {
                _ if is_once && job.is_doubtful => skip(super::settle::ONCE),
                Turn::TooLate => skip(EXPIRED),
                _ if self.is_window_closed(&job, now) => skip(WINDOW),
                Turn::At(due) => Event::Defer { due },
                Turn::Now => {
                    going.push(job);
                    continue;
                }
            };
            skipped += u64::from(matches!(event, Event::Skip { .. }) && !job.is_doubtful);
            entries.push(self.entry(&job, event));
        }
        if !entries.is_empty() && self.write(entries).await {
            self.tally.add_skipped(skipped);
        }
        going
    }

    fn may_get_it(&self, job: &Job, now: Timestamp) -> bool {
        let turn = self.times.turn(now, job.recipient.timezone.as_deref(), !job.follows);
        matches!(turn, Turn::Now) && !self.is_window_closed(job, now)
    }

    fn is_window_closed(&self, job: &Job, now: Timestamp) -> bool {
        let last = job.recipient.last_interaction_at;
        self.message.needs_open_window() && last.is_some_and(|last| now.since(last) > OPEN_WINDOW)
    }

    fn entry(&self, job: &Job, event: Event) -> Entry {
        Entry { key: job.key, event, at: self.clock.now() }
    }

    /// One call for all jobs, or for as many of them as the Page's pace lets go. Gives what is yet to be sent, and the
    /// error where Meta was not reached.
    async fn round(&self, jobs: Vec<Job>, patience: &mut Duration) -> (Vec<Job>, Option<GraphError>) {
        let ready = Arc::clone(&locked(&self.ready));
        let (mut going, mut entries, mut thens) = (Vec::new(), Vec::new(), Vec::new());
        let mut nonces = HashMap::new();
        for job in jobs {
            let random = fastrand::u32(..);
            let request = self.request(&ready, &job, random);
            match request.check_ready_for(self.campaign.space.platform) {
                Ok(()) => going.push((job, random, request)),
                Err(error) => {
                    entries.push(self.entry(&job, Event::Invalid { reason: error.to_string() }));
                    thens.push((job, Then::Done));
                }
            }
        }
        let Some(mut permits) = self.permits_for(going.len()).await else { return (Vec::new(), None) };
        let waiting = going.split_off(permits.num_permits());
        let begun = AtomicUsize::new(0);
        let results = self.call(&going, &begun, patience).await;
        let begun = begun.into_inner();
        let mut again = Vec::new();
        let mut results = results.into_iter();
        for (place, (job, random, _)) in going.into_iter().enumerate() {
            nonces.insert(job.key, self.nonce(&job, random));
            match results.next() {
                Some(result) => {
                    let (event, then) = self.judge(&ready, &job, result, place < begun);
                    entries.extend(event.map(|event| self.entry(&job, event)));
                    thens.push((job, then));
                }
                None => again.push(job),
            }
        }
        again.extend(waiting.into_iter().map(|(job, ..)| job));
        let told = entries.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>();
        if !entries.is_empty() && !self.write_results(entries, &nonces).await {
            return (Vec::new(), None);
        }
        if self.tally.sent() == 0 {
            // A refusal uses its permit up: so many have been refused, and no more, when that is reason enough to stop.
            let refused = told.iter().filter(|event| matches!(event, Event::Refused(_))).count();
            if let Some(used) = permits.split(refused) {
                SemaphorePermit::forget(used);
            }
        }
        if told.iter().any(|event| matches!(event, Event::Doubt { .. } | Event::DoubtAndRetry { .. })) {
            self.tally.add_doubtful_call();
        }
        for event in &told {
            self.count(event);
        }
        drop(permits);
        let mut lost = None;
        for (job, then) in thens {
            again.extend(self.follow(&ready, job, then, &mut lost).await);
        }
        (again, lost)
    }

    /// Permits for so many messages, or for as many of them as there are permits; nothing where the run is over.
    async fn permits_for(&self, messages: usize) -> Option<SemaphorePermit<'_>> {
        let first = tokio::select! {
            biased;
            () = self.over() => return None,
            first = self.permits.acquire_many(u32::from(messages > 0)) => first,
        };
        // Never closed.
        let mut permits = first.ok()?;
        let more = messages.saturating_sub(1).min(self.permits.available_permits());
        if let Ok(more) = self.permits.try_acquire_many(u32::try_from(more).unwrap_or(0)) {
            permits.merge(more);
        }
        Some(permits)
    }

    /// Makes the call: intents first. `begun` tells how many of them are on the disk.
    async fn call(
        &self,
        going: &[(Job, u32, SendRequest)],
        begun: &AtomicUsize,
        patience: &mut Duration,
    ) -> Vec<Result<Sent, GraphError>> {
        let page = &self.campaign.space.page;
        let ready = async |count: usize| {
            // They may have waited long for the Page's pace. Where anybody's turn is over all come back: those are left out or
            // put off, and the others wait anew.
            let now = self.clock.now();
            if !going[..count].iter().all(|(job, ..)| self.may_get_it(job, now)) {
                return false;
            }
            // By Meta's clock: what is in doubt later is looked for among messages of that time.
            let at = self.graph.meta_now();
            let intent = |job: &Job, nonce| Entry { key: job.key, event: self.intent(job, nonce), at };
            let intents = going[..count].iter().map(|(job, nonce, _)| intent(job, *nonce));
            let yes = !self.is_over() && self.write(intents.collect()).await;
            if yes {
                begun.store(count, Ordering::SeqCst);
                self.tally.flying(count as u64);
            }
            if yes && !self.scribe.may_begin(LONGEST_CALL) {
                self.halt(lapsed());
                return false;
            }
            yes
        };
        let results = match going {
            [] => Vec::new(),
            [(_, _, request)] => vec![self.graph.send_once(page, request, patience, ready(1)).await],
            several => {
                let requests: Vec<SendRequest> = several.iter().map(|(_, _, request)| request.clone()).collect();
                match self.graph.send_batch_once(page, &requests, patience, &ready).await {
                    Ok(results) => results,
                    // It holds for every message that was to go along.
                    Err(error) => vec![Err(error); begun.load(Ordering::SeqCst).max(1)],
                }
            }
        };
        self.tally.landed(begun.load(Ordering::SeqCst) as u64);
        results
    }

    fn intent(&self, job: &Job, nonce: u32) -> Event {
        let part = &self.message.parts[usize::from(job.key.part)];
        Event::Intend { nonce, variant: part.variants()[self.variant_of(job)].name.clone() }
    }

    /// Which variant of the part it is.
    fn variant_of(&self, job: &Job) -> usize {
        let part = &self.message.parts[usize::from(job.key.part)];
        part.draw(&self.campaign.name, &job.recipient.recipient)
    }

    fn ready_for<'r>(&self, ready: &'r Ready, job: &Job) -> &'r ReadyPart {
        &ready[usize::from(job.key.part)][self.variant_of(job)]
    }

    fn request(&self, ready: &Ready, job: &Job, random: u32) -> SendRequest {
        let part = self.ready_for(ready, job);
        let message = part.template.fill(&job.recipient.variables);
        let message = with_nonce(message, &self.nonce(job, random).to_string());
        self.message.request(job.recipient.recipient.clone(), message)
    }

    /// The nonce of the attempt that comes next.
    fn nonce(&self, job: &Job, random: u32) -> Nonce {
        Nonce { campaign: self.campaign.name.clone(), key: job.key, attempt: job.attempt + 1, random }
    }

    /// What is to be written of an attempt, and what comes then. `begun` says whether it was intended at all.
    fn judge(&self, ready: &Ready, job: &Job, result: Result<Sent, GraphError>, begun: bool) -> (Option<Event>, Then) {
        let error = match result {
            Ok(sent) => return (Some(Event::Sent { message_id: sent.message_id }), Then::Next),
            Err(error) => error,
        };
        let not_sent = || begun.then_some(Event::NotSent);
        match Verdict::on(&error) {
            Verdict::Refused(refusal) => (Some(Event::Refused(refusal)), Then::Done),
            Verdict::Invalid(reason) if !begun => (Some(Event::Invalid { reason }), Then::Done),
            Verdict::Invalid(reason) => (Some(Event::Refused(Refusal::in_words(reason))), Then::Done),
            Verdict::Doubt(why) => {
                let again = self.settings.delivery == Guarantee::AtLeastOnce && job.attempt + 1 < MOST_ATTEMPTS;
                let due = self.clock.now().plus(DOUBT_LASTS);
                let event = if again { Event::DoubtAndRetry { why, due } } else { Event::Doubt { why } };
                (Some(event), Then::Done)
            }
            // An id out of the list is this person's alone, and there is nothing to make it anew from.
            Verdict::Attachment if !self.ready_for(ready, job).has_id_for_all => {
                (Some(Event::Refused(refusal(&error))), Then::Done)
            }
            Verdict::Attachment => (not_sent(), Then::Heal(error)),
            Verdict::Page => (not_sent(), Then::Halt(job.end_of_page(error))),
            // One that was let go and then refused waits with all others; one that was not let go has waited long enough.
            Verdict::Rate if begun => (not_sent(), Then::Again),
            Verdict::Rate => (None, Then::Halt(End::Busy(error))),
            Verdict::Connection => (not_sent(), Then::Unreachable(error)),
            Verdict::Stopped => (not_sent(), Then::Again),
        }
    }

    /// Takes note of what is on the disk now.
    fn count(&self, event: &Event) {
        let refusal = match event {
            Event::Sent { .. } => {
                self.tally.add_sent();
                return self.let_everybody_go();
            }
            Event::Doubt { why } | Event::DoubtAndRetry { why, .. } => {
                if let Some(why) = self.tally.add_unknown(&why.reason) {
                    self.halt(End::Paused(Some(why)));
                }
                return;
            }
            Event::Refused(refusal) => refusal.clone(),
            Event::Invalid { reason } => Refusal::in_words(reason.clone()),
            _ => return,
        };
        match self.tally.add_failed(&refusal, self.settings.stop_after_failures) {
            AfterRefusal::Pause(why) => self.halt(End::Paused(Some(why))),
            AfterRefusal::Go => self.let_everybody_go(),
            AfterRefusal::Wait => {}
        }
    }

    fn let_everybody_go(&self) {
        if self.permits.available_permits() < MANY / 2 {
            self.permits.add_permits(MANY);
        }
    }

    async fn follow(&self, ready: &Arc<Ready>, job: Job, then: Then, lost: &mut Option<GraphError>) -> Option<Job> {
        match then {
            Then::Next if job.key.part + 1 < self.campaign.parts => Some(Job {
                key: DeliveryKey { part: job.key.part + 1, ..job.key },
                attempt: 0,
                is_doubtful: false,
                follows: true,
                ..job
            }),
            Then::Done | Then::Next => None,
            Then::Again => Some(job),
            Then::Unreachable(error) => {
                *lost = Some(error);
                Some(job)
            }
            Then::Heal(error) => {
                self.heal(ready, &job, error).await;
                Some(job)
            }
            Then::Halt(end) => {
                self.halt(end);
                None
            }
        }
    }

    /// Makes the ids of a message anew, unless somebody has since it was sent as `seen`, or has found that there is no doing it:
    /// that ends the run.
    async fn heal(&self, seen: &Arc<Ready>, job: &Job, error: GraphError) {
        let _turn = self.healing.lock().await;
        let now = Arc::clone(&locked(&self.ready));
        if self.is_over() || !Arc::ptr_eq(seen, &now) {
            return;
        }
        // Before the next in the queue has its turn.
        match self.with_new_ids(&now, job, error).await {
            Ok(renewed) => *locked(&self.ready) = Arc::new(renewed),
            Err(end) => self.halt(end),
        }
    }

    /// The parts, of which the one that was refused has other ids.
    async fn with_new_ids(&self, now: &Ready, job: &Job, error: GraphError) -> Result<Ready, End> {
        let ReadyPart { prepared, healed, .. } = self.ready_for(now, job).clone();
        if healed >= MOST_HEALED {
            return Err(job.end_of_page(error));
        }
        tracing::info!(%error, "making the ids of the message anew");
        let failed = |error: LibraryError| End::Asset(Arc::new(error));
        let replaced_before = prepared.replaced().len();
        let prepared = self.library.replace_refused(prepared).await.map_err(failed)?;
        if prepared.replaced().len() == replaced_before {
            // An id the user wrote, and none of ours: nobody else gets anything by it either.
            return Err(job.end_of_page(error));
        }
        let (part, variant) = (usize::from(job.key.part), self.variant_of(job));
        let said = &self.message.parts[part].variants()[variant];
        let renewed = ReadyPart::new(said, prepared, healed + 1).map_err(|why| End::Paused(Some(why)))?;
        self.healed.fetch_add(renewed.uploads(), Ordering::Relaxed);
        self.tally.add_uploads(renewed.uploads());
        let mut parts = now.clone();
        parts[part][variant] = renewed;
        Ok(parts)
    }

    /// Writes to the ledger; whether all of it is on the disk. What stands in the way ends the run.
    async fn write(&self, entries: Vec<Entry>) -> bool {
        self.write_results(entries, &HashMap::new()).await
    }

    /// The same for results of attempts that had these nonces: what cannot be written is kept for whoever asks.
    async fn write_results(&self, entries: Vec<Entry>, nonces: &HashMap<DeliveryKey, Nonce>) -> bool {
        match self.scribe.write(entries.clone()).await {
            Ok(written) if written.contains(&Written::Paused) => {
                self.halt(End::Paused(None));
                false
            }
            Ok(written) if written.contains(&Written::Lapsed) => {
                self.halt(lapsed());
                false
            }
            Ok(_) => {
                if let Some(full) = self.scribe.full() {
                    self.halt(End::Store(full));
                }
                true
            }
            Err(error) => {
                let unsaved = entries.iter().filter_map(|entry| {
                    let fate = match &entry.event {
                        Event::Sent { message_id } => Fate::Sent(message_id.clone()),
                        Event::Refused(_) => Fate::Failed,
                        Event::NotSent => Fate::NotSent,
                        _ => return None,
                    };
                    Some(Unsaved { key: entry.key, fate, nonce: nonces.get(&entry.key).cloned() })
                });
                locked(&self.unsaved).extend(unsaved);
                self.halt(End::Store(error));
                false
            }
        }
    }
}

/// The end of one worker, of which a run makes another.
fn lapsed() -> End {
    End::Store(Arc::new(RecordError::Lapsed))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
