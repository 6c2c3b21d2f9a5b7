//! Messages with gaps: `{first_name}` in any string of a message becomes what the list says of each recipient.
//!
//! `{{` and `}}` stand for braces. References to assets have no gaps: they are resolved once, for everybody.

use serde_json::{Map, Value};

use crate::graph::Message;

/// A message with gaps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    json: Value,
    /// The strings that are not as they stand: where, and what they are made of.
    gaps: Vec<(String, Vec<Piece>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// The template in `message`.
    ///
    /// # Errors
    /// Says what is wrong with a gap.
    pub(super) fn parse(message: &Map<String, Value>) -> Result<Self, String> {
        let mut gaps = Vec::new();
        let json = Value::Object(message.clone());
        collect("", None, &json, &mut gaps)?;
        Ok(Self { json, gaps })
    }

    /// The names of its gaps, each once.
    pub(super) fn variables(&self) -> Vec<&str> {
        let pieces = self.gaps.iter().flat_map(|(_, pieces)| pieces);
        let mut names: Vec<&str> = pieces
            .filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name.as_str()),
                Piece::Text(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The message as it stands, gaps and all.
    pub(super) fn as_message(&self) -> Message {
        Message::from_json(self.json.as_object().cloned().unwrap_or_default())
    }

    /// The message for somebody; a gap nothing is known for stays empty.
    pub(super) fn fill(&self, variables: &Map<String, Value>) -> Message {
        let mut json = self.json.clone();
        for (pointer, pieces) in &self.gaps {
            if let Some(place) = json.pointer_mut(pointer) {
                *place = filled(pieces, variables).into();
            }
        }
        let Value::Object(json) = json else { return Message::from_json(Map::new()) };
        Message::from_json(json)
    }
}

fn filled(pieces: &[Piece], variables: &Map<String, Value>) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(words) => text.push_str(words),
            Piece::Variable(name) => text.push_str(variables.get(name).and_then(Value::as_str).unwrap_or_default()),
        }
    }
    text
}

fn collect(
    pointer: &str,
    key: Option<&str>,
    value: &Value,
    gaps: &mut Vec<(String, Vec<Piece>)>,
) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains(['{', '}']) => {
            let pieces = pieces(text)?;
            let has_gaps = pieces.iter().any(|piece| matches!(piece, Piece::Variable(_)));
            if has_gaps && matches!(key, Some("file" | "asset")) {
                return Err(format!("{text:?} is resolved once, for everybody, and can have no gaps"));
            }
            gaps.push((pointer.to_owned(), pieces));
            Ok(())
        }
        Value::Object(object) => object.iter().try_for_each(|(key, value)| {
            let escaped = key.replace('~', "~0").replace('/', "~1");
            collect(&format!("{pointer}/{escaped}"), Some(key), value, gaps)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(place, item)| collect(&format!("{pointer}/{place}"), key, item, gaps)),
        _ => Ok(()),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut words = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('{', Some('{')) | ('}', Some('}')) => {
                rest.next();
                words.push(character);
            }
            ('}', _) => return Err(format!("a }} without a {{ in {text:?}")),
            ('{', _) => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some(next) if next != '{' => name.push(next),
                        _ => return Err(format!("a {{ without a }} in {text:?}")),
                    }
                }
                if !is_name(&name) {
                    return Err(format!("{{{name}}} in {text:?} is not the name of a column"));
                }
                pieces.push(Piece::Text(std::mem::take(&mut words)));
                pieces.push(Piece::Variable(name));
            }
            _ => words.push(character),
        }
    }
    pieces.push(Piece::Text(words));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok(pieces)
}

/// Letters, digits, `_`, `-`, dots and single spaces: what columns are called.
fn is_name(name: &str) -> bool {
    let first_and_last = [name.chars().next(), name.chars().next_back()];
    first_and_last.into_iter().all(|end| end.is_some_and(|end| end.is_alphanumeric() || end == '_'))
        && name.chars().all(|character| character.is_alphanumeric() || "_-. ".contains(character))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn template(json: &Value) -> Result<Template, String> {
        Template::parse(json.as_object().unwrap())
    }

    fn fill(json: &Value, variables: &Value) -> Value {
        let message = template(json).unwrap().fill(variables.as_object().unwrap());
        Value::Object(message.as_json().clone())
    }

    #[test]
    fn every_string_can_have_gaps_and_nothing_else_is_touched() {
        let card = json!({"attachment": {"payload": {"elements": [{"title": "For {name}", "n": 1, "a/b": "{x y}"}]}}});
        let filled = json!({"attachment": {"payload": {"elements": [{"title": "For Ada", "n": 1, "a/b": "7"}]}}});
        assert_eq!(fill(&card, &json!({"name": "Ada", "x y": "7"})), filled);
        assert_eq!(template(&card).unwrap().variables(), ["name", "x y"]);
    }

    #[test]
    fn what_the_list_says_is_never_read_as_a_gap() {
        assert_eq!(fill(&json!({"text": "{a}{b}"}), &json!({"a": "{b}", "b": "\"}"})), json!({"text": "{b}\"}"}));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn any_words_can_be_said_and_any_value_filled_in(words in "(\\PC|[{}]){0,20}", value in "(\\PC|[{}]){0,20}") {
            let escaped = words.replace('{', "{{").replace('}', "}}");
            let gap = format!("{escaped}{{a}}{escaped}");
            let filled = fill(&json!({ "text": escaped, "also": [gap] }), &json!({ "a": value }));
            prop_assert_eq!(filled, json!({ "text": words, "also": [format!("{words}{value}{words}")] }));
        }
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(fill(&json!({"text": "{{a}} }}{{ {a}"}), &json!({"a": "1"})), json!({"text": "{a} }{ 1"}));
    }

    #[test]
    fn a_gap_that_is_none_is_refused() {
        for text in ["{", "}", "{a", "a}", "{}", "{ a}", "{a{b}}", "{\"a\":1}"] {
            assert!(template(&json!({ "text": text })).is_err(), "{text}");
        }
        assert!(template(&json!({"attachment": {"payload": {"file": "{lang}.png"}}})).is_err());
    }
}
