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
    /// Whether Meta has said something since it was last shut.
    is_said: bool,
    /// Probes that met the limit.
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
        let shut = Shut { until, named: wait.is_some(), is_said: refusal.is_some(), refusal, misses };
        match self {
            // Told by calls that were under way: the longest time counts, and one refusal is as good as another.
            Self::Shut(earlier) => {
                // The usage headers of an answer are read before what it says.
                let is_first = !earlier.is_said && shut.is_said;
                let is_said = earlier.is_said || shut.is_said;
                let refusal = shut.refusal.clone().or(earlier.refusal.take());
                if until >= earlier.until && (shut.named || !earlier.named) {
                    *earlier = Shut { misses: earlier.misses, ..shut };
                }
                (earlier.refusal, earlier.is_said) = (refusal, is_said);
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

    /// Opens it: others have found that the limit is lifted.
    pub(super) fn open(&mut self) {
        *self = Self::Open;
    }

    /// Opens it after a probe that was not refused, unless it was shut again meanwhile, as by that answer's own headers.
    /// Whether it is open now.
    pub(super) fn probed(&mut self) -> bool {
        if matches!(self, Self::Probing(_)) {
            self.open();
        }
        matches!(self, Self::Open)
    }

    /// Lets somebody else probe, after a probe that found out nothing.
    pub(super) fn hand_on(&mut self) {
        if let Self::Probing(shut) = self {
            *self = Self::Shut(shut.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refusal(message: &str) -> Refusal {
        let body = format!(r#"{{"error":{{"message":"{message}","code":613}}}}"#);
        Refusal::read(http::StatusCode::BAD_REQUEST, body.as_bytes()).expect("a refusal")
    }

    fn words(shut: &Shut) -> Option<&str> {
        shut.refusal.as_ref().map(|refusal| refusal.message.as_str())
    }

    /// What the gate is shut for, and how much longer.
    fn shut(gate: &Gate, now: Instant) -> (&Shut, Duration) {
        match gate {
            Gate::Shut(shut) | Gate::Probing(shut) => (shut, shut.until - now),
            Gate::Open => panic!("it is open"),
        }
    }

    #[test]
    fn one_call_goes_when_the_time_is_over_and_another_where_that_brings_nothing_for_long() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert!(matches!(gate.step(now), Step::Pass));
        gate.shut(Some(9 * SECOND), None, now);
        let over = now + 9 * SECOND;
        assert!(matches!(gate.step(over - SECOND), Step::Until(shut) if shut.until == over));
        assert!(matches!(gate.step(over), Step::Probe));
        let given_up = over + PROBE_PATIENCE;
        assert!(matches!(gate.step(given_up - SECOND), Step::ForProbe(_)));
        assert!(matches!(gate.step(given_up), Step::Probe));
        assert!(matches!(gate.step(given_up + PROBE_PATIENCE - SECOND), Step::ForProbe(_)), "its time begins anew");
    }

    #[test]
    fn who_was_let_in_goes_through_an_open_gate_and_one_that_it_tries() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert_eq!([false, true].map(|is_probe| gate.lets_through(is_probe)), [true, true]);
        gate.shut(Some(SECOND), None, now);
        assert_eq!([false, true].map(|is_probe| gate.lets_through(is_probe)), [false, false]);
        gate.step(now + SECOND);
        assert_eq!([false, true].map(|is_probe| gate.lets_through(is_probe)), [false, true]);
    }

    #[test]
    fn a_time_that_proved_too_short_is_believed_less_each_time() {
        let mut now = Instant::now();
        let mut gate = Gate::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(gate.shut(Some(SECOND), None, now), "it was open, or a probe met it");
            waits.push(shut(&gate, now).1.as_secs());
            now = shut(&gate, now).0.until;
            gate.step(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 50, 50]);
        // One that goes beyond all doubt is believed.
        gate.shut(Some(90 * SECOND), None, now);
        assert_eq!(shut(&gate, now).1, 90 * SECOND);
    }

    #[test]
    fn of_calls_that_were_under_way_the_longest_time_counts_and_a_named_one_before_all() {
        let now = Instant::now();
        let after = |waits: [Option<u64>; 2]| {
            let mut gate = Gate::default();
            for wait in waits {
                gate.shut(wait.map(Duration::from_secs), None, now);
            }
            let (shut, left) = shut(&gate, now);
            (left.as_secs(), shut.named)
        };
        assert_eq!([after([Some(9), Some(7)]), after([Some(7), Some(9)])], [(9, true), (9, true)]);
        assert_eq!([after([Some(9), None]), after([None, Some(9)])], [(9, true), (50, false)]);
        assert_eq!([after([None, Some(60)]), after([None, None])], [(60, true), (50, false)]);
        assert_eq!([after([None, Some(50)]), after([Some(50), None])], [(50, true), (50, true)]);
    }

    #[test]
    fn metas_first_word_at_a_gate_its_headers_shut_is_a_throttle_and_each_word_is_kept_until_the_next() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.shut(Some(9 * SECOND), None, now);
        let met = ["first", "second"].map(|words| gate.shut(None, Some(Box::new(refusal(words))), now));
        assert_eq!((met, words(shut(&gate, now).0)), ([true, false], Some("second")));
        assert!(!gate.shut(Some(SECOND), None, now), "it says nothing");
        assert_eq!(words(shut(&gate, now).0), Some("second"));
        // A probe that is told no words leaves those there were.
        gate.step(now + 9 * SECOND);
        gate.shut(None, None, now + 9 * SECOND);
        assert_eq!(words(shut(&gate, now).0), Some("second"));
    }

    #[test]
    fn a_probe_that_was_not_refused_opens_no_gate_that_was_shut_since_and_a_refusal_to_it_is_a_throttle() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.shut(Some(SECOND), Some(Box::new(refusal("first"))), now);
        gate.step(now + SECOND);
        gate.shut(Some(9 * SECOND), None, now + SECOND);
        assert!(!gate.probed());
        assert_eq!(shut(&gate, now + SECOND).1, 9 * SECOND);
        let met = ["second", "third"].map(|words| gate.shut(None, Some(Box::new(refusal(words))), now + SECOND));
        assert_eq!(met, [true, false]);
        gate.step(now + 10 * SECOND);
        assert!(gate.probed() && gate.probed());
    }

    #[test]
    fn misses_are_counted_whatever_calls_under_way_were_told() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.shut(Some(SECOND), None, now);
        gate.step(now + SECOND);
        gate.shut(Some(SECOND), None, now + SECOND);
        gate.shut(Some(9 * SECOND), None, now + SECOND);
        let later = now + 10 * SECOND;
        assert!(matches!(gate.step(later), Step::Probe));
        gate.shut(Some(SECOND), None, later);
        assert_eq!(shut(&gate, later).1, 4 * SECOND, "the second miss");
    }

    #[test]
    fn a_probe_that_found_out_nothing_lets_the_next_go_at_once_and_one_that_came_through_everybody() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.hand_on();
        assert!(matches!(gate, Gate::Open), "nobody was trying it");
        gate.shut(Some(SECOND), None, now);
        gate.step(now + SECOND);
        gate.hand_on();
        assert!(matches!(gate.step(now + 3 * SECOND), Step::Probe));
        gate.open();
        assert!(matches!(gate.step(now + 3 * SECOND), Step::Pass));
    }
}
