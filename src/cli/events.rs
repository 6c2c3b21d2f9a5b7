//! The objects of `--json`: names fixed, fields only ever added.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::graph::{Content, GraphError, Sent};
use crate::ids::{AttachmentId, ContentHash, MediaKind, PageId, WebUrl};
use crate::library::{AssetReport, Summary};
use crate::media::Problem;
use crate::record::{Derivation, Upload};

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
            uploaded_at: upload.map(|upload| upload.uploaded_at),
            expires_at: upload.map(|upload| upload.expires_at),
            problems: &report.problems,
            fitted: report.fitted.as_ref().map(FittedBody::new),
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
    uploaded_at: Timestamp,
    expires_at: Timestamp,
    /// What the bytes were made of, where they are a copy that fits (`show`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fitted_from: Vec<FittedBody<'a>>,
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
            fitted_from: Vec::new(),
        }
    }

    /// The same, of bytes that were made of others.
    pub(super) fn made_of(self, sources: &'a [Derivation]) -> Self {
        Self { fitted_from: sources.iter().map(FittedBody::new).collect(), ..self }
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
