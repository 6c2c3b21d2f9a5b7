//! Healing: an id Meta refused is struck off, and what it stood for gets a new one.
//!
//! Meta says so of no more than one thing: an id that is invalid, expired or another Page's (100/2018074). Where app, Page
//! and token do not go together that is true of every new id as well; a breaker keeps that from costing an upload a send.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{Asset, AssetKey, AttachmentId, ContentHash, MediaKind};
use crate::record::{Heal, Upload, UploadFilter};

use super::manager::{AssetLibrary, Expected, Via};
use super::subject::{Candidate, Subject, WebAddress};
use super::{AssetOutcome, AssetRef, ID_LIFETIME, LibraryError};

/// An asset whose id was replaced this often within [`WINDOW`] is left alone until the first of them is older than that.
const MOST_HEALS: u64 = 3;
const WINDOW: Duration = Duration::from_hours(1);

/// An id Meta refused, and what it stands for.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) key: AssetKey,
    pub(super) attachment_id: AttachmentId,
    /// As somebody named it; `None` where all there was is the id.
    pub(super) asset: Option<AssetRef>,
}

/// What took a refused id's place.
#[derive(Debug, Clone)]
pub(super) struct Healed {
    pub(super) refused: AttachmentId,
    pub(super) upload: Upload,
    /// What it took: `Reused`, where somebody else had made it already.
    pub(super) outcome: AssetOutcome,
}

impl AssetLibrary {
    /// The upload that takes the refused id's place: the one that has taken it already, or a new one of the same bytes.
    ///
    /// # Errors
    /// `NotHealed`, when there are no such bytes any more, or it was done too often, or the upload fails.
    pub(super) async fn heal(&self, refused: &Refused) -> Result<Healed, LibraryError> {
        let attachment_id = || refused.attachment_id.clone();
        match self.made_anew(refused).await {
            Ok((upload, outcome)) => Ok(Healed { refused: attachment_id(), upload, outcome }),
            Err(cause) => Err(LibraryError::NotHealed { asset: name(refused), attachment_id: attachment_id(), cause }),
        }
    }

    async fn made_anew(
        &self,
        Refused { key, attachment_id, asset }: &Refused,
    ) -> Result<(Upload, AssetOutcome), Arc<LibraryError>> {
        self.parts.record.reject(key, attachment_id).await.map_err(LibraryError::from)?;
        self.known.strike_off(key).await;
        let stored = self.stored(key).await?;
        if let Some(newer) = self.newer_than(key, Some(attachment_id)).await? {
            return Ok((newer, AssetOutcome::Reused));
        }
        let subject = match &key.asset {
            Asset::Bytes(hash) => {
                Subject::File(self.same_bytes(*hash, key.kind, asset.as_ref(), stored.as_ref()).await?)
            }
            Asset::Url(known) => {
                let url = if let Some(AssetRef::Url(url)) = asset { url.clone() } else { known.clone() };
                Subject::Web(WebAddress { url, key: key.clone() })
            }
        };
        let meter = self.planned(&subject);
        let report = self.upload(subject, stored, meter, &Via::Upload).await;
        match report.live_upload() {
            Some(upload) => Ok((upload.clone(), report.outcome)),
            None => Err(report.reason(|| attachment_id.to_string())),
        }
    }

    /// A file that still has these bytes: where it was named, where they were last uploaded from, where an alias has them, or
    /// where another Page does.
    async fn same_bytes(
        &self,
        hash: ContentHash,
        kind: MediaKind,
        asset: Option<&AssetRef>,
        stored: Option<&Upload>,
    ) -> Result<Candidate, Arc<LibraryError>> {
        let mut places = Vec::new();
        if let Some(AssetRef::File(path)) = asset {
            places.push((path.clone(), Expected::StillThese(hash)));
        }
        let mut remembered: Vec<_> = stored.and_then(|upload| upload.source.clone()).into_iter().collect();
        if let Some(AssetRef::Alias(name)) = asset
            && let Some(alias) = self.parts.record.alias(name).await.map_err(LibraryError::from)?
        {
            remembered.extend(alias.target.source);
        }
        remembered.extend(self.places_on_record(hash).await.map_err(LibraryError::from)?);
        places.extend(remembered.into_iter().map(|path| (path, Expected::These(hash))));
        let (mut why_not, mut seen) = (None, HashSet::new());
        for (path, expected) in places {
            if !seen.insert(path.clone()) {
                continue;
            }
            match self.look(&path, expected, Some(kind)).await {
                Ok(candidate) => return Ok(candidate),
                Err(report) => why_not = why_not.or(Some(report.reason(|| path.display().to_string()))),
            }
        }
        Err(why_not.unwrap_or_else(|| Arc::new(LibraryError::NoSource { reference: format!("sha256:{hash}") })))
    }

    /// What an id somebody wrote down stands for here, now or before it was refused; `None` where it is none of ours.
    pub(super) async fn asset_behind(&self, attachment_id: &AttachmentId) -> Result<Option<AssetKey>, LibraryError> {
        let (space, attachment_id) = (self.space().clone(), attachment_id.clone());
        let filter = UploadFilter {
            space: Some(space.clone()),
            attachment_id: Some(attachment_id.clone()),
            ..UploadFilter::default()
        };
        match self.parts.record.list(&filter, None, 1).await?.pop() {
            Some(upload) => Ok(Some(upload.key)),
            None => Ok(self.parts.record.healed(&space, &attachment_id).await?),
        }
    }

    /// What the id is on record for, here or for another Page or platform.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub async fn keys_of(&self, attachment_id: &AttachmentId) -> Result<Vec<AssetKey>, LibraryError> {
        const MOST: usize = 100;
        let filter = UploadFilter { attachment_id: Some(attachment_id.clone()), ..UploadFilter::default() };
        let known = self.parts.record.list(&filter, None, MOST).await?;
        Ok(known.into_iter().map(|upload| upload.key).collect())
    }

    /// Returns if the key's refused id may be replaced once more.
    ///
    /// # Errors
    /// `ReplacedTooOften`.
    pub(super) async fn may_heal(&self, key: &AssetKey, asset: impl FnOnce() -> String) -> Result<(), LibraryError> {
        let now = self.parts.clock.now();
        let times = self.parts.record.count_heals(key, now.minus(WINDOW), now).await?;
        if times < MOST_HEALS { Ok(()) } else { Err(LibraryError::ReplacedTooOften { asset: asset(), times }) }
    }

    /// Keeps that the refused id was replaced. The new one is on record by then, so nothing fails for want of this.
    pub(super) async fn remember_heal(&self, key: &AssetKey, refused: AttachmentId) {
        let at = self.parts.clock.now();
        let heal = Heal { key: key.clone(), refused, at };
        if let Err(error) = self.parts.record.remember_heal(&heal, oldest_kept(at)).await {
            tracing::warn!(%error, refused = %heal.refused, "an id was made anew, but not counted");
        }
    }
}

/// A refused id is of interest as long as somebody may still hold it for alive.
fn oldest_kept(now: Timestamp) -> Timestamp {
    now.minus(ID_LIFETIME)
}

/// What people call what the id stood for.
fn name(refused: &Refused) -> String {
    match &refused.asset {
        Some(asset) => asset.to_string(),
        None => refused.key.asset.to_string(),
    }
}
