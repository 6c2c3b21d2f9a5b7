//! `reattach.toml`: what it may say, and which file it is.

use std::collections::BTreeMap;
use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;

use crate::graph::{ApiVersion, Auth, PaceLimits};
use crate::handwritten;
use crate::ids::{Origin, PageId, Platform};

use super::ConfigError;

/// `reattach.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) page: Option<String>,
    pub(super) store: Option<String>,
    pub(super) graph_url: Option<Text<Origin>>,
    pub(super) api_version: Option<Text<ApiVersion>>,
    pub(super) platform: Option<Platform>,
    pub(super) auth: Option<AuthWord>,
    #[serde(default)]
    pub(super) limits: LimitsFile,
    pub(super) url_query: Option<UrlQueryWord>,
    #[serde(default)]
    pub(super) instagram_send_type: InstagramSendType,
    #[serde(default)]
    pub(super) pages: BTreeMap<String, PageFile>,
    /// The file itself.
    #[serde(skip)]
    pub(super) path: Option<PathBuf>,
}

/// One Page in `reattach.toml`. It names the places of its secrets, never the secrets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageFile {
    pub(super) id: Option<Text<PageId>>,
    pub(super) access_token_env: Option<String>,
    pub(super) access_token_file: Option<PathBuf>,
    pub(super) app_secret_env: Option<String>,
    pub(super) app_secret_file: Option<PathBuf>,
    pub(super) auth: Option<AuthWord>,
    #[serde(default)]
    pub(super) limits: LimitsFile,
}

/// Where the token travels.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthWord {
    Header,
    Query,
}

impl From<AuthWord> for Auth {
    fn from(word: AuthWord) -> Self {
        match word {
            AuthWord::Header => Self::Header,
            AuthWord::Query => Self::Query,
        }
    }
}

/// What the query of a web address means.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UrlQueryWord {
    Keep,
    Ignore,
}

/// The `type` Instagram gets of a message by id, about which Meta's pages disagree.
///
/// Source: "Attachment Upload" for Instagram (2026-06-30) sends `MEDIA_SHARE`, "Send a Message" (2026-09-11) the media's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(in crate::cli) enum InstagramSendType {
    /// `image`, `video`, `audio` or `file`.
    #[default]
    #[serde(rename = "media")]
    Media,
    /// `MEDIA_SHARE`.
    #[serde(rename = "MEDIA_SHARE")]
    MediaShare,
}

impl InstagramSendType {
    /// The word in place of the media's own; `None` where that stays.
    pub(in crate::cli) const fn wire_word(self) -> Option<&'static str> {
        match self {
            Self::Media => None,
            Self::MediaShare => Some("MEDIA_SHARE"),
        }
    }
}

/// How fast a Page may go. What is not said is said further up.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    messages_per_second: Option<NonZeroU32>,
    media_per_second: Option<NonZeroU32>,
    calls_per_second: Option<NonZeroU32>,
    calls_per_day: Option<NonZeroU64>,
}

impl LimitsFile {
    /// These limits, where they say something, and `others` where they do not.
    pub(super) fn over(self, others: PaceLimits) -> PaceLimits {
        let or = |limit: Option<NonZeroU32>, other| limit.map_or(other, NonZeroU32::get);
        PaceLimits {
            messages_per_second: or(self.messages_per_second, others.messages_per_second),
            media_per_second: or(self.media_per_second, others.media_per_second),
            calls_per_second: or(self.calls_per_second, others.calls_per_second),
            calls_per_day: self.calls_per_day.map(NonZeroU64::get).or(others.calls_per_day),
        }
    }
}

/// A value that is read from its text form.
#[derive(Debug, Clone)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The file to read: the one asked for, or the first there is of the usual ones.
fn config_file(asked: Option<&Path>) -> Option<PathBuf> {
    let in_folder = || Some(etcetera::choose_base_strategy().ok()?.config_dir().join("reattach/reattach.toml"));
    let usual =
        || [Some(PathBuf::from("reattach.toml")), in_folder()].into_iter().flatten().find(|path| path.is_file());
    asked.map(Path::to_owned).or_else(usual)
}

/// What the file asked for says, or the usual one; nothing where there is none.
pub(super) fn load_file(asked: Option<&Path>) -> Result<File, ConfigError> {
    let Some(path) = config_file(asked) else { return Ok(File::default()) };
    let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let malformed = |(line, reason)| ConfigError::Malformed { path: path.clone(), line, reason };
    let mut file: File = handwritten::from_toml(&text).map_err(malformed)?;
    file.path = Some(path.clone());
    if asked.is_none()
        && let Some(origin) = file.graph_url.as_ref().filter(|origin| !origin.0.is_trusted())
    {
        return Err(ConfigError::StrangeOrigin { path, origin: origin.0.clone() });
    }
    // Paths in the file are meant from where it lies.
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(store) = &mut file.store
        && let Some(store_folder) = store.strip_prefix("sled:")
    {
        *store = format!("sled:{}", folder.join(store_folder).display());
    }
    for page in file.pages.values_mut() {
        for secret in [&mut page.access_token_file, &mut page.app_secret_file].into_iter().flatten() {
            *secret = folder.join(&*secret);
        }
    }
    Ok(file)
}
