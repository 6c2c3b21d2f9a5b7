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
use serde_json::Value;

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

/// What a fault makes of one request of a batch.
#[derive(Debug)]
pub(super) enum SpoiledItem {
    /// Nothing: the request goes its way.
    Untouched,
    /// `null` stands in place of an answer.
    Null,
    Answer(Answer),
}

impl Fault {
    /// What the client gets for `real`, the answer to work that was done, or for `None`, when no work was. `None` back
    /// means that the request goes its way.
    pub(super) async fn spoil(self, real: Option<Answer>, clock: &Arc<SandboxClock>) -> Option<Response> {
        self.wait(clock).await;
        let Some(mut answer) = self.answer().or(real) else {
            return self.ends_the_connection().then(|| self.hang_up(None));
        };
        self.alter(&mut answer);
        self.rearrange(&mut answer);
        Some(match self.drip_ms {
            _ if self.ends_the_connection() => self.hang_up(Some(answer)),
            Some(millis) => drip(answer, Duration::from_millis(millis), Arc::clone(clock)),
            None => answer.into_response(),
        })
    }

    /// The same for one request of a batch. It has no connection of its own: where one would end, its answer is `null`.
    pub(super) async fn spoil_item(self, real: Option<Answer>, clock: &Arc<SandboxClock>) -> SpoiledItem {
        self.wait(clock).await;
        if self.null || self.ends_the_connection() {
            return SpoiledItem::Null;
        }
        let Some(mut answer) = self.answer().or(real) else { return SpoiledItem::Untouched };
        self.alter(&mut answer);
        SpoiledItem::Answer(answer)
    }

    async fn wait(&self, clock: &SandboxClock) {
        if self.stall {
            std::future::pending::<()>().await;
        }
        if let Some(millis) = self.stall_ms {
            clock.sleep(Duration::from_millis(millis)).await;
        }
    }

    fn alter(&self, answer: &mut Answer) {
        for (name, value) in &self.headers {
            // Both were checked when the fault came in.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                answer.headers.insert(name, value);
            }
        }
        if self.truncate {
            answer.body.truncate(answer.body.len() / 2);
        }
    }

    /// Takes, adds or swaps answers in the list a batch is answered with; other answers stay as they are.
    fn rearrange(&self, answer: &mut Answer) {
        if !self.spoils_a_list() {
            return;
        }
        let Ok(Value::Array(mut list)) = serde_json::from_slice(&answer.body) else { return };
        if self.drop_last {
            list.pop();
        }
        if self.extra {
            list.extend(list.last().cloned());
        }
        if self.swap && list.len() > 1 {
            list.swap(0, 1);
        }
        answer.body = Value::from(list).to_string().into();
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
        if self.null {
            return Some(Answer::ok(&Value::Null));
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
