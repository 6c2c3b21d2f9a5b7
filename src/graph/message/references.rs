//! Local references: `"file": "hero.png"` or `"asset": "@hero"` where Meta expects an `attachment_id`.
//!
//! They may stand in any object of a message that could hold an attachment id, known to us or not, and nowhere else: not
//! in the message itself, an attachment beside its payload, a quick reply or a utility template. Places are named by JSON
//! pointer (RFC 6901), such as `/attachment/payload`.

use serde_json::{Map, Value};

use super::body::Message;
use super::error::InvalidRequest;
use crate::ids::{AttachmentId, MediaKind};

/// A local reference in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The JSON pointer of the object that holds it.
    pub pointer: String,
    /// Under which key.
    pub key: ReferenceKey,
    /// As it is written.
    pub text: String,
    /// What its place demands; `None` where nothing there says.
    pub kind: Option<MediaKind>,
}

/// How an asset is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferenceKey {
    /// `file`: a path.
    File,
    /// `asset`: `@alias`, `sha256:HEX`, a web address, or a path.
    Asset,
}

impl ReferenceKey {
    const ALL: [Self; 2] = [Self::File, Self::Asset];

    /// The key in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Asset => "asset",
        }
    }
}

impl Message {
    /// The local references in it, in the order they are written; those [`check`](super::SendRequest::check) refuses are
    /// left out.
    pub fn references(&self) -> Vec<Reference> {
        scan(self.as_json()).into_iter().filter_map(Result::ok).collect()
    }

    /// The message with another text for each reference whose object is named, by its pointer.
    #[must_use]
    pub fn with_references(&self, texts: &[(String, String)]) -> Self {
        let mut json = Value::Object(self.as_json().clone());
        for Reference { pointer, key, .. } in self.references() {
            let text = texts.iter().find(|(place, _)| *place == pointer).map(|(_, text)| text);
            let written = json.pointer_mut(&pointer).and_then(|object| object.get_mut(key.as_str()));
            if let (Some(text), Some(written)) = (text, written) {
                *written = text.as_str().into();
            }
        }
        match json {
            Value::Object(json) => Self::from_json(json),
            _ => self.clone(),
        }
    }

    /// The message with an attachment id in place of each reference whose object is named, by its pointer. The kind of
    /// the id fills in a `type` or `media_type` that is missing there; one that is written stays.
    #[must_use]
    pub fn with_ids(&self, ids: &[(String, MediaKind, AttachmentId)]) -> Self {
        let mut json = Value::Object(self.as_json().clone());
        for reference in self.references() {
            if let Some((pointer, kind, id)) = ids.iter().find(|(pointer, ..)| *pointer == reference.pointer) {
                put_id(&mut json, pointer, id);
                fill_kind(&mut json, pointer, *kind);
            }
        }
        match json {
            Value::Object(json) => Self::from_json(json),
            _ => self.clone(),
        }
    }
}

/// Refuses every reference: none may leave this machine.
pub(super) fn check_resolved(message: &Message) -> Result<(), InvalidRequest> {
    match message.references().first() {
        Some(Reference { pointer, key, .. }) => {
            Err(InvalidRequest::Unresolved { parameter: parameter(pointer), key: key.as_str() })
        }
        None => Ok(()),
    }
}

/// Refuses references that are no texts, stand in the wrong place, or beside something that says the same.
pub(super) fn check(message: &Map<String, Value>) -> Result<(), InvalidRequest> {
    scan(message).into_iter().try_for_each(|found| found.map(drop))
}

fn put_id(json: &mut Value, pointer: &str, id: &AttachmentId) {
    let Some(object) = json.pointer_mut(pointer).and_then(Value::as_object_mut) else { return };
    let written = std::mem::take(object).into_iter();
    *object = written
        .map(|(key, value)| match key.as_str() {
            "file" | "asset" if !value.is_null() => ("attachment_id".to_owned(), id.as_str().into()),
            _ => (key, value),
        })
        // A null beside it counts as absent, and would take its place.
        .filter(|(key, value)| !(value.is_null() && ["attachment_id", "url", "file", "asset"].contains(&key.as_str())))
        .collect();
}

fn fill_kind(json: &mut Value, pointer: &str, kind: MediaKind) {
    let is_media_template = json.pointer("/attachment/payload/template_type").and_then(Value::as_str);
    let is_media_template = is_media_template.is_some_and(|word| word.eq_ignore_ascii_case("media"));
    let (holder, key) = match pointer.strip_suffix("/payload") {
        Some(holder) if holder == "/attachment" || holder.starts_with("/attachments/") => (holder, "type"),
        _ if is_media_template && pointer.starts_with("/attachment/payload/elements/") => (pointer, "media_type"),
        _ => return,
    };
    let Some(object) = json.pointer_mut(holder).and_then(Value::as_object_mut) else { return };
    if object.get(key).is_none_or(Value::is_null) {
        object.shift_insert(0, key.to_owned(), kind.as_str().into());
    }
}

/// Every reference, and what is wrong with those that are none.
fn scan(message: &Map<String, Value>) -> Vec<Result<Reference, InvalidRequest>> {
    let mut found = Vec::new();
    look(message, "", Place::Never, &mut found);
    for (key, value) in message {
        let place = match key.as_str() {
            "attachment" | "attachments" => Place::Holder,
            "dynamic_text" | "quick_replies" | "template" => Place::Never,
            _ => Place::Media(None),
        };
        walk(value, &child("", key), place, &mut found);
    }
    found
}

/// What may stand in an object.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A reference, of this kind if any is demanded.
    Media(Option<MediaKind>),
    /// None, but what is under it may hold one.
    Holder,
    /// None, here and below.
    Never,
}

fn walk(value: &Value, pointer: &str, place: Place, found: &mut Vec<Result<Reference, InvalidRequest>>) {
    match value {
        Value::Object(object) => {
            look(object, pointer, place, found);
            for (key, value) in object {
                let below = match place {
                    Place::Never => Place::Never,
                    Place::Holder if key == "payload" => Place::Media(kind_in(object, "type")),
                    Place::Holder | Place::Media(_) => Place::Media(None),
                };
                walk(value, &child(pointer, key), below, found);
            }
        }
        Value::Array(items) => {
            for (place_in_list, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{place_in_list}"), place, found);
            }
        }
        _ => {}
    }
}

/// The references in `object` itself.
fn look(object: &Map<String, Value>, pointer: &str, place: Place, found: &mut Vec<Result<Reference, InvalidRequest>>) {
    let present = |key: &str| object.get(key).filter(|value| !value.is_null());
    for key in ReferenceKey::ALL {
        let Some(value) = present(key.as_str()) else { continue };
        let parameter = || parameter(&child(pointer, key.as_str()));
        let rival = ["attachment_id", "url", "file", "asset"]
            .into_iter()
            .find(|rival| *rival != key.as_str() && present(rival).is_some());
        found.push(match (place, value, rival) {
            (Place::Holder | Place::Never, ..) => Err(InvalidRequest::MisplacedReference { parameter: parameter() }),
            (Place::Media(_), Value::String(_), Some(second)) => {
                let parameter = self::parameter(pointer);
                Err(InvalidRequest::SeveralMedia { parameter, first: key.as_str(), second })
            }
            (Place::Media(kind), Value::String(text), None) if !text.trim().is_empty() => Ok(Reference {
                pointer: pointer.to_owned(),
                key,
                text: text.clone(),
                kind: kind_in(object, "media_type").or(kind),
            }),
            (Place::Media(_), Value::String(_), None) => Err(InvalidRequest::Missing { parameter: parameter() }),
            (Place::Media(_), ..) => Err(InvalidRequest::WrongType { parameter: parameter(), expected: "a string" }),
        });
    }
}

fn kind_in(object: &Map<String, Value>, key: &str) -> Option<MediaKind> {
    object.get(key)?.as_str()?.to_ascii_lowercase().parse().ok()
}

fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What Meta would call the place: `message[attachment][payload]` for `/attachment/payload`.
fn parameter(pointer: &str) -> String {
    let keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
    keys.fold("message".to_owned(), |name, key| format!("{name}[{key}]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(json: Value) -> Message {
        let Value::Object(json) = json else { panic!("a message is an object") };
        Message::from_json(json)
    }

    fn error(json: Value) -> String {
        let message = message(json);
        assert_eq!(message.references(), [], "a reference that is refused is none");
        check(message.as_json()).unwrap_err().to_string()
    }

    fn found(json: Value) -> Vec<(String, ReferenceKey, String, Option<MediaKind>)> {
        let message = message(json);
        assert_eq!(check(message.as_json()), Ok(()));
        message.references().into_iter().map(|found| (found.pointer, found.key, found.text, found.kind)).collect()
    }

    #[test]
    fn a_reference_is_found_wherever_an_id_could_stand_with_the_kind_its_place_demands() {
        use MediaKind::{Audio, Image, Video};
        use ReferenceKey::{Asset, File};
        let payload = "/attachment/payload";
        for (json, pointer, key, text, kind) in [
            (
                json!({"attachment": {"type": "image", "payload": {"file": "a.png"}}}),
                payload,
                File,
                "a.png",
                Some(Image),
            ),
            (json!({"attachment": {"payload": {"asset": "@a"}, "type": "AUDIO"}}), payload, Asset, "@a", Some(Audio)),
            (json!({"attachment": {"payload": {"asset": "@a"}}}), payload, Asset, "@a", None),
            (json!({"attachment": {"type": "MEDIA_SHARE", "payload": {"file": "a"}}}), payload, File, "a", None),
            (
                json!({"attachment": {"type": "template", "payload": {
                    "template_type": "media", "elements": [{"media_type": "video", "file": "a.mp4"}]
                }}}),
                "/attachment/payload/elements/0",
                File,
                "a.mp4",
                Some(Video),
            ),
            (
                json!({"attachment": {"type": "template", "payload": {"cards": [{}, {"art/work": {"asset": "sha256:ab"}}]}}}),
                "/attachment/payload/cards/1/art~1work",
                Asset,
                "sha256:ab",
                None,
            ),
            (json!({"story": {"file": "a.png"}}), "/story", File, "a.png", None),
        ] {
            assert_eq!(found(json), [(pointer.to_owned(), key, text.to_owned(), kind)]);
        }
    }

    #[test]
    fn every_picture_of_a_list_is_found_in_order() {
        let picture = |file: &str| json!({"type": "image", "payload": {"file": file}});
        let list =
            found(json!({"attachments": [picture("a"), {"type": "image", "payload": {"url": "u"}}, picture("b")]}));
        let pointers: Vec<_> = list.iter().map(|(pointer, ..)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/attachments/0/payload", "/attachments/2/payload"]);
        assert!(list.iter().all(|(.., kind)| *kind == Some(MediaKind::Image)));
    }

    #[test]
    fn a_reference_out_of_place_is_refused() {
        for (json, place) in [
            (json!({"file": "a"}), "message[file]"),
            (json!({"text": "hi", "asset": "@a"}), "message[asset]"),
            (json!({"attachment": {"type": "image", "file": "a"}}), "message[attachment][file]"),
            (json!({"attachments": [{"type": "image", "file": "a"}]}), "message[attachments][0][file]"),
            (json!({"quick_replies": [{"data": {"file": "a"}}]}), "message[quick_replies][0][data][file]"),
            (json!({"template": {"components": [{"file": "a"}]}}), "message[template][components][0][file]"),
            (json!({"dynamic_text": {"file": "a"}}), "message[dynamic_text][file]"),
        ] {
            assert_eq!(error(json), format!("{place} stands where Meta expects no attachment_id"));
        }
    }

    #[test]
    fn a_reference_is_a_text_and_stands_alone() {
        let in_payload = |payload: Value| error(json!({"attachment": {"type": "image", "payload": payload}}));
        assert_eq!(in_payload(json!({"file": 7})), "message[attachment][payload][file] must be a string");
        assert_eq!(in_payload(json!({"file": " "})), "message[attachment][payload][file] is required");
        for (payload, first, second) in [
            (json!({"file": "a", "attachment_id": "1"}), "file", "attachment_id"),
            (json!({"asset": "a", "url": ""}), "asset", "url"),
            (json!({"file": "a", "asset": "b"}), "file", "asset"),
        ] {
            let both = format!("message[attachment][payload] has both {first} and {second}, and needs exactly one");
            assert_eq!(in_payload(payload), both);
        }
        assert_eq!(found(json!({"attachment": {"payload": {"file": "a", "asset": null, "url": null}}})).len(), 1);
    }

    #[test]
    fn ids_take_the_place_of_references_and_nothing_else_moves() {
        let written = message(json!({"metadata": "m", "attachment": {"type": "template", "payload": {
            "template_type": "media", "elements": [{"buttons": [], "file": "a.png", "title": "t"}]
        }}}));
        let id: AttachmentId = "12".parse().unwrap();
        let pointer = "/attachment/payload/elements/0".to_owned();
        let ready = written.with_ids(&[(pointer, MediaKind::Image, id)]);
        assert_eq!(
            Value::Object(ready.as_json().clone()).to_string(),
            r#"{"metadata":"m","attachment":{"type":"template","payload":{"template_type":"media","elements":[{"media_type":"image","buttons":[],"attachment_id":"12","title":"t"}]}}}"#
        );
        assert!(!written.references().is_empty() && ready.references().is_empty());
        assert_eq!(ready.attachment_ids(), ["12"]);
    }

    #[test]
    fn a_missing_type_is_filled_in_and_a_written_one_stays() {
        let ready = |json: Value| {
            let message = message(json);
            let ids: Vec<_> = message
                .references()
                .into_iter()
                .map(|reference| (reference.pointer, MediaKind::Video, "12".parse().unwrap()))
                .collect();
            Value::Object(message.with_ids(&ids).as_json().clone())
        };
        let sent = json!({"attachment": {"type": "video", "payload": {"attachment_id": "12"}}});
        assert_eq!(ready(json!({"attachment": {"payload": {"file": "a"}}})), sent);
        assert_eq!(ready(json!({"attachment": {"type": null, "payload": {"file": "a"}}})), sent);
        assert_eq!(ready(json!({"attachment": {"payload": {"file": "a", "attachment_id": null, "url": null}}})), sent);
        let share = ready(json!({"attachment": {"type": "MEDIA_SHARE", "payload": {"file": "a"}}}));
        assert_eq!(share, json!({"attachment": {"type": "MEDIA_SHARE", "payload": {"attachment_id": "12"}}}));
        let list = ready(json!({"attachments": [{"payload": {"asset": "a"}}]}));
        assert_eq!(list, json!({"attachments": [{"type": "video", "payload": {"attachment_id": "12"}}]}));
        let unknown = ready(json!({"attachment": {"type": "template", "payload": {"elements": [{"file": "a"}]}}}));
        assert_eq!(
            unknown,
            json!({"attachment": {"type": "template", "payload": {"elements": [{"attachment_id": "12"}]}}})
        );
    }

    #[test]
    fn an_id_for_nothing_changes_nothing() {
        let written = message(json!({"attachment": {"payload": {"file": "a"}}}));
        let id: AttachmentId = "12".parse().unwrap();
        for pointer in ["", "/attachment", "/nowhere"] {
            assert_eq!(written.with_ids(&[(pointer.to_owned(), MediaKind::Image, id.clone())]), written, "{pointer}");
        }
    }
}
