//! What has which id: the tables `uploads` and `spaces`.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::fault::Fault;
use super::session::Tx;
use crate::ids::{AssetKey, AttachmentId, KeySpace, WebUrl};
use crate::record::rows::{self, UploadRow};
use crate::record::{Adopted, Moved, RecordError, Upload, UploadFilter, UploadState};

const TABLE: &str = "uploads";
/// The columns of an [`UploadRow`], in the order of its fields.
const COLUMNS: &str = "attachment_id, state, uploaded_at, expires_at, size_bytes, mime, width, height, source, epoch";

/// One statement, however many keys: this is what every lookup costs.
pub(super) async fn find(tx: &Tx, keys: &[AssetKey]) -> Result<Vec<Option<Upload>>, Fault> {
    let (mut origins, mut pages, mut platforms) = (Vec::new(), Vec::new(), Vec::new());
    let (mut digests, mut kinds) = (Vec::new(), Vec::new());
    for key in keys {
        origins.push(key.space.origin.as_str());
        pages.push(key.space.page.as_str());
        platforms.push(key.space.platform.as_str());
        digests.push(key.asset.digest().to_vec());
        kinds.push(key.kind.as_str());
    }
    // The row of one key after another, so that the plan is the same however few rows there were when it was made.
    let sql = format!(
        "SELECT uploads.*, place FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[])
             WITH ORDINALITY AS asked (origin, page_id, platform, sha256, kind, place)
         CROSS JOIN LATERAL (SELECT {COLUMNS} FROM uploads WHERE uploads.sha256 = asked.sha256 AND uploads.kind = asked.kind
             AND space = (SELECT id FROM spaces WHERE spaces.origin = asked.origin AND spaces.page_id = asked.page_id
                          AND spaces.platform = asked.platform) LIMIT 1) AS uploads"
    );
    let mut found = vec![None; keys.len()];
    for row in tx.rows(&sql, &[&origins, &pages, &platforms, &digests, &kinds]).await? {
        let place = usize::try_from(column::<i64>(&row, TABLE, 10)?).unwrap_or_default() - 1;
        found[place] = Some(upload_row(&row)?.into_upload_of(keys[place].clone())?);
    }
    Ok(found)
}

/// Lists space by space, so that each page begins in the middle of an index.
pub(super) async fn list(
    tx: &Tx,
    filter: &UploadFilter,
    after: Option<&AssetKey>,
    limit: usize,
) -> Result<Vec<Upload>, Fault> {
    let spaces = spaces(tx).await?;
    let begin = after.and_then(|key| spaces.iter().position(|(_, space)| *space == key.space)).unwrap_or_default();
    let mut found = Vec::new();
    for (id, space) in &spaces[begin..] {
        if filter.space.as_ref().is_none_or(|wanted| wanted == space) && found.len() < limit {
            let after = after.filter(|key| key.space == *space);
            found.extend(list_space(tx, (*id, space), filter, after, limit - found.len()).await?);
        }
    }
    Ok(found)
}

async fn list_space(
    tx: &Tx,
    (id, space): (i64, &KeySpace),
    filter: &UploadFilter,
    after: Option<&AssetKey>,
    limit: usize,
) -> Result<Vec<Upload>, Fault> {
    let mut sql = format!("SELECT {COLUMNS}, sha256, kind, url FROM uploads WHERE space = $1");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut values: Vec<Box<dyn ToSql + Sync + Send>> = vec![Box::new(id), Box::new(limit)];
    let mut condition = |text: &str, value: Box<dyn ToSql + Sync + Send>| {
        values.push(value);
        sql += &text.replace('?', &format!("${}", values.len()));
    };
    if let Some(asset) = &filter.asset {
        // The digest alone finds the row; the rest keeps an address from being found as bytes.
        let side = if asset.url().is_some() { "IS NOT NULL" } else { "IS NULL" };
        condition(&format!(" AND sha256 = ? AND url {side}"), Box::new(asset.digest().to_vec()));
    }
    if let Some(attachment_id) = &filter.attachment_id {
        condition(" AND attachment_id = ?", Box::new(attachment_id.as_str().to_owned()));
    }
    if let Some(key) = after {
        condition(" AND (sha256, kind) > (?, ", Box::new(key.asset.digest().to_vec()));
        condition("?)", Box::new(key.kind.as_str().to_owned()));
    }
    sql += " ORDER BY sha256, kind LIMIT $2";
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    let rows = tx.rows(&sql, &values).await?;
    rows.iter()
        .map(|row| {
            let (digest, kind): (Vec<u8>, String) = (column(row, TABLE, 10)?, column(row, TABLE, 11)?);
            let asset = rows::asset(TABLE, &digest, column(row, TABLE, 12)?)?;
            let key = AssetKey { space: space.clone(), kind: rows::parse(TABLE, &kind)?, asset };
            Ok(upload_row(row)?.into_upload_of(key)?)
        })
        .collect()
}

/// The epoch of what no claim stored.
const FROM_ELSEWHERE: i64 = 0;

pub(super) async fn adopt(tx: &Tx, uploads: &[Upload]) -> Result<Vec<Adopted>, Fault> {
    let mut spaces = HashMap::new();
    let mut adopted = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let space = match spaces.get(&upload.key.space) {
            Some(space) => *space,
            None => *spaces.entry(&upload.key.space).or_insert(space_id_for_writing(tx, &upload.key.space).await?),
        };
        adopted.push(adopt_one(tx, space, upload).await?);
    }
    Ok(adopted)
}

/// A row that is not there cannot be locked: of two who bring one at the same time, the second waits for the first.
async fn adopt_one(tx: &Tx, space: i64, upload: &Upload) -> Result<Adopted, Fault> {
    let (key, state, new) = upload.clone().split();
    let row = UploadRow::new(&new, state, FROM_ELSEWHERE);
    loop {
        if put(tx, space, &key, &row, "DO NOTHING").await? == 1 {
            return Ok(Adopted::Stored);
        }
        // Forgotten meanwhile: then there is none.
        let Some(stored) = upload_of(tx, space, &key).await? else { continue };
        if !stored.gives_way_to(upload) {
            return Ok(Adopted::Kept);
        }
        store(tx, space, &key, &row).await?;
        return Ok(Adopted::Stored);
    }
}

pub(super) async fn follow(tx: &Tx, moves: &[Moved]) -> Result<(), Fault> {
    let mut by_space: HashMap<&KeySpace, Vec<&Moved>> = HashMap::new();
    for moved in moves {
        by_space.entry(&moved.key.space).or_default().push(moved);
    }
    // One statement for each space: each row that is asked for on its own costs a journey.
    let sql = "UPDATE uploads SET source = moved.source
               FROM unnest($2::bytea[], $3::text[], $4::text[], $5::bytea[]) AS moved (sha256, kind, attachment_id, source)
               WHERE space = $1 AND uploads.sha256 = moved.sha256 AND uploads.kind = moved.kind
               AND uploads.attachment_id = moved.attachment_id";
    for (space, moves) in by_space {
        let Some(space) = space_id(tx, space).await? else { continue };
        let digests: Vec<_> = moves.iter().map(|moved| moved.key.asset.digest().to_vec()).collect();
        let kinds: Vec<_> = moves.iter().map(|moved| moved.key.kind.as_str()).collect();
        let ids: Vec<_> = moves.iter().map(|moved| moved.attachment_id.as_str()).collect();
        let sources: Vec<_> = moves.iter().map(|moved| rows::path_bytes(&moved.source)).collect();
        tx.execute(sql, &[&space, &digests, &kinds, &ids, &sources]).await?;
    }
    Ok(())
}

pub(super) async fn reject(tx: &Tx, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), Fault> {
    let Some(space) = space_id(tx, &key.space).await? else { return Ok(()) };
    let sql = "UPDATE uploads SET state = $5 WHERE space = $1 AND sha256 = $2 AND kind = $3 AND attachment_id = $4";
    let (digest, state) = (key.asset.digest().to_vec(), UploadState::Rejected.as_str());
    tx.execute(sql, &[&space, &digest, &key.kind.as_str(), &attachment_id.as_str(), &state]).await?;
    Ok(())
}

pub(super) async fn forget(tx: &Tx, key: &AssetKey) -> Result<Option<Upload>, Fault> {
    let Some(space) = space_id(tx, &key.space).await? else { return Ok(None) };
    let sql = format!("DELETE FROM uploads WHERE space = $1 AND sha256 = $2 AND kind = $3 RETURNING {COLUMNS}");
    let forgotten = tx.one(&sql, &[&space, &key.asset.digest().to_vec(), &key.kind.as_str()]).await?;
    forgotten.map(|row| Ok(upload_row(&row)?.into_upload_of(key.clone())?)).transpose()
}

pub(super) async fn verify_rows(tx: &Tx) -> Result<(), Fault> {
    let mut last = None;
    loop {
        let page = list(tx, &UploadFilter::default(), last.as_ref(), 1_000).await?;
        let Some(upload) = page.into_iter().next_back() else { return Ok(()) };
        last = Some(upload.key);
    }
}

/// What is stored under the key, kept as it is until the transaction ends.
async fn upload_of(tx: &Tx, space: i64, key: &AssetKey) -> Result<Option<Upload>, Fault> {
    let row = row_of(tx, space, key).await?;
    row.map(|row| Ok(row.into_upload_of(key.clone())?)).transpose()
}

pub(super) async fn row_of(tx: &Tx, space: i64, key: &AssetKey) -> Result<Option<UploadRow>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM uploads WHERE space = $1 AND sha256 = $2 AND kind = $3 FOR UPDATE");
    let found = tx.one(&sql, &[&space, &key.asset.digest().to_vec(), &key.kind.as_str()]).await?;
    Ok(found.as_ref().map(upload_row).transpose()?)
}

/// Stores the row, in the place of the one there may be.
pub(super) async fn store(tx: &Tx, space: i64, key: &AssetKey, row: &UploadRow) -> Result<(), Fault> {
    let instead = "DO UPDATE SET url = excluded.url, attachment_id = excluded.attachment_id,
         state = excluded.state, uploaded_at = excluded.uploaded_at, expires_at = excluded.expires_at,
         size_bytes = excluded.size_bytes, mime = excluded.mime, width = excluded.width, height = excluded.height,
         source = excluded.source, epoch = excluded.epoch";
    put(tx, space, key, row, instead).await.map(drop)
}

/// Stores the row, or does what `instead` says where the key has one; says how many rows that changed.
async fn put(tx: &Tx, space: i64, key: &AssetKey, row: &UploadRow, instead: &str) -> Result<u64, Fault> {
    let sql = format!(
        "INSERT INTO uploads (space, sha256, kind, url, {COLUMNS})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (space, sha256, kind) {instead}"
    );
    tx.execute(
        &sql,
        &[
            &space,
            &key.asset.digest().to_vec(),
            &key.kind.as_str(),
            &key.asset.url().map(WebUrl::as_str),
            &row.attachment_id,
            &row.state,
            &row.uploaded_at,
            &row.expires_at,
            &row.size_bytes,
            &row.mime,
            &row.width,
            &row.height,
            &row.source,
            &row.epoch,
        ],
    )
    .await
}

/// A row that begins with [`COLUMNS`].
fn upload_row(row: &Row) -> Result<UploadRow, RecordError> {
    Ok(UploadRow {
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
    })
}

pub(super) async fn spaces(tx: &Tx) -> Result<Vec<(i64, KeySpace)>, Fault> {
    let rows = tx.rows("SELECT id, origin, page_id, platform FROM spaces ORDER BY id", &[]).await?;
    rows.iter().map(|row| Ok((column(row, "spaces", 0)?, space(row, 1)?))).collect()
}

/// The space in three columns from `first` on.
pub(super) fn space(row: &Row, first: usize) -> Result<KeySpace, RecordError> {
    let text = |index| column::<String>(row, "spaces", first + index);
    rows::space(&text(0)?, &text(1)?, &text(2)?)
}

pub(super) async fn space_id(tx: &Tx, space: &KeySpace) -> Result<Option<i64>, Fault> {
    let sql = "SELECT id FROM spaces WHERE origin = $1 AND page_id = $2 AND platform = $3";
    let found = tx.one(sql, &[&space.origin.as_str(), &space.page.as_str(), &space.platform.as_str()]).await?;
    Ok(found.map(|row| column(&row, "spaces", 0)).transpose()?)
}

pub(super) async fn space_id_for_writing(tx: &Tx, space: &KeySpace) -> Result<i64, Fault> {
    loop {
        if let Some(id) = space_id(tx, space).await? {
            return Ok(id);
        }
        // Somebody else may do so at the same time; rows are never deleted.
        let sql = "INSERT INTO spaces (origin, page_id, platform) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[&space.origin.as_str(), &space.page.as_str(), &space.platform.as_str()]).await?;
    }
}

/// A column's value; of another type than the schema allows, it is damage.
pub(super) fn column<'r, T: FromSql<'r>>(row: &'r Row, table: &'static str, index: usize) -> Result<T, RecordError> {
    row.try_get(index).map_err(|error| rows::damaged(table, error))
}
