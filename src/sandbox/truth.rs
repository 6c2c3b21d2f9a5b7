//! What the sandbox witnessed, as its users read it: `GET /__sandbox/state`, `Sandbox::truth`, and the state file.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pages::SandboxPage;
use super::recipient;
use super::time::deserialize_rfc3339;
use crate::clock::Timestamp;

/// Everything that was accepted so far.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Truth {
    /// The sandbox's time.
    pub now: Timestamp,
    /// The Pages.
    pub pages: &'static [SandboxPage],
    /// Every attachment that was given an id, oldest first.
    pub attachments: Vec<TruthAttachment>,
    /// Accepted messages and sender actions, in the order they were accepted.
    pub messages: Vec<TruthMessage>,
    /// How many messages and sender actions there are in all, whether shown or not.
    pub message_count: u64,
    /// The number of the last one shown, when there are more after it.
    pub next: Option<u64>,
    /// What was counted since the start or the last reset.
    pub counters: Counts,
}

/// An attachment with an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TruthAttachment {
    /// Its id: 16 decimal digits.
    pub id: String,
    /// The Page that owns it.
    pub page_id: String,
    /// `image`, `video`, `audio` or `file`, as it was uploaded.
    #[serde(rename = "type")]
    pub kind: String,
    /// `messenger` or `instagram`.
    pub platform: String,
    /// Whether it may be sent again.
    pub reusable: bool,
    /// When it was uploaded.
    #[serde(deserialize_with = "deserialize_rfc3339")]
    pub created_at: Timestamp,
    /// When its id stops to work: 90 days after it was uploaded.
    #[serde(deserialize_with = "deserialize_rfc3339")]
    pub expires_at: Timestamp,
    /// Whether a control call made the id useless.
    pub revoked: bool,
    /// Where Meta would have fetched it from; `None` when the bytes were sent.
    pub url: Option<String>,
    /// The file as it arrived; `None` for an upload by URL.
    pub file: Option<TruthFile>,
    /// The request's `Content-Length`; `None` when it did not say, as when the body came chunked.
    pub content_length: Option<u64>,
}

/// An uploaded file, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TruthFile {
    /// The part's file name.
    pub name: String,
    /// The part's `Content-Type`.
    pub mime: Option<String>,
    /// How many bytes arrived.
    pub size_bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

/// An accepted message or sender action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TruthMessage {
    /// 1 for the first, and so on.
    pub sequence: u64,
    /// When it was accepted.
    #[serde(deserialize_with = "deserialize_rfc3339")]
    pub at: Timestamp,
    /// The Page that sent it.
    pub page_id: String,
    /// The id it was answered with; `None` for a sender action.
    pub message_id: Option<String>,
    /// The id its reusable attachment was given, where it brought one.
    pub attachment_id: Option<String>,
    /// Its `message.metadata`.
    pub metadata: Option<String>,
    /// Whether the request's body came chunked.
    pub chunked: bool,
    /// The request's parameters as accepted: `recipient`, `message`, `sender_action`, `messaging_type`, …
    #[serde(flatten)]
    pub request: Map<String, Value>,
}

impl TruthMessage {
    /// Who it went to: the id, or whatever else the recipient was named by.
    pub fn recipient(&self) -> Option<String> {
        recipient::value_in(&self.request)
    }
}

/// Counters since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that arrived, by what they ask for.
    pub requests: RequestCounts,
    /// Uploads that were given an id, by file and by URL.
    pub uploads_accepted: u64,
    /// Messages and sender actions that were accepted.
    pub messages_accepted: u64,
    /// Bytes of request bodies.
    pub bytes_received: u64,
    /// The most uploads that were under way at once.
    pub peak_concurrent_uploads: u64,
    /// Faults that struck.
    pub faults_fired: u64,
}

/// Requests that arrived, faults included. A batch counts as one, and so does each request in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestCounts {
    /// `POST …/message_attachments`.
    pub upload: u64,
    /// `POST …/messages`.
    pub send: u64,
    /// `GET /me` and `GET /{page}`.
    pub me: u64,
    /// `GET /debug_token`.
    pub debug_token: u64,
    /// `GET /{page}/conversations` and `GET /{conversation}`.
    pub conversations: u64,
    /// `POST /` and `POST /{page}`, which take batches.
    pub batch: u64,
    /// Everything else outside `/__sandbox/`.
    pub other: u64,
}
