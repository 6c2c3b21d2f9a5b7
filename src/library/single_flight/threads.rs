//! Callers of several keys on several threads, some of whom go away, some of whose work fails and some of whose runtime has
//! ended, in ever other orders.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::future::{block_on, spawn, yield_now};
use shuttle::thread;

use super::*;
use crate::sync::orders::{end_runtime, in_many_orders};

/// A key whose work ends well, one whose first work fails, one whose first work panics.
const KEYS: [&str; 3] = ["hero", "down", "torn"];

#[derive(Default)]
struct Key {
    /// Works under way.
    up: AtomicUsize,
    /// Works that were begun.
    runs: AtomicUsize,
    /// Callers who were told that theirs ran.
    flown: AtomicUsize,
}

struct World {
    flights: SingleFlight<usize, usize, &'static str>,
    keys: [Key; KEYS.len()],
}

impl World {
    /// Everybody who stays is answered by work that was under way while they asked.
    async fn call(self: Arc<Self>, key: usize) {
        let (place, before) = (&self.keys[key], self.keys[key].runs.load(SeqCst));
        let work = || {
            let (world, run) = (Arc::clone(&self), place.runs.fetch_add(1, SeqCst));
            async move {
                assert_eq!(world.keys[key].up.fetch_add(1, SeqCst), 0, "two works for one key");
                yield_now().await;
                assert_eq!(world.keys[key].up.fetch_sub(1, SeqCst), 1, "two works for one key");
                match (KEYS[key], run) {
                    ("down", 0) => Err("the first fails"),
                    // No hook hears of it: shuttle's would print the order.
                    ("torn", 0) => std::panic::resume_unwind(Box::new("the first panics")),
                    _ => Ok(run),
                }
            }
        };
        match AssertUnwindSafe(self.flights.run(key, work)).catch_unwind().await {
            Ok(Ok((run, flight))) => {
                assert!((before.saturating_sub(1)..place.runs.load(SeqCst)).contains(&run), "an answer of long ago");
                assert!(KEYS[key] == "hero" || run > 0, "an answer of work that gave none");
                place.flown.fetch_add(usize::from(flight == Flight::Flown), SeqCst);
            }
            Ok(Err(failure)) => assert_eq!((KEYS[key], *failure), ("down", "the first fails")),
            Err(_) => {
                assert_eq!(KEYS[key], "torn");
                place.flown.fetch_add(1, SeqCst);
            }
        }
    }
}

/// The panic that whoever's own work panicked is told of leaves no order behind to be played again.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some("the work for one key panicked") {
                hook(panic);
            }
        }));
    });
}

#[test]
fn one_work_is_up_for_a_key_and_everybody_is_answered() {
    in_many_orders(1_500, || {
        hush();
        let world = Arc::new(World { flights: SingleFlight::new(), keys: Default::default() });
        let callers = [0, 0, 1, 1, 2, 2].map(|key| {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.call(key)))
        });
        let lost = [0, 1, 2].map(|key| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                end_runtime();
                // Its own work is dropped where it is spawned; another's may be over, and answer.
                _ = world.call(key).now_or_never();
            })
        });
        let fickle = [0, 2].map(|key| spawn(Arc::clone(&world).call(key)));
        for caller in fickle {
            caller.abort();
            // Whether it went away or was answered before: it panicked in neither case.
            _ = block_on(caller);
        }
        for caller in callers.into_iter().chain(lost) {
            caller.join().expect("it is answered");
        }
        // Of those who went away, the work may yet be under way.
        let is_up = || !world.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        while is_up() {
            thread::yield_now();
        }
        for key in &world.keys {
            assert_eq!(key.up.load(SeqCst), 0);
            let (runs, flown) = (key.runs.load(SeqCst), key.flown.load(SeqCst));
            assert!(flown <= runs && (1..=4).contains(&runs), "{runs} works for four callers, {flown} told");
        }
    });
}
