//! A message on its way out: its references to assets become ids that are alive.
//!
//! Nothing is sent here.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::blocking::blocking;
use crate::graph::{Content, Message, Reference, ReferenceKey, SendRequest};
use crate::ids::{AttachmentId, InvalidId, MediaKind};
use crate::record::Upload;

use super::{AssetLibrary, AssetOutcome, AssetRef, AssetReport, LibraryError, PlanRules, ResolveOptions};

/// References resolved at once.
pub(super) const CONCURRENCY: usize = 4;

/// A message whose references are ids.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) request: SendRequest,
    pub(super) assets: Vec<PreparedAsset>,
    /// Ids that stood in the message when it was prepared, or were put in, and those that have taken their place.
    pub(super) replaced: Vec<(AttachmentId, AttachmentId)>,
}

/// An asset a message draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedAsset {
    /// Where in the message, as a JSON pointer.
    pub pointer: String,
    /// As it was written there.
    pub reference: String,
    /// What that refers to, its path read from the right folder.
    pub asset: AssetRef,
    /// Its id, which stands there now, and what is on record of it.
    pub upload: Upload,
    /// What it took to have it: `Uploaded`, `Refreshed` or `Reused`.
    pub outcome: AssetOutcome,
}

impl PreparedAsset {
    /// Where its id stands in the message, as what, and which it is.
    pub(crate) fn place(&self) -> (String, MediaKind, AttachmentId) {
        (self.pointer.clone(), self.upload.key.kind, self.upload.attachment_id.clone())
    }

    /// What became of it, as of an asset that was asked for by itself.
    pub fn report(&self) -> AssetReport {
        let report = AssetReport::recorded(self.upload.clone(), self.outcome);
        match &self.asset {
            AssetRef::File(path) => AssetReport { path: Some(path.clone()), ..report },
            _ => report,
        }
    }

    /// The same, by the id that took the refused one's place, at the price of `outcome`.
    pub(super) fn healed(self, upload: &Upload, outcome: AssetOutcome) -> Self {
        Self { upload: upload.clone(), outcome, ..self }
    }
}

impl Prepared {
    /// The message as Meta gets it.
    pub fn request(&self) -> &SendRequest {
        &self.request
    }

    /// The assets whose ids were put in.
    pub fn assets(&self) -> &[PreparedAsset] {
        &self.assets
    }

    /// Ids Meta refused, and those that [stand in their place](AssetLibrary::replace_refused) now.
    pub fn replaced(&self) -> &[(AttachmentId, AttachmentId)] {
        &self.replaced
    }
}

impl AssetLibrary {
    /// The message with an id in place of each `file` and `asset`, uploaded first where `rules` find none good enough.
    /// Paths are read from `base`.
    ///
    /// # Errors
    /// When the message breaks a rule of Meta's, or a reference leads to no id; the first in the message's order.
    pub async fn prepare(&self, request: SendRequest, base: &Path, rules: PlanRules) -> Result<Prepared, LibraryError> {
        request.check_for(self.space().platform)?;
        let references = request.content.message().map(Message::references).unwrap_or_default();
        let assets: Vec<PreparedAsset> = futures::stream::iter(references)
            .map(|reference| self.asset(reference, base, rules))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let ids: Vec<_> = assets.iter().map(PreparedAsset::place).collect();
        let content = match request.content {
            Content::Message(message) => Content::Message(message.with_ids(&ids)),
            other => other,
        };
        Ok(Prepared { request: SendRequest { content, ..request }, assets, replaced: Vec::new() })
    }

    async fn asset(&self, reference: Reference, base: &Path, rules: PlanRules) -> Result<PreparedAsset, LibraryError> {
        let written = format!("{} {:?}", reference.key.as_str(), reference.text);
        let failed = |cause: Arc<LibraryError>| LibraryError::Reference { reference: written.clone(), cause };
        let asset = asset_ref(&reference, base)
            .await
            .map_err(|source| LibraryError::NoReference { pointer: reference.pointer.clone(), source })?;
        let options = ResolveOptions { kind: reference.kind, ..ResolveOptions::uploading(rules) };
        let report = self.resolve(&asset, &options).await;
        match report.live_upload().cloned() {
            Some(upload) => Ok(PreparedAsset {
                pointer: reference.pointer,
                reference: reference.text,
                asset,
                upload,
                outcome: report.outcome,
            }),
            None => Err(failed(report.reason(|| reference.text))),
        }
    }
}

/// The asset a reference names. Paths are read from `base`; where there is nothing, from the current folder.
async fn asset_ref(reference: &Reference, base: &Path) -> Result<AssetRef, InvalidId> {
    let text = OsStr::new(&reference.text);
    let asset = match reference.key {
        ReferenceKey::File => AssetRef::File(text.into()),
        ReferenceKey::Asset => AssetRef::parse(text)?,
    };
    Ok(match asset {
        AssetRef::File(path) if path.is_relative() => {
            let from_base = base.join(&path);
            let lies_here = move || if !from_base.exists() && path.exists() { path } else { from_base };
            AssetRef::File(blocking(lies_here).await)
        }
        other => other,
    })
}
