//! What nobody will ask about any more is taken away: a little at a time, over a connection that no lease and no message waits
//! for, by whoever claims anything.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::address::ServerAddress;
use super::connect::connect;
use super::fault::Fault;

/// How often it is looked for.
const EVERY: Duration = Duration::from_mins(10);
/// How long the server may take for a step.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many rows go at a time.
const ROWS: i64 = 5_000;

/// Statements that delete [`ROWS`] rows at most, and none that somebody else is deleting.
const STATEMENTS: [&str; 4] = [
    "DELETE FROM receipts WHERE ticket IN (
         SELECT ticket FROM receipts WHERE at < now() - interval '1 day' LIMIT $1 FOR UPDATE SKIP LOCKED)",
    // By their tickets, so that the others are not read; and by our clock, for that of their callers may be wrong.
    "DELETE FROM receipts_in_order WHERE ticket IN (
         SELECT ticket FROM receipts_in_order
         WHERE at < now() - interval '1 day' AND ticket < rpad(lpad(
                   to_hex((extract(epoch FROM now() - interval '1 day') * 1000)::bigint), 12, '0'), 32, '0')::uuid
         ORDER BY ticket LIMIT $1 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM owners WHERE id IN (
         SELECT id FROM owners
         WHERE until < now() - interval '1 day'
           AND NOT EXISTS (SELECT FROM claims WHERE owner = owners.id)
           AND NOT EXISTS (SELECT FROM campaign_workers WHERE owner = owners.id)
         LIMIT $1 FOR UPDATE SKIP LOCKED)",
    // What they were uploading when they died, where nobody has wanted it since.
    "WITH ended AS (DELETE FROM claims WHERE epoch IN (
                        SELECT epoch FROM claims JOIN owners ON owners.id = claims.owner
                        WHERE owners.until < now() - interval '1 hour' LIMIT $1 FOR UPDATE OF claims SKIP LOCKED)
                    RETURNING claims.*)
     INSERT INTO orphans (epoch, space, sha256, kind, at)
     SELECT epoch, space, sha256, kind, started_at FROM ended",
];

/// Takes away what is old, now and again, for as long as it is polled.
pub(super) async fn go_on(address: ServerAddress) {
    loop {
        if let Err(fault) = take_away(&address).await {
            tracing::debug!(?fault, "what is old stays for now");
        }
        sleep(EVERY).await;
    }
}

async fn take_away(address: &ServerAddress) -> Result<(), Fault> {
    let (client, connection) = connect(address).await?;
    // Ends with the client.
    tokio::spawn(connection);
    let mut ended = Ok(());
    for statement in STATEMENTS {
        // One that fails keeps no other from its turn.
        ended = ended.and(delete_all(&client, statement).await);
    }
    ended
}

async fn delete_all(client: &Client, statement: &str) -> Result<(), Fault> {
    loop {
        let gone = timeout(PATIENCE, client.execute(statement, &[&ROWS])).await.map_err(|_| Fault::Silence)??;
        if gone < ROWS.unsigned_abs() {
            return Ok(());
        }
    }
}
