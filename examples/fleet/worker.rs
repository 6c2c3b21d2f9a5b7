//! A worker: keeps its lease, takes up campaigns that want a sender, and sends them, each with its slice of the Page's rate.
//!
//! How campaigns come to workers is the fleet's affair, not reattach's: here every worker looks every five seconds for
//! campaigns with too few senders, as a job on each machine would that calls `reattach campaign run`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reattach::clock::Clock;
use reattach::delivery::{Event, Refusal};
use reattach::graph::GraphError;
use reattach::stop::Stop;
use tokio::sync::{self, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::lane::{Lane, Passage};
use crate::locked;
use crate::meta::Meta;
use crate::record::{BEATS, LEASE, LONGEST_CALL, Lapsed, Link, Owner, Record};
use crate::scenario::Safeguard;

/// How often a worker looks for campaigns.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// Campaigns it takes up at a time.
const TAKES_UP: usize = 5;
/// Campaigns a worker sends at once.
const MOST_RUNS: usize = 20;
/// How often it asks for its share of a Page's rate: a little oftener than each second, to have heard within one.
const SHARE_BEAT: Duration = Duration::from_millis(900);
/// Messages of one campaign that are under way at once.
const CONCURRENCY: usize = 24;
/// How soon to look again for what others hold.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a call is believed to take at most.
const CALL: Duration = LONGEST_CALL.saturating_sub(Duration::from_secs(20));

const SECOND: Duration = Duration::from_secs(1);

/// What there is besides the workers.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) record: Record,
    pub(crate) meta: Arc<Meta>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) without: Option<Safeguard>,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Worker {
    world: Arc<World>,
    pub(crate) link: Link,
    /// All the leases it had, the present one last.
    owners: Mutex<Vec<Owner>>,
    /// Until when it knows itself to be alive, by its own clock.
    alive_until: Mutex<Instant>,
}

impl Worker {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        let alive_until = Mutex::new(Instant::now());
        Arc::new(Self { world: Arc::clone(world), link: Link::default(), owners: Mutex::default(), alive_until })
    }

    /// All the leases it had.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        locked(&self.owners).clone()
    }

    /// Works for ever.
    pub(crate) async fn live(self: Arc<Self>, first_look: Duration) {
        let mut owner = self.join().await;
        sleep(first_look).await;
        let (mut beat, mut look) = (interval(LEASE / BEATS), interval(LOOK));
        let mut runs = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = runs.join_next() => {}
                _ = beat.tick() => {
                    if self.renew(owner).await.is_err() {
                        owner = self.join().await;
                    }
                }
                _ = look.tick() => {
                    let room = TAKES_UP.min(MOST_RUNS - runs.len().min(MOST_RUNS));
                    for campaign in self.world.record.take_up(&self.link, owner, room).await.unwrap_or_default() {
                        runs.spawn(Arc::new(Run::new(&self, owner, campaign)).go());
                    }
                }
            }
        }
    }

    async fn join(&self) -> Owner {
        let asked = Instant::now();
        let owner = self.world.record.join(&self.link).await;
        locked(&self.owners).push(owner);
        *locked(&self.alive_until) = asked + LEASE;
        owner
    }

    async fn renew(&self, owner: Owner) -> Result<(), Lapsed> {
        let asked = Instant::now();
        self.world.record.renew(&self.link, owner).await?;
        *locked(&self.alive_until) = asked + LEASE;
        Ok(())
    }

    /// Until when a slice is good that was renewed just now.
    fn good_until(&self) -> Instant {
        match self.world.without {
            Some(Safeguard::Lease) => Instant::now() + Duration::from_hours(24),
            _ => *locked(&self.alive_until),
        }
    }

    /// Whether a call may begin: it must be over before others may take it for lost.
    fn may_begin(&self) -> bool {
        Instant::now() + CALL < self.good_until() + LONGEST_CALL
    }
}

/// One worker's part in one campaign.
#[derive(Debug)]
struct Run {
    worker: Arc<Worker>,
    owner: Owner,
    campaign: usize,
    lane: watch::Sender<Option<Arc<Lane>>>,
    rows: Mutex<VecDeque<u32>>,
    /// Who is at the record for more.
    desk: sync::Mutex<()>,
    /// Rows that are neither at their end nor in the queue.
    in_hand: AtomicUsize,
    over: Stop,
    /// Whether Meta refuses the Page, as far as this run has found.
    refused: Mutex<bool>,
}

impl Run {
    fn new(worker: &Arc<Worker>, owner: Owner, campaign: usize) -> Self {
        Self {
            worker: Arc::clone(worker),
            owner,
            campaign,
            lane: watch::Sender::new(None),
            rows: Mutex::default(),
            desk: sync::Mutex::default(),
            in_hand: AtomicUsize::new(0),
            over: Stop::new(),
            refused: Mutex::default(),
        }
    }

    fn record(&self) -> &Record {
        &self.worker.world.record
    }

    async fn go(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let run = Arc::clone(&self);
            tasks.spawn(async move { run.send_all().await });
        }
        tokio::select! {
            biased;
            () = self.over.requested() => {}
            () = self.keep_share() => self.over.request(),
        }
        // What is under way is finished, and nothing else begun.
        let lane = self.lane.send_replace(None);
        if let Some(lane) = lane {
            lane.close().await;
        }
        while tasks.join_next().await.is_some() {}
        self.record().retire(&self.worker.link, self.owner, self.campaign).await;
    }

    /// Keeps the slice as large as it may be, until the lease is over.
    async fn keep_share(&self) {
        loop {
            let Ok(share) = self.record().ask(&self.worker.link, self.owner, self.campaign).await else { return };
            let open = self.lane.borrow().clone();
            let good_until = self.worker.good_until();
            match open {
                Some(lane) if share.is_shut => {
                    self.lane.send_replace(None);
                    lane.close().await;
                }
                None if share.is_shut => {}
                Some(lane) if share.due == lane.per_second && share.granted == share.due => lane.renew(good_until),
                Some(lane) => {
                    self.lane.send_replace(None);
                    lane.close().await;
                    if share.due < share.granted {
                        self.record().shrink(&self.worker.link, self.owner, self.campaign, share.due).await;
                    }
                    if self.worker.world.without != Some(Safeguard::Second) {
                        sleep(SECOND).await;
                    }
                    self.open(share.due);
                }
                None => self.open(share.due),
            }
            sleep(SHARE_BEAT).await;
        }
    }

    fn open(&self, per_second: u32) {
        if per_second > 0 {
            let World { meta, clock, .. } = &*self.worker.world;
            let lane = Lane::open(meta, clock, self.campaign, per_second, self.worker.good_until());
            self.lane.send_replace(Some(lane));
        }
    }

    /// The slice, once there is one; nothing when the run is over.
    async fn lane(&self) -> Option<Arc<Lane>> {
        let mut lanes = self.lane.subscribe();
        tokio::select! {
            biased;
            () = self.over.requested() => None,
            lane = lanes.wait_for(Option::is_some) => lane.ok()?.clone(),
        }
    }

    async fn send_all(&self) {
        while let Some(lane) = self.lane().await {
            let Some(seq) = self.next().await else { return };
            if !self.send(&lane, seq).await {
                locked(&self.rows).push_front(seq);
            }
            self.in_hand.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next recipient, claimed and in hand; nothing when the run is over.
    async fn next(&self) -> Option<u32> {
        loop {
            let _desk = self.desk.lock().await;
            if self.over.is_requested() {
                return None;
            }
            let queued = locked(&self.rows).pop_front();
            if queued.is_some() {
                self.in_hand.fetch_add(1, Ordering::Relaxed);
                return queued;
            }
            match self.record().claim(&self.worker.link, self.owner, self.campaign).await {
                Err(Lapsed) => self.over.request(),
                Ok(claims) if claims.is_over => self.over.request(),
                Ok(claims) if claims.rows.is_empty() => {
                    tokio::select! {
                        biased;
                        () = self.over.requested() => {}
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
                Ok(claims) => locked(&self.rows).extend(claims.rows),
            }
        }
    }

    /// Whether the delivery is at its end; if not, its turn comes again.
    async fn send(&self, lane: &Lane, seq: u32) -> bool {
        let intended = Mutex::new(false);
        let intend = async {
            let event = Event::Intend { nonce: seq, variant: None };
            let stored = self.write(seq, event).await.is_ok();
            *locked(&intended) = stored;
            if !stored {
                self.over.request();
            }
            stored && self.worker.may_begin()
        };
        let sent = match lane.send(seq, intend).await {
            Passage::TurnedAway => return false,
            Passage::Tried(sent) => sent,
        };
        if !*locked(&intended) {
            return false;
        }
        let event = match &sent {
            Ok(sent) => Event::Sent { message_id: sent.message_id.clone() },
            Err(GraphError::Unknown { failure, .. }) => Event::Doubt { why: Refusal::in_words(failure.to_string()) },
            Err(_) => Event::NotSent,
        };
        self.hear(lane).await;
        let is_at_its_end = event != Event::NotSent;
        // What has passed on meanwhile is no longer ours to end.
        let _ = self.write(seq, event).await;
        is_at_its_end
    }

    /// Tells the others whether Meta refuses the Page for its rate, where that is new.
    async fn hear(&self, lane: &Lane) {
        let shut_for = lane.shut_for();
        let before = std::mem::replace(&mut *locked(&self.refused), shut_for.is_some());
        if before != shut_for.is_some() {
            self.record().tell(&self.worker.link, self.owner, self.campaign, shut_for).await;
        }
    }

    async fn write(&self, seq: u32, event: Event) -> Result<(), Lapsed> {
        self.record().write(&self.worker.link, self.owner, self.campaign, seq, event).await
    }
}
