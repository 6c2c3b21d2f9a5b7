//! `refresh`: only what is on record is renewed, from where it came.

use std::fs;
use std::time::Duration;

use reattach::record::UploadFilter;
use serde_json::json;

use crate::support::World;
use crate::support::pictures::png;

const DAY: Duration = Duration::from_hours(24);

/// A world with so many pictures, uploaded, and due a week later.
fn due(files: u32) -> World {
    let world = World::new();
    for number in 0..files {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    world.sandbox().advance_clock(85 * DAY);
    world
}

#[test]
fn all_that_is_due_is_renewed_and_nothing_else() {
    let world = due(3);
    world.put("new.png", png(99));
    world.run(["resolve", "library/new.png"]).ended_with(0);
    world.put("never uploaded.png", png(100));
    let planned = world.json(["refresh", "--all-due", "--dry-run"]).ended_with(0);
    assert_eq!((&planned.summary()["planned"], world.uploads()), (&json!(3), 4));
    let run = world.json(["refresh", "--all-due"]).ended_with(0);
    assert_eq!((&run.summary()["refreshed"], &run.summary()["files"]), (&json!(3), &json!(3)));
    assert_eq!(world.uploads(), 7);
    let again = world.json(["refresh", "--all-due"]).ended_with(0);
    assert_eq!((&again.summary()["files"], world.uploads()), (&json!(0), 7));
}

#[test]
fn a_file_that_is_gone_or_changed_is_named_and_the_others_go_on() {
    let world = due(4);
    let known = world.json(["sync", "library", "--dry-run"]).ended_with(0).asset("2.png");
    fs::remove_file(world.library().join("1.png")).expect("removed");
    world.put("2.png", png(77));
    let run = world.json(["refresh", "--all-due"]).ended_with(3);
    assert_eq!((&run.summary()["refreshed"], &run.summary()["failed"]), (&json!(2), &json!(2)));
    for (name, reason) in [("1.png", "cannot be used"), ("2.png", "have changed")] {
        let asset = run.asset(name);
        assert_eq!(asset["outcome"], "failed");
        assert!(asset["error"]["message"].as_str().expect("words").contains(reason), "{asset}");
    }
    let changed = run.asset("2.png");
    for field in ["sha256", "size_bytes", "attachment_id"] {
        assert_eq!(changed[field], known[field], "an id stands beside the bytes it is of");
    }
    assert_eq!(world.uploads(), 6);
}

#[test]
fn what_cannot_be_renewed_takes_nothing_of_the_allowance() {
    let world = due(2);
    for number in 2..4 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library", "--renew-within", "0s"]).ended_with(0);
    world.sandbox().advance_clock(4 * DAY);
    for name in ["0.png", "1.png"] {
        fs::remove_file(world.library().join(name)).expect("removed");
    }
    for (refreshed, deferred) in [(1, 1), (1, 0), (0, 0)] {
        let run = world.json(["refresh", "--all-due", "--max-uploads", "1", "--renew-within", "89d"]).ended_with(3);
        let outcomes = ["refreshed", "failed", "deferred"].map(|outcome| run.summary()[outcome].clone());
        assert_eq!(outcomes, [json!(refreshed), json!(2), json!(deferred)]);
    }
}

#[test]
fn what_expired_or_was_rejected_is_renewed_too() {
    let world = due(2);
    let rejected = world.json(["ls"]).events_of("asset")[0]["attachment_id"].as_str().expect("an id").to_owned();
    world.runtime.block_on(async {
        let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
        let uploads = record.list(&UploadFilter::default(), None, 10).await.expect("listed");
        let upload = uploads.iter().find(|upload| upload.attachment_id.as_str() == rejected).expect("the upload");
        record.reject(&upload.key, &upload.attachment_id).await.expect("rejected");
    });
    world.sandbox().advance_clock(10 * DAY);
    let run = world.json(["refresh", "--all-due", "--renew-within", "0s"]).ended_with(0);
    assert_eq!((&run.summary()["refreshed"], world.uploads()), (&json!(2), 4));
}

#[test]
fn what_is_named_is_renewed_where_it_is_due_or_forced() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    let first = world.json(["sync", "library"]).ended_with(0);
    let digest = format!("sha256:{}", first.asset("b.png")["sha256"].as_str().expect("a digest"));
    let run = world.json(["refresh", "library/a.png", &digest]).ended_with(0);
    assert_eq!((&run.summary()["reused"], world.uploads()), (&json!(2), 2));
    let run = world.json(["refresh", "library/a.png", &digest, "--force"]).ended_with(0);
    assert_eq!((&run.summary()["refreshed"], world.uploads()), (&json!(2), 4));
    assert_ne!(run.asset("a.png")["attachment_id"], first.asset("a.png")["attachment_id"]);
    // Under two names, it is still one.
    world.put("copy of a.png", png(1));
    world.run(["refresh", "library/a.png", "library/copy of a.png", "--force"]).ended_with(0);
    assert_eq!(world.uploads(), 5);
}

#[test]
fn a_web_address_is_fetched_again_by_meta() {
    let world = World::new();
    let url = "https://example.com/hero.png";
    world.run(["resolve", url]).ended_with(0);
    world.sandbox().advance_clock(85 * DAY);
    let run = world.json(["refresh", "--all-due"]).ended_with(0);
    assert_eq!(run.events_of("asset")[0]["url"], url);
    let run = world.json(["refresh", url, "--force"]).ended_with(0);
    assert_eq!(run.summary()["refreshed"], 1);
    let truth = world.truth();
    assert!(truth.attachments.iter().all(|attachment| attachment.url.as_deref() == Some(url)));
    assert_eq!(truth.attachments.len(), 3);
}

#[test]
fn what_was_never_uploaded_is_not_renewed() {
    let world = World::new();
    world.put("a.png", png(1));
    for reference in ["library/a.png", "https://example.com/hero.png"] {
        let run = world.json(["refresh", reference, "--force"]).ended_with(3);
        assert_eq!(run.events_of("asset")[0]["outcome"], "failed");
    }
    assert_eq!(world.truth().counters.requests.upload, 0);
}

#[test]
fn the_allowance_goes_to_what_ends_soonest_and_the_rest_is_named() {
    let world = World::new();
    for (number, name) in ["c.png", "b.png", "a.png"].into_iter().enumerate() {
        world.put(name, png(u32::try_from(number).expect("small")));
        world.run(["sync", "library"]).ended_with(0);
        world.sandbox().advance_clock(DAY);
    }
    world.sandbox().advance_clock(82 * DAY);
    let run = world.json(["refresh", "--all-due", "--max-uploads", "2"]).ended_with(0);
    let outcome = |name: &str| run.asset(name)["outcome"].as_str().expect("a word").to_owned();
    assert_eq!(["a.png", "b.png", "c.png"].map(outcome), ["deferred", "refreshed", "refreshed"]);
    assert_eq!(world.json(["refresh", "--all-due", "--max-bytes", "1"]).ended_with(0).summary()["deferred"], 1);
}

#[test]
fn nothing_named_or_too_much_said_ends_with_2() {
    let world = due(1);
    for arguments in [
        &["refresh"][..],
        &["refresh", "--all-due", "library/0.png"],
        &["refresh", "--all-due", "--force"],
        &["refresh", "library/nowhere.png"],
        &["refresh", "--all-due", "--renew-within", "7"],
    ] {
        world.run(arguments).ended_with(2);
    }
    assert_eq!(world.uploads(), 1);
}
