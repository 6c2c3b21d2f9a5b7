//! The names things go by: Pages, attachments, contents, recipients, and the key an id is stored under.
//!
//! Ids from Meta are opaque strings; none is ever turned into a number, because they pass 2^53.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

mod alias_name;
mod campaign_name;
mod recipient;
mod request_key;
mod web_url;

pub use alias_name::AliasName;
pub use campaign_name::CampaignName;
pub use recipient::Recipient;
pub use request_key::RequestKey;
pub use web_url::WebUrl;

/// A value that cannot be one of this module's ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidId {
    /// `None` of what holds a secret.
    value: Option<String>,
    expected: &'static str,
}

impl InvalidId {
    fn new(value: &str, expected: &'static str) -> Self {
        const SHOWN: usize = 200;
        let mut characters = value.chars();
        let mut value: String = characters.by_ref().take(SHOWN).collect();
        if characters.next().is_some() {
            value.push('…');
        }
        Self { value: Some(value), expected }
    }

    /// Of a value that is not repeated: it holds a secret.
    fn untold(expected: &'static str) -> Self {
        Self { value: None, expected }
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{value:?} is not {}", self.expected),
            None => write!(f, "what was given is not {}", self.expected),
        }
    }
}

/// A Facebook Page's id. Meta's are decimal digits; any word of letters, digits, `_` and `-` is taken, so that another
/// Graph API may name its Pages as it likes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PageId(Arc<str>);

impl PageId {
    /// The id as Meta writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plausible = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if plausible { Ok(Self(text.into())) } else { Err(InvalidId::new(text, "a Page id")) }
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reusable id Meta gives an uploaded attachment: opaque, never empty, at most 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AttachmentId(String);

impl AttachmentId {
    /// The id as Meta writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AttachmentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plausible = !text.is_empty() && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plausible { Ok(Self(text.to_owned())) } else { Err(InvalidId::new(text, "an attachment id")) }
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a file's bytes; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for ContentHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| InvalidId::new(text, "a SHA-256 digest (64 hexadecimal digits)"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Text in human-readable formats, 32 bytes in binary ones.
impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// What Meta calls an attachment's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Still and animated pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Everything else: shown by its name.
    File,
}

impl MediaKind {
    /// All four, in Meta's order.
    pub const ALL: [Self; 4] = [Self::Image, Self::Video, Self::Audio, Self::File];

    /// The word used on the wire and in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
        }
    }

    /// What bytes of this media type are sent as.
    pub fn of_mime(mime: &str) -> Self {
        match mime.split('/').next() {
            Some("image") => Self::Image,
            Some("video") => Self::Video,
            Some("audio") => Self::Audio,
            _ => Self::File,
        }
    }
}

impl FromStr for MediaKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| InvalidId::new(text, "a kind (image, video, audio or file)"))
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a message is shown: decides the limits, the wire form, and which ids may be reused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Facebook Messenger.
    #[default]
    Messenger,
    /// Instagram, through the Page linked to the account.
    Instagram,
}

impl Platform {
    /// Both platforms.
    pub const ALL: [Self; 2] = [Self::Messenger, Self::Instagram];

    /// The word used on the wire and in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messenger => "messenger",
            Self::Instagram => "instagram",
        }
    }
}

impl FromStr for Platform {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == text)
            .ok_or_else(|| InvalidId::new(text, "a platform (messenger or instagram)"))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A Graph API origin: scheme, host, and port where it is not the scheme's own.
///
/// Ids of one origin are never used with another, so a sandbox cannot leak into a Page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Meta's own.
    pub const GRAPH: &str = "https://graph.facebook.com";

    /// The origin as `https://host[:port]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether tokens may go there without anybody asking: Meta's own, or this machine.
    pub fn is_trusted(&self) -> bool {
        self.as_str() == Self::GRAPH || self.is_of_this_machine()
    }

    /// Whether it is on this machine: a sandbox, or a proxy.
    pub fn is_of_this_machine(&self) -> bool {
        self.url().host().is_some_and(|host| is_loopback(&host))
    }

    /// The origin's root, ready to be joined with a path.
    pub fn url(&self) -> Url {
        Url::parse(&self.0).expect("an origin was made from a URL")
    }
}

impl FromStr for Origin {
    type Err = InvalidId;

    /// Refuses anything but `https://` and, on loopback hosts, `http://`; a path, query or user name is refused too.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const EXPECTED: &str = "a Graph API origin (https://HOST[:PORT], or http:// on a loopback host, and no path)";
        let refuse = || InvalidId::new(without_secrets(text), EXPECTED);
        let url = Url::parse(text).map_err(|_| refuse())?;
        let bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let trusted = match url.scheme() {
            "https" => url.host().is_some(),
            "http" => url.host().is_some_and(|host| is_loopback(&host)),
            _ => false,
        };
        if bare && trusted { Ok(Self(url.origin().ascii_serialization().into())) } else { Err(refuse()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of an address may be shown: what follows a question mark may be a token, and what stands before an `@` a password.
fn without_secrets(url: &str) -> &str {
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    shown.rsplit_once('@').map_or(shown, |(_, place)| place)
}

fn is_loopback(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Where an attachment id is valid: one origin, one Page, one platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeySpace {
    /// The Graph API the id came from.
    pub origin: Origin,
    /// The Page that uploaded it, and alone may send it.
    pub page: PageId,
    /// The platform it was uploaded for.
    pub platform: Platform,
}

/// What was uploaded: bytes, or whatever a web address leads to.
///
/// The two never meet. An address may lead to other bytes tomorrow, so its id is never taken for that of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asset {
    /// The bytes that left this machine.
    Bytes(ContentHash),
    /// The address Meta fetched from.
    Url(WebUrl),
}

impl Asset {
    /// 32 bytes that stand for it in indexes: the digest of the bytes, or of the address with a prefix no file is known
    /// to begin with.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Bytes(hash) => hash.0,
            Self::Url(url) => {
                Sha256::new().chain_update(b"\0reattach web address\0").chain_update(url.as_str()).finalize().into()
            }
        }
    }

    /// The digest, of bytes.
    pub const fn hash(&self) -> Option<ContentHash> {
        match self {
            Self::Bytes(hash) => Some(*hash),
            Self::Url(_) => None,
        }
    }

    /// The address, of whatever has one.
    pub const fn url(&self) -> Option<&WebUrl> {
        match self {
            Self::Bytes(_) => None,
            Self::Url(url) => Some(url),
        }
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(hash) => write!(f, "sha256:{hash}"),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// What one upload is stored under: the same asset, sent the same way, in the same place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetKey {
    /// Where the id is valid.
    pub space: KeySpace,
    /// The `type` it was uploaded as.
    pub kind: MediaKind,
    /// What was uploaded.
    pub asset: Asset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_named_and_not_repeated_at_length() {
        let error = |text: &str| text.parse::<PageId>().expect_err(text).to_string();
        assert_eq!(error("a b"), "\"a b\" is not a Page id");
        let long = error(&"é".repeat(5_000));
        assert!(long.ends_with("é…\" is not a Page id") && long.chars().count() == 200 + 20, "{long}");
    }

    #[test]
    fn an_origin_is_normalised() {
        for text in ["https://graph.facebook.com", "https://graph.facebook.com/", "HTTPS://Graph.Facebook.com:443"] {
            assert_eq!(text.parse::<Origin>().expect(text).as_str(), Origin::GRAPH);
        }
        assert_eq!("http://127.0.0.1:80".parse::<Origin>().expect("loopback").as_str(), "http://127.0.0.1");
    }

    #[test]
    fn plain_http_is_refused_off_loopback() {
        for text in ["http://graph.facebook.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://localhost"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for text in ["http://localhost:9000", "http://[::1]:1", "http://127.1.2.3"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
    }

    #[test]
    fn an_origin_carries_no_path_and_no_credentials() {
        for text in ["https://a.example/v1", "https://u:p@a.example", "https://a.example?x=1", "a.example", ""] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_refused_origin_shows_no_credentials() {
        for text in ["https://u:SECRET@a.example", "u:SECRET@b@a.example", "https://a.example?x=SECRET@1", "a#SECRET"] {
            let error = text.parse::<Origin>().expect_err(text).to_string();
            assert!(error.contains('a') && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_content_hash_is_written_as_hexadecimal() {
        let hash = ContentHash([0xab; 32]);
        assert_eq!(hash.to_string(), "ab".repeat(32));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(serde_json::to_string(&hash).expect("json"), format!("\"{hash}\""));
        assert!("ab".parse::<ContentHash>().is_err());
    }
}
