//! `sync`: bytes travel once, ids stay where they belong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use image::ImageFormat;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::pictures::{picture, png};
use crate::support::{Ran, World, wait_until};

#[test]
fn the_second_sync_uploads_nothing() {
    let world = World::new();
    for number in 0..5 {
        world.put(format!("{number}.png"), png(number));
    }
    let first = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(first.summary()["uploaded"], 5);
    let second = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(second.summary()["uploaded"], 0);
    assert_eq!(second.summary()["reused"], 5);
    assert_eq!(second.summary()["bytes_saved"], first.summary()["bytes_uploaded"]);
    assert_eq!(world.uploads(), 5);
}

#[test]
fn what_arrives_is_the_file_under_its_own_name_and_type() {
    let world = World::new();
    let bytes = picture(1, ImageFormat::Jpeg);
    world.put("spring 🌷 sale.jpg", &bytes);
    let run = world.json(["sync", "library"]).ended_with(0);
    let truth = world.truth();
    let [upload] = &truth.attachments[..] else { panic!("one upload, not {:?}", truth.attachments) };
    let file = upload.file.as_ref().expect("bytes were sent");
    assert_eq!((upload.kind.as_str(), file.mime.as_deref()), ("image", Some("image/jpeg")));
    assert_eq!(file.size_bytes, bytes.len() as u64);
    assert!(file.name.is_ascii() && Path::new(&file.name).extension() == Some("jpg".as_ref()), "{}", file.name);
    assert!(upload.reusable && upload.content_length.is_some());
    let asset = run.asset("sale.jpg");
    assert_eq!(asset["sha256"], file.sha256.as_str());
    assert_eq!(asset["attachment_id"], upload.id.as_str());
    assert_eq!((&asset["width"], &asset["height"]), (&json!(24), &json!(16)));
}

#[test]
fn the_same_bytes_under_two_names_travel_once() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b/copy.png", png(1));
    let run = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(world.uploads(), 1);
    assert_eq!((&run.summary()["uploaded"], &run.summary()["reused"]), (&json!(1), &json!(1)));
    assert_eq!(run.summary()["unique"], 1);
    assert_eq!(run.asset("a.png")["attachment_id"], run.asset("copy.png")["attachment_id"]);
}

#[test]
fn renamed_and_moved_files_cost_nothing() {
    let world = World::new();
    let old = world.put("old.png", png(1));
    let moved = world.put("moved.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    fs::rename(old, world.library().join("new.png")).expect("renamed");
    fs::create_dir(world.library().join("elsewhere")).expect("a folder");
    fs::rename(moved, world.library().join("elsewhere/moved.png")).expect("moved");
    let run = world.json(["sync", "library"]).ended_with(0);
    assert_eq!((&run.summary()["uploaded"], &run.summary()["reused"]), (&json!(0), &json!(2)));
    assert_eq!(world.uploads(), 2);
}

#[test]
fn another_page_gets_its_own_ids() {
    let world = World::new();
    world.put("a.png", png(1));
    let first = world.json(["sync", "library"]).ended_with(0);
    let other = world.command(["sync", "library", "--json"]).env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-2").output();
    let other = crate::support::Ran::new(other.expect("runs")).ended_with(0);
    assert_eq!(world.uploads(), 2);
    assert_ne!(first.asset("a.png")["attachment_id"], other.asset("a.png")["attachment_id"]);
    assert_ne!(first.asset("a.png")["page_id"], other.asset("a.png")["page_id"]);
    let again = world.json(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!(again.asset("a.png")["attachment_id"], first.asset("a.png")["attachment_id"]);
    for attachment in &world.truth().attachments {
        let asset = if first.asset("a.png")["attachment_id"] == attachment.id.as_str() { &first } else { &other };
        assert_eq!(asset.asset("a.png")["page_id"], attachment.page_id.as_str());
    }
}

#[test]
fn another_graph_origin_gets_its_own_ids() {
    let (world, elsewhere) = (World::new(), World::new());
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let run = world.command(["sync", "library"]).env("REATTACH_GRAPH_URL", elsewhere.sandbox().url()).output();
    crate::support::Ran::new(run.expect("runs")).ended_with(0);
    assert_eq!((world.uploads(), elsewhere.uploads()), (1, 1));
}

#[test]
fn instagram_ids_are_kept_apart() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.run(["sync", "library", "--platform", "instagram"]).ended_with(0);
    let platforms: Vec<_> = world.truth().attachments.iter().map(|a| a.platform.clone()).collect();
    assert_eq!(platforms, ["messenger", "instagram"]);
}

#[test]
fn a_dry_run_shows_no_id_that_is_over() {
    let world = World::new();
    for name in ["1.png", "2.png"] {
        world.put(name, png(1));
    }
    world.run(["sync", "library"]).ended_with(0);
    world.sandbox().advance_clock(Duration::from_hours(100 * 24));
    let run = world.json(["sync", "library", "--dry-run"]).ended_with(0);
    let twin = ["1.png", "2.png"].map(|name| run.asset(name)).into_iter().find(|asset| asset["outcome"] == "reused");
    assert_eq!(twin.expect("the same bytes, which go up once")["attachment_id"], Value::Null);
    assert_eq!((&run.summary()["planned"], world.uploads()), (&json!(1), 1));
}

#[test]
fn a_dry_run_says_what_a_sync_would_do_and_does_nothing() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("copy of a.png", png(1));
    world.put("b.png", png(2));
    let run = world.json(["sync", "library", "--dry-run"]).ended_with(0);
    assert_eq!((&run.summary()["planned"], &run.summary()["reused"]), (&json!(2), &json!(1)));
    assert_eq!(world.uploads(), 0);
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(world.uploads(), 2);
}

#[test]
fn what_is_over_the_allowance_is_named_and_left_for_later() {
    let world = World::new();
    for number in 0..5 {
        world.put(format!("{number}.png"), png(number));
    }
    let first = world.json(["sync", "library", "--max-uploads", "2"]).ended_with(0);
    assert_eq!((&first.summary()["uploaded"], &first.summary()["deferred"]), (&json!(2), &json!(3)));
    let none = world.json(["sync", "library", "--max-bytes", "1"]).ended_with(0);
    assert_eq!((&none.summary()["uploaded"], &none.summary()["deferred"]), (&json!(0), &json!(3)));
    let rest = world.json(["sync", "library"]).ended_with(0);
    assert_eq!((&rest.summary()["uploaded"], &rest.summary()["reused"]), (&json!(3), &json!(2)));
}

#[test]
fn force_uploads_what_is_alive() {
    let world = World::new();
    world.put("a.png", png(1));
    let first = world.json(["sync", "library"]).ended_with(0);
    let forced = world.json(["sync", "library", "--force"]).ended_with(0);
    assert_eq!(forced.asset("a.png")["outcome"], "refreshed");
    assert_ne!(first.asset("a.png")["attachment_id"], forced.asset("a.png")["attachment_id"]);
    let after = world.json(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!(after.asset("a.png")["attachment_id"], forced.asset("a.png")["attachment_id"]);
}

#[test]
fn a_changed_file_is_uploaded_again() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.put("a.png", png(2));
    let run = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(run.asset("a.png")["outcome"], "uploaded");
    assert_eq!(world.uploads(), 2);
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let world = World::new();
    world.put("good.png", png(1));
    world.put("empty.png", b"");
    let run = world.json(["sync", "library"]).ended_with(3);
    assert_eq!(run.asset("good.png")["outcome"], "uploaded");
    assert_eq!(run.asset("empty.png")["outcome"], "rejected");
    assert_eq!(run.problems("empty.png"), ["empty"]);
}

#[test]
fn a_file_meta_refuses_fails_alone_with_metas_words() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    let refusal = json!({"on": "upload", "fault": {"graph": {"code": 100, "error_subcode": 2_018_047,
        "message": "(#100) Upload attachment failure.", "fbtrace_id": "TRACE7"}, "status": 400}, "times": 2});
    world.sandbox().set_faults(refusal).expect("a fault");
    let run = world.json(["sync", "library", "--concurrency", "1"]).ended_with(3);
    assert_eq!((&run.summary()["failed"], &run.summary()["uploaded"]), (&json!(1), &json!(1)));
    let assets = run.events_of("asset");
    let failed = assets.iter().find(|asset| asset["outcome"] == "failed").expect("one failed");
    assert_eq!(failed["error"]["code"], 100);
    assert_eq!(failed["error"]["subcode"], 2_018_047);
    assert_eq!(failed["error"]["fbtrace_id"], "TRACE7");
    assert!(failed["error"]["hint"].is_string());
}

#[test]
fn a_dead_token_stops_the_sync_and_leaves_the_rest_for_later() {
    let world = World::new();
    for number in 0..20 {
        world.put(format!("{number}.png"), png(number));
    }
    world.put("known.png", png(99));
    world.run(["resolve", "library/known.png"]).ended_with(0);
    let dead = json!({"on": "upload", "fault": {"graph": {"code": 190, "message": "Invalid OAuth access token."},
        "status": 400}, "times": 100});
    world.sandbox().set_faults(dead).expect("a fault");
    let run = world.json(["sync", "library"]).ended_with(4);
    assert!(world.truth().counters.requests.upload <= 1 + 4, "it went on knocking");
    let summary = run.summary();
    let failed = summary["failed"].as_u64().expect("a count");
    assert!((1..=4).contains(&failed), "{summary}");
    assert_eq!((&summary["uploaded"], &summary["reused"]), (&json!(0), &json!(1)));
    assert_eq!(failed + summary["deferred"].as_u64().expect("a count"), 20);
    let error = run.events_of("error").pop().expect("an error");
    assert_eq!((&error["code"], &error["class"]), (&json!(190), &json!("token")));
}

#[test]
fn uploads_ride_out_a_hiccup() {
    let world = World::new();
    world.put("a.png", png(1));
    let hiccups = json!([{"on": "upload", "when": "before", "fault": {"reset": true}},
        {"on": "upload", "when": "after", "fault": {"status": 503, "body": "busy"}}]);
    world.sandbox().set_faults(hiccups).expect("faults");
    let run = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(run.asset("a.png")["outcome"], "uploaded");
    // The second attempt was done and its answer spoiled: an orphan, and no harm.
    assert_eq!(world.uploads(), 2);
    assert_eq!(run.asset("a.png")["attachment_id"], world.truth().attachments[1].id.as_str());
}

#[test]
fn a_rate_limit_longer_than_the_wait_ends_with_5() {
    let world = World::new();
    world.put("a.png", png(1));
    let limit = json!({"on": "upload", "fault": {"graph": {"code": 613, "message": "(#613) Calls to this api have \
        exceeded the rate limit."}, "status": 400}, "times": 100});
    world.sandbox().set_faults(limit).expect("a fault");
    let run = world.json(["sync", "library", "--max-wait", "0s"]).ended_with(5);
    assert_eq!(world.uploads(), 0);
    let error = run.events_of("error").pop().expect("an error");
    assert_eq!((&error["code"], &error["retryable"]), (&json!(613), &json!(true)));
}

#[test]
fn nobody_at_the_other_end_ends_with_5_and_leaves_the_rest_for_later() {
    let mut world = World::new();
    world.put("known.png", png(99));
    world.run(["resolve", "library/known.png"]).ended_with(0);
    for number in 0..20 {
        world.put(format!("{number}.png"), png(number));
    }
    world.stop_sandbox();
    let run = world.json(["sync", "library"]).ended_with(5);
    assert_eq!(run.events_of("error").pop().expect("an error")["class"], "unreachable");
    let summary = run.summary();
    assert_eq!((&summary["uploaded"], &summary["reused"]), (&json!(0), &json!(1)));
    assert!(summary["failed"].as_u64().expect("a count") <= 4, "{summary}");
    assert!(summary["deferred"].as_u64().expect("a count") > 0, "{summary}");
}

#[test]
fn an_outage_ends_the_sync_before_every_file_has_been_tried() {
    let world = World::new();
    for number in 0..60 {
        world.put(format!("{number}.png"), png(number));
    }
    let outage = json!({"on": "upload", "fault": {"status": 503, "body": "down"}, "times": 100_000});
    world.sandbox().set_faults(outage).expect("a fault");
    let run = world.json(["sync", "library", "--concurrency", "16"]).ended_with(5);
    let failed = run.summary()["failed"].as_u64().expect("a count");
    assert!((8..40).contains(&failed), "{failed} were tried");
    assert_eq!(run.summary()["uploaded"], 0);
}

#[test]
fn forced_copies_of_the_same_bytes_travel_once() {
    let world = World::new();
    for number in 0..300 {
        world.put(format!("{}/{number}.png", number % 7), png(1));
    }
    world.run(["sync", "library"]).ended_with(0);
    let forced = world.json(["sync", "library", "--force"]).ended_with(0);
    assert_eq!((&forced.summary()["refreshed"], &forced.summary()["reused"]), (&json!(1), &json!(299)));
    assert_eq!(world.uploads(), 2);
}

#[test]
fn our_own_files_and_secrets_are_never_uploaded() {
    let world = World::new();
    let library = world.library();
    world.put("a.png", png(1));
    world.put("shop.token", "SANDBOX-PAGE-1");
    fs::set_permissions(library.join("shop.token"), fs::Permissions::from_mode(0o600)).expect("a mode");
    world.put("reattach.toml", "store = \"sled:store\"\n[pages.shop]\naccess_token_file = \"shop.token\"\n");
    let run = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.current_dir(&library).env_remove("REATTACH_STORE").env_remove("REATTACH_ACCESS_TOKEN").arg("--json");
        crate::support::Ran::new(command.output().expect("runs"))
    };
    for _ in 0..2 {
        assert_eq!(run(&["sync", "."]).ended_with(0).summary()["files"], 1);
    }
    assert_eq!(run(&["check", "."]).ended_with(0).summary()["files"], 1);
    for named in ["shop.token", "reattach.toml", "store/record.db", "./store/../shop.token"] {
        assert_eq!(run(&["sync", named]).ended_with(3).events_of("asset")[0]["problems"][0]["code"], "private");
        run(&["resolve", named]).ended_with(3);
        run(&["send", "--to", "1", "--file", named]).ended_with(3);
    }
    assert_eq!(run(&["sync", "store"]).ended_with(3).summary()["uploaded"], 0);
    world.put("library.log", "a log is no media\n");
    let mut logged = world.command(["check", ".", "--json"]);
    logged.current_dir(&library).env_remove("REATTACH_STORE").env("REATTACH_LOG_FILE", "library.log");
    let logged = crate::support::Ran::new(logged.output().expect("runs")).ended_with(0);
    assert_eq!(logged.summary()["files"], 1, "{logged:?}");
    assert_eq!((world.uploads(), world.truth().message_count), (1, 0));
}

#[test]
fn quiet_still_says_what_failed() {
    let world = World::new();
    world.put("good.png", png(1));
    world.put("empty.png", b"");
    let run = world.run(["-q", "sync", "library"]).ended_with(3);
    assert!(run.stdout.contains("empty.png") && !run.stdout.contains("good.png"), "{}", run.stdout);
}

#[test]
fn an_expired_id_is_replaced() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let run = world.json(["sync", "library", "--renew-within", "91d"]).ended_with(0);
    assert_eq!(run.asset("a.png")["outcome"], "refreshed");
    assert_eq!(run.summary()["refreshed"], 1);
}

#[test]
fn two_processes_on_one_store_share_the_work() {
    let world = World::new();
    for number in 0..40 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["ls"]).ended_with(0);
    // Uploads take long enough for the two to want the same bytes at the same time.
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 30}, "times": 80})).expect("a fault");
    let runs: Vec<_> = (0..2).map(|_| world.start(["sync", "library", "--json"])).collect();
    let runs: Vec<_> = runs
        .into_iter()
        .map(|child| crate::support::Ran::new(child.wait_with_output().expect("ends")).ended_with(0))
        .collect();
    assert_eq!(world.uploads(), 40);
    let ids = |run: &crate::support::Ran| {
        let mut ids: Vec<_> =
            run.events_of("asset").iter().map(|a| (a["path"].to_string(), a["attachment_id"].to_string())).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&runs[0]), ids(&runs[1]));
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_sync() {
    let world = World::new();
    for number in 0..50 {
        world.put(format!("{number}.png"), png(number));
    }
    let mut child = world.command(["sync", "library"]).stdout(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    assert_eq!(world.uploads(), 50);
}

/// A person may have what nobody answered for: no later run sends it again by itself.
#[test]
fn a_message_with_an_upload_that_may_have_arrived_is_repeated_only_by_force() {
    let world = World::new();
    for number in 1..=3 {
        world.put(format!("{number}.png"), png(number));
    }
    let sync = ["sync", "library", "--via", "send", "--to", "77", "--yes"];
    let lost = json!({"on": "send", "when": "after", "times": 1, "fault": {"reset": true}});
    world.sandbox().set_faults(lost).expect("a fault");
    world.json(sync).ended_with(7);
    assert_eq!(world.truth().message_count, 3);
    let again = world.json(sync).ended_with(7);
    assert_eq!((&again.summary()["reused"], &again.summary()["failed"]), (&json!(2), &json!(1)));
    let doubtful = again.events_of("asset").into_iter().find(|asset| asset["outcome"] == "failed").expect("one");
    assert_eq!(doubtful["error"]["class"], "unknown");
    assert!(doubtful["error"]["message"].as_str().expect("words").contains("may have reached 77"), "{doubtful}");
    assert_eq!(world.truth().message_count, 3);
    let forget_all = || {
        for number in 1..=3 {
            world.run(["forget".to_owned(), format!("library/{number}.png")]).ended_with(0);
        }
    };
    // Force that comes to nothing leaves it in doubt.
    let refused = json!({"on": "send", "fault": {"graph": {"code": 551, "message": "gone"}, "status": 400}});
    world.sandbox().set_faults(refused).expect("a fault");
    world.json(["sync", "library/1.png", "--via", "send", "--to", "77", "--yes", "--force"]).ended_with(3);
    world.sandbox().clear_faults();
    world.json(sync).ended_with(7);
    assert_eq!(world.truth().message_count, 3);
    // An upload nobody sees is none of that.
    let unseen = world.json(["sync", "library"]).ended_with(0);
    assert_eq!((&unseen.summary()["uploaded"], world.truth().message_count), (&json!(1), 3));
    forget_all();
    world.json([&sync[..], &["--force"]].concat()).ended_with(0);
    assert_eq!(world.truth().message_count, 6);
    // That one arrived, and its id is on record: nothing is in doubt any more.
    forget_all();
    world.json(sync).ended_with(0);
    assert_eq!(world.truth().message_count, 9);
}

#[test]
fn what_may_have_been_sent_weighs_more_than_why_no_more_was() {
    let world = World::new();
    for number in 1..=2 {
        world.put(format!("{number}.png"), png(number));
    }
    let lost = json!({"on": "send", "when": "after", "times": 1, "fault": {"reset": true}});
    let dead = json!({"on": "send", "fault": {"graph": {"code": 190, "message": "dead"}, "status": 400}});
    world.sandbox().set_faults(json!([lost, dead])).expect("faults");
    let sync = ["sync", "library", "--via", "send", "--to", "77", "--yes", "--concurrency", "1"];
    let run = world.json(sync).ended_with(7);
    assert_eq!((run.events_of("error").len(), world.truth().message_count), (1, 1));
    assert!(run.stderr.contains("dead"), "{}", run.stderr);
}

#[test]
fn a_message_with_an_upload_is_in_doubt_when_its_process_is_killed() {
    let world = World::new();
    world.put("a.png", png(1));
    let sync = ["sync", "library", "--via", "send", "--to", "77", "--yes"];
    world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": {"stall": true}})).expect("a fault");
    let mut child = world.start(sync);
    wait_until("it is sent", || world.counts().messages_accepted == 1);
    child.kill().expect("killed");
    child.wait().expect("ended");
    world.sandbox().clear_faults();
    world.json(sync).ended_with(7);
    assert_eq!(world.truth().message_count, 1);
}

#[test]
fn who_ends_a_wait_for_meta_is_not_told_to_try_again() {
    let world = World::new();
    world.put("a.png", png(1));
    let refusal = json!({"graph": {"code": 613, "message": "slow"}, "status": 400, "headers": {"Retry-After": "30"}});
    world.sandbox().set_faults(json!({"on": "upload", "times": 9, "fault": refusal})).expect("a fault");
    let child = world.start(["sync", "library", "--json"]);
    wait_until("it is throttled", || world.counts().faults_fired > 0);
    kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    Ran::new(child.wait_with_output().expect("ends")).ended_with(130);
}
