//! Campaigns that begin with a few people, and campaigns in variants.

use std::collections::{BTreeMap, BTreeSet};

use reattach::sandbox::TruthMessage;
use serde_json::{Value, json};

use super::{TEXT, campaign, check_against_truth, closing, fast_world, run};
use crate::support::World;
use crate::support::pictures::png;

fn reached(world: &World) -> BTreeSet<String> {
    world.truth().messages.iter().filter_map(TruthMessage::recipient).collect()
}

fn resume(world: &World) -> Value {
    closing(&world.json(["campaign", "resume", "spring", "--yes"]).ended_with(0))
}

#[test]
fn testers_get_it_first_then_a_few_and_then_everybody_each_after_a_yes() {
    let world = fast_world();
    campaign(&world, 200, &format!("testers = [\"1150\", 42]\ncanary = \"1%\"\n{TEXT}"));
    let ran = run(&world).ended_with(0);
    let ahead = &ran.events_of("preflight")[0];
    assert_eq!((&ahead["stage"], &ahead["stage_recipients"]), (&json!("testers"), &json!(2)));
    let closed = closing(&ran);
    assert_eq!((&closed["state"], &closed["sent"], &closed["total"]), (&json!("paused"), &json!(2), &json!(201)));
    assert!(closed["paused"].as_str().expect("why").contains("waits for a yes"), "{closed}");
    let as_set = |people: &[u64]| people.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(reached(&world), as_set(&[42, 1150]));
    let texts: BTreeSet<_> =
        world.truth().messages.iter().map(|message| message.request["message"]["text"].to_string()).collect();
    let expected = ["\"Hi n1\"", "\"Hi n150\""].map(ToOwned::to_owned);
    assert_eq!(texts, expected.into(), "who is not on the list gets what its first gets");
    // To run it again is no yes.
    assert!(run(&world).ended_with(2).stdout.contains("waits for a yes"));
    assert_eq!(reached(&world).len(), 2);
    let twice = ["campaign", "resume", "spring", "--yes", "--stage", "canary"];
    assert_eq!(closing(&world.json(twice).ended_with(0))["sent"], 4, "two of the 199 others");
    let refused = world.json(twice).ended_with(2);
    assert!(refused.stdout.contains("what comes next of the campaign spring is everybody"), "{}", refused.stdout);
    assert_eq!(reached(&world), as_set(&[42, 1150, 1001, 1002]));
    let closed = resume(&world);
    assert_eq!((&closed["state"], &closed["sent"]), (&json!("finished"), &json!(201)));
    check_against_truth(&world);
}

#[test]
fn a_no_at_a_stage_is_no_yes() {
    let world = fast_world();
    campaign(&world, 20, &format!("testers = [\"1003\"]\n{TEXT}"));
    run(&world).ended_with(0);
    // There is nobody to ask: the question is a no, and the campaign waits as before.
    world.json(["campaign", "resume", "spring"]).ended_with(2);
    run(&world).ended_with(2);
    assert_eq!(world.truth().message_count, 1);
    assert_eq!(resume(&world)["sent"], 20);
    check_against_truth(&world);
}

#[test]
fn a_stage_that_nobody_got_does_not_say_that_somebody_has_it() {
    let world = fast_world();
    campaign(&world, 20, &format!("testers = [\"1003\"]\ncanary = 2\n{TEXT}"));
    world.put("stop.txt", "1003\n1001\n");
    let ran = world.json(["campaign", "run", "library/spring.toml", "--yes", "--suppress", "library/stop.txt"]);
    let closed = closing(&ran.ended_with(0));
    assert_eq!(closed["paused"], "none of the testers is known to have it: it waits for a yes");
    assert_eq!((&closed["stage"], &closed["sent"]), (&json!("canary"), &json!(0)));
    assert!(run(&world).ended_with(2).stdout.contains("waits for a yes"), "to run it again is no yes");
    let gone = json!({"graph": {"code": 551, "message": "gone"}, "status": 400});
    world.sandbox().set_faults(json!({"on": "send", "times": 2, "fault": gone})).expect("a fault");
    let go_on = || closing(&world.json(["campaign", "resume", "spring", "--yes"]).ended_with(3));
    let closed = go_on();
    assert_eq!(closed["paused"], "none of the first few is known to have it: it waits for a yes");
    assert_eq!((&closed["stage"], &closed["failed"]), (&json!("everybody"), &json!(2)));
    let closed = go_on();
    assert_eq!((&closed["state"], &closed["sent"]), (&json!("finished"), &json!(16)));
    check_against_truth(&world);
}

#[test]
fn another_message_goes_to_the_testers_again_and_to_nobody_else_twice() {
    let world = fast_world();
    campaign(&world, 20, "testers = [\"1003\"]\n[[message]]\ntext = \"Helo {name}\"\n");
    run(&world).ended_with(0);
    campaign(&world, 20, &format!("testers = [\"1003\"]\n{TEXT}"));
    run(&world).ended_with(2);
    let replan = ["campaign", "run", "library/spring.toml", "--yes", "--replan"];
    assert_eq!(closing(&world.json(replan).ended_with(0))["sent"], 1);
    let texts: Vec<_> =
        world.truth().messages.iter().map(|message| message.request["message"]["text"].clone()).collect();
    assert_eq!(texts, [json!("Helo n3"), json!("Hi n3")]);
    // Another list is no other message: they have it, nobody has said yes to it yet, and it goes on where it was.
    campaign(&world, 21, &format!("testers = [\"1003\"]\n{TEXT}"));
    assert!(world.json(replan).ended_with(2).stdout.contains("waits for a yes"));
    assert_eq!(world.truth().message_count, 2);
    assert_eq!(resume(&world)["sent"], 21);
    assert_eq!(world.truth().message_count, 22);
    assert_eq!(reached(&world).len(), 21);
}

#[test]
fn each_gets_one_variant_and_which_is_told() {
    let world = fast_world();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    let variants = "[[message]]\ntext = \"Hi {name}\"\n[[message]]\nvariants = [\n  \
        { name = \"dog\", file = \"a.png\" },\n  { name = \"cat\", file = \"b.png\", weight = 3 },\n]\n";
    campaign(&world, 400, variants);
    let closed = closing(&run(&world).ended_with(0));
    assert_eq!((&closed["sent"], &closed["uploads"], &closed["sends_by_id"]), (&json!(800), &json!(2), &json!(400)));
    check_against_truth(&world);
    let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
    for message in world.truth().messages {
        if let Some(id) = message.request["message"]["attachment"]["payload"]["attachment_id"].as_str() {
            ids.entry(id.to_owned()).or_default().insert(message.recipient().expect("a recipient"));
        }
    }
    let mut told = BTreeMap::<String, BTreeSet<String>>::new();
    for event in world.json(["campaign", "export", "spring"]).ended_with(0).events() {
        if let Some(variant) = event["variant"].as_str() {
            assert_eq!(event["part"], 2);
            let recipient = event["recipient"].as_str().expect("a recipient").to_owned();
            told.entry(variant.to_owned()).or_default().insert(recipient);
        }
    }
    let sorted = |sets: BTreeMap<String, BTreeSet<String>>| {
        let mut sets: Vec<_> = sets.into_values().collect();
        sets.sort_by_key(BTreeSet::len);
        sets
    };
    assert!((60..140).contains(&told["dog"].len()), "{} of 400, and one of four is due", told["dog"].len());
    let counted: Vec<_> =
        closed["variants"].as_array().expect("variants").iter().map(|it| it["sent"].clone()).collect();
    assert_eq!(counted, [json!(told["cat"].len()), json!(told["dog"].len())]);
    assert_eq!(sorted(ids), sorted(told));
}
