//! The names programs give to requests they may repeat.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::InvalidId;

/// What a program calls a request, to be able to repeat it: at most 255 characters of visible ASCII, one at least. The
/// quotes of a header's string are none of it: `"a"` and `a` are one key.
///
/// **Source**: IETF draft "The Idempotency-Key HTTP Header Field" (a string in quotes); most programs write none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(Arc<str>);

impl RequestKey {
    /// The key, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if (1..=255).contains(&bare.len()) && bare.bytes().all(fits) {
            Ok(Self(bare.into()))
        } else {
            Err(InvalidId::new(text, "a key (1 to 255 visible ASCII characters, without quotes and backslashes)"))
        }
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        for text in [uuid, "a", "order:7/1", &"x".repeat(255)] {
            assert_eq!(text.parse::<RequestKey>().expect(text).as_str(), text);
            assert_eq!(format!("\"{text}\"").parse::<RequestKey>().expect(text).as_str(), text);
        }
        for text in ["", "\"\"", "a b", "a\"b", "\"a", "a\\b", "é", "a\nb", &"x".repeat(256)] {
            assert!(text.parse::<RequestKey>().is_err(), "{text:?}");
        }
    }
}
