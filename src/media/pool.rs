//! Buffers for whole files, bounded by bytes rather than by number: however many files are read and uploaded at once,
//! their buffers never hold more than the pool's capacity.
//!
//! Used buffers are kept and handed out again, because fresh memory costs a page fault for every 4 KiB. Sizes are
//! rounded up to a power of two, so that a kept buffer fits the next file; what counts is the rounded size, kept
//! buffers included.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// The smallest size counted; smaller files do not need finer books.
const SMALLEST_BYTES: usize = 64 * 1024;

/// Hands out buffers as long as its budget of bytes lasts. Meant for plain threads: waiting blocks the thread.
pub struct BytePool {
    capacity_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lent_bytes: usize,
    kept_bytes: usize,
    peak_bytes: usize,
    /// Buffers that came back, the longest unused first.
    kept: VecDeque<Vec<u8>>,
    /// Takers are served in the order they came, so that small files cannot keep a large one waiting for ever.
    next_ticket: u64,
    serving: u64,
}

impl BytePool {
    /// A pool that never holds more than `capacity_bytes` at once.
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    /// A buffer of `size_bytes`, its content unspecified; waits until the budget allows it.
    ///
    /// A buffer larger than the whole pool is lent when nothing else is, and counts as the whole pool.
    pub fn take(self: &Arc<Self>, size_bytes: usize) -> PooledBuffer {
        let size_class = size_bytes.next_power_of_two().max(SMALLEST_BYTES);
        let cost_bytes = size_class.min(self.capacity_bytes);
        let memory = self.reserve(size_class, cost_bytes).unwrap_or_else(|| vec![0; size_class]);
        PooledBuffer { memory, size_bytes, cost_bytes, pool: Arc::clone(self) }
    }

    /// The most bytes the pool held at any one time.
    pub fn peak_bytes(&self) -> usize {
        self.lock().peak_bytes
    }

    /// Waits for the caller's turn and for the budget, and takes both; returns a kept buffer where one fits.
    fn reserve(&self, size_class: usize, cost_bytes: usize) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let ticket = state.line_up();
        let mut state = self
            .changed
            .wait_while(state, |state| !state.may_take(ticket, cost_bytes, self.capacity_bytes))
            .unwrap_or_else(PoisonError::into_inner);
        let memory = state.take(size_class, cost_bytes, self.capacity_bytes);
        drop(state);
        self.changed.notify_all();
        memory
    }

    fn give_back(&self, memory: Vec<u8>, cost_bytes: usize) {
        self.lock().take_back(memory, cost_bytes, self.capacity_bytes);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A place behind all who came before.
    fn line_up(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket - 1
    }

    /// Whether it is this one's turn, and the budget allows it.
    fn may_take(&self, ticket: u64, cost_bytes: usize, capacity_bytes: usize) -> bool {
        self.serving == ticket && self.lent_bytes + cost_bytes <= capacity_bytes
    }

    /// Lends to the first in line, a kept buffer where one fits.
    fn take(&mut self, size_class: usize, cost_bytes: usize, capacity_bytes: usize) -> Option<Vec<u8>> {
        self.serving += 1;
        self.lent_bytes += cost_bytes;
        let memory = self.take_kept(size_class);
        self.make_room(capacity_bytes);
        self.peak_bytes = self.peak_bytes.max(self.lent_bytes + self.kept_bytes);
        memory
    }

    fn take_back(&mut self, memory: Vec<u8>, cost_bytes: usize, capacity_bytes: usize) {
        self.lent_bytes -= cost_bytes;
        self.kept_bytes += memory.len();
        self.kept.push_back(memory);
        // One larger than the whole pool counted for less than it is, and does not stay.
        self.make_room(capacity_bytes);
    }

    /// The most recently used buffer of this size, whose pages are the likeliest to be in the processor's caches.
    fn take_kept(&mut self, size_class: usize) -> Option<Vec<u8>> {
        let at = self.kept.iter().rposition(|memory| memory.len() == size_class)?;
        self.kept_bytes -= size_class;
        self.kept.remove(at)
    }

    fn make_room(&mut self, capacity_bytes: usize) {
        while self.lent_bytes + self.kept_bytes > capacity_bytes
            && let Some(memory) = self.kept.pop_front()
        {
            self.kept_bytes -= memory.len();
        }
    }
}

impl fmt::Debug for BytePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("BytePool")
            .field("capacity_bytes", &self.capacity_bytes)
            .field("lent_bytes", &state.lent_bytes)
            .field("kept_bytes", &state.kept_bytes)
            .finish_non_exhaustive()
    }
}

/// A buffer lent by a [`BytePool`]; dropping it gives it back.
pub struct PooledBuffer {
    memory: Vec<u8>,
    size_bytes: usize,
    cost_bytes: usize,
    pool: Arc<BytePool>,
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.size_bytes]
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.size_bytes]
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// The same memory, shared: the budget is free again when the last clone is dropped.
impl From<PooledBuffer> for Bytes {
    fn from(buffer: PooledBuffer) -> Self {
        Self::from_owner(buffer)
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.memory), self.cost_bytes);
    }
}

impl fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuffer").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(shuttle)]
mod threads;

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::interleave::in_every_order;

    const MIB: usize = 1024 * 1024;

    /// Whoever holds the lock does one of these; between them, anybody may.
    enum Stage {
        Coming,
        InLine(u64),
        Holding(Vec<u8>),
        Gone,
    }

    /// Four who want buffers of a pool of three bytes, in every order in which they can get hold of its lock. `give` gives
    /// back what one of them held.
    fn take_turns(give: fn(&mut State, Vec<u8>, usize)) -> usize {
        const CAPACITY: usize = 3;
        in_every_order(500_000, |choices| {
            let mut state = State::default();
            let mut all = [1, 2, 3, 5].map(|size: usize| (size, size.min(CAPACITY), Stage::Coming));
            let mut served = Vec::new();
            loop {
                let may_go_on = |(_, cost, stage): &(usize, usize, Stage)| match stage {
                    Stage::InLine(ticket) => state.may_take(*ticket, *cost, CAPACITY),
                    Stage::Coming | Stage::Holding(_) => true,
                    Stage::Gone => false,
                };
                let next: Vec<usize> = (0..all.len()).filter(|&one| may_go_on(&all[one])).collect();
                if next.is_empty() {
                    break;
                }
                let (size, cost, now) = &mut all[next[choices.choose(next.len())]];
                *now = match std::mem::replace(now, Stage::Gone) {
                    Stage::Coming => Stage::InLine(state.line_up()),
                    Stage::InLine(ticket) => {
                        served.push(ticket);
                        let kept = state.take(*size, *cost, CAPACITY);
                        Stage::Holding(kept.unwrap_or_else(|| vec![0; *size]))
                    }
                    Stage::Holding(memory) => {
                        give(&mut state, memory, *cost);
                        Stage::Gone
                    }
                    Stage::Gone => Stage::Gone,
                };
                let lent: usize = all
                    .iter()
                    .filter(|(_, _, stage)| matches!(stage, Stage::Holding(_)))
                    .map(|(_, cost, _)| cost)
                    .sum();
                assert!(state.lent_bytes == lent && lent + state.kept_bytes <= CAPACITY, "{lent} of {CAPACITY} lent");
            }
            assert!(all.iter().all(|(_, _, stage)| matches!(stage, Stage::Gone)), "somebody waits for ever");
            assert!(served.is_sorted() && state.lent_bytes == 0);
        })
    }

    #[test]
    fn in_every_order_all_are_served_in_theirs_and_within_the_budget() {
        let orders = take_turns(|state, memory, cost| state.take_back(memory, cost, 3));
        assert!((1_000..500_000).contains(&orders), "{orders}");
    }

    #[test]
    #[should_panic(expected = "lent")]
    fn bytes_that_are_given_back_twice_are_found() {
        take_turns(|state, memory, cost| {
            state.take_back(memory, cost, 3);
            state.lent_bytes = state.lent_bytes.saturating_sub(cost);
        });
    }

    #[test]
    #[should_panic(expected = "lent")]
    fn bytes_that_are_not_given_back_are_found() {
        take_turns(|state, memory, _| state.take_back(memory, 0, 3));
    }

    #[test]
    fn a_buffer_that_came_back_is_lent_again() {
        let pool = Arc::new(BytePool::new(4 * MIB));
        let first = pool.take(MIB).as_ptr();
        assert_eq!(pool.take(MIB - 5).as_ptr(), first);
        assert_eq!(pool.peak_bytes(), MIB);
    }

    #[test]
    fn the_budget_is_free_only_when_the_last_clone_of_the_bytes_is_dropped() {
        let pool = Arc::new(BytePool::new(MIB));
        let bytes = Bytes::from(pool.take(MIB));
        let clone = bytes.slice(5..);
        drop(bytes);
        assert_eq!(pool.lock().lent_bytes, MIB);
        drop(clone);
        assert_eq!(pool.lock().lent_bytes, 0);
    }

    #[test]
    fn taking_waits_for_the_budget() {
        let pool = Arc::new(BytePool::new(2 * MIB));
        let held = pool.take(2 * MIB);
        let (taken, next) = mpsc::channel();
        let waiter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let buffer = pool.take(MIB);
                taken.send(()).expect("the test listens");
                drop(buffer);
            }
        });
        while pool.lock().next_ticket < 2 {
            thread::yield_now();
        }
        assert!(next.try_recv().is_err());
        drop(held);
        next.recv().expect("the waiter got its buffer");
        waiter.join().expect("the waiter ended");
    }

    #[test]
    fn a_large_request_is_not_overtaken_by_small_ones() {
        let pool = Arc::new(BytePool::new(2 * MIB));
        let held = pool.take(MIB);
        let (order, arrivals) = mpsc::channel();
        let spawn = |size_bytes: usize, after: u64| {
            let (pool, order) = (Arc::clone(&pool), order.clone());
            while pool.lock().next_ticket < after {
                thread::yield_now();
            }
            thread::spawn(move || {
                let buffer = pool.take(size_bytes);
                order.send(size_bytes).expect("the test listens");
                drop(buffer);
            })
        };
        let waiters = [spawn(2 * MIB, 1), spawn(MIB, 2)];
        while pool.lock().next_ticket < 3 {
            thread::yield_now();
        }
        drop(held);
        for waiter in waiters {
            waiter.join().expect("the waiter ended");
        }
        assert_eq!(arrivals.try_iter().collect::<Vec<_>>(), [2 * MIB, MIB]);
    }

    #[test]
    fn a_buffer_larger_than_the_pool_is_lent_alone_and_not_kept() {
        let pool = Arc::new(BytePool::new(MIB));
        let buffer = pool.take(3 * MIB);
        assert_eq!(buffer.len(), 3 * MIB);
        drop(buffer);
        assert_eq!(pool.lock().kept_bytes, 0);
        drop(pool.take(MIB));
        assert_eq!(pool.peak_bytes(), MIB);
    }

    #[test]
    fn many_threads_together_stay_within_the_capacity() {
        let pool = Arc::new(BytePool::new(4 * MIB));
        thread::scope(|scope| {
            for worker in 0..8_usize {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..200_usize {
                        let size_bytes = ((worker * 31 + round * 17) % 40) * 100_000;
                        let mut buffer = pool.take(size_bytes);
                        buffer.fill(1);
                        assert_eq!(buffer.len(), size_bytes);
                    }
                });
            }
        });
        assert!(pool.peak_bytes() <= 4 * MIB, "{pool:?}");
        assert_eq!(pool.lock().lent_bytes, 0);
    }
}
