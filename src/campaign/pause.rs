//! Why a campaign is paused: the words that stand on record, and what they tell.

use super::ramp::Stage;
use crate::clock::Timestamp;
use crate::record::{Campaign, CampaignId, Change, LOST, Record, RecordError};

/// How the reason of an operator begins; behind it stands when.
const BY_HAND: &str = "paused by hand";
/// How a question ends.
const ASKS: &str = ": it waits for a yes";
/// How Meta's refusal begins, as [`GraphError::Refused`](crate::graph::GraphError::Refused) words it.
const REFUSED: &str = "Meta refused the ";

/// What a campaign is paused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// An operator paused it.
    ByHand,
    /// A stage is through, and somebody has to say yes to the next.
    Question,
    /// The record lacks what it had acknowledged, or may: some may have the message of whom it knows nothing.
    Lost,
    /// Meta refuses whatever its Page sends.
    Refusal,
    /// It paused itself: too much went wrong.
    Brake,
}

impl Pause {
    /// What this campaign is paused for, if it is.
    pub fn of(campaign: &Campaign) -> Option<Self> {
        campaign.paused.as_deref().map(Self::told_by)
    }

    fn told_by(why: &str) -> Self {
        match why {
            _ if why.starts_with(LOST) => Self::Lost,
            _ if why.starts_with(BY_HAND) => Self::ByHand,
            _ if why.ends_with(ASKS) => Self::Question,
            _ if why.starts_with(REFUSED) => Self::Refusal,
            _ => Self::Brake,
        }
    }

    /// The word in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Question => "question",
            Self::Lost => "lost",
            Self::Refusal => "refusal",
            Self::Brake => "brake",
        }
    }

    /// Whether only a resume goes on with it: to run the campaign again is no yes.
    pub const fn wants_a_resume(self) -> bool {
        matches!(self, Self::ByHand | Self::Question | Self::Lost)
    }
}

/// Pauses a campaign for an operator. Who is sending it finishes what is under way, and whoever is about to go on with it sees
/// that this is not the pause they know of.
pub async fn pause(record: &dyn Record, campaign: CampaignId, now: Timestamp) -> Result<(), RecordError> {
    record.change(campaign, Change::Pause(format!("{BY_HAND} at {now}"))).await
}

/// What a campaign is paused for behind a stage, of which somebody is known to have the message, or nobody is.
pub(super) fn question(stage: Stage, has_arrived: bool) -> String {
    let but_for_these = if has_arrived { ", and nobody else" } else { "" };
    format!("{}{but_for_these}{ASKS}", stage.outcome(has_arrived))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphError, Operation, Refusal, Scope};

    #[test]
    fn what_somebody_has_to_think_of_wants_a_resume() {
        let all = [Pause::ByHand, Pause::Question, Pause::Lost, Pause::Refusal, Pause::Brake];
        assert_eq!(all.map(Pause::wants_a_resume), [true, true, true, false, false]);
    }

    #[test]
    fn a_question_says_who_has_it_and_that_nobody_else_does() {
        assert_eq!(question(Stage::Canary, true), "the first few have it, and nobody else: it waits for a yes");
        assert_eq!(question(Stage::Testers, false), "none of the testers is known to have it: it waits for a yes");
    }

    #[test]
    fn what_a_campaign_is_paused_for_is_told_by_its_words() {
        for (stage, has_arrived) in [(Stage::Testers, true), (Stage::Testers, false), (Stage::Canary, true)] {
            assert_eq!(Pause::told_by(&question(stage, has_arrived)), Pause::Question);
        }
        assert_eq!(Pause::told_by("paused by hand at 2026-11-27T12:00:00Z"), Pause::ByHand);
        assert_eq!(Pause::told_by(LOST), Pause::Lost);
        // A stage that ends while it is paused asks as well.
        let behind = |why: &str| Pause::told_by(&format!("{why}; {}", question(Stage::Testers, true)));
        assert_eq!(behind(LOST), Pause::Lost);
        assert_eq!(behind("paused by hand at 2026-11-27T12:00:00Z"), Pause::ByHand);
        assert_eq!(behind("3 of 30 messages failed"), Pause::Question);
        assert_eq!(Pause::told_by("3 of 30 messages failed"), Pause::Brake);
        // Whatever Meta says in it.
        let refusal = Box::new(Refusal {
            http_status: 400,
            message: question(Stage::Canary, true),
            kind: None,
            code: 190,
            subcode: None,
            is_transient: false,
            fbtrace_id: None,
        });
        for operation in [Operation::Send, Operation::Batch, Operation::Upload] {
            let error = GraphError::Refused { operation, scope: Scope::Page, refusal: refusal.clone() };
            assert_eq!(Pause::told_by(&error.to_string()), Pause::Refusal, "{error}");
        }
    }
}
