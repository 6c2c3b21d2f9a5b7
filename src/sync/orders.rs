//! Threads in ever other orders: which of them goes on is drawn anew before each step that others may notice.
//!
//! [`interleave`](crate::interleave) takes every order of whole polls; this takes some of many more, those in which a thread is
//! held up within a poll. One that comes to no end, because a wake-up was lost or two wait for each other, fails, and so does a
//! panic; shuttle then prints the schedule. With that in `SCHEDULE`, the test plays just this order again.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::sync::atomic::AtomicBool;
use shuttle::{Config, MaxSteps, Runner};

/// A thread of this name goes on where no other can: there time passes.
const OUTSIDE: &str = "outside";
/// Where a mistake hides, it mostly takes no more than so many threads that are held up at the right place.
const HELD_UP: usize = 3;
/// A run that is longer comes to no end.
const MOST_STEPS: usize = 100_000;

/// Runs `test` in `runs` orders drawn at random, and in as many in which few threads are held up, but for long.
pub(crate) fn in_many_orders(runs: usize, test: impl Fn() + Send + Sync + 'static) {
    let test = Arc::new(test);
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = 512 * 1024;
        config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
        let test = Arc::clone(&test);
        Runner::new(scheduler, config).run(move || test());
    };
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        return run(Box::new(ReplayScheduler::new_from_encoded(schedule.trim())));
    }
    run(Box::new(OutsideLast(RandomScheduler::new(runs))));
    run(Box::new(OutsideLast(PctScheduler::new(HELD_UP, runs))));
}

/// Spawns what happens where nobody can go on, again and again until it says false.
pub(crate) fn outside(happens: impl Fn() -> bool + Send + 'static) -> shuttle::thread::JoinHandle<()> {
    let turns = move || {
        while happens() {
            shuttle::thread::yield_now();
        }
    };
    shuttle::thread::Builder::new().name(OUTSIDE.to_owned()).spawn(turns).expect("a thread")
}

struct OutsideLast<S>(S);

impl<S: Scheduler> Scheduler for OutsideLast<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let inside: Vec<&Task> =
            runnable.iter().copied().filter(|task| task.name().as_deref() != Some(OUTSIDE)).collect();
        self.0.next_task(if inside.is_empty() { runnable } else { &inside }, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// Lets others go on, should it be their turn.
fn step() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

shuttle::thread_local! {
    /// Whether the runtime this thread stands in has ended.
    static HAS_ENDED: Cell<bool> = Cell::new(false);
}

/// From here on this thread stands in a runtime that has ended.
pub(crate) fn end_runtime() {
    HAS_ENDED.with(|has_ended| has_ended.set(true));
}

/// As tokio's: a panic is the task's alone, and what is spawned where the runtime has ended is dropped at once.
pub(crate) fn spawn<F>(task: F) -> impl Future<Output = Result<F::Output, ()>> + Send
where
    F: Future<Output: Send> + Send + 'static,
{
    let has_ended = HAS_ENDED.with(Cell::get);
    let spawned = (!has_ended).then(|| shuttle::future::spawn(AssertUnwindSafe(task).catch_unwind()));
    async move {
        let ended = spawned.ok_or(())?.await;
        ended.map_or(Err(()), |ended| ended.map_err(drop))
    }
}

/// tokio's own, whose doings are each one step.
#[derive(Debug, Default)]
pub(crate) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        step();
        self.0.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        step();
        self.0.notify_waiters();
    }
}

/// Lets one through at a time, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Turnstile(BatchSemaphore);

impl Default for Turnstile {
    fn default() -> Self {
        Self(BatchSemaphore::new(1, Fairness::StrictlyFair))
    }
}

impl Turnstile {
    pub(crate) async fn lock(&self) -> Turn<'_> {
        self.0.acquire(1).await.expect("it is never closed");
        Turn(self)
    }
}

/// As long as it lives, nobody else is let through.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Turnstile);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.release(1);
    }
}
