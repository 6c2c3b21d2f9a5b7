//! Heals on record: which ids were made anew because Meta refused them.

use std::fmt;

use async_trait::async_trait;

use super::RecordError;
use crate::clock::Timestamp;
use crate::ids::{AssetKey, AttachmentId, KeySpace};

/// An id that Meta refused, and that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heal {
    /// What it stood for.
    pub key: AssetKey,
    /// The id that was refused.
    pub refused: AttachmentId,
    /// When the new one was on record.
    pub at: Timestamp,
}

/// Which ids were made anew because Meta refused them.
#[async_trait]
pub trait Heals: fmt::Debug + Send + Sync {
    /// Keeps a heal, durable before this returns, and lets go of those that happened before `since`.
    async fn remember_heal(&self, heal: &Heal, since: Timestamp) -> Result<(), RecordError>;

    /// How many heals of `key` are kept that happened after `after`, up to `now`: one from a clock that ran ahead does
    /// not count.
    async fn count_heals(&self, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, RecordError>;

    /// What the id stood for in this space when it was last refused; `None` where no heal of it is kept.
    async fn healed(&self, space: &KeySpace, refused: &AttachmentId) -> Result<Option<AssetKey>, RecordError>;
}
