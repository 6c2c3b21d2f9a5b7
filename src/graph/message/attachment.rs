//! Attachments: an image, a video, a sound or a file, and the several ways to say which.

use serde_json::{Map, Value, json};
use url::Url;

use super::body::Message;
use super::error::InvalidRequest;
use super::fields::Fields;
use super::template;
use crate::ids::{AttachmentId, MediaKind, Platform};

/// The ways to say which media; `file` and `asset` are ours, and become ids before anything leaves.
const SOURCES: [&str; 4] = ["attachment_id", "url", "file", "asset"];

const MEDIA_TYPES: [&str; 4] = ["image", "video", "audio", "file"];

/// The types of attachment.
///
/// **Source**: Graph API reference, Page `messages` edge, `message.attachment.type` (v25.0), which writes them in
/// capitals; every sample of Meta's has them in small letters.
const TYPES: [&str; 11] = [
    "image",
    "video",
    "audio",
    "file",
    "location",
    "template",
    "fallback",
    "reel",
    "ig_reel",
    "like_heart",
    "media_share",
];

/// The most pictures in one message.
///
/// **Source**: "Send a Message", "limited to 30 images at once" (read 2026-05; gone from the copy of 2026-09-11);
/// Instagram, "Send a Message", up to 10 (read 2026-09-11).
const fn most_pictures(platform: Platform) -> usize {
    match platform {
        Platform::Messenger => 30,
        Platform::Instagram => 10,
    }
}

/// An image, a video, a sound or a file.
///
/// **Source**: "Send a Message" and "Saving Assets" (read 2026-04-22).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its `type`.
    pub kind: MediaKind,
    /// Which one.
    pub source: MediaSource,
}

/// Which media.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaSource {
    /// What was uploaded under this id.
    Id(AttachmentId),
    /// What Meta finds at a web address.
    Url {
        /// The address, `http` or `https`.
        url: String,
        /// Whether Meta is to keep it, and to answer with an id for it.
        is_reusable: bool,
    },
    /// A file on this machine, by its path: an id takes its place before the message is sent.
    File(String),
    /// An asset, as `@alias`, `sha256:HEX`, `https://…` or a path: an id takes its place before the message is sent.
    Asset(String),
}

impl Attachment {
    /// What was uploaded as `kind` under `attachment_id`.
    pub fn by_id(kind: MediaKind, attachment_id: AttachmentId) -> Self {
        Self { kind, source: MediaSource::Id(attachment_id) }
    }

    /// What Meta finds at `url`, once: it gives no id for it.
    pub fn by_url(kind: MediaKind, url: impl Into<String>) -> Self {
        Self { kind, source: MediaSource::Url { url: url.into(), is_reusable: false } }
    }

    /// The file at `path`, whose id takes its place before the message is sent.
    pub fn by_file(kind: MediaKind, path: impl Into<String>) -> Self {
        Self { kind, source: MediaSource::File(path.into()) }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut payload = self.source.to_json();
        if let MediaSource::Url { is_reusable: true, .. } = self.source {
            payload.insert("is_reusable".to_owned(), true.into());
        }
        json!({"type": self.kind, "payload": payload})
    }
}

impl MediaSource {
    /// The source alone, as it stands where Meta expects an `attachment_id`.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let (key, value) = match self {
            Self::Id(id) => ("attachment_id", id.as_str()),
            Self::Url { url, .. } => ("url", url.as_str()),
            Self::File(path) => ("file", path.as_str()),
            Self::Asset(reference) => ("asset", reference.as_str()),
        };
        Map::from_iter([(key.to_owned(), value.into())])
    }
}

impl From<Attachment> for Message {
    fn from(attachment: Attachment) -> Self {
        Self::with("attachment", attachment.to_json())
    }
}

/// Checks `message.attachment`.
pub(super) fn check(attachment: &Fields<'_>) -> Result<(), InvalidRequest> {
    let kind = attachment.word("type", &TYPES)?;
    let payload = attachment.object("payload")?;
    if kind == Some("like_heart") {
        return Ok(());
    }
    let payload = attachment.required("payload", payload)?;
    match kind {
        Some("template") => template::check(&payload),
        Some(kind) if !MEDIA_TYPES.contains(&kind) => Ok(()),
        Some(_) => check_media(&payload),
        // What the file or asset turns out to be decides.
        None if payload.get("file").is_some() || payload.get("asset").is_some() => check_media(&payload),
        None => attachment.required("type", None),
    }
}

/// Checks `message.attachments`, a list of pictures.
pub(super) fn check_list(message: &Fields<'_>, platform: Platform) -> Result<(), InvalidRequest> {
    let pictures = message.objects("attachments")?;
    let (count, most) = (pictures.len(), most_pictures(platform));
    if !(1..=most).contains(&count) {
        let parameter = message.parameter("attachments");
        return Err(InvalidRequest::ItemCount { parameter, count, least: 1, most });
    }
    for picture in pictures {
        let kind = picture.word("type", &["image"])?;
        let payload = picture.required("payload", picture.object("payload")?)?;
        check_media(&payload)?;
        if payload.get("attachment_id").is_some() || payload.get("url").is_some() {
            picture.required("type", kind)?;
        }
    }
    Ok(())
}

fn check_media(payload: &Fields<'_>) -> Result<(), InvalidRequest> {
    check_source(payload)?;
    match payload.get("is_reusable") {
        // Some of Meta's samples write it as a text.
        Some(Value::String(word)) if word == "true" || word == "false" => Ok(()),
        _ => payload.boolean("is_reusable").map(drop),
    }
}

/// Checks that `fields` says which media in exactly one way; gives that way and its value.
pub(super) fn check_source<'a>(fields: &Fields<'a>) -> Result<(&'static str, &'a str), InvalidRequest> {
    let mut present = SOURCES.into_iter().filter(|key| fields.get(key).is_some());
    let key = present.next().ok_or_else(|| InvalidRequest::MediaMissing { parameter: fields.name.clone() })?;
    if let Some(second) = present.next() {
        return Err(InvalidRequest::SeveralMedia { parameter: fields.name.clone(), first: key, second });
    }
    let value = fields.required(key, fields.text(key)?)?;
    match key {
        "url" => drop(web_address(fields, key, value)?),
        "attachment_id" if value.parse::<AttachmentId>().is_err() => {
            let expected = "an id Meta gave, without spaces";
            return Err(InvalidRequest::WrongType { parameter: fields.parameter(key), expected });
        }
        _ => drop(fields.required_text(key)?),
    }
    Ok((key, value))
}

/// The web address `text`, which stands under `key`.
pub(super) fn web_address(fields: &Fields<'_>, key: &str, text: &str) -> Result<Url, InvalidRequest> {
    let invalid = || InvalidRequest::InvalidUrl { parameter: fields.parameter(key) };
    let url = Url::parse(text).map_err(|_| invalid())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_json(attachment: &Value) -> Result<(), InvalidRequest> {
        check(&Fields::new("message[attachment]", attachment.as_object().unwrap()))
    }

    fn error(attachment: &Value) -> String {
        check_json(attachment).unwrap_err().to_string()
    }

    #[test]
    fn every_source_of_every_kind_is_written_and_sound() {
        let sources = [
            (MediaSource::Id("12".parse().unwrap()), json!({"attachment_id": "12"})),
            (
                MediaSource::Url { url: "https://a.example/b".into(), is_reusable: false },
                json!({"url": "https://a.example/b"}),
            ),
            (
                MediaSource::Url { url: "https://a.example/b".into(), is_reusable: true },
                json!({"url": "https://a.example/b", "is_reusable": true}),
            ),
            (MediaSource::File("hero.png".into()), json!({"file": "hero.png"})),
            (MediaSource::Asset("@hero".into()), json!({"asset": "@hero"})),
        ];
        for kind in MediaKind::ALL {
            for (source, payload) in &sources {
                let attachment = Attachment { kind, source: source.clone() }.to_json();
                assert_eq!(attachment, json!({"type": kind.as_str(), "payload": payload}));
                assert_eq!(check_json(&attachment), Ok(()));
            }
        }
    }

    #[test]
    fn a_type_and_a_payload_are_needed() {
        assert_eq!(error(&json!({"payload": {"attachment_id": "1"}})), "message[attachment][type] is required");
        assert_eq!(error(&json!({"type": "image"})), "message[attachment][payload] is required");
        assert_eq!(
            error(&json!({"type": "image", "payload": "{}"})),
            "message[attachment][payload] must be a JSON object"
        );
        assert!(
            error(&json!({"type": "img", "payload": {}})).starts_with("message[attachment][type] is \"img\"; Meta")
        );
        assert_eq!(check_json(&json!({"type": "IMAGE", "payload": {"attachment_id": "1"}})), Ok(()));
        assert_eq!(check_json(&json!({"type": "like_heart"})), Ok(()));
        assert_eq!(check_json(&json!({"type": "MEDIA_SHARE", "payload": {"id": "1"}})), Ok(()));
    }

    #[test]
    fn a_file_or_an_asset_may_leave_the_type_to_its_bytes() {
        assert_eq!(check_json(&json!({"payload": {"file": "hero.png"}})), Ok(()));
        assert_eq!(check_json(&json!({"payload": {"asset": "@hero"}})), Ok(()));
    }

    #[test]
    fn media_is_named_in_exactly_one_way() {
        let error = |payload: Value| error(&json!({"type": "image", "payload": payload}));
        assert_eq!(
            error(json!({"is_reusable": true})),
            "message[attachment][payload] says nothing of which media: it needs attachment_id, url, file or asset"
        );
        assert_eq!(
            error(json!({"url": "https://a.example", "attachment_id": "1"})),
            "message[attachment][payload] has both attachment_id and url, and needs exactly one"
        );
        let both = error(json!({"file": "a", "asset": "b"}));
        assert_eq!(both, "message[attachment][payload] has both file and asset, and needs exactly one");
        assert_eq!(error(json!({"attachment_id": 12})), "message[attachment][payload][attachment_id] must be a string");
        let spaced = error(json!({"attachment_id": "1 2"}));
        assert_eq!(spaced, "message[attachment][payload][attachment_id] must be an id Meta gave, without spaces");
        assert_eq!(error(json!({"file": " "})), "message[attachment][payload][file] is required");
        let reusable = error(json!({"attachment_id": "1", "is_reusable": 1}));
        assert_eq!(reusable, "message[attachment][payload][is_reusable] must be true or false");
    }

    #[test]
    fn an_address_is_an_http_one_and_is_never_repeated_in_the_error() {
        for url in ["", "hero.png", "ftp://a.example/b", "data:image/png;base64,AA==", "https://?token=secret"] {
            let error = error(&json!({"type": "image", "payload": {"url": url}}));
            assert_eq!(
                error, "message[attachment][payload][url] should represent a valid URL (http or https)",
                "{url}"
            );
        }
    }

    #[test]
    fn keys_nobody_knows_are_left_to_meta() {
        let payload = json!({"attachment_id": "1", "is_public": true, "is_reusable": "true"});
        assert_eq!(check_json(&json!({"type": "image", "payload": payload, "new": 1})), Ok(()));
    }

    #[test]
    fn a_list_holds_pictures_and_not_too_many() {
        let list = |count, item: Value| {
            let message = json!({"attachments": vec![item; count]});
            let check = |platform| check_list(&Fields::new("message", message.as_object().unwrap()), platform);
            (check(Platform::Messenger), check(Platform::Instagram))
        };
        let picture = json!({"type": "image", "payload": {"attachment_id": "1"}});
        let too_many = |count, most| {
            Err(InvalidRequest::ItemCount { parameter: "message[attachments]".to_owned(), count, least: 1, most })
        };
        assert_eq!(list(10, picture.clone()), (Ok(()), Ok(())));
        assert_eq!(list(11, picture.clone()), (Ok(()), too_many(11, 10)));
        assert_eq!(list(30, picture.clone()).0, Ok(()));
        assert_eq!(list(31, picture.clone()).0, too_many(31, 30));
        assert_eq!(list(0, picture).0, too_many(0, 30));
        assert_eq!(list(1, json!({"payload": {"file": "a.png"}})).0, Ok(()));
        let wrong = |item| list(1, item).0.unwrap_err().to_string();
        let video = wrong(json!({"type": "video", "payload": {"attachment_id": "1"}}));
        assert_eq!(video, "message[attachments][0][type] is \"video\"; Meta knows image");
        assert_eq!(wrong(json!({"payload": {"attachment_id": "1"}})), "message[attachments][0][type] is required");
        assert_eq!(wrong(json!({"type": "image"})), "message[attachments][0][payload] is required");
        assert_eq!(wrong(json!("image")), "message[attachments][0] must be a JSON object");
    }
}
