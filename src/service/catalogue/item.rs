//! A row as the gallery and programs get it.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::events::JsonPath;
use crate::ids::{AliasName, Asset, ContentHash, MediaKind, WebUrl};
use crate::media::thumbnail::may_be_made_of;
use crate::media::{Problem, ProblemCode, Severity};

use super::snapshot::{Row, Snapshot};

/// An asset on one Page, or a file that is on none.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::service) struct Item<'a> {
    event: &'static str,
    #[serde(flatten)]
    path: JsonPath<'a>,
    /// The last part of its path or address.
    #[schema(value_type = Option<String>)]
    name: Option<Cow<'a, str>>,
    /// The number of the library's folder it lies in.
    folder: Option<usize>,
    /// `null` of a web address, and of a file nobody has read: it is empty, too large, or out of reach.
    #[schema(value_type = Option<String>)]
    sha256: Option<ContentHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[schema(value_type = String)]
    kind: MediaKind,
    mime: &'a str,
    /// `null` where nobody could tell.
    size_bytes: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    /// `live`, `due`, `expired`, `rejected`, `unknown_age` or `not_uploaded`.
    state: &'static str,
    /// Why a file is `rejected` that has no id.
    problems: Vec<Objection<'a>>,
    attachment_id: Option<&'a str>,
    page_id: Option<&'a str>,
    #[schema(value_type = Option<String>)]
    uploaded_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Vec<String>)]
    aliases: &'a [AliasName],
    /// Whether there may be a picture of it.
    thumbnail: bool,
}

/// Something the platform would say of a file.
#[derive(Debug, Serialize, ToSchema)]
struct Objection<'a> {
    /// In one word: `empty`, `too_large`, `unreadable`, …
    #[schema(value_type = String)]
    code: ProblemCode,
    /// `error` or `warning`.
    #[schema(value_type = String)]
    severity: Severity,
    message: &'a str,
    /// What to do about it.
    hint: &'a str,
}

impl<'a> Objection<'a> {
    fn new(problem: &'a Problem) -> Self {
        Self { code: problem.code, severity: problem.severity, message: &problem.message, hint: &problem.hint }
    }
}

impl<'a> Item<'a> {
    pub(in crate::service) fn new(snapshot: &'a Snapshot, row: &'a Row) -> Self {
        let upload = row.upload.as_ref();
        let url = row.asset.as_ref().and_then(Asset::url).map(WebUrl::as_str);
        let of_path = row.path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        Self {
            event: "asset",
            path: JsonPath::new(row.path.as_deref()),
            name: of_path.or_else(|| Some(url?.rsplit('/').find(|part| !part.is_empty())?.into())),
            folder: row.folder,
            sha256: row.sha256(),
            url,
            kind: row.kind,
            mime: &row.mime,
            size_bytes: row.size_bytes,
            width: row.dimensions.map(|d| d.width),
            height: row.dimensions.map(|d| d.height),
            state: row.state.as_str(),
            problems: row.problems.iter().map(Objection::new).collect(),
            attachment_id: upload.map(|upload| upload.attachment_id.as_str()),
            page_id: upload.and_then(|upload| snapshot.pages.get(upload.page)).map(crate::ids::PageId::as_str),
            uploaded_at: upload.and_then(|upload| upload.uploaded_at),
            expires_at: upload.and_then(|upload| upload.expires_at),
            aliases: snapshot.names_of(row),
            thumbnail: row.kind == MediaKind::Image && row.sha256().is_some() && may_be_made_of(&row.mime),
        }
    }
}
