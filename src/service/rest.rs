//! What is left of a request's body once its answer is known.
//!
//! Whoever is still sending when the connection ends finds it broken, and never reads why. So an answer that is known early
//! waits until the body is through, unless that takes too long.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Request;
use http::header::EXPECT;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// How much is still read, at most: a file that Meta would take, and more.
const MOST_BYTES: usize = 32 << 20;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(1);

/// The request as it goes to whoever answers it, and what they leave of its body; `None` where it has none.
pub(super) fn lend(request: Request<Incoming>) -> (Request<Body>, Option<Rest>) {
    if request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let is_on_demand = request.headers().contains_key(EXPECT);
    let (head, body) = request.into_parts();
    let source = Source(Arc::new(Mutex::new(Lent { body, is_begun: false })));
    let lent = Body::new(Source(Arc::clone(&source.0)));
    (Request::from_parts(head, lent), Some(Rest { source, is_on_demand }))
}

/// What nobody has read of a body.
#[derive(Debug)]
pub(super) struct Rest {
    source: Source,
    /// Whether it is sent once it is asked for, and not before.
    is_on_demand: bool,
}

impl Rest {
    /// Returns once it is through, or is too much.
    pub(super) async fn hear_out(mut self) {
        if self.is_on_demand && !self.source.lent().is_begun {
            return;
        }
        let through = async {
            let mut left = MOST_BYTES;
            while let Ok(Some(Ok(frame))) =
                timeout(SILENCE, poll_fn(|cx| Pin::new(&mut self.source).poll_frame(cx))).await
            {
                let Some(fewer) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = fewer;
            }
        };
        let _ = timeout(LONGEST, through).await;
    }
}

/// A body that two may read, one after the other.
#[derive(Debug)]
struct Source(Arc<Mutex<Lent>>);

#[derive(Debug)]
struct Lent {
    body: Incoming,
    /// Whether it was asked for.
    is_begun: bool,
}

impl Source {
    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for Source {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut lent = self.lent();
        lent.is_begun = true;
        Pin::new(&mut lent.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lent().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lent().body.size_hint()
    }
}
