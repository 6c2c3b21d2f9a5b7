//! `POST /{page}/messages`: one message or one sender action to one person.
//!
//! Source: Messenger Platform, Send API reference (v25.0); Graph API reference, Page `messages` edge (v25.0).

use serde_json::{Map, Value};

use super::super::error::GraphError;
use super::super::limits::Load;
use super::super::pages::SandboxPage;
use super::super::params::{GLOBAL, Params};
use super::super::people::{Occasion, Person, PersonPlatform};
use super::super::recipient::{self, Recipient};
use super::super::recipient_errors::RecipientError;
use super::super::shape::{self, Object, only, present};
use super::super::shared::Shared;
use super::super::state::NewMessage;
use super::Target;
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
const TAGS: [(&str, Occasion); 3] = [
    ("CUSTOMER_FEEDBACK", Occasion::CustomerFeedback),
    ("HUMAN_AGENT", Occasion::HumanAgent),
    ("NON_PROMOTIONAL_SUBSCRIPTION", Occasion::News),
];

/// What the request weighs against the Page's limits.
pub(super) fn load(target: Target, fields: &Object) -> Load {
    if target != Target::Send {
        return Load::Call;
    }
    let attachment = fields.get("message").and_then(|message| message.get("attachment"));
    let kind = |of: Option<&Value>| of.and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let own = kind(attachment.and_then(|attachment| attachment.get("type")));
    let in_template = kind(attachment.and_then(|attachment| attachment.pointer("/payload/elements/0/media_type")));
    if matches!(own.as_str(), "audio" | "video") || in_template == "video" { Load::Media } else { Load::Message }
}

pub(super) fn run(shared: &Shared, page: &'static SandboxPage, mut params: Params) -> Result<Value, GraphError> {
    params.fields.retain(|name, _| !GLOBAL.contains(&name.as_str()));
    let fields = &params.fields;
    only(fields, &PARAMS, "request")?;
    let recipient = recipient::check(fields)?;
    let person = shared.people().find(&recipient.name);
    let occasion = check_manner(fields, person.platform())?;
    let action = shape::one_of(fields, "sender_action", "sender_action", &ACTIONS)?;
    let mut answer = Map::new();
    if let Some(id) = recipient.answered_id() {
        answer.insert("recipient_id".to_owned(), id.into());
    }
    match (shape::object(fields, "message", "message")?, action) {
        (Some(_), Some(_)) => return Err(GraphError::message_and_action()),
        (None, None) => return Err(GraphError::empty_message()),
        (None, Some(action)) => {
            check_action(fields, action)?;
            person.reach()?;
            let new = NewMessage { request: params.fields, attachment_id: None, chunked: params.chunked };
            shared.state().add_message(page, shared.clock.now(), new);
        }
        (Some(_), None) => answer.extend(Delivery { recipient, person, occasion }.run(shared, page, params)?),
    }
    shared.counters.message_accepted();
    shared.changed.notify_one();
    Ok(answer.into())
}

/// A message on its way to somebody.
#[derive(Debug)]
struct Delivery {
    recipient: Recipient,
    person: Person,
    occasion: Occasion,
}

impl Delivery {
    /// Stores what the message brings, logs it, and gives its part of the answer.
    fn run(&self, shared: &Shared, page: &'static SandboxPage, params: Params) -> Result<Object, GraphError> {
        let Params { fields, files, content_length, chunked } = params;
        let body = fields["message"].as_object().ok_or_else(GraphError::empty_message)?;
        let needs = message::check(body, &files, self.person.platform())?;
        let now = shared.clock.now();
        self.person.reach()?;
        self.person.receive(&self.recipient, self.occasion, now)?;
        let mut state = shared.state();
        if self.recipient.is_activity() && state.has_replied(page, &self.recipient.name) {
            return Err(RecipientError::ALREADY_REPLIED.into());
        }
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
}

/// A reaction says to which message, and which. Source: Send API reference, `sender_action` and `payload` (v25.0).
fn check_action(fields: &Object, action: &str) -> Result<(), GraphError> {
    let needs: &[&str] = match action {
        "react" => &["message_id", "reaction"],
        "unreact" => &["message_id"],
        _ => return Ok(()),
    };
    let payload = shape::object(fields, "payload", "payload")?.ok_or_else(|| GraphError::required("payload"))?;
    only(payload, &["message_id", "reaction"], "payload")?;
    for key in needs {
        let param = format!("payload[{key}]");
        shape::text(payload, key, &param)?.ok_or_else(|| GraphError::required(&param))?;
    }
    Ok(())
}

/// Everything but who and what: type, tag, push, persona, reply. Gives the reason for sending.
fn check_manner(fields: &Object, platform: PersonPlatform) -> Result<Occasion, GraphError> {
    let messaging_type = shape::one_of(fields, "messaging_type", "messaging_type", &MESSAGING_TYPES)?;
    let message = fields.get("message");
    if messaging_type == Some("UTILITY") && message.and_then(|message| message.get("template")).is_none() {
        return Err(GraphError::required("message[template]"));
    }
    let occasion = match present(fields, "tag") {
        Some(tag) => tagged(tag, message, platform)?,
        None if messaging_type == Some("MESSAGE_TAG") => return Err(GraphError::required("tag")),
        None if messaging_type == Some("UTILITY") => Occasion::Utility,
        None => Occasion::Conversation,
    };
    shape::one_of(fields, "notification_type", "notification_type", &NOTIFICATION_TYPES)?;
    shape::numeric(fields, "persona_id", "persona_id")?;
    shape::object(fields, "thread_control", "thread_control")?;
    if let Some(reply_to) = shape::object(fields, "reply_to", "reply_to")? {
        only(reply_to, &["mid"], "reply_to")?;
        shape::text(reply_to, "mid", "reply_to[mid]")?.ok_or_else(|| GraphError::required("reply_to[mid]"))?;
    }
    Ok(occasion)
}

/// What a tag stands for, if the message may bear it. Instagram has one tag only.
fn tagged(tag: &Value, message: Option<&Value>, platform: PersonPlatform) -> Result<Occasion, GraphError> {
    let invalid = || GraphError::parameter("Invalid tag.");
    let known = tag.as_str().and_then(|tag| TAGS.iter().find(|(known, _)| *known == tag));
    let (_, occasion) = known.ok_or_else(invalid)?;
    if platform == PersonPlatform::Instagram && *occasion != Occasion::HumanAgent {
        return Err(invalid());
    }
    let template = message.and_then(|message| message.pointer("/attachment/payload/template_type"));
    let asks_for_feedback = template.and_then(Value::as_str) == Some("customer_feedback");
    if *occasion == Occasion::CustomerFeedback && message.is_some() && !asks_for_feedback {
        let message = "The tag CUSTOMER_FEEDBACK can only be used with the customer feedback template";
        return Err(GraphError::parameter(message));
    }
    Ok(*occasion)
}
