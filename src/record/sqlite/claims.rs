//! Who may upload what: the tables `claims` and `orphans`, and the step from a claim to an upload.

use rusqlite::{OptionalExtension, Transaction, params};

use super::fault::Fault;
use super::owners::Owners;
use super::together::Turn;
use super::uploads::{row_of, space_id_for_writing, store, upload_query};
use crate::clock::Timestamp;
use crate::ids::AssetKey;
use crate::record::rows::UploadRow;
use crate::record::{Claim, Claimed, Completed, NewUpload, UploadState};

/// Wins `key` for whoever's turn it is, unless its holder is alive.
pub(super) fn claim(turn: &Turn, key: AssetKey, now: Timestamp) -> Result<Claimed, Fault> {
    let Turn { transaction, owners, owner } = turn;
    let space = space_id_for_writing(transaction, &key.space)?;
    let asset = params![space, key.asset.digest(), key.kind.as_str()];
    let holder = transaction
        .prepare_cached("SELECT owner, started_at FROM claims WHERE space = ?1 AND sha256 = ?2 AND kind = ?3")?
        .query_row(asset, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    if let Some((holder, since)) = holder {
        if owners.is_alive(&holder)? {
            return Ok(Claimed::Held { since: Timestamp::from_unix_millis(since) });
        }
        bury(transaction, &holder)?;
    }
    let values = params![space, key.asset.digest(), key.kind.as_str(), owner, now.as_unix_millis()];
    let epoch = transaction
        .prepare_cached(
            "INSERT INTO claims (space, sha256, kind, owner, started_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING epoch",
        )?
        .query_row(values, |row| row.get(0))?;
    Ok(Claimed::Won(Claim { key, epoch }))
}

/// Ends every claim whose owner is no more, and removes what such owners left.
pub(super) fn bury_all_dead(transaction: &Transaction, owners: &Owners) -> Result<(), Fault> {
    let mut query = transaction.prepare("SELECT DISTINCT owner FROM claims")?;
    let holders: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for owner in holders {
        if !owners.is_alive(&owner)? {
            bury(transaction, &owner)?;
        }
    }
    Ok(owners.remove_dead()?)
}

/// Ends the claims of an owner that is no more. Whether Meta made an id of what it was sending, nobody knows.
fn bury(transaction: &Transaction, owner: &str) -> Result<(), Fault> {
    transaction.execute(
        "INSERT INTO orphans (epoch, space, sha256, kind, at)
         SELECT epoch, space, sha256, kind, started_at FROM claims WHERE owner = ?1",
        [owner],
    )?;
    transaction.execute("DELETE FROM claims WHERE owner = ?1", [owner])?;
    Ok(())
}

/// Turns the claim into the key's upload; if it is no more, the result into an orphan.
pub(super) fn complete(transaction: &Transaction, claim: &Claim, upload: &NewUpload) -> Result<Completed, Fault> {
    let Claim { key, epoch } = claim;
    let space = space_id_for_writing(transaction, &key.space)?;
    let ended = transaction
        .prepare_cached("DELETE FROM claims WHERE epoch = ?1 AND space = ?2 AND sha256 = ?3 AND kind = ?4")?
        .execute(params![epoch, space, key.asset.digest(), key.kind.as_str()])?;
    if ended == 1 {
        store(transaction, space, key, &UploadRow::new(upload, UploadState::Live, *epoch))?;
        return Ok(Completed::Stored);
    }
    let id = upload.attachment_id.as_str();
    let stored = row_of(&mut upload_query(transaction)?, space, key)?;
    if stored.is_some_and(|(row, _)| row.epoch == *epoch && row.attachment_id == id) {
        return Ok(Completed::Stored);
    }
    transaction
        .prepare_cached(
            "INSERT INTO orphans (epoch, space, sha256, kind, at, attachment_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (epoch) DO UPDATE SET attachment_id = excluded.attachment_id",
        )?
        .execute(params![
            epoch,
            space,
            key.asset.digest(),
            key.kind.as_str(),
            upload.uploaded_at.as_unix_millis(),
            id
        ])?;
    Ok(Completed::Superseded)
}

pub(super) fn release(transaction: &Transaction, claim: &Claim) -> Result<(), Fault> {
    transaction.prepare_cached("DELETE FROM claims WHERE epoch = ?1")?.execute([claim.epoch])?;
    Ok(())
}
