//! TOML that people wrote, and where it is wrong.

use serde::de::DeserializeOwned;

/// What `text` says.
///
/// # Errors
/// The line of what is wrong, which counts from 1, and what that is.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        (1 + before.matches('\n').count(), in_plain_words(error.message()))
    })
}

/// The same words, but for the names Rust has for numbers.
fn in_plain_words(message: &str) -> String {
    let Some((seen, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let number = match expected {
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" => "a whole number above zero",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        _ => return message.to_owned(),
    };
    format!("{seen}, expected {number}")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong is looked at")]
    struct Limits {
        pace: Option<NonZeroU32>,
        days: Option<u16>,
    }

    #[test]
    fn an_error_names_its_line_and_no_type_of_rust() {
        let wrong = |text| from_toml::<Limits>(text).expect_err("wrong");
        let expected = "invalid value: integer `0`, expected a whole number above zero";
        assert_eq!(wrong("days = 1\n\npace = 0\n"), (3, expected.to_owned()));
        assert_eq!(wrong("days = 1.5"), (1, "invalid type: floating point `1.5`, expected a whole number".to_owned()));
        assert_eq!(wrong("\npaces = 1"), (2, "unknown field `paces`, expected `pace` or `days`".to_owned()));
    }
}
