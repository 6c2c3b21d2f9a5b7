//! What the sandbox says: an answer before it is put on the wire, and the shape of Graph's errors.
//!
//! Nothing here knows what a request means; `error` knows what there is to refuse.

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

/// `fields` as Graph wraps an error, with a new `fbtrace_id` unless there is one.
pub(super) fn error_object(mut fields: Map<String, Value>) -> Value {
    fields.entry("fbtrace_id").or_insert_with(|| trace_id().into());
    json!({ "error": fields })
}

fn trace_id() -> String {
    std::iter::once('A').chain(std::iter::repeat_with(fastrand::alphanumeric).take(22)).collect()
}
