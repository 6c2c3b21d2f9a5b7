//! What time it was at Meta: the table `server_times`.

use super::fault::Fault;
use super::session::Tx;
use super::uploads::column;
use crate::clock::{ClockReading, Timestamp};
use crate::ids::Origin;
use crate::record::rows;

const TABLE: &str = "server_times";

pub(super) async fn find(tx: &Tx, origin: &Origin) -> Result<Option<ClockReading>, Fault> {
    let found = tx.one("SELECT theirs, ours FROM server_times WHERE origin = $1", &[&origin.as_str()]).await?;
    let Some(row) = found else { return Ok(None) };
    let time = |index| column(&row, TABLE, index).map(Timestamp::from_unix_millis);
    Ok(Some(ClockReading { theirs: time(0)?, ours: time(1)? }))
}

pub(super) async fn keep(tx: &Tx, origin: &Origin, reading: ClockReading) -> Result<(), Fault> {
    let sql = "INSERT INTO server_times (origin, theirs, ours) VALUES ($1, $2, $3)
               ON CONFLICT (origin) DO UPDATE SET theirs = excluded.theirs, ours = excluded.ours";
    let (theirs, ours) = (reading.theirs.as_unix_millis(), reading.ours.as_unix_millis());
    tx.execute(sql, &[&origin.as_str(), &theirs, &ours]).await?;
    Ok(())
}

pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    for row in tx.rows("SELECT origin FROM server_times", &[]).await? {
        let origin: String = column(&row, TABLE, 0)?;
        find(tx, &rows::parse(TABLE, &origin)?).await?;
    }
    Ok(())
}
