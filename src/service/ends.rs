//! How requests with a key ended, where the record could not be told so yet: known here, and told as soon as it listens.
//!
//! Whoever asks again meanwhile, of this process, is not answered by what the record last heard.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::ids::RequestKey;
use crate::record::{Answer, Record, RecordError, Request};

use super::shared::Shared;

/// How long until the record is told again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it still is, once the service is to stop.
const LAST_TRIES: u32 = 3;

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// With this answer, which stays.
    Answered(Answer),
    /// With nothing sent: its key is free.
    GivenBack,
}

impl Ended {
    async fn tell(&self, record: &dyn Record, request: &Request) -> Result<(), RecordError> {
        match self {
            Self::Answered(answer) => record.answer(request, answer).await,
            Self::GivenBack => record.give_back(request).await,
        }
    }
}

/// How one request ended, until the record knows.
type Untold = Arc<Mutex<Option<(Request, Ended)>>>;

/// Ends the record does not know of.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Each is locked while the record is told of it, so that no key is given back that somebody has taken up anew.
    untold: std::sync::Mutex<HashMap<RequestKey, Untold>>,
}

impl Ends {
    /// Tells the record how a request ended that was taken up under this key, if it has not heard.
    ///
    /// # Errors
    /// It cannot be told now either.
    pub(super) async fn settle(&self, record: &dyn Record, key: &RequestKey) -> Result<(), RecordError> {
        let untold = self.untold().get(key).cloned();
        let Some(untold) = untold else { return Ok(()) };
        let mut untold = untold.lock().await;
        if let Some((request, ended)) = &*untold {
            ended.tell(record, request).await?;
            *untold = None;
            self.untold().remove(key);
        }
        Ok(())
    }

    /// Tells the record how the request ended: now or, where it cannot be told, again and again beside all else.
    pub(super) async fn keep(shared: &Arc<Shared>, request: Request, ended: Ended) {
        let Err(error) = ended.tell(&*shared.parts.record, &request).await else { return };
        let key = request.key.clone();
        tracing::warn!(%error, %key, "the end of a request cannot be kept yet");
        shared.ends.untold().insert(key.clone(), Arc::new(Mutex::new(Some((request, ended)))));
        let insisting = Arc::clone(shared);
        shared.sends.spawn(async move { insisting.ends.insist(&insisting, &key).await });
    }

    async fn insist(&self, shared: &Shared, key: &RequestKey) {
        let (clock, stop, mut last) = (&shared.parts.clock, &shared.parts.stop, LAST_TRIES);
        loop {
            clock.sleep(PAUSE).await;
            match self.settle(&*shared.parts.record, key).await {
                Ok(()) => return,
                Err(_) if last > 0 => last -= u32::from(stop.is_requested()),
                // It ended as it did. Whoever asks again is told that nobody knows, and nothing is sent.
                Err(error) => return tracing::error!(%error, %key, "the end of a request could not be kept"),
            }
        }
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<RequestKey, Untold>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
