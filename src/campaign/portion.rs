//! A number of something, or a share of it: `50`, or `5%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of something, or a share of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Portion {
    /// So many.
    Count(u64),
    /// So many of a hundred; more than 0, and 100 at most.
    Percent(f64),
}

impl Portion {
    /// How many of `all` it is, rounded up.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few millions, between 0 and all of them"
    )]
    pub fn of(self, all: u64) -> u64 {
        match self {
            Self::Count(count) => count.min(all),
            Self::Percent(percent) => ((percent * all as f64 / 100.0).ceil() as u64).min(all),
        }
    }
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is neither a number above zero nor a share: write 50, or 5%");
        match text.trim().strip_suffix('%') {
            Some(percent) => match percent.trim().parse::<f64>() {
                Ok(percent) if percent / 100.0 > 0.0 && percent <= 100.0 => Ok(Self::Percent(percent)),
                _ => Err(refuse()),
            },
            None => match text.trim().parse() {
                Ok(count) if count > 0 => Ok(Self::Count(count)),
                _ => Err(refuse()),
            },
        }
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Portion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "it takes a number, such as 50, or a share, such as \"5%\"")]
        enum Written {
            Text(String),
            Number(u64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_a_number_or_a_share() {
        let of = |text: &str, all| text.parse::<Portion>().unwrap().of(all);
        assert_eq!([of("50", 1_000), of("50", 20), of("1%", 1_000), of("1%", 1_001), of("1%", 3)], [50, 20, 10, 11, 1]);
        assert_eq!([of("100%", 7), of("0.1%", 10_000)], [7, 10]);
        assert!((1..=100).all(|percent| of(&format!("{percent}%"), 100) == percent), "not one too many of any");
        for wrong in ["", "0", "0%", "101%", "-1", "1.5", "many", "%", "nan%", "inf%", "1e-323%"] {
            assert!(wrong.parse::<Portion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["50", "5%", "0.5%", "33.3%", "7%", "55%"] {
            let portion: Portion = text.parse().unwrap();
            let stored = serde_json::to_string(&portion).unwrap();
            assert_eq!(stored, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Portion>(&stored).unwrap(), portion, "{text}");
        }
        assert_eq!(serde_json::from_str::<Portion>("50").unwrap(), Portion::Count(50));
    }
}
