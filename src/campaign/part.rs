//! The parts of a campaign's message, and who gets which variant of a part.
//!
//! Who gets which is drawn by a hash of the campaign's name and the recipient: every run, and every part whose variants
//! have the same weights, draws alike.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::ids::{CampaignName, MediaKind, Recipient};

/// The most variants a part has: more would have no letter.
const MOST_VARIANTS: usize = 26;
/// How long a variant's name may be, in characters.
const LONGEST_NAME: usize = 32;

/// One message of several that go to each recipient: the same for everybody, or one of its variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Part {
    /// One at least; those of several have names.
    variants: Vec<Variant>,
}

/// One way to say a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What it is called; the only one of a part is called nothing.
    pub name: Option<String>,
    /// How many get it, against the other variants of its part.
    pub weight: NonZeroU32,
    /// Send API JSON with gaps and local references.
    pub message: Map<String, Value>,
}

/// As it is on record: a part without variants is its message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Several { variants: Vec<Variant> },
    One(Map<String, Value>),
}

impl From<Stored> for Part {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Several { variants } => Self { variants },
            Stored::One(message) => Self::new(message),
        }
    }
}

impl From<Part> for Stored {
    fn from(mut part: Part) -> Self {
        match part.variants.pop() {
            Some(Variant { name: None, message, .. }) => Self::One(message),
            last => Self::Several { variants: part.variants.into_iter().chain(last).collect() },
        }
    }
}

impl Part {
    /// The part that is this message for everybody.
    pub fn new(message: Map<String, Value>) -> Self {
        Self { variants: vec![Variant { name: None, weight: NonZeroU32::MIN, message }] }
    }

    /// The part that is one of these for each recipient.
    ///
    /// # Errors
    /// When there are less than two or too many, or two of one name.
    pub fn of_variants(variants: Vec<Variant>) -> Result<Self, String> {
        if variants.len() < 2 || variants.len() > MOST_VARIANTS {
            return Err(format!("a part has 2 to {MOST_VARIANTS} variants, or none"));
        }
        for (place, Variant { name, .. }) in variants.iter().enumerate() {
            let name = name.as_deref().unwrap_or_default();
            if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
                return Err(format!("{name:?} is no name for a variant: 1 to {LONGEST_NAME} characters"));
            }
            if variants[..place].iter().any(|other| other.name.as_deref() == Some(name)) {
                return Err(format!("two variants are called {name:?}"));
            }
        }
        Ok(Self { variants })
    }

    /// Its variants: one, where it is the same for everybody.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The place of the variant this recipient gets.
    pub fn draw(&self, campaign: &CampaignName, recipient: &Recipient) -> usize {
        if self.variants.len() == 1 {
            return 0;
        }
        let drawn =
            Sha256::new().chain_update(campaign.as_str()).chain_update("\n").chain_update(recipient.to_string());
        let drawn = drawn.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let weights = || self.variants.iter().map(|variant| u128::from(variant.weight.get()));
        // As far along the weights, laid end to end, as the hash is along all hashes.
        let mut left = (u128::from(drawn) * weights().sum::<u128>()) >> 64;
        let is_behind = |weight: &u128| {
            let behind = left >= *weight;
            left = left.saturating_sub(*weight);
            behind
        };
        weights().take_while(is_behind).count().min(self.variants.len() - 1)
    }

    /// The variant of that name, or the first.
    pub(super) fn variant(&self, name: Option<&str>) -> &Variant {
        self.variants.iter().find(|variant| variant.name.as_deref() == name).unwrap_or(&self.variants[0])
    }
}

/// A part as a campaign file has it: one of `text`, `file`, `asset`, `attachment_id` and `message`, or several `variants`,
/// which look the same and may have a name and a weight.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartFile {
    text: Option<String>,
    file: Option<String>,
    asset: Option<String>,
    attachment_id: Option<String>,
    kind: Option<MediaKind>,
    metadata: Option<String>,
    message: Option<Map<String, Value>>,
    name: Option<String>,
    weight: Option<NonZeroU32>,
    variants: Option<Vec<Self>>,
}

/// `[[message]]`, as often as there are parts. Where it is something else, such as `[message]`, the error says how to write it.
pub(super) fn parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PartFile>, D::Error> {
    struct Parts;

    impl<'de> Visitor<'de> for Parts {
        type Value = Vec<PartFile>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("[[message]], once for each part,")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(parts))
        }
    }

    deserializer.deserialize_seq(Parts)
}

impl PartFile {
    pub(super) fn into_part(mut self) -> Result<Part, String> {
        if self.name.is_some() || self.weight.is_some() {
            return Err("only variants of a part have a name and a weight".to_owned());
        }
        let Some(variants) = self.variants.take() else { return Ok(Part::new(self.into_json()?)) };
        if self.into_json().is_ok() {
            return Err("a part says something itself, or has variants".to_owned());
        }
        // More than there are letters are refused below, for their number.
        let letters = 'a'..='z';
        let named = variants.into_iter().zip(letters.chain(std::iter::repeat('z')));
        let variants: Result<_, String> = named.map(|(variant, letter)| variant.into_variant(letter)).collect();
        Part::of_variants(variants?)
    }

    fn into_variant(mut self, letter: char) -> Result<Variant, String> {
        if self.variants.is_some() {
            return Err("a variant has no variants".to_owned());
        }
        let name = self.name.take().unwrap_or_else(|| letter.to_string());
        let weight = self.weight.unwrap_or(NonZeroU32::MIN);
        let message = self.into_json().map_err(|reason| format!("variant {name:?}: {reason}"))?;
        Ok(Variant { name: Some(name), weight, message })
    }

    fn into_json(self) -> Result<Map<String, Value>, String> {
        let Self { text, file, asset, attachment_id, kind, metadata, message, .. } = self;
        let media = [("file", file), ("asset", asset), ("attachment_id", attachment_id)];
        let mut media = media.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let mut json = match (text, media.next(), message) {
            (Some(text), None, None) => Map::from_iter([("text".to_owned(), text.into())]),
            (None, Some((key, value)), None) => {
                let mut attachment = Map::new();
                attachment.extend(kind.map(|kind| ("type".to_owned(), json!(kind))));
                attachment.insert("payload".to_owned(), json!({ key: value }));
                Map::from_iter([("attachment".to_owned(), Value::Object(attachment))])
            }
            (None, None, Some(message)) => message,
            _ => return Err("a part has one of text, file, asset, attachment_id and message".to_owned()),
        };
        if media.next().is_some() {
            return Err("a part has one of file, asset and attachment_id".to_owned());
        }
        json.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata.into())));
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(toml: &str) -> Result<Part, String> {
        toml::from_str::<PartFile>(toml).map_err(|error| error.to_string())?.into_part()
    }

    fn names(part: &Part) -> Vec<(Option<&str>, u32)> {
        part.variants().iter().map(|variant| (variant.name.as_deref(), variant.weight.get())).collect()
    }

    #[test]
    fn a_part_is_one_message_or_several_variants() {
        assert_eq!(names(&part("text = 'a'").unwrap()), [(None, 1)]);
        let named = part("variants = [{ name = 'short', text = 'a' }, { text = 'b', weight = 3 }]").unwrap();
        assert_eq!(names(&named), [(Some("short"), 1), (Some("b"), 3)]);
        let wrong = [
            "text = 'a'\nname = 'a'",
            "text = 'a'\nvariants = [{ text = 'a' }, { text = 'b' }]",
            "variants = [{ text = 'a' }]",
            "variants = [{ text = 'a' }, { }]",
            "variants = [{ text = 'a' }, { text = 'b', name = 'a' }]",
            "variants = [{ text = 'a' }, { text = 'b', weight = 0 }]",
            "variants = [{ text = 'a' }, { variants = [{ text = 'b' }, { text = 'c' }] }]",
        ];
        for wrong in wrong {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_stored_reads_back_and_a_plain_part_is_its_message() {
        let plain = part("text = 'a'").unwrap();
        assert_eq!(serde_json::to_value(&plain).unwrap(), json!({ "text": "a" }));
        let several = part("variants = [{ text = 'a' }, { text = 'b' }]").unwrap();
        for part in [plain, several] {
            let stored = serde_json::to_string(&part).unwrap();
            assert_eq!(serde_json::from_str::<Part>(&stored).unwrap(), part);
        }
    }

    #[test]
    fn everybody_draws_the_same_each_time_and_all_together_by_the_weights() {
        let name: CampaignName = "spring".parse().unwrap();
        let part = part("variants = [{ text = 'a' }, { text = 'b', weight = 2 }, { text = 'c' }]").unwrap();
        let draw = |number: u64| part.draw(&name, &Recipient::Psid(number.to_string()));
        let mut drawn = [0_u32; 3];
        for number in 0..8_000 {
            drawn[draw(number)] += 1;
        }
        assert!(drawn.iter().zip([2_000, 4_000, 2_000]).all(|(seen, due)| seen.abs_diff(due) < 200), "{drawn:?}");
        // Whoever drew something in an earlier version draws it in every later one.
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(draw), [0, 0, 1, 1, 1, 0, 1, 2]);
        let elsewhere: CampaignName = "summer".parse().unwrap();
        assert!((0..50).any(|number| part.draw(&elsewhere, &Recipient::Psid(number.to_string())) != draw(number)));
    }
}
