//! What was made of what: the table `derivations`.

use async_trait::async_trait;
use rusqlite::{Row, Transaction, params};

use super::SqliteRecord;
use super::fault::Fault;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::ids::ContentHash;
use crate::record::derivations::DerivationRow;
use crate::record::{Derivation, Derivations, RecordError};

/// The columns of a [`DerivationRow`], in the order of its fields, and the checksum.
const COLUMNS: &str = "source, rules, recipe, result, size_bytes, mime, width, height, made_at, checksum";

#[async_trait]
impl Derivations for SqliteRecord {
    async fn copies_of(&self, source: ContentHash) -> Result<Vec<Derivation>, RecordError> {
        self.call(move |state| select(&state.connection.transaction()?, "source = ?1", source.as_bytes())).await
    }

    async fn sources_of(&self, results: &[ContentHash]) -> Result<Vec<Derivation>, RecordError> {
        let results = results.to_vec();
        self.call(move |state| {
            let transaction = state.connection.transaction()?;
            let mut found = Vec::new();
            for result in &results {
                found.extend(select(&transaction, "result = ?1", result.as_bytes())?);
            }
            found.sort_by(|one, other| (one.source, &one.rules).cmp(&(other.source, &other.rules)));
            Ok(found)
        })
        .await
    }

    async fn remember_derivation(&self, derivation: &Derivation, now: Timestamp) -> Result<(), RecordError> {
        let row = DerivationRow::new(derivation, now);
        self.call(move |state| state.write(|transaction| store(transaction, &row))).await
    }
}

/// Reads every row, and compares it with its checksum.
pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    let mut query = transaction.prepare(&format!("SELECT {COLUMNS} FROM derivations"))?;
    let mut selected = query.query([])?;
    while let Some(row) = selected.next()? {
        derivation(row)?;
    }
    Ok(())
}

fn select(transaction: &Transaction, condition: &str, hash: &[u8; 32]) -> Result<Vec<Derivation>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM derivations WHERE {condition} ORDER BY source, rules");
    let mut query = transaction.prepare_cached(&sql)?;
    let mut selected = query.query(params![hash])?;
    let mut found = Vec::new();
    while let Some(row) = selected.next()? {
        found.push(derivation(row)?);
    }
    Ok(found)
}

fn derivation(row: &Row) -> Result<Derivation, RecordError> {
    const TABLE: &str = "derivations";
    let stored = DerivationRow {
        source: column(row, TABLE, 0)?,
        rules: column(row, TABLE, 1)?,
        recipe: column(row, TABLE, 2)?,
        result: column(row, TABLE, 3)?,
        size_bytes: column(row, TABLE, 4)?,
        mime: column(row, TABLE, 5)?,
        width: column(row, TABLE, 6)?,
        height: column(row, TABLE, 7)?,
        made_at: column(row, TABLE, 8)?,
    };
    stored.into_derivation(column(row, TABLE, 9)?)
}

fn store(transaction: &Transaction, row: &DerivationRow) -> Result<(), Fault> {
    let sql = format!("REPLACE INTO derivations ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    transaction.prepare_cached(&sql)?.execute(params![
        row.source,
        row.rules,
        row.recipe,
        row.result,
        row.size_bytes,
        row.mime,
        row.width,
        row.height,
        row.made_at,
        row.checksum(),
    ])?;
    Ok(())
}
