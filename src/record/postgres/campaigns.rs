//! Campaigns: the tables `campaigns` and `campaign_recipients`, and who may change them when.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresRecord;
use super::deliveries::{self, Sheet, by_and_by};
use super::fault::Fault;
use super::ledger::{holder, holder_in, seqs};
use super::plans::{add_recipients, begin_plan, readmit, seal_plan};
use super::session::Tx;
use super::uploads::{column, space, space_id};
use crate::clock::Timestamp;
use crate::delivery::{EXPIRED, SUPPRESSED, State, WINDOW};
use crate::ids::{CampaignName, KeySpace, Recipient};
use crate::record::campaigns::{LOST, NO_PLAN};
use crate::record::delivery_rows::{DeliveryRows, is_meant, is_waiting};
use crate::record::rows::{self, signed, unsigned};
use crate::record::{
    Added, Begun, Campaign, CampaignId, Campaigns, Change, DeliveryKey, Entry, ListedDelivery, NewCampaign,
    NewRecipient, PartCount, PlanDigest, RecordError, Worker,
};

pub(super) const TABLE: &str = "campaigns";
/// The number of a campaign's last plan.
const PLAN: &str = "(SELECT generation FROM campaigns WHERE id = $1)";

/// A row of `campaigns`, locked until the transaction ends.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) campaign: Campaign,
    pub(super) generation: i64,
}

#[async_trait]
impl Campaigns for PostgresRecord {
    async fn campaign(
        &self,
        space: &KeySpace,
        name: &CampaignName,
        now: Timestamp,
    ) -> Result<Option<Campaign>, RecordError> {
        self.bury_workers(now).await?;
        self.sessions
            .read(|tx| async move {
                let Some(space) = space_id(&tx, space).await? else { return Ok(None) };
                let Some(id) = id_of(&tx, space, name).await? else { return Ok(None) };
                Ok(Some(load(&tx, id).await?))
            })
            .await
    }

    async fn campaigns(&self, now: Timestamp) -> Result<Vec<Campaign>, RecordError> {
        self.bury_workers(now).await?;
        self.sessions
            .ask(|tx| async move {
                let rows = tx.rows(&format!("{SELECT} ORDER BY campaigns.id"), &[]).await?;
                rows.iter().map(|row| Ok(read(row)?.campaign)).collect()
            })
            .await
    }

    async fn begin_plan(&self, new: &NewCampaign, pid: u32, now: Timestamp) -> Result<Begun, RecordError> {
        self.retire_abandoned(now).await;
        self.bury_workers(now).await?;
        let owner = self.own().await?;
        self.sessions.write(|tx| async move { begin_plan(&tx, new, owner, pid, now).await }).await
    }

    async fn add_recipients(&self, planner: &Worker, batch: Vec<NewRecipient>) -> Result<Added, RecordError> {
        let batch = &batch;
        self.sessions.write(|tx| async move { add_recipients(&tx, planner, batch).await }).await
    }

    async fn seal_plan(
        &self,
        planner: &Worker,
        new: &NewCampaign,
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { seal_plan(&tx, planner, new, (digest, malformed), now).await }).await
    }

    async fn change(&self, campaign: CampaignId, change: Change) -> Result<(), RecordError> {
        let change = &change;
        self.sessions
            .write(|tx| async move {
                let mut number = 0;
                let anew;
                let (set, value): (&str, &(dyn ToSql + Sync)) = match change {
                    Change::Pause(why) => {
                        anew = format!("paused = CASE WHEN starts_with(paused, '{LOST}') THEN '{LOST}; ' || $2 ELSE $2 END");
                        (&anew, why)
                    }
                    Change::PauseUnlessPaused(why) => ("paused = coalesce(paused, $2)", why),
                    Change::Unpause(why) => ("paused = nullif(paused, $2)", why),
                    Change::Settings(settings) => {
                        let stored = lock(&tx, campaign).await?;
                        if stored.campaign.settings != *settings {
                            readmit(&tx, &stored, &[WINDOW, EXPIRED], stored.campaign.planned_at).await?;
                        }
                        ("settings = $2", settings)
                    }
                    Change::FreezeAssets(assets) => ("assets = coalesce(assets, $2)", assets),
                    Change::ThawAssets => ("assets = nullif($2::bigint, 0)::text", &number),
                    Change::Uploads(more) => {
                        number += signed(*more);
                        ("uploads = uploads + $2", &number)
                    }
                    Change::Stage(stage, why) => {
                        number += i64::from(*stage);
                        let sql = "UPDATE campaigns SET paused = coalesce(paused || '; ', '') || $2 WHERE id = $1 AND stage < $3";
                        tx.execute(sql, &[&campaign.0, why, &number]).await?;
                        ("stage = greatest(stage, $2)", &number)
                    }
                };
                match tx.execute(&format!("UPDATE campaigns SET {set} WHERE id = $1"), &[&campaign.0, value]).await? {
                    0 => Err(no_campaign(campaign)),
                    _ => Ok(()),
                }
            })
            .await
    }

    async fn suppress(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        self.bury_workers(now).await?;
        self.sessions.write(|tx| async move { suppress(&tx, campaign, recipients, now).await }).await
    }

    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError> {
        let first = self.sessions.read(|tx| async move {
            // Whom an earlier plan named has other variables. Where nobody is left, anybody will do.
            let sql = format!("SELECT min(seq) FROM campaign_recipients WHERE campaign = $1 AND generation = {PLAN}");
            let first: Option<i64> = match tx.one(&sql, &[&campaign.0]).await? {
                Some(row) => column(&row, "campaign_recipients", 0)?,
                None => None,
            };
            let before = first.map_or(0, |first| unsigned(first).saturating_sub(1));
            deliveries::recipients_behind(&tx, campaign, before, 1).await
        });
        Ok(first.await?.into_iter().next().map(|(_, recipient)| recipient))
    }

    async fn count_untouched(
        &self,
        campaign: CampaignId,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<u64, RecordError> {
        let but_for: Vec<String> = but_for.iter().map(ToString::to_string).collect();
        let but_for = &but_for;
        self.sessions
            .ask(|tx| async move {
                let sql = format!(
                    "SELECT count(*) FROM campaign_recipients WHERE campaign = $1 AND {} AND recipient <> ALL ($2)",
                    is_meant(since, PLAN)
                );
                let row = tx.one(&sql, &[&campaign.0, but_for]).await?;
                Ok(row.map(|row| column(&row, TABLE, 0).map(unsigned)).transpose()?.unwrap_or_default())
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
        let but_for = &but_for;
        self.sessions
            .ask(|tx| async move {
                let sql = format!(
                    "SELECT seq FROM campaign_recipients WHERE campaign = $1 AND {} AND recipient <> ALL ($3)
                     ORDER BY seq LIMIT 1 OFFSET $2",
                    is_meant(since, PLAN)
                );
                let found = tx.one(&sql, &[&campaign.0, &signed(nth.saturating_sub(1)), but_for]).await?;
                Ok(found.map(|row| column(&row, TABLE, 0).map(unsigned)).transpose()?)
            })
            .await
    }

    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let sql = format!(
                    "SELECT count(*) FROM campaign_recipients WHERE campaign = $1 AND last_interaction_at < $2 AND {}",
                    is_waiting(PLAN)
                );
                number(&tx, &sql, campaign, since.as_unix_millis()).await
            })
            .await
    }

    async fn count(&self, campaign: CampaignId, now: Timestamp) -> Result<Vec<PartCount>, RecordError> {
        self.bury_workers(now).await?;
        self.sessions
            .read(|tx| async move {
                let Campaign { parts, recipients, .. } = load(&tx, campaign).await?;
                deliveries::count(&tx, campaign, parts, recipients).await
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
        self.sessions
            .read(|tx| async move {
                let parts = parts_of(&tx, campaign).await?;
                deliveries::list(&tx, campaign, parts, state, after, limit).await
            })
            .await
    }

    async fn decide(&self, campaign: CampaignId, entries: &[Entry]) -> Result<(), RecordError> {
        self.sessions
            .write(|tx| async move {
                let parts = parts_of(&tx, campaign).await?;
                let seqs = seqs(entries);
                let mut sheet = Sheet::of(&tx, campaign, parts, &seqs).await?.with_the_list(&tx, &seqs).await?;
                entries.iter().try_for_each(|entry| sheet.apply(entry, None))?;
                sheet.save(&tx).await
            })
            .await
    }
}

async fn suppress(tx: &Tx, campaign: CampaignId, recipients: &[Recipient], now: Timestamp) -> Result<u64, Fault> {
    let parts = must_be_free(tx, campaign).await?;
    let people = seqs_of(tx, campaign, recipients).await?;
    let seqs: Vec<i64> = people.iter().copied().map(signed).collect();
    let sql = "UPDATE campaign_recipients SET generation = $3 WHERE campaign = $1 AND seq = ANY ($2)";
    tx.execute(sql, &[&campaign.0, &seqs, &NO_PLAN]).await?;
    drop_rest(tx, (campaign, parts), people, SUPPRESSED, now).await
}

/// How many parts a campaign has which nobody plans or sends, and nobody begins to before the transaction ends.
async fn must_be_free(tx: &Tx, campaign: CampaignId) -> Result<u8, Fault> {
    let parts = lock(tx, campaign).await?.campaign.parts;
    match holder(tx, campaign, "").await? {
        Some(holder) => Err(Fault::Refused(format!("process {} is at it", holder.pid).into())),
        None => Ok(parts),
    }
}

/// The places of those of them who are on the list, in the order in which they are named.
pub(super) async fn seqs_of(tx: &Tx, campaign: CampaignId, recipients: &[Recipient]) -> Result<Vec<u64>, Fault> {
    let names: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    let sql = "SELECT seq FROM unnest($2::text[]) WITH ORDINALITY AS named (recipient, place)
               JOIN campaign_recipients USING (recipient) WHERE campaign = $1 ORDER BY place";
    let found = tx.rows(sql, &[&campaign.0, &names]).await?;
    found.iter().map(|row| Ok(unsigned(column(row, TABLE, 0)?))).collect()
}

/// Skips all that is not yet sent to these people; says to how many of them something was to be sent.
pub(super) async fn drop_rest(
    tx: &Tx,
    (campaign, parts): (CampaignId, u8),
    people: Vec<u64>,
    reason: &str,
    now: Timestamp,
) -> Result<u64, Fault> {
    let mut dropped = 0;
    for people in by_and_by(people) {
        let mut sheet = Sheet::of(tx, campaign, parts, &people).await?;
        for seq in people {
            dropped += u64::from(sheet.drop_rest(seq, reason, now)?);
        }
        sheet.save(tx).await?;
    }
    Ok(dropped)
}

pub(super) async fn id_of(tx: &Tx, space: i64, name: &CampaignName) -> Result<Option<CampaignId>, Fault> {
    let found = tx.one("SELECT id FROM campaigns WHERE space = $1 AND name = $2", &[&space, &name.as_str()]).await?;
    Ok(found.map(|row| column(&row, TABLE, 0).map(CampaignId)).transpose()?)
}

pub(super) async fn number(tx: &Tx, sql: &str, campaign: CampaignId, other: i64) -> Result<u64, Fault> {
    let row = tx.one(sql, &[&campaign.0, &other]).await?;
    Ok(row.map(|row| column(&row, TABLE, 0).map(unsigned)).transpose()?.unwrap_or_default())
}

/// All of a campaign, in the order [`read`] takes it in. Those whose lease is over hold it no longer.
const SELECT: &str = "SELECT campaigns.id, origin, page_id, platform, name, message, settings, parts, digest, assets,
        recipients, duplicates, malformed, uploads, paused, planned_at, started_at, generation, stage, holder.pid, holder.since
    FROM campaigns JOIN spaces ON spaces.id = space
    LEFT JOIN LATERAL (SELECT campaign_workers.pid, since FROM campaign_workers JOIN owners ON owners.id = owner
                       WHERE campaign = campaigns.id AND until > clock_timestamp()
                       ORDER BY campaign_workers.id LIMIT 1) AS holder ON true";

async fn load(tx: &Tx, id: CampaignId) -> Result<Campaign, Fault> {
    let row = tx.one(&format!("{SELECT} WHERE campaigns.id = $1"), &[&id.0]).await?;
    Ok(read(&row.ok_or_else(|| no_campaign(id))?)?.campaign)
}

pub(super) async fn parts_of(tx: &Tx, id: CampaignId) -> Result<u8, Fault> {
    Ok(load(tx, id).await?.parts)
}

/// The campaign, which nobody else plans, joins or moves on in until the transaction ends.
pub(super) async fn lock(tx: &Tx, id: CampaignId) -> Result<Stored, Fault> {
    let row = tx.one(&format!("{SELECT} WHERE campaigns.id = $1 FOR UPDATE OF campaigns"), &[&id.0]).await?;
    Ok(read(&row.ok_or_else(|| no_campaign(id))?)?)
}

fn no_campaign(id: CampaignId) -> Fault {
    Fault::Refused(format!("there is no campaign {}", id.0).into())
}

fn read(row: &Row) -> Result<Stored, RecordError> {
    let number = |index| column::<i64>(row, TABLE, index);
    let text = |index| column::<String>(row, TABLE, index);
    let digest: Option<Vec<u8>> = column(row, TABLE, 8)?;
    let digest = digest.map(PlanDigest::try_from).transpose();
    let campaign = Campaign {
        id: CampaignId(number(0)?),
        space: space(row, 1)?,
        name: rows::parse(TABLE, &text(4)?)?,
        message: text(5)?,
        settings: text(6)?,
        parts: parts(row, 7)?,
        digest: digest.map_err(|digest| rows::damaged(TABLE, format!("a digest of {} bytes", digest.len())))?,
        assets: column(row, TABLE, 9)?,
        recipients: unsigned(number(10)?),
        duplicates: unsigned(number(11)?),
        malformed: unsigned(number(12)?),
        uploads: unsigned(number(13)?),
        paused: column(row, TABLE, 14)?,
        planned_at: Timestamp::from_unix_millis(number(15)?),
        plans: unsigned(number(17)?),
        started_at: column::<Option<i64>>(row, TABLE, 16)?.map(Timestamp::from_unix_millis),
        stage: u8::try_from(number(18)?).map_err(|error| rows::damaged(TABLE, error))?,
        holder: holder_in(row, 19)?,
    };
    Ok(Stored { campaign, generation: number(17)? })
}

pub(super) fn parts(row: &Row, index: usize) -> Result<u8, RecordError> {
    u8::try_from(column::<i64>(row, TABLE, index)?).map_err(|error| rows::damaged(TABLE, error))
}

pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    const PAGE: usize = 1_000;
    for row in tx.rows(&format!("{SELECT} ORDER BY campaigns.id"), &[]).await? {
        let Campaign { id, parts, .. } = read(&row)?.campaign;
        let mut last = None;
        loop {
            let page = deliveries::list(tx, id, parts, None, last, PAGE).await?;
            let Some(listed) = page.into_iter().next_back() else { break };
            last = Some(listed.key);
        }
    }
    Ok(())
}
