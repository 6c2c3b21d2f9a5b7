//! What is played: how many, how large, what goes wrong and when. All of it follows from a seed.

use std::time::Duration;

use fastrand::Rng;
use reattach::graph::PaceLimits;

/// A fleet, its campaigns and its bad luck.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) pages: usize,
    /// Recipients of the largest campaign; that of rank `r` has `r^0.6` times fewer.
    pub(crate) largest: u32,
    /// Campaigns begin within this time.
    pub(crate) begin_within: Duration,
    /// When one Page in twenty is throttled, and for how long: every fourth of the large ones, which several send for.
    pub(crate) throttle: (Duration, Duration),
    /// When half the workers die at once.
    pub(crate) loss_at: Duration,
    /// When some of those that are left lose sight of the record, and for how long: for longer than their lease.
    pub(crate) cut: (Duration, Duration),
    /// A safeguard that is left out, to see that it is missed.
    pub(crate) without: Option<Safeguard>,
}

/// What keeps a promise, and can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safeguard {
    /// A part of a Page's rate is granted anew only a second after its holder let go of it.
    Second,
    /// Whoever's lease is over begins nothing.
    Lease,
    /// Rows are locked as they are read for a claim.
    Lock,
    /// A throttle is told to all who send for the Page.
    News,
}

impl Safeguard {
    /// All of them, by the words they are asked for.
    pub(crate) const ALL: [(&'static str, Self); 4] =
        [("second", Self::Second), ("lease", Self::Lease), ("lock", Self::Lock), ("news", Self::News)];
}

/// One campaign, of a Page of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) people: u32,
    pub(crate) begins: Duration,
    pub(crate) is_throttled: bool,
}

impl Scenario {
    /// 200 workers, 1,000 Pages and some 800,000 messages.
    pub(crate) fn whole(seed: u64) -> Self {
        Self {
            seed,
            workers: 200,
            pages: 1_000,
            largest: 20_000,
            begin_within: Duration::from_mins(1),
            throttle: (Duration::from_secs(15), Duration::from_secs(25)),
            loss_at: Duration::from_secs(45),
            cut: (Duration::from_secs(70), Duration::from_secs(45)),
            without: None,
        }
    }

    /// A few of each, for a test.
    #[cfg(test)]
    pub(crate) fn small(seed: u64) -> Self {
        Self { workers: 6, pages: 12, largest: 3_600, ..Self::whole(seed) }
    }

    /// Messages a second a Page may send.
    pub(crate) fn rate() -> u32 {
        PaceLimits::default().messages_per_second
    }

    /// The campaigns. Those that are to be throttled begin at once, for there must be something to throttle.
    pub(crate) fn campaigns(&self) -> Vec<Planned> {
        let mut rng = Rng::with_seed(self.seed);
        let mut campaigns: Vec<Planned> = (0..self.pages)
            .map(|rank| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
                let people = (f64::from(self.largest) / (rank as f64 + 1.0).powf(0.6)) as u32;
                let is_throttled = rank % 4 == 1 && rank <= self.pages / 5;
                let begins = if is_throttled { Duration::ZERO } else { self.begin_within.mul_f64(rng.f64()) };
                Planned { people: people.max(20), begins, is_throttled }
            })
            .collect();
        rng.shuffle(&mut campaigns);
        campaigns
    }
}
