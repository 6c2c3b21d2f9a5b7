//! Time, as a thing that can be handed in: the wall clock for ages and windows, sleep for waiting.
//!
//! Nothing else in the crate reads the system's clock.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment of wall-clock time, to the millisecond. Written in RFC 3339, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// This moment, `span` later; stops at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This moment, `span` earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// What time it is, and whether ages may be judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is this time.
    Sure(Timestamp),
    /// The clock shows this, and there is reason not to believe it.
    Doubtful(Timestamp),
}

impl Moment {
    /// What the clock shows.
    pub const fn shown(self) -> Timestamp {
        match self {
            Self::Sure(time) | Self::Doubtful(time) => time,
        }
    }
}

/// What Meta's clock showed, and what this machine's did at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Meta's time, to the second.
    pub theirs: Timestamp,
    /// This machine's.
    pub ours: Timestamp,
}

impl ClockReading {
    /// By how many milliseconds Meta's clock is ahead of ours; negative where ours is ahead.
    pub const fn ahead_millis(self) -> i64 {
        self.theirs.0.saturating_sub(self.ours.0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339; what is finer than a millisecond is dropped.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(|time: jiff::Timestamp| Self(time.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// How long this machine has been up, asleep or awake: for leases, which others count on while it sleeps.
pub(crate) fn uptime() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let up = clock_gettime(clock);
    Duration::new(u64::try_from(up.tv_sec).unwrap_or_default(), u32::try_from(up.tv_nsec).unwrap_or_default())
}

/// What time it is, and how to wait.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock: for ages and windows, never for measuring how long something took.
    fn now(&self) -> Timestamp;

    /// The same, and whether ages may be judged by it: a clock that knows nothing against itself is sure.
    fn moment(&self) -> Moment {
        Moment::Sure(self.now())
    }

    /// The earliest it may be: where two clocks disagree, either may be the one that is wrong.
    fn earliest(&self) -> Timestamp {
        self.now()
    }

    /// How long the machine has been up, asleep or awake: for how long something took, however the wall clock is set
    /// meanwhile.
    fn uptime(&self) -> Duration {
        uptime()
    }

    /// Returns once `span` has passed.
    ///
    /// # Cancel safety
    /// Dropping the future stops the wait and changes nothing.
    async fn sleep(&self, span: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A clock that starts where it is told and follows tokio's time, which tests may pause; it can also be moved by hand.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    since: tokio::time::Instant,
    moved_millis: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start` now.
    pub fn new(start: Timestamp) -> Self {
        Self { start, since: tokio::time::Instant::now(), moved_millis: AtomicI64::new(0) }
    }

    /// Moves the clock forward by `span`, waking nobody.
    pub fn advance(&self, span: Duration) {
        self.moved_millis.fetch_add(millis(span), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let moved = self.moved_millis.load(Ordering::SeqCst);
        Timestamp(self.start.plus(self.since.elapsed()).0.saturating_add(moved))
    }

    fn uptime(&self) -> Duration {
        self.now().since(self.start)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_rfc_3339() {
        assert_eq!(Timestamp::from_unix_millis(1_760_000_000_000).to_string(), "2025-10-09T08:53:20Z");
        assert_eq!(Timestamp::from_unix_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        for millis in [0, -1, 1_760_000_000_123] {
            let time = Timestamp::from_unix_millis(millis);
            assert_eq!(time.to_string().parse::<Timestamp>().expect("a time"), time);
        }
        assert!("2025-10-09".parse::<Timestamp>().is_err(), "a day is no moment");
    }

    #[test]
    fn the_machine_is_up_for_longer_and_longer() {
        let before = uptime();
        assert!(before > Duration::ZERO);
        while uptime() == before {
            std::thread::yield_now();
        }
        assert!(uptime() > before);
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let end = Timestamp::from_unix_millis(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_unix_millis(5).since(end), Duration::ZERO);
        assert_eq!(end.to_string(), format!("{} ms after 1970", i64::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn the_manual_clock_follows_paused_time_and_jumps() {
        let clock = ManualClock::new(Timestamp::from_unix_millis(0));
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), Timestamp::from_unix_millis(60_000));
        clock.advance(Duration::from_hours(1));
        assert_eq!(clock.now(), Timestamp::from_unix_millis(3_660_000));
    }
}
