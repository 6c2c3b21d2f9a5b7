//! What became of every part of every message: the table `deliveries`, and the one way its rows change.
//!
//! A transaction reads all rows it may touch, locked and in their order, takes the steps in memory, and writes what has
//! changed at once: three statements for a thousand entries.

use std::collections::{BTreeMap, BTreeSet};

use futures::try_join;
use tokio_postgres::Row;

use super::doubts::{self, Attempts};
use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Doubted, State};
use crate::record::delivery_rows::{DeliveryRows, Stored, off_the_list, with_those_without_a_row};
use crate::record::rows::{self, signed, unsigned};
use crate::record::{
    CampaignId, DeliveryKey, DoubtedAttempt, Entry, ListedDelivery, NewRecipient, PartCount, RecordError, Worker,
};

pub(super) const TABLE: &str = "deliveries";
pub(super) const RECIPIENTS: &str = "campaign_recipients";
pub(super) const COLUMNS: &str =
    "seq, part, state, attempt, nonce, at, message_id, code, subcode, reason, worker, variant";
pub(super) const RECIPIENT_COLUMNS: &str = "seq, recipient, variables, last_interaction_at, timezone";

/// How many [`COLUMNS`] there are.
pub(super) const COLUMNS_COUNT: usize = 12;

/// How many people's rows are read and written by one statement: a campaign may have millions, and a statement has its time.
const AT_ONCE: usize = 10_000;

/// These people in their order, so many at a time as one statement takes.
pub(super) fn by_and_by(mut people: Vec<u64>) -> Vec<BTreeSet<u64>> {
    people.sort_unstable();
    people.dedup();
    people.chunks(AT_ONCE).map(|some| some.iter().copied().collect()).collect()
}

/// The rows of some recipients within a transaction, and what is to become of them.
pub(super) struct Sheet {
    campaign: CampaignId,
    parts: u8,
    rows: BTreeMap<DeliveryKey, Stored>,
    changed: BTreeSet<DeliveryKey>,
    /// What there was to begin with: the rest is new, and must be so to everybody.
    there: BTreeSet<DeliveryKey>,
    /// Attempts that have come to be in doubt.
    doubted: Vec<(DeliveryKey, Doubted)>,
    /// Those that were before, as far as somebody asks for them.
    attempts: Attempts,
    /// Of which it was found out what they are.
    identified: Vec<(DeliveryKey, u32, String)>,
    /// Recipients whose attempts are forgotten.
    forgotten: Vec<i64>,
    /// Recipients who are to get nothing more, as far as somebody asks, and why.
    off_the_list: BTreeMap<u64, &'static str>,
}

impl DeliveryRows for Sheet {
    type Fault = Fault;

    fn parts(&self) -> u8 {
        self.parts
    }

    fn row(&self, key: DeliveryKey) -> Result<Option<Stored>, Fault> {
        Ok(self.rows.get(&key).cloned())
    }

    fn put(&mut self, key: DeliveryKey, row: Stored) -> Result<(), Fault> {
        self.rows.insert(key, row);
        self.changed.insert(key);
        Ok(())
    }

    fn remove(&mut self, key: DeliveryKey) -> Result<(), Fault> {
        self.rows.remove(&key);
        self.changed.insert(key);
        Ok(())
    }

    fn keep(&mut self, key: DeliveryKey, doubted: Doubted) -> Result<(), Fault> {
        // One without a time is of an older record, and of no use where another is kept.
        if doubted.intended_at.is_some() || self.doubted.iter().all(|(other, _)| *other != key) {
            self.doubted.push((key, doubted));
        }
        Ok(())
    }

    fn attempt(&self, key: DeliveryKey, attempt: u32) -> Result<Option<DoubtedAttempt>, Fault> {
        Ok(self.attempts.get(&(key, attempt)).cloned())
    }

    fn identify(&mut self, key: DeliveryKey, attempt: u32, message_id: &str) -> Result<(), Fault> {
        if let Some(kept) = self.attempts.get_mut(&(key, attempt)) {
            kept.message_id = Some(message_id.to_owned());
            self.identified.push((key, attempt, message_id.to_owned()));
        }
        Ok(())
    }

    fn off_the_list(&self, seq: u64) -> Result<Option<&'static str>, Fault> {
        Ok(self.off_the_list.get(&seq).copied())
    }

    fn forget(&mut self, seq: u64) -> Result<(), Fault> {
        self.forgotten.push(signed(seq));
        Ok(())
    }

    /// It was once, or the worker would not write of it.
    fn not_held(_: DeliveryKey, _: &Worker) -> Fault {
        Fault::Lapsed
    }
}

impl Sheet {
    pub(super) fn empty(campaign: CampaignId, parts: u8) -> Self {
        Self {
            campaign,
            parts,
            rows: BTreeMap::new(),
            changed: BTreeSet::new(),
            there: BTreeSet::new(),
            doubted: Vec::new(),
            attempts: Attempts::new(),
            identified: Vec::new(),
            forgotten: Vec::new(),
            off_the_list: BTreeMap::new(),
        }
    }

    /// All rows of these recipients, nobody else's until the transaction ends.
    pub(super) async fn of(tx: &Tx, campaign: CampaignId, parts: u8, seqs: &BTreeSet<u64>) -> Result<Self, Fault> {
        Self::empty(campaign, parts).with(&rows_of(tx, campaign, seqs).await?)
    }

    /// Rows that are locked as well.
    pub(super) fn with(mut self, rows: &[Row]) -> Result<Self, Fault> {
        for row in rows {
            self.take_in(row)?;
        }
        Ok(self)
    }

    /// What is kept of the attempts at what goes to these recipients, as well.
    pub(super) async fn with_attempts(mut self, tx: &Tx, seqs: &BTreeSet<u64>) -> Result<Self, Fault> {
        let seqs: Vec<i64> = seqs.iter().copied().map(signed).collect();
        self.attempts = doubts::attempts(tx, self.campaign, &seqs).await?;
        Ok(self)
    }

    /// Who of these recipients is to get nothing more, as well: to be asked for wherever somebody decides about them.
    pub(super) async fn with_the_list(mut self, tx: &Tx, seqs: &BTreeSet<u64>) -> Result<Self, Fault> {
        let seqs: Vec<i64> = seqs.iter().copied().map(signed).collect();
        let sql =
            "SELECT seq, campaign_recipients.generation, CASE WHEN digest IS NOT NULL THEN campaigns.generation END
                   FROM campaign_recipients JOIN campaigns ON campaigns.id = campaign
                   WHERE campaign = $1 AND seq = ANY ($2)";
        for row in tx.rows(sql, &[&self.campaign.0, &seqs]).await? {
            let (named, plan) = (column(&row, RECIPIENTS, 1)?, column(&row, RECIPIENTS, 2)?);
            let seq = unsigned(column(&row, RECIPIENTS, 0)?);
            self.off_the_list.extend(off_the_list(named, plan).map(|reason| (seq, reason)));
        }
        Ok(self)
    }

    /// Takes in a row that is locked.
    pub(super) fn take_in(&mut self, row: &Row) -> Result<DeliveryKey, RecordError> {
        let (key, stored) = read(row)?;
        self.rows.insert(key, stored);
        self.there.insert(key);
        Ok(key)
    }

    /// Writes what has changed.
    pub(super) async fn save(self, tx: &Tx) -> Result<(), Fault> {
        let (left, gone): (Vec<_>, Vec<_>) = self.changed.iter().partition(|key| self.rows.contains_key(key));
        let (old, new): (Vec<_>, Vec<_>) = left.into_iter().partition(|key| self.there.contains(key));
        let gone: Vec<_> = gone.into_iter().filter(|key| self.there.contains(key)).collect();
        let values = "unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                      $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[])";
        let insert = format!("INSERT INTO deliveries (campaign, {COLUMNS}) SELECT $1, * FROM {values}");
        let update = format!(
            "UPDATE deliveries SET state = new.state, attempt = new.attempt, nonce = new.nonce, at = new.at,
             message_id = new.message_id, code = new.code, subcode = new.subcode, reason = new.reason,
             worker = new.worker, variant = new.variant
             FROM {values} AS new ({COLUMNS})
             WHERE campaign = $1 AND deliveries.seq = new.seq AND deliveries.part = new.part"
        );
        let doubts = async {
            doubts::forget(tx, self.campaign, &self.forgotten).await?;
            doubts::keep(tx, self.campaign, &self.doubted).await?;
            doubts::identify(tx, self.campaign, &self.identified).await
        };
        // They are about different rows.
        try_join!(self.delete(tx, gone), self.store(tx, &insert, &new), self.store(tx, &update, &old), doubts)?;
        Ok(())
    }

    async fn delete(&self, tx: &Tx, keys: Vec<DeliveryKey>) -> Result<(), Fault> {
        if !keys.is_empty() {
            let sql = "DELETE FROM deliveries USING unnest($2::bigint[], $3::bigint[]) AS gone (seq, part)
                       WHERE campaign = $1 AND deliveries.seq = gone.seq AND deliveries.part = gone.part";
            let (seqs, parts): (Vec<_>, Vec<_>) = keys.into_iter().map(numbers).unzip();
            tx.execute(sql, &[&self.campaign.0, &seqs, &parts]).await?;
        }
        Ok(())
    }

    async fn store(&self, tx: &Tx, sql: &str, keys: &[DeliveryKey]) -> Result<(), Fault> {
        if keys.is_empty() {
            return Ok(());
        }
        let rows: Vec<&Stored> = keys.iter().map(|key| &self.rows[key]).collect();
        let (seqs, parts): (Vec<_>, Vec<_>) = keys.iter().copied().map(numbers).unzip();
        let of = |number: fn(&Delivery) -> Option<i64>| -> Vec<Option<i64>> {
            rows.iter().map(|(delivery, _)| number(delivery)).collect()
        };
        let text = |text: fn(&Delivery) -> Option<&String>| -> Vec<Option<String>> {
            rows.iter().map(|(delivery, _)| text(delivery).map(|text| storable(text))).collect()
        };
        let states: Vec<&str> = rows.iter().map(|(delivery, _)| delivery.state.as_str()).collect();
        let workers: Vec<Option<i64>> = rows.iter().map(|(_, worker)| *worker).collect();
        tx.execute(
            sql,
            &[
                &self.campaign.0,
                &seqs,
                &parts,
                &states,
                &of(|delivery| Some(delivery.attempt.into())),
                &of(|delivery| delivery.nonce.map(i64::from)),
                &of(|delivery| Some(delivery.at.as_unix_millis())),
                &text(|delivery| delivery.message_id.as_ref()),
                &of(|delivery| delivery.code),
                &of(|delivery| delivery.subcode),
                &text(|delivery| delivery.reason.as_ref()),
                &workers,
                &text(|delivery| delivery.variant.as_ref()),
            ],
        )
        .await?;
        Ok(())
    }
}

/// All rows of these recipients, nobody else's until the transaction ends.
pub(super) async fn rows_of(tx: &Tx, campaign: CampaignId, seqs: &BTreeSet<u64>) -> Result<Vec<Row>, Fault> {
    let seqs: Vec<i64> = seqs.iter().copied().map(signed).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE campaign = $1 AND seq = ANY ($2) ORDER BY seq, part FOR UPDATE"
    );
    tx.rows(&sql, &[&campaign.0, &seqs]).await
}

/// These people, by their places.
pub(super) async fn recipients(
    tx: &Tx,
    campaign: CampaignId,
    seqs: Vec<i64>,
) -> Result<BTreeMap<u64, NewRecipient>, Fault> {
    if seqs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("SELECT {RECIPIENT_COLUMNS} FROM campaign_recipients WHERE campaign = $1 AND seq = ANY ($2)");
    tx.rows(&sql, &[&campaign.0, &seqs]).await?.iter().map(|row| Ok(recipient(row, 0)?)).collect()
}

/// Lets go of what a worker holds in these states.
pub(super) async fn abandon(
    tx: &Tx,
    worker: &Worker,
    parts: u8,
    states: &[State],
    now: Timestamp,
) -> Result<(), Fault> {
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE campaign = $1 AND state IN ('claimed', 'in_flight') AND state = ANY ($2)
         AND worker = $3 ORDER BY seq, part FOR UPDATE"
    );
    let mut sheet = Sheet::empty(worker.campaign, parts);
    for row in tx.rows(&sql, &[&worker.campaign.0, &states, &worker.epoch]).await? {
        let key = sheet.take_in(&row)?;
        let event = sheet.rows[&key].0.abandonment();
        sheet.apply(&Entry { key, event, at: now }, None)?;
    }
    sheet.save(tx).await
}

/// At most `limit` recipients behind the one of number `seq`.
pub(super) async fn recipients_behind(
    tx: &Tx,
    campaign: CampaignId,
    seq: u64,
    limit: usize,
) -> Result<Vec<(u64, NewRecipient)>, Fault> {
    let sql = format!(
        "SELECT {RECIPIENT_COLUMNS} FROM campaign_recipients WHERE campaign = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = tx.rows(&sql, &[&campaign.0, &signed(seq), &limit]).await?;
    rows.iter().map(|row| Ok(recipient(row, 0)?)).collect()
}

pub(super) async fn count(tx: &Tx, campaign: CampaignId, parts: u8, people: u64) -> Result<Vec<PartCount>, Fault> {
    let sql = "SELECT part, state, count(*), variant FROM deliveries WHERE campaign = $1
               GROUP BY part, state, variant ORDER BY part, state, variant";
    let mut counts = Vec::new();
    for row in tx.rows(sql, &[&campaign.0]).await? {
        let (part, count) = (small(column(&row, TABLE, 0)?)?, unsigned(column(&row, TABLE, 2)?));
        counts.push(PartCount {
            part,
            variant: column(&row, TABLE, 3)?,
            state: state(column(&row, TABLE, 1)?)?,
            count,
        });
    }
    Ok(with_those_without_a_row(counts, parts, people))
}

/// Walks the list of people, so that what has no row is there as well; of any other state alone, its rows.
pub(super) async fn list(
    tx: &Tx,
    campaign: CampaignId,
    parts: u8,
    wanted: Option<State>,
    after: Option<DeliveryKey>,
    limit: usize,
) -> Result<Vec<ListedDelivery>, Fault> {
    let columns = "d.state, d.attempt, d.nonce, d.at, d.message_id, d.code, d.subcode, d.reason, d.worker, d.variant,
                   r.recipient";
    let (seq, part) = after.map_or((0, -1), |key| (signed(key.seq), i64::from(key.part)));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = match wanted {
        Some(state) if state != State::Planned => {
            let sql = format!(
                "SELECT d.seq, d.part, {columns} FROM deliveries d JOIN campaign_recipients r USING (campaign, seq)
                 WHERE campaign = $1 AND d.state = '{state}' AND (seq, d.part) > ($2, $3) ORDER BY seq, d.part LIMIT $4"
            );
            tx.rows(&sql, &[&campaign.0, &seq, &part, &limit]).await?
        }
        wanted => {
            let condition = if wanted.is_some() { "AND coalesce(d.state, 'planned') = 'planned'" } else { "" };
            let sql = format!(
                "SELECT r.seq, p.part::bigint, {columns} FROM campaign_recipients r
                 CROSS JOIN generate_series(0, $5::bigint - 1) AS p (part)
                 LEFT JOIN deliveries d ON d.campaign = r.campaign AND d.seq = r.seq AND d.part = p.part
                 WHERE r.campaign = $1 AND r.seq >= $2 AND (r.seq, p.part) > ($2, $3) {condition}
                 ORDER BY r.seq, p.part LIMIT $4"
            );
            tx.rows(&sql, &[&campaign.0, &seq, &part, &limit, &i64::from(parts)]).await?
        }
    };
    rows.iter()
        .map(|row| {
            let key = key(row)?;
            let delivery = match column::<Option<&str>>(row, TABLE, 2)? {
                Some(_) => read(row)?.1.0,
                None => Delivery::planned(Timestamp::from_unix_millis(0)),
            };
            let recipient = rows::parse(RECIPIENTS, column(row, RECIPIENTS, 12)?)?;
            Ok(ListedDelivery { key, recipient, delivery })
        })
        .collect()
}

/// [`COLUMNS`] of the table that is called so.
pub(super) fn columns_of(table: &str) -> String {
    prefixed(table, COLUMNS)
}

pub(super) fn prefixed(table: &str, columns: &str) -> String {
    columns.split(", ").map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ")
}

fn key(row: &Row) -> Result<DeliveryKey, RecordError> {
    Ok(DeliveryKey { seq: unsigned(column(row, TABLE, 0)?), part: small(column(row, TABLE, 1)?)? })
}

/// A row that begins with [`COLUMNS`].
pub(super) fn read(row: &Row) -> Result<(DeliveryKey, Stored), RecordError> {
    let delivery = Delivery {
        state: state(column(row, TABLE, 2)?)?,
        attempt: small(column(row, TABLE, 3)?)?,
        nonce: column::<Option<i64>>(row, TABLE, 4)?.map(small).transpose()?,
        at: Timestamp::from_unix_millis(column(row, TABLE, 5)?),
        message_id: column(row, TABLE, 6)?,
        code: column(row, TABLE, 7)?,
        subcode: column(row, TABLE, 8)?,
        reason: column(row, TABLE, 9)?,
        variant: column(row, TABLE, 11)?,
    };
    Ok((key(row)?, (delivery, column(row, TABLE, 10)?)))
}

/// [`RECIPIENT_COLUMNS`] of a row, from column `first` on.
pub(super) fn recipient(row: &Row, first: usize) -> Result<(u64, NewRecipient), RecordError> {
    let variables = match column::<Option<&str>>(row, RECIPIENTS, first + 2)? {
        Some(text) => serde_json::from_str(text).map_err(|error| rows::damaged(RECIPIENTS, error))?,
        None => serde_json::Map::new(),
    };
    let recipient = NewRecipient {
        recipient: rows::parse(RECIPIENTS, column(row, RECIPIENTS, first + 1)?)?,
        variables,
        last_interaction_at: column::<Option<i64>>(row, RECIPIENTS, first + 3)?.map(Timestamp::from_unix_millis),
        timezone: column(row, RECIPIENTS, first + 4)?,
    };
    Ok((unsigned(column(row, RECIPIENTS, first)?), recipient))
}

fn state(word: &str) -> Result<State, RecordError> {
    State::parse(word).ok_or_else(|| rows::damaged(TABLE, format!("state {word:?}")))
}

pub(super) fn small<T: TryFrom<i64, Error: std::fmt::Display>>(number: i64) -> Result<T, RecordError> {
    number.try_into().map_err(|error| rows::damaged(TABLE, error))
}

pub(super) fn numbers(key: DeliveryKey) -> (i64, i64) {
    (signed(key.seq), key.part.into())
}

/// The one character PostgreSQL's texts lack.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
