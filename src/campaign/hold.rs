//! The hold a run has on its campaign, or whoever plans it: while it lasts nobody else sends what it has taken up.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::detached::to_its_end;
use crate::record::{Begun, CampaignId, Enlisted, Holder, NewCampaign, Record, RecordError, Worker};

/// Is let go of in the end, at the latest when it is dropped: a process that lives on must not keep what it no longer sends.
#[derive(Debug)]
pub(super) struct Hold {
    record: Arc<dyn Record>,
    clock: Arc<dyn Clock>,
    worker: Worker,
    /// Where it was taken: it may be dropped anywhere.
    runtime: Handle,
    is_over: bool,
}

impl Hold {
    /// Takes hold of the campaign, or says who has it.
    ///
    /// # Cancel safety
    /// Who goes away before the answer is there holds nothing, unless the runtime goes with them.
    pub(super) async fn take(
        record: &Arc<dyn Record>,
        clock: &Arc<dyn Clock>,
        campaign: CampaignId,
    ) -> Result<Result<Self, Holder>, RecordError> {
        let (record, clock) = (Arc::clone(record), Arc::clone(clock));
        let taking = async move {
            let enlisted = record.enlist(campaign, std::process::id(), clock.now()).await?;
            Ok(match enlisted {
                Enlisted::Won(worker) => Ok(Self::of(record, clock, worker)),
                Enlisted::Held(holder) => Err(holder),
            })
        };
        to_its_end(taking).await
    }

    /// Begins to plan the campaign, or says who is at it; `None` where another plan was faster.
    ///
    /// # Cancel safety
    /// Who goes away before the answer is there holds nothing, unless the runtime goes with them.
    pub(super) async fn plan(
        record: &Arc<dyn Record>,
        clock: &Arc<dyn Clock>,
        new: &NewCampaign,
    ) -> Result<Result<Option<Self>, Holder>, RecordError> {
        let (record, clock, new) = (Arc::clone(record), Arc::clone(clock), new.clone());
        let beginning = async move {
            let begun = record.begin_plan(&new, std::process::id(), clock.now()).await?;
            Ok(match begun {
                Begun::Won(planner) => Ok(Some(Self::of(record, clock, planner))),
                Begun::Held(holder) => Err(holder),
                Begun::Overtaken => Ok(None),
            })
        };
        to_its_end(beginning).await
    }

    fn of(record: Arc<dyn Record>, clock: Arc<dyn Clock>, worker: Worker) -> Self {
        Self { record, clock, worker, runtime: Handle::current(), is_over: false }
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
        if self.is_over {
            return;
        }
        // For whoever comes next here, at once; for others once it is written down, which takes a runtime that still runs.
        self.record.abandon_worker(&self.worker);
        let (record, worker, now) = (Arc::clone(&self.record), self.worker, self.clock.now());
        self.runtime.spawn(async move {
            if let Err(error) = record.retire(&worker, now).await {
                tracing::warn!(%error, "a campaign could not be let go of");
            }
        });
    }
}
