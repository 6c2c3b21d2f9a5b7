//! The control routes.

use super::super::HELP;
use super::*;

#[tokio::test]
async fn bad_control_input_is_400_and_says_what_is_wrong() {
    let lab = lab().await;
    for (path, body, problem) in [
        ("faults", json!({ "fault": { "explode": true } }), "unknown field `explode`"),
        ("faults", json!({ "fault": {} }), "rule 1: an empty fault"),
        (
            "faults",
            json!([{ "fault": { "reset": true } }, { "fault": { "reset": true }, "times": 0 }]),
            "rule 2: times",
        ),
        ("faults", json!({ "on": "nothing", "fault": { "reset": true } }), "unknown variant `nothing`"),
        ("faults", json!({ "fault": { "truncate": true } }), "say when: after"),
        ("faults", json!({ "fault": { "status": 99 } }), "99 is not the status"),
        ("faults", json!({ "fault": { "html": true, "body": "x" } }), "body goes with status"),
        ("faults", json!({ "fault": { "status": 500, "headers": { "a b": "c" } } }), "is not a header"),
        (
            "faults",
            json!({ "when": "head", "recipient": "7", "fault": { "reset": true } }),
            "neither recipient nor bytes are known",
        ),
        ("faults", json!({ "seed": 1, "rate": 1.5 }), "not between 0 and 1"),
        ("faults", json!({ "seed": 1 }), "missing field `rate`"),
        ("faults", json!("reset"), "invalid type"),
        ("faults", json!({ "on": "send", "when": "after", "fault": { "swap": true } }), "say on: batch"),
        ("faults", json!({ "on": "batch", "fault": { "drop_last": true } }), "say when: after"),
        ("faults", json!({ "fault": { "null": true, "status": 500 } }), "null goes without"),
        ("limits", json!({ "messages_per_hour": 1 }), "unknown field `messages_per_hour`"),
        ("limits", json!({ "calls_per_day": 0 }), "calls_per_day counts from 1"),
        ("people", json!({ "id": "7", "error": "551/8" }), "known are 4/2018354"),
        ("people", json!([{ "id": "7" }, { "name": "A" }]), "unknown field `name`"),
        ("people", json!({ "id": "" }), "without an id"),
        ("people", json!({ "id": "7", "last_interaction_at": "yesterday" }), ""),
        ("clock", json!({ "advance": "soon" }), ""),
        ("clock", json!({ "advance": "9000 years", "set": "x" }), ""),
        ("clock", json!({ "advance": "9000 years" }), ""),
        ("clock", json!({ "set": "tomorrow" }), ""),
        ("clock", json!({}), ""),
        ("proof", json!({ "require": true }), "unknown field `require`"),
    ] {
        let (status, answer) = lab.control(path, &body).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{path} {body}: {answer}"));
        assert!(status == 400 && error.contains(problem) && !error.is_empty(), "{path} {body}: {status} {error}");
    }
    let (status, answer) = answer(lab.get("/__sandbox/state?message=no")).await;
    assert!(status == 400 && answer["error"].as_str().is_some_and(|error| error.contains("unknown field `message`")));
}

#[tokio::test]
async fn unknown_control_routes_and_methods_say_so() {
    let lab = lab().await;
    assert_eq!(lab.control("fault", &json!({})).await.0, 404);
    assert_eq!(lab.control("attachments/1/revoke", &json!({})).await.0, 404);
    assert_eq!(lab.control("state", &json!({})).await.0, 405);
    assert_eq!(lab.truth().counters.requests.other, 0);
}

#[tokio::test]
async fn the_log_comes_in_pages() {
    let lab = lab().await;
    for person in 1..=5 {
        lab.send(&hello(&person.to_string())).await;
    }
    let page = async |query: &str| {
        let (_, state) = answer(lab.get(&format!("/__sandbox/state{query}"))).await;
        let messages = state["messages"].as_array().expect("messages").iter();
        let people: Vec<String> = messages.map(|m| m["recipient"]["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(state["message_count"], 5);
        (people.join(" "), state["next"].as_u64())
    };
    assert_eq!(page("").await, ("1 2 3 4 5".to_owned(), None));
    assert_eq!(page("?limit=2").await, ("1 2".to_owned(), Some(2)));
    assert_eq!(page("?limit=2&since=2").await, ("3 4".to_owned(), Some(4)));
    assert_eq!(page("?limit=2&since=4").await, ("5".to_owned(), None));
    assert_eq!(page("?since=99").await, (String::new(), None));
    assert_eq!(page("?messages=false").await.0, "");
}

#[tokio::test]
async fn the_state_shows_everything_over_http_too() {
    let lab = lab().await;
    let id = lab.saved().await;
    lab.send(&hello("7")).await;
    let (_, state) = answer(lab.get("/__sandbox/state")).await;
    assert_eq!(state["pages"][0]["access_token"], BAKERY);
    assert_eq!((&state["attachments"][0]["id"], &state["attachments"][0]["type"]), (&json!(id), &json!("image")));
    assert_eq!(
        (&state["messages"][0]["sequence"], &state["messages"][0]["message"]["text"]),
        (&json!(1), &json!("hello"))
    );
    assert_eq!(
        state["counters"]["requests"],
        json!({ "upload": 1, "send": 1, "me": 0, "debug_token": 0, "conversations": 0, "batch": 0, "other": 0 })
    );
}

#[tokio::test]
async fn the_clock_moves_and_ids_expire_by_it() {
    let lab = lab().await;
    let id = lab.saved().await;
    let by_id = json!({ "recipient": { "id": "7" }, "message": { "attachment": { "type": "image", "payload": { "attachment_id": id } } } });
    lab.control("clock", &json!({ "advance": "89d 23h" })).await;
    assert_eq!(lab.send(&by_id).await.0, 200);
    let (_, clock) = lab.control("clock", &json!({ "advance_seconds": 3_600 })).await;
    assert_eq!(clock["offset_seconds"], 90 * 86_400);
    assert_eq!(lab.send(&by_id).await.1["error"]["error_subcode"], 2_018_074);
    let (_, clock) = lab.control("clock", &json!({ "set": "2031-05-04T03:02:01Z" })).await;
    assert!(clock["now"].as_str().is_some_and(|now| now.starts_with("2031-05-04T03:02:0")), "{clock}");
    let response = lab.get("/me").send().await.expect("an answer");
    let date = response.headers()["date"].to_str().expect("text");
    assert!(date.starts_with("Sun, 04 May 2031 03:02:0") && date.ends_with(" GMT"), "{date}");
}

#[tokio::test]
async fn a_revoked_id_is_useless() {
    let lab = lab().await;
    let id = lab.saved().await;
    assert_eq!(lab.control(&format!("attachments/{id}/revoke"), &json!({})).await.0, 200);
    let by_id = json!({ "recipient": { "id": "7" }, "message": { "attachment": { "type": "image", "payload": { "attachment_id": id } } } });
    assert_eq!(lab.send(&by_id).await.1["error"]["error_subcode"], 2_018_074);
    assert!(lab.only_attachment().revoked && !lab.revoke("1"));
}

#[tokio::test]
async fn a_reset_makes_it_new() {
    let lab = lab().await;
    lab.saved().await;
    lab.send(&hello("7")).await;
    lab.control("proof", &json!({ "required": true })).await;
    lab.control("clock", &json!({ "advance": "1d" })).await;
    lab.control("faults", &json!({ "on": "any", "fault": { "reset": true } })).await;
    assert_eq!(lab.control("reset", &json!({})).await.0, 200);
    let truth = lab.truth();
    assert_eq!(
        (truth.attachments.len(), truth.messages.len(), truth.counters),
        (0, 0, super::super::Counts::default())
    );
    assert_eq!(answer(lab.get("/__sandbox/clock")).await.1["offset_seconds"], 0);
    assert_eq!(lab.send(&hello("7")).await.0, 200);
}

#[tokio::test]
async fn stopping_ends_the_wait_after_an_answer() {
    let lab = lab().await;
    assert_eq!(lab.control("stop", &json!({})).await, (200, json!({ "stopped": true })));
    lab.wait().await;
    let url = lab.url().to_owned();
    lab.sandbox.shutdown().await.expect("nothing to save");
    assert!(lab.client.get(url).send().await.expect_err("nobody listens").is_connect());
}

/// Every `-d '…'` of the help is taken by the route it stands with.
#[tokio::test]
async fn the_examples_of_the_help_work() {
    let lab = lab().await;
    let examples = HELP.lines().filter_map(|line| line.trim().strip_prefix("curl U/__sandbox/")?.split_once(" -d '"));
    let mut tried = 0;
    for (path, rest) in examples {
        let body = rest.split('\'').next().expect("a body");
        let (status, answer) = answer(lab.post(&format!("/__sandbox/{path}")).body(body)).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        tried += 1;
    }
    assert_eq!(tried, 9);
}
