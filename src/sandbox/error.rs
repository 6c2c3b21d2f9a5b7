//! What the sandbox refuses, in Graph's words.
//!
//! Texts, codes and subcodes are Meta's where Meta publishes them or they have been seen in public threads; the rest are
//! written in the same manner.
//!
//! Source: Messenger Platform, Error Codes (read 2026-06-25); Graph API, Handle Errors and Rate Limiting (read 2026);
//! Messenger Platform, Media Template (read 2026-04-22).

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value};

use super::wire::{Answer, error_object};

/// A refusal, in Graph's shape.
#[derive(Debug)]
pub(super) struct GraphError {
    status: StatusCode,
    kind: &'static str,
    code: u32,
    subcode: Option<u32>,
    message: Cow<'static, str>,
}

impl GraphError {
    pub(super) fn new(code: u32, subcode: Option<u32>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "OAuthException", code, subcode, message: message.into() }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> u32 {
        self.code
    }

    /// Code 100 without a subcode: a parameter is wrong, and `message` says which.
    pub(super) fn parameter(message: impl AsRef<str>) -> Self {
        Self::new(100, None, format!("(#100) {}", message.as_ref()))
    }

    pub(super) fn required(param: &str) -> Self {
        Self::parameter(format!("The parameter {param} is required"))
    }

    pub(super) fn no_token() -> Self {
        Self::new(190, None, "An access token is required to request this resource.")
    }

    pub(super) fn unknown_token() -> Self {
        Self::new(190, None, "Invalid OAuth access token - Cannot parse access token")
    }

    /// The token speaks for a person or an app.
    pub(super) fn user_token() -> Self {
        Self::new(190, None, "(#190) This method must be called with a Page Access Token")
    }

    pub(super) fn proof_missing() -> Self {
        let message = "API calls from the server require an appsecret_proof argument";
        Self { kind: "GraphMethodException", ..Self::new(100, None, message) }
    }

    pub(super) fn proof_wrong() -> Self {
        let message = "Invalid appsecret_proof provided in the API argument";
        Self { kind: "GraphMethodException", ..Self::new(100, None, message) }
    }

    /// No such object, none this token may touch, or none that can do this.
    pub(super) fn unsupported(method: &str, node: &str) -> Self {
        let message = format!(
            "Unsupported {} request. Object with ID '{node}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api",
            method.to_ascii_lowercase()
        );
        Self { kind: "GraphMethodException", ..Self::new(100, Some(33), message) }
    }

    pub(super) fn unknown_path(rest: &str) -> Self {
        Self::new(2500, None, format!("Unknown path components: /{rest}"))
    }

    pub(super) fn file_count() -> Self {
        let message = "(#100) Incorrect number of files uploaded. Must upload exactly one file.";
        Self::new(100, Some(2_018_005), message)
    }

    pub(super) fn upload_failure() -> Self {
        Self::new(100, Some(2_018_047), "(#100) Upload attachment failure.")
    }

    pub(super) fn too_large() -> Self {
        Self::new(100, Some(2_018_109), "(#100) Attachment size exceeds allowable limit")
    }

    pub(super) fn fetch_failure() -> Self {
        Self::new(100, Some(2_018_008), "(#100) Failed to fetch the file from the url")
    }

    pub(super) fn attachment_unusable() -> Self {
        Self::new(100, Some(2_018_074), "(#100) Possible invalid ID or you do not own the attachment")
    }

    pub(super) fn empty_message() -> Self {
        let message = "(#100) Message cannot be empty, must provide valid attachment or text";
        Self::new(100, Some(2_018_034), message)
    }

    pub(super) fn message_and_action() -> Self {
        Self::new(100, Some(2_018_014), "(#100) Cannot send both message and state at the same time")
    }

    pub(super) fn too_many_items() -> Self {
        Self::batch("Too many requests in batch message. Maximum batch size is 50")
    }

    /// A batch that is wrong as a whole.
    pub(super) fn batch(message: &'static str) -> Self {
        Self { kind: "GraphBatchException", ..Self::new(100, None, message) }
    }

    /// A file Meta takes from nobody, such as a web page or a program.
    pub(super) fn forbidden_type() -> Self {
        let message =
            "(#546) The type of file you're trying to attach isn't allowed. Please try again with a different format";
        Self::new(546, None, message)
    }

    pub(super) fn video_fetch_failure() -> Self {
        Self::new(389, None, "(#389) Unable to fetch video file from URL.")
    }

    /// One of the numbers the media template's page lists as error codes.
    pub(super) fn media_template(code: u32, message: &str) -> Self {
        Self::new(code, None, format!("(#{code}) {message}"))
    }

    pub(super) fn rate_limit() -> Self {
        Self::new(613, None, "(#613) Calls to this api have exceeded the rate limit.")
    }

    /// The calls of 24 hours are used up.
    pub(super) fn calls_spent() -> Self {
        let message = "(#80006) There have been too many calls to this Messenger account. Wait a bit and try again. For \
                       more info, please refer to \
                       https://developers.facebook.com/docs/graph-api/overview/rate-limiting.";
        Self::new(80_006, None, message)
    }

    /// More bytes than the sandbox reads of one request: HTTP 413, as a proxy would say it.
    pub(super) fn body_too_large() -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..Self::parameter("The request body is too large") }
    }
}

impl From<GraphError> for Answer {
    fn from(error: GraphError) -> Self {
        let mut fields = Map::from_iter([
            ("message".to_owned(), Value::from(error.message)),
            ("type".to_owned(), error.kind.into()),
            ("code".to_owned(), error.code.into()),
        ]);
        if let Some(subcode) = error.subcode {
            fields.insert("error_subcode".to_owned(), subcode.into());
        }
        Self::json(error.status, &error_object(fields))
    }
}
