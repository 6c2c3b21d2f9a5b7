//! What is counted, in the words of Prometheus. Nothing of it names an asset, a person or a token.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::library::AssetOutcome;

use super::catalogue::Counts;
use super::shared::Shared;

/// Seconds, from a hit to an upload.
const BUCKETS: [f64; 12] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0, 60.0];

/// The methods that are counted by name.
const STANDARD: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    /// The route, as the `OpenAPI` document writes it; `none` where there is none.
    route: String,
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPage {
    page_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// All counters.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    resolved: Family<Outcome, Counter>,
    sent: Family<Outcome, Counter>,
    throttled: Family<What, Counter>,
    assets: Family<State, Gauge<i64, AtomicI64>>,
    rate: Family<OfPage, Gauge>,
    shut: Family<OfPage, Gauge<f64, AtomicU64>>,
    waiting: Family<OfPage, Gauge>,
    calls_left: Family<OfPage, Gauge>,
    running: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("reattach");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds: Family<Route, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let words = "How long answers took";
        registry.register_with_unit("http_request_duration", words, Unit::Seconds, seconds.clone());
        let resolved = Family::default();
        registry.register("resolved", "References resolved, by what became of them", resolved.clone());
        let sent = Family::default();
        registry.register("messages", "Messages of /v1/messages, by how they ended", sent.clone());
        let throttled = Family::default();
        registry.register("throttled", "Requests that came too fast, by what they were", throttled.clone());
        let assets = Family::default();
        registry.register("assets", "Assets when they were last looked at, by how they stand", assets.clone());
        let rate = Family::default();
        registry.register("page_messages_per_second", "Messages a second the Page may send now", rate.clone());
        let shut = Family::default();
        let words = "How much longer Meta takes nothing from the Page; 0 where it does";
        registry.register_with_unit("page_shut", words, Unit::Seconds, shut.clone());
        let waiting = Family::default();
        registry.register("page_calls_waiting", "Calls that wait for the Page's turn", waiting.clone());
        let calls_left = Family::default();
        let words = "Calls left to the Page in these 24 hours, where there is such a limit";
        registry.register("page_calls_left", words, calls_left.clone());
        let running = Gauge::default();
        registry.register("campaigns_running", "Campaigns being sent, by whomever", running.clone());
        Self {
            registry,
            requests,
            seconds,
            resolved,
            sent,
            throttled,
            assets,
            rate,
            shut,
            waiting,
            calls_left,
            running,
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self, route: Option<&str>, method: &Method, status: u16, took: Duration) {
        let route = route.unwrap_or("none").to_owned();
        self.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        // Methods are whatever somebody writes; a label for each would have no end.
        let method = if STANDARD.contains(method) { method.to_string() } else { "other".to_owned() };
        self.requests.get_or_create(&Answered { route, method, status }).inc();
    }

    /// References were resolved.
    pub(super) fn resolved(&self, outcome: AssetOutcome, how_many: u64) {
        self.resolved.get_or_create(&Outcome { outcome: outcome.as_str() }).inc_by(how_many);
    }

    /// A message ended as `sent`, `failed` or `unknown`.
    pub(super) fn message(&self, outcome: &'static str) {
        self.sent.get_or_create(&Outcome { outcome }).inc();
    }

    /// An `effect`, or a `wrong_token`, came too fast.
    pub(super) fn throttled(&self, what: &'static str) {
        self.throttled.get_or_create(&What { what }).inc();
    }

    /// The assets, counted.
    pub(super) fn stand(&self, counts: &Counts) {
        let Counts { live, due, expired, rejected, unknown_age, not_uploaded } = *counts;
        let states = [
            ("live", live),
            ("due", due),
            ("expired", expired),
            ("rejected", rejected),
            ("unknown_age", unknown_age),
            ("not_uploaded", not_uploaded),
        ];
        for (state, count) in states {
            self.assets.get_or_create(&State { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// So many campaigns are being sent.
    pub(super) fn running(&self, campaigns: usize) {
        self.running.set(i64::try_from(campaigns).unwrap_or(i64::MAX));
    }

    /// All of it, in the text format of `OpenMetrics`.
    pub(super) fn text(&self, shared: &Shared) -> String {
        for page in &shared.parts.pages {
            let (of, pace) = (OfPage { page_id: page.identity.id.to_string() }, page.graph.governor().pace());
            self.rate.get_or_create(&of).set(pace.per_second.into());
            self.shut.get_or_create(&of).set(pace.shut_for.unwrap_or_default().as_secs_f64());
            self.waiting.get_or_create(&of).set(i64::try_from(pace.waiting).unwrap_or(i64::MAX));
            if let Some(left) = pace.calls_left {
                self.calls_left.get_or_create(&of).set(i64::try_from(left).unwrap_or(i64::MAX));
            }
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            let _ = write!(text, "# {error}\n# EOF\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_are_one() {
        let metrics = Metrics::new();
        for number in 0..100 {
            let method = Method::from_bytes(format!("A{number}").as_bytes()).expect("a method");
            metrics.answered(None, &method, 401, Duration::ZERO);
        }
        metrics.answered(Some("/v1/assets"), &Method::GET, 200, Duration::ZERO);
        let mut text = String::new();
        encode(&mut text, &metrics.registry).expect("encoded");
        let series: Vec<_> = text.lines().filter(|line| line.contains("method=")).collect();
        assert!(series.iter().any(|line| line.contains("method=\"other\"") && line.ends_with(" 100")), "{series:?}");
        assert_eq!(series.len(), 2, "{series:?}");
    }
}
