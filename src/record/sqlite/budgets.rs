//! The budgets of Pages where one machine has the record to itself: divided between those of one process who draw on them.
//! Another process does not know of them; it keeps count alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::SqliteRecord;
use crate::budget::{Ask, Gate, Holding, LEASE, PoolAsk, Portion, Slice, divide};
use crate::clock::uptime;
use crate::ids::{Origin, PageId};
use crate::record::{Budgets, RecordError};

/// What is kept of each Page.
pub(super) type Pages = Mutex<HashMap<(Origin, PageId), Budget>>;

#[async_trait]
impl Budgets for SqliteRecord {
    async fn draw(&self, origin: &Origin, page: &PageId, owner: i64, ask: &Ask) -> Result<Slice, RecordError> {
        let now = i64::try_from(uptime().as_millis()).unwrap_or(i64::MAX);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(budgets.entry((origin.clone(), page.clone())).or_default().draw(owner, ask, now))
    }
}

/// Who holds what of one Page's. Times are milliseconds the machine is up.
#[derive(Debug, Default)]
pub(super) struct Budget {
    gate: Gate,
    holdings: BTreeMap<i64, Holding>,
    /// The calls of 24 hours, by the minute in which they were given away.
    calls: BTreeMap<i64, u64>,
}

impl Budget {
    fn draw(&mut self, owner: i64, ask: &Ask, now: i64) -> Slice {
        self.gate = self.gate.hear(owner, ask, now);
        let before = self.holdings.remove(&owner);
        self.holdings.retain(|_, other| !other.is_over(now));
        let others: Vec<_> = self.holdings.values().cloned().collect();
        let (mine, rates) = divide(owner, ask, before.as_ref(), &others, now);
        let held = mine.granted;
        self.holdings.insert(owner, mine);
        Slice {
            rates,
            held,
            lasts: LEASE,
            portion: ask.pool.map(|pool| self.portion(pool, now)),
            throttles: self.gate.throttles,
            standing: self.gate.standing(owner, now),
        }
    }

    fn portion(&mut self, ask: PoolAsk, now: i64) -> Portion {
        if let Some((counted_in, unspent)) = ask.unspent
            && let Some(calls) = self.calls.get_mut(&counted_in)
        {
            *calls = calls.saturating_sub(unspent);
        }
        let (minute, over) = PoolAsk::minutes(now);
        self.calls = self.calls.split_off(&(over + 1));
        let counted: Vec<_> = self.calls.iter().map(|(minute, calls)| (*minute, *calls)).collect();
        let portion = ask.portion(&counted, now);
        *self.calls.entry(minute).or_default() += portion.calls;
        portion
    }
}
