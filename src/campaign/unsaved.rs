//! What a run could not tell the record of its messages, and how that is kept as evidence.

use serde_json::json;

use super::Nonce;
use crate::ids::CampaignName;
use crate::record::DeliveryKey;

/// The `event` of a line that says what the record could not be told.
pub(super) const UNRECORDED: &str = "unrecorded";

/// What became of a message, of which the record could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// Which delivery.
    pub key: DeliveryKey,
    /// What became of it.
    pub fate: Fate,
    /// Which attempt it was of; `None` for what was never attempted.
    pub nonce: Option<Nonce>,
}

/// What became of one attempt at a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Meta has it; its id, where Meta named one.
    Sent(Option<String>),
    /// Meta refused it.
    Failed,
    /// It never left.
    NotSent,
}

impl Fate {
    /// The word in lines and messages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Failed => "failed",
            Self::NotSent => "not sent",
        }
    }

    /// What a line says, if it says any of these.
    pub(super) fn read(word: Option<&str>, message_id: Option<&str>) -> Option<Self> {
        let all = [Self::Sent(message_id.map(str::to_owned)), Self::Failed, Self::NotSent];
        all.into_iter().find(|fate| word == Some(fate.as_str()))
    }

    /// The message's id, where it has one.
    pub fn message_id(&self) -> Option<&str> {
        match self {
            Self::Sent(message_id) => message_id.as_deref(),
            Self::Failed | Self::NotSent => None,
        }
    }
}

impl Unsaved {
    /// It as a line [`read_echoes`](super::settle::read_echoes) takes for evidence. Nobody is named in it but by their
    /// place in the list.
    ///
    /// **Shape**: `{"event":"unrecorded","campaign","recipient_number","part","outcome":"sent|failed|not sent",
    /// "message_id","nonce"}`.
    pub fn to_line(&self, campaign: &CampaignName) -> String {
        json!({
            "event": UNRECORDED,
            "campaign": campaign.as_str(),
            "recipient_number": self.key.seq,
            "part": self.key.part + 1,
            "outcome": self.fate.as_str(),
            "message_id": self.fate.message_id(),
            "nonce": self.nonce.as_ref().map(ToString::to_string),
        })
        .to_string()
    }
}
