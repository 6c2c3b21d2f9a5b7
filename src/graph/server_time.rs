//! What time it is at Meta, as its answers say, and a clock that goes by it.
//!
//! Ages count in Meta's time: it is Meta that forgets an id after 90 days. As long as the machine's clock agrees with
//! Meta's to within an hour, it is taken at its word. What time it is at Meta goes on with the time the machine is up, so
//! that it makes no difference when the machine's clock is set. An answer that says otherwise than those before it, and than
//! the machine's clock, is not believed until the next one says the same: ids, ends and windows hang on it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;

use super::hook::Hook;
use crate::clock::{Clock, ClockReading, Moment, Timestamp};

/// How far the clocks may be apart before ours is not believed.
const TOLERANCE: Duration = Duration::from_hours(1);

/// A difference between the clocks that changed by no more is the same.
const JITTER_MILLIS: u64 = 60_000;

/// How Meta's clock stands to ours, to the second and the time an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// By how many milliseconds Meta's clock is ahead of ours; negative where ours is ahead.
    pub ahead_millis: i64,
}

impl ClockSkew {
    /// How far the clocks are apart, whichever is ahead.
    pub const fn size(self) -> Duration {
        Duration::from_millis(self.ahead_millis.unsigned_abs())
    }

    fn is_large(self) -> bool {
        self.size() > TOLERANCE
    }
}

impl From<ClockReading> for ClockSkew {
    fn from(reading: ClockReading) -> Self {
        Self { ahead_millis: reading.ahead_millis() }
    }
}

/// What is known of Meta's time: from the last answer to any client that shares this, and from an earlier process.
#[derive(Default)]
pub struct ServerTime {
    known: Mutex<Known>,
    on_correction: Option<Hook<ClockSkew>>,
}

#[derive(Debug, Default)]
struct Known {
    /// From the last answer that was believed.
    read: Option<Heard>,
    /// From the one behind it, which nothing bears out yet.
    alone: Option<Heard>,
    /// What is kept of earlier answers.
    kept: Option<ClockReading>,
    was_told: bool,
}

/// What an answer said, and how long the machine had been up when it came.
#[derive(Debug, Clone, Copy)]
struct Heard {
    reading: ClockReading,
    up: Duration,
}

impl Heard {
    fn since(self, up: Duration) -> Duration {
        up.saturating_sub(self.up)
    }

    /// What time it is at Meta when the machine has been up for so long.
    fn theirs(self, up: Duration) -> Timestamp {
        self.reading.theirs.plus(self.since(up))
    }

    /// Whether the two say the same, but for the time answers take.
    fn agrees_with(self, other: Self) -> bool {
        let (said, expected) = (other.reading.theirs, self.theirs(other.up));
        said.as_unix_millis().abs_diff(expected.as_unix_millis()) <= JITTER_MILLIS
    }
}

impl ServerTime {
    /// One that calls `hook` the first time the clocks turn out to be more than an hour apart.
    pub fn telling(hook: Hook<ClockSkew>) -> Self {
        Self { on_correction: Some(hook), ..Self::default() }
    }

    /// Takes note of what is kept, by this process or one before it.
    pub fn kept(&self, reading: ClockReading) {
        self.lock().kept = Some(reading);
    }

    /// What is worth keeping for processes that cannot ask: the last answer's word, where it is an hour newer than what
    /// is [kept](Self::kept) or says otherwise.
    pub fn to_keep(&self) -> Option<ClockReading> {
        let known = self.lock();
        let read = known.read?.reading;
        let is_older = |kept: ClockReading| {
            let change = read.ahead_millis().abs_diff(kept.ahead_millis());
            change > JITTER_MILLIS || read.theirs.since(kept.theirs) > TOLERANCE
        };
        known.kept.is_none_or(is_older).then_some(read)
    }

    /// How Meta's clock stood to ours by the last answer that was believed; `None` before it has said what time it is.
    pub fn skew(&self) -> Option<ClockSkew> {
        self.lock().read.map(|read| read.reading.into())
    }

    /// Takes note of the `Date` of an answer that came now.
    pub(super) fn observe(&self, headers: &HeaderMap, clock: &dyn Clock) {
        let Some(theirs) = date(headers) else { return };
        let reading = ClockReading { theirs, ours: clock.now() };
        let is_news = {
            let mut known = self.lock();
            let heard = Heard { reading, up: clock.uptime() };
            let is_borne_out = !ClockSkew::from(reading).is_large()
                || known.read.is_none_or(|read| read.agrees_with(heard))
                || known.alone.is_some_and(|alone| alone.agrees_with(heard));
            if !is_borne_out {
                known.alone = Some(heard);
                return;
            }
            (known.read, known.alone) = (Some(heard), None);
            ClockSkew::from(reading).is_large() && !std::mem::replace(&mut known.was_told, true)
        };
        if let (true, Some(hook)) = (is_news, &self.on_correction) {
            hook.call(reading.into());
        }
    }

    /// Meta's time now, to the second; ours before Meta has said anything.
    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.lock().read.map_or_else(|| clock.now(), |read| read.theirs(clock.uptime()))
    }

    /// Whether our clock has been set by more than an hour since Meta last answered, or stood still with the machine:
    /// nobody but Meta can tell which.
    pub(super) fn is_in_doubt(&self, clock: &dyn Clock) -> bool {
        self.lock().read.is_some_and(|read| {
            let expected = read.reading.ours.plus(read.since(clock.uptime()));
            ClockSkew::from(ClockReading { theirs: expected, ours: clock.now() }).is_large()
        })
    }

    /// What to go by now.
    fn judge(&self, clock: &dyn Clock) -> Moment {
        let (known, ours) = (self.lock(), clock.now());
        if let Some(read) = known.read {
            let theirs = read.theirs(clock.uptime());
            return Moment::Sure(if ClockSkew::from(ClockReading { theirs, ours }).is_large() { theirs } else { ours });
        }
        // It was wrong then, or has been set back since.
        let is_doubtful = |kept: ClockReading| ClockSkew::from(kept).is_large() || ours.plus(TOLERANCE) < kept.theirs;
        if known.kept.is_some_and(is_doubtful) { Moment::Doubtful(ours) } else { Moment::Sure(ours) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.lock();
        f.debug_struct("ServerTime").field("read", &known.read).field("kept", &known.kept).finish_non_exhaustive()
    }
}

/// The machine's clock, put right by Meta's once that is known and more than an hour off. Until then it doubts itself
/// where an earlier process found it wrong, or where it shows a time before one Meta has already shown.
#[derive(Debug, Clone)]
pub struct CorrectedClock {
    machine: Arc<dyn Clock>,
    server_time: Arc<ServerTime>,
}

impl CorrectedClock {
    /// `machine`, put right by `server_time`.
    pub fn new(machine: Arc<dyn Clock>, server_time: Arc<ServerTime>) -> Self {
        Self { machine, server_time }
    }
}

#[async_trait]
impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        self.moment().shown()
    }

    fn moment(&self) -> Moment {
        self.server_time.judge(&*self.machine)
    }

    fn earliest(&self) -> Timestamp {
        self.machine.now().min(self.now())
    }

    fn uptime(&self) -> Duration {
        self.machine.uptime()
    }

    async fn sleep(&self, span: Duration) {
        self.machine.sleep(span).await;
    }
}

/// **Source**: RFC 9110, 6.6.1: `Date` in the fixed form, which is one of RFC 2822's.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = DateTimeParser::new().parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(Timestamp::from_unix_millis(date.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use http::HeaderValue;

    use super::*;
    use crate::clock::ManualClock;

    /// Thu, 09 Oct 2025 08:53:20 GMT.
    const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    /// A clock that can be set, of a machine that can be halted.
    #[derive(Debug)]
    struct Machine {
        shows: Mutex<Timestamp>,
        up: Mutex<Duration>,
    }

    impl Machine {
        fn new() -> Arc<Self> {
            Arc::new(Self { shows: Mutex::new(NOW), up: Mutex::new(HOUR) })
        }

        fn set(&self, to: Timestamp) {
            *self.shows.lock().unwrap() = to;
        }

        fn pass(&self, span: Duration) {
            *self.up.lock().unwrap() += span;
            let now = self.now();
            self.set(now.plus(span));
        }
    }

    #[async_trait]
    impl Clock for Machine {
        fn now(&self) -> Timestamp {
            *self.shows.lock().unwrap()
        }

        fn uptime(&self) -> Duration {
            *self.up.lock().unwrap()
        }

        async fn sleep(&self, _: Duration) {}
    }

    fn answer(time: &ServerTime, date: &'static str) {
        answer_to(&Machine::new(), time, date);
    }

    fn answer_to(machine: &Machine, time: &ServerTime, date: &'static str) {
        time.observe(&HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]), machine);
    }

    fn reading(theirs: Timestamp) -> ClockReading {
        ClockReading { theirs, ours: NOW }
    }

    #[test]
    fn the_date_of_the_last_answer_is_compared_with_our_clock() {
        let time = ServerTime::default();
        let observe = |date: &'static str| {
            answer(&time, date);
            time.skew()
        };
        assert_eq!(observe("soon"), None);
        assert_eq!(observe("Thu, 09 Oct 2025 08:53:30 GMT"), Some(ClockSkew { ahead_millis: 10_000 }));
        let behind = observe("Thu, 09 Oct 2025 07:53:20 GMT").expect("a time");
        assert_eq!((behind.ahead_millis, behind.size()), (-3_600_000, HOUR));
        assert_eq!(observe(""), Some(behind), "what cannot be read changes nothing");
    }

    #[test]
    fn a_clock_that_is_set_changes_nothing_of_metas_time_and_is_asked_about() {
        let (time, machine) = (Arc::new(ServerTime::default()), Machine::new());
        let clock = CorrectedClock::new(Arc::<Machine>::clone(&machine), Arc::clone(&time));
        assert!(!time.is_in_doubt(&*machine), "nothing was ever said");
        for (date, right) in
            [("Thu, 09 Oct 2025 08:53:20 GMT", NOW), ("Thu, 09 Oct 2025 18:53:20 GMT", NOW.plus(10 * HOUR))]
        {
            machine.set(NOW);
            answer_to(&machine, &time, date);
            answer_to(&machine, &time, date);
            machine.pass(2 * HOUR);
            assert!(!time.is_in_doubt(&*machine), "{date}");
            for set in [NOW.minus(30 * HOUR), NOW.plus(HOUR * 5)] {
                machine.set(set);
                assert_eq!(clock.moment(), Moment::Sure(right.plus(2 * HOUR)), "{date}");
                assert_eq!(time.now(&*machine), right.plus(2 * HOUR), "{date}");
                assert!(time.is_in_doubt(&*machine), "{date}");
            }
        }
        answer_to(&machine, &time, "Thu, 09 Oct 2025 20:53:20 GMT");
        assert!(!time.is_in_doubt(&*machine), "it was asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_put_right_only_when_it_is_more_than_an_hour_off() {
        let time = Arc::new(ServerTime::default());
        let clock = CorrectedClock::new(Arc::new(ManualClock::new(NOW)), Arc::clone(&time));
        for (date, expected) in [
            ("Thu, 09 Oct 2025 09:53:20 GMT", NOW),
            ("Thu, 09 Oct 2025 09:53:21 GMT", NOW.plus(HOUR).plus(Duration::from_secs(1))),
            ("Thu, 09 Oct 2025 07:53:20 GMT", NOW),
            ("Tue, 07 Oct 2025 08:53:20 GMT", NOW.minus(48 * HOUR)),
        ] {
            answer(&time, date);
            answer(&time, date);
            assert_eq!(clock.moment(), Moment::Sure(expected), "{date}");
        }
    }

    #[test]
    fn what_one_answer_alone_says_is_believed_when_the_next_says_the_same() {
        let (time, machine) = (Arc::new(ServerTime::default()), Machine::new());
        let clock = CorrectedClock::new(Arc::<Machine>::clone(&machine), Arc::clone(&time));
        let hear = |date: &'static str| {
            answer_to(&machine, &time, date);
            clock.moment()
        };
        assert_eq!(hear("Thu, 09 Oct 2025 08:53:20 GMT"), Moment::Sure(NOW));
        for _ in 0..3 {
            assert_eq!(hear("Thu, 01 Jan 2099 00:00:00 GMT"), Moment::Sure(NOW));
            assert_eq!(hear("Thu, 09 Oct 2025 08:53:21 GMT"), Moment::Sure(NOW));
        }
        assert_eq!(hear("Thu, 09 Oct 2025 18:53:20 GMT"), Moment::Sure(NOW));
        machine.pass(HOUR);
        assert_eq!(
            hear("Thu, 09 Oct 2025 19:53:21 GMT"),
            Moment::Sure(NOW.plus(11 * HOUR).plus(Duration::from_secs(1)))
        );
        assert_eq!(hear("Thu, 09 Oct 2025 09:53:20 GMT"), Moment::Sure(NOW.plus(HOUR)), "our clock bears it out");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_doubts_itself_where_it_was_wrong_or_was_set_back_until_meta_answers() {
        let second = Duration::from_secs(1);
        for (kept, doubts) in [
            (reading(NOW), false),
            (reading(NOW.plus(HOUR)), false),
            (reading(NOW.plus(HOUR).plus(second)), true),
            (reading(NOW.minus(HOUR).minus(second)), true),
            // It agreed with Meta's when both showed a later time than it shows now.
            (ClockReading { theirs: NOW.plus(2 * HOUR), ours: NOW.plus(2 * HOUR) }, true),
        ] {
            let time = Arc::new(ServerTime::default());
            let clock = CorrectedClock::new(Arc::new(ManualClock::new(NOW)), Arc::clone(&time));
            time.kept(kept);
            assert_eq!(clock.moment() == Moment::Doubtful(NOW), doubts, "{kept:?}");
            answer(&time, "Thu, 09 Oct 2025 08:53:20 GMT");
            assert_eq!(clock.moment(), Moment::Sure(NOW), "{kept:?}");
        }
    }

    #[test]
    fn what_is_an_hour_newer_or_says_otherwise_is_kept() {
        let time = ServerTime::default();
        assert_eq!(time.to_keep(), None);
        answer(&time, "Thu, 09 Oct 2025 08:53:20 GMT");
        assert_eq!(time.to_keep(), Some(reading(NOW)));
        assert_eq!(time.to_keep(), Some(reading(NOW)), "nobody has kept it");
        time.kept(reading(NOW));
        assert_eq!(time.to_keep(), None);
        answer(&time, "Thu, 09 Oct 2025 08:54:20 GMT");
        assert_eq!(time.to_keep(), None);
        answer(&time, "Thu, 09 Oct 2025 08:54:21 GMT");
        assert!(time.to_keep().is_some());
        let earlier = NOW.minus(2 * HOUR);
        time.kept(ClockReading { theirs: earlier, ours: earlier });
        answer(&time, "Thu, 09 Oct 2025 08:53:20 GMT");
        assert!(time.to_keep().is_some());
    }

    #[test]
    fn a_wrong_clock_is_told_of_once() {
        let told = Arc::new(AtomicI64::new(0));
        let hook = {
            let told = Arc::clone(&told);
            Hook::new(move |skew: ClockSkew| {
                told.fetch_add(skew.ahead_millis, Ordering::SeqCst);
            })
        };
        let time = ServerTime::telling(hook);
        answer(&time, "Thu, 09 Oct 2025 08:53:20 GMT");
        assert_eq!(told.load(Ordering::SeqCst), 0);
        answer(&time, "Thu, 09 Oct 2025 10:53:20 GMT");
        answer(&time, "Thu, 09 Oct 2025 10:53:20 GMT");
        assert_eq!(told.load(Ordering::SeqCst), 7_200_000);
    }
}
