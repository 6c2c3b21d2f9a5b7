//! What a record said, as it is kept in this machine's cache until it is asked again.
//!
//! Key: version of the forms below, the record's address, the sort of thing and what names it, apart by NUL. Value: its
//! form, sealed by the cache. A form that changes gets another version, and what was kept before is no more.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::blocking::blocking;
use crate::cache::FileCache;
use crate::clock::{ClockReading, Timestamp};
use crate::facts::Dimensions;
use crate::ids::{AliasName, Asset, AssetKey, ContentHash, MediaKind, Origin};
use crate::record::{AliasTarget, PageIdentity, Upload, UploadState};
use crate::secret::TokenFingerprint;

const VERSION: &str = "1";

/// The place in a cache for what one record said. One that has no cache keeps nothing.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Option<(Arc<FileCache>, String)>);

impl Shelf {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The place of the record at `address`.
    pub(super) fn of(cache: Arc<FileCache>, address: String) -> Self {
        Self(Some((cache, address)))
    }

    /// What is kept under each name, in the order of `names`.
    pub(super) async fn find<N: Name>(&self, names: &[N]) -> Vec<Option<N::Thing>> {
        let Some((cache, address)) = &self.0 else { return names.iter().map(|_| None).collect() };
        let cache = Arc::clone(cache);
        let keys: Vec<_> = names.iter().map(|name| key(address, name)).collect();
        let forms = blocking(move || keys.iter().map(|key| cache.note(key)).collect::<Vec<Option<N::Form>>>()).await;
        names.iter().zip(forms).map(|(name, form)| name.thing(form?)).collect()
    }

    /// Keeps each thing under its name; what there is no more is taken away.
    pub(super) async fn keep<'a, N: Name + 'a>(&self, things: impl Iterator<Item = (&'a N, Option<&'a N::Thing>)>) {
        let Some((cache, address)) = &self.0 else { return };
        let notes: Vec<_> = things.map(|(name, thing)| (key(address, name), thing.and_then(N::form))).collect();
        if !notes.is_empty() {
            let cache = Arc::clone(cache);
            blocking(move || cache.keep_notes(&notes)).await;
        }
    }
}

fn key(address: &str, name: &impl Name) -> Vec<u8> {
    [VERSION, address, &name.words()].join("\0").into_bytes()
}

/// What something is kept under.
pub(super) trait Name {
    type Thing;
    type Form: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The sort of thing, and what tells it from all others of its sort.
    fn words(&self) -> String;

    /// How it is kept; `None` where it is not worth keeping.
    fn form(thing: &Self::Thing) -> Option<Self::Form>;

    /// What was kept; `None` where it makes no sense.
    fn thing(&self, form: Self::Form) -> Option<Self::Thing>;
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UploadForm {
    attachment_id: String,
    uploaded_at: i64,
    expires_at: i64,
    size_bytes: u64,
    mime: String,
    dimensions: Option<Dimensions>,
    source: Option<Vec<u8>>,
}

/// Only what is live may ever be used without a question, so nothing else is kept.
impl Name for AssetKey {
    type Thing = Upload;
    type Form = UploadForm;

    fn words(&self) -> String {
        let Self { space, kind, asset } = self;
        let (origin, page, platform) = (space.origin.as_str(), space.page.as_str(), space.platform.as_str());
        // Bytes and addresses have digests of their own.
        ["upload", origin, page, platform, kind.as_str(), &hex::encode(asset.digest())].join("\0")
    }

    fn form(upload: &Upload) -> Option<UploadForm> {
        (upload.state == UploadState::Live).then(|| UploadForm {
            attachment_id: upload.attachment_id.as_str().to_owned(),
            uploaded_at: upload.uploaded_at.as_unix_millis(),
            expires_at: upload.expires_at.as_unix_millis(),
            size_bytes: upload.size_bytes,
            mime: upload.mime.clone(),
            dimensions: upload.dimensions,
            source: upload.source.as_deref().map(bytes),
        })
    }

    fn thing(&self, form: UploadForm) -> Option<Upload> {
        Some(Upload {
            key: self.clone(),
            attachment_id: form.attachment_id.parse().ok()?,
            uploaded_at: Timestamp::from_unix_millis(form.uploaded_at),
            expires_at: Timestamp::from_unix_millis(form.expires_at),
            size_bytes: form.size_bytes,
            mime: form.mime,
            dimensions: form.dimensions,
            source: form.source.map(path),
            state: UploadState::Live,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TargetForm {
    hash: Option<ContentHash>,
    url: Option<String>,
    kind: String,
    source: Option<Vec<u8>>,
}

impl Name for AliasName {
    type Thing = AliasTarget;
    type Form = TargetForm;

    fn words(&self) -> String {
        ["alias", self.as_str()].join("\0")
    }

    fn form(AliasTarget { asset, kind, source }: &AliasTarget) -> Option<TargetForm> {
        let url = asset.url().map(|url| url.as_str().to_owned());
        let kind = kind.as_str().to_owned();
        Some(TargetForm { hash: asset.hash(), url, kind, source: source.as_deref().map(bytes) })
    }

    fn thing(&self, TargetForm { hash, url, kind, source }: TargetForm) -> Option<AliasTarget> {
        let asset = match (hash, url) {
            (Some(hash), None) => Asset::Bytes(hash),
            (None, Some(url)) => Asset::Url(url.parse().ok()?),
            _ => return None,
        };
        Some(AliasTarget { asset, kind: kind.parse::<MediaKind>().ok()?, source: source.map(path) })
    }
}

/// Whose token it is, at one origin.
impl Name for (Origin, TokenFingerprint) {
    type Thing = PageIdentity;
    type Form = (String, String);

    fn words(&self) -> String {
        ["page", self.0.as_str(), &hex::encode(self.1.0)].join("\0")
    }

    fn form(page: &PageIdentity) -> Option<(String, String)> {
        Some((page.id.as_str().to_owned(), page.name.clone()))
    }

    fn thing(&self, (id, name): (String, String)) -> Option<PageIdentity> {
        Some(PageIdentity { id: id.parse().ok()?, name })
    }
}

/// What time it was at one origin.
impl Name for Origin {
    type Thing = ClockReading;
    type Form = (i64, i64);

    fn words(&self) -> String {
        ["time", self.as_str()].join("\0")
    }

    fn form(reading: &ClockReading) -> Option<(i64, i64)> {
        Some((reading.theirs.as_unix_millis(), reading.ours.as_unix_millis()))
    }

    fn thing(&self, (theirs, ours): (i64, i64)) -> Option<ClockReading> {
        Some(ClockReading { theirs: Timestamp::from_unix_millis(theirs), ours: Timestamp::from_unix_millis(ours) })
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{KeySpace, Platform};

    fn upload(asset: Asset, state: UploadState) -> Upload {
        let space = KeySpace {
            origin: "https://graph.facebook.com".parse().expect("an origin"),
            page: "1".parse().expect("a Page"),
            platform: Platform::Messenger,
        };
        Upload {
            key: AssetKey { space, kind: MediaKind::Image, asset },
            attachment_id: "7".parse().expect("an id"),
            uploaded_at: Timestamp::from_unix_millis(1_760_000_000_000),
            expires_at: Timestamp::from_unix_millis(1_767_776_000_000),
            size_bytes: 300,
            mime: "image/png".to_owned(),
            dimensions: Some(Dimensions { width: 2, height: 300 }),
            source: Some(OsString::from_vec(b"/a/\xff.png".to_vec()).into()),
            state,
        }
    }

    /// What becomes of it on its way into the cache and out again.
    fn kept<N: Name>(name: &N, thing: &N::Thing) -> Option<N::Thing> {
        let bytes = postcard::to_allocvec(&N::form(thing)?).expect("bytes");
        name.thing(postcard::from_bytes(&bytes).expect("a form"))
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let url: Asset = Asset::Url("https://example.com/a.png?b=c".parse().expect("an address"));
        for asset in [Asset::Bytes(ContentHash([7; 32])), url] {
            let upload = upload(asset.clone(), UploadState::Live);
            assert_eq!(kept(&upload.key, &upload).as_ref(), Some(&upload));
            let target = AliasTarget { asset, kind: MediaKind::Video, source: upload.source };
            assert_eq!(kept(&"hero".parse::<AliasName>().expect("a name"), &target), Some(target));
        }
        let origin: Origin = "https://graph.facebook.com".parse().expect("an origin");
        let reading = ClockReading { theirs: Timestamp::from_unix_millis(5), ours: Timestamp::from_unix_millis(-5) };
        assert_eq!(kept(&origin, &reading), Some(reading));
        let page = PageIdentity { id: "1".parse().expect("a Page"), name: "Shop".to_owned() };
        assert_eq!(kept(&(origin, TokenFingerprint([1; 16])), &page), Some(page));
    }

    #[test]
    fn only_a_live_id_is_kept() {
        for state in [UploadState::Rejected, UploadState::UnknownAge] {
            let upload = upload(Asset::Bytes(ContentHash([7; 32])), state);
            assert_eq!(kept(&upload.key, &upload), None);
        }
    }

    #[test]
    fn a_form_that_changes_gets_another_version() {
        let upload = upload(Asset::Bytes(ContentHash([7; 32])), UploadState::Live);
        let form = postcard::to_allocvec(&AssetKey::form(&upload)).expect("bytes");
        let written = "0101378080e682b96680e0c8faf266ac0209696d6167652f706e670102ac0201082f612fff2e706e67";
        assert_eq!((VERSION, hex::encode(form).as_str()), ("1", written));
        let hash = "07".repeat(32);
        let words = format!("1\0db\0upload\0https://graph.facebook.com\x001\0messenger\0image\0{hash}");
        assert_eq!(key("db", &upload.key), words.into_bytes());
    }
}
