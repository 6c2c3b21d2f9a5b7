//! Who sends a campaign, and what came of it: the table `campaign_workers`, and the steps of deliveries.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::campaigns::{load, save, sheet};
use super::deliveries::Sheet;
use super::fault::Fault;
use super::owners::Owners;
use super::{SqliteRecord, State as Engine, commit};
use crate::clock::Timestamp;
use crate::ids::Recipient;
use crate::record::delivery_rows::DeliveryRows;
use crate::record::rows::unsigned;
use crate::record::{CampaignId, Claims, Enlisted, Entry, Holder, Ledger, Reach, RecordError, Worker, Written};

#[async_trait]
impl Ledger for SqliteRecord {
    async fn enlist(&self, campaign: CampaignId, pid: u32, now: Timestamp) -> Result<Enlisted, RecordError> {
        self.call(move |engine| {
            engine.bury_workers(now)?;
            engine.reserve.keep()?;
            let owner = engine.owners.own()?;
            engine.write(|transaction| {
                let enlisted = enlist(transaction, campaign, &owner, pid, now)?;
                if let Enlisted::Won(_) = enlisted {
                    let mut stored = load(transaction, campaign)?;
                    if stored.campaign.digest.is_none() {
                        return Err(Fault::Refused("the campaign's plan is not complete".into()));
                    }
                    stored.campaign.started_at = stored.campaign.started_at.or(Some(now));
                    save(transaction, &stored)?;
                }
                Ok(enlisted)
            })
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        worker: &Worker,
        reach: Reach<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Claims, RecordError> {
        let worker = *worker;
        let (these, up_to) = match reach {
            Reach::These(people) => (Some(people.to_vec()), None),
            Reach::UpTo { place, since } => (None, Some((place, since))),
            Reach::All => (None, None),
        };
        self.call(move |engine| {
            engine.write(|transaction| {
                let mut stored = load(transaction, worker.campaign)?;
                if !is_enlisted(transaction, &worker)? {
                    return Err(Fault::Refused("nobody is sending the campaign under that number any more".into()));
                }
                let mut frontier = stored.frontier;
                let mut sheet = sheet(transaction, &stored);
                let claims = match &these {
                    Some(people) => {
                        sheet.claim_these(&worker, &seqs_of(transaction, worker.campaign, people)?, limit, now)?
                    }
                    None => sheet.claim(&worker, limit, up_to, &mut frontier, now)?,
                };
                if frontier != stored.frontier {
                    stored.frontier = frontier;
                    save(transaction, &stored)?;
                }
                Ok(claims)
            })
        })
        .await
    }

    async fn write(&self, worker: &Worker, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        let (worker, entries) = (*worker, entries.to_vec());
        self.call(move |engine| {
            engine.write(|transaction| {
                let (parts, frontier, paused): (u8, i64, bool) = transaction
                    .prepare_cached("SELECT parts, frontier, paused IS NOT NULL FROM campaigns WHERE id = ?1")?
                    .query_row([worker.campaign.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Sheet { transaction, campaign: worker.campaign, parts, frontier: unsigned(frontier), plan: None }.write(
                    &worker,
                    &entries,
                    paused.then_some(Written::Paused),
                )
            })
        })
        .await
    }

    async fn make_room(&self) -> Result<bool, RecordError> {
        self.call(move |engine| Ok(engine.reserve.release()?)).await
    }

    /// A lock that dies with its process cannot be lost before.
    fn may_begin(&self, _: &Worker, _: Duration) -> bool {
        true
    }

    async fn retire(&self, worker: &Worker, now: Timestamp) -> Result<(), RecordError> {
        let worker = *worker;
        self.call(move |engine| {
            let retired = engine.write(|transaction| bury(transaction, worker, now));
            match retired {
                Ok(()) => engine.left.workers.settled(&[worker]),
                Err(_) => engine.left.workers.add(worker),
            }
            retired
        })
        .await
    }

    fn abandon_worker(&self, worker: &Worker) {
        self.left.workers.add(*worker);
    }
}

impl Engine {
    /// Settles what workers left whose process is gone, or who ended without a word.
    pub(super) fn bury_workers(&mut self, now: Timestamp) -> Result<(), Fault> {
        let ended = self.left.workers.all();
        let dead = dead_workers(&self.connection.transaction()?, &self.owners, &ended)?;
        if dead.is_empty() {
            return Ok(());
        }
        match self.bury_dead(&ended, now) {
            // What has waited since it ended waits a little longer: who only looks is answered meanwhile.
            Err(fault) if fault.may_pass() && dead.iter().all(|dead| ended.contains(dead)) => Ok(()),
            buried => buried,
        }
    }

    fn bury_dead(&mut self, ended: &[Worker], now: Timestamp) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = transaction.total_changes();
        // Somebody else may have done so meanwhile.
        for worker in dead_workers(&transaction, &self.owners, ended)? {
            bury(&transaction, worker, now)?;
        }
        commit(transaction, before, &mut self.mark)?;
        self.left.workers.settled(ended);
        Ok(())
    }
}

fn dead_workers(transaction: &Transaction, owners: &Owners, ended: &[Worker]) -> Result<Vec<Worker>, Fault> {
    let mut query = transaction.prepare_cached("SELECT campaign, id, owner FROM campaign_workers")?;
    let workers = query.query_map([], |row| {
        Ok((Worker { campaign: CampaignId(row.get(0)?), epoch: row.get(1)? }, row.get::<_, String>(2)?))
    })?;
    let mut dead = Vec::new();
    for worker in workers {
        let (worker, owner) = worker?;
        if ended.contains(&worker) || !owners.is_alive(&owner)? {
            dead.push(worker);
        }
    }
    Ok(dead)
}

fn bury(transaction: &Transaction, worker: Worker, now: Timestamp) -> Result<(), Fault> {
    let stored = load(transaction, worker.campaign)?;
    sheet(transaction, &stored).abandon(worker.epoch, now)?;
    transaction.prepare_cached("DELETE FROM campaign_workers WHERE id = ?1")?.execute([worker.epoch])?;
    Ok(())
}

pub(super) fn holder(transaction: &Transaction, campaign: CampaignId) -> Result<Option<Holder>, Fault> {
    Ok(transaction
        .prepare_cached("SELECT pid, since FROM campaign_workers WHERE campaign = ?1")?
        .query_row([campaign.0], |row| Ok(Holder { pid: row.get(0)?, since: Timestamp::from_unix_millis(row.get(1)?) }))
        .optional()?)
}

pub(super) fn enlist(
    transaction: &Transaction,
    campaign: CampaignId,
    owner: &str,
    pid: u32,
    now: Timestamp,
) -> Result<Enlisted, Fault> {
    if let Some(holder) = holder(transaction, campaign)? {
        return Ok(Enlisted::Held(holder));
    }
    let epoch = transaction
        .prepare_cached(
            "INSERT INTO campaign_workers (campaign, owner, pid, since) VALUES (?1, ?2, ?3, ?4) RETURNING id",
        )?
        .query_row(params![campaign.0, owner, pid, now.as_unix_millis()], |row| row.get(0))?;
    Ok(Enlisted::Won(Worker { campaign, epoch }))
}

pub(super) fn is_enlisted(transaction: &Transaction, worker: &Worker) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM campaign_workers WHERE id = ?1 AND campaign = ?2)";
    let values = [worker.epoch, worker.campaign.0];
    Ok(transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

/// The places of those of them who are on the list.
pub(super) fn seqs_of(
    transaction: &Transaction,
    campaign: CampaignId,
    recipients: &[Recipient],
) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT seq FROM campaign_recipients WHERE campaign = ?1 AND recipient = ?2";
    let mut find = transaction.prepare_cached(sql)?;
    let mut seqs = Vec::new();
    for recipient in recipients {
        let seq = find.query_row(params![campaign.0, recipient.to_string()], |row| row.get(0)).optional()?;
        seqs.extend(seq.map(unsigned));
    }
    Ok(seqs)
}
