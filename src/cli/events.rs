//! The objects of `--json`: names fixed, fields only ever added.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::graph::{Content, GraphError, Sent};
use crate::ids::{AttachmentId, ContentHash, MediaKind, PageId, WebUrl};
use crate::library::{Agreement, AssetReport, Duplicates, SameBytes, Summary};
use crate::media::Problem;
use crate::record::Upload;

use super::exit::Exit;
use super::failure::Failure;

/// A path as JSON can hold it: lossily, with its bytes beside it where something was lost.
#[derive(Debug, Default, Serialize)]
pub(super) struct JsonPath<'a> {
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes_hex: Option<String>,
}

impl<'a> JsonPath<'a> {
    pub(super) fn new(path: Option<&'a Path>) -> Self {
        let Some(path) = path else { return Self::default() };
        let bytes_if_lost = || hex::encode(path.as_os_str().as_encoded_bytes());
        Self { path: Some(path.to_string_lossy()), path_bytes_hex: path.to_str().is_none().then(bytes_if_lost) }
    }
}

/// `{"event":"asset"}` of `check`, `sync` and `resolve`.
#[derive(Debug, Serialize)]
pub(super) struct AssetEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    sha256: Option<ContentHash>,
    kind: Option<MediaKind>,
    mime: Option<&'a str>,
    size_bytes: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    outcome: &'static str,
    attachment_id: Option<&'a AttachmentId>,
    page_id: Option<&'a PageId>,
    uploaded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    problems: &'a [Problem],
    /// The receipt of the message it was uploaded with.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
    /// What was asked for, in the user's words.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl<'a> AssetEvent<'a> {
    pub(super) fn new(report: &'a AssetReport) -> Self {
        let dimensions = report.facts.as_ref().and_then(|facts| facts.dimensions);
        let upload = report.upload.as_ref();
        Self {
            event: "asset",
            path: JsonPath::new(report.path.as_deref()),
            url: report.url.as_ref().map(WebUrl::as_str),
            sha256: report.facts.as_ref().map(|facts| facts.hash),
            kind: report.media.as_ref().map(|media| media.0),
            mime: report.media.as_ref().map(|media| media.1.as_str()),
            size_bytes: report.size_bytes(),
            width: dimensions.map(|d| d.width),
            height: dimensions.map(|d| d.height),
            outcome: report.outcome.as_str(),
            attachment_id: upload.map(|upload| &upload.attachment_id),
            page_id: upload.map(|upload| &upload.key.space.page),
            uploaded_at: upload.map(|upload| upload.uploaded_at),
            expires_at: upload.map(|upload| upload.expires_at),
            problems: &report.problems,
            recipient_id: report.sent.as_ref().and_then(|sent| sent.recipient_id.as_deref()),
            message_id: report.sent.as_ref().and_then(|sent| sent.message_id.as_deref()),
            reference: None,
            error: report.error.as_ref().map(|error| ErrorBody::of(&Failure::of_library(error))),
        }
    }
}

impl AssetEvent<'_> {
    /// The same, of what was asked for in these words.
    pub(super) fn asked_for_as(self, reference: String) -> Self {
        Self { reference: Some(reference), ..self }
    }
}

/// `{"event":"asset"}` of `ls`, `show` and `forget`: what is on record.
#[derive(Debug, Serialize)]
pub(super) struct RecordedEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    sha256: Option<ContentHash>,
    kind: MediaKind,
    mime: &'a str,
    size_bytes: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    state: &'static str,
    attachment_id: &'a AttachmentId,
    page_id: &'a PageId,
    platform: &'static str,
    graph_url: &'a str,
    uploaded_at: Timestamp,
    expires_at: Timestamp,
}

impl<'a> RecordedEvent<'a> {
    pub(super) fn new(upload: &'a Upload, state: &'static str) -> Self {
        Self {
            event: "asset",
            path: JsonPath::new(upload.source.as_deref()),
            url: upload.key.asset.url().map(WebUrl::as_str),
            sha256: upload.key.asset.hash(),
            kind: upload.key.kind,
            mime: &upload.mime,
            size_bytes: upload.known_size(),
            width: upload.dimensions.map(|d| d.width),
            height: upload.dimensions.map(|d| d.height),
            state,
            attachment_id: &upload.attachment_id,
            page_id: &upload.key.space.page,
            platform: upload.key.space.platform.as_str(),
            graph_url: upload.key.space.origin.as_str(),
            uploaded_at: upload.uploaded_at,
            expires_at: upload.expires_at,
        }
    }
}

/// `{"event":"summary"}`: closes `check`, `sync` and `resolve`.
#[derive(Debug, Serialize)]
pub(super) struct SummaryEvent {
    event: &'static str,
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

impl SummaryEvent {
    pub(super) fn new(summary: &Summary) -> Self {
        Self {
            event: "summary",
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

/// `{"event":"duplicates"}`: files that hold the same bytes.
#[derive(Debug, Serialize)]
pub(super) struct DuplicatesEvent<'a> {
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
    pub(super) fn new(group: &'a SameBytes) -> Self {
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
pub(super) struct DuplicatesSummaryEvent {
    event: &'static str,
    files: u64,
    sets: usize,
    wasted_bytes: u64,
    not_compared: u64,
    elapsed_ms: u128,
}

impl DuplicatesSummaryEvent {
    pub(super) fn new(found: &Duplicates, wasted_bytes: u64, elapsed: Duration) -> Self {
        let (event, elapsed_ms) = ("duplicates_summary", elapsed.as_millis());
        let (files, sets, not_compared) = (found.files, found.groups.len(), found.not_compared);
        Self { event, files, sets, wasted_bytes, not_compared, elapsed_ms }
    }
}

/// `{"event":"prune_summary"}`.
#[derive(Debug, Serialize)]
pub(super) struct PruneSummaryEvent {
    event: &'static str,
    /// How many were found to be of no use, and why.
    ids: usize,
    expired: usize,
    rejected: usize,
    unreferenced: usize,
    size_bytes: u64,
    forgotten: u64,
    dry_run: bool,
}

impl PruneSummaryEvent {
    pub(super) fn new(going: &[(Upload, &'static str)], forgotten: u64, size_bytes: u64, dry_run: bool) -> Self {
        let of = |word: &str| going.iter().filter(|(_, reason)| *reason == word).count();
        Self {
            event: "prune_summary",
            ids: going.len(),
            expired: of("expired"),
            rejected: of("rejected"),
            unreferenced: of("unreferenced"),
            size_bytes,
            forgotten,
            dry_run,
        }
    }
}

/// `{"event":"verify"}`: how a file and the record agree.
#[derive(Debug, Serialize)]
pub(super) struct VerifyEvent<'a> {
    event: &'static str,
    state: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    sha256: ContentHash,
    size_bytes: u64,
    /// Where a file that was moved lies now.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<Cow<'a, str>>,
}

impl<'a> VerifyEvent<'a> {
    pub(super) fn new(path: &'a Path, sha256: ContentHash, size_bytes: u64, state: Agreement) -> Self {
        let (event, state, path) = ("verify", state.as_str(), JsonPath::new(Some(path)));
        Self { event, state, path, sha256, size_bytes, moved_to: None }
    }

    /// The same, of a file that lies elsewhere now.
    pub(super) fn moved_to(self, path: Option<&'a Path>) -> Self {
        Self { moved_to: path.map(Path::to_string_lossy), ..self }
    }
}

/// `{"event":"verify_summary"}`.
#[derive(Debug, Serialize)]
pub(super) struct VerifySummaryEvent {
    event: &'static str,
    ok: u64,
    moved: u64,
    missing: u64,
    changed: u64,
    unreadable: u64,
    never_uploaded: u64,
    elapsed_ms: u128,
}

impl VerifySummaryEvent {
    pub(super) fn new(of: impl Fn(Agreement) -> u64, elapsed: Duration) -> Self {
        Self {
            event: "verify_summary",
            ok: of(Agreement::Same),
            moved: of(Agreement::Moved),
            missing: of(Agreement::Missing),
            changed: of(Agreement::Changed),
            unreadable: of(Agreement::Unreadable),
            never_uploaded: of(Agreement::NeverUploaded),
            elapsed_ms: elapsed.as_millis(),
        }
    }
}

/// `{"event":"watch"}`: what happens to a watch itself.
#[derive(Debug, Serialize)]
pub(super) struct WatchEvent<'a> {
    event: &'static str,
    /// `watching`, `gone`, `back`, `lost` or `waiting`.
    state: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> WatchEvent<'a> {
    pub(super) fn new(state: &'static str, path: Option<&'a Path>) -> Self {
        Self { event: "watch", state, path: JsonPath::new(path), message: None }
    }

    /// The same, for this reason.
    pub(super) fn because(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }
}

/// `{"event":"send"}`.
#[derive(Debug, Serialize)]
pub(super) struct SendEvent<'a> {
    event: &'static str,
    recipient: String,
    recipient_id: Option<&'a str>,
    message_id: Option<&'a str>,
    attachment_id: Option<&'a str>,
    outcome: &'static str,
    error: Option<ErrorBody>,
}

impl<'a> SendEvent<'a> {
    /// A message to `recipient` of which nothing else is known yet.
    pub(super) fn new(recipient: String) -> Self {
        Self {
            event: "send",
            recipient,
            recipient_id: None,
            message_id: None,
            attachment_id: None,
            outcome: "failed",
            error: None,
        }
    }

    /// The same, with what it carries.
    pub(super) fn carrying(self, content: &'a Content) -> Self {
        let attachment_id = content.message().and_then(|message| message.attachment_ids().into_iter().next());
        Self { attachment_id, ..self }
    }

    /// The same, taken by Meta.
    pub(super) fn sent(self, sent: &'a Sent) -> Self {
        let recipient_id = sent.recipient_id.as_deref();
        let attachment_id = sent.attachment_id.as_ref().map(AttachmentId::as_str).or(self.attachment_id);
        Self { recipient_id, message_id: sent.message_id.as_deref(), attachment_id, outcome: "sent", ..self }
    }

    /// The same, given up before there was an answer.
    pub(super) fn abandoned(self) -> Self {
        Self { outcome: "unknown", ..self }
    }

    /// The same, not sent, or perhaps sent.
    pub(super) fn failed(self, failure: &Failure) -> Self {
        let outcome = if failure.exit() == Exit::UnknownOutcome { "unknown" } else { "failed" };
        Self { outcome, error: Some(ErrorBody::of(failure)), ..self }
    }
}

/// `{"event":"error"}`.
#[derive(Debug, Serialize)]
pub(super) struct ErrorEvent {
    event: &'static str,
    #[serde(flatten)]
    body: ErrorBody,
}

impl ErrorEvent {
    pub(super) fn new(failure: &Failure) -> Self {
        Self { event: "error", body: ErrorBody::of(failure) }
    }

    /// The object, where there is no output to hand it to.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What went wrong, in the words people get.
#[derive(Debug, Serialize)]
pub(super) struct ErrorBody {
    code: Option<i64>,
    subcode: Option<i64>,
    class: &'static str,
    message: String,
    hint: Option<String>,
    retryable: bool,
    fbtrace_id: Option<String>,
}

impl ErrorBody {
    pub(super) fn of(failure: &Failure) -> Self {
        let graph = failure.graph();
        Self {
            code: graph.and_then(GraphError::refusal).map(|refusal| refusal.code),
            subcode: graph.and_then(GraphError::refusal).and_then(|refusal| refusal.subcode),
            class: failure.class(),
            message: failure.message(),
            hint: failure.hint(),
            retryable: failure.retryable(),
            fbtrace_id: graph.and_then(GraphError::refusal).and_then(|refusal| refusal.fbtrace_id.clone()),
        }
    }
}
