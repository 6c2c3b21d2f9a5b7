//! What people call what: the table `aliases`.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

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

/// Of two who set it at the same time, the second waits for the first, and sees what that one pointed it at.
pub(super) async fn set(tx: &Tx, alias: &Alias) -> Result<Option<Alias>, Fault> {
    let row = AliasRow::new(alias);
    let values: [&(dyn ToSql + Sync); 6] = [&row.name, &row.digest, &row.url, &row.kind, &row.source, &row.set_at];
    loop {
        let sql =
            format!("INSERT INTO aliases ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING");
        if tx.execute(&sql, &values).await? == 1 {
            return Ok(None);
        }
        let sql = format!("SELECT {COLUMNS} FROM aliases WHERE name = $1 FOR UPDATE");
        // Removed meanwhile: then there is none.
        let Some(before) = tx.one(&sql, &[&row.name]).await? else { continue };
        let sql = "UPDATE aliases SET sha256 = $2, url = $3, kind = $4, source = $5, set_at = $6 WHERE name = $1";
        tx.execute(sql, &values).await?;
        return Ok(Some(read(&before)?));
    }
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
