//! What people wrote, and where it is wrong: serde's words, made into ones that know nothing of this program's types.
//!
//! Names are told back, and values are not: they may be anything.

use serde::de::DeserializeOwned;

/// What the TOML in `text` says.
///
/// # Errors
/// The line of what is wrong, which counts from 1, and what that is.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        (1 + before.matches('\n').count(), in_words(error.message(), "a table"))
    })
}

/// What is wrong with JSON, or with a word of an address, in plain words; as it is where it is said in no form that all of serde's
/// formats share.
pub(crate) fn plainly(said: &str) -> String {
    in_words(said, "an object")
}

fn in_words(said: &str, map: &str) -> String {
    match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "it is no whole number".to_owned()
        }
        "number too large to fit in target type" => "the number is too large".to_owned(),
        _ => rephrased(said, map).unwrap_or_else(|| said.to_owned()),
    }
}

fn rephrased(said: &str, map: &str) -> Option<String> {
    let behind = |starts: [&str; 2]| starts.into_iter().find_map(|start| said.strip_prefix(start));
    if let Some(name) = said.strip_prefix("missing field ") {
        return Some(format!("{name} is missing"));
    }
    if let Some(name) = said.strip_prefix("duplicate field ") {
        return Some(format!("{name} stands there twice"));
    }
    if let Some(unknown) = behind(["unknown field ", "unknown variant "]) {
        let (name, known) = unknown.rsplit_once(", expected ")?;
        return Some(format!("{name} is unknown: use {known}"));
    }
    let (found, wanted) = behind(["invalid type: ", "invalid value: "])?.rsplit_once(", expected ")?;
    let found = match found.split(' ').next() {
        Some("null") => "null",
        Some("boolean") => "true or false",
        Some("integer" | "floating") => "a number",
        Some("string") => "a text",
        Some("sequence") => "a list",
        Some("map") => map,
        _ => "something else",
    };
    let wanted = match wanted {
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" => "a whole number above zero",
        _ if wanted.starts_with("struct ") => map,
        _ if ["enum ", "tuple ", "unit ", "newtype "].iter().any(|kind| wanted.starts_with(kind)) => "something else",
        _ => wanted,
    };
    Some(format!("{found} stands where {wanted} belongs"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Flower {
        name: String,
        is_red: Option<bool>,
        petals: Option<Vec<Colour>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong is looked at")]
    struct Bed {
        seeds: Option<NonZeroU32>,
        days: Option<u16>,
    }

    #[test]
    fn serdes_words_become_plain_ones() {
        let said = |json: &str| {
            let error = serde_json::from_str::<Flower>(json).expect_err(json).to_string();
            plainly(error.split(" at line ").next().expect("words"))
        };
        for (json, plain) in [
            ("{}", "`name` is missing"),
            (r#"{"name":"a","name":"b"}"#, "`name` stands there twice"),
            (r#"{"colour":1}"#, "`colour` is unknown: use one of `name`, `is_red`, `petals`"),
            (r#"{"name":"a","petals":["green"]}"#, "`green` is unknown: use `red` or `blue`"),
            (r#"{"name":7}"#, "a number stands where a text belongs"),
            (r#"{"name":7.5}"#, "a number stands where a text belongs"),
            (r#"{"name":null}"#, "null stands where a text belongs"),
            (r#"{"name":{}}"#, "an object stands where a text belongs"),
            (r#"{"name":[]}"#, "a list stands where a text belongs"),
            (r#"{"name":true}"#, "true or false stands where a text belongs"),
            (r#"{"name":"a","is_red":"x, expected y"}"#, "a text stands where true or false belongs"),
            (r#"{"name":"a","petals":"red"}"#, "a text stands where a list belongs"),
            (r#""tulip""#, "a text stands where an object belongs"),
            ("{", "EOF while parsing an object"),
        ] {
            assert_eq!(said(json), plain, "{json}");
        }
        let number = |text: &str| plainly(&text.parse::<u64>().expect_err(text).to_string());
        assert_eq!(number("many"), "it is no whole number");
        assert_eq!(number(""), "it is no whole number");
        assert_eq!(number("99999999999999999999"), "the number is too large");
    }

    #[test]
    fn toml_is_wrong_at_a_line() {
        let wrong = |text| from_toml::<Bed>(text).expect_err("wrong");
        assert_eq!(
            wrong("days = 1\n\nseeds = 0\n"),
            (3, "a number stands where a whole number above zero belongs".into())
        );
        assert_eq!(wrong("days = 1.5"), (1, "a number stands where a whole number belongs".into()));
        assert_eq!(wrong("\nseed = 1"), (2, "`seed` is unknown: use `seeds` or `days`".into()));
        assert_eq!(wrong("[days]\nmonday = 1"), (1, "a table stands where a whole number belongs".into()));
        assert_eq!(wrong("[days\n"), (1, "unclosed table, expected `]`".into()));
    }
}
