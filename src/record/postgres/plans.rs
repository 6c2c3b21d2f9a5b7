//! How a campaign comes by its people: planned under a worker's number, row by row, and sealed.

use std::collections::{BTreeSet, HashMap};

use super::campaigns::{Stored, TABLE, drop_rest, id_of, lock, seqs_of};
use super::deliveries::{Sheet, by_and_by};
use super::fault::Fault;
use super::ledger::{WORKERS, add_worker, dismiss, holder, standing};
use super::session::Tx;
use super::uploads::{column, space_id_for_writing};
use crate::clock::Timestamp;
use crate::delivery::OFF_THE_LIST;
use crate::record::campaigns::{LOST, NO_PLAN};
use crate::record::delivery_rows::{DeliveryRows, PASSING, last_settled, time_of_plan};
use crate::record::rows::{self, signed, unsigned};
use crate::record::{Added, Begun, Campaign, CampaignId, NewCampaign, NewRecipient, PlanDigest, Worker};

pub(super) async fn begin_plan(
    tx: &Tx,
    new: &NewCampaign,
    owner: i64,
    pid: u32,
    now: Timestamp,
) -> Result<Begun, Fault> {
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
    must_keep_its_parts(tx, &stored.campaign, new).await?;
    let planned_at = behind_all(tx, id, now).await?;
    // Nothing is lost by taking on what is new where it was made just now.
    let sql = "UPDATE campaigns SET generation = generation + 1, digest = NULL, duplicates = 0, malformed = 0,
               planned_at = $4, message = CASE WHEN message = '' THEN $2 ELSE message END,
               settings = CASE WHEN message = '' THEN $3 ELSE settings END WHERE id = $1";
    tx.execute(sql, &[&id.0, &new.message, &new.settings, &planned_at.as_unix_millis()]).await?;
    Ok(Begun::Won(add_worker(tx, id, owner, true, pid, now).await?))
}

/// When the campaign is planned, by a clock that says `now`.
async fn behind_all(tx: &Tx, id: CampaignId, now: Timestamp) -> Result<Timestamp, Fault> {
    let last = tx.one(&last_settled("$1"), &[&id.0]).await?.and_then(|row| row.get(0));
    Ok(time_of_plan(now, last))
}

/// Returns if nothing became of any delivery, or there are as many parts as there were.
async fn must_keep_its_parts(tx: &Tx, was: &Campaign, new: &NewCampaign) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT FROM deliveries WHERE campaign = $1 AND state <> 'planned')";
    let is_begun = tx.one(sql, &[&was.id.0]).await?.is_some_and(|row| row.get(0));
    if was.parts == new.parts || !is_begun {
        return Ok(());
    }
    let error = format!("something was sent already, in {} parts, and not {}", was.parts, new.parts);
    Err(Fault::Refused(error.into()))
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

pub(super) async fn add_recipients(tx: &Tx, planner: &Worker, batch: &[NewRecipient]) -> Result<Added, Fault> {
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
               generation = CASE WHEN campaign_recipients.generation = $8 THEN $8 ELSE excluded.generation END";
    tx.execute(sql, &[&id.0, &seqs, &accepted, &variables, &times, &zones, &generation, &NO_PLAN]).await?;
    let sql = "UPDATE campaigns SET duplicates = duplicates + $2 WHERE id = $1";
    tx.execute(sql, &[&id.0, &signed(added.duplicates)]).await?;
    Ok(added)
}

pub(super) async fn seal_plan(
    tx: &Tx,
    planner: &Worker,
    new: &NewCampaign,
    (digest, malformed): (PlanDigest, u64),
    now: Timestamp,
) -> Result<(), Fault> {
    let mut stored = must_plan(tx, planner).await?;
    let id = planner.campaign;
    must_keep_its_parts(tx, &stored.campaign, new).await?;
    let planned_at = behind_all(tx, id, now).await?;
    if stored.campaign.message != new.message {
        // Whoever tries a message out has to see what became of it.
        let testers: BTreeSet<u64> = seqs_of(tx, id, &new.testers).await?.into_iter().collect();
        let sheet = Sheet::of(tx, id, stored.campaign.parts, &testers).await?;
        let mut sheet = sheet.with_the_list(tx, &testers).await?;
        testers.into_iter().try_for_each(|seq| sheet.begin_again(seq, now))?;
        sheet.save(tx).await?;
    }
    stored.campaign.parts = new.parts;
    if stored.generation > 1 {
        leave_out(tx, &stored, now).await?;
        readmit(tx, &stored, &PASSING, now).await?;
    }
    let sql = format!(
        "UPDATE campaigns SET message = $2, settings = $3, parts = $4, planned_at = $5, digest = $6, malformed = $7,
               assets = NULL, paused = CASE WHEN message = $2 OR starts_with(paused, '{LOST}') THEN paused END,
               stage = CASE WHEN message = $2 THEN stage ELSE 0 END,
               recipients = (SELECT count(*) FROM campaign_recipients WHERE campaign = $1) WHERE id = $1"
    );
    let (parts, planned_at) = (i64::from(new.parts), planned_at.as_unix_millis());
    let (digest, malformed) = (digest.to_vec(), signed(malformed));
    tx.execute(&sql, &[&id.0, &new.message, &new.settings, &parts, &planned_at, &digest, &malformed]).await?;
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
    let left = left.iter().map(|row| Ok(unsigned(column(row, TABLE, 0)?))).collect::<Result<Vec<_>, Fault>>()?;
    drop_rest(tx, (id, parts), left, OFF_THE_LIST, now).await.map(drop)
}

/// Has what was put off, or skipped for one of `reasons`, of those the last plan names, judged anew.
pub(super) async fn readmit(tx: &Tx, stored: &Stored, reasons: &[&str], now: Timestamp) -> Result<(), Fault> {
    let Campaign { id, parts, .. } = stored.campaign;
    let sql = "SELECT DISTINCT seq FROM deliveries JOIN campaign_recipients USING (campaign, seq)
               WHERE campaign = $1 AND generation = $2
               AND (state = 'retry_at' AND reason IS NULL OR state = 'skipped' AND reason = ANY ($3))";
    let found = tx.rows(sql, &[&id.0, &stored.generation, &reasons]).await?;
    let seqs = found.iter().map(|row| Ok(unsigned(column(row, TABLE, 0)?))).collect::<Result<Vec<_>, Fault>>()?;
    for seqs in by_and_by(seqs) {
        let mut sheet = Sheet::of(tx, id, parts, &seqs).await?;
        seqs.into_iter().try_for_each(|seq| sheet.readmit(seq, reasons, now))?;
        sheet.save(tx).await?;
    }
    Ok(())
}
