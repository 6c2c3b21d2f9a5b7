//! Faults as a client meets them, against what the sandbox says it did.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;

use super::*;

fn plain_request(lab: &Lab) -> String {
    let body = hello("7");
    let host = lab.url().trim_start_matches("http://");
    format!(
        "POST /v25.0/me/messages HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {BAKERY}\r\nContent-Type: \
         application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.to_string().len()
    )
}

/// What a client sees of one send under `fault`, and whether the sandbox accepted it.
async fn under(fault: Value) -> (std::io::Result<String>, bool) {
    let lab = lab().await;
    lab.set_faults(fault).expect("faults");
    let seen = lab.raw(&plain_request(&lab)).await;
    let truth = lab.truth();
    assert_eq!(truth.counters.faults_fired, 1);
    (seen, truth.message_count == 1)
}

/// The body of `answer`, once its head says how long that is.
fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    body
}

#[tokio::test]
async fn a_reset_is_a_reset_whether_the_work_was_done_or_not() {
    for (when, done) in [("head", false), ("before", false), ("after", true)] {
        let (seen, accepted) = under(json!({ "on": "send", "when": when, "fault": { "reset": true } })).await;
        assert_eq!(seen.expect_err("a reset").kind(), ErrorKind::ConnectionReset, "{when}");
        assert_eq!(accepted, done, "{when}");
    }
}

#[tokio::test]
async fn a_close_is_an_end_without_an_answer() {
    for (when, done) in [("before", false), ("after", true)] {
        let (seen, accepted) = under(json!({ "on": "send", "when": when, "fault": { "close": true } })).await;
        assert_eq!((seen.expect("an end").as_str(), accepted), ("", done), "{when}");
    }
}

#[tokio::test]
async fn a_status_comes_with_its_body_and_headers() {
    for (when, done) in [("head", false), ("before", false), ("after", true)] {
        let fault = json!({ "status": 503, "body": "busy", "headers": { "Retry-After": "3" } });
        let (seen, accepted) = under(json!({ "when": when, "fault": fault })).await;
        let seen = seen.expect("an answer");
        assert!(
            seen.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && seen.contains("retry-after: 3\r\n"),
            "{seen}"
        );
        assert_eq!((body(&seen), accepted), ("busy", done), "{when}");
    }
}

#[tokio::test]
async fn a_graph_error_has_the_fields_that_were_asked_for() {
    let graph = json!({ "code": 613, "error_subcode": 1996, "message": "slow down", "is_transient": true });
    let (seen, accepted) = under(json!({ "fault": { "graph": graph, "status": 403 } })).await;
    let seen = seen.expect("an answer");
    assert!(seen.starts_with("HTTP/1.1 403 "), "{seen}");
    let error = &serde_json::from_str::<Value>(body(&seen)).expect("JSON")["error"];
    assert_eq!(
        (&error["code"], &error["error_subcode"], &error["is_transient"]),
        (&json!(613), &json!(1996), &json!(true))
    );
    assert_eq!((&error["message"], &error["type"]), (&json!("slow down"), &json!("OAuthException")));
    assert!(error["fbtrace_id"].is_string() && !accepted);
}

#[tokio::test]
async fn an_outage_is_a_page() {
    let (seen, accepted) = under(json!({ "when": "after", "fault": { "html": true } })).await;
    let seen = seen.expect("an answer");
    assert!(seen.starts_with("HTTP/1.1 500 ") && seen.contains("content-type: text/html"), "{seen}");
    assert!(body(&seen).contains("Sorry, something went wrong.") && accepted);
}

#[tokio::test]
async fn a_truncated_answer_is_half_of_it_and_sound_as_http() {
    let (seen, accepted) = under(json!({ "when": "after", "fault": { "truncate": true } })).await;
    let seen = seen.expect("an answer");
    assert!(seen.starts_with("HTTP/1.1 200 ") && accepted);
    assert!(body(&seen).starts_with('{') && serde_json::from_str::<Value>(body(&seen)).is_err());
}

#[tokio::test]
async fn an_answer_can_end_in_its_head_or_its_body() {
    let (seen, accepted) = under(json!({ "when": "after", "fault": { "mid_head": true } })).await;
    let seen = seen.expect("an end");
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n") && !seen.contains("\r\n\r\n") && accepted, "{seen}");

    let (seen, accepted) = under(json!({ "when": "after", "fault": { "mid_body": true } })).await;
    let seen = seen.expect("an end");
    let (head, rest) = seen.split_once("\r\n\r\n").expect("a head");
    let promised: usize = head.rsplit_once("content-length: ").expect("a length").1.trim().parse().expect("a number");
    assert!(rest.starts_with('{') && rest.len() == promised / 2 && accepted, "{seen}");

    let (seen, _) = under(json!({ "when": "after", "fault": { "mid_body": true, "reset": true } })).await;
    assert_eq!(seen.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_comes_late_and_whole() {
    for (fault, seconds) in [(json!({ "stall_ms": 75_000 }), 75), (json!({ "drip_ms": 1_000 }), 100)] {
        let started = Instant::now();
        let (seen, accepted) = under(json!({ "when": "after", "fault": fault })).await;
        let seen = seen.expect("an answer");
        let answer: Value = serde_json::from_str(body(&seen)).expect("JSON");
        assert!(answer["message_id"].is_string() && accepted);
        assert!(started.elapsed() >= Duration::from_secs(seconds), "{fault}");
    }
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_gives_up() {
    for (when, done) in [("before", 0), ("after", 1)] {
        let lab = lab().await;
        lab.set_faults(json!({ "when": when, "fault": { "stall": true } })).expect("faults");
        let mut stream = lab.connect().await;
        stream.write_all(plain_request(&lab).as_bytes()).await.expect("a request");
        while lab.truth().counters.faults_fired == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stream.try_read(&mut [0; 8]).expect_err("no answer").kind(), ErrorKind::WouldBlock);
        drop(stream);
        assert_eq!(lab.send(&hello("7")).await.0, 200);
        assert_eq!(lab.truth().message_count, done + 1, "{when}");
    }
}

#[tokio::test]
async fn work_stalled_before_it_is_done_is_done_late_if_the_client_waits() {
    let (seen, accepted) = under(json!({ "when": "before", "fault": { "stall_ms": 1 } })).await;
    assert!(seen.expect("an answer").starts_with("HTTP/1.1 200 ") && accepted);
}

#[tokio::test]
async fn a_script_is_consumed_in_order() {
    let lab = lab().await;
    let script = json!([
        { "on": "send", "fault": { "status": 500 }, "times": 2 },
        { "on": "upload", "fault": { "status": 502 } },
        { "on": "send", "fault": { "pass": true } },
        { "fault": { "graph": { "code": 1 } } },
    ]);
    assert_eq!(lab.control("faults", &script).await.0, 200);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let request = json_body(lab.post("/me/messages").bearer_auth(BAKERY), &hello("7"));
        seen.push(request.send().await.expect("an answer").status().as_u16());
    }
    assert_eq!(seen, [500, 500, 200, 400, 200]);
    let (_, left) = answer(lab.get("/__sandbox/faults")).await;
    assert_eq!(left["script"].as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(left["script"][0]["on"], "upload");
    assert_eq!(lab.truth().counters.faults_fired, 3);
    assert_eq!(answer(lab.client.delete(format!("{}/__sandbox/faults", lab.url()))).await.1["script"], json!([]));
    assert_eq!(lab.upload(&reusable("image"), png(b"x")).await.0, 200);
}

#[tokio::test]
async fn a_fault_can_choose_every_third_request_or_one_recipient() {
    let lab = lab().await;
    let status = async |recipient| lab.send(&hello(recipient)).await.0;
    lab.set_faults(json!({ "every": 3, "times": 2, "fault": { "graph": { "code": 2 } } })).expect("faults");
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(status("7").await);
    }
    assert_eq!(seen, [200, 200, 400, 200, 200, 400, 200]);
    lab.set_faults(json!({ "recipient": "8", "fault": { "graph": { "code": 551 } } })).expect("faults");
    assert_eq!((status("7").await, status("8").await, status("8").await), (200, 400, 200));
}

#[tokio::test]
async fn a_reset_head_leaves_the_body_unread() {
    let lab = lab().await;
    lab.set_faults(json!({ "on": "upload", "when": "head", "fault": { "reset": true } })).expect("faults");
    let large = Part::bytes(vec![0; 20 << 20]).file_name("a.png").mime_str("image/png").expect("a type");
    let form = Form::new().text("message", reusable("image").to_string()).part("filedata", large);
    let request = lab.post("/me/message_attachments").bearer_auth(BAKERY).multipart(form);
    assert!(request.send().await.is_err());
    assert_eq!(lab.truth().counters.bytes_received, 0);
}

/// What happens to ten sends to each of twenty people, in the order `people` gives.
async fn fates(seed: u64, people: Vec<u32>) -> Vec<(u32, String)> {
    let lab = lab().await;
    lab.set_faults(json!({ "seed": seed, "rate": 0.3, "on": "send" })).expect("faults");
    let mut fates = Vec::new();
    for person in people {
        for _ in 0..10 {
            let request = json_body(lab.post("/me/messages").bearer_auth(BAKERY), &hello(&person.to_string()));
            let fate = match request.send().await {
                Ok(response) => {
                    format!("{} {:?}", response.status(), response.bytes().await.map_err(|_| "cut").is_ok())
                }
                Err(_) => "no answer".to_owned(),
            };
            fates.push((person, fate));
        }
    }
    let fired = lab.truth().counters.faults_fired;
    assert!((30..=90).contains(&fired), "{fired} of 200 at a rate of 0.3");
    fates.sort();
    fates
}

#[tokio::test]
async fn a_seed_gives_the_same_faults_whatever_the_order() {
    let forward = fates(7, (1..=20).collect()).await;
    assert_eq!(forward, fates(7, (1..=20).rev().collect()).await);
    assert_ne!(forward, fates(8, (1..=20).collect()).await);
}
