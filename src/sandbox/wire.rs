//! What the sandbox says: Graph's error object, and an answer before it is put on the wire.
//!
//! Nothing here knows what a request means. Texts, codes and subcodes are Meta's where Meta publishes them or they have
//! been seen in public threads; the rest are written in the same manner.
//!
//! Source: Messenger Platform, Error Codes (read 2026-06-25); Graph API, Handle Errors.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// A status, headers and a body, still in one piece so that a fault can spoil it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]), body: body.into() }
    }

    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Maps with text keys and derived types always serialize.
        Self::new(status, JSON, serde_json::to_vec(body).expect("the sandbox's own JSON serializes"))
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// The answer as HTTP/1.1 writes it: head and body, `Content-Length` included.
    pub(super) fn head_and_body(mut self) -> (Vec<u8>, Bytes) {
        self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        let mut head = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        (head, self.body)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, Body::from(self.body)).into_response()
    }
}

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
    fn new(code: u32, subcode: Option<u32>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "OAuthException", code, subcode, message: message.into() }
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

/// `fields` as Graph wraps an error, with a new `fbtrace_id` unless there is one.
pub(super) fn error_object(mut fields: Map<String, Value>) -> Value {
    fields.entry("fbtrace_id").or_insert_with(|| trace_id().into());
    json!({ "error": fields })
}

fn trace_id() -> String {
    std::iter::once('A').chain(std::iter::repeat_with(fastrand::alphanumeric).take(22)).collect()
}
