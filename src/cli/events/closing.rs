//! What a command came to.

use std::path::Path;

use serde::Serialize;

use crate::events::PageOf;
use crate::ids::PageId;
use crate::library::Summary;

/// `{"event":"summary"}`: closes `check`, `sync` and `resolve`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SummaryEvent<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_id: Option<&'a PageId>,
    files: u64,
    unique: u64,
    ok: u64,
    uploaded: u64,
    reused: u64,
    refreshed: u64,
    planned: u64,
    rejected: u64,
    failed: u64,
    deferred: u64,
    missing: u64,
    unknown: u64,
    warned: u64,
    bytes_uploaded: u64,
    bytes_saved: u64,
    elapsed_ms: u64,
}

impl<'a> SummaryEvent<'a> {
    /// The same, of one Page among several.
    pub(in crate::cli) fn of_page(self, page: &'a PageOf) -> Self {
        Self { page: Some(&page.name), page_id: Some(&page.id), ..self }
    }

    pub(in crate::cli) fn new(summary: &Summary) -> Self {
        Self {
            event: "summary",
            page: None,
            page_id: None,
            files: summary.files,
            unique: summary.unique(),
            ok: summary.ok,
            uploaded: summary.uploaded,
            reused: summary.reused,
            refreshed: summary.refreshed,
            planned: summary.planned,
            rejected: summary.rejected,
            failed: summary.failed,
            deferred: summary.deferred,
            missing: summary.missing,
            unknown: summary.unknown,
            warned: summary.warned,
            bytes_uploaded: summary.bytes_uploaded,
            bytes_saved: summary.bytes_saved,
            elapsed_ms: u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// `{"event":"text"}`: a text with ids in it was written.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct TextEvent {
    event: &'static str,
    output: String,
    markers: usize,
    bytes: usize,
}

impl TextEvent {
    pub(in crate::cli) fn new(output: &Path, markers: usize, bytes: usize) -> Self {
        Self { event: "text", output: output.to_string_lossy().into_owned(), markers, bytes }
    }
}
