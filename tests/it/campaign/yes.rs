//! What a campaign does before somebody says yes: nothing.

use std::fs;

use serde_json::json;

use super::{TEXT, campaign, check_against_truth, closing, fast_world, run};
use crate::support::pictures::png;
use crate::support::{Ran, World, wait_until};

/// Meta refuses the next so many messages.
fn refuse(world: &World, times: u32) {
    let refusal = json!({"graph": {"code": 100, "message": "(#100) no such user"}, "status": 400});
    world.sandbox().set_faults(json!({"on": "send", "times": times, "fault": refusal})).expect("a fault");
}

#[test]
fn nothing_is_changed_before_the_yes() {
    let world = fast_world();
    campaign(&world, 6, TEXT);
    refuse(&world, 2);
    let closed = closing(&run(&world));
    assert_eq!((&closed["failed"], &closed["sent"]), (&json!(2), &json!(4)));
    // There is nobody to ask, which is a no: they have failed as before, and the next run does not send them.
    world.json(["campaign", "resume", "spring", "--scope", "failed"]).ended_with(2);
    let closed = closing(&run(&world));
    assert_eq!((&closed["failed"], &closed["sent"]), (&json!(2), &json!(4)));
    let again = world.json(["campaign", "resume", "spring", "--scope", "failed", "--yes"]).ended_with(0);
    assert_eq!(closing(&again)["sent"], 6);
    check_against_truth(&world);
}

#[test]
fn a_resume_that_is_killed_while_it_looks_ahead_leaves_the_pause() {
    let world = fast_world();
    world.put("hero.png", png(1));
    campaign(&world, 3, "[[message]]\nfile = \"hero.png\"\n");
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    world.json(["campaign", "pause", "spring"]).ended_with(0);
    world.sandbox().set_faults(json!({"on": "upload", "when": "before", "fault": {"stall": true}})).expect("a fault");
    let mut child = world.start(["campaign", "resume", "spring", "--yes"]);
    wait_until("it uploads", || world.counts().requests.upload > 0);
    child.kill().expect("killed");
    child.wait().expect("ends");
    world.sandbox().clear_faults();
    assert!(run(&world).ended_with(2).stdout.contains("paused by hand"));
    assert_eq!(world.truth().message_count, 0);
    assert_eq!(closing(&world.json(["campaign", "resume", "spring", "--yes"]).ended_with(0))["sent"], 3);
}

#[test]
fn whoever_is_left_out_gets_nothing_that_failed_once_more() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    refuse(&world, 3);
    run(&world);
    world.put("stop.txt", "1002\n");
    let again = ["campaign", "resume", "spring", "--scope", "failed", "--suppress", "library/stop.txt", "--yes"];
    let closed = closing(&world.json(again));
    assert_eq!((&closed["sent"], &closed["failed"]), (&json!(2), &json!(1)));
    assert!(world.truth().messages.iter().all(|message| message.recipient().as_deref() != Some("1002")));
}

#[test]
fn an_older_copy_of_the_record_sends_to_nobody_unasked() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    let record = world.store().join("record.db");
    let copy = fs::read(&record).expect("a record");
    run(&world).ended_with(0);
    fs::write(&record, copy).expect("put back");
    assert!(run(&world).ended_with(6).stdout.contains("wait for a resume"), "it has its mark still");
    fs::remove_file(world.store().join("record.db.mark")).expect("a mark");
    for replan in [&[][..], &["--replan"]] {
        campaign(&world, 3, if replan.is_empty() { TEXT } else { "[[message]]\ntext = \"Hello {name}\"\n" });
        let run = ["campaign", "run", "library/spring.toml", "--yes"];
        let refused = world.run(run.iter().chain(replan)).ended_with(2);
        assert!(refused.stderr.contains("may have lost") && refused.stderr.contains("--echoes"), "{}", refused.stderr);
    }
    assert_eq!(world.truth().message_count, 3);
    let resumed = world.json(["campaign", "resume", "spring", "--yes"]).ended_with(0);
    assert!(resumed.stderr.contains("gets it again"), "{}", resumed.stderr);
}

#[test]
fn a_copy_of_the_whole_store_sends_to_nobody_unasked() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    let store = world.store();
    let (copy, original) = (store.with_extension("copy"), store.with_extension("original"));
    fs::create_dir(&copy).expect("a folder");
    for name in ["record.db", "record.db.mark"] {
        fs::copy(store.join(name), copy.join(name)).expect("a copy");
    }
    run(&world).ended_with(0);
    fs::rename(&store, &original).expect("moved away");
    fs::rename(&copy, &store).expect("put in its place");
    let refused = world.run(["campaign", "run", "library/spring.toml", "--yes"]).ended_with(2);
    assert!(refused.stderr.contains("may have lost") && refused.stderr.contains("--echoes"), "{}", refused.stderr);
    fs::rename(&store, &copy).expect("moved away");
    fs::rename(&original, &store).expect("put back");
    assert_eq!(closing(&run(&world).ended_with(0))["sent"], 3);
    assert_eq!(world.truth().message_count, 3);
}

#[test]
fn a_run_whose_record_is_replaced_stops() {
    const PEOPLE: u64 = 2_000;
    let world = fast_world();
    campaign(&world, PEOPLE, TEXT);
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    let (record, copy) = (world.store().join("record.db"), world.store().join("copy.db"));
    fs::copy(&record, &copy).expect("a copy");
    let slow = json!({"on": "send", "times": 1_000_000, "when": "after", "fault": {"stall_ms": 50}});
    world.sandbox().set_faults(slow).expect("a fault");
    let child = world.start(["campaign", "run", "library/spring.toml", "--yes"]);
    wait_until("messages", || world.counts().messages_accepted > 0);
    fs::rename(copy, record).expect("replaced");
    let ended = Ran::new(child.wait_with_output().expect("ends")).ended_with(6);
    assert!(ended.stderr.contains("replaced or moved away"), "{}", ended.stderr);
    assert!(world.truth().message_count < PEOPLE, "{} were sent", world.truth().message_count);
}

#[test]
fn another_number_of_parts_is_refused_once_something_was_sent() {
    let world = fast_world();
    let testers = "testers = [\"1001\"]\n";
    campaign(&world, 2, &format!("{testers}{TEXT}"));
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    campaign(&world, 2, &format!("{testers}{TEXT}{TEXT}"));
    world.json(["campaign", "plan", "library/spring.toml", "--replan"]).ended_with(0);
    campaign(&world, 2, TEXT);
    world.json(["campaign", "plan", "library/spring.toml", "--replan"]).ended_with(0);
    run(&world).ended_with(0);
    campaign(&world, 2, &format!("{TEXT}{TEXT}"));
    let replanned = world.run(["campaign", "run", "library/spring.toml", "--yes", "--replan"]).ended_with(2);
    let words = "error: something of the campaign spring was sent in 1 part already, and not in 2";
    assert!(
        replanned.stderr.starts_with(words) && replanned.stderr.contains("under another name it goes to everybody"),
        "{}",
        replanned.stderr
    );
    assert_eq!(world.truth().message_count, 2);
}
