//! What has which id: the tables `uploads` and `spaces`.

use std::collections::HashMap;

use rusqlite::types::{FromSql, Value};
use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params, params_from_iter};

use super::fault::Fault;
use crate::ids::{AssetKey, AttachmentId, KeySpace, WebUrl};
use crate::record::rows::{self, UploadRow};
use crate::record::{Adopted, Moved, RecordError, Upload, UploadFilter, UploadState};

/// The columns of an [`UploadRow`], in the order of its fields, and the checksum.
const COLUMNS: &str = "attachment_id, state, uploaded_at, expires_at, size_bytes, mime, width, height, source, epoch, \
                       checksum";

pub(super) fn find(transaction: &Transaction, keys: Vec<AssetKey>) -> Result<Vec<Option<Upload>>, Fault> {
    let mut query = upload_query(transaction)?;
    let mut ids = HashMap::new();
    keys.into_iter()
        .map(|key| {
            let id = match ids.get(&key.space) {
                Some(id) => *id,
                None => *ids.entry(key.space.clone()).or_insert(space_id(transaction, &key.space)?),
            };
            id.map_or(Ok(None), |id| upload_of(&mut query, id, key))
        })
        .collect()
}

/// Lists space by space, so that each page begins in the middle of an index.
pub(super) fn list(
    transaction: &Transaction,
    filter: &UploadFilter,
    after: Option<&AssetKey>,
    limit: usize,
) -> Result<Vec<Upload>, Fault> {
    let spaces = spaces(transaction)?;
    let begin = after.and_then(|key| spaces.iter().position(|(_, space)| *space == key.space)).unwrap_or_default();
    let mut found = Vec::new();
    for (id, space) in &spaces[begin..] {
        if filter.space.as_ref().is_none_or(|wanted| wanted == space) {
            let after = after.filter(|key| key.space == *space);
            list_space(transaction, (*id, space), filter, after, limit - found.len(), &mut found)?;
        }
    }
    Ok(found)
}

fn list_space(
    transaction: &Transaction,
    (id, space): (i64, &KeySpace),
    filter: &UploadFilter,
    after: Option<&AssetKey>,
    limit: usize,
    found: &mut Vec<Upload>,
) -> Result<(), Fault> {
    const TABLE: &str = "uploads";
    let mut sql = format!("SELECT {COLUMNS}, sha256, kind, url FROM uploads WHERE space = ?");
    let mut values = vec![Value::from(id)];
    if let Some(asset) = &filter.asset {
        // The digest alone finds the row; the rest keeps an address from being found as bytes.
        sql += if asset.url().is_some() {
            " AND sha256 = ? AND url IS NOT NULL"
        } else {
            " AND sha256 = ? AND url IS NULL"
        };
        values.push(asset.digest().to_vec().into());
    }
    if let Some(attachment_id) = &filter.attachment_id {
        sql += " AND attachment_id = ?";
        values.push(attachment_id.as_str().to_owned().into());
    }
    if let Some(key) = after {
        sql += " AND (sha256, kind) > (?, ?)";
        values.extend([key.asset.digest().to_vec().into(), key.kind.as_str().to_owned().into()]);
    }
    sql += " ORDER BY sha256, kind LIMIT ?";
    values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());

    let mut query = transaction.prepare_cached(&sql)?;
    let mut selected = query.query(params_from_iter(values))?;
    while let Some(row) = selected.next()? {
        let (upload, checksum) = upload_row(row)?;
        let digest: Vec<u8> = column(row, TABLE, 11)?;
        let kind: String = column(row, TABLE, 12)?;
        let url: Option<String> = column(row, TABLE, 13)?;
        let asset = rows::asset(TABLE, &digest, url.as_deref())?;
        let key = AssetKey { space: space.clone(), kind: rows::parse(TABLE, &kind)?, asset };
        found.push(upload.into_upload(key, checksum)?);
    }
    Ok(())
}

/// The epoch of what no claim stored.
const FROM_ELSEWHERE: i64 = 0;

pub(super) fn adopt(transaction: &Transaction, uploads: Vec<Upload>) -> Result<Vec<Adopted>, Fault> {
    let adopting = uploads.into_iter().map(|upload| {
        let space = space_id_for_writing(transaction, &upload.key.space)?;
        let stored = upload_of(&mut upload_query(transaction)?, space, upload.key.clone())?;
        if stored.is_some_and(|stored| !stored.gives_way_to(&upload)) {
            return Ok(Adopted::Kept);
        }
        let (key, state, upload) = upload.split();
        store(transaction, space, &key, &UploadRow::new(&upload, state, FROM_ELSEWHERE))?;
        Ok(Adopted::Stored)
    });
    adopting.collect()
}

pub(super) fn follow(transaction: &Transaction, moves: &[Moved]) -> Result<(), Fault> {
    for Moved { key, attachment_id, source } in moves {
        let Some(space) = space_id(transaction, &key.space)? else { continue };
        let stored = row_of(&mut upload_query(transaction)?, space, key)?;
        if let Some((row, checksum)) = stored.filter(|(row, _)| row.attachment_id == attachment_id.as_str()) {
            row.must_have(key, checksum)?;
            store(transaction, space, key, &UploadRow { source: Some(rows::path_bytes(source)), ..row })?;
        }
    }
    Ok(())
}

pub(super) fn reject(transaction: &Transaction, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), Fault> {
    let Some(space) = space_id(transaction, &key.space)? else { return Ok(()) };
    match row_of(&mut upload_query(transaction)?, space, key)? {
        Some((row, checksum)) if row.attachment_id == attachment_id.as_str() => {
            row.must_have(key, checksum)?;
            store(transaction, space, key, &UploadRow { state: UploadState::Rejected.as_str().to_owned(), ..row })
        }
        _ => Ok(()),
    }
}

pub(super) fn forget(transaction: &Transaction, key: &AssetKey) -> Result<Option<Upload>, Fault> {
    let Some(space) = space_id(transaction, &key.space)? else { return Ok(None) };
    let forgotten = upload_of(&mut upload_query(transaction)?, space, key.clone())?;
    transaction
        .prepare_cached("DELETE FROM uploads WHERE space = ?1 AND sha256 = ?2 AND kind = ?3")?
        .execute(params![space, key.asset.digest(), key.kind.as_str()])?;
    Ok(forgotten)
}

pub(super) fn verify_rows(transaction: &Transaction) -> Result<(), Fault> {
    let broken: Option<String> =
        transaction.query_row("SELECT \"table\" FROM pragma_foreign_key_check", [], |row| row.get(0)).optional()?;
    if let Some(table) = broken {
        return Err(rows::damaged("spaces", format!("a row of {table} refers to none of its rows")).into());
    }
    let mut last = None;
    loop {
        let page = list(transaction, &UploadFilter::default(), last.as_ref(), 1_000)?;
        let Some(upload) = page.into_iter().next_back() else { return Ok(()) };
        last = Some(upload.key);
    }
}

pub(super) fn upload_query<'t>(transaction: &'t Transaction) -> Result<CachedStatement<'t>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM uploads WHERE space = ?1 AND sha256 = ?2 AND kind = ?3");
    Ok(transaction.prepare_cached(&sql)?)
}

fn upload_of(query: &mut CachedStatement, space: i64, key: AssetKey) -> Result<Option<Upload>, Fault> {
    let Some((row, checksum)) = row_of(query, space, &key)? else { return Ok(None) };
    Ok(Some(row.into_upload(key, checksum)?))
}

pub(super) fn row_of(
    query: &mut CachedStatement,
    space: i64,
    key: &AssetKey,
) -> Result<Option<(UploadRow, i64)>, Fault> {
    let mut selected = query.query(params![space, key.asset.digest(), key.kind.as_str()])?;
    selected.next()?.map(upload_row).transpose()
}

pub(super) fn store(transaction: &Transaction, space: i64, key: &AssetKey, row: &UploadRow) -> Result<(), Fault> {
    let sql = format!(
        "REPLACE INTO uploads (space, sha256, kind, {COLUMNS}, url)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    transaction.prepare_cached(&sql)?.execute(params![
        space,
        key.asset.digest(),
        key.kind.as_str(),
        row.attachment_id,
        row.state,
        row.uploaded_at,
        row.expires_at,
        row.size_bytes,
        row.mime,
        row.width,
        row.height,
        row.source,
        row.epoch,
        row.checksum(key),
        key.asset.url().map(WebUrl::as_str),
    ])?;
    Ok(())
}

/// A row that begins with [`COLUMNS`], and its checksum.
fn upload_row(row: &Row) -> Result<(UploadRow, i64), Fault> {
    const TABLE: &str = "uploads";
    let upload = UploadRow {
        attachment_id: column(row, TABLE, 0)?,
        state: column(row, TABLE, 1)?,
        uploaded_at: column(row, TABLE, 2)?,
        expires_at: column(row, TABLE, 3)?,
        size_bytes: column(row, TABLE, 4)?,
        mime: column(row, TABLE, 5)?,
        width: column(row, TABLE, 6)?,
        height: column(row, TABLE, 7)?,
        source: column(row, TABLE, 8)?,
        epoch: column(row, TABLE, 9)?,
    };
    Ok((upload, column(row, TABLE, 10)?))
}

pub(super) fn spaces(transaction: &Transaction) -> Result<Vec<(i64, KeySpace)>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id, origin, page_id, platform FROM spaces ORDER BY id")?;
    let selected = query.query_and_then([], |row| Ok((column(row, "spaces", 0)?, space(row, 1)?)))?;
    selected.collect()
}

/// The space of that number, which another row refers to.
pub(super) fn space_of(transaction: &Transaction, id: i64) -> Result<KeySpace, Fault> {
    let mut query = transaction.prepare_cached("SELECT origin, page_id, platform FROM spaces WHERE id = ?1")?;
    let mut found = query.query([id])?;
    let row = found.next()?.ok_or_else(|| rows::damaged("spaces", format!("there is no space {id}")))?;
    Ok(space(row, 0)?)
}

/// The space in three columns from `first` on.
fn space(row: &Row, first: usize) -> Result<KeySpace, RecordError> {
    let text = |index| column::<String>(row, "spaces", first + index);
    rows::space(&text(0)?, &text(1)?, &text(2)?)
}

pub(super) fn space_id(transaction: &Transaction, space: &KeySpace) -> Result<Option<i64>, Fault> {
    let values = params![space.origin.as_str(), space.page.as_str(), space.platform.as_str()];
    Ok(transaction
        .prepare_cached("SELECT id FROM spaces WHERE origin = ?1 AND page_id = ?2 AND platform = ?3")?
        .query_row(values, |row| row.get(0))
        .optional()?)
}

pub(super) fn space_id_for_writing(transaction: &Transaction, space: &KeySpace) -> Result<i64, Fault> {
    if let Some(id) = space_id(transaction, space)? {
        return Ok(id);
    }
    let values = params![space.origin.as_str(), space.page.as_str(), space.platform.as_str()];
    transaction
        .prepare_cached("INSERT INTO spaces (origin, page_id, platform) VALUES (?1, ?2, ?3)")?
        .execute(values)?;
    Ok(transaction.last_insert_rowid())
}

/// A column's value; of another type than the schema allows, it is damage.
pub(super) fn column<T: FromSql>(row: &Row, table: &'static str, index: usize) -> Result<T, RecordError> {
    row.get(index).map_err(|error| rows::damaged(table, error))
}
