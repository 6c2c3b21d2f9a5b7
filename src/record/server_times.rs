//! Server times on record: what time it was at Meta.

use std::fmt;

use async_trait::async_trait;

use super::RecordError;
use crate::clock::ClockReading;
use crate::ids::Origin;

/// What time it was at Meta.
#[async_trait]
pub trait ServerTimes: fmt::Debug + Send + Sync {
    /// What the clocks of `origin` and of this machine showed when that was last kept; `None` if it never was.
    async fn clock_reading(&self, origin: &Origin) -> Result<Option<ClockReading>, RecordError>;

    /// Keeps what the clocks show, in place of what was kept for `origin`.
    async fn keep_clock_reading(&self, origin: &Origin, reading: ClockReading) -> Result<(), RecordError>;
}
