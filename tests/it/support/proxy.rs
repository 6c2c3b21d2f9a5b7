//! A way to a server that can fall silent and end nothing: what a network that comes apart looks like from both sides.
//!
//! Shared with the library's own tests, which is why it leans on nothing else.

#![allow(dead_code, reason = "each of those who include it uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// A port on this machine that leads to another.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    silent: watch::Sender<bool>,
    opened: Arc<AtomicU64>,
    /// It runs on this, and ends with it.
    runtime: Option<Runtime>,
}

impl Proxy {
    pub(crate) fn before(server: u16) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("a port to wait at");
        let port = listener.local_addr().expect("an address").port();
        let (silent, silence) = watch::channel(false);
        let opened = Arc::<AtomicU64>::default();
        let count = Arc::clone(&opened);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a port to wait at");
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(lead(client, server, silence.clone()));
            }
        });
        Self { port, silent, opened, runtime: Some(runtime) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were opened so far, silent ones as well.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// From here on nothing comes through, not even an end.
    pub(crate) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// Whatever was said meanwhile arrives, as what a network repeats until it is heard.
    pub(crate) fn speak_again(&self) {
        self.silent.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Whoever drops it may be on a runtime that must not be held up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn lead(mut client: TcpStream, server: u16, mut silence: watch::Receiver<bool>) {
    let heard = silence.wait_for(|silent| !silent).await.is_ok();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    if heard {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::join!(pass_on(from_client, to_server, silence.clone()), pass_on(from_server, to_client, silence));
    }
}

async fn pass_on(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut silence: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        if silence.wait_for(|silent| !silent).await.is_err() {
            return;
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            // Where one side has ended, the other hears of it.
            let _ = to.shutdown().await;
            return;
        }
    }
}
