//! One connection: HTTP/1.1 until its end, which a fault may bring early.
//!
//! axum's own server never lets go of a connection, so hyper is driven here by hand.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::DATE;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::shared::Shared;

/// How long an answer may take once the sandbox stops.
const GRACE: Duration = Duration::from_millis(100);

/// In place of a response: the connection's end, after `parting`, which is written as it is.
#[derive(Debug, Clone)]
pub(super) struct HangUp {
    pub(super) parting: Bytes,
    /// RST, or else FIN.
    pub(super) reset: bool,
}

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault of the sandbox ends the connection")
    }
}

impl Error for HangUp {}

impl IntoResponse for HangUp {
    /// A response that carries the hang-up out of the router.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// Serves `stream` until the client closes it, a fault does, or the sandbox stops.
pub(super) async fn serve(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request.map(Body::new));
        let shared = Arc::clone(&shared);
        async move {
            let Ok(mut response) = answer.await;
            if let Some(date) = shared.clock.http_date().and_then(|date| HeaderValue::try_from(date).ok()) {
                response.headers_mut().insert(DATE, date);
            }
            match response.extensions_mut().remove::<HangUp>() {
                Some(hang_up) => Err(hang_up),
                None => Ok(response),
            }
        }
    });
    let mut connection = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop.cancelled() => None,
    };
    let Some(ended) = ended else {
        Pin::new(&mut connection).graceful_shutdown();
        // An answer under way may end; one that stalls may not.
        let _ = tokio::time::timeout(GRACE, connection).await;
        return;
    };
    // Whatever else ends a connection is the client's affair, and so is an end that comes too late to be heard.
    if let Err(error) = ended
        && let Some(hang_up) = error.source().and_then(|cause| cause.downcast_ref::<HangUp>())
    {
        let _ = hang_up.end(connection.into_parts().io.into_inner()).await;
    }
}

impl HangUp {
    async fn end(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(&self.parting).await?;
        if self.reset { stream.set_zero_linger() } else { stream.shutdown().await }
    }
}
