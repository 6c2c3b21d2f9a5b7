//! How many deliveries of a campaign stand where.

use serde::Serialize;
use serde_json::{Map, Value};

use super::settle::Scope;
use super::spec::CampaignMessage;
use crate::delivery::State;
use crate::record::PartCount;

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
                State::Sent => all.sent += count,
                State::Failed => all.failed += count,
                State::Unknown => {
                    all.unknown += count;
                    add(&mut unknown, *part, *count);
                }
                State::Skipped => all.skipped += count,
                State::Planned | State::Claimed | State::InFlight | State::RetryAt => {
                    all.pending += count;
                    add(&mut pending, *part, *count);
                }
            }
            if let Some(name) = variant {
                all.of_variant(*part, name, *state, *count);
            }
            let said = message.parts.get(usize::from(*part)).map(|part| part.variant(variant.as_deref()));
            match said.map(|said| Carries::of(&said.message)) {
                Some(Carries::Id) if *state == State::Sent => all.sends_by_id += count,
                Some(Carries::Url) if *state == State::Sent => all.sends_by_url += count,
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

    fn of_variant(&mut self, part: u8, name: &str, state: State, count: u64) {
        let part = part + 1;
        let place = self.variants.iter().position(|known| known.part == part && known.variant == name);
        let place = place.unwrap_or_else(|| {
            self.variants.push(VariantCounts { part, variant: name.to_owned(), sent: 0, failed: 0, unknown: 0 });
            self.variants.len() - 1
        });
        let counts = &mut self.variants[place];
        match state {
            State::Sent => counts.sent += count,
            State::Failed => counts.failed += count,
            State::Unknown => counts.unknown += count,
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
    fn of(message: &Map<String, Value>) -> Self {
        if names_an_asset(message) {
            Self::Id
        } else if message.get("attachment").is_some_and(|attachment| attachment.pointer("/payload/url").is_some()) {
            Self::Url
        } else {
            Self::Nothing
        }
    }
}

fn names_an_asset(object: &Map<String, Value>) -> bool {
    let is_name = |key: &str| matches!(key, "file" | "asset" | "attachment_id");
    object.iter().any(|(key, value)| (is_name(key) && value.is_string()) || holds_a_name(value))
}

fn holds_a_name(value: &Value) -> bool {
    match value {
        Value::Object(object) => names_an_asset(object),
        Value::Array(items) => items.iter().any(holds_a_name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::State::{Planned, Sent, Skipped, Unknown};

    #[test]
    fn no_more_waits_for_doubts_than_is_pending_behind_them() {
        let message = json!({
            "messaging_type": "UPDATE", "tag": null, "notification_type": null, "persona_id": null,
            "parts": [{"text": "one"}, {"text": "two"}, {"text": "three"}],
        });
        let message: CampaignMessage = serde_json::from_value(message).expect("a message");
        let held_back = |counts: &[(u8, State, u64)]| {
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
