//! How much a Page may do, and the headers that say how much it has done.
//!
//! Counted on the sandbox's own clock, each Page for itself. Nothing is limited until a control call says so.
//!
//! Source: Graph API, Rate Limiting (headers and codes); Messenger Platform, Rate Limiting (read 2026-03-23).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::GraphError;
use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

const APP_USAGE: HeaderName = HeaderName::from_static("x-app-usage");
const PAGE_USAGE: HeaderName = HeaderName::from_static("x-page-usage");
const BUSINESS_USAGE: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// What Pages may do. `Default` is everything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Messages and sender actions in any one second.
    messages_per_second: Option<u32>,
    /// Messages that bring audio or video in any one second.
    media_per_second: Option<u32>,
    /// Calls of any kind in any 24 hours.
    calls_per_day: Option<u32>,
    /// How long a Page stays shut out once it went past a limit; without it, until what it did is past.
    regain_minutes: Option<u32>,
    /// Whether answers carry usage headers.
    headers: bool,
    #[serde(skip)]
    pages: BTreeMap<&'static str, Window>,
}

/// What a call weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// It is no message.
    Call,
    Message,
    /// A message that brings audio or video.
    Media,
}

/// What one Page did lately, oldest first.
#[derive(Debug, Default)]
struct Window {
    messages: VecDeque<Timestamp>,
    media: VecDeque<Timestamp>,
    calls: VecDeque<Timestamp>,
    shut_out: Option<ShutOut>,
}

#[derive(Debug, Clone, Copy)]
struct ShutOut {
    until: Timestamp,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Rate,
    CallsSpent,
}

impl From<Reason> for GraphError {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Rate => Self::rate_limit(),
            Reason::CallsSpent => Self::calls_spent(),
        }
    }
}

impl Limits {
    /// The limits a control call describes; says what is wrong, else.
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let limits: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let counts = [
            ("messages_per_second", limits.messages_per_second),
            ("media_per_second", limits.media_per_second),
            ("calls_per_day", limits.calls_per_day),
            ("regain_minutes", limits.regain_minutes),
        ];
        match counts.into_iter().find(|(_, count)| *count == Some(0)) {
            Some((name, _)) => Err(format!("{name} counts from 1; leave it out for no limit")),
            None => Ok(limits),
        }
    }

    /// Counts a call of `page`, or refuses it.
    pub(super) fn admit(&mut self, page: &'static str, load: Load, now: Timestamp) -> Result<(), GraphError> {
        if self.messages_per_second.or(self.media_per_second).or(self.calls_per_day).is_none() {
            return Ok(());
        }
        let mut window = self.pages.remove(page).unwrap_or_default();
        window.forget(now);
        let admitted = self.judge(&mut window, load, now);
        if admitted.is_ok() {
            window.count(load, now);
        }
        self.pages.insert(page, window);
        admitted.map_err(GraphError::from)
    }

    fn judge(&self, window: &mut Window, load: Load, now: Timestamp) -> Result<(), Reason> {
        if let Some(shut_out) = window.shut_out {
            return Err(shut_out.reason);
        }
        let reason = if is_full(&window.calls, self.calls_per_day) {
            Reason::CallsSpent
        } else if (load != Load::Call && is_full(&window.messages, self.messages_per_second))
            || (load == Load::Media && is_full(&window.media, self.media_per_second))
        {
            Reason::Rate
        } else {
            return Ok(());
        };
        if let Some(minutes) = self.regain_minutes {
            let until = now.plus(Duration::from_mins(minutes.into()));
            *window = Window { shut_out: Some(ShutOut { until, reason }), ..Window::default() };
        }
        Err(reason)
    }

    /// The usage headers of `page`; none unless they were asked for.
    pub(super) fn headers(&mut self, page: &'static str, now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
        if !self.headers {
            return Vec::new();
        }
        let window = self.pages.entry(page).or_default();
        window.forget(now);
        let percents = [
            percent(&window.calls, self.calls_per_day),
            percent(&window.messages, self.messages_per_second),
            percent(&window.media, self.media_per_second),
        ];
        let used = if window.shut_out.is_some() { 100 } else { percents.into_iter().max().unwrap_or(0) };
        // Time is made up: a fourth of what the calls are.
        let (total_time, total_cputime) = (used / 4, used / 4);
        let usage = json!({ "call_count": used, "total_cputime": total_cputime, "total_time": total_time });
        let mut business = usage.clone();
        business["type"] = "messenger".into();
        business["estimated_time_to_regain_access"] = window.minutes_left(self.calls_per_day, now).into();
        let business = json!({ page: [business] });
        [(APP_USAGE, &usage), (PAGE_USAGE, &usage), (BUSINESS_USAGE, &business)]
            .into_iter()
            .filter_map(|(name, usage)| Some((name, HeaderValue::try_from(usage.to_string()).ok()?)))
            .collect()
    }
}

fn is_full(window: &VecDeque<Timestamp>, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| window.len() as u64 >= u64::from(limit))
}

fn percent(window: &VecDeque<Timestamp>, limit: Option<u32>) -> u64 {
    limit.map_or(0, |limit| window.len() as u64 * 100 / u64::from(limit))
}

impl Window {
    fn count(&mut self, load: Load, now: Timestamp) {
        self.calls.push_back(now);
        if load != Load::Call {
            self.messages.push_back(now);
        }
        if load == Load::Media {
            self.media.push_back(now);
        }
    }

    /// Drops what is past; everything, when the clock was moved back behind it.
    fn forget(&mut self, now: Timestamp) {
        if self.calls.back().is_some_and(|last| *last > now) {
            *self = Self::default();
        }
        for (window, span) in [(&mut self.messages, SECOND), (&mut self.media, SECOND), (&mut self.calls, DAY)] {
            while window.front().is_some_and(|first| now.since(*first) >= span) {
                window.pop_front();
            }
        }
        if self.shut_out.is_some_and(|shut_out| now >= shut_out.until) {
            self.shut_out = None;
        }
    }

    /// In how many minutes the Page may go on, as Graph estimates it; 0 while it may.
    fn minutes_left(&self, calls_per_day: Option<u32>, now: Timestamp) -> u64 {
        let until = match (self.shut_out, self.calls.front()) {
            (Some(shut_out), _) => shut_out.until,
            (None, Some(first)) if is_full(&self.calls, calls_per_day) => first.plus(DAY),
            _ => return 0,
        };
        until.since(now).as_secs().div_ceil(60).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);
    const PAGE: &str = "106";

    fn limits(value: Value) -> Limits {
        Limits::parse(value).expect("limits")
    }

    fn code(admitted: Result<(), GraphError>) -> u32 {
        admitted.map_or_else(|error| error.code(), |()| 0)
    }

    fn after(millis: u64) -> Timestamp {
        NOON.plus(Duration::from_millis(millis))
    }

    fn business(limits: &mut Limits, now: Timestamp) -> Value {
        let headers = limits.headers(PAGE, now);
        let (_, value) = headers.iter().find(|(name, _)| *name == BUSINESS_USAGE).expect("the header");
        let mut value: Value = serde_json::from_slice(value.as_bytes()).expect("JSON");
        value[PAGE][0].take()
    }

    #[test]
    fn the_second_slides() {
        let mut limits = limits(json!({ "messages_per_second": 2, "media_per_second": 1 }));
        let mut admit = |load, millis| code(limits.admit(PAGE, load, after(millis)));
        assert_eq!((admit(Load::Media, 0), admit(Load::Media, 500), admit(Load::Message, 500)), (0, 613, 0));
        assert_eq!((admit(Load::Message, 999), admit(Load::Call, 999)), (613, 0));
        assert_eq!((admit(Load::Message, 1_000), admit(Load::Message, 1_499), admit(Load::Media, 1_500)), (0, 613, 0));
    }

    #[test]
    fn the_calls_of_a_day_come_back_as_they_pass() {
        let mut limits = limits(json!({ "calls_per_day": 2, "headers": true }));
        let hour = |hours: u64| after(hours * 3_600_000);
        for (hours, expected) in [(0, 0), (10, 0), (23, 80_006), (24, 0), (33, 80_006), (34, 0)] {
            assert_eq!(code(limits.admit(PAGE, Load::Call, hour(hours))), expected, "{hours}");
        }
        assert_eq!(business(&mut limits, hour(35))["estimated_time_to_regain_access"], 13 * 60);
        assert_eq!(code(limits.admit("other", Load::Call, hour(34))), 0);
    }

    #[test]
    fn past_a_limit_a_page_stays_out_until_it_regains_access() {
        let mut limits = limits(json!({ "messages_per_second": 1, "regain_minutes": 5, "headers": true }));
        assert_eq!(code(limits.admit(PAGE, Load::Message, NOON)), 0);
        assert_eq!(business(&mut limits, NOON)["estimated_time_to_regain_access"], 0);
        assert_eq!(code(limits.admit(PAGE, Load::Message, NOON)), 613);
        let usage = business(&mut limits, after(61_000));
        assert_eq!((&usage["call_count"], &usage["estimated_time_to_regain_access"]), (&json!(100), &json!(4)));
        assert_eq!(usage["type"], "messenger");
        assert_eq!(code(limits.admit(PAGE, Load::Call, after(299_999))), 613);
        assert_eq!(code(limits.admit(PAGE, Load::Message, after(300_000))), 0);
    }

    #[test]
    fn a_clock_moved_back_begins_anew() {
        let mut limits = limits(json!({ "calls_per_day": 1 }));
        assert_eq!(code(limits.admit(PAGE, Load::Call, after(5_000))), 0);
        assert_eq!(code(limits.admit(PAGE, Load::Call, NOON)), 0);
        assert_eq!(code(limits.admit(PAGE, Load::Call, NOON)), 80_006);
    }
}
