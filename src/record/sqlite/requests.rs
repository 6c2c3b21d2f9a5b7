//! What was answered to requests that may be repeated: the table `requests`.

use async_trait::async_trait;
use rusqlite::{Row, Transaction, params};

use super::SqliteRecord;
use super::fault::Fault;
use super::owners::Owners;
use super::together::Turn;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::record::requests::{LET_GO, RequestRow};
use crate::record::{Answer, RecordError, Request, Requests, Standing, TakenUp, rows};

const TABLE: &str = RequestRow::TABLE;
/// The columns of a [`RequestRow`], in the order of its fields, and the checksum.
const COLUMNS: &str = "key, digest, at, status, body, checksum";

#[async_trait]
impl Requests for SqliteRecord {
    async fn take_up(&self, request: &Request, since: Timestamp) -> Result<TakenUp, RecordError> {
        let request = request.clone();
        self.write_together(move |turn| take_up(turn, &request, since)).await
    }

    async fn answer(&self, request: &Request, answer: &Answer) -> Result<(), RecordError> {
        let row = RequestRow::new(request, Some(answer));
        self.write_together(move |turn| answered(turn.transaction, &row)).await
    }

    async fn give_back(&self, request: &Request) -> Result<(), RecordError> {
        let row = RequestRow::new(request, None);
        self.write_together(move |turn| {
            let sql = "DELETE FROM requests WHERE key = ?1 AND at = ?2 AND status IS NULL";
            turn.transaction.prepare_cached(sql)?.execute(params![row.key, row.at])?;
            Ok(())
        })
        .await
    }
}

fn take_up(turn: &Turn, request: &Request, since: Timestamp) -> Result<TakenUp, Fault> {
    let Turn { transaction, owners, owner } = turn;
    if let Some((known, answer, taker)) = find(transaction, request)?.filter(|(known, ..)| known.at >= since) {
        let standing = match (answer, taker) {
            (Some(answer), _) => Standing::Answered(answer),
            (None, Some(taker)) if owners.is_alive(&taker)? => Standing::UnderWay,
            (None, _) => Standing::Abandoned,
        };
        return Ok(TakenUp::Known(known, standing));
    }
    let row = RequestRow::new(request, None);
    let sql = "REPLACE INTO requests (key, digest, at, owner, checksum) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.prepare_cached(sql)?.execute(params![row.key, row.digest, row.at, owner, row.checksum()])?;
    let sql = "DELETE FROM requests WHERE key IN (SELECT key FROM requests WHERE at < ?1 ORDER BY at LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute(params![since.as_unix_millis(), LET_GO])?;
    Ok(TakenUp::New)
}

/// A request, what was answered, and who took it up.
type Found = (Request, Option<Answer>, Option<String>);

/// What there is under this request's key.
fn find(transaction: &Transaction, request: &Request) -> Result<Option<Found>, Fault> {
    let mut query = transaction.prepare_cached(&format!("SELECT {COLUMNS}, owner FROM requests WHERE key = ?1"))?;
    let mut found = query.query([request.key.as_str()])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let (known, answer) = read(row)?;
    Ok(Some((known, answer, column(row, TABLE, 6)?)))
}

fn answered(transaction: &Transaction, row: &RequestRow) -> Result<(), Fault> {
    let sql = "UPDATE requests SET status = ?4, body = ?5, owner = NULL, checksum = ?6
               WHERE key = ?1 AND digest = ?2 AND at = ?3 AND status IS NULL";
    let values = params![row.key, row.digest, row.at, row.status, row.body, row.checksum()];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Whether anybody alive has taken up a request and not answered it.
pub(super) fn are_under_way(transaction: &Transaction, owners: &Owners) -> Result<bool, Fault> {
    let mut query = transaction.prepare("SELECT DISTINCT owner FROM requests WHERE owner IS NOT NULL")?;
    let takers: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for taker in takers {
        if owners.is_alive(&taker)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads every row, and compares it with its checksum.
pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    let mut query = transaction.prepare(&format!("SELECT {COLUMNS} FROM requests"))?;
    let mut selected = query.query([])?;
    while let Some(row) = selected.next()? {
        read(row)?;
    }
    Ok(())
}

/// A row of [`COLUMNS`].
fn read(row: &Row) -> Result<(Request, Option<Answer>), Fault> {
    let stored = RequestRow {
        key: column(row, TABLE, 0)?,
        digest: column(row, TABLE, 1)?,
        at: column(row, TABLE, 2)?,
        status: column(row, TABLE, 3)?,
        body: column(row, TABLE, 4)?,
    };
    if column::<i64>(row, TABLE, 5)? != i64::from(stored.checksum()) {
        return Err(rows::damaged(TABLE, format!("the checksum of {:?} is wrong", stored.key)).into());
    }
    Ok(stored.into_request()?)
}
