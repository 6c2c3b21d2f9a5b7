//! Every row of the error table of Meta's reference for Page messages, as a user of `send` meets it.
//!
//! **Source**: Graph API reference, Page `messages` edge, "Error Codes" (v25.0).

use serde_json::json;

use crate::support::World;

/// Sends one message that Meta answers with `code` and its words; then again, where Meta would take it.
#[track_caller]
fn send_refused_with(code: i64, words: &str, class: &str, exit: i32) {
    let world = World::new();
    let fault = json!({"on": "send", "fault": {"graph": {"code": code, "message": words, "fbtrace_id": "T7"}}});
    world.sandbox().set_faults(fault).expect("a fault");
    let send = ["send", "--to", "1254459154682919", "--text", "once", "--max-wait", "1s"];
    let run = world.json(send).ended_with(exit);
    let event = &run.events_of("send")[0];
    assert_eq!(event["outcome"], "failed", "a refusal proves that nothing was sent");
    let error = &event["error"];
    assert_eq!((&error["code"], &error["subcode"]), (&json!(code), &json!(null)));
    assert_eq!((error["class"].as_str(), error["fbtrace_id"].as_str()), (Some(class), Some("T7")));
    assert!(error["message"].as_str().expect("words").contains(words), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{error}");
    assert!(run.stderr.contains(words) && run.stderr.contains("hint:"), "{}", run.stderr);
    assert_eq!((world.truth().counters.requests.send, world.truth().message_count), (1, 0), "it was not tried again");
    world.json(send).ended_with(0);
}

macro_rules! rows {
    ($($name:ident($code:literal, $words:literal): $class:literal, exit $exit:literal;)*) => {
        $(
            #[test]
            fn $name() {
                send_refused_with($code, $words, $class, $exit);
            }
        )*
    };
}

rows! {
    error_551(551, "This person isn't available right now."): "recipient", exit 3;
    error_100(100, "Invalid parameter"): "request", exit 3;
    error_2022(2022, "The ability to send commerce messages has been temporarily disabled for this application."): "stop", exit 4;
    error_613(613, "Calls to this api have exceeded the rate limit."): "rate_limit", exit 5;
    error_10903(10903, "This user cant reply to this activity"): "window", exit 3;
    error_190(190, "Invalid OAuth 2.0 Access Token"): "token", exit 4;
    error_10900(10900, "Activity already replied to"): "window", exit 3;
    error_200(200, "Permissions error"): "permission", exit 4;
    error_368(368, "The action attempted has been deemed abusive or is otherwise disallowed"): "stop", exit 4;
    error_10901(10901, "Activity replying time expired"): "window", exit 3;
}
