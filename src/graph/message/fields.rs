//! Reading JSON by the names Meta gives its parameters.
//!
//! What is `null` counts as absent. Words are compared without regard to case, because Meta's reference writes them in
//! capitals and its samples in small letters.

use serde_json::{Map, Value};

use super::error::InvalidRequest;

/// How much of a word nobody knows is repeated, in characters.
const WORD_LIMIT: usize = 40;

/// The fields of one JSON object, and the name Meta gives it, such as `message[attachment]`.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    pub(super) json: &'a Map<String, Value>,
    pub(super) name: String,
}

impl<'a> Fields<'a> {
    pub(super) fn new(name: impl Into<String>, json: &'a Map<String, Value>) -> Self {
        Self { json, name: name.into() }
    }

    /// What Meta calls the parameter under `key`.
    pub(super) fn parameter(&self, key: &str) -> String {
        format!("{}[{key}]", self.name)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, InvalidRequest> {
        self.typed(key, "a string", Value::as_str)
    }

    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, InvalidRequest> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, InvalidRequest> {
        self.typed(key, "a list", Value::as_array)
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Self>, InvalidRequest> {
        let object = self.typed(key, "a JSON object", Value::as_object)?;
        Ok(object.map(|json| Fields::new(self.parameter(key), json)))
    }

    /// The objects in the list under `key`; empty where there is no list.
    pub(super) fn objects(&self, key: &str) -> Result<Vec<Self>, InvalidRequest> {
        let named = |(place, item): (usize, &'a Value)| {
            let name = format!("{}[{place}]", self.parameter(key));
            match item.as_object() {
                Some(json) => Ok(Fields::new(name, json)),
                None => Err(InvalidRequest::WrongType { parameter: name, expected: "a JSON object" }),
            }
        };
        self.list(key)?.into_iter().flatten().enumerate().map(named).collect()
    }

    /// Which of `known` stands under `key`, whatever its case.
    pub(super) fn word(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>, InvalidRequest> {
        let Some(word) = self.text(key)? else { return Ok(None) };
        find_word(&self.parameter(key), word, known).map(Some)
    }

    /// The parameter under `key`, which has to be there: `fields.required("type", fields.text("type")?)?`.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, InvalidRequest> {
        value.ok_or_else(|| InvalidRequest::Missing { parameter: self.parameter(key) })
    }

    /// The text under `key`, which has to be there and to say something.
    pub(super) fn required_text(&self, key: &str) -> Result<&'a str, InvalidRequest> {
        self.required(key, self.text(key)?.filter(|text| !text.trim().is_empty()))
    }

    /// Refuses a text of more than `most` characters.
    pub(super) fn at_most(&self, key: &str, text: &str, most: usize) -> Result<(), InvalidRequest> {
        match text.chars().count() {
            length if length > most => {
                Err(InvalidRequest::TooLong { parameter: self.parameter(key), length, unit: "characters", most })
            }
            _ => Ok(()),
        }
    }

    /// Refuses keys that are not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), InvalidRequest> {
        let keys: Vec<String> = self.json.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        Err(InvalidRequest::UnknownKeys { parameter: self.name.clone(), keys })
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || InvalidRequest::WrongType { parameter: self.parameter(key), expected };
        read(value).map(Some).ok_or_else(wrong)
    }
}

/// Which of `known` the `word` of `parameter` is, whatever its case.
pub(super) fn find_word(parameter: &str, word: &str, known: &[&'static str]) -> Result<&'static str, InvalidRequest> {
    known.iter().copied().find(|known| known.eq_ignore_ascii_case(word)).ok_or_else(|| InvalidRequest::UnknownWord {
        parameter: parameter.to_owned(),
        word: word.chars().take(WORD_LIMIT).collect(),
        known: known.to_vec(),
    })
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(parameter: &str, expected: &'static str) -> InvalidRequest {
        InvalidRequest::WrongType { parameter: parameter.to_owned(), expected }
    }

    #[test]
    fn a_value_of_another_type_is_named_as_meta_names_it() {
        let json = json!({"message": {"text": 7, "template": [], "sharable": "yes", "list": {}, "items": [1]}});
        let message = Fields::new("body", json.as_object().unwrap()).object("message").unwrap().unwrap();
        assert_eq!(message.text("text"), Err(wrong("body[message][text]", "a string")));
        assert_eq!(message.object("template").unwrap_err(), wrong("body[message][template]", "a JSON object"));
        assert_eq!(message.boolean("sharable"), Err(wrong("body[message][sharable]", "true or false")));
        assert_eq!(message.list("list"), Err(wrong("body[message][list]", "a list")));
        assert_eq!(message.objects("items").unwrap_err(), wrong("body[message][items][0]", "a JSON object"));
        assert_eq!(wrong("message[text]", "a string").to_string(), "message[text] must be a string");
    }

    #[test]
    fn null_counts_as_absent() {
        let json = json!({"text": null});
        let fields = Fields::new("message", json.as_object().unwrap());
        assert_eq!(fields.text("text"), Ok(None));
        assert_eq!(fields.required_text("text").unwrap_err().to_string(), "message[text] is required");
    }

    #[test]
    fn words_are_read_in_either_case_and_strange_ones_are_shown_in_part() {
        let known = ["image", "video"];
        assert_eq!(find_word("type", "IMAGE", &known), Ok("image"));
        let error = find_word("type", &"x".repeat(5000), &known).unwrap_err();
        assert_eq!(error.to_string(), format!("type is {:?}; Meta knows image, video", "x".repeat(WORD_LIMIT)));
    }
}
