//! What a governor may do of a budget that others draw on as well. A pure structure, told what time it is.
//!
//! It asks for what it has a use for, and keeps to what it is given; and what Meta tells it of limits it tells the others.

use std::time::Duration;

use tokio::time::Instant;

use super::{CALLS, LANES, Load};
use crate::budget::{Ask, Group, News, PoolAsk, Portion, Rates, Slice, Standing};
use crate::clock::uptime;

/// How long what was needed once is asked for again.
const HABIT: Duration = Duration::from_secs(2);
/// How long what was counted for one call may take to queue up.
const SORTING: Duration = Duration::from_secs(2);
/// For how many seconds' calls of the day's a portion is.
const PORTION_SECONDS: u64 = 3;

/// A part of a Page's budget.
#[derive(Debug)]
pub(super) struct Share {
    page: Rates,
    pool: Option<u64>,
    group: Option<Group>,
    /// How many asks there were.
    number: i64,
    slice: Slice,
    until: Instant,
    /// The same by [`uptime`], which counts what the machine sleeps: when it last asked, and until when the answer holds.
    up: (Duration, Duration),
    /// What was needed of each sort, and when.
    habits: [(u32, Instant); LANES],
    /// The largest load that was made up by what the slice was, and when.
    sorted: ([u32; LANES], Instant),
    /// Of the calls of 24 hours, those that may still be made.
    portion: Option<Portion>,
    /// Until when there are no more of them.
    dry_until: Option<Instant>,
    /// Throttles it was told of, its own included.
    heard: i64,
    news: News,
    /// Whether its gate is shut by what others were told, or they know that it is.
    is_gate_known: bool,
}

/// What a governor has to do, having been told how the Page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Throttles others have met.
    pub(super) throttles: u32,
    /// Shut the gate for so long.
    pub(super) shut_for: Option<Duration>,
    /// Open it.
    pub(super) opened: bool,
}

impl Share {
    /// A part that is nothing yet.
    pub(super) fn new(page: Rates, pool: Option<u64>, group: Option<Group>, now: Instant) -> Self {
        Self {
            page,
            pool,
            group,
            number: 0,
            slice: Slice::nothing(),
            until: now,
            up: (Duration::ZERO, Duration::ZERO),
            habits: [(0, now); LANES],
            sorted: ([0; LANES], now),
            portion: None,
            dry_until: None,
            heard: 0,
            news: News::default(),
            is_gate_known: false,
        }
    }

    /// Until when the last answer holds.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    fn holds_at(&self, now: Instant) -> bool {
        now < self.until && uptime() < self.up.1
    }

    /// So many calls a second of a lane, of which one may be larger than that where `has_bulk`.
    pub(super) fn rate(&self, lane: usize, has_bulk: bool, now: Instant) -> u32 {
        if self.holds_at(now) {
            self.slice.rates.lanes()[lane].max(u32::from(has_bulk && self.held(lane, now) > 1))
        } else {
            0
        }
    }

    /// The largest load that may leave.
    pub(super) fn held(&self, lane: usize, now: Instant) -> u32 {
        if self.holds_at(now) { self.slice.held.lanes()[lane] } else { 0 }
    }

    /// A load was made up by what the slice is.
    pub(super) fn sort(&mut self, load: Load, now: Instant) {
        let largest = self.sorted_lately(now);
        self.sorted = (std::array::from_fn(|lane| largest[lane].max(bulk(load.in_lane(lane)))), now);
    }

    fn sorted_lately(&self, now: Instant) -> [u32; LANES] {
        if now < self.sorted.1 + SORTING { self.sorted.0 } else { [0; LANES] }
    }

    /// Whether `calls` more are too many for what is left of the portion.
    pub(super) fn lacks(&self, calls: u64) -> bool {
        self.pool.is_some() && self.portion.is_none_or(|portion| portion.calls < calls)
    }

    /// How long until there are more calls of 24 hours, where there are none.
    pub(super) fn dry_for(&self, now: Instant) -> Option<Duration> {
        self.dry_until.filter(|until| *until > now).map(|until| until - now)
    }

    /// How many calls of 24 hours are left to everybody, as far as is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.portion.map(|portion| portion.left)
    }

    pub(super) fn spend(&mut self, calls: u64) {
        if let Some(portion) = &mut self.portion {
            portion.calls = portion.calls.saturating_sub(calls);
            portion.left = portion.left.saturating_sub(calls);
        }
    }

    /// Meta has shut the gate, for a throttle of its own or not.
    pub(super) fn shut(&mut self, wait: Duration, throttles: u32) {
        let shut_for = self.news.shut_for.map_or(wait, |earlier| earlier.max(wait));
        self.news = News { shut_for: Some(shut_for), throttles: self.news.throttles + throttles, opened: false };
    }

    /// A call has gone through a gate that was shut. True if others want to know.
    pub(super) fn open(&mut self) -> bool {
        let was_known = std::mem::take(&mut self.is_gate_known);
        // What was shut since then stays so.
        self.news.opened = was_known && self.news.shut_for.is_none();
        self.news.opened
    }

    /// What to ask for: `queued` of each lane wait, and so many have `left` within the last second; `present` is the largest
    /// load among them.
    pub(super) fn ask(
        &mut self,
        limits: [u32; LANES],
        queued: [u32; LANES],
        left: [u32; LANES],
        present: [u32; LANES],
        now: Instant,
    ) -> Ask {
        self.number += 1;
        self.up.0 = uptime();
        for (lane, habit) in self.habits.iter_mut().enumerate() {
            let needed = queued[lane] + left[lane];
            if needed >= habit.0 || now >= habit.1 + HABIT {
                *habit = (needed, now);
            }
        }
        // A little more than was needed, so that it can be seen whether more is.
        let wanted =
            |lane: usize| Some(self.habits[lane].0).filter(|habit| *habit > 0).map_or(0, |habit| habit + habit / 4 + 1);
        let demand: [u32; LANES] = std::array::from_fn(|lane| wanted(lane).min(limits[lane]));
        let sorted = self.sorted_lately(now);
        let using = std::array::from_fn(|lane| {
            let bulk = bulk(present[lane]).max(sorted[lane]).min(self.held(lane, now));
            self.rate(lane, false, now).max(bulk)
        });
        let soon = PORTION_SECONDS * u64::from(demand[CALLS]);
        let pool = self.pool.map(|limit| self.pool_ask(limit, soon));
        Ask {
            number: self.number,
            page: self.page,
            group: self.group.clone(),
            demand: Rates::from_lanes(demand),
            using: Rates::from_lanes(using),
            spent: Rates::from_lanes(left),
            pool,
            heard: self.heard,
            news: std::mem::take(&mut self.news),
        }
    }

    fn pool_ask(&mut self, limit: u64, soon: u64) -> PoolAsk {
        let have = self.portion.map_or(0, |portion| portion.calls);
        if soon == 0
            && let Some(portion) = self.portion.take_if(|portion| portion.calls > 0)
        {
            return PoolAsk { limit, calls: 0, unspent: Some((portion.minute, portion.calls)) };
        }
        PoolAsk { limit, calls: if have < soon / 2 + 1 { soon.saturating_sub(have) } else { 0 }, unspent: None }
    }

    /// What the answer came to nothing for is said again.
    pub(super) fn retract(&mut self, ask: &Ask) {
        let News { shut_for, throttles, opened } = ask.news;
        self.news.shut_for = self.news.shut_for.max(shut_for);
        self.news.throttles += throttles;
        self.news.opened |= opened && self.news.shut_for.is_none();
    }

    /// Keeps to the answer from now on.
    pub(super) fn obey(&mut self, ask: &Ask, slice: &Slice, asked_at: Instant, now: Instant) -> Told {
        self.slice = slice.clone();
        self.until = asked_at + slice.lasts;
        self.up.1 = self.up.0 + slice.lasts;
        if let Some(more) = slice.portion {
            let have = self.portion.map_or(0, |portion| portion.calls);
            self.portion = Some(Portion { calls: have + more.calls, ..more });
            self.dry_until = more.back_in.map(|wait| now + wait);
        }
        self.is_gate_known |= ask.news.shut_for.is_some();
        let theirs = slice.throttles - self.heard - i64::from(ask.news.throttles);
        let throttles = u32::try_from(theirs).unwrap_or_default();
        let is_first = self.number == 1;
        self.heard = slice.throttles;
        let mut told = Told { throttles: if is_first { 0 } else { throttles }, shut_for: None, opened: false };
        match slice.standing {
            Standing::Shut(wait) => {
                told.shut_for = Some(wait);
                self.is_gate_known = true;
            }
            Standing::Open if self.news.shut_for.is_none() && ask.news.shut_for.is_none() => {
                told.opened = std::mem::take(&mut self.is_gate_known);
            }
            Standing::Open | Standing::Over => {}
        }
        told
    }
}

/// What is more than one call.
fn bulk(calls: u32) -> u32 {
    if calls > 1 { calls } else { 0 }
}
