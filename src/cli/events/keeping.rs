//! Keeping house: how ids stand, what is to go, what agrees with the disk, what a watch sees.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cli::commands::status::Counts;
use crate::clock::Timestamp;
use crate::events::JsonPath;
use crate::ids::{ContentHash, KeySpace, PageId};
use crate::library::{Agreement, Duplicates, SameBytes};
use crate::record::Upload;

/// `{"event":"status"}`: how the ids of one Page and platform stand.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct StatusEvent<'a> {
    event: &'static str,
    page_id: &'a PageId,
    /// What the configuration calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    platform: &'static str,
    graph_url: &'a str,
    fresh: u64,
    due: u64,
    expired: u64,
    rejected: u64,
    unknown_age: u64,
    bytes: u64,
    next_expiry: Option<Timestamp>,
    /// How many will not last for the time of `--expiring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiring: Option<u64>,
    /// How many more would not, and need not: their files were replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<u64>,
}

impl<'a> StatusEvent<'a> {
    pub(in crate::cli) fn new(
        space: &'a KeySpace,
        page: Option<&'a str>,
        counts: &Counts,
        asked_for_expiring: bool,
    ) -> Self {
        Self {
            event: "status",
            page_id: &space.page,
            page,
            platform: space.platform.as_str(),
            graph_url: space.origin.as_str(),
            fresh: counts.fresh,
            due: counts.due,
            expired: counts.expired,
            rejected: counts.rejected,
            unknown_age: counts.unknown_age,
            bytes: counts.bytes,
            next_expiry: counts.next_expiry,
            expiring: asked_for_expiring.then_some(counts.expiring),
            replaced: asked_for_expiring.then_some(counts.replaced),
        }
    }
}

/// `{"event":"duplicates"}`: files that hold the same bytes.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct DuplicatesEvent<'a> {
    event: &'static str,
    sha256: ContentHash,
    size_bytes: u64,
    copies: u64,
    wasted_bytes: u64,
    paths: Vec<Cow<'a, str>>,
    /// Of all paths, where one of them is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths_bytes_hex: Option<Vec<String>>,
}

impl<'a> DuplicatesEvent<'a> {
    pub(in crate::cli) fn new(group: &'a SameBytes) -> Self {
        let is_lost = group.paths.iter().any(|path| path.to_str().is_none());
        let bytes = || group.paths.iter().map(|path| hex::encode(path.as_os_str().as_encoded_bytes())).collect();
        Self {
            event: "duplicates",
            sha256: group.hash,
            size_bytes: group.size_bytes,
            copies: group.copies,
            wasted_bytes: group.wasted_bytes(),
            paths: group.paths.iter().map(|path| path.to_string_lossy()).collect(),
            paths_bytes_hex: is_lost.then(bytes),
        }
    }
}

/// `{"event":"duplicates_summary"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct DuplicatesSummaryEvent {
    event: &'static str,
    files: u64,
    sets: usize,
    wasted_bytes: u64,
    not_compared: u64,
    elapsed_ms: u128,
}

impl DuplicatesSummaryEvent {
    pub(in crate::cli) fn new(found: &Duplicates, wasted_bytes: u64, elapsed: Duration) -> Self {
        let (event, elapsed_ms) = ("duplicates_summary", elapsed.as_millis());
        let (files, sets, not_compared) = (found.files, found.groups.len(), found.not_compared);
        Self { event, files, sets, wasted_bytes, not_compared, elapsed_ms }
    }
}

/// `{"event":"prune_summary"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct PruneSummaryEvent {
    event: &'static str,
    /// How many were found to be of no use, and why.
    ids: usize,
    expired: usize,
    rejected: usize,
    unreferenced: usize,
    /// How many whose file is gone stay because of a name.
    kept_named: u64,
    size_bytes: u64,
    forgotten: u64,
    dry_run: bool,
}

impl PruneSummaryEvent {
    pub(in crate::cli) fn new(
        going: &[(Upload, &'static str)],
        kept_named: u64,
        forgotten: u64,
        size_bytes: u64,
        dry_run: bool,
    ) -> Self {
        let of = |word: &str| going.iter().filter(|(_, reason)| *reason == word).count();
        Self {
            event: "prune_summary",
            ids: going.len(),
            expired: of("expired"),
            rejected: of("rejected"),
            unreferenced: of("unreferenced"),
            kept_named,
            size_bytes,
            forgotten,
            dry_run,
        }
    }
}

/// `{"event":"verify"}`: how a file and the record agree.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct VerifyEvent<'a> {
    event: &'static str,
    state: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    /// `None` of what cannot be read and was never uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<ContentHash>,
    size_bytes: u64,
    /// Where a file that was moved lies now.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<Cow<'a, str>>,
}

impl<'a> VerifyEvent<'a> {
    pub(in crate::cli) fn new(path: &'a Path, sha256: Option<ContentHash>, size_bytes: u64, state: Agreement) -> Self {
        let (event, state, path) = ("verify", state.as_str(), JsonPath::new(Some(path)));
        Self { event, state, path, sha256, size_bytes, moved_to: None }
    }

    /// The same, of a file that lies elsewhere now.
    pub(in crate::cli) fn moved_to(self, path: Option<&'a Path>) -> Self {
        Self { moved_to: path.map(Path::to_string_lossy), ..self }
    }
}

/// `{"event":"verify_summary"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct VerifySummaryEvent {
    event: &'static str,
    ok: u64,
    moved: u64,
    missing: u64,
    changed: u64,
    replaced: u64,
    unreadable: u64,
    never_uploaded: u64,
    elapsed_ms: u128,
}

impl VerifySummaryEvent {
    pub(in crate::cli) fn new(of: impl Fn(Agreement) -> u64, elapsed: Duration) -> Self {
        Self {
            event: "verify_summary",
            ok: of(Agreement::Same),
            moved: of(Agreement::Moved),
            missing: of(Agreement::Missing),
            changed: of(Agreement::Changed),
            replaced: of(Agreement::Replaced),
            unreadable: of(Agreement::Unreadable),
            never_uploaded: of(Agreement::NeverUploaded),
            elapsed_ms: elapsed.as_millis(),
        }
    }
}

/// `{"event":"watch"}`: what happens to a watch itself.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct WatchEvent<'a> {
    event: &'static str,
    /// `watching`, `gone`, `back`, `lost`, `blind` or `waiting`.
    state: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> WatchEvent<'a> {
    pub(in crate::cli) fn new(state: &'static str, path: Option<&'a Path>) -> Self {
        Self { event: "watch", state, path: JsonPath::new(path), message: None }
    }

    /// The same, for this reason.
    pub(in crate::cli) fn because(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }
}
