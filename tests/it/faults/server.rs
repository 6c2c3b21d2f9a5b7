//! A Graph API of bytes: reads a request, or not, and then does what the cell says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::Quiet;
use super::cells::{Cell, End, Fault, Reply, Strike, good};

/// What the server knows when all is over.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Requests that were read to their end.
    pub(super) requests: u64,
    /// How many of them did, or may have done, their work.
    pub(super) done: u64,
    /// Bytes of an endless answer that were taken.
    pub(super) endless_bytes: u64,
    /// Connections to where a redirect points.
    pub(super) elsewhere: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    done: AtomicU64,
    endless_bytes: AtomicU64,
    elsewhere: AtomicU64,
}

pub(super) struct Server {
    origin: String,
    counters: Arc<Counters>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    pub(super) async fn start(cell: &Cell, quiet: Quiet) -> Self {
        let counters = Arc::new(Counters::default());
        // Until it listens, the port is taken and refuses.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let origin = format!("http://{}", socket.local_addr().expect("an address"));
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = elsewhere.local_addr().expect("an address").to_string();
        let mut tasks = Vec::new();
        let count = Arc::clone(&counters);
        tasks.push(tokio::spawn(async move {
            while let Ok((stream, _)) = elsewhere.accept().await {
                count.elsewhere.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        }));
        if matches!(cell.fault, Fault::RefusedPort) {
            tasks.push(tokio::spawn(async move {
                let _taken = socket;
                std::future::pending::<()>().await;
            }));
        } else {
            let listener = socket.listen(16).expect("a listener");
            let (cell, counters) = (cell.clone(), Arc::clone(&counters));
            tasks.push(tokio::spawn(async move {
                let mut connections = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    quiet.disturb();
                    let number = counters.connections.fetch_add(1, Ordering::Relaxed);
                    let strikes = number == 0 || cell.strike == Strike::Always;
                    let connection = Connection {
                        stream,
                        quiet: quiet.clone(),
                        counters: Arc::clone(&counters),
                        there: there.clone(),
                    };
                    let cell = cell.clone();
                    connections.push(tokio::spawn(async move {
                        // The client may be gone at any moment, which is its right.
                        let _ = connection.serve(&cell, strikes).await;
                    }));
                }
            }));
        }
        Self { origin, counters, tasks }
    }

    pub(super) fn origin(&self) -> String {
        self.origin.clone()
    }

    pub(super) async fn stop(self) -> Truth {
        for task in &self.tasks {
            task.abort();
        }
        // What was sent to the server and not read yet is read, or given up, before it is judged.
        tokio::task::yield_now().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Truth {
            requests: count(&self.counters.requests),
            done: count(&self.counters.done),
            endless_bytes: count(&self.counters.endless_bytes),
            elsewhere: count(&self.counters.elsewhere),
        }
    }
}

struct Connection {
    stream: TcpStream,
    quiet: Quiet,
    counters: Arc<Counters>,
    /// Where a redirect points.
    there: String,
}

impl Connection {
    async fn serve(mut self, cell: &Cell, strikes: bool) -> std::io::Result<()> {
        let good = good(cell.endpoint);
        if !strikes {
            self.read_request().await?;
            self.done();
            return self.answer(&good).await;
        }
        match &cell.fault {
            Fault::RefusedPort => unreachable!("nobody listens"),
            Fault::BeforeBytes(end) => self.end(*end).await,
            Fault::LateToRead(pause) => {
                tokio::time::sleep(*pause).await;
                self.read_request().await?;
                self.done();
                self.answer(&good).await
            }
            Fault::MidRequest(end) => {
                self.read_some().await?;
                self.end(*end).await
            }
            Fault::AfterRequest(end) => {
                self.read_request().await?;
                self.done();
                self.end(*end).await
            }
            Fault::LateToAnswer(pause) => {
                self.read_request().await?;
                self.done();
                tokio::time::sleep(*pause).await;
                self.answer(&good).await
            }
            Fault::MidHead(end) => {
                self.read_request().await?;
                self.done();
                self.write(b"HTTP/1.1 200 OK\r\nContent-Le").await?;
                self.end(*end).await
            }
            Fault::MidBody(end) => {
                self.read_request().await?;
                self.done();
                let whole = good.to_bytes(&self.there);
                self.write(&whole[..whole.len() - good.body.len() / 2]).await?;
                self.end(*end).await
            }
            Fault::AfterBody(end) => {
                self.read_request().await?;
                self.done();
                self.write(&good.to_bytes(&self.there)).await?;
                self.end(*end).await
            }
            Fault::Drip { pause, bytes } => {
                self.read_request().await?;
                self.done();
                for piece in good.to_bytes(&self.there).chunks(*bytes) {
                    self.write(piece).await?;
                    tokio::time::sleep(*pause).await;
                }
                Ok(())
            }
            Fault::Answer(reply) => {
                self.read_request().await?;
                if reply.may_be_done {
                    self.done();
                }
                self.answer(reply).await
            }
            Fault::Endless => {
                self.read_request().await?;
                self.done();
                self.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await?;
                let piece = vec![b' '; 64 << 10];
                for _ in 0..(1 << 30) / piece.len() {
                    self.write(&piece).await?;
                    self.counters.endless_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    fn done(&self) {
        self.counters.done.fetch_add(1, Ordering::Relaxed);
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.quiet.disturb();
        self.stream.write_all(bytes).await
    }

    async fn answer(&mut self, reply: &Reply) -> std::io::Result<()> {
        self.write(&reply.to_bytes(&self.there)).await?;
        self.stream.shutdown().await
    }

    async fn end(self, end: End) -> std::io::Result<()> {
        match end {
            End::Fin => {}
            End::Reset => self.stream.set_zero_linger()?,
            End::Stall => std::future::pending().await,
            End::Late(pause) => tokio::time::sleep(pause).await,
        }
        Ok(())
    }

    /// The head of the request, and two bytes of its body.
    async fn read_some(&mut self) -> std::io::Result<()> {
        self.read_head(1).await?;
        self.read(&mut [0; 2]).await.map(drop)
    }

    /// The request to its end, which its `Content-Length` names.
    async fn read_request(&mut self) -> std::io::Result<()> {
        let mut missing = self.read_head(64 << 10).await?;
        let mut piece = vec![0; 256 << 10];
        while missing > 0 {
            missing = missing.saturating_sub(self.read(&mut piece).await?);
        }
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The head, read in pieces of at most so many bytes, and how much of the body is still to come.
    async fn read_head(&mut self, piece_bytes: usize) -> std::io::Result<usize> {
        let (mut read, mut piece) = (Vec::new(), vec![0; piece_bytes]);
        loop {
            let count = self.read(&mut piece).await?;
            read.extend_from_slice(&piece[..count]);
            if let Some(start) = read.windows(4).position(|four| four == b"\r\n\r\n").map(|place| place + 4) {
                return Ok((start + content_length(&read[..start])).saturating_sub(read.len()));
            }
        }
    }

    /// At least one byte; that there is none any more is an error.
    async fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(piece).await?;
        self.quiet.disturb();
        if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.expect("every request says how long it is").trim().parse().expect("a number")
}

/// A pause nobody would notice, one that is felt, and one that tries patience.
pub(super) const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(35)];
