//! What is counted while a campaign is sent: for those who watch, and for the brakes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::portion::Portion;
use crate::clock::Timestamp;
use crate::delivery::Refusal;
use crate::graph::{Entry, is_unlisted, lookup};

/// So many refusals of one kind, and nothing but these, pause a campaign.
pub(super) const SAME_REFUSALS: u64 = 5;

/// So many doubts without a receipt between them pause a campaign: it is no one message that is lost, but Meta that is down.
pub(super) const DOUBTS_IN_A_ROW: u64 = 25;

/// …if they were in so many calls: one connection that breaks under a batch is no outage.
const DOUBTFUL_CALLS_IN_A_ROW: u64 = 3;

/// Fewer attempts tell nothing about a share that failed.
const TELLING: u64 = 20;

/// Counts of one run, as they stand. Cheap to read as often as one likes.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    skipped: AtomicU64,
    in_flight: AtomicU64,
    doubts_in_a_row: AtomicU64,
    doubtful_calls_in_a_row: AtomicU64,
    /// Refusals without a receipt between them that may be about all of the Page.
    unlisted_in_a_row: AtomicU64,
    uploads: AtomicU64,
    errors: Mutex<Errors>,
    waiting: Mutex<Option<Waiting>>,
}

/// Why nothing is sent just now, though there is something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The reason, as people are told it behind "waiting: ".
    pub reason: String,
    /// When it is expected to be over, where that is known.
    pub until: Option<Timestamp>,
}

impl Waiting {
    /// Meta is not reached; it is tried again at `until`.
    pub(super) fn unreachable(until: Timestamp) -> Self {
        Self { reason: "Meta cannot be reached".to_owned(), until: Some(until) }
    }
}

/// Refusals by code and subcode.
type Errors = BTreeMap<(Option<i64>, Option<i64>), ErrorCount>;

/// How often Meta refused in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCount {
    /// Meta's code; `None` where a message never left.
    pub code: Option<i64>,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// How often.
    pub count: u64,
    /// Meta's words the last time.
    pub message: String,
}

impl ErrorCount {
    /// What the catalogue knows of it.
    pub fn entry(&self) -> Option<&'static Entry> {
        lookup(self.code?, self.subcode)
    }
}

impl Tally {
    /// Deliveries Meta has.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Deliveries Meta refused.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Deliveries that may have arrived.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// People left out.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Messages on their way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Uploads made on the way.
    pub fn uploads(&self) -> u64 {
        self.uploads.load(Ordering::Relaxed)
    }

    /// Refusals by code, the most frequent first.
    pub fn errors(&self) -> Vec<ErrorCount> {
        let mut errors: Vec<_> = locked(&self.errors).values().cloned().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        errors
    }

    /// What the run itself waits for; `None` while it sends. What Meta's limits make it wait for, the Page's governor knows.
    pub fn waiting(&self) -> Option<Waiting> {
        locked(&self.waiting).clone()
    }

    pub(super) fn set_waiting(&self, waiting: Option<Waiting>) {
        *locked(&self.waiting) = waiting;
    }

    pub(super) fn add_sent(&self) {
        self.doubts_in_a_row.store(0, Ordering::Relaxed);
        self.doubtful_calls_in_a_row.store(0, Ordering::Relaxed);
        self.unlisted_in_a_row.store(0, Ordering::Relaxed);
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that left at least one message in doubt, ahead of those messages.
    pub(super) fn add_doubtful_call(&self) {
        self.doubtful_calls_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a doubt; gives the reason to pause, if it is one too many.
    pub(super) fn add_unknown(&self, reason: &str) -> Option<String> {
        self.unknown.fetch_add(1, Ordering::Relaxed);
        let in_a_row = self.doubts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let calls = self.doubtful_calls_in_a_row.load(Ordering::Relaxed);
        let too_many = in_a_row >= DOUBTS_IN_A_ROW && calls >= DOUBTFUL_CALLS_IN_A_ROW;
        too_many.then(|| format!("{in_a_row} messages in a row got no answer: {reason}"))
    }

    pub(super) fn add_skipped(&self, more: u64) {
        self.skipped.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn add_uploads(&self, more: u64) {
        self.uploads.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn flying(&self, by: u64) {
        self.in_flight.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn landed(&self, by: u64) {
        self.in_flight.fetch_sub(by, Ordering::Relaxed);
    }

    /// Counts a refusal, and says what it means for all the others.
    pub(super) fn add_failed(&self, refusal: &Refusal, limit: Option<Portion>) -> AfterRefusal {
        let mut errors = locked(&self.errors);
        // Within the lock: who counts one refusal must not see another counted by half.
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        let empty = ErrorCount { code: refusal.code, subcode: refusal.subcode, count: 0, message: String::new() };
        let error = errors.entry((refusal.code, refusal.subcode)).or_insert(empty);
        error.count += 1;
        error.message.clone_from(&refusal.reason);
        let (sent, same) = (self.sent(), error.count);
        drop(errors);
        if sent == 0 && same >= SAME_REFUSALS && same == failed {
            let why = format!("the first {same} messages were all refused alike: {}", refusal.reason);
            return AfterRefusal::Pause(why);
        }
        if refusal.code.is_some_and(|code| is_unlisted(code, refusal.subcode)) {
            let in_a_row = self.unlisted_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row >= SAME_REFUSALS {
                let why = format!("{in_a_row} messages in a row were refused, and none was taken: {}", refusal.reason);
                return AfterRefusal::Pause(why);
            }
        }
        let tried = sent + failed + self.unknown();
        match limit {
            Some(limit) if is_passed(limit, failed, tried) => {
                AfterRefusal::Pause(format!("{failed} of the first {tried} messages failed"))
            }
            _ if failed >= SAME_REFUSALS => AfterRefusal::Go,
            _ => AfterRefusal::Wait,
        }
    }
}

/// What a refusal means for those whose turn has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterRefusal {
    /// It may be the message that is wrong: only a few may go.
    Wait,
    /// It is not the message: all may go.
    Go,
    /// Nobody may go any more, for this reason.
    Pause(String),
}

/// Whether so many failures among so many attempts are too many.
#[expect(clippy::cast_precision_loss, reason = "a share of a few millions")]
fn is_passed(limit: Portion, failed: u64, tried: u64) -> bool {
    match limit {
        Portion::Count(most) => failed >= most,
        Portion::Percent(most) => tried >= TELLING && failed as f64 * 100.0 > most * tried as f64,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64) -> Refusal {
        Refusal { code: Some(code), subcode: None, reason: "no".to_owned() }
    }

    #[test]
    fn five_of_a_kind_and_nothing_else_are_a_reason_to_pause() {
        use AfterRefusal::{Go, Pause, Wait};
        let tally = Tally::default();
        for _ in 1..SAME_REFUSALS {
            assert_eq!(tally.add_failed(&refused(100), None), Wait);
        }
        assert!(matches!(tally.add_failed(&refused(100), None), Pause(_)));
        let mixed = Tally::default();
        mixed.add_failed(&refused(551), None);
        let after: Vec<_> = (0..9).map(|_| mixed.add_failed(&refused(100), None)).collect();
        assert!(
            after[..3].iter().all(|after| *after == Wait) && after[3..].iter().all(|after| *after == Go),
            "{after:?}"
        );
        let going = Tally::default();
        going.add_sent();
        assert!((0..9).all(|_| !matches!(going.add_failed(&refused(100), None), Pause(_))));
    }

    #[test]
    fn five_refusals_in_a_row_that_may_be_about_the_page_are_a_reason_to_pause_at_any_time() {
        let tally = Tally::default();
        let unlisted = Refusal { subcode: Some(9_999_999), ..refused(10) };
        let refuse = || matches!(tally.add_failed(&unlisted, None), AfterRefusal::Pause(_));
        for _ in 0..3 {
            tally.add_sent();
            assert!((1..SAME_REFUSALS).all(|_| !refuse()));
        }
        assert!(refuse());
    }

    #[test]
    fn refusals_counted_at_once_let_nobody_go() {
        for _ in 0..200 {
            let tally = Tally::default();
            let count = || tally.add_failed(&refused(100), None);
            let after: Vec<_> = std::thread::scope(|scope| {
                let counting: Vec<_> = (0..SAME_REFUSALS).map(|_| scope.spawn(count)).collect();
                counting.into_iter().map(|counting| counting.join().unwrap()).collect()
            });
            assert_eq!(after.iter().filter(|after| **after == AfterRefusal::Wait).count() as u64, SAME_REFUSALS - 1);
        }
    }

    #[test]
    fn doubts_in_a_row_are_a_reason_to_pause_and_scattered_ones_are_not() {
        let tally = Tally::default();
        let doubt = || {
            tally.add_doubtful_call();
            tally.add_unknown("reset")
        };
        assert!((1..DOUBTS_IN_A_ROW).all(|_| doubt().is_none()));
        tally.add_sent();
        assert!((1..DOUBTS_IN_A_ROW).all(|_| doubt().is_none()));
        assert!(doubt().is_some());
    }

    #[test]
    fn a_batch_that_is_lost_is_no_outage_and_three_of_them_are() {
        let tally = Tally::default();
        let batch = || {
            tally.add_doubtful_call();
            (0..50).filter_map(|_| tally.add_unknown("reset")).last()
        };
        assert_eq!((batch(), batch()), (None, None));
        tally.add_sent();
        assert_eq!((batch(), batch()), (None, None));
        assert_eq!(batch(), Some("150 messages in a row got no answer: reset".to_owned()));
    }

    #[test]
    fn a_share_of_failures_needs_enough_to_tell() {
        let share = Portion::Percent(5.0);
        assert!(!is_passed(share, 19, 19) && !is_passed(share, 1, 20) && is_passed(share, 2, 20));
        assert!(is_passed(Portion::Count(3), 3, 3) && !is_passed(Portion::Count(3), 2, 900));
    }

    #[test]
    fn too_many_failures_are_a_reason_to_pause() {
        let tally = Tally::default();
        tally.add_sent();
        assert_eq!(tally.add_failed(&refused(1), Some(Portion::Count(2))), AfterRefusal::Wait);
        let why = tally.add_failed(&refused(2), Some(Portion::Count(2)));
        assert_eq!(why, AfterRefusal::Pause("2 of the first 3 messages failed".to_owned()));
    }
}
