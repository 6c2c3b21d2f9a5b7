//! The buttons below a template.
//!
//! Source: Messenger Platform, Buttons reference and Media Template (v25.0).

use super::super::error::GraphError;
use super::super::shape::{self, Object};

const MAX_BUTTONS: usize = 3;
const TYPES: [&str; 6] = ["account_link", "account_unlink", "game_play", "phone_number", "postback", "web_url"];

/// Checks the `buttons` of `element`, which goes by the name `param`.
pub(super) fn check(element: &Object, param: &str) -> Result<(), GraphError> {
    let param = format!("{param}[buttons]");
    let Some(buttons) = shape::list(element, "buttons", &param)? else { return Ok(()) };
    if buttons.is_empty() || buttons.len() > MAX_BUTTONS {
        return Err(GraphError::parameter(format!("Param {param} must have 1 to {MAX_BUTTONS} items")));
    }
    for (place, button) in buttons.iter().enumerate() {
        let param = format!("{param}[{place}]");
        let button = button.as_object().ok_or_else(|| GraphError::required(&param))?;
        let type_param = format!("{param}[type]");
        let kind = shape::one_of(button, "type", &type_param, &TYPES)?;
        let needs: &[&str] = match kind.ok_or_else(|| GraphError::required(&type_param))? {
            "web_url" => &["title", "url"],
            "postback" | "phone_number" => &["title", "payload"],
            "game_play" => &["title"],
            "account_link" => &["url"],
            _ => &[],
        };
        for key in needs {
            let param = format!("{param}[{key}]");
            let text = shape::text(button, key, &param)?;
            text.filter(|text| !text.is_empty()).ok_or_else(|| GraphError::required(&param))?;
        }
    }
    Ok(())
}
