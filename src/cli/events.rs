//! The objects of `--json`: names fixed, fields only ever added.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::graph::{Content, GraphError, Sent};
use crate::ids::{AliasName, AttachmentId, ContentHash, KeySpace, MediaKind, PageId, WebUrl};
use crate::library::{Agreement, AssetReport, Duplicates, ImportReport, ImportSummary, SameBytes, Summary};
use crate::media::Problem;
use crate::record::{Alias, Derivation, Upload};

use super::commands::status::Counts;
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
    /// What the configuration calls the Page, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    uploaded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    problems: &'a [Problem],
    /// The copy that goes in its place; all the above is of the file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    fitted: Option<FittedBody<'a>>,
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
            page: None,
            uploaded_at: upload.and_then(Upload::known_upload_time),
            expires_at: upload.and_then(Upload::known_expiry),
            problems: &report.problems,
            fitted: report.fitted.as_ref().map(FittedBody::new),
            recipient_id: report.sent.as_ref().and_then(|sent| sent.recipient_id.as_deref()),
            message_id: report.sent.as_ref().and_then(|sent| sent.message_id.as_deref()),
            reference: None,
            error: report.error.as_ref().map(|error| ErrorBody::of(&Failure::of_library(error))),
        }
    }
}

impl<'a> AssetEvent<'a> {
    /// The same, for one Page among several.
    pub(super) fn of_page(self, page: &'a PageOf) -> Self {
        Self { page: Some(&page.name), page_id: Some(&page.id), ..self }
    }

    /// The same, of what was asked for in these words.
    pub(super) fn asked_for_as(self, reference: String) -> Self {
        Self { reference: Some(reference), ..self }
    }
}

/// One Page among several.
#[derive(Debug, Clone)]
pub(super) struct PageOf {
    /// What the configuration calls it.
    pub(super) name: String,
    pub(super) id: PageId,
}

/// `{"event":"text"}`: a text with ids in it was written.
#[derive(Debug, Serialize)]
pub(super) struct TextEvent {
    event: &'static str,
    output: String,
    markers: usize,
    bytes: usize,
}

impl TextEvent {
    pub(super) fn new(output: &Path, markers: usize, bytes: usize) -> Self {
        Self { event: "text", output: output.to_string_lossy().into_owned(), markers, bytes }
    }
}

/// `{"event":"alias"}`.
#[derive(Debug, Serialize)]
pub(super) struct AliasEvent<'a> {
    event: &'static str,
    alias: &'a AliasName,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    sha256: Option<ContentHash>,
    kind: MediaKind,
    set_at: Timestamp,
    outcome: &'static str,
}

impl<'a> AliasEvent<'a> {
    pub(super) fn new(alias: &'a Alias, outcome: &'static str) -> Self {
        let target = &alias.target;
        Self {
            event: "alias",
            alias: &alias.name,
            path: JsonPath::new(target.source.as_deref()),
            url: target.asset.url().map(WebUrl::as_str),
            sha256: target.asset.hash(),
            kind: target.kind,
            set_at: alias.set_at,
            outcome,
        }
    }
}

/// A copy that fits, and what it was made of.
#[derive(Debug, Serialize)]
pub(super) struct FittedBody<'a> {
    recipe: &'a str,
    source_sha256: ContentHash,
    sha256: ContentHash,
    width: u32,
    height: u32,
    size_bytes: u64,
    mime: &'a str,
}

impl<'a> FittedBody<'a> {
    pub(super) fn new(copy: &'a Derivation) -> Self {
        Self {
            recipe: &copy.recipe,
            source_sha256: copy.source,
            sha256: copy.result,
            width: copy.dimensions.width,
            height: copy.dimensions.height,
            size_bytes: copy.size_bytes,
            mime: &copy.mime,
        }
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
    uploaded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    aliases: &'a [AliasName],
    /// What the bytes were made of, where they are a copy that fits (`show`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fitted_from: Vec<FittedBody<'a>>,
}

impl<'a> RecordedEvent<'a> {
    pub(super) fn new(upload: &'a Upload, state: &'static str, aliases: &'a [AliasName]) -> Self {
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
            uploaded_at: upload.known_upload_time(),
            expires_at: upload.known_expiry(),
            aliases,
            fitted_from: Vec::new(),
        }
    }

    /// The same, of bytes that were made of others.
    pub(super) fn made_of(self, sources: &'a [Derivation]) -> Self {
        Self { fitted_from: sources.iter().map(FittedBody::new).collect(), ..self }
    }
}

/// `{"event":"export"}`.
#[derive(Debug, Serialize)]
pub(super) struct ExportEvent {
    event: &'static str,
    format: &'static str,
    output: String,
    entries: usize,
    bytes: usize,
}

impl ExportEvent {
    pub(super) fn new(format: &'static str, output: &Path, entries: usize, bytes: usize) -> Self {
        Self { event: "export", format, output: output.to_string_lossy().into_owned(), entries, bytes }
    }
}

/// `{"event":"asset"}` of `import`.
#[derive(Debug, Serialize)]
pub(super) struct ImportEvent<'a> {
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
    pub(super) fn new(report: &'a ImportReport) -> Self {
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
pub(super) struct ImportSummaryEvent {
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
    pub(super) fn new(summary: &ImportSummary) -> Self {
        let ImportSummary { entries, imported, planned, kept, rejected, failed, unknown_age, aliases, aliases_kept } =
            *summary;
        let event = "summary";
        Self { event, entries, imported, planned, kept, rejected, failed, unknown_age, aliases, aliases_kept }
    }
}

/// `{"event":"summary"}`: closes `check`, `sync` and `resolve`.
#[derive(Debug, Serialize)]
pub(super) struct SummaryEvent<'a> {
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
    pub(super) fn of_page(self, page: &'a PageOf) -> Self {
        Self { page: Some(&page.name), page_id: Some(&page.id), ..self }
    }

    pub(super) fn new(summary: &Summary) -> Self {
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

/// `{"event":"status"}`: how the ids of one Page and platform stand.
#[derive(Debug, Serialize)]
pub(super) struct StatusEvent<'a> {
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
}

impl<'a> StatusEvent<'a> {
    pub(super) fn new(space: &'a KeySpace, page: Option<&'a str>, counts: &Counts, asked_for_expiring: bool) -> Self {
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
pub(super) struct ErrorEvent<'a> {
    event: &'static str,
    /// What the configuration calls the Page, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(flatten)]
    body: ErrorBody,
}

impl<'a> ErrorEvent<'a> {
    pub(super) fn new(failure: &Failure) -> Self {
        Self { event: "error", page: None, body: ErrorBody::of(failure) }
    }

    /// The same, of one Page among several.
    pub(super) fn of_page(self, page: &'a str) -> Self {
        Self { page: Some(page), ..self }
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
    /// Something that is wrong here, and of which Meta knows nothing.
    fn local(message: String, hint: Option<String>) -> Self {
        let (code, subcode, fbtrace_id) = (None, None, None);
        Self { code, subcode, class: "local", message, hint, retryable: false, fbtrace_id }
    }

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
