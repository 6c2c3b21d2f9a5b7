//! What happens, in order and numbered, for those who listen: who was cut off asks for what came since.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

/// So much is kept for those who come back.
const KEPT: usize = 10_000;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) number: u64,
    /// `asset`, `campaign`, `library`.
    pub(super) name: &'static str,
    /// JSON on one line.
    pub(super) data: Bytes,
}

/// All that happened since the service began, as far as it is kept.
#[derive(Debug)]
pub(super) struct News {
    /// Tells this run of the service from others: numbers begin anew with each.
    run: u64,
    kept: Mutex<VecDeque<Item>>,
    last: watch::Sender<u64>,
}

/// Where a listener stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind this number.
    After(u64),
    /// It has missed something that is not kept any more, and goes on behind this number.
    Lost(u64),
}

impl News {
    pub(super) fn new(run: u64) -> Self {
        Self { run, kept: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// Tells everybody.
    pub(super) fn tell(&self, name: &'static str, data: impl Into<Bytes>) {
        let data = data.into();
        let mut kept = self.kept();
        let number = *self.last.borrow() + 1;
        kept.push_back(Item { number, name, data });
        if kept.len() > KEPT {
            kept.pop_front();
        }
        self.last.send_replace(number);
    }

    /// Everything behind `number`.
    pub(super) fn since(&self, number: u64) -> Vec<Item> {
        let kept = self.kept();
        let first = kept.partition_point(|item| item.number <= number);
        kept.range(first..).cloned().collect()
    }

    /// Rings with each item.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The id of an item, as a listener gives it back.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }

    /// Where somebody stands who has heard `last`, or nothing yet.
    pub(super) fn place(&self, last: Option<&str>) -> Place {
        let newest = *self.last.borrow();
        let Some(last) = last else { return Place::After(newest) };
        let numbers = last
            .split_once('-')
            .and_then(|(run, number)| Some((u64::from_str_radix(run, 16).ok()?, number.parse::<u64>().ok()?)));
        let oldest = self.kept().front().map_or(newest + 1, |item| item.number);
        match numbers {
            Some((run, number)) if run == self.run && number <= newest && number + 1 >= oldest => Place::After(number),
            _ => Place::Lost(newest),
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_misses_nothing_or_is_told_so() {
        let news = News::new(7);
        assert_eq!(news.place(None), Place::After(0));
        for number in 0..5 {
            news.tell("asset", number.to_string());
        }
        let place = news.place(Some(&news.id(2)));
        assert_eq!(place, Place::After(2));
        let numbers: Vec<_> = news.since(2).into_iter().map(|item| item.number).collect();
        assert_eq!(numbers, [3, 4, 5]);
        for strange in ["6-2", "7-9", "7", "x-1", ""] {
            assert_eq!(news.place(Some(strange)), Place::Lost(5), "{strange}");
        }
        for _ in 0..KEPT {
            news.tell("asset", "{}");
        }
        assert!(matches!(news.place(Some("7-4")), Place::Lost(_)));
        assert_eq!(news.place(Some("7-5")), Place::After(5));
        assert_eq!(news.since(5).len(), KEPT);
    }
}
