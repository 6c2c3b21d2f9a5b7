//! Callers of one governor on several threads, in ever other orders. Time passes where all of them wait.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::budget::{Rates, Standing};
use crate::sync::orders::{in_many_orders, outside};

const MESSAGE: Load = Load { messages: 1, ..Load::CALL };
/// The lane of messages.
const MESSAGES: usize = 1;
const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);
const QUARTER: Duration = Duration::from_millis(250);
/// In so many quarters everybody has gone, were it not that a probe's end is waited for in vain.
const MOST_QUARTERS: usize = 48;

/// A governor, and what was seen of it.
struct World {
    governor: Governor,
    /// When calls left.
    went: std::sync::Mutex<Vec<Instant>>,
    /// From when, and until when, nothing may leave that makes more than so many of the last second.
    bounds: std::sync::Mutex<Vec<(Instant, Instant, u32)>>,
    /// Calls that have not come to their end.
    callers: AtomicUsize,
}

impl World {
    fn new(messages_per_second: u32) -> Arc<Self> {
        let governor = Governor::new(PaceLimits { messages_per_second, ..PaceLimits::default() });
        Arc::new(Self {
            governor,
            went: std::sync::Mutex::default(),
            bounds: std::sync::Mutex::default(),
            callers: AtomicUsize::new(0),
        })
    }

    /// Sends a message, which is refused for its rate at first if it `is_refused`.
    fn call(self: &Arc<Self>, mut is_refused: bool) -> JoinHandle<()> {
        let world = Arc::clone(self);
        self.does(async move {
            let (governor, mut patience) = (&world.governor, Duration::from_mins(5));
            loop {
                let admitted = governor.admit(MESSAGE, &mut patience, |_| {}).await.expect("patience is left");
                let Ok(pass) = admitted.depart().await else { continue };
                world.went.lock().unwrap().push(Instant::now());
                // It is under way.
                yield_now().await;
                if !std::mem::take(&mut is_refused) {
                    return pass.unhindered();
                }
                some_time(4).await;
                governor.throttled(Some(2 * SECOND), None);
                let now = Instant::now();
                let left = governor.state().lanes[MESSAGES].recent(now);
                world.bounds.lock().unwrap().extend([(now, now + TICK, left), (now + TICK, now + 2 * SECOND, 0)]);
                drop(pass);
            }
        })
    }

    /// Has time pass until this came to its end, or is given up.
    fn does(self: &Arc<Self>, what: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.callers.fetch_add(1, SeqCst);
        let here = Here(Arc::clone(self));
        spawn(async move {
            let _here = here;
            what.await;
        })
    }

    /// What was promised, after all have gone.
    fn check(&self, per_second: usize) {
        let went = self.went.lock().unwrap();
        for (first, next) in went.iter().zip(went.iter().skip(per_second)) {
            assert!(*next - *first > SECOND, "{went:?}");
        }
        for &(from, until, most) in &*self.bounds.lock().unwrap() {
            for &at in went.iter().filter(|at| (from..until).contains(at)) {
                let left = went.iter().filter(|&&other| other <= at && at < other + SECOND).count();
                assert!(left <= most as usize, "{left} at {at:?} instead of {most}: {went:?}");
            }
        }
        let state = self.governor.state();
        let promised: u32 = state.lanes.iter().map(Window::promised).sum();
        assert_eq!((state.waiting, state.present.len(), promised), (0, 0, 0), "places are given back once");
        assert!(matches!(state.gate, Gate::Open), "{:?}", state.gate);
    }
}

struct Here(Arc<World>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, SeqCst);
    }
}

/// Runs what `begin` begins in ever other orders, on a clock that is moved by hand.
fn in_time(
    runs: usize,
    begin: impl Fn() -> (Arc<World>, Vec<JoinHandle<()>>) + Send + Sync + 'static,
    check: fn(&World),
) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let runtime: Arc<Runtime> = Arc::new(runtime);
    let _entered = runtime.enter();
    let clock = Arc::clone(&runtime);
    in_many_orders(runs, move || {
        let (world, callers) = begin();
        let time = outside({
            let (clock, world, quarters) = (Arc::clone(&clock), Arc::clone(&world), AtomicUsize::new(0));
            move || {
                clock.block_on(tokio::time::sleep(QUARTER));
                assert!(quarters.fetch_add(1, SeqCst) < MOST_QUARTERS, "somebody waits, and nobody will wake them");
                world.callers.load(SeqCst) > 0
            }
        });
        for caller in callers {
            // One that was given up is over as well.
            _ = block_on(caller);
        }
        time.join().expect("it ends");
        check(&world);
    });
}

/// A moment within so many quarters.
async fn some_time(quarters: u32) {
    tokio::time::sleep(QUARTER * thread_rng().gen_range(0..=quarters)).await;
}

#[test]
fn everybody_goes_and_no_second_holds_too_much_and_a_throttle_stops_all() {
    let begin = || {
        let world = World::new(2);
        let mut callers = vec![world.call(false), world.call(false), world.call(true)];
        let fickle = world.call(false);
        callers.push(world.does(async move {
            some_time(12).await;
            fickle.abort();
            _ = fickle.await;
        }));
        (world, callers)
    };
    in_time(600, begin, |world| {
        assert!((4..=5).contains(&world.went.lock().unwrap().len()));
        world.check(2);
    });
}

/// What a governor has said that it keeps to, others rely on.
#[test]
fn no_more_leaves_than_the_governor_has_said() {
    let begin = || {
        let world = World::new(3);
        _ = world.governor.share();
        let keep_to = |world: &World, messages| {
            let rates = Rates { messages, calls: 300, ..Rates::default() };
            let lasts = Duration::from_hours(1);
            let slice = Slice { rates, held: rates, lasts, portion: None, throttles: 0, standing: Standing::Open };
            let ask = world.governor.ask().expect("it has a share");
            world.governor.keep_to(&ask, &slice, Instant::now());
        };
        keep_to(&world, 3);
        let mut callers: Vec<_> = (0..4).map(|_| world.call(false)).collect();
        let teller = Arc::clone(&world);
        callers.push(world.does(async move {
            some_time(4).await;
            keep_to(&teller, 1);
            let (ask, now) = (teller.governor.ask().expect("it has a share"), Instant::now());
            let most = ask.using.messages.max(ask.spent.messages);
            teller.bounds.lock().unwrap().push((now, now + SECOND, most));
        }));
        (world, callers)
    };
    in_time(600, begin, |world| {
        assert_eq!(world.went.lock().unwrap().len(), 4);
        world.check(3);
    });
}
