//! A record carried from one engine to another: table by table, row by row, and held against each other at the end.
//!
//! Both engines have the same tables but for who is alive and what each needs for itself. Rows go in the order of their
//! keys, so that a copy that was cut off goes on where it stopped; nothing that is there is changed.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{PostgresRecord, RecordError, ServerAddress, SqliteRecord};
use crate::clock::Timestamp;

/// How many rows go at once.
const BATCH: usize = 1_000;

/// Where a record is.
#[derive(Debug, Clone)]
pub enum RecordPlace {
    /// In a SQLite file.
    File(PathBuf),
    /// On a PostgreSQL server.
    Server(ServerAddress),
}

/// A table, as both engines have it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Those of its key come first.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// How many columns its key has.
    pub(super) key: usize,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// What a row holds in one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

use Kind::{Bytes, Integer, Text};

/// All tables, each behind those its rows refer to. Claims and workers are not among them: nobody may be at work. Nor is
/// who took up a request: one without an answer is abandoned, there as here.
pub(super) const TABLES: [Table; 13] = [
    Table {
        name: "spaces",
        columns: &[("id", Integer), ("origin", Text), ("page_id", Text), ("platform", Text)],
        key: 1,
    },
    Table {
        name: "uploads",
        columns: &[
            ("space", Integer),
            ("sha256", Bytes),
            ("kind", Text),
            ("url", Text),
            ("attachment_id", Text),
            ("state", Text),
            ("uploaded_at", Integer),
            ("expires_at", Integer),
            ("size_bytes", Integer),
            ("mime", Text),
            ("width", Integer),
            ("height", Integer),
            ("source", Bytes),
            ("epoch", Integer),
        ],
        key: 3,
    },
    Table {
        name: "orphans",
        columns: &[
            ("epoch", Integer),
            ("space", Integer),
            ("sha256", Bytes),
            ("kind", Text),
            ("at", Integer),
            ("attachment_id", Text),
        ],
        key: 1,
    },
    Table {
        name: "pages",
        columns: &[("origin", Text), ("token", Bytes), ("page_id", Text), ("name", Text), ("learnt_at", Integer)],
        key: 2,
    },
    Table {
        name: "derivations",
        columns: &[
            ("source", Bytes),
            ("rules", Text),
            ("recipe", Text),
            ("result", Bytes),
            ("size_bytes", Integer),
            ("mime", Text),
            ("width", Integer),
            ("height", Integer),
            ("made_at", Integer),
        ],
        key: 2,
    },
    Table { name: "server_times", columns: &[("origin", Text), ("theirs", Integer), ("ours", Integer)], key: 1 },
    Table {
        name: "aliases",
        columns: &[
            ("name", Text),
            ("sha256", Bytes),
            ("url", Text),
            ("kind", Text),
            ("source", Bytes),
            ("set_at", Integer),
        ],
        key: 1,
    },
    Table {
        name: "heals",
        // Without a key of their own, SQLite's rows still have a number.
        columns: &[
            ("id", Integer),
            ("space", Integer),
            ("sha256", Bytes),
            ("kind", Text),
            ("url", Text),
            ("refused_id", Text),
            ("at", Integer),
        ],
        key: 1,
    },
    Table {
        name: "campaigns",
        columns: &[
            ("id", Integer),
            ("space", Integer),
            ("name", Text),
            ("message", Text),
            ("settings", Text),
            ("parts", Integer),
            ("digest", Bytes),
            ("assets", Text),
            ("recipients", Integer),
            ("duplicates", Integer),
            ("malformed", Integer),
            ("uploads", Integer),
            ("paused", Text),
            ("planned_at", Integer),
            ("started_at", Integer),
            ("frontier", Integer),
            ("generation", Integer),
            ("stage", Integer),
        ],
        key: 1,
    },
    Table {
        name: "campaign_recipients",
        columns: &[
            ("campaign", Integer),
            ("seq", Integer),
            ("recipient", Text),
            ("variables", Text),
            ("last_interaction_at", Integer),
            ("timezone", Text),
            ("generation", Integer),
        ],
        key: 2,
    },
    Table {
        name: "deliveries",
        columns: &[
            ("campaign", Integer),
            ("seq", Integer),
            ("part", Integer),
            ("state", Text),
            ("attempt", Integer),
            ("nonce", Integer),
            ("at", Integer),
            ("message_id", Text),
            ("code", Integer),
            ("subcode", Integer),
            ("reason", Text),
            ("variant", Text),
        ],
        key: 3,
    },
    Table {
        name: "doubted_attempts",
        columns: &[
            ("campaign", Integer),
            ("seq", Integer),
            ("part", Integer),
            ("attempt", Integer),
            ("nonce", Integer),
            ("intended_at", Integer),
            ("message_id", Text),
        ],
        key: 4,
    },
    Table {
        name: "requests",
        columns: &[("key", Text), ("digest", Bytes), ("at", Integer), ("status", Integer), ("body", Text)],
        key: 1,
    },
];

impl Table {
    /// The names of its columns, those of its key, or of any number of them, as SQL lists them.
    pub(super) fn names(&self, count: usize) -> String {
        self.columns[..count].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn all(&self) -> String {
        self.names(self.columns.len())
    }
}

/// A record whose rows can be taken out and put in.
#[async_trait]
pub(super) trait Portable: Send + Sync {
    /// Settles what the dead left.
    ///
    /// # Errors
    /// `AtWork` while anybody uploads, plans or sends.
    async fn come_to_rest(&self, now: Timestamp) -> Result<(), RecordError>;

    /// At most `limit` rows in the order of their keys, behind the one with the key `after`.
    async fn rows(
        &self,
        table: &'static Table,
        after: Option<Vec<Cell>>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, RecordError>;

    /// The key of the last row; `None` where there is none.
    async fn last_key(&self, table: &'static Table) -> Result<Option<Vec<Cell>>, RecordError>;

    /// Puts rows in where no row with their key is, and makes them durable.
    async fn put_rows(&self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<(), RecordError>;

    /// Makes sure that numbers given from now on are greater than all there are.
    async fn continue_numbers(&self) -> Result<(), RecordError>;

    /// Reads everything there is.
    async fn is_sound(&self) -> Result<(), RecordError>;
}

/// How a table was carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedTable {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has there now, the same as here.
    pub rows: u64,
    /// How many of them came now.
    pub carried: u64,
}

/// Carries all of a record over to another place, where a record is made if there is none, and tells of each table as it is
/// through. Begun again, it goes on where it was cut off.
///
/// # Errors
/// `AtWork` while anybody is at work with either of them; of where it comes from that is found out before anything is made
/// where it goes. `Unlike` where the other holds something else in the end: what
/// it had before, or what was changed here meanwhile.
pub async fn carry_over(
    from: &RecordPlace,
    to: &RecordPlace,
    now: Timestamp,
    mut told: impl FnMut(CarriedTable),
) -> Result<(), RecordError> {
    let from = open(from).await?;
    from.is_sound().await?;
    from.come_to_rest(now).await?;
    let to = open(to).await?;
    to.come_to_rest(now).await?;
    // What is there must be how what is here begins, before anything is added to it.
    for table in &TABLES {
        let there = sum(&*to, table, u64::MAX).await?;
        if sum(&*from, table, there.0).await? != there {
            let here = sum(&*from, table, u64::MAX).await?;
            return Err(RecordError::Unlike { table: table.name, here: here.0, there: there.0 });
        }
    }
    for table in &TABLES {
        let (mut after, mut carried) = (to.last_key(table).await?, 0);
        loop {
            let rows = from.rows(table, after, BATCH).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last[..table.key].to_vec());
            carried += rows.len() as u64;
            to.put_rows(table, rows).await?;
        }
        let (here, there) = (sum(&*from, table, u64::MAX).await?, sum(&*to, table, u64::MAX).await?);
        if here != there {
            return Err(RecordError::Unlike { table: table.name, here: here.0, there: there.0 });
        }
        told(CarriedTable { table: table.name, rows: here.0, carried });
    }
    to.continue_numbers().await?;
    to.is_sound().await
}

/// How many rows a table has, and what they come to; of the first `most` of them, where it has more.
async fn sum(record: &dyn Portable, table: &'static Table, most: u64) -> Result<(u64, [u8; 32]), RecordError> {
    let (mut count, mut hasher, mut after) = (0, Sha256::new(), None);
    loop {
        let batch = usize::try_from(most - count).map_or(BATCH, |left| left.min(BATCH));
        let rows = if batch == 0 { Vec::new() } else { record.rows(table, after, batch).await? };
        let Some(last) = rows.last() else { return Ok((count, hasher.finalize().into())) };
        after = Some(last[..table.key].to_vec());
        count += rows.len() as u64;
        for row in &rows {
            hasher.update(postcard::to_allocvec(row).expect("rows have no form postcard lacks"));
        }
    }
}

async fn open(place: &RecordPlace) -> Result<Arc<dyn Portable>, RecordError> {
    Ok(match place {
        RecordPlace::File(path) => Arc::new(SqliteRecord::open(path).await?),
        RecordPlace::Server(address) => Arc::new(PostgresRecord::open(address).await?),
    })
}
