//! What to do about one file: a pure function of its verdict, what the record holds, and the time.

use std::time::Duration;

use crate::clock::Moment;
use crate::media::Verdict;
use crate::record::{Upload, UploadState};

/// How long Meta keeps a reusable attachment, counted from its upload.
///
/// Source: Messenger Platform, "Saving Assets" (v25.0, read 2026-04): "the attachment ID expires after 90 days".
/// Whether the days run from the upload or the last use is not said there, so the earlier moment counts.
pub const ID_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How far the clock may have run ahead of us before an age means nothing.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_hours(1);

/// The user's wishes that decide between reusing an id and making a new one.
#[derive(Debug, Clone, Copy)]
pub struct PlanRules {
    /// An id with less than this left is renewed.
    pub renew_within: Duration,
    /// Upload even what is alive.
    pub force: bool,
}

impl PlanRules {
    /// What is renewed unless told otherwise: what ends within a week.
    pub const USUAL: Self = Self { renew_within: Duration::from_hours(7 * 24), force: false };
    /// What is handed out is good for at least a day.
    pub const HANDED_OUT: Self = Self { renew_within: Duration::from_hours(24), force: false };
    /// Nothing is renewed that lives.
    pub const ALIVE: Self = Self { renew_within: Duration::ZERO, force: false };
}

/// What to do about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The recorded id is alive: nothing leaves the machine.
    Reuse,
    /// No id is recorded: upload.
    Upload,
    /// The recorded id should not be used any more: upload again.
    Refresh(Reason),
    /// The platform would refuse these bytes.
    Reject,
}

/// Why an id is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its lifetime is over.
    Expired,
    /// It ends within the time asked for.
    Due,
    /// Meta refused it.
    Rejected,
    /// Its age is not known: it came from elsewhere without one, claims to be uploaded in the future, or the clock is not
    /// to be believed.
    UnknownAge,
    /// The user asked for a new upload.
    Forced,
}

impl Reason {
    /// The word for an id in this state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Due => "due",
            Self::Rejected => "rejected",
            Self::UnknownAge => "unknown_age",
            Self::Forced => "forced",
        }
    }

    /// Whether it rests on what time it is.
    pub const fn is_age(self) -> bool {
        matches!(self, Self::Expired | Self::Due | Self::UnknownAge)
    }
}

/// Decides what to do about a file of this `verdict` whose id is recorded as `stored`.
pub fn plan(verdict: &Verdict, stored: Option<&Upload>, now: Moment, rules: PlanRules) -> Plan {
    if !verdict.accepted() {
        return Plan::Reject;
    }
    match stored {
        None => Plan::Upload,
        Some(upload) => staleness(upload, now, rules).map_or(Plan::Reuse, Plan::Refresh),
    }
}

/// Why the recorded id should not be used any more; `None` while it is alive. By a doubtful clock no id is.
pub fn staleness(upload: &Upload, now: Moment, rules: PlanRules) -> Option<Reason> {
    let (moment, now) = (now, now.shown());
    if upload.state == UploadState::Rejected {
        Some(Reason::Rejected)
    } else if moment != Moment::Sure(now)
        || upload.state == UploadState::UnknownAge
        || upload.uploaded_at > now.plus(CLOCK_TOLERANCE)
    {
        Some(Reason::UnknownAge)
    } else if upload.expires_at <= now {
        Some(Reason::Expired)
    } else if upload.expires_at.since(now) < rules.renew_within {
        Some(Reason::Due)
    } else if rules.force {
        Some(Reason::Forced)
    } else {
        None
    }
}

/// How an id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It may be used.
    Live,
    /// It may be used, and ends within a week.
    Due,
    /// Meta is expected to have forgotten it.
    Expired,
    /// Meta refused it.
    Rejected,
    /// Nobody knows since when it lives.
    UnknownAge,
}

impl Standing {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Due => "due",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::UnknownAge => "unknown_age",
        }
    }
}

/// How the recorded id stands at this moment.
pub fn standing(upload: &Upload, now: Moment) -> Standing {
    match staleness(upload, now, PlanRules::USUAL) {
        None | Some(Reason::Forced) => Standing::Live,
        Some(Reason::Due) => Standing::Due,
        Some(Reason::Expired) => Standing::Expired,
        Some(Reason::Rejected) => Standing::Rejected,
        Some(Reason::UnknownAge) => Standing::UnknownAge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind, Platform};
    use crate::media::{Problem, ProblemCode};

    const DAY: Duration = Duration::from_hours(24);
    const RULES: PlanRules = PlanRules { renew_within: Duration::from_hours(7 * 24), force: false };

    fn fine() -> Verdict {
        Verdict { kind: MediaKind::Image, mime: "image/png".into(), problems: Vec::new() }
    }

    fn uploaded_at(time: Timestamp) -> Upload {
        let space = KeySpace {
            origin: "https://graph.facebook.com".parse().expect("origin"),
            page: "1".parse().expect("page"),
            platform: Platform::Messenger,
        };
        Upload {
            key: AssetKey { space, kind: MediaKind::Image, asset: Asset::Bytes(ContentHash([1; 32])) },
            attachment_id: "7".parse().expect("id"),
            uploaded_at: time,
            expires_at: time.plus(ID_LIFETIME),
            size_bytes: 1,
            mime: "image/png".into(),
            dimensions: None,
            source: None,
            state: UploadState::Live,
        }
    }

    const START: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

    const SURELY: Moment = Moment::Sure(START);

    fn planned_after(age: Duration, rules: PlanRules) -> Plan {
        plan(&fine(), Some(&uploaded_at(START)), Moment::Sure(START.plus(age)), rules)
    }

    #[test]
    fn an_id_lives_for_ninety_days_and_is_renewed_in_its_last_week() {
        assert_eq!((ID_LIFETIME, PlanRules::USUAL.renew_within), (90 * DAY, 7 * DAY));
        assert_eq!(CLOCK_TOLERANCE, Duration::from_hours(1));
    }

    #[test]
    fn how_an_id_stands_and_why_it_is_renewed_is_one_word() {
        let rejected = Upload { state: UploadState::Rejected, ..uploaded_at(START) };
        let adopted = Upload { state: UploadState::UnknownAge, ..uploaded_at(START) };
        for (upload, age, expected, word) in [
            (&uploaded_at(START), 83 * DAY, Standing::Live, "live"),
            (&uploaded_at(START), 84 * DAY, Standing::Due, "due"),
            (&uploaded_at(START), 90 * DAY, Standing::Expired, "expired"),
            (&rejected, DAY, Standing::Rejected, "rejected"),
            (&adopted, DAY, Standing::UnknownAge, "unknown_age"),
        ] {
            let found = standing(upload, Moment::Sure(START.plus(age)));
            assert_eq!((found, found.as_str()), (expected, word));
        }
        let reasons = [Reason::Expired, Reason::Due, Reason::Rejected, Reason::UnknownAge, Reason::Forced];
        let words = reasons.map(|reason| (reason.as_str(), reason.is_age()));
        let (age, no_age) = (true, false);
        let expected = [("expired", age), ("due", age), ("rejected", no_age), ("unknown_age", age), ("forced", no_age)];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_was_never_uploaded_is_uploaded() {
        assert_eq!(plan(&fine(), None, SURELY, RULES), Plan::Upload);
    }

    #[test]
    fn a_live_id_is_reused_until_its_renewal_is_due() {
        assert_eq!(planned_after(Duration::ZERO, RULES), Plan::Reuse);
        assert_eq!(planned_after(83 * DAY, RULES), Plan::Reuse);
        assert_eq!(planned_after(83 * DAY + Duration::from_millis(1), RULES), Plan::Refresh(Reason::Due));
        assert_eq!(planned_after(90 * DAY, RULES), Plan::Refresh(Reason::Expired));
    }

    #[test]
    fn an_id_is_dead_at_the_moment_it_expires_even_with_no_margin_asked() {
        assert_eq!(planned_after(89 * DAY, PlanRules::ALIVE), Plan::Reuse);
        assert_eq!(planned_after(90 * DAY, PlanRules::ALIVE), Plan::Refresh(Reason::Expired));
    }

    #[test]
    fn an_upload_from_the_future_has_no_known_age() {
        let planned_at = |now| plan(&fine(), Some(&uploaded_at(START)), Moment::Sure(now), RULES);
        let earlier = START.minus(CLOCK_TOLERANCE);
        assert_eq!(planned_at(earlier), Plan::Reuse);
        assert_eq!(planned_at(earlier.minus(Duration::from_millis(1))), Plan::Refresh(Reason::UnknownAge));
    }

    #[test]
    fn by_a_doubtful_clock_no_age_is_known() {
        let doubtful = Moment::Doubtful(START);
        assert_eq!(plan(&fine(), Some(&uploaded_at(START)), doubtful, RULES), Plan::Refresh(Reason::UnknownAge));
        assert_eq!(plan(&fine(), None, doubtful, RULES), Plan::Upload);
        let refused = Upload { state: UploadState::Rejected, ..uploaded_at(START) };
        assert_eq!(staleness(&refused, doubtful, RULES), Some(Reason::Rejected));
    }

    #[test]
    fn a_rejected_id_is_never_reused() {
        let refused = Upload { state: UploadState::Rejected, ..uploaded_at(START) };
        assert_eq!(plan(&fine(), Some(&refused), SURELY, RULES), Plan::Refresh(Reason::Rejected));
    }

    #[test]
    fn an_id_of_unknown_age_is_due_whatever_its_times_say() {
        let adopted = Upload { state: UploadState::UnknownAge, ..uploaded_at(START) };
        assert_eq!(plan(&fine(), Some(&adopted), SURELY, PlanRules::ALIVE), Plan::Refresh(Reason::UnknownAge));
        assert_eq!((adopted.known_upload_time(), adopted.known_expiry()), (None, None));
    }

    #[test]
    fn force_renews_what_is_alive() {
        assert_eq!(planned_after(DAY, PlanRules { force: true, ..RULES }), Plan::Refresh(Reason::Forced));
    }

    #[test]
    fn bytes_the_platform_refuses_are_rejected_whatever_is_recorded() {
        let problem = Problem::error(ProblemCode::TooLarge, "", "");
        let refused = Verdict { problems: vec![problem], ..fine() };
        assert_eq!(plan(&refused, Some(&uploaded_at(START)), SURELY, RULES), Plan::Reject);
    }
}
