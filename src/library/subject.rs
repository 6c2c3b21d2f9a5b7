//! What is uploaded: a file that was looked at, or a web address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::clock::Timestamp;
use crate::facts::Facts;
use crate::ids::{AssetKey, AttachmentId, WebUrl};
use crate::media::{Reader, Verdict};
use crate::record::NewUpload;

use super::{AssetOutcome, AssetReport, ID_LIFETIME};

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
                mime: verdict.mime.clone(),
                dimensions: facts.dimensions,
                source: std::path::absolute(path).ok(),
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
                media: Some((key.kind, media_type_of(&url).unwrap_or_default())),
                url: Some(url),
                ..AssetReport::bare(outcome)
            },
        }
    }
}

impl Candidate {
    /// What became of it; its bytes are let go.
    pub(super) fn report(self, outcome: AssetOutcome) -> AssetReport {
        AssetReport {
            path: Some(self.path),
            facts: Some(self.facts),
            media: Some((self.verdict.kind, self.verdict.mime)),
            problems: self.verdict.problems,
            ..AssetReport::bare(outcome)
        }
    }
}

/// The media type the end of the address promises.
pub(super) fn media_type_of(url: &WebUrl) -> Option<String> {
    mime_guess::from_path(Path::new(url.path())).first_raw().map(str::to_owned)
}
