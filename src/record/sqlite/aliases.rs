//! What people call what: the table `aliases`.

use rusqlite::{Connection, Row, Transaction, params};

use super::fault::Fault;
use super::uploads::column;
use crate::ids::AliasName;
use crate::record::rows::{self, AliasRow};
use crate::record::{Alias, RecordError};

const TABLE: &str = AliasRow::TABLE;
const COLUMNS: &str = "name, sha256, url, kind, source, set_at, checksum";

pub(super) fn get(connection: &Connection, name: &AliasName) -> Result<Option<Alias>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM aliases WHERE name = ?1");
    let mut query = connection.prepare_cached(&sql)?;
    let mut selected = query.query([name.as_str()])?;
    Ok(selected.next()?.map(read).transpose()?)
}

/// One statement, so that nobody ever finds the name pointing at nothing, or at both.
pub(super) fn set(transaction: &Transaction, alias: &Alias) -> Result<Option<Alias>, Fault> {
    let before = get(transaction, &alias.name)?;
    let row = AliasRow::new(alias);
    let sql = format!("REPLACE INTO aliases ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    let values = params![row.name, row.digest, row.url, row.kind, row.source, row.set_at, row.checksum()];
    transaction.prepare_cached(&sql)?.execute(values)?;
    Ok(before)
}

pub(super) fn remove(transaction: &Transaction, name: &AliasName) -> Result<Option<Alias>, Fault> {
    let removed = get(transaction, name)?;
    transaction.prepare_cached("DELETE FROM aliases WHERE name = ?1")?.execute([name.as_str()])?;
    Ok(removed)
}

pub(super) fn list(connection: &Connection) -> Result<Vec<Alias>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM aliases ORDER BY name");
    let mut query = connection.prepare_cached(&sql)?;
    let mut selected = query.query([])?;
    let mut listed = Vec::new();
    while let Some(row) = selected.next()? {
        listed.push(read(row)?);
    }
    Ok(listed)
}

fn read(row: &Row) -> Result<Alias, RecordError> {
    let stored = AliasRow {
        name: column(row, TABLE, 0)?,
        digest: column(row, TABLE, 1)?,
        url: column(row, TABLE, 2)?,
        kind: column(row, TABLE, 3)?,
        source: column(row, TABLE, 4)?,
        set_at: column(row, TABLE, 5)?,
    };
    if column::<i64>(row, TABLE, 6)? != i64::from(stored.checksum()) {
        return Err(rows::damaged(TABLE, format!("the checksum of {} is wrong", stored.name)));
    }
    stored.into_alias()
}
