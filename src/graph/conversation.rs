//! Conversations: what a Page and a person wrote to each other, as far as Meta shows it.
//!
//! It shows details of the 20 most recent messages only, and never their metadata.
//!
//! **Source**: Messenger Platform, "Conversations API" (read 2026-02-11); "Rate Limiting" (2026-03-23): two calls a second
//! for each Page.

use http::Method;
use jiff::fmt::strtime;
use serde_json::Value;

use super::client::GraphClient;
use super::error::{GraphError, Operation};
use super::governor::Load;
use super::outcome::Answer;
use super::transport::Body;
use crate::clock::Timestamp;
use crate::ids::{MediaKind, PageId};

/// What is asked of a conversation.
const FIELDS: &str = "messages{id,created_time,from,to,message,attachments}";

/// A conversation as far as it is shown, the newest message first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its messages.
    pub messages: Vec<ConversationMessage>,
    /// Whether there are no others.
    pub is_whole: bool,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationMessage {
    /// Its id, as receipts and echoes have it.
    pub id: String,
    /// When Meta took it, by Meta's clock, to the second.
    pub created_at: Option<Timestamp>,
    /// What is in it; `None` where Meta does not show that any more.
    pub details: Option<MessageDetails>,
}

/// What is in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDetails {
    /// Who wrote it: the Page's id, or the person's.
    pub from: String,
    /// Its text; empty where it has none.
    pub text: String,
    /// What is attached to it; `None` for what does not say what it is.
    pub attachments: Vec<Option<MediaKind>>,
}

impl GraphClient {
    /// The conversation of `page` with the person of this PSID; `None` where Meta shows none. Two calls, at the pace of
    /// conversations.
    pub async fn conversation_with(&self, page: &PageId, psid: &str) -> Result<Option<Conversation>, GraphError> {
        let mut url = self.url(&[page.as_str(), "conversations"]);
        url.query_pairs_mut().append_pair("platform", "messenger").append_pair("user_id", psid);
        let ids: Ids = self.run(Operation::Read, Load::CONVERSATION, Method::GET, url, Body::Empty).await?;
        let Some(id) = ids.0.first() else { return Ok(None) };
        let mut url = self.url(&[id]);
        url.query_pairs_mut().append_pair("fields", FIELDS);
        self.run(Operation::Read, Load::CONVERSATION, Method::GET, url, Body::Empty).await.map(Some)
    }
}

/// Ids of conversations.
#[derive(Debug)]
pub(super) struct Ids(Vec<String>);

impl Answer for Ids {
    fn read(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let data = answer.get("data")?.as_array()?;
        data.iter().map(|one| one.get("id")?.as_str().map(str::to_owned)).collect::<Option<_>>().map(Self)
    }
}

impl Answer for Conversation {
    fn read(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let page = answer.get("messages")?;
        let messages = page.get("data")?.as_array()?.iter().map(message).collect::<Option<_>>()?;
        Some(Self { messages, is_whole: page.pointer("/paging/next").is_none() })
    }
}

fn message(json: &Value) -> Option<ConversationMessage> {
    let details = json.pointer("/from/id").and_then(Value::as_str).map(|from| MessageDetails {
        from: from.to_owned(),
        text: json.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
        attachments: json
            .pointer("/attachments/data")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |attachments| attachments.iter().map(kind).collect()),
    });
    let created_at = json.get("created_time").and_then(Value::as_str).and_then(time);
    Some(ConversationMessage { id: json.get("id")?.as_str()?.to_owned(), created_at, details })
}

fn kind(attachment: &Value) -> Option<MediaKind> {
    let has = |key| attachment.get(key).is_some_and(Value::is_object);
    if has("image_data") {
        Some(MediaKind::Image)
    } else if has("video_data") {
        Some(MediaKind::Video)
    } else {
        attachment.get("mime_type").and_then(Value::as_str).map(MediaKind::of_mime)
    }
}

/// Graph writes `2026-01-31T12:00:00+0000`.
fn time(text: &str) -> Option<Timestamp> {
    let time = strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).ok()?.to_timestamp().ok()?;
    Some(Timestamp::from_unix_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Option<Conversation> {
        Conversation::read(body.to_string().as_bytes())
    }

    #[test]
    fn a_conversation_reads_as_meta_documents_it() {
        let picture =
            json!({"id": "9", "mime_type": "image/jpeg", "name": "a.jpg", "size": 7, "image_data": {"url": "u"}});
        let newest = json!({
            "id": "m_2", "created_time": "2025-10-09T08:53:20+0000", "message": "",
            "from": {"name": "Shop", "email": "1@facebook.com", "id": "1"},
            "attachments": {"data": [picture, {"id": "8", "mime_type": "audio/mpeg"}, {"id": "7"}, {"mime_type": "application/pdf"}]},
        });
        let old = json!({"id": "m_1", "created_time": "2025-10-09T10:53:20+0200"});
        let page = json!({"data": [newest, old]});
        let read_back = read(&json!({"id": "t_1", "messages": page})).expect("a conversation");
        assert!(read_back.is_whole);
        let [newest, old] = &read_back.messages[..] else { panic!("two messages") };
        let noon = Some(Timestamp::from_unix_millis(1_760_000_000_000));
        assert_eq!((newest.created_at, old.created_at, &old.details), (noon, noon, &None));
        let details = newest.details.as_ref().expect("details");
        assert_eq!((&*newest.id, &*details.from, &*details.text), ("m_2", "1", ""));
        let kinds = [Some(MediaKind::Image), Some(MediaKind::Audio), None, Some(MediaKind::File)];
        assert_eq!(details.attachments, kinds);
    }

    #[test]
    fn what_goes_on_is_not_whole_and_what_is_none_is_not_read() {
        let more = json!({"messages": {"data": [], "paging": {"cursors": {}, "next": "https://…"}}});
        assert!(!read(&more).expect("a conversation").is_whole);
        for none in [json!({}), json!({"messages": {}}), json!({"messages": {"data": [{"message": "no id"}]}})] {
            assert_eq!(read(&none), None, "{none}");
        }
        assert!(Ids::read(br#"{"data":[{"id":7}]}"#).is_none());
        assert_eq!(time("yesterday"), None);
    }
}
