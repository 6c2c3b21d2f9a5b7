//! Do the bytes on record still lie where they were uploaded from?

use std::path::Path;

use crate::ids::{Asset, ContentHash};
use crate::media::ProblemCode;

use super::{AssetRef, Inspector, LibraryError};

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
        match self.asset_of(&AssetRef::File(path.to_owned())).await {
            Ok(Asset::Bytes(found)) if found == hash => Agreement::Same,
            Ok(_) => Agreement::Changed,
            Err(LibraryError::Unusable { problem, .. }) => match problem.code {
                ProblemCode::Vanished => Agreement::Missing,
                ProblemCode::Unreadable | ProblemCode::ChangedWhileReading | ProblemCode::Private => {
                    Agreement::Unreadable
                }
                // It was none of these when it was uploaded.
                _ => Agreement::Changed,
            },
            Err(_) => Agreement::Unreadable,
        }
    }
}
