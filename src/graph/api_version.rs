//! Which version of the Graph API is asked for.

use std::fmt;
use std::str::FromStr;

/// A version of the Graph API: `v25.0` unless told otherwise.
///
/// **Source**: Graph API changelog: v25.0 was released 2026-02-18 and lives until 2028-07-29.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The version as addresses begin with it: `v25.0`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self("v25.0".to_owned())
    }
}

impl FromStr for ApiVersion {
    type Err = InvalidApiVersion;

    fn from_str(text: &str) -> Result<Self, InvalidApiVersion> {
        let is_number = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_prefix('v').and_then(|numbers| numbers.split_once('.')) {
            Some((major, minor)) if is_number(major) && is_number(minor) => Ok(Self(text.to_owned())),
            _ => Err(InvalidApiVersion(text.to_owned())),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no version of the Graph API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Graph API version such as v25.0")]
pub struct InvalidApiVersion(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_v_number_dot_number() {
        assert_eq!(ApiVersion::default().to_string(), "v25.0");
        assert_eq!("v26.0".parse::<ApiVersion>().expect("a version").to_string(), "v26.0");
        for text in ["", "25.0", "v25", "v25.", "v.0", "v25.0/me", "v25.0.1", "V25.0", "v2 5.0", "v25.0000"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
