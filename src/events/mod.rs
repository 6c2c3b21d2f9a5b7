//! The objects of JSON that commands print (`--json`) and the service answers with: names fixed, fields only ever added.

mod asset;
mod campaign;
mod error;
mod send;

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use crate::ids::PageId;

pub(crate) use asset::{AliasEvent, AssetEvent, RecordedEvent};
pub(crate) use campaign::{CampaignEvent, RecipientEvent};
pub(crate) use error::{ErrorBody, ErrorEvent};
pub(crate) use send::SendEvent;

/// A path as JSON can hold it: lossily, with its bytes beside it where something was lost.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct JsonPath<'a> {
    #[schema(value_type = Option<String>)]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes_hex: Option<String>,
}

impl<'a> JsonPath<'a> {
    pub(crate) fn new(path: Option<&'a Path>) -> Self {
        let Some(path) = path else { return Self::default() };
        let bytes_if_lost = || hex::encode(path.as_os_str().as_encoded_bytes());
        Self { path: Some(path.to_string_lossy()), path_bytes_hex: path.to_str().is_none().then(bytes_if_lost) }
    }
}

/// One Page among several.
#[derive(Debug, Clone)]
pub(crate) struct PageOf {
    /// What the configuration calls it.
    pub(crate) name: String,
    pub(crate) id: PageId,
}
