//! Rows as every engine stores them, and the values they stand for.
//!
//! A row that stands for no value, or whose checksum is not its own, is damage, never skipped and never a panic.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;

use super::{Alias, AliasTarget, Heal, NewUpload, RecordError, Upload, UploadState};
use crate::clock::{ClockReading, Timestamp};
use crate::facts::Dimensions;
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, WebUrl};

/// What table `uploads` holds beside its key and the checksum. The order of the fields is part of the checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct UploadRow {
    pub(super) attachment_id: String,
    pub(super) state: String,
    pub(super) uploaded_at: i64,
    pub(super) expires_at: i64,
    pub(super) size_bytes: i64,
    pub(super) mime: String,
    pub(super) width: Option<i64>,
    pub(super) height: Option<i64>,
    pub(super) source: Option<Vec<u8>>,
    pub(super) epoch: i64,
}

impl UploadRow {
    const TABLE: &str = "uploads";

    /// A size past `i64::MAX` becomes negative, which every engine's schema refuses.
    pub(super) fn new(upload: &NewUpload, state: UploadState, epoch: i64) -> Self {
        Self {
            attachment_id: upload.attachment_id.as_str().to_owned(),
            state: state.as_str().to_owned(),
            uploaded_at: upload.uploaded_at.as_unix_millis(),
            expires_at: upload.expires_at.as_unix_millis(),
            size_bytes: i64::try_from(upload.size_bytes).unwrap_or(-1),
            mime: upload.mime.clone(),
            width: upload.dimensions.map(|dimensions| dimensions.width.into()),
            height: upload.dimensions.map(|dimensions| dimensions.height.into()),
            source: upload.source.as_deref().map(path_bytes),
            epoch,
        }
    }

    /// CRC-32 of the row and all that names it, so that no row passes for another's.
    pub(super) fn checksum(&self, key: &AssetKey) -> u32 {
        let KeySpace { origin, page, platform } = &key.space;
        let names = (origin.as_str(), page.as_str(), platform.as_str(), key.kind.as_str(), &key.asset.digest());
        crc(&(names, self))
    }

    /// Returns if this is the row that was stored with `checksum`.
    pub(super) fn must_have(&self, key: &AssetKey, checksum: i64) -> Result<(), RecordError> {
        if checksum == i64::from(self.checksum(key)) {
            return Ok(());
        }
        Err(damaged(Self::TABLE, format!("the checksum of {} is wrong", key.asset)))
    }

    /// The upload of `key` this row stands for, as stored with `checksum`.
    pub(super) fn into_upload(self, key: AssetKey, checksum: i64) -> Result<Upload, RecordError> {
        self.must_have(&key, checksum)?;
        self.into_upload_of(key)
    }

    /// The same of an engine that has checksums of its own.
    pub(super) fn into_upload_of(self, key: AssetKey) -> Result<Upload, RecordError> {
        let number = |value: i64| u32::try_from(value).map_err(|error| damaged(Self::TABLE, error));
        let dimensions = match (self.width, self.height) {
            (Some(width), Some(height)) => Some(Dimensions { width: number(width)?, height: number(height)? }),
            _ => None,
        };
        Ok(Upload {
            key,
            attachment_id: parse(Self::TABLE, &self.attachment_id)?,
            uploaded_at: Timestamp::from_unix_millis(self.uploaded_at),
            expires_at: Timestamp::from_unix_millis(self.expires_at),
            size_bytes: u64::try_from(self.size_bytes).map_err(|error| damaged(Self::TABLE, error))?,
            mime: self.mime,
            dimensions,
            source: self.source.map(|bytes| OsString::from_vec(bytes).into()),
            state: UploadState::parse(&self.state)
                .ok_or_else(|| damaged(Self::TABLE, format!("state {:?}", self.state)))?,
        })
    }
}

/// What table `aliases` holds beside the checksum. The order of the fields is part of the checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AliasRow {
    pub(super) name: String,
    pub(super) digest: Vec<u8>,
    pub(super) url: Option<String>,
    pub(super) kind: String,
    pub(super) source: Option<Vec<u8>>,
    pub(super) set_at: i64,
}

impl AliasRow {
    pub(super) const TABLE: &str = "aliases";

    pub(super) fn new(alias: &Alias) -> Self {
        let AliasTarget { asset, kind, source } = &alias.target;
        Self {
            name: alias.name.as_str().to_owned(),
            digest: asset.digest().to_vec(),
            url: asset.url().map(WebUrl::as_str).map(str::to_owned),
            kind: kind.as_str().to_owned(),
            source: source.as_deref().map(path_bytes),
            set_at: alias.set_at.as_unix_millis(),
        }
    }

    /// The alias this row stands for.
    pub(super) fn into_alias(self) -> Result<Alias, RecordError> {
        Ok(Alias {
            name: parse(Self::TABLE, &self.name)?,
            target: AliasTarget {
                asset: asset(Self::TABLE, &self.digest, self.url.as_deref())?,
                kind: parse(Self::TABLE, &self.kind)?,
                source: self.source.map(|bytes| OsString::from_vec(bytes).into()),
            },
            set_at: Timestamp::from_unix_millis(self.set_at),
        })
    }

    /// CRC-32 of the row.
    pub(super) fn checksum(&self) -> u32 {
        crc(self)
    }
}

pub(super) fn space(origin: &str, page_id: &str, platform: &str) -> Result<KeySpace, RecordError> {
    const TABLE: &str = "spaces";
    Ok(KeySpace { origin: parse(TABLE, origin)?, page: parse(TABLE, page_id)?, platform: parse(TABLE, platform)? })
}

/// The asset a digest stands for: the bytes it is of, or the address that stands beside it.
pub(super) fn asset(table: &'static str, digest: &[u8], url: Option<&str>) -> Result<Asset, RecordError> {
    let Ok(digest) = <[u8; 32]>::try_from(digest) else {
        return Err(damaged(table, format!("a digest of {} bytes", digest.len())));
    };
    let asset = match url {
        Some(url) => Asset::Url(parse(table, url)?),
        None => Asset::Bytes(ContentHash(digest)),
    };
    if asset.digest() == digest { Ok(asset) } else { Err(damaged(table, format!("the digest of {asset} is wrong"))) }
}

/// CRC-32 of what a row of `heals` holds.
pub(super) fn heal_checksum(heal: &Heal) -> u32 {
    let AssetKey { space: KeySpace { origin, page, platform }, kind, asset } = &heal.key;
    let names = (origin.as_str(), page.as_str(), platform.as_str(), kind.as_str(), &asset.digest());
    let row = (names, heal.refused.as_str(), heal.at.as_unix_millis());
    crc(&row)
}

/// CRC-32 of what a row of `pages` holds.
pub(super) fn page_checksum(origin: &str, token: &[u8], page_id: &str, name: &str, learnt_at: i64) -> u32 {
    let row = (origin, token, page_id, name, learnt_at);
    crc(&row)
}

/// CRC-32 of what a row of `server_times` holds.
pub(super) fn clock_checksum(origin: &str, reading: ClockReading) -> u32 {
    crc(&(origin, reading.theirs.as_unix_millis(), reading.ours.as_unix_millis()))
}

/// CRC-32 of what a row holds, and of what it holds by a column that came later: where that is not set, the checksum is
/// what it was before there was one.
pub(super) fn crc_with(row: &impl Serialize, added: Option<impl Serialize>) -> u32 {
    match added {
        None => crc(row),
        Some(added) => crc(&(row, added)),
    }
}

/// CRC-32 of what a row holds.
pub(super) fn crc(row: &impl Serialize) -> u32 {
    crc32fast::hash(&postcard::to_allocvec(row).expect("rows have no form postcard lacks"))
}

pub(super) fn parse<T: FromStr<Err: fmt::Display>>(table: &'static str, text: &str) -> Result<T, RecordError> {
    text.parse().map_err(|error| damaged(table, error))
}

/// A path as it is stored.
pub(super) fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// A number as it is stored. Places and counts never come near the end of either type.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored by [`signed`].
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn damaged(table: &'static str, what: impl fmt::Display) -> RecordError {
    RecordError::Damaged { table, what: what.to_string() }
}
