//! Requests written as JSON: a whole body of the Send API, or the message alone.
//!
//! `message`, `recipient` and `reply_to` may also be JSON in a text, as they are in forms. Top-level keys nobody here
//! knows are kept, and so is everything in the message; words are taken in either case. A `null` counts as absent.

use serde_json::{Map, Value};

use super::action::SenderAction;
use super::body::Message;
use super::envelope::{Allow, Envelope, MessagingType, NotificationType, PARAMETERS, refuse_secrets};
use super::error::InvalidRequest;
use super::fields::{Fields, find_word};
use super::recipient;
use super::request::{Content, SendRequest};
use super::tag::Tag;
use crate::ids::Recipient;

/// A request as it was written, which may still lack its recipient.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Draft {
    /// A body of the Send API: `{"recipient":{…},"message":{…}}`, or part of one.
    Request(Map<String, Value>),
    /// The object under `message` alone: `{"text":"…"}`.
    Message(Message),
}

impl Draft {
    /// Tells which it is: a body if any parameter of the Send API stands at its top, and a message otherwise.
    ///
    /// # Errors
    /// A token among the parameters is refused; everything else is looked at once there is a recipient.
    pub fn from_json(json: Map<String, Value>) -> Result<Self, InvalidRequest> {
        refuse_secrets(&json)?;
        // A message may well have a payload of its own some day; a body with nothing else says nothing.
        let is_parameter = |key: &String| key != "payload" && PARAMETERS.contains(&key.as_str());
        let is_request = json.keys().any(is_parameter);
        Ok(if is_request { Self::Request(json) } else { Self::Message(Message::from_json(json)) })
    }

    /// The request for `recipient`, or else for the one it names. A recipient that is overruled is not even read.
    ///
    /// # Errors
    /// Nobody is named, or a parameter cannot be read. What can be read is still to be
    /// [checked](SendRequest::check).
    pub fn address(self, recipient: Option<Recipient>) -> Result<SendRequest, InvalidRequest> {
        match self {
            Self::Message(message) => Ok(SendRequest::new(recipient.ok_or(InvalidRequest::NoRecipient)?, message)),
            Self::Request(body) => read(body, recipient),
        }
    }
}

impl SendRequest {
    /// The request in `json`, a whole body of the Send API. Without a messaging type it is a response.
    ///
    /// # Errors
    /// As [`Draft::address`].
    pub fn from_json(json: Map<String, Value>) -> Result<Self, InvalidRequest> {
        refuse_secrets(&json)?;
        read(json, None)
    }
}

fn read(mut body: Map<String, Value>, recipient: Option<Recipient>) -> Result<SendRequest, InvalidRequest> {
    let written = object(body.shift_remove("recipient"), "recipient");
    let (recipient, recipient_name) = match recipient {
        Some(recipient) => (recipient, None),
        None => recipient::read(&written?.ok_or(InvalidRequest::NoRecipient)?)?,
    };
    let content = read_content(&mut body)?;
    let envelope = Envelope {
        recipient,
        recipient_name,
        messaging_type: read_messaging_type(&mut body)?,
        tag: text(&mut body, "tag")?.map(Tag::new),
        notification_type: read_notification_type(&mut body)?,
        persona_id: text(&mut body, "persona_id")?,
        reply_to: read_reply_to(&mut body)?,
        extra: body,
        allow: Allow::default(),
    };
    Ok(SendRequest { envelope, content })
}

fn read_content(body: &mut Map<String, Value>) -> Result<Content, InvalidRequest> {
    let message = object(body.shift_remove("message"), "message")?;
    let action = text(body, "sender_action")?;
    let payload = body.shift_remove("payload").filter(|payload| !payload.is_null());
    match (message, action) {
        (Some(_), Some(_)) => Err(InvalidRequest::MessageAndAction),
        (None, None) => Err(InvalidRequest::NoContent),
        (None, Some(word)) => SenderAction::parse(&word, payload).map(Content::Action),
        (Some(_), None) if payload.is_some() => Err(InvalidRequest::PayloadWithoutReaction),
        (Some(message), None) => Ok(Content::Message(Message::from_json(message))),
    }
}

fn read_messaging_type(body: &mut Map<String, Value>) -> Result<MessagingType, InvalidRequest> {
    let Some(word) = text(body, "messaging_type")? else { return Ok(MessagingType::default()) };
    let word = find_word("messaging_type", &word, &MessagingType::ALL.map(MessagingType::as_str))?;
    Ok(MessagingType::ALL.into_iter().find(|known| known.as_str() == word).unwrap_or_default())
}

fn read_notification_type(body: &mut Map<String, Value>) -> Result<Option<NotificationType>, InvalidRequest> {
    let Some(word) = text(body, "notification_type")? else { return Ok(None) };
    let word = find_word("notification_type", &word, &NotificationType::ALL.map(NotificationType::as_str))?;
    Ok(NotificationType::ALL.into_iter().find(|known| known.as_str() == word))
}

fn read_reply_to(body: &mut Map<String, Value>) -> Result<Option<String>, InvalidRequest> {
    let Some(reply_to) = object(body.shift_remove("reply_to"), "reply_to")? else { return Ok(None) };
    let fields = Fields::new("reply_to", &reply_to);
    fields.only(&["mid"])?;
    fields.required_text("mid").map(|mid| Some(mid.to_owned()))
}

/// The text under `key`, taken out of `body`.
fn text(body: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, InvalidRequest> {
    match body.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidRequest::WrongType { parameter: key.to_owned(), expected: "a string" }),
    }
}

/// The object in `value`, as it is or as JSON in a text.
fn object(value: Option<Value>, parameter: &'static str) -> Result<Option<Map<String, Value>>, InvalidRequest> {
    let wrong = || InvalidRequest::WrongType { parameter: parameter.to_owned(), expected: "a JSON object" };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(Value::String(text)) => serde_json::from_str(&text).map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: Value) -> Map<String, Value> {
        let Value::Object(json) = json else { panic!("an object") };
        json
    }

    fn from_json(json: Value) -> Result<SendRequest, InvalidRequest> {
        SendRequest::from_json(map(json))
    }

    fn error(json: Value) -> String {
        from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn a_body_is_told_from_a_message_by_what_stands_at_its_top() {
        let kind = |json| match Draft::from_json(map(json)).unwrap() {
            Draft::Request(_) => "body",
            Draft::Message(_) => "message",
        };
        for key in PARAMETERS.into_iter().filter(|key| *key != "payload") {
            assert_eq!(kind(json!({ key: null, "text": "hi" })), "body", "{key}");
        }
        for message in [json!({}), json!({"text": "hi"}), json!({"attachment": {}, "payload": 1})] {
            assert_eq!(kind(message), "message");
        }
    }

    #[test]
    fn the_recipient_given_wins_and_one_is_needed() {
        let to = |text: &str| Some(text.parse::<Recipient>().unwrap());
        let body =
            map(json!({"recipient": {"phone_number": "+1", "name": {"first_name": "Ada"}}, "message": {"text": "hi"}}));
        let own = Draft::from_json(body.clone()).unwrap().address(None).unwrap();
        assert_eq!(own.envelope.recipient, "phone:+1".parse().unwrap());
        assert!(own.envelope.recipient_name.is_some());
        let given = Draft::from_json(body).unwrap().address(to("12")).unwrap();
        assert_eq!((given.envelope.recipient, given.envelope.recipient_name), ("12".parse().unwrap(), None));
        let sample = map(json!({"recipient": {"id": "<PSID>"}, "message": {"text": "hi"}}));
        assert!(Draft::from_json(sample.clone()).unwrap().address(None).is_err());
        assert!(Draft::from_json(sample).unwrap().address(to("12")).is_ok());
        for json in [json!({"text": "hi"}), json!({"message": {"text": "hi"}})] {
            let draft = Draft::from_json(map(json)).unwrap();
            assert_eq!(draft.clone().address(None), Err(InvalidRequest::NoRecipient));
            let expected = SendRequest::new("12".parse().unwrap(), Message::text("hi"));
            assert_eq!(draft.address(to("12")), Ok(expected));
        }
    }

    #[test]
    fn a_form_style_body_is_read() {
        let body = json!({"recipient": r#"{"id":"1"}"#, "message": r#"{"text":"hi"}"#, "reply_to": r#"{"mid":"m_1"}"#});
        let request = from_json(body).unwrap();
        assert_eq!(request.to_json()["message"], json!({"text": "hi"}));
        assert_eq!(request.envelope.reply_to.as_deref(), Some("m_1"));
        for text in ["hi", "[]", "7", ""] {
            let body = json!({"recipient": {"id": "1"}, "message": text});
            assert_eq!(error(body), "message must be a JSON object", "{text}");
        }
    }

    #[test]
    fn words_are_taken_in_either_case() {
        let request = from_json(json!({
            "recipient": {"id": "1"}, "message": {"text": "hi"}, "messaging_type": "update", "notification_type": "silent_push"
        }))
        .unwrap();
        assert_eq!(request.envelope.messaging_type, MessagingType::Update);
        assert_eq!(request.envelope.notification_type, Some(NotificationType::SilentPush));
        let action = from_json(json!({"recipient": {"id": "1"}, "sender_action": "TYPING_ON"})).unwrap();
        assert_eq!(action.content, SenderAction::TypingOn.into());
    }

    #[test]
    fn without_a_messaging_type_it_is_a_response() {
        let request = from_json(json!({"recipient": {"id": "1"}, "message": {"text": "hi"}})).unwrap();
        assert_eq!(request.to_json()["messaging_type"], "RESPONSE");
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        let with = |key: &str, value: Value| {
            let mut body = map(json!({"recipient": {"id": "1"}, "message": {"text": "hi"}}));
            body.insert(key.to_owned(), value);
            error(body.into())
        };
        for key in ["messaging_type", "tag", "notification_type", "persona_id", "sender_action"] {
            assert_eq!(with(key, json!(7)), format!("{key} must be a string"));
        }
        for key in ["recipient", "message", "reply_to"] {
            assert_eq!(with(key, json!(7)), format!("{key} must be a JSON object"));
        }
        let unknown = with("messaging_type", json!("REPLY"));
        assert_eq!(unknown, "messaging_type is \"REPLY\"; Meta knows RESPONSE, UPDATE, MESSAGE_TAG, UTILITY");
        assert!(
            with("notification_type", json!("LOUD")).starts_with("notification_type is \"LOUD\"; Meta knows REGULAR")
        );
        assert_eq!(with("reply_to", json!({})), "reply_to[mid] is required");
        assert_eq!(with("reply_to", json!({"mid": "m", "a": 1})), "reply_to has keys Meta does not know: a");
        assert_eq!(with("recipient", json!({"id": "1", "ID": "2"})), "recipient has keys Meta does not know: ID");
    }

    #[test]
    fn a_message_and_an_action_exclude_each_other() {
        let both = json!({"recipient": {"id": "1"}, "message": {"text": "hi"}, "sender_action": "typing_on"});
        assert_eq!(from_json(both), Err(InvalidRequest::MessageAndAction));
        assert_eq!(from_json(json!({"recipient": {"id": "1"}})), Err(InvalidRequest::NoContent));
        let payload = json!({"recipient": {"id": "1"}, "message": {"text": "hi"}, "payload": "p"});
        assert_eq!(from_json(payload), Err(InvalidRequest::PayloadWithoutReaction));
    }

    #[test]
    fn a_token_in_a_body_is_refused_and_not_repeated() {
        let body = map(json!({"recipient": {"id": "1"}, "message": {"text": "hi"}, "access_token": "EAAB-secret"}));
        let refused = InvalidRequest::SecretInBody { parameter: "access_token" };
        assert_eq!(SendRequest::from_json(body.clone()), Err(refused.clone()));
        assert_eq!(Draft::from_json(body), Err(refused.clone()));
        assert_eq!(refused.to_string(), "access_token has no place in a message");
    }

    #[test]
    fn parameters_nobody_knows_keep_their_order() {
        let request = from_json(json!({
            "payload": "{}", "sender_action": "react", "recipient": {"id": "1"}, "one": 1, "persona_id": "17", "two": 2, "three": 3
        }))
        .unwrap();
        let keys: Vec<_> = request.envelope.extra.keys().collect();
        assert_eq!(keys, ["one", "two", "three"]);
    }

    #[test]
    fn null_counts_as_absent() {
        let request = from_json(json!({
            "recipient": {"id": "1", "user_ref": null}, "message": {"text": "hi"}, "tag": null, "sender_action": null,
            "reply_to": null, "payload": null
        }))
        .unwrap();
        assert_eq!(request, SendRequest::new("1".parse().unwrap(), Message::text("hi")));
    }
}
