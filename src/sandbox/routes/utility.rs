//! Utility templates: `message.template`, texts Meta has approved beforehand.
//!
//! Any name is taken for that of an approved template; how many parameters it has, nobody here knows.
//!
//! Source: Page `messages` edge, `template` (v25.0); Messenger Platform, Utility Messages (read 2026-03-13).

use serde_json::Value;

use super::super::error::GraphError;
use super::super::shape::{self, Object, only};

const COMPONENTS: [&str; 4] = ["HEADER", "BODY", "TITLE", "BUTTONS"];

/// Checks the template of `message`.
pub(super) fn check(message: &Object) -> Result<(), GraphError> {
    let param = "message[template]";
    let template = shape::object(message, "template", param)?.ok_or_else(|| GraphError::required(param))?;
    only(template, &["components", "language", "name"], param)?;
    required(template, "name", param)?;
    let param = format!("{param}[language]");
    let language = shape::object(template, "language", &param)?.ok_or_else(|| GraphError::required(&param))?;
    only(language, &["code"], &param)?;
    required(language, "code", &param)?;
    let param = "message[template][components]";
    let components = shape::list(template, "components", param)?.map_or(&[][..], Vec::as_slice);
    for (place, component) in components.iter().enumerate() {
        check_component(component, &format!("{param}[{place}]"))?;
    }
    Ok(())
}

fn check_component(component: &Value, param: &str) -> Result<(), GraphError> {
    let component = component.as_object().ok_or_else(|| GraphError::required(param))?;
    only(component, &["parameters", "type"], param)?;
    let type_param = format!("{param}[type]");
    shape::one_of(component, "type", &type_param, &COMPONENTS)?.ok_or_else(|| GraphError::required(&type_param))?;
    let param = format!("{param}[parameters]");
    let parameters = shape::list(component, "parameters", &param)?.map_or(&[][..], Vec::as_slice);
    for (place, parameter) in parameters.iter().enumerate() {
        let param = format!("{param}[{place}]");
        let parameter = parameter.as_object().ok_or_else(|| GraphError::required(&param))?;
        only(parameter, &["payload", "text", "type", "url"], &param)?;
        required(parameter, "type", &param)?;
        for key in ["payload", "text", "url"] {
            shape::text(parameter, key, &format!("{param}[{key}]"))?;
        }
    }
    Ok(())
}

fn required(object: &Object, key: &str, param: &str) -> Result<(), GraphError> {
    let param = format!("{param}[{key}]");
    let text = shape::text(object, key, &param)?.filter(|text| !text.is_empty());
    text.map(|_| ()).ok_or_else(|| GraphError::required(&param))
}
