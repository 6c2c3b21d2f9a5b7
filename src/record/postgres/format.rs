//! The form of the tables: found out at open, brought up to date by one process at a time, refused where it is newer.

use std::time::Duration;

use refinery::{Migration, Runner};
use tokio_postgres::Client;

use super::address::{SCHEMA, ServerAddress};
use super::fault::Fault;
use crate::record::RecordError;

mod embedded {
    refinery::embed_migrations!("src/record/migrations/postgres");
}

/// The oldest server this is tried with.
const OLDEST: i32 = 150_000;
/// Held while the form changes: "reattach", in eight letters.
pub(super) const LOCK: i64 = i64::from_be_bytes(*b"reattach");
/// How long to wait for whoever else changes it: a little less than a call waits for a server, so that its caller hears
/// why.
const PATIENCE: Duration = Duration::from_secs(50);

pub(super) fn migrations() -> Runner {
    embedded::migrations::runner()
}

/// Brings the tables to the newest form of `migrations`, which apply all together or not at all. Whoever finds them so
/// needs no right to change them.
///
/// The connection is left with settings and a lock of its own, and has to be closed.
pub(super) async fn prepare(client: &mut Client, address: &ServerAddress, migrations: Runner) -> Result<(), Fault> {
    check_server(client).await?;
    let newest = migrations.get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    if current(client, address, newest).await? == newest {
        return Ok(());
    }
    let patience = PATIENCE.as_millis();
    client.batch_execute(&format!("SET statement_timeout = 0; SET lock_timeout = {patience}")).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    // Somebody else may have done so meanwhile.
    let found = current(client, address, newest).await?;
    if found == newest {
        return Ok(());
    }
    change(client, migrations).await.map_err(|fault| fault.forming(address, found, newest))
}

async fn change(client: &mut Client, migrations: Runner) -> Result<(), Fault> {
    client.batch_execute(&format!("SET lock_timeout = 0; CREATE SCHEMA IF NOT EXISTS {SCHEMA}")).await?;
    migrations.set_grouped(true).run_async(client).await?;
    Ok(())
}

async fn check_server(client: &Client) -> Result<(), Fault> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4, current_setting('server_encoding')", &[])
        .await?;
    let (version, encoding): (i32, String) = (row.get(0), row.get(1));
    if version < OLDEST {
        return Err(Fault::Unfit(format!(
            "the server is PostgreSQL {}, and 15 is the oldest that will do",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(Fault::Unfit(format!("the database's encoding is {encoding}, and not UTF8")));
    }
    Ok(())
}

/// The form of the tables; 0 where there are none.
async fn current(client: &Client, address: &ServerAddress, known: i32) -> Result<i32, Fault> {
    let exists = format!("SELECT to_regclass('{SCHEMA}.refinery_schema_history') IS NOT NULL");
    if !client.query_one(&exists, &[]).await?.get::<_, bool>(0) {
        return Ok(0);
    }
    let sql = format!("SELECT coalesce(max(version), 0)::int4 FROM {SCHEMA}.refinery_schema_history");
    let found: i32 = client.query_one(&sql, &[]).await?.get(0);
    if found > known {
        return Err(RecordError::NewerFormat { path: address.to_string().into(), found, known }.into());
    }
    Ok(found)
}
