//! `GET /v1/events`: what happens, as it happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::HeaderMap;

use crate::service::news::{Item, Place};
use crate::service::shared::Shared;
use crate::service::visitor::MayRead;

/// So often a sign of life goes out, and it is looked whether somebody else has changed the library.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Server-sent events: `asset`, `campaign`, `library`; `reset` where some were missed. `Last-Event-ID` goes on behind it.
#[utoipa::path(
    get,
    path = "/v1/events",
    params(("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, description = "A stream that ends when the service does", content_type = "text/event-stream"))
)]
pub(super) async fn events(State(shared): State<Arc<Shared>>, _: MayRead, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (after, is_lost) = match shared.news.place(last) {
        Place::After(number) => (number, false),
        Place::Lost(newest) => (newest, true),
    };
    let listener = Listener { bell: shared.news.bell(), shared, after, is_lost, waiting: Vec::new() };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response()
}

/// Somebody who listens.
struct Listener {
    shared: Arc<Shared>,
    bell: tokio::sync::watch::Receiver<u64>,
    after: u64,
    is_lost: bool,
    /// Heard, and not told yet; the oldest last.
    waiting: Vec<Item>,
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_lost) {
            return Some(Event::default().event("reset").id(self.shared.news.id(self.after)).data("{}"));
        }
        loop {
            if let Some(item) = self.waiting.pop() {
                self.after = item.number;
                let id = self.shared.news.id(item.number);
                return Some(Event::default().event(item.name).id(id).data(String::from_utf8_lossy(&item.data)));
            }
            self.bell.mark_unchanged();
            self.waiting = self.shared.news.since(self.after);
            self.waiting.reverse();
            if self.waiting.is_empty() {
                tokio::select! {
                    () = self.shared.parts.stop.requested() => return None,
                    rung = self.bell.changed() => if rung.is_err() { return None },
                    // What other processes do is seen by looking.
                    () = tokio::time::sleep(SIGN_OF_LIFE) => drop(self.shared.catalogue.view(&self.shared).await),
                }
            }
        }
    }
}
