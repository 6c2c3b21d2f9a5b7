//! Who asks too often is told when to ask again; who only looks, and who shows the right token, never.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reattach::clock::{Clock, Timestamp};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::inside::Serving;
use crate::support::World;
use crate::support::pictures::png;

/// Stands still until it is moved.
#[derive(Debug)]
struct StoppedClock(AtomicI64);

impl StoppedClock {
    fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).expect("a short span"), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::Relaxed))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A service whose time stands still, and somebody who calls it.
struct Desk {
    world: World,
    serving: Serving,
    clock: Arc<StoppedClock>,
    http: Client,
}

impl Desk {
    fn new() -> Self {
        let world = World::new();
        world.put("hero.png", png(1));
        let clock = Arc::new(StoppedClock(AtomicI64::new(1_800_000_000_000)));
        let serving = Serving::start(&world, Arc::clone(&clock) as _);
        Self { world, serving, clock, http: Client::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.serving.address))
    }

    fn send(&self, request: RequestBuilder) -> Response {
        self.world.runtime.block_on(request.send()).expect("an answer")
    }

    fn json(&self, answer: Response) -> Value {
        serde_json::from_slice(&self.world.runtime.block_on(answer.bytes()).expect("a body")).expect("JSON")
    }

    /// How each of so many requests is answered, in order and without repetitions: a status, and how often.
    fn statuses(&self, count: usize, request: impl Fn() -> RequestBuilder) -> Vec<(u16, usize)> {
        let mut statuses: Vec<(u16, usize)> = Vec::new();
        for _ in 0..count {
            let status = self.send(request()).status().as_u16();
            match statuses.last_mut() {
                Some((last, times)) if *last == status => *times += 1,
                _ => statuses.push((status, 1)),
            }
        }
        statuses
    }

    /// After how many seconds to ask again.
    fn refused(&self, request: RequestBuilder) -> String {
        let answer = self.send(request);
        let again = answer.headers()["retry-after"].to_str().expect("text").to_owned();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem = self.json(answer);
        assert_eq!((&problem["status"], &problem["retryable"]), (&429.into(), &true.into()), "{problem}");
        assert_eq!(problem["type"], "urn:reattach:problem:too-many-requests");
        again
    }
}

#[test]
fn what_has_an_effect_is_done_so_often_and_looking_is_not_counted() {
    let desk = Desk::new();
    let token = desk.serving.token.clone();
    let remove = || desk.request(Method::DELETE, "/v1/aliases/x").bearer_auth(&token);
    assert_eq!(desk.statuses(510, remove), [(404, 500), (429, 10)]);
    assert_eq!(desk.refused(remove()), "1");
    // Whatever has an effect counts: nothing is sent, kept or paused.
    let message = r#"{"recipient":{"id":"1254459154682919"},"message":{"text":"Hi"}}"#;
    assert_eq!(desk.refused(desk.request(Method::POST, "/v1/messages").bearer_auth(&token).body(message)), "1");
    assert_eq!(desk.refused(desk.request(Method::POST, "/v1/campaigns/x/pause").bearer_auth(&token)), "1");
    assert_eq!(desk.refused(desk.request(Method::POST, "/v1/assets").bearer_auth(&token)), "1");
    assert_eq!(desk.world.truth().counters.messages_accepted, 0);
    let look = || desk.request(Method::GET, "/v1/aliases").bearer_auth(&token);
    assert_eq!(desk.statuses(250, look), [(200, 250)]);
    // A browser's session has turns of its own.
    let signed_in = desk.send(desk.request(Method::POST, "/v1/session").bearer_auth(&token));
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text").to_owned();
    let csrf = desk.json(signed_in);
    let by_hand = || {
        let request =
            desk.request(Method::DELETE, "/v1/aliases/x").header("cookie", cookie.split(';').next().expect("one"));
        request.header("x-reattach-csrf", csrf["csrf"].as_str().expect("a word"))
    };
    assert_eq!(desk.statuses(1, by_hand), [(404, 1)]);
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.statuses(510, remove), [(404, 500), (429, 10)]);
    let metrics = desk.send(desk.request(Method::GET, "/metrics").bearer_auth(&token));
    let metrics = desk.world.runtime.block_on(metrics.text()).expect("text");
    assert!(metrics.contains("reattach_throttled_total{what=\"effect\"} 24\n"), "{metrics}");
}

#[test]
fn wrong_tokens_are_heard_so_often_and_the_right_one_always() {
    let desk = Desk::new();
    let wrong = || desk.request(Method::GET, "/v1/aliases").bearer_auth("0".repeat(64));
    assert_eq!(desk.statuses(50, wrong), [(401, 40), (429, 10)]);
    assert_eq!(desk.refused(wrong()), "1");
    let right = || desk.request(Method::GET, "/v1/aliases").bearer_auth(&desk.serving.read_token);
    assert_eq!(desk.statuses(3, right), [(200, 3)]);
    assert_eq!(desk.statuses(1, || desk.request(Method::GET, "/healthz")), [(200, 1)]);
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.statuses(25, wrong), [(401, 20), (429, 5)]);
}
