//! The names people give to assets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::InvalidId;

/// A name given with `reattach alias`, written `@name`: at most 64 letters of the English alphabet, digits, `-`, `_`, `.`
/// and `/`, of which the first is a letter, a digit or `_`. `Hero` and `hero` are two names.
///
/// One alphabet keeps a name the same in every editor, shell and programming language.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// The name `text` says, written with its `@` or without.
    ///
    /// # Errors
    /// What is behind the `@` is no name.
    pub fn with_or_without_at(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix('@').unwrap_or(text).parse()
    }

    /// The name, without `@`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AliasName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_');
        if begins && text.len() <= 64 && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new(
                text,
                "an alias (at most 64 of a-z, A-Z, 0-9, -, _, . and /, and no sign but _ to begin with)",
            ))
        }
    }
}

/// The name as it is written: `@hero`.
impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_survive_every_editor() {
        for text in ["hero", "Hero", "spring/hero.v2", "_x", "7", &"x".repeat(64)] {
            assert_eq!(text.parse::<AliasName>().expect(text).as_str(), text);
        }
        for text in ["", "@hero", "-hero", ".hero", "/hero", "he ro", "héro", "he>ro", "a\nb", &"x".repeat(65)] {
            assert!(text.parse::<AliasName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_at_before_a_name_is_no_part_of_it() {
        for text in ["hero", "@hero"] {
            assert_eq!(AliasName::with_or_without_at(text).expect(text).as_str(), "hero");
        }
        for text in ["", "@", "@@hero", "@-hero"] {
            assert!(AliasName::with_or_without_at(text).is_err(), "{text:?}");
        }
    }
}
