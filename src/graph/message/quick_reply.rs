//! Quick replies: buttons above the keyboard, gone once one is tapped.

use serde::Serialize;
use serde_json::Value;

use super::attachment::web_address;
use super::error::InvalidRequest;
use super::fields::{Fields, is_digits};

/// The most quick replies. **Source**: "Quick replies" (read 2026-04-22).
const MOST_REPLIES: usize = 13;
/// The longest title, in characters. **Source**: "Quick replies" (read 2026-04-22).
const MOST_TITLE: usize = 20;
/// The longest payload, in characters. **Source**: "Quick replies" (read 2026-04-22).
const MOST_PAYLOAD: usize = 1000;

/// One quick reply.
///
/// **Source**: Graph API reference, Page `messages` edge, `message.quick_replies` (v25.0); "Quick replies" (read
/// 2026-04-22).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuickReply {
    /// What tapping it sends.
    pub content_type: QuickReplyType,
    /// What is on it, in at most 20 characters; [`Text`](QuickReplyType::Text) needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the webhook gets, in at most 1000 characters; [`Text`](QuickReplyType::Text) needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// A picture beside the title, at least 24 × 24 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// What some types need to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<QuickReplyData>,
}

impl QuickReply {
    /// A button with `title` on it, and `payload` for the webhook.
    pub fn text(title: impl Into<String>, payload: impl Into<String>) -> Self {
        Self { title: Some(title.into()), payload: Some(payload.into()), ..Self::of_type(QuickReplyType::Text) }
    }

    /// A button of a type that Meta labels itself, such as [`UserEmail`](QuickReplyType::UserEmail).
    pub fn of_type(content_type: QuickReplyType) -> Self {
        Self { content_type, title: None, payload: None, image_url: None, data: None }
    }
}

/// What tapping a quick reply sends or opens. Meta's guide describes three: text, phone number and e-mail.
///
/// **Source**: Graph API reference, Page `messages` edge, `message.quick_replies.content_type` (v25.0), in capitals;
/// "Quick replies" (read 2026-04-22), in small letters, as they are sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the reference says no more than the names")]
pub enum QuickReplyType {
    Location,
    UserPhoneNumber,
    UserEmail,
    UserCity,
    UserBirthday,
    UserState,
    UserZipCode,
    OpenCamera,
    OpenGallery,
    RecordAudio,
    Poll,
    Text,
    OpenNative,
    Sticker,
    OpenApp,
    P2pPayment,
    Transportation,
    CreateEvent,
    Gif,
    BicOptIn,
    DisplayPersistentMenu,
    BusinessLeadForm,
}

/// The words of [`QuickReplyType`], in Meta's order.
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

/// What some types of quick reply need to know.
///
/// **Source**: Graph API reference, Page `messages` edge, `message.quick_replies.data` (v25.0).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QuickReplyData {
    /// An app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// An address to go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_address: Option<String>,
    /// A sticker, by its numeric id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticker_id: Option<String>,
    /// How much is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_amount: Option<i64>,
    /// In which currency: its ISO 4217 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_currency: Option<String>,
    /// Whether money is given or asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_type: Option<PaymentType>,
    /// What can be voted for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poll_options: Vec<String>,
    /// A provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_name: Option<String>,
    /// An address inside of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_uri: Option<String>,
}

/// Whether money is given or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentType {
    /// Given.
    Pay,
    /// Asked for.
    Request,
}

/// Checks `message.quick_replies` and `message.quick_reply_type`.
pub(super) fn check(message: &Fields<'_>) -> Result<(), InvalidRequest> {
    message.text("quick_reply_type")?;
    let replies = message.objects("quick_replies")?;
    if replies.len() > MOST_REPLIES {
        let parameter = message.parameter("quick_replies");
        return Err(InvalidRequest::ItemCount { parameter, count: replies.len(), least: 1, most: MOST_REPLIES });
    }
    replies.iter().try_for_each(check_reply)
}

fn check_reply(reply: &Fields<'_>) -> Result<(), InvalidRequest> {
    let content_type = reply.required("content_type", reply.word("content_type", &CONTENT_TYPES)?)?;
    let title = reply.text("title")?;
    let payload = match reply.get("payload") {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => reply.text("payload")?.map(ToOwned::to_owned),
    };
    let image_url = reply.text("image_url")?.filter(|url| !url.is_empty());
    if let Some(url) = image_url {
        web_address(reply, "image_url", url)?;
    }
    reply.at_most("title", title.unwrap_or_default(), MOST_TITLE)?;
    reply.at_most("payload", payload.as_deref().unwrap_or_default(), MOST_PAYLOAD)?;
    if content_type == "text" {
        // With a picture either may be an empty text, but not absent.
        let said = |text: &str| image_url.is_some() || !text.trim().is_empty();
        reply.required("title", title.filter(|title| said(title)))?;
        reply.required("payload", payload.filter(|payload| said(payload)))?;
    }
    reply.object("data")?.map_or(Ok(()), |data| check_data(&data))
}

fn check_data(data: &Fields<'_>) -> Result<(), InvalidRequest> {
    let texts = ["app", "dest_address", "payment_currency", "provider_name", "native_uri"];
    texts.into_iter().try_for_each(|key| data.text(key).map(drop))?;
    data.word("payment_type", &["pay", "request"])?;
    check_sticker(data)?;
    let wrong = |key, expected| InvalidRequest::WrongType { parameter: data.parameter(key), expected };
    if data.get("payment_amount").is_some_and(|amount| !amount.is_i64() && !amount.is_u64()) {
        return Err(wrong("payment_amount", "an integer"));
    }
    match data.list("poll_options")? {
        Some(options) if !options.iter().all(Value::is_string) => Err(wrong("poll_options", "a list of strings")),
        _ => Ok(()),
    }
}

/// Checks the `sticker_id` in `fields`: digits, as a text or as an integer.
pub(super) fn check_sticker(fields: &Fields<'_>) -> Result<(), InvalidRequest> {
    match fields.get("sticker_id") {
        None => Ok(()),
        Some(Value::Number(id)) if id.is_u64() => Ok(()),
        Some(Value::String(id)) if is_digits(id) => Ok(()),
        Some(_) => Err(InvalidRequest::NotDigits { parameter: fields.parameter("sticker_id") }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_replies(replies: &Value) -> Result<(), InvalidRequest> {
        let message = json!({ "quick_replies": replies });
        check(&Fields::new("message", message.as_object().unwrap()))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test reads better so")]
    fn error(reply: Value) -> String {
        check_replies(&json!([reply])).unwrap_err().to_string()
    }

    #[test]
    fn thirteen_are_taken_and_no_more() {
        let replies = |count| json!(vec![QuickReply::text("a", "b"); count]);
        assert_eq!(check_replies(&replies(13)), Ok(()));
        let error = check_replies(&replies(14)).unwrap_err();
        assert_eq!(error.to_string(), "message[quick_replies] has 14 items; Meta takes 1 to 13");
    }

    #[test]
    fn a_text_reply_needs_a_title_and_a_payload() {
        let text = |title: &str, payload: &str| check_replies(&json!([QuickReply::text(title, payload)]));
        assert_eq!(text(&"é".repeat(20), &"é".repeat(1000)), Ok(()));
        let title = "message[quick_replies][0][title]";
        let payload = "message[quick_replies][0][payload]";
        let long = text(&"é".repeat(21), "b").unwrap_err().to_string();
        assert_eq!(long, format!("{title} has 21 characters; Meta takes 20 at most"));
        let long = text("a", &"é".repeat(1001)).unwrap_err().to_string();
        assert_eq!(long, format!("{payload} has 1001 characters; Meta takes 1000 at most"));
        assert_eq!(text(" ", "b").unwrap_err().to_string(), format!("{title} is required"));
        assert_eq!(text("a", "").unwrap_err().to_string(), format!("{payload} is required"));
        assert_eq!(error(json!({"content_type": "text", "title": "a"})), format!("{payload} is required"));
        assert_eq!(check_replies(&json!([{"content_type": "TEXT", "title": "a", "payload": 7}])), Ok(()));
    }

    #[test]
    fn a_picture_may_stand_for_the_title_and_the_payload() {
        let reply = QuickReply { image_url: Some("https://a.example/b.png".into()), ..QuickReply::text("", "") };
        assert_eq!(check_replies(&json!([reply])), Ok(()));
        let relative = QuickReply { image_url: Some("b.png".into()), ..QuickReply::text("a", "b") };
        assert!(
            error(json!(relative)).starts_with("message[quick_replies][0][image_url] should represent a valid URL")
        );
    }

    #[test]
    fn a_type_is_needed_and_known() {
        assert_eq!(error(json!({"title": "a"})), "message[quick_replies][0][content_type] is required");
        assert!(error(json!({"content_type": "mail"})).contains("[content_type] is \"mail\"; Meta knows location"));
        let replies = json!([{"content_type": "USER_EMAIL"}, QuickReply::of_type(QuickReplyType::UserPhoneNumber)]);
        assert_eq!(check_replies(&replies), Ok(()));
    }

    #[test]
    fn values_of_another_type_are_named() {
        let data = |data: Value| error(json!({"content_type": "poll", "data": data}));
        assert!(data(json!(7)).ends_with("[data] must be a JSON object"));
        assert!(data(json!({"app": 7})).ends_with("[data][app] must be a string"));
        assert!(data(json!({"sticker_id": "x1"})).ends_with("[data][sticker_id] must be made of digits"));
        assert!(data(json!({"payment_amount": 1.5})).ends_with("[data][payment_amount] must be an integer"));
        assert!(data(json!({"payment_type": "steal"})).contains("[data][payment_type] is \"steal\""));
        assert!(data(json!({"poll_options": ["a", 1]})).ends_with("[data][poll_options] must be a list of strings"));
        assert!(
            error(json!({"content_type": "text", "title": 7, "payload": "a"})).ends_with("[title] must be a string")
        );
    }
}
