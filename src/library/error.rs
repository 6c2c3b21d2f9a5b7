//! What can go wrong with an asset.

use std::path::PathBuf;

use crate::graph::{Certainty, GraphError, Phase, Scope};
use crate::media::{Problem, ScanError};
use crate::record::RecordError;

/// Why the library could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// A path or pattern that cannot be walked.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Meta refused, or could not be reached.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file whose bytes are needed and cannot be had.
    #[error("{} cannot be used: {}", path.display(), problem.message)]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The bytes on disk are no longer the ones that were asked for.
    #[error("the bytes of {} have changed", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has claimed the upload, and has not finished it.
    #[error("{} is being uploaded by another process, which has not finished", path.display())]
    Claimed {
        /// Which file.
        path: PathBuf,
    },
    /// Another upload of the same bytes was recorded first, and then struck off again.
    #[error("the id of {} was overtaken by another upload, which is no longer on record", path.display())]
    Superseded {
        /// Which file.
        path: PathBuf,
    },
    /// An asset that was never uploaded where it was looked for, or was forgotten.
    #[error("{reference} is not on record")]
    NotRecorded {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// An asset whose id is no longer alive and whose file is not known.
    #[error("the id of {reference} is no longer alive, and no file with these bytes is known")]
    NoSource {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// A name that stands for nothing.
    #[error("there is no alias @{alias}")]
    NoSuchAlias {
        /// The name.
        alias: String,
    },
    /// A web address: only files on this machine are uploaded.
    #[error("{url} is a web address, and only files on this machine can be uploaded")]
    WebAddress {
        /// The address.
        url: String,
    },
}

impl LibraryError {
    /// Whether the next file would meet the same end: the token, the Page, the network or the record is at fault.
    pub fn concerns_every_file(&self) -> bool {
        match self {
            Self::Graph(error) => {
                let unreachable = matches!(error, GraphError::Unreachable { phase: Phase::BeforeRequest, .. });
                unreachable || matches!(error.scope(), Some(Scope::Page | Scope::Rate))
            }
            Self::Record(_) => true,
            _ => false,
        }
    }

    /// Whether it is not even known what Meta did.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, Self::Graph(error) if error.outcome() == Certainty::Unknown)
    }

    /// What the user can do about it, where that is not in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Scan(_) => None,
            Self::Graph(error) => error.hint().map(Into::into),
            Self::Record(error) => error.hint().map(Into::into),
            Self::Unusable { problem, .. } => Some(problem.hint.clone()),
            Self::Claimed { .. } => Some("see whether it is stopped or stuck, and end it if so".into()),
            Self::Changed { .. } | Self::Superseded { .. } => {
                Some("run the command again once the file is no longer being written".into())
            }
            Self::NotRecorded { .. } => {
                Some("it was never uploaded for this Page and platform, or was forgotten".into())
            }
            Self::NoSource { .. } => Some("name the file by its path instead".into()),
            Self::NoSuchAlias { .. } => Some("a file whose name begins with @ is written ./@name".into()),
            Self::WebAddress { .. } => Some("download the file and name it by its path".into()),
        }
    }
}
