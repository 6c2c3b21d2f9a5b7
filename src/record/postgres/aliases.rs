//! What people call what: the table `aliases`.

use tokio_postgres::Row;

use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::ids::AliasName;
use crate::record::rows::AliasRow;
use crate::record::{Alias, RecordError};

const COLUMNS: &str = "name, sha256, url, kind, source, set_at";

pub(super) async fn get(tx: &Tx, name: &AliasName) -> Result<Option<Alias>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM aliases WHERE name = $1");
    Ok(tx.one(&sql, &[&name.as_str()]).await?.as_ref().map(read).transpose()?)
}

/// What it pointed at before is read under a lock, so that of two who point it anew, one sees the other's.
pub(super) async fn set(tx: &Tx, alias: &Alias) -> Result<Option<Alias>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM aliases WHERE name = $1 FOR UPDATE");
    let before = tx.one(&sql, &[&alias.name.as_str()]).await?.as_ref().map(read).transpose()?;
    let row = AliasRow::new(alias);
    let sql = format!(
        "INSERT INTO aliases ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET
         sha256 = excluded.sha256, url = excluded.url, kind = excluded.kind, source = excluded.source,
         set_at = excluded.set_at"
    );
    tx.execute(&sql, &[&row.name, &row.digest, &row.url, &row.kind, &row.source, &row.set_at]).await?;
    Ok(before)
}

pub(super) async fn remove(tx: &Tx, name: &AliasName) -> Result<Option<Alias>, Fault> {
    let sql = format!("DELETE FROM aliases WHERE name = $1 RETURNING {COLUMNS}");
    Ok(tx.one(&sql, &[&name.as_str()]).await?.as_ref().map(read).transpose()?)
}

pub(super) async fn list(tx: &Tx) -> Result<Vec<Alias>, Fault> {
    let rows = tx.rows(&format!("SELECT {COLUMNS} FROM aliases ORDER BY name"), &[]).await?;
    rows.iter().map(|row| Ok(read(row)?)).collect()
}

fn read(row: &Row) -> Result<Alias, RecordError> {
    const TABLE: &str = AliasRow::TABLE;
    let stored = AliasRow {
        name: column(row, TABLE, 0)?,
        digest: column(row, TABLE, 1)?,
        url: column(row, TABLE, 2)?,
        kind: column(row, TABLE, 3)?,
        source: column(row, TABLE, 4)?,
        set_at: column(row, TABLE, 5)?,
    };
    stored.into_alias()
}
