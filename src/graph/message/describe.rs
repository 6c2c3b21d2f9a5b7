//! What is sent, in a few words for people: `image 1857…`, `23 characters of text`, `typing_on`.

use serde_json::{Map, Value};
use url::Url;

use super::body::Message;
use super::request::Content;

impl Content {
    /// What it is, in a few words: its kind and, of media, its id, its file or its host. Nothing of a text is repeated;
    /// what is comes from the message, so it is to be made harmless before a terminal sees it.
    pub fn describe(&self) -> String {
        match self {
            Self::Action(action) => action.as_str().to_owned(),
            Self::Message(message) => message.describe(),
        }
    }
}

impl Message {
    fn describe(&self) -> String {
        let json = self.as_json();
        let dynamic = json.get("dynamic_text").and_then(|dynamic| dynamic.get("text"));
        if let Some(text) = json.get("text").or(dynamic).and_then(Value::as_str) {
            return match text.chars().count() {
                1 => "1 character of text".to_owned(),
                count => format!("{count} characters of text"),
            };
        }
        if let Some(attachment) = json.get("attachment").and_then(Value::as_object) {
            return describe_attachment(attachment);
        }
        if let Some(pictures) = json.get("attachments").and_then(Value::as_array) {
            return match pictures.len() {
                1 => "1 image".to_owned(),
                count => format!("{count} images"),
            };
        }
        if let Some(template) = json.get("template") {
            let name = template.get("name").and_then(Value::as_str).unwrap_or_default();
            return format!("utility template {name}").trim_end().to_owned();
        }
        match json.get("sticker_id") {
            Some(Value::String(id)) => format!("sticker {id}"),
            Some(id) => format!("sticker {id}"),
            None => "message".to_owned(),
        }
    }
}

fn describe_attachment(attachment: &Map<String, Value>) -> String {
    let word = |object: &Map<String, Value>, key| Some(object.get(key)?.as_str()?.to_ascii_lowercase());
    let kind = word(attachment, "type").unwrap_or_else(|| "attachment".to_owned());
    let Some(payload) = attachment.get("payload").and_then(Value::as_object) else { return kind };
    if kind != "template" {
        return format!("{kind} {}", source(payload)).trim_end().to_owned();
    }
    let template = word(payload, "template_type").map_or(kind.clone(), |name| format!("{name} {kind}"));
    let element = payload.get("elements").and_then(|elements| elements.get(0)).and_then(Value::as_object);
    match element.map(|element| (word(element, "media_type"), source(element))) {
        Some((media_type, source)) if media_type.is_some() || !source.is_empty() => {
            let media_type = media_type.unwrap_or_else(|| "media".to_owned());
            format!("{template} with {media_type} {source}").trim_end().to_owned()
        }
        _ => template,
    }
}

/// Which media; of a web address its host alone, because a query may hold a secret. Empty if nothing says.
fn source(object: &Map<String, Value>) -> String {
    let text = |key| object.get(key).and_then(Value::as_str);
    let host = |url| Some(format!("from {}", Url::parse(url).ok()?.host_str()?));
    match (text("attachment_id").or(text("file")), text("asset"), text("url")) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(asset), _) => host(asset).unwrap_or_else(|| asset.to_owned()),
        (None, None, Some(url)) => host(url).unwrap_or_else(|| "from a web address".to_owned()),
        (None, None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::message::{Attachment, MediaTemplate, SenderAction, UtilityTemplate};
    use crate::ids::MediaKind;

    #[test]
    fn every_content_is_told_in_a_few_words() {
        let image = Attachment::by_id(MediaKind::Image, "1857777774821032".parse().unwrap());
        let page = Attachment::by_url(MediaKind::Video, "https://www.facebook.com/p?token=secret");
        let contents: [(Content, &str); 12] = [
            (SenderAction::TypingOn.into(), "typing_on"),
            (SenderAction::react("m_1", "😊").into(), "react"),
            (Message::text("héé").into(), "3 characters of text"),
            (Message::text("h").into(), "1 character of text"),
            (Message::dynamic_text("hello", None).into(), "5 characters of text"),
            (image.clone().into(), "image 1857777774821032"),
            (Attachment::by_file(MediaKind::Audio, "a.mp3").into(), "audio a.mp3"),
            (page.clone().into(), "video from www.facebook.com"),
            (MediaTemplate::new(image.clone()).into(), "media template with image 1857777774821032"),
            (Message::attachments([image.clone(), image]).into(), "2 images"),
            (Message::sticker(767).into(), "sticker 767"),
            (
                UtilityTemplate { name: "order".into(), language: "en".into(), components: Vec::new() }.into(),
                "utility template order",
            ),
        ];
        for (content, words) in contents {
            assert_eq!(content.describe(), words);
        }
    }

    #[test]
    fn messages_nobody_knows_are_told_as_far_as_they_go() {
        for (json, words) in [
            (json!({"hologram": 1}), "message"),
            (json!({"attachment": {"payload": {"asset": "@hero"}}}), "attachment @hero"),
            (
                json!({"attachment": {"type": "image", "payload": {"asset": "https://a.example/b?key=secret"}}}),
                "image from a.example",
            ),
            (json!({"attachment": {"type": "image", "payload": {"url": "?key=secret"}}}), "image from a web address"),
            (json!({"attachment": {"type": "LIKE_HEART"}}), "like_heart"),
            (json!({"attachment": {"type": "template", "payload": {"template_type": "generic"}}}), "generic template"),
            (
                json!({"attachment": {"type": "template", "payload": {"elements": [{"file": "a"}]}}}),
                "template with media a",
            ),
            (json!({"template": 7}), "utility template"),
            (json!({"sticker_id": "9"}), "sticker 9"),
        ] {
            let Value::Object(message) = json else { panic!("an object") };
            assert_eq!(Content::Message(Message::from_json(message)).describe(), words);
        }
    }
}
