//! What there is to upload: the bytes of a file, or what lies at a web address.

use bytes::Bytes;

use super::hook::Hook;
use super::message::InvalidRequest;
use super::transport::FilePart;
use super::wire;
use crate::ids::{MediaKind, Platform};

/// A file to upload.
#[derive(Debug, Clone)]
pub struct FileUpload<'a> {
    /// The platform its id is for.
    pub platform: Platform,
    /// The `type` it will be sent as.
    pub kind: MediaKind,
    /// Its name, which recipients see of a [`MediaKind::File`]; made plain ASCII on the way.
    pub filename: &'a str,
    /// Its true media type, such as `image/png`.
    pub mime: &'a str,
    /// The bytes.
    pub bytes: Bytes,
    /// Called with the number of bytes handed to the connection so far; a new attempt starts from the beginning.
    pub progress: Option<Hook<u64>>,
}

impl FileUpload<'_> {
    /// The file as the last part of a form.
    ///
    /// # Errors
    /// A media type Meta is known to refuse.
    pub(super) fn part(self) -> Result<FilePart, InvalidRequest> {
        check_media_type(self.kind, self.mime)?;
        Ok(FilePart {
            field: "filedata",
            filename: wire::ascii_filename(self.filename),
            mime: self.mime.to_owned(),
            bytes: self.bytes,
            progress: self.progress,
        })
    }
}

/// A web address Meta is to fetch.
///
/// **Source**: "Saving Assets" (read 2026-04-22): images up to 8 MB; a video within 75 s, anything else within 10 s.
#[derive(Debug, Clone, Copy)]
pub struct UrlUpload<'a> {
    /// The platform its id is for.
    pub platform: Platform,
    /// The `type` it will be sent as.
    pub kind: MediaKind,
    /// The address.
    pub url: &'a str,
}

/// Refuses a media type that is none, and sound that does not call itself so, which Meta refuses after the upload.
///
/// **Source**: "Saving Assets", upload from file: for audio the `Content-Type` "must use type `audio`" (2026-04-22).
fn check_media_type(kind: MediaKind, mime: &str) -> Result<(), InvalidRequest> {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    match mime.split_once('/') {
        Some((family, subtype))
            if is_token(family) && is_token(subtype) && (kind != MediaKind::Audio || family == "audio") =>
        {
            Ok(())
        }
        _ => Err(InvalidRequest::MediaType { kind, mime: mime.to_owned() }),
    }
}
