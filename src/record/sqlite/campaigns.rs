//! Campaigns: the tables `campaigns`, `campaign_recipients` and `campaign_workers`, and who may change them when.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::deliveries::{Sheet, recipient_checksum, signed, unsigned};
use super::fault::Fault;
use super::owners::Owners;
use super::uploads::{column, space_id, space_id_for_writing, spaces};
use super::{SqliteRecord, State as Engine, commit};
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::ids::{CampaignName, KeySpace, Recipient};
use crate::record::delivery_rows::DeliveryRows;
use crate::record::rows;
use crate::record::{
    Added, Begun, Campaign, CampaignId, Campaigns, Change, Claims, DeliveryKey, Enlisted, Entry, Holder, Ledger,
    ListedDelivery, NewCampaign, NewRecipient, PartCount, PlanDigest, Reach, RecordError, Worker, Written,
};

const TABLE: &str = "campaigns";
/// How much of the file a plan keeps in memory, in KiB: the index of a million recipients, nearly.
const PLAN_CACHE_KIB: i64 = 48 * 1024;
/// How much anything else does: what SQLite itself takes.
const USUAL_CACHE_KIB: i64 = 2_000;

/// A row of `campaigns`.
#[derive(Debug, Clone)]
struct Stored {
    campaign: Campaign,
    frontier: u64,
    generation: i64,
}

#[async_trait]
impl Campaigns for SqliteRecord {
    async fn campaign(
        &self,
        space: &KeySpace,
        name: &CampaignName,
        now: Timestamp,
    ) -> Result<Option<Campaign>, RecordError> {
        let (space, name) = (space.clone(), name.clone());
        self.call(move |engine| {
            engine.bury_workers(now)?;
            let transaction = engine.connection.transaction()?;
            let Some(space) = space_id(&transaction, &space)? else { return Ok(None) };
            let id = id_of(&transaction, space, &name)?;
            id.map(|id| Ok(load(&transaction, id)?.campaign)).transpose()
        })
        .await
    }

    async fn campaigns(&self, now: Timestamp) -> Result<Vec<Campaign>, RecordError> {
        self.call(move |engine| {
            engine.bury_workers(now)?;
            all(&engine.connection.transaction()?)
        })
        .await
    }

    async fn begin_plan(&self, new: &NewCampaign, pid: u32, now: Timestamp) -> Result<Begun, RecordError> {
        let new = new.clone();
        self.call(move |engine| {
            engine.bury_workers(now)?;
            let owner = engine.owners.own()?;
            engine.connection.pragma_update(None, "cache_size", -PLAN_CACHE_KIB)?;
            engine.write(|transaction| begin_plan(transaction, &new, &owner, pid, now))
        })
        .await
    }

    async fn add_recipients(&self, planner: &Worker, batch: Vec<NewRecipient>) -> Result<Added, RecordError> {
        let planner = *planner;
        self.call(move |engine| engine.write(|transaction| add_recipients(transaction, &planner, batch))).await
    }

    async fn seal_plan(
        &self,
        planner: &Worker,
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let planner = *planner;
        self.call(move |engine| {
            engine.write(|transaction| seal_plan(transaction, &planner, digest, malformed, now))?;
            engine.connection.pragma_update(None, "cache_size", -USUAL_CACHE_KIB)?;
            Ok(())
        })
        .await
    }

    async fn change(&self, campaign: CampaignId, change: Change) -> Result<(), RecordError> {
        self.call(move |engine| {
            engine.write(|transaction| {
                let mut stored = load(transaction, campaign)?;
                let row = &mut stored.campaign;
                match change {
                    Change::Pause(why) => row.paused = Some(why),
                    Change::Unpause(why) => row.paused = row.paused.take().filter(|paused| *paused != why),
                    Change::Uploads(more) => row.uploads += more,
                    Change::Settings(settings) => row.settings = settings,
                    Change::FreezeAssets(assets) => row.assets = row.assets.take().or(Some(assets)),
                    Change::Stage(stage, why) => (row.stage, row.paused) = (stage, Some(why)),
                }
                save(transaction, &stored)
            })
        })
        .await
    }

    async fn suppress(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        let (recipients, reason) = (recipients.to_vec(), reason.to_owned());
        self.call(move |engine| {
            engine.bury_workers(now)?;
            engine.write(|transaction| suppress(transaction, campaign, &recipients, &reason, now))
        })
        .await
    }

    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError> {
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            let stored = load(&transaction, campaign)?;
            let first = sheet(&transaction, &stored).recipients_behind(0, 1)?;
            Ok(first.into_iter().next().map(|(_, recipient)| recipient))
        })
        .await
    }

    async fn place_of(&self, campaign: CampaignId, nth: u64) -> Result<Option<u64>, RecordError> {
        self.call(move |engine| {
            let sql = "SELECT seq FROM campaign_recipients WHERE campaign = ?1 ORDER BY seq LIMIT 1 OFFSET ?2";
            let mut query = engine.connection.prepare_cached(sql)?;
            let values = [campaign.0, signed(nth.saturating_sub(1))];
            Ok(query.query_row(values, |row| row.get(0)).optional()?.map(unsigned))
        })
        .await
    }

    async fn begin_again(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let recipients = recipients.to_vec();
        self.call(move |engine| engine.write(|transaction| begin_again(transaction, campaign, &recipients, now))).await
    }

    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError> {
        self.call(move |engine| {
            let sql = "SELECT count(*) FROM campaign_recipients WHERE campaign = ?1 AND last_interaction_at < ?2";
            let mut query = engine.connection.prepare_cached(sql)?;
            Ok(unsigned(query.query_row([campaign.0, since.as_unix_millis()], |row| row.get(0))?))
        })
        .await
    }

    async fn count(&self, campaign: CampaignId, now: Timestamp) -> Result<Vec<PartCount>, RecordError> {
        self.call(move |engine| {
            engine.bury_workers(now)?;
            let transaction = engine.connection.transaction()?;
            let stored = load(&transaction, campaign)?;
            sheet(&transaction, &stored).count(stored.campaign.recipients)
        })
        .await
    }

    async fn deliveries(
        &self,
        campaign: CampaignId,
        state: Option<State>,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<ListedDelivery>, RecordError> {
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            let stored = load(&transaction, campaign)?;
            sheet(&transaction, &stored).list(state, after, limit)
        })
        .await
    }

    async fn decide(&self, campaign: CampaignId, entries: &[Entry]) -> Result<(), RecordError> {
        let entries = entries.to_vec();
        self.call(move |engine| {
            engine.write(|transaction| {
                let stored = load(transaction, campaign)?;
                let mut sheet = sheet(transaction, &stored);
                entries.iter().try_for_each(|entry| sheet.apply(entry, None))
            })
        })
        .await
    }
}

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
            Reach::These(people) => (Some(people.to_vec()), u64::MAX),
            Reach::UpTo(seq) => (None, seq),
            Reach::All => (None, u64::MAX),
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
                let (parts, paused): (u8, bool) = transaction
                    .prepare_cached("SELECT parts, paused IS NOT NULL FROM campaigns WHERE id = ?1")?
                    .query_row([worker.campaign.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Sheet { transaction, campaign: worker.campaign, parts }.write(
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
        self.call(move |engine| engine.write(|transaction| bury(transaction, worker.campaign, worker.epoch, now))).await
    }
}

impl Engine {
    /// Settles what workers left whose process is gone.
    pub(super) fn bury_workers(&mut self, now: Timestamp) -> Result<(), Fault> {
        let dead = dead_workers(&self.connection.transaction()?, &self.owners)?;
        if dead.is_empty() {
            return Ok(());
        }
        let owners = &self.owners;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = transaction.total_changes();
        // Somebody else may have done so meanwhile.
        for (campaign, epoch) in dead_workers(&transaction, owners)? {
            bury(&transaction, campaign, epoch, now)?;
        }
        commit(transaction, before, &mut self.mark)
    }
}

fn dead_workers(transaction: &Transaction, owners: &Owners) -> Result<Vec<(CampaignId, i64)>, Fault> {
    let mut query = transaction.prepare_cached("SELECT campaign, id, owner FROM campaign_workers")?;
    let workers = query.query_map([], |row| Ok((CampaignId(row.get(0)?), row.get(1)?, row.get::<_, String>(2)?)))?;
    let mut dead = Vec::new();
    for worker in workers {
        let (campaign, epoch, owner) = worker?;
        if !owners.is_alive(&owner)? {
            dead.push((campaign, epoch));
        }
    }
    Ok(dead)
}

fn bury(transaction: &Transaction, campaign: CampaignId, epoch: i64, now: Timestamp) -> Result<(), Fault> {
    let stored = load(transaction, campaign)?;
    sheet(transaction, &stored).abandon(epoch, now)?;
    transaction.prepare_cached("DELETE FROM campaign_workers WHERE id = ?1")?.execute([epoch])?;
    Ok(())
}

fn holder(transaction: &Transaction, campaign: CampaignId) -> Result<Option<Holder>, Fault> {
    Ok(transaction
        .prepare_cached("SELECT pid, since FROM campaign_workers WHERE campaign = ?1")?
        .query_row([campaign.0], |row| Ok(Holder { pid: row.get(0)?, since: Timestamp::from_unix_millis(row.get(1)?) }))
        .optional()?)
}

fn enlist(
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

fn begin_plan(
    transaction: &Transaction,
    new: &NewCampaign,
    owner: &str,
    pid: u32,
    now: Timestamp,
) -> Result<Begun, Fault> {
    let space = space_id_for_writing(transaction, &new.space)?;
    let id = match id_of(transaction, space, &new.name)? {
        Some(id) => id,
        None => create(transaction, space, new, now)?,
    };
    let mut stored = load(transaction, id)?;
    if stored.campaign.holder.is_none() && stored.campaign.digest != new.replaces {
        return Ok(Begun::Overtaken);
    }
    let worker = match enlist(transaction, id, owner, pid, now)? {
        Enlisted::Held(holder) => return Ok(Begun::Held(holder)),
        Enlisted::Won(worker) => worker,
    };
    if stored.campaign.parts != new.parts && has_deliveries(transaction, id)? {
        let error = format!("something was sent already, in {} parts, and not {}", stored.campaign.parts, new.parts);
        return Err(Fault::Refused(error.into()));
    }
    stored.generation += 1;
    let row = &mut stored.campaign;
    if row.message != new.message {
        row.stage = 0;
    }
    (row.message, row.settings, row.parts) = (new.message.clone(), new.settings.clone(), new.parts);
    (row.digest, row.assets, row.paused, row.planned_at) = (None, None, None, now);
    (row.duplicates, row.malformed) = (0, 0);
    save(transaction, &stored)?;
    Ok(Begun::Won(worker))
}

fn create(transaction: &Transaction, space: i64, new: &NewCampaign, now: Timestamp) -> Result<CampaignId, Fault> {
    transaction.prepare_cached(
        "INSERT INTO campaigns (space, name, message, settings, parts, recipients, duplicates, malformed, uploads, planned_at,
         frontier, generation, checksum) VALUES (?1, ?2, '', '', ?3, 0, 0, 0, 0, ?4, 0, 0, 0)",
    )?
    .execute(params![space, new.name.as_str(), new.parts, now.as_unix_millis()])?;
    let campaign = Campaign {
        id: CampaignId(transaction.last_insert_rowid()),
        space: new.space.clone(),
        name: new.name.clone(),
        message: String::new(),
        settings: String::new(),
        parts: new.parts,
        digest: None,
        assets: None,
        recipients: 0,
        duplicates: 0,
        malformed: 0,
        uploads: 0,
        paused: None,
        planned_at: now,
        started_at: None,
        stage: 0,
        holder: None,
    };
    let id = campaign.id;
    save(transaction, &Stored { campaign, frontier: 0, generation: 0 })?;
    Ok(id)
}

fn has_deliveries(transaction: &Transaction, id: CampaignId) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE campaign = ?1)";
    Ok(transaction.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?)
}

fn is_enlisted(transaction: &Transaction, worker: &Worker) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM campaign_workers WHERE id = ?1 AND campaign = ?2)";
    let values = [worker.epoch, worker.campaign.0];
    Ok(transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

fn must_plan(transaction: &Transaction, planner: &Worker) -> Result<Stored, Fault> {
    let stored = load(transaction, planner.campaign)?;
    if is_enlisted(transaction, planner)? && stored.campaign.digest.is_none() {
        Ok(stored)
    } else {
        Err(Fault::Refused("nobody is planning the campaign any more".into()))
    }
}

fn add_recipients(transaction: &Transaction, planner: &Worker, batch: Vec<NewRecipient>) -> Result<Added, Fault> {
    let mut stored = must_plan(transaction, planner)?;
    let (id, generation) = (planner.campaign, stored.generation);
    let mut seq: i64 = transaction
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM campaign_recipients WHERE campaign = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO campaign_recipients VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    let mut find = transaction
        .prepare_cached("SELECT seq, generation FROM campaign_recipients WHERE campaign = ?1 AND recipient = ?2")?;
    let mut update = transaction.prepare_cached(
        "UPDATE campaign_recipients SET variables = ?3, last_interaction_at = ?4, generation = ?5, checksum = ?6, timezone = ?7
         WHERE campaign = ?1 AND seq = ?2",
    )?;
    let mut added = Added::default();
    for NewRecipient { recipient, variables, last_interaction_at, timezone } in batch {
        let recipient = recipient.to_string();
        let variables = (!variables.is_empty()).then(|| serde_json::Value::Object(variables).to_string());
        let last = last_interaction_at.map(Timestamp::as_unix_millis);
        let row = (variables.as_deref(), last, timezone.as_deref());
        let checksum = |seq| recipient_checksum(id, seq, &recipient, row, generation);
        let next = seq + 1;
        if insert.execute(params![id.0, next, recipient, variables, last, generation, checksum(next), timezone])? == 1 {
            seq = next;
            added.accepted += 1;
            continue;
        }
        let (known, last_named): (i64, i64) =
            find.query_row(params![id.0, recipient], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if last_named == generation {
            added.duplicates += 1;
        } else {
            update.execute(params![id.0, known, variables, last, generation, checksum(known), timezone])?;
            added.accepted += 1;
        }
    }
    stored.campaign.duplicates += added.duplicates;
    save(transaction, &stored)?;
    Ok(added)
}

fn seal_plan(
    transaction: &Transaction,
    planner: &Worker,
    digest: PlanDigest,
    malformed: u64,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut stored = must_plan(transaction, planner)?;
    let id = planner.campaign;
    if stored.generation > 1 {
        leave_out(transaction, &stored, now)?;
    }
    stored.campaign.recipients = unsigned(
        transaction
            .prepare_cached("SELECT count(*) FROM campaign_recipients WHERE campaign = ?1")?
            .query_row([id.0], |row| row.get(0))?,
    );
    stored.campaign.digest = Some(digest);
    stored.campaign.malformed = malformed;
    save(transaction, &stored)?;
    transaction.prepare_cached("DELETE FROM campaign_workers WHERE id = ?1")?.execute([planner.epoch])?;
    Ok(())
}

/// Lets go of people earlier plans named and this one does not: to those who got something, nothing more is sent.
fn leave_out(transaction: &Transaction, stored: &Stored, now: Timestamp) -> Result<(), Fault> {
    let id = stored.campaign.id;
    let values = [id.0, stored.generation];
    transaction.execute(
        "DELETE FROM campaign_recipients WHERE campaign = ?1 AND generation < ?2 AND NOT EXISTS
         (SELECT 1 FROM deliveries WHERE campaign = ?1 AND seq = campaign_recipients.seq)",
        values,
    )?;
    let mut query =
        transaction.prepare("SELECT seq FROM campaign_recipients WHERE campaign = ?1 AND generation < ?2")?;
    let left: Vec<i64> = query.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut sheet = sheet(transaction, stored);
    for seq in left {
        sheet.drop_rest(unsigned(seq), "no longer on the list", now)?;
    }
    Ok(())
}

fn suppress(
    transaction: &Transaction,
    campaign: CampaignId,
    recipients: &[Recipient],
    reason: &str,
    now: Timestamp,
) -> Result<u64, Fault> {
    let stored = must_be_free(transaction, campaign)?;
    let mut sheet = sheet(transaction, &stored);
    let mut dropped = 0;
    for seq in seqs_of(transaction, campaign, recipients)? {
        dropped += u64::from(sheet.drop_rest(seq, reason, now)?);
    }
    Ok(dropped)
}

fn begin_again(
    transaction: &Transaction,
    campaign: CampaignId,
    recipients: &[Recipient],
    now: Timestamp,
) -> Result<(), Fault> {
    let stored = must_be_free(transaction, campaign)?;
    let mut sheet = sheet(transaction, &stored);
    seqs_of(transaction, campaign, recipients)?.into_iter().try_for_each(|seq| sheet.begin_again(seq, now))
}

/// The campaign, which nobody plans or sends.
fn must_be_free(transaction: &Transaction, campaign: CampaignId) -> Result<Stored, Fault> {
    match holder(transaction, campaign)? {
        Some(holder) => Err(Fault::Refused(format!("process {} is at it", holder.pid).into())),
        None => load(transaction, campaign),
    }
}

/// The places of those of them who are on the list.
fn seqs_of(transaction: &Transaction, campaign: CampaignId, recipients: &[Recipient]) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT seq FROM campaign_recipients WHERE campaign = ?1 AND recipient = ?2";
    let mut find = transaction.prepare_cached(sql)?;
    let mut seqs = Vec::new();
    for recipient in recipients {
        let seq = find.query_row(params![campaign.0, recipient.to_string()], |row| row.get(0)).optional()?;
        seqs.extend(seq.map(unsigned));
    }
    Ok(seqs)
}

fn sheet<'t>(transaction: &'t Transaction<'t>, stored: &Stored) -> Sheet<'t> {
    Sheet { transaction, campaign: stored.campaign.id, parts: stored.campaign.parts }
}

/// The ledger of a campaign.
pub(super) fn load_sheet<'t>(transaction: &'t Transaction<'t>, id: CampaignId) -> Result<Sheet<'t>, Fault> {
    Ok(sheet(transaction, &load(transaction, id)?))
}

/// Every campaign of a Page.
pub(super) fn campaigns_of(transaction: &Transaction, space: &KeySpace) -> Result<Vec<CampaignId>, Fault> {
    let Some(space) = space_id(transaction, space)? else { return Ok(Vec::new()) };
    let mut query = transaction.prepare_cached("SELECT id FROM campaigns WHERE space = ?1 ORDER BY id")?;
    let ids = query.query_map([space], |row| row.get(0).map(CampaignId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn id_of(transaction: &Transaction, space: i64, name: &CampaignName) -> Result<Option<CampaignId>, Fault> {
    Ok(transaction
        .prepare_cached("SELECT id FROM campaigns WHERE space = ?1 AND name = ?2")?
        .query_row(params![space, name.as_str()], |row| row.get(0).map(CampaignId))
        .optional()?)
}

fn all(transaction: &Transaction) -> Result<Vec<Campaign>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id FROM campaigns ORDER BY id")?;
    let ids: Vec<i64> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| Ok(load(transaction, CampaignId(id))?.campaign)).collect()
}

fn load(transaction: &Transaction, id: CampaignId) -> Result<Stored, Fault> {
    let (stored, stored_checksum) = load_unchecked(transaction, id)?;
    if stored_checksum != i64::from(checksum(&stored)) {
        return Err(rows::damaged(TABLE, format!("the checksum of {} is wrong", stored.campaign.name)).into());
    }
    Ok(stored)
}

/// Gives a row that came from elsewhere the checksum it would have had.
pub(super) fn seal_row(transaction: &Transaction, id: CampaignId) -> Result<(), Fault> {
    save(transaction, &load_unchecked(transaction, id)?.0)
}

fn load_unchecked(transaction: &Transaction, id: CampaignId) -> Result<(Stored, i64), Fault> {
    let mut query = transaction.prepare_cached(
        "SELECT space, name, message, settings, parts, digest, assets, recipients, duplicates, malformed, uploads, paused,
         planned_at, started_at, frontier, generation, checksum, stage FROM campaigns WHERE id = ?1",
    )?;
    let mut found = query.query([id.0])?;
    let Some(row) = found.next()? else {
        return Err(Fault::Refused(format!("there is no campaign {}", id.0).into()));
    };
    let number = |index| column::<i64>(row, TABLE, index);
    let text = |index| column::<String>(row, TABLE, index);
    let space = number(0)?;
    let key_space = spaces(transaction)?.into_iter().find(|(known, _)| *known == space);
    let (_, key_space) = key_space.ok_or_else(|| rows::damaged(TABLE, format!("there is no space {space}")))?;
    let campaign = Campaign {
        id,
        space: key_space,
        name: rows::parse(TABLE, &text(1)?)?,
        message: text(2)?,
        settings: text(3)?,
        parts: column(row, TABLE, 4)?,
        digest: column(row, TABLE, 5)?,
        assets: column(row, TABLE, 6)?,
        recipients: unsigned(number(7)?),
        duplicates: unsigned(number(8)?),
        malformed: unsigned(number(9)?),
        uploads: unsigned(number(10)?),
        paused: column(row, TABLE, 11)?,
        planned_at: Timestamp::from_unix_millis(number(12)?),
        started_at: column::<Option<i64>>(row, TABLE, 13)?.map(Timestamp::from_unix_millis),
        stage: column(row, TABLE, 17)?,
        holder: holder(transaction, id)?,
    };
    Ok((Stored { campaign, frontier: unsigned(number(14)?), generation: number(15)? }, number(16)?))
}

fn save(transaction: &Transaction, stored: &Stored) -> Result<(), Fault> {
    let Stored { campaign, frontier, generation } = stored;
    transaction
        .prepare_cached(
            "UPDATE campaigns SET message = ?2, settings = ?3, parts = ?4, digest = ?5, assets = ?6, recipients = ?7,
             duplicates = ?8, malformed = ?9, uploads = ?10, paused = ?11, planned_at = ?12, started_at = ?13,
             frontier = ?14, generation = ?15, checksum = ?16, stage = ?17 WHERE id = ?1",
        )?
        .execute(params![
            campaign.id.0,
            campaign.message,
            campaign.settings,
            campaign.parts,
            campaign.digest,
            campaign.assets,
            signed(campaign.recipients),
            signed(campaign.duplicates),
            signed(campaign.malformed),
            signed(campaign.uploads),
            campaign.paused,
            campaign.planned_at.as_unix_millis(),
            campaign.started_at.map(Timestamp::as_unix_millis),
            signed(*frontier),
            generation,
            checksum(stored),
            campaign.stage,
        ])?;
    Ok(())
}

fn checksum(stored: &Stored) -> u32 {
    let Campaign { id, space, name, message, settings, parts, digest, assets, .. } = &stored.campaign;
    let Campaign { recipients, duplicates, malformed, uploads, paused, planned_at, started_at, .. } = &stored.campaign;
    let names = (id.0, space.origin.as_str(), space.page.as_str(), space.platform.as_str(), name.as_str());
    let what = (message, settings, parts, digest, assets);
    let numbers = (recipients, duplicates, malformed, uploads, stored.frontier, stored.generation);
    let times = (planned_at.as_unix_millis(), started_at.map(Timestamp::as_unix_millis));
    rows::crc_with(&(names, what, numbers, paused, times), Some(stored.campaign.stage).filter(|stage| *stage > 0))
}

pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    const PAGE: usize = 1_000;
    let mut query = transaction.prepare("SELECT id FROM campaigns ORDER BY id")?;
    let ids: Vec<i64> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in ids {
        let stored = load(transaction, CampaignId(id))?;
        let sheet = sheet(transaction, &stored);
        sheet.verify_attempts()?;
        let mut last = None;
        loop {
            let page = sheet.list(None, last, PAGE)?;
            let Some(listed) = page.into_iter().next_back() else { break };
            last = Some(listed.key);
        }
    }
    Ok(())
}
