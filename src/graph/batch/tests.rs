use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use serde_json::json;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::graph::error::Certainty;
use crate::graph::{Call, GraphOptions, Message, RetryPolicy, Scope, SenderAction, Transport};
use crate::ids::{MediaKind, Origin, Recipient};
use crate::secret::{AccessToken, AppSecret};

/// Gives the same answer to every call, and remembers the calls.
#[derive(Debug)]
struct Always {
    status: u16,
    body: String,
    calls: Mutex<Vec<Call>>,
    /// How often it was started afresh.
    afresh: Mutex<u32>,
}

#[async_trait]
impl Transport for Always {
    async fn execute(&self, call: Call) -> Attempt {
        self.calls.lock().unwrap().push(call);
        let status = StatusCode::from_u16(self.status).expect("a status");
        Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: self.body.clone().into() })
    }

    fn start_afresh(&self) {
        *self.afresh.lock().unwrap() += 1;
    }
}

fn answering(status: u16, body: &impl ToString) -> (Arc<Always>, GraphClient) {
    let transport =
        Arc::new(Always { status, body: body.to_string(), calls: Mutex::default(), afresh: Mutex::default() });
    let token = AccessToken::new("PAGE-TOKEN-canary").expect("a token");
    let options = GraphOptions {
        app_secret: AppSecret::new("secret"),
        retry: RetryPolicy { max_wait: Duration::ZERO, ..RetryPolicy::default() },
        ..GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), token)
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(0)));
    let client = GraphClient::new(options, Arc::<Always>::clone(&transport), clock);
    (transport, client)
}

fn page() -> PageId {
    "106".parse().expect("a Page")
}

fn to(psid: &str) -> SendRequest {
    SendRequest::new(Recipient::Psid(psid.to_owned()), Message::text(format!("hi & bye, {psid}=é")))
}

fn people(count: usize) -> Vec<SendRequest> {
    (1..=count).map(|number| to(&number.to_string())).collect()
}

/// An item that says the message to `psid` was sent.
fn sent(psid: &str) -> Value {
    json!({"code": 200, "headers": [], "body": json!({"recipient_id": psid, "message_id": format!("m_{psid}")}).to_string()})
}

fn refused(code: i64) -> Value {
    json!({"code": 400, "body": json!({"error": {"code": code, "message": "no"}}).to_string()})
}

/// What became of as many of the requests as leave at once.
async fn send(client: &GraphClient, requests: &[SendRequest]) -> Result<Vec<Result<Sent, GraphError>>, GraphError> {
    client.send_batch_once(&page(), requests, &mut client.patience(), |_| std::future::ready(true)).await
}

/// `sent`, the scope of a refusal, or `unknown`, for each.
fn words(results: &[Result<Sent, GraphError>]) -> Vec<String> {
    let word = |result: &Result<Sent, GraphError>| match result {
        Ok(sent) => sent.message_id.clone().expect("an id"),
        Err(error) if error.outcome() == Certainty::Unknown => "unknown".to_owned(),
        Err(error) => format!("{:?}", error.scope().expect("a scope")),
    };
    results.iter().map(word).collect()
}

async fn outcome_of(requests: &[SendRequest], answer: Value) -> Vec<String> {
    let (transport, client) = answering(200, &answer);
    let results = send(&client, requests).await.expect("a list");
    assert_eq!(transport.calls.lock().unwrap().len(), 1, "nothing is ever sent twice");
    words(&results)
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_a_form_of_forms_without_names_or_dependencies() {
    let (transport, client) = answering(200, &json!([sent("1"), sent("2")]));
    send(&client, &people(2)).await.expect("a list");
    let calls = transport.calls.lock().unwrap();
    assert_eq!((&calls[0].method, calls[0].url.path()), (&Method::POST, "/v25.0/"));
    let query = calls[0].url.query().expect("a proof");
    assert!(query.contains("appsecret_proof=") && query.contains("appsecret_time=0"), "{query}");
    let Body::Form(form) = &calls[0].body else { panic!("a form") };
    let fields: Vec<_> = form_urlencoded::parse(form).collect();
    assert_eq!((&*fields[0].0, &*fields[1].0, &*fields[1].1), ("batch", "include_headers", "true"));
    let items: Value = serde_json::from_str(&fields[0].1).expect("JSON");
    let keys: Vec<_> = items[1].as_object().expect("an item").keys().collect();
    assert_eq!(keys, ["method", "relative_url", "body"]);
    assert_eq!((&items[1]["method"], &items[1]["relative_url"]), (&json!("POST"), &json!("106/messages")));
    let body: Vec<_> = form_urlencoded::parse(items[1]["body"].as_str().expect("a form").as_bytes()).collect();
    let body: Vec<_> = body.iter().map(|(name, value)| (&**name, &**value)).collect();
    let expected =
        [("recipient", r#"{"id":"2"}"#), ("messaging_type", "RESPONSE"), ("message", r#"{"text":"hi & bye, 2=é"}"#)];
    assert_eq!(body, expected);
}

#[tokio::test(start_paused = true)]
async fn each_item_has_an_outcome_of_its_own() {
    let three = people(3);
    assert_eq!(outcome_of(&three, json!([sent("1"), refused(551), sent("3")])).await, ["m_1", "Recipient", "m_3"]);
    assert_eq!(outcome_of(&three, json!([sent("1"), null, refused(613)])).await, ["m_1", "unknown", "Rate"]);
    assert_eq!(
        outcome_of(&three, json!([refused(1), refused(190), refused(100)])).await,
        ["unknown", "Page", "Request"]
    );
    for odd in [json!({}), json!(7), json!({"code": "x"}), json!({"code": 200, "body": "{"}), json!({"code": 200})] {
        assert_eq!(outcome_of(&people(1), json!([odd])).await, ["unknown"], "{odd}");
    }
    let as_object = json!({"code": 200, "body": {"recipient_id": "1", "message_id": "m_1"}});
    assert_eq!(outcome_of(&people(1), json!([as_object])).await, ["m_1"]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_another_batch_leaves_no_connection() {
    for (answer, times) in [
        (json!([sent("1"), sent("2")]), 0),
        (json!([sent("1"), null]), 0),
        (json!([sent("8"), sent("9")]), 1),
        (json!([sent("1")]), 1),
    ] {
        let (transport, client) = answering(200, &answer);
        send(&client, &people(2)).await.expect("a list");
        assert_eq!(*transport.afresh.lock().unwrap(), times, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_needs_no_message_id_and_a_message_does() {
    let action = SendRequest::new(Recipient::Psid("1".to_owned()), SenderAction::MarkSeen);
    let answer = json!({"code": 200, "body": r#"{"recipient_id":"1"}"#});
    let (_, client) = answering(200, &json!([answer, answer]));
    let results = send(&client, &[action, to("1")]).await.expect("a list");
    assert_eq!(results[0].as_ref().expect("done").message_id, None);
    assert_eq!(results[1].as_ref().expect_err("in doubt").outcome(), Certainty::Unknown);
}

#[tokio::test(start_paused = true)]
async fn answers_that_do_not_fit_are_believed_only_where_they_name_their_own_recipient() {
    let three = people(3);
    let swapped = json!([sent("1"), sent("3"), sent("2")]);
    assert_eq!(outcome_of(&three, swapped).await, ["m_1", "unknown", "unknown"]);
    assert_eq!(outcome_of(&three, json!([sent("1"), sent("3")])).await, ["m_1", "unknown", "unknown"]);
    assert_eq!(outcome_of(&three, json!([sent("1"), refused(551)])).await, ["m_1", "unknown", "unknown"]);
    assert_eq!(outcome_of(&people(1), json!([refused(551), sent("9")])).await, ["unknown"], "whose refusal is it?");
    assert_eq!(outcome_of(&people(2), json!([])).await, ["unknown", "unknown"]);
    let mut anonymous = people(2);
    anonymous[1].envelope.recipient = Recipient::UserRef("r".to_owned());
    assert_eq!(outcome_of(&anonymous, json!([sent("1"), sent("5")])).await, ["m_1", "m_5"], "nothing contradicts it");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_whole_says_whether_anything_was_sent() {
    let error_object = |code: i64| json!({"error": {"code": code, "message": "no"}});
    for (status, body, certainty, scope) in [
        (400, error_object(190).to_string(), Certainty::NotDone, Some(Scope::Page)),
        (400, error_object(613).to_string(), Certainty::NotDone, Some(Scope::Rate)),
        (500, error_object(1).to_string(), Certainty::Unknown, None),
        (200, error_object(190).to_string(), Certainty::Unknown, None),
        (200, "<html>".to_owned(), Certainty::Unknown, None),
        (502, String::new(), Certainty::Unknown, None),
        (302, String::new(), Certainty::Unknown, None),
    ] {
        let (transport, client) = answering(status, &body);
        let error = send(&client, &people(2)).await.expect_err("no list");
        assert_eq!((error.outcome(), error.scope()), (certainty, scope), "{status} {body}");
        assert_eq!(transport.calls.lock().unwrap().len(), 1, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_keeps_the_batch_here() {
    let (transport, client) = answering(200, &json!([]));
    let mut broken = people(2);
    broken[1] = SendRequest::new(Recipient::Psid("2".to_owned()), Message::text(""));
    send(&client, &broken).await.expect_err("an empty text");
    send(&client, &people(51)).await.expect_err("too many");
    assert_eq!(send(&client, &[]).await, Ok(Vec::new()));
    assert!(transport.calls.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_item_shuts_the_pages_gate_and_items_count_one_each() {
    let (_, client) = answering(200, &json!([sent("1"), refused(613)]));
    send(&client, &people(2)).await.expect("a list");
    assert!(client.governor.pace().shut_for.is_some());

    let (_, client) = answering(200, &json!([]));
    let mut heavy = people(40);
    heavy[0] = SendRequest::new(
        Recipient::Psid("1".to_owned()),
        Message::attachment(MediaKind::Video, &"7".parse().expect("an id")),
    );
    let begun = tokio::time::Instant::now();
    let left = send(&client, &heavy).await.expect("a list").len();
    send(&client, &heavy[left..]).await.expect("a list");
    send(&client, &people(1)).await.expect("a list");
    assert!(begun.elapsed() >= Duration::from_secs(1), "forty messages are more than a second's worth");
}

#[tokio::test(start_paused = true)]
async fn no_more_leaves_in_one_call_than_may_leave_in_a_second() {
    let (transport, client) = answering(200, &json!([]));
    let (all, mut told, mut left) = (people(MAX_BATCH), Vec::new(), 0);
    while left < all.len() {
        let ready = |count: usize| {
            told.push(count);
            std::future::ready(true)
        };
        let rest = &all[left..];
        let results = client.send_batch_once(&page(), rest, &mut client.patience(), ready).await.expect("a list");
        left += results.len();
    }
    assert_eq!((told, left), (vec![30, 20], MAX_BATCH));
    assert_eq!(transport.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_item_by_item_leaves_the_gate_shut_and_the_doubt_growing() {
    let item =
        json!({"code": 400, "headers": [], "body": json!({"error": {"code": 613, "message": "no"}}).to_string()});
    let (_, client) = answering(200, &json!([item]));
    let mut pauses = Vec::new();
    for _ in 0..3 {
        send(&client, &people(1)).await.expect("a list");
        pauses.push(client.governor.pace().shut_for.expect("shut"));
        tokio::time::sleep(pauses[pauses.len() - 1]).await;
    }
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(49)), "{pauses:?}");
}
