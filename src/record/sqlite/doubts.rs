//! Attempts that may have arrived: the table `doubted_attempts`.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};

use super::SqliteRecord;
use super::campaigns::{campaigns_of, load_sheet};
use super::deliveries::Sheet;
use super::fault::Fault;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::delivery::{Doubted, Event, State};
use crate::ids::{KeySpace, Recipient};
use crate::record::delivery_rows::DeliveryRows;
use crate::record::rows::{self, signed, unsigned};
use crate::record::{
    CampaignId, DeliveryKey, DoubtedAttempt, DoubtfulDelivery, Doubts, Duplicate, Entry, Finding, ListedDelivery,
    PersonsDelivery, Proof, Proven, RecordError,
};

pub(super) const ATTEMPTS: &str = "doubted_attempts";

#[async_trait]
impl Doubts for SqliteRecord {
    async fn doubtful(
        &self,
        campaign: CampaignId,
        state: State,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<DoubtfulDelivery>, RecordError> {
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            let sheet = load_sheet(&transaction, campaign)?;
            let listed = sheet.list(Some(state), after, limit)?;
            listed.into_iter().map(|listed| sheet.doubtful(listed)).collect()
        })
        .await
    }

    async fn deliveries_to(
        &self,
        space: &KeySpace,
        recipient: &Recipient,
    ) -> Result<Vec<PersonsDelivery>, RecordError> {
        let (space, recipient) = (space.clone(), recipient.to_string());
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            let mut found = Vec::new();
            for campaign in campaigns_of(&transaction, &space)? {
                load_sheet(&transaction, campaign)?.collect_deliveries_to(&recipient, &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    async fn prove(&self, campaign: CampaignId, proofs: &[Proof], now: Timestamp) -> Result<Vec<Proven>, RecordError> {
        let proofs = proofs.to_vec();
        self.call(move |engine| {
            engine.bury_workers(now)?;
            engine.write(|transaction| {
                let mut sheet = load_sheet(transaction, campaign)?;
                proofs.iter().map(|proof| sheet.prove(proof, now)).collect()
            })
        })
        .await
    }

    async fn infer_sent(
        &self,
        campaign: CampaignId,
        key: DeliveryKey,
        found: &[Finding],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let found = found.to_vec();
        self.call(move |engine| {
            engine.write(|transaction| {
                let mut sheet = load_sheet(transaction, campaign)?;
                let Some(Finding { message_id, .. }) = found.first() else {
                    return Err(Fault::Refused(format!("nothing was found of {key}").into()));
                };
                let event = Event::InferredSent { message_id: message_id.clone() };
                sheet.apply(&Entry { key, event, at: now }, None)?;
                found.iter().try_for_each(|finding| sheet.identify(key, finding.attempt, &finding.message_id))
            })
        })
        .await
    }

    async fn duplicates(&self, campaign: CampaignId) -> Result<Vec<Duplicate>, RecordError> {
        self.call(move |engine| {
            let transaction = engine.connection.transaction()?;
            load_sheet(&transaction, campaign)?.duplicates()
        })
        .await
    }
}

impl Sheet<'_> {
    /// Keeps an attempt that may have arrived; one that is kept stays as it is. Without its time it is one that an older
    /// version left, which kept none.
    pub(super) fn keep_attempt(&self, key: DeliveryKey, doubted: Doubted) -> Result<(), Fault> {
        if doubted.intended_at.is_none() && !self.attempts_of(key)?.is_empty() {
            return Ok(());
        }
        self.put_attempt("INSERT INTO", "ON CONFLICT DO NOTHING", key, &DoubtedAttempt { doubted, message_id: None })
    }

    pub(super) fn replace_attempt(&self, key: DeliveryKey, kept: &DoubtedAttempt) -> Result<(), Fault> {
        self.put_attempt("REPLACE INTO", "", key, kept)
    }

    fn put_attempt(&self, verb: &str, ending: &str, key: DeliveryKey, kept: &DoubtedAttempt) -> Result<(), Fault> {
        let DoubtedAttempt { doubted: Doubted { attempt, nonce, intended_at }, message_id } = kept;
        let sql = format!("{verb} doubted_attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) {ending}");
        self.transaction.prepare_cached(&sql)?.execute(params![
            self.campaign.0,
            signed(key.seq),
            key.part,
            attempt,
            nonce,
            intended_at.map(Timestamp::as_unix_millis),
            message_id,
            self.attempt_checksum(key, kept),
        ])?;
        Ok(())
    }

    pub(super) fn attempt_checksum(&self, key: DeliveryKey, kept: &DoubtedAttempt) -> u32 {
        let DoubtedAttempt { doubted: Doubted { attempt, nonce, intended_at }, message_id } = kept;
        let intended_at = intended_at.map(Timestamp::as_unix_millis);
        rows::crc(&(self.campaign.0, key.seq, key.part, attempt, nonce, intended_at, message_id))
    }

    /// The attempts at a delivery that are kept, in their order.
    pub(super) fn attempts_of(&self, key: DeliveryKey) -> Result<Vec<DoubtedAttempt>, Fault> {
        let sql = "SELECT seq, part, attempt, nonce, intended_at, message_id, checksum FROM doubted_attempts
                   WHERE campaign = ?1 AND seq = ?2 AND part = ?3 ORDER BY attempt";
        let mut query = self.transaction.prepare_cached(sql)?;
        let values = params![self.campaign.0, signed(key.seq), key.part];
        let found = query.query_and_then(values, |row| Ok::<_, Fault>(self.read_attempt(row)?.1))?;
        found.collect()
    }

    fn read_attempt(&self, row: &Row) -> Result<(DeliveryKey, DoubtedAttempt), Fault> {
        let key = DeliveryKey { seq: unsigned(column(row, ATTEMPTS, 0)?), part: column(row, ATTEMPTS, 1)? };
        let intended_at = column::<Option<i64>>(row, ATTEMPTS, 4)?.map(Timestamp::from_unix_millis);
        let doubted = Doubted { attempt: column(row, ATTEMPTS, 2)?, nonce: column(row, ATTEMPTS, 3)?, intended_at };
        let kept = DoubtedAttempt { doubted, message_id: column(row, ATTEMPTS, 5)? };
        if column::<i64>(row, ATTEMPTS, 6)? == i64::from(self.attempt_checksum(key, &kept)) {
            return Ok((key, kept));
        }
        Err(rows::damaged(ATTEMPTS, format!("the checksum of an attempt at {key} is wrong")).into())
    }

    /// All attempts that are kept, in their order: few, however large the campaign.
    fn attempts(&self) -> Result<Vec<(DeliveryKey, DoubtedAttempt)>, Fault> {
        let sql = "SELECT seq, part, attempt, nonce, intended_at, message_id, checksum FROM doubted_attempts
                   WHERE campaign = ?1 ORDER BY seq, part, attempt";
        let mut query = self.transaction.prepare_cached(sql)?;
        let found = query.query_and_then([self.campaign.0], |row| self.read_attempt(row))?;
        found.collect()
    }

    fn doubtful(&self, listed: ListedDelivery) -> Result<DoubtfulDelivery, Fault> {
        let variables = self.recipient(listed.key.seq)?.variables;
        let attempts = self.attempts_of(listed.key)?;
        Ok(DoubtfulDelivery { listed, variables, attempts })
    }

    fn collect_deliveries_to(&self, recipient: &str, found: &mut Vec<PersonsDelivery>) -> Result<(), Fault> {
        let sql = "SELECT seq FROM campaign_recipients WHERE campaign = ?1 AND recipient = ?2";
        let mut query = self.transaction.prepare_cached(sql)?;
        let seq: Option<i64> = query.query_row(params![self.campaign.0, recipient], |row| row.get(0)).optional()?;
        let Some(seq) = seq.map(unsigned) else { return Ok(()) };
        for part in 0..self.parts {
            let key = DeliveryKey { seq, part };
            if let Some((delivery, _)) = self.row(key)? {
                let (campaign, attempts) = (self.campaign, self.attempts_of(key)?);
                found.push(PersonsDelivery { campaign, key, delivery, attempts });
            }
        }
        Ok(())
    }

    fn duplicates(&self) -> Result<Vec<Duplicate>, Fault> {
        let mut found: Vec<Duplicate> = Vec::new();
        for (key, kept) in self.attempts()? {
            let (Some(other), Some((delivery, _))) = (kept.message_id, self.row(key)?) else { continue };
            if delivery.state != State::Sent || delivery.message_id.as_ref() == Some(&other) {
                continue;
            }
            match found.last_mut().filter(|last| last.listed.key == key) {
                Some(last) if !last.others.contains(&other) => last.others.push(other),
                Some(_) => {}
                None => {
                    let recipient = self.recipient(key.seq)?.recipient;
                    found.push(Duplicate { listed: ListedDelivery { key, recipient, delivery }, others: vec![other] });
                }
            }
        }
        Ok(found)
    }

    /// Reads all of them, which compares them with their checksums.
    pub(super) fn verify_attempts(&self) -> Result<(), Fault> {
        self.attempts().map(drop)
    }
}
