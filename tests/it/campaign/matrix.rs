//! Every way a send can go wrong: each ends with what is printed, what is stored and what Meta has seen in agreement.

use serde_json::{Value, json};

use super::{TEXT, campaign, check_against_truth, closing, fast_world, run};

const PEOPLE: u64 = 40;

/// What a run comes to whose first sends go wrong: its exit code, and how many are unknown and failed.
struct Case {
    fault: Value,
    exit: i32,
    unknown: u64,
    failed: u64,
}

fn refusal(code: i64, subcode: Option<i64>, status: u16) -> Value {
    json!({"graph": {"code": code, "error_subcode": subcode, "message": "no"}, "status": status})
}

/// The fault strikes three sends, with others between them.
fn thrice(when: &str, fault: &Value) -> Value {
    json!({"on": "send", "when": when, "times": 3, "every": 4, "fault": fault})
}

fn harmless(fault: Value) -> Case {
    Case { fault, exit: 0, unknown: 0, failed: 0 }
}

fn doubtful(fault: Value) -> Case {
    Case { fault, exit: 7, unknown: 3, failed: 0 }
}

fn cases() -> Vec<Case> {
    let mut throttle = refusal(613, None, 400);
    throttle["headers"] = json!({"Retry-After": "1"});
    vec![
        harmless(thrice("before", &throttle)),
        doubtful(thrice("before", &json!({"reset": true}))),
        doubtful(thrice("after", &json!({"reset": true}))),
        doubtful(thrice("after", &json!({"truncate": true}))),
        doubtful(thrice("after", &json!({"status": 500, "html": true}))),
        doubtful(thrice("after", &json!({"html": true}))),
        doubtful(thrice("after", &json!({"status": 200, "body": "null"}))),
        doubtful(thrice("before", &refusal(1, Some(1_357_046), 500))),
        Case { fault: thrice("before", &refusal(551, None, 400)), exit: 3, unknown: 0, failed: 3 },
    ]
}

#[test]
fn whatever_goes_wrong_is_counted_as_what_it_was() {
    for Case { fault, exit, unknown, failed } in cases() {
        let world = fast_world();
        campaign(&world, PEOPLE, TEXT);
        world.sandbox().set_faults(fault.clone()).expect("a fault");
        let closed = closing(&run(&world).ended_with(exit));
        let counted =
            ["unknown", "failed", "pending", "sent"].map(|outcome| closed[outcome].as_u64().expect("a count"));
        assert_eq!(counted, [unknown, failed, 0, PEOPLE - unknown - failed], "{fault}: {closed}");
        check_against_truth(&world);
    }
}

#[test]
fn a_page_that_is_shut_out_for_a_while_sends_to_everybody_once_in_the_end() {
    let world = fast_world();
    campaign(&world, 100, TEXT);
    let throttle = json!({
        "graph": {"code": 613, "message": "slow down"}, "status": 400, "headers": {"Retry-After": "1"},
    });
    let pass = json!({"on": "send", "times": 20, "fault": {"pass": true}});
    world.sandbox().set_faults(json!([pass, {"on": "send", "times": 30, "fault": throttle}])).expect("faults");
    let closed = closing(&run(&world).ended_with(0));
    let counted = ["sent", "failed", "unknown"].map(|outcome| closed[outcome].as_u64().expect("a count"));
    assert_eq!(counted, [100, 0, 0], "{closed}");
    check_against_truth(&world);
}

#[test]
fn a_token_that_dies_among_doubts_and_throttles_leaves_everybody_where_they_stand() {
    let world = fast_world();
    campaign(&world, 120, TEXT);
    let pass = json!({"on": "send", "times": 20, "fault": {"pass": true}});
    let lost = json!({"on": "send", "when": "after", "times": 2, "fault": {"reset": true}});
    let dead = json!({"on": "send", "times": 1000, "fault": refusal(190, None, 400)});
    world.sandbox().set_faults(json!([pass, lost, pass, dead])).expect("faults");
    let closed = closing(&run(&world).ended_with(7));
    let counted = ["sent", "failed", "unknown", "pending"].map(|outcome| closed[outcome].as_u64().expect("a count"));
    assert_eq!(counted, [40, 0, 2, 78], "{closed}");
    check_against_truth(&world);
    world.sandbox().clear_faults();
    assert_eq!(closing(&run(&world).ended_with(7))["sent"], 118);
    check_against_truth(&world);
}

#[test]
fn a_refusal_nobody_lists_is_one_persons_until_it_is_everybodys() {
    let world = fast_world();
    campaign(&world, 20, TEXT);
    let blocked = json!({"on": "send", "recipient": "1003", "times": 9, "fault": refusal(10, Some(9_999_999), 403)});
    world.sandbox().set_faults(blocked).expect("a fault");
    let closed = closing(&run(&world).ended_with(3));
    assert_eq!((&closed["sent"], &closed["failed"], &closed["state"]), (&json!(19), &json!(1), &json!("finished")));
    check_against_truth(&world);

    let world = fast_world();
    campaign(&world, 100, &format!("concurrency = 4\n{TEXT}"));
    let pass = json!({"on": "send", "times": 20, "fault": {"pass": true}});
    let all = json!({"on": "send", "times": 1000, "fault": refusal(10, Some(9_999_999), 403)});
    world.sandbox().set_faults(json!([pass, all])).expect("faults");
    let closed = closing(&run(&world));
    assert_eq!((&closed["sent"], &closed["state"]), (&json!(20), &json!("paused")));
    // Those that were under way by then are among them.
    assert!(closed["failed"].as_u64().is_some_and(|failed| (5..20).contains(&failed)), "{closed}");
    world.sandbox().clear_faults();
    let again = ["campaign", "resume", "spring", "--yes", "--scope", "failed"];
    assert_eq!(closing(&world.json(again).ended_with(0))["sent"], 100);
    check_against_truth(&world);
}
