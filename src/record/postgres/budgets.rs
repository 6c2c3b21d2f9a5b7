//! The budgets of Pages: the tables `budgets`, `slices` and `budget_minutes`, divided under the lock of the Page's row.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresRecord;
use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::budget::{Ask, Gate, Group, Holding, LEASE, PoolAsk, Portion, Rates, Slice, divide};
use crate::ids::{Origin, PageId};
use crate::record::rows::{self, signed};
use crate::record::{Budgets, RecordError};

const TABLE: &str = "slices";

#[async_trait]
impl Budgets for PostgresRecord {
    async fn draw(&self, origin: &Origin, page: &PageId, owner: i64, ask: &Ask) -> Result<Slice, RecordError> {
        let place = Place { origin: origin.as_str(), page: page.as_str() };
        self.sessions.note(|tx| async move { draw(&tx, place, owner, ask).await }).await
    }
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    origin: &'a str,
    page: &'a str,
}

async fn draw(tx: &Tx, place: Place<'_>, owner: i64, ask: &Ask) -> Result<Slice, Fault> {
    let gate = lock(tx, place).await?;
    let (now, holdings) = holdings(tx, place).await?;
    let (mine, others): (Vec<_>, Vec<_>) = holdings.into_iter().partition(|holding| holding.owner == owner);
    let before = mine.first();
    if before.is_some_and(|before| before.number > ask.number) {
        return Ok(Slice::nothing());
    }
    // What was begun anew has been heard, though its answer was lost.
    let is_heard = before.is_some_and(|before| before.number == ask.number);
    let heard = if is_heard { gate } else { gate.hear(owner, ask, now) };
    if heard != gate {
        let (shut_until, told) = heard.shut.unzip();
        let sql = "UPDATE budgets SET throttles = $3, shut_until = $4, told = $5 WHERE origin = $1 AND page_id = $2";
        tx.execute(sql, &[&place.origin, &place.page, &heard.throttles, &shut_until, &told]).await?;
    }
    let portion = match ask.pool {
        Some(pool) => Some(
            portion(tx, place, if is_heard { PoolAsk { calls: 0, unspent: None, ..pool } } else { pool }, now).await?,
        ),
        None => None,
    };
    let (mine, rates) = divide(owner, ask, before, &others, now);
    store(tx, place, &mine).await?;
    for over in others.iter().filter(|other| other.is_over(now)) {
        let sql = "DELETE FROM slices WHERE origin = $1 AND page_id = $2 AND owner = $3";
        tx.execute(sql, &[&place.origin, &place.page, &over.owner]).await?;
    }
    let standing = heard.standing(owner, now);
    Ok(Slice { rates, held: mine.granted, lasts: LEASE, portion, throttles: heard.throttles, standing })
}

/// The gate of a Page, whose row nobody else has until this is over.
async fn lock(tx: &Tx, place: Place<'_>) -> Result<Gate, Fault> {
    loop {
        let sql = "SELECT throttles, shut_until, told FROM budgets WHERE origin = $1 AND page_id = $2 FOR UPDATE";
        if let Some(row) = tx.one(sql, &[&place.origin, &place.page]).await? {
            let (until, told): (Option<i64>, Option<i64>) = (column(&row, "budgets", 1)?, column(&row, "budgets", 2)?);
            return Ok(Gate { throttles: column(&row, "budgets", 0)?, shut: until.zip(told) });
        }
        let sql = "INSERT INTO budgets (origin, page_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[&place.origin, &place.page]).await?;
    }
}

/// What time it is, the Page being locked, and who holds what.
async fn holdings(tx: &Tx, place: Place<'_>) -> Result<(i64, Vec<Holding>), Fault> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, owner, number, page, purpose, together,
                      demand, granted, lingering, lingers_until, until
               FROM (SELECT) AS always LEFT JOIN slices ON origin = $1 AND page_id = $2 ORDER BY owner";
    let found = tx.rows(sql, &[&place.origin, &place.page]).await?;
    let now = found.first().map(|row| column(row, TABLE, 0)).transpose()?.unwrap_or_default();
    let mut holdings = Vec::with_capacity(found.len());
    for row in &found {
        if column::<Option<i64>>(row, TABLE, 1)?.is_some() {
            holdings.push(holding(row)?);
        }
    }
    Ok((now, holdings))
}

fn holding(row: &Row) -> Result<Holding, RecordError> {
    let name: Option<String> = column(row, TABLE, 4)?;
    let group = match name {
        Some(name) => Some(Group { name, rates: rates(row, 5)? }),
        None => None,
    };
    Ok(Holding {
        owner: column(row, TABLE, 1)?,
        number: column(row, TABLE, 2)?,
        page: rates(row, 3)?,
        group,
        demand: rates(row, 6)?,
        granted: rates(row, 7)?,
        lingering: rates(row, 8)?,
        lingers_until: column(row, TABLE, 9)?,
        until: column(row, TABLE, 10)?,
    })
}

fn rates(row: &Row, index: usize) -> Result<Rates, RecordError> {
    let lanes: Vec<i64> = column(row, TABLE, index)?;
    let lanes: Vec<u32> = lanes.into_iter().map_while(|lane| u32::try_from(lane).ok()).collect();
    let lanes = lanes.try_into().map_err(|_| rows::damaged(TABLE, "rates that are none"))?;
    Ok(Rates::from_lanes(lanes))
}

fn listed(rates: Rates) -> Vec<i64> {
    rates.lanes().map(i64::from).to_vec()
}

async fn store(tx: &Tx, place: Place<'_>, holding: &Holding) -> Result<(), Fault> {
    let sql = "INSERT INTO slices (origin, page_id, owner, number, page, purpose, together, demand, granted, lingering,
                                   lingers_until, until)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               ON CONFLICT (origin, page_id, owner) DO UPDATE SET number = excluded.number, page = excluded.page,
               purpose = excluded.purpose, together = excluded.together, demand = excluded.demand,
               granted = excluded.granted, lingering = excluded.lingering, lingers_until = excluded.lingers_until,
               until = excluded.until";
    let Holding { owner, number, page, group, demand, granted, lingering, lingers_until, until } = holding;
    let purpose = group.as_ref().map(|group| &group.name);
    let together = group.as_ref().map(|group| listed(group.rates));
    let [page, demand, granted, lingering] = [*page, *demand, *granted, *lingering].map(listed);
    tx.execute(
        sql,
        &[
            &place.origin,
            &place.page,
            owner,
            number,
            &page,
            &purpose,
            &together,
            &demand,
            &granted,
            &lingering,
            lingers_until,
            until,
        ],
    )
    .await?;
    Ok(())
}

/// Sets calls of 24 hours apart, as many as are wanted and there.
async fn portion(tx: &Tx, place: Place<'_>, ask: PoolAsk, now: i64) -> Result<Portion, Fault> {
    let (minute, since) = PoolAsk::minutes(now);
    if let Some((counted_in, unspent)) = ask.unspent {
        let sql = "UPDATE budget_minutes SET calls = greatest(calls - $4, 0)
                   WHERE origin = $1 AND page_id = $2 AND minute = $3";
        tx.execute(sql, &[&place.origin, &place.page, &counted_in, &signed(unspent)]).await?;
    }
    let sql =
        "SELECT minute, calls FROM budget_minutes WHERE origin = $1 AND page_id = $2 AND minute > $3 ORDER BY minute";
    let mut minutes: Vec<(i64, u64)> = Vec::new();
    for row in tx.rows(sql, &[&place.origin, &place.page, &since]).await? {
        let calls: i64 = column(&row, "budget_minutes", 1)?;
        minutes.push((column(&row, "budget_minutes", 0)?, calls.unsigned_abs()));
    }
    let portion = ask.portion(&minutes, now);
    if portion.calls > 0 {
        let sql = "INSERT INTO budget_minutes (origin, page_id, minute, calls) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (origin, page_id, minute) DO UPDATE SET calls = budget_minutes.calls + excluded.calls";
        tx.execute(sql, &[&place.origin, &place.page, &minute, &signed(portion.calls)]).await?;
        let sql = "DELETE FROM budget_minutes WHERE origin = $1 AND page_id = $2 AND minute <= $3";
        tx.execute(sql, &[&place.origin, &place.page, &since]).await?;
    }
    Ok(portion)
}
