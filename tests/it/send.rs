//! `send`: one message, once, by id; and what cannot be known is called unknown.

use serde_json::json;

use crate::support::World;
use crate::support::pictures::png;

const SOMEBODY: &str = "1254459154682919";

#[test]
fn a_file_is_sent_by_its_id() {
    let world = World::new();
    world.put("hero.png", png(1));
    let run = world.json(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(0);
    let truth = world.truth();
    let message = &truth.messages[0];
    assert_eq!(
        json!(message.request)["message"],
        json!({"attachment": {"type": "image", "payload": {"attachment_id": truth.attachments[0].id}}})
    );
    assert_eq!(json!(message.request)["messaging_type"], "RESPONSE");
    let sent = run.events_of("send").pop().expect("a send");
    assert_eq!(sent["outcome"], "sent");
    assert_eq!(sent["recipient"], SOMEBODY);
    assert_eq!(sent["recipient_id"], SOMEBODY);
    assert_eq!(sent["message_id"], json!(message.message_id));
    assert_eq!(sent["attachment_id"], truth.attachments[0].id.as_str());
    world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(0);
    assert_eq!((world.uploads(), world.truth().message_count), (1, 2));
}

#[test]
fn a_text_and_an_id_are_sent_as_they_are() {
    let world = World::new();
    world.put("hero.png", png(1));
    let id = world.run(["resolve", "library/hero.png"]).ended_with(0).stdout.trim().to_owned();
    world.run(["send", "--to", SOMEBODY, "--text", "Spring is here 🌷", "--messaging-type", "UPDATE"]).ended_with(0);
    world.run(["send", "--to", "user_ref:abc", "--attachment-id", &id, "--kind", "image"]).ended_with(0);
    let truth = world.truth();
    assert_eq!(json!(truth.messages[0].request)["message"], json!({"text": "Spring is here 🌷"}));
    assert_eq!(json!(truth.messages[0].request)["messaging_type"], "UPDATE");
    assert_eq!(json!(truth.messages[1].request)["recipient"], json!({"user_ref": "abc"}));
}

#[test]
fn a_lost_answer_is_unknown_and_never_sent_again() {
    for fault in [json!({"reset": true}), json!({"status": 503, "body": "busy"}), json!({"truncate": true})] {
        let world = World::new();
        world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": fault})).expect("a fault");
        let run = world.json(["send", "--to", SOMEBODY, "--text", "once"]).ended_with(7);
        assert_eq!(run.events_of("send")[0]["outcome"], "unknown", "{fault}");
        assert_eq!(world.truth().counters.requests.send, 1, "{fault}");
        assert!(run.stderr.contains("hint:"), "{}", run.stderr);
    }
}

#[test]
fn a_refused_send_carries_metas_words_and_what_to_do() {
    let world = World::new();
    let closed = json!({"on": "send", "fault": {"graph": {"code": 10, "error_subcode": 2_018_278,
        "message": "(#10) This message is sent outside of allowed window.", "fbtrace_id": "T9"}, "status": 403}});
    world.sandbox().set_faults(closed).expect("a fault");
    let run = world.json(["send", "--to", SOMEBODY, "--text", "late"]).ended_with(3);
    let send = &run.events_of("send")[0];
    assert_eq!(send["outcome"], "failed");
    assert_eq!((&send["error"]["code"], &send["error"]["subcode"]), (&json!(10), &json!(2_018_278)));
    assert_eq!(send["error"]["retryable"], false);
    for words in ["outside of allowed window", "2018278", "T9"] {
        assert!(run.stderr.contains(words), "{words} in {}", run.stderr);
    }
    assert_eq!(world.truth().counters.requests.send, 1);
}

#[test]
fn what_never_reached_meta_is_tried_again() {
    let world = World::new();
    let refused = json!([{"on": "send", "when": "head", "fault": {"reset": true}}]);
    world.sandbox().set_faults(refused).expect("a fault");
    let run = world.json(["send", "--to", SOMEBODY, "--text", "once"]);
    // Whether the reset comes before the last byte was handed over is a race; a duplicate never is.
    assert!(matches!(run.code, Some(0 | 7)), "{run:?}");
    assert!(world.truth().message_count <= 1);
}

#[test]
fn a_file_the_platform_refuses_is_not_sent() {
    let world = World::new();
    world.put("empty.png", b"");
    let run = world.json(["send", "--to", SOMEBODY, "--file", "library/empty.png"]).ended_with(3);
    assert!(run.stderr.contains("empty"), "{}", run.stderr);
    assert_eq!(run.events_of("send")[0]["outcome"], "failed");
    assert_eq!(world.truth().message_count, 0);
}

#[test]
fn rules_meta_enforces_are_enforced_here_first() {
    let world = World::new();
    world.run(["send", "--to", SOMEBODY, "--text", &"x".repeat(2_000)]).ended_with(2);
    world.run(["send", "--to", SOMEBODY, "--text", ""]).ended_with(2);
    world.run(["send", "--to", SOMEBODY, "--text", "x", "--messaging-type", "MESSAGE_TAG"]).ended_with(2);
    world.run(["send", "--to", "nobody", "--text", "x"]).ended_with(2);
    world.run(["send", "--to", SOMEBODY, "--attachment-id", "1"]).ended_with(2);
    world.run(["send", "--to", SOMEBODY, "--text", "x", "--file", "y.png"]).ended_with(2);
    world.run(["send", "--to", SOMEBODY]).ended_with(2);
    assert_eq!(world.truth().counters.requests.send, 0);
}

#[test]
fn an_id_meta_has_dropped_is_replaced_once_and_the_message_sent_once() {
    let world = World::new();
    world.put("hero.png", png(1));
    let old = world.run(["resolve", "library/hero.png"]).ended_with(0).stdout.trim().to_owned();
    assert!(world.sandbox().revoke(&old));
    let run = world.json(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(0);
    let truth = world.truth();
    assert_eq!((world.uploads(), truth.message_count), (2, 1));
    assert_eq!(run.events_of("send")[0]["attachment_id"], truth.attachments[1].id.as_str());
    let now = world.run(["resolve", "library/hero.png"]).ended_with(0).stdout.trim().to_owned();
    assert_eq!(now, truth.attachments[1].id);
}

#[test]
fn an_id_meta_refuses_twice_is_not_tried_again() {
    let world = World::new();
    world.put("hero.png", png(1));
    let refusal = json!({"on": "send", "fault": {"graph": {"code": 100, "error_subcode": 2_018_074,
        "message": "(#100) Possible invalid ID"}, "status": 400}, "times": 10});
    world.sandbox().set_faults(refusal).expect("a fault");
    let run = world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(4);
    assert!(run.stderr.contains("Sandbox Bakery") && run.stderr.contains("2018074"), "{}", run.stderr);
    assert_eq!((world.truth().counters.requests.send, world.uploads()), (2, 2));
}

#[test]
fn no_other_refusal_costs_an_id() {
    let world = World::new();
    world.put("hero.png", png(1));
    for (code, subcode) in [(100, 2_018_001), (551, 1_545_041), (10, 2_018_278), (100, 0)] {
        let refusal = json!({"on": "send", "fault": {"graph": {"code": code, "error_subcode": subcode,
            "message": "no"}, "status": 400}});
        world.sandbox().set_faults(refusal).expect("a fault");
        world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(3);
    }
    assert_eq!((world.truth().counters.requests.send, world.uploads()), (4, 1));
}

#[test]
fn an_id_is_sent_for_its_own_page_and_kind_alone() {
    let world = World::new();
    world.put("hero.png", png(1));
    let id = world.run(["resolve", "library/hero.png"]).ended_with(0).stdout.trim().to_owned();
    let send = |kind, token| {
        let mut command = world.command(["send", "--to", SOMEBODY, "--attachment-id", &id, "--kind", kind, "--json"]);
        crate::support::Ran::new(command.env("REATTACH_ACCESS_TOKEN", token).output().expect("runs"))
    };
    let another = send("image", "SANDBOX-PAGE-2").ended_with(4);
    assert_eq!(another.events_of("send")[0]["error"]["class"], "credentials");
    let run = send("video", "SANDBOX-PAGE-1").ended_with(2);
    assert!(run.stderr.contains("--kind image"), "{}", run.stderr);
    assert_eq!(world.truth().counters.requests.send, 0);
    send("image", "SANDBOX-PAGE-1").ended_with(0);
}

#[test]
fn an_address_with_a_token_is_refused_and_not_repeated() {
    let world = World::new();
    let address = "https://a.example/x.png?access_token=EAAB7";
    let message = json!({"attachment": {"type": "image", "payload": {"asset": address}}});
    world.put("message.json", message.to_string());
    for arguments in [
        vec!["resolve", address],
        vec!["send", "--to", "1", "--url", address],
        vec!["send", "--to", "1", "--message", "library/message.json"],
    ] {
        let run = world.json(arguments).ended_with(2);
        assert!(!run.stdout.contains("EAAB7") && !run.stderr.contains("EAAB7"), "{run:?}");
    }
    assert_eq!((world.uploads(), world.truth().message_count), (0, 0));
}
