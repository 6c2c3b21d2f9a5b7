//! Sender actions: what recipients see of the Page besides messages.

use std::fmt;

use serde_json::{Value, json};

use super::error::InvalidRequest;
use super::fields::find_word;

const WORDS: [&str; 5] = ["typing_on", "typing_off", "mark_seen", "react", "unreact"];

/// What recipients see of the Page while it works on an answer.
///
/// **Source**: Graph API reference, Page `messages` edge, parameters `sender_action` and `payload` (v25.0); "Sender
/// Actions" (read 2026-01-21), which writes the words in small letters and the payload as an object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SenderAction {
    /// `typing_on`: the three dots, for 20 seconds or until a message.
    TypingOn,
    /// `typing_off`.
    TypingOff,
    /// `mark_seen`.
    MarkSeen,
    /// `react`, with its payload: `{"message_id":"m_…","reaction":"😊"}`.
    React(Value),
    /// `unreact`, with its payload: `{"message_id":"m_…"}`.
    Unreact(Value),
}

impl SenderAction {
    /// The reaction `reaction`, an emoji, to the message `message_id`.
    pub fn react(message_id: &str, reaction: &str) -> Self {
        Self::React(json!({"message_id": message_id, "reaction": reaction}))
    }

    /// No reaction to the message `message_id` any more.
    pub fn unreact(message_id: &str) -> Self {
        Self::Unreact(json!({"message_id": message_id}))
    }

    /// The action called `word`, in either case. `react` and `unreact` need a payload, the others have none.
    pub fn parse(word: &str, payload: Option<Value>) -> Result<Self, InvalidRequest> {
        let action = match (find_word("sender_action", word, &WORDS)?, payload) {
            ("react", Some(payload)) => Self::React(payload),
            ("unreact", Some(payload)) => Self::Unreact(payload),
            ("react" | "unreact", None) => return Err(payload_missing()),
            (_, Some(_)) => return Err(InvalidRequest::PayloadWithoutReaction),
            ("typing_on", None) => Self::TypingOn,
            ("typing_off", None) => Self::TypingOff,
            (_, None) => Self::MarkSeen,
        };
        action.check().map(|()| action)
    }

    /// The word used on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TypingOn => "typing_on",
            Self::TypingOff => "typing_off",
            Self::MarkSeen => "mark_seen",
            Self::React(_) => "react",
            Self::Unreact(_) => "unreact",
        }
    }

    /// What goes with it; `None` for all but reactions.
    pub fn payload(&self) -> Option<&Value> {
        match self {
            Self::React(payload) | Self::Unreact(payload) => Some(payload),
            Self::TypingOn | Self::TypingOff | Self::MarkSeen => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidRequest> {
        match self.payload() {
            Some(Value::Null) => Err(payload_missing()),
            Some(Value::Object(payload)) if payload.is_empty() => Err(payload_missing()),
            Some(Value::String(payload)) if payload.trim().is_empty() => Err(payload_missing()),
            None | Some(Value::Object(_) | Value::String(_)) => Ok(()),
            Some(_) => Err(InvalidRequest::WrongType {
                parameter: "payload".to_owned(),
                expected: "a JSON object or a string",
            }),
        }
    }
}

impl fmt::Display for SenderAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn payload_missing() -> InvalidRequest {
    InvalidRequest::Missing { parameter: "payload".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_from_its_word_in_either_case() {
        assert_eq!(SenderAction::parse("typing_on", None), Ok(SenderAction::TypingOn));
        assert_eq!(SenderAction::parse("TYPING_OFF", None), Ok(SenderAction::TypingOff));
        assert_eq!(SenderAction::parse("Mark_Seen", None), Ok(SenderAction::MarkSeen));
        let payload = json!({"message_id": "m_1", "reaction": "😊"});
        assert_eq!(SenderAction::parse("react", Some(payload)), Ok(SenderAction::react("m_1", "😊")));
        assert_eq!(
            SenderAction::parse("UNREACT", Some("{}".into())),
            Ok(SenderAction::Unreact("{}".into())),
            "a payload may be a text"
        );
        for word in WORDS {
            let payload = word.ends_with("react").then(|| json!("{}"));
            assert_eq!(SenderAction::parse(word, payload).expect(word).as_str(), word);
        }
    }

    #[test]
    fn reactions_need_a_payload_and_nothing_else_takes_one() {
        for payload in [None, Some(Value::Null), Some(json!({})), Some(json!(" "))] {
            assert_eq!(SenderAction::parse("react", payload.clone()), Err(payload_missing()), "{payload:?}");
        }
        let error = SenderAction::parse("unreact", Some(json!(7))).unwrap_err();
        assert_eq!(error.to_string(), "payload must be a JSON object or a string");
        let error = SenderAction::parse("typing_on", Some(json!({}))).unwrap_err();
        assert_eq!(error, InvalidRequest::PayloadWithoutReaction);
    }

    #[test]
    fn an_action_nobody_knows_is_refused_with_those_that_are_known() {
        let error = SenderAction::parse("typing", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sender_action is \"typing\"; Meta knows typing_on, typing_off, mark_seen, react, unreact"
        );
    }
}
