//! The record as one life of a process sees it: the engine in SQLite itself, behind a disk that may fail, with latencies
//! drawn from the seed. Each call is one step: what has been committed is there, whatever comes after it.
//!
//! Where being alive is a lease, the engine's lock stands in for it: it is lost with the lease. What a server says to those
//! whose lease is over is said here, as in `record::postgres`.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reattach::budget::{Ask, Slice};
use reattach::clock::{ClockReading, Timestamp};
use reattach::delivery::{Event, State};
use reattach::ids::{
    AliasName, Asset, AssetKey, AttachmentId, CampaignName, ContentHash, KeySpace, Origin, PageId, Recipient,
};
use reattach::record::{
    Added, Adopted, Alias, Aliases, Answer, Begun, Budgets, Campaign, CampaignId, Campaigns, Change, Claim, Claimed,
    Claims, Completed, DeliveryKey, Derivation, Derivations, DoubtfulDelivery, Doubts, Duplicate, Enlisted, Entry,
    Finding, Heal, Heals, Ledger, ListedDelivery, Moved, NewCampaign, NewRecipient, NewUpload, PageIdentity, Pages,
    PartCount, PersonsDelivery, PlanDigest, Proof, Proven, Reach, Record, RecordError, Request, Requests, ServerTimes,
    TakenUp, Upload, UploadFilter, Uploads, Worker, Written,
};
use reattach::secret::TokenFingerprint;
use tokio::time::sleep;

use super::life::{Life, START};
use super::mistakes::Mistake;
use super::world::{Fault, at_once};

/// What a call asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) struct Desk(pub(super) Arc<Life>);

/// What bytes or address an asset is, in one word.
pub(super) fn content_of(asset: &Asset) -> String {
    hex::encode(asset.digest())
}

/// The name of an error, which says what is to be done about it.
pub(super) fn kind(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

impl Desk {
    fn path(&self) -> std::path::PathBuf {
        self.0.world.record()
    }

    fn failed(&self) -> RecordError {
        RecordError::Failed { path: self.path(), source: Arc::new(io::Error::other("input/output error")) }
    }

    /// The engine, once it is this call's turn.
    async fn turn(&self, what: &str, sort: Sort) -> Result<Arc<dyn Record>, RecordError> {
        let (life, world) = (&self.0, &self.0.world);
        life.gate().await;
        let latency = match sort {
            Sort::Read => world.millis(0, 3),
            Sort::Write => world.millis(1, 12),
        };
        sleep(latency).await;
        life.gate().await;
        if life.has_failed() {
            return Err(RecordError::Stopped { path: self.path(), why: "input/output error".to_owned() });
        }
        if sort == Sort::Write {
            let source = Arc::new(io::Error::other(what.to_owned()));
            if world.strikes(5) {
                world.befell(Fault::DiskLocked, format_args!("{life:?} {what}"));
                return Err(RecordError::Locked { path: self.path(), source });
            }
            if world.is_disk_full() && !life.has_room() {
                world.befell(Fault::DiskFull, format_args!("{life:?} {what}"));
                return Err(RecordError::Full { path: self.path(), source });
            }
            if world.strikes(1) {
                world.befell(Fault::DiskFailed, format_args!("{life:?} before {what}"));
                life.fail();
                return Err(self.failed());
            }
        }
        let Some(engine) = life.engine() else { return std::future::pending().await };
        if !world.is_disk_full() {
            for worker in life.kept_in_mind() {
                let _ = at_once(engine.retire(&worker, START.plus(world.elapsed())));
            }
        }
        Ok(engine)
    }

    /// What is answered, unless the disk says that it failed although it did not.
    async fn answer<T>(&self, what: &str, sort: Sort, answer: Result<T, RecordError>) -> Result<T, RecordError> {
        let (life, world) = (&self.0, &self.0.world);
        let told = answer.as_ref().map_or_else(kind, |_| String::new());
        world.note(format_args!("{life:?} {what} {told}"));
        life.gate().await;
        if sort == Sort::Write && answer.is_ok() && world.strikes(1) {
            world.befell(Fault::DiskFailed, format_args!("{life:?} after {what}"));
            life.fail();
            return Err(self.failed());
        }
        answer
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.0.world.mistake == Some(mistake)
    }
}

macro_rules! step {
    ($desk:ident, $sort:ident, $name:ident($($argument:expr),*)) => {{
        let (what, sort) = (stringify!($name), Sort::$sort);
        let engine = $desk.turn(what, sort).await?;
        let answer = at_once(engine.$name($($argument),*));
        // Whoever crashes before the answer must not keep it open.
        drop(engine);
        $desk.answer(what, sort, answer).await
    }};
}

#[async_trait]
impl Uploads for Desk {
    async fn find(&self, keys: &[AssetKey]) -> Result<Vec<Option<Upload>>, RecordError> {
        step!(self, Read, find(keys))
    }

    async fn list(
        &self,
        filter: &UploadFilter,
        after: Option<&AssetKey>,
        limit: usize,
    ) -> Result<Vec<Upload>, RecordError> {
        step!(self, Read, list(filter, after, limit))
    }

    async fn claim(&self, key: &AssetKey, now: Timestamp) -> Result<Claimed, RecordError> {
        self.0.world.note(format_args!("{:?} claims {}", self.0, content_of(&key.asset)));
        let engine = self.turn("claim", Sort::Write).await?;
        let mut claimed = at_once(engine.claim(key, now));
        if self.makes(Mistake::EverybodyUploads)
            && let Ok(Claimed::Held { .. }) = claimed
        {
            claimed = Ok(Claimed::Won(Claim { key: key.clone(), epoch: i64::MAX }));
        }
        if let Ok(Claimed::Won(_)) = claimed {
            self.0.has_claimed(content_of(&key.asset));
        }
        drop(engine);
        self.answer("claim", Sort::Write, claimed).await
    }

    async fn until_free(&self, _: &AssetKey) {
        self.0.gate().await;
        sleep(self.0.world.millis(20, 80)).await;
        self.0.gate().await;
    }

    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, RecordError> {
        step!(self, Write, complete(claim, upload))
    }

    async fn adopt(&self, uploads: &[Upload]) -> Result<Vec<Adopted>, RecordError> {
        step!(self, Write, adopt(uploads))
    }

    async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        if self.makes(Mistake::KeepsClaims) {
            return Ok(());
        }
        let engine = match self.turn("release", Sort::Write).await {
            Err(error @ (RecordError::Locked { .. } | RecordError::Full { .. })) => {
                // The engine was not asked, and would have kept it in mind.
                self.abandon_claim(claim);
                return Err(error);
            }
            turn => turn?,
        };
        let released = at_once(engine.release(claim));
        drop(engine);
        self.answer("release", Sort::Write, released).await
    }

    fn abandon_claim(&self, claim: &Claim) {
        if let Some(engine) = self.0.engine().filter(|_| !self.makes(Mistake::KeepsClaims)) {
            engine.abandon_claim(claim);
        }
    }

    async fn follow(&self, moves: &[Moved]) -> Result<(), RecordError> {
        step!(self, Write, follow(moves))
    }

    async fn reject(&self, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), RecordError> {
        step!(self, Write, reject(key, attachment_id))
    }

    async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, RecordError> {
        step!(self, Write, forget(key))
    }

    async fn count_orphans(&self) -> Result<u64, RecordError> {
        step!(self, Read, count_orphans())
    }
}

#[async_trait]
impl Pages for Desk {
    async fn page_of(&self, origin: &Origin, token: TokenFingerprint) -> Result<Option<PageIdentity>, RecordError> {
        step!(self, Read, page_of(origin, token))
    }

    async fn remember_page(
        &self,
        origin: &Origin,
        token: TokenFingerprint,
        page: &PageIdentity,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        step!(self, Write, remember_page(origin, token, page, now))
    }
}

#[async_trait]
impl ServerTimes for Desk {
    async fn clock_reading(&self, origin: &Origin) -> Result<Option<ClockReading>, RecordError> {
        step!(self, Read, clock_reading(origin))
    }

    async fn keep_clock_reading(&self, origin: &Origin, reading: ClockReading) -> Result<(), RecordError> {
        step!(self, Write, keep_clock_reading(origin, reading))
    }
}

#[async_trait]
impl Heals for Desk {
    async fn remember_heal(&self, heal: &Heal, since: Timestamp) -> Result<(), RecordError> {
        step!(self, Write, remember_heal(heal, since))
    }

    async fn count_heals(&self, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, RecordError> {
        step!(self, Read, count_heals(key, after, now))
    }

    async fn healed(&self, space: &KeySpace, refused: &AttachmentId) -> Result<Option<AssetKey>, RecordError> {
        step!(self, Read, healed(space, refused))
    }
}

#[async_trait]
impl Aliases for Desk {
    async fn alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        step!(self, Read, alias(name))
    }

    async fn set_alias(&self, alias: &Alias) -> Result<Option<Alias>, RecordError> {
        step!(self, Write, set_alias(alias))
    }

    async fn remove_alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        step!(self, Write, remove_alias(name))
    }

    async fn aliases(&self) -> Result<Vec<Alias>, RecordError> {
        step!(self, Read, aliases())
    }
}

#[async_trait]
impl Derivations for Desk {
    async fn copies_of(&self, source: ContentHash) -> Result<Vec<Derivation>, RecordError> {
        step!(self, Read, copies_of(source))
    }

    async fn sources_of(&self, results: &[ContentHash]) -> Result<Vec<Derivation>, RecordError> {
        step!(self, Read, sources_of(results))
    }

    async fn remember_derivation(&self, derivation: &Derivation, now: Timestamp) -> Result<(), RecordError> {
        step!(self, Write, remember_derivation(derivation, now))
    }
}

#[async_trait]
impl Campaigns for Desk {
    async fn campaign(
        &self,
        space: &KeySpace,
        name: &CampaignName,
        now: Timestamp,
    ) -> Result<Option<Campaign>, RecordError> {
        step!(self, Read, campaign(space, name, now))
    }

    async fn campaigns(&self, now: Timestamp) -> Result<Vec<Campaign>, RecordError> {
        step!(self, Read, campaigns(now))
    }

    async fn begin_plan(&self, new: &NewCampaign, pid: u32, now: Timestamp) -> Result<Begun, RecordError> {
        step!(self, Write, begin_plan(new, pid, now))
    }

    async fn add_recipients(&self, planner: &Worker, batch: Vec<NewRecipient>) -> Result<Added, RecordError> {
        step!(self, Write, add_recipients(planner, batch))
    }

    async fn seal_plan(
        &self,
        planner: &Worker,
        new: &NewCampaign,
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        step!(self, Write, seal_plan(planner, new, digest, malformed, now))
    }

    async fn change(&self, campaign: CampaignId, change: Change) -> Result<(), RecordError> {
        step!(self, Write, change(campaign, change))
    }

    async fn suppress(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        step!(self, Write, suppress(campaign, recipients, now))
    }

    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError> {
        step!(self, Read, first_recipient(campaign))
    }

    async fn count_untouched(
        &self,
        campaign: CampaignId,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<u64, RecordError> {
        step!(self, Read, count_untouched(campaign, since, but_for))
    }

    async fn place_of(
        &self,
        campaign: CampaignId,
        nth: u64,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<Option<u64>, RecordError> {
        step!(self, Read, place_of(campaign, nth, since, but_for))
    }

    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError> {
        step!(self, Read, count_silent(campaign, since))
    }

    async fn count(&self, campaign: CampaignId, now: Timestamp) -> Result<Vec<PartCount>, RecordError> {
        step!(self, Read, count(campaign, now))
    }

    async fn deliveries(
        &self,
        campaign: CampaignId,
        state: Option<State>,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<ListedDelivery>, RecordError> {
        step!(self, Read, deliveries(campaign, state, after, limit))
    }

    async fn decide(&self, campaign: CampaignId, entries: &[Entry]) -> Result<(), RecordError> {
        step!(self, Write, decide(campaign, entries))
    }
}

#[async_trait]
impl Doubts for Desk {
    async fn doubtful(
        &self,
        campaign: CampaignId,
        state: State,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<DoubtfulDelivery>, RecordError> {
        step!(self, Read, doubtful(campaign, state, after, limit))
    }

    async fn deliveries_to(
        &self,
        space: &KeySpace,
        recipient: &Recipient,
    ) -> Result<Vec<PersonsDelivery>, RecordError> {
        step!(self, Read, deliveries_to(space, recipient))
    }

    async fn prove(&self, campaign: CampaignId, proofs: &[Proof], now: Timestamp) -> Result<Vec<Proven>, RecordError> {
        step!(self, Write, prove(campaign, proofs, now))
    }

    async fn infer_sent(
        &self,
        campaign: CampaignId,
        key: DeliveryKey,
        found: &[Finding],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        step!(self, Write, infer_sent(campaign, key, found, now))
    }

    async fn duplicates(&self, campaign: CampaignId) -> Result<Vec<Duplicate>, RecordError> {
        step!(self, Read, duplicates(campaign))
    }
}

#[async_trait]
impl Ledger for Desk {
    async fn enlist(&self, campaign: CampaignId, pid: u32, now: Timestamp) -> Result<Enlisted, RecordError> {
        let engine = self.turn("enlist", Sort::Write).await?;
        let enlisted = at_once(engine.enlist(campaign, pid, now));
        if let Ok(Enlisted::Won(worker)) = &enlisted {
            let campaigns = at_once(engine.campaigns(now)).expect("the campaigns");
            let known = campaigns.into_iter().find(|known| known.id == campaign).expect("the campaign");
            self.0.enlisted(worker.epoch, known.name.to_string());
            if self.makes(Mistake::SendsAgainAfterACrash) {
                let unknown = at_once(engine.deliveries(campaign, Some(State::Unknown), None, usize::MAX));
                let again = |listed: ListedDelivery| Entry { key: listed.key, event: Event::AssumeNotSent, at: now };
                let again: Vec<_> = unknown.expect("the unknown").into_iter().map(again).collect();
                at_once(engine.decide(campaign, &again)).expect("sent again");
            }
        }
        drop(engine);
        self.answer("enlist", Sort::Write, enlisted).await
    }

    async fn claim_deliveries(
        &self,
        worker: &Worker,
        reach: Reach<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Claims, RecordError> {
        let engine = self.turn("claim_deliveries", Sort::Write).await?;
        if self.0.has_lapsed(worker.epoch) {
            drop(engine);
            return self.answer("claim_deliveries", Sort::Read, Err(RecordError::Lapsed)).await;
        }
        let claims = at_once(engine.claim_deliveries(worker, reach, limit, now));
        drop(engine);
        self.answer("claim_deliveries", Sort::Write, claims).await
    }

    async fn write(&self, worker: &Worker, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        let is_intent = |entry: &Entry| matches!(entry.event, Event::Intend { .. });
        if self.makes(Mistake::SendsBeforeTheIntent) && entries.iter().all(is_intent) {
            self.0.owe(worker, entries);
            return Ok(vec![Written::Stored; entries.len()]);
        }
        let owed = self.0.owed();
        let engine = self.turn("write", Sort::Write).await?;
        for (worker, entries) in owed {
            // Too late for some: a crash has passed them on.
            let _ = at_once(engine.write(&worker, &entries));
        }
        let written = if self.0.has_lapsed(worker.epoch) {
            match entries.iter().all(is_intent) {
                _ if self.makes(Mistake::IgnoresTheLease) => Ok(vec![Written::Stored; entries.len()]),
                true => Ok(vec![Written::Lapsed; entries.len()]),
                false => Err(RecordError::Lapsed),
            }
        } else {
            at_once(engine.write(worker, entries))
        };
        for entry in entries {
            self.0.world.note(format_args!("{:?} {} {:?}", self.0, entry.key, entry.event));
        }
        if let Ok(written) = &written
            && !self.0.has_lapsed(worker.epoch)
        {
            let campaign = self.0.campaign_of(worker.epoch);
            for (entry, written) in entries.iter().zip(written) {
                if let (Event::Intend { nonce, .. }, Written::Stored) = (&entry.event, written) {
                    self.0.world.has_intended(campaign.clone(), entry.key, *nonce);
                }
            }
        }
        drop(engine);
        self.answer("write", Sort::Write, written).await
    }

    async fn make_room(&self) -> Result<bool, RecordError> {
        self.0.make_room();
        step!(self, Write, make_room())
    }

    fn may_begin(&self, worker: &Worker, call: Duration) -> bool {
        !self.0.world.scenario.leases || self.makes(Mistake::IgnoresTheLease) || self.0.may_begin(worker.epoch, call)
    }

    async fn retire(&self, worker: &Worker, now: Timestamp) -> Result<(), RecordError> {
        if self.0.has_lapsed(worker.epoch) {
            return Ok(());
        }
        let engine = match self.turn("retire", Sort::Write).await {
            Err(error @ (RecordError::Locked { .. } | RecordError::Full { .. })) => {
                // The engine was not asked, and would have kept it in mind.
                self.0.keep_in_mind(worker);
                return Err(error);
            }
            turn => turn?,
        };
        self.answer("retire", Sort::Write, at_once(engine.retire(worker, now))).await
    }

    fn abandon_worker(&self, worker: &Worker) {
        if !self.0.has_lapsed(worker.epoch) {
            self.0.keep_in_mind(worker);
        }
    }
}

#[async_trait]
impl Budgets for Desk {
    async fn draw(&self, origin: &Origin, page: &PageId, owner: i64, ask: &Ask) -> Result<Slice, RecordError> {
        step!(self, Read, draw(origin, page, owner, ask))
    }
}

#[async_trait]
impl Requests for Desk {
    async fn take_up(&self, request: &Request, since: Timestamp) -> Result<TakenUp, RecordError> {
        step!(self, Write, take_up(request, since))
    }

    async fn answer(&self, request: &Request, answer: &Answer) -> Result<(), RecordError> {
        let engine = self.turn("answer", Sort::Write).await?;
        let answered = at_once(engine.answer(request, answer));
        drop(engine);
        Self::answer(self, "answer", Sort::Write, answered).await
    }

    async fn give_back(&self, request: &Request) -> Result<(), RecordError> {
        step!(self, Write, give_back(request))
    }
}

#[async_trait]
impl Record for Desk {
    async fn verify(&self) -> Result<(), RecordError> {
        step!(self, Read, verify())
    }
}
