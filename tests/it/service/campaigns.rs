//! Campaigns over HTTP.

use serde_json::{Value, json};

use crate::campaign::{TEXT, campaign, closing};
use crate::support::served::Served;
use crate::support::{World, wait_until};

#[test]
fn the_yes_to_one_stage_is_none_to_the_next() {
    let world = World::new();
    campaign(&world, 20, &format!("testers = [\"1003\"]\ncanary = 2\n{TEXT}"));
    let planned = closing(&world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0));
    assert_eq!((&planned["state"], &planned["stage"]), (&json!("planned"), &json!("testers")));
    let served = Served::start(&world);
    let yes = |stage: &str| served.call("POST", &format!("/v1/campaigns/spring/resume?stage={stage}"), "");
    let shown = || served.get("/v1/campaigns/spring");
    let waits_for = |stage: &str| {
        let waits = |now: Value| now["state"] == "paused" && now["stage"] == stage;
        wait_until(stage, || waits(shown()));
        shown()["sent"].clone()
    };
    for no_stage in ["everyone", "", "&Stage=testers"] {
        assert_eq!(yes(no_stage).status, 400, "{no_stage:?}");
    }
    assert_eq!(yes("canary").status, 409, "the testers come first");
    assert_eq!(yes("testers").status, 200);
    assert_eq!(waits_for("canary"), 1);
    // The same once more, by somebody who clicked twice.
    let refused = yes("testers");
    assert!(refused.status == 409 && refused.text().contains("is canary, and not testers"), "{refused:?}");
    assert_eq!((shown()["state"].clone(), world.truth().message_count), (json!("paused"), 1));
    assert_eq!(yes("canary").status, 200);
    assert_eq!(waits_for("everybody"), 3);
    assert_eq!((yes("canary").status, world.truth().message_count), (409, 3));
    // Without a stage it is the yes to whatever comes next.
    assert_eq!(served.call("POST", "/v1/campaigns/spring/resume", "").status, 200);
    wait_until("the end", || shown()["state"] == "finished");
    assert_eq!(world.truth().message_count, 20);
}
