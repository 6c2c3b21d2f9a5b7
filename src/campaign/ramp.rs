//! The stages of a campaign: those who try it out, a few, everybody. Behind each of the first two it waits for a yes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::portion::Portion;
use crate::ids::Recipient;
use crate::record::Campaign;

/// Who gets a campaign before everybody does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// Those who try it out. Who is not on the list is put on it.
    #[serde(default, with = "recipients")]
    pub testers: Vec<Recipient>,
    /// How many of those on the list then get it, from its beginning.
    #[serde(default)]
    pub canary: Option<Portion>,
}

/// Which part of a campaign's list is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Those who try it out.
    Testers,
    /// A few.
    Canary,
    /// All who are left.
    Everybody,
}

impl Stage {
    /// Its number on record.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Testers => 0,
            Self::Canary => 1,
            Self::Everybody => 2,
        }
    }

    /// The one that follows.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Testers => Self::Canary,
            Self::Canary | Self::Everybody => Self::Everybody,
        }
    }

    /// Who has it behind this stage, which somebody got, or nobody did.
    pub const fn outcome(self, has_arrived: bool) -> &'static str {
        match (self, has_arrived) {
            (Self::Testers, true) => "the testers have it",
            (Self::Testers, false) => "none of the testers is known to have it",
            (Self::Canary, true) => "the first few have it",
            (Self::Canary, false) => "none of the first few is known to have it",
            (Self::Everybody, _) => "everybody has it",
        }
    }

    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Testers => "testers",
            Self::Canary => "canary",
            Self::Everybody => "everybody",
        }
    }
}

impl Ramp {
    /// The stage that is to be sent next of `campaign`; stages of nobody are none.
    pub fn stage(&self, campaign: &Campaign) -> Stage {
        let few = self.canary.map(|canary| canary.of(campaign.recipients));
        let has_canary = few.is_some_and(|few| few < campaign.recipients);
        match campaign.stage {
            0 if !self.testers.is_empty() => Stage::Testers,
            0 | 1 if has_canary => Stage::Canary,
            _ => Stage::Everybody,
        }
    }
}

mod recipients {
    use super::{Deserialize, Deserializer, Recipient, Serializer};

    pub(super) fn serialize<S: Serializer>(all: &[Recipient], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Recipient>, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
    }
}
