//! What a message may hold, and which attachments it draws on.
//!
//! Templates other than the media template and utility templates are read only as far as attachment ids go.
//!
//! Source: Messenger Platform, Send API reference (v25.0); Graph API reference, Page `messages` edge (v25.0).

use serde_json::Value;

use super::super::error::GraphError;
use super::super::params::FilePart;
use super::super::people::PersonPlatform;
use super::super::shape::{self, Object, only, present};
use super::attachment::{self, MEDIA, Media, Source};
use super::{media_template, quick_reply, utility};

/// The parts of a message that are something to show; a message has one.
const CONTENTS: [&str; 6] = ["text", "dynamic_text", "attachment", "attachments", "template", "sticker_id"];
/// The parts that go with it.
const COMPANIONS: [&str; 3] = ["metadata", "quick_replies", "quick_reply_type"];

/// Attachments without bytes of their own.
const OTHER_TYPES: [&str; 7] = ["template", "fallback", "location", "reel", "ig_reel", "like_heart", "media_share"];

/// Lengths are counted in characters, and the number itself is too many. Source: Send API reference, `message` (v25.0).
const TEXT_LIMIT: usize = 2_000;
const METADATA_LIMIT: usize = 1_000;
/// Source: Instagram Messaging, Send a Message (read 2026-09-11).
const MAX_INSTAGRAM_TEXT_BYTES: usize = 1_000;

/// What a sound message needs of the sandbox.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    /// Ids the Page must be allowed to send.
    pub(super) saved: Vec<String>,
    /// Media that came with the message.
    pub(super) brought: Vec<Media<'a>>,
}

impl<'a> Needs<'a> {
    fn add(&mut self, media: Media<'a>) -> Result<(), GraphError> {
        match media.source {
            Source::Nothing => return Err(GraphError::empty_message()),
            Source::Saved(id) => self.saved.push(id),
            Source::Url(_) | Source::File(_) => self.brought.push(media),
        }
        Ok(())
    }
}

/// Checks `message`, to somebody on `platform`, and the `files` that came with it.
pub(super) fn check<'a>(
    message: &'a Object,
    files: &'a [FilePart],
    platform: PersonPlatform,
) -> Result<Needs<'a>, GraphError> {
    only(message, &[CONTENTS.as_slice(), &COMPANIONS].concat(), "message")?;
    shape::short_text(message, "metadata", "message[metadata]", METADATA_LIMIT)?;
    quick_reply::check(message)?;
    let mut contents = CONTENTS.into_iter().filter(|content| present(message, content).is_some());
    let content = contents.next().ok_or_else(GraphError::empty_message)?;
    if let Some(other) = contents.next() {
        return Err(GraphError::parameter(format!("Param message must not have both {content} and {other}")));
    }
    if content != "attachment" && !files.is_empty() {
        return Err(GraphError::file_count());
    }
    let mut needs = Needs::default();
    match content {
        "text" => check_text(message, platform)?,
        "dynamic_text" => check_dynamic_text(message)?,
        "template" => utility::check(message)?,
        "attachment" => check_attachment(message, files, &mut needs)?,
        "attachments" => check_pictures(message, platform, &mut needs)?,
        _ => {
            shape::numeric(message, "sticker_id", "message[sticker_id]")?;
        }
    }
    Ok(needs)
}

fn check_text(message: &Object, platform: PersonPlatform) -> Result<(), GraphError> {
    match shape::short_text(message, "text", "message[text]", TEXT_LIMIT)? {
        Some("") => Err(GraphError::empty_message()),
        Some(text) if platform == PersonPlatform::Instagram && text.len() > MAX_INSTAGRAM_TEXT_BYTES => Err(
            GraphError::parameter(format!("Param message[text] must have at most {MAX_INSTAGRAM_TEXT_BYTES} bytes")),
        ),
        _ => Ok(()),
    }
}

/// Source: Page `messages` edge, `dynamic_text` (v25.0).
fn check_dynamic_text(message: &Object) -> Result<(), GraphError> {
    let param = "message[dynamic_text]";
    let text = shape::object(message, "dynamic_text", param)?.ok_or_else(|| GraphError::required(param))?;
    only(text, &["fallback_text", "text"], param)?;
    let param = "message[dynamic_text][text]";
    shape::short_text(text, "text", param, TEXT_LIMIT)?.ok_or_else(|| GraphError::required(param))?;
    shape::short_text(text, "fallback_text", "message[dynamic_text][fallback_text]", TEXT_LIMIT)?;
    Ok(())
}

fn check_attachment<'a>(message: &'a Object, files: &'a [FilePart], needs: &mut Needs<'a>) -> Result<(), GraphError> {
    let param = "message[attachment]";
    let attachment = shape::object(message, "attachment", param)?.ok_or_else(|| GraphError::required(param))?;
    let types = [MEDIA.as_slice(), &OTHER_TYPES].concat();
    match shape::one_of(attachment, "type", "message[attachment][type]", &types)? {
        Some("template") if files.is_empty() => check_template(attachment, needs),
        Some(kind) if OTHER_TYPES.contains(&kind) => {
            if files.is_empty() {
                Ok(())
            } else {
                Err(GraphError::file_count())
            }
        }
        _ => needs.add(attachment::media(attachment, files, "messenger", param)?),
    }
}

/// A list of pictures. Source: Send a Message, "limited to 30 images at once" (read May 2026); Instagram Messaging, Send
/// a Message (read 2026-09-11).
fn check_pictures<'a>(message: &'a Object, platform: PersonPlatform, needs: &mut Needs<'a>) -> Result<(), GraphError> {
    let most = if platform == PersonPlatform::Instagram { 10 } else { 30 };
    let pictures = shape::list(message, "attachments", "message[attachments]")?.map_or(&[][..], Vec::as_slice);
    if pictures.is_empty() || pictures.len() > most {
        return Err(GraphError::parameter(format!("Param message[attachments] must have 1 to {most} items")));
    }
    for (place, picture) in pictures.iter().enumerate() {
        let param = format!("message[attachments][{place}]");
        let picture = picture.as_object().ok_or_else(|| GraphError::required(&param))?;
        shape::one_of(picture, "type", &format!("{param}[type]"), &["image"])?;
        needs.add(attachment::media(picture, &[], "messenger", &param)?)?;
    }
    Ok(())
}

fn check_template(attachment: &Object, needs: &mut Needs) -> Result<(), GraphError> {
    let param = "message[attachment][payload]";
    only(attachment, &["type", "payload"], "message[attachment]")?;
    let payload = shape::object(attachment, "payload", param)?.ok_or_else(|| GraphError::required(param))?;
    let param = "message[attachment][payload][template_type]";
    let kind = shape::text(payload, "template_type", param)?.ok_or_else(|| GraphError::required(param))?;
    if kind == "media" {
        needs.saved.extend(media_template::check(payload)?);
        return Ok(());
    }
    let elements = payload.get("elements").and_then(Value::as_array);
    for element in elements.into_iter().flatten().filter_map(Value::as_object) {
        let param = "message[attachment][payload][elements][attachment_id]";
        needs.saved.extend(shape::numeric(element, "attachment_id", param)?);
    }
    Ok(())
}
