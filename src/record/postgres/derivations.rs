//! What was made of what: the table `derivations`.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresRecord;
use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::ids::ContentHash;
use crate::record::derivations::DerivationRow;
use crate::record::{Derivation, Derivations, RecordError};

/// The columns of a [`DerivationRow`], in the order of its fields.
const COLUMNS: &str = "source, rules, recipe, result, size_bytes, mime, width, height, made_at";

#[async_trait]
impl Derivations for PostgresRecord {
    async fn copies_of(&self, source: ContentHash) -> Result<Vec<Derivation>, RecordError> {
        self.sessions.ask(|tx| async move { select(&tx, "source", &[source]).await }).await
    }

    async fn sources_of(&self, results: &[ContentHash]) -> Result<Vec<Derivation>, RecordError> {
        self.sessions.ask(|tx| async move { select(&tx, "result", results).await }).await
    }

    async fn remember_derivation(&self, derivation: &Derivation, now: Timestamp) -> Result<(), RecordError> {
        let row = &DerivationRow::new(derivation, now);
        self.sessions.write(|tx| async move { store(&tx, row).await }).await
    }
}

/// Reads every row.
pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    for row in tx.rows(&format!("SELECT {COLUMNS} FROM derivations"), &[]).await? {
        derivation(&row)?;
    }
    Ok(())
}

async fn select(tx: &Tx, of: &str, hashes: &[ContentHash]) -> Result<Vec<Derivation>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM derivations WHERE {of} = ANY ($1) ORDER BY source, rules");
    let hashes: Vec<_> = hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect();
    let rows = tx.rows(&sql, &[&hashes]).await?;
    rows.iter().map(|row| Ok(derivation(row)?)).collect()
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
    stored.into_derivation_unchecked()
}

async fn store(tx: &Tx, row: &DerivationRow) -> Result<(), Fault> {
    let sql = format!(
        "INSERT INTO derivations ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (source, rules) DO UPDATE SET recipe = excluded.recipe, result = excluded.result,
         size_bytes = excluded.size_bytes, mime = excluded.mime, width = excluded.width, height = excluded.height,
         made_at = excluded.made_at"
    );
    tx.execute(
        &sql,
        &[
            &row.source,
            &row.rules,
            &row.recipe,
            &row.result,
            &row.size_bytes,
            &row.mime,
            &row.width,
            &row.height,
            &row.made_at,
        ],
    )
    .await?;
    Ok(())
}
