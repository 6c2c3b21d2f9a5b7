//! What a campaign is called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::InvalidId;

/// A campaign's name: 1 to 64 letters, digits, `.`, `_` and `-`, the first of them a letter or digit. It is short and
/// plain because it travels with every message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct CampaignName(Arc<str>);

impl CampaignName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plausible = (1..=64).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let expected = "a campaign's name (at most 64 letters, digits, dots, dashes and underscores)";
        if plausible { Ok(Self(text.into())) } else { Err(InvalidId::new(text, expected)) }
    }
}

impl fmt::Display for CampaignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaigns_name_can_stand_between_colons() {
        for text in ["spring-sale", "2026.04_a", "7"] {
            assert_eq!(text.parse::<CampaignName>().expect(text).as_str(), text);
        }
        for text in ["", "spring sale", "a:b", "-a", ".", "é", &"a".repeat(65)] {
            assert!(text.parse::<CampaignName>().is_err(), "{text:?}");
        }
    }
}
