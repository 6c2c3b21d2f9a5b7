//! One upload per key at a time in this process: whoever asks while it runs waits for the same answer.
//!
//! The work runs as a task of its own, so a caller that goes away neither cancels it nor strands the others.
//! Results are not kept: once a flight has landed, the record answers.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};

use futures::FutureExt;
use futures::future::Shared;
use tokio::sync::oneshot;

use crate::sync::{self, Mutex};

/// Flights by key.
pub(super) struct SingleFlight<K: Hash + Eq, V, E> {
    under_way: Arc<Mutex<HashMap<K, Landing<V, E>>>>,
}

/// What everyone on one flight waits for. Nothing arrives where the runtime of the work ended first.
type Landing<V, E> = Shared<oneshot::Receiver<Ended<V, E>>>;

/// How the work ended; `None` when it panicked.
type Ended<V, E> = Option<Result<V, Arc<E>>>;

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

    /// Runs the work made by `work` unless work for `key` is under way, whose answer is then shared. Where that ends with
    /// its runtime, whoever waits in another begins anew; in a runtime that is going down nothing is answered.
    ///
    /// # Errors
    /// What the work returned, shared by all who waited.
    ///
    /// # Panics
    /// When this caller's own work panicked, or there is no runtime. Those who shared it start their own.
    ///
    /// # Cancel safety
    /// Dropping the future leaves work that has started running to its end.
    pub(super) async fn run<F>(&self, key: K, work: impl Fn() -> F) -> Result<(V, Flight), Arc<E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        loop {
            let (landing, flight) = self.board(&key, &work);
            let is_over = landing.clone().now_or_never().is_some();
            match (landing.await, flight) {
                (Ok(Some(answer)), _) => return answer.map(|value| (value, flight)),
                // Whose own work panicked gets no second try: it would panic again, and again.
                (Ok(None), Flight::Flown) => panic!("the work for one key panicked"),
                // Never begun: the runtime is going down, and nobody will hear the answer.
                (Err(_), Flight::Flown) if is_over => std::future::pending::<()>().await,
                (Ok(None), Flight::Shared) | (Err(_), _) => {}
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
        let (told, landing) = oneshot::channel();
        let landing = landing.shared();
        under_way.insert(key.clone(), landing.clone());
        // A runtime that is going down drops what is spawned then and there, and with it this, which takes the lock.
        drop(under_way);
        let landed = Landed { under_way: Arc::clone(&self.under_way), key: key.clone(), told: Some(told) };
        let work = work();
        drop(sync::spawn(async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            landed.tell(ended.ok().map(|answer| answer.map_err(Arc::new)));
        }));
        (landing, Flight::Flown)
    }
}

impl<K: Hash + Eq, V, E> fmt::Debug for SingleFlight<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.under_way.lock().map_or(0, |flights| flights.len());
        f.debug_struct("SingleFlight").field("under_way", &under_way).finish()
    }
}

/// Takes a flight off the board when its work ends, by return, by panic or with its runtime. As long as it lives the
/// entry is its own, for nobody else boards that key.
struct Landed<K: Hash + Eq, V, E> {
    under_way: Arc<Mutex<HashMap<K, Landing<V, E>>>>,
    key: K,
    told: Option<oneshot::Sender<Ended<V, E>>>,
}

impl<K: Hash + Eq, V, E> Landed<K, V, E> {
    /// Tells everyone on the flight. It is off the board by then: who tries again must not find it there.
    fn tell(mut self, ended: Ended<V, E>) {
        let told = self.told.take();
        drop(self);
        if let Some(told) = told {
            // Whoever has stopped waiting wants no answer.
            let _ = told.send(ended);
        }
    }
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
        let first = AssertUnwindSafe(flights.run("hero", work)).catch_unwind();
        let (first, second) = tokio::join!(first, flights.run("hero", work));
        assert!(first.is_err());
        assert_eq!(second.map(|answer| answer.0), Ok(7));
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn work_that_is_dropped_where_it_is_spawned_leaves_nothing_behind() {
        let flights: SingleFlight<_, u8, ()> = SingleFlight::new();
        let ended = runtime().handle().clone();
        {
            let _entered = ended.enter();
            assert_eq!(flights.run("hero", || async { Ok(7) }).now_or_never(), None);
        }
        assert!(flights.under_way.lock().expect("lock").is_empty());
        assert_eq!(runtime().block_on(flights.run("hero", || async { Ok(7) })), Ok((7, Flight::Flown)));
    }

    #[test]
    fn without_a_runtime_the_caller_is_told_and_nothing_is_left_behind() {
        let flights: SingleFlight<_, u8, ()> = SingleFlight::new();
        let call = || flights.run("hero", || async { Ok(7) }).now_or_never();
        assert!(std::panic::catch_unwind(AssertUnwindSafe(call)).is_err());
        assert!(flights.under_way.lock().expect("lock").is_empty());
    }

    #[test]
    fn whoever_outlives_the_runtime_of_the_work_tries_again_in_its_own() {
        let flights: SingleFlight<_, u8, ()> = SingleFlight::new();
        let is_begun = AtomicBool::new(false);
        let work = || {
            let is_endless = !is_begun.swap(true, Ordering::SeqCst);
            async move {
                if is_endless {
                    std::future::pending::<()>().await;
                }
                Ok(7)
            }
        };
        let going = runtime();
        let (mut leader, mut follower) = (Box::pin(flights.run("hero", work)), Box::pin(flights.run("hero", work)));
        {
            let _entered = going.enter();
            assert_eq!(leader.as_mut().now_or_never(), None);
            assert_eq!(follower.as_mut().now_or_never(), None);
        }
        drop(going);
        let answers = runtime().block_on(async { tokio::join!(leader, follower) });
        assert_eq!(answers, (Ok((7, Flight::Flown)), Ok((7, Flight::Shared))));
    }
}
