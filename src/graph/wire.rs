//! Requests and answers exactly as they stand on the wire.
//!
//! Sends: `{"recipient":{"id":"…"},"messaging_type":"RESPONSE","message":{…}}`, where the message is `{"text":"…"}` or
//! `{"attachment":{"type":"image","payload":{"attachment_id":"…"}}}`: no key that is not needed, as Meta refuses empty
//! and unknown ones. Uploads: form field `message` holding
//! `{"attachment":{"type":"image","payload":{"is_reusable":true}}}`, then `platform` where it is Instagram, then the file
//! as `filedata`. Answers are read strictly: an id that is not a string is no id.
//!
//! **Source**: Send API reference and "Attachment Upload API" (v25.0), "Saving Assets" (read 2026-04-22).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::message::SendRequest;
use super::outcome::Answer;
use super::receipt::Sent;
use super::token::{Identity, TokenFacts, TokenOwner};
use super::transport::{FilePart, Form};
use super::upload::UrlUpload;
use crate::clock::Timestamp;
use crate::ids::{AttachmentId, MediaKind, Platform};

/// The longest file name that is passed on, its extension not counted.
const STEM_LIMIT: usize = 80;

/// The body of `POST /{page}/messages`.
pub(super) fn send_body(request: &SendRequest) -> Bytes {
    to_text(&request.to_json()).into()
}

/// The parameters of a send as a form has them: what is an object is a JSON text.
pub(super) fn send_fields(request: &SendRequest) -> Vec<(String, String)> {
    let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
    request.to_json().into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// The form of `POST /{page}/messages` with a file.
pub(super) fn send_form(request: &SendRequest, file: FilePart) -> Form {
    Form { fields: send_fields(request), file }
}

/// The form of `POST /{page}/message_attachments`.
pub(super) fn upload_form(platform: Platform, kind: MediaKind, file: FilePart) -> Form {
    let message = to_text(&json!({"attachment": {"type": kind, "payload": {"is_reusable": true}}}));
    let mut fields = vec![("message".to_owned(), message)];
    if platform == Platform::Instagram {
        fields.push(("platform".to_owned(), platform.as_str().to_owned()));
    }
    Form { fields, file }
}

/// The body of `POST /{page}/message_attachments` for a web address.
pub(super) fn url_upload_body(upload: UrlUpload<'_>) -> Bytes {
    let payload = json!({"url": upload.url, "is_reusable": true});
    let mut body = json!({"message": {"attachment": {"type": upload.kind, "payload": payload}}});
    if upload.platform == Platform::Instagram {
        body["platform"] = upload.platform.as_str().into();
    }
    to_text(&body).into()
}

pub(super) fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and maps with string keys are always JSON")
}

/// `name` as Meta takes it: ASCII, no quotes, no path, never empty, its extension kept.
pub(super) fn ascii_filename(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut safe = String::new();
    for c in stem.chars().take(STEM_LIMIT) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | ' ' | '(' | ')' => safe.push(c),
            _ if safe.ends_with('_') => {}
            _ => safe.push('_'),
        }
    }
    let safe = safe.trim_matches([' ', '.']);
    let stem = if safe.contains(|c: char| c.is_ascii_alphanumeric()) { safe } else { "attachment" };
    let extension: String = extension.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    if extension.is_empty() { stem.to_owned() } else { format!("{stem}.{extension}") }
}

impl Answer for AttachmentId {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct UploadAnswer {
            attachment_id: String,
        }
        serde_json::from_slice::<UploadAnswer>(body).ok()?.attachment_id.parse().ok()
    }
}

impl Answer for Sent {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[expect(clippy::struct_field_names, reason = "the names are Meta's")]
        struct SendAnswer {
            message_id: String,
            recipient_id: Option<serde_json::Value>,
            attachment_id: Option<serde_json::Value>,
        }
        let answer: SendAnswer = serde_json::from_slice(body).ok()?;
        let plausible = (1..=512).contains(&answer.message_id.len())
            && answer.message_id.bytes().all(|byte| byte.is_ascii_graphic());
        plausible.then(|| Self {
            message_id: Some(answer.message_id),
            recipient_id: answer.recipient_id.and_then(|id| Some(id.as_str()?.to_owned())),
            attachment_id: answer.attachment_id.and_then(|id| id.as_str()?.parse().ok()),
        })
    }
}

/// What a sender action is answered with: who saw it, where that is said.
#[derive(Debug)]
pub(super) struct Acted {
    recipient_id: Option<String>,
}

impl Answer for Acted {
    fn read(body: &[u8]) -> Option<Self> {
        let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let recipient_id = answer.get("recipient_id").and_then(Value::as_str).map(str::to_owned);
        (!answer.contains_key("error")).then_some(Self { recipient_id })
    }
}

impl From<Acted> for Sent {
    fn from(Acted { recipient_id }: Acted) -> Self {
        Self { message_id: None, recipient_id, attachment_id: None }
    }
}

impl Answer for Identity {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct IdentityAnswer {
            id: String,
            name: Option<String>,
            metadata: Option<Value>,
        }
        let answer: IdentityAnswer = serde_json::from_slice(body).ok()?;
        let owner = answer.metadata.as_ref().and_then(|metadata| metadata.get("type")?.as_str());
        Some(Self { id: answer.id.parse().ok()?, name: answer.name, owner: owner.map(TokenOwner::parse) })
    }
}

impl Answer for TokenFacts {
    fn read(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let data = answer.get("data")?.as_object()?;
        let text = |key| data.get(key).and_then(Value::as_str).map(str::to_owned);
        // Zero is Meta's word for never.
        let time = |key| data.get(key).and_then(Value::as_i64).filter(|&seconds| seconds > 0);
        let time = |key| time(key).map(|seconds| Timestamp::from_unix_millis(seconds.saturating_mul(1_000)));
        let scopes = data.get("scopes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Some(Self {
            app_id: text("app_id"),
            owner: text("type").as_deref().map(TokenOwner::parse),
            is_valid: data.get("is_valid")?.as_bool()?,
            expires_at: time("expires_at"),
            data_access_expires_at: time("data_access_expires_at"),
            scopes: scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            error: data.get("error").and_then(|error| error.get("message")?.as_str()).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Message, MessagingType, Tag};

    fn body(request: &SendRequest) -> String {
        String::from_utf8(send_body(request).to_vec()).expect("UTF-8")
    }

    fn by_id(kind: MediaKind) -> Message {
        Message::attachment(kind, &"1857777774821032".parse().expect("an id"))
    }

    #[test]
    fn a_send_by_id_holds_the_id_and_no_url() {
        for kind in MediaKind::ALL {
            let request = SendRequest::new("1254459154682919".parse().expect("a PSID"), by_id(kind));
            assert_eq!(
                body(&request),
                format!(
                    r#"{{"recipient":{{"id":"1254459154682919"}},"messaging_type":"RESPONSE","message":{{"attachment":{{"type":"{kind}","payload":{{"attachment_id":"1857777774821032"}}}}}}}}"#
                )
            );
        }
    }

    #[test]
    fn a_text_is_sent_as_it_is() {
        let mut request = SendRequest::new("1".parse().expect("a PSID"), Message::text("\"hé\"\n🌷"));
        request.envelope.messaging_type = MessagingType::MessageTag;
        request.envelope.tag = Some(Tag::new("HUMAN_AGENT"));
        assert_eq!(
            body(&request),
            r#"{"recipient":{"id":"1"},"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT","message":{"text":"\"hé\"\n🌷"}}"#
        );
    }

    #[test]
    fn every_recipient_form_has_its_key() {
        for (recipient, json) in [
            ("12", r#"{"id":"12"}"#),
            ("user_ref:a", r#"{"user_ref":"a"}"#),
            ("comment:1_2", r#"{"comment_id":"1_2"}"#),
            ("post:1_2", r#"{"post_id":"1_2"}"#),
            ("phone:+1(212)555-2368", r#"{"phone_number":"+1(212)555-2368"}"#),
            ("player:7", r#"{"player_id":"7"}"#),
            ("otn:t", r#"{"one_time_notif_token":"t"}"#),
            ("notification:t", r#"{"notification_messages_token":"t"}"#),
            ("login:l", r#"{"login_id":"l"}"#),
        ] {
            let request = SendRequest::new(recipient.parse().expect(recipient), Message::text("hi"));
            assert_eq!(request.to_json()["recipient"].to_string(), json);
        }
    }

    #[test]
    fn an_upload_is_reusable_and_names_instagram_only() {
        let file = FilePart {
            field: "filedata",
            filename: "shirt.png".to_owned(),
            mime: "image/png".to_owned(),
            bytes: Bytes::new(),
            progress: None,
        };
        let message = r#"{"attachment":{"type":"image","payload":{"is_reusable":true}}}"#.to_owned();
        let form = upload_form(Platform::Messenger, MediaKind::Image, file.clone());
        assert_eq!(form.fields, [("message".to_owned(), message.clone())]);
        assert_eq!(form.file.filename, "shirt.png");
        let form = upload_form(Platform::Instagram, MediaKind::Image, file);
        assert_eq!(form.fields, [("message".to_owned(), message), ("platform".to_owned(), "instagram".to_owned())]);
    }

    #[test]
    fn file_names_become_plain_ascii_and_keep_their_extension() {
        for (name, safe) in [
            ("shirt.png", "shirt.png"),
            ("Summer sale (2).final.JPG", "Summer sale (2).final.JPG"),
            ("фото.png", "attachment.png"),
            ("été\"\r\nX-Evil: 1\".jpg", "_t_X-Evil_ 1_.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\a\\b.pdf", "b.pdf"),
            (".png", "attachment.png"),
            ("", "attachment"),
            ("...", "attachment"),
            ("a.p\u{202e}ng", "a.png"),
        ] {
            assert_eq!(ascii_filename(name), safe, "{name:?}");
        }
        assert!(ascii_filename(&"x".repeat(5000)).len() <= STEM_LIMIT);
    }

    #[test]
    fn ids_are_strings_or_no_ids() {
        let upload = |body: &str| AttachmentId::read(body.as_bytes());
        assert_eq!(upload(r#"{"attachment_id":"12","more":[1]}"#), "12".parse().ok());
        for body in [
            r#"{"attachment_id":1857777774821032}"#,
            r#"{"attachment_id":1.857e15}"#,
            r#"{"attachment_id":""}"#,
            r#"{"attachment_id":"a b"}"#,
            r#"{"attachment_id":null}"#,
            r#"{"attachment_id":"1","attachment_id":"2"}"#,
            "{}",
            "[]",
        ] {
            assert_eq!(upload(body), None, "{body}");
        }
        let sent = Sent::read(br#"{"recipient_id":7,"message_id":"m_1","attachment_id":8}"#).expect("an answer");
        assert_eq!(sent, Sent { message_id: Some("m_1".to_owned()), recipient_id: None, attachment_id: None });
    }
}
