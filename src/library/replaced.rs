//! Files that were replaced: other bytes lie where they came from, and have an id of their own. Nobody misses the old one
//! when it ends.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Moment;
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind};
use crate::record::{Record, RecordError};

use super::plan::staleness;
use super::{AssetRef, Inspector, PlanRules};

/// Tells which bytes were replaced, by what is on record.
#[derive(Debug)]
pub struct Replacements {
    record: Arc<dyn Record>,
    /// What has a name is missed, whatever lies where it came from.
    named: HashSet<Asset>,
}

impl Replacements {
    /// Those this record knows of.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub async fn on(record: &Arc<dyn Record>) -> Result<Self, RecordError> {
        let named = record.aliases().await?.into_iter().map(|alias| alias.target.asset).collect();
        Ok(Self { record: Arc::clone(record), named })
    }

    /// Whether `now_there`, the bytes that lie where `old` came from, took its place: they have an id in `space` that is
    /// alive, and no name stands for the old ones.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub async fn took_the_place(
        &self,
        space: &KeySpace,
        old: ContentHash,
        now_there: ContentHash,
        now: Moment,
    ) -> Result<bool, RecordError> {
        let originals: Vec<_> = self.record.sources_of(&[old]).await?.into_iter().map(|made| made.source).collect();
        let is_named = |hash: &ContentHash| self.named.contains(&Asset::Bytes(*hash));
        if old == now_there || originals.contains(&now_there) || is_named(&old) || originals.iter().any(is_named) {
            return Ok(false);
        }
        let copies = self.record.copies_of(now_there).await?.into_iter().map(|made| made.result);
        let keys: Vec<_> = std::iter::once(now_there)
            .chain(copies)
            .flat_map(|hash| MediaKind::ALL.map(|kind| (hash, kind)))
            .map(|(hash, kind)| AssetKey { space: space.clone(), kind, asset: Asset::Bytes(hash) })
            .collect();
        let found = self.record.find(&keys).await?;
        Ok(found.iter().flatten().any(|upload| staleness(upload, now, PlanRules::ALIVE).is_none()))
    }

    /// The same of the bytes that lie at `path` now; not, where they cannot be told.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub async fn covers(
        &self,
        inspector: &Inspector,
        path: &Path,
        space: &KeySpace,
        old: ContentHash,
        now: Moment,
    ) -> Result<bool, RecordError> {
        match inspector.asset_of(&AssetRef::File(path.to_owned())).await {
            Ok(Asset::Bytes(now_there)) => self.took_the_place(space, old, now_there, now).await,
            _ => Ok(false),
        }
    }
}
