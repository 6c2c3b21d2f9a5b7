//! How a campaign comes by its people: planned under a worker's number, row by row, and sealed.

use rusqlite::{Transaction, params};

use super::campaigns::{Stored, id_of, load, save, sheet};
use super::deliveries::recipient_checksum;
use super::fault::Fault;
use super::ledger::{enlist, is_enlisted, seqs_of};
use super::uploads::space_id_for_writing;
use crate::clock::Timestamp;
use crate::delivery::OFF_THE_LIST;
use crate::record::campaigns::{NO_PLAN, is_lost};
use crate::record::delivery_rows::{DeliveryRows, PASSING, last_settled, time_of_plan};
use crate::record::rows::unsigned;
use crate::record::{Added, Begun, Campaign, CampaignId, Enlisted, NewCampaign, NewRecipient, PlanDigest, Worker};

pub(super) fn begin_plan(
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
    must_keep_its_parts(transaction, &stored.campaign, new)?;
    let planned_at = behind_all(transaction, id, now)?;
    stored.generation += 1;
    let row = &mut stored.campaign;
    if row.message.is_empty() {
        // Nothing is lost by it: it was made just now.
        take_on(row, new, planned_at);
    }
    (row.digest, row.planned_at, row.duplicates, row.malformed) = (None, planned_at, 0, 0);
    save(transaction, &stored)?;
    Ok(Begun::Won(worker))
}

/// When the campaign is planned, by a clock that says `now`.
fn behind_all(transaction: &Transaction, id: CampaignId, now: Timestamp) -> Result<Timestamp, Fault> {
    let last = transaction.prepare_cached(&last_settled("?1"))?.query_row([id.0], |row| row.get(0))?;
    Ok(time_of_plan(now, last))
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
        plans: 0,
        started_at: None,
        stage: 0,
        holder: None,
    };
    let id = campaign.id;
    save(transaction, &Stored { campaign, frontier: 0, generation: 0 })?;
    Ok(id)
}

/// What is planned takes the place of what was.
fn take_on(row: &mut Campaign, new: &NewCampaign, planned_at: Timestamp) {
    if row.message != new.message {
        // Nobody has seen it, nor said yes or no to it.
        (row.stage, row.paused) = (0, row.paused.take().filter(|why| is_lost(Some(why))));
    }
    (row.message, row.settings, row.parts) = (new.message.clone(), new.settings.clone(), new.parts);
    (row.assets, row.planned_at) = (None, planned_at);
}

/// Returns if nothing became of any delivery, or there are as many parts as there were.
fn must_keep_its_parts(transaction: &Transaction, was: &Campaign, new: &NewCampaign) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE campaign = ?1 AND state <> 'planned')";
    let is_begun: bool = transaction.prepare_cached(sql)?.query_row([was.id.0], |row| row.get(0))?;
    if was.parts == new.parts || !is_begun {
        return Ok(());
    }
    let error = format!("something was sent already, in {} parts, and not {}", was.parts, new.parts);
    Err(Fault::Refused(error.into()))
}

fn must_plan(transaction: &Transaction, planner: &Worker) -> Result<Stored, Fault> {
    let stored = load(transaction, planner.campaign)?;
    if is_enlisted(transaction, planner)? && stored.campaign.digest.is_none() {
        Ok(stored)
    } else {
        Err(Fault::Refused("nobody is planning the campaign any more".into()))
    }
}

pub(super) fn add_recipients(
    transaction: &Transaction,
    planner: &Worker,
    batch: Vec<NewRecipient>,
) -> Result<Added, Fault> {
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
        let next = seq + 1;
        let checksum = recipient_checksum(id, next, &recipient, row, generation);
        if insert.execute(params![id.0, next, recipient, variables, last, generation, checksum, timezone])? == 1 {
            seq = next;
            added.accepted += 1;
            continue;
        }
        let (known, last_named): (i64, i64) =
            find.query_row(params![id.0, recipient], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if last_named == generation {
            added.duplicates += 1;
        } else {
            // Whoever was taken off every list stays off.
            let named = if last_named == NO_PLAN { NO_PLAN } else { generation };
            let checksum = recipient_checksum(id, known, &recipient, row, named);
            update.execute(params![id.0, known, variables, last, named, checksum, timezone])?;
            added.accepted += 1;
        }
    }
    stored.campaign.duplicates += added.duplicates;
    save(transaction, &stored)?;
    Ok(added)
}

pub(super) fn seal_plan(
    transaction: &Transaction,
    planner: &Worker,
    new: &NewCampaign,
    (digest, malformed): (PlanDigest, u64),
    now: Timestamp,
) -> Result<(), Fault> {
    let mut stored = must_plan(transaction, planner)?;
    let id = planner.campaign;
    must_keep_its_parts(transaction, &stored.campaign, new)?;
    let planned_at = behind_all(transaction, id, now)?;
    if stored.campaign.message != new.message {
        // Whoever tries a message out has to see what became of it.
        let mut sheet = sheet(transaction, &stored);
        seqs_of(transaction, id, &new.testers)?.into_iter().try_for_each(|seq| sheet.begin_again(seq, now))?;
    }
    take_on(&mut stored.campaign, new, planned_at);
    if stored.generation > 1 {
        leave_out(transaction, &stored, now)?;
        readmit(transaction, &stored, &PASSING, now)?;
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
        sheet.drop_rest(unsigned(seq), OFF_THE_LIST, now)?;
    }
    Ok(())
}

/// Has what was put off, or skipped for one of `reasons`, of those the last plan names, judged anew.
pub(super) fn readmit(
    transaction: &Transaction,
    stored: &Stored,
    reasons: &[&str],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut sheet = sheet(transaction, stored);
    let passed_over = sheet.passed_over(reasons, stored.generation)?;
    passed_over.into_iter().try_for_each(|seq| sheet.readmit(seq, reasons, now))
}
