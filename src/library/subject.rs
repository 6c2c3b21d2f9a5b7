//! What is uploaded: a file that was looked at, or a web address.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::clock::Timestamp;
use crate::facts::Facts;
use crate::ids::{AssetKey, AttachmentId, WebUrl};
use crate::media::fit::extension;
use crate::media::{Reader, Verdict};
use crate::record::{Derivation, NewUpload};

use super::{AssetOutcome, AssetReport, ID_LIFETIME, place_of};

/// A file that was looked at, and the key its id is stored under.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) key: AssetKey,
    pub(super) facts: Facts,
    pub(super) verdict: Verdict,
    pub(super) bytes: Option<Bytes>,
    /// Where its bytes are found by all who upload it at once; `None` where nobody else does.
    pub(super) shared: Option<Arc<SharedBytes>>,
    /// The file at the path, where all the above is of a copy that goes in its place.
    pub(super) original: Option<Box<Original>>,
}

/// The bytes of a recognised file that several Pages need at once: read by the first, kept until the last has them.
#[derive(Debug)]
pub(super) struct SharedBytes {
    pub(super) reader: Arc<Reader>,
    pub(super) bytes: OnceCell<Bytes>,
}

impl SharedBytes {
    /// Bytes nobody has read yet, to be read by `reader`.
    pub(super) fn new(reader: Arc<Reader>) -> Self {
        Self { reader, bytes: OnceCell::new() }
    }
}

/// What a copy was made of.
#[derive(Debug, Clone)]
pub(super) struct Original {
    pub(super) facts: Facts,
    pub(super) verdict: Verdict,
    pub(super) derivation: Derivation,
    /// The copy was asked for by its own hash, so another is not as good.
    pub(super) exact: bool,
}

/// A web address, and the key its id is stored under, which may leave out the query.
#[derive(Debug, Clone)]
pub(super) struct WebAddress {
    pub(super) url: WebUrl,
    pub(super) key: AssetKey,
}

/// What is uploaded.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    File(Candidate),
    Web(WebAddress),
}

impl Subject {
    pub(super) fn key(&self) -> &AssetKey {
        match self {
            Self::File(candidate) => &candidate.key,
            Self::Web(address) => &address.key,
        }
    }

    /// How many bytes leave this machine.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::File(candidate) => candidate.facts.size_bytes,
            Self::Web(_) => 0,
        }
    }

    /// Where it lies; empty for a web address.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(candidate) => candidate.path.clone(),
            Self::Web(_) => PathBuf::new(),
        }
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(candidate) => candidate.path.display().to_string(),
            Self::Web(address) => address.url.to_string(),
        }
    }

    /// What is to be recorded of its upload.
    pub(super) fn uploaded(&self, attachment_id: AttachmentId, uploaded_at: Timestamp) -> NewUpload {
        let expires_at = uploaded_at.plus(ID_LIFETIME);
        match self {
            Self::File(Candidate { path, facts, verdict, .. }) => NewUpload {
                attachment_id,
                uploaded_at,
                expires_at,
                size_bytes: facts.size_bytes,
                mime: verdict.mime.clone().into_owned(),
                dimensions: facts.dimensions,
                source: place_of(path).ok(),
            },
            Self::Web(address) => NewUpload {
                attachment_id,
                uploaded_at,
                expires_at,
                size_bytes: 0,
                mime: media_type_of(&address.url).unwrap_or_else(|| "application/octet-stream".to_owned()),
                dimensions: None,
                source: None,
            },
        }
    }

    /// What became of it; bytes are let go.
    pub(super) fn report(self, outcome: AssetOutcome) -> AssetReport {
        match self {
            Self::File(candidate) => candidate.report(outcome),
            Self::Web(WebAddress { url, key }) => AssetReport {
                media: Some((key.kind, media_type_of(&url).unwrap_or_default().into())),
                url: Some(url),
                ..AssetReport::bare(outcome)
            },
        }
    }
}

impl Candidate {
    /// What became of it; its bytes are let go.
    pub(super) fn report(self, outcome: AssetOutcome) -> AssetReport {
        let (facts, mime, fitted) = match self.original {
            Some(original) => (original.facts, original.verdict.mime, Some(original.derivation)),
            None => (self.facts, self.verdict.mime, None),
        };
        AssetReport {
            path: Some(self.path),
            facts: Some(facts),
            media: Some((self.verdict.kind, mime)),
            problems: self.verdict.problems,
            fitted,
            ..AssetReport::bare(outcome)
        }
    }

    /// The name it is uploaded under: a copy may be of another type than the file.
    pub(super) fn file_name(&self) -> String {
        let named = match &self.original {
            Some(original) => Cow::from(self.path.with_extension(extension(&original.derivation.mime))),
            None => Cow::from(self.path.as_path()),
        };
        named.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned())
    }
}

impl From<Candidate> for Subject {
    fn from(candidate: Candidate) -> Self {
        Self::File(candidate)
    }
}

/// The media type the end of the address promises.
pub(super) fn media_type_of(url: &WebUrl) -> Option<String> {
    mime_guess::from_path(Path::new(url.path())).first_raw().map(str::to_owned)
}
