//! What may have arrived, settled by conversations, echoes and people.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

use reattach::campaign::settle::{Assumption, assume};
use reattach::delivery::{Event, Refusal};
use reattach::record::{Enlisted, Entry, Reach};
use reattach::sandbox::TruthMessage;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use super::hold::planned_for;
use super::indoors::Room;
use super::{TEXT, campaign, check_against_truth, closing, echoes, exported, fast_world, lose_answers, run};
use crate::support::{World, wait_until};

/// Lets everybody on the list have written an hour ago, so that there are conversations to look into.
fn let_them_have_written(world: &World, people: u64) {
    let before = world.sandbox().now().minus(Duration::from_hours(1)).to_string();
    let person = |number: u64| json!({"id": (1_000 + number).to_string(), "last_interaction_at": before});
    world.sandbox().describe_people((1..=people).map(person).collect()).expect("people");
}

/// Two messages whose answers are lost, and one that never gets there.
fn lose_three(world: &World) {
    let lost = json!({"on": "send", "when": "after", "times": 2, "fault": {"reset": true}});
    let dropped = json!({"on": "send", "when": "before", "times": 1, "fault": {"reset": true}});
    world.sandbox().set_faults(json!([lost, dropped])).expect("faults");
}

const ASK_META: [&str; 4] = ["campaign", "settle", "spring", "--from-conversations"];

/// What was said of each, and whether it is inferred.
fn verdicts(events: &[Value]) -> Vec<(String, bool)> {
    let said = |event: &Value| (event["verdict"].as_str().expect("a word").to_owned(), event["inferred"] == true);
    let mut seen: Vec<_> = events.iter().map(said).collect();
    seen.sort_unstable();
    seen
}

fn inferred(words: &[&str]) -> Vec<(String, bool)> {
    words.iter().map(|word| ((*word).to_owned(), *word != "unknown")).collect()
}

#[test]
fn conversations_tell_what_arrived_at_once_and_what_did_not_in_time() {
    let world = fast_world();
    campaign(&world, 8, TEXT);
    let_them_have_written(&world, 8);
    lose_three(&world);
    run(&world).ended_with(7);
    let asked = world.json(ASK_META).ended_with(7);
    let settled = asked.events_of("settled");
    assert_eq!(verdicts(&settled), inferred(&["sent", "sent", "unknown"]), "{settled:?}");
    let early = settled.iter().find(|event| event["verdict"] == "unknown").expect("one");
    assert!(early["evidence"]["reason"].as_str().is_some_and(|why| why.contains("may still arrive")), "{early}");
    let truth: Vec<_> = world.truth().messages.into_iter().filter_map(|message| message.message_id).collect();
    for event in settled.iter().filter(|event| event["verdict"] == "sent") {
        assert!(truth.contains(&event["evidence"]["messages"][0]["message_id"].as_str().expect("an id").to_owned()));
    }
    check_against_truth(&world);
    world.sandbox().advance_clock(Duration::from_mins(4));
    let asked = world.json(ASK_META).ended_with(0);
    assert_eq!(verdicts(&asked.events_of("settled")), inferred(&["not_sent"]));
    assert_eq!((&closing(&asked)["unknown"], &closing(&asked)["pending"]), (&json!(0), &json!(1)));
    assert_eq!(closing(&run(&world).ended_with(0))["sent"], 8);
    check_against_truth(&world);
    // An echo makes certain what was inferred.
    let still_inferred = || world.json(["campaign", "export", "spring"]).stdout.matches("\"inferred\":true").count();
    assert_eq!(still_inferred(), 2);
    world.put("echoes.jsonl", echoes(&world));
    let proven = world.json(["campaign", "settle", "spring", "--echoes", "library/echoes.jsonl"]).ended_with(0);
    assert_eq!((still_inferred(), &closing(&proven)["duplicate_messages"]), (0, &json!(0)));
}

#[test]
fn what_a_killed_process_left_is_looked_for_by_the_time_of_its_intent() {
    let world = fast_world();
    campaign(&world, 2, TEXT);
    let_them_have_written(&world, 2);
    let stall = json!({"on": "send", "when": "after", "times": 9, "fault": {"stall": true}});
    world.sandbox().set_faults(stall).expect("a fault");
    let mut child = world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
    wait_until("both", || world.counts().messages_accepted == 2);
    child.kill().expect("killed");
    child.wait().expect("ends");
    // However late somebody looks.
    world.sandbox().advance_clock(Duration::from_mins(50));
    let asked = world.json(ASK_META).ended_with(0);
    assert_eq!(verdicts(&asked.events_of("settled")), inferred(&["sent", "sent"]));
    check_against_truth(&world);
}

#[test]
fn what_an_earlier_plan_sent_is_not_looked_for_by_the_words_of_this_one() {
    let world = fast_world();
    campaign(&world, 1, "[[message]]\ntext = \"Helo {name}\"\n");
    let_them_have_written(&world, 1);
    lose_answers(&world, 1);
    run(&world).ended_with(7);
    world.sandbox().advance_clock(Duration::from_mins(4));
    campaign(&world, 1, TEXT);
    world.json(["campaign", "plan", "library/spring.toml", "--replan"]).ended_with(0);
    let asked = world.json(ASK_META).ended_with(7);
    assert_eq!(verdicts(&asked.events_of("settled")), inferred(&["unknown"]), "it arrived, in other words");
    assert!(asked.stdout.contains("may be it, or not"), "{}", asked.stdout);
    // Nobody's word sends it again to those in whose conversation it may have been found.
    let assumed = world.json(ASK_META.into_iter().chain(["--assume", "not-sent"])).ended_with(7);
    assert!(assumed.stderr.contains("1 message left unknown"), "{}", assumed.stderr);
    run(&world).ended_with(7);
    assert_eq!(world.truth().message_count, 1);
}

#[test]
fn evidence_that_cannot_be_read_takes_nothing_for_not_sent() {
    let world = fast_world();
    campaign(&world, 1, TEXT);
    lose_answers(&world, 1);
    run(&world).ended_with(7);
    world.put("echoes.jsonl", echoes(&world).split_at(20).0);
    let settle = ["campaign", "settle", "spring", "--assume", "not-sent", "--echoes", "library/echoes.jsonl"];
    let refused = world.json(settle).ended_with(7);
    assert_eq!(closing(&refused)["unknown"], 1, "it may be in what was cut off");
    assert!(refused.stderr.contains("nothing is taken for not sent"), "{}", refused.stderr);
    assert_eq!(closing(&world.json(&settle[..5]).ended_with(0))["pending"], 1, "without it, it is their word");
}

#[test]
fn an_echo_of_an_attempt_nobody_knows_of_takes_nothing_for_not_sent() {
    let world = fast_world();
    campaign(&world, 1, TEXT);
    lose_answers(&world, 1);
    run(&world).ended_with(7);
    // As the record would stand behind the loss of what came after the first attempt.
    let later = echoes(&world).replacen(":1:", ":2:", 1);
    world.put("later.jsonl", later);
    let settle = ["campaign", "settle", "spring", "--assume", "not-sent", "--echoes", "library/later.jsonl"];
    let kept = world.json(settle).ended_with(7);
    assert_eq!((&closing(&kept)["unknown"], &closing(&kept)["pending"]), (&json!(1), &json!(0)), "they have it");
    assert!(kept.stderr.contains("1 message left unknown"), "{}", kept.stderr);
}

#[test]
fn a_missing_permission_ends_it_with_metas_words_and_keeps_what_was_settled() {
    let world = fast_world();
    campaign(&world, 6, TEXT);
    let_them_have_written(&world, 6);
    lose_answers(&world, 2);
    run(&world).ended_with(7);
    let pass = json!({"on": "conversations", "times": 2, "fault": {"pass": true}});
    let denied = json!({"graph": {"code": 10, "message": "(#10) needs pages_read_engagement"}, "status": 400});
    let denied = json!({"on": "conversations", "times": 9, "fault": denied});
    world.sandbox().set_faults(json!([pass, denied])).expect("faults");
    let asked = world.json([&ASK_META[..], &["--assume", "not-sent"]].concat()).ended_with(4);
    let error = asked.events_of("error");
    assert!(error[0]["message"].as_str().is_some_and(|words| words.contains("pages_read_engagement")), "{error:?}");
    let closed = closing(&asked);
    assert_eq!((&closed["unknown"], &closed["sent"]), (&json!(1), &json!(5)), "nobody's word was taken for the rest");
    world.sandbox().clear_faults();
    world.json(ASK_META).ended_with(0);
    check_against_truth(&world);
}

#[test]
fn only_people_known_by_their_psid_can_be_asked_about() {
    let world = fast_world();
    world.put("people.csv", "recipient,name\nuser_ref:abc,Ada\n");
    world.put("spring.toml", format!("name = \"spring\"\nrecipients = \"people.csv\"\n{TEXT}"));
    lose_answers(&world, 1);
    run(&world).ended_with(7);
    let asked = world.json(ASK_META).ended_with(7);
    let reason = asked.events_of("settled")[0]["evidence"]["reason"].as_str().expect("words").to_owned();
    assert!(reason.contains("PSID"), "{reason}");
    assert_eq!(world.counts().requests.conversations, 0);
}

#[test]
fn an_echo_of_an_earlier_attempt_settles_it_and_names_who_got_it_twice() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    lose_answers(&world, 2);
    run(&world).ended_with(7);
    // Both are sent again; one answer is lost again.
    lose_answers(&world, 1);
    world.json(["campaign", "resume", "spring", "--scope", "unknown", "--yes"]).ended_with(7);
    assert_eq!(world.truth().message_count, 5);
    let all = echoes(&world);
    let first = |line: &&str| line.contains(":1:");
    world.put("first.jsonl", all.lines().filter(first).collect::<Vec<_>>().join("\n"));
    let settled = world.json(["campaign", "settle", "spring", "--echoes", "library/first.jsonl"]).ended_with(0);
    assert_eq!((&closing(&settled)["sent"], &closing(&settled)["duplicate_messages"]), (&json!(3), &json!(1)));
    world.put("all.jsonl", all);
    let settled = world.json(["campaign", "settle", "spring", "--echoes", "library/all.jsonl"]).ended_with(0);
    assert_eq!(closing(&settled)["duplicate_messages"], 2);
    let twice = settled.events_of("duplicate");
    let mut ids: Vec<_> = twice.iter().flat_map(|one| [&one["message_id"], &one["duplicate_ids"][0]]).collect();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 4, "{twice:?}");
    let csv = world.run(["campaign", "export", "spring"]).ended_with(0).stdout;
    assert_eq!(csv.lines().filter(|line| line.ends_with(",1")).count(), 2, "{csv}");
}

#[test]
fn an_echo_comes_in_time_after_a_wrong_word() {
    let world = fast_world();
    campaign(&world, 3, TEXT);
    lose_answers(&world, 1);
    run(&world).ended_with(7);
    world.json(["campaign", "settle", "spring", "--assume", "not-sent"]).ended_with(0);
    world.put("echoes.jsonl", echoes(&world));
    world.json(["campaign", "settle", "spring", "--echoes", "library/echoes.jsonl"]).ended_with(0);
    assert_eq!(closing(&run(&world).ended_with(0))["sent"], 3);
    check_against_truth(&world);
}

/// Runs the binary with a terminal on its standard input, on which `typed` was typed; gives what it said there.
fn on_a_terminal(world: &World, arguments: &[&str], typed: &str) -> (Option<i32>, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("its name").into_string().expect("text");
    let theirs = std::fs::OpenOptions::new().read(true).write(true).open(name).expect("its other end");
    let mut ours = std::fs::File::from(ours);
    ours.write_all(typed.as_bytes()).expect("typed");
    let output = world.command(arguments).stdin(theirs).output().expect("the binary runs");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.stderr.as_slice().read_to_string(&mut said).expect("text");
    (output.status.code(), said)
}

const ASK: &str = "delivery = \"ask\"\n";

#[test]
fn a_campaign_that_asks_does_as_is_answered() {
    let world = fast_world();
    campaign(&world, 6, &format!("{ASK}{TEXT}"));
    lose_answers(&world, 3);
    let (code, said) = on_a_terminal(&world, &["campaign", "run", "library/spring.toml"], "y\nperhaps\ns\na\nl\n");
    assert_eq!(code, Some(7), "{said}");
    assert_eq!(said.matches("sent, send again, or leave it?").count(), 4, "{said}");
    assert!(said.contains("1 message taken for sent") && said.contains("1 message to be sent again"), "{said}");
    let status = closing(&world.json(["campaign", "status", "spring"]).ended_with(0));
    assert_eq!((&status["sent"], &status["pending"], &status["unknown"]), (&json!(4), &json!(1), &json!(1)));
    run(&world).ended_with(7);
    let twice = world.truth().messages.iter().filter_map(TruthMessage::recipient).collect::<Vec<_>>();
    assert_eq!(twice.len(), 7, "one was sent again: {twice:?}");
}

#[test]
fn a_capital_answers_for_all_and_the_end_of_input_for_none() {
    for (typed, unknown, ends) in [("y\nS\n", 0, 0), ("y\nA\n", 0, 5), ("y\ns\n\u{4}", 2, 7)] {
        let world = fast_world();
        campaign(&world, 5, &format!("{ASK}{TEXT}"));
        lose_answers(&world, 3);
        let (code, said) = on_a_terminal(&world, &["campaign", "run", "library/spring.toml"], typed);
        assert_eq!(code, Some(ends), "{said}");
        let left = exported(&world).into_values().filter(|outcome| outcome == "unknown").count();
        assert_eq!(left, unknown, "{said}");
    }
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let world = fast_world();
    campaign(&world, 5, &format!("{ASK}{TEXT}"));
    lose_answers(&world, 2);
    let ran = world.run(["campaign", "run", "library/spring.toml", "--yes"]).ended_with(7);
    assert!(ran.stdout.contains("2 messages may have arrived: `reattach campaign settle spring`"), "{ran:?}");
    assert!(!ran.stderr.contains("leave it?"), "{ran:?}");
}

#[tokio::test]
async fn two_who_decide_at_once_are_not_in_each_others_way() {
    const PEOPLE: u64 = 3;
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign = planned_for(&room, PEOPLE, "[[message]]\ntext = \"Hi\"\n").await;
    let now = room.clock.now();
    let enlisted = room.record.enlist(campaign.id, 1, now).await.expect("an answer");
    let Enlisted::Won(worker) = enlisted else { panic!("nobody has it") };
    let claims = room.record.claim_deliveries(&worker, Reach::All, 9, now).await.expect("claimed");
    for event in [
        Event::Intend { nonce: 1, variant: None },
        Event::Doubt { why: Refusal { code: None, subcode: None, reason: "lost".to_owned() } },
    ] {
        let entries: Vec<_> =
            claims.rows.iter().map(|row| Entry { key: row.key, event: event.clone(), at: now }).collect();
        room.record.write(&worker, &entries).await.expect("written");
    }
    room.record.retire(&worker, now).await.expect("retired");
    let nothing = BTreeSet::new();
    let decide = || assume(&*room.record, campaign.id, Assumption::Sent, &nothing, now);
    let (one, other) = tokio::join!(decide(), decide());
    assert_eq!(one.expect("decided") + other.expect("decided"), PEOPLE);
}
