//! The claim of an upload, for as long as anybody is at it: whatever ends that, the next one who wants the same must not
//! wait for it.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Timestamp;
use crate::detached::to_its_end;
use crate::ids::AssetKey;
use crate::record::{Claim, Claimed, Record, RecordError};

/// The right to upload one key. Is released in the end, at the latest when it is dropped, by a panic or with its task.
#[derive(Debug)]
pub(super) struct Tenure {
    record: Arc<dyn Record>,
    claim: Claim,
    runtime: Handle,
    is_over: bool,
}

impl Tenure {
    /// Claims the key; `None` while somebody else has it.
    ///
    /// # Cancel safety
    /// Who goes away before the answer is there has claimed nothing, unless the runtime goes with them.
    pub(super) async fn of(
        record: &Arc<dyn Record>,
        key: &AssetKey,
        now: Timestamp,
    ) -> Result<Option<Self>, RecordError> {
        let (record, key) = (Arc::clone(record), key.clone());
        let claiming = async move {
            let claimed = record.claim(&key, now).await?;
            Ok(match claimed {
                Claimed::Won(claim) => Some(Self { record, claim, runtime: Handle::current(), is_over: false }),
                Claimed::Held { .. } => None,
            })
        };
        to_its_end(claiming).await
    }

    pub(super) const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The record has ended it with the upload's result.
    pub(super) fn completed(mut self) {
        self.is_over = true;
    }

    /// Ends it with nothing. Where the record cannot write that down now, it keeps it in mind.
    pub(super) async fn release(mut self) -> Result<(), RecordError> {
        let released = self.record.release(&self.claim).await;
        self.is_over = true;
        released
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // For whoever comes next here, at once; for others once it is written down, which takes a runtime that still runs.
        self.record.abandon_claim(&self.claim);
        let (record, claim) = (Arc::clone(&self.record), self.claim.clone());
        self.runtime.spawn(async move {
            if let Err(error) = record.release(&claim).await {
                tracing::warn!(%error, "a claim that is over is still held");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Asset, ContentHash, KeySpace, MediaKind, Platform};
    use crate::interleave::given_up_after;
    use crate::record;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    async fn place() -> (tempfile::TempDir, Arc<dyn Record>, AssetKey) {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record::open(&folder.path().join("record.db")).await.expect("a record");
        let origin = "https://graph.facebook.com".parse().expect("an origin");
        let space = KeySpace { origin, page: "1".parse().expect("a Page"), platform: Platform::Messenger };
        let key = AssetKey { space, kind: MediaKind::Image, asset: Asset::Bytes(ContentHash([7; 32])) };
        (folder, record, key)
    }

    /// A claim, once whoever was dropped has released theirs.
    async fn won(record: &Arc<dyn Record>, key: &AssetKey) -> Tenure {
        for _ in 0..1_000 {
            if let Some(tenure) = Tenure::of(record, key, NOW).await.expect("an answer") {
                return tenure;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("it is held by nobody")
    }

    #[tokio::test(start_paused = true)]
    async fn wherever_it_is_given_up_the_next_one_claims() {
        let (_folder, record, key) = place().await;
        let mut polls = 1;
        while !matches!(given_up_after(polls, Tenure::of(&record, &key, NOW)).await, Some(Ok(Some(_)))) {
            won(&record, &key).await.release().await.expect("released");
            polls += 1;
        }
        assert!(polls > 1, "it waits for nothing");
        let mut polls = 1;
        while given_up_after(polls, won(&record, &key).await.release()).await.is_none() {
            polls += 1;
        }
        drop(won(&record, &key).await);
    }

    #[test]
    fn a_claim_does_not_outlive_its_runtime() {
        let [here, there] = [(); 2].map(|()| tokio::runtime::Runtime::new().expect("a runtime"));
        let (_folder, record, key) = here.block_on(place());
        here.block_on(async {
            let tenure = won(&record, &key).await;
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(tenure);
            });
        });
        drop(here);
        let claimed = there.block_on(Tenure::of(&record, &key, NOW)).expect("an answer");
        assert!(claimed.is_some(), "it is held by nobody");
    }
}
