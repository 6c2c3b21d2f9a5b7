//! Answers that are a moment old: bots ask for the same ids again and again, faster than files and ids change.
//!
//! An answer is given again for [`FRESH`] at most, and never when its id would be due by then. What this process itself
//! learns (an upload, a refusal, an alias) makes all of them old at once; what others do is seen when the moment is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How old an answer may be.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// More are not kept.
const KEPT: usize = 65_536;

/// In bytes. Answers to longer questions are not kept.
const LONGEST: usize = 4_096;

/// What was answered lately.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: RwLock<HashMap<Box<str>, Answer>>,
    epoch: AtomicU64,
}

#[derive(Debug, Clone)]
struct Answer {
    json: Arc<str>,
    until: Instant,
    epoch: u64,
}

impl Answers {
    /// The answer to `question`, if there was one just now.
    pub(super) fn get(&self, question: &str) -> Option<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let answer = known.get(question)?;
        let is_good = answer.epoch == self.epoch() && Instant::now() < answer.until;
        is_good.then(|| Arc::clone(&answer.json))
    }

    /// What is new from now on is told from what was answered before. To be asked before the answer is looked for.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Keeps an answer that was looked for since `epoch`.
    pub(super) fn keep(&self, question: &str, json: Arc<str>, epoch: u64) {
        if question.len() > LONGEST {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            let now = Instant::now();
            known.retain(|_, answer| now < answer.until);
            if known.len() >= KEPT {
                known.clear();
            }
        }
        known.insert(question.into(), Answer { json, until: Instant::now() + FRESH, epoch });
    }

    /// All answers are old: something has changed.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_before_a_change_is_not_given_again() {
        let answers = Answers::default();
        answers.keep("a", "1".into(), answers.epoch());
        assert_eq!(answers.get("a").as_deref(), Some("1"));
        let before = answers.epoch();
        answers.forget();
        assert_eq!(answers.get("a"), None);
        // It was looked for before the change, and may not know of it.
        answers.keep("a", "1".into(), before);
        assert_eq!(answers.get("a"), None);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let answers = Answers::default();
        for (length, is_kept) in [(LONGEST, true), (LONGEST + 1, false)] {
            let question = "a".repeat(length);
            answers.keep(&question, "1".into(), 0);
            assert_eq!(answers.get(&question).is_some(), is_kept);
        }
        for number in 0..=KEPT {
            answers.keep(&number.to_string(), "1".into(), 0);
        }
        assert!(answers.known.read().expect("whole").len() <= KEPT);
    }
}
