//! Who sends a campaign, and what came of it: the table `campaign_workers`, and the steps of deliveries.
//!
//! One planner has a campaign alone; senders share it. A worker is as alive as its owner. When the lease is over, its
//! claimed rows pass on at once; what it had in flight is called unknown when a call begun within the lease is over too.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::try_join;
use tokio_postgres::Row;

use super::campaigns::{TABLE, lock, number, parts, seqs_of};
use super::claiming::UpTo;
use super::deliveries::{self, Sheet};
use super::fault::Fault;
use super::session::{ABSENCE, LONG_ABSENCE, Tx};
use super::uploads::column;
use super::{PostgresRecord, claiming, locked};
use crate::clock::{Timestamp, uptime};
use crate::delivery::{self, State};
use crate::record::delivery_rows::DeliveryRows;
use crate::record::rows;
use crate::record::{CampaignId, Claims, Enlisted, Entry, Holder, Ledger, Reach, RecordError, Worker, Written};

pub(super) const WORKERS: &str = "campaign_workers";

/// How long a call may take that was begun within the lease: longer than any does.
const LONGEST_CALL: Duration = delivery::LONGEST_CALL.saturating_add(Duration::from_secs(20));

#[async_trait]
impl Ledger for PostgresRecord {
    async fn enlist(&self, campaign: CampaignId, pid: u32, now: Timestamp) -> Result<Enlisted, RecordError> {
        self.retire_abandoned(now).await;
        self.bury_workers(now).await?;
        let owner = self.own().await?;
        let enlisted = self.sessions.write(|tx| async move { enlist(&tx, campaign, owner, pid, now).await }).await?;
        if let Enlisted::Won(worker) = enlisted {
            locked(&self.workers).insert(worker.epoch, owner);
        }
        Ok(enlisted)
    }

    async fn claim_deliveries(
        &self,
        worker: &Worker,
        reach: Reach<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Claims, RecordError> {
        let (claims, others_died) = self.claim_once(worker, reach, limit, now).await?;
        if !others_died {
            return Ok(claims);
        }
        // What they had comes next.
        self.bury_workers_within(LONG_ABSENCE, now).await?;
        if claims.rows.is_empty() { Ok(self.claim_once(worker, reach, limit, now).await?.0) } else { Ok(claims) }
    }

    async fn write(&self, worker: &Worker, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        self.sessions
            .write_within(LONG_ABSENCE, |tx| async move {
                let seqs = seqs(entries);
                let (standing, rows) =
                    try_join!(standing(&tx, worker), deliveries::rows_of(&tx, worker.campaign, &seqs))?;
                let begin_nothing = match standing {
                    Standing { is_alive: false, .. } => Some(Written::Lapsed),
                    Standing { is_paused: true, .. } => Some(Written::Paused),
                    _ => None,
                };
                let mut sheet = Sheet::empty(worker.campaign, standing.parts).with(&rows)?;
                let written = sheet.write(worker, entries, begin_nothing)?;
                sheet.save(&tx).await?;
                Ok(written)
            })
            .await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn may_begin(&self, worker: &Worker, call: Duration) -> bool {
        let owner = locked(&self.workers).get(&worker.epoch).copied();
        let until = owner.and_then(|owner| self.owners.until(owner));
        until.is_some_and(|until| uptime() + call < until + LONGEST_CALL)
    }

    async fn retire(&self, worker: &Worker, now: Timestamp) -> Result<(), RecordError> {
        locked(&self.workers).remove(&worker.epoch);
        let retired = self.retire_within(LONG_ABSENCE, worker, now).await;
        match retired {
            Ok(()) => self.left.workers.settled(&[*worker]),
            Err(_) => self.left.workers.add(*worker),
        }
        retired
    }

    fn abandon_worker(&self, worker: &Worker) {
        locked(&self.workers).remove(&worker.epoch);
        self.left.workers.add(*worker);
    }
}

impl PostgresRecord {
    async fn retire_within(&self, absence: Duration, worker: &Worker, now: Timestamp) -> Result<(), RecordError> {
        self.sessions
            .write_within(absence, |tx| async move {
                let sql = "SELECT parts FROM campaigns JOIN campaign_workers ON campaign = campaigns.id
                           WHERE campaign_workers.id = $1 FOR UPDATE OF campaign_workers";
                let Some(row) = tx.one(sql, &[&worker.epoch]).await? else { return Ok(()) };
                let parts = parts(&row, 0)?;
                deliveries::abandon(&tx, worker, parts, &[State::Claimed, State::InFlight], now).await?;
                dismiss(&tx, worker.epoch).await
            })
            .await
    }

    /// Retires workers who ended without a word.
    pub(super) async fn retire_abandoned(&self, now: Timestamp) {
        for worker in self.left.workers.all() {
            match self.retire_within(ABSENCE, &worker, now).await {
                Ok(()) => self.left.workers.settled(&[worker]),
                Err(error) => tracing::warn!(%error, "what worker {} had is still held", worker.epoch),
            }
        }
    }

    /// A claim, and whether there are workers who are no more.
    async fn claim_once(
        &self,
        worker: &Worker,
        reach: Reach<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Claims, bool), RecordError> {
        let alive = |standing: Standing| match standing {
            Standing { is_alive: true, .. } => Ok(standing),
            _ => Err(Fault::Lapsed),
        };
        self.sessions
            .claim_within(LONG_ABSENCE, |tx| async move {
                let campaign = worker.campaign;
                let (standing, claims) = match reach {
                    Reach::These(people) => {
                        let (standing, seqs) = try_join!(standing(&tx, worker), seqs_of(&tx, campaign, people))?;
                        let standing = alive(standing)?;
                        let claims = claiming::claim_these(&tx, worker, standing.parts, &seqs, limit, now).await?;
                        (standing, claims)
                    }
                    Reach::UpTo { .. } | Reach::All => {
                        let up_to = if let Reach::UpTo { place, since } = reach {
                            UpTo::place(place, since)
                        } else {
                            UpTo::the_end()
                        };
                        let waiting = claiming::waiting(&tx, campaign, &up_to, limit, now);
                        let (standing, waiting) = try_join!(standing(&tx, worker), waiting)?;
                        let standing = alive(standing)?;
                        let sheet = Sheet::empty(campaign, standing.parts);
                        (standing, claiming::claim(&tx, worker, &waiting, sheet, (&up_to, limit), now).await?)
                    }
                };
                Ok((claims, standing.others_died))
            })
            .await
    }

    /// Settles what workers left who are no more.
    pub(super) async fn bury_workers(&self, now: Timestamp) -> Result<(), RecordError> {
        self.bury_workers_within(ABSENCE, now).await
    }

    async fn bury_workers_within(&self, absence: Duration, now: Timestamp) -> Result<(), RecordError> {
        let dead = self.sessions.ask_within(absence, |tx| async move { dead_workers(&tx, "").await }).await?;
        if dead.is_empty() {
            return Ok(());
        }
        self.sessions
            .write_within(absence, |tx| async move {
                // Somebody else may have done so meanwhile, or be doing so; a renewal under way is waited for.
                for dead in dead_workers(&tx, "FOR UPDATE OF campaign_workers, owners SKIP LOCKED").await? {
                    bury(&tx, &dead, now).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Whether there is something to settle of a worker now; `$1` is [`LONGEST_CALL`] in seconds.
const IS_TO_SETTLE: &str =
    "until <= clock_timestamp() AND (NOT lapsed OR until + make_interval(secs => $1) <= clock_timestamp())";

/// A worker whose lease has run out.
#[derive(Debug)]
struct Dead {
    worker: Worker,
    parts: u8,
    /// Whether nothing of its can be on its way any more.
    is_over: bool,
}

/// Those of whom there is something to settle now.
async fn dead_workers(tx: &Tx, lock: &str) -> Result<Vec<Dead>, Fault> {
    let sql = format!(
        "SELECT campaign, campaign_workers.id, parts, until + make_interval(secs => $1) <= clock_timestamp()
         FROM campaign_workers JOIN owners ON owners.id = owner JOIN campaigns ON campaigns.id = campaign
         WHERE {IS_TO_SETTLE} ORDER BY campaign_workers.id {lock}"
    );
    let rows = tx.rows(&sql, &[&LONGEST_CALL.as_secs_f64()]).await?;
    let dead = |row: &Row| {
        let worker = Worker { campaign: CampaignId(column(row, WORKERS, 0)?), epoch: column(row, WORKERS, 1)? };
        Ok(Dead { worker, parts: parts(row, 2)?, is_over: column(row, WORKERS, 3)? })
    };
    rows.iter().map(dead).collect()
}

async fn bury(tx: &Tx, dead: &Dead, now: Timestamp) -> Result<(), Fault> {
    let Dead { worker, parts, is_over } = dead;
    deliveries::abandon(tx, worker, *parts, &[State::Claimed], now).await?;
    let sql = "SELECT count(*) FROM deliveries WHERE campaign = $1 AND state = 'in_flight' AND worker = $2";
    let in_flight = number(tx, sql, worker.campaign, worker.epoch).await?;
    if *is_over || in_flight == 0 {
        deliveries::abandon(tx, worker, *parts, &[State::InFlight], now).await?;
        return dismiss(tx, worker.epoch).await;
    }
    tx.execute("UPDATE campaign_workers SET lapsed = true WHERE id = $1", &[&worker.epoch]).await?;
    Ok(())
}

pub(super) async fn dismiss(tx: &Tx, epoch: i64) -> Result<(), Fault> {
    tx.execute("DELETE FROM campaign_workers WHERE id = $1", &[&epoch]).await?;
    Ok(())
}

/// What a worker may do now.
pub(super) struct Standing {
    parts: u8,
    is_paused: bool,
    pub(super) is_alive: bool,
    /// Whether there is something to settle of other workers.
    others_died: bool,
}

/// Nobody takes the worker for dead before the transaction ends. `Lapsed` where there is no such worker any more.
pub(super) async fn standing(tx: &Tx, worker: &Worker) -> Result<Standing, Fault> {
    let sql = format!(
        "SELECT parts, paused IS NOT NULL, until > clock_timestamp(),
                EXISTS (SELECT FROM campaign_workers JOIN owners ON owners.id = owner WHERE {IS_TO_SETTLE})
         FROM campaign_workers JOIN owners ON owners.id = owner JOIN campaigns ON campaigns.id = campaign
         WHERE campaign_workers.id = $2 AND campaign = $3 FOR SHARE OF campaign_workers"
    );
    let row = tx.one(&sql, &[&LONGEST_CALL.as_secs_f64(), &worker.epoch, &worker.campaign.0]).await?;
    let row = row.ok_or(Fault::Lapsed)?;
    let (is_paused, is_alive) = (column(&row, TABLE, 1)?, column(&row, WORKERS, 2)?);
    Ok(Standing { parts: parts(&row, 0)?, is_paused, is_alive, others_died: column(&row, WORKERS, 3)? })
}

/// Who is at the campaign, of those the condition is about.
pub(super) async fn holder(tx: &Tx, campaign: CampaignId, condition: &str) -> Result<Option<Holder>, Fault> {
    let sql = format!("SELECT pid, since FROM campaign_workers WHERE campaign = $1 {condition} ORDER BY id LIMIT 1");
    let found = tx.one(&sql, &[&campaign.0]).await?;
    Ok(found.map(|row| holder_in(&row, 0)).transpose()?.flatten())
}

/// The holder in two columns from `first` on.
pub(super) fn holder_in(row: &Row, first: usize) -> Result<Option<Holder>, RecordError> {
    let (pid, since): (Option<i64>, Option<i64>) = (column(row, WORKERS, first)?, column(row, WORKERS, first + 1)?);
    let holder = |(pid, since)| -> Result<_, RecordError> {
        let pid = u32::try_from(pid).map_err(|error| rows::damaged(WORKERS, error))?;
        Ok(Holder { pid, since: Timestamp::from_unix_millis(since) })
    };
    pid.zip(since).map(holder).transpose()
}

pub(super) async fn add_worker(
    tx: &Tx,
    campaign: CampaignId,
    owner: i64,
    plans: bool,
    pid: u32,
    now: Timestamp,
) -> Result<Worker, Fault> {
    let sql = "INSERT INTO campaign_workers (campaign, owner, plans, pid, since) VALUES ($1, $2, $3, $4, $5)
               RETURNING id";
    let (pid, since) = (i64::from(pid), now.as_unix_millis());
    let row = tx.one(sql, &[&campaign.0, &owner, &plans, &pid, &since]).await?;
    Ok(Worker { campaign, epoch: row.map(|row| column(&row, WORKERS, 0)).transpose()?.unwrap_or_default() })
}

async fn enlist(tx: &Tx, campaign: CampaignId, owner: i64, pid: u32, now: Timestamp) -> Result<Enlisted, Fault> {
    let stored = lock(tx, campaign).await?;
    // One process sends a campaign once.
    let in_the_way = format!("AND (plans OR owner = {owner})");
    if let Some(holder) = holder(tx, campaign, &in_the_way).await? {
        return Ok(Enlisted::Held(holder));
    }
    if stored.campaign.digest.is_none() {
        return Err(Fault::Refused("the campaign's plan is not complete".into()));
    }
    let sql = "UPDATE campaigns SET started_at = coalesce(started_at, $2) WHERE id = $1";
    tx.execute(sql, &[&campaign.0, &now.as_unix_millis()]).await?;
    Ok(Enlisted::Won(add_worker(tx, campaign, owner, false, pid, now).await?))
}

pub(super) fn seqs(entries: &[Entry]) -> BTreeSet<u64> {
    entries.iter().map(|entry| entry.key.seq).collect()
}
