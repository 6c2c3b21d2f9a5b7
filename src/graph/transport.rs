//! One HTTP request, once: the [`Transport`] trait, what it is given, and what it says came of it.
//!
//! An attempt that fails says how far it got, because that decides whether the message may have been sent. Nothing in here
//! retries, follows redirects, or reads what an answer means.

mod reqwest;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::hook::Hook;
use crate::secret::AccessToken;

pub use self::reqwest::ReqwestTransport;

/// Carries out HTTP requests.
///
/// An implementation makes exactly one request per call, follows no redirect, repeats nothing, and, where it cannot
/// tell how far a failed request got, names the later [`Phase`].
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// What came of the request.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the request, which may or may not have been carried out.
    async fn execute(&self, call: Call) -> Attempt;

    /// From now on no connection is used that is open: what comes by one of them may be the answer to something else.
    fn start_afresh(&self) {}
}

/// Where the token of a call travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    /// In `Authorization: Bearer`, where no log of URLs finds it.
    #[default]
    Header,
    /// In the query, as `access_token`: for what stands between us and Meta and lets no header through.
    Query,
}

/// One request. `Debug` shows neither the token nor the query, which may hold a proof of it.
#[derive(Clone)]
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// Where to, without any token.
    pub url: Url,
    /// Goes where `auth` says.
    pub token: AccessToken,
    /// Where the token travels.
    pub auth: Auth,
    /// What to send.
    pub body: Body,
    /// How long the whole of it may take, answer included.
    pub timeout: Duration,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("path", &self.url.path())
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What a request carries. Cloning copies no file bytes, and `Debug` shows no words meant for others.
#[derive(Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON text.
    Json(Bytes),
    /// A URL-encoded form.
    Form(Bytes),
    /// A `multipart/form-data` form with one file.
    Multipart(Form),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(text) => write!(f, "Json({} bytes)", text.len()),
            Self::Form(text) => write!(f, "Form({} bytes)", text.len()),
            Self::Multipart(form) => form.fmt(f),
        }
    }
}

impl Body {
    /// Bytes that are counted as they leave: of a form, those of its file.
    pub fn counted_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Empty => 0,
            Self::Json(text) | Self::Form(text) => text.len(),
            Self::Multipart(form) => form.file.bytes.len(),
        };
        bytes as u64
    }
}

/// Text fields, then one file.
#[derive(Clone)]
pub struct Form {
    /// Names and values, in the order they are sent.
    pub fields: Vec<(String, String)>,
    /// The last part.
    pub file: FilePart,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The file of a form.
#[derive(Clone)]
pub struct FilePart {
    /// The part's `name`.
    pub field: &'static str,
    /// The part's `filename`: ASCII, without quotes.
    pub filename: String,
    /// The part's `Content-Type`, such as `image/png`.
    pub mime: String,
    /// The file itself.
    pub bytes: Bytes,
    /// Called with the number of bytes this attempt has handed to the connection so far.
    pub progress: Option<Hook<u64>>,
}

impl fmt::Debug for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePart")
            .field("filename", &self.filename)
            .field("mime", &self.mime)
            .field("size_bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// What came of one request.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// A whole answer arrived, whatever it says.
    Answered(Answered),
    /// None did.
    Failed {
        /// How far the request is known to have got.
        phase: Phase,
        /// What went wrong.
        cause: TransportError,
    },
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answered) => write!(f, "HTTP {}, {} bytes", answered.status, answered.body.len()),
            Self::Failed { phase, cause } => write!(f, "{phase}: {cause}"),
        }
    }
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 1 MiB.
    pub body: Bytes,
}

/// How far a request got that was not answered; later phases compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing of the body was handed to a connection: no name, no connection, no TLS.
    BeforeRequest,
    /// A part of the body was never handed over, so the server cannot have acted on it.
    RequestIncomplete,
    /// All of the body was handed over: the server may have acted on it.
    AfterRequest,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeRequest => "nothing was sent",
            Self::RequestIncomplete => "the request was cut short",
            Self::AfterRequest => "no whole answer came back",
        })
    }
}

/// What went wrong on the way, in words; it holds no URL and no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(String);

impl TransportError {
    /// The error that reads `reason`.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: Body) -> String {
        let call = Call {
            method: Method::POST,
            url: Url::parse("https://meta.example/v25.0/1/messages?appsecret_proof=proof-canary").expect("a URL"),
            token: AccessToken::new("EAAB0123456789-canary").expect("a token"),
            auth: Auth::Header,
            body,
            timeout: Duration::from_mins(10),
        };
        format!("{call:?}")
    }

    #[test]
    fn neither_a_secret_nor_what_is_said_to_a_person_shows_in_a_call() {
        let file = FilePart {
            field: "filedata",
            filename: "shirt.png".to_owned(),
            mime: "image/png".to_owned(),
            bytes: Bytes::from_static(b"xxxxxxxxxx"),
            progress: None,
        };
        let upload = shown(Body::Multipart(Form { fields: vec![("message".to_owned(), "{}".to_owned())], file }));
        assert!(!upload.contains("canary"), "{upload}");
        assert!(upload.contains("/v25.0/1/messages") && upload.contains("shirt.png"), "{upload}");
        let json = Bytes::from_static(br#"{"recipient":{"id":"1"}}"#);
        for body in [Body::Json(json), Body::Form(Bytes::from_static(b"batch=recipient"))] {
            let text = shown(body);
            assert!(!text.contains("recipient") && text.contains(" bytes"), "{text}");
        }
    }
}
