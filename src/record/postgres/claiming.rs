//! Which deliveries are a worker's from now on.
//!
//! A claim need not be on the disk when a worker hears of it: the intent behind it will be, and not without it. A server
//! that dies may forget it; who relies on it then has lost it, as if their lease were over, before anything has left.

use std::collections::BTreeMap;

use futures::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::deliveries::{
    COLUMNS, COLUMNS_COUNT, RECIPIENT_COLUMNS, RECIPIENTS, Sheet, TABLE, prefixed, recipient, recipients,
};
use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, Event};
use crate::record::delivery_rows::{DeliveryRows, untouched};
use crate::record::rows::{self, signed};
use crate::record::{CampaignId, ClaimedRow, Claims, DeliveryKey, NewRecipient, Worker};

/// The states of `deliveries_open`, as it has them.
const OPEN: &str = "'planned', 'claimed', 'in_flight', 'retry_at', 'unknown'";

/// How soon to look again for what other workers hold now, should they die.
const LOOK_AGAIN_MILLIS: i64 = 1_000;

/// How far a worker reaches.
pub(super) struct UpTo {
    /// The last place.
    place: i64,
    /// SQL that holds for the rows `d` of those it reaches.
    condition: String,
}

impl UpTo {
    pub(super) fn place(place: u64, since: Timestamp) -> Self {
        Self { place: signed(place), condition: untouched("d", since) }
    }

    pub(super) fn the_end() -> Self {
        Self { place: i64::MAX, condition: "true".to_owned() }
    }
}

/// Rows that wait to be claimed, those whose turn came before first, locked and with whom they are for: at most `limit`
/// that are planned, and as many that were put off until now.
///
/// Rows another worker is just claiming are passed over, not waited for.
pub(super) async fn waiting(
    tx: &Tx,
    campaign: CampaignId,
    UpTo { place, condition }: &UpTo,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Row>, Fault> {
    let select = |which: &str| {
        format!(
            "SELECT {}, {} FROM deliveries d JOIN campaign_recipients r USING (campaign, seq)
             WHERE campaign = $1 AND seq <= $2 AND {condition} AND {which} LIMIT {limit} FOR UPDATE OF d SKIP LOCKED",
            prefixed("d", COLUMNS),
            prefixed("r", RECIPIENT_COLUMNS)
        )
    };
    // Said so that the order is that of `deliveries_open` alone: statistics of a while ago may have it that nearly all are
    // planned, and the first of them found in the primary key, behind all that were sent since.
    let planned = select(&format!(
        "d.state IN ({OPEN}) AND d.state >= 'planned' AND d.state <= 'planned' ORDER BY d.state, d.seq, d.part"
    ));
    let due = select("d.state = 'retry_at' AND d.at <= $3 ORDER BY d.at, d.seq, d.part");
    let now = now.as_unix_millis();
    let (for_planned, for_due): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 3]) =
        ([&campaign.0, place], [&campaign.0, place, &now]);
    let (planned, due) = try_join!(tx.rows(&planned, &for_planned), tx.rows(&due, &for_due))?;
    Ok(planned.into_iter().chain(due).take(limit).collect())
}

/// Up to `limit` recipients who are this worker's from now on: those of `waiting`, and who has no row at all. These are
/// found behind the frontier, which one worker at a time moves.
pub(super) async fn claim(
    tx: &Tx,
    worker: &Worker,
    waiting: &[Row],
    mut sheet: Sheet,
    (up_to, limit): (&UpTo, usize),
    now: Timestamp,
) -> Result<Claims, Fault> {
    let (mut turn, mut people) = (Vec::with_capacity(limit), BTreeMap::new());
    for row in waiting {
        turn.push(sheet.take_in(row)?);
        people.extend([recipient(row, COLUMNS_COUNT)?]);
    }
    let mut rows = sheet.claim(worker, &turn, &people, now)?;
    rows.extend(claim_fresh(tx, worker, up_to.place, (limit - rows.len(), limit), now).await?);
    let due = async { if rows.len() < limit { next_due(tx, worker, up_to, now).await } else { Ok(None) } };
    let ((), next_due) = try_join!(sheet.save(tx), due)?;
    Ok(Claims { rows, next_due })
}

/// What is to be sent to these recipients, wherever they stand.
pub(super) async fn claim_these(
    tx: &Tx,
    worker: &Worker,
    parts: u8,
    seqs: &[u64],
    limit: usize,
    now: Timestamp,
) -> Result<Claims, Fault> {
    let campaign = worker.campaign;
    // Who has no row is claimed by one worker at a time.
    tx.one("SELECT id FROM campaigns WHERE id = $1 FOR NO KEY UPDATE", &[&campaign.0]).await?;
    let mut sheet = Sheet::of(tx, campaign, parts, &seqs.iter().copied().collect()).await?;
    let turns: Vec<_> = seqs.iter().filter_map(|seq| sheet.turn_of(*seq).transpose()).collect::<Result<_, _>>()?;
    let (turn, later): (Vec<_>, Vec<_>) = turns.into_iter().partition(|(_, at)| *at <= now);
    let turn: Vec<DeliveryKey> = turn.into_iter().map(|(key, _)| key).take(limit).collect();
    let people = recipients(tx, campaign, turn.iter().map(|key| signed(key.seq)).collect()).await?;
    let rows = sheet.claim(worker, &turn, &people, now)?;
    sheet.save(tx).await?;
    let nobody = UpTo { place: 0, ..UpTo::the_end() };
    let soon = next_due(tx, worker, &nobody, now).await?;
    Ok(Claims { rows, next_due: later.into_iter().map(|(_, at)| at).chain(soon).min() })
}

/// As many people behind the frontier, up to a place, as there is `room` for: with the claimed row they have now. Whoever
/// has one already was dealt with when the list was.
async fn claim_fresh(
    tx: &Tx,
    worker: &Worker,
    up_to: i64,
    (mut room, limit): (usize, usize),
    now: Timestamp,
) -> Result<Vec<ClaimedRow>, Fault> {
    // Weak enough for rows of the campaign to come into being meanwhile.
    let lock = "SELECT FROM campaigns WHERE id = $1 FOR NO KEY UPDATE";
    // Which have a row is left to the primary key: a plan that asks for it beforehand goes through all rows there are, if it
    // was made when there were none. `limit` stands in the text for the plan, and `room` is not to be one of hundreds.
    let sql = format!(
        "WITH few AS MATERIALIZED (
             SELECT * FROM (SELECT {RECIPIENT_COLUMNS} FROM campaign_recipients WHERE campaign = $1 AND seq <= $2
                                AND seq > (SELECT frontier FROM campaigns WHERE id = $1) ORDER BY seq LIMIT {limit}) AS next
             ORDER BY seq LIMIT $3),
         moved AS (UPDATE campaigns SET frontier = (SELECT max(seq) FROM few) WHERE id = $1 AND EXISTS (SELECT FROM few)),
         claimed AS (INSERT INTO deliveries (campaign, seq, part, state, attempt, at, worker)
                     SELECT $1, seq, 0, $4, $5, $6, $7 FROM few ON CONFLICT (campaign, seq, part) DO NOTHING RETURNING seq)
         SELECT {RECIPIENT_COLUMNS}, seq IN (SELECT seq FROM claimed) FROM few ORDER BY seq"
    );
    let claimed = Delivery::planned(now).step(&Event::Claim, now)?;
    let (state, attempt, at) = (claimed.state.as_str(), i64::from(claimed.attempt), claimed.at.as_unix_millis());
    let mut fresh = Vec::with_capacity(room);
    while room > 0 {
        let (asked, most) = (room, signed(room as u64));
        let values: [&(dyn ToSql + Sync); 7] =
            [&worker.campaign.0, &up_to, &most, &state, &attempt, &at, &worker.epoch];
        // The second sees all that was committed before the first had its lock.
        let for_lock: [&(dyn ToSql + Sync); 1] = [&worker.campaign.0];
        let (_, rows) = try_join!(tx.rows(lock, &for_lock), tx.rows(&sql, &values))?;
        for row in &rows {
            if column(row, RECIPIENTS, 5)? {
                let (seq, recipient) = recipient(row, 0)?;
                fresh.push(ClaimedRow {
                    key: DeliveryKey { seq, part: 0 },
                    attempt: claimed.attempt,
                    is_doubtful: false,
                    recipient,
                });
                room -= 1;
            }
        }
        if rows.len() < asked {
            break;
        }
    }
    Ok(fresh)
}

/// When to look again: when a delivery falls due, or soon, where others hold some that may come back.
async fn next_due(
    tx: &Tx,
    worker: &Worker,
    UpTo { place, condition }: &UpTo,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let sql = format!(
        "SELECT (SELECT at FROM deliveries d WHERE campaign = $1 AND state = 'retry_at' AND at > $2 AND seq <= $4
                       AND {condition} ORDER BY at LIMIT 1),
                      EXISTS (SELECT FROM deliveries
                              WHERE campaign = $1 AND state IN ('claimed', 'in_flight') AND worker <> $3)"
    );
    let values: &[&(dyn ToSql + Sync)] = &[&worker.campaign.0, &now.as_unix_millis(), &worker.epoch, place];
    let Some(row) = tx.one(&sql, values).await? else {
        return Ok(None);
    };
    let (due, others): (Option<i64>, bool) = (column(&row, TABLE, 0)?, column(&row, TABLE, 1)?);
    let soon = others.then(|| now.as_unix_millis() + LOOK_AGAIN_MILLIS);
    Ok(due.into_iter().chain(soon).min().map(Timestamp::from_unix_millis))
}

impl Sheet {
    /// Gives the worker these deliveries, in this order.
    fn claim(
        &mut self,
        worker: &Worker,
        turn: &[DeliveryKey],
        people: &BTreeMap<u64, NewRecipient>,
        now: Timestamp,
    ) -> Result<Vec<ClaimedRow>, Fault> {
        let claims = turn.iter().map(|key| {
            let missing = || rows::damaged(RECIPIENTS, format!("there is no recipient {}", key.seq));
            self.claim_one(worker, *key, people.get(&key.seq).cloned().ok_or_else(missing)?, now)
        });
        claims.collect()
    }
}
