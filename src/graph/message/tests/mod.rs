//! Whole requests: the reference's table row by row, and properties of any JSON.

mod properties;
mod reference;

use serde_json::{Map, Value, json};

use super::*;

fn map(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(json) => json,
        other => panic!("{other} is no object"),
    }
}

/// Checks what `typed` is written as, that Meta's rules let it pass, and that the same written by hand is taken for it.
fn assert_written(typed: &SendRequest, body: &Value) {
    assert_eq!(Value::Object(typed.to_json()), *body);
    assert_eq!(typed.check(), Ok(()));
    let mut read = SendRequest::from_json(map(body.clone())).expect("a body");
    read.envelope.allow = typed.envelope.allow;
    assert_eq!(read, *typed);
    assert_taken(body);
}

/// Checks that `body`, written by hand, passes and is sent as it is.
fn assert_taken(body: &Value) {
    let mut read = SendRequest::from_json(map(body.clone())).expect("a body");
    read.envelope.allow = Allow { retired_tags: true, attachment_lists: true };
    assert_eq!(read.check(), Ok(()));
    assert_eq!(Value::Object(read.to_json()), *body);
}

/// The body around `message`.
fn around(message: &Value) -> Value {
    json!({"recipient": {"id": "1"}, "messaging_type": "RESPONSE", "message": message})
}

fn to_somebody(content: impl Into<Content>) -> SendRequest {
    SendRequest::new("1".parse().expect("a PSID"), content)
}
