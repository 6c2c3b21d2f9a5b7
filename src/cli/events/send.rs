//! One message.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::graph::{Content, Sent};
use crate::ids::AttachmentId;

use super::ErrorBody;

/// `{"event":"send"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SendEvent<'a> {
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
    pub(in crate::cli) fn new(recipient: String) -> Self {
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
    pub(in crate::cli) fn carrying(self, content: &'a Content) -> Self {
        let attachment_id = content.message().and_then(|message| message.attachment_ids().into_iter().next());
        Self { attachment_id, ..self }
    }

    /// The same, taken by Meta.
    pub(in crate::cli) fn sent(self, sent: &'a Sent) -> Self {
        let recipient_id = sent.recipient_id.as_deref();
        let attachment_id = sent.attachment_id.as_ref().map(AttachmentId::as_str).or(self.attachment_id);
        Self { recipient_id, message_id: sent.message_id.as_deref(), attachment_id, outcome: "sent", ..self }
    }

    /// The same, given up before there was an answer.
    pub(in crate::cli) fn abandoned(self) -> Self {
        Self { outcome: "unknown", ..self }
    }

    /// The same, not sent, or perhaps sent.
    pub(in crate::cli) fn failed(self, failure: &Failure) -> Self {
        let outcome = if failure.exit() == Exit::UnknownOutcome { "unknown" } else { "failed" };
        Self { outcome, error: Some(ErrorBody::of(failure)), ..self }
    }
}
