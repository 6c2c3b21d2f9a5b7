//! Whether a Page may call at all: open, shut by a throttle, or on probation.
//!
//! A pure structure, told what time it is. Only one call goes through a gate whose time is over; the others wait for what
//! it brings.

use std::time::Duration;

use tokio::time::Instant;

use crate::graph::error::Refusal;

/// How long a gate stays shut where Meta names no time: under a minute, so that a Page is back within one of the end of
/// its block, and no shorter, since calls made during a block prolong it.
pub(super) const UNNAMED_PAUSE: Duration = Duration::from_secs(50);

/// The least pause after a time that Meta named proved too short; twice as much each time it does so again.
const FIRST_DOUBT: Duration = Duration::from_secs(2);

/// How long all wait for what a probe brings, which may be a long upload; then another is sent after it.
pub(super) const PROBE_PATIENCE: Duration = Duration::from_secs(15);

/// Why a gate is shut.
#[derive(Debug, Clone)]
pub(super) struct Shut {
    /// When a call may try again.
    pub(super) until: Instant,
    /// Whether that is the time Meta named.
    pub(super) named: bool,
    /// What Meta said; `None` where only its headers did.
    pub(super) refusal: Option<Box<Refusal>>,
    /// Probes that were refused.
    misses: u32,
}

/// The gate of one Page.
#[derive(Debug, Default)]
pub(super) enum Gate {
    #[default]
    Open,
    Shut(Shut),
    /// One call is finding out whether the limit is lifted.
    Probing(Shut),
}

/// What somebody who wants through is to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Go.
    Pass,
    /// Go, and tell what comes of it: the others wait for that.
    Probe,
    /// Wait until then.
    Until(Shut),
    /// Wait for what the probe brings, for [`PROBE_PATIENCE`] from when it went.
    ForProbe(Shut),
}

impl Gate {
    /// What to do now; a probe's place is taken by whoever is told to go.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        match self {
            Self::Open => Step::Pass,
            Self::Probing(shut) if now >= shut.until + PROBE_PATIENCE => {
                shut.until = now;
                Step::Probe
            }
            Self::Probing(shut) => Step::ForProbe(shut.clone()),
            Self::Shut(shut) if now < shut.until => Step::Until(shut.clone()),
            Self::Shut(shut) => {
                *self = Self::Probing(shut.clone());
                Step::Probe
            }
        }
    }

    /// Whether somebody who was let in may still go.
    pub(super) fn lets_through(&self, is_probe: bool) -> bool {
        matches!((self, is_probe), (Self::Open, _) | (Self::Probing(_), true))
    }

    /// Shuts it: for `wait`, or the usual time. True for the first refusal since it was open, and for one that a probe met.
    pub(super) fn shut(&mut self, wait: Option<Duration>, refusal: Option<Box<Refusal>>, now: Instant) -> bool {
        let misses = if let Self::Probing(earlier) = self { earlier.misses + 1 } else { 0 };
        // A time that proved too short before is not believed again and again.
        let doubt = if misses == 0 { Duration::ZERO } else { FIRST_DOUBT.saturating_mul(1 << (misses - 1).min(16)) };
        let until = now + wait.map_or(UNNAMED_PAUSE, |wait| wait.max(doubt.min(UNNAMED_PAUSE)));
        let shut = Shut { until, named: wait.is_some(), refusal, misses };
        match self {
            // Told by calls that were under way: the longest time counts, and one refusal is as good as another.
            Self::Shut(earlier) => {
                // The usage headers of an answer are read before what it says.
                let is_first = earlier.refusal.is_none() && shut.refusal.is_some();
                let refusal = shut.refusal.clone().or(earlier.refusal.take());
                if until > earlier.until && (shut.named || !earlier.named) {
                    *earlier = Shut { misses: earlier.misses, ..shut };
                }
                earlier.refusal = refusal;
                is_first
            }
            Self::Open => {
                *self = Self::Shut(shut);
                true
            }
            Self::Probing(earlier) => {
                let refusal = shut.refusal.or(earlier.refusal.take());
                *self = Self::Shut(Shut { refusal, ..shut });
                true
            }
        }
    }

    /// Opens it after a probe that met no limit.
    pub(super) fn open(&mut self) {
        *self = Self::Open;
    }

    /// Lets somebody else probe, after a probe that found out nothing.
    pub(super) fn hand_on(&mut self, now: Instant) {
        if let Self::Probing(shut) = self {
            *self = Self::Shut(Shut { until: now, ..shut.clone() });
        }
    }
}
