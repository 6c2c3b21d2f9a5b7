//! One HTTP request, once: the [`Transport`] trait and its reqwest implementation.
//!
//! An attempt that fails says how far it got, because that decides whether the message may have been sent. To know, the
//! body is handed to the connection in slices that are counted; nothing is handed out any more once the attempt has been
//! given up. Nothing in here retries, follows redirects, or reads what an answer means.
//!
//! HTTP/1.1 only: a connection that breaks then leaves one outcome in doubt, where one of HTTP/2 would leave every
//! request it carries so; and each upload gets its own congestion window. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are
//! honoured by reqwest itself; plain `http://`, which exists on loopback alone, goes around every proxy.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Client, RequestBuilder, multipart};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::hook::Hook;
use crate::secret::AccessToken;

/// A connection (name look-up, TCP, TLS) that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than Meta's own longest wait, the 75 s it gives a video's URL.
const STALL_TIMEOUT: Duration = Duration::from_secs(100);
/// Servers close idle connections without a word; a send that meets one in that moment is in doubt for nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of a body is handed over, and counted, at a time.
const SLICE_BYTES: usize = 256 * 1024;
/// More than any answer of the API; an answer that goes on is taken for a broken one.
const ANSWER_LIMIT_BYTES: usize = 1024 * 1024;

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

    /// The one way a `reqwest::Error` leaves this file: without its URL, and with its causes.
    fn redact(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        Self(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}

/// [`Transport`] over reqwest. Costs nothing until its first call.
#[derive(Debug, Default)]
pub struct ReqwestTransport(Mutex<Arc<Clients>>);

/// Each keeps connections of its own.
#[derive(Debug, Default)]
struct Clients {
    https: OnceCell<Client>,
    http: OnceCell<Client>,
}

impl ReqwestTransport {
    /// A transport that has loaded and opened nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for `url`, made on first use: reading the machine's root certificates takes tens of milliseconds.
    async fn client(&self, url: &Url) -> reqwest::Result<Client> {
        let clients = Arc::clone(&self.clients());
        let builder = || {
            Client::builder()
                .user_agent(concat!("reattach/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .http1_only()
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
        };
        if url.scheme() == "http" {
            clients.http.get_or_try_init(|| async { builder().no_proxy().tls_certs_only([]).build() }).await.cloned()
        } else {
            clients.https.get_or_try_init(|| async { builder().https_only(true).build() }).await.cloned()
        }
    }

    fn clients(&self) -> MutexGuard<'_, Arc<Clients>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, call: &Call, journey: &Arc<Journey>) -> reqwest::Result<Option<Answered>> {
        let mut url = call.url.clone();
        if call.auth == Auth::Query {
            url.query_pairs_mut().append_pair("access_token", call.token.expose());
        }
        let mut request = self.client(&url).await?.request(call.method.clone(), url);
        if call.auth == Auth::Header {
            request = request.header(AUTHORIZATION, bearer(&call.token));
        }
        request = match &call.body {
            Body::Empty => request,
            Body::Json(text) => with_text(request, "application/json", text, journey),
            Body::Form(text) => with_text(request, "application/x-www-form-urlencoded", text, journey),
            Body::Multipart(form) => request.multipart(multipart_form(form, journey)?),
        };
        read_answer(request.send().await?, journey).await
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn execute(&self, call: Call) -> Attempt {
        let journey = Arc::new(Journey::new(call.body.counted_bytes()));
        let outcome = tokio::select! {
            outcome = self.exchange(&call, &journey) => outcome,
            overdue = journey.overdue(call.timeout) => {
                return Attempt::Failed { phase: journey.give_up(), cause: overdue };
            }
        };
        match outcome {
            Ok(Some(answered)) => Attempt::Answered(answered),
            Ok(None) => Attempt::Failed {
                phase: Phase::AfterRequest,
                cause: TransportError::new(format!("the answer is longer than {ANSWER_LIMIT_BYTES} bytes")),
            },
            // A request without a body has nothing to count; that it never connected still tells.
            Err(error) if error.is_builder() || error.is_connect() && call.body.counted_bytes() == 0 => {
                Attempt::Failed { phase: Phase::BeforeRequest, cause: TransportError::redact(error) }
            }
            Err(error) => Attempt::Failed { phase: journey.give_up(), cause: TransportError::redact(error) },
        }
    }

    fn start_afresh(&self) {
        *self.clients() = Arc::default();
    }
}

fn bearer(token: &AccessToken) -> HeaderValue {
    let text = format!("Bearer {}", token.expose());
    let mut value = HeaderValue::try_from(text).expect("a token holds only characters a header may carry");
    value.set_sensitive(true);
    value
}

fn with_text(
    request: RequestBuilder,
    content_type: &'static str,
    text: &Bytes,
    journey: &Arc<Journey>,
) -> RequestBuilder {
    let request = request.header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, text.len());
    request.body(journey.carry(text.clone(), None))
}

fn multipart_form(form: &Form, journey: &Arc<Journey>) -> reqwest::Result<multipart::Form> {
    let file = &form.file;
    let body = journey.carry(file.bytes.clone(), file.progress.clone());
    let part = multipart::Part::stream_with_length(body, file.bytes.len() as u64)
        .file_name(file.filename.clone())
        .mime_str(&file.mime)?;
    let fields = form.fields.iter().cloned();
    Ok(fields.fold(multipart::Form::new(), |form, (name, value)| form.text(name, value)).part(file.field, part))
}

/// The answer with its whole body; `None` when the body goes past the limit, where reading stops.
async fn read_answer(mut response: reqwest::Response, journey: &Journey) -> reqwest::Result<Option<Answered>> {
    journey.answer_began();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        journey.touch();
        if body.len() + chunk.len() > ANSWER_LIMIT_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(Some(Answered { status: response.status(), headers, body: body.freeze() }))
}

/// How far one request has come. Shared with the connection's own task, which takes the body from it.
#[derive(Debug)]
struct Journey {
    total_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken_bytes: u64,
    answering: bool,
    given_up: bool,
    moved: Instant,
}

impl Journey {
    fn new(total_bytes: u64) -> Self {
        let state = State { taken_bytes: 0, answering: false, given_up: false, moved: Instant::now() };
        Self { total_bytes, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `bytes` as a body of slices, none of them a copy, each counted as the connection takes it.
    fn carry(self: &Arc<Self>, bytes: Bytes, progress: Option<Hook<u64>>) -> reqwest::Body {
        let journey = Arc::clone(self);
        let slices = (0..bytes.len()).step_by(SLICE_BYTES).map(move |start| {
            let slice = bytes.slice(start..bytes.len().min(start + SLICE_BYTES));
            let taken_bytes =
                journey.take(slice.len()).ok_or_else(|| TransportError::new("the request was given up"))?;
            if let Some(progress) = &progress {
                progress.call(taken_bytes);
            }
            Ok::<_, TransportError>(slice)
        });
        reqwest::Body::wrap_stream(futures::stream::iter(slices))
    }

    /// Counts a slice that is about to be handed over: the new total, or `None` when none may be any more.
    fn take(&self, bytes: usize) -> Option<u64> {
        let mut state = self.state();
        if state.given_up {
            return None;
        }
        state.taken_bytes += bytes as u64;
        state.moved = Instant::now();
        Some(state.taken_bytes)
    }

    fn touch(&self) {
        self.state().moved = Instant::now();
    }

    fn answer_began(&self) {
        let mut state = self.state();
        state.answering = true;
        state.moved = Instant::now();
    }

    /// How far it got; from here on it gets no further.
    fn give_up(&self) -> Phase {
        let mut state = self.state();
        state.given_up = true;
        if state.answering || state.taken_bytes >= self.total_bytes {
            Phase::AfterRequest
        } else if state.taken_bytes > 0 {
            Phase::RequestIncomplete
        } else {
            Phase::BeforeRequest
        }
    }

    /// Returns once `timeout` is over, or nothing has moved for [`STALL_TIMEOUT`].
    async fn overdue(&self, timeout: Duration) -> TransportError {
        let stalled = async {
            loop {
                let moved = self.state().moved;
                tokio::time::sleep_until(moved + STALL_TIMEOUT).await;
                if self.state().moved == moved {
                    break;
                }
            }
        };
        tokio::select! {
            () = stalled => TransportError::new(format!("nothing moved for {} s", STALL_TIMEOUT.as_secs())),
            () = tokio::time::sleep(timeout) => TransportError::new(format!("timed out after {} s", timeout.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests;
