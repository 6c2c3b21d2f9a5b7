//! Campaigns: the tables `campaigns`, `campaign_recipients` and `campaign_workers`, and who may change them when.
//!
//! One planner has a campaign alone; senders share it. A worker is as alive as its owner. When the lease is over, its
//! claimed rows pass on at once; what it had in flight is called unknown when a call begun within the lease is over too.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use futures::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::deliveries::{self, Sheet, signed, unsigned};
use super::fault::Fault;
use super::session::{ABSENCE, LONG_ABSENCE, Tx};
use super::uploads::{column, space, space_id, space_id_for_writing};
use super::{PostgresRecord, locked};
use crate::clock::{Timestamp, uptime};
use crate::delivery::State;
use crate::ids::{CampaignName, KeySpace, Recipient};
use crate::record::delivery_rows::DeliveryRows;
use crate::record::rows;
use crate::record::{
    Added, Begun, Campaign, CampaignId, Campaigns, Change, Claims, DeliveryKey, Enlisted, Entry, Holder, Ledger,
    ListedDelivery, NewCampaign, NewRecipient, PartCount, PlanDigest, Reach, RecordError, Worker, Written,
};

const TABLE: &str = "campaigns";
const WORKERS: &str = "campaign_workers";

/// How long a call may take that was begun within the lease: longer than any does.
const LONGEST_CALL: Duration = Duration::from_secs(150);

/// A row of `campaigns`, locked until the transaction ends.
#[derive(Debug, Clone)]
struct Stored {
    campaign: Campaign,
    generation: i64,
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
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { seal_plan(&tx, planner, digest, malformed, now).await }).await
    }

    async fn change(&self, campaign: CampaignId, change: Change) -> Result<(), RecordError> {
        let change = &change;
        self.sessions
            .write(|tx| async move {
                let mut number = 0;
                let (set, value): (&str, &(dyn ToSql + Sync)) = match change {
                    Change::Pause(why) => ("paused = $2", why),
                    Change::Unpause(why) => ("paused = nullif(paused, $2)", why),
                    Change::Settings(settings) => ("settings = $2", settings),
                    Change::FreezeAssets(assets) => ("assets = coalesce(assets, $2)", assets),
                    Change::Uploads(more) => {
                        number += signed(*more);
                        ("uploads = uploads + $2", &number)
                    }
                    Change::Stage(stage, why) => {
                        number += i64::from(*stage);
                        tx.execute("UPDATE campaigns SET paused = $2 WHERE id = $1", &[&campaign.0, why]).await?;
                        ("stage = $2", &number)
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
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        self.bury_workers(now).await?;
        self.sessions.write(|tx| async move { suppress(&tx, campaign, recipients, reason, now).await }).await
    }

    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError> {
        let first = self.sessions.ask(|tx| async move { deliveries::recipients_behind(&tx, campaign, 0, 1).await });
        Ok(first.await?.into_iter().next().map(|(_, recipient)| recipient))
    }

    async fn place_of(&self, campaign: CampaignId, nth: u64) -> Result<Option<u64>, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let sql = "SELECT seq FROM campaign_recipients WHERE campaign = $1 ORDER BY seq LIMIT 1 OFFSET $2";
                let found = tx.one(sql, &[&campaign.0, &signed(nth.saturating_sub(1))]).await?;
                Ok(found.map(|row| column(&row, TABLE, 0).map(unsigned)).transpose()?)
            })
            .await
    }

    async fn begin_again(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        self.bury_workers(now).await?;
        self.sessions
            .write(|tx| async move {
                let parts = must_be_free(&tx, campaign).await?;
                let people: BTreeSet<u64> = seqs_of(&tx, campaign, recipients).await?.into_iter().collect();
                let mut sheet = Sheet::of(&tx, campaign, parts, &people).await?;
                for seq in people {
                    sheet.begin_again(seq, now)?;
                }
                sheet.save(&tx).await
            })
            .await
    }

    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let sql = "SELECT count(*) FROM campaign_recipients WHERE campaign = $1 AND last_interaction_at < $2";
                number(&tx, sql, campaign, since.as_unix_millis()).await
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
                let mut sheet = Sheet::of(&tx, campaign, parts, &seqs(entries)).await?;
                entries.iter().try_for_each(|entry| sheet.apply(entry, None))?;
                sheet.save(&tx).await
            })
            .await
    }
}

#[async_trait]
impl Ledger for PostgresRecord {
    async fn enlist(&self, campaign: CampaignId, pid: u32, now: Timestamp) -> Result<Enlisted, RecordError> {
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
        self.sessions
            .write_within(LONG_ABSENCE, |tx| async move {
                let sql = "SELECT parts FROM campaigns JOIN campaign_workers ON campaign = campaigns.id
                           WHERE campaign_workers.id = $1 FOR UPDATE OF campaign_workers";
                let Some(row) = tx.one(sql, &[&worker.epoch]).await? else { return Ok(()) };
                let parts = parts(&row, 0)?;
                deliveries::abandon(&tx, worker, parts, &[State::Claimed, State::InFlight], now).await?;
                dismiss(&tx, worker.epoch).await
            })
            .await
    }
}

impl PostgresRecord {
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
                        let claims = deliveries::claim_these(&tx, worker, standing.parts, &seqs, limit, now).await?;
                        (standing, claims)
                    }
                    Reach::UpTo(_) | Reach::All => {
                        let up_to = if let Reach::UpTo(seq) = reach { signed(seq) } else { i64::MAX };
                        let waiting = deliveries::waiting(&tx, campaign, up_to, limit, now);
                        let (standing, waiting) = try_join!(standing(&tx, worker), waiting)?;
                        let standing = alive(standing)?;
                        let sheet = Sheet::empty(campaign, standing.parts);
                        (standing, deliveries::claim(&tx, worker, &waiting, sheet, (up_to, limit), now).await?)
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

async fn dismiss(tx: &Tx, epoch: i64) -> Result<(), Fault> {
    tx.execute("DELETE FROM campaign_workers WHERE id = $1", &[&epoch]).await?;
    Ok(())
}

/// What a worker may do now.
struct Standing {
    parts: u8,
    is_paused: bool,
    is_alive: bool,
    /// Whether there is something to settle of other workers.
    others_died: bool,
}

/// Nobody takes the worker for dead before the transaction ends. `Lapsed` where there is no such worker any more.
async fn standing(tx: &Tx, worker: &Worker) -> Result<Standing, Fault> {
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
async fn holder(tx: &Tx, campaign: CampaignId, condition: &str) -> Result<Option<Holder>, Fault> {
    let sql = format!("SELECT pid, since FROM campaign_workers WHERE campaign = $1 {condition} ORDER BY id LIMIT 1");
    let found = tx.one(&sql, &[&campaign.0]).await?;
    Ok(found.map(|row| holder_in(&row, 0)).transpose()?.flatten())
}

/// The holder in two columns from `first` on.
fn holder_in(row: &Row, first: usize) -> Result<Option<Holder>, RecordError> {
    let (pid, since): (Option<i64>, Option<i64>) = (column(row, WORKERS, first)?, column(row, WORKERS, first + 1)?);
    let holder = |(pid, since)| -> Result<_, RecordError> {
        let pid = u32::try_from(pid).map_err(|error| rows::damaged(WORKERS, error))?;
        Ok(Holder { pid, since: Timestamp::from_unix_millis(since) })
    };
    pid.zip(since).map(holder).transpose()
}

async fn add_worker(
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

async fn begin_plan(tx: &Tx, new: &NewCampaign, owner: i64, pid: u32, now: Timestamp) -> Result<Begun, Fault> {
    let space = space_id_for_writing(tx, &new.space).await?;
    let sql =
        "INSERT INTO campaigns (space, name, message, settings, parts, planned_at) VALUES ($1, $2, '', '', $3, $4)
               ON CONFLICT (space, name) DO NOTHING";
    tx.execute(sql, &[&space, &new.name.as_str(), &i64::from(new.parts), &now.as_unix_millis()]).await?;
    let gone = || rows::damaged(TABLE, format!("there is no campaign {}", new.name));
    let id = id_of(tx, space, &new.name).await?.ok_or_else(gone)?;
    let stored = lock(tx, id).await?;
    if let Some(holder) = holder(tx, id, "").await? {
        return Ok(Begun::Held(holder));
    }
    if stored.campaign.digest != new.replaces {
        return Ok(Begun::Overtaken);
    }
    let sql = "SELECT EXISTS (SELECT FROM deliveries WHERE campaign = $1)";
    let has_deliveries = tx.one(sql, &[&id.0]).await?.is_some_and(|row| row.get(0));
    if stored.campaign.parts != new.parts && has_deliveries {
        let error = format!("something was sent already, in {} parts, and not {}", stored.campaign.parts, new.parts);
        return Err(Fault::Refused(error.into()));
    }
    let sql =
        "UPDATE campaigns SET generation = generation + 1, message = $2, settings = $3, parts = $4, planned_at = $5,
               digest = NULL, assets = NULL, paused = NULL, duplicates = 0, malformed = 0,
               stage = CASE WHEN message = $2 THEN stage ELSE 0 END WHERE id = $1";
    let (parts, planned_at) = (i64::from(new.parts), now.as_unix_millis());
    tx.execute(sql, &[&id.0, &new.message, &new.settings, &parts, &planned_at]).await?;
    Ok(Begun::Won(add_worker(tx, id, owner, true, pid, now).await?))
}

/// The campaign as its planner has it.
async fn must_plan(tx: &Tx, planner: &Worker) -> Result<Stored, Fault> {
    let stored = lock(tx, planner.campaign).await?;
    let is_planning = match standing(tx, planner).await {
        Ok(standing) => standing.is_alive,
        Err(Fault::Lapsed) => false,
        Err(fault) => return Err(fault),
    };
    if is_planning && stored.campaign.digest.is_none() {
        Ok(stored)
    } else {
        Err(Fault::Refused("nobody is planning the campaign any more".into()))
    }
}

async fn add_recipients(tx: &Tx, planner: &Worker, batch: &[NewRecipient]) -> Result<Added, Fault> {
    let Stored { generation, .. } = must_plan(tx, planner).await?;
    let id = planner.campaign;
    let names: Vec<String> = batch.iter().map(|person| person.recipient.to_string()).collect();
    let mut known = HashMap::new();
    let sql = "SELECT recipient, seq, generation FROM campaign_recipients WHERE campaign = $1 AND recipient = ANY ($2)";
    for row in tx.rows(sql, &[&id.0, &names]).await? {
        let (name, seq, last_plan): (String, i64, i64) =
            (column(&row, WORKERS, 0)?, column(&row, WORKERS, 1)?, column(&row, WORKERS, 2)?);
        known.insert(name, (seq, last_plan));
    }
    let sql = "SELECT coalesce(max(seq), 0) FROM campaign_recipients WHERE campaign = $1";
    let mut last: i64 = tx.one(sql, &[&id.0]).await?.map_or(0, |row| row.get(0));
    let mut added = Added::default();
    let (mut seqs, mut accepted, mut variables) = (Vec::new(), Vec::new(), Vec::new());
    let (mut times, mut zones) = (Vec::new(), Vec::new());
    for (name, person) in names.iter().zip(batch) {
        let seq = match known.get(name) {
            Some((_, last_plan)) if *last_plan == generation => {
                added.duplicates += 1;
                continue;
            }
            Some((seq, _)) => *seq,
            None => {
                last += 1;
                last
            }
        };
        known.insert(name.clone(), (seq, generation));
        added.accepted += 1;
        seqs.push(seq);
        accepted.push(name);
        variables.push((!person.variables.is_empty()).then(|| serde_json::to_string(&person.variables)));
        times.push(person.last_interaction_at.map(Timestamp::as_unix_millis));
        zones.push(person.timezone.as_deref());
    }
    let unspeakable = |error: serde_json::Error| Fault::Refused(error.into());
    let variables: Vec<_> =
        variables.into_iter().map(Option::transpose).collect::<Result<_, _>>().map_err(unspeakable)?;
    let sql = "INSERT INTO campaign_recipients (campaign, seq, recipient, variables, last_interaction_at, timezone,
                                                generation)
               SELECT $1, *, $7::bigint FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
               ON CONFLICT (campaign, seq) DO UPDATE SET variables = excluded.variables,
               last_interaction_at = excluded.last_interaction_at, timezone = excluded.timezone,
               generation = excluded.generation";
    tx.execute(sql, &[&id.0, &seqs, &accepted, &variables, &times, &zones, &generation]).await?;
    let sql = "UPDATE campaigns SET duplicates = duplicates + $2 WHERE id = $1";
    tx.execute(sql, &[&id.0, &signed(added.duplicates)]).await?;
    Ok(added)
}

async fn seal_plan(tx: &Tx, planner: &Worker, digest: PlanDigest, malformed: u64, now: Timestamp) -> Result<(), Fault> {
    let stored = must_plan(tx, planner).await?;
    if stored.generation > 1 {
        leave_out(tx, &stored, now).await?;
    }
    let sql = "UPDATE campaigns SET digest = $2, malformed = $3,
               recipients = (SELECT count(*) FROM campaign_recipients WHERE campaign = $1) WHERE id = $1";
    tx.execute(sql, &[&planner.campaign.0, &digest.to_vec(), &signed(malformed)]).await?;
    dismiss(tx, planner.epoch).await
}

/// Lets go of people earlier plans named and this one does not: to those who got something, nothing more is sent.
async fn leave_out(tx: &Tx, stored: &Stored, now: Timestamp) -> Result<(), Fault> {
    let Campaign { id, parts, .. } = stored.campaign;
    let sql = "DELETE FROM campaign_recipients WHERE campaign = $1 AND generation < $2 AND NOT EXISTS
               (SELECT FROM deliveries WHERE campaign = $1 AND deliveries.seq = campaign_recipients.seq)";
    tx.execute(sql, &[&id.0, &stored.generation]).await?;
    let sql = "SELECT seq FROM campaign_recipients WHERE campaign = $1 AND generation < $2";
    let left = tx.rows(sql, &[&id.0, &stored.generation]).await?;
    let left = left.iter().map(|row| Ok(unsigned(column(row, TABLE, 0)?))).collect::<Result<BTreeSet<_>, Fault>>()?;
    drop_rest(tx, (id, parts), left, "no longer on the list", now).await.map(drop)
}

async fn suppress(
    tx: &Tx,
    campaign: CampaignId,
    recipients: &[Recipient],
    reason: &str,
    now: Timestamp,
) -> Result<u64, Fault> {
    let parts = must_be_free(tx, campaign).await?;
    let people = seqs_of(tx, campaign, recipients).await?.into_iter().collect();
    drop_rest(tx, (campaign, parts), people, reason, now).await
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
async fn seqs_of(tx: &Tx, campaign: CampaignId, recipients: &[Recipient]) -> Result<Vec<u64>, Fault> {
    let names: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    let sql = "SELECT seq FROM unnest($2::text[]) WITH ORDINALITY AS named (recipient, place)
               JOIN campaign_recipients USING (recipient) WHERE campaign = $1 ORDER BY place";
    let found = tx.rows(sql, &[&campaign.0, &names]).await?;
    found.iter().map(|row| Ok(unsigned(column(row, TABLE, 0)?))).collect()
}

/// Skips all that is not yet sent to these people; says to how many of them something was to be sent.
async fn drop_rest(
    tx: &Tx,
    (campaign, parts): (CampaignId, u8),
    people: BTreeSet<u64>,
    reason: &str,
    now: Timestamp,
) -> Result<u64, Fault> {
    let mut sheet = Sheet::of(tx, campaign, parts, &people).await?;
    let mut dropped = 0;
    for seq in people {
        dropped += u64::from(sheet.drop_rest(seq, reason, now)?);
    }
    sheet.save(tx).await?;
    Ok(dropped)
}

fn seqs(entries: &[Entry]) -> BTreeSet<u64> {
    entries.iter().map(|entry| entry.key.seq).collect()
}

async fn id_of(tx: &Tx, space: i64, name: &CampaignName) -> Result<Option<CampaignId>, Fault> {
    let found = tx.one("SELECT id FROM campaigns WHERE space = $1 AND name = $2", &[&space, &name.as_str()]).await?;
    Ok(found.map(|row| column(&row, TABLE, 0).map(CampaignId)).transpose()?)
}

async fn number(tx: &Tx, sql: &str, campaign: CampaignId, other: i64) -> Result<u64, Fault> {
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
async fn lock(tx: &Tx, id: CampaignId) -> Result<Stored, Fault> {
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
        started_at: column::<Option<i64>>(row, TABLE, 16)?.map(Timestamp::from_unix_millis),
        stage: u8::try_from(number(18)?).map_err(|error| rows::damaged(TABLE, error))?,
        holder: holder_in(row, 19)?,
    };
    Ok(Stored { campaign, generation: number(17)? })
}

fn parts(row: &Row, index: usize) -> Result<u8, RecordError> {
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
