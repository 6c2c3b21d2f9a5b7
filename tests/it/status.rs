//! `status`: how the ids on record stand, without a token and without the network.

use std::time::Duration;

use reattach::clock::{Clock, SystemClock};
use reattach::ids::AssetKey;
use reattach::record::{Claimed, NewUpload, Record, Upload, UploadFilter};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::pictures::png;

const DAY: Duration = Duration::from_hours(24);

/// Makes the id of each file, in the record's order, so many days old.
fn age(world: &World, days: &[u32]) {
    let mut ages = days.iter();
    age_each(world, |_| *ages.next().expect("an age for each"));
    assert_eq!(ages.len(), 0);
}

/// Makes each id as many days old as `days_old` says.
fn age_each(world: &World, mut days_old: impl FnMut(&Upload) -> u32) {
    let store = |record: std::sync::Arc<dyn Record>, key: AssetKey, upload: NewUpload| async move {
        let Claimed::Won(claim) = record.claim(&key, upload.uploaded_at).await.expect("claimed") else {
            panic!("{key:?} is claimed");
        };
        record.complete(&claim, &upload).await.expect("completed");
    };
    world.runtime.block_on(async {
        let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
        let uploads = record.list(&UploadFilter::default(), None, 100).await.expect("listed");
        for upload in uploads {
            let uploaded_at = SystemClock.now().minus(days_old(&upload) * DAY);
            let aged = NewUpload {
                attachment_id: upload.attachment_id,
                uploaded_at,
                expires_at: uploaded_at.plus(90 * DAY),
                size_bytes: 1_000,
                mime: upload.mime,
                dimensions: upload.dimensions,
                source: upload.source,
            };
            store(std::sync::Arc::clone(&record), upload.key, aged).await;
        }
    });
}

fn uploaded(files: u32) -> World {
    let world = World::new();
    for number in 0..files {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    world
}

fn reject_the_first(world: &World) {
    world.runtime.block_on(async {
        let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
        let upload = record.list(&UploadFilter::default(), None, 1).await.expect("listed").remove(0);
        record.reject(&upload.key, &upload.attachment_id).await.expect("rejected");
    });
}

/// The counts of the one Page.
fn counts(world: &World, arguments: &[&str]) -> Value {
    let mut command = world.command(arguments.iter().chain(&["--json"]));
    command.env_remove("REATTACH_ACCESS_TOKEN");
    let run = crate::support::Ran::new(command.output().expect("runs"));
    run.events_of("status").pop().unwrap_or_else(|| panic!("{run:?}"))
}

#[test]
fn ids_are_counted_by_how_they_stand_without_a_token_or_the_network() {
    let mut world = uploaded(5);
    age(&world, &[1, 10, 84, 91, 2]);
    reject_the_first(&world);
    world.stop_sandbox();
    let status = counts(&world, &["status"]);
    for (field, expected) in [("fresh", 2), ("due", 1), ("expired", 1), ("rejected", 1), ("unknown_age", 0)] {
        assert_eq!(status[field], expected, "{field} of {status}");
    }
    assert_eq!((&status["bytes"], &status["page_id"]), (&json!(5_000), &json!("106000000000001")));
    let next: jiff::Timestamp = status["next_expiry"].as_str().expect("a time").parse().expect("a time");
    let days = next.duration_since(jiff::Timestamp::now()).as_hours() / 24;
    assert!((5..=6).contains(&days), "{status}");
    assert_eq!(counts(&world, &["status", "--renew-within", "81d"])["due"], 2);
}

#[test]
fn what_does_not_last_is_listed_soonest_first_and_ends_with_8() {
    let world = uploaded(4);
    age(&world, &[80, 10, 84, 91]);
    let run = world.json(["status", "--expiring", "14d"]).ended_with(8);
    let states: Vec<_> = run.events_of("asset").iter().map(|asset| asset["state"].clone()).collect();
    assert_eq!(states, ["expired", "due", "due"]);
    let ends: Vec<_> = run.events_of("asset").iter().map(|asset| asset["expires_at"].to_string()).collect();
    assert!(ends.is_sorted(), "{ends:?}");
    assert_eq!(run.events_of("status")[0]["expiring"], 3);
    let told = world.run(["status", "--expiring", "14d"]).ended_with(8).stdout;
    assert!(told.contains("3 are not good for 14 d"), "{told}");
}

#[test]
fn the_old_id_of_a_file_that_was_replaced_may_end_unless_a_name_stands_for_it() {
    let world = uploaded(3);
    age(&world, &[85, 85, 85]);
    world.run(["alias", "hero", "library/1.png"]).ended_with(0);
    world.put("0.png", png(70));
    world.put("1.png", png(71));
    world.put("2.png", png(72));
    // Nobody has uploaded what lies there now.
    assert_eq!(world.json(["refresh", "--all-due"]).ended_with(3).summary()["failed"], 3);
    assert_eq!(world.json(["verify"]).ended_with(3).events_of("verify_summary")[0]["changed"], 3);
    let expiring = world.json(["status", "--expiring", "30d"]).ended_with(8);
    assert_eq!(expiring.events_of("status")[0]["expiring"], 3);

    world.run(["sync", "library"]).ended_with(0);
    let run = world.json(["refresh", "--all-due"]).ended_with(3);
    assert_eq!((&run.summary()["files"], &run.asset("1.png")["outcome"]), (&json!(1), &json!("failed")));
    let verified = world.json(["verify"]).ended_with(3);
    let summary = &verified.events_of("verify_summary")[0];
    assert_eq!((&summary["ok"], &summary["replaced"], &summary["changed"]), (&json!(3), &json!(2), &json!(1)));
    let expiring = world.json(["status", "--expiring", "30d"]).ended_with(8);
    let status = &expiring.events_of("status")[0];
    assert_eq!((&status["expiring"], &status["replaced"]), (&json!(1), &json!(2)));

    world.run(["alias", "--remove", "hero"]).ended_with(0);
    age_each(&world, |upload| if SystemClock.now().since(upload.uploaded_at) > DAY { 95 } else { 10 });
    for arguments in [&["refresh", "--all-due"][..], &["verify"], &["status", "--expiring", "30d"]] {
        world.run(arguments).ended_with(0);
    }
    // The old picture is back: its id is renewed, and the other's need not be.
    world.put("0.png", png(0));
    world.json(["verify"]).ended_with(3);
    let run = world.json(["refresh", "--all-due"]).ended_with(0);
    assert_eq!((&run.summary()["refreshed"], &run.summary()["files"]), (&json!(1), &json!(1)));
    assert_eq!(world.json(["verify"]).ended_with(0).events_of("verify_summary")[0]["replaced"], 3);
}

#[test]
fn all_good_ends_with_0_and_a_rejected_id_is_not_good() {
    let world = uploaded(2);
    age(&world, &[1, 2]);
    world.run(["status", "--expiring", "14d"]).ended_with(0);
    reject_the_first(&world);
    world.run(["status"]).ended_with(0);
    let run = world.json(["status", "--expiring", "14d"]).ended_with(8);
    assert_eq!(run.events_of("asset")[0]["state"], "rejected");
    world.run(["status", "--expiring", "14"]).ended_with(2);
}

#[test]
fn an_empty_record_has_nothing_to_tell() {
    let world = World::new();
    let run = world.run(["status", "--expiring", "14d"]).ended_with(0);
    assert!(run.stdout.contains("nothing is on record"), "{}", run.stdout);
}
