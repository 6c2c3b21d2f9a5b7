//! Messages over HTTP: once for each key, whatever happens to answers, clients and the service itself.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use reattach::clock::{Clock, ManualClock, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::inside::Serving;
use crate::support::pictures::png;
use crate::support::served::Served;
use crate::support::{World, wait_until};

const SOMEBODY: &str = "1254459154682919";

/// What came back.
#[derive(Debug, Clone)]
struct Got {
    status: u16,
    body: Value,
    is_replay: bool,
    retry_after: Option<u64>,
}

impl Got {
    /// The word its problem is named by.
    fn word(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().trim_start_matches("urn:reattach:problem:")
    }
}

/// Somebody who asks the service for messages.
struct Client<'w> {
    world: &'w World,
    serving: &'w Serving,
    http: reqwest::Client,
}

impl<'w> Client<'w> {
    fn new(world: &'w World, serving: &'w Serving) -> Self {
        Self { world, serving, http: reqwest::Client::new() }
    }

    async fn ask(&self, token: &str, key: Option<&str>, body: String) -> Got {
        let url = format!("http://{}/v1/messages", self.serving.address);
        let request = self.http.post(url).bearer_auth(token).body(body);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        let form = header("content-type").expect("a form");
        let (status, is_replay) = (response.status().as_u16(), header("idempotent-replayed").is_some());
        let retry_after = header("retry-after").map(|seconds| seconds.parse().expect("seconds"));
        assert_eq!(form, if status == 200 { "application/json" } else { "application/problem+json" });
        let body = serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        Got { status, body, is_replay, retry_after }
    }

    /// Asks once, and waits.
    fn post(&self, key: &str, body: &Value) -> Got {
        self.world.runtime.block_on(self.ask(&self.serving.token, Some(key), body.to_string()))
    }
}

fn text(text: &str) -> Value {
    json!({"recipient": {"id": SOMEBODY}, "message": {"text": text}})
}

fn picture(path: &str) -> Value {
    let attachment = json!({"type": "image", "payload": {"file": path}});
    json!({"page": "bakery", "recipient": {"id": SOMEBODY}, "message": {"attachment": attachment}})
}

fn started(world: &World) -> Serving {
    Serving::start(world, Arc::new(SystemClock))
}

/// Waits for the sandbox to have counted as many messages.
fn until_accepted(world: &World, count: u64) {
    wait_until("they are accepted", || world.counts().messages_accepted >= count);
}

/// Asks for a message of which no answer comes: the request, written and left open.
fn asked_in_vain(address: SocketAddr, token: &str, key: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("written");
    stream
}

#[test]
fn the_same_key_sends_once_and_is_answered_alike() {
    let world = World::new();
    world.put("sub/hero.png", png(1));
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    let first = client.post("order-1", &picture("sub/hero.png"));
    assert_eq!((first.status, first.is_replay), (200, false), "{first:?}");
    assert_eq!((&first.body["outcome"], &first.body["recipient"]), (&json!("sent"), &json!(SOMEBODY)));
    let truth = world.truth();
    assert_eq!(first.body["attachment_id"], truth.attachments[0].id);
    assert_eq!(first.body["message_id"].as_str(), truth.messages[0].message_id.as_deref());
    for key in ["order-1", "\"order-1\""] {
        let again = client.post(key, &picture("sub/hero.png"));
        assert_eq!((again.status, again.is_replay, &again.body), (200, true, &first.body));
    }
    let other = client.post("order-1", &picture("sub/../sub/hero.png"));
    assert_eq!((other.status, other.word()), (422, "key-reused"), "{other:?}");
    assert_eq!(world.counts().messages_accepted, 1);
    // The answer outlives the service, and the file.
    serving.kill();
    std::fs::remove_file(world.library().join("sub/hero.png")).expect("removed");
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    let again = client.post("order-1", &picture("sub/hero.png"));
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!((client.post("order-2", &text("hi")).status, world.counts().messages_accepted), (200, 2));
    assert_eq!(world.uploads(), 1);
}

#[test]
fn fifty_requests_with_one_key_are_one_message() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    let body = text("hi");
    let all = (0..50).map(|_| client.ask(&serving.token, Some("k"), body.to_string()));
    let all = world.runtime.block_on(join_all(all));
    for got in &all {
        assert!(got.status == 200 || (got.status, got.word()) == (409, "under-way"), "{got:?}");
        assert_eq!(got.retry_after.is_some(), got.status == 409);
    }
    assert_eq!(all.iter().filter(|got| got.status == 200 && !got.is_replay).count(), 1);
    assert_eq!((client.post("k", &body).status, world.counts().messages_accepted), (200, 1));
}

#[test]
fn a_message_whose_answer_was_lost_is_unknown_ever_after() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": {"reset": true}})).expect("a fault");
    let first = client.post("k", &text("hi"));
    assert_eq!((first.status, first.word(), &first.body["outcome"]), (502, "unknown-outcome", &json!("unknown")));
    assert_eq!(first.body["retryable"], false);
    let again = client.post("k", &text("hi"));
    assert_eq!((again.status, again.is_replay, &again.body), (502, true, &first.body));
    assert_eq!((world.counts().messages_accepted, world.counts().requests.send), (1, 1));
}

#[test]
fn a_refusal_stays_and_what_passes_gives_the_key_back() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    let refuse = |code: u32, subcode: u32| {
        let graph = json!({"code": code, "error_subcode": subcode, "message": "(#) no"});
        world.sandbox().set_faults(json!({"on": "send", "fault": {"graph": graph, "status": 400}})).expect("a fault");
    };
    refuse(551, 1_545_041);
    let refused = client.post("refused", &text("hi"));
    assert_eq!((refused.status, &refused.body["code"], &refused.body["outcome"]), (422, &json!(551), &json!("failed")));
    assert!(refused.body["hint"].is_string() && refused.body["class"].is_string(), "{refused:?}");
    let again = client.post("refused", &text("hi"));
    assert_eq!((again.status, again.is_replay, &again.body), (422, true, &refused.body));

    refuse(190, 460);
    let dead = client.post("dead", &text("hi"));
    assert_eq!((dead.status, dead.word(), &dead.body["outcome"]), (502, "credentials", &json!("failed")));
    assert_eq!(client.post("dead", &text("hi")).status, 200, "the token is a new one, and nothing had been sent");

    refuse(613, 0);
    let limited = client.post("limited", &text("hi"));
    assert_eq!((limited.status, limited.word(), limited.retry_after.is_some()), (429, "rate-limited", true));
    // The gate is shut, so this one does not even leave; but its key is not another's.
    let other = client.post("limited", &text("ho"));
    assert_eq!((other.status, other.word()), (429, "rate-limited"), "{other:?}");
    assert_eq!(world.counts().messages_accepted, 1);
}

#[test]
fn a_message_waits_no_longer_for_limits_where_its_file_comes_first() {
    let world = World::new();
    world.put("hero.png", png(1));
    let served = Served::start(&world);
    // Nobody says for how long.
    let graph = json!({"code": 613, "message": "(#613) too many"});
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"graph": graph, "status": 400}})).expect("a fault");
    let attachment = json!({"type": "image", "payload": {"file": "hero.png"}});
    let body = json!({"recipient": {"id": SOMEBODY}, "message": {"attachment": attachment}}).to_string();
    let bearer = format!("Bearer {}", served.token);
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k")];
    for _ in 0..2 {
        // The key is free again.
        let answer = served.ask("POST", "/v1/messages", &headers, body.as_bytes());
        assert_eq!((answer.status, &answer.json()["outcome"]), (429, &json!("failed")), "{}", answer.text());
        let again: u64 = answer.header("retry-after").expect("when to ask again").parse().expect("seconds");
        assert!((21..=50).contains(&again), "{again}");
    }
    assert_eq!(world.counts().messages_accepted, 0);
}

#[test]
fn an_end_the_record_does_not_take_is_known_and_told_later() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    assert_eq!(client.post("before", &text("hi")).status, 200);
    let record = rusqlite::Connection::open(world.store().join("record.db")).expect("a record");
    let refuse = |what: &str| {
        let sql = format!(
            "CREATE TRIGGER deaf BEFORE {what} ON requests BEGIN SELECT RAISE(ABORT, 'the disk is in a mood'); END"
        );
        record.execute_batch(&sql).expect("a trigger");
    };
    let listen = || record.execute_batch("DROP TRIGGER deaf").expect("no trigger");

    refuse("UPDATE");
    let sent = client.post("sent", &text("hi"));
    assert_eq!((sent.status, sent.word(), &sent.body["outcome"]), (200, "", &json!("sent")));
    let deaf = client.post("sent", &text("hi"));
    assert_eq!((deaf.status, deaf.word(), deaf.retry_after), (503, "store", Some(5)), "{deaf:?}");
    listen();
    let again = client.post("sent", &text("hi"));
    assert_eq!((again.status, again.is_replay, &again.body), (200, true, &sent.body));

    refuse("DELETE");
    let graph = json!({"code": 190, "error_subcode": 460, "message": "(#) no"});
    world.sandbox().set_faults(json!({"on": "send", "fault": {"graph": graph, "status": 400}})).expect("a fault");
    assert_eq!(client.post("dead", &text("hi")).word(), "credentials");
    assert_eq!(client.post("dead", &text("hi")).word(), "store");
    listen();
    assert_eq!(client.post("dead", &text("hi")).status, 200, "nothing had been sent");

    // Where nobody asks again.
    refuse("UPDATE");
    let last = client.post("last", &text("hi"));
    listen();
    let answered = "SELECT count(*) FROM requests WHERE key = 'last' AND status = 200";
    wait_until("it is told", || record.query_row(answered, [], |row| row.get::<_, i64>(0)).expect("a count") == 1);
    serving.kill();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    assert_eq!((client.post("last", &text("hi")).body, world.counts().messages_accepted), (last.body, 4));
    assert_eq!(client.post("sent", &text("hi")).body, sent.body);
}

#[test]
fn what_cannot_be_sent_is_refused_and_costs_no_key() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    for outside in ["../secret.png", "/etc/passwd"] {
        let got = client.post("k", &picture(outside));
        assert_eq!((got.status, got.word()), (403, "outside"), "{got:?}");
        let as_asset =
            json!({"recipient": {"id": SOMEBODY}, "message": {"attachment": {"payload": {"asset": outside}}}});
        assert_eq!(client.post("k", &as_asset).status, 403);
    }
    assert_eq!(client.post("k", &picture("missing.png")).status, 404);
    let ask =
        |token: &str, key: Option<&str>, body: &str| world.runtime.block_on(client.ask(token, key, body.to_owned()));
    let (good, all) = (text("hi").to_string(), serving.token.as_str());
    for (key, body) in [
        ("k", "{"),
        ("k", "[]"),
        ("k", "{\"message\":{\"text\":\"hi\"}}"),
        ("k", "{\"page\":1}"),
        ("k", "{\"access_token\":\"x\",\"recipient\":{\"id\":\"1\"},\"message\":{\"text\":\"hi\"}}"),
        ("", &good),
        ("a b", &good),
    ] {
        let got = ask(all, Some(key), body);
        assert_eq!((got.status, got.word()), (400, "invalid"), "{key:?} {body}: {got:?}");
    }
    assert_eq!(ask(&serving.read_token, Some("k"), &good).word(), "scope");
    assert_eq!(
        client.post("k", &json!({"page": "2", "recipient": {"id": "1"}, "message": {"text": "hi"}})).status,
        404
    );
    assert_eq!((world.counts().requests.send, world.uploads()), (0, 0));
    // Whoever gives no key is not asked for one.
    assert_eq!(client.post("k", &text("hi")).status, 200);
    assert_eq!((ask(all, None, &good).status, ask(all, None, &good).status), (200, 200));
    assert_eq!(world.counts().messages_accepted, 3);
}

#[test]
fn an_id_that_died_is_made_anew_and_the_message_arrives_once() {
    let world = World::new();
    world.put("hero.png", png(1));
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    assert_eq!(client.post("1", &picture("hero.png")).status, 200);
    assert!(world.sandbox().revoke(&world.truth().attachments[0].id));
    let healed = client.post("2", &picture("hero.png"));
    assert_eq!((healed.status, &healed.body["attachment_id"]), (200, &json!(world.truth().attachments[1].id)));
    assert_eq!((world.counts().messages_accepted, world.uploads()), (2, 2));
}

#[test]
fn a_service_killed_between_intent_and_answer_knows_that_it_does_not_know() {
    let world = World::new();
    let served = Served::start(&world);
    let ask = |served: &Served, body: &Value| {
        let (bearer, body) = (format!("Bearer {}", served.token), body.to_string());
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k")];
        let answer = served.ask("POST", "/v1/messages", &headers, body.as_bytes());
        (answer.status, answer.json())
    };
    let ending = |body: &Value| body["type"].as_str().expect("a word").rsplit(':').next().expect("a word").to_owned();
    world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": {"stall": true}})).expect("a fault");
    let waiting = asked_in_vain(served.address, &served.token, "k", &text("hi"));
    until_accepted(&world, 1);
    let (status, meanwhile) = ask(&served, &text("hi"));
    assert_eq!((status, ending(&meanwhile)), (409, "under-way".to_owned()));
    // SIGKILL, and a new process.
    drop(served);
    drop(waiting);
    let served = Served::start(&world);
    let (status, other) = ask(&served, &text("ho"));
    assert_eq!((status, ending(&other)), (422, "key-reused".to_owned()));
    let (status, first) = ask(&served, &text("hi"));
    assert_eq!((status, ending(&first), &first["outcome"]), (502, "unknown-outcome".to_owned(), &json!("unknown")));
    assert_eq!(ask(&served, &text("hi")), (status, first));
    assert_eq!(world.counts().requests.send, 1);
}

#[test]
fn a_message_that_is_under_way_for_too_long_is_unknown() {
    let world = World::new();
    let clock = world.runtime.block_on(async { ManualClock::new(Timestamp::from_unix_millis(1_760_000_000_000)) });
    let clock = Arc::new(clock);
    let serving = Serving::start(&world, Arc::clone(&clock) as _);
    let client = Client::new(&world, &serving);
    world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": {"stall": true}})).expect("a fault");
    let waiting = asked_in_vain(serving.address, &serving.token, "k", &text("hi"));
    until_accepted(&world, 1);
    // Its files have ten minutes, and Meta more than two.
    clock.advance(Duration::from_mins(13));
    assert_eq!(client.post("k", &text("hi")).status, 409);
    clock.advance(Duration::from_mins(1));
    let first = client.post("k", &text("hi"));
    assert_eq!((first.status, first.word()), (502, "unknown-outcome"));
    clock.advance(Duration::from_hours(23));
    assert_eq!(client.post("k", &text("hi")).body, first.body);
    assert_eq!(world.counts().requests.send, 1);
    // After its day a key is anybody's.
    clock.advance(Duration::from_hours(1));
    assert_eq!((client.post("k", &text("ho")).status, world.counts().messages_accepted), (200, 2));
    drop(waiting);
    serving.kill();
}

/// This machine's clock, so many milliseconds from what is right.
#[derive(Debug, Default)]
struct WrongClock(AtomicI64);

#[async_trait]
impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let off = self.0.load(Ordering::Relaxed);
        Timestamp::from_unix_millis(SystemClock.now().as_unix_millis() + off)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[test]
fn a_key_is_no_older_for_a_clock_that_is_put_right() {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let world = World::new();
    // Two days behind, and two ahead; Meta says so, and then somebody sets it, rightly and wrongly.
    for (number, off) in [-2 * DAY, 2 * DAY].into_iter().enumerate() {
        let machine = Arc::new(WrongClock(AtomicI64::new(off)));
        let serving = Serving::put_right(&world, Arc::clone(&machine) as _);
        let client = Client::new(&world, &serving);
        let key = format!("k{number}");
        let first = client.post(&key, &text("hi"));
        assert_eq!((first.status, first.is_replay), (200, false), "{first:?}");
        for off in [off, 0, 4 * DAY, -4 * DAY] {
            machine.0.store(off, Ordering::Relaxed);
            let again = client.post(&key, &text("hi"));
            assert_eq!((again.status, again.is_replay), (200, true), "{off}: {again:?}");
        }
        serving.kill();
    }
    assert_eq!(world.counts().messages_accepted, 2);
}

#[test]
fn whoever_hangs_up_finds_the_answer_under_the_key() {
    let world = World::new();
    let serving = started(&world);
    let client = Client::new(&world, &serving);
    let late = json!({"on": "send", "when": "after", "fault": {"stall_ms": 200}});
    world.sandbox().set_faults(late).expect("a fault");
    let waiting = asked_in_vain(serving.address, &serving.token, "k", &text("hi"));
    until_accepted(&world, 1);
    drop(waiting);
    let got = std::iter::repeat_with(|| client.post("k", &text("hi"))).find(|got| got.status != 409);
    let got = got.expect("an answer");
    assert_eq!((got.status, got.is_replay, &got.body["outcome"]), (200, true, &json!("sent")), "{got:?}");
    assert_eq!(world.counts().messages_accepted, 1);
}

#[test]
fn a_service_that_stops_keeps_the_answer_it_waits_for() {
    let world = World::new();
    let serving = started(&world);
    let late = json!({"on": "send", "when": "after", "fault": {"stall_ms": 200}});
    world.sandbox().set_faults(late).expect("a fault");
    let waiting = asked_in_vain(serving.address, &serving.token, "k", &text("hi"));
    until_accepted(&world, 1);
    drop(waiting);
    serving.stop();
    let serving = started(&world);
    let got = Client::new(&world, &serving).post("k", &text("hi"));
    assert_eq!((got.status, got.is_replay, &got.body["outcome"]), (200, true, &json!("sent")), "{got:?}");
    assert_eq!(world.counts().messages_accepted, 1);
}
