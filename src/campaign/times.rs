//! When a campaign may be sent: not before its start, not while people sleep, and not once it is stale.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

/// When a campaign may be sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Not before.
    #[serde(default)]
    pub start_at: Option<Timestamp>,
    /// Not from then on: who has not got it by then is left out.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Not within these hours, by each recipient's own clock.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// Where those live of whom the list does not say so.
    #[serde(default)]
    pub timezone: Zone,
}

/// Whether it is time for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// It may be sent then.
    At(Timestamp),
    /// It would come too late.
    TooLate,
}

impl Times {
    /// Whether it is time for a message to somebody who lives in `timezone`. `may_wait` is false of what follows a message
    /// that was just sent: it is not put off till the morning.
    pub(super) fn turn(&self, now: Timestamp, timezone: Option<&str>, may_wait: bool) -> Turn {
        let is_stale = |at: Timestamp| self.expires_at.is_some_and(|end| at >= end);
        if is_stale(now) {
            return Turn::TooLate;
        }
        match self.quiet_hours.filter(|_| may_wait).and_then(|quiet| quiet.end(now, &self.zone(timezone))) {
            Some(end) if is_stale(end) => Turn::TooLate,
            Some(end) => Turn::At(end),
            None => Turn::Now,
        }
    }

    /// The zone the list names, or what stands in for it.
    fn zone(&self, listed: Option<&str>) -> TimeZone {
        // Whatever the list says was looked at when it was planned.
        let listed = listed.and_then(|word| word.parse::<Zone>().ok());
        listed.unwrap_or_else(|| self.timezone.clone()).0
    }
}

/// Hours within a day, as people's clocks show them; they may span midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
}

impl QuietHours {
    /// When they end, where `now` is within them.
    fn end(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.as_unix_millis()).ok()?.to_zoned(zone.clone());
        let (time, today) = (now.time(), now.date());
        let spans_midnight = self.from > self.to;
        let (evening, morning) = (time >= self.from, time < self.to);
        if !(if spans_midnight { evening || morning } else { evening && morning }) {
            return None;
        }
        let day = if morning { today } else { today.saturating_add(1.day()) };
        // Where clocks show that time twice or never: the later of both.
        let end = zone.to_ambiguous_zoned(day.to_datetime(self.to)).later().ok()?;
        let end = Timestamp::from_unix_millis(end.timestamp().as_millisecond());
        // Where the only hours between are those the clocks skip, it is quiet on.
        self.end(end, zone).or(Some(end))
    }
}

impl FromStr for QuietHours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} are no hours such as 21:00-08:00");
        let (from, to) = text.split_once(['-', '–']).ok_or_else(refuse)?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| refuse());
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(refuse()) } else { Ok(Self { from, to }) }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

/// A time zone: `Europe/Berlin`, or hours ahead of UTC as Meta's profile of a person has them (`2`, `-3.5`, `+05:30`).
///
/// **Source**: Messenger Platform, "User Profile API": `timezone` is a number of hours between -24 and 24.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone, String);

impl Zone {
    /// Where this machine stands, as far as it knows.
    pub fn here() -> Self {
        let here = TimeZone::system();
        here.iana_name().and_then(|name| name.parse().ok()).unwrap_or_default()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC, "UTC".to_owned())
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let zone = match hours_ahead(text) {
            Some(offset) => Ok(TimeZone::fixed(offset)),
            None => TimeZone::get(text),
        };
        let refuse = || format!("{text:?} is no time zone such as Europe/Berlin, +02:00 or 2");
        Ok(Self(zone.map_err(|_| refuse())?, text.to_owned()))
    }
}

fn hours_ahead(text: &str) -> Option<Offset> {
    let seconds = match text.split_once(':') {
        Some((hours, minutes)) => {
            let sign = if hours.starts_with('-') { -1.0 } else { 1.0 };
            let (hours, minutes): (f64, u8) =
                (hours.parse().ok()?, minutes.parse().ok().filter(|minutes| *minutes < 60)?);
            hours * 3_600.0 + sign * f64::from(minutes) * 60.0
        }
        None => text.parse::<f64>().ok()? * 3_600.0,
    };
    let span = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Offset::UTC.checked_add(span).ok()
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

/// A moment as a campaign file has it: with an offset, or by the clocks of `zone`.
pub(super) fn moment(text: &str, zone: &Zone) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let zoned = text.parse::<DateTime>().and_then(|time| time.to_zoned(zone.0.clone()));
    let zoned = zoned.map_err(|_| format!("{text:?} is no time such as 2026-12-01T09:00:00+01:00"))?;
    Ok(Timestamp::from_unix_millis(zoned.timestamp().as_millisecond()))
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
as_text!(QuietHours);
as_text!(Zone);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn times(quiet: &str) -> Times {
        Times { quiet_hours: Some(quiet.parse().unwrap()), ..Times::default() }
    }

    fn turn(quiet: &str, now: &str, zone: &str) -> String {
        match times(quiet).turn(at(now), Some(zone).filter(|zone| !zone.is_empty()), true) {
            Turn::Now => "now".to_owned(),
            Turn::At(time) => time.to_string(),
            Turn::TooLate => "too late".to_owned(),
        }
    }

    #[test]
    fn nobody_is_woken() {
        let night = "21:00-08:00";
        assert_eq!(turn(night, "2026-11-25T20:59:59Z", ""), "now");
        let skipped = turn("03:00-02:00", "2027-03-14T05:00:00Z", "America/New_York");
        assert_eq!(skipped, "2027-03-15T06:00:00Z", "there is no hour between two and three");
        assert_eq!(turn(night, "2026-11-25T21:00:00Z", ""), "2026-11-26T08:00:00Z");
        assert_eq!(turn(night, "2026-11-26T07:59:59Z", ""), "2026-11-26T08:00:00Z");
        assert_eq!(turn(night, "2026-11-26T08:00:00Z", ""), "now");
        // By their own clocks.
        assert_eq!(turn(night, "2026-11-25T12:00:00Z", "Asia/Tokyo"), "2026-11-25T23:00:00Z");
        assert_eq!(turn(night, "2026-11-25T12:00:00Z", "9"), "2026-11-25T23:00:00Z");
        assert_eq!(turn(night, "2026-11-25T12:00:00Z", "-08:00"), "2026-11-25T16:00:00Z");
        // At noon, without midnight in between.
        assert_eq!(turn("12:00-14:30", "2026-11-25T13:00:00Z", ""), "2026-11-25T14:30:00Z");
        assert_eq!(turn("12:00-14:30", "2026-11-25T15:00:00Z", ""), "now");
        assert_eq!(turn("12:00-14:30", "2026-11-25T11:59:00Z", ""), "now");
    }

    #[test]
    fn a_night_in_which_clocks_change_ends_when_clocks_say_so() {
        // On 2026-03-29 clocks in Berlin jump from 2 to 3, on 2026-10-25 from 3 back to 2.
        assert_eq!(turn("21:00-08:00", "2026-03-28T22:00:00Z", "Europe/Berlin"), "2026-03-29T06:00:00Z");
        assert_eq!(turn("21:00-08:00", "2026-10-24T22:00:00Z", "Europe/Berlin"), "2026-10-25T07:00:00Z");
        assert_eq!(turn("21:00-02:30", "2026-03-28T22:00:00Z", "Europe/Berlin"), "2026-03-29T01:30:00Z");
        assert_eq!(turn("21:00-02:30", "2026-10-24T22:00:00Z", "Europe/Berlin"), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn what_would_be_stale_is_not_sent() {
        let times = Times { expires_at: Some(at("2026-11-26T07:00:00Z")), ..times("21:00-08:00") };
        assert_eq!(times.turn(at("2026-11-25T20:00:00Z"), None, true), Turn::Now);
        assert_eq!(times.turn(at("2026-11-25T22:00:00Z"), None, true), Turn::TooLate, "it ends while they sleep");
        assert_eq!(times.turn(at("2026-11-25T22:00:00Z"), None, false), Turn::Now, "the rest of what was begun");
        assert_eq!(times.turn(at("2026-11-26T07:00:00Z"), None, false), Turn::TooLate);
    }

    #[test]
    fn zones_and_hours_are_read_as_people_write_them() {
        for zone in ["Europe/Berlin", "UTC", "+02:00", "-03:30", "2", "-3.5", "0", "5.75"] {
            assert!(zone.parse::<Zone>().is_ok(), "{zone}");
        }
        for zone in ["", "Berlin", "+26:00", "99", "2:75", "nan", "inf"] {
            assert!(zone.parse::<Zone>().is_err(), "{zone}");
        }
        for hours in ["21:00-08:00", " 9:30 – 10:00 "] {
            assert!(hours.parse::<QuietHours>().is_ok(), "{hours}");
        }
        for hours in ["", "21-08", "21:00", "08:00-08:00", "25:00-08:00"] {
            assert!(hours.parse::<QuietHours>().is_err(), "{hours}");
        }
        let berlin = "Europe/Berlin".parse().unwrap();
        let read = |text| moment(text, &berlin).map(|time| time.to_string());
        assert_eq!(read("2026-12-01T09:00:00").as_deref(), Ok("2026-12-01T08:00:00Z"));
        assert_eq!(read("2026-12-01 09:00:00+03:00").as_deref(), Ok("2026-12-01T06:00:00Z"));
        assert!(read("tomorrow").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Whenever and wherever: what has to wait, waits for a later time, which is not quiet, and less than 26 hours; 50 where
        /// the clocks skip all of a day that is not.
        #[test]
        fn who_waits_is_not_woken(
            now in 1_700_000_000_000_i64..1_900_000_000_000,
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "-3.5"]),
            (from, to) in (0_i8..24, 0_i8..24).prop_filter("some hours", |(from, to)| from != to),
        ) {
            let now = Timestamp::from_unix_millis(now);
            let times = times(&format!("{from}:00-{to}:00"));
            if let Turn::At(end) = times.turn(now, Some(zone), true) {
                prop_assert!(end > now && end.since(now) < std::time::Duration::from_hours(50));
                prop_assert_eq!(times.turn(end, Some(zone), true), Turn::Now);
            }
        }
    }
}
