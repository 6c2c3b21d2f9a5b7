//! Attempts that may have arrived, and what proves or suggests that they did.
//!
//! Each is kept from the moment it is in doubt, and for good: its echo may come after the next attempt has taken its place
//! in the delivery, or after somebody has said what became of it. So it comes out as well when somebody got it twice.

use std::fmt;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{CampaignId, DeliveryKey, ListedDelivery, RecordError};
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Doubted, State};
use crate::ids::{KeySpace, Recipient};

/// An attempt that may have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtedAttempt {
    /// Which, and when it left.
    pub doubted: Doubted,
    /// The message it turned out to be, where that is known.
    pub message_id: Option<String>,
}

/// A delivery that may have arrived, and all there is to judge it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulDelivery {
    /// Which, whose, and what is known of it.
    pub listed: ListedDelivery,
    /// What the message says of them alone.
    pub variables: Map<String, Value>,
    /// Its attempts that are kept, in their order. Of a delivery that older versions left, the last may not be among them.
    pub attempts: Vec<DoubtedAttempt>,
}

/// One delivery to a certain person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonsDelivery {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Which.
    pub key: DeliveryKey,
    /// What is known of it.
    pub delivery: Delivery,
    /// Its attempts that may have arrived.
    pub attempts: Vec<DoubtedAttempt>,
}

/// An echo: this attempt is that message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Which attempt at it.
    pub attempt: u32,
    /// The nonce it bears: without the right one it proves nothing.
    pub nonce: u32,
    /// The message's id.
    pub message_id: String,
}

/// What a [`Proof`] has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proven {
    /// The delivery is sent, and was not before, or not for certain.
    Settled,
    /// The delivery was sent by another attempt: they have it twice.
    Twice,
    /// Nothing: that was known.
    Known,
    /// Nothing yet: a worker is at the delivery.
    Held,
    /// Nothing: there is no such attempt.
    Foreign,
    /// Nothing: it is a later attempt than any the record knows of, which has lost it, was begun anew, or is not the one it
    /// was sent from.
    Forgotten,
}

/// A message that is taken for this attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The message's id.
    pub message_id: String,
}

/// Somebody who has a part more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Which delivery; its own message is the one that counts.
    pub listed: ListedDelivery,
    /// The ids of the others.
    pub others: Vec<String>,
}

/// Attempts that may have arrived, as those see them who settle.
#[async_trait]
pub trait Doubts: fmt::Debug + Send + Sync {
    /// At most `limit` deliveries in `state` in their order, beginning behind `after`, with the attempts that may have
    /// arrived.
    async fn doubtful(
        &self,
        campaign: CampaignId,
        state: State,
        after: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<DoubtfulDelivery>, RecordError>;

    /// Every delivery to this person in all campaigns of the Page, but those nobody has touched.
    async fn deliveries_to(&self, space: &KeySpace, recipient: &Recipient)
    -> Result<Vec<PersonsDelivery>, RecordError>;

    /// Takes note of echoes, all or none; says of each what it changed.
    async fn prove(&self, campaign: CampaignId, proofs: &[Proof], now: Timestamp) -> Result<Vec<Proven>, RecordError>;

    /// Takes a delivery for sent because of these messages, of which the first counts.
    ///
    /// # Errors
    /// `Refused` where nothing was found, or the delivery does not wait for that.
    async fn infer_sent(
        &self,
        campaign: CampaignId,
        key: DeliveryKey,
        found: &[Finding],
        now: Timestamp,
    ) -> Result<(), RecordError>;

    /// Those who have a part more than once, in their order.
    async fn duplicates(&self, campaign: CampaignId) -> Result<Vec<Duplicate>, RecordError>;
}
