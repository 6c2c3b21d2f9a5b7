//! Draws a Page's budget from the record for as long as there is a governor that keeps to it.
//!
//! The governor knows what it needs and what Meta says; the record knows what the others need and were told. This carries
//! it between them: at once where there is something new, and otherwise twice a second while anything is called. Whoever has
//! nothing to call asks for nothing, and holds nothing that others could use.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::budget::{Ask, News, Rates};
use crate::causes::in_full;
use crate::graph::{Governor, NoShare};
use crate::ids::KeySpace;
use crate::record::{Record, RecordError};

/// How often to ask while anything is called: within a second, everybody has heard of a throttle.
const BEAT: Duration = Duration::from_millis(400);
/// The same where what is needed is not there yet.
const HURRY: Duration = Duration::from_millis(100);
/// The least time between two asks, but for one that says that a slice has shrunk.
const LEAST: Duration = Duration::from_millis(20);
/// How long an answer is waited for. After a slice's lease there is nothing to be lost by another ask.
const PATIENCE: Duration = Duration::from_secs(3);

/// Has `governor` share the Page's budget with all others that draw on it in this record.
pub(super) fn share(governor: &Arc<Governor>, record: &Arc<dyn Record>, space: &KeySpace) {
    if let Some(wishes) = governor.share() {
        let owner = i64::from_ne_bytes(fastrand::u64(..).to_ne_bytes());
        let (record, space) = (Arc::clone(record), space.clone());
        tokio::spawn(Drawer { governor: Arc::downgrade(governor), wishes, record, space, owner }.draw_all());
    }
}

/// Asks in the name of one governor.
struct Drawer {
    governor: Weak<Governor>,
    wishes: Arc<Notify>,
    record: Arc<dyn Record>,
    space: KeySpace,
    owner: i64,
}

/// What there is to do after an ask.
enum Next {
    /// Ask again after so long, or when there is something new.
    In(Duration),
    /// Ask when there is something new.
    Idle,
    /// Nobody needs anything any more; what was last asked for is to be given back.
    Over(Option<Ask>),
}

impl Drawer {
    async fn draw_all(self) {
        let (mut last, mut goes_without) = (None, false);
        self.wishes.notified().await;
        loop {
            match self.draw(&mut last, &mut goes_without).await {
                Next::In(pause) => {
                    sleep(LEAST).await;
                    let _ = timeout(pause, self.wishes.notified()).await;
                }
                Next::Idle => self.wishes.notified().await,
                Next::Over(last) => return self.give_back(last).await,
            }
        }
    }

    /// Asks once, and once more where that is less than there was. That there is nothing to be had is said when it begins,
    /// and when it is over.
    async fn draw(&self, last: &mut Option<Ask>, goes_without: &mut bool) -> Next {
        for is_first in [true, false] {
            let Some(governor) = self.governor.upgrade() else { return Next::Over(last.take()) };
            let Some(ask) = governor.ask() else { return Next::Over(None) };
            let asked_at = Instant::now();
            let drawing = self.record.draw(&self.space.origin, &self.space.page, self.owner, &ask);
            let drawn = timeout(PATIENCE, drawing)
                .await
                .map_or_else(|_| Err(unanswered()), |drawn| drawn.map_err(|error| no_share(&error)));
            let slice = match drawn {
                Ok(slice) => slice,
                Err(cause) => {
                    if !std::mem::replace(goes_without, true) {
                        tracing::warn!(%cause, "no share of the Page's budget is to be had: until there is, nothing is sent");
                    }
                    governor.retract(&ask);
                    governor.go_without(cause);
                    return Next::In(BEAT);
                }
            };
            if std::mem::take(goes_without) {
                tracing::warn!("there is a share of the Page's budget again");
            }
            governor.keep_to(&ask, &slice, asked_at);
            let demand = ask.demand;
            *last = Some(ask);
            if is_first && slice.held != slice.rates {
                // Others wait to hear that it keeps to less.
                continue;
            }
            let lacks = demand.zip(slice.rates, |demand, rate| u32::from(demand > 0 && rate == 0));
            return match (demand.is_nothing() && slice.held.is_nothing(), lacks.is_nothing()) {
                (true, _) => Next::Idle,
                (false, true) => Next::In(BEAT),
                (false, false) => Next::In(HURRY),
            };
        }
        Next::In(HURRY)
    }

    async fn give_back(&self, last: Option<Ask>) {
        let Some(last) = last else { return };
        let nothing = Rates::default();
        // It may have sent as much as it had, until just now.
        let spent = last.using.zip(last.spent, u32::max);
        let ask =
            Ask { number: last.number + 1, demand: nothing, using: nothing, spent, news: News::default(), ..last };
        let ask = Ask { pool: None, ..ask };
        // Where it does not arrive, its lease runs out.
        let _ = timeout(PATIENCE, self.record.draw(&self.space.origin, &self.space.page, self.owner, &ask)).await;
    }
}

fn no_share(error: &RecordError) -> NoShare {
    NoShare::new(format!("failed to {}", in_full(error)), error.hint())
}

fn unanswered() -> NoShare {
    let hint = "see whether the record's server runs and can be reached, and try again: nothing is lost";
    NoShare::new("the record did not answer in time".to_owned(), Some(hint))
}
