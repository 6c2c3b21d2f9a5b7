//! The last answers of one sort, in memory: bounded, each with the moment it was asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Answers kept at once: some ten megabytes of uploads.
const MOST: usize = 16_384;

/// What was last answered, by what was asked for.
#[derive(Debug)]
pub(super) struct Lately<K, V>(Mutex<HashMap<K, Answer<V>>>);

#[derive(Debug)]
struct Answer<V> {
    /// `None` where there is no such thing, or no more.
    value: Option<V>,
    /// From before it was given, so that it is never taken for younger than it is.
    asked: Instant,
}

/// What is here of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last<V> {
    /// This; `None` where there is no such thing.
    Answer(Option<V>),
    /// Nothing: perhaps it was never asked for.
    Unheard,
}

/// What an answer was to whoever knew the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was not known, or known otherwise.
    News,
    /// It was known, or is out of date.
    Nothing,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone + PartialEq> Lately<K, V> {
    /// The answer, where it was asked for no longer ago than `most`.
    pub(super) fn within(&self, most: Duration, key: &K) -> Option<V> {
        self.locked().get(key).filter(|answer| answer.asked.elapsed() < most)?.value.clone()
    }

    /// The last answer, however old.
    pub(super) fn last(&self, key: &K) -> Last<V> {
        self.locked().get(key).map_or(Last::Unheard, |answer| Last::Answer(answer.value.clone()))
    }

    /// Takes an answer in, unless one to a later question is here.
    pub(super) fn hear(&self, key: &K, value: Option<&V>, asked: Instant) -> Heard {
        let mut answers = self.locked();
        if let Some(known) = answers.get_mut(key) {
            let is_news = known.asked <= asked && known.value.as_ref() != value;
            known.asked = known.asked.max(asked);
            if !is_news {
                return Heard::Nothing;
            }
            known.value = value.cloned();
            return Heard::News;
        }
        if answers.len() >= MOST {
            let mut times: Vec<Instant> = answers.values().map(|answer| answer.asked).collect();
            let (_, middle, _) = times.select_nth_unstable(MOST / 2);
            let middle = *middle;
            answers.retain(|_, answer| answer.asked > middle);
        }
        answers.insert(key.clone(), Answer { value: value.cloned(), asked });
        Heard::News
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<K, Answer<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_young_until_it_is_as_old_as_may_be_and_is_kept_beyond_that() {
        let lately = Lately::default();
        assert_eq!(lately.hear(&1, Some(&"a"), Instant::now()), Heard::News);
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert_eq!(lately.within(SOON, &1), Some("a"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(lately.within(SOON, &1), None);
        assert_eq!(lately.last(&1), Last::Answer(Some("a")));
        assert_eq!(lately.hear(&1, Some(&"a"), Instant::now()), Heard::Nothing);
        assert_eq!(lately.within(SOON, &1), Some("a"), "and young again");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_an_earlier_question_does_not_undo_what_was_struck_off_since() {
        let lately = Lately::default();
        let before = Instant::now();
        tokio::time::advance(SOON).await;
        assert_eq!(lately.hear(&1, None, Instant::now()), Heard::News);
        assert_eq!(lately.hear(&1, Some(&"late"), before), Heard::Nothing);
        assert_eq!((lately.within(SOON, &1), lately.last(&1)), (None, Last::Answer(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_longest_ago_makes_room() {
        let lately = Lately::default();
        for number in 0..=MOST {
            lately.hear(&number, Some(&()), Instant::now());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(lately.locked().len() <= MOST / 2 + 1);
        assert_eq!((lately.last(&0), lately.last(&MOST)), (Last::Unheard, Last::Answer(Some(()))));
    }
}
