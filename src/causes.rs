//! What caused an error, in words.

use std::error::Error;

/// The words of whatever caused `error`, the nearest first. What only repeats the end of what was said before it, by
/// `headline` first of all, is left out.
pub(crate) fn causes(headline: &str, error: &dyn Error) -> impl Iterator<Item = String> {
    let mut said = headline.to_owned();
    std::iter::successors(error.source(), |cause| (*cause).source()).filter_map(move |cause| {
        let words = cause.to_string();
        let is_news = words != said && !said.ends_with(&format!(": {words}"));
        is_news.then(|| {
            said.clone_from(&words);
            words
        })
    })
}

/// The headline, and after it the causes of `error`, in one line.
pub(crate) fn with_causes(headline: &str, error: &dyn Error) -> String {
    causes(headline, error).fold(headline.to_owned(), |text, cause| format!("{text}: {cause}"))
}

/// The error's own words, and after them its causes, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    with_causes(&error.to_string(), error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Layer {
        words: &'static str,
        source: Option<Arc<Self>>,
    }

    fn layers(words: &[&'static str]) -> Arc<Layer> {
        let around = |source, &words: &&'static str| Some(Arc::new(Layer { words, source }));
        words.iter().rev().fold(None, around).expect("a word")
    }

    #[test]
    fn an_error_is_followed_by_what_caused_it() {
        assert_eq!(in_full(&*layers(&["broken"])), "broken");
        assert_eq!(in_full(&*layers(&["broken", "reset", "by peer"])), "broken: reset: by peer");
        let found: Vec<_> = causes("", &*layers(&["broken", "reset", "by peer"])).collect();
        assert_eq!(found, ["reset", "by peer"]);
    }

    #[test]
    fn words_that_were_just_said_are_not_said_again() {
        let locked = layers(&["use the record", "database is locked", "database is locked", "Error code 5"]);
        assert_eq!(in_full(&*locked), "use the record: database is locked: Error code 5");
        let told = layers(&["read the record: it is damaged", "it is damaged", "it is damaged", "a bit fell over"]);
        assert_eq!(in_full(&*told), "read the record: it is damaged: a bit fell over");
        assert_eq!(with_causes("it is damaged", &*told), "it is damaged: a bit fell over");
        let apart = layers(&["unlocked", "locked", "unlocked"]);
        assert_eq!(in_full(&*apart), "unlocked: locked: unlocked");
    }
}
