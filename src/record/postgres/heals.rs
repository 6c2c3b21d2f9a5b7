//! Ids that were made anew: the table `heals`.

use tokio_postgres::Row;

use super::fault::Fault;
use super::session::Tx;
use super::uploads::{column, space_id, space_id_for_writing, spaces};
use crate::clock::Timestamp;
use crate::ids::{AssetKey, AttachmentId, KeySpace, WebUrl};
use crate::record::rows;
use crate::record::{Heal, RecordError};

const TABLE: &str = "heals";
const COLUMNS: &str = "sha256, kind, url, refused_id, at";

pub(super) async fn remember(tx: &Tx, heal: &Heal, since: Timestamp) -> Result<(), Fault> {
    tx.execute("DELETE FROM heals WHERE at < $1", &[&since.as_unix_millis()]).await?;
    let Heal { key, refused, at } = heal;
    let space = space_id_for_writing(tx, &key.space).await?;
    let sql = format!("INSERT INTO heals (space, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)");
    let (digest, url) = (key.asset.digest().to_vec(), key.asset.url().map(WebUrl::as_str));
    tx.execute(&sql, &[&space, &digest, &key.kind.as_str(), &url, &refused.as_str(), &at.as_unix_millis()]).await?;
    Ok(())
}

pub(super) async fn count(tx: &Tx, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, Fault> {
    let Some(space) = space_id(tx, &key.space).await? else { return Ok(0) };
    let sql = "SELECT count(*) FROM heals WHERE space = $1 AND sha256 = $2 AND kind = $3 AND at > $4 AND at <= $5";
    let (after, now) = (after.as_unix_millis(), now.as_unix_millis());
    let counted = tx.one(sql, &[&space, &key.asset.digest().to_vec(), &key.kind.as_str(), &after, &now]).await?;
    Ok(counted.map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or_default()))
}

pub(super) async fn of_id(tx: &Tx, space: &KeySpace, refused: &AttachmentId) -> Result<Option<AssetKey>, Fault> {
    let Some(id) = space_id(tx, space).await? else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS} FROM heals WHERE space = $1 AND refused_id = $2 ORDER BY at DESC LIMIT 1");
    let found = tx.one(&sql, &[&id, &refused.as_str()]).await?;
    Ok(found.map(|row| heal(&row, space)).transpose()?.map(|heal| heal.key))
}

pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    for (id, space) in spaces(tx).await? {
        for row in tx.rows(&format!("SELECT {COLUMNS} FROM heals WHERE space = $1"), &[&id]).await? {
            heal(&row, &space)?;
        }
    }
    Ok(())
}

/// A row of [`COLUMNS`].
fn heal(row: &Row, space: &KeySpace) -> Result<Heal, RecordError> {
    let (digest, url): (Vec<u8>, Option<String>) = (column(row, TABLE, 0)?, column(row, TABLE, 2)?);
    let (kind, refused): (String, String) = (column(row, TABLE, 1)?, column(row, TABLE, 3)?);
    let asset = rows::asset(TABLE, &digest, url.as_deref())?;
    Ok(Heal {
        key: AssetKey { space: space.clone(), kind: rows::parse(TABLE, &kind)?, asset },
        refused: rows::parse(TABLE, &refused)?,
        at: Timestamp::from_unix_millis(column(row, TABLE, 4)?),
    })
}
