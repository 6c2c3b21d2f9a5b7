//! One message.

use serde::Serialize;

use crate::graph::{Content, Sent};
use crate::ids::AttachmentId;

use super::ErrorBody;

/// `{"event":"send"}`.
#[derive(Debug, Serialize)]
pub(crate) struct SendEvent<'a> {
    event: &'static str,
    recipient: String,
    recipient_id: Option<&'a str>,
    message_id: Option<&'a str>,
    attachment_id: Option<&'a str>,
    outcome: &'static str,
    error: Option<ErrorBody>,
}

impl<'a> SendEvent<'a> {
    /// A message to `recipient` of which nothing else is known yet.
    pub(crate) fn new(recipient: String) -> Self {
        Self {
            event: "send",
            recipient,
            recipient_id: None,
            message_id: None,
            attachment_id: None,
            outcome: "failed",
            error: None,
        }
    }

    /// The same, with what it carries.
    pub(crate) fn carrying(self, content: &'a Content) -> Self {
        let attachment_id = content.message().and_then(|message| message.attachment_ids().into_iter().next());
        Self { attachment_id, ..self }
    }

    /// The same, taken by Meta.
    pub(crate) fn sent(self, sent: &'a Sent) -> Self {
        let recipient_id = sent.recipient_id.as_deref();
        let attachment_id = sent.attachment_id.as_ref().map(AttachmentId::as_str).or(self.attachment_id);
        Self { recipient_id, message_id: sent.message_id.as_deref(), attachment_id, outcome: "sent", ..self }
    }

    /// The same, given up before there was an answer.
    pub(crate) fn abandoned(self) -> Self {
        Self { outcome: "unknown", ..self }
    }

    /// The same, not sent.
    pub(crate) fn failed(self, error: ErrorBody) -> Self {
        Self { outcome: "failed", error: Some(error), ..self }
    }

    /// The same, perhaps sent: nobody knows.
    pub(crate) fn doubtful(self, error: ErrorBody) -> Self {
        Self { outcome: "unknown", error: Some(error), ..self }
    }
}
