//! `bottender-lock.json`, as bottender writes and reads it: under `messenger`, by the bare name of each file, its
//! `attachment_id`, `pageId`, `uploaded_at` in milliseconds, and `checksum`, the SHA-512 of its bytes.
//!
//! Source: bottender, `src/cli/providers/messenger/attachment.js` and `src/utils/getAttachment.js` (0.15).

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::fields::{Fields, attachment_id};
use super::names::{Candidate, LeftOut, Named, given};
use super::{Entry, Lookup};
use crate::ids::{ContentHash, MediaKind, Platform};
use crate::media::{Follow, Reader};

/// Under which key the files stand.
pub(super) const KEY: &str = "messenger";

/// What gives a place to a file that has none.
const REMEDY: &str = "give one of the files another name";

/// The lock file of these entries: bottender knows files by their bare name, and each name once. What has no age is not
/// for it at all.
pub fn lockfile(entries: &[Entry]) -> Named {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for file in entries.iter().filter_map(file) {
        match file {
            Ok(file) => files.push(file),
            Err(nameless) => left_out.push(nameless),
        }
    }
    let (named, unnamed) = given(&files, REMEDY);
    left_out.extend(unnamed);
    let entries = named.len();
    let files: Map<_, _> = named.into_iter().map(|file| (file.name.clone(), file.value.clone())).collect();
    let lock = json!({ KEY: files });
    let mut text = serde_json::to_vec_pretty(&lock).expect("memory takes all that is written to it");
    text.push(b'\n');
    Named { text, entries, left_out }
}

fn file(entry: &Entry) -> Option<Result<Candidate<Value>, LeftOut>> {
    let nameless = |reason: &str| Some(Err(LeftOut { name: entry.name(), reason: reason.to_owned() }));
    let Some(path) = &entry.path else { return nameless("it is no file, and bottender knows files only") };
    let Some(name) = path.file_name()?.to_str() else {
        return nameless("its name is no UTF-8, and JSON holds no other; give the file another name");
    };
    let Lookup::BareName { checksum } = &entry.lookup else { return None };
    let mut file = Map::new();
    file.insert("attachment_id".to_owned(), entry.attachment_id.as_ref()?.as_str().into());
    file.insert("pageId".to_owned(), entry.page.as_ref()?.as_str().into());
    file.insert("uploaded_at".to_owned(), entry.uploaded_at?.as_unix_millis().into());
    file.extend(checksum.as_ref().map(|checksum| ("checksum".to_owned(), checksum.as_str().into())));
    Some(Ok(Candidate { name: name.to_owned(), of: entry.name(), value: Value::Object(file) }))
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
