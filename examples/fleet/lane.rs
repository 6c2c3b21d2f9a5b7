//! One slice of a Page's rate in one worker's hands: a governor of that many messages a second, and who stands before it.
//!
//! A governor's limits are for good. A slice that changes is therefore closed, a second passes in which nothing leaves, and
//! another is opened: so no second can hold what both let through.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reattach::clock::Clock;
use reattach::graph::{Governor, GraphClient, GraphError, GraphOptions, Message, PaceLimits, SendRequest, Sent};
use reattach::ids::{PageId, Recipient};
use reattach::secret::AccessToken;
use reattach::stop::Stop;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::locked;
use crate::meta::{Meta, Wire, psid};

/// Who is about to leave.
#[derive(Debug, Default)]
pub(crate) struct Door {
    leaving: Mutex<BTreeSet<u32>>,
    moved: Notify,
}

impl Door {
    /// This one has left, or will not.
    pub(crate) fn has_left(&self, seq: u32) {
        if locked(&self.leaving).remove(&seq) {
            self.moved.notify_waiters();
        }
    }

    async fn empty(&self) {
        loop {
            let moved = self.moved.notified();
            if locked(&self.leaving).is_empty() {
                return;
            }
            moved.await;
        }
    }
}

/// A slice.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) per_second: u32,
    client: GraphClient,
    page: PageId,
    door: Arc<Door>,
    closed: Stop,
    good_until: Mutex<Instant>,
}

/// What came of a message that stood before a slice.
#[derive(Debug)]
pub(crate) enum Passage {
    /// It never came to its intent.
    TurnedAway,
    /// Its intent was written down, or refused; this is what the client says came of it.
    Tried(Result<Sent, GraphError>),
}

impl Lane {
    /// A slice of so many messages a second, good until then.
    pub(crate) fn open(
        meta: &Arc<Meta>,
        clock: &Arc<dyn Clock>,
        page: usize,
        per_second: u32,
        good_until: Instant,
    ) -> Arc<Self> {
        let door = Arc::new(Door::default());
        let wire = Wire { meta: Arc::clone(meta), page, door: Arc::clone(&door) };
        let limits = PaceLimits { messages_per_second: per_second, ..PaceLimits::default() };
        let client = GraphClient::new(options(), Arc::new(wire), Arc::clone(clock));
        let client = client.with_governor(Arc::new(Governor::new(limits)));
        let page = page_id(page);
        let good_until = Mutex::new(good_until);
        Arc::new(Self { per_second, client, page, door, closed: Stop::new(), good_until })
    }

    /// Sends to one recipient when it is their turn, once `intend` has written that down.
    pub(crate) async fn send(&self, seq: u32, intend: impl Future<Output = bool> + Send) -> Passage {
        let begun = AtomicBool::new(false);
        let ready = async {
            if self.closed.is_requested() {
                return false;
            }
            begun.store(true, Ordering::Relaxed);
            locked(&self.door.leaving).insert(seq);
            intend.await && self.is_good()
        };
        let closed = async {
            self.closed.requested().await;
            if begun.load(Ordering::Relaxed) {
                // It ends by itself, and must be told of.
                std::future::pending::<()>().await;
            }
        };
        let request = SendRequest::new(Recipient::Psid(psid(seq)), Message::text("Hi there"));
        let mut patience = self.client.patience();
        let passage = tokio::select! {
            biased;
            sent = self.client.send_once(&self.page, &request, &mut patience, ready) => Passage::Tried(sent),
            () = closed => Passage::TurnedAway,
        };
        self.door.has_left(seq);
        if begun.into_inner() { passage } else { Passage::TurnedAway }
    }

    /// Lets nobody through any more; returns once nobody is about to leave.
    pub(crate) async fn close(&self) {
        self.closed.request();
        self.door.empty().await;
    }

    pub(crate) fn renew(&self, until: Instant) {
        *locked(&self.good_until) = until;
    }

    fn is_good(&self) -> bool {
        Instant::now() < *locked(&self.good_until)
    }

    /// How much longer Meta's refusal keeps it shut.
    pub(crate) fn shut_for(&self) -> Option<Duration> {
        self.client.governor().pace().shut_for
    }
}

fn page_id(page: usize) -> PageId {
    format!("{}", 100_000_000 + page).parse().expect("digits are a Page's id")
}

fn options() -> GraphOptions {
    let token = AccessToken::new("FLEET").expect("a token");
    GraphOptions::new("https://graph.example".parse().expect("an origin"), token)
}
