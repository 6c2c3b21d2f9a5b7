//! What tells one attempt from all others: it travels in the message's metadata, and comes back in its echo.
//!
//! **Shape**: `ra1:<campaign>:<row>:<attempt>:<8 hex digits>`. The row is the recipient's number followed by the part's:
//! `170` is part 1 of recipient 17. It says nothing about anybody.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::graph::Message;
use crate::ids::CampaignName;
use crate::record::DeliveryKey;

/// The most parts a message may have: the last digit of a row is the part.
pub(super) const MOST_PARTS: u8 = 10;

/// One attempt at one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce {
    /// Of which campaign.
    pub campaign: CampaignName,
    /// Which delivery.
    pub key: DeliveryKey,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Drawn anew each time.
    pub random: u32,
}

impl Nonce {
    /// The nonce at the beginning of a message's metadata; `None` where there is none.
    pub fn in_metadata(metadata: &str) -> Option<Self> {
        metadata.split_whitespace().next()?.parse().ok()
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { campaign, key, attempt, random } = self;
        let row = key.seq * u64::from(MOST_PARTS) + u64::from(key.part);
        write!(f, "ra1:{campaign}:{row}:{attempt}:{random:08x}")
    }
}

/// A text that is no nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a nonce of ours")]
pub struct NoNonce;

impl FromStr for Nonce {
    type Err = NoNonce;

    fn from_str(text: &str) -> Result<Self, NoNonce> {
        let words: Vec<&str> = text.split(':').collect();
        let ["ra1", campaign, row, attempt, random] = words[..] else { return Err(NoNonce) };
        let row: u64 = row.parse().map_err(|_| NoNonce)?;
        let part = u8::try_from(row % u64::from(MOST_PARTS)).map_err(|_| NoNonce)?;
        Ok(Self {
            campaign: campaign.parse().map_err(|_| NoNonce)?,
            key: DeliveryKey { seq: row / u64::from(MOST_PARTS), part },
            attempt: attempt.parse().map_err(|_| NoNonce)?,
            random: u32::from_str_radix(random, 16).map_err(|_| NoNonce)?,
        })
    }
}

/// The message with the nonce before whatever metadata it has.
pub(super) fn with_nonce(message: Message, nonce: &str) -> Message {
    let metadata = match message.as_json().get("metadata").and_then(Value::as_str) {
        Some(own) if !own.is_empty() => format!("{nonce} {own}"),
        _ => nonce.to_owned(),
    };
    message.with_metadata(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nonce_reads_back_from_the_metadata_it_stands_in() {
        let campaign: CampaignName = "spring-sale".parse().unwrap();
        let nonce = Nonce { campaign, key: DeliveryKey { seq: 17, part: 3 }, attempt: 2, random: 0xab };
        assert_eq!(nonce.to_string(), "ra1:spring-sale:173:2:000000ab");
        assert_eq!(Nonce::in_metadata("ra1:spring-sale:173:2:000000ab of the user's own"), Some(nonce));
        for text in ["", "ra1", "ra2:a:10:1:00", "ra1:a:x:1:00", "ra1:a b:10:1:00", "ra1:a:10:1:zz", "ra1:a:10:1:00:0"]
        {
            assert_eq!(Nonce::in_metadata(text), None, "{text}");
        }
    }

    #[test]
    fn a_nonce_stands_before_whatever_metadata_there_is() {
        let metadata = |message| with_nonce(message, "n0nce").as_json()["metadata"].clone();
        assert_eq!(metadata(Message::text("Hi")), json!("n0nce"));
        assert_eq!(metadata(Message::text("Hi").with_metadata("")), json!("n0nce"));
        assert_eq!(metadata(Message::text("Hi").with_metadata("shop 7")), json!("n0nce shop 7"));
    }
}
