//! What became of assets, and what is on record of them.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{AliasName, AttachmentId, ContentHash, MediaKind, PageId, WebUrl};
use crate::library::AssetReport;
use crate::media::Problem;
use crate::record::{Alias, Derivation, Upload};

use super::{ErrorBody, JsonPath, PageOf};

/// `{"event":"asset"}` of `check`, `sync` and `resolve`.
#[derive(Debug, Serialize)]
pub(crate) struct AssetEvent<'a> {
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
    pub(crate) fn new(report: &'a AssetReport) -> Self {
        let dimensions = report.facts.as_ref().and_then(|facts| facts.dimensions);
        let upload = report.upload.as_ref();
        Self {
            event: "asset",
            path: JsonPath::new(report.path.as_deref()),
            url: report.url.as_ref().map(WebUrl::as_str),
            sha256: report.facts.as_ref().map(|facts| facts.hash),
            kind: report.media.as_ref().map(|media| media.0),
            mime: report.media.as_ref().map(|media| &*media.1).filter(|mime| !mime.is_empty()),
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
            error: report.error.as_ref().map(|error| ErrorBody::of(&**error)),
        }
    }
}

impl<'a> AssetEvent<'a> {
    /// The same, for one Page among several.
    pub(crate) fn of_page(self, page: &'a PageOf) -> Self {
        Self { page: Some(&page.name), page_id: Some(&page.id), ..self }
    }

    /// A reference of which there is nothing to report but this.
    pub(crate) fn unanswered(reference: String, outcome: &'static str, error: ErrorBody) -> Self {
        Self {
            event: "asset",
            path: JsonPath::default(),
            url: None,
            sha256: None,
            kind: None,
            mime: None,
            size_bytes: None,
            width: None,
            height: None,
            outcome,
            attachment_id: None,
            page_id: None,
            page: None,
            uploaded_at: None,
            expires_at: None,
            problems: &[],
            fitted: None,
            recipient_id: None,
            message_id: None,
            error: Some(error),
            reference: Some(reference),
        }
    }

    /// The same, of what was asked for in these words.
    pub(crate) fn asked_for_as(self, reference: String) -> Self {
        Self { reference: Some(reference), ..self }
    }
}

/// A copy that fits, and what it was made of.
#[derive(Debug, Serialize)]
pub(crate) struct FittedBody<'a> {
    recipe: &'a str,
    source_sha256: ContentHash,
    sha256: ContentHash,
    width: u32,
    height: u32,
    size_bytes: u64,
    mime: &'a str,
}

impl<'a> FittedBody<'a> {
    pub(crate) fn new(copy: &'a Derivation) -> Self {
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
pub(crate) struct RecordedEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    sha256: Option<ContentHash>,
    kind: MediaKind,
    mime: Option<&'a str>,
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
    pub(crate) fn new(upload: &'a Upload, state: &'static str, aliases: &'a [AliasName]) -> Self {
        Self {
            event: "asset",
            path: JsonPath::new(upload.source.as_deref()),
            url: upload.key.asset.url().map(WebUrl::as_str),
            sha256: upload.key.asset.hash(),
            kind: upload.key.kind,
            mime: upload.known_mime(),
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
    pub(crate) fn made_of(self, sources: &'a [Derivation]) -> Self {
        Self { fitted_from: sources.iter().map(FittedBody::new).collect(), ..self }
    }
}

/// `{"event":"alias"}`.
#[derive(Debug, Serialize)]
pub(crate) struct AliasEvent<'a> {
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
    /// It was given to something, and stood for something `before`.
    pub(crate) fn set(alias: &'a Alias, before: Option<&Alias>) -> Self {
        let outcome = match before {
            None => "created",
            Some(before) if before.target == alias.target => "unchanged",
            Some(_) => "repointed",
        };
        Self::new(alias, outcome)
    }

    pub(crate) fn new(alias: &'a Alias, outcome: &'static str) -> Self {
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
