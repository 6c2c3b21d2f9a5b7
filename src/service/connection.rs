//! Connections: so many at once, none that dawdles over its head or does not read its answer, and all ended well when the
//! service stops.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::stop::Stop;

use super::rest;
use super::tls::Tls;

/// Connections at once; the next ones wait in the system's queue.
const CONNECTIONS: usize = 1_024;
/// How long a request's head may take, and a connection may say nothing.
const HEAD: Duration = Duration::from_secs(20);
/// How long the other end may read nothing of an answer, which takes memory until it is read.
const UNREAD: Duration = Duration::from_secs(30);
/// How much of an answer the system takes ahead of who reads it: whoever reads a little now and then is seen to read.
const AHEAD_BYTES: usize = 128 << 10;
/// How large a head may be.
const HEAD_BYTES: usize = 64 << 10;
/// How long answers that are under way may take once the service stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait when the system cannot give another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Answers whoever connects until `stop` is requested, and then finishes what is under way.
pub(super) async fn accept(listener: TcpListener, tls: Option<Tls>, router: Router, stop: Stop) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
            () = stop.requested() => break,
        };
        let (stream, peer, place) = match accepted {
            (Ok((stream, address)), place) => (stream, Peer(address.ip()), place),
            (Err(error), _) => {
                // Out of file descriptors, most likely: some will be free again.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and whole: nothing is gained by holding them back.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, AHEAD_BYTES);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(UNREAD));
        let stream = Box::pin(stream);
        let router = TowerToHyperService::new(router.clone());
        let asked = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            let (mut request, rest) = rest::lend(request);
            request.extensions_mut().insert(peer);
            let answering = router.call(request);
            async move {
                let answered = answering.await;
                if let Some(rest) = rest {
                    rest.hear_out().await;
                }
                answered
            }
        });
        let (http, tls, watcher, stop) = (http.clone(), tls.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let connection = async {
                match tls {
                    None => watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await,
                    Some(tls) => match tokio::time::timeout(HEAD, tls.accept(stream)).await {
                        Ok(Ok(stream)) => watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await,
                        Ok(Err(_)) | Err(_) => Ok(()),
                    },
                }
            };
            let ended = tokio::select! {
                biased;
                ended = connection => ended,
                // Nothing was begun, and nobody waits for the rest of its head.
                () = unasked(&stop, &asked) => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests take longer: only the messages among them are waited for");
    }
    Ok(())
}

/// Returns when the service stops before anything was asked.
async fn unasked(stop: &Stop, asked: &AtomicBool) {
    stop.requested().await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use bytes::Bytes;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, mpsc};
    use tokio::task::JoinHandle;

    use super::*;

    /// More than any system keeps of what nobody reads.
    const LARGE: usize = 64 << 20;

    /// A large answer, and who wants to know when it takes no memory any more.
    struct Answer(Vec<u8>, mpsc::UnboundedSender<()>);

    impl AsRef<[u8]> for Answer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Answer {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }

    /// Where it listens, and what ends it.
    async fn serve(router: Router) -> (SocketAddr, Stop, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Stop::new();
        (address, stop.clone(), tokio::spawn(accept(listener, None, router, stop)))
    }

    #[tokio::test]
    async fn whoever_is_refused_while_they_send_reads_why() {
        // More than systems keep of what nobody reads.
        const BODY: usize = 16 << 20;
        let refused = async || StatusCode::PAYLOAD_TOO_LARGE;
        let (address, stop, serving) = serve(Router::new().route("/", post(refused))).await;
        // Who asks first whether to send at all is not told to.
        for (asks, sent) in [("", BODY), ("expect: 100-continue\r\n", 0)] {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            let head =
                format!("POST / HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {BODY}\r\n{asks}\r\n");
            stream.write_all(head.as_bytes()).await.expect("asked");
            stream.write_all(&vec![0_u8; sent]).await.expect("heard out");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("answered");
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
        }
        stop.request();
        serving.await.expect("no panic").expect("served");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_nobody_reads_is_not_kept() {
        let (told, mut dropped) = mpsc::unbounded_channel();
        let answer = move || std::future::ready(Bytes::from_owner(Answer(vec![0; LARGE], told.clone())));
        let (address, stop, serving) = serve(Router::new().route("/", get(answer))).await;
        let mut idle = TcpStream::connect(address).await.expect("connected");
        idle.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("asked");
        let mut head = [0; 15];
        idle.read_exact(&mut head).await.expect("answered");
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        let began = tokio::time::Instant::now();
        dropped.recv().await.expect("given up");
        assert!(began.elapsed() <= 2 * UNREAD, "{:?}", began.elapsed());
        let mut rest = Vec::new();
        let _ = idle.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE, "{} bytes", rest.len());
        stop.request();
        serving.await.expect("no panic").expect("served");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_asked_is_not_waited_for() {
        let (address, stop, serving) = serve(Router::new()).await;
        let mut half = TcpStream::connect(address).await.expect("connected");
        half.write_all(b"GET / HTTP/1.1\r\nhost: he").await.expect("begun");
        // With each turn the system hands on some of what was written.
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let stopped = tokio::time::Instant::now();
        stop.request();
        serving.await.expect("no panic").expect("served");
        assert!(stopped.elapsed() < GRACE, "{:?}", stopped.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_is_answered_all_the_same() {
        let (told, mut begun) = mpsc::unbounded_channel();
        let go = Arc::new(Notify::new());
        let held = Arc::clone(&go);
        let answer = move || {
            let (told, held) = (told.clone(), Arc::clone(&held));
            async move {
                let _ = told.send(());
                held.notified().await;
                "answered"
            }
        };
        let (address, stop, serving) = serve(Router::new().route("/", get(answer))).await;
        let mut asking = TcpStream::connect(address).await.expect("connected");
        asking.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("asked");
        begun.recv().await.expect("begun");
        stop.request();
        tokio::time::sleep(Duration::from_secs(1)).await;
        go.notify_one();
        let mut whole = Vec::new();
        asking.read_to_end(&mut whole).await.expect("read");
        assert!(whole.ends_with(b"answered"), "{}", String::from_utf8_lossy(&whole));
        serving.await.expect("no panic").expect("served");
    }
}
