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
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::client::{Identity, Sent};
use super::message::{Message, SendRequest};
use super::outcome::Answer;
use super::transport::{FilePart, Form};
use crate::ids::{AttachmentId, MediaKind, Platform, Recipient};

/// The longest file name that is passed on, its extension not counted.
const STEM_LIMIT: usize = 80;

/// The body of `POST /{page}/messages`.
pub(super) fn send_body(request: &SendRequest) -> Bytes {
    let body = SendBody {
        recipient: RecipientBody(&request.recipient),
        messaging_type: request.messaging_type.as_str(),
        tag: request.tag.as_deref(),
        message: match &request.message {
            Message::Text(text) => MessageBody::Text(text),
            Message::Attachment { kind, attachment_id } => {
                MessageBody::Attachment { kind: *kind, payload: Payload::AttachmentId(attachment_id) }
            }
        },
    };
    json(&body).into()
}

/// The form of `POST /{page}/message_attachments`. `file.filename` is made safe to send.
pub(super) fn upload_form(platform: Platform, kind: MediaKind, mut file: FilePart) -> Form {
    let message = json(&MessageBody::Attachment { kind, payload: Payload::IsReusable(true) });
    let mut fields = vec![("message", message)];
    if platform == Platform::Instagram {
        fields.push(("platform", platform.as_str().to_owned()));
    }
    file.filename = ascii_filename(&file.filename);
    Form { fields, file }
}

#[derive(Serialize)]
struct SendBody<'a> {
    recipient: RecipientBody<'a>,
    messaging_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    message: MessageBody<'a>,
}

struct RecipientBody<'a>(&'a Recipient);

impl Serialize for RecipientBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = match self.0 {
            Recipient::Psid(_) => "id",
            Recipient::UserRef(_) => "user_ref",
            Recipient::Comment(_) => "comment_id",
            Recipient::Post(_) => "post_id",
            Recipient::Phone(_) => "phone_number",
            Recipient::Player(_) => "player_id",
            Recipient::OneTimeNotification(_) => "one_time_notif_token",
            Recipient::NotificationMessages(_) => "notification_messages_token",
            Recipient::Login(_) => "login_id",
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, self.0.value())?;
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum MessageBody<'a> {
    Text(&'a str),
    Attachment {
        #[serde(rename = "type")]
        kind: MediaKind,
        payload: Payload<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Payload<'a> {
    AttachmentId(&'a AttachmentId),
    IsReusable(bool),
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and maps with string keys are always JSON")
}

/// `name` as Meta takes it: ASCII, no quotes, no path, never empty, its extension kept.
fn ascii_filename(name: &str) -> String {
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
            message_id: answer.message_id,
            recipient_id: answer.recipient_id.and_then(|id| Some(id.as_str()?.to_owned())),
            attachment_id: answer.attachment_id.and_then(|id| id.as_str()?.parse().ok()),
        })
    }
}

impl Answer for Identity {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct IdentityAnswer {
            id: String,
            name: Option<String>,
        }
        let answer: IdentityAnswer = serde_json::from_slice(body).ok()?;
        Some(Self { id: answer.id.parse().ok()?, name: answer.name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::MessagingType;

    fn body(request: &SendRequest) -> String {
        String::from_utf8(send_body(request).to_vec()).expect("UTF-8")
    }

    fn by_id(kind: MediaKind) -> Message {
        Message::Attachment { kind, attachment_id: "1857777774821032".parse().expect("an id") }
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
        let request = SendRequest {
            messaging_type: MessagingType::MessageTag,
            tag: Some("HUMAN_AGENT".to_owned()),
            ..SendRequest::new("1".parse().expect("a PSID"), Message::Text("\"hé\"\n🌷".to_owned()))
        };
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
            assert_eq!(super::json(&RecipientBody(&recipient.parse().expect(recipient))), json);
        }
    }

    #[test]
    fn an_upload_is_reusable_and_names_instagram_only() {
        let file = FilePart {
            field: "filedata",
            filename: "é/shirt.png".to_owned(),
            mime: "image/png".to_owned(),
            bytes: Bytes::new(),
            progress: None,
        };
        let message = r#"{"attachment":{"type":"image","payload":{"is_reusable":true}}}"#.to_owned();
        let form = upload_form(Platform::Messenger, MediaKind::Image, file.clone());
        assert_eq!(form.fields, [("message", message.clone())]);
        assert_eq!(form.file.filename, "shirt.png");
        let form = upload_form(Platform::Instagram, MediaKind::Image, file);
        assert_eq!(form.fields, [("message", message), ("platform", "instagram".to_owned())]);
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
        assert_eq!(sent, Sent { message_id: "m_1".to_owned(), recipient_id: None, attachment_id: None });
    }
}
