//! Every error code of Meta's that is known to meet uploads and sends: what it means, and what to do about it.
//!
//! Facts only. What a class proves, and how long it holds, is decided in `outcome`.

mod table;

use super::outcome::Retry;
pub use table::CATALOGUE;

/// What is known of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `code`.
    pub code: i64,
    /// `error_subcode`; `None` for the code without one, and for those that are not listed.
    pub subcode: Option<i64>,
    /// What kind of trouble it is.
    pub class: Class,
    /// What trying the same again is worth, where it is certain that nothing was done.
    pub retry: Retry,
    /// What it means.
    pub meaning: &'static str,
    /// What mostly leads to it.
    pub cause: &'static str,
    /// What to do about it.
    pub action: &'static str,
    /// Where this is known from.
    pub source: &'static str,
}

/// Kinds of trouble, by what there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A hiccup of the server's.
    Transient,
    /// A hiccup after which the message may have been sent.
    Ambiguous,
    /// Too fast.
    RateLimit,
    /// The access token.
    Token,
    /// A permission, or how the app or Page is set up.
    Permission,
    /// The Page or app is restricted: everything must stop.
    Stop,
    /// This recipient may not be written to now, or not like this.
    Window,
    /// This recipient cannot be written to.
    Recipient,
    /// The attachment id is invalid, expired, or another Page's.
    Attachment,
    /// The media was rejected.
    Media,
    /// The request was put wrongly.
    Request,
}

impl Class {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Ambiguous => "ambiguous",
            Self::RateLimit => "rate_limit",
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Stop => "stop",
            Self::Window => "window",
            Self::Recipient => "recipient",
            Self::Attachment => "attachment",
            Self::Media => "media",
            Self::Request => "request",
        }
    }
}

/// What is known of `code` with `subcode`: the exact pair, else the subcode where Meta lists it as a code of its own, else
/// the code alone, else its family (200 to 299). `None` when none of them is known.
pub fn lookup(code: i64, subcode: Option<i64>) -> Option<&'static Entry> {
    let exact = |code, subcode| CATALOGUE.iter().find(|entry| (entry.code, entry.subcode) == (code, subcode));
    exact(code, subcode)
        .or_else(|| exact(subcode?, None).filter(|entry| entry.code > 1_000_000))
        .or_else(|| exact(code, None))
        .or_else(|| (200..=299).contains(&code).then_some(&table::PERMISSION_FAMILY))
}

/// Whether a permission seems to be missing, but by a subcode nobody lists: what holds for the code alone, that the Page may
/// send nothing, need not hold for that, and it may be about one person.
pub fn is_unlisted(code: i64, subcode: Option<i64>) -> bool {
    let is_listed = |entry: &Entry| entry.subcode == subcode || Some(entry.code) == subcode;
    lookup(code, subcode).is_some_and(|entry| entry.class == Class::Permission && !is_listed(entry))
}

/// [`lookup`], with what only Meta's words tell apart: a plain code 100 has many meanings.
pub(super) fn lookup_text(code: i64, subcode: Option<i64>, message: &str) -> Option<&'static Entry> {
    let told = || table::TOLD_BY_WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, entry)| entry);
    (code, subcode).eq(&(100, None)).then(told).flatten().or_else(|| lookup(code, subcode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_entry_is_found() {
        let class = |code, subcode| lookup(code, subcode).map(|entry| entry.class);
        assert_eq!(class(100, Some(2_018_074)), Some(Class::Attachment));
        assert_eq!(class(100, Some(2_018_182)), Some(Class::Media), "listed as a code, sent as a subcode");
        assert_eq!(class(100, Some(7)), Some(Class::Request), "the code alone");
        assert_eq!(class(190, Some(460)), Some(Class::Token));
        assert_eq!(class(299, None), Some(Class::Permission), "the family");
        assert_eq!(class(100, Some(190)), Some(Class::Request), "a small subcode is no code");
        assert_eq!(class(300, None), None);
        assert_eq!(class(i64::MIN, Some(i64::MAX)), None);
    }

    #[test]
    fn a_subcode_nobody_lists_may_be_about_one_person() {
        for (code, subcode) in [(10, 9_999_999), (200, 7), (230, 1), (299, 1)] {
            assert!(is_unlisted(code, Some(subcode)), "{code}/{subcode}");
        }
        let listed =
            [(10, None), (200, Some(2_018_028)), (299, None), (190, Some(7)), (100, Some(7)), (10, Some(2_018_278))];
        for (code, subcode) in listed {
            assert!(!is_unlisted(code, subcode), "{code}/{subcode:?}");
        }
    }

    #[test]
    fn bad_requests_are_told_apart_by_metas_words() {
        let message = "API calls from the server require an appsecret_proof argument";
        let class = |subcode, message| lookup_text(100, subcode, message).map(|entry| entry.class);
        assert_eq!(class(None, message), Some(Class::Permission));
        assert_eq!(class(None, "(#100) Invalid tag."), Some(Class::Request));
        assert_eq!(class(None, "Param recipient[id] must be a valid ID string"), Some(Class::Recipient));
        assert_eq!(class(Some(2_018_074), "Invalid keys"), Some(Class::Attachment), "a subcode says more than words");
        assert_eq!(lookup_text(613, None, message).map(|entry| entry.class), Some(Class::RateLimit));
    }

    #[test]
    fn no_code_is_listed_twice_and_every_entry_says_what_to_do() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            let key = (entry.code, entry.subcode);
            assert!(!CATALOGUE[..index].iter().any(|earlier| (earlier.code, earlier.subcode) == key), "{key:?}");
        }
        let told = table::TOLD_BY_WORDS.iter().map(|(_, entry)| entry);
        for entry in CATALOGUE.iter().chain(told).chain([&table::PERMISSION_FAMILY]) {
            let key = (entry.code, entry.subcode);
            for text in [entry.meaning, entry.cause, entry.action] {
                assert!(text.ends_with('.') && text.len() > 20, "{key:?}: {text:?}");
            }
            assert!(entry.source.starts_with("https://") || entry.source.starts_with("Seen"), "{key:?}");
        }
    }
}
