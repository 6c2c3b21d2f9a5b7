//! Uploads on record: which bytes have which id, and who is uploading what.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

use super::RecordError;
use crate::clock::Timestamp;
use crate::facts::Dimensions;
use crate::ids::{Asset, AssetKey, AttachmentId, KeySpace};

/// One upload whose id is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What was uploaded, how and where.
    pub key: AssetKey,
    /// The id Meta gave it.
    pub attachment_id: AttachmentId,
    /// When its upload began, which is when its age begins; of unknown age, when it was heard of. See
    /// [`Self::known_upload_time`].
    pub uploaded_at: Timestamp,
    /// When Meta is expected to forget the id; always after `uploaded_at`. See [`Self::known_expiry`].
    pub expires_at: Timestamp,
    /// How many bytes were sent; 0 for a web address, of which that is not known. See [`Self::known_size`].
    pub size_bytes: u64,
    /// The media type they were sent as; a guess by its name for a web address.
    pub mime: String,
    /// Width and height, of an image.
    pub dimensions: Option<Dimensions>,
    /// The file they were last uploaded from.
    pub source: Option<PathBuf>,
    /// Whether the id may still be used.
    pub state: UploadState,
}

impl Upload {
    /// How many bytes were sent, where we sent them: what lies at a web address only Meta has read.
    pub fn known_size(&self) -> Option<u64> {
        self.key.asset.hash().map(|_| self.size_bytes)
    }

    /// Its media type, where anybody knows.
    pub fn known_mime(&self) -> Option<&str> {
        Some(&*self.mime).filter(|mime| !mime.is_empty())
    }

    /// When it was uploaded, where anybody knows.
    pub fn known_upload_time(&self) -> Option<Timestamp> {
        (self.state != UploadState::UnknownAge).then_some(self.uploaded_at)
    }

    /// When Meta is expected to forget the id, where its age is known.
    pub fn known_expiry(&self) -> Option<Timestamp> {
        (self.state != UploadState::UnknownAge).then_some(self.expires_at)
    }

    /// Whether `other`, an id for the same key that came from elsewhere, is to take this one's place: it says more of
    /// the same id, or is another that is better or younger. Of two of unknown age, the last one heard of counts.
    pub fn gives_way_to(&self, other: &Self) -> bool {
        use UploadState::{Live, Rejected, UnknownAge};
        if self.attachment_id == other.attachment_id {
            return matches!((self.state, other.state), (Live | UnknownAge, Rejected) | (UnknownAge, Live));
        }
        match (self.state, other.state) {
            (_, Rejected) | (Live, UnknownAge) => false,
            (Rejected | UnknownAge, _) => true,
            (Live, Live) => other.uploaded_at > self.uploaded_at,
        }
    }

    /// What it brought, apart from what it is stored under and how it stands.
    pub(super) fn split(self) -> (AssetKey, UploadState, NewUpload) {
        let Self { key, attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state } = self;
        (key, state, NewUpload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source })
    }
}

/// What an upload brought, to be stored under a claim. The fields are those of [`Upload`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented at `Upload`")]
pub struct NewUpload {
    pub attachment_id: AttachmentId,
    pub uploaded_at: Timestamp,
    pub expires_at: Timestamp,
    pub size_bytes: u64,
    pub mime: String,
    pub dimensions: Option<Dimensions>,
    pub source: Option<PathBuf>,
}

/// Whether an id may still be used, as far as its age does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    /// Nothing speaks against it.
    Live,
    /// Meta refused it when it was sent.
    Rejected,
    /// It came from elsewhere, and nobody knows since when it lives: it may be gone any moment.
    UnknownAge,
}

impl UploadState {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::UnknownAge => "unknown_age",
        }
    }

    /// The state the word stands for.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Rejected, Self::UnknownAge].into_iter().find(|state| state.as_str() == text)
    }
}

/// Which uploads to list: those that match every field that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is matched as it is")]
pub struct UploadFilter {
    pub space: Option<KeySpace>,
    pub asset: Option<Asset>,
    pub attachment_id: Option<AttachmentId>,
}

/// The right to upload one key, until it is completed or released, or its owner dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What may be uploaded.
    pub key: AssetKey,
    /// Greater than that of every earlier claim of the key.
    pub epoch: i64,
}

/// What came of asking for a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody else may upload the key now.
    Won(Claim),
    /// A live owner, perhaps this one, has been uploading it since then.
    Held {
        /// When the claim was won.
        since: Timestamp,
    },
}

/// What came of storing a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// It is the key's upload now.
    Stored,
    /// The claim had passed on. The id was kept among the orphans; the key's upload is another's.
    Superseded,
}

/// Where the file of an upload was found that is no longer where it was uploaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What was uploaded.
    pub key: AssetKey,
    /// The id it has.
    pub attachment_id: AttachmentId,
    /// Where its file lies, from the root.
    pub source: PathBuf,
}

/// What became of an id that came from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is the key's upload now.
    Stored,
    /// What was on record is at least as good, and stayed.
    Kept,
}

/// Which bytes have which id, and who is uploading what.
///
/// Nothing of one [`AssetKey`] is ever seen under another: the same bytes under another origin, Page, platform or kind
/// are another upload.
///
/// # Cancel safety
/// A call that was started may take effect although its future was dropped. A claim won by a dropped call stays
/// claimed as long as the record is open, so claims belong in tasks that run to their end.
#[async_trait]
pub trait Uploads: fmt::Debug + Send + Sync {
    /// The upload of each key, in the order of `keys`; `None` where there is none.
    async fn find(&self, keys: &[AssetKey]) -> Result<Vec<Option<Upload>>, RecordError>;

    /// At most `limit` uploads that match `filter`, in an order that is always the same, beginning behind the key
    /// `after`. An upload stored or forgotten between two calls moves no other from one page to the next.
    async fn list(
        &self,
        filter: &UploadFilter,
        after: Option<&AssetKey>,
        limit: usize,
    ) -> Result<Vec<Upload>, RecordError>;

    /// The right to upload `key`, durable before this returns. A claim whose owner is no more passes on at once, and
    /// what it may have uploaded counts as an orphan.
    ///
    /// Someone may have completed the key just before: who wins looks it up again before uploading.
    async fn claim(&self, key: &AssetKey, now: Timestamp) -> Result<Claimed, RecordError>;

    /// Returns when it is worth asking again for a key that was held: where the engine hears of it, as soon as its holder
    /// is done, and in any case before long.
    async fn until_free(&self, key: &AssetKey);

    /// Makes `upload` the key's upload, live, and ends the claim; durable before this returns. Asked again with the
    /// same claim and id, it answers the same.
    ///
    /// # Errors
    /// `Refused` when the upload makes no sense, such as one that expires before it was made.
    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, RecordError>;

    /// Stores ids that were made elsewhere, as what they are, wherever the key has none or one that
    /// [gives way](Upload::gives_way_to); durable, all or none of them, before this returns. Claims are not asked: who is
    /// uploading a key has the last word.
    ///
    /// # Errors
    /// `Refused` when one of them makes no sense, such as one that expires before it was made.
    async fn adopt(&self, uploads: &[Upload]) -> Result<Vec<Adopted>, RecordError>;

    /// Ends the claim of an upload that came to nothing. A claim that is no more is none of its business.
    ///
    /// # Errors
    /// When that cannot be written down now; then it is [kept in mind](Self::abandon_claim).
    async fn release(&self, claim: &Claim) -> Result<(), RecordError>;

    /// Takes note that the claim's upload came to nothing, and waits for nothing: the next claim on this record, of whatever
    /// key, releases it first. For those who are gone before they could [release](Self::release) it.
    fn abandon_claim(&self, claim: &Claim);

    /// Keeps where files lie now, each for the key's upload, if its id still is that one; durable, all or none of it, before
    /// this returns. A key is named once.
    async fn follow(&self, moves: &[Moved]) -> Result<(), RecordError>;

    /// Marks the key's upload rejected, if its id still is `attachment_id`.
    async fn reject(&self, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), RecordError>;

    /// Removes the key's upload, and gives what it was. A claim on the key stays.
    async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, RecordError>;

    /// How many uploads may have left an id at Meta that serves nobody.
    async fn count_orphans(&self) -> Result<u64, RecordError>;
}
