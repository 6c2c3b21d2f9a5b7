//! Rows as they are, to be carried to another engine and back.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresRecord;
use super::requests::are_under_way;
use super::uploads::column;
use crate::clock::Timestamp;
use crate::record::carry::{Cell, Kind, Portable, Table};
use crate::record::{Record, RecordError};

/// A value as a statement takes it.
type Value = Box<dyn ToSql + Sync + Send>;

#[async_trait]
impl Portable for PostgresRecord {
    async fn come_to_rest(&self, now: Timestamp) -> Result<(), RecordError> {
        self.bury_workers(now).await?;
        let address = self.sessions.address();
        self.sessions
            .write(|tx| async move {
                let sql = "WITH ended AS (DELETE FROM claims USING owners WHERE owners.id = claims.owner
                                          AND until <= clock_timestamp() RETURNING claims.*)
                           INSERT INTO orphans (epoch, space, sha256, kind, at)
                           SELECT epoch, space, sha256, kind, started_at FROM ended";
                tx.execute(sql, &[]).await?;
                let sql = "SELECT EXISTS (SELECT FROM claims) OR EXISTS (SELECT FROM campaign_workers)";
                if tx.one(sql, &[]).await?.is_some_and(|row| row.get(0)) || are_under_way(&tx).await? {
                    return Err(RecordError::AtWork { path: address.to_string().into() }.into());
                }
                Ok(())
            })
            .await
    }

    async fn rows(
        &self,
        table: &'static Table,
        after: Option<Vec<Cell>>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, RecordError> {
        let after = &after;
        self.sessions
            .ask(|tx| async move {
                let (name, all, key) = (table.name, table.all(), table.names(table.key));
                let mut values: Vec<Value> = vec![Box::new(i64::try_from(limit).unwrap_or(i64::MAX))];
                let behind = match after {
                    None => String::new(),
                    Some(after) => {
                        values.extend(after.iter().zip(table.columns).map(|(cell, (_, kind))| value(cell, *kind)));
                        let places = (2..=values.len()).map(|place| format!("${place}")).collect::<Vec<_>>();
                        format!("WHERE ({key}) > ({})", places.join(", "))
                    }
                };
                let sql = format!("SELECT {all} FROM {name} {behind} ORDER BY {key} LIMIT $1");
                let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
                tx.rows(&sql, &values).await?.iter().map(|row| Ok(cells(row, table, table.columns.len())?)).collect()
            })
            .await
    }

    async fn last_key(&self, table: &'static Table) -> Result<Option<Vec<Cell>>, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let (name, key) = (table.name, table.names(table.key));
                let backwards = key.replace(", ", " DESC, ");
                let sql = format!("SELECT {key} FROM {name} ORDER BY {backwards} DESC LIMIT 1");
                Ok(tx.one(&sql, &[]).await?.map(|row| cells(&row, table, table.key)).transpose()?)
            })
            .await
    }

    async fn put_rows(&self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<(), RecordError> {
        let rows = &rows;
        self.sessions
            .write(|tx| async move {
                let values: Vec<Value> =
                    table.columns.iter().enumerate().map(|(place, (_, kind))| column_of(rows, place, *kind)).collect();
                let arrays = table.columns.iter().zip(1..).map(|((_, kind), place)| match kind {
                    Kind::Integer => format!("${place}::bigint[]"),
                    Kind::Text => format!("${place}::text[]"),
                    Kind::Bytes => format!("${place}::bytea[]"),
                });
                let sql = format!(
                    "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({}) ON CONFLICT DO NOTHING",
                    table.name,
                    table.all(),
                    arrays.collect::<Vec<_>>().join(", ")
                );
                let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
                tx.execute(&sql, &values).await.map(drop)
            })
            .await
    }

    async fn continue_numbers(&self) -> Result<(), RecordError> {
        self.sessions
            .write(|tx| async move {
                for (table, name, highest) in [
                    ("spaces", "id", "SELECT max(id) FROM spaces"),
                    ("heals", "id", "SELECT max(id) FROM heals"),
                    ("campaigns", "id", "SELECT max(id) FROM campaigns"),
                    (
                        "claims",
                        "epoch",
                        "SELECT max(epoch) FROM (SELECT epoch FROM uploads UNION ALL SELECT epoch FROM orphans) AS used",
                    ),
                ] {
                    let sql = format!(
                        "SELECT setval(pg_get_serial_sequence('{table}', '{name}'), greatest(({highest}), 1))"
                    );
                    tx.rows(&sql, &[]).await?;
                }
                Ok(())
            })
            .await
    }

    async fn is_sound(&self) -> Result<(), RecordError> {
        self.verify().await
    }
}

fn cells(row: &Row, table: &'static Table, count: usize) -> Result<Vec<Cell>, RecordError> {
    let cell = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Integer => column::<Option<i64>>(row, table.name, place)?.map(Cell::Integer),
            Kind::Text => column::<Option<String>>(row, table.name, place)?.map(Cell::Text),
            Kind::Bytes => column::<Option<Vec<u8>>>(row, table.name, place)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns[..count].iter().enumerate().map(cell).collect()
}

fn integer(cell: &Cell) -> Option<i64> {
    if let Cell::Integer(number) = cell { Some(*number) } else { None }
}

fn text(cell: &Cell) -> Option<String> {
    // The one character PostgreSQL's texts lack; the sums tell.
    if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
}

fn bytes(cell: &Cell) -> Option<Vec<u8>> {
    if let Cell::Bytes(bytes) = cell { Some(bytes.clone()) } else { None }
}

fn value(cell: &Cell, kind: Kind) -> Value {
    match kind {
        Kind::Integer => Box::new(integer(cell)),
        Kind::Text => Box::new(text(cell)),
        Kind::Bytes => Box::new(bytes(cell)),
    }
}

/// One column of all rows.
fn column_of(rows: &[Vec<Cell>], place: usize, kind: Kind) -> Value {
    let cells = rows.iter().map(|row| &row[place]);
    match kind {
        Kind::Integer => Box::new(cells.map(integer).collect::<Vec<_>>()),
        Kind::Text => Box::new(cells.map(text).collect::<Vec<_>>()),
        Kind::Bytes => Box::new(cells.map(bytes).collect::<Vec<_>>()),
    }
}
