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
pub(super) struct Errand {
    request: Request,
    /// Whether an earlier one may have arrived.
    was_in_doubt: bool,
}

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
            taken => Ok(Self { request, was_in_doubt: matches!(taken, TakenUp::Known(..)) }),
        }
    }

    /// Takes it off the record where nothing is in doubt: the id it `ended` with is there instead, or neither it nor an
    /// earlier one was sent.
    pub(super) async fn end<T>(self, record: &dyn Record, ended: &Result<T, LibraryError>) -> Result<(), RecordError> {
        match ended {
            Err(error) if self.was_in_doubt || error.may_have_sent() => Ok(()),
            _ => record.give_back(&self.request).await,
        }
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
