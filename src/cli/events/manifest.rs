//! Manifests: what was written, and what was taken in.

use std::path::Path;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::events::{ErrorBody, JsonPath};
use crate::ids::{AliasName, AttachmentId, ContentHash, MediaKind, PageId, WebUrl};
use crate::library::{ImportReport, ImportSummary};
use crate::record::Upload;

/// `{"event":"export"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ExportEvent {
    event: &'static str,
    format: &'static str,
    output: String,
    entries: usize,
    bytes: usize,
}

impl ExportEvent {
    pub(in crate::cli) fn new(format: &'static str, output: &Path, entries: usize, bytes: usize) -> Self {
        Self { event: "export", format, output: output.to_string_lossy().into_owned(), entries, bytes }
    }
}

/// `{"event":"asset"}` of `import`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ImportEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    sha256: Option<ContentHash>,
    kind: Option<MediaKind>,
    outcome: &'static str,
    state: Option<&'static str>,
    attachment_id: Option<&'a AttachmentId>,
    page_id: Option<&'a PageId>,
    uploaded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    aliases: &'a [AliasName],
    aliases_kept: &'a [AliasName],
    #[serde(rename = "ref")]
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

impl<'a> ImportEvent<'a> {
    pub(in crate::cli) fn new(report: &'a ImportReport) -> Self {
        let upload = report.upload.as_ref();
        Self {
            event: "asset",
            path: JsonPath::new(upload.and_then(|upload| upload.source.as_deref())),
            url: upload.and_then(|upload| upload.key.asset.url()).map(WebUrl::as_str),
            sha256: upload.and_then(|upload| upload.key.asset.hash()),
            kind: upload.map(|upload| upload.key.kind),
            outcome: report.outcome.as_str(),
            state: upload.map(|upload| upload.state.as_str()),
            attachment_id: upload.map(|upload| &upload.attachment_id),
            page_id: upload.map(|upload| &upload.key.space.page),
            uploaded_at: upload.and_then(Upload::known_upload_time),
            expires_at: upload.and_then(Upload::known_expiry),
            aliases: &report.aliases,
            aliases_kept: &report.aliases_kept,
            reference: &report.name,
            error: report.error.as_ref().map(|error| ErrorBody::local(error.to_string(), error.hint())),
        }
    }
}

/// `{"event":"summary"}` of `import`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ImportSummaryEvent {
    event: &'static str,
    entries: u64,
    imported: u64,
    planned: u64,
    kept: u64,
    rejected: u64,
    failed: u64,
    unknown_age: u64,
    aliases: u64,
    aliases_kept: u64,
}

impl ImportSummaryEvent {
    pub(in crate::cli) fn new(summary: &ImportSummary) -> Self {
        let ImportSummary { entries, imported, planned, kept, rejected, failed, unknown_age, aliases, aliases_kept } =
            *summary;
        let event = "summary";
        Self { event, entries, imported, planned, kept, rejected, failed, unknown_age, aliases, aliases_kept }
    }
}
