//! The media template: one picture or video with buttons. Other templates are left to Meta.

use serde_json::{Value, json};

use super::attachment::{Attachment, check_source, web_address};
use super::body::Message;
use super::button::{self, Button};
use super::error::InvalidRequest;
use super::fields::Fields;

/// The most buttons under it. **Source**: "Media template" (read 2026-04-22).
const MOST_BUTTONS: usize = 3;

/// A picture or a video with up to three buttons.
///
/// It is for buttons: recipients have been seen to get "attachment not supported" in its place where a plain attachment
/// arrives. A web address in it must be one on Facebook.
///
/// **Source**: "Media template" (read 2026-04-22).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaTemplate {
    /// What is shown: an image or a video.
    pub media: Attachment,
    /// What is under it.
    pub buttons: Vec<Button>,
    /// Whether recipients get a button to share it.
    pub sharable: bool,
}

impl MediaTemplate {
    /// `media` without any button.
    pub fn new(media: Attachment) -> Self {
        Self { media, buttons: Vec::new(), sharable: false }
    }

    fn to_json(&self) -> Value {
        let mut element = self.media.source.to_json();
        element.shift_insert(0, "media_type".to_owned(), self.media.kind.as_str().into());
        if !self.buttons.is_empty() {
            element.insert("buttons".to_owned(), json!(self.buttons));
        }
        let mut payload = json!({"template_type": "media", "elements": [element]});
        if self.sharable {
            payload["sharable"] = true.into();
        }
        json!({"type": "template", "payload": payload})
    }
}

impl From<MediaTemplate> for Message {
    fn from(template: MediaTemplate) -> Self {
        Self::with("attachment", template.to_json())
    }
}

/// Checks the payload of an attachment of type `template`.
pub(super) fn check(payload: &Fields<'_>) -> Result<(), InvalidRequest> {
    if !payload.required_text("template_type")?.eq_ignore_ascii_case("media") {
        return Ok(());
    }
    payload.boolean("sharable")?;
    let elements = payload.objects("elements")?;
    let [element] = elements.as_slice() else {
        let parameter = payload.parameter("elements");
        return Err(InvalidRequest::ItemCount { parameter, count: elements.len(), least: 1, most: 1 });
    };
    check_element(element)
}

fn check_element(element: &Fields<'_>) -> Result<(), InvalidRequest> {
    let media_type = element.word("media_type", &["image", "video"])?;
    match check_source(element)? {
        // What the file or asset turns out to be decides.
        ("file" | "asset", _) => {}
        ("url", url) => {
            element.required("media_type", media_type)?;
            check_facebook(element, url)?;
        }
        _ => drop(element.required("media_type", media_type)?),
    }
    let buttons = element.objects("buttons")?;
    if buttons.len() > MOST_BUTTONS {
        let parameter = element.parameter("buttons");
        return Err(InvalidRequest::ItemCount { parameter, count: buttons.len(), least: 0, most: MOST_BUTTONS });
    }
    buttons.iter().try_for_each(button::check)
}

/// **Source**: "Media template" (read 2026-04-22): "does not allow any external URL, only those on Facebook"; errors
/// 2018184 to 2018188.
fn check_facebook(element: &Fields<'_>, url: &str) -> Result<(), InvalidRequest> {
    let url = web_address(element, "url", url)?;
    let host = url.host_str().unwrap_or_default();
    if host == "facebook.com" || host.ends_with(".facebook.com") {
        return Ok(());
    }
    Err(InvalidRequest::NotFacebookUrl { parameter: element.parameter("url") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MediaKind;

    #[expect(clippy::needless_pass_by_value, reason = "a test reads better so")]
    fn check_element_json(element: Value) -> Result<(), InvalidRequest> {
        check_json(json!({"template_type": "media", "elements": [element]}))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test reads better so")]
    fn check_json(payload: Value) -> Result<(), InvalidRequest> {
        check(&Fields::new("payload", payload.as_object().unwrap()))
    }

    #[test]
    fn a_template_is_written_as_meta_writes_it_and_sound() {
        let plain = MediaTemplate::new(Attachment::by_id(MediaKind::Image, "12".parse().unwrap()));
        let full = MediaTemplate {
            media: Attachment::by_url(MediaKind::Video, "https://www.facebook.com/p/videos/1"),
            buttons: vec![Button::AccountUnlink],
            sharable: true,
        };
        let payload = json!({"template_type": "media", "elements": [{"media_type": "image", "attachment_id": "12"}]});
        assert_eq!(plain.to_json(), json!({"type": "template", "payload": payload}));
        assert_eq!(
            full.to_json().to_string(),
            r#"{"type":"template","payload":{"template_type":"media","elements":[{"media_type":"video","url":"https://www.facebook.com/p/videos/1","buttons":[{"type":"account_unlink"}]}],"sharable":true}}"#
        );
        for template in [plain, full] {
            assert_eq!(check_json(template.to_json()["payload"].clone()), Ok(()));
        }
    }

    #[test]
    fn a_media_template_has_one_picture_or_video() {
        let element = json!({"media_type": "image", "attachment_id": "1"});
        for elements in [json!([]), json!([element, element])] {
            let error = check_json(json!({"template_type": "media", "elements": elements})).unwrap_err();
            assert!(error.to_string().ends_with("items; Meta takes 1 to 1"), "{error}");
        }
        assert!(check_json(json!({"template_type": "media"})).is_err());
        assert!(check_element_json(json!({"media_type": "audio", "attachment_id": "1"})).is_err());
        assert!(check_element_json(json!({"attachment_id": "1"})).is_err());
        assert!(check_element_json(json!({"media_type": "image"})).is_err());
        assert_eq!(check_element_json(json!({"media_type": "VIDEO", "attachment_id": "1"})), Ok(()));
        assert_eq!(check_element_json(json!({"file": "hero.png"})), Ok(()));
    }

    #[test]
    fn an_id_stands_beside_no_address_and_an_address_is_on_facebook() {
        let url = |url: &str| check_element_json(json!({"media_type": "image", "url": url}));
        assert_eq!(url("https://www.facebook.com/photo.php?fbid=1"), Ok(()));
        assert_eq!(url("https://business.facebook.com/p/photos/1"), Ok(()));
        for foreign in ["https://a.example/b.png", "https://notfacebook.com/a", "https://facebook.com.example/a"] {
            let error = url(foreign).unwrap_err();
            assert_eq!(error, InvalidRequest::NotFacebookUrl { parameter: "payload[elements][0][url]".to_owned() });
        }
        let both = json!({"media_type": "image", "attachment_id": "1", "url": "https://www.facebook.com/a"});
        assert!(matches!(check_element_json(both), Err(InvalidRequest::SeveralMedia { .. })));
    }

    #[test]
    fn buttons_are_few_and_sound() {
        let with = |buttons: Value| {
            check_element_json(json!({"media_type": "image", "attachment_id": "1", "buttons": buttons}))
        };
        let button = json!({"type": "postback", "title": "a", "payload": "b"});
        assert_eq!(with(json!([button, button, button])), Ok(()));
        let error = with(json!([button, button, button, button])).unwrap_err();
        assert_eq!(error.to_string(), "payload[elements][0][buttons] has 4 items; Meta takes 0 to 3");
        let error = with(json!([{"type": "postback"}])).unwrap_err();
        assert_eq!(error.to_string(), "payload[elements][0][buttons][0][title] is required");
    }

    #[test]
    fn other_templates_are_left_to_meta() {
        assert_eq!(check_json(json!({"template_type": "generic", "elements": 7})), Ok(()));
        assert_eq!(check_json(json!({})).unwrap_err().to_string(), "payload[template_type] is required");
        let error = check_json(json!({"template_type": "media", "sharable": "no"})).unwrap_err();
        assert_eq!(error.to_string(), "payload[sharable] must be true or false");
    }
}
