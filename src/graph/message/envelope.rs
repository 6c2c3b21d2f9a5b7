//! Everything about a message but the message: who gets it, and under which rules.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::error::InvalidRequest;
use super::fields::is_digits;
use super::recipient::{self, FullName};
use super::tag::Tag;
use crate::ids::{Platform, Recipient};

/// The parameters of a send that have a place of their own.
///
/// **Source**: Graph API reference, Page `messages` edge (v25.0); Send API reference, `reply_to` (v25.0).
pub(super) const PARAMETERS: [&str; 9] = [
    "recipient",
    "messaging_type",
    "tag",
    "notification_type",
    "persona_id",
    "reply_to",
    "message",
    "sender_action",
    "payload",
];

/// Parameters that prove who asks; they travel outside of the body, and what is sent is written down.
pub(super) const SECRETS: [&str; 2] = ["access_token", "appsecret_proof"];

/// Who gets a message, and under which of Meta's rules it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Who gets it.
    pub recipient: Recipient,
    /// The person's name, with a phone number and only then.
    pub recipient_name: Option<FullName>,
    /// Why it is sent.
    pub messaging_type: MessagingType,
    /// The message tag, with [`MessagingType::MessageTag`] and only then.
    pub tag: Option<Tag>,
    /// How loudly the message arrives; `None` leaves it to Meta, which takes `REGULAR`.
    pub notification_type: Option<NotificationType>,
    /// The persona that speaks, by its numeric id.
    pub persona_id: Option<String>,
    /// The message this one replies to, by its `mid`.
    pub reply_to: Option<String>,
    /// Parameters nobody here knows, sent as they are.
    pub extra: Map<String, Value>,
    /// What would be refused here unless the caller insists.
    pub allow: Allow,
}

impl Envelope {
    /// A response to `recipient`, with nothing unusual about it.
    pub fn new(recipient: Recipient) -> Self {
        Self {
            recipient,
            recipient_name: None,
            messaging_type: MessagingType::default(),
            tag: None,
            notification_type: None,
            persona_id: None,
            reply_to: None,
            extra: Map::new(),
            allow: Allow::default(),
        }
    }

    /// Checks the rules Meta enforces on everything but the message.
    pub fn check_for(&self, platform: Platform) -> Result<(), InvalidRequest> {
        self.check_common()?;
        self.check_tag(platform)?;
        if self.reply_to.as_ref().is_some_and(|mid| mid.trim().is_empty()) {
            return Err(InvalidRequest::Missing { parameter: "reply_to[mid]".to_owned() });
        }
        Ok(())
    }

    /// Checks the envelope of an action, which takes much less.
    ///
    /// **Source**: "Sender Actions" (read 2026-01-21): requests "should only include the `sender_action` parameter and
    /// the `recipient` object"; "Personas" (v25.0) adds `persona_id`.
    pub(super) fn check_for_action(&self) -> Result<(), InvalidRequest> {
        self.check_common()?;
        let beside = [
            ("tag", self.tag.is_some()),
            ("notification_type", self.notification_type.is_some()),
            ("reply_to", self.reply_to.is_some()),
        ];
        match beside.into_iter().find(|(_, present)| *present) {
            Some((parameter, _)) => Err(InvalidRequest::BesideAction { parameter }),
            None => Ok(()),
        }
    }

    fn check_common(&self) -> Result<(), InvalidRequest> {
        recipient::check(&self.recipient, self.recipient_name.as_ref())?;
        if self.persona_id.as_ref().is_some_and(|id| !is_digits(id)) {
            return Err(InvalidRequest::NotDigits { parameter: "persona_id".to_owned() });
        }
        refuse_secrets(&self.extra)?;
        match self.extra.keys().find(|key| PARAMETERS.contains(&key.as_str())) {
            Some(parameter) => Err(InvalidRequest::NotExtra { parameter: parameter.clone() }),
            None => Ok(()),
        }
    }

    fn check_tag(&self, platform: Platform) -> Result<(), InvalidRequest> {
        let tag = match (self.messaging_type, &self.tag) {
            (MessagingType::MessageTag, Some(tag)) => tag.clone(),
            (MessagingType::MessageTag, None) => return Err(InvalidRequest::TagMissing),
            (_, Some(_)) => return Err(InvalidRequest::TagWithoutType),
            (_, None) => return Ok(()),
        };
        match tag.retired() {
            Some(retirement) if !self.allow.retired_tags => Err(InvalidRequest::TagRetired { tag, retirement }),
            _ if platform == Platform::Instagram && !tag.is(&Tag::HUMAN_AGENT) => {
                Err(InvalidRequest::TagNotOnInstagram { tag })
            }
            _ => Ok(()),
        }
    }

    /// The parameters that go with a message, in Meta's order.
    pub(super) fn write_for_message(&self, body: &mut Map<String, Value>) {
        body.insert("recipient".to_owned(), recipient::write(&self.recipient, self.recipient_name.as_ref()));
        body.insert("messaging_type".to_owned(), self.messaging_type.as_str().into());
        let optional = [
            ("tag", self.tag.as_ref().map(|tag| tag.as_str().into())),
            ("notification_type", self.notification_type.map(|kind| kind.as_str().into())),
            ("persona_id", self.persona_id.as_deref().map(Value::from)),
            ("reply_to", self.reply_to.as_ref().map(|mid| json!({ "mid": mid }))),
        ];
        body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }

    /// The parameters that go with an action.
    pub(super) fn write_for_action(&self, body: &mut Map<String, Value>) {
        body.insert("recipient".to_owned(), recipient::write(&self.recipient, self.recipient_name.as_ref()));
        if let Some(persona_id) = &self.persona_id {
            body.insert("persona_id".to_owned(), persona_id.as_str().into());
        }
    }
}

/// Refuses a body that carries a token: bodies are written down, tokens never.
pub(super) fn refuse_secrets(body: &Map<String, Value>) -> Result<(), InvalidRequest> {
    match SECRETS.into_iter().find(|secret| body.contains_key(*secret)) {
        Some(parameter) => Err(InvalidRequest::SecretInBody { parameter }),
        None => Ok(()),
    }
}

/// What is refused here, before it leaves, unless the caller insists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// Tags Meta has ended.
    pub retired_tags: bool,
    /// `attachments`, the list of pictures, which Meta's reference lists at times and at times does not.
    pub attachment_lists: bool,
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
    /// All four, in Meta's order.
    pub const ALL: [Self; 4] = [Self::Response, Self::Update, Self::MessageTag, Self::Utility];

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
        Self::ALL
            .into_iter()
            .find(|messaging_type| messaging_type.as_str() == text)
            .ok_or_else(|| InvalidMessagingType(text.to_owned()))
    }
}

/// A text that is no messaging type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a messaging type (RESPONSE, UPDATE, MESSAGE_TAG or UTILITY)")]
pub struct InvalidMessagingType(String);

/// How loudly a message arrives.
///
/// **Source**: Graph API reference, Page `messages` edge, parameter `notification_type` (v25.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationType {
    /// With sound or vibration.
    Regular,
    /// On the screen alone.
    SilentPush,
    /// Without any notification.
    NoPush,
}

impl NotificationType {
    /// All three, in Meta's order.
    pub const ALL: [Self; 3] = [Self::Regular, Self::SilentPush, Self::NoPush];

    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "REGULAR",
            Self::SilentPush => "SILENT_PUSH",
            Self::NoPush => "NO_PUSH",
        }
    }
}

impl FromStr for NotificationType {
    type Err = InvalidNotificationType;

    fn from_str(text: &str) -> Result<Self, InvalidNotificationType> {
        Self::ALL
            .into_iter()
            .find(|notification_type| notification_type.as_str() == text)
            .ok_or_else(|| InvalidNotificationType(text.to_owned()))
    }
}

/// A text that is no notification type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a notification type (REGULAR, SILENT_PUSH or NO_PUSH)")]
pub struct InvalidNotificationType(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(change: impl FnOnce(&mut Envelope)) -> Envelope {
        let mut envelope = Envelope::new("1".parse().expect("a PSID"));
        change(&mut envelope);
        envelope
    }

    fn tagged(tag: Tag) -> Envelope {
        envelope(|envelope| {
            envelope.messaging_type = MessagingType::MessageTag;
            envelope.tag = Some(tag);
        })
    }

    fn check(change: impl FnOnce(&mut Envelope)) -> Result<(), InvalidRequest> {
        envelope(change).check_for(Platform::Messenger)
    }

    #[test]
    fn a_tag_and_its_messaging_type_go_together() {
        assert_eq!(tagged(Tag::HUMAN_AGENT).check_for(Platform::Messenger), Ok(()));
        assert_eq!(
            check(|envelope| envelope.messaging_type = MessagingType::MessageTag),
            Err(InvalidRequest::TagMissing)
        );
        for messaging_type in [MessagingType::Response, MessagingType::Update, MessagingType::Utility] {
            let mut envelope = tagged(Tag::HUMAN_AGENT);
            envelope.messaging_type = messaging_type;
            assert_eq!(envelope.check_for(Platform::Messenger), Err(InvalidRequest::TagWithoutType));
        }
    }

    #[test]
    fn an_ended_tag_is_refused_with_its_date_unless_the_caller_insists() {
        let mut envelope = tagged(Tag::ACCOUNT_UPDATE);
        let error = envelope.check_for(Platform::Messenger).unwrap_err();
        assert_eq!(error.to_string(), "Meta ended tag ACCOUNT_UPDATE on 2026-04-27");
        assert!(error.hint().is_some_and(|hint| hint.contains("UTILITY")), "{error:?}");
        envelope.allow.retired_tags = true;
        assert_eq!(envelope.check_for(Platform::Messenger), Ok(()));
    }

    #[test]
    fn instagram_knows_one_tag() {
        assert_eq!(tagged(Tag::HUMAN_AGENT).check_for(Platform::Instagram), Ok(()));
        assert_eq!(tagged(Tag::new("human_agent")).check_for(Platform::Instagram), Ok(()));
        let mut envelope = tagged(Tag::ACCOUNT_UPDATE);
        envelope.allow.retired_tags = true;
        for envelope in [envelope, tagged(Tag::CUSTOMER_FEEDBACK)] {
            let error = envelope.check_for(Platform::Instagram).unwrap_err();
            assert!(matches!(error, InvalidRequest::TagNotOnInstagram { .. }), "{error:?}");
            assert_eq!(envelope.check_for(Platform::Messenger), Ok(()));
        }
    }

    #[test]
    fn a_persona_is_a_number_and_a_reply_answers_something() {
        assert_eq!(check(|envelope| envelope.persona_id = Some("17".to_owned())), Ok(()));
        for persona_id in ["", "p1", "1.5", "-1", "١"] {
            let error = check(|envelope| envelope.persona_id = Some(persona_id.to_owned())).unwrap_err();
            assert_eq!(error.to_string(), "persona_id must be made of digits", "{persona_id:?}");
        }
        let error = check(|envelope| envelope.reply_to = Some(" ".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "reply_to[mid] is required");
    }

    #[test]
    fn parameters_nobody_knows_hide_no_known_one_and_no_token() {
        let with = |key: &str| check(|envelope| drop(envelope.extra.insert(key.to_owned(), "secret".into())));
        assert_eq!(with("thread_control"), Ok(()));
        for parameter in PARAMETERS {
            assert_eq!(with(parameter), Err(InvalidRequest::NotExtra { parameter: parameter.to_owned() }));
        }
        for parameter in SECRETS {
            let error = with(parameter).unwrap_err();
            assert_eq!(error, InvalidRequest::SecretInBody { parameter });
            assert!(!format!("{error:?} {error}").contains("secret\""), "{error:?}");
        }
    }

    #[test]
    fn a_recipient_made_by_hand_is_checked_like_one_that_was_read() {
        let mut envelope = Envelope::new(Recipient::Psid("abc".to_owned()));
        let error = envelope.check_for(Platform::Messenger).unwrap_err();
        assert_eq!(error.to_string(), "recipient[id] names nobody");
        assert_eq!(envelope.check_for_action().unwrap_err().to_string(), "recipient[id] names nobody");
        envelope.recipient = Recipient::Psid("12".to_owned());
        envelope.recipient_name = Some(FullName { first: "Ada".to_owned(), last: String::new() });
        assert_eq!(envelope.check_for(Platform::Messenger), Err(InvalidRequest::NameWithoutPhone));
    }

    #[test]
    fn an_action_takes_a_recipient_and_a_persona_alone() {
        let action = |change: fn(&mut Envelope)| envelope(change).check_for_action();
        assert_eq!(action(|_| {}), Ok(()));
        assert_eq!(action(|envelope| envelope.persona_id = Some("17".to_owned())), Ok(()));
        assert_eq!(action(|envelope| envelope.messaging_type = MessagingType::Update), Ok(()));
        let beside = |parameter| Err(InvalidRequest::BesideAction { parameter });
        assert_eq!(action(|envelope| envelope.tag = Some(Tag::HUMAN_AGENT)), beside("tag"));
        let silent = |envelope: &mut Envelope| envelope.notification_type = Some(NotificationType::NoPush);
        assert_eq!(action(silent), beside("notification_type"));
        assert_eq!(action(|envelope| envelope.reply_to = Some("m_1".to_owned())), beside("reply_to"));
    }
}
