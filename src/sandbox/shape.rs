//! Checks on JSON parameters, refusing in Graph's words.
//!
//! A parameter that is `null` counts as absent. `param` is the name Graph would print, such as
//! `message[attachment][payload]`.

use serde_json::{Map, Value};

use super::error::GraphError;

pub(super) type Object = Map<String, Value>;

/// Refuses keys that are not `allowed`.
pub(super) fn only(object: &Object, allowed: &[&str], param: &str) -> Result<(), GraphError> {
    let strange: Vec<&str> = object.keys().map(String::as_str).filter(|key| !allowed.contains(key)).collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(GraphError::parameter(format!("Invalid keys \"{}\" were found in param \"{param}\".", strange.join(", "))))
}

/// The value of `key`, unless it is `null`.
pub(super) fn present<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The object under `key`.
pub(super) fn object<'a>(object: &'a Object, key: &str, param: &str) -> Result<Option<&'a Object>, GraphError> {
    typed(object, key, param, "a JSON object", Value::as_object)
}

/// The list under `key`.
pub(super) fn list<'a>(object: &'a Object, key: &str, param: &str) -> Result<Option<&'a Vec<Value>>, GraphError> {
    typed(object, key, param, "an array", Value::as_array)
}

/// The text under `key`.
pub(super) fn text<'a>(object: &'a Object, key: &str, param: &str) -> Result<Option<&'a str>, GraphError> {
    typed(object, key, param, "a string", Value::as_str)
}

/// The text under `key`, which must have fewer than `limit` characters.
pub(super) fn short_text<'a>(
    object: &'a Object,
    key: &str,
    param: &str,
    limit: usize,
) -> Result<Option<&'a str>, GraphError> {
    match text(object, key, param)? {
        Some(text) if text.chars().count() >= limit => {
            Err(GraphError::parameter(format!("Length of param {param} must be less than {limit}")))
        }
        text => Ok(text),
    }
}

/// Which of `allowed` stands under `key`, whatever its case.
pub(super) fn one_of(
    object: &Object,
    key: &str,
    param: &str,
    allowed: &[&'static str],
) -> Result<Option<&'static str>, GraphError> {
    let Some(value) = present(object, key) else { return Ok(None) };
    let known = value.as_str().and_then(|word| allowed.iter().find(|known| known.eq_ignore_ascii_case(word)));
    match known {
        Some(known) => Ok(Some(known)),
        None => Err(GraphError::parameter(format!("Param {param} must be one of {{{}}}", allowed.join(", ")))),
    }
}

/// The id under `key`: digits, as text or as a number.
pub(super) fn numeric(object: &Object, key: &str, param: &str) -> Result<Option<String>, GraphError> {
    let Some(value) = present(object, key) else { return Ok(None) };
    let id = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(id));
    }
    Err(GraphError::parameter(format!("Param {param} must be a valid ID string (e.g., \"123\")")))
}

/// The yes or no under `key`; the words `"true"` and `"false"` do too, as forms and some of Meta's samples write them.
pub(super) fn boolean(object: &Object, key: &str, param: &str) -> Result<Option<bool>, GraphError> {
    match present(object, key) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::String(word)) if word == "true" || word == "false" => Ok(Some(word == "true")),
        Some(_) => Err(GraphError::parameter(format!("Param {param} must be a boolean"))),
    }
}

fn typed<'a, T: ?Sized>(
    object: &'a Object,
    key: &str,
    param: &str,
    expected: &str,
    read: impl FnOnce(&'a Value) -> Option<&'a T>,
) -> Result<Option<&'a T>, GraphError> {
    match present(object, key) {
        None => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(GraphError::parameter(format!("Param {param} must be {expected}"))),
        },
    }
}
