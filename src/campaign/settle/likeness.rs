//! Whether a message in a conversation is one of ours, by the looks of it: Meta shows neither metadata nor attachment ids.

use std::path::Path;

use serde_json::{Map, Value};

use crate::graph::MessageDetails;
use crate::ids::MediaKind;

/// What a message looks like in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Looks {
    /// This text.
    Text(String),
    /// An attachment of this kind.
    Media(MediaKind),
    /// A template, a sticker, several pictures: how Meta shows that is not documented.
    Uncertain,
}

/// Whether a message is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It looks just so.
    Alike,
    /// It cannot be told.
    Perhaps,
    /// It is another.
    Unlike,
}

impl Looks {
    /// What the `message` of a request, its gaps filled in, looks like.
    pub(super) fn of(message: &Map<String, Value>) -> Self {
        let text = message.get("text").and_then(Value::as_str);
        match (text, message.get("attachment"), message.get("attachments")) {
            (Some(text), None, None) => Self::Text(words(text)),
            (None, Some(attachment), None) => media(attachment).map_or(Self::Uncertain, Self::Media),
            _ => Self::Uncertain,
        }
    }

    pub(super) fn likeness(&self, shown: &MessageDetails) -> Likeness {
        match self {
            Self::Text(text) if *text == words(&shown.text) => Likeness::Alike,
            Self::Text(_) if shown.text.trim().is_empty() => Likeness::Unlike,
            Self::Media(_) if shown.attachments.is_empty() => Likeness::Unlike,
            Self::Media(kind) if shown.attachments.contains(&Some(*kind)) => Likeness::Alike,
            // Meta may show a text in another way than it was written, and a file as what it is, or say nothing of what it is.
            Self::Text(_) | Self::Media(_) | Self::Uncertain => Likeness::Perhaps,
        }
    }
}

/// The kind an attachment says it is of, or its file's name does; `None` for a template.
fn media(attachment: &Value) -> Option<MediaKind> {
    if let Some(word) = attachment.get("type").and_then(Value::as_str) {
        return MediaKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    }
    let file = attachment.pointer("/payload/file").and_then(Value::as_str)?;
    mime_guess::from_path(Path::new(file)).first_raw().map(MediaKind::of_mime)
}

/// A text without what Meta may change about it: the space between its words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn looks(message: Value) -> Looks {
        let Value::Object(message) = message else { panic!("an object") };
        Looks::of(&message)
    }

    fn shown(text: &str, attachments: &[Option<MediaKind>]) -> MessageDetails {
        MessageDetails { from: "1".to_owned(), text: text.to_owned(), attachments: attachments.to_vec() }
    }

    #[test]
    fn a_text_is_told_by_its_words_and_a_picture_by_its_kind() {
        let text = looks(json!({"text": "Hi  Ada,\nspring is here", "metadata": "m"}));
        assert_eq!(text.likeness(&shown("Hi Ada, spring is here ", &[])), Likeness::Alike);
        assert_eq!(text.likeness(&shown("Hi Bob, spring is here", &[])), Likeness::Perhaps);
        assert_eq!(text.likeness(&shown(" ", &[Some(MediaKind::Image)])), Likeness::Unlike);
        let image = Some(MediaKind::Image);
        for message in [
            json!({"attachment": {"type": "image", "payload": {"attachment_id": "1"}}}),
            json!({"attachment": {"payload": {"file": "a/hero.PNG"}}}),
        ] {
            let picture = looks(message);
            assert_eq!(picture.likeness(&shown("", &[image])), Likeness::Alike);
            assert_eq!(picture.likeness(&shown("words", &[])), Likeness::Unlike);
            assert_eq!(picture.likeness(&shown("", &[None])), Likeness::Perhaps);
            assert_eq!(picture.likeness(&shown("", &[Some(MediaKind::File)])), Likeness::Perhaps);
        }
        assert_eq!(looks(json!({"attachment": {"payload": {"file": "a.pdf"}}})), Looks::Media(MediaKind::File));
    }

    #[test]
    fn how_a_template_is_shown_nobody_knows() {
        let template = json!({"attachment": {"type": "template", "payload": {"template_type": "button", "text": "x"}}});
        for message in [template, json!({"attachment": {"payload": {"file": "README"}}}), json!({"sticker_id": 1})] {
            let looks = looks(message);
            assert_eq!(looks, Looks::Uncertain);
            assert_eq!(looks.likeness(&shown("anything", &[])), Likeness::Perhaps);
        }
    }
}
