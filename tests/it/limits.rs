//! What users see of Meta's rate limits.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::pictures::png;

fn throttle(seconds: u32, times: u32) -> Value {
    let refusal = json!({"code": 613, "message": "(#613) Calls to this api have exceeded the rate limit."});
    let fault = json!({"graph": refusal, "status": 400, "headers": {"Retry-After": seconds.to_string()}});
    json!({"on": "upload", "fault": fault, "times": times})
}

#[test]
fn a_throttle_that_outlasts_our_patience_puts_files_off_and_fails_none() {
    let world = World::new();
    for number in 1..=6 {
        world.put(format!("{number}.png"), png(number));
    }
    world.sandbox().set_faults(throttle(600, 6)).expect("a fault");
    let run = world.json(["sync", "library", "--max-wait", "5s"]).ended_with(5);
    let summary = run.summary();
    assert_eq!((&summary["deferred"], &summary["failed"]), (&json!(6), &json!(0)));
    let error = &run.events_of("error")[0];
    assert_eq!(
        (&error["code"], &error["class"], &error["retryable"]),
        (&json!(613), &json!("rate_limit"), &json!(true))
    );
    world.sandbox().set_faults(json!([])).expect("no fault");
    let people = world.run(["sync", "library", "--max-wait", "5s"]).ended_with(0).stdout;
    assert!(people.contains("6 uploaded"), "{people}");
}

#[test]
fn all_uploads_wait_together_and_one_line_says_so() {
    let world = World::new();
    for number in 1..=6 {
        world.put(format!("{number}.png"), png(number));
    }
    world.sandbox().set_faults(throttle(4, 1)).expect("a fault");
    let run = world.run(["sync", "library"]).ended_with(0);
    assert_eq!(run.stderr.matches("waiting for Meta: back at ").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("code 613, trace "), "{}", run.stderr);
    assert_eq!(world.uploads(), 6);
}
