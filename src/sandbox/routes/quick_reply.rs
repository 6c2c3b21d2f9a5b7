//! Quick replies: what people may tap in answer to a message.
//!
//! Source: Page `messages` edge, `quick_replies` (v25.0); Messenger Platform, Quick Replies (v25.0).

use super::super::error::GraphError;
use super::super::shape::{self, Object, only};

const MAX_REPLIES: usize = 13;
const CONTENT_TYPES: [&str; 22] = [
    "location",
    "user_phone_number",
    "user_email",
    "user_city",
    "user_birthday",
    "user_state",
    "user_zip_code",
    "open_camera",
    "open_gallery",
    "record_audio",
    "poll",
    "text",
    "open_native",
    "sticker",
    "open_app",
    "p2p_payment",
    "transportation",
    "create_event",
    "gif",
    "bic_opt_in",
    "display_persistent_menu",
    "business_lead_form",
];

/// Checks the quick replies of `message`, if it has any.
pub(super) fn check(message: &Object) -> Result<(), GraphError> {
    let param = "message[quick_replies]";
    let Some(replies) = shape::list(message, "quick_replies", param)? else { return Ok(()) };
    if replies.len() > MAX_REPLIES {
        return Err(GraphError::parameter(format!("Param {param} must have at most {MAX_REPLIES} items")));
    }
    for (place, reply) in replies.iter().enumerate() {
        let param = format!("{param}[{place}]");
        let reply = reply.as_object().ok_or_else(|| GraphError::required(&param))?;
        only(reply, &["content_type", "data", "image_url", "payload", "title"], &param)?;
        let type_param = format!("{param}[content_type]");
        let kind = shape::one_of(reply, "content_type", &type_param, &CONTENT_TYPES)?;
        let needed = kind.ok_or_else(|| GraphError::required(&type_param))? == "text";
        for key in ["title", "payload"] {
            let param = format!("{param}[{key}]");
            let text = shape::text(reply, key, &param)?.filter(|text| !text.is_empty());
            if needed && text.is_none() {
                return Err(GraphError::required(&param));
            }
        }
        shape::object(reply, "data", &format!("{param}[data]"))?;
        shape::text(reply, "image_url", &format!("{param}[image_url]"))?;
    }
    Ok(())
}
