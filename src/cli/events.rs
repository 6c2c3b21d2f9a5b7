//! The objects of `--json`: names fixed, fields only ever added.

mod asset;
mod error;
mod keeping;
mod manifest;
mod send;

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use crate::ids::PageId;

pub(super) use asset::{AliasEvent, AssetEvent, RecordedEvent, SummaryEvent, TextEvent};
pub(super) use error::{ErrorBody, ErrorEvent};
pub(super) use keeping::{
    DuplicatesEvent, DuplicatesSummaryEvent, PruneSummaryEvent, StatusEvent, VerifyEvent, VerifySummaryEvent,
    WatchEvent,
};
pub(super) use manifest::{ExportEvent, ImportEvent, ImportSummaryEvent};
pub(super) use send::SendEvent;

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

/// One Page among several.
#[derive(Debug, Clone)]
pub(super) struct PageOf {
    /// What the configuration calls it.
    pub(super) name: String,
    pub(super) id: PageId,
}
