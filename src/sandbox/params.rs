//! Reading a request: query, header and body become one set of parameters, as Graph sees them.
//!
//! Files are hashed as they arrive and never kept. A body is JSON, a form, or multipart; a form's object fields are JSON
//! texts. Later sources win: query, then body, then the `Authorization` header.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Uri};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::error::GraphError;

/// The longest body read at all: well over what a file may have, so that a file too large gets its own answer.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// The longest JSON, form or multipart text field: fifty of the longest messages, encoded twice.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// Parameters every Graph call takes.
pub(super) const GLOBAL: [&str; 8] =
    ["access_token", "appsecret_proof", "appsecret_time", "debug", "fields", "format", "locale", "pretty"];
/// Parameters that are objects; in forms they are JSON texts.
const OBJECTS: [&str; 5] = ["message", "payload", "recipient", "reply_to", "thread_control"];

/// What a request asks.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub(super) fields: Map<String, Value>,
    pub(super) files: Vec<FilePart>,
    /// `None` when the request does not say, as when its body comes chunked.
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
}

/// A file part of a multipart body: everything but its bytes.
#[derive(Debug, Clone)]
pub(super) struct FilePart {
    pub(super) field: String,
    pub(super) file_name: Option<String>,
    pub(super) mime: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
    /// Whether its name, as written in the request, is plain ASCII.
    pub(super) named_in_ascii: bool,
}

impl Params {
    /// Reads the whole request, adding every body byte to `received`.
    pub(super) async fn read(request: Request, received: &AtomicU64) -> Result<Self, GraphError> {
        let (parts, body) = request.into_parts();
        let mut params = Self {
            content_length: content_length(&parts.headers),
            chunked: parts.headers.contains_key(TRANSFER_ENCODING),
            ..Self::default()
        };
        params.add_query(&parts.uri);
        let body = body.into_data_stream().inspect_ok(|chunk| {
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        params.add_body(&parts.headers, body).await?;
        if let Some(token) = bearer(&parts.headers) {
            params.fields.insert("access_token".to_owned(), token.into());
        }
        params.decode_objects()?;
        Ok(params)
    }

    /// The request a query and a form make.
    pub(super) fn of_forms(query: &str, body: &str) -> Result<Self, GraphError> {
        let mut params = Self::default();
        params.add_form(query.as_bytes());
        params.add_form(body.as_bytes());
        params.decode_objects()?;
        Ok(params)
    }

    /// The text of `name`; `None` if it is absent or no text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    fn add_query(&mut self, uri: &Uri) {
        self.add_form(uri.query().unwrap_or_default().as_bytes());
    }

    fn add_form(&mut self, encoded: &[u8]) {
        for (name, value) in form_urlencoded::parse(encoded) {
            self.fields.insert(name.into_owned(), value.into_owned().into());
        }
    }

    async fn add_body<S>(&mut self, headers: &HeaderMap, body: S) -> Result<(), GraphError>
    where
        S: Stream<Item = Result<Bytes, axum::Error>> + Unpin + Send,
    {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "multipart/form-data" => {
                let boundary = multer::parse_boundary(content_type)?;
                self.add_multipart(boundary, body).await
            }
            "application/json" => self.add_json(&read_text(body).await?),
            _ => {
                self.add_form(&read_text(body).await?);
                Ok(())
            }
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), GraphError> {
        if body.is_empty() {
            return Ok(());
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err(GraphError::parameter("The request body is not a JSON object"));
        };
        self.fields.extend(fields);
        Ok(())
    }

    async fn add_multipart<S>(&mut self, boundary: String, mut body: S) -> Result<(), GraphError>
    where
        S: Stream<Item = Result<Bytes, axum::Error>> + Unpin + Send,
    {
        let sizes = SizeLimit::new().whole_stream(MAX_BODY_BYTES);
        let mut multipart = Multipart::with_constraints(&mut body, boundary, Constraints::new().size_limit(sizes));
        let mut names = Vec::new();
        while let Some(part) = multipart.next_field().await? {
            let name = part.name().ok_or_else(|| GraphError::parameter("A part of the body has no name"))?.to_owned();
            if part.file_name().is_some() || name == "filedata" {
                self.files.push(hash_file(name, part).await?);
                continue;
            }
            // PHP would keep the last one; here, a client that says a thing twice should hear of it.
            if names.contains(&name) {
                return Err(GraphError::parameter(format!("The parameter {name} is given twice")));
            }
            let text = read_text(part).await?;
            let text = String::from_utf8(text.into()).map_err(|_| not_utf8(&name))?;
            self.fields.insert(name.clone(), text.into());
            names.push(name);
        }
        drop(multipart);
        // Whatever stands after the last boundary is read too, or the connection could not be used again.
        while body.try_next().await?.is_some() {}
        Ok(())
    }

    fn decode_objects(&mut self) -> Result<(), GraphError> {
        for name in OBJECTS {
            if let Some(value) = self.fields.get_mut(name)
                && let Some(text) = value.as_str()
            {
                let decoded: Value = serde_json::from_str(text)
                    .map_err(|_| GraphError::parameter(format!("Param {name} must be a JSON object")))?;
                *value = decoded;
            }
        }
        Ok(())
    }
}

async fn hash_file(field: String, mut part: Field<'_>) -> Result<FilePart, GraphError> {
    let file_name = part.file_name().map(str::to_owned);
    let mime = part.content_type().map(|mime| mime.essence_str().to_owned());
    let disposition = part.headers().get(CONTENT_DISPOSITION).map_or(&b""[..], HeaderValue::as_bytes);
    // `filename*=utf-8''…` is how other letters are written in ASCII.
    let extended = disposition.windows(10).any(|part| part.eq_ignore_ascii_case(b"filename*="));
    let named_in_ascii = disposition.is_ascii() && !extended;
    let mut digest = Sha256::new();
    let mut size_bytes = 0;
    while let Some(chunk) = part.chunk().await? {
        size_bytes += chunk.len() as u64;
        digest.update(&chunk);
    }
    Ok(FilePart { field, file_name, mime, size_bytes, sha256: hex::encode(digest.finalize()), named_in_ascii })
}

async fn read_text<S, E>(mut stream: S) -> Result<BytesMut, GraphError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    GraphError: From<E>,
{
    let mut text = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        text.extend_from_slice(&chunk);
        if text.len() as u64 > MAX_TEXT_BYTES {
            return Err(GraphError::body_too_large());
        }
    }
    Ok(text)
}

impl From<multer::Error> for GraphError {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::StreamSizeExceeded { .. } => Self::body_too_large(),
            error => Self::parameter(format!("The multipart body is malformed: {error}")),
        }
    }
}

impl From<axum::Error> for GraphError {
    /// The body broke off; nobody is left to read this.
    fn from(error: axum::Error) -> Self {
        Self::parameter(format!("The request body ends early: {error}"))
    }
}

fn not_utf8(name: &str) -> GraphError {
    GraphError::parameter(format!("Param {name} is not UTF-8"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
