//! Batches: many requests in one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::APP_SECRET;
use super::*;

/// An item that sends a text to `recipient`.
fn text_to(recipient: &str) -> Value {
    item(&json!({ "id": recipient }), &json!({ "text": "hello, world! & more = fun" }))
}

fn item(recipient: &Value, message: &Value) -> Value {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("recipient", &recipient.to_string())
        .append_pair("message", &message.to_string())
        .append_pair("messaging_type", "UPDATE")
        .finish();
    json!({ "method": "POST", "relative_url": "me/messages", "body": body })
}

/// `item` with `more` in it.
fn with(mut item: Value, more: &Value) -> Value {
    item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    item
}

/// Status and list of answers to `items`, posted as JSON by the first Page.
async fn batch(lab: &Lab, items: &[Value]) -> (u16, Value) {
    let body = json!({ "access_token": BAKERY, "include_headers": false, "batch": items });
    answer(json_body(lab.post("/v25.0/"), &body)).await
}

fn codes(list: &Value) -> Vec<u64> {
    list.as_array().expect("a list").iter().map(|item| item["code"].as_u64().unwrap_or(0)).collect()
}

fn body(item: &Value) -> Value {
    serde_json::from_str(item["body"].as_str().expect("a text")).expect("JSON in it")
}

fn people(lab: &Lab) -> Vec<String> {
    lab.truth().messages.iter().filter_map(TruthMessage::recipient).collect()
}

#[tokio::test]
async fn items_are_done_and_answered_in_order() {
    let lab = lab().await;
    let items = [
        text_to("7"),
        text_to("me"),
        with(text_to("8"), &json!({ "relative_url": "/v19.0/me/messages" })),
        json!({ "method": "GET", "relative_url": "v25.0/me?fields=name" }),
        json!({ "method": "DELETE", "relative_url": "me/likes" }),
    ];
    let (status, list) = batch(&lab, &items).await;
    assert_eq!((status, codes(&list)), (200, vec![200, 400, 200, 200, 400]));
    assert_eq!(body(&list[0])["message_id"].as_str(), lab.truth().messages[0].message_id.as_deref());
    assert_eq!(body(&list[1])["error"]["code"], 100);
    assert_eq!(body(&list[3]), json!({ "id": PAGES[0].id, "name": PAGES[0].name }));
    assert_eq!(body(&list[4])["error"]["code"], 2_500);
    assert_eq!(people(&lab), ["7", "8"]);
    assert_eq!(lab.truth().messages[1].request["message"]["text"], "hello, world! & more = fun");
    let requests = lab.truth().counters.requests;
    assert_eq!((requests.batch, requests.send, requests.me, requests.other), (1, 3, 1, 1));
}

#[tokio::test]
async fn a_batch_comes_in_any_body_at_any_of_its_places() {
    let lab = lab().await;
    let items = json!([text_to("7")]).to_string();
    let pairs = [("batch", items.as_str()), ("include_headers", "false")];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    for path in ["/", "/v25.0", "/v25.0/", "/me", &format!("/v26.0/{}", PAGES[0].id)] {
        let (status, list) = answer(lab.post(path).bearer_auth(BAKERY).body(form.clone())).await;
        assert_eq!((status, codes(&list)), (200, vec![200]), "{path}: {list}");
        assert!(list[0].get("headers").is_none());
    }
    let parts = Form::new().text("batch", items.clone()).text("access_token", BAKERY);
    let (_, list) = answer(lab.post("/").multipart(parts)).await;
    let expected = json!([{ "name": "Content-Type", "value": "application/json; charset=UTF-8" }]);
    assert_eq!((codes(&list), &list[0]["headers"]), (vec![200], &expected));
    let foreign = answer(lab.post(&format!("/{}", PAGES[1].id)).bearer_auth(BAKERY).body(form)).await;
    assert_eq!(foreign.1["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn a_batch_that_is_wrong_as_a_whole_does_nothing() {
    let lab = lab().await;
    let fifty = vec![text_to("7"); 50];
    assert_eq!(codes(&batch(&lab, &fifty).await.1), [200; 50]);
    let refused = batch(&lab, &vec![text_to("8"); 51]).await;
    assert_refused(&refused, 100, 0, "Too many requests in batch message. Maximum batch size is 50");
    assert_eq!(refused.1["error"]["type"], "GraphBatchException");
    for batch in [json!([]), json!("{}"), json!("["), json!(7), json!(["me"])] {
        let refused = answer(json_body(lab.post("/").bearer_auth(BAKERY), &json!({ "batch": batch }))).await;
        assert_refused(&refused, 100, 0, "batch parameter must be a JSON array");
    }
    let nobody = answer(json_body(lab.post("/"), &json!({ "batch": [text_to("8")] }))).await;
    assert_refused(&nobody, 190, 0, "An access token is required to request this resource.");
    assert_eq!(lab.truth().message_count, 50);
}

#[tokio::test]
async fn an_item_that_makes_no_sense_leaves_the_others_alone() {
    let lab = lab().await;
    let items = [
        json!({ "relative_url": "me" }),
        json!({ "method": "GET" }),
        with(text_to("8"), &json!({ "priority": 1 })),
        json!({ "method": "POST", "relative_url": "me/messages", "body": "message={result=first:$.id}" }),
        json!({ "method": "POST", "relative_url": "", "body": "batch=[]" }),
        text_to("7"),
    ];
    let (_, list) = batch(&lab, &items).await;
    assert_eq!(codes(&list), [400, 400, 400, 400, 400, 200]);
    assert_eq!(body(&list[0])["error"]["message"], "(#100) The parameter method is required");
    assert_eq!(body(&list[4])["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn a_token_of_its_own_counts_for_an_item_with_a_proof_of_its_own() {
    let lab = lab().await;
    lab.require_proof(true);
    let proof = |token: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("a key");
        mac.update(token.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let own = |proof: &str| format!("me/messages?access_token={FLORIST}&appsecret_proof={proof}");
    let items = [
        text_to("1"),
        with(text_to("2"), &json!({ "relative_url": own(&proof(FLORIST)) })),
        with(text_to("3"), &json!({ "relative_url": own(&proof(BAKERY)) })),
        with(text_to("4"), &json!({ "access_token": FLORIST })),
        with(text_to("5"), &json!({ "access_token": "nobody" })),
        with(text_to("6"), &json!({ "relative_url": format!("me/messages?appsecret_proof={}", proof(FLORIST)) })),
    ];
    let refused = batch(&lab, &items).await;
    assert_refused(&refused, 100, 0, "API calls from the server require an appsecret_proof argument");
    let path = format!("/?appsecret_proof={}", proof(BAKERY));
    let request = lab.post(&path).bearer_auth(BAKERY);
    let (_, list) = answer(json_body(request, &json!({ "batch": items }))).await;
    assert_eq!(codes(&list), [200, 200, 400, 400, 400, 400]);
    assert_eq!(body(&list[4])["error"]["code"], 190);
    let pages: Vec<_> = lab.truth().messages.iter().map(|message| message.page_id.clone()).collect();
    assert_eq!(pages, [PAGES[0].id, PAGES[1].id]);
}

#[tokio::test]
async fn an_item_waits_for_the_one_it_depends_on() {
    let lab = lab().await;
    let items = [
        with(text_to("2"), &json!({ "depends_on": "first" })),
        with(text_to("1"), &json!({ "name": "first" })),
        with(text_to("3"), &json!({ "name": "alone" })),
    ];
    let (_, list) = batch(&lab, &items).await;
    assert_eq!((codes(&list), list[1].is_null()), (vec![200, 0, 200], true));
    assert_eq!(people(&lab), ["1", "3", "2"]);

    let shown = with(text_to("1"), &json!({ "name": "first", "omit_response_on_success": false }));
    let items = [shown, with(text_to("2"), &json!({ "depends_on": "first" }))];
    assert_eq!(codes(&batch(&lab, &items).await.1), [200, 200]);
}

#[tokio::test]
async fn what_a_failure_was_waited_for_is_not_done() {
    let lab = lab().await;
    let items = [
        with(text_to("nobody"), &json!({ "name": "first" })),
        with(text_to("2"), &json!({ "depends_on": "first" })),
        with(text_to("3"), &json!({ "depends_on": "stranger" })),
        with(text_to("4"), &json!({ "name": "a", "depends_on": "b" })),
        with(text_to("5"), &json!({ "name": "b", "depends_on": "a" })),
    ];
    let (_, list) = batch(&lab, &items).await;
    assert_eq!(codes(&list), [400, 0, 400, 400, 400]);
    assert_eq!(lab.truth().message_count, 0);
}

#[tokio::test]
async fn files_are_attached_by_the_names_of_their_parts() {
    let lab = lab().await;
    let message = url::form_urlencoded::byte_serialize(reusable("image").to_string().as_bytes()).collect::<String>();
    let upload = |files: &str| {
        json!({ "method": "POST", "relative_url": "me/message_attachments", "body": format!("message={message}"),
                "attached_files": files })
    };
    let form = Form::new()
        .text("batch", json!([upload("one"), upload("two"), upload("one,two"), upload("three")]).to_string())
        .part("one", png(b"first"))
        .part("two", png(b"second"));
    let (_, list) = answer(lab.post("/").bearer_auth(BAKERY).multipart(form)).await;
    assert_eq!(codes(&list), [200, 200, 400, 400]);
    assert_eq!(body(&list[2])["error"]["error_subcode"], 2_018_005);
    let sizes: Vec<_> = lab.truth().attachments.iter().filter_map(|one| Some(one.file.as_ref()?.size_bytes)).collect();
    assert_eq!(sizes, [5, 6]);
}

#[tokio::test]
async fn a_fault_strikes_the_item_it_means() {
    for (when, done) in [("before", vec!["6", "8"]), ("after", vec!["6", "7", "8"])] {
        for fault in [json!({ "null": true }), json!({ "reset": true }), json!({ "mid_body": true, "status": 200 })] {
            let lab = lab().await;
            let rule = json!({ "on": "send", "recipient": "7", "when": when, "fault": fault });
            lab.set_faults(rule).expect("faults");
            let (_, list) = batch(&lab, &["6", "7", "8"].map(text_to)).await;
            assert_eq!((codes(&list), list[1].is_null()), (vec![200, 0, 200], true), "{when} {fault}");
            assert_eq!(people(&lab), done, "{when} {fault}");
        }
    }
}

#[tokio::test]
async fn a_fault_can_replace_one_items_answer() {
    let lab = lab().await;
    lab.set_faults(json!([
        { "on": "send", "recipient": "7", "fault": { "graph": { "code": 613 }, "headers": { "X-A": "b" } } },
        { "recipient": "8", "when": "after", "fault": { "status": 500, "body": "oops" } },
        { "on": "send", "recipient": "9", "when": "after", "fault": { "truncate": true } },
        { "on": "me", "fault": { "pass": true } },
    ]))
    .expect("faults");
    let me = json!({ "method": "GET", "relative_url": "me" });
    let items = json!({ "batch": [text_to("6"), text_to("7"), text_to("8"), text_to("9"), me] });
    let (_, list) = answer(json_body(lab.post("/").bearer_auth(BAKERY), &items)).await;
    assert_eq!(codes(&list), [200, 400, 500, 200, 200]);
    assert_eq!((body(&list[1])["error"]["code"].as_u64(), list[2]["body"].as_str()), (Some(613), Some("oops")));
    assert_eq!(list[1]["headers"][1], json!({ "name": "X-A", "value": "b" }));
    assert!(list[3]["body"].as_str().is_some_and(|body| body.starts_with('{') && !body.ends_with('}')));
    assert_eq!((people(&lab), lab.truth().counters.faults_fired), (vec!["6".into(), "8".into(), "9".into()], 3));
}

#[tokio::test]
async fn a_fault_strikes_the_batch_as_a_whole() {
    let lab = lab().await;
    for (on, when, done) in [("batch", "before", 0), ("any", "before", 0), ("batch", "after", 2)] {
        lab.set_faults(json!({ "on": on, "when": when, "fault": { "graph": { "code": 1 }, "status": 500 } }))
            .expect("faults");
        let (status, answered) = batch(&lab, &[text_to("7"), text_to("8")]).await;
        assert_eq!((status, &answered["error"]["code"]), (500, &json!(1)));
        assert_eq!(lab.truth().message_count, done, "{on} {when}");
    }
    // A rule for whatever comes leaves the requests in a batch alone.
    lab.set_faults(json!([{ "on": "any", "fault": { "pass": true } }, { "on": "any", "fault": { "status": 503 } }]))
        .expect("faults");
    assert_eq!(codes(&batch(&lab, &[text_to("7"), text_to("8")]).await.1), [200, 200]);
}

#[tokio::test]
async fn the_list_of_answers_can_be_spoiled() {
    let lab = lab().await;
    for (fault, expected) in [
        (json!({ "drop_last": true }), vec![200, 400]),
        (json!({ "extra": true }), vec![200, 400, 200, 200]),
        (json!({ "swap": true }), vec![400, 200, 200]),
    ] {
        lab.set_faults(json!({ "on": "batch", "when": "after", "fault": fault })).expect("faults");
        let (_, list) = batch(&lab, &[text_to("7"), text_to("nobody"), text_to("8")]).await;
        assert_eq!(codes(&list), expected, "{fault}");
    }
    assert_eq!(lab.truth().message_count, 6);
}

#[tokio::test]
async fn outside_a_batch_null_is_the_whole_answer() {
    let lab = lab().await;
    lab.set_faults(json!({ "on": "send", "when": "after", "fault": { "null": true } })).expect("faults");
    assert_eq!(lab.send(&hello("7")).await, (200, Value::Null));
    assert_eq!(lab.truth().message_count, 1);
}
