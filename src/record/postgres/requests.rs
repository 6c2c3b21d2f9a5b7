//! What was answered to requests that may be repeated: the table `requests`.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresRecord;
use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::record::requests::{LET_GO, RequestRow};
use crate::record::{Answer, RecordError, Request, Requests, Standing, TakenUp};

const TABLE: &str = RequestRow::TABLE;
/// The columns of a [`RequestRow`], in the order of its fields.
const COLUMNS: &str = "key, digest, at, status, body";

#[async_trait]
impl Requests for PostgresRecord {
    async fn take_up(&self, request: &Request, since: Timestamp) -> Result<TakenUp, RecordError> {
        let owner = self.own().await?;
        self.sessions.write(|tx| async move { take_up(&tx, owner, request, since).await }).await
    }

    async fn answer(&self, request: &Request, answer: &Answer) -> Result<(), RecordError> {
        let row = &RequestRow::new(request, Some(answer));
        self.sessions
            .write(|tx| async move {
                let sql = "UPDATE requests SET status = $4, body = $5, owner = NULL
                           WHERE key = $1 AND digest = $2 AND at = $3 AND status IS NULL";
                tx.execute(sql, &[&row.key, &row.digest, &row.at, &row.status, &row.body]).await.map(drop)
            })
            .await
    }

    async fn give_back(&self, request: &Request) -> Result<(), RecordError> {
        let (key, at) = (request.key.as_str(), request.at.as_unix_millis());
        self.sessions
            .write(|tx| async move {
                let sql = "DELETE FROM requests WHERE key = $1 AND at = $2 AND status IS NULL";
                tx.execute(sql, &[&key, &at]).await.map(drop)
            })
            .await
    }
}

async fn take_up(tx: &Tx, owner: i64, request: &Request, since: Timestamp) -> Result<TakenUp, Fault> {
    let (row, since) = (RequestRow::new(request, None), since.as_unix_millis());
    loop {
        // Whoever comes second waits here until it is certain that the first was first.
        let sql = "INSERT INTO requests (key, digest, at, owner) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, at = excluded.at, owner = excluded.owner,
                   status = NULL, body = NULL WHERE requests.at < $5";
        if tx.execute(sql, &[&row.key, &row.digest, &row.at, &owner, &since]).await? == 1 {
            // Now that this one is ours, there is nobody to wait for: what others let go of is theirs.
            let sql = "DELETE FROM requests WHERE key IN
                       (SELECT key FROM requests WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)";
            tx.execute(sql, &[&since, &i64::from(LET_GO)]).await?;
            return Ok(TakenUp::New);
        }
        let sql = format!(
            "SELECT {COLUMNS}, EXISTS (SELECT FROM owners WHERE id = requests.owner AND until > clock_timestamp())
             FROM requests WHERE key = $1"
        );
        // Gone meanwhile: then it is free.
        let Some(found) = tx.one(&sql, &[&row.key]).await? else { continue };
        let (known, answer) = read(&found)?;
        let standing = match (answer, column(&found, TABLE, 5)?) {
            (Some(answer), _) => Standing::Answered(answer),
            (None, true) => Standing::UnderWay,
            (None, false) => Standing::Abandoned,
        };
        return Ok(TakenUp::Known(known, standing));
    }
}

/// Whether anybody alive has taken up a request and not answered it.
pub(super) async fn are_under_way(tx: &Tx) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT FROM requests JOIN owners ON owners.id = owner WHERE until > clock_timestamp())";
    Ok(tx.one(sql, &[]).await?.is_some_and(|row| row.get(0)))
}

/// Reads every row.
pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    for row in tx.rows(&format!("SELECT {COLUMNS} FROM requests"), &[]).await? {
        read(&row)?;
    }
    Ok(())
}

/// A row of [`COLUMNS`].
fn read(row: &Row) -> Result<(Request, Option<Answer>), RecordError> {
    let stored = RequestRow {
        key: column(row, TABLE, 0)?,
        digest: column(row, TABLE, 1)?,
        at: column(row, TABLE, 2)?,
        status: column(row, TABLE, 3)?,
        body: column(row, TABLE, 4)?,
    };
    stored.into_request()
}
