//! Buttons under a template.

use serde::Serialize;

use super::attachment::web_address;
use super::error::InvalidRequest;
use super::fields::Fields;

/// The longest title, in characters. **Source**: "URL button", "Postback button", "Call button" (read 2026-04-22).
const MOST_TITLE: usize = 20;
/// The longest payload, in characters. **Source**: "Postback button" (read 2026-06-17).
const MOST_PAYLOAD: usize = 1000;

/// A button of a media template.
///
/// **Source**: "Buttons" and the page of each, under "Supported usage" (read 2026-04-22).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Button {
    /// Opens a web page in Messenger.
    WebUrl {
        /// What is on the button, in at most 20 characters.
        title: String,
        /// The page.
        url: String,
        /// How the page is shown.
        #[serde(flatten)]
        view: WebView,
    },
    /// Sends a payload to the Page's webhook.
    Postback {
        /// What is on the button, in at most 20 characters.
        title: String,
        /// What the webhook gets, in at most 1000 characters.
        payload: String,
    },
    /// Dials a number.
    PhoneNumber {
        /// What is on the button, in at most 20 characters.
        title: String,
        /// The number, beginning with `+` and the country's code.
        #[serde(rename = "payload")]
        number: String,
    },
    /// Links the recipient's account on a site.
    AccountLink {
        /// Where they log in; `https` only.
        url: String,
    },
    /// Unlinks it.
    AccountUnlink,
}

/// How a page is shown that a button opens; nothing of it is needed.
///
/// **Source**: "URL button" (read 2026-04-22).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WebView {
    /// How high it stands; `None` leaves it to Meta, which takes [`Full`](WebViewHeight::Full).
    #[serde(rename = "webview_height_ratio", skip_serializing_if = "Option::is_none")]
    pub height: Option<WebViewHeight>,
    /// Whether the page uses Messenger Extensions.
    #[serde(rename = "messenger_extensions", skip_serializing_if = "Option::is_none")]
    pub extensions: Option<bool>,
    /// The page for those whose Messenger knows no extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
}

/// How high a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WebViewHeight {
    /// About half.
    Compact,
    /// About three quarters.
    Tall,
    /// All of it.
    Full,
}

/// Checks a button of any type; of one nobody knows, its title only.
pub(super) fn check(button: &Fields<'_>) -> Result<(), InvalidRequest> {
    let kind = button.required_text("type")?.to_ascii_lowercase();
    if let Some(title) = button.text("title")? {
        button.at_most("title", title, MOST_TITLE)?;
    }
    match kind.as_str() {
        "web_url" => {
            button.required_text("title")?;
            let url = button.required_text("url")?;
            web_address(button, "url", url).map(drop)
        }
        "postback" => {
            button.required_text("title")?;
            button.at_most("payload", button.required_text("payload")?, MOST_PAYLOAD)
        }
        "phone_number" => {
            button.required_text("title")?;
            match button.required_text("payload")?.strip_prefix('+') {
                Some(number) if number.bytes().any(|byte| byte.is_ascii_digit()) => Ok(()),
                _ => Err(InvalidRequest::WrongType {
                    parameter: button.parameter("payload"),
                    expected: "a phone number such as +16505551234",
                }),
            }
        }
        "account_link" => match web_address(button, "url", button.required_text("url")?)?.scheme() {
            "https" => Ok(()),
            _ => Err(InvalidRequest::WrongType { parameter: button.parameter("url"), expected: "an https URL" }),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check_json(button: &Value) -> Result<(), InvalidRequest> {
        check(&Fields::new("button", button.as_object().unwrap()))
    }

    #[test]
    fn every_button_is_written_as_meta_writes_it_and_sound() {
        let view = WebView {
            height: Some(WebViewHeight::Tall),
            extensions: Some(true),
            fallback_url: Some("https://b.example".into()),
        };
        let url = || "https://a.example".to_owned();
        for (button, json) in [
            (
                Button::WebUrl { title: "Open".into(), url: url(), view: WebView::default() },
                json!({"type": "web_url", "title": "Open", "url": "https://a.example"}),
            ),
            (
                Button::WebUrl { title: "Open".into(), url: url(), view },
                json!({
                    "type": "web_url", "title": "Open", "url": "https://a.example", "webview_height_ratio": "tall",
                    "messenger_extensions": true, "fallback_url": "https://b.example"
                }),
            ),
            (
                Button::Postback { title: "Yes".into(), payload: "YES".into() },
                json!({"type": "postback", "title": "Yes", "payload": "YES"}),
            ),
            (
                Button::PhoneNumber { title: "Call".into(), number: "+16505551234".into() },
                json!({"type": "phone_number", "title": "Call", "payload": "+16505551234"}),
            ),
            (Button::AccountLink { url: url() }, json!({"type": "account_link", "url": "https://a.example"})),
            (Button::AccountUnlink, json!({"type": "account_unlink"})),
        ] {
            assert_eq!(serde_json::to_value(&button).unwrap(), json);
            assert_eq!(check_json(&json), Ok(()), "{json}");
        }
    }

    #[test]
    fn a_button_meta_would_refuse_is_refused_by_name() {
        let long = "x".repeat(1001);
        for (button, message) in [
            (json!({"title": "a"}), "button[type] is required"),
            (
                json!({"type": "postback", "title": "x".repeat(21), "payload": "p"}),
                "button[title] has 21 characters; Meta takes 20 at most",
            ),
            (
                json!({"type": "POSTBACK", "title": "a", "payload": long}),
                "button[payload] has 1001 characters; Meta takes 1000 at most",
            ),
            (json!({"type": "postback", "title": "a"}), "button[payload] is required"),
            (json!({"type": "web_url", "url": "https://a.example"}), "button[title] is required"),
            (
                json!({"type": "web_url", "title": "a", "url": "a.example"}),
                "button[url] should represent a valid URL (http or https)",
            ),
            (
                json!({"type": "phone_number", "title": "a", "payload": "555"}),
                "button[payload] must be a phone number such as +16505551234",
            ),
            (json!({"type": "account_link", "url": "http://a.example"}), "button[url] must be an https URL"),
        ] {
            assert_eq!(check_json(&button).unwrap_err().to_string(), message, "{button}");
        }
        assert_eq!(check_json(&json!({"type": "brand_new", "anything": 1})), Ok(()));
    }
}
