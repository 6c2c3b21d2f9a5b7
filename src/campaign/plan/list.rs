//! A campaign's list, read in batches: what of it goes to the record, and the digest that seals it.

use std::mem;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::check::RowCheck;
use super::{Planned, text_of};
use crate::blocking::blocking;
use crate::campaign::recipients::{BadRow, RecipientReader};
use crate::campaign::{CampaignError, CampaignSpec};
use crate::clock::Timestamp;
use crate::ids::{Platform, Recipient};
use crate::record::{Campaign, NewRecipient, PlanDigest, Record, Worker};
use crate::stop::Stop;

/// How many rows go to the record at once.
pub(super) const BATCH: usize = 4_000;
/// How many bad rows are told one by one.
pub(super) const TOLD: usize = 100_000;

/// A list being read.
pub(super) struct List {
    reader: RecipientReader,
    check: RowCheck,
    hasher: Sha256,
    pub(super) batch: Vec<NewRecipient>,
    /// How many rows cannot be used.
    pub(super) malformed: u64,
    bad_rows: Vec<BadRow>,
    ended: bool,
    /// Testers who have not been found on the list.
    missing: Vec<Recipient>,
    first: Option<NewRecipient>,
    added: u64,
    path: PathBuf,
}

impl List {
    pub(super) async fn open(spec: &CampaignSpec, platform: Platform) -> Result<Self, CampaignError> {
        let spec = spec.clone();
        blocking(move || Self::opened(&spec, platform)).await
    }

    fn opened(spec: &CampaignSpec, platform: Platform) -> Result<Self, CampaignError> {
        let check = RowCheck::new(&spec.name, &spec.message, platform)?;
        let mut reader = RecipientReader::open(&spec.recipients, &check.variables())?;
        if spec.settings.times.quiet_hours.is_some() {
            reader = reader.with_timezones();
        }
        Ok(Self {
            reader,
            hasher: Sha256::new().chain_update(text_of(&spec.message)),
            check,
            batch: Vec::new(),
            malformed: 0,
            bad_rows: Vec::new(),
            ended: false,
            missing: spec.settings.ramp.testers.clone(),
            first: None,
            added: 0,
            path: spec.recipients.clone(),
        })
    }

    /// Reads the first rows that can be used: without any there is no campaign.
    pub(super) async fn begin(self) -> Result<Self, CampaignError> {
        let begun = self.forward().await?;
        if begun.batch.is_empty() {
            let first = begun.bad_rows.first().map(ToString::to_string);
            return Err(CampaignError::Nobody { path: begun.path, first });
        }
        Ok(begun)
    }

    /// Reads the next batch: as many rows that can be used as it holds, or all that are left.
    async fn forward(mut self) -> Result<Self, CampaignError> {
        blocking(move || self.read_batch().map(|()| self)).await
    }

    fn read_batch(&mut self) -> Result<(), CampaignError> {
        self.batch.clear();
        while self.batch.len() < BATCH {
            let Some(row) = self.reader.next_row()? else {
                self.ended = true;
                self.add_missing();
                return Ok(());
            };
            let row = row.and_then(|(line, person)| match self.check.problem(&person) {
                None => Ok(person),
                Some(reason) => Err(BadRow { line, reason }),
            });
            match row {
                Ok(person) => self.take(person),
                Err(bad) => {
                    self.malformed += 1;
                    if self.bad_rows.len() < TOLD {
                        self.bad_rows.push(bad);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, person: NewRecipient) {
        self.digest_row(&person);
        self.missing.retain(|tester| *tester != person.recipient);
        self.first.get_or_insert_with(|| person.clone());
        self.batch.push(person);
    }

    /// Puts testers on the list who are not: they get what the first on it gets.
    fn add_missing(&mut self) {
        let Some(first) = self.first.clone() else { return };
        for recipient in mem::take(&mut self.missing) {
            self.added += 1;
            self.take(NewRecipient { recipient, last_interaction_at: None, timezone: None, ..first.clone() });
        }
    }

    pub(super) fn planned(self, campaign: Campaign, unchanged: bool) -> Planned {
        Planned { campaign, unchanged, bad_rows: self.bad_rows, added: self.added }
    }

    fn digest_row(&mut self, person: &NewRecipient) {
        let NewRecipient { recipient, variables, last_interaction_at, timezone } = person;
        // JSON escapes line ends, so no row passes for two.
        let row = (recipient.to_string(), variables, last_interaction_at.map(Timestamp::as_unix_millis));
        self.hasher.update(b"\n");
        self.hasher.update(text_of(&row));
        if let Some(timezone) = timezone {
            self.hasher.update(text_of(timezone));
        }
    }

    pub(super) fn digest(&self) -> PlanDigest {
        self.hasher.clone().finalize().into()
    }
}

/// The list, read to its end.
pub(super) async fn read_through(spec: &CampaignSpec, platform: Platform, stop: &Stop) -> Result<List, CampaignError> {
    let mut list = List::open(spec, platform).await?;
    loop {
        list = list.forward().await?;
        if stop.is_requested() {
            return Err(CampaignError::Stopped);
        }
        if list.ended {
            return Ok(list);
        }
    }
}

/// Writes all rows down; one batch is read while the one before it is written.
pub(super) async fn write_down(
    record: &dyn Record,
    planner: &Worker,
    mut list: List,
    stop: &Stop,
) -> Result<List, CampaignError> {
    loop {
        let batch = mem::take(&mut list.batch);
        if batch.is_empty() {
            return Ok(list);
        }
        if stop.is_requested() {
            return Err(CampaignError::Stopped);
        }
        let (added, read) = futures::join!(record.add_recipients(planner, batch), list.forward());
        added?;
        list = read?;
    }
}
