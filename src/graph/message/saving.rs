//! Messages that bring media along, and keep it: Meta answers with an id that is good for everybody.
//!
//! **Source**: "Saving Assets", Send API (read 2026-04-22): `is_reusable` in the payload.

use serde_json::{Map, Value, json};

use super::attachment::{Attachment, MediaSource};
use super::body::Message;
use crate::ids::MediaKind;

impl Message {
    /// What Meta finds at a web address, and keeps.
    pub fn saving_url(kind: MediaKind, url: impl Into<String>) -> Self {
        Attachment { kind, source: MediaSource::Url { url: url.into(), is_reusable: true } }.into()
    }

    /// What travels in the same call, as its file, and is kept. Alone it is no message.
    pub(in crate::graph) fn saving_file(kind: MediaKind) -> Self {
        let attachment = json!({"type": kind, "payload": {"is_reusable": true}});
        Self::from_json(Map::from_iter([("attachment".to_owned(), attachment)]))
    }

    /// Whether it holds audio or video, or does not say what it holds, which Meta lets a Page send less often.
    ///
    /// **Source**: "Rate Limiting" (read 2026-03-23): 10 a second.
    pub fn has_sound_or_video(&self) -> bool {
        self.as_json().values().any(is_sound_or_video)
    }
}

/// What holds sound or video, or may: the last are Instagram's words for whatever was posted there.
const HEAVY: [&str; 5] = ["audio", "video", "media_share", "reel", "ig_reel"];

fn is_sound_or_video(value: &Value) -> bool {
    let is_heavy =
        |word: &Value| word.as_str().is_some_and(|word| HEAVY.iter().any(|heavy| word.eq_ignore_ascii_case(heavy)));
    match value {
        Value::Object(object) => {
            ["type", "media_type"].iter().filter_map(|key| object.get(*key)).any(is_heavy)
                || object.values().any(is_sound_or_video)
        }
        Value::Array(items) => items.iter().any(is_sound_or_video),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_along_is_kept() {
        let message = Message::saving_url(MediaKind::Audio, "https://example.com/a.mp3");
        assert_eq!(
            Value::Object(message.as_json().clone()),
            json!({"attachment": {"type": "audio", "payload": {"url": "https://example.com/a.mp3", "is_reusable": true}}})
        );
    }

    #[test]
    fn sound_and_video_are_found_wherever_they_stand() {
        let is = |json: Value| {
            let Value::Object(json) = json else { panic!("an object") };
            Message::from_json(json).has_sound_or_video()
        };
        assert!(is(json!({"attachment": {"type": "VIDEO", "payload": {}}})));
        assert!(is(json!({"attachment": {"type": "template", "payload": {"elements": [{"media_type": "video"}]}}})));
        assert!(!is(json!({"attachment": {"type": "image", "payload": {"url": "https://a.example/video"}}})));
        assert!(!is(json!({"text": "audio"})));
    }
}
