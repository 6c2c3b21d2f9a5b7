//! What Meta's answers say of its limits: how much of them is used up, and when a Page that was refused may come back.
//!
//! It does not pace anything; it only reads headers, and takes whatever it cannot read as absent.
//!
//! **Source**: Graph API, "Rate Limits", header shapes (v25.0, read 2026-11): `X-App-Usage` is one object of percentages,
//! `X-Business-Use-Case-Usage` a list of such objects for each business. `X-Page-Usage`, of the shape of the first, is
//! only seen.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value};

/// The one number that is no percentage but minutes.
const REGAIN: &str = "estimated_time_to_regain_access";

/// Nobody is shut out for longer, and the end of a time without end could not be told.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Who may come back at once is not asked to hurry.
const SHORTEST: Duration = Duration::from_secs(1);

/// Use cases that have limits of their own, which messages and uploads do not count for.
const OTHERS: [&str; 7] = [
    "ads_insights",
    "ads_management",
    "custom_audience",
    "leadgen",
    "catalog_management",
    "catalog_batch",
    "whatsapp_business_management",
];

/// How close a Page is to its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// The highest percentage of any limit.
    pub(super) percent: f64,
    /// How long Meta says to stay away.
    pub(super) regain: Option<Duration>,
}

/// What the usage headers say together; `None` without any. Where Meta counts by use case, the app's own share says nothing
/// of the Page.
///
/// **Source**: Graph API, "Rate Limits": Page tokens fall under business use case limits, which count where both apply.
pub(super) fn read(headers: &HeaderMap) -> Option<Usage> {
    let mut objects = business_objects(headers);
    if objects.is_empty() {
        objects.extend(plain_objects(headers, "x-app-usage"));
    }
    objects.extend(plain_objects(headers, "x-page-usage"));
    let percent = |object: &Map<String, Value>| {
        let shares = object.iter().filter(|(name, _)| *name != REGAIN).filter_map(|(_, value)| number(value));
        shares.filter(|share| share.is_finite()).reduce(f64::max)
    };
    let usages = objects.iter().filter_map(|object| Some(Usage { percent: percent(object)?, regain: regain(object) }));
    usages.reduce(|one, other| {
        let (fuller, emptier) = if one.percent >= other.percent { (one, other) } else { (other, one) };
        // Of two limits that are used up, the longer one holds.
        let regain = if emptier.percent >= 100.0 { fuller.regain.max(emptier.regain) } else { fuller.regain };
        Usage { regain, ..fuller }
    })
}

/// How long Meta says to stay away: the longest `estimated_time_to_regain_access` (minutes) of
/// `X-Business-Use-Case-Usage`, else [`retry_after`]. `None` when neither says so.
pub(super) fn time_to_regain(headers: &HeaderMap) -> Option<Duration> {
    business_use_case(headers).or_else(|| retry_after(headers))
}

fn business_use_case(headers: &HeaderMap) -> Option<Duration> {
    business_objects(headers).iter().filter_map(regain).max()
}

fn regain(object: &Map<String, Value>) -> Option<Duration> {
    positive(number(object.get(REGAIN)?)? * 60.0)
}

fn plain_objects(headers: &HeaderMap, name: &str) -> impl Iterator<Item = Map<String, Value>> {
    parse(headers, name).filter_map(object)
}

/// The limits of messaging, and those of a type nobody has heard of.
fn business_objects(headers: &HeaderMap) -> Vec<Map<String, Value>> {
    let businesses = plain_objects(headers, "x-business-use-case-usage").flatten();
    let lists = businesses.filter_map(|(_, list)| if let Value::Array(list) = list { Some(list) } else { None });
    let concerns_us = |object: &Map<String, Value>| {
        let kind = object.get("type").and_then(Value::as_str);
        kind.is_none_or(|kind| !OTHERS.contains(&kind))
    };
    lists.flatten().filter_map(object).filter(concerns_us).collect()
}

fn object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(object) = value { Some(object) } else { None }
}

/// What can be read of each header line of this name.
fn parse(headers: &HeaderMap, name: &str) -> impl Iterator<Item = Value> {
    headers.get_all(name).iter().filter_map(|line| serde_json::from_slice(line.as_bytes()).ok())
}

/// How long `Retry-After` says to stay away: in seconds, or until a time, which is told by the answer's own `Date`. At
/// least [`SHORTEST`], where it says so much as that. No page of Meta's mentions it; what stands before Meta may send it.
///
/// **Source**: RFC 9110, 10.2.3.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wait = match text(headers, &RETRY_AFTER)?.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        // In the past it is now.
        Err(_) => date(headers, &RETRY_AFTER)?.duration_since(date(headers, &DATE)?).try_into().unwrap_or_default(),
    };
    Some(wait.clamp(SHORTEST, LONGEST))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text(headers, name)?).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn positive(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|span| !span.is_zero()).map(|span| span.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wait(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        time_to_regain(&headers)
    }

    #[test]
    fn the_longest_time_to_regain_access_is_read_in_minutes() {
        let usage = r#"{"1":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":19},
                             {"type":"pages","estimated_time_to_regain_access":0}],
                        "2":[{"type":"unheard_of","estimated_time_to_regain_access":"2.5"}]}"#
            .replace('\n', "");
        assert_eq!(wait("x-business-use-case-usage", &usage), Some(Duration::from_mins(19)));
    }

    fn usage(named: &[(&'static str, &str)]) -> Option<Usage> {
        let named = named.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        read(&named.collect())
    }

    #[test]
    fn the_highest_percentage_of_all_headers_counts() {
        let app = ("X-App-Usage", r#"{"call_count":28,"total_time":25,"total_cputime":"25.5"}"#);
        assert_eq!(usage(&[app]), Some(Usage { percent: 28.0, regain: None }));
        let page = ("x-page-usage", r#"{"call_count":3,"total_time":81.5}"#);
        assert_eq!(usage(&[app, page]).map(|usage| usage.percent), Some(81.5));
        let business = r#"{"1":[{"type":"messenger","call_count":100,"call_count":100,"total_time":5,
            "estimated_time_to_regain_access":190},{"type":"unheard_of","acc_id_util_pct":9.67}],"2":[]}"#;
        let business = business.replace('\n', "");
        assert_eq!(
            usage(&[app, ("x-business-use-case-usage", &business)]),
            Some(Usage { percent: 100.0, regain: Some(Duration::from_mins(190)) }),
            "minutes are no percentage"
        );
        for nothing in ["", "{}", "[]", "7", r#"{"call_count":"much"}"#, r#"{"call_count":null}"#, "{"] {
            assert_eq!(usage(&[("x-app-usage", nothing)]), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_used_up_elsewhere_holds_nobody_up_here() {
        let business = r#"{"1":[{"type":"messenger","call_count":20,"estimated_time_to_regain_access":0},
            {"type":"ads_management","call_count":100,"estimated_time_to_regain_access":600},
            {"type":"pages","call_count":30,"estimated_time_to_regain_access":7}]}"#
            .replace('\n', "");
        let app = ("x-app-usage", r#"{"call_count":100}"#);
        let read = usage(&[app, ("x-business-use-case-usage", &business)]).expect("usage");
        assert_eq!(read, Usage { percent: 30.0, regain: Some(Duration::from_mins(7)) }, "of the fullest limit of ours");
        let spent = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":2},{"call_count":120}]}"#;
        let read = usage(&[("x-business-use-case-usage", spent)]).expect("usage");
        assert_eq!(read, Usage { percent: 120.0, regain: Some(Duration::from_mins(2)) });
    }

    #[test]
    fn headers_of_another_shape_say_nothing() {
        for usage in [
            "",
            "null",
            "[]",
            r#"{"1":{}}"#,
            r#"{"1":[{}]}"#,
            r#"{"1":[null,7]}"#,
            "{",
            r#"{"1":[{"estimated_time_to_regain_access":-3}]}"#,
            r#"{"1":[{"estimated_time_to_regain_access":1e300}]}"#,
            r#"{"1":[{"estimated_time_to_regain_access":"soon"}]}"#,
        ] {
            assert_eq!(wait("x-business-use-case-usage", usage), None, "{usage}");
        }
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None, "nobody says what time it is");
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after", "NaN"), None);
    }

    #[test]
    fn a_time_without_end_ends() {
        let long = Duration::from_hours(24 * 365);
        assert_eq!(wait("retry-after", "1e19"), Some(long));
        let usage = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":2e17}]}"#;
        assert_eq!(wait("x-business-use-case-usage", usage), Some(long));
    }

    #[test]
    fn a_time_to_come_back_is_told_by_the_answers_own_clock() {
        let until = |time: &'static str, date: &'static str| {
            let headers =
                [(RETRY_AFTER, time), (DATE, date)].map(|(name, text)| (name, HeaderValue::from_static(text)));
            time_to_regain(&headers.into_iter().collect())
        };
        let time = "Wed, 21 Oct 2026 07:28:00 GMT";
        assert_eq!(until(time, "Wed, 21 Oct 2026 07:26:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(until(time, "Tue, 21 Oct 2025 07:28:00 GMT"), Some(LONGEST));
        for now in [time, "Wed, 21 Oct 2026 07:30:00 GMT"] {
            assert_eq!(until(time, now), Some(SHORTEST), "{now}");
        }
        assert_eq!(until(time, "noon"), None);
        assert_eq!(until("noon", time), None);
        assert_eq!([wait("retry-after", "0"), wait("retry-after", "0.2")], [Some(SHORTEST); 2]);
    }

    #[test]
    fn all_lines_of_a_header_are_read() {
        let line = |minutes, percent| {
            format!(r#"{{"1":[{{"call_count":{percent},"estimated_time_to_regain_access":{minutes}}}]}}"#)
        };
        let name = "x-business-use-case-usage";
        for lines in [[line(0, 20), line(7, 100)], [line(7, 100), line(0, 20)]] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(name, line.parse().expect("a value"));
            }
            assert_eq!(time_to_regain(&headers), Some(Duration::from_mins(7)));
            assert_eq!(read(&headers), Some(Usage { percent: 100.0, regain: Some(Duration::from_mins(7)) }));
            headers.append("x-page-usage", HeaderValue::from_static("much"));
            headers.append("x-page-usage", HeaderValue::from_static(r#"{"call_count":130}"#));
            assert_eq!(read(&headers).map(|usage| usage.percent), Some(130.0));
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_where_meta_says_nothing_better() {
        assert_eq!(wait("retry-after", "30"), Some(Duration::from_secs(30)));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        headers.insert(
            "x-business-use-case-usage",
            HeaderValue::from_static(r#"{"1":[{"estimated_time_to_regain_access":2}]}"#),
        );
        assert_eq!(time_to_regain(&headers), Some(Duration::from_mins(2)));
    }
}
