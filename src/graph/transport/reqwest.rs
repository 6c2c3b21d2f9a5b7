//! [`Transport`] over reqwest.
//!
//! To know how far a request got, its body is handed to the connection in slices that are counted; nothing is handed out
//! any more once the attempt has been given up.
//!
//! HTTP/1.1 only: a connection that breaks then leaves one outcome in doubt, where one of HTTP/2 would leave every
//! request it carries so; and each upload gets its own congestion window. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are
//! honoured by reqwest itself; plain `http://`, which exists on loopback alone, goes around every proxy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, multipart};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::{Answered, Attempt, Auth, Body, Call, Form, Phase, Transport, TransportError};
use crate::causes::in_full;
use crate::graph::hook::Hook;
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
                Attempt::Failed { phase: Phase::BeforeRequest, cause: redact(error) }
            }
            Err(error) => Attempt::Failed { phase: journey.give_up(), cause: redact(error) },
        }
    }

    fn start_afresh(&self) {
        *self.clients() = Arc::default();
    }
}

/// The one way a `reqwest::Error` leaves this file: without its URL, and with its causes.
fn redact(error: reqwest::Error) -> TransportError {
    TransportError::new(in_full(&error.without_url()))
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
