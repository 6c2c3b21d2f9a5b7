//! An attachment of type image, video, audio or file, as uploads and messages describe it.
//!
//! Limits by file only: a URL is never fetched, so what is behind it has no size here.
//!
//! Source: Messenger Platform, Saving Assets (v25.0, read 2026-04-22); Instagram, Attachment Upload (read 2026-06-30).

use url::Url;

use super::super::error::GraphError;
use super::super::params::FilePart;
use super::super::shape::{self, Object, only};
use super::super::state::NewAttachment;
use super::super::truth::TruthFile;

/// What Meta stores and gives ids to.
pub(super) const MEDIA: [&str; 4] = ["image", "video", "audio", "file"];

const MAX_BYTES: u64 = 25 << 20;
/// Instagram takes smaller pictures.
const MAX_INSTAGRAM_IMAGE_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct Media<'a> {
    kind: &'static str,
    pub(super) reusable: bool,
    pub(super) source: Source<'a>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Saved(String),
    Url(&'a str),
    File(&'a FilePart),
    Nothing,
}

/// Checks `attachment`, which goes by the name `param`, and the `files` that came with it.
pub(super) fn media<'a>(
    attachment: &'a Object,
    files: &'a [FilePart],
    platform: &str,
    param: &str,
) -> Result<Media<'a>, GraphError> {
    only(attachment, &["type", "payload"], param)?;
    let type_param = format!("{param}[type]");
    let kind =
        shape::one_of(attachment, "type", &type_param, &MEDIA)?.ok_or_else(|| GraphError::required(&type_param))?;
    let param = format!("{param}[payload]");
    let payload = shape::object(attachment, "payload", &param)?.ok_or_else(|| GraphError::required(&param))?;
    only(payload, &["attachment_id", "is_reusable", "url"], &param)?;
    let reusable = shape::boolean(payload, "is_reusable", &format!("{param}[is_reusable]"))?.unwrap_or(false);
    let id = shape::numeric(payload, "attachment_id", &format!("{param}[attachment_id]"))?;
    let url_param = format!("{param}[url]");
    let url = shape::text(payload, "url", &url_param)?;
    let source = match (id, url, files) {
        (Some(id), None, []) => Source::Saved(id),
        (None, Some(url), []) => Source::Url(check_url(url, kind, &url_param)?),
        (None, None, [file]) => Source::File(check_file(file, kind, platform)?),
        (None, None, []) => Source::Nothing,
        (None, None, _) => return Err(GraphError::file_count()),
        _ => return Err(GraphError::parameter(format!("Param {param} must name one attachment_id, url or file only"))),
    };
    Ok(Media { kind, reusable, source })
}

impl Media<'_> {
    /// What is to be stored of it.
    pub(super) fn into_new(self, platform: &'static str, content_length: Option<u64>) -> NewAttachment {
        let (url, file) = match self.source {
            Source::Url(url) => (Some(url.to_owned()), None),
            Source::File(file) => (None, Some(truth_of(file))),
            Source::Saved(_) | Source::Nothing => (None, None),
        };
        NewAttachment { kind: self.kind, platform, reusable: self.reusable, url, file, content_length }
    }
}

fn truth_of(file: &FilePart) -> TruthFile {
    TruthFile {
        name: file.file_name.clone().unwrap_or_default(),
        mime: file.mime.clone(),
        size_bytes: file.size_bytes,
        sha256: file.sha256.clone(),
    }
}

/// What a URL that ends in this leads to is not taken: pages and programs.
const FORBIDDEN_ENDINGS: [&str; 3] = [".html", ".htm", ".exe"];
/// The same of a file, by its media type.
const FORBIDDEN_TYPES: [&str; 7] = [
    "text/html",
    "application/xhtml+xml",
    "application/vnd.microsoft.portable-executable",
    "application/x-dosexec",
    "application/x-executable",
    "application/x-msdos-program",
    "application/x-msdownload",
];

/// Hosts under `.invalid` stand for those Meta cannot fetch from, or not all of it (RFC 6761).
fn check_url<'a>(text: &'a str, kind: &str, param: &str) -> Result<&'a str, GraphError> {
    let invalid = || GraphError::parameter(format!("{param} should represent a valid URL"));
    let url = Url::parse(text).map_err(|_| invalid())?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(invalid)?;
    if host.ends_with(".invalid") {
        return Err(if kind == "video" { GraphError::video_fetch_failure() } else { GraphError::fetch_failure() });
    }
    let path = url.path().to_ascii_lowercase();
    if FORBIDDEN_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
        return Err(GraphError::forbidden_type());
    }
    Ok(text)
}

fn check_file<'a>(file: &'a FilePart, kind: &str, platform: &str) -> Result<&'a FilePart, GraphError> {
    if file.field != "filedata" || (file.named_in_ascii && file.file_name.as_deref().is_none_or(str::is_empty)) {
        return Err(GraphError::file_count());
    }
    if !file.named_in_ascii {
        return Err(GraphError::parameter("File names with non-ASCII characters are not supported"));
    }
    let limit = if (platform, kind) == ("instagram", "image") { MAX_INSTAGRAM_IMAGE_BYTES } else { MAX_BYTES };
    if file.size_bytes > limit {
        return Err(GraphError::too_large());
    }
    if file.mime.as_deref().is_some_and(|mime| FORBIDDEN_TYPES.contains(&mime)) {
        return Err(GraphError::forbidden_type());
    }
    let family = file.mime.as_deref().and_then(|mime| mime.split('/').next());
    // A file may be of any type; everything else must be what it says it is.
    if file.size_bytes == 0 || (kind != "file" && family != Some(kind)) {
        return Err(GraphError::upload_failure());
    }
    Ok(file)
}
