//! Durations and sizes, as users write and read them.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use crate::clock::Timestamp;
use crate::graph::Tag;
use crate::ids::{InvalidId, Origin};

pub(super) use crate::media::limits::grouped as thousands;

/// Reads a duration with its unit: `90s`, `10m`, `7d`, `2w`. A bare number is refused: nobody should have to guess.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let units = || format!("{text:?} is not a duration: give a number with its unit, such as 90s, 10m, 12h, 7d or 2w");
    let span: jiff::Span = text.parse().map_err(|_| units())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| units())?;
    Duration::try_from(duration).map_err(|_| units())
}

/// Reads a Graph API's origin. What is none is shown without what may be a secret in it; clap would show all of it.
#[derive(Debug, Clone)]
pub(super) struct OriginParser;

impl TypedValueParser for OriginParser {
    type Value = Origin;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Origin, clap::Error> {
        let refused = |reason: String| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("--graph-url: {reason}\n")).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| refused("it is not text".into()))?;
        text.parse().map_err(|error: InvalidId| refused(error.to_string()))
    }
}

/// Reads an address to listen on. A name may have several, so that one has to be said.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address with its port, such as 127.0.0.1:7766 or [::1]:7766"))
}

/// Reads a message tag: Meta's word, in capitals, known to us or not.
#[expect(clippy::unnecessary_wraps, reason = "the form the parser asks for")]
pub(super) fn tag(text: &str) -> Result<Tag, String> {
    Ok(Tag::new(text))
}

/// Reads a size: bytes, or a number with `KB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB` (of 1024).
pub(super) fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| format!("{text:?} is not a size: give bytes, or a number with KB, MB, GB, KiB, MiB or GiB"))
}

/// A size in powers of 1000: `1.9 GB`.
pub(super) fn human_size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

/// A span in its largest fitting unit: `90 d`, `5 h`, `12 min`.
pub(super) fn human_span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// `14:32:05`, as the clock on the wall here shows it.
pub(super) fn local_time(time: Timestamp) -> String {
    local(time, "%H:%M:%S")
}

/// The same, and where it is not within some hours of `now`, the day instead of the second: `27 Nov 14:32`.
pub(super) fn local_moment(time: Timestamp, now: Timestamp) -> String {
    const SAME_DAY: Duration = Duration::from_hours(18);
    let apart = time.since(now).max(now.since(time));
    local(time, if apart < SAME_DAY { "%H:%M:%S" } else { "%e %b %H:%M" }).trim_start().to_owned()
}

fn local(time: Timestamp, format: &str) -> String {
    let zone = jiff::tz::TimeZone::system();
    match jiff::Timestamp::from_millisecond(time.as_unix_millis()) {
        Ok(time) => time.to_zoned(zone).strftime(format).to_string(),
        Err(_) => time.to_string(),
    }
}

/// `1 file`, `2 files`, `1,234 files`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("2w"), Ok(Duration::from_hours(14 * 24)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["7", "", "d", "-1d", "7 parsecs", "1mo"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_tell_powers_of_1000_from_powers_of_1024() {
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("42"), Ok(42));
        assert!(size("lots").is_err());
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(human_size(1_900_000_000), "1.9 GB");
        assert_eq!(human_span(Duration::from_hours(89 * 24 + 23)), "90 d");
        assert_eq!(human_span(Duration::from_mins(61)), "1 h");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_234_567, "file"), "1,234,567 files");
    }
}
