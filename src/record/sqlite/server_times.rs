//! What time it was at Meta: the table `server_times`.

use rusqlite::{Connection, Transaction, params};

use super::fault::Fault;
use super::uploads::column;
use crate::clock::{ClockReading, Timestamp};
use crate::ids::Origin;
use crate::record::rows;

const TABLE: &str = "server_times";

pub(super) fn find(connection: &Connection, origin: &Origin) -> Result<Option<ClockReading>, Fault> {
    let mut query = connection.prepare_cached("SELECT theirs, ours, checksum FROM server_times WHERE origin = ?1")?;
    let mut found = query.query([origin.as_str()])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let time = |index| column(row, TABLE, index).map(Timestamp::from_unix_millis);
    let reading = ClockReading { theirs: time(0)?, ours: time(1)? };
    if column::<i64>(row, TABLE, 2)? != i64::from(rows::clock_checksum(origin.as_str(), reading)) {
        return Err(rows::damaged(TABLE, format!("the checksum of {origin} is wrong")).into());
    }
    Ok(Some(reading))
}

pub(super) fn keep(transaction: &Transaction, origin: &Origin, reading: ClockReading) -> Result<(), Fault> {
    let (theirs, ours) = (reading.theirs.as_unix_millis(), reading.ours.as_unix_millis());
    let values = params![origin.as_str(), theirs, ours, rows::clock_checksum(origin.as_str(), reading)];
    transaction.prepare_cached("REPLACE INTO server_times VALUES (?1, ?2, ?3, ?4)")?.execute(values)?;
    Ok(())
}

pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    let mut query = transaction.prepare("SELECT origin FROM server_times")?;
    let mut origins = query.query([])?;
    while let Some(row) = origins.next()? {
        let origin: String = column(row, TABLE, 0)?;
        find(transaction, &rows::parse(TABLE, &origin)?)?;
    }
    Ok(())
}
