//! `POST /{page}/messages`: one message or one sender action to one person.
//!
//! Everybody can be reached here, at any time; errors of recipients and of rates come from faults.
//!
//! Source: Messenger Platform, Send API reference (v25.0); Graph API reference, Page `messages` edge (v25.0).

use serde_json::{Map, Value};

use super::super::pages::SandboxPage;
use super::super::params::{GLOBAL, Params};
use super::super::recipient;
use super::super::shape::{self, Object, only, present};
use super::super::shared::Shared;
use super::super::state::NewMessage;
use super::super::wire::GraphError;
use super::message;

const PARAMS: [&str; 10] = [
    "message",
    "messaging_type",
    "notification_type",
    "payload",
    "persona_id",
    "recipient",
    "reply_to",
    "sender_action",
    "tag",
    "thread_control",
];

const ACTIONS: [&str; 5] = ["mark_seen", "react", "typing_off", "typing_on", "unreact"];
const MESSAGING_TYPES: [&str; 4] = ["MESSAGE_TAG", "RESPONSE", "UPDATE", "UTILITY"];
const NOTIFICATION_TYPES: [&str; 3] = ["NO_PUSH", "REGULAR", "SILENT_PUSH"];
/// Without the three that ended on 2026-04-27: `ACCOUNT_UPDATE`, `CONFIRMED_EVENT_UPDATE` and `POST_PURCHASE_UPDATE`.
/// Source: Send a Message, Message Tags (read 2026-09-11).
const TAGS: [&str; 3] = ["CUSTOMER_FEEDBACK", "HUMAN_AGENT", "NON_PROMOTIONAL_SUBSCRIPTION"];

pub(super) fn run(shared: &Shared, page: &'static SandboxPage, mut params: Params) -> Result<Value, GraphError> {
    params.fields.retain(|name, _| !GLOBAL.contains(&name.as_str()));
    let fields = &params.fields;
    only(fields, &PARAMS, "request")?;
    let recipient_id = recipient::check(fields)?;
    check_manner(fields)?;
    let action = shape::one_of(fields, "sender_action", "sender_action", &ACTIONS)?;
    let mut answer = Map::new();
    if let Some(id) = recipient_id {
        answer.insert("recipient_id".to_owned(), id.into());
    }
    match (shape::object(fields, "message", "message")?, action) {
        (Some(_), Some(_)) => return Err(GraphError::message_and_action()),
        (None, None) => return Err(GraphError::empty_message()),
        (None, Some(_)) => {
            let new = NewMessage { request: params.fields, attachment_id: None, chunked: params.chunked };
            shared.state().add_message(page, shared.clock.now(), new);
        }
        (Some(_), None) => answer.extend(deliver(shared, page, params)?),
    }
    shared.counters.message_accepted();
    shared.changed.notify_one();
    Ok(answer.into())
}

/// Stores what the message brings, logs it, and gives its part of the answer.
fn deliver(shared: &Shared, page: &'static SandboxPage, params: Params) -> Result<Object, GraphError> {
    let Params { fields, files, content_length, chunked } = params;
    let body = fields["message"].as_object().ok_or_else(GraphError::empty_message)?;
    let needs = message::check(body, &files)?;
    let now = shared.clock.now();
    let mut state = shared.state();
    if !needs.saved.iter().all(|id| state.may_send(page, id, now)) {
        return Err(GraphError::attachment_unusable());
    }
    let mut attachment_id = None;
    for media in needs.brought.into_iter().filter(|media| media.reusable) {
        attachment_id = Some(state.add_attachment(page, now, media.into_new("messenger", content_length)));
        shared.counters.upload_accepted();
    }
    let mut answer = Map::new();
    if let Some(id) = &attachment_id {
        answer.insert("attachment_id".to_owned(), id.as_str().into());
    }
    let new = NewMessage { request: fields, attachment_id, chunked };
    answer.insert("message_id".to_owned(), state.add_message(page, now, new).into());
    Ok(answer)
}

/// Everything but who and what: type, tag, push, persona, reply.
fn check_manner(fields: &Object) -> Result<(), GraphError> {
    let messaging_type = shape::one_of(fields, "messaging_type", "messaging_type", &MESSAGING_TYPES)?;
    if let Some(tag) = present(fields, "tag") {
        if !tag.as_str().is_some_and(|tag| TAGS.contains(&tag)) {
            return Err(GraphError::parameter("Invalid tag."));
        }
    } else if messaging_type == Some("MESSAGE_TAG") {
        return Err(GraphError::required("tag"));
    }
    let template = fields.get("message").and_then(|message| message.get("template"));
    if messaging_type == Some("UTILITY") && template.is_none() {
        return Err(GraphError::required("message[template]"));
    }
    shape::one_of(fields, "notification_type", "notification_type", &NOTIFICATION_TYPES)?;
    shape::numeric(fields, "persona_id", "persona_id")?;
    if let Some(reply_to) = shape::object(fields, "reply_to", "reply_to")? {
        only(reply_to, &["mid"], "reply_to")?;
        shape::text(reply_to, "mid", "reply_to[mid]")?.ok_or_else(|| GraphError::required("reply_to[mid]"))?;
    }
    Ok(())
}
