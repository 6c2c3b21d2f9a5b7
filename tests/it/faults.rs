//! The fault matrix: every way a connection or an answer can go wrong, for an upload, a send and a batch, over real
//! sockets, held against an oracle of its own.
//!
//! The server writes bytes by hand and knows the truth: how often it took the work for done. The [`oracle`] says what
//! a caller must be told. It is written from the failure model, and shares nothing with the client.
//!
//! # Time
//! All cells of a test share one thread and one stopped clock; a blocking task that does not end keeps tokio from
//! moving it on its own, which it would do while bytes are on their way. The clock is moved by [`Quiet`] alone, half a
//! second at a time, and only when neither the server nor the runtime had anything to do for a millisecond. A stall of
//! 100 seconds so takes 200 quiet turns, and a machine would have to lose all sight of a packet for that long to be
//! mistaken for one.

mod cells;
mod oracle;
mod server;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reattach::clock::{ManualClock, Timestamp};
use reattach::graph::{
    FileUpload, GraphClient, GraphError, GraphOptions, Message, ReqwestTransport, RetryPolicy, Scope, SendRequest, Sent,
};
use reattach::ids::{MediaKind, PageId, Platform, Recipient};
use reattach::secret::AccessToken;

use cells::Cell;
use oracle::Verdict;
use server::Server;

use crate::support::secrecy::Listener;

/// Cells under way at once.
const TOGETHER: usize = 48;
/// A turn of the clock.
const TURN: Duration = Duration::from_millis(500);
/// More than the buffers of two sockets hold, so that the server decides how much of it leaves.
const LARGE_BYTES: usize = 24 << 20;

/// What is asked of Meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Upload,
    Send,
    Batch,
}

/// Moves the clock while nothing else happens.
#[derive(Debug, Clone, Default)]
struct Quiet(Arc<AtomicU64>);

impl Quiet {
    /// Something happened.
    fn disturb(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// For ever.
    async fn keep_time(&self) {
        loop {
            let before = self.0.load(Ordering::Relaxed);
            let turn = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)));
            turn.await.expect("a turn");
            if self.0.load(Ordering::Relaxed) == before {
                tokio::time::advance(TURN).await;
            }
        }
    }
}

/// Runs all cells, and fails with the list of those that came out otherwise than the oracle says.
fn hold(cells: &[Cell]) {
    let listener = Listener::of_this_process();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let failures = runtime.expect("a runtime").block_on(async {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hold_clock = tokio::task::spawn_blocking(move || held.recv());
        let quiet = Quiet::default();
        let large = Bytes::from(vec![b'x'; LARGE_BYTES]);
        let runs = futures::stream::iter(cells).map(|cell| run(cell, &quiet, &large)).buffer_unordered(TOGETHER);
        let failures = tokio::select! {
            failures = runs.filter_map(async |failure| failure).collect::<Vec<_>>() => failures,
            () = quiet.keep_time() => unreachable!("it keeps time for ever"),
        };
        drop(release);
        let _ = hold_clock.await.expect("a task");
        failures
    });
    listener.heard_no_secret();
    let list = failures.iter().fold(String::new(), |mut list, failure| {
        let _ = writeln!(list, "{failure}");
        list
    });
    assert!(failures.is_empty(), "{} of {} cells:\n{list}", failures.len(), cells.len());
}

/// What is wrong with how the cell came out, if anything.
async fn run(cell: &Cell, quiet: &Quiet, large: &Bytes) -> Option<String> {
    let server = Server::start(cell, quiet.clone()).await;
    let client = client(&server.origin());
    let verdicts = ask(&client, cell, large).await;
    let truth = server.stop().await;
    oracle::objection(cell, &verdicts, &truth).map(|objection| format!("{cell}: {objection}"))
}

fn client(origin: &str) -> GraphClient {
    let token = AccessToken::new("SANDBOX-PAGE-1").expect("a token");
    let options = GraphOptions::new(origin.parse().expect("an origin"), token);
    let clock = ManualClock::new(Timestamp::from_unix_millis(1_790_000_000_000));
    GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::new(clock))
}

/// The call of the cell's endpoint; a batch has a verdict for each item, all others have one.
async fn ask(client: &GraphClient, cell: &Cell, large: &Bytes) -> Vec<Verdict> {
    let page: PageId = "1".parse().expect("a Page");
    let hello = |psid: &str| SendRequest::new(Recipient::Psid(psid.to_owned()), Message::text("hi"));
    match cell.endpoint {
        Endpoint::Upload => {
            let bytes = if cell.is_large() { large.clone() } else { Bytes::from_static(b"small") };
            let (platform, kind) = (Platform::Messenger, MediaKind::Image);
            let file = FileUpload { platform, kind, filename: "a.png", mime: "image/png", bytes, progress: None };
            vec![verdict(&client.upload_file(&page, file).await)]
        }
        Endpoint::Send => vec![verdict(&client.send(&page, &hello("11")).await)],
        Endpoint::Batch => match ask_of_all(client, &page, &[hello("11"), hello("22")]).await {
            Ok(items) => items.iter().map(verdict).collect(),
            Err(error) => vec![verdict::<()>(&Err(error)); 2],
        },
    }
}

/// The outcome of each request of a batch that is tried as a campaign does it: again, where none of it can have been sent.
async fn ask_of_all(
    client: &GraphClient,
    page: &PageId,
    requests: &[SendRequest],
) -> Result<Vec<Result<Sent, GraphError>>, GraphError> {
    let (mut patience, mut attempts) = (client.patience(), RetryPolicy::default().attempts);
    loop {
        attempts -= 1;
        match client.send_batch_once(page, requests, &mut patience, |_| std::future::ready(true)).await {
            Err(error) if attempts > 0 && matches!(error.scope(), Some(Scope::Connection | Scope::Rate)) => {}
            result => return result,
        }
    }
}

fn verdict<T>(result: &Result<T, GraphError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Done,
        Err(error) => error.scope().map_or(Verdict::Unknown, Verdict::NotDone),
    }
}

macro_rules! matrix {
    ($($name:ident($endpoint:ident, $cells:ident);)*) => {
        $(
            #[test]
            fn $name() {
                hold(&cells::$cells(Endpoint::$endpoint));
            }
        )*

        #[test]
        fn no_cell_has_gone_missing() {
            let counts = [$(cells::$cells(Endpoint::$endpoint).len()),*];
            assert!(counts.iter().sum::<usize>() >= 850, "{counts:?}");
        }
    };
}

matrix! {
    an_upload_over_broken_connections(Upload, connections);
    an_upload_with_errors_of_the_api(Upload, refusals);
    an_upload_with_answers_nobody_promised(Upload, answers);
    a_send_over_broken_connections(Send, connections);
    a_send_with_errors_of_the_api(Send, refusals);
    a_send_with_answers_nobody_promised(Send, answers);
    a_batch_over_broken_connections(Batch, connections);
    a_batch_with_errors_of_the_api(Batch, refusals);
    a_batch_with_answers_nobody_promised(Batch, answers);
    a_batch_whose_items_go_wrong(Batch, items);
}
