//! `bottender-lock.json`, as bottender writes and reads it: under `messenger`, by the bare name of each file, its
//! `attachment_id`, `pageId`, `uploaded_at` in milliseconds, and `checksum`, the SHA-512 of its bytes.
//!
//! Source: bottender, `src/cli/providers/messenger/attachment.js` and `src/utils/getAttachment.js` (0.15).

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::fields::{Fields, attachment_id};
use super::{Entry, Lookup};
use crate::ids::{ContentHash, MediaKind, Platform};
use crate::media::{Follow, Reader};

/// Under which key the files stand.
pub(super) const KEY: &str = "messenger";

/// The lock file of these entries, and the names of those it has no place for: bottender knows files by their bare name,
/// and each name once. What has no file or no age is not for it at all.
pub fn lockfile(entries: &[Entry]) -> (Vec<u8>, Vec<String>) {
    let (mut files, mut left_out) = (Map::new(), Vec::new());
    for entry in entries {
        let Some((name, value)) = file(entry) else { continue };
        match files.get(&name) {
            Some(other) if *other != value => left_out.push(entry.name()),
            _ => {
                files.insert(name, value);
            }
        }
    }
    let lock = json!({ KEY: files });
    let mut text = serde_json::to_vec_pretty(&lock).expect("memory takes all that is written to it");
    text.push(b'\n');
    (text, left_out)
}

fn file(entry: &Entry) -> Option<(String, Value)> {
    let name = entry.path.as_ref()?.file_name()?.to_str()?.to_owned();
    let Lookup::BareName { checksum } = &entry.lookup else { return None };
    let mut file = Map::new();
    file.insert("attachment_id".to_owned(), entry.attachment_id.as_ref()?.as_str().into());
    file.insert("pageId".to_owned(), entry.page.as_ref()?.as_str().into());
    file.insert("uploaded_at".to_owned(), entry.uploaded_at?.as_unix_millis().into());
    file.extend(checksum.as_ref().map(|checksum| ("checksum".to_owned(), checksum.as_str().into())));
    Some((name, Value::Object(file)))
}

/// The entry of one file in a lock file, or in a map that says as much.
pub(super) fn entry(name: &str, value: &Value, lookup: fn(Option<String>) -> Lookup) -> Result<Entry, String> {
    let named = Entry { path: Some(name.into()), ..Entry::default() };
    let Value::Object(file) = value else {
        return Ok(Entry { attachment_id: Some(attachment_id(value)?), lookup: lookup(None), ..named });
    };
    let fields = Fields(file);
    let page = fields.parsed("pageId")?;
    Ok(Entry {
        attachment_id: fields.attachment_id()?,
        uploaded_at: fields.time("uploaded_at")?,
        page: if page.is_some() { page } else { fields.parsed("page_id")? },
        platform: Some(Platform::Messenger),
        lookup: lookup(fields.text("checksum")?.map(str::to_lowercase)),
        ..named
    })
}

/// What bottender calls the checksum of the file's bytes; `None` where they are no longer those of this digest.
pub(crate) fn checksum(reader: &Reader, path: &Path, hash: ContentHash) -> Option<String> {
    let content = reader.read(path, Follow::Named, &mut |_| {}).ok()?;
    (content.facts.hash == hash).then(|| hex::encode(Sha512::digest(&content.bytes)))
}

/// The kind bottender uploaded a file as, which knows fewer formats than Meta.
pub(in crate::library) fn kind_there(mime: Option<&str>) -> MediaKind {
    match mime {
        Some("image/jpeg" | "image/png" | "image/gif") => MediaKind::Image,
        Some("video/mp4" | "video/x-m4v" | "video/x-msvideo") => MediaKind::Video,
        Some("audio/mpeg" | "audio/midi" | "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "audio/x-wav" | "audio/wav") => {
            MediaKind::Audio
        }
        _ => MediaKind::File,
    }
}

/// The folder bottender uploads from, beside its lock file.
pub(in crate::library) const FOLDER: &str = "assets";
