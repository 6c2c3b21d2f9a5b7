//! Budgets where one machine has the record to itself: everybody may do everything, and keeps count alone.

use std::time::Duration;

use async_trait::async_trait;

use super::SqliteRecord;
use crate::budget::{Ask, Portion, Slice, Standing};
use crate::ids::{Origin, PageId};
use crate::record::{Budgets, RecordError};

/// How long that holds: nobody is waited for.
const LASTS: Duration = Duration::from_hours(24);

#[async_trait]
impl Budgets for SqliteRecord {
    async fn draw(&self, _: &Origin, _: &PageId, _: i64, ask: &Ask) -> Result<Slice, RecordError> {
        let portion = |calls| Portion { calls, minute: 0, left: calls, back_in: None };
        Ok(Slice {
            rates: ask.page,
            held: ask.page,
            lasts: LASTS,
            portion: ask.pool.map(|pool| portion(pool.calls)),
            throttles: ask.heard + i64::from(ask.news.throttles),
            standing: Standing::Open,
        })
    }
}
