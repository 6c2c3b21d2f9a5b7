//! The exit codes: the one place they live.

use crate::fault::Sort;

/// How a command ended, as its exit code. Documented in `--help` and the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Exit {
    /// All done.
    Done = 0,
    /// An unexpected error.
    Unexpected = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Finished, but some items were rejected or failed.
    SomeFailed = 3,
    /// Token, permission or wrong Page.
    Credentials = 4,
    /// Rate-limited or temporary: try later.
    TryLater = 5,
    /// The store is unavailable or locked.
    Store = 6,
    /// Some sends have an unknown outcome: settle them.
    UnknownOutcome = 7,
    /// Assets expire within the asked time.
    Expiring = 8,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// The more serious of two ends, for a command that did several things at once: what stands further left here.
    pub(super) fn or_worse(self, other: Self) -> Self {
        use Exit::{
            Credentials, Done, Expiring, Interrupted, SomeFailed, Store, TryLater, Unexpected, UnknownOutcome, Usage,
        };
        const BY_WEIGHT: [Exit; 10] =
            [Interrupted, Unexpected, Store, UnknownOutcome, Usage, Credentials, TryLater, SomeFailed, Expiring, Done];
        BY_WEIGHT.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(self)
    }
}

/// The table shown by `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
    0  all done
    1  unexpected error
    2  usage or configuration
    3  finished, but some items were rejected or failed
    4  token, permission or wrong Page
    5  rate-limited or temporary: try later
    6  store unavailable or locked
    7  some sends have an unknown outcome: settle them
    8  assets expire within the asked time
  130  interrupted";

impl From<Sort> for Exit {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Usage => Self::Usage,
            Sort::Credentials => Self::Credentials,
            Sort::Store => Self::Store,
            Sort::TryLater => Self::TryLater,
            Sort::Item => Self::SomeFailed,
            Sort::UnknownOutcome => Self::UnknownOutcome,
            Sort::Interrupted => Self::Interrupted,
            Sort::Unexpected => Self::Unexpected,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_serious_end_wins() {
        assert_eq!(Exit::Done.or_worse(Exit::Done), Exit::Done);
        assert_eq!(Exit::SomeFailed.or_worse(Exit::Credentials), Exit::Credentials);
        assert_eq!(Exit::Credentials.or_worse(Exit::SomeFailed), Exit::Credentials);
        assert_eq!(Exit::Expiring.or_worse(Exit::Done), Exit::Expiring);
    }

    #[test]
    fn the_table_lists_every_code() {
        use Exit::{
            Credentials, Done, Expiring, Interrupted, SomeFailed, Store, TryLater, Unexpected, UnknownOutcome, Usage,
        };
        let listed: Vec<u8> = EXIT_CODES
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().and_then(|code| code.parse().ok()).expect("a code"))
            .collect();
        let codes =
            [Done, Unexpected, Usage, SomeFailed, Credentials, TryLater, Store, UnknownOutcome, Expiring, Interrupted];
        assert_eq!(listed, codes.map(|exit| exit as u8));
    }
}
