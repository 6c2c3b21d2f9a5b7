//! A client that knows nothing of reattach: it writes a row every few milliseconds, and notes which were acknowledged.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// How often it writes.
const PACE: Duration = Duration::from_millis(20);
/// How long a row, or a connection, may take.
const ANSWER: Duration = Duration::from_secs(1);

/// It, while it writes.
#[derive(Debug)]
pub(super) struct Witness {
    url: String,
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<(i64, Instant)>>,
}

/// What it can say at the end.
#[derive(Debug)]
pub(super) struct Testimony {
    pub(super) acknowledged: usize,
    /// How many of those are not there.
    pub(super) missing: usize,
    /// The longest time without a row.
    pub(super) silence: Duration,
}

impl Witness {
    /// Begins to write into a table of its own in the database at `url`.
    pub(super) fn start(url: String) -> Self {
        let (is_over, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (ends, counts, place) = (Arc::clone(&is_over), Arc::clone(&acknowledged), url.clone());
        let thread = std::thread::spawn(move || block_on(write(&place, &ends, &counts)));
        Self { url, is_over, acknowledged, thread }
    }

    /// How many rows were acknowledged so far.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Stops, and looks for every row that was acknowledged.
    pub(super) fn ask(self) -> Testimony {
        self.is_over.store(true, Ordering::SeqCst);
        let acknowledged = self.thread.join().expect("no panic");
        let there: HashSet<i64> = block_on(async {
            let client = connect(&self.url).await.expect("a server that can be written to");
            client.query("SELECT id FROM witness", &[]).await.expect("rows").iter().map(|row| row.get(0)).collect()
        });
        let gaps = acknowledged.windows(2).map(|pair| pair[1].1 - pair[0].1);
        Testimony {
            silence: gaps.max().unwrap_or_default(),
            missing: acknowledged.iter().filter(|(id, _)| !there.contains(id)).count(),
            acknowledged: acknowledged.len(),
        }
    }
}

async fn write(url: &str, is_over: &AtomicBool, count: &AtomicUsize) -> Vec<(i64, Instant)> {
    let (mut client, mut acknowledged) = (None, Vec::new());
    for id in 0_i64.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        if client.is_none() {
            client = connect(url).await;
        }
        if let Some(server) = &client {
            let values: [&(dyn ToSql + Sync); 1] = [&id];
            if let Ok(Ok(_)) = timeout(ANSWER, server.execute("INSERT INTO witness VALUES ($1)", &values)).await {
                acknowledged.push((id, Instant::now()));
                count.store(acknowledged.len(), Ordering::SeqCst);
            } else {
                client = None;
            }
        }
        sleep(PACE).await;
    }
    acknowledged
}

async fn connect(url: &str) -> Option<Client> {
    let (client, connection) = timeout(ANSWER, tokio_postgres::connect(url, NoTls)).await.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
