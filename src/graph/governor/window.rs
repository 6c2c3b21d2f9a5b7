//! One rate, kept over every second: a pure structure, told what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A second, and a little more: calls may arrive closer to each other than they left, and arrivals are what Meta counts.
const PERIOD: Duration = Duration::from_millis(1_030);
/// A window whose ends are both counted is longer than its length by less than this.
const TICK: Duration = Duration::from_nanos(1);
/// How far behind its even pace a queue may fall, by late timers, and catch up.
const SLACK: Duration = Duration::from_millis(100);

/// The calls of the last second, and when the next may go.
///
/// Two rules together: no second ever holds more than the limit, wherever it begins; and calls are spread over it, so that
/// they do not all go at its start. The first is the promise, the second a courtesy, with some slack for late timers.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// When calls were let through, or were charged to; ascending.
    charged: VecDeque<Instant>,
    /// When the next would go if all had gone evenly.
    even: Option<Instant>,
    /// Calls that are about to go.
    promised: u32,
}

impl Window {
    /// When `calls` more may go under `limit` calls a second: `now` or later.
    pub(super) fn free_at(&self, calls: u32, limit: u32, now: Instant) -> Instant {
        self.strictly_free_at(calls, limit, now).max(self.evenly_free_at(now))
    }

    /// When `calls` more may be promised that they go within `lead`: `now` or later, or `None` where that hangs on those
    /// that were promised it before.
    pub(super) fn opens_at(&self, calls: u32, limit: u32, lead: Duration, now: Instant) -> Option<Instant> {
        let limit = limit.max(1);
        let (ahead, even) = (PERIOD * self.promised / limit, self.evenly_free_at(now));
        if self.promised > 0 && (self.promised + calls > limit || (even == now && ahead > lead)) {
            return None;
        }
        let goes = self.strictly_free_at(self.promised + calls, limit, now).max(even + ahead);
        Some(now + (goes - now).saturating_sub(lead))
    }

    /// Promises a place to `calls` more, as far as [`opens_at`](Self::opens_at) allows it.
    pub(super) fn promise(&mut self, calls: u32) {
        self.promised += calls;
    }

    /// Takes back what was promised: they have been charged, or do not go.
    pub(super) fn fulfil(&mut self, calls: u32) {
        self.promised -= calls;
    }

    /// Calls of the last second, those included that are charged to what comes.
    pub(super) fn recent(&self, now: Instant) -> u32 {
        u32::try_from(self.charged.len() - self.old(now)).unwrap_or(u32::MAX)
    }

    fn old(&self, now: Instant) -> usize {
        let since = now.checked_sub(PERIOD + TICK);
        self.charged.partition_point(|&at| since.is_some_and(|since| at <= since))
    }

    /// Calls that are about to go.
    pub(super) fn promised(&self) -> u32 {
        self.promised
    }

    fn strictly_free_at(&self, calls: u32, limit: u32, now: Instant) -> Instant {
        let limit = limit.max(1);
        let (calls, limit) = (calls.clamp(1, limit) as usize, limit as usize);
        // So many of the newest must be a second old, or never have been.
        let newest = self.charged.len().checked_sub(limit - calls + 1);
        newest.map_or(now, |place| now.max(self.charged[place] + PERIOD + TICK))
    }

    fn evenly_free_at(&self, now: Instant) -> Instant {
        self.even.and_then(|even| even.checked_sub(SLACK)).map_or(now, |even| now.max(even))
    }

    /// Charges `calls` that go now. What is more than a second's worth is charged to the seconds after it.
    pub(super) fn charge(&mut self, calls: u32, limit: u32, now: Instant) {
        if calls == 0 {
            return;
        }
        let limit = limit.max(1);
        self.charged.drain(..self.old(now));
        for call in 0..calls {
            let at = now + PERIOD * (call / limit);
            // Later charges of an earlier load may stand behind it already.
            let place = self.charged.partition_point(|&other| other <= at);
            self.charged.insert(place, at);
        }
        let even = self.even.map_or(now, |even| even.max(now.checked_sub(SLACK).unwrap_or(now)));
        self.even = Some(even + PERIOD * calls / limit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Goes as fast as it may, its timers late by `late`, and says when each call went.
    fn run(limit: u32, loads: &[u32], late: Duration) -> Vec<Instant> {
        let mut window = Window::default();
        let mut now = Instant::now();
        let mut went = Vec::new();
        for &calls in loads {
            let free = window.free_at(calls, limit, now);
            now = if free > now { free + late } else { now };
            window.charge(calls, limit, now);
            went.extend(std::iter::repeat_n(now, calls as usize));
        }
        went
    }

    fn most_in_a_second(went: &[Instant]) -> usize {
        let within = |start: &Instant| went.iter().filter(|&at| *at >= *start && *at <= *start + SECOND).count();
        went.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_second_holds_more_than_the_limit_and_little_is_wasted() {
        for limit in [1, 10, 30, 300] {
            for late in [Duration::ZERO, Duration::from_micros(999)] {
                let seconds = 20;
                let went = run(limit, &vec![1; (limit * seconds) as usize], late);
                assert!(most_in_a_second(&went) <= limit as usize, "{limit}, late by {late:?}");
                let took = *went.last().expect("some") - went[0];
                let ideal = f64::from(seconds) - 1.0 / f64::from(limit);
                assert!(took.as_secs_f64() <= ideal / 0.95, "{limit}, late by {late:?}: {took:?}");
            }
        }
    }

    /// A slice of a shared budget may end between two looks at it.
    #[test]
    fn a_limit_of_nothing_is_one_call_a_second() {
        let (mut window, now) = (Window::default(), Instant::now());
        assert_eq!(window.opens_at(1, 0, Duration::ZERO, now), Some(now));
        window.charge(1, 0, now);
        assert!(window.free_at(1, 0, now) >= now + SECOND);
    }

    #[test]
    fn calls_that_arrive_closer_than_they_left_keep_the_promise() {
        let went = run(30, &[1; 600], Duration::ZERO);
        let mut random = fastrand::Rng::with_seed(7);
        let mut arrived: Vec<_> = went.iter().map(|at| *at + Duration::from_millis(random.u64(0..30))).collect();
        arrived.sort();
        assert!(most_in_a_second(&arrived) <= 30);
    }

    #[test]
    fn calls_are_spread_over_the_second() {
        let went = run(30, &[1; 30], Duration::ZERO);
        let at_once = went.iter().take_while(|at| **at == went[0]).count();
        assert!(at_once <= 4, "{at_once} at the very start");
    }

    #[test]
    fn a_load_over_the_limit_goes_when_the_window_is_free_and_is_paid_for_after() {
        let went = run(30, &[50, 1], Duration::ZERO);
        assert!(went[50] - went[0] >= Duration::from_millis(1_500), "{:?}", went[50] - went[0]);
    }

    /// Later by so many thousandths of a second than the instant it is added to.
    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_full_window_is_free_again_when_enough_of_its_calls_are_a_second_old() {
        let now = Instant::now();
        let mut window = Window::default();
        window.charge(5, 10, now);
        window.charge(5, 10, now + ms(500));
        let at = now + ms(500);
        let free = [1, 5, 6, 10, 99].map(|calls| window.strictly_free_at(calls, 10, at) - now);
        assert_eq!(free, [0, 0, 500, 500, 500].map(|millis| PERIOD + TICK + ms(millis)));
        assert_eq!(window.strictly_free_at(1, 11, at), at, "one place is left");
        let counted = [ms(0), ms(500), PERIOD, PERIOD + TICK, ms(500) + PERIOD, ms(500) + PERIOD + TICK];
        assert_eq!(counted.map(|after| window.recent(now + after)), [10, 10, 10, 5, 5, 0]);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let now = Instant::now();
        let mut window = Window::default();
        window.charge(10, 10, now);
        window.charge(0, 10, now + PERIOD * 2);
        assert_eq!(window.charged.len(), 10, "nothing went");
        window.charge(1, 10, now + PERIOD * 2);
        assert_eq!(window.charged.len(), 1);
    }

    #[test]
    fn more_than_a_seconds_worth_is_charged_to_the_seconds_after_it() {
        let now = Instant::now();
        let mut window = Window::default();
        window.charge(25, 10, now);
        let charged = [0, 9, 10, 19, 20, 24].map(|place| window.charged[place] - now);
        assert_eq!(charged, [0, 0, 1, 1, 2, 2].map(|seconds| PERIOD * seconds));
        // What goes between them finds its place.
        window.charge(1, 10, now + PERIOD + ms(1));
        assert_eq!(window.charged.iter().rev().nth(5).map(|at| *at - now), Some(PERIOD + ms(1)));
        assert!(window.charged.iter().is_sorted());
    }

    #[test]
    fn calls_follow_one_another_evenly_and_catch_up_on_little() {
        let now = Instant::now();
        let mut window = Window::default();
        let mut free = |at: Instant| {
            window.charge(1, 10, at);
            window.evenly_free_at(at) - at
        };
        // 103 ms apart, of which 100 are slack.
        assert_eq!([free(now), free(now + ms(3)), free(now + ms(106))], [3, 103, 103].map(ms));
        let later = now + ms(5_000);
        assert_eq!([free(later), free(later), free(later)], [0, 6, 109].map(ms));
    }

    #[test]
    fn a_place_is_promised_when_its_turn_is_near_and_after_those_that_were_promised_before() {
        let now = Instant::now();
        let opens = |window: &Window, calls, lead| window.opens_at(calls, 10, ms(lead), now).map(|opens| opens - now);
        let mut window = Window::default();
        assert_eq!(opens(&window, 1, 0), Some(ms(0)));
        assert_eq!(opens(&window, 99, 0), Some(ms(0)), "who is larger than the limit goes alone");
        window.promise(1);
        assert_eq!([opens(&window, 1, 102), opens(&window, 1, 103)], [None, Some(ms(0))]);
        assert_eq!([opens(&window, 9, 103), opens(&window, 10, 103)], [Some(ms(0)), None]);
        window.fulfil(1);
        window.charge(1, 10, now);
        assert_eq!([0, 1, 3, 9].map(|lead| opens(&window, 1, lead)), [3, 2, 0, 0].map(|millis| Some(ms(millis))));
        window.promise(2);
        assert_eq!([opens(&window, 1, 0), opens(&window, 1, 200)], [Some(ms(209)), Some(ms(9))]);
        let mut nearly_full = Window::default();
        nearly_full.charge(9, 10, now);
        assert_eq!([opens(&nearly_full, 1, 0), opens(&nearly_full, 2, 0)], [Some(ms(827)), Some(PERIOD + TICK)]);
        window.promise(6);
        assert_eq!(opens(&window, 2, 0), Some(PERIOD + TICK), "those before take all that is left");
        assert_eq!((window.promised(), opens(&window, 3, 0)), (8, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_promise_holds_for_any_loads(limit in 1_u32..60, loads in prop::collection::vec(1_u32..20, 1..120)) {
            let loads: Vec<u32> = loads.iter().map(|&calls| calls.min(limit)).collect();
            prop_assert!(most_in_a_second(&run(limit, &loads, Duration::from_micros(300))) <= limit as usize);
        }
    }
}
