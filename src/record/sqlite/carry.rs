//! Rows as they are, to be carried to another engine and back. What is put in gets the checksum it would have had.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, Transaction, params_from_iter};

use super::SqliteRecord;
use super::campaigns::seal_row;
use super::claims::bury_all_dead;
use super::deliveries::{Sheet, recipient_checksum};
use super::fault::Fault;
use super::requests::are_under_way;
use super::uploads::spaces;
use crate::clock::{ClockReading, Timestamp};
use crate::delivery::{Delivery, Doubted, State};
use crate::ids::{AssetKey, KeySpace};
use crate::record::carry::{Cell, Portable, Table};
use crate::record::derivations::DerivationRow;
use crate::record::requests::RequestRow;
use crate::record::rows::{self, AliasRow, UploadRow, unsigned};
use crate::record::{CampaignId, DeliveryKey, DoubtedAttempt, Heal, Record, RecordError};

#[async_trait]
impl Portable for SqliteRecord {
    async fn come_to_rest(&self, now: Timestamp) -> Result<(), RecordError> {
        let path = self.path.clone();
        self.call(move |engine| {
            engine.bury_workers(now)?;
            // An owner's folder is there as soon as there is an owner.
            engine.owners.own()?;
            engine.bury_claims()?;
            let sql = "SELECT EXISTS (SELECT 1 FROM claims) OR EXISTS (SELECT 1 FROM campaign_workers)";
            let transaction = engine.connection.transaction()?;
            if transaction.query_row(sql, [], |row| row.get(0))? || are_under_way(&transaction, &engine.owners)? {
                return Err(RecordError::AtWork { path }.into());
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
        self.call(move |engine| {
            let (name, all, key) = (table.name, named(&table.all(), table), named(&table.names(table.key), table));
            let mut values = vec![Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))];
            let behind = match after {
                None => String::new(),
                Some(after) => {
                    values.extend(after.into_iter().map(value));
                    let places = (2..=values.len()).map(|place| format!("?{place}")).collect::<Vec<_>>();
                    format!("WHERE ({key}) > ({})", places.join(", "))
                }
            };
            let sql = format!("SELECT {all} FROM {name} {behind} ORDER BY {key} LIMIT ?1");
            let mut query = engine.connection.prepare_cached(&sql)?;
            let found = query.query_map(params_from_iter(values), |row| cells(row, table.columns.len()))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn last_key(&self, table: &'static Table) -> Result<Option<Vec<Cell>>, RecordError> {
        self.call(move |engine| {
            let key = named(&table.names(table.key), table);
            let backwards = key.replace(", ", " DESC, ");
            let sql = format!("SELECT {key} FROM {} ORDER BY {backwards} DESC LIMIT 1", table.name);
            Ok(engine.connection.query_row(&sql, [], |row| cells(row, table.key)).optional()?)
        })
        .await
    }

    async fn put_rows(&self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<(), RecordError> {
        self.call(move |engine| engine.write(|transaction| put_rows(transaction, table, rows))).await
    }

    async fn continue_numbers(&self) -> Result<(), RecordError> {
        self.call(move |engine| {
            engine.write(|transaction| {
                // Those of campaigns follow by themselves.
                transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'claims'", [])?;
                transaction.execute(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT 'claims', coalesce(max(epoch), 0)
                     FROM (SELECT epoch FROM uploads UNION ALL SELECT epoch FROM orphans)",
                    [],
                )?;
                Ok(())
            })
        })
        .await
    }

    async fn is_sound(&self) -> Result<(), RecordError> {
        self.verify().await
    }
}

impl super::State {
    fn bury_claims(&mut self) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let before = transaction.total_changes();
        bury_all_dead(&transaction, &self.owners)?;
        super::commit(transaction, before, &mut self.mark)
    }
}

/// SQLite's own number of a row stands for the key of a table that has none.
fn named(columns: &str, table: &Table) -> String {
    if table.name == "heals" { columns.replacen("id", "rowid", 1) } else { columns.to_owned() }
}

fn cells(row: &Row, count: usize) -> rusqlite::Result<Vec<Cell>> {
    (0..count)
        .map(|place| {
            Ok(match row.get(place)? {
                Value::Null | Value::Real(_) => Cell::Null,
                Value::Integer(number) => Cell::Integer(number),
                Value::Text(text) => Cell::Text(text),
                Value::Blob(bytes) => Cell::Bytes(bytes),
            })
        })
        .collect()
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(number),
        Cell::Text(text) => Value::Text(text),
        Cell::Bytes(bytes) => Value::Blob(bytes),
    }
}

fn put_rows(transaction: &Transaction, table: &Table, rows: Vec<Vec<Cell>>) -> Result<(), Fault> {
    let has_checksums = !matches!(table.name, "spaces" | "orphans");
    let mut columns = named(&table.all(), table);
    let mut places: Vec<_> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    if has_checksums {
        columns += ", checksum";
        places.push(format!("?{}", places.len() + 1));
    }
    let sql = format!("INSERT INTO {} ({columns}) VALUES ({}) ON CONFLICT DO NOTHING", table.name, places.join(", "));
    let mut insert = transaction.prepare_cached(&sql)?;
    let spaces = if has_checksums { spaces(transaction)? } else { Vec::new() };
    for row in rows {
        let checksum = if has_checksums { Some(checksum(transaction, &spaces, table, &row)?) } else { None };
        let campaign = (table.name == "campaigns").then(|| CampaignId(Cells(&row).integer(0)));
        let values = row.into_iter().map(value).chain(checksum.map(|sum| Value::Integer(sum.into())));
        if insert.execute(params_from_iter(values))? == 1
            && let Some(campaign) = campaign
        {
            seal_row(transaction, campaign)?;
        }
    }
    Ok(())
}

/// What is read of a row by place. Of another type than the column, it is what no row holds, and the sums tell.
struct Cells<'r>(&'r [Cell]);

impl Cells<'_> {
    fn integer(&self, place: usize) -> i64 {
        self.maybe_integer(place).unwrap_or_default()
    }

    fn maybe_integer(&self, place: usize) -> Option<i64> {
        if let Cell::Integer(number) = &self.0[place] { Some(*number) } else { None }
    }

    fn text(&self, place: usize) -> String {
        self.maybe_text(place).unwrap_or_default()
    }

    fn maybe_text(&self, place: usize) -> Option<String> {
        if let Cell::Text(text) = &self.0[place] { Some(text.clone()) } else { None }
    }

    fn bytes(&self, place: usize) -> Vec<u8> {
        self.maybe_bytes(place).unwrap_or_default()
    }

    fn maybe_bytes(&self, place: usize) -> Option<Vec<u8>> {
        if let Cell::Bytes(bytes) = &self.0[place] { Some(bytes.clone()) } else { None }
    }

    fn request(&self) -> RequestRow {
        RequestRow {
            key: self.text(0),
            digest: self.bytes(1),
            at: self.integer(2),
            status: self.maybe_integer(3),
            body: self.maybe_text(4),
        }
    }

    fn delivery_key(&self) -> DeliveryKey {
        DeliveryKey { seq: unsigned(self.integer(1)), part: u8::try_from(self.integer(2)).unwrap_or_default() }
    }
}

/// The checksum a row would have been stored with; 0 of a campaign, whose own comes later.
fn checksum(transaction: &Transaction, spaces: &[(i64, KeySpace)], table: &Table, row: &[Cell]) -> Result<u32, Fault> {
    let cells = Cells(row);
    let number = |place| cells.maybe_integer(place).and_then(|number| u32::try_from(number).ok());
    let sheet = || Sheet { transaction, campaign: CampaignId(cells.integer(0)), parts: 1, frontier: 0, plan: None };
    let key_at = |first: usize, digest: &[u8], kind: &str, url: Option<&str>| {
        let space = spaces.iter().find(|(id, _)| *id == cells.integer(first)).map(|(_, space)| space.clone());
        let missing = || rows::damaged(table.name, "it refers to no space");
        let (space, kind) = (space.ok_or_else(missing)?, rows::parse(table.name, kind)?);
        Ok::<_, RecordError>(AssetKey { space, kind, asset: rows::asset(table.name, digest, url)? })
    };
    Ok(match table.name {
        "uploads" => {
            let key = key_at(0, &cells.bytes(1), &cells.text(2), cells.maybe_text(3).as_deref())?;
            let row = UploadRow {
                attachment_id: cells.text(4),
                state: cells.text(5),
                uploaded_at: cells.integer(6),
                expires_at: cells.integer(7),
                size_bytes: cells.integer(8),
                mime: cells.text(9),
                width: cells.maybe_integer(10),
                height: cells.maybe_integer(11),
                source: cells.maybe_bytes(12),
                epoch: cells.integer(13),
            };
            row.checksum(&key)
        }
        "pages" => {
            rows::page_checksum(&cells.text(0), &cells.bytes(1), &cells.text(2), &cells.text(3), cells.integer(4))
        }
        "derivations" => {
            let row = DerivationRow {
                source: cells.bytes(0),
                rules: cells.text(1),
                recipe: cells.text(2),
                result: cells.bytes(3),
                size_bytes: cells.integer(4),
                mime: cells.text(5),
                width: cells.integer(6),
                height: cells.integer(7),
                made_at: cells.integer(8),
            };
            row.checksum()
        }
        "server_times" => {
            let time = |place| Timestamp::from_unix_millis(cells.integer(place));
            rows::clock_checksum(&cells.text(0), ClockReading { theirs: time(1), ours: time(2) })
        }
        "aliases" => {
            let row = AliasRow {
                name: cells.text(0),
                digest: cells.bytes(1),
                url: cells.maybe_text(2),
                kind: cells.text(3),
                source: cells.maybe_bytes(4),
                set_at: cells.integer(5),
            };
            row.checksum()
        }
        "heals" => rows::heal_checksum(&Heal {
            key: key_at(1, &cells.bytes(2), &cells.text(3), cells.maybe_text(4).as_deref())?,
            refused: rows::parse(table.name, &cells.text(5))?,
            at: Timestamp::from_unix_millis(cells.integer(6)),
        }),
        "campaign_recipients" => {
            let (variables, zone) = (cells.maybe_text(3), cells.maybe_text(5));
            let said = (variables.as_deref(), cells.maybe_integer(4), zone.as_deref());
            let (campaign, seq) = (CampaignId(cells.integer(0)), cells.integer(1));
            recipient_checksum(campaign, seq, &cells.text(2), said, cells.integer(6))
        }
        "deliveries" => {
            let word = cells.text(3);
            let delivery = Delivery {
                state: State::parse(&word).ok_or_else(|| rows::damaged(table.name, format!("state {word:?}")))?,
                attempt: number(4).unwrap_or_default(),
                nonce: number(5),
                at: Timestamp::from_unix_millis(cells.integer(6)),
                message_id: cells.maybe_text(7),
                code: cells.maybe_integer(8),
                subcode: cells.maybe_integer(9),
                reason: cells.maybe_text(10),
                variant: cells.maybe_text(11),
            };
            sheet().checksum(cells.delivery_key(), &delivery, None)
        }
        "doubted_attempts" => {
            let intended_at = cells.maybe_integer(5).map(Timestamp::from_unix_millis);
            let (attempt, nonce) = (number(3).unwrap_or_default(), number(4).unwrap_or_default());
            let doubted = Doubted { attempt, nonce, intended_at };
            let kept = DoubtedAttempt { doubted, message_id: cells.maybe_text(6) };
            sheet().attempt_checksum(cells.delivery_key(), &kept)
        }
        RequestRow::TABLE => cells.request().checksum(),
        _ => 0,
    })
}
