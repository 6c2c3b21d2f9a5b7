//! Where a campaign stands, and how a run of it ended.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::Nonce;
use super::ramp::Stage;
use super::settle::Scope;
use super::spec::CampaignMessage;
use super::tally::ErrorCount;
use crate::delivery;
use crate::graph::GraphError;
use crate::ids::CampaignName;
use crate::record::{Campaign, DeliveryKey, PartCount, RecordError};

/// The `event` of a line that says what the record could not be told.
pub(super) const UNRECORDED: &str = "unrecorded";

/// How many deliveries of a campaign stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All there are.
    pub total: u64,
    /// Yet to be sent, those under way included.
    pub pending: u64,
    /// Of those, how many at most wait for a part before them that is unknown.
    pub held_back: u64,
    /// Meta has them.
    pub sent: u64,
    /// Meta refused them.
    pub failed: u64,
    /// They may have arrived.
    pub unknown: u64,
    /// They are not to be sent.
    pub skipped: u64,
    /// Of those sent, how many drew on an uploaded attachment.
    pub sends_by_id: u64,
    /// Of those sent, how many named an address Meta had to fetch.
    pub sends_by_url: u64,
    /// What became of each variant, where parts have any.
    pub variants: Vec<VariantCounts>,
}

/// What became of one variant of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantCounts {
    /// The part, from 1.
    pub part: u8,
    /// The variant's name.
    pub variant: String,
    /// Meta has them.
    pub sent: u64,
    /// Meta refused them.
    pub failed: u64,
    /// They may have arrived.
    pub unknown: u64,
}

impl Counts {
    /// The counts of a campaign with this message.
    pub fn new(message: &CampaignMessage, counts: &[PartCount]) -> Self {
        let mut all = Self::default();
        let parts = message.parts.len();
        let (mut unknown, mut pending) = (vec![0; parts], vec![0; parts]);
        for PartCount { part, variant, state, count } in counts {
            all.total += count;
            match state {
                delivery::State::Sent => all.sent += count,
                delivery::State::Failed => all.failed += count,
                delivery::State::Unknown => {
                    all.unknown += count;
                    add(&mut unknown, *part, *count);
                }
                delivery::State::Skipped => all.skipped += count,
                _ => {
                    all.pending += count;
                    add(&mut pending, *part, *count);
                }
            }
            if let Some(name) = variant {
                all.of_variant(*part, name, *state, *count);
            }
            let said = message.parts.get(usize::from(*part)).map(|part| part.variant(variant.as_deref()));
            let json = said.map(|said| serde_json::Value::Object(said.message.clone()));
            match json.as_ref().map(Carries::of) {
                Some(Carries::Id) if *state == delivery::State::Sent => all.sends_by_id += count,
                Some(Carries::Url) if *state == delivery::State::Sent => all.sends_by_url += count,
                _ => {}
            }
        }
        let mut doubtful = 0;
        for (unknown, pending) in unknown.into_iter().zip(pending) {
            all.held_back += pending.min(doubtful);
            doubtful += unknown;
        }
        all.variants.sort_by(|one, other| (one.part, &one.variant).cmp(&(other.part, &other.variant)));
        all
    }

    /// How they stand once those of `scope` are to be sent again, and the parts behind them.
    pub(super) fn with_again(mut self, scope: Scope, message: &CampaignMessage, counts: &[PartCount]) -> Self {
        for PartCount { part, count, .. } in counts.iter().filter(|counted| counted.state == scope.state()) {
            match scope {
                Scope::Unknown => self.unknown -= count,
                Scope::Failed => {
                    let behind = (count * parts_behind(message, *part)).min(self.skipped);
                    self.failed -= count;
                    self.skipped -= behind;
                    self.pending += behind;
                }
            }
            self.pending += count;
        }
        if scope == Scope::Unknown {
            self.held_back = 0;
        }
        self
    }

    fn of_variant(&mut self, part: u8, name: &str, state: delivery::State, count: u64) {
        let part = part + 1;
        let place = self.variants.iter().position(|known| known.part == part && known.variant == name);
        let place = place.unwrap_or_else(|| {
            self.variants.push(VariantCounts { part, variant: name.to_owned(), sent: 0, failed: 0, unknown: 0 });
            self.variants.len() - 1
        });
        let counts = &mut self.variants[place];
        match state {
            delivery::State::Sent => counts.sent += count,
            delivery::State::Failed => counts.failed += count,
            delivery::State::Unknown => counts.unknown += count,
            _ => {}
        }
    }
}

fn add(counts: &mut [u64], part: u8, count: u64) {
    if let Some(counted) = counts.get_mut(usize::from(part)) {
        *counted += count;
    }
}

/// How many parts come behind this one.
fn parts_behind(message: &CampaignMessage, part: u8) -> u64 {
    message.parts.iter().skip(usize::from(part) + 1).count() as u64
}

/// How a message brings its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    Nothing,
    Id,
    Url,
}

impl Carries {
    fn of(message: &serde_json::Value) -> Self {
        if has_key(message, &["file", "asset", "attachment_id"]) {
            Self::Id
        } else if message.pointer("/attachment/payload/url").is_some() {
            Self::Url
        } else {
            Self::Nothing
        }
    }
}

fn has_key(value: &serde_json::Value, keys: &[&str]) -> bool {
    match value {
        serde_json::Value::Object(object) => object
            .iter()
            .any(|(key, value)| (keys.contains(&key.as_str()) && value.is_string()) || has_key(value, keys)),
        serde_json::Value::Array(items) => items.iter().any(|item| has_key(item, keys)),
        _ => false,
    }
}

/// Where a campaign stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Written down, and nothing sent.
    Planned,
    /// Somebody is sending it.
    Running,
    /// Begun, not at its end, and nobody is sending it.
    Paused,
    /// Nothing is left to be sent, and everything is known.
    Finished,
    /// Some of it may have arrived, and nothing else is left to be sent but what waits for that.
    NeedsSettling,
}

impl State {
    /// Where `campaign` stands, its deliveries counted.
    pub fn of(campaign: &Campaign, counts: &Counts) -> Self {
        match (campaign.holder, campaign.digest) {
            (Some(_), _) => Self::Running,
            (None, None) => Self::Planned,
            _ if counts.unknown > 0 && counts.pending == counts.held_back && campaign.paused.is_none() => {
                Self::NeedsSettling
            }
            _ if counts.pending > 0 && (campaign.paused.is_some() || campaign.started_at.is_some()) => Self::Paused,
            _ if counts.pending > 0 => Self::Planned,
            _ if counts.unknown > 0 => Self::NeedsSettling,
            _ => Self::Finished,
        }
    }

    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::NeedsSettling => "needs_settling",
        }
    }
}

/// How a run came to its end.
#[derive(Debug, Clone)]
pub enum End {
    /// There was nothing more to send.
    Finished,
    /// It was asked to stop, and finished what was under way.
    Interrupted,
    /// The campaign was paused: by its own brakes, for this reason, or by somebody, whose reason the record has.
    Paused(Option<String>),
    /// A stage is through; the next one waits for a yes.
    Stage {
        /// Which.
        stage: Stage,
        /// Whether anybody of it is known to have the message.
        has_arrived: bool,
    },
    /// Meta takes nothing from this Page.
    Page(GraphError),
    /// Meta's limits, or the network, stood in the way for too long.
    Busy(GraphError),
    /// The record could not be written.
    Store(Arc<RecordError>),
    /// A defect of ours: what became of a message is unknown, and the next could go the same way.
    Panicked,
    /// A file's new id was refused as well, or it cannot be uploaded again.
    Asset(Arc<crate::library::LibraryError>),
}

/// What became of a message, of which the record could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// Which delivery.
    pub key: DeliveryKey,
    /// What became of it, in one word.
    pub outcome: &'static str,
    /// The message's id.
    pub message_id: Option<String>,
    /// Which attempt it was of; `None` for what was never attempted.
    pub nonce: Option<Nonce>,
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
            "outcome": self.outcome,
            "message_id": self.message_id,
            "nonce": self.nonce.as_ref().map(ToString::to_string),
        })
        .to_string()
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// Why it is over.
    pub end: End,
    /// The campaign as it stands now.
    pub campaign: Campaign,
    /// Where its deliveries stand now, this run's and all before.
    pub counts: Counts,
    /// What this run sent.
    pub sent: u64,
    /// How Meta refused in this run.
    pub errors: Vec<ErrorCount>,
    /// What the record could not be told.
    pub unsaved: Vec<Unsaved>,
    /// How long it took.
    pub elapsed: Duration,
}

#[cfg(test)]
mod tests {
    use delivery::State::{Planned, Sent, Skipped, Unknown};

    use super::*;

    #[test]
    fn no_more_waits_for_doubts_than_is_pending_behind_them() {
        let message = json!({
            "messaging_type": "UPDATE", "tag": null, "notification_type": null, "persona_id": null,
            "parts": [{"text": "one"}, {"text": "two"}, {"text": "three"}],
        });
        let message: CampaignMessage = serde_json::from_value(message).expect("a message");
        let held_back = |counts: &[(u8, delivery::State, u64)]| {
            let count = |&(part, state, count)| PartCount { part, variant: None, state, count };
            Counts::new(&message, &counts.iter().map(count).collect::<Vec<_>>()).held_back
        };
        assert_eq!(held_back(&[(0, Unknown, 2), (1, Planned, 2), (2, Planned, 2)]), 4);
        // One of them has been left out since.
        assert_eq!(held_back(&[(0, Unknown, 2), (1, Planned, 1), (1, Skipped, 1), (2, Planned, 1)]), 2);
        assert_eq!(held_back(&[(0, Unknown, 1), (0, Sent, 1), (1, Unknown, 1), (1, Planned, 1), (2, Planned, 2)]), 3);
        assert_eq!(held_back(&[(0, Planned, 2), (1, Planned, 2), (2, Planned, 2)]), 0);
    }
}
