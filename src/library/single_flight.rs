//! One upload per key at a time in this process: whoever asks while it runs waits for the same answer.
//!
//! The work runs as a task of its own, so a caller that goes away neither cancels it nor strands the others.
//! Results are not kept: once a flight has landed, the record answers.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::sync::{self, Mutex};

/// Flights by key.
pub(super) struct SingleFlight<K: Hash + Eq, V, E> {
    under_way: Arc<Mutex<HashMap<K, Landing<V, E>>>>,
}

/// What everyone on one flight waits for; `None` when the work panicked.
type Landing<V, E> = Shared<BoxFuture<'static, Option<Result<V, Arc<E>>>>>;

/// Whether this caller's own work ran, or it shared another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    /// This caller's work ran.
    Flown,
    /// Another caller's work gave the answer.
    Shared,
}

impl<K, V, E> SingleFlight<K, V, E>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self { under_way: Arc::default() }
    }

    /// Runs the work made by `work` unless work for `key` is under way, whose answer is then shared.
    ///
    /// # Errors
    /// What the work returned, shared by all who waited.
    ///
    /// # Panics
    /// When this caller's own work panicked. Those who shared it start their own.
    ///
    /// # Cancel safety
    /// Dropping the future leaves work that has started running to its end.
    pub(super) async fn run<F>(&self, key: K, work: impl Fn() -> F) -> Result<(V, Flight), Arc<E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        loop {
            let (landing, flight) = self.board(&key, &work);
            match (landing.await, flight) {
                (Some(answer), _) => return answer.map(|value| (value, flight)),
                // Whose own work panicked gets no second try: it would panic again, and again.
                (None, Flight::Flown) => panic!("the work for one key panicked"),
                (None, Flight::Shared) => {}
            }
        }
    }

    fn board<F>(&self, key: &K, work: impl Fn() -> F) -> (Landing<V, E>, Flight)
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = under_way.get(key) {
            return (landing.clone(), Flight::Shared);
        }
        let landed = Landed { under_way: Arc::clone(&self.under_way), key: key.clone() };
        let work = work();
        let task = sync::spawn(async move {
            let _landed = landed;
            work.await.map_err(Arc::new)
        });
        let landing = task.map(Result::ok).boxed().shared();
        under_way.insert(key.clone(), landing.clone());
        (landing, Flight::Flown)
    }
}

impl<K: Hash + Eq, V, E> fmt::Debug for SingleFlight<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.under_way.lock().map_or(0, |flights| flights.len());
        f.debug_struct("SingleFlight").field("under_way", &under_way).finish()
    }
}

/// Takes a flight off the board when its work ends, by return or by panic.
struct Landed<K: Hash + Eq, V, E> {
    under_way: Arc<Mutex<HashMap<K, Landing<V, E>>>>,
    key: K,
}

impl<K: Hash + Eq, V, E> Drop for Landed<K, V, E> {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
#[cfg(shuttle)]
mod threads;

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::*;
    use crate::interleave::{Actor, drive, in_every_order};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn callers_of_one_key_share_one_flight() {
        let flights: SingleFlight<_, usize, ()> = SingleFlight::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let work = || {
            let runs = Arc::clone(&runs);
            async move {
                tokio::time::sleep(SECOND).await;
                Ok(runs.fetch_add(1, Ordering::SeqCst))
            }
        };
        let answers = join_all((0..64).map(|_| flights.run("hero", work))).await;
        let answers: Vec<_> = answers.into_iter().collect::<Result<_, _>>().expect("answers");
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(answers.iter().all(|(value, _)| *value == 0));
        assert_eq!(answers.iter().filter(|(_, flight)| *flight == Flight::Flown).count(), 1);
    }

    /// Two callers who stay and one who may go, while the work they wait for ends whenever it likes.
    #[test]
    fn in_every_order_one_flight_is_up_at_a_time_and_everybody_lands() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _entered = runtime.enter();
        let orders = in_every_order(20_000, |choices| {
            let flights: SingleFlight<_, usize, ()> = SingleFlight::new();
            let (up, runs, flown) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), AtomicUsize::new(0));
            let answers = AtomicUsize::new(0);
            let ends = Arc::new(Notify::new());
            let work = || {
                let (up, ends) = (Arc::clone(&up), Arc::clone(&ends));
                let run = runs.fetch_add(1, Ordering::SeqCst);
                async move {
                    assert_eq!(up.fetch_add(1, Ordering::SeqCst), 0, "two flights for one key");
                    ends.notified().await;
                    up.fetch_sub(1, Ordering::SeqCst);
                    Ok(run)
                }
            };
            let call = || async {
                let (run, flight) = flights.run("hero", work).await.expect("an answer");
                assert!(run < runs.load(Ordering::SeqCst));
                flown.fetch_add(usize::from(flight == Flight::Flown), Ordering::SeqCst);
                answers.fetch_add(1, Ordering::SeqCst);
            };
            // One end is kept for whoever comes later, as `Notify` does.
            let end = || async { ends.notify_one() };
            let turn = || runtime.block_on(tokio::task::yield_now());
            let mut actors = [
                Actor::new(call()),
                Actor::new(call()),
                Actor::fickle(call()),
                Actor::new(end()),
                Actor::new(async { turn() }),
            ];
            let mut turns = 0..20;
            drive(&mut actors, choices, || {
                // A flight that took off after the end needs another.
                ends.notify_one();
                turn();
                turns.next().is_some()
            });
            drop(actors);
            for _ in 0..4 {
                ends.notify_one();
                turn();
            }
            assert!((2..=3).contains(&answers.load(Ordering::SeqCst)));
            assert!(flown.load(Ordering::SeqCst) <= runs.load(Ordering::SeqCst));
            assert!(flights.under_way.lock().expect("lock").is_empty());
        });
        assert!((100..20_000).contains(&orders), "{orders}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_keys_fly_on_their_own() {
        let flights: SingleFlight<_, &str, ()> = SingleFlight::new();
        let (hero, logo) =
            tokio::join!(flights.run("hero", || async { Ok("hero") }), flights.run("logo", || async { Ok("logo") }));
        assert_eq!((hero, logo), (Ok(("hero", Flight::Flown)), Ok(("logo", Flight::Flown))));
    }

    #[tokio::test]
    async fn a_landed_flight_is_forgotten() {
        let flights: SingleFlight<_, usize, ()> = SingleFlight::new();
        for expected in 0..3 {
            let answer = flights.run("hero", || async move { Ok(expected) }).await;
            assert_eq!(answer, Ok((expected, Flight::Flown)));
        }
        assert!(flights.under_way.lock().expect("lock").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_reaches_everyone_and_the_next_call_tries_again() {
        let flights: SingleFlight<_, u8, &str> = SingleFlight::new();
        let failing = || async {
            tokio::time::sleep(SECOND).await;
            Err("down")
        };
        let (first, second) = tokio::join!(flights.run("hero", failing), flights.run("hero", failing));
        assert_eq!((first, second), (Err(Arc::new("down")), Err(Arc::new("down"))));
        assert_eq!(flights.run("hero", || async { Ok(1) }).await, Ok((1, Flight::Flown)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_neither_cancels_the_work_nor_repeats_it() {
        let flights: SingleFlight<_, usize, ()> = SingleFlight::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let work = || {
            let runs = Arc::clone(&runs);
            async move {
                tokio::time::sleep(10 * SECOND).await;
                Ok(runs.fetch_add(1, Ordering::SeqCst) + 1)
            }
        };
        assert!(tokio::time::timeout(SECOND, flights.run("hero", work)).await.is_err());
        assert_eq!(flights.run("hero", work).await, Ok((1, Flight::Shared)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_strands_nobody() {
        let flights: SingleFlight<_, u8, ()> = SingleFlight::new();
        let panicked = AtomicBool::new(false);
        let work = || {
            let panics = !panicked.swap(true, Ordering::SeqCst);
            async move {
                tokio::time::sleep(SECOND).await;
                assert!(!panics, "as the test wants it");
                Ok(7)
            }
        };
        let first = std::panic::AssertUnwindSafe(flights.run("hero", work)).catch_unwind();
        let (first, second) = tokio::join!(first, flights.run("hero", work));
        assert!(first.is_err());
        assert_eq!(second.map(|answer| answer.0), Ok(7));
    }
}
