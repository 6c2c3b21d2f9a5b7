//! One request to the Send API: an envelope, and a message or an action.

use serde_json::{Map, Value};

use super::action::SenderAction;
use super::body::Message;
use super::envelope::{Envelope, MessagingType};
use super::error::InvalidRequest;
use super::references;
use crate::ids::{Platform, Recipient};

/// One message or one action for one recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct SendRequest {
    /// Who gets it, and how.
    pub envelope: Envelope,
    /// What they get.
    pub content: Content,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A message.
    Message(Message),
    /// A sign of life instead of a message.
    Action(SenderAction),
}

impl Content {
    /// The message, unless it is an action.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Action(_) => None,
        }
    }
}

impl<T: Into<Message>> From<T> for Content {
    fn from(message: T) -> Self {
        Self::Message(message.into())
    }
}

impl From<SenderAction> for Content {
    fn from(action: SenderAction) -> Self {
        Self::Action(action)
    }
}

impl SendRequest {
    /// A response with `content` to `recipient`.
    pub fn new(recipient: Recipient, content: impl Into<Content>) -> Self {
        Self { envelope: Envelope::new(recipient), content: content.into() }
    }

    /// The same, its attachment sent as a `type` of this name; see [`Message::with_attachment_type`].
    #[must_use]
    pub fn with_attachment_type(&self, word: &str) -> Self {
        let content = match &self.content {
            Content::Message(message) => message.with_attachment_type(word).into(),
            other => other.clone(),
        };
        Self { envelope: self.envelope.clone(), content }
    }

    /// Checks the rules Meta enforces on Messenger.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        self.check_for(Platform::Messenger)
    }

    /// Checks the rules Meta enforces on `platform`. Local references pass for the ids that take their place.
    pub fn check_for(&self, platform: Platform) -> Result<(), InvalidRequest> {
        let Self { envelope, content } = self;
        match content {
            Content::Message(message) => {
                envelope.check_for(platform)?;
                if envelope.messaging_type == MessagingType::Utility && !message.is_utility() {
                    return Err(InvalidRequest::UtilityWithoutTemplate);
                }
                message.check(platform, envelope.allow)
            }
            Content::Action(action) => {
                envelope.check_for_action()?;
                action.check()
            }
        }
    }

    /// Checks the rules Meta enforces on `platform`, and that no local reference is left: the last look before it leaves.
    pub fn check_ready_for(&self, platform: Platform) -> Result<(), InvalidRequest> {
        self.check_for(platform)?;
        self.content.message().map_or(Ok(()), references::check_resolved)
    }

    /// The request as JSON: the body of `POST /{page}/messages`.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        match &self.content {
            Content::Message(message) => {
                self.envelope.write_for_message(&mut body);
                body.insert("message".to_owned(), Value::Object(message.as_json().clone()));
            }
            Content::Action(action) => {
                self.envelope.write_for_action(&mut body);
                body.insert("sender_action".to_owned(), action.as_str().into());
                body.extend(action.payload().map(|payload| ("payload".to_owned(), payload.clone())));
            }
        }
        for (key, value) in &self.envelope.extra {
            body.entry(key).or_insert_with(|| value.clone());
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::message::{Attachment, NotificationType, Tag, UtilityTemplate};
    use crate::ids::MediaKind;

    fn request(content: impl Into<Content>) -> SendRequest {
        SendRequest::new("1".parse().expect("a PSID"), content)
    }

    fn text(request: &SendRequest) -> String {
        Value::Object(request.to_json()).to_string()
    }

    #[test]
    fn a_message_is_written_with_everything_its_envelope_says() {
        let mut request = request(Message::text("hi"));
        let envelope = &mut request.envelope;
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::HUMAN_AGENT);
        envelope.notification_type = Some(NotificationType::NoPush);
        envelope.persona_id = Some("17".to_owned());
        envelope.reply_to = Some("m_1".to_owned());
        envelope.extra.insert("thread_control".to_owned(), json!({"a": 1}));
        assert_eq!(request.check(), Ok(()));
        assert_eq!(
            text(&request),
            r#"{"recipient":{"id":"1"},"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT","notification_type":"NO_PUSH","persona_id":"17","reply_to":{"mid":"m_1"},"message":{"text":"hi"},"thread_control":{"a":1}}"#
        );
    }

    #[test]
    fn an_action_is_written_without_messaging_type_and_message() {
        assert_eq!(text(&request(SenderAction::TypingOn)), r#"{"recipient":{"id":"1"},"sender_action":"typing_on"}"#);
        let mut reaction = request(SenderAction::react("m_1", "😊"));
        reaction.envelope.persona_id = Some("17".to_owned());
        assert_eq!(reaction.check(), Ok(()));
        assert_eq!(
            text(&reaction),
            r#"{"recipient":{"id":"1"},"persona_id":"17","sender_action":"react","payload":{"message_id":"m_1","reaction":"😊"}}"#
        );
    }

    #[test]
    fn a_utility_message_is_a_utility_template() {
        let template = UtilityTemplate { name: "a".into(), language: "en".into(), components: Vec::new() };
        let mut utility = request(template);
        utility.envelope.messaging_type = MessagingType::Utility;
        assert_eq!(utility.check(), Ok(()));
        utility.content = Message::text("hi").into();
        assert_eq!(utility.check(), Err(InvalidRequest::UtilityWithoutTemplate));
    }

    #[test]
    fn what_was_put_among_the_unknown_overrides_nothing() {
        let mut request = request(Message::text("hi"));
        request.envelope.extra.insert("message".to_owned(), json!({"text": "other"}));
        assert_eq!(request.to_json()["message"], json!({"text": "hi"}));
        assert!(matches!(request.check(), Err(InvalidRequest::NotExtra { .. })));
    }

    #[test]
    fn an_action_is_checked_like_one() {
        let mut action = request(SenderAction::MarkSeen);
        assert_eq!(action.check(), Ok(()));
        action.envelope.tag = Some(Tag::HUMAN_AGENT);
        assert_eq!(action.check(), Err(InvalidRequest::BesideAction { parameter: "tag" }));
        let empty = request(SenderAction::React(Value::Null));
        assert_eq!(empty.check().unwrap_err().to_string(), "payload is required");
    }

    #[test]
    fn nothing_that_only_this_machine_knows_is_ready_to_leave() {
        let local = request(Attachment::by_file(MediaKind::Image, "/home/ada/hero.png"));
        assert_eq!(local.check(), Ok(()));
        let error = local.check_ready_for(Platform::Messenger).unwrap_err();
        assert_eq!(error.to_string(), "message[attachment][payload] is still a file, which only this machine knows");
        assert_eq!(request(Message::text("hi")).check_ready_for(Platform::Messenger), Ok(()));
        assert_eq!(request(SenderAction::TypingOn).check_ready_for(Platform::Messenger), Ok(()));
        assert!(request(Message::text("")).check_ready_for(Platform::Messenger).is_err());
    }

    #[test]
    fn instagram_has_shorter_texts() {
        let long = request(Message::text("e".repeat(1001)));
        assert_eq!(long.check(), Ok(()));
        assert!(long.check_for(Platform::Instagram).is_err());
    }
}
