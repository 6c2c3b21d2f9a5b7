//! `--platform instagram`, end to end: its limits, its wire form, its own ids.

use serde_json::json;

use crate::support::World;
use crate::support::pictures::png;

/// An Instagram-scoped id.
const SOMEBODY: &str = "17841400000000001";

#[test]
fn an_upload_for_instagram_says_so_and_its_id_is_instagrams_alone() {
    let world = World::new();
    world.put("hero.png", png(1));
    world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png", "--platform", "instagram"]).ended_with(0);
    world.run(["send", "--to", "1254459154682919", "--file", "library/hero.png"]).ended_with(0);
    let truth = world.truth();
    let platforms: Vec<_> = truth.attachments.iter().map(|attachment| attachment.platform.as_str()).collect();
    assert_eq!(platforms, ["instagram", "messenger"]);
    let sent = |index: usize| json!(truth.messages[index].request)["message"]["attachment"].clone();
    assert_eq!(sent(0), json!({"type": "image", "payload": {"attachment_id": truth.attachments[0].id}}));
    assert_eq!(sent(1), json!({"type": "image", "payload": {"attachment_id": truth.attachments[1].id}}));
}

#[test]
fn a_web_address_for_instagram_says_so_too() {
    let world = World::new();
    let url = "https://media.example.com/hero.png";
    world.run(["resolve", url, "--platform", "instagram"]).ended_with(0);
    world.run(["resolve", url]).ended_with(0);
    let truth = world.truth();
    let platforms: Vec<_> = truth.attachments.iter().map(|attachment| attachment.platform.as_str()).collect();
    assert_eq!(platforms, ["instagram", "messenger"]);
}

#[test]
fn the_type_an_id_is_sent_as_can_be_configured() {
    let world = World::new();
    world.put("hero.png", png(1));
    world.configure("instagram_send_type = \"MEDIA_SHARE\"\n");
    world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png", "--platform", "instagram"]).ended_with(0);
    world.run(["send", "--to", "1254459154682919", "--file", "library/hero.png"]).ended_with(0);
    let truth = world.truth();
    let kind = |index: usize| json!(truth.messages[index].request)["message"]["attachment"]["type"].clone();
    assert_eq!((kind(0), kind(1)), (json!("MEDIA_SHARE"), json!("image")), "Messenger is not asked for it");
}

#[test]
fn instagrams_rules_are_enforced_before_anything_leaves() {
    let world = World::new();
    let send = |words: &[&str]| {
        let command = ["send", "--platform", "instagram", "--to", SOMEBODY];
        world.run(command.iter().chain(words)).ended_with(2)
    };
    // A thousand bytes are the limit, and an é is two of them.
    send(&["--text", &"é".repeat(501)]);
    send(&["--text", "x", "--messaging-type", "MESSAGE_TAG", "--tag", "CUSTOMER_FEEDBACK"]);
    assert_eq!(world.truth().counters.requests.send, 0);
    world.run(["send", "--platform", "instagram", "--to", SOMEBODY, "--text", &"é".repeat(500)]).ended_with(0);
    world.run(["send", "--to", SOMEBODY, "--text", &"é".repeat(501)]).ended_with(0);
}

#[test]
fn a_closed_window_on_instagram_is_the_recipients_affair() {
    let world = World::new();
    let refusal = json!({"on": "send", "fault": {"graph": {"code": 10, "error_subcode": 2_534_022,
        "type": "IGApiException", "message": "(#10) This message is sent outside of allowed window."}}});
    world.sandbox().set_faults(refusal).expect("a fault");
    let run = world.json(["send", "--platform", "instagram", "--to", SOMEBODY, "--text", "late"]).ended_with(3);
    assert_eq!(run.events_of("send")[0]["error"]["class"], "window");
}
