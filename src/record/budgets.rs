//! One budget for each Page, whoever speaks for it.

use std::fmt;

use async_trait::async_trait;

use super::RecordError;
use crate::budget::{Ask, Slice};
use crate::ids::{Origin, PageId};

/// Who may do how much of what a Page may do in all.
#[async_trait]
pub trait Budgets: fmt::Debug + Send + Sync {
    /// What `owner`, one of any number who draw on a Page's budget, may do from now on. In no second do all of them together
    /// get more than the Page's rate, as long as each keeps to what it was last told; after [`Slice::lasts`] that is
    /// nothing. Of an owner's asks the one with the greatest number counts.
    ///
    /// An engine that one machine has to itself knows of those of this process alone.
    ///
    /// # Errors
    /// When the record cannot be reached within moments: who waits for leave does not wait for ever.
    async fn draw(&self, origin: &Origin, page: &PageId, owner: i64, ask: &Ask) -> Result<Slice, RecordError>;
}
