//! What became of every part of every message: the table `deliveries`, and the one way its rows change.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::doubts::ATTEMPTS;
use super::fault::Fault;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Doubted, State};
use crate::record::campaigns::NO_PLAN;
use crate::record::delivery_rows::{DeliveryRows, Stored, off_the_list, untouched, with_those_without_a_row};
use crate::record::rows::{self, signed, unsigned};
use crate::record::{
    CampaignId, Claims, DeliveryKey, DoubtedAttempt, Entry, ListedDelivery, NewRecipient, PartCount, RecordError,
    Worker,
};

const TABLE: &str = "deliveries";
const RECIPIENTS: &str = "campaign_recipients";

/// The ledger of one campaign within a transaction.
pub(super) struct Sheet<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) campaign: CampaignId,
    pub(super) parts: u8,
    /// Every recipient up to this number has a row for the first part.
    pub(super) frontier: u64,
    /// The plan that has to name whoever is to get something; none where it is not complete.
    pub(super) plan: Option<i64>,
}

impl DeliveryRows for Sheet<'_> {
    type Fault = Fault;

    fn parts(&self) -> u8 {
        self.parts
    }

    fn row(&self, key: DeliveryKey) -> Result<Option<Stored>, Fault> {
        let sql = "SELECT state, attempt, nonce, at, message_id, code, subcode, reason, worker, checksum, variant
                   FROM deliveries WHERE campaign = ?1 AND seq = ?2 AND part = ?3";
        let mut query = self.transaction.prepare_cached(sql)?;
        let mut found = query.query(params![self.campaign.0, signed(key.seq), key.part])?;
        match found.next()? {
            Some(row) => Ok(Some(self.read(key, row)?)),
            // It is there, and what leads to it is damaged: to whom it names, all might be sent again.
            None if key.part == 0 && key.seq <= self.frontier && self.is_on_list(key.seq)? => {
                Err(rows::damaged(TABLE, format!("{key} is gone")).into())
            }
            None => Ok(None),
        }
    }

    fn put(&mut self, key: DeliveryKey, (delivery, worker): Stored) -> Result<(), Fault> {
        let sql = "REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        self.transaction.prepare_cached(sql)?.execute(params![
            self.campaign.0,
            signed(key.seq),
            key.part,
            delivery.state.as_str(),
            delivery.attempt,
            delivery.nonce,
            delivery.at.as_unix_millis(),
            delivery.message_id,
            delivery.code,
            delivery.subcode,
            delivery.reason,
            worker,
            self.checksum(key, &delivery, worker),
            delivery.variant,
        ])?;
        Ok(())
    }

    fn remove(&mut self, key: DeliveryKey) -> Result<(), Fault> {
        let sql = "DELETE FROM deliveries WHERE campaign = ?1 AND seq = ?2 AND part = ?3";
        self.transaction.prepare_cached(sql)?.execute(params![self.campaign.0, signed(key.seq), key.part])?;
        Ok(())
    }

    fn keep(&mut self, key: DeliveryKey, doubted: Doubted) -> Result<(), Fault> {
        self.keep_attempt(key, doubted)
    }

    fn attempt(&self, key: DeliveryKey, attempt: u32) -> Result<Option<DoubtedAttempt>, Fault> {
        Ok(self.attempts_of(key)?.into_iter().find(|kept| kept.doubted.attempt == attempt))
    }

    fn identify(&mut self, key: DeliveryKey, attempt: u32, message_id: &str) -> Result<(), Fault> {
        let Some(kept) = self.attempt(key, attempt)? else { return Ok(()) };
        self.replace_attempt(key, &DoubtedAttempt { message_id: Some(message_id.to_owned()), ..kept })
    }

    fn off_the_list(&self, seq: u64) -> Result<Option<&'static str>, Fault> {
        let sql = "SELECT generation FROM campaign_recipients WHERE campaign = ?1 AND seq = ?2";
        let mut query = self.transaction.prepare_cached(sql)?;
        let named: Option<i64> = query.query_row([self.campaign.0, signed(seq)], |row| row.get(0)).optional()?;
        Ok(named.and_then(|named| off_the_list(named, self.plan)))
    }

    fn forget(&mut self, seq: u64) -> Result<(), Fault> {
        let sql = format!("DELETE FROM {ATTEMPTS} WHERE campaign = ?1 AND seq = ?2");
        self.transaction.prepare_cached(&sql)?.execute([self.campaign.0, signed(seq)])?;
        Ok(())
    }

    fn not_held(key: DeliveryKey, worker: &Worker) -> Fault {
        Fault::Refused(format!("{key} is not held by worker {}", worker.epoch).into())
    }
}

impl Sheet<'_> {
    /// The row that begins with the columns behind the key, whose checksum is its last.
    fn read(&self, key: DeliveryKey, row: &Row) -> Result<Stored, RecordError> {
        let word: String = column(row, TABLE, 0)?;
        let state = State::parse(&word).ok_or_else(|| rows::damaged(TABLE, format!("state {word:?}")))?;
        let delivery = Delivery {
            state,
            attempt: column(row, TABLE, 1)?,
            nonce: column(row, TABLE, 2)?,
            at: Timestamp::from_unix_millis(column(row, TABLE, 3)?),
            message_id: column(row, TABLE, 4)?,
            code: column(row, TABLE, 5)?,
            subcode: column(row, TABLE, 6)?,
            reason: column(row, TABLE, 7)?,
            variant: column(row, TABLE, 10)?,
        };
        let worker = column(row, TABLE, 8)?;
        if column::<i64>(row, TABLE, 9)? != i64::from(self.checksum(key, &delivery, worker)) {
            return Err(rows::damaged(TABLE, format!("the checksum of {key} is wrong")));
        }
        Ok((delivery, worker))
    }

    pub(super) fn checksum(&self, key: DeliveryKey, delivery: &Delivery, worker: Option<i64>) -> u32 {
        let names = (self.campaign.0, key.seq, key.part, delivery.state.as_str());
        let Delivery { attempt, nonce, at, message_id, code, subcode, reason, .. } = delivery;
        let row = (names, attempt, nonce, at.as_unix_millis(), message_id, code, subcode, reason, worker);
        rows::crc_with(&row, delivery.variant.as_ref())
    }

    /// What waited for its time, which has come: whose time came first, first.
    fn due(&self, within: &str, limit: usize, now: Timestamp) -> Result<Vec<DeliveryKey>, Fault> {
        let sql = format!(
            "SELECT seq, part FROM deliveries WHERE campaign = ?1 AND state = 'retry_at' AND at <= ?2 {within}
             ORDER BY at, seq, part LIMIT ?3"
        );
        let mut query = self.transaction.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [self.campaign.0, now.as_unix_millis(), limit];
        let keys = query.query_map(values, |row| Ok(DeliveryKey { seq: unsigned(row.get(0)?), part: row.get(1)? }))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Those of `state` behind `after`, or all; the state's own index serves where it has one.
    fn keys_in(
        &self,
        state: State,
        after: Option<DeliveryKey>,
        limit: usize,
        condition: &str,
        value: Option<i64>,
    ) -> Result<Vec<DeliveryKey>, Fault> {
        let sql = format!(
            "SELECT seq, part FROM deliveries WHERE campaign = ?1 AND state = '{state}' AND (seq, part) > (?2, ?3)
             {condition} ORDER BY seq, part LIMIT ?4"
        );
        let (seq, part) = after.map_or((0, 0), |key| (signed(key.seq), i64::from(key.part)));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = self.transaction.prepare_cached(&sql)?;
        let values = rusqlite::params_from_iter([self.campaign.0, seq, part, limit].into_iter().chain(value));
        let keys = query.query_map(values, |row| Ok(DeliveryKey { seq: unsigned(row.get(0)?), part: row.get(1)? }))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    pub(super) fn claim(
        &mut self,
        worker: &Worker,
        limit: usize,
        up_to: Option<(u64, Timestamp)>,
        frontier: &mut u64,
        now: Timestamp,
    ) -> Result<Claims, Fault> {
        let within = up_to.map_or_else(String::new, |(place, since)| {
            format!("AND seq <= {} AND {}", signed(place), untouched(TABLE, since))
        });
        let up_to = up_to.map_or(u64::MAX, |(place, _)| place);
        let mut keys = self.keys_in(State::Planned, None, limit, &within, None)?;
        keys.extend(self.due(&within, limit - keys.len(), now)?);
        let mut rows = Vec::with_capacity(limit);
        for key in keys {
            let recipient = self.recipient(key.seq)?;
            rows.push(self.claim_one(worker, key, recipient, now)?);
        }
        while rows.len() < limit {
            let mut fresh = self.recipients_behind(*frontier, limit - rows.len())?;
            fresh.retain(|(seq, _)| *seq <= up_to);
            if fresh.is_empty() {
                break;
            }
            for (seq, recipient) in fresh {
                *frontier = seq;
                let key = DeliveryKey { seq, part: 0 };
                // Whoever has a row already was dealt with when the list was.
                if self.row(key)?.is_none() {
                    rows.push(self.claim_one(worker, key, recipient, now)?);
                }
            }
        }
        let sql = format!(
            "SELECT at FROM deliveries WHERE campaign = ?1 AND state = 'retry_at' AND at > ?2 {within} ORDER BY at LIMIT 1"
        );
        let mut query = self.transaction.prepare_cached(&sql)?;
        let next_due = query.query_row([self.campaign.0, now.as_unix_millis()], |row| row.get(0)).optional()?;
        Ok(Claims { rows, next_due: next_due.map(Timestamp::from_unix_millis) })
    }

    /// What is to be sent to these recipients, wherever they stand.
    pub(super) fn claim_these(
        &mut self,
        worker: &Worker,
        seqs: &[u64],
        limit: usize,
        now: Timestamp,
    ) -> Result<Claims, Fault> {
        let mut claims = Claims::default();
        for seq in seqs {
            let Some((key, at)) = self.turn_of(*seq)? else { continue };
            if claims.rows.len() == limit {
                break;
            }
            if at <= now {
                let recipient = self.recipient(*seq)?;
                claims.rows.push(self.claim_one(worker, key, recipient, now)?);
            } else {
                claims.next_due = Some(claims.next_due.map_or(at, |due| due.min(at)));
            }
        }
        Ok(claims)
    }

    /// Lets go of all that a worker holds, which is no more.
    pub(super) fn abandon(&mut self, epoch: i64, now: Timestamp) -> Result<(), Fault> {
        for state in [State::Claimed, State::InFlight] {
            for key in self.keys_in(state, None, usize::MAX, "AND worker = ?5", Some(epoch))? {
                if let Some((delivery, _)) = self.row(key)? {
                    let event = delivery.abandonment();
                    self.apply(&Entry { key, event, at: now }, None)?;
                }
            }
        }
        Ok(())
    }

    /// The people this plan names of whom something was put off, or skipped for one of these reasons.
    pub(super) fn passed_over(&self, reasons: &[&str], plan: i64) -> Result<Vec<u64>, Fault> {
        let mut query = self.transaction.prepare_cached(
            "SELECT DISTINCT seq FROM deliveries JOIN campaign_recipients USING (campaign, seq)
             WHERE campaign = ?1 AND generation = ?2 AND (state = 'retry_at' AND reason IS NULL
             OR state = 'skipped' AND reason IN (SELECT value FROM json_each(?3))) ORDER BY seq",
        )?;
        let reasons = serde_json::json!(reasons).to_string();
        let found = query.query_map(params![self.campaign.0, plan, reasons], |row| row.get(0).map(unsigned))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Keeps that no plan names this recipient, and none will.
    pub(super) fn take_off_every_list(&self, seq: u64) -> Result<(), Fault> {
        let sql = "SELECT recipient, variables, last_interaction_at, timezone FROM campaign_recipients
                   WHERE campaign = ?1 AND seq = ?2";
        let checksum = self.transaction.prepare_cached(sql)?.query_row([self.campaign.0, signed(seq)], |row| {
            let (recipient, variables): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            let (last, timezone): (_, Option<String>) = (row.get(2)?, row.get(3)?);
            let said = (variables.as_deref(), last, timezone.as_deref());
            Ok(recipient_checksum(self.campaign, signed(seq), &recipient, said, NO_PLAN))
        })?;
        let sql = "UPDATE campaign_recipients SET generation = ?3, checksum = ?4 WHERE campaign = ?1 AND seq = ?2";
        self.transaction.prepare_cached(sql)?.execute(params![self.campaign.0, signed(seq), NO_PLAN, checksum])?;
        Ok(())
    }

    pub(super) fn recipient(&self, seq: u64) -> Result<NewRecipient, Fault> {
        let found = self.recipients_behind(seq - 1, 1)?.into_iter().next().filter(|(found, _)| *found == seq);
        let missing = || rows::damaged(RECIPIENTS, format!("there is no recipient {seq}"));
        Ok(found.ok_or_else(missing)?.1)
    }

    fn is_on_list(&self, seq: u64) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM campaign_recipients WHERE campaign = ?1 AND seq = ?2";
        Ok(self.transaction.prepare_cached(sql)?.exists(params![self.campaign.0, signed(seq)])?)
    }

    /// At most `limit` recipients behind the one of number `seq`.
    pub(super) fn recipients_behind(&self, seq: u64, limit: usize) -> Result<Vec<(u64, NewRecipient)>, Fault> {
        let sql = "SELECT seq, recipient, variables, last_interaction_at, generation, checksum, timezone
                   FROM campaign_recipients WHERE campaign = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let mut query = self.transaction.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = query.query_and_then(params![self.campaign.0, signed(seq), limit], |row| {
            let seq: i64 = column(row, RECIPIENTS, 0)?;
            let (recipient, variables): (String, Option<String>) =
                (column(row, RECIPIENTS, 1)?, column(row, RECIPIENTS, 2)?);
            let (last, generation): (Option<i64>, i64) = (column(row, RECIPIENTS, 3)?, column(row, RECIPIENTS, 4)?);
            let timezone: Option<String> = column(row, RECIPIENTS, 6)?;
            let said = (variables.as_deref(), last, timezone.as_deref());
            let checksum = recipient_checksum(self.campaign, seq, &recipient, said, generation);
            if column::<i64>(row, RECIPIENTS, 5)? != i64::from(checksum) {
                return Err(rows::damaged(RECIPIENTS, format!("the checksum of recipient {seq} is wrong")).into());
            }
            let variables = match variables {
                Some(text) => serde_json::from_str(&text).map_err(|error| rows::damaged(RECIPIENTS, error))?,
                None => serde_json::Map::new(),
            };
            let recipient = NewRecipient {
                recipient: rows::parse(RECIPIENTS, &recipient)?,
                variables,
                last_interaction_at: last.map(Timestamp::from_unix_millis),
                timezone,
            };
            Ok((unsigned(seq), recipient))
        })?;
        found.collect()
    }

    pub(super) fn count(&self, recipients: u64) -> Result<Vec<PartCount>, Fault> {
        let mut query = self.transaction.prepare_cached(
            "SELECT part, state, count(*), variant FROM deliveries WHERE campaign = ?1
             GROUP BY part, state, variant ORDER BY part, state, variant",
        )?;
        let found = query.query_and_then([self.campaign.0], |row| {
            let word: String = column(row, TABLE, 1)?;
            let state = State::parse(&word).ok_or_else(|| rows::damaged(TABLE, format!("state {word:?}")))?;
            let (part, count) = (column(row, TABLE, 0)?, unsigned(column(row, TABLE, 2)?));
            Ok::<_, Fault>(PartCount { part, variant: column(row, TABLE, 3)?, state, count })
        })?;
        Ok(with_those_without_a_row(found.collect::<Result<_, _>>()?, self.parts, recipients))
    }

    pub(super) fn list(
        &self,
        state: Option<State>,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<ListedDelivery>, Fault> {
        match state {
            Some(state) if state != State::Planned => {
                let after = after.or(Some(DeliveryKey { seq: 0, part: 0 }));
                let keys = self.keys_in(state, after, limit, "", None)?;
                keys.into_iter()
                    .map(|key| {
                        let delivery = self.row(key)?.map(|(delivery, _)| delivery);
                        let missing = || rows::damaged(TABLE, format!("{key} is in an index and nowhere else"));
                        let recipient = self.recipient(key.seq)?.recipient;
                        Ok(ListedDelivery { key, recipient, delivery: delivery.ok_or_else(missing)? })
                    })
                    .collect()
            }
            _ => self.list_all(state, after, limit),
        }
    }

    /// Walks the list of people, so that what has no row is there as well.
    fn list_all(
        &self,
        state: Option<State>,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<ListedDelivery>, Fault> {
        let mut listed = Vec::new();
        let mut seq = after.map_or(0, |key| key.seq - 1);
        while listed.len() < limit {
            let people = self.recipients_behind(seq, limit)?;
            let Some((last, _)) = people.last() else { break };
            seq = *last;
            for (seq, recipient) in people {
                for part in 0..self.parts {
                    let key = DeliveryKey { seq, part };
                    let delivery =
                        self.row(key)?.map_or_else(|| Delivery::planned(Timestamp::from_unix_millis(0)), |row| row.0);
                    let wanted = state.is_none_or(|state| state == delivery.state);
                    if wanted && after.is_none_or(|after| key > after) {
                        listed.push(ListedDelivery { key, recipient: recipient.recipient.clone(), delivery });
                    }
                }
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }
}

pub(super) fn recipient_checksum(
    campaign: CampaignId,
    seq: i64,
    recipient: &str,
    (variables, last_interaction_at, timezone): (Option<&str>, Option<i64>, Option<&str>),
    generation: i64,
) -> u32 {
    rows::crc_with(&(campaign.0, seq, recipient, variables, last_interaction_at, generation), timezone)
}
