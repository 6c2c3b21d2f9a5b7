//! What this process was told is committed, held against every server it is about to rely on.
//!
//! A server that lacks it has lost it, is an older copy, or led once and does not know yet that it no longer does. It takes
//! no more than the last few receipts: a log is kept or lost from its end, so where they are, all before them is. What other
//! processes were told, and what this one was told before it started, is not known here; so that they do not send again what
//! is forgotten, whoever misses something pauses the campaigns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, HookError};
use tokio::time::Instant;

use super::locked;
use super::session::Ticket;
use crate::clock::uptime;
use crate::record::LOST;

/// How long a receipt is asked for: far less than the day after which it is taken away.
const WORTH: Duration = Duration::from_hours(1);

/// Pauses whatever still has somebody to send to, and what is paused for less. Waits for no standby: an old leader's would
/// never come, and it will be undone there.
fn pause() -> String {
    format!(
        "BEGIN; SET LOCAL synchronous_commit = local;
         UPDATE campaigns SET paused = '{LOST}'
         WHERE NOT coalesce(starts_with(paused, '{LOST}'), false)
             AND (EXISTS (SELECT FROM campaign_recipients WHERE campaign = campaigns.id AND seq > frontier)
                 OR EXISTS (SELECT FROM deliveries WHERE campaign = campaigns.id AND state IN ('planned', 'retry_at'))
                 OR EXISTS (SELECT FROM campaign_workers WHERE campaign = campaigns.id));
         COMMIT"
    )
}

/// The tickets of the transactions whose COMMIT was answered last. Clones are the same ones.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    /// With the time by [`uptime`], oldest first.
    tickets: Arc<Mutex<VecDeque<(Ticket, Duration)>>>,
    most: usize,
    /// Since when every server that was asked has lacked some of it.
    missed_since: Arc<Mutex<Option<Instant>>>,
}

impl Acknowledged {
    /// Nothing yet. `most` is how many transactions may be under way at once: their answers may come in another order than
    /// they were committed in.
    pub(super) fn new(most: usize) -> Self {
        Self { tickets: Arc::default(), most, missed_since: Arc::default() }
    }

    pub(super) fn note(&self, ticket: Ticket) {
        let mut tickets = locked(&self.tickets);
        if tickets.len() == self.most {
            tickets.pop_front();
        }
        tickets.push_back((ticket, uptime()));
    }

    /// Since when nothing but what lacks some of it was found; `None` where it was not so.
    pub(super) fn missed_since(&self) -> Option<Instant> {
        *locked(&self.missed_since)
    }

    /// Fails, with a message of its own, if the server lacks any of it; and pauses its campaigns then.
    pub(super) async fn is_known_to(&self, client: &ClientWrapper) -> Result<(), HookError> {
        let since = uptime().saturating_sub(WORTH);
        let recent = |(ticket, at): &(Ticket, Duration)| (*at >= since).then(|| ticket.as_str().to_owned());
        let tickets: Vec<String> = locked(&self.tickets).iter().filter_map(recent).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        let sql = "SELECT count(*) FROM receipts_in_order WHERE committed AND ticket = ANY($1::text[]::uuid[])";
        let known: i64 = client.query_one(sql, &[&tickets]).await.map_err(HookError::Backend)?.get(0);
        let missing = tickets.len().saturating_sub(usize::try_from(known).unwrap_or_default());
        if missing == 0 {
            *locked(&self.missed_since) = None;
            return Ok(());
        }
        locked(&self.missed_since).get_or_insert_with(Instant::now);
        if let Err(error) = client.batch_execute(&pause()).await {
            // Such as a standby that lags behind, or another who is faster.
            tracing::warn!(%error, "what was acknowledged is not there, and the campaigns could not be paused");
        }
        Err(HookError::message(format!("of the last {} changes it lacks {missing}", tickets.len())))
    }
}
