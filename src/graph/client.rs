//! Typed calls: who a token is, uploads, sends. Batches are next door, in `batch`.
//!
//! With an app secret every attempt carries `appsecret_proof` and `appsecret_time`, made anew because a proof lives for
//! five minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde::de::IgnoredAny;
use sha2::Sha256;
use url::Url;

use super::api_version::ApiVersion;
use super::catalogue::Class;
use super::error::{Failure, GraphError, Operation, Refusal};
use super::governor::{Governor, Load, PaceLimits};
use super::hook::Hook;
use super::message::{Envelope, Message, SendRequest};
use super::outcome::{Answer, Outcome, Retry, classify};
use super::receipt::{self, Sent};
use super::redact::without_token;
use super::retry::{self, RetryPolicy, Waiting};
use super::server_time::{ClockSkew, ServerTime};
use super::token::Identity;
use super::transport::{Answered, Attempt, Auth, Body, Call, Transport};
use super::upload::{FileUpload, UrlUpload};
use super::wire;
use crate::clock::{Clock, Timestamp};
use crate::delivery::LONGEST_CALL;
use crate::ids::{AttachmentId, KeySpace, Origin, PageId, Platform};
use crate::secret::{AccessToken, AppSecret};
use crate::stop::Stop;

/// How long a request may take, its file not counted: longer than the 75 s Meta gives a video.
pub const CALL_TIMEOUT: Duration = Duration::from_mins(2);
/// The slowest link that is waited for, in bytes a second.
const SLOWEST_BYTES_PER_SEC: u64 = 64 * 1024;
/// How much longer a call with no file may take than an empty one, however much it says; and a turn to leave may be away.
const LONGEST_BODY: Duration = LONGEST_CALL.saturating_sub(CALL_TIMEOUT);

/// Whom to ask, and as whom.
#[derive(Debug, Clone)]
pub struct GraphOptions {
    /// Which Graph API.
    pub origin: Origin,
    /// Which version of it.
    pub api_version: ApiVersion,
    /// The Page's access token.
    pub token: AccessToken,
    /// The secret of the token's app; with it every call proves that it knows it.
    pub app_secret: Option<AppSecret>,
    /// Where the token travels.
    pub auth: Auth,
    /// Whose rules messages keep.
    pub platform: Platform,
    /// How often to try.
    pub retry: RetryPolicy,
}

impl GraphOptions {
    /// `token`'s Page on Messenger, at `origin`: the version, the tries and the token's way are the usual ones, and no call
    /// proves a secret.
    pub fn new(origin: Origin, token: AccessToken) -> Self {
        Self {
            origin,
            api_version: ApiVersion::default(),
            token,
            app_secret: None,
            auth: Auth::default(),
            platform: Platform::default(),
            retry: RetryPolicy::default(),
        }
    }
}

/// A client for one Page's token. Clones share the transport and the budget.
#[derive(Debug, Clone)]
pub struct GraphClient {
    options: Arc<GraphOptions>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    pub(super) governor: Arc<Governor>,
    server_time: Arc<ServerTime>,
    answered: Arc<AtomicBool>,
    reporter: Option<Hook<Waiting>>,
    stop: Stop,
}

impl GraphClient {
    /// A client that has called nobody yet, with a budget of its own.
    pub fn new(options: GraphOptions, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        let governor = Arc::new(Governor::new(PaceLimits::default()));
        let (options, server_time) = (Arc::new(options), Arc::default());
        let answered = Arc::default();
        Self { options, transport, clock, governor, server_time, answered, reporter: None, stop: Stop::new() }
    }

    /// This client, telling `server_time` what time its answers say it is; clients of one origin share it. The clock the
    /// client was made with stays the machine's own, uncorrected.
    #[must_use]
    pub fn with_server_time(self, server_time: Arc<ServerTime>) -> Self {
        Self { server_time, ..self }
    }

    /// This client, trying as often as `retry` says.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { options: Arc::new(GraphOptions { retry, ..GraphOptions::clone(&self.options) }), ..self }
    }

    /// This client, keeping to the budget of `governor`, which all clients of one Page share.
    #[must_use]
    pub fn with_governor(self, governor: Arc<Governor>) -> Self {
        Self { governor, ..self }
    }

    /// This client, telling `reporter` of every pause before another attempt.
    #[must_use]
    pub fn with_reporter(self, reporter: Hook<Waiting>) -> Self {
        Self { reporter: Some(reporter), ..self }
    }

    /// This client, beginning no other attempt once `stop` is requested.
    #[must_use]
    pub fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Where the ids `page` is given by way of this client are valid.
    pub fn space(&self, page: PageId) -> KeySpace {
        KeySpace { origin: self.options.origin.clone(), page, platform: self.options.platform }
    }

    /// The version it asks for.
    pub fn api_version(&self) -> &ApiVersion {
        &self.options.api_version
    }

    /// How Meta's clock stood to ours when it last answered; `None` before it has said what time it is.
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        self.server_time.skew()
    }

    /// What time it is at Meta, to the second; by our own clock before it has said so.
    pub fn meta_now(&self) -> Timestamp {
        self.server_time.now(&*self.clock)
    }

    /// Whether our clock has been set by more than an hour since Meta last answered, or stood still with the machine: only
    /// another answer can tell what time it is.
    pub fn is_time_in_doubt(&self) -> bool {
        self.server_time.is_in_doubt(&*self.clock)
    }

    /// Whether Meta has ever answered this client, however it did.
    pub fn has_been_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// What this client's answers say of the time.
    pub fn server_time(&self) -> &Arc<ServerTime> {
        &self.server_time
    }

    /// Whose token this is: the Page's own id and name, or a person's where the token is not a Page's.
    ///
    /// **Source**: Graph API, "Introspection": `metadata=1` adds the type of the object. Where Meta does not take that, it is
    /// asked without, and does not say whether the token is a Page's.
    pub async fn me(&self) -> Result<Identity, GraphError> {
        let mut url = self.url(&["me"]);
        url.query_pairs_mut().append_pair("fields", "id,name");
        let mut with_type = url.clone();
        with_type.query_pairs_mut().append_pair("metadata", "1");
        let ask = |url| Box::pin(self.run(Operation::Read, Load::CALL, Method::GET, url, Body::Empty));
        let is_of_the_question = |refusal: &Refusal| refusal.entry().is_none_or(|entry| entry.class == Class::Request);
        match ask(with_type).await {
            Err(error) if error.refusal().is_some_and(is_of_the_question) => ask(url).await,
            told => told,
        }
    }

    /// The id under which `page` may send the file to anyone, for 90 days.
    ///
    /// # Errors
    /// A media type Meta is known to refuse is refused here. Any other error may have left an id at Meta that nobody
    /// knows of, which harms nobody.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the upload, which may have been done.
    pub async fn upload_file(&self, page: &PageId, upload: FileUpload<'_>) -> Result<AttachmentId, GraphError> {
        let (platform, kind) = (upload.platform, upload.kind);
        let form = wire::upload_form(platform, kind, upload.part()?);
        let url = self.url(&[page.as_str(), "message_attachments"]);
        self.run(Operation::Upload, Load::CALL, Method::POST, url, Body::Multipart(form)).await
    }

    /// The id under which `page` may send what lies at a web address, for 90 days. Meta fetches it; we do not.
    ///
    /// # Errors
    /// As [`upload_file`](Self::upload_file).
    pub async fn upload_url(&self, page: &PageId, upload: UrlUpload<'_>) -> Result<AttachmentId, GraphError> {
        let url = self.url(&[page.as_str(), "message_attachments"]);
        self.run(Operation::Upload, Load::CALL, Method::POST, url, Body::Json(wire::url_upload_body(upload))).await
    }

    /// Meta's receipt for one message or action, which is not yet its delivery.
    ///
    /// # Errors
    /// Of [`GraphError::Unknown`] alone it cannot be told whether the message was sent; every other error means it was not.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the send, which may have been done: its outcome is then unknown.
    pub async fn send(&self, page: &PageId, request: &SendRequest) -> Result<Sent, GraphError> {
        request.check_ready_for(self.options.platform)?;
        self.run_send(page, request, Body::Json(wire::send_body(request))).await
    }

    /// Meta's receipt for a file that was sent to one person and saved in the same step: its `attachment_id` is good for
    /// everybody.
    ///
    /// # Errors
    /// As [`send`](Self::send), and as [`upload_file`](Self::upload_file) before anything leaves.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_file(
        &self,
        page: &PageId,
        envelope: &Envelope,
        upload: FileUpload<'_>,
    ) -> Result<Sent, GraphError> {
        envelope.check_for(self.options.platform)?;
        let content = Message::saving_file(upload.kind).into();
        let request = SendRequest { envelope: envelope.clone(), content };
        let body = Body::Multipart(wire::send_form(&request, upload.part()?));
        self.run_send(page, &request, body).await
    }

    async fn run_send(&self, page: &PageId, request: &SendRequest, body: Body) -> Result<Sent, GraphError> {
        let url = self.url(&[page.as_str(), "messages"]);
        let attempt = || self.attempt_send(request, &url, &body);
        retry::run(self.means(), Operation::Send, Load::of(request), attempt).await
    }

    pub(super) fn token(&self) -> &AccessToken {
        &self.options.token
    }

    pub(super) fn platform(&self) -> Platform {
        self.options.platform
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.options.origin.url();
        url.path_segments_mut()
            .expect("an origin is an http URL, which has a path")
            .clear()
            .push(self.options.api_version.as_str())
            .extend(path);
        url
    }

    /// As [`send`](Self::send), but one attempt and no more: it waits until its turn is near, then for `ready`, and leaves
    /// only if that says yes, at the Page's pace; else it is `Stopped`. Whoever writes down what leaves does so in `ready`:
    /// nothing has left before, and nothing but this one message can leave after. What is waited for Meta's limits is taken
    /// off `patience`.
    ///
    /// # Errors
    /// As [`send`](Self::send); a throttle is `RateLimited` at once, and the next attempt waits it out. So is one that
    /// others meet while `ready` takes its time: then nothing has left.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_once(
        &self,
        page: &PageId,
        request: &SendRequest,
        patience: &mut Duration,
        ready: impl Future<Output = bool> + Send,
    ) -> Result<Sent, GraphError> {
        request.check_ready_for(self.options.platform)?;
        let (url, load) = (self.url(&[page.as_str(), "messages"]), Load::of(request));
        let body = Body::Json(wire::send_body(request));
        let attempt = self.attempt_send(request, &url, &body);
        retry::once(self.means(), Operation::Send, load, patience, ready, attempt).await
    }

    /// How long one call may wait for Meta's rate limits.
    pub fn patience(&self) -> Duration {
        self.options.retry.max_wait
    }

    /// The budget this client keeps to.
    pub fn governor(&self) -> &Arc<Governor> {
        &self.governor
    }

    pub(super) async fn run<T: Answer>(
        &self,
        operation: Operation,
        load: Load,
        method: Method,
        url: Url,
        body: Body,
    ) -> Result<T, GraphError> {
        retry::run(self.means(), operation, load, || self.attempt(&method, &url, &body)).await
    }

    pub(super) fn means(&self) -> retry::Means<'_> {
        let Self { options, clock, governor, reporter, stop, .. } = self;
        retry::Means { policy: &options.retry, clock: &**clock, governor, reporter: reporter.as_ref(), stop }
    }

    /// One request, and what is known after it.
    pub(super) async fn attempt<T: Answer>(&self, method: &Method, url: &Url, body: &Body) -> Outcome<T> {
        classify(&self.exchange(method, url, body).await)
    }

    /// The same of a message, whose answer may be that to another.
    async fn attempt_send(&self, request: &SendRequest, url: &Url, body: &Body) -> Outcome<Sent> {
        let outcome = receipt::read(request, &self.exchange(&Method::POST, url, body).await);
        if !receipt::is_anothers(request, &outcome) {
            return outcome;
        }
        self.get_back_into_step();
        Outcome::Unknown { retry: Retry::Never, failure: Failure::OutOfStep }
    }

    /// Uses no connection again that is open: where one answer is that to another request, as when something on the way has
    /// repeated one, so are all behind it.
    pub(super) fn get_back_into_step(&self) {
        tracing::warn!("an answer of Meta's is that to another request");
        self.transport.start_afresh();
    }

    /// One request, and what came back.
    async fn exchange(&self, method: &Method, url: &Url, body: &Body) -> Attempt {
        let token = &self.options.token;
        let call = Call {
            method: method.clone(),
            url: self.proven(url.clone()),
            token: token.clone(),
            auth: self.options.auth,
            body: body.clone(),
            timeout: patience(body),
        };
        tracing::debug!(?call, "asking Meta");
        let attempt = self.transport.execute(call).await;
        tracing::debug!(%attempt, "Meta's answer");
        match attempt {
            Attempt::Answered(answered) => {
                self.governor.observe(&answered.headers);
                self.answered.store(true, Ordering::Relaxed);
                // A page of some gateway's goes by that gateway's clock.
                if is_of_the_api(&answered) {
                    self.server_time.observe(&answered.headers, &*self.clock);
                }
                Attempt::Answered(Answered { body: without_token(answered.body, token), ..answered })
            }
            failed @ Attempt::Failed { .. } => failed,
        }
    }

    /// `url` with the proof that we know the app's secret, where we do.
    ///
    /// **Source**: "Secure Graph API Calls", `appsecret_time` (read 2026): HMAC-SHA256, keyed with the app secret, of
    /// `token|unix_time`, in lower-case hexadecimal. The time is Meta's as far as it is known, for a proof is good for
    /// minutes only.
    fn proven(&self, mut url: Url) -> Url {
        if let Some(app_secret) = &self.options.app_secret {
            let time = (self.meta_now().as_unix_millis() / 1000).to_string();
            let mut mac =
                Hmac::<Sha256>::new_from_slice(app_secret.expose().as_bytes()).expect("HMAC takes a key of any length");
            mac.update(format!("{}|{time}", self.options.token.expose()).as_bytes());
            url.query_pairs_mut()
                .append_pair("appsecret_proof", &hex::encode(mac.finalize().into_bytes()))
                .append_pair("appsecret_time", &time);
        }
        url
    }
}

/// Whether it is the API itself that answered, and not something before it.
fn is_of_the_api(Answered { status, body, .. }: &Answered) -> bool {
    let is_structured = || matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    let is_done = status.is_success() && is_structured() && serde_json::from_slice::<IgnoredAny>(body).is_ok();
    is_done || Refusal::read(*status, body).is_some()
}

/// How long Meta's answer to this is waited for. A file takes what it takes; nobody waits for the answer to a message longer
/// than [`LONGEST_CALL`].
fn patience(body: &Body) -> Duration {
    let leaving = Duration::from_secs(body.counted_bytes() / SLOWEST_BYTES_PER_SEC);
    CALL_TIMEOUT + if matches!(body, Body::Multipart(_)) { leaving } else { leaving.min(LONGEST_BODY) }
}

#[cfg(test)]
mod tests;
