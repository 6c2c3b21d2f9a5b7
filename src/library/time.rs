//! Whose time counts: Meta's, as soon as it has said what time it is.
//!
//! Any answer of Meta's will do. Where an id would be given up for its age alone and there was none yet, Meta is asked
//! once; what it last said is kept in the record for those who cannot ask.

use std::time::Duration;

use futures::FutureExt;

use crate::graph::{GraphClient, GraphError, Identity, RetryPolicy, Scope};
use crate::record::Upload;

use super::manager::AssetLibrary;
use super::plan::{PlanRules, staleness};
use super::{LibraryError, Reason};

/// How long Meta may take to say what time it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a proof of the app's secret is good for.
///
/// **Source**: "Secure Graph API Calls", `appsecret_time` (read 2026).
const PROOF_LIFETIME: Duration = Duration::from_mins(5);

impl AssetLibrary {
    /// Asks Meta whose token this is, and so what time it is, unless it has answered this client before. That nobody
    /// answers is no error.
    ///
    /// # Errors
    /// When the token is of no use, or another Page's.
    pub async fn greet(&self) -> Result<(), LibraryError> {
        if self.parts.graph.has_been_answered() {
            return Ok(());
        }
        let identity = me(&self.parts.graph).await;
        self.keep_the_time().await;
        let expected = &self.space().page;
        match identity {
            Some(Ok(Identity { id, name, .. })) if id != *expected => {
                Err(LibraryError::OtherPage { expected: expected.clone(), actual: id, name: name.unwrap_or_default() })
            }
            Some(Err(error)) if error.scope() == Some(Scope::Page) => Err(error.into()),
            answer => {
                tracing::debug!(?answer, "asked Meta what time it is");
                Ok(())
            }
        }
    }

    /// Asks Meta what time it is, where it has not answered yet, our clock has been set since it last did, or the machine
    /// stood still. That nobody answers is no error.
    pub async fn ask_the_time_if_in_doubt(&self) {
        if !self.parts.graph.has_been_answered() || self.parts.graph.is_time_in_doubt() {
            let answer = me(&self.parts.graph).await;
            tracing::debug!(?answer, "asked Meta what time it is");
            self.keep_the_time().await;
        }
    }

    /// Keeps in the record what Meta last said of the time, where that is news.
    pub async fn keep_the_time(&self) {
        let server_time = self.parts.graph.server_time();
        let Some(reading) = server_time.to_keep() else { return };
        match self.parts.record.keep_clock_reading(&self.space().origin, reading).await {
            Ok(()) => server_time.kept(reading),
            // Whatever else is to be recorded will say so louder.
            Err(error) => tracing::debug!(%error, "what time it is at Meta could not be kept"),
        }
    }

    /// Why the upload should not be used any more. What would be given up for its age alone is decided again once Meta has
    /// said what time it is.
    pub(super) async fn staleness_by_metas_time(&self, upload: &Upload, rules: PlanRules) -> Option<Reason> {
        let judge = || staleness(upload, self.parts.clock.moment(), rules);
        match judge() {
            Some(reason) if reason.is_age() && self.learns_the_time().await => judge(),
            reason => reason,
        }
    }

    /// Whether Meta's time is known now and was not before. However many want to know, Meta is asked once.
    async fn learns_the_time(&self) -> bool {
        if self.knows_the_time() {
            return false;
        }
        let ask = async {
            // A token that is of no use will be told of by the upload it was asked for.
            let answer = me(&self.parts.graph).await;
            tracing::debug!(?answer, "asked Meta what time it is");
            self.keep_the_time().await;
        };
        self.asked_the_time.get_or_init(|| ask.boxed()).await;
        self.knows_the_time()
    }

    fn knows_the_time(&self) -> bool {
        self.parts.graph.clock_skew().is_some()
    }
}

/// Whose token the client has; `None` where Meta takes too long to say. A proof of the app's secret is good for minutes,
/// so one made by a wrong clock is made anew by what its refusal says of the time.
async fn me(graph: &GraphClient) -> Option<Result<Identity, GraphError>> {
    let hasty = graph.clone().with_retry(RetryPolicy { attempts: 1, max_wait: PATIENCE, ..RetryPolicy::default() });
    let is_far_off = || hasty.clock_skew().is_some_and(|skew| skew.size() >= PROOF_LIFETIME);
    let ask = async {
        match hasty.me().await {
            Err(GraphError::Refused { .. }) if is_far_off() => hasty.me().await,
            answer => answer,
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.ok()
}
