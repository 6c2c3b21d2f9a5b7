//! The message itself: the JSON object under `message`, and the rules Meta enforces on it.

use serde_json::{Map, Value, json};

use super::attachment::{self, Attachment, MediaSource};
use super::envelope::Allow;
use super::error::InvalidRequest;
use super::fields::Fields;
use super::quick_reply::{self, QuickReply};
use super::{references, utility};
use crate::ids::{AttachmentId, MediaKind, Platform};

/// The parts of a message that are something to show; a message has one.
///
/// **Source**: Graph API reference, Page `messages` edge, `message` (v25.0); "Send a Message", `attachments` (read
/// 2026-05); "Sticker API", `sticker_id` (read 2026-06-03).
const CONTENTS: [&str; 6] = ["text", "dynamic_text", "attachment", "attachments", "template", "sticker_id"];
/// The parts that go with it.
const COMPANIONS: [&str; 3] = ["metadata", "quick_replies", "quick_reply_type"];

/// The longest text, in characters. **Source**: Send API reference, `message.text` (v25.0): "less than 2000 characters".
const MOST_TEXT: usize = 1999;
/// The longest text on Instagram, in bytes. **Source**: Instagram, "Send a Message" (read 2026-09-11).
const MOST_INSTAGRAM_BYTES: usize = 1000;
/// The longest metadata, in characters. **Source**: Send API reference, `message.metadata` (v25.0): "less than 1000
/// characters".
const MOST_METADATA: usize = 999;

/// A message, as the JSON object under `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct Message(Map<String, Value>);

impl Message {
    /// A text of fewer than 2000 characters; on Instagram, of at most 1000 bytes.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with("text", text.into().into())
    }

    /// A text Meta fills in for each recipient, and one for those it cannot fill in.
    ///
    /// **Source**: Graph API reference, Page `messages` edge, `message.dynamic_text` (v25.0).
    pub fn dynamic_text(text: impl Into<String>, fallback: Option<String>) -> Self {
        let mut json = json!({"text": text.into()});
        if let Some(fallback) = fallback {
            json["fallback_text"] = fallback.into();
        }
        Self::with("dynamic_text", json)
    }

    /// An uploaded attachment, by its id.
    pub fn attachment(kind: MediaKind, attachment_id: &AttachmentId) -> Self {
        Attachment { kind, source: MediaSource::Id(attachment_id.clone()) }.into()
    }

    /// Several pictures at once, which must be [allowed](Allow::attachment_lists).
    ///
    /// **Source**: "Send a Message" (read 2026-05); Instagram, "Send a Message" (read 2026-09-11).
    pub fn attachments(pictures: impl IntoIterator<Item = Attachment>) -> Self {
        let pictures: Value = pictures.into_iter().map(|picture| picture.to_json()).collect();
        Self::with("attachments", pictures)
    }

    /// One of Meta's stickers.
    ///
    /// **Source**: "Sticker API" (read 2026-06-03), which writes the id as a number.
    pub fn sticker(sticker_id: u64) -> Self {
        Self::with("sticker_id", sticker_id.into())
    }

    /// The message written in `json`, unknown keys and all.
    pub fn from_json(json: Map<String, Value>) -> Self {
        Self(json)
    }

    /// This message with buttons above the keyboard.
    #[must_use]
    pub fn with_quick_replies(self, quick_replies: &[QuickReply]) -> Self {
        self.and("quick_replies", json!(quick_replies))
    }

    /// This message with a `quick_reply_type`.
    ///
    /// **Source**: Graph API reference, Page `messages` edge, `message.quick_reply_type` (v25.0).
    #[must_use]
    pub fn with_quick_reply_type(self, quick_reply_type: impl Into<String>) -> Self {
        self.and("quick_reply_type", quick_reply_type.into().into())
    }

    /// This message with a note of fewer than 1000 characters, which comes back in the webhook's echo and is shown to
    /// nobody.
    ///
    /// **Source**: Send API reference, `message.metadata` (v25.0).
    #[must_use]
    pub fn with_metadata(self, metadata: impl Into<String>) -> Self {
        self.and("metadata", metadata.into().into())
    }

    /// The attachment ids it draws on, wherever they stand, in the order they are written.
    pub fn attachment_ids(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for (key, value) in &self.0 {
            collect_ids(key, value, &mut found);
        }
        found
    }

    /// The message with other attachment ids, here and there: of each pair, the second in place of the first.
    #[must_use]
    pub fn with_ids_replaced(&self, pairs: &[(AttachmentId, AttachmentId)]) -> Self {
        let mut json = self.0.clone();
        for (key, value) in &mut json {
            replace_ids(key, value, pairs);
        }
        Self(json)
    }

    /// The message with its attachment sent as a `type` of this name, where that is an attachment by its id. Meta's pages
    /// disagree about the type Instagram wants.
    #[must_use]
    pub fn with_attachment_type(&self, word: &str) -> Self {
        let mut json = self.0.clone();
        let attachment = json.get_mut("attachment").and_then(Value::as_object_mut);
        if let Some(attachment) = attachment.filter(|attachment| attachment["payload"].get("attachment_id").is_some()) {
            attachment.insert("type".to_owned(), word.into());
        }
        Self(json)
    }

    /// The message as JSON.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A message of nothing but `content`.
    pub(super) fn with(key: &str, content: Value) -> Self {
        Self(Map::from_iter([(key.to_owned(), content)]))
    }

    fn and(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// Whether it is a utility template.
    pub(super) fn is_utility(&self) -> bool {
        self.0.get("template").is_some_and(|template| !template.is_null())
    }

    /// Checks the rules Meta enforces on a message.
    pub(super) fn check(&self, platform: Platform, allow: Allow) -> Result<(), InvalidRequest> {
        let message = Fields::new("message", &self.0);
        references::check(&self.0)?;
        if let Some(metadata) = message.text("metadata")? {
            message.at_most("metadata", metadata, MOST_METADATA)?;
        }
        quick_reply::check(&message)?;
        let mut contents = CONTENTS.into_iter().filter(|key| message.get(key).is_some());
        let content = contents.next();
        if let (Some(first), Some(second)) = (content, contents.next()) {
            return Err(InvalidRequest::SeveralContents { first, second });
        }
        match content {
            Some("attachments") if !allow.attachment_lists => Err(InvalidRequest::AttachmentList),
            Some(content) => check_content(&message, content, platform),
            None if has_unknown_content(&message) => Ok(()),
            None => Err(InvalidRequest::NoContent),
        }
    }
}

fn check_content(message: &Fields<'_>, content: &str, platform: Platform) -> Result<(), InvalidRequest> {
    let object = |key| message.required(key, message.object(key)?);
    match content {
        "text" => check_text(message, platform),
        "dynamic_text" => {
            let dynamic = object("dynamic_text")?;
            dynamic.required_text("text")?;
            dynamic.text("fallback_text").map(drop)
        }
        "attachment" => attachment::check(&object("attachment")?),
        "attachments" => attachment::check_list(message, platform),
        "template" => utility::check(&object("template")?),
        _ => quick_reply::check_sticker(message),
    }
}

fn check_text(message: &Fields<'_>, platform: Platform) -> Result<(), InvalidRequest> {
    let text = message.text("text")?.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(InvalidRequest::TextEmpty);
    }
    match platform {
        Platform::Messenger => message.at_most("text", text, MOST_TEXT),
        Platform::Instagram if text.len() > MOST_INSTAGRAM_BYTES => Err(InvalidRequest::TooLong {
            parameter: message.parameter("text"),
            length: text.len(),
            unit: "bytes",
            most: MOST_INSTAGRAM_BYTES,
        }),
        Platform::Instagram => Ok(()),
    }
}

/// Whether there is something Meta may know how to show, though nobody here does.
fn has_unknown_content(message: &Fields<'_>) -> bool {
    let keys = message.json.keys().map(String::as_str);
    keys.filter(|key| !CONTENTS.contains(key) && !COMPANIONS.contains(key)).any(|key| message.get(key).is_some())
}

fn collect_ids<'a>(key: &str, value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(id) if key == "attachment_id" => found.push(id),
        Value::Object(object) => object.iter().for_each(|(key, value)| collect_ids(key, value, found)),
        Value::Array(items) => items.iter().for_each(|item| collect_ids(key, item, found)),
        _ => {}
    }
}

fn replace_ids(key: &str, value: &mut Value, pairs: &[(AttachmentId, AttachmentId)]) {
    match value {
        Value::String(id) if key == "attachment_id" => {
            if let Some((_, new)) = pairs.iter().find(|(old, _)| old.as_str() == id) {
                new.as_str().clone_into(id);
            }
        }
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| replace_ids(key, value, pairs)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace_ids(key, item, pairs)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &Message) -> Result<(), InvalidRequest> {
        message.check(Platform::Messenger, Allow::default())
    }

    fn check_json(json: Value) -> Result<(), InvalidRequest> {
        let Value::Object(json) = json else { panic!("a message is an object") };
        check(&Message::from_json(json))
    }

    #[test]
    fn texts_are_counted_in_characters_and_on_instagram_in_bytes() {
        let on = |platform, text: &str| {
            Message::text(text).check(platform, Allow::default()).map_err(|error| error.to_string())
        };
        let long = |length, unit, most| Err(format!("message[text] has {length} {unit}; Meta takes {most} at most"));
        assert_eq!(on(Platform::Messenger, "hi"), Ok(()));
        assert_eq!(on(Platform::Messenger, &"é".repeat(1999)), Ok(()));
        assert_eq!(on(Platform::Messenger, &"e".repeat(2000)), long(2000, "characters", 1999));
        assert_eq!(on(Platform::Instagram, &"é".repeat(500)), Ok(()));
        assert_eq!(on(Platform::Instagram, &"é".repeat(501)), long(1002, "bytes", 1000));
        for platform in Platform::ALL {
            assert_eq!(on(platform, " \n"), Err("the text is empty".to_owned()));
        }
    }

    #[test]
    fn a_message_has_exactly_one_content() {
        assert_eq!(check_json(json!({})), Err(InvalidRequest::NoContent));
        assert_eq!(check_json(json!({"text": null})), Err(InvalidRequest::NoContent));
        let companions = json!({"metadata": "m", "quick_replies": [], "quick_reply_type": "t"});
        assert_eq!(check_json(companions), Err(InvalidRequest::NoContent));
        for (first, second) in CONTENTS.iter().zip(&CONTENTS[1..]) {
            let several = InvalidRequest::SeveralContents { first, second };
            assert_eq!(check_json(json!({*second: "1", *first: "1"})), Err(several));
        }
    }

    #[test]
    fn what_nobody_here_knows_is_left_to_meta() {
        assert_eq!(check_json(json!({"hologram": {"id": 1}})), Ok(()));
        assert_eq!(check_json(json!({"text": "hi", "sparkle": true})), Ok(()));
        assert_eq!(check_json(json!({"hologram": null})), Err(InvalidRequest::NoContent));
    }

    #[test]
    fn metadata_is_short() {
        assert_eq!(check(&Message::text("hi").with_metadata("é".repeat(999))), Ok(()));
        let error = check(&Message::text("hi").with_metadata("é".repeat(1000))).unwrap_err();
        assert_eq!(error.to_string(), "message[metadata] has 1000 characters; Meta takes 999 at most");
    }

    #[test]
    fn lists_of_pictures_are_held_back_unless_the_caller_insists() {
        let list = Message::attachments([Attachment::by_id(MediaKind::Image, "1".parse().unwrap())]);
        assert_eq!(check(&list), Err(InvalidRequest::AttachmentList));
        let allow = Allow { attachment_lists: true, ..Allow::default() };
        assert_eq!(list.check(Platform::Messenger, allow), Ok(()));
        let eleven = Message::attachments(vec![Attachment::by_id(MediaKind::Image, "1".parse().unwrap()); 11]);
        assert_eq!(eleven.check(Platform::Messenger, allow), Ok(()));
        assert!(eleven.check(Platform::Instagram, allow).is_err());
    }

    #[test]
    fn wrong_types_under_known_keys_are_named() {
        for (message, parameter, expected) in [
            (json!({"text": 7}), "text", "a string"),
            (json!({"dynamic_text": "hi"}), "dynamic_text", "a JSON object"),
            (json!({"dynamic_text": {"text": "a", "fallback_text": 1}}), "dynamic_text][fallback_text", "a string"),
            (json!({"attachment": []}), "attachment", "a JSON object"),
            (json!({"template": 1}), "template", "a JSON object"),
            (json!({"text": "hi", "metadata": {}}), "metadata", "a string"),
            (json!({"text": "hi", "quick_replies": {}}), "quick_replies", "a list"),
            (json!({"text": "hi", "quick_reply_type": 1}), "quick_reply_type", "a string"),
        ] {
            let error = check_json(message).unwrap_err();
            assert_eq!(error.to_string(), format!("message[{parameter}] must be {expected}"));
        }
        let sticker = check_json(json!({"sticker_id": "smile"})).unwrap_err();
        assert_eq!(sticker.to_string(), "message[sticker_id] must be made of digits");
        let blank = check_json(json!({"dynamic_text": {"fallback_text": "a"}})).unwrap_err();
        assert_eq!(blank.to_string(), "message[dynamic_text][text] is required");
    }

    #[test]
    fn a_local_reference_counts_as_an_id() {
        assert_eq!(check(&Attachment::by_file(MediaKind::Image, "hero.png").into()), Ok(()));
        let misplaced = check_json(json!({"text": "hi", "file": "hero.png"})).unwrap_err();
        assert!(matches!(misplaced, InvalidRequest::MisplacedReference { .. }), "{misplaced:?}");
    }
}
