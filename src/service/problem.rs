//! What went wrong, as RFC 9457 has it: `application/problem+json`.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::events::ErrorBody;
use crate::fault::{Fault, Sort};

use super::UnservedPage;

const UNKNOWN_OUTCOME: &str = "Nobody knows whether it was sent";

/// What a problem document is served as.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document. Its `type` is a word that never changes; `detail` and `hint` are for people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:reattach:problem:` and a word.
    #[serde(rename = "type", serialize_with = "as_urn")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// The word in a few more.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and why.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Where it comes from, where that is not the request itself.
    #[serde(flatten)]
    origin: Option<Box<Origin>>,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What became of the message that was to be sent: `failed` (it was not sent) or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Seconds after which to ask again.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// Where a problem comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Origin {
    /// Meta's code, where Meta refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    /// Meta's subcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    subcode: Option<i64>,
    /// In one word.
    class: &'static str,
    /// Meta's own name for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    fbtrace_id: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, word: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: word,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
            origin: None,
            retryable: false,
            outcome: None,
            retry_after: None,
        }
    }

    fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn again_in(self, seconds: u32) -> Self {
        Self { retryable: true, retry_after: Some(seconds), ..self }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Nobody knows who is asking.
    pub(super) fn unauthorized() -> Self {
        let detail = "the request shows no token this service knows";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not signed in", detail).hinting(
            "send `Authorization: Bearer TOKEN`; `reattach serve --print-url` prints a link that signs a browser in",
        )
    }

    /// The token may only look.
    pub(super) fn read_only() -> Self {
        let detail = "this token may look, and not upload, send or change anything";
        Self::new(StatusCode::FORBIDDEN, "scope", "Read only", detail).hinting("use the token in serve.token")
    }

    /// A browser's session without its second word.
    pub(super) fn no_csrf() -> Self {
        let detail = "the request has an effect and does not show that it comes from the page";
        Self::new(StatusCode::FORBIDDEN, "csrf", "Not from the page", detail).hinting("reload the page")
    }

    /// It comes from another site.
    pub(super) fn foreign() -> Self {
        let detail = "the request comes from a page of another site";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", "From another site", detail)
    }

    /// It was meant for another host.
    pub(super) fn misdirected() -> Self {
        let detail = "the request is for a host this service is not";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Not this host", detail)
            .hinting("call it by the address it printed; names of a proxy are given with --host")
    }

    /// There is nothing of that name.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The library has no such file.
    pub(super) fn no_file(path: &str) -> Self {
        Self::not_found(format!("there is no file {path:?} in the library"))
            .hinting("a path starts in a folder given with --library, or at the root of the disk")
    }

    /// There is something, but nothing that can be done with it in this way.
    pub(super) fn method() -> Self {
        let detail = "there is something of that name, and it does not know this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Unknown method", detail)
    }

    /// The request makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "Not understood", detail)
    }

    /// A path that is none of ours to read.
    pub(super) fn outside(reference: &str) -> Self {
        let detail = format!("{reference:?} lies in no folder of this service's library");
        Self::new(StatusCode::FORBIDDEN, "outside", "Outside the library", detail)
            .hinting("start it with --library and the folder, or name the asset by hash or alias")
    }

    /// More than is taken at once.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    /// Bytes are asked for that lie behind the last of so many.
    pub(super) fn behind_the_end(whole: usize) -> Self {
        let detail = format!("the range lies behind the end: there are {whole} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", "No such bytes", detail)
    }

    /// Its headers go on and on.
    pub(super) fn too_much_said() -> Self {
        let detail = "the request's headers have more than 32 kB";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", "Too many headers", detail)
    }

    /// It took too long.
    pub(super) fn late() -> Self {
        let detail = "the answer took too long, and was given up";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "late", "Too slow", detail).again_in(5)
    }

    /// Its body does not come.
    pub(super) fn slow() -> Self {
        let detail = "the request's body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow", "Too slow", detail)
    }

    /// Nothing new is begun.
    pub(super) fn stopping() -> Self {
        let detail = "the service is stopping, and begins nothing new";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The service is stopping", detail).again_in(5)
    }

    /// What happened and why.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// A Page it was to work for.
    pub(super) fn unserved(page: &UnservedPage) -> Self {
        let detail = format!("the Page {} is not served: {}", page.name, page.why);
        Self::new(StatusCode::BAD_GATEWAY, "credentials", "Meta does not take the Page's token", detail)
            .hinting("put its token right, and start the service again")
    }

    /// Something else stands where this was to go.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "In the way", detail)
    }

    /// The disk takes no more.
    pub(super) fn no_room(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no-room", "No room", detail)
            .hinting("make room where the library's folder lies, and ask again")
            .again_in(30)
    }

    /// The same request is being worked on.
    pub(super) fn under_way(seconds: u32) -> Self {
        let detail = "the request that was first sent under this key is being worked on";
        Self::new(StatusCode::CONFLICT, "under-way", "Under way", detail)
            .hinting("ask again under the same key: the answer to the first will be yours")
            .again_in(seconds)
    }

    /// Another request has that key.
    pub(super) fn other_request() -> Self {
        let detail = "another request was sent under this key within the last 24 hours";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Key in use", detail)
            .hinting("give each message a key of its own, and repeat a message as it was, byte for byte")
    }

    /// A message whose sender was lost over it.
    pub(super) fn lost_track() -> Self {
        let detail = "whoever was to send the message is gone, and has left no answer";
        let problem = Self::new(StatusCode::BAD_GATEWAY, "unknown-outcome", UNKNOWN_OUTCOME, detail);
        problem
            .hinting(
                "The message may have arrived: look in the Page's inbox before sending it again, under another key.",
            )
            .of_message("unknown")
    }

    /// They come faster than anybody may ask.
    pub(super) fn too_many(wait: Duration) -> Self {
        let detail = "requests of this sort come faster than this service takes them: nothing was done";
        let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail).again_in(seconds)
    }

    /// The Page's rate limit is in the way.
    pub(super) fn limited(fault: &dyn Fault, seconds: u32) -> Self {
        let Self { kind, title, status, .. } =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too fast for Meta", "");
        Self { kind, title, status, ..Self::of(fault) }.again_in(seconds)
    }

    /// What was to be sent cannot be: its file, what it refers to, or what came of uploading it.
    pub(super) fn of_file(fault: &dyn Fault) -> Self {
        let Self { kind, title, status, .. } =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "file", "Its file cannot be sent", "");
        match Self::of(fault) {
            refused if refused.status == status => Self { kind, title, ..refused },
            other => other,
        }
    }

    /// The same, with what became of the message.
    pub(super) fn of_message(self, outcome: &'static str) -> Self {
        Self { outcome: Some(outcome), ..self }
    }

    /// The answer that tells as well what became of these assets, before there was a problem.
    pub(super) fn after(&self, assets: &[String]) -> Response {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        document["assets"] = assets.iter().filter_map(|asset| serde_json::from_str::<Value>(asset).ok()).collect();
        self.answer(document.to_string())
    }

    fn answer(&self, document: String) -> Response {
        let mut response = (self.status(), document).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// The document.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Nothing that should happen. What it was stands in the log.
    pub(super) fn unexpected() -> Self {
        let detail = "something went wrong that should not; the service's log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", "Unexpected", detail)
    }

    /// An error of the library, the record, Meta or a campaign.
    pub(super) fn of(fault: &dyn Fault) -> Self {
        let (status, word, title) = match fault.sort() {
            Sort::Usage => (StatusCode::BAD_REQUEST, "invalid", "Not understood"),
            Sort::Credentials => (StatusCode::BAD_GATEWAY, "credentials", "Meta does not take the Page's token"),
            Sort::Store => (StatusCode::SERVICE_UNAVAILABLE, "store", "The record is out of reach"),
            Sort::TryLater => (StatusCode::SERVICE_UNAVAILABLE, "later", "Try later"),
            Sort::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "The service is stopping"),
            Sort::Item => (StatusCode::UNPROCESSABLE_ENTITY, "refused", "Not possible"),
            Sort::UnknownOutcome => (StatusCode::BAD_GATEWAY, "unknown-outcome", UNKNOWN_OUTCOME),
            Sort::Unexpected => (StatusCode::INTERNAL_SERVER_ERROR, "unexpected", "Unexpected"),
        };
        let ErrorBody { code, subcode, class, message, hint, retryable, fbtrace_id } = ErrorBody::of(fault);
        let problem = Self::new(status, word, title, message);
        let problem = if status == StatusCode::SERVICE_UNAVAILABLE { problem.again_in(5) } else { problem };
        let retryable = retryable || problem.retry_after.is_some();
        Self { hint, origin: Some(Box::new(Origin { code, subcode, class, fbtrace_id })), retryable, ..problem }
    }
}

fn as_urn<S: Serializer>(word: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:reattach:problem:{word}"))
}

impl<F: Fault> From<F> for Problem {
    fn from(fault: F) -> Self {
        Self::of(&fault)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer(self.to_json())
    }
}
