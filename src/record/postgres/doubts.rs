//! Attempts that may have arrived: the table `doubted_attempts`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresRecord;
use super::campaigns::parts_of;
use super::deliveries::{self, Sheet, columns_of, numbers, read, recipients, small};
use super::fault::Fault;
use super::session::Tx;
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

const ATTEMPTS: &str = "doubted_attempts";
const COLUMNS: &str = "seq, part, attempt, nonce, intended_at, message_id";

/// Attempts by their deliveries and numbers.
pub(super) type Attempts = BTreeMap<(DeliveryKey, u32), DoubtedAttempt>;

#[async_trait]
impl Doubts for PostgresRecord {
    async fn doubtful(
        &self,
        campaign: CampaignId,
        state: State,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<DoubtfulDelivery>, RecordError> {
        self.sessions
            .read(|tx| async move {
                let parts = parts_of(&tx, campaign).await?;
                let listed = deliveries::list(&tx, campaign, parts, Some(state), after, limit).await?;
                let seqs: Vec<i64> = listed.iter().map(|listed| signed(listed.key.seq)).collect();
                let attempts = attempts(&tx, campaign, &seqs).await?;
                let people = recipients(&tx, campaign, seqs).await?;
                let doubtful = |listed: ListedDelivery| {
                    let variables = people.get(&listed.key.seq).map(|person| person.variables.clone());
                    let attempts = of(&attempts, listed.key);
                    DoubtfulDelivery { listed, variables: variables.unwrap_or_default(), attempts }
                };
                Ok(listed.into_iter().map(doubtful).collect())
            })
            .await
    }

    async fn deliveries_to(
        &self,
        space: &KeySpace,
        recipient: &Recipient,
    ) -> Result<Vec<PersonsDelivery>, RecordError> {
        let recipient = &recipient.to_string();
        self.sessions
            .read(|tx| async move {
                let sql = format!(
                    "SELECT {}, d.campaign FROM campaign_recipients r JOIN deliveries d USING (campaign, seq)
                     JOIN campaigns ON campaigns.id = r.campaign JOIN spaces ON spaces.id = space
                     WHERE recipient = $1 AND origin = $2 AND page_id = $3 AND platform = $4
                     ORDER BY d.campaign, d.seq, d.part",
                    columns_of("d")
                );
                let place = (space.origin.as_str(), space.page.as_str(), space.platform.as_str());
                let mut found = Vec::new();
                for row in tx.rows(&sql, &[recipient, &place.0, &place.1, &place.2]).await? {
                    let (key, (delivery, _)) = read(&row)?;
                    let campaign = CampaignId(column(&row, "deliveries", 12)?);
                    let attempts = of(&attempts(&tx, campaign, &[signed(key.seq)]).await?, key);
                    found.push(PersonsDelivery { campaign, key, delivery, attempts });
                }
                Ok(found)
            })
            .await
    }

    async fn prove(&self, campaign: CampaignId, proofs: &[Proof], now: Timestamp) -> Result<Vec<Proven>, RecordError> {
        self.bury_workers(now).await?;
        self.sessions
            .write(|tx| async move {
                let parts = parts_of(&tx, campaign).await?;
                let seqs = proofs.iter().map(|proof| proof.key.seq).collect();
                let mut sheet = Sheet::of(&tx, campaign, parts, &seqs).await?.with_the_list(&tx, &seqs).await?;
                sheet = sheet.with_attempts(&tx, &seqs).await?;
                let proven = proofs.iter().map(|proof| sheet.prove(proof, now)).collect::<Result<_, _>>()?;
                sheet.save(&tx).await?;
                Ok(proven)
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
        self.sessions
            .write(|tx| async move {
                let Some(Finding { message_id, .. }) = found.first() else {
                    return Err(Fault::Refused(format!("nothing was found of {key}").into()));
                };
                let parts = parts_of(&tx, campaign).await?;
                let seqs = [key.seq].into();
                let mut sheet = Sheet::of(&tx, campaign, parts, &seqs).await?.with_the_list(&tx, &seqs).await?;
                sheet = sheet.with_attempts(&tx, &seqs).await?;
                let event = Event::InferredSent { message_id: message_id.clone() };
                sheet.apply(&Entry { key, event, at: now }, None)?;
                for finding in found {
                    sheet.identify(key, finding.attempt, &finding.message_id)?;
                }
                sheet.save(&tx).await
            })
            .await
    }

    async fn duplicates(&self, campaign: CampaignId) -> Result<Vec<Duplicate>, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let sql = format!(
                    "SELECT {}, recipient, a.message_id FROM doubted_attempts a
                     JOIN deliveries d USING (campaign, seq, part) JOIN campaign_recipients USING (campaign, seq)
                     WHERE campaign = $1 AND d.state = 'sent' AND a.message_id <> coalesce(d.message_id, '')
                     ORDER BY seq, part, attempt",
                    columns_of("d")
                );
                let mut found: Vec<Duplicate> = Vec::new();
                for row in tx.rows(&sql, &[&campaign.0]).await? {
                    let (key, (delivery, _)) = read(&row)?;
                    let other: String = column(&row, ATTEMPTS, 13)?;
                    match found.last_mut().filter(|last| last.listed.key == key) {
                        Some(last) if !last.others.contains(&other) => last.others.push(other),
                        Some(_) => {}
                        None => {
                            let recipient = rows::parse("campaign_recipients", column(&row, ATTEMPTS, 12)?)?;
                            let listed = ListedDelivery { key, recipient, delivery };
                            found.push(Duplicate { listed, others: vec![other] });
                        }
                    }
                }
                Ok(found)
            })
            .await
    }
}

/// Says which messages attempts were.
pub(super) async fn identify(
    tx: &Tx,
    campaign: CampaignId,
    identified: &[(DeliveryKey, u32, String)],
) -> Result<(), Fault> {
    for (key, attempt, message_id) in identified {
        let sql = "UPDATE doubted_attempts SET message_id = $5
                   WHERE campaign = $1 AND seq = $2 AND part = $3 AND attempt = $4";
        let (seq, part) = numbers(*key);
        tx.execute(sql, &[&campaign.0, &seq, &part, &i64::from(*attempt), message_id]).await?;
    }
    Ok(())
}

/// Keeps attempts that may have arrived; one that is kept stays as it is. Those without a time are of records older than
/// this, and only kept where there is none.
pub(super) async fn keep(tx: &Tx, campaign: CampaignId, doubted: &[(DeliveryKey, Doubted)]) -> Result<(), Fault> {
    if doubted.is_empty() {
        return Ok(());
    }
    let (seqs, parts): (Vec<_>, Vec<_>) = doubted.iter().map(|(key, _)| numbers(*key)).unzip();
    let number = |number: fn(&Doubted) -> Option<i64>| -> Vec<Option<i64>> {
        doubted.iter().map(|(_, doubted)| number(doubted)).collect()
    };
    let sql = format!(
        "INSERT INTO doubted_attempts (campaign, {COLUMNS})
         SELECT $1, new.*, NULL FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
             AS new (seq, part, attempt, nonce, intended_at)
         WHERE intended_at IS NOT NULL OR NOT EXISTS (SELECT FROM doubted_attempts old
             WHERE old.campaign = $1 AND old.seq = new.seq AND old.part = new.part)
         ON CONFLICT DO NOTHING"
    );
    let attempts = number(|doubted| Some(doubted.attempt.into()));
    let nonces = number(|doubted| Some(doubted.nonce.into()));
    let times = number(|doubted| doubted.intended_at.map(Timestamp::as_unix_millis));
    tx.execute(&sql, &[&campaign.0, &seqs, &parts, &attempts, &nonces, &times]).await?;
    Ok(())
}

/// Lets go of all attempts at what goes to these recipients.
pub(super) async fn forget(tx: &Tx, campaign: CampaignId, seqs: &[i64]) -> Result<(), Fault> {
    if !seqs.is_empty() {
        tx.execute("DELETE FROM doubted_attempts WHERE campaign = $1 AND seq = ANY ($2)", &[&campaign.0, &seqs])
            .await?;
    }
    Ok(())
}

/// The attempts at what goes to these recipients.
pub(super) async fn attempts(tx: &Tx, campaign: CampaignId, seqs: &[i64]) -> Result<Attempts, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM doubted_attempts WHERE campaign = $1 AND seq = ANY ($2)");
    tx.rows(&sql, &[&campaign.0, &seqs]).await?.iter().map(|row| Ok(attempt(row)?)).collect()
}

fn of(attempts: &Attempts, key: DeliveryKey) -> Vec<DoubtedAttempt> {
    attempts.range((key, 0)..=(key, u32::MAX)).map(|(_, kept)| kept.clone()).collect()
}

fn attempt(row: &Row) -> Result<((DeliveryKey, u32), DoubtedAttempt), RecordError> {
    let key = DeliveryKey { seq: unsigned(column(row, ATTEMPTS, 0)?), part: small(column(row, ATTEMPTS, 1)?)? };
    let attempt = small(column(row, ATTEMPTS, 2)?)?;
    let intended_at = column::<Option<i64>>(row, ATTEMPTS, 4)?.map(Timestamp::from_unix_millis);
    let doubted = Doubted { attempt, nonce: small(column(row, ATTEMPTS, 3)?)?, intended_at };
    Ok(((key, attempt), DoubtedAttempt { doubted, message_id: column(row, ATTEMPTS, 5)? }))
}

pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    for row in tx.rows(&format!("SELECT {COLUMNS} FROM doubted_attempts"), &[]).await? {
        attempt(&row)?;
    }
    Ok(())
}
