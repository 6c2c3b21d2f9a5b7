//! One life of a process: from its start to its end or its crash. Whatever it does passes a gate, where it may freeze, or
//! be no more.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reattach::clock::{Clock, Timestamp};
use reattach::record::{self, Entry, Record, Worker};
use reattach::stop::Stop;
use tokio::time::{Instant, sleep, sleep_until};

use super::world::{Fault, World, at_once, locked};

/// How long a process is taken for alive that says nothing, where that goes by a lease.
pub(super) const LEASE: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_secs(5);

/// How far behind a clock may be.
const DAYS_OFF_MILLIS: i64 = 2 * 24 * 3_600 * 1_000;
/// How far ahead: what is put off by such a clock is so for as long, and would make runs of days.
const MOST_AHEAD_MILLIS: i64 = 30 * 60 * 1_000;

/// When it is at Meta when a run begins.
pub(super) const START: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

pub(super) struct Life {
    pub(super) world: Arc<World>,
    /// Which process, and which of its lives.
    pub(super) name: String,
    pub(super) stop: Stop,
    over: Stop,
    state: Mutex<State>,
}

struct State {
    /// None once it has ended.
    engine: Option<Arc<dyn Record>>,
    /// How often it was taken for dead and went on.
    lease: u32,
    alive_until: Instant,
    frozen_until: Instant,
    /// Gates until it crashes.
    doom: Option<u32>,
    /// Which lease each of its workers has, and which campaign.
    workers: BTreeMap<i64, (u32, String)>,
    /// After a failed write an engine answers nothing more.
    failed: bool,
    /// Whether the room that is kept for results was given up.
    has_room: bool,
    /// Under which lease it claimed what it may upload.
    claimed: BTreeMap<String, u32>,
    /// Intents that were said to be on the disk, and are not: a mistake.
    owed: Vec<(Worker, Vec<Entry>)>,
    /// Workers who ended while that could not be written.
    ended: Vec<Worker>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Life {
    pub(super) fn begin(world: &Arc<World>, name: String) -> Arc<Self> {
        let now = Instant::now();
        let doom = world.draw(|rng| (rng.u8(0..10) < 7).then(|| 10 + rng.u32(0..200).pow(2) / 20));
        let engine = open(&world.record());
        world.note(format_args!("{name} begins"));
        let state = State {
            engine: Some(engine),
            lease: 0,
            alive_until: now + LEASE,
            frozen_until: now,
            doom,
            workers: BTreeMap::new(),
            failed: false,
            has_room: false,
            claimed: BTreeMap::new(),
            owed: Vec::new(),
            ended: Vec::new(),
        };
        let (stop, over) = (Stop::new(), Stop::new());
        Arc::new(Self { world: Arc::clone(world), name, stop, over, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// The end, by a crash or otherwise: nothing it has begun goes on.
    pub(super) fn end(&self) {
        let engine = self.state().engine.take();
        drop(engine);
        self.over.request();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_requested()
    }

    /// Returns when it is no more.
    pub(super) async fn over(&self) {
        self.over.requested().await;
    }

    /// Returns if it goes on from here, and when.
    pub(super) async fn gate(&self) {
        loop {
            self.crash_if_due();
            let until = self.state().frozen_until;
            if self.is_over() {
                return std::future::pending().await;
            }
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn crash_if_due(&self) {
        let calm = self.world.is_calm();
        let mut state = self.state();
        let Some(doom) = state.doom.as_mut().filter(|_| state_is_up(&self.over)) else { return };
        if calm {
            return;
        }
        *doom = doom.saturating_sub(1);
        if *doom == 0 {
            state.doom = None;
            drop(state);
            self.world.befell(Fault::Crash, &self.name);
            self.end();
        }
    }

    /// Freezes, as a laptop does whose lid is shut.
    pub(super) fn freeze(&self, span: Duration) {
        self.state().frozen_until = Instant::now() + span;
        self.world.note(format_args!("{} is frozen for {} ms", self.name, span.as_millis()));
    }

    /// Says that it lives, as long as it does.
    pub(super) async fn beat(self: Arc<Self>) {
        loop {
            self.gate().await;
            self.state().alive_until = Instant::now() + LEASE;
            sleep(BEAT).await;
        }
    }

    /// Takes it for dead where its lease is over: what it had passes on, and it is told when it asks again.
    pub(super) fn bury_if_silent(&self) {
        let now = Instant::now();
        let mut state = self.state();
        if state.engine.is_none() || state.alive_until > now {
            return;
        }
        state.lease += 1;
        state.alive_until = now + LEASE;
        // The lock goes with the one, and comes back with the other.
        state.engine = None;
        state.engine = Some(open(&self.world.record()));
        drop(state);
        self.world.befell(Fault::LeaseLoss, &self.name);
    }

    /// The record, unless the life is over.
    pub(super) fn engine(&self) -> Option<Arc<dyn Record>> {
        self.state().engine.clone()
    }

    pub(super) fn enlisted(&self, epoch: i64, campaign: String) {
        let mut state = self.state();
        let lease = state.lease;
        state.workers.insert(epoch, (lease, campaign));
    }

    /// What the worker sends.
    pub(super) fn campaign_of(&self, epoch: i64) -> String {
        self.state().workers.get(&epoch).map(|(_, campaign)| campaign.clone()).expect("a worker of its own")
    }

    /// Whether the worker's lease is over.
    pub(super) fn has_lapsed(&self, epoch: i64) -> bool {
        let state = self.state();
        state.workers.get(&epoch).is_some_and(|(lease, _)| *lease != state.lease)
    }

    /// Whether a call as long as this is over before anybody takes the life for dead, and what it has in flight for unknown.
    pub(super) fn may_begin(&self, epoch: i64, call: Duration) -> bool {
        let grace = reattach::graph::CALL_TIMEOUT + Duration::from_secs(30);
        !self.has_lapsed(epoch) && Instant::now() + call < self.state().alive_until + grace
    }

    pub(super) fn has_claimed(&self, content: String) {
        let mut state = self.state();
        let lease = state.lease;
        state.claimed.insert(content, lease);
    }

    /// Whether it may upload this, as far as it, or anybody, knows.
    pub(super) fn holds(&self, content: &str) -> bool {
        let state = self.state();
        state.engine.is_some() && state.claimed.get(content) == Some(&state.lease)
    }

    /// Under which lease it claimed this, if it ever did.
    pub(super) fn claimed_once(&self, content: &str) -> Option<u32> {
        self.state().claimed.get(content).copied()
    }

    pub(super) fn owe(&self, worker: &Worker, entries: &[Entry]) {
        self.state().owed.push((*worker, entries.to_vec()));
    }

    pub(super) fn owed(&self) -> Vec<(Worker, Vec<Entry>)> {
        std::mem::take(&mut self.state().owed)
    }

    pub(super) fn keep_in_mind(&self, worker: &Worker) {
        self.state().ended.push(*worker);
    }

    pub(super) fn kept_in_mind(&self) -> Vec<Worker> {
        std::mem::take(&mut self.state().ended)
    }

    pub(super) fn fail(&self) {
        self.state().failed = true;
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    pub(super) fn make_room(&self) {
        self.state().has_room = true;
    }

    pub(super) fn has_room(&self) -> bool {
        self.state().has_room
    }
}

fn state_is_up(over: &Stop) -> bool {
    !over.is_requested()
}

pub(super) fn open(path: &Path) -> Arc<dyn Record> {
    at_once(record::open(path)).expect("a record")
}

/// A process's clock: it may be wrong, and jump.
#[derive(Debug)]
pub(super) struct SkewedClock {
    world: Arc<World>,
    ahead_millis: Mutex<i64>,
}

impl SkewedClock {
    pub(super) fn new(world: &Arc<World>) -> Self {
        let ahead = world.draw(|rng| match rng.u8(0..4) {
            0 => rng.i64(-DAYS_OFF_MILLIS..=MOST_AHEAD_MILLIS),
            _ => rng.i64(-5_000..=5_000),
        });
        Self { world: Arc::clone(world), ahead_millis: Mutex::new(ahead) }
    }

    /// Jumps: to days behind, or to half an hour ahead.
    pub(super) fn jump(&self) {
        let to = self.world.draw(|rng| rng.i64(-DAYS_OFF_MILLIS..=MOST_AHEAD_MILLIS));
        *locked(&self.ahead_millis) = to;
        self.world.befell(Fault::ClockJump, to);
    }
}

#[async_trait::async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let shown = START.plus(self.world.elapsed()).as_unix_millis() + *locked(&self.ahead_millis);
        Timestamp::from_unix_millis(shown)
    }

    fn uptime(&self) -> Duration {
        self.world.elapsed()
    }

    async fn sleep(&self, span: Duration) {
        sleep(span).await;
    }
}
