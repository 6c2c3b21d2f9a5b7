//! What a governor may do of a budget that others draw on as well. A pure structure, told what time it is.
//!
//! It asks for what it has a use for, and keeps to what it is given; and what Meta tells it of limits it tells the others.

use std::time::Duration;

use tokio::time::Instant;

use super::{CALLS, LANES, Load};
use crate::budget::{Ask, Group, News, PoolAsk, Portion, Rates, Slice, Standing};
use crate::clock::uptime;
use crate::graph::error::{DaySpent, NoShare};

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
    /// Why the last ask brought nothing, if so.
    cause: Option<NoShare>,
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
            cause: None,
        }
    }

    /// The last ask brought nothing, for this reason.
    pub(super) fn go_without(&mut self, cause: NoShare) {
        self.cause = Some(cause);
    }

    /// Why the last ask brought nothing; `None` where it did not.
    pub(super) fn cause(&self) -> Option<&NoShare> {
        self.cause.as_ref()
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

    /// How many calls of 24 hours are used, as far as is known; `None` where they are not limited.
    pub(super) fn spent(&self) -> Option<DaySpent> {
        let (limit, left) = (self.pool?, self.left().unwrap_or_default());
        Some(DaySpent { limit, used: limit.saturating_sub(left) })
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
        self.cause = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PAGE: Rates = Rates { media: 10, messages: 30, conversations: 2, calls: 300 };

    /// So many messages, each a call.
    fn messages(count: u32) -> Rates {
        Rates { messages: count, calls: count, ..Rates::default() }
    }

    fn share(pool: Option<u64>, now: Instant) -> Share {
        Share::new(PAGE, pool, None, now)
    }

    /// An ask of one with whom so many messages wait, in loads of one, and so many have left.
    fn ask(share: &mut Share, queued: u32, left: u32, now: Instant) -> Ask {
        share.ask(PAGE.lanes(), messages(queued).lanes(), messages(left).lanes(), messages(1).lanes(), now)
    }

    fn slice(rate: u32, held: u32) -> Slice {
        Slice { rates: messages(rate), held: messages(held), lasts: 4 * SECOND, ..Slice::nothing() }
    }

    /// Asks, and is answered so.
    fn hear(share: &mut Share, answer: &Slice, now: Instant) -> Told {
        let ask = ask(share, 0, 0, now);
        share.obey(&ask, answer, now, now)
    }

    fn told(throttles: u32, shut_for: Option<Duration>, opened: bool) -> Told {
        Told { throttles, shut_for, opened }
    }

    #[test]
    fn a_quarter_and_one_more_than_was_needed_is_asked_for_and_never_more_than_the_limit() {
        let now = Instant::now();
        let demand = |queued, left| ask(&mut share(None, now), queued, left, now).demand;
        assert_eq!([demand(0, 0), demand(1, 0), demand(5, 3)], [0, 2, 11].map(messages));
        assert_eq!(demand(90, 10), Rates { messages: 30, calls: 126, ..Rates::default() });
    }

    #[test]
    fn what_was_needed_is_asked_for_two_seconds_longer() {
        let now = Instant::now();
        let mut share = share(None, now);
        let mut demand = |queued, at: f64| ask(&mut share, queued, 0, now + SECOND.mul_f64(at)).demand.messages;
        assert_eq!([demand(8, 0.0), demand(4, 1.0), demand(8, 1.5)], [11, 11, 11]);
        assert_eq!([demand(4, 3.4), demand(4, 3.5), demand(8, 3.6)], [11, 6, 11]);
    }

    #[test]
    fn each_ask_has_a_greater_number() {
        let now = Instant::now();
        let mut share = share(None, now);
        assert_eq!([1, 2, 3].map(|_| ask(&mut share, 0, 0, now).number), [1, 2, 3]);
    }

    #[test]
    fn what_is_given_holds_from_the_ask_for_as_long_as_it_says() {
        let now = Instant::now();
        let mut share = share(None, now);
        assert_eq!((share.rate(1, false, now), share.held(1, now)), (0, 0), "nothing is given yet");
        let ask = ask(&mut share, 0, 0, now);
        share.obey(&ask, &slice(5, 20), now, now + SECOND);
        let end = now + 4 * SECOND;
        assert_eq!(share.until(), end);
        let last = end - Duration::from_nanos(1);
        assert_eq!([last, end].map(|at| (share.rate(1, false, at), share.held(1, at))), [(5, 20), (0, 0)]);
        // The machine was asleep meanwhile, and its clock with it.
        share.up.1 = uptime();
        assert_eq!((share.rate(1, false, now), share.held(1, now)), (0, 0));
    }

    #[test]
    fn where_one_load_of_several_is_held_one_may_leave_though_the_rate_be_nothing() {
        let now = Instant::now();
        let rate = |answer: Slice, has_bulk| {
            let mut share = share(None, now);
            hear(&mut share, &answer, now);
            share.rate(1, has_bulk, now)
        };
        assert_eq!([rate(slice(0, 20), true), rate(slice(0, 20), false), rate(slice(0, 1), true)], [1, 0, 0]);
        assert_eq!(rate(slice(5, 20), true), 5);
    }

    #[test]
    fn in_use_is_the_rate_or_the_largest_load_of_several_that_is_about_to_go() {
        let now = Instant::now();
        let mut share = share(None, now);
        hear(&mut share, &slice(5, 20), now);
        let mut using =
            |largest, at| share.ask(PAGE.lanes(), [0; LANES], [0; LANES], messages(largest).lanes(), at).using.messages;
        assert_eq!([1, 5, 12, 40].map(|largest| using(largest, now)), [5, 5, 12, 20]);
        let mut share = self::share(None, now);
        hear(&mut share, &slice(0, 20), now);
        assert_eq!(ask(&mut share, 1, 0, now).using, messages(0), "for a single one nothing is kept");
        hear(&mut share, &slice(1, 20), now);
        share.sort(Load { messages: 2, ..Load::CALL }, now);
        share.sort(Load { messages: 1, ..Load::CALL }, now);
        let in_use = [Duration::from_millis(1_999), SORTING].map(|after| ask(&mut share, 0, 0, now + after).using);
        assert_eq!(in_use.map(|rates| rates.messages), [2, 1], "it may be on its way to the queue");
    }

    #[test]
    fn of_the_days_calls_those_for_three_seconds_are_asked_for_before_half_of_them_are_gone() {
        let now = Instant::now();
        let mut share = share(Some(1_000), now);
        assert!(share.lacks(1) && share.left().is_none(), "it has none");
        let want = |share: &mut Share| ask(share, 7, 0, now).pool.expect("a limit").calls;
        assert_eq!(want(&mut share), 27, "nine a second");
        let ask_for_27 = ask(&mut share, 7, 0, now);
        let portion = Portion { calls: 27, minute: 5, left: 900, back_in: None };
        share.obey(&ask_for_27, &Slice { portion: Some(portion), ..slice(9, 9) }, now, now);
        assert_eq!((share.lacks(27), share.lacks(28), share.left()), (false, true, Some(900)));
        assert_eq!(want(&mut share), 0);
        share.spend(13);
        assert_eq!((share.lacks(14), share.lacks(15), share.left(), want(&mut share)), (false, true, Some(887), 0));
        share.spend(1);
        assert_eq!(want(&mut share), 14);
        // What comes is added to what is there.
        let more = Portion { calls: 14, left: 800, ..portion };
        share.obey(&ask_for_27, &Slice { portion: Some(more), ..slice(9, 9) }, now, now);
        assert_eq!((share.lacks(27), share.lacks(28), share.left()), (false, true, Some(800)));
        assert!(!self::share(None, now).lacks(1), "no day is counted");
    }

    #[test]
    fn whoever_needs_no_calls_gives_back_once_what_is_left_of_them() {
        let now = Instant::now();
        let mut share = share(Some(1_000), now);
        let none = PoolAsk { limit: 1_000, calls: 0, unspent: None };
        assert_eq!(ask(&mut share, 0, 0, now).pool, Some(none));
        let portion = Portion { calls: 27, minute: 5, left: 900, back_in: None };
        hear(&mut share, &Slice { portion: Some(portion), ..slice(9, 9) }, now);
        assert_eq!(ask(&mut share, 0, 0, now).pool, Some(PoolAsk { unspent: Some((5, 27)), ..none }));
        assert_eq!(ask(&mut share, 0, 0, now).pool, Some(none));
        hear(&mut share, &Slice { portion: Some(Portion { calls: 0, ..portion }), ..slice(9, 9) }, now);
        assert_eq!(ask(&mut share, 0, 0, now).pool, Some(none), "there is nothing to give back");
    }

    #[test]
    fn how_long_the_day_is_over_is_known_from_when_it_was_told() {
        let now = Instant::now();
        let mut share = share(Some(1_000), now);
        assert_eq!(share.dry_for(now), None);
        let portion = Portion { calls: 0, minute: 5, left: 0, back_in: Some(9 * SECOND) };
        hear(&mut share, &Slice { portion: Some(portion), ..slice(9, 9) }, now);
        let dry = [0, 8, 9, 10].map(|after| share.dry_for(now + after * SECOND));
        assert_eq!(dry, [Some(9 * SECOND), Some(SECOND), None, None]);
    }

    #[test]
    fn what_meta_says_between_two_asks_is_told_together_and_again_where_it_was_lost() {
        let now = Instant::now();
        let mut share = share(None, now);
        share.shut(9 * SECOND, 1);
        share.shut(7 * SECOND, 2);
        let lost = ask(&mut share, 0, 0, now);
        assert_eq!(lost.news, News { shut_for: Some(9 * SECOND), throttles: 3, opened: false });
        share.shut(SECOND, 1);
        share.retract(&lost);
        let news = ask(&mut share, 0, 0, now).news;
        assert_eq!(news, News { shut_for: Some(9 * SECOND), throttles: 4, opened: false });
    }

    #[test]
    fn that_a_gate_is_open_is_told_to_those_who_know_it_as_shut_unless_it_was_shut_again() {
        let now = Instant::now();
        let mut share = share(None, now);
        assert!(!share.open(), "nobody knows that it was shut");
        share.shut(SECOND, 1);
        hear(&mut share, &slice(1, 1), now);
        assert!(share.open() && !share.open(), "once");
        let mut known_again = |then: fn(&mut Share)| {
            hear(&mut share, &Slice { standing: Standing::Shut(SECOND), ..slice(1, 1) }, now);
            share.open();
            let lost = ask(&mut share, 0, 0, now);
            assert!(lost.news.opened);
            then(&mut share);
            share.retract(&lost);
            ask(&mut share, 0, 0, now).news.opened
        };
        assert!(known_again(|_| ()));
        assert!(!known_again(|share| share.shut(SECOND, 1)), "it is shut once more");
        hear(&mut share, &Slice { standing: Standing::Shut(SECOND), ..slice(1, 1) }, now);
        share.shut(SECOND, 1);
        assert!(!share.open(), "it was shut since");
    }

    #[test]
    fn what_others_were_told_of_the_gate_is_obeyed_but_not_against_what_was_told_oneself() {
        let now = Instant::now();
        let mut share = share(None, now);
        let open = slice(1, 1);
        let shut = Slice { standing: Standing::Shut(9 * SECOND), ..open.clone() };
        let over = Slice { standing: Standing::Over, ..open.clone() };
        let nothing = told(0, None, false);
        assert_eq!(hear(&mut share, &open, now), nothing);
        assert_eq!(hear(&mut share, &shut, now), told(0, Some(9 * SECOND), false));
        assert_eq!(hear(&mut share, &over, now), nothing);
        assert_eq!([hear(&mut share, &open, now), hear(&mut share, &open, now)], [told(0, None, true), nothing]);
        // It was said with the ask, or since.
        hear(&mut share, &shut, now);
        share.shut(SECOND, 0);
        assert_eq!(hear(&mut share, &open, now), nothing);
        let before = ask(&mut share, 0, 0, now);
        share.shut(SECOND, 0);
        assert_eq!(share.obey(&before, &open, now, now), nothing);
    }

    #[test]
    fn of_throttles_only_those_of_others_and_since_it_began_are_news() {
        let now = Instant::now();
        let mut share = share(None, now);
        let throttled = |throttles| Slice { throttles, ..slice(1, 1) };
        assert_eq!(hear(&mut share, &throttled(5), now).throttles, 0, "they were before its time");
        assert_eq!(hear(&mut share, &throttled(7), now).throttles, 2);
        share.shut(SECOND, 2);
        assert_eq!(hear(&mut share, &throttled(10), now).throttles, 1);
        assert_eq!(hear(&mut share, &throttled(10), now).throttles, 0);
    }
}
