//! What all of one run share: its luck, its faults and its trace, the disk its record lies on, and what was promised there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use fastrand::Rng;
use reattach::record::DeliveryKey;
use sha2::{Digest, Sha256};
use tokio::task::{spawn_blocking, unconstrained};
use tokio::time::Instant;

use super::mistakes::Mistake;
use crate::support::marks::put_in_place;

/// What can go wrong. Over all seeds of a run each of them must have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    RequestDropped,
    AnswerDropped,
    AnswerDelayed,
    AnswerDoubled,
    AnswerWrong,
    Storm,
    TokenDeath,
    IdLoss,
    IdAge,
    Crash,
    PowerCut,
    LeaseLoss,
    DiskLocked,
    DiskFull,
    DiskFailed,
    ClockJump,
    Stop,
}

impl Fault {
    pub(super) const ALL: [Self; 17] = [
        Self::RequestDropped,
        Self::AnswerDropped,
        Self::AnswerDelayed,
        Self::AnswerDoubled,
        Self::AnswerWrong,
        Self::Storm,
        Self::TokenDeath,
        Self::IdLoss,
        Self::IdAge,
        Self::Crash,
        Self::PowerCut,
        Self::LeaseLoss,
        Self::DiskLocked,
        Self::DiskFull,
        Self::DiskFailed,
        Self::ClockJump,
        Self::Stop,
    ];
}

/// What is played, all of it drawn from the seed.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) processes: usize,
    pub(super) recipients: u64,
    pub(super) parts: u8,
    pub(super) batch: u16,
    /// Whether what may have arrived is sent again.
    pub(super) at_least_once: bool,
    /// Whether being alive is a lease, as on a server, and not a lock, as on a disk.
    pub(super) leases: bool,
    /// Campaigns that follow one another, months apart.
    pub(super) campaigns: usize,
    pub(super) per_second: u32,
    /// For how long things go wrong in each of them.
    pub(super) trouble: Duration,
}

impl Scenario {
    fn of(rng: &mut Rng) -> Self {
        Self {
            processes: rng.usize(1..=4),
            recipients: rng.u64(50..=200),
            parts: rng.u8(1..=2),
            batch: if rng.u8(0..3) == 0 { rng.u16(2..=20) } else { 1 },
            at_least_once: rng.u8(0..4) == 0,
            leases: rng.bool(),
            campaigns: if rng.u8(0..3) == 0 { 2 } else { 1 },
            per_second: rng.u32(2..=20),
            trouble: Duration::from_secs(rng.u64(30..=300)),
        }
    }
}

/// One run.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) scenario: Scenario,
    pub(super) mistake: Option<Mistake>,
    began: Instant,
    rng: Mutex<Rng>,
    trace: Mutex<Trace>,
    faults: Mutex<BTreeMap<Fault, u64>>,
    calm: AtomicBool,
    folder: PathBuf,
    disk: Mutex<Disk>,
    /// Attempts whose intent is on the disk, by their nonces.
    intents: Mutex<BTreeSet<(String, DeliveryKey, u32)>>,
    objections: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Trace {
    digest: Sha256,
    events: u64,
    lines: Option<Vec<String>>,
}

#[derive(Debug)]
struct Disk {
    /// Which copy of the record is in use: each power cut leaves another.
    copies: u32,
    full_until: Instant,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn new(seed: u64, mistake: Option<Mistake>, folder: PathBuf, tells: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::of(&mut rng);
        let now = Instant::now();
        Self {
            seed,
            scenario,
            mistake,
            began: now,
            rng: Mutex::new(rng),
            trace: Mutex::new(Trace { lines: tells.then(Vec::new), ..Trace::default() }),
            faults: Mutex::default(),
            calm: AtomicBool::new(false),
            folder,
            disk: Mutex::new(Disk { copies: 0, full_until: now }),
            intents: Mutex::default(),
            objections: Mutex::default(),
        }
    }

    /// Draws from the seed.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut locked(&self.rng))
    }

    pub(super) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.draw(|rng| rng.u64(from..=to)))
    }

    /// Whether something of so many in a thousand goes wrong now.
    pub(super) fn strikes(&self, per_thousand: u64) -> bool {
        self.draw(|rng| rng.u64(0..1_000)) < per_thousand && !self.is_calm()
    }

    /// Writes down that something went wrong.
    pub(super) fn befell(&self, fault: Fault, what: impl fmt::Display) {
        *locked(&self.faults).entry(fault).or_default() += 1;
        self.note(format_args!("{fault:?} {what}"));
    }

    pub(super) fn faults(&self) -> BTreeMap<Fault, u64> {
        locked(&self.faults).clone()
    }

    /// From now on nothing goes wrong, or it does again.
    pub(super) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
        locked(&self.disk).full_until = Instant::now();
        self.note(format_args!("calm: {calm}"));
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// An event of the trace, by which a replay is told from another run.
    pub(super) fn note(&self, what: impl fmt::Display) {
        let line = format!("{:>12} {what}", self.elapsed().as_millis());
        let mut trace = locked(&self.trace);
        trace.digest.update(&line);
        trace.digest.update("\n");
        trace.events += 1;
        if let Some(lines) = &mut trace.lines {
            lines.push(line);
        }
    }

    /// The digest of the whole trace, how many events it has, and their lines where they were wanted.
    pub(super) fn trace(&self) -> (String, u64, Vec<String>) {
        let trace = locked(&self.trace);
        (hex::encode(trace.digest.clone().finalize()), trace.events, trace.lines.clone().unwrap_or_default())
    }

    pub(super) fn object(&self, what: String) {
        self.note(format_args!("OBJECTION {what}"));
        locked(&self.objections).push(what);
    }

    pub(super) fn objections(&self) -> Vec<String> {
        locked(&self.objections).clone()
    }

    /// A file or folder that is no record.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn record(&self) -> PathBuf {
        self.copy(locked(&self.disk).copies)
    }

    fn copy(&self, number: u32) -> PathBuf {
        self.folder.join(format!("disk-{number}")).join("record.db")
    }

    /// What is on the disk at this moment becomes the record that is opened from now on, locks and shared memory gone.
    pub(super) fn cut_power(&self) {
        let from = self.record();
        locked(&self.disk).copies += 1;
        let to = self.record();
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        for suffix in ["", "-wal", ".mark", ".reserve"] {
            let named = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if named(&from).exists() {
                std::fs::copy(named(&from), named(&to)).expect("a copy");
            }
        }
        put_in_place(&to);
    }

    pub(super) fn fill_disk(&self, span: Duration) {
        locked(&self.disk).full_until = Instant::now() + span;
    }

    pub(super) fn is_disk_full(&self) -> bool {
        Instant::now() < locked(&self.disk).full_until
    }

    pub(super) fn has_intended(&self, campaign: String, key: DeliveryKey, nonce: u32) {
        locked(&self.intents).insert((campaign, key, nonce));
    }

    pub(super) fn is_intended(&self, campaign: &str, key: DeliveryKey, nonce: u32) -> bool {
        locked(&self.intents).contains(&(campaign.to_owned(), key, nonce))
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries out what threads that may block are asked for before anybody else goes on: else which of them is faster would
/// decide what comes next.
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> T {
    // The task's budget is for those who can go on later.
    let mut work = pin!(unconstrained(work));
    let waker = Waker::from(Arc::new(Waiting(thread::current())));
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}

/// A thread that waits.
struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A future that goes on as soon as the threads have done what it asked them for. It takes a runtime with one such thread.
pub(super) struct Prompt<F>(Pin<Box<F>>);

pub(super) fn prompt<F: Future>(work: F) -> Prompt<F> {
    Prompt(Box::pin(work))
}

struct Woken {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}

impl<F: Future> Future for Prompt<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            let woken = Arc::new(Woken { woken: AtomicBool::new(false), task: context.waker().clone() });
            let waker = Waker::from(Arc::clone(&woken));
            if let Poll::Ready(done) = self.0.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(done);
            }
            // Behind all that was asked for before.
            at_once(spawn_blocking(|| ())).expect("a thread");
            if !woken.woken.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
    }
}
