//! Where a campaign stands, and at what pace it goes: what everybody asks who has one before them.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{CampaignError, CampaignMessage, Counts, Settings, Stage};
use crate::clock::Timestamp;
use crate::graph::{Governor, GraphClient, PaceLimits};
use crate::record::{Campaign, Record, RecordError};

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
            (Some(_), None) => Self::Running,
            // Whoever has nothing left to send is about to let go.
            (Some(_), Some(_)) if counts.pending > counts.held_back => Self::Running,
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

/// The deliveries of a campaign, counted.
pub async fn counts(record: &dyn Record, campaign: &Campaign, now: Timestamp) -> Result<Counts, RecordError> {
    let counted = record.count(campaign.id, now).await?;
    // A plan that was never completed has no message.
    let message = CampaignMessage::of(campaign).ok();
    Ok(message.map(|message| Counts::new(&message, &counted)).unwrap_or_default())
}

/// The stage a run of the campaign would send now; `None` where nobody can tell, as of a plan that was cut off.
pub fn next_stage(campaign: &Campaign) -> Option<Stage> {
    let settings = Settings::of(campaign).ok()?;
    campaign.digest.map(|_| settings.ramp.stage(campaign))
}

/// Returns if `asked` is the stage a run of the campaign would send now, or that cannot be told.
///
/// # Errors
/// `OtherStage`.
pub fn must_come_next(campaign: &Campaign, asked: Stage) -> Result<(), CampaignError> {
    match next_stage(campaign) {
        Some(next) if next != asked => Err(CampaignError::OtherStage { name: campaign.name.clone(), asked, next }),
        _ => Ok(()),
    }
}

/// The Page's client at the campaign's own pace, where that is slower than the Page's; `None` where it is not.
pub fn at_own_pace(graph: &GraphClient, campaign: &Campaign) -> Option<Arc<GraphClient>> {
    let settings = Settings::of(campaign).ok()?;
    let page = graph.governor().limits();
    let slower = |own: Option<NonZeroU32>, page: u32| own.map_or(page, |own| own.get().min(page));
    let limits = PaceLimits {
        messages_per_second: slower(settings.messages_per_second, page.messages_per_second),
        media_per_second: slower(settings.media_per_second, page.media_per_second),
        ..page
    };
    let governor = || Governor::within(page, campaign.name.to_string(), limits);
    (limits != page).then(|| Arc::new(graph.clone().with_governor(Arc::new(governor()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Ramp;
    use crate::ids::{KeySpace, Platform};
    use crate::record::{CampaignId, Holder};

    /// A campaign to ten people that has come to this stage.
    fn campaign(stage: u8, testers: &[&str], canary: Option<&str>) -> Campaign {
        let testers = testers.iter().map(|tester| tester.parse().expect("a recipient")).collect();
        let canary = canary.map(|canary| canary.parse().expect("a portion"));
        let settings = Settings { ramp: Ramp { testers, canary }, ..Settings::new("/library".into()) };
        Campaign {
            id: CampaignId(1),
            space: KeySpace {
                origin: "https://graph.example".parse().expect("an origin"),
                page: "1".parse().expect("a Page id"),
                platform: Platform::Messenger,
            },
            name: "spring".parse().expect("a name"),
            message: String::new(),
            settings: serde_json::to_string(&settings).expect("settings"),
            parts: 1,
            digest: Some([1; 32]),
            assets: None,
            recipients: 10,
            duplicates: 0,
            malformed: 0,
            uploads: 0,
            paused: None,
            planned_at: Timestamp::from_unix_millis(1_764_244_800_000),
            plans: 1,
            started_at: None,
            stage,
            holder: None,
        }
    }

    #[test]
    fn the_stage_that_comes_next_is_the_first_that_has_anybody_and_was_not_sent() {
        use Stage::{Canary, Everybody, Testers};
        let (nobody, tester): (&[&str], &[&str]) = (&[], &["7"]);
        for (testers, canary, expected) in [
            (tester, Some("9"), [Testers, Canary, Everybody]),
            (tester, None, [Testers, Everybody, Everybody]),
            (nobody, Some("20%"), [Canary, Canary, Everybody]),
            // All of them are no few.
            (nobody, Some("10"), [Everybody; 3]),
            (nobody, None, [Everybody; 3]),
        ] {
            let seen = [0, 1, 2].map(|stage| next_stage(&campaign(stage, testers, canary)));
            assert_eq!(seen, expected.map(Some), "{testers:?}, {canary:?}");
        }
        assert_eq!([Testers, Canary, Everybody].map(Stage::number), [0, 1, 2]);
        assert_eq!([Testers, Canary, Everybody].map(Stage::next), [Canary, Everybody, Everybody]);
    }

    #[test]
    fn one_of_which_nothing_is_left_to_send_runs_no_more() {
        let holder = Some(Holder { pid: 7, since: Timestamp::from_unix_millis(0) });
        let held = Campaign { holder, ..campaign(2, &[], None) };
        let counts = |sent, pending, unknown, held_back| Counts {
            total: sent + pending + unknown,
            sent,
            pending,
            unknown,
            held_back,
            ..Counts::default()
        };
        assert_eq!(State::of(&held, &counts(9, 1, 0, 0)), State::Running);
        assert_eq!(State::of(&held, &counts(10, 0, 0, 0)), State::Finished);
        assert_eq!(State::of(&held, &counts(8, 1, 1, 1)), State::NeedsSettling);
        let planned = Campaign { digest: None, ..held };
        assert_eq!(State::of(&planned, &Counts::default()), State::Running);
    }

    #[test]
    fn a_yes_to_one_stage_is_none_to_another() {
        let waiting = campaign(1, &[], Some("2"));
        must_come_next(&waiting, Stage::Canary).expect("it does");
        for asked in [Stage::Testers, Stage::Everybody] {
            let refused = must_come_next(&waiting, asked).expect_err("it does not");
            assert!(matches!(refused, CampaignError::OtherStage { next: Stage::Canary, .. }), "{refused:?}");
        }
        let cut_off = Campaign { digest: None, ..waiting };
        assert_eq!(next_stage(&cut_off), None);
        must_come_next(&cut_off, Stage::Everybody).expect("nobody can tell");
    }
}
