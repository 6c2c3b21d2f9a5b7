//! Doing to an answer what a fault says.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, StatusCode};

use super::connection::HangUp;
use super::faults::Fault;
use super::time::SandboxClock;
use super::wire::{Answer, error_object};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The page Facebook shows when it is down.
const OUTAGE_PAGE: &str = "<!DOCTYPE html><html lang=\"en\"><head><title>Facebook | Error</title></head><body>\
                           <h1>Sorry, something went wrong.</h1><p>We're working on it and we'll get it fixed as soon \
                           as we can.</p></body></html>";

impl Fault {
    /// What the client gets for `real`, the answer to work that was done, or for `None`, when no work was. `None` back
    /// means that the request goes its way.
    pub(super) async fn spoil(self, real: Option<Answer>, clock: &Arc<SandboxClock>) -> Option<Response> {
        if self.stall {
            std::future::pending::<()>().await;
        }
        if let Some(millis) = self.stall_ms {
            clock.sleep(Duration::from_millis(millis)).await;
        }
        let Some(mut answer) = self.answer().or(real) else {
            return self.ends_the_connection().then(|| self.hang_up(None));
        };
        for (name, value) in &self.headers {
            // Both were checked when the fault came in.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                answer.headers.insert(name, value);
            }
        }
        if self.truncate {
            answer.body.truncate(answer.body.len() / 2);
        }
        Some(match self.drip_ms {
            _ if self.ends_the_connection() => self.hang_up(Some(answer)),
            Some(millis) => drip(answer, Duration::from_millis(millis), Arc::clone(clock)),
            None => answer.into_response(),
        })
    }

    /// What to answer in place of the truth.
    fn answer(&self) -> Option<Answer> {
        let status = |default| self.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(default);
        if let Some(fields) = &self.graph {
            let mut fields = fields.clone();
            fields.entry("type").or_insert_with(|| "OAuthException".into());
            fields.entry("message").or_insert_with(|| "A fault of the sandbox".into());
            return Some(Answer::json(status(StatusCode::BAD_REQUEST), &error_object(fields)));
        }
        if self.html {
            return Some(Answer::new(status(StatusCode::INTERNAL_SERVER_ERROR), HTML, OUTAGE_PAGE));
        }
        let body = self.body.clone().unwrap_or_default();
        self.status.map(|_| Answer::new(status(StatusCode::INTERNAL_SERVER_ERROR), PLAIN, body))
    }

    /// The end of the connection, after as much of the answer as the fault lets through.
    fn hang_up(&self, answer: Option<Answer>) -> Response {
        let parting = match answer.map(Answer::head_and_body) {
            Some((head, _)) if self.mid_head => head[..head.len() / 2].to_vec(),
            Some((head, body)) if self.mid_body => [&head, &body[..body.len() / 2]].concat(),
            _ => Vec::new(),
        };
        HangUp { parting: parting.into(), reset: self.reset }.into_response()
    }
}

/// `answer` with its body sent a byte at a time.
fn drip(answer: Answer, pause: Duration, clock: Arc<SandboxClock>) -> Response {
    let Answer { status, mut headers, body } = answer;
    headers.insert(CONTENT_LENGTH, body.len().into());
    let bytes = stream::unfold(body, move |mut rest| {
        let clock = Arc::clone(&clock);
        async move {
            if rest.is_empty() {
                return None;
            }
            clock.sleep(pause).await;
            Some((Ok::<Bytes, Infallible>(rest.split_to(1)), rest))
        }
    });
    (status, headers, Body::from_stream(bytes)).into_response()
}
