//! What Meta's answers say of its limits: when a Page that was refused may come back.
//!
//! It does not pace anything; it only reads headers, and takes whatever it cannot read as absent.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;

/// How long Meta says to stay away: the longest `estimated_time_to_regain_access` (minutes) of
/// `X-Business-Use-Case-Usage`, else `Retry-After` (seconds). `None` when neither says so.
///
/// **Source**: Graph API, "Rate Limits", header shapes (v25.0, read 2026-11). No page of Meta's mentions `Retry-After`.
pub(super) fn time_to_regain(headers: &HeaderMap) -> Option<Duration> {
    business_use_case(headers).or_else(|| retry_after(headers))
}

fn business_use_case(headers: &HeaderMap) -> Option<Duration> {
    let usage: Value = serde_json::from_slice(headers.get("x-business-use-case-usage")?.as_bytes()).ok()?;
    usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|object| number(object.get("estimated_time_to_regain_access")?))
        .filter_map(|minutes| positive(minutes * 60.0))
        .max()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    positive(headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn positive(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|span| !span.is_zero())
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
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after", "NaN"), None);
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
