//! The hold a run has on its campaign, or whoever plans it: while it lasts nobody else sends what it has taken up.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::record::{CampaignId, Enlisted, Holder, Record, RecordError, Worker};

/// Is let go of in the end, at the latest when it is dropped: a process that lives on must not keep what it no longer sends.
#[derive(Debug)]
pub(super) struct Hold {
    record: Arc<dyn Record>,
    clock: Arc<dyn Clock>,
    worker: Worker,
    is_over: bool,
}

impl Hold {
    /// Takes hold of the campaign, or says who has it.
    pub(super) async fn take(
        record: &Arc<dyn Record>,
        clock: &Arc<dyn Clock>,
        campaign: CampaignId,
    ) -> Result<Result<Self, Holder>, RecordError> {
        Ok(match record.enlist(campaign, std::process::id(), clock.now()).await? {
            Enlisted::Won(worker) => Ok(Self::of(record, clock, worker)),
            Enlisted::Held(holder) => Err(holder),
        })
    }

    /// The hold this worker has.
    pub(super) fn of(record: &Arc<dyn Record>, clock: &Arc<dyn Clock>, worker: Worker) -> Self {
        Self { record: Arc::clone(record), clock: Arc::clone(clock), worker, is_over: false }
    }

    pub(super) const fn worker(&self) -> Worker {
        self.worker
    }

    /// The record has ended it with what was written last.
    pub(super) fn ended(mut self) {
        self.is_over = true;
    }

    /// Lets go. Where the record cannot write that down now, it keeps it in mind.
    pub(super) async fn let_go(&mut self) -> Result<(), RecordError> {
        let retired = self.record.retire(&self.worker, self.clock.now()).await;
        self.is_over = true;
        retired
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Without a runtime the process is at its end, and the hold with it.
        let Some(runtime) = (!self.is_over).then(Handle::try_current).and_then(Result::ok) else { return };
        let (record, worker, now) = (Arc::clone(&self.record), self.worker, self.clock.now());
        runtime.spawn(async move {
            if let Err(error) = record.retire(&worker, now).await {
                tracing::warn!(%error, "a campaign could not be let go of");
            }
        });
    }
}
