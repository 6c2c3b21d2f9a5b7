//! Pages on record: whose tokens are whose.

use std::fmt;

use async_trait::async_trait;

use super::RecordError;
use crate::clock::Timestamp;
use crate::ids::{Origin, PageId};
use crate::secret::TokenFingerprint;

/// The Page a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageIdentity {
    /// The Page's id.
    pub id: PageId,
    /// Its name, for people.
    pub name: String,
}

/// Whose tokens are whose.
#[async_trait]
pub trait Pages: fmt::Debug + Send + Sync {
    /// The Page the token speaks for at `origin`; `None` until it was remembered.
    async fn page_of(&self, origin: &Origin, token: TokenFingerprint) -> Result<Option<PageIdentity>, RecordError>;

    /// Keeps whose token this is, in place of what was known.
    async fn remember_page(
        &self,
        origin: &Origin,
        token: TokenFingerprint,
        page: &PageIdentity,
        now: Timestamp,
    ) -> Result<(), RecordError>;
}
