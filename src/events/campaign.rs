//! Where campaigns and their deliveries stand.

use serde::Serialize;

use crate::campaign::{Counts, Pause, Stage, State, VariantCounts, next_stage};
use crate::clock::Timestamp;
use crate::delivery::{self, Delivery};
use crate::graph::{Class, lookup};
use crate::record::{Campaign, ListedDelivery};

/// `{"event":"campaign"}`: where a campaign stands.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignEvent<'a> {
    event: &'static str,
    name: &'a str,
    state: &'static str,
    total: u64,
    pending: u64,
    sent: u64,
    failed: u64,
    unknown: u64,
    skipped: u64,
    uploads: u64,
    sends_by_id: u64,
    sends_by_url: u64,
    recipients: u64,
    duplicates: u64,
    malformed: u64,
    parts: u8,
    page_id: &'a str,
    paused: Option<&'a str>,
    /// `by_hand`, `question` (a stage is through), `lost` (the record may lack what was sent), `refusal` (Meta takes nothing) or
    /// `brake` (too much went wrong).
    paused_for: Option<&'static str>,
    /// Whom a run would send to now: those who try it out, a few, everybody.
    stage: Option<&'static str>,
    planned_at: Timestamp,
    started_at: Option<Timestamp>,
    holder_pid: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    variants: &'a [VariantCounts],
    /// Messages somebody has beside the one that counts, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_messages: Option<u64>,
}

impl<'a> CampaignEvent<'a> {
    pub(crate) fn new(campaign: &'a Campaign, counts: &'a Counts) -> Self {
        Self {
            event: "campaign",
            name: campaign.name.as_str(),
            state: State::of(campaign, counts).as_str(),
            total: counts.total,
            pending: counts.pending,
            sent: counts.sent,
            failed: counts.failed,
            unknown: counts.unknown,
            skipped: counts.skipped,
            uploads: campaign.uploads,
            sends_by_id: counts.sends_by_id,
            sends_by_url: counts.sends_by_url,
            recipients: campaign.recipients,
            duplicates: campaign.duplicates,
            malformed: campaign.malformed,
            parts: campaign.parts,
            page_id: campaign.space.page.as_str(),
            paused: campaign.paused.as_deref(),
            paused_for: Pause::of(campaign).map(Pause::as_str),
            stage: next_stage(campaign).map(Stage::as_str),
            planned_at: campaign.planned_at,
            started_at: campaign.started_at,
            holder_pid: campaign.holder.map(|holder| holder.pid),
            variants: &counts.variants,
            duplicate_messages: None,
        }
    }

    pub(crate) fn with_duplicates(self, duplicates: u64) -> Self {
        Self { duplicate_messages: Some(duplicates), ..self }
    }
}

/// `{"event":"recipient"}`: what became of one part for one recipient.
#[derive(Debug, Serialize)]
pub(crate) struct RecipientEvent<'a> {
    event: &'static str,
    campaign: &'a str,
    pub(crate) recipient: String,
    pub(crate) part: u8,
    pub(crate) outcome: &'static str,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) error: Option<DeliveryError<'a>>,
    /// When it came into this state; nothing where nothing has happened.
    pub(crate) at: Option<Timestamp>,
    attempts: u32,
    /// Which variant of the part was sent, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<&'a str>,
    /// Whether the outcome is inferred from the conversation, and not certain.
    inferred: bool,
    /// Messages they have beside that one, as far as is known.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) duplicate_ids: &'a [String],
}

/// Why a delivery is not sent.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryError<'a> {
    pub(crate) code: Option<i64>,
    pub(crate) subcode: Option<i64>,
    class: &'static str,
    pub(crate) message: &'a str,
    hint: Option<&'static str>,
}

impl<'a> RecipientEvent<'a> {
    pub(crate) fn new(campaign: &'a Campaign, listed: &'a ListedDelivery, recipient: String) -> Self {
        let delivery = &listed.delivery;
        let happened = delivery.at.as_unix_millis() > 0;
        Self {
            event: "recipient",
            campaign: campaign.name.as_str(),
            recipient,
            part: listed.key.part + 1,
            outcome: outcome(delivery.state),
            message_id: delivery.message_id.as_deref(),
            error: DeliveryError::of(delivery),
            at: happened.then_some(delivery.at),
            attempts: delivery.attempt,
            variant: delivery.variant.as_deref(),
            inferred: delivery.is_inferred(),
            duplicate_ids: &[],
        }
    }
}

impl<'a> DeliveryError<'a> {
    fn of(delivery: &'a Delivery) -> Option<Self> {
        let is_settled = delivery.state == delivery::State::Sent || delivery.is_inferred();
        let message = delivery.reason.as_deref().filter(|_| !is_settled)?;
        let entry = delivery.code.and_then(|code| lookup(code, delivery.subcode));
        let class = match delivery.state {
            delivery::State::Failed => entry.map_or("refused", |entry| Class::as_str(entry.class)),
            delivery::State::Skipped => "skipped",
            _ => "unknown",
        };
        // What helps against a refusal may send twice what is in doubt.
        let is_failed = delivery.state == delivery::State::Failed;
        let hint = entry.filter(|_| is_failed).map(|entry| entry.action);
        Some(Self { code: delivery.code, subcode: delivery.subcode, class, message, hint })
    }
}

const fn outcome(state: delivery::State) -> &'static str {
    match state {
        delivery::State::Sent => "sent",
        delivery::State::Failed => "failed",
        delivery::State::Unknown => "unknown",
        delivery::State::Skipped => "skipped",
        _ => "pending",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_told_with_its_code_and_without_the_advice_to_try_again() {
        let at = Timestamp::from_unix_millis(1);
        let delivery =
            |state| Delivery { state, code: Some(613), reason: Some("slow down".to_owned()), ..Delivery::planned(at) };
        let told = |state| {
            let delivery = delivery(state);
            let error = DeliveryError::of(&delivery).expect("an error");
            (error.code, error.class, error.hint.is_some())
        };
        assert_eq!(told(delivery::State::Failed), (Some(613), "rate_limit", true));
        assert_eq!(told(delivery::State::Unknown), (Some(613), "unknown", false));
        assert_eq!(told(delivery::State::RetryAt), (Some(613), "unknown", false));
    }
}
