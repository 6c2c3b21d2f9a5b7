//! Rows as an engine may give them back: whatever stands in them, they are a value or damage, and a value is stored as it was.

use super::derivations::DerivationRow;
use super::requests::RequestRow;
use super::rows::{self, AliasRow, UploadRow};
use super::{Derivation, NewUpload, Upload};
use crate::clock::Timestamp;
use crate::ids::{AssetKey, MediaKind};

/// The columns of one row, one a line: numbers as they are, bytes in hexadecimal digits, nothing where nothing stands. What
/// it is a row of, its number of columns says.
pub(crate) fn row(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let columns: Vec<&str> = text.lines().collect();
    let text = |place: usize| columns[place].to_owned();
    let number = |place: usize| columns[place].parse::<i64>().ok();
    let integer = |place: usize| number(place).unwrap_or_default();
    let bytes = |place: usize| hex::decode(columns[place]).unwrap_or_else(|_| columns[place].as_bytes().to_vec());
    let given = |place: usize| Some(columns[place]).filter(|text| !text.is_empty());
    match columns.len() {
        // `space`, digest, kind and address, and what is stored under them.
        16 => upload(
            (&text(0), &text(1), &text(2), &text(3)),
            (&bytes(4), given(5)),
            &UploadRow {
                attachment_id: text(6),
                state: text(7),
                uploaded_at: integer(8),
                expires_at: integer(9),
                size_bytes: integer(10),
                mime: text(11),
                width: number(12),
                height: number(13),
                source: given(14).map(|_| bytes(14)),
                epoch: integer(15),
            },
        ),
        6 => alias(&AliasRow {
            name: text(0),
            digest: bytes(1),
            url: given(2).map(str::to_owned),
            kind: text(3),
            source: given(4).map(|_| bytes(4)),
            set_at: integer(5),
        }),
        5 => request(RequestRow {
            key: text(0),
            digest: bytes(1),
            at: integer(2),
            status: number(3),
            body: given(4).map(str::to_owned),
        }),
        9 => derivation(&DerivationRow {
            source: bytes(0),
            rules: text(1),
            recipe: text(2),
            result: bytes(3),
            size_bytes: integer(4),
            mime: text(5),
            width: integer(6),
            height: integer(7),
            made_at: integer(8),
        }),
        _ => {}
    }
}

fn upload(space: (&str, &str, &str, &str), (digest, url): (&[u8], Option<&str>), row: &UploadRow) {
    let (origin, page, platform, kind) = space;
    let Ok(space) = rows::space(origin, page, platform) else { return };
    let Ok(asset) = rows::asset("uploads", digest, url) else { return };
    let Ok(kind) = kind.parse::<MediaKind>() else { return };
    let key = AssetKey { space, kind, asset };
    let checksum = row.checksum(&key);
    assert!(row.clone().into_upload(key.clone(), i64::from(checksum) + 1).is_err(), "a checksum that is wrong");
    let Ok(upload) = row.clone().into_upload(key.clone(), checksum.into()) else { return };
    let Upload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state, .. } = upload;
    let new = NewUpload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source };
    let mut again = UploadRow::new(&new, state, row.epoch);
    if row.width.is_none() || row.height.is_none() {
        (again.width, again.height) = (row.width, row.height);
    }
    assert_eq!(again, *row);
}

fn alias(row: &AliasRow) {
    let _ = row.checksum();
    let Ok(alias) = row.clone().into_alias() else { return };
    let again = AliasRow::new(&alias);
    // An address is kept in the one form it is known by.
    assert_eq!(AliasRow { url: row.url.clone(), ..again }, *row);
}

fn request(row: RequestRow) {
    let _ = row.checksum();
    let Ok((request, answer)) = row.clone().into_request() else { return };
    let again = RequestRow::new(&request, answer.as_ref());
    assert_eq!((again.digest, again.at), (row.digest, row.at));
    assert!(answer.is_none() || (again.status, again.body) == (row.status, row.body));
}

fn derivation(row: &DerivationRow) {
    let checksum = row.checksum();
    let Ok(derivation) = row.clone().into_derivation(checksum.into()) else { return };
    let _ = Derivation::facts(&derivation);
    assert_eq!(DerivationRow::new(&derivation, Timestamp::from_unix_millis(row.made_at)), *row);
}
