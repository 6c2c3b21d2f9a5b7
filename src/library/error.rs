//! What can go wrong with an asset.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::graph::{Certainty, GraphError, InvalidRequest, Phase, Scope, Sent};
use crate::ids::{AliasName, AttachmentId, InvalidId, MediaKind, PageId, Recipient};
use crate::media::{Problem, ScanError, WatchError};
use crate::record::RecordError;

/// Why the library could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// A path or pattern that cannot be walked.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Folders that cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A folder another process has under watch.
    #[error(
        "{} is being watched already{}",
        path.display(),
        process.map_or_else(String::new, |process| format!(", by process {process}"))
    )]
    Watched {
        /// The folder given.
        path: PathBuf,
        /// Who watches it; `None` where that could not be read.
        process: Option<u32>,
    },
    /// It cannot be found out whether somebody else watches.
    #[error("lock {} against a second watcher", path.display())]
    WatchLock {
        /// The folder of locks.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Meta refused, or could not be reached.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A message with an upload that is not sent, because an earlier one may have arrived.
    #[error("a message with {asset} may have reached {recipient} already, and is not sent again by itself")]
    InDoubt {
        /// The file or address.
        asset: String,
        /// Who may have it.
        recipient: Recipient,
    },
    /// Something that is not known on this machine, while the record is away.
    #[error("the id of {reference} is not known here, and the record cannot be asked for it")]
    NotKnown {
        /// The reference as the user wrote it.
        reference: String,
        /// Why it cannot.
        #[source]
        cause: RecordError,
    },
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
    #[error("{asset} is being uploaded by another process, which has not finished")]
    Claimed {
        /// The file or address.
        asset: String,
    },
    /// Another upload of the same was recorded first, and then struck off again.
    #[error("the id of {asset} was overtaken by another upload, which is no longer on record")]
    Superseded {
        /// The file or address.
        asset: String,
    },
    /// It was sent, but there is no id on record to send it by again.
    #[error("{asset} was sent, but its id could not be kept{}", if cause.is_none() { ": Meta gave none" } else { "" })]
    NotSaved {
        /// The file or address.
        asset: String,
        /// Meta's receipt.
        sent: Box<Sent>,
        /// Why its id is not on record; `None` where Meta gave none.
        #[source]
        cause: Option<Arc<Self>>,
    },
    /// A file that is something else than what it should be sent as.
    #[error("{} is of kind {actual}, and cannot be sent as {asked}", path.display())]
    OtherKind {
        /// Which file.
        path: PathBuf,
        /// What it should be sent as.
        asked: MediaKind,
        /// What it is.
        actual: MediaKind,
    },
    /// A web address that does not show what it leads to.
    #[error("the address {url} does not show what kind of media it leads to")]
    KindUnknown {
        /// The address.
        url: String,
    },
    /// A message whose references cannot be read.
    #[error(transparent)]
    Message(#[from] InvalidRequest),
    /// A reference in a message that led to no id.
    #[error("the message's {reference} has no id to be sent by")]
    Reference {
        /// The reference as it stands in the message.
        reference: String,
        /// Why.
        #[source]
        cause: Arc<Self>,
    },
    /// An asset that was never uploaded where it was looked for, or was forgotten.
    #[error("{reference} is not on record")]
    NotRecorded {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// A text in a message that is to refer to an asset, and cannot. It is not repeated: there may be a secret in it.
    #[error("{pointer} refers to no asset")]
    NoReference {
        /// Where in the message it stands, as a JSON pointer.
        pointer: String,
        /// What is wrong with it.
        source: InvalidId,
    },
    /// An asset whose id is not known to be alive, and that was not uploaded.
    #[error("{reference} has no id that is known to be alive")]
    NoLiveId {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// An asset whose id is not known to be alive and whose file is not known.
    #[error("{reference} has no id that is known to be alive, and no file with these bytes is known")]
    NoSource {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// A token that speaks for another Page than it used to, or than it should.
    #[error("the token is for the Page {name} ({actual}), not for {expected}")]
    OtherPage {
        /// The Page whose ids these are.
        expected: PageId,
        /// The Page the token speaks for.
        actual: PageId,
        /// That Page's name.
        name: String,
    },
    /// Nothing can be done for no Page.
    #[error("there is no Page to work for")]
    NoPage,
    /// An id Meta does not know any more, of something that could not be uploaded again.
    #[error("Meta does not know the id {attachment_id} of {asset} any more, and there is no new one")]
    NotHealed {
        /// The file, address or digest.
        asset: String,
        /// The id that was refused.
        attachment_id: AttachmentId,
        /// Why there is no new one.
        #[source]
        cause: Arc<Self>,
    },
    /// An id that was made anew again and again, and refused each time.
    #[error("the id of {asset} was replaced {times} times within the hour, and Meta refused each new one")]
    ReplacedTooOften {
        /// The file, address or digest.
        asset: String,
        /// How often.
        times: u64,
    },
    /// A name that stands for nothing.
    #[error("there is no alias {alias}")]
    NoSuchAlias {
        /// The name.
        alias: AliasName,
    },
    /// The file an alias was made from holds other bytes by now, and there is no other with the old ones.
    #[error("{} holds other bytes than it did when {alias} was made of it", path.display())]
    AliasOutdated {
        /// The name.
        alias: AliasName,
        /// The file.
        path: PathBuf,
    },
}

impl LibraryError {
    /// What came of asking what is known of the reference.
    pub(super) fn not_known(reference: impl fmt::Display, error: RecordError) -> Self {
        match error {
            cause @ RecordError::Away { .. } => Self::NotKnown { reference: reference.to_string(), cause },
            error => error.into(),
        }
    }

    /// Whether the next file would meet the same end: the token, the Page, the network or the record is at fault.
    pub fn concerns_every_file(&self) -> bool {
        match self {
            Self::Graph(error) => {
                let unreachable = matches!(error, GraphError::Unreachable { phase: Phase::BeforeRequest, .. });
                unreachable || matches!(error.scope(), Some(Scope::Page | Scope::Rate))
            }
            Self::Record(_) | Self::OtherPage { .. } => true,
            Self::Reference { cause, .. } | Self::NotHealed { cause, .. } => cause.concerns_every_file(),
            _ => false,
        }
    }

    /// Whether a rate limit is all there was to it: nothing is wrong with the file, and later it may go.
    pub fn is_rate_limit(&self) -> bool {
        match self {
            Self::Graph(error) => error.scope() == Some(Scope::Rate) && !matches!(error, GraphError::Unshared { .. }),
            Self::NotHealed { cause, .. } => cause.is_rate_limit(),
            _ => false,
        }
    }

    /// Whether it is a moment's trouble, with Meta or another upload of the same: this may succeed later, unchanged.
    pub fn is_momentary(&self) -> bool {
        match self {
            Self::Graph(error) => error.retryable(),
            Self::Claimed { .. } | Self::Superseded { .. } => true,
            Self::Reference { cause, .. } | Self::NotHealed { cause, .. } => cause.is_momentary(),
            _ => false,
        }
    }

    /// Whether it is not known if a message was sent.
    pub fn is_unknown_send(&self) -> bool {
        match self {
            Self::Graph(GraphError::Unknown { operation, .. }) => operation.sends_messages(),
            Self::InDoubt { .. } => true,
            _ => false,
        }
    }

    /// Whether somebody has a message by it, or may have: to try again could make two of it.
    pub fn may_have_sent(&self) -> bool {
        self.is_unknown_send() || matches!(self, Self::NotSaved { .. })
    }

    /// Whether it is not even known what Meta did.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, Self::Graph(error) if error.outcome() == Certainty::Unknown)
    }

    /// Whether its words follow "failed to".
    pub fn says_what_failed(&self) -> bool {
        matches!(self, Self::Scan(_) | Self::Watch(_) | Self::WatchLock { .. } | Self::Record(_))
    }

    /// What the user can do about it, where that is not in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Watch(WatchError::TooMany { .. }) => {
                Some("raise the limit (fs.inotify.max_user_watches), or watch fewer folders".into())
            }
            Self::Watch(WatchError::TooManyWatchers { .. }) => {
                Some("raise the limit (fs.inotify.max_user_instances), or end another watcher".into())
            }
            Self::Scan(ScanError::NotFound { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Some("check the spelling: paths are meant from the current folder".into())
            }
            Self::Scan(_) | Self::NoPage | Self::Watch(_) | Self::WatchLock { .. } | Self::NoReference { .. } => None,
            Self::InDoubt { .. } => Some(
                "see in the inbox whether it arrived; an upload without a message gets its id, and --force with this file alone sends it again"
                    .into(),
            ),
            Self::Watched { .. } => Some("let that one do it, or end it first".into()),
            Self::Graph(error) => error.hint().map(Into::into),
            Self::Record(error) | Self::NotKnown { cause: error, .. } => error.hint().map(Into::into),
            Self::Unusable { problem, .. } => Some(problem.hint.clone()),
            Self::Claimed { .. } => Some("see whether it is stopped or stuck, and end it if so".into()),
            Self::Changed { .. } => {
                Some("once nobody writes it any more, `reattach sync` uploads what it holds now".into())
            }
            Self::Superseded { .. } => Some("run the command again".into()),
            Self::NotRecorded { .. } => Some(
                "it was never uploaded for this Page and platform, or was forgotten; `reattach resolve` uploads it by its \
                 path, address or @alias"
                    .into(),
            ),
            Self::OtherPage { expected, .. } => {
                Some(format!("use a Page access token of {expected}, or choose the right Page with --page"))
            }
            Self::NoLiveId { .. } => Some("`reattach resolve` uploads it by its path, address or @alias".into()),
            Self::NoSource { .. } => Some("name the file by its path instead".into()),
            Self::NoSuchAlias { .. } => Some(
                "`reattach alias` lists those there are; a file whose name begins with @ is written ./@name".into(),
            ),
            Self::AliasOutdated { alias, path } => {
                Some(format!("`reattach alias {} {}` points it at the new ones", alias.as_str(), path.display()))
            }
            Self::NotHealed { cause, .. } if matches!(**cause, Self::Changed { .. }) => {
                Some("send the file as it is now by its path".into())
            }
            Self::NotSaved { cause: Some(cause), .. }
            | Self::Reference { cause, .. }
            | Self::NotHealed { cause, .. } => cause.hint(),
            Self::ReplacedTooOften { .. } => Some(
                "see whether this token's app and Page are right; an hour after the first time, it is tried again"
                    .into(),
            ),
            Self::NotSaved { cause: None, .. } => Some("an upload without a message gets one".into()),
            Self::OtherKind { .. } => Some("any file can be sent as kind `file`".into()),
            Self::KindUnknown { .. } => Some("say so with --kind image, video, audio or file".into()),
            Self::Message(error) => error.hint().map(Into::into),
        }
    }
}
