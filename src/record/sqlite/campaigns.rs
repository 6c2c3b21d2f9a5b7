//! Campaigns: the tables `campaigns` and `campaign_recipients`, and who may change them when.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};

use super::SqliteRecord;
use super::deliveries::Sheet;
use super::fault::Fault;
use super::ledger::{holder, seqs_of};
use super::plans::{add_recipients, begin_plan, readmit, seal_plan};
use super::uploads::{column, space_id, space_of};
use crate::clock::Timestamp;
use crate::delivery::{EXPIRED, SUPPRESSED, State, WINDOW};
use crate::ids::{CampaignName, KeySpace, Recipient};
use crate::record::campaigns::{LOST, is_lost, paused_anew};
use crate::record::delivery_rows::{DeliveryRows, is_meant, is_waiting};
use crate::record::rows::{self, signed, unsigned};
use crate::record::{
    Added, Begun, Campaign, CampaignId, Campaigns, Change, DeliveryKey, Entry, ListedDelivery, NewCampaign,
    NewRecipient, PartCount, PlanDigest, RecordError, Worker,
};

const TABLE: &str = "campaigns";
/// The number of a campaign's last plan.
const PLAN: &str = "(SELECT generation FROM campaigns WHERE id = ?1)";
/// How much of the file a plan keeps in memory, in KiB: the index of a million recipients, nearly.
const PLAN_CACHE_KIB: i64 = 48 * 1024;
/// How much anything else does: what SQLite itself takes.
const USUAL_CACHE_KIB: i64 = 2_000;

/// A row of `campaigns`.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) campaign: Campaign,
    pub(super) frontier: u64,
    pub(super) generation: i64,
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
        new: &NewCampaign,
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let (planner, new) = (*planner, new.clone());
        self.call(move |engine| {
            engine.write(|transaction| seal_plan(transaction, &planner, &new, (digest, malformed), now))?;
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
                    Change::Pause(why) => row.paused = Some(paused_anew(row.paused.as_deref(), why)),
                    Change::PauseUnlessPaused(why) => row.paused = row.paused.take().or(Some(why)),
                    Change::Unpause(why) => row.paused = row.paused.take().filter(|paused| *paused != why),
                    Change::Uploads(more) => row.uploads += more,
                    Change::Settings(settings) => {
                        let is_another = row.settings != settings;
                        row.settings = settings;
                        if is_another {
                            readmit(transaction, &stored, &[WINDOW, EXPIRED], stored.campaign.planned_at)?;
                        }
                    }
                    Change::FreezeAssets(assets) => row.assets = row.assets.take().or(Some(assets)),
                    Change::ThawAssets => row.assets = None,
                    Change::Stage(stage, why) if row.stage < stage => {
                        let before = row.paused.take().map(|before| before + "; ").unwrap_or_default();
                        (row.stage, row.paused) = (stage, Some(before + &why));
                    }
                    Change::Stage(..) => {}
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
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        let recipients = recipients.to_vec();
        self.call(move |engine| {
            engine.bury_workers(now)?;
            engine.write(|transaction| suppress(transaction, campaign, &recipients, now))
        })
        .await
    }

    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError> {
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            let stored = load(&transaction, campaign)?;
            // Whom an earlier plan named has other variables. Where nobody is left, anybody will do.
            let sql = format!("SELECT min(seq) FROM campaign_recipients WHERE campaign = ?1 AND generation = {PLAN}");
            let first: Option<i64> = transaction.query_row(&sql, [campaign.0], |row| row.get(0))?;
            let before = first.map_or(0, |first| unsigned(first).saturating_sub(1));
            let first = sheet(&transaction, &stored).recipients_behind(before, 1)?;
            Ok(first.into_iter().next().map(|(_, recipient)| recipient))
        })
        .await
    }

    async fn count_untouched(
        &self,
        campaign: CampaignId,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<u64, RecordError> {
        let but_for: Vec<String> = but_for.iter().map(ToString::to_string).collect();
        let but_for = serde_json::json!(but_for).to_string();
        self.call(move |engine| {
            let sql = format!(
                "SELECT count(*) FROM campaign_recipients WHERE campaign = ?1 AND {}
                 AND recipient NOT IN (SELECT value FROM json_each(?2))",
                is_meant(since, PLAN)
            );
            let mut query = engine.connection.prepare_cached(&sql)?;
            Ok(unsigned(query.query_row(params![campaign.0, but_for], |row| row.get(0))?))
        })
        .await
    }

    async fn place_of(
        &self,
        campaign: CampaignId,
        nth: u64,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<Option<u64>, RecordError> {
        let but_for: Vec<String> = but_for.iter().map(ToString::to_string).collect();
        let but_for = serde_json::json!(but_for).to_string();
        self.call(move |engine| {
            let sql = format!(
                "SELECT seq FROM campaign_recipients WHERE campaign = ?1 AND {}
                 AND recipient NOT IN (SELECT value FROM json_each(?3)) ORDER BY seq LIMIT 1 OFFSET ?2",
                is_meant(since, PLAN)
            );
            let mut query = engine.connection.prepare_cached(&sql)?;
            let values = params![campaign.0, signed(nth.saturating_sub(1)), but_for];
            Ok(query.query_row(values, |row| row.get(0)).optional()?.map(unsigned))
        })
        .await
    }

    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError> {
        self.call(move |engine| {
            let sql = format!(
                "SELECT count(*) FROM campaign_recipients WHERE campaign = ?1 AND last_interaction_at < ?2 AND {}",
                is_waiting(PLAN)
            );
            let mut query = engine.connection.prepare_cached(&sql)?;
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

fn suppress(
    transaction: &Transaction,
    campaign: CampaignId,
    recipients: &[Recipient],
    now: Timestamp,
) -> Result<u64, Fault> {
    let stored = must_be_free(transaction, campaign)?;
    let mut sheet = sheet(transaction, &stored);
    let mut dropped = 0;
    for seq in seqs_of(transaction, campaign, recipients)? {
        dropped += u64::from(sheet.drop_rest(seq, SUPPRESSED, now)?);
        sheet.take_off_every_list(seq)?;
    }
    Ok(dropped)
}

/// The campaign, which nobody plans or sends.
fn must_be_free(transaction: &Transaction, campaign: CampaignId) -> Result<Stored, Fault> {
    match holder(transaction, campaign)? {
        Some(holder) => Err(Fault::Refused(format!("process {} is at it", holder.pid).into())),
        None => load(transaction, campaign),
    }
}

pub(super) fn sheet<'t>(transaction: &'t Transaction<'t>, stored: &Stored) -> Sheet<'t> {
    let Stored { campaign: Campaign { id, parts, digest, .. }, frontier, generation } = stored;
    Sheet { transaction, campaign: *id, parts: *parts, frontier: *frontier, plan: digest.map(|_| *generation) }
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

pub(super) fn id_of(transaction: &Transaction, space: i64, name: &CampaignName) -> Result<Option<CampaignId>, Fault> {
    Ok(transaction
        .prepare_cached("SELECT id FROM campaigns WHERE space = ?1 AND name = ?2")?
        .query_row(params![space, name.as_str()], |row| row.get(0).map(CampaignId))
        .optional()?)
}

/// Pauses whatever still has somebody to send to, for the record may have lost some of what it knew.
pub(super) fn pause_what_is_left(transaction: &Transaction) -> Result<(), Fault> {
    for id in with_somebody_left(transaction)? {
        let mut stored = load(transaction, id)?;
        if !is_lost(stored.campaign.paused.as_deref()) {
            stored.campaign.paused = Some(LOST.to_owned());
            save(transaction, &stored)?;
        }
    }
    Ok(())
}

pub(super) fn with_somebody_left(transaction: &Transaction) -> Result<Vec<CampaignId>, Fault> {
    let mut query = transaction.prepare_cached(
        "SELECT id FROM campaigns
         WHERE EXISTS (SELECT 1 FROM campaign_recipients WHERE campaign = campaigns.id AND seq > frontier)
             OR EXISTS (SELECT 1 FROM deliveries WHERE campaign = campaigns.id AND state IN ('planned', 'retry_at'))
             OR EXISTS (SELECT 1 FROM campaign_workers WHERE campaign = campaigns.id)
         ORDER BY id",
    )?;
    let ids = query.query_map([], |row| row.get(0).map(CampaignId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn all(transaction: &Transaction) -> Result<Vec<Campaign>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id FROM campaigns ORDER BY id")?;
    let ids: Vec<i64> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| Ok(load(transaction, CampaignId(id))?.campaign)).collect()
}

pub(super) fn load(transaction: &Transaction, id: CampaignId) -> Result<Stored, Fault> {
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
    let campaign = Campaign {
        id,
        space: space_of(transaction, number(0)?)?,
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
        plans: unsigned(number(15)?),
        started_at: column::<Option<i64>>(row, TABLE, 13)?.map(Timestamp::from_unix_millis),
        stage: column(row, TABLE, 17)?,
        holder: holder(transaction, id)?,
    };
    Ok((Stored { campaign, frontier: unsigned(number(14)?), generation: number(15)? }, number(16)?))
}

pub(super) fn save(transaction: &Transaction, stored: &Stored) -> Result<(), Fault> {
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
