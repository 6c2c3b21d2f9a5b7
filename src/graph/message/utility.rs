//! Utility templates: approved texts with blanks, which may be sent at any time.

use serde::Serialize;
use serde_json::json;

use super::body::Message;
use super::error::InvalidRequest;
use super::fields::Fields;

const COMPONENT_TYPES: [&str; 4] = ["HEADER", "BODY", "TITLE", "BUTTONS"];

/// An approved template and what goes into its blanks. It needs [`Utility`](super::MessagingType::Utility).
///
/// **Source**: Graph API reference, Page `messages` edge, `message.template` (v25.0); "Send a utility message" (read
/// 2026-03-13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UtilityTemplate {
    /// Its name in the Page's library.
    pub name: String,
    /// Its language, such as `en` or `en_US`.
    pub language: String,
    /// What goes into its blanks, part by part.
    pub components: Vec<TemplateComponent>,
}

/// What goes into the blanks of one part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateComponent {
    /// Which part.
    #[serde(rename = "type")]
    pub kind: ComponentType,
    /// Its blanks in order; for buttons, the buttons in order.
    pub parameters: Vec<TemplateParameter>,
}

/// A part of a template.
///
/// **Source**: Graph API reference, Page `messages` edge, `message.template.components.type` (v25.0), in capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ComponentType {
    /// Above the body.
    Header,
    /// The text itself.
    Body,
    /// The title.
    Title,
    /// The buttons, all of them in one component.
    Buttons,
}

/// What goes into one blank.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TemplateParameter {
    /// What it is, such as `text` or `POSTBACK`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which blank, in a template whose blanks have names.
    #[serde(rename = "parameter_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the webhook gets when the button is tapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// What the button opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl TemplateParameter {
    /// A text for the next blank.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: "text".to_owned(), text: Some(text.into()), ..Self::default() }
    }

    /// A text for the blank called `name`.
    pub fn named_text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::text(text) }
    }

    /// The payload of the next button.
    pub fn postback(payload: impl Into<String>) -> Self {
        Self { kind: "POSTBACK".to_owned(), payload: Some(payload.into()), ..Self::default() }
    }

    /// The web address of the next button. Meta's pages name the key but show no sample of it.
    pub fn url(url: impl Into<String>) -> Self {
        Self { kind: "URL".to_owned(), url: Some(url.into()), ..Self::default() }
    }
}

impl From<UtilityTemplate> for Message {
    fn from(template: UtilityTemplate) -> Self {
        let UtilityTemplate { name, language, components } = template;
        let mut json = json!({"name": name, "language": {"code": language}});
        if !components.is_empty() {
            json["components"] = json!(components);
        }
        Self::with("template", json)
    }
}

/// Checks `message.template`.
pub(super) fn check(template: &Fields<'_>) -> Result<(), InvalidRequest> {
    template.required_text("name")?;
    template.required("language", template.object("language")?)?.required_text("code")?;
    for component in template.objects("components")? {
        component.required("type", component.word("type", &COMPONENT_TYPES)?)?;
        for parameter in component.objects("parameters")? {
            parameter.required_text("type")?;
            ["text", "payload", "url"].into_iter().try_for_each(|key| parameter.text(key).map(drop))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test reads better so")]
    fn error(template: Value) -> String {
        check(&Fields::new("template", template.as_object().unwrap())).unwrap_err().to_string()
    }

    #[test]
    fn a_template_is_written_with_its_parts_and_sound() {
        let template = UtilityTemplate {
            name: "order_update".into(),
            language: "en_US".into(),
            components: vec![
                TemplateComponent {
                    kind: ComponentType::Body,
                    parameters: vec![TemplateParameter::text("Ada"), TemplateParameter::named_text("order", "17")],
                },
                TemplateComponent {
                    kind: ComponentType::Buttons,
                    parameters: vec![TemplateParameter::postback("p"), TemplateParameter::url("https://a.example")],
                },
            ],
        };
        let json = json!({
            "name": "order_update",
            "language": {"code": "en_US"},
            "components": [
                {"type": "BODY", "parameters": [
                    {"type": "text", "text": "Ada"},
                    {"type": "text", "parameter_name": "order", "text": "17"}
                ]},
                {"type": "BUTTONS", "parameters": [
                    {"type": "POSTBACK", "payload": "p"},
                    {"type": "URL", "url": "https://a.example"}
                ]}
            ]
        });
        let message = Message::from(template);
        assert_eq!(message.as_json()["template"], json);
        assert_eq!(check(&Fields::new("template", json.as_object().unwrap())), Ok(()));
    }

    #[test]
    fn a_template_without_blanks_has_no_components() {
        let template = UtilityTemplate { name: "a".into(), language: "en".into(), components: Vec::new() };
        assert_eq!(Message::from(template).as_json()["template"], json!({"name": "a", "language": {"code": "en"}}));
    }

    #[test]
    fn what_meta_requires_of_a_template_is_asked_for_by_name() {
        let with =
            |components: Value| error(json!({"name": "a", "language": {"code": "en"}, "components": components}));
        assert_eq!(error(json!({"language": {"code": "en"}})), "template[name] is required");
        assert_eq!(error(json!({"name": "a"})), "template[language] is required");
        assert_eq!(error(json!({"name": "a", "language": "en"})), "template[language] must be a JSON object");
        assert_eq!(error(json!({"name": "a", "language": {}})), "template[language][code] is required");
        assert_eq!(with(json!([{}])), "template[components][0][type] is required");
        let footer = with(json!([{"type": "footer"}]));
        assert_eq!(footer, "template[components][0][type] is \"footer\"; Meta knows HEADER, BODY, TITLE, BUTTONS");
        let nameless = with(json!([{"type": "body", "parameters": [{}]}]));
        assert_eq!(nameless, "template[components][0][parameters][0][type] is required");
        let number = with(json!([{"type": "body", "parameters": [{"type": "text", "text": 7}]}]));
        assert_eq!(number, "template[components][0][parameters][0][text] must be a string");
    }
}
