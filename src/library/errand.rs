//! Uploads that are messages to somebody: each is on record from before its first byte leaves until its id is, so that what
//! may have arrived is not sent again by a later run.

use crate::clock::Timestamp;
use crate::graph::Envelope;
use crate::ids::{AssetKey, ContentHash};
use crate::media::ContentHasher;
use crate::record::{Record, RecordError, Request, TakenUp};

use super::LibraryError;

/// The end of the year 9999: unlike the requests it stands among, a doubt never gets too old to matter.
const FOR_EVER: Timestamp = Timestamp::from_unix_millis(253_402_300_799_999);

/// A message with an upload that is about to leave, or may have left.
#[derive(Debug)]
pub(super) struct Errand(Request);

impl Errand {
    /// Puts it on record. `again`: even where an earlier one may have arrived.
    ///
    /// # Errors
    /// [`LibraryError::InDoubt`] where an earlier one may have arrived.
    pub(super) async fn begin(
        record: &dyn Record,
        key: &AssetKey,
        envelope: &Envelope,
        again: bool,
        name: impl FnOnce() -> String,
    ) -> Result<Self, LibraryError> {
        let digest = digest(key, envelope);
        let named = format!("message-with-upload:{digest}");
        let request = Request { key: named.parse().expect("visible letters"), digest, at: FOR_EVER };
        match record.take_up(&request, Timestamp::from_unix_millis(i64::MIN)).await? {
            TakenUp::Known(..) if !again => {
                Err(LibraryError::InDoubt { asset: name(), recipient: envelope.recipient.clone() })
            }
            TakenUp::Known(..) | TakenUp::New => Ok(Self(request)),
        }
    }

    /// Takes it off the record: nothing was sent, or its id is on record.
    pub(super) async fn end(self, record: &dyn Record) -> Result<(), RecordError> {
        record.give_back(&self.0).await
    }
}

/// Which message it is: the same asset to the same recipient.
fn digest(key: &AssetKey, envelope: &Envelope) -> ContentHash {
    let AssetKey { space, kind, asset } = key;
    let parts = [
        space.origin.to_string(),
        space.page.to_string(),
        space.platform.to_string(),
        kind.to_string(),
        asset.to_string(),
        envelope.recipient.to_string(),
    ];
    ContentHasher::hash(parts.join("\n").as_bytes())
}
