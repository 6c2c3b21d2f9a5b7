//! The sandbox's time: a real clock plus an offset that can be moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::clock::{Clock, Timestamp};

#[derive(Debug)]
pub(super) struct SandboxClock {
    base: Arc<dyn Clock>,
    offset_millis: AtomicI64,
}

impl SandboxClock {
    pub(super) fn new(base: Arc<dyn Clock>, offset_millis: i64) -> Self {
        Self { base, offset_millis: AtomicI64::new(offset_millis) }
    }

    pub(super) fn now(&self) -> Timestamp {
        let now = self.base.now().as_unix_millis();
        Timestamp::from_unix_millis(now.saturating_add(self.offset_millis()))
    }

    /// Moves by as much as lies between `from` and `to`: exactly, however long ago it was `from`.
    pub(super) fn shift(&self, from: Timestamp, to: Timestamp) {
        let by = to.as_unix_millis().saturating_sub(from.as_unix_millis());
        self.offset_millis.fetch_add(by, Ordering::SeqCst);
    }

    /// How far this clock is ahead of the real one.
    pub(super) fn offset_millis(&self) -> i64 {
        self.offset_millis.load(Ordering::SeqCst)
    }

    /// Back to the real time.
    pub(super) fn reset(&self) {
        self.offset_millis.store(0, Ordering::SeqCst);
    }

    /// Waits in real time: moving this clock wakes nobody.
    pub(super) async fn sleep(&self, span: Duration) {
        self.base.sleep(span).await;
    }

    /// Now, as the `Date` header has it; `None` outside the years a header can hold.
    pub(super) fn http_date(&self) -> Option<String> {
        let now = jiff::Timestamp::from_millisecond(self.now().as_unix_millis()).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()
    }
}

/// `time` as Graph writes it: `2026-01-31T12:00:00+0000`.
pub(super) fn graph_time(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_unix_millis()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// The moment RFC 3339 `text` names.
pub(super) fn parse_rfc3339(text: &str) -> Result<Timestamp, jiff::Error> {
    let time: jiff::Timestamp = text.parse()?;
    Ok(Timestamp::from_unix_millis(time.as_millisecond()))
}

/// For `#[serde(deserialize_with)]`: the text `Timestamp` serializes as.
pub(super) fn deserialize_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    parse_rfc3339(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test(start_paused = true)]
    async fn a_shift_is_exact_though_time_goes_on() {
        let start = Timestamp::from_unix_millis(1_760_000_000_000);
        let clock = SandboxClock::new(Arc::new(ManualClock::new(start)), 0);
        let before = clock.now();
        clock.sleep(Duration::from_millis(7)).await;
        clock.shift(before, before.plus(Duration::from_hours(1)));
        assert_eq!(clock.offset_millis(), 3_600_000);
        assert_eq!(clock.now(), start.plus(Duration::from_millis(3_600_007)));
        assert_eq!(clock.http_date().as_deref(), Some("Thu, 09 Oct 2025 09:53:20 GMT"));
        clock.shift(clock.now(), Timestamp::from_unix_millis(i64::MAX));
        assert_eq!(clock.http_date(), None);
    }
}
