//! Who may upload what: the tables `claims` and `orphans`, and the step from a claim to an upload.

use super::fault::Fault;
use super::owners::CHANNEL;
use super::session::Tx;
use super::uploads::{column, row_of, space_id_for_writing, store};
use crate::clock::Timestamp;
use crate::ids::AssetKey;
use crate::record::rows::UploadRow;
use crate::record::{Claim, Claimed, Completed, NewUpload, UploadState};

const TABLE: &str = "claims";

/// Wins `key` for `owner`, unless its holder is alive.
pub(super) async fn claim(tx: &Tx, owner: i64, key: &AssetKey, now: Timestamp) -> Result<Claimed, Fault> {
    let space = space_id_for_writing(tx, &key.space).await?;
    let (digest, kind) = (key.asset.digest().to_vec(), key.kind.as_str());
    loop {
        let sql = "INSERT INTO claims (space, sha256, kind, owner, started_at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (space, sha256, kind) DO NOTHING RETURNING epoch";
        let won = tx.one(sql, &[&space, &digest, &kind, &owner, &now.as_unix_millis()]).await?;
        if let Some(row) = won {
            return Ok(Claimed::Won(Claim { key: key.clone(), epoch: column(&row, TABLE, 0)? }));
        }
        let sql = "SELECT claims.owner, started_at, until > clock_timestamp() FROM claims
                   JOIN owners ON owners.id = claims.owner WHERE space = $1 AND sha256 = $2 AND kind = $3";
        // Gone meanwhile: then it is free.
        let Some(row) = tx.one(sql, &[&space, &digest, &kind]).await? else { continue };
        if column(&row, TABLE, 2)? {
            return Ok(Claimed::Held { since: Timestamp::from_unix_millis(column(&row, TABLE, 1)?) });
        }
        bury(tx, column(&row, TABLE, 0)?).await?;
    }
}

/// Ends the claims of an owner that is no more. Whether Meta made an id of what it was sending, nobody knows.
async fn bury(tx: &Tx, owner: i64) -> Result<(), Fault> {
    // Waits for a renewal that is under way, and then sees whether it was in time.
    let sql = "SELECT id FROM owners WHERE id = $1 AND until <= clock_timestamp() FOR UPDATE";
    if tx.one(sql, &[&owner]).await?.is_some() {
        let sql = "WITH ended AS (DELETE FROM claims WHERE owner = $1 RETURNING *)
                   INSERT INTO orphans (epoch, space, sha256, kind, at)
                   SELECT epoch, space, sha256, kind, started_at FROM ended";
        tx.execute(sql, &[&owner]).await?;
    }
    Ok(())
}

/// Turns the claim into the key's upload; if it is no more, the result into an orphan.
pub(super) async fn complete(tx: &Tx, claim: &Claim, upload: &NewUpload) -> Result<Completed, Fault> {
    let Claim { key, epoch } = claim;
    let space = space_id_for_writing(tx, &key.space).await?;
    let (digest, kind) = (key.asset.digest().to_vec(), key.kind.as_str());
    let sql = "DELETE FROM claims WHERE epoch = $1 AND space = $2 AND sha256 = $3 AND kind = $4";
    if tx.execute(sql, &[epoch, &space, &digest, &kind]).await? == 1 {
        store(tx, space, key, &UploadRow::new(upload, UploadState::Live, *epoch)).await?;
        tell(tx, key).await?;
        return Ok(Completed::Stored);
    }
    let id = upload.attachment_id.as_str();
    let stored = row_of(tx, space, key).await?;
    if stored.is_some_and(|row| row.epoch == *epoch && row.attachment_id == id) {
        return Ok(Completed::Stored);
    }
    let sql = "INSERT INTO orphans (epoch, space, sha256, kind, at, attachment_id) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (epoch) DO UPDATE SET attachment_id = excluded.attachment_id";
    tx.execute(sql, &[epoch, &space, &digest, &kind, &upload.uploaded_at.as_unix_millis(), &id]).await?;
    Ok(Completed::Superseded)
}

pub(super) async fn release(tx: &Tx, claim: &Claim) -> Result<(), Fault> {
    tx.execute("DELETE FROM claims WHERE epoch = $1", &[&claim.epoch]).await?;
    tell(tx, &claim.key).await
}

/// Wakes whoever waits for the key, once this is durable.
async fn tell(tx: &Tx, key: &AssetKey) -> Result<(), Fault> {
    tx.rows("SELECT pg_notify($1, $2)", &[&CHANNEL, &name(key)]).await?;
    Ok(())
}

/// What a key is called by those who wait for it. Another kind of the same bytes wakes them in vain.
pub(super) fn name(key: &AssetKey) -> String {
    hex::encode(key.asset.digest())
}
