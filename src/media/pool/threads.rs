//! Several threads and one pool, in ever other orders.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::rand::Rng;
use shuttle::sync::Barrier;
use shuttle::thread;

use super::*;
use crate::sync::orders::in_many_orders;

const UNIT: usize = SMALLEST_BYTES;
const CAPACITY: usize = 4 * UNIT;

/// A pool, and what those who use it hold for certain.
struct Watched {
    pool: Arc<BytePool>,
    held: AtomicUsize,
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { pool: Arc::new(BytePool::new(CAPACITY)), held: AtomicUsize::new(0) })
    }

    fn take(&self, units: usize) -> PooledBuffer {
        let buffer = self.pool.take(units * UNIT);
        assert_eq!(buffer.len(), units * UNIT);
        let held = buffer.cost_bytes + self.held.fetch_add(buffer.cost_bytes, SeqCst);
        assert!(held <= CAPACITY, "{held} bytes of {CAPACITY} are held");
        self.check();
        buffer
    }

    /// To be told before a buffer is given back.
    fn gives_back(&self, cost_bytes: usize) {
        self.held.fetch_sub(cost_bytes, SeqCst);
    }

    fn check(&self) {
        let state = self.pool.lock();
        let kept: usize = state.kept.iter().map(Vec::len).sum();
        assert!(state.kept_bytes == kept && state.lent_bytes + kept <= CAPACITY, "{kept} bytes are kept");
        // Whoever took counts as holding a little later, whoever gives back no more a little earlier.
        assert!(self.held.load(SeqCst) <= state.lent_bytes);
    }
}

#[test]
fn all_are_served_and_never_hold_more_than_the_pool() {
    in_many_orders(1_500, || {
        let watched = Watched::new();
        let takers = [[1, 3], [2, 1], [6, 2], [4, 1]].map(|sizes| {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                for units in sizes {
                    let buffer = watched.take(units);
                    let cost_bytes = buffer.cost_bytes;
                    if units % 2 == 0 {
                        // Two clones, either of which may be dropped last.
                        let (bytes, clones) = (Bytes::from(buffer), Arc::new(AtomicUsize::new(2)));
                        let ends = move |bytes: Bytes, clones: &AtomicUsize, watched: &Watched| {
                            if clones.fetch_sub(1, SeqCst) == 1 {
                                watched.gives_back(cost_bytes);
                            }
                            drop(bytes);
                        };
                        let other = thread::spawn({
                            let (bytes, clones, watched) = (bytes.clone(), Arc::clone(&clones), Arc::clone(&watched));
                            move || ends(bytes, &clones, &watched)
                        });
                        ends(bytes, &clones, &watched);
                        other.join().expect("it ends");
                    } else {
                        watched.gives_back(cost_bytes);
                        drop(buffer);
                    }
                }
            })
        });
        for taker in takers {
            taker.join().expect("it ends");
        }
        watched.check();
        let state = watched.pool.lock();
        assert_eq!((state.lent_bytes, state.next_ticket, state.serving), (0, 8, 8));
        assert!(state.peak_bytes <= CAPACITY);
    });
}

/// One that needs the whole pool, and small ones that come after it.
#[test]
fn nobody_is_served_before_those_who_came_earlier() {
    in_many_orders(1_500, || {
        let watched = Watched::new();
        let first = watched.take(1 + shuttle::rand::thread_rng().gen_range(0..4));
        let served = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut came = 1;
        let takers = [4, 1, 8, 2].map(|units| {
            let (waiting, noted) = (Arc::clone(&watched), Arc::clone(&served));
            let taker = thread::spawn(move || {
                let buffer = waiting.take(units);
                noted.lock().unwrap().push(units);
                waiting.gives_back(buffer.cost_bytes);
            });
            came += 1;
            while watched.pool.lock().next_ticket < came {
                thread::yield_now();
            }
            taker
        });
        watched.gives_back(first.cost_bytes);
        drop(first);
        for taker in takers {
            taker.join().expect("it ends");
        }
        assert_eq!(*served.lock().unwrap(), [4, 1, 8, 2]);
    });
}

/// None of those who fit gives back before all of them are served.
#[test]
fn nobody_waits_for_those_who_leave_room() {
    in_many_orders(1_000, || {
        let watched = Watched::new();
        let first = watched.take(4);
        let all_are_served = Arc::new(Barrier::new(3));
        let takers = [1, 2, 1].map(|units| {
            let (watched, all_are_served) = (Arc::clone(&watched), Arc::clone(&all_are_served));
            thread::spawn(move || {
                let buffer = watched.take(units);
                all_are_served.wait();
                watched.gives_back(buffer.cost_bytes);
            })
        });
        watched.gives_back(first.cost_bytes);
        drop(first);
        for taker in takers {
            taker.join().expect("it ends");
        }
    });
}
