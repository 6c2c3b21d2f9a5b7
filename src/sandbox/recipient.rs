//! Who a message is for.
//!
//! Source: Graph API reference, Page `messages` edge, parameter `recipient` (v25.0).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::GraphError;
use super::shape::{self, Object, only, present};

/// The ways to name somebody; a message uses exactly one.
const FORMS: [&str; 9] = [
    "id",
    "user_ref",
    "comment_id",
    "post_id",
    "phone_number",
    "player_id",
    "one_time_notif_token",
    "notification_messages_token",
    "login_id",
];

/// Forms that are answered without a `recipient_id`.
const ANONYMOUS: [&str; 2] = ["user_ref", "phone_number"];
/// Forms that name something to reply to in private, once. Source: Send a Message, Private Replies.
const ACTIVITIES: [&str; 2] = ["comment_id", "post_id"];

/// Somebody a message names.
#[derive(Debug)]
pub(super) struct Recipient {
    form: &'static str,
    /// The id, or whatever else they are named by.
    pub(super) name: String,
}

impl Recipient {
    /// The `recipient_id` of the answer; `None` where Meta keeps it to itself.
    pub(super) fn answered_id(&self) -> Option<String> {
        match self.form {
            "id" => Some(self.name.clone()),
            form if ANONYMOUS.contains(&form) => None,
            _ => Some(made_up_psid(&self.name)),
        }
    }

    /// Whether it is a comment or a post, which is replied to once.
    pub(super) fn is_activity(&self) -> bool {
        ACTIVITIES.contains(&self.form)
    }
}

/// The recipient `fields` name, once everything about it is checked.
pub(super) fn check(fields: &Object) -> Result<Recipient, GraphError> {
    let recipient = shape::object(fields, "recipient", "recipient")?
        .filter(|recipient| !recipient.is_empty())
        .ok_or_else(|| GraphError::parameter("param recipient must be non-empty."))?;
    only(recipient, &[FORMS.as_slice(), &["name"]].concat(), "recipient")?;
    let mut forms = FORMS.into_iter().filter(|form| present(recipient, form).is_some());
    let (Some(form), None) = (forms.next(), forms.next()) else {
        return Err(GraphError::parameter("Param recipient must name exactly one person"));
    };
    if let Some(name) = shape::object(recipient, "name", "recipient[name]")? {
        only(name, &["first_name", "last_name"], "recipient[name]")?;
        for part in ["first_name", "last_name"] {
            shape::text(name, part, &format!("recipient[name][{part}]"))?;
        }
    }
    let param = format!("recipient[{form}]");
    let name = if matches!(form, "id" | "player_id") {
        shape::numeric(recipient, form, &param)?
    } else {
        shape::text(recipient, form, &param)?.filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let name = name.ok_or_else(|| GraphError::parameter(format!("param {param} must be non-empty.")))?;
    Ok(Recipient { form, name })
}

/// The id, or whatever else the recipient in `fields` is named by; `None` if nobody is named.
pub(super) fn value_in(fields: &Map<String, Value>) -> Option<String> {
    let recipient = fields.get("recipient")?.as_object()?;
    match FORMS.into_iter().find_map(|form| present(recipient, form))? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The comment or post the message in `fields` replies to, if it does.
pub(super) fn activity_in(fields: &Map<String, Value>) -> Option<&str> {
    let recipient = fields.get("message").and(fields.get("recipient"))?.as_object()?;
    ACTIVITIES.into_iter().find_map(|form| recipient.get(form)?.as_str())
}

/// A page-scoped id for somebody who was named in another way: the same one each time.
fn made_up_psid(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(name).into();
    let number = digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{}", 2_000_000_000_000_000 + number % 1_000_000_000_000_000)
}
