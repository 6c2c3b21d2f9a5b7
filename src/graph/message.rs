//! What a user can ask to be sent, and the rules Meta enforces on it, checked before anything leaves.
//!
//! How it is written on the wire is `wire`'s business.

use std::str::FromStr;

use crate::ids::{AttachmentId, MediaKind, Recipient};

/// Texts must be shorter, in characters. **Source**: Send API reference, `message.text` (v25.0).
const TEXT_LIMIT: usize = 2000;

/// One message to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// Who gets it.
    pub recipient: Recipient,
    /// Why it is sent.
    pub messaging_type: MessagingType,
    /// The message tag, with [`MessagingType::MessageTag`] and only then.
    pub tag: Option<String>,
    /// What is sent.
    pub message: Message,
}

impl SendRequest {
    /// A response with `message` to `recipient`.
    pub fn new(recipient: Recipient, message: Message) -> Self {
        Self { recipient, messaging_type: MessagingType::default(), tag: None, message }
    }

    /// Checks the rules Meta enforces.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        match (self.messaging_type, &self.tag) {
            (MessagingType::MessageTag, None) => return Err(InvalidRequest::TagMissing),
            (MessagingType::MessageTag, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(InvalidRequest::TagWithoutType),
        }
        match &self.message {
            _ if self.messaging_type == MessagingType::Utility => Err(InvalidRequest::UtilityWithoutTemplate),
            Message::Text(text) if text.trim().is_empty() => Err(InvalidRequest::TextEmpty),
            Message::Text(text) => match text.chars().count() {
                length if length < TEXT_LIMIT => Ok(()),
                length => Err(InvalidRequest::TextTooLong { length }),
            },
            Message::Attachment { .. } => Ok(()),
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A text of fewer than 2000 characters.
    Text(String),
    /// An uploaded attachment, by its id.
    Attachment {
        /// The `type` it was uploaded as.
        kind: MediaKind,
        /// Its id, from an upload by the same Page.
        attachment_id: AttachmentId,
    },
}

/// Why a message is sent, as Meta's policy sees it.
///
/// **Source**: Graph API reference, Page `messages` edge, parameter `messaging_type` (v25.0).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MessagingType {
    /// An answer, within 24 hours.
    #[default]
    Response,
    /// No answer, but within 24 hours.
    Update,
    /// Outside of 24 hours, under a tag.
    MessageTag,
    /// A utility template.
    Utility,
}

impl MessagingType {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "RESPONSE",
            Self::Update => "UPDATE",
            Self::MessageTag => "MESSAGE_TAG",
            Self::Utility => "UTILITY",
        }
    }
}

impl FromStr for MessagingType {
    type Err = InvalidMessagingType;

    fn from_str(text: &str) -> Result<Self, InvalidMessagingType> {
        [Self::Response, Self::Update, Self::MessageTag, Self::Utility]
            .into_iter()
            .find(|messaging_type| messaging_type.as_str() == text)
            .ok_or_else(|| InvalidMessagingType(text.to_owned()))
    }
}

/// A text that is no messaging type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a messaging type (RESPONSE, UPDATE, MESSAGE_TAG or UTILITY)")]
pub struct InvalidMessagingType(String);

/// A rule of Meta's the request breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A text of nothing, or of white space.
    #[error("the text is empty")]
    TextEmpty,
    /// A text over the limit.
    #[error("the text has {length} characters; Meta takes fewer than {TEXT_LIMIT}")]
    TextTooLong {
        /// Its characters.
        length: usize,
    },
    /// `MESSAGE_TAG` alone.
    #[error("messaging type MESSAGE_TAG needs a tag")]
    TagMissing,
    /// A tag alone.
    #[error("a tag needs messaging type MESSAGE_TAG")]
    TagWithoutType,
    /// `UTILITY` with an ordinary message.
    #[error("messaging type UTILITY needs a utility template")]
    UtilityWithoutTemplate,
    /// A part type Meta would refuse, or that is none.
    #[error("{mime:?} is not a media type to upload as {kind}")]
    MediaType {
        /// The `type` of the attachment.
        kind: MediaKind,
        /// The media type.
        mime: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SendRequest {
        SendRequest::new("1".parse().expect("a PSID"), Message::Text(text.to_owned()))
    }

    #[test]
    fn texts_are_checked_in_characters_not_bytes() {
        assert_eq!(text("hi").check(), Ok(()));
        assert_eq!(text(&"é".repeat(1999)).check(), Ok(()));
        assert_eq!(text(&"e".repeat(2000)).check(), Err(InvalidRequest::TextTooLong { length: 2000 }));
        assert_eq!(text(" \n").check(), Err(InvalidRequest::TextEmpty));
    }

    #[test]
    fn a_tag_and_its_messaging_type_go_together() {
        let with = |messaging_type, tag: Option<&str>| {
            SendRequest { messaging_type, tag: tag.map(str::to_owned), ..text("hi") }.check()
        };
        assert_eq!(with(MessagingType::MessageTag, Some("HUMAN_AGENT")), Ok(()));
        assert_eq!(with(MessagingType::MessageTag, None), Err(InvalidRequest::TagMissing));
        assert_eq!(with(MessagingType::Update, Some("HUMAN_AGENT")), Err(InvalidRequest::TagWithoutType));
        assert_eq!(with(MessagingType::Utility, None), Err(InvalidRequest::UtilityWithoutTemplate));
    }
}
