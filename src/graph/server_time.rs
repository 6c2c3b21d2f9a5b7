//! What time it is at Meta, as its answers say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::clock::Timestamp;

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
}

/// The last answer's word on the time.
#[derive(Debug, Default)]
pub(super) struct ServerTime(Mutex<Option<ClockSkew>>);

impl ServerTime {
    /// Takes note of the `Date` of an answer that came `now`.
    pub(super) fn observe(&self, headers: &HeaderMap, now: Timestamp) {
        let Some(date) = date(headers) else { return };
        let ahead_millis = date.as_unix_millis().saturating_sub(now.as_unix_millis());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ClockSkew { ahead_millis });
    }

    pub(super) fn last(&self) -> Option<ClockSkew> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// **Source**: RFC 9110, 6.6.1: `Date` in the fixed form, which is one of RFC 2822's.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = DateTimeParser::new().parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(Timestamp::from_unix_millis(date.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_date_of_the_last_answer_is_compared_with_our_clock() {
        let time = ServerTime::default();
        let observe = |date: &'static str| {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
            time.observe(&headers, Timestamp::from_unix_millis(1_760_000_000_000));
            time.last()
        };
        assert_eq!(observe("soon"), None);
        assert_eq!(observe("Thu, 09 Oct 2025 08:53:30 GMT"), Some(ClockSkew { ahead_millis: 10_000 }));
        let behind = observe("Thu, 09 Oct 2025 07:53:20 GMT").expect("a time");
        assert_eq!((behind.ahead_millis, behind.size()), (-3_600_000, Duration::from_hours(1)));
        assert_eq!(observe(""), Some(behind), "what cannot be read changes nothing");
    }
}
