//! Ids over HTTP.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::pictures::png;
use crate::support::served::Served;

fn resolve(served: &Served, body: &Value) -> Value {
    let answer = served.call("POST", "/v1/resolve", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["assets"].clone()
}

#[test]
fn references_of_every_sort_lead_to_ids() {
    let world = World::new();
    world.put("hero.png", png(1));
    world.put("sub/other.png", png(2));
    let served = Served::start(&world);
    let first = resolve(&served, &json!({"refs": ["hero.png", "sub/other.png", "hero.png"]}));
    let outcome = |assets: &Value, place: usize| assets[place]["outcome"].as_str().expect("a word").to_owned();
    assert_eq!((outcome(&first, 1), world.uploads()), ("uploaded".to_owned(), 2), "{first}");
    assert_eq!(first[0]["attachment_id"], first[2]["attachment_id"]);
    let hash = first[0]["sha256"].as_str().expect("a hash");
    let named = served.call("PUT", "/v1/aliases/hero", r#"{"ref":"hero.png"}"#);
    assert_eq!((named.status, &named.json()["outcome"]), (200, &"created".into()), "{}", named.text());
    let again =
        resolve(&served, &json!({"refs": [format!("sha256:{hash}"), "@hero", "hero.png", "@nobody", "no.png"]}));
    for place in 0..3 {
        assert_eq!(again[place]["attachment_id"], first[0]["attachment_id"]);
        assert_eq!(outcome(&again, place), "reused");
    }
    assert_eq!((outcome(&again, 3), outcome(&again, 4)), ("failed".to_owned(), "failed".to_owned()));
    assert_eq!(world.uploads(), 2);
    // An object has the same fields, whatever there is to say.
    let told = again[4].as_object().expect("an object");
    let lacking: Vec<_> =
        again[0].as_object().expect("an object").keys().filter(|key| !told.contains_key(*key)).collect();
    assert!(lacking.is_empty(), "{lacking:?} are not in {told:?}");
    assert_eq!(served.call("POST", "/v1/resolve", r#"{"refs":[""]}"#).status, 400);
    // A folder is no file, be it the library's own.
    let folders = resolve(&served, &json!({"refs": ["sub", "."]}));
    for place in 0..2_usize {
        assert_eq!(folders[place]["problems"][0]["code"], "not_a_regular_file", "{folders}");
    }
    // What is not to be uploaded is missing, by whoever asks; who may only look may not upload.
    world.put("new.png", png(3));
    assert_eq!(outcome(&resolve(&served, &json!({"refs": ["new.png"], "upload": false})), 0), "missing");
    let bearer = format!("Bearer {}", served.read_token);
    let reader = |body: &str| served.ask("POST", "/v1/resolve", &[("Authorization", &bearer)], body.as_bytes());
    assert_eq!(reader(r#"{"refs":["new.png"]}"#).status, 403);
    assert_eq!(reader(r#"{"refs":["new.png"],"upload":false}"#).json()["assets"][0]["outcome"], "missing");
    assert_eq!(world.uploads(), 2);
    // What takes longer than is waited for is to be asked for again.
    let slow = json!({"on": "upload", "when": "before", "fault": {"stall_ms": 300}});
    world.sandbox().set_faults(slow).expect("a fault");
    let asked = served.call("POST", "/v1/resolve?wait=0", r#"{"refs":["new.png"]}"#);
    let pending = asked.json()["assets"][0].clone();
    assert_eq!((&pending["outcome"], &pending["error"]["retryable"]), (&"pending".into(), &true.into()), "{pending}");
}

#[test]
fn sixty_four_clients_who_ask_for_one_new_file_make_one_upload() {
    let world = World::new();
    world.put("hero.png", png(1));
    let served = Served::start(&world);
    let ids: BTreeSet<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    let assets = resolve(&served, &json!({"refs": ["hero.png"]}));
                    assets[0]["attachment_id"].as_str().expect("an id").to_owned()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("an answer")).collect()
    });
    assert_eq!((ids.len(), world.uploads()), (1, 1));
}

/// The events up to the one that is asked for, each with its id.
pub(super) fn listen(served: &Served, last: Option<&str>, until: &str) -> Vec<(String, String)> {
    let mut stream = served.connect();
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let (address, token) = (served.address, &served.token);
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{last}\r\n");
    stream.write_all(head.as_bytes()).expect("asked");
    let (mut told, mut event) = (Vec::new(), (String::new(), String::new(), String::new()));
    let begun = Instant::now();
    for line in BufReader::new(stream).lines() {
        // Signs of life come on and on.
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never told of {until}: {told:?}");
        let line = line.expect("a line");
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event.0);
        } else if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut event.1);
        } else if let Some(data) = line.strip_prefix("data: ") {
            data.clone_into(&mut event.2);
        } else if line.is_empty() && !event.1.is_empty() {
            let (name, id, data) = std::mem::take(&mut event);
            let is_last = data.contains(until);
            told.push((id, format!("{name} {data}")));
            if is_last {
                break;
            }
        }
    }
    told
}

#[test]
fn a_listener_who_comes_back_misses_nothing() {
    let world = World::new();
    for number in 1..=6 {
        world.put(format!("{number}.png"), png(number));
    }
    let served = Served::start(&world);
    let upload = |number: u8| resolve(&served, &json!({"refs": [format!("{number}.png")]}));
    // The place to begin from: where the service stands before anything has happened.
    let begin = listen(&served, Some("0-0"), "{}");
    let begin = begin[0].clone();
    assert!(begin.1.starts_with("reset "), "{begin:?}");
    upload(1);
    upload(2);
    let heard = listen(&served, Some(&begin.0), "2.png");
    // Gone, and back: what happened meanwhile comes first, in order.
    (3..=6).for_each(|number| drop(upload(number)));
    let later = listen(&served, Some(&heard.last().expect("something").0), "6.png");
    let names = |heard: &[(String, String)]| -> Vec<String> {
        let assets = heard.iter().filter_map(|(_, text)| text.strip_prefix("asset "));
        let name =
            |data: &str| serde_json::from_str::<Value>(data).expect("JSON")["ref"].as_str().expect("a name").to_owned();
        assets.map(name).collect()
    };
    assert_eq!(names(&heard), ["1.png", "2.png"]);
    assert_eq!(names(&later), ["3.png", "4.png", "5.png", "6.png"]);
}

#[test]
fn one_connection_carries_many_requests() {
    let world = World::new();
    world.put("hero.png", png(1));
    let served = Served::start(&world);
    resolve(&served, &json!({"refs": ["hero.png"]}));
    let mut stream: TcpStream = served.connect();
    let body = r#"{"refs":["hero.png"]}"#;
    let (address, token, length) = (served.address, &served.token, body.len());
    let request = format!(
        "POST /v1/resolve HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    for _ in 0..50 {
        stream.write_all(request.as_bytes()).expect("asked");
        let answer = crate::support::served::read_answer(&mut reader, false).expect("an answer");
        assert_eq!(answer.json()["assets"][0]["outcome"], "reused");
    }
    assert_eq!(world.uploads(), 1);
}
