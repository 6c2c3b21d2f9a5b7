//! The recipient as it stands on the wire: `{"id":"…"}`, `{"phone_number":"+1…","name":{"first_name":"…"}}` and the like.
//!
//! **Source**: Graph API reference, Page `messages` edge, parameter `recipient` (v25.0).

use serde_json::{Map, Value, json};

use super::error::InvalidRequest;
use super::fields::{Fields, is_digits};
use crate::ids::Recipient;

/// A way to name somebody: its key, and what it makes of a value.
type Form = (&'static str, fn(String) -> Recipient);

const FORMS: [Form; 9] = [
    ("id", Recipient::Psid),
    ("user_ref", Recipient::UserRef),
    ("comment_id", Recipient::Comment),
    ("post_id", Recipient::Post),
    ("phone_number", Recipient::Phone),
    ("player_id", Recipient::Player),
    ("one_time_notif_token", Recipient::OneTimeNotification),
    ("notification_messages_token", Recipient::NotificationMessages),
    ("login_id", Recipient::Login),
];

/// A person's name, as it goes with a phone number: it helps Meta to find the right person. An empty part is not sent.
///
/// **Source**: Graph API reference, Page `messages` edge, `recipient.name` (v25.0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullName {
    /// `first_name`.
    pub first: String,
    /// `last_name`.
    pub last: String,
}

impl FullName {
    fn read(name: &Fields<'_>) -> Result<Self, InvalidRequest> {
        name.only(&["first_name", "last_name"])?;
        let part = |key| match name.text(key)? {
            None => Ok(String::new()),
            Some(_) => name.required_text(key).map(ToOwned::to_owned),
        };
        let full = Self { first: part("first_name")?, last: part("last_name")? };
        full.check().map(|()| full)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        if self.first.is_empty() && self.last.is_empty() {
            return Err(InvalidRequest::Missing { parameter: "recipient[name][first_name]".to_owned() });
        }
        Ok(())
    }

    fn write(&self) -> Value {
        let parts = [("first_name", &self.first), ("last_name", &self.last)];
        let present = parts.into_iter().filter(|(_, part)| !part.is_empty());
        present.map(|(key, part)| (key.to_owned(), part.as_str().into())).collect::<Map<_, _>>().into()
    }
}

/// The one person `recipient` names.
pub(super) fn read(recipient: &Map<String, Value>) -> Result<(Recipient, Option<FullName>), InvalidRequest> {
    let fields = Fields::new("recipient", recipient);
    let known: Vec<&str> = FORMS.iter().map(|(key, _)| *key).chain(["name"]).collect();
    fields.only(&known)?;
    let mut forms = FORMS.into_iter().filter(|(key, _)| fields.get(key).is_some());
    let (key, form) = forms.next().ok_or(InvalidRequest::NoRecipient)?;
    if let Some((other, _)) = forms.next() {
        return Err(InvalidRequest::SeveralRecipients { first: key, second: other });
    }
    let recipient = form(fields.required_text(key)?.to_owned());
    let name = fields.object("name")?.map(|name| FullName::read(&name)).transpose()?;
    check(&recipient, name.as_ref())?;
    Ok((recipient, name))
}

pub(super) fn write(recipient: &Recipient, name: Option<&FullName>) -> Value {
    let mut json = json!({ key(recipient): recipient.value() });
    if let Some(name) = name {
        json["name"] = name.write();
    }
    json
}

/// Refuses what names nobody. What is stored as one word must read back as the same person.
pub(super) fn check(recipient: &Recipient, name: Option<&FullName>) -> Result<(), InvalidRequest> {
    let parameter = format!("recipient[{}]", key(recipient));
    match recipient.to_string().parse::<Recipient>() {
        Err(cause) => return Err(InvalidRequest::RecipientInvalid { parameter, cause }),
        Ok(read) if read != *recipient => {
            return Err(InvalidRequest::WrongType { parameter, expected: "without spaces around it" });
        }
        Ok(Recipient::Player(id)) if !is_digits(&id) => return Err(InvalidRequest::NotDigits { parameter }),
        Ok(_) => {}
    }
    match (name, recipient) {
        (None, _) => Ok(()),
        (Some(name), Recipient::Phone(_)) => name.check(),
        (Some(_), _) => Err(InvalidRequest::NameWithoutPhone),
    }
}

/// The key a form of recipient goes by on the wire.
fn key(recipient: &Recipient) -> &'static str {
    match recipient {
        Recipient::Psid(_) => "id",
        Recipient::UserRef(_) => "user_ref",
        Recipient::Comment(_) => "comment_id",
        Recipient::Post(_) => "post_id",
        Recipient::Phone(_) => "phone_number",
        Recipient::Player(_) => "player_id",
        Recipient::OneTimeNotification(_) => "one_time_notif_token",
        Recipient::NotificationMessages(_) => "notification_messages_token",
        Recipient::Login(_) => "login_id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(json: &Value) -> Result<(Recipient, Option<FullName>), InvalidRequest> {
        read(json.as_object().unwrap())
    }

    #[test]
    fn every_form_reads_back_what_it_writes() {
        for (form, make) in FORMS {
            let value = if form == "phone_number" { "+12125552368" } else { "12" };
            let recipient = make(value.to_owned());
            let json = write(&recipient, None);
            assert_eq!(json, json!({ form: value }));
            assert_eq!(read_json(&json), Ok((recipient, None)));
        }
    }

    #[test]
    fn a_name_goes_with_a_phone_number_and_may_lack_a_part() {
        for name in [json!({"first_name": "Ada", "last_name": "Lovelace"}), json!({"last_name": "Lovelace"})] {
            let json = json!({"phone_number": "+1", "name": name});
            let (recipient, name) = read_json(&json).unwrap();
            assert_eq!(write(&recipient, name.as_ref()), json);
        }
        let error = read_json(&json!({"id": "1", "name": {"first_name": "Ada"}})).unwrap_err();
        assert_eq!(error, InvalidRequest::NameWithoutPhone);
        for name in [json!({}), json!({"first_name": ""})] {
            let error = read_json(&json!({"phone_number": "+1", "name": name})).unwrap_err();
            assert_eq!(error.to_string(), "recipient[name][first_name] is required");
        }
    }

    #[test]
    fn exactly_one_person_is_named() {
        assert_eq!(read_json(&json!({})), Err(InvalidRequest::NoRecipient));
        assert_eq!(read_json(&json!({"id": null})), Err(InvalidRequest::NoRecipient));
        let error = read_json(&json!({"login_id": "a", "id": "1"})).unwrap_err();
        assert_eq!(error, InvalidRequest::SeveralRecipients { first: "id", second: "login_id" });
    }

    #[test]
    fn what_names_nobody_is_refused_by_the_parameter_it_stands_in() {
        for (json, message) in [
            (json!({"id": "12a"}), "recipient[id] names nobody"),
            (json!({"id": 12}), "recipient[id] must be a string"),
            (json!({"id": ""}), "recipient[id] is required"),
            (json!({"phone_number": "212"}), "recipient[phone_number] names nobody"),
            (json!({"player_id": "p1"}), "recipient[player_id] must be made of digits"),
            (json!({"user_ref": " a "}), "recipient[user_ref] must be without spaces around it"),
            (json!({"otn": "a"}), "recipient has keys Meta does not know: otn"),
            (
                json!({"phone_number": "+1", "name": {"title": "Dr"}}),
                "recipient[name] has keys Meta does not know: title",
            ),
            (json!({"phone_number": "+1", "name": "Ada"}), "recipient[name] must be a JSON object"),
        ] {
            assert_eq!(read_json(&json).unwrap_err().to_string(), message, "{json}");
        }
    }
}
