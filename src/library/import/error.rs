//! Why an entry of a manifest is not imported.

use std::path::PathBuf;

use crate::ids::{Origin, PageId, Platform};
use crate::media::Problem;

/// Why an entry is not imported. Displayed as what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// Its id is another Page's, and no other may send it.
    #[error("its id belongs to the Page {actual}, not to {ours}")]
    OtherPage {
        /// Whose it is.
        actual: PageId,
        /// Whose ids are taken.
        ours: PageId,
    },
    /// Its id was made for another platform.
    #[error("its id is for {actual}, not for {ours}")]
    OtherPlatform {
        /// Whose it is.
        actual: Platform,
        /// Whose ids are taken.
        ours: Platform,
    },
    /// Its id came from another Graph API.
    #[error("its id came from {actual}, not from {ours}")]
    OtherOrigin {
        /// Whose it is.
        actual: Origin,
        /// Whose ids are taken.
        ours: Origin,
    },
    /// Only its name says what the id is of, and there is no such file.
    #[error("there is no file {}, which its id would be of", path.display())]
    NoFile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Several files have its name, and other bytes.
    #[error("several files are called {name:?}, and nothing says which it is of")]
    Ambiguous {
        /// The name.
        name: String,
    },
    /// Its name leads out of the library.
    #[error("{} does not lie in {}", path.display(), library.display())]
    Outside {
        /// Where it leads.
        path: PathBuf,
        /// Where it should.
        library: PathBuf,
    },
    /// The file was another when the id was made.
    #[error("{} holds other bytes than those its id was made of", path.display())]
    OtherBytes {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read, or the platform would refuse it.
    #[error("{} cannot be used: {}", path.display(), problem.message)]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
}

impl ImportError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherPage { .. } => Some("choose the Page it is for with --page".into()),
            Self::OtherPlatform { actual, .. } => Some(format!("import it with --platform {actual}")),
            Self::OtherOrigin { actual, .. } => Some(format!("import it with --graph-url {actual}")),
            Self::NoFile { .. } => {
                Some("put the file there, or name another folder to look in with --library FOLDER".into())
            }
            Self::Outside { .. } => Some("name the folder the files lie in with --library FOLDER".into()),
            Self::Ambiguous { .. } => Some("name the folder of the right one with --library FOLDER".into()),
            Self::OtherBytes { .. } => Some("`reattach sync` uploads the file as it is now".into()),
            Self::Unusable { problem, .. } => Some(problem.hint.clone()),
            Self::Malformed(_) => None,
        }
    }

    /// Whether it is no fault of the entry's: with the files in place, it would be fine.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::NoFile { .. } | Self::Ambiguous { .. })
    }
}
