//! Rate limits and usage headers as a client meets them.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, Timestamp};

const RATE_LIMIT: &str = "(#613) Calls to this api have exceeded the rate limit.";

/// A sandbox whose time stands still unless it is moved.
async fn still() -> Lab {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_760_000_000_000)));
    lab_with(SandboxOptions { clock, ..SandboxOptions::default() }).await
}

/// The last header called `name`, as JSON, of a message sent as the first Page.
async fn usage(lab: &Lab, name: &str) -> Option<Value> {
    let response =
        json_body(lab.post("/me/messages").bearer_auth(BAKERY), &hello("7")).send().await.expect("an answer");
    let text = response.headers().get(name)?.to_str().expect("text");
    Some(serde_json::from_str(text).expect("JSON"))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_limited_until_somebody_says_so() {
    let lab = still().await;
    for _ in 0..100 {
        assert_eq!(lab.send(&hello("7")).await.0, 200);
    }
    assert_eq!(usage(&lab, "x-app-usage").await, None);
    lab.set_limits(json!({ "messages_per_second": 1 })).expect("limits");
    assert_eq!((lab.send(&hello("7")).await.0, lab.send(&hello("7")).await.0), (200, 400));
    assert_eq!(usage(&lab, "x-app-usage").await, None);
    lab.clear_limits();
    assert_eq!((lab.send(&hello("7")).await.0, lab.send(&hello("7")).await.0), (200, 200));
}

#[tokio::test(start_paused = true)]
async fn messages_past_the_second_are_613_for_that_page_alone() {
    let lab = still().await;
    lab.control("limits", &json!({ "messages_per_second": 2, "media_per_second": 1 })).await;
    let video = json!({ "recipient": { "id": "7" }, "message": { "attachment": {
        "type": "VIDEO", "payload": { "url": "https://a.example/a.mp4" } } } });
    let template = json!({ "recipient": { "id": "7" }, "message": { "attachment": { "type": "template", "payload": {
        "template_type": "media", "elements": [{ "media_type": "video", "url": "https://facebook.com/v/1" }] } } } });
    assert_eq!(lab.send(&video).await.0, 200);
    assert_refused(&lab.send(&video).await, 613, 0, RATE_LIMIT);
    assert_refused(&lab.send(&template).await, 613, 0, RATE_LIMIT);
    assert_eq!(lab.send(&json!({ "recipient": { "id": "7" }, "sender_action": "typing_on" })).await.0, 200);
    assert_refused(&lab.send(&hello("7")).await, 613, 0, RATE_LIMIT);
    assert_eq!(answer(lab.get("/me").bearer_auth(BAKERY)).await.0, 200);
    let other = json_body(lab.post("/me/messages").bearer_auth(FLORIST), &hello("7"));
    assert_eq!(answer(other).await.0, 200);
    lab.advance_clock(Duration::from_secs(1));
    assert_eq!(lab.send(&template).await.0, 200);
    assert_eq!(lab.truth().message_count, 4);
}

#[tokio::test(start_paused = true)]
async fn spent_calls_are_80006_and_the_headers_say_when_to_come_back() {
    let lab = still().await;
    lab.set_limits(json!({ "calls_per_day": 4, "regain_minutes": 19, "headers": true })).expect("limits");
    let business = async || usage(&lab, "x-business-use-case-usage").await.expect("the header")[PAGES[0].id][0].take();
    let expected = |count: u64, minutes: u64| {
        json!({ "type": "messenger", "call_count": count, "total_cputime": count / 4, "total_time": count / 4,
                "estimated_time_to_regain_access": minutes })
    };
    assert_eq!(business().await, expected(25, 0));
    let plain = json!({ "call_count": 50, "total_cputime": 12, "total_time": 12 });
    assert_eq!(usage(&lab, "x-page-usage").await, Some(plain));
    assert_eq!(usage(&lab, "x-app-usage").await.expect("the header")["call_count"], 75);
    lab.saved().await;
    assert_eq!(business().await, expected(100, 19));
    lab.advance_clock(Duration::from_mins(18));
    let (status, answer) = lab.send(&hello("7")).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(80_006)));
    assert!(
        answer["error"]["message"].as_str().is_some_and(|text| text.starts_with("(#80006) There have been too many"))
    );
    lab.advance_clock(Duration::from_mins(1));
    assert_eq!(business().await, expected(25, 0));
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_batch_counts() {
    let lab = still().await;
    lab.set_limits(json!({ "messages_per_second": 2, "headers": true })).expect("limits");
    let item = json!({ "method": "POST", "relative_url": "me/messages",
                       "body": r#"recipient={"id":"7"}&message={"text":"a"}"# });
    let batch = json!({ "batch": [item, item, item] });
    let request = json_body(lab.post("/").bearer_auth(BAKERY), &batch);
    let response = request.send().await.expect("an answer");
    assert!(response.headers().contains_key("x-business-use-case-usage"));
    let list: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    let codes: Vec<_> = list.as_array().expect("a list").iter().map(|item| item["code"].as_u64()).collect();
    assert_eq!(codes, [Some(200), Some(200), Some(400)]);
    assert!(list[2]["body"].as_str().is_some_and(|body| body.contains(RATE_LIMIT)));
    let names: Vec<_> = list[0]["headers"].as_array().expect("headers").iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&json!("X-Business-Use-Case-Usage")), "{names:?}");
    assert_eq!(lab.truth().message_count, 2);
}

#[tokio::test]
async fn limits_are_shown_lifted_and_reset() {
    let lab = lab().await;
    let limits = json!({ "messages_per_second": 1, "media_per_second": null, "calls_per_day": null,
                         "regain_minutes": null, "headers": true });
    assert_eq!(
        lab.control("limits", &json!({ "messages_per_second": 1, "headers": true })).await,
        (200, limits.clone())
    );
    assert_eq!(answer(lab.get("/__sandbox/limits")).await.1, limits);
    let lifted = answer(lab.client.delete(format!("{}/__sandbox/limits", lab.url()))).await.1;
    assert_eq!((&lifted["messages_per_second"], &lifted["headers"]), (&Value::Null, &json!(false)));
    lab.set_limits(limits).expect("limits");
    lab.reset();
    assert_eq!(answer(lab.get("/__sandbox/limits")).await.1, lifted);
}
