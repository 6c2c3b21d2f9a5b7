//! Who a message is for.
//!
//! Source: Graph API reference, Page `messages` edge, parameter `recipient` (v25.0).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::shape::{self, Object, only, present};
use super::wire::GraphError;

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

/// Checks `recipient`; gives the `recipient_id` of the answer, `None` where Meta keeps it to itself.
pub(super) fn check(fields: &Object) -> Result<Option<String>, GraphError> {
    let recipient = shape::object(fields, "recipient", "recipient")?
        .filter(|recipient| !recipient.is_empty())
        .ok_or_else(|| GraphError::parameter("param recipient must be non-empty."))?;
    only(recipient, &[FORMS.as_slice(), &["name"]].concat(), "recipient")?;
    let mut forms = FORMS.into_iter().filter(|form| present(recipient, form).is_some());
    let (Some(form), None) = (forms.next(), forms.next()) else {
        return Err(GraphError::parameter("Param recipient must name exactly one person"));
    };
    let param = format!("recipient[{form}]");
    if matches!(form, "id" | "player_id") {
        let id = shape::numeric(recipient, form, &param)?;
        return Ok(if form == "id" { id } else { id.as_deref().map(made_up_psid) });
    }
    match shape::text(recipient, form, &param)? {
        Some(value) if !value.is_empty() => Ok((!ANONYMOUS.contains(&form)).then(|| made_up_psid(value))),
        _ => Err(GraphError::parameter(format!("param {param} must be non-empty."))),
    }
}

/// The id, or whatever else the recipient in `fields` is named by; `None` if nobody is named.
pub(super) fn value_in(fields: &Map<String, Value>) -> Option<String> {
    let recipient = fields.get("recipient")?.as_object()?;
    match FORMS.into_iter().find_map(|form| present(recipient, form))? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A page-scoped id for somebody who was named in another way: the same one each time.
fn made_up_psid(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(name).into();
    let number = digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{}", 2_000_000_000_000_000 + number % 1_000_000_000_000_000)
}
