//! How many calls were made in the last 24 hours, to the minute. A pure structure, told what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// Calls by the minute they were made in.
#[derive(Debug, Default)]
pub(super) struct Day {
    minutes: VecDeque<(Instant, u64)>,
}

impl Day {
    /// Counts `calls` made now.
    pub(super) fn spend(&mut self, calls: u64, now: Instant) {
        while self.minutes.front().is_some_and(|(begun, _)| now >= *begun + MINUTE + DAY) {
            self.minutes.pop_front();
        }
        match self.minutes.back_mut() {
            Some((begun, count)) if now < *begun + MINUTE => *count += calls,
            _ => self.minutes.push_back((now, calls)),
        }
    }

    /// Calls of the last 24 hours; those of its first minute count whole.
    pub(super) fn spent(&self, now: Instant) -> u64 {
        self.minutes.iter().filter(|(begun, _)| now < *begun + MINUTE + DAY).map(|(_, count)| count).sum()
    }

    /// How long until `calls` more fit under `limit`; `None` when they do now. More than the limit itself wait until
    /// nothing else is in the way.
    pub(super) fn wait(&self, calls: u64, limit: u64, now: Instant) -> Option<Duration> {
        let mut left = self.spent(now);
        let room = limit.saturating_sub(calls);
        if left <= room {
            return None;
        }
        let living = self.minutes.iter().filter(|(begun, _)| now < *begun + MINUTE + DAY);
        for (begun, count) in living {
            left -= count;
            if left <= room {
                return Some(*begun + MINUTE + DAY - now);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_back_a_day_after_they_were_made() {
        let start = Instant::now();
        let mut day = Day::default();
        day.spend(60, start);
        day.spend(40, start + Duration::from_hours(1));
        assert_eq!(day.wait(1, 100, start + Duration::from_hours(2)), Some(MINUTE + Duration::from_hours(22)));
        assert_eq!(day.wait(61, 100, start + Duration::from_hours(2)), Some(MINUTE + Duration::from_hours(23)));
        let next = start + DAY + MINUTE;
        assert_eq!((day.spent(next), day.wait(60, 100, next)), (40, None));
        assert_eq!(day.wait(61, 100, next), Some(Duration::from_hours(1)));
        assert_eq!(day.wait(1, 100, start + DAY), Some(MINUTE));
        day.spend(1, next);
        assert_eq!(day.minutes.len(), 2, "what is over is forgotten");
    }

    #[test]
    fn calls_of_one_minute_come_back_together_when_all_of_them_are_a_day_old() {
        let start = Instant::now();
        let mut day = Day::default();
        let last = Duration::from_millis(59_999);
        day.spend(60, start);
        day.spend(40, start + last);
        let back = start + MINUTE + DAY;
        assert_eq!([day.spent(back - Duration::from_nanos(1)), day.spent(back)], [100, 0]);
        day.spend(7, start + MINUTE);
        assert_eq!(day.spent(back), 7, "another minute");
        day.spend(1, back - Duration::from_nanos(1));
        assert_eq!(day.spent(back - Duration::from_nanos(1)), 108, "nothing is forgotten before its time");
    }

    #[test]
    fn a_load_larger_than_the_limit_waits_for_an_empty_day_and_no_longer() {
        let start = Instant::now();
        let mut day = Day::default();
        assert_eq!(day.wait(50, 10, start), None);
        day.spend(1, start);
        assert_eq!(day.wait(50, 10, start), Some(DAY + MINUTE));
    }
}
