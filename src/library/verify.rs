//! Do the bytes on record still lie where they were uploaded from?

use std::path::Path;

use crate::blocking::blocking;
use crate::ids::ContentHash;
use crate::media::{Follow, Problem, ProblemCode};

use super::{Inspector, NoReport};

/// How a file and the record agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agreement {
    /// The bytes on record lie where they were uploaded from.
    Same,
    /// They lie elsewhere.
    Moved,
    /// There is nothing any more.
    Missing,
    /// Other bytes lie there now.
    Changed,
    /// Other bytes lie there now, which have an id of their own.
    Replaced,
    /// It cannot be read.
    Unreadable,
    /// A file that could be uploaded, and never was.
    NeverUploaded,
}

impl Agreement {
    /// How what was seen at the place the bytes of `hash` were uploaded from agrees with them.
    pub(super) fn of(seen: Result<ContentHash, Problem>, hash: ContentHash) -> Self {
        match seen.map_err(|problem| problem.code) {
            Ok(found) if found == hash => Self::Same,
            Err(ProblemCode::Vanished) => Self::Missing,
            Err(ProblemCode::Unreadable | ProblemCode::ChangedWhileReading | ProblemCode::Private) => Self::Unreadable,
            // What else is wrong with a file is wrong with other bytes than these.
            Ok(_) | Err(_) => Self::Changed,
        }
    }

    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "ok",
            Self::Moved => "moved",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
            Self::NeverUploaded => "never_uploaded",
        }
    }

    /// Whether there is nothing to be done about it.
    pub const fn is_fine(self) -> bool {
        matches!(self, Self::Same | Self::Moved | Self::Replaced)
    }
}

impl Inspector {
    /// How the file at `path` agrees with the bytes that were uploaded from there. It is read only if the cache does not
    /// know it.
    pub async fn compare(&self, path: &Path, hash: ContentHash) -> Agreement {
        let (inspector, path) = (self.clone(), path.to_owned());
        let seen = blocking(move || inspector.inspect(&path, Follow::Named, &NoReport)).await;
        Agreement::of(seen.map(|inspected| inspected.facts.hash), hash)
    }
}
