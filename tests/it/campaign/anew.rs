//! A campaign that is planned anew, and people who are left out of it.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{TEXT, campaign, check_against_truth, closing, exported, fast_world, truth};
use crate::support::pictures::png;
use crate::support::{World, wait_until};

const TWO_TEXTS: &str = "[[message]]\ntext = \"Hi {name}\"\n[[message]]\ntext = \"and bye\"\n";

fn run(world: &World, more: &[&str]) -> crate::support::Ran {
    world.json([&["campaign", "run", "library/spring.toml", "--yes"], more].concat())
}

fn resume(world: &World, more: &[&str]) -> Value {
    closing(&world.json([&["campaign", "resume", "spring", "--yes"], more].concat()))
}

/// How many messages there were of each text.
fn texts(world: &World, text: &str) -> usize {
    world.truth().messages.iter().filter(|message| message.request["message"]["text"] == text).count()
}

#[test]
fn a_list_with_a_mistake_in_it_takes_no_other_s_place_and_the_testers_keep_what_they_got() {
    let world = fast_world();
    let testers = "testers = [\"1001\", \"1002\"]\n";
    campaign(&world, 9_000, &format!("{testers}[[message]]\ntext = \"A\"\n"));
    assert_eq!(closing(&run(&world, &[]).ended_with(0))["sent"], 2);
    let good = std::fs::read_to_string(world.library().join("people.csv")).expect("a list");
    campaign(&world, 9_000, &format!("{testers}[[message]]\ntext = \"B\"\n"));
    world.put("people.csv", format!("{good}\"77,n\n"));
    run(&world, &["--replan"]).ended_with(2);
    let status = closing(&world.json(["campaign", "status", "spring"]).ended_with(0));
    assert_eq!((&status["sent"], &status["state"]), (&json!(2), &json!("paused")));
    // Back to what it was, they are not to get it again.
    campaign(&world, 9_000, &format!("{testers}[[message]]\ntext = \"A\"\n"));
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    assert!(run(&world, &[]).ended_with(2).stdout.contains("waits for a yes"));
    let status = closing(&world.json(["campaign", "status", "spring"]).ended_with(0));
    assert_eq!((&status["sent"], texts(&world, "A"), texts(&world, "B")), (&json!(2), 2, 0));
}

#[test]
fn whoever_is_left_out_gets_nothing_more_whatever_is_decided_about_what_they_may_have_got() {
    let world = fast_world();
    campaign(&world, 4, TWO_TEXTS);
    let gone = json!({"graph": {"code": 551, "message": "gone"}, "status": 400});
    let faults = [("1001", json!({"reset": true})), ("1002", gone)];
    let faults = faults.map(|(who, fault)| json!({"on": "send", "recipient": who, "fault": fault}));
    world.sandbox().set_faults(json!(faults)).expect("faults");
    let closed = closing(&run(&world, &[]));
    assert_eq!((&closed["unknown"], &closed["failed"]), (&json!(1), &json!(1)));
    world.put("stop.txt", "1001\n1002\n");
    resume(&world, &["--suppress", "library/stop.txt"]);
    world.json(["campaign", "settle", "spring", "--assume", "not-sent"]).ended_with(0);
    for scope in ["failed", "unknown"] {
        resume(&world, &["--scope", scope]);
    }
    // A list that names them is no word of theirs.
    campaign(&world, 5, TWO_TEXTS);
    run(&world, &["--replan"]).ended_with(3);
    let closed = resume(&world, &["--scope", "failed"]);
    assert_eq!((&closed["pending"], &closed["sent"]), (&json!(0), &json!(6)));
    let later: BTreeSet<_> = truth(&world).into_keys().filter(|(_, part)| *part == 2).map(|(who, _)| who).collect();
    assert_eq!(later, ["1003", "1004", "1005"].map(str::to_owned).into());
    check_against_truth(&world);
}

#[test]
fn what_was_too_late_is_sent_when_the_end_is_put_off() {
    let world = fast_world();
    campaign(&world, 3, &format!("expires_at = 2020-01-01T00:00:00Z\n{TWO_TEXTS}"));
    let closed = closing(&run(&world, &[]).ended_with(0));
    assert_eq!((&closed["skipped"], &closed["sent"]), (&json!(6), &json!(0)));
    campaign(&world, 3, TWO_TEXTS);
    let closed = closing(&run(&world, &[]).ended_with(0));
    assert_eq!((&closed["skipped"], &closed["sent"]), (&json!(0), &json!(6)));
    check_against_truth(&world);
}

#[test]
fn whoever_is_back_on_the_list_gets_the_rest() {
    let world = fast_world();
    campaign(&world, 6, TWO_TEXTS);
    let lost = json!({"on": "send", "recipient": "1002", "when": "after", "fault": {"reset": true}});
    world.sandbox().set_faults(lost).expect("a fault");
    assert_eq!(closing(&run(&world, &[]).ended_with(7))["sent"], 10);
    let plan_anew = || world.json(["campaign", "plan", "library/spring.toml", "--replan"]).ended_with(0);
    world.put("people.csv", "recipient,name\n1001,n1\n");
    plan_anew();
    campaign(&world, 6, TWO_TEXTS);
    plan_anew();
    world.json(["campaign", "settle", "spring", "--assume", "sent"]).ended_with(0);
    let closed = resume(&world, &[]);
    assert_eq!((&closed["skipped"], &closed["sent"]), (&json!(0), &json!(12)));
    check_against_truth(&world);
}

#[test]
fn a_few_who_have_not_had_the_last_message_try_the_next_one_out() {
    let world = fast_world();
    let said = |text: &str| format!("canary = 10\n[[message]]\ntext = \"{text}\"\n");
    campaign(&world, 100, &said("one"));
    assert_eq!(closing(&run(&world, &[]).ended_with(0))["sent"], 10);
    campaign(&world, 100, &said("two"));
    run(&world, &["--replan"]).ended_with(0);
    assert_eq!((texts(&world, "one"), texts(&world, "two")), (10, 10));
    resume(&world, &[]);
    assert_eq!((texts(&world, "one"), texts(&world, "two")), (10, 90));
}

#[test]
fn with_a_word_for_it_the_rest_get_another_picture() {
    let world = fast_world();
    world.put("hero.png", png(1));
    campaign(&world, 4, "canary = 1\n[[message]]\nfile = \"hero.png\"\n");
    assert_eq!(closing(&run(&world, &[]).ended_with(0))["sent"], 1);
    world.put("hero.png", png(2));
    let refused = world.json(["campaign", "resume", "spring", "--yes"]).ended_with(2);
    assert!(refused.stdout.contains("--replan"), "{}", refused.stdout);
    world.json(["campaign", "plan", "library/spring.toml", "--replan"]).ended_with(0);
    assert_eq!(resume(&world, &[])["sent"], 4);
}

#[test]
fn a_dead_token_is_seen_before_the_wait() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    run(&world, &[]).ended_with(0);
    campaign(&world, 4, &format!("start_at = 2999-01-01T00:00:00Z\n{TEXT}"));
    let dead = json!({"graph": {"code": 190, "error_subcode": 463, "message": "expired"}, "status": 400});
    world.sandbox().set_faults(json!({"on": "debug_token", "fault": dead, "times": 9})).expect("a fault");
    run(&world, &["--replan"]).ended_with(4);
}

#[test]
fn whoever_wants_nobody_twice_any_more_leaves_unknown_what_is_in_doubt() {
    let world = fast_world();
    campaign(&world, 3, &format!("delivery = \"at-least-once\"\n{TEXT}"));
    let lost = json!({"on": "send", "recipient": "1002", "when": "after", "fault": {"reset": true}});
    world.sandbox().set_faults(lost).expect("a fault");
    let mut child = world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
    wait_until("all were tried", || world.truth().messages.len() == 3);
    // It waits for signs of the one, for minutes.
    wait_until("it is on record", || exported(&world).get(&("1001".to_owned(), 1)).is_some_and(|it| it == "sent"));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("small")).expect("a process");
    kill_process(pid, Signal::INT).expect("interrupted");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    campaign(&world, 3, TEXT);
    let closed = closing(&run(&world, &[]).ended_with(7));
    assert_eq!((&closed["sent"], &closed["unknown"], world.truth().messages.len()), (&json!(2), &json!(1), 3));
}

#[test]
fn a_stop_list_holds_though_the_campaign_waits_for_a_yes() {
    let world = fast_world();
    campaign(&world, 5, &format!("canary = 1\n{TEXT}"));
    assert_eq!(closing(&run(&world, &[]).ended_with(0))["sent"], 1);
    world.put("stop.txt", "1003\n");
    run(&world, &["--suppress", "library/stop.txt"]).ended_with(2);
    let closed = resume(&world, &[]);
    assert_eq!((&closed["sent"], &closed["skipped"]), (&json!(4), &json!(1)));
    assert!(!truth(&world).contains_key(&("1003".to_owned(), 1)));
}

#[test]
fn a_few_are_no_more_than_that_though_others_have_had_a_part() {
    let world = fast_world();
    campaign(&world, 4, TWO_TEXTS);
    let second = |who: &str| json!({"on": "send", "recipient": who, "every": 2, "fault": {"reset": true}});
    world.sandbox().set_faults(json!(["1001", "1002", "1003"].map(second))).expect("faults");
    assert_eq!(closing(&run(&world, &[]).ended_with(7))["unknown"], 3);
    world.json(["campaign", "settle", "spring", "--assume", "not-sent"]).ended_with(0);
    let before = world.truth().messages.len();
    let other = TWO_TEXTS.replace("Hi", "Ho");
    campaign(&world, 7, &format!("canary = 1\n{other}"));
    run(&world, &["--replan"]).ended_with(0);
    assert_eq!(world.truth().messages.len(), before + 2, "one person, two parts");
    resume(&world, &[]);
    assert_eq!(world.truth().messages.len(), before + 9);
    check_against_truth(&world);
}

#[test]
fn a_share_to_try_it_out_is_one_of_those_who_have_had_nothing() {
    let world = fast_world();
    let said = |text: &str| format!("canary = \"10%\"\n[[message]]\ntext = \"{text}\"\n");
    campaign(&world, 50, &said("one"));
    run(&world, &[]).ended_with(0);
    resume(&world, &[]);
    campaign(&world, 50, &said("two"));
    let rows: Vec<_> = (0..10).map(|number| format!("{},n\n", 3_001 + number)).collect();
    world.put("people.csv", format!("recipient,name\n{}", rows.concat()));
    let ran = run(&world, &["--replan"]).ended_with(0);
    assert_eq!((texts(&world, "two"), &ran.events_of("preflight")[0]["stage_recipients"]), (1, &json!(1)));
    assert_eq!(closing(&ran)["state"], "paused");
}
