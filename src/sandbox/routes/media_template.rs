//! The media template: one picture or video with buttons.
//!
//! Source: Messenger Platform, Media Template, with its own table of error codes (read 2026-04-22).

use url::Url;

use super::super::error::GraphError;
use super::super::shape::{self, Object, only};
use super::buttons;

/// Checks the template's `payload`; gives the id of the attachment it shows, if it names it by its id.
pub(super) fn check(payload: &Object) -> Result<Option<String>, GraphError> {
    let param = "message[attachment][payload]";
    only(payload, &["elements", "sharable", "template_type"], param)?;
    shape::boolean(payload, "sharable", &format!("{param}[sharable]"))?;
    let param = format!("{param}[elements]");
    let elements = shape::list(payload, "elements", &param)?.ok_or_else(|| GraphError::required(&param))?;
    let [element] = elements.as_slice() else {
        return Err(GraphError::parameter(format!("Param {param} must have exactly 1 element")));
    };
    let param = format!("{param}[0]");
    let element = element.as_object().ok_or_else(|| GraphError::required(&param))?;
    only(element, &["attachment_id", "buttons", "media_type", "url"], &param)?;
    buttons::check(element, &param)?;
    let media_type = element.get("media_type").and_then(serde_json::Value::as_str).unwrap_or_default();
    if !["image", "video"].iter().any(|known| known.eq_ignore_ascii_case(media_type)) {
        return Err(GraphError::media_template(2_018_182, "Media type is invalid: it must be image or video"));
    }
    if element.get("attachment_id").and_then(serde_json::Value::as_str) == Some("") {
        return Err(GraphError::media_template(2_018_183, "Attachment ID is missing"));
    }
    let id = shape::numeric(element, "attachment_id", &format!("{param}[attachment_id]"))?;
    match (id, shape::text(element, "url", &format!("{param}[url]"))?) {
        (Some(id), None) => Ok(Some(id)),
        (None, Some(url)) => check_url(url).map(|()| None),
        (None, None) => Err(GraphError::media_template(2_018_187, "Either url or attachment_id is required")),
        (Some(_), Some(_)) => {
            Err(GraphError::parameter(format!("Param {param} must have either url or attachment_id, not both")))
        }
    }
}

/// Only what Facebook itself shows can be named by its URL.
fn check_url(text: &str) -> Result<(), GraphError> {
    let bad = || GraphError::media_template(2_018_184, "The Facebook URL is invalid");
    let url = Url::parse(text).map_err(|_| bad())?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
    if host != "facebook.com" && !host.ends_with(".facebook.com") {
        return Err(GraphError::media_template(2_018_188, "External URLs are not supported"));
    }
    if url.path().trim_matches('/').is_empty() { Err(bad()) } else { Ok(()) }
}
