//! Campaigns on record: what is to be sent to whom, and what became of it.
//!
//! [`Campaigns`] is what planners and operators ask for, [`Ledger`] what workers do. Both work in batches, because a batch
//! costs one wait for the disk. Every change of a delivery is an [`Event`] that [`Delivery::step`] allows; the engine
//! applies it, so that no caller can store what must not be.
//!
//! A recipient's parts follow one another: when one is sent, the next is the same worker's at once; when one fails or is
//! skipped, those behind it are skipped; behind one that is unknown they wait.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::RecordError;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Event, State};
use crate::ids::{CampaignName, KeySpace, Recipient};

/// A campaign as it stands on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its number, which never changes.
    pub id: CampaignId,
    /// The Page it is sent by.
    pub space: KeySpace,
    /// Its name, unique within the space.
    pub name: CampaignName,
    /// What is sent, in the form the planner wrote it.
    pub message: String,
    /// How it is sent, in the form the planner wrote it.
    pub settings: String,
    /// How many parts the message has.
    pub parts: u8,
    /// What message and list were planned; `None` while the plan is not complete.
    pub digest: Option<PlanDigest>,
    /// Which contents its assets had when it was first sent, in the form the sender wrote it.
    pub assets: Option<String>,
    /// How many people it goes to.
    pub recipients: u64,
    /// Rows of the list that named somebody once more.
    pub duplicates: u64,
    /// Rows of the list that could not be used.
    pub malformed: u64,
    /// Uploads made for it.
    pub uploads: u64,
    /// Why nobody is to send; `None` where nothing speaks against it.
    pub paused: Option<String>,
    /// When it was planned: later than all that was settled before, whatever the clock said.
    pub planned_at: Timestamp,
    /// How often it was, plans that were cut off included.
    pub plans: u64,
    /// When it was first sent.
    pub started_at: Option<Timestamp>,
    /// Which of its stages is to be sent, from 0.
    pub stage: u8,
    /// Who plans or sends it right now.
    pub holder: Option<Holder>,
}

impl Campaign {
    /// How many deliveries there are in all.
    pub fn total(&self) -> u64 {
        self.recipients * u64::from(self.parts)
    }
}

/// The number of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CampaignId(pub i64);

/// SHA-256 of what was planned.
pub type PlanDigest = [u8; 32];

/// Who plans or sends a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// The plan that named somebody who gets nothing more: none, and none that comes will.
pub(super) const NO_PLAN: i64 = -1;

/// What a planner brings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented at `Campaign`")]
pub struct NewCampaign {
    pub space: KeySpace,
    pub name: CampaignName,
    pub message: String,
    pub settings: String,
    pub parts: u8,
    /// The plan it takes the place of, as it was last seen; `None` where there was none, or none that was complete.
    pub replaces: Option<PlanDigest>,
    /// Those who try it out.
    pub testers: Vec<Recipient>,
}

/// The right to plan or send a campaign, until it is given back or its owner dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Greater than that of every earlier worker.
    pub epoch: i64,
}

/// What came of asking to work on a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enlisted {
    /// Nobody else works on it now.
    Won(Worker),
    /// Somebody does.
    Held(Holder),
}

/// What came of beginning a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Nobody else works on it now.
    Won(Worker),
    /// Somebody does.
    Held(Holder),
    /// The plan it was to take the place of is there no more: another was faster.
    Overtaken,
}

/// Somebody on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Who.
    pub recipient: Recipient,
    /// What the message says of them alone; empty where it says nothing.
    pub variables: Map<String, Value>,
    /// When they last wrote to the Page, where that is known.
    pub last_interaction_at: Option<Timestamp>,
    /// The time zone they live in, as the list has it, where the campaign asks.
    pub timezone: Option<String>,
}

/// What came of a batch of recipients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// New or named again by this plan for the first time.
    pub accepted: u64,
    /// Named by this plan before.
    pub duplicates: u64,
}

/// Which delivery of a campaign: in the order in which they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The recipient's place in the list, from 1.
    pub seq: u64,
    /// The part, from 0.
    pub part: u8,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of recipient {}", self.part + 1, self.seq)
    }
}

/// A recipient a worker has claimed, and the part to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedRow {
    /// Who, and from which part on.
    pub key: DeliveryKey,
    /// How often this part was tried before.
    pub attempt: u32,
    /// Whether an earlier attempt may have arrived, and no operator wants another in spite of that.
    pub is_doubtful: bool,
    /// Who, and what is said of them alone.
    pub recipient: NewRecipient,
}

/// Whom a worker may send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// These people, where they are on the list; a few.
    These(&'a [Recipient]),
    /// Everybody up to this place in the list with whom nothing was settled before that time.
    UpTo {
        /// The last place.
        place: u64,
        /// When what counts began.
        since: Timestamp,
    },
    /// Everybody.
    All,
}

/// What there was to claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Recipients, in the order in which they are to be sent to.
    pub rows: Vec<ClaimedRow>,
    /// When the next delivery falls due that has to wait, if any does.
    pub next_due: Option<Timestamp>,
}

/// One change of a delivery a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which delivery.
    pub key: DeliveryKey,
    /// What happens to it.
    pub event: Event,
    /// When.
    pub at: Timestamp,
}

/// What came of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is on the disk.
    Stored,
    /// It was an intent, and the campaign is paused: nothing was stored, and nothing may leave.
    Paused,
    /// It was an intent, and the worker's lease is over: nothing was stored, and nothing may leave.
    Lapsed,
}

/// One delivery and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDelivery {
    /// Which.
    pub key: DeliveryKey,
    /// Whose.
    pub recipient: Recipient,
    /// What is known of it.
    pub delivery: Delivery,
}

/// How many deliveries of one part are in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCount {
    /// The part, from 0.
    pub part: u8,
    /// The variant that was last on its way; nothing where there is none, or none was.
    pub variant: Option<String>,
    /// The state; what has no row of its own is `planned`.
    pub state: State,
    /// How many.
    pub count: u64,
}

/// How the rest of a campaign's row changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nobody sends any more, for this reason; who is sending learns of it with the next intent.
    Pause(String),
    /// The same, unless there is a reason already: that stays.
    PauseUnlessPaused(String),
    /// This reason speaks against sending no more. Another, which came meanwhile, stays.
    Unpause(String),
    /// So many more uploads were made for it.
    Uploads(u64),
    /// Other ways to send it: what was put off, or skipped for the time or for a closed window, is judged anew.
    Settings(String),
    /// Which contents its assets have, kept if nothing was kept before.
    FreezeAssets(String),
    /// Its assets may have other contents from now on.
    ThawAssets,
    /// The stage before this one is through; nobody sends this one before a yes, for this reason, behind the one there may be.
    /// Where that was said before, there may have been a yes since: nothing changes.
    Stage(u8, String),
}

/// How the reason of a campaign begins whose record turned out to lack what it had acknowledged, or may do so. It stands
/// until somebody resumes the campaign: pauses and stages are told behind it, and no plan takes it away.
pub const LOST: &str =
    "the record may have lost what it had acknowledged: messages may have left of which it knows nothing";

/// Whether the campaign is paused for that.
pub(super) fn is_lost(paused: Option<&str>) -> bool {
    paused.is_some_and(|why| why.starts_with(LOST))
}

/// What a campaign is paused for once somebody pauses it for this.
pub(super) fn paused_anew(before: Option<&str>, why: String) -> String {
    if is_lost(before) { format!("{LOST}; {why}") } else { why }
}

/// Campaigns as planners and operators see them.
///
/// Every call that shows a campaign or its deliveries first settles what dead workers left: in flight → unknown,
/// claimed → planned.
#[async_trait]
pub trait Campaigns: fmt::Debug + Send + Sync {
    /// The campaign of that name; `None` where there is none.
    async fn campaign(
        &self,
        space: &KeySpace,
        name: &CampaignName,
        now: Timestamp,
    ) -> Result<Option<Campaign>, RecordError>;

    /// Every campaign of every Page, the oldest first.
    async fn campaigns(&self, now: Timestamp) -> Result<Vec<Campaign>, RecordError>;

    /// Begins a plan, in place of the one there was: its digest is gone until [`seal_plan`](Self::seal_plan), and all else
    /// but the time it was planned at stays as it was until then.
    ///
    /// # Errors
    /// `Refused` when the number of parts changes after something was sent.
    async fn begin_plan(&self, new: &NewCampaign, pid: u32, now: Timestamp) -> Result<Begun, RecordError>;

    /// Puts a batch of recipients behind those the plan has; one it has already is counted and left as it is.
    async fn add_recipients(&self, planner: &Worker, batch: Vec<NewRecipient>) -> Result<Added, RecordError>;

    /// Completes the plan and ends the planner. What was sent, and to whom, stays. People earlier plans named and this one
    /// does not are sent nothing more; whoever was skipped for that, for the time or for a closed window, and is named now, is
    /// not skipped any more. Another message begins with the first stage, and what became of the last one at those who try it
    /// out is forgotten, so that they get it once more; but for whoever was suppressed.
    async fn seal_plan(
        &self,
        planner: &Worker,
        new: &NewCampaign,
        digest: PlanDigest,
        malformed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError>;

    /// Changes the campaign's row.
    async fn change(&self, campaign: CampaignId, change: Change) -> Result<(), RecordError>;

    /// Skips all that is not yet sent to those of these people who are on the list now, and says to how many of them
    /// something was to be sent. Only while nobody works on it; what is unknown stays so. From then on nothing is sent to
    /// them, whatever is decided about what they may have got, and whatever plan names them. Who is not on the list is
    /// not kept in mind.
    async fn suppress(
        &self,
        campaign: CampaignId,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<u64, RecordError>;

    /// The first on the list; `None` where nobody is on it.
    async fn first_recipient(&self, campaign: CampaignId) -> Result<Option<NewRecipient>, RecordError>;

    /// How many there are of those of whom [`place_of`](Self::place_of) gives a place.
    async fn count_untouched(
        &self,
        campaign: CampaignId,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<u64, RecordError>;

    /// Which place in the list the `nth` has, from 1, of those to whom something is to be sent with whom nothing was settled
    /// before `since`, `but_for` a few; `None` where there are fewer. Walks the list up to there.
    async fn place_of(
        &self,
        campaign: CampaignId,
        nth: u64,
        since: Timestamp,
        but_for: &[Recipient],
    ) -> Result<Option<u64>, RecordError>;

    /// How many people last wrote before `since`, of those of whom that is known, whom the last plan names, and to whom
    /// the first part is still to be sent.
    async fn count_silent(&self, campaign: CampaignId, since: Timestamp) -> Result<u64, RecordError>;

    /// How many deliveries are in which state; reads them all.
    async fn count(&self, campaign: CampaignId, now: Timestamp) -> Result<Vec<PartCount>, RecordError>;

    /// At most `limit` deliveries in their order, beginning behind `after`: those in `state`, or all, the implicit ones
    /// included.
    async fn deliveries(
        &self,
        campaign: CampaignId,
        state: Option<State>,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<ListedDelivery>, RecordError>;

    /// Applies operators' decisions and evidence, all or none. Of people who are to get nothing more, nothing is sent again.
    ///
    /// # Errors
    /// `Refused` when a delivery cannot take its step.
    async fn decide(&self, campaign: CampaignId, entries: &[Entry]) -> Result<(), RecordError>;
}

/// The ledger as those see it who send.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The right to send a campaign, durable before this returns.
    ///
    /// # Errors
    /// `Full` where not even the room can be had that is kept for results.
    async fn enlist(&self, campaign: CampaignId, pid: u32, now: Timestamp) -> Result<Enlisted, RecordError>;

    /// Up to `limit` recipients within `reach` who are this worker's from now on, those whose turn came before first. When
    /// the next falls due is only said where there were fewer.
    ///
    /// An engine that others share need not have it on the disk yet, as long as nothing the worker writes gets there without
    /// it.
    async fn claim_deliveries(
        &self,
        worker: &Worker,
        reach: Reach<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Claims, RecordError>;

    /// Applies all entries, in their order, in one step: when this returns they are on the disk. An intent of a paused
    /// campaign is refused.
    ///
    /// # Errors
    /// `Refused` when a delivery is not the worker's or cannot take its step, and `Lapsed` where it was the worker's and is so
    /// no more; then nothing is stored.
    async fn write(&self, worker: &Worker, entries: &[Entry]) -> Result<Vec<Written>, RecordError>;

    /// Gives up the room that is kept for results, when the disk is full; whether there was any.
    async fn make_room(&self) -> Result<bool, RecordError> {
        Ok(false)
    }

    /// Whether any number may send one campaign at a time, each with its share.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether a call that takes no longer than this, begun now, is over before anybody takes the worker for dead and what
    /// it has in flight for unknown. Asked between an intent and its first byte.
    fn may_begin(&self, worker: &Worker, call: Duration) -> bool;

    /// Ends the worker: what it has claimed is planned again, what it has in flight is unknown.
    ///
    /// # Errors
    /// When that cannot be written down now; then it is [kept in mind](Self::abandon_worker).
    async fn retire(&self, worker: &Worker, now: Timestamp) -> Result<(), RecordError>;

    /// Takes note that the worker is no more, and waits for nothing: whoever plans or sends next on this record retires it
    /// first. For those who are gone before they could [retire](Self::retire).
    fn abandon_worker(&self, worker: &Worker);
}
