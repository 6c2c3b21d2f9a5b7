//! Manifests: ids in files that people keep, compare and hand on.
//!
//! What is written here is read here again, byte for byte the same; what other tools write, a `bottender-lock.json` or a
//! map from names to ids, is only read. A manifest holds no secrets: an id is of use to its own Page alone.

mod bottender;
mod constants;
mod env;
mod fields;
mod names;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::facts::Dimensions;
use crate::ids::{AliasName, Asset, AttachmentId, ContentHash, MediaKind, Origin, PageId, Platform};
use crate::record::{Alias, Derivation, Upload, UploadState};

pub(crate) use bottender::checksum;
pub use bottender::lockfile;
pub(super) use bottender::{FOLDER, kind_there};
pub use constants::{python, rust, typescript};
pub use env::env;
pub use names::{LeftOut, Named};
pub use read::{BadEntry, ManifestError, read};
pub use table::csv;
pub use tree::json;

/// One entry of a manifest: an id and what it is of, or a name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The file, where one is known; relative to the manifest's folder where it lies in it.
    pub path: Option<PathBuf>,
    /// The names of the asset.
    pub aliases: Vec<AliasName>,
    /// What it is sent as.
    pub kind: Option<MediaKind>,
    /// What the id is of; `None` where only a file's name says.
    pub asset: Option<Asset>,
    /// The id; `None` for an asset that merely has names.
    pub attachment_id: Option<AttachmentId>,
    /// How the id stands; `None` where there is none, or nothing is said.
    pub state: Option<UploadState>,
    /// When it was uploaded, where that is known.
    pub uploaded_at: Option<Timestamp>,
    /// When it is expected to end, where that is known.
    pub expires_at: Option<Timestamp>,
    /// How many bytes there are.
    pub size_bytes: Option<u64>,
    /// Their media type.
    pub mime: Option<String>,
    /// Width and height, of an image.
    pub dimensions: Option<Dimensions>,
    /// The Page whose id it is.
    pub page: Option<PageId>,
    /// The platform it was uploaded for.
    pub platform: Option<Platform>,
    /// The Graph API it came from.
    pub origin: Option<Origin>,
    /// What the bytes were made of, where they are a copy that fits in the place of the file at the path.
    pub copy_of: Option<CopyOf>,
    /// How the file is found, and what else is known of its bytes.
    pub lookup: Lookup,
}

/// What a copy was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOf {
    /// SHA-256 of the bytes it was made of.
    pub source: ContentHash,
    /// By which rules: see [`Derivation`].
    pub rules: String,
    /// What was done, for people.
    pub recipe: String,
}

/// How the file of an entry is found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lookup {
    /// By its path.
    #[default]
    Path,
    /// As bottender does: by its bare name, in the folder `assets` or below.
    BareName {
        /// SHA-512 of its bytes, in hexadecimal digits.
        checksum: Option<String>,
    },
}

impl Entry {
    /// The entry of an id on record, in a manifest that lies in the folder `base`, which is absolute.
    pub fn of_upload(upload: &Upload, aliases: Vec<AliasName>, base: &Path) -> Self {
        let space = &upload.key.space;
        Self {
            path: upload.source.as_deref().map(|path| relative(path, base)),
            aliases,
            kind: Some(upload.key.kind),
            asset: Some(upload.key.asset.clone()),
            attachment_id: Some(upload.attachment_id.clone()),
            state: Some(upload.state),
            uploaded_at: upload.known_upload_time(),
            expires_at: upload.known_expiry(),
            size_bytes: upload.known_size(),
            mime: upload.known_mime().map(str::to_owned),
            dimensions: upload.dimensions,
            page: Some(space.page.clone()),
            platform: Some(space.platform),
            origin: Some(space.origin.clone()),
            copy_of: None,
            lookup: Lookup::Path,
        }
    }

    /// The same, made of what `derivation` says.
    #[must_use]
    pub fn made_of(self, derivation: &Derivation) -> Self {
        let Derivation { source, rules, recipe, .. } = derivation.clone();
        Self { copy_of: Some(CopyOf { source, rules, recipe }), ..self }
    }

    /// The entry of something that has a name and no id.
    pub fn of_alias(alias: &Alias, base: &Path) -> Self {
        Self {
            path: alias.target.source.as_deref().map(|path| relative(path, base)),
            aliases: vec![alias.name.clone()],
            kind: Some(alias.target.kind),
            asset: Some(alias.target.asset.clone()),
            ..Self::default()
        }
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        let asset = || self.asset.as_ref().map(ToString::to_string);
        let alias = || self.aliases.first().map(ToString::to_string);
        let id = || self.attachment_id.as_ref().map(ToString::to_string);
        path.or_else(asset).or_else(alias).or_else(id).unwrap_or_default()
    }

    /// Puts entries in the order manifests have them: by name and kind, and always the same.
    pub fn sort(entries: &mut [Self]) {
        entries.sort_by_cached_key(|entry| {
            let place = (entry.origin.clone(), entry.page.clone(), entry.platform);
            (entry.path.is_none(), entry.path.clone(), entry.name(), entry.kind, place, entry.asset.clone())
        });
    }

    fn hash(&self) -> Option<ContentHash> {
        self.asset.as_ref().and_then(Asset::hash)
    }
}

/// The path from `base`, for what lies in it; as it is, for what does not.
fn relative(path: &Path, base: &Path) -> PathBuf {
    path.strip_prefix(base).unwrap_or(path).to_owned()
}
