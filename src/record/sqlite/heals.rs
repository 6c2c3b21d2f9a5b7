//! Ids that were made anew: the table `heals`.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::fault::Fault;
use super::uploads::{column, space_id, space_id_for_writing, spaces};
use crate::clock::Timestamp;
use crate::ids::{AssetKey, AttachmentId, KeySpace, WebUrl};
use crate::record::Heal;
use crate::record::rows::{self, heal_checksum};

const TABLE: &str = "heals";
const COLUMNS: &str = "sha256, kind, url, refused_id, at, checksum";

pub(super) fn remember(transaction: &Transaction, heal: &Heal, since: Timestamp) -> Result<(), Fault> {
    transaction.prepare_cached("DELETE FROM heals WHERE at < ?1")?.execute([since.as_unix_millis()])?;
    let space = space_id_for_writing(transaction, &heal.key.space)?;
    let sql = format!("INSERT INTO heals (space, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    transaction.prepare_cached(&sql)?.execute(params![
        space,
        heal.key.asset.digest(),
        heal.key.kind.as_str(),
        heal.key.asset.url().map(WebUrl::as_str),
        heal.refused.as_str(),
        heal.at.as_unix_millis(),
        heal_checksum(heal),
    ])?;
    Ok(())
}

pub(super) fn count(transaction: &Transaction, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, Fault> {
    let Some(space) = space_id(transaction, &key.space)? else { return Ok(0) };
    let sql = "SELECT count(*) FROM heals WHERE space = ?1 AND sha256 = ?2 AND kind = ?3 AND at > ?4 AND at <= ?5";
    let (after, now) = (after.as_unix_millis(), now.as_unix_millis());
    let values = params![space, key.asset.digest(), key.kind.as_str(), after, now];
    let count: i64 = transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) fn of_id(
    transaction: &Transaction,
    space: &KeySpace,
    refused: &AttachmentId,
) -> Result<Option<AssetKey>, Fault> {
    let Some(id) = space_id(transaction, space)? else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS} FROM heals WHERE space = ?1 AND refused_id = ?2 ORDER BY at DESC LIMIT 1");
    let mut query = transaction.prepare_cached(&sql)?;
    let found = query.query_row(params![id, refused.as_str()], |row| Ok(heal(row, space))).optional()?;
    Ok(found.transpose()?.map(|heal| heal.key))
}

pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    let mut query = transaction.prepare(&format!("SELECT {COLUMNS} FROM heals WHERE space = ?1"))?;
    for (id, space) in spaces(transaction)? {
        let mut selected = query.query([id])?;
        while let Some(row) = selected.next()? {
            heal(row, &space)?;
        }
    }
    Ok(())
}

/// A row of [`COLUMNS`].
fn heal(row: &Row, space: &KeySpace) -> Result<Heal, Fault> {
    let (digest, url): (Vec<u8>, Option<String>) = (column(row, TABLE, 0)?, column(row, TABLE, 2)?);
    let (kind, refused): (String, String) = (column(row, TABLE, 1)?, column(row, TABLE, 3)?);
    let asset = rows::asset(TABLE, &digest, url.as_deref())?;
    let heal = Heal {
        key: AssetKey { space: space.clone(), kind: rows::parse(TABLE, &kind)?, asset },
        refused: rows::parse(TABLE, &refused)?,
        at: Timestamp::from_unix_millis(column(row, TABLE, 4)?),
    };
    if column::<i64>(row, TABLE, 5)? == i64::from(heal_checksum(&heal)) {
        Ok(heal)
    } else {
        Err(rows::damaged(TABLE, format!("the checksum of {refused} is wrong")).into())
    }
}
