//! Who is alive: every record that claims anything keeps a row of `owners` alive, by a thread and a connection of its own,
//! so that nothing else it does can be in the way. The same connection hears of uploads others have finished.
//!
//! The server's clock alone says whether a lease has run out. Our own, which never jumps and never sleeps, says until
//! when we may rely on it: from before the server was asked, so always a little less.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::mpsc as signals;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::address::ServerAddress;
use super::connect::connect;
use super::fault::Fault;
use super::{housekeeping, locked};
use crate::clock::uptime;

/// Where finished uploads are told of.
pub(super) const CHANNEL: &str = "reattach_uploads";
/// How often a lease is renewed within its time.
const BEATS: u32 = 6;
/// How long the server may take to renew it, or for anything else.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The owner this record claims as, once it claims.
pub(super) struct Owners {
    address: ServerAddress,
    keeper: Mutex<Option<Keeper>>,
}

/// The thread that keeps it alive.
struct Keeper {
    asks: mpsc::UnboundedSender<Ask>,
    shared: Arc<Shared>,
    gone: signals::Receiver<()>,
}

type Ask = oneshot::Sender<Result<i64, Fault>>;

#[derive(Default)]
struct Shared {
    lease: Mutex<Option<Lease>>,
    /// Who waits for which upload.
    waiting: Mutex<HashMap<String, watch::Sender<()>>>,
}

/// An owner, and until when it is alive at least, by [`uptime`].
#[derive(Debug, Clone, Copy)]
struct Lease {
    owner: i64,
    until: Duration,
}

impl Owners {
    pub(super) fn new(address: ServerAddress) -> Self {
        Self { address, keeper: Mutex::default() }
    }

    /// The owner this record claims as, alive for as long as the server can be reached often enough. Another than before
    /// where that was not so.
    pub(super) async fn own(&self) -> Result<i64, Fault> {
        if let Some(lease) = self.lease().filter(|lease| uptime() < lease.until) {
            return Ok(lease.owner);
        }
        let (ask, answer) = oneshot::channel();
        let asked = self.keeper().asks.send(ask);
        match (asked, answer.await) {
            (Ok(()), Ok(answer)) => answer,
            // The thread is gone, which it is only where the system gives no more threads or memory.
            _ => Err(Fault::Silence),
        }
    }

    /// Until when `owner` is alive at least, by [`uptime`]; `None` once it is known to be no more.
    pub(super) fn until(&self, owner: i64) -> Option<Duration> {
        self.lease().filter(|lease| lease.owner == owner).map(|lease| lease.until)
    }

    /// Returns when somebody is heard to have finished the upload of that digest, which not all are: look now and then.
    pub(super) async fn finished(&self, digest: &str) {
        let shared = Arc::clone(&self.keeper().shared);
        let mut change = {
            let mut waiting = locked(&shared.waiting);
            // What nobody waits for any more, nobody was heard to have finished.
            waiting.retain(|_, heard| heard.receiver_count() > 0);
            waiting.entry(digest.to_owned()).or_insert_with(|| watch::channel(()).0).subscribe()
        };
        let _ = change.changed().await;
    }

    fn lease(&self) -> Option<Lease> {
        locked(&self.keeper).as_ref().and_then(|keeper| *locked(&keeper.shared.lease))
    }

    fn keeper(&self) -> Handle {
        let mut keeper = locked(&self.keeper);
        // One whose thread could not be begun, or is gone, answers nobody any more.
        drop(keeper.take_if(|keeper| keeper.asks.is_closed()));
        let keeper = keeper.get_or_insert_with(|| Keeper::start(self.address.clone()));
        Handle { asks: keeper.asks.clone(), shared: Arc::clone(&keeper.shared) }
    }
}

struct Handle {
    asks: mpsc::UnboundedSender<Ask>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owners").field("lease", &self.lease()).finish_non_exhaustive()
    }
}

impl Drop for Owners {
    /// Says goodbye, and waits a moment for it: others need not wait for the lease to run out.
    fn drop(&mut self) {
        if let Some(Keeper { asks, gone, .. }) = locked(&self.keeper).take() {
            drop(asks);
            let _ = gone.recv_timeout(GOODBYE);
        }
    }
}

impl Keeper {
    fn start(address: ServerAddress) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (going, gone) = signals::channel();
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        let keep = move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(keep(Session { address, client: None, owner: None, shared: watched }, asked));
            }
            drop(going);
        };
        if let Err(error) = std::thread::Builder::new().name("reattach-lease".to_owned()).spawn(keep) {
            tracing::error!(%error, "no thread to keep claims alive");
        }
        Self { asks, shared, gone }
    }
}

/// What the thread works with.
struct Session {
    address: ServerAddress,
    client: Option<Client>,
    owner: Option<i64>,
    shared: Arc<Shared>,
}

/// Renews the lease, and makes a new owner when one is asked for and there is none; until nobody can ask any more.
async fn keep(mut session: Session, mut asks: mpsc::UnboundedReceiver<Ask>) {
    let beat = session.address.lease() / BEATS;
    let mut wait = beat;
    tokio::spawn(housekeeping::go_on(session.address.clone()));
    loop {
        let asked = tokio::select! {
            ask = asks.recv() => match ask {
                Some(ask) => Some(ask),
                None => return session.say_goodbye().await,
            },
            () = sleep(wait), if session.owner.is_some() => None,
        };
        let kept = session.renew(asked.is_some()).await;
        wait = if kept.is_ok() { beat } else { PAUSE.min(beat) };
        if kept.is_err() {
            session.client = None;
        }
        if let Some(ask) = asked {
            // Who does not wait any more asks again.
            let _ = ask.send(kept.and_then(|owner| owner.ok_or(Fault::Silence)));
        }
    }
}

impl Session {
    /// Renews the lease of the owner there is, or makes one if it is `wanted`.
    async fn renew(&mut self, wanted: bool) -> Result<Option<i64>, Fault> {
        let seconds = self.address.lease().as_secs_f64();
        if let Some(owner) = self.owner {
            let client = self.client().await?;
            let asked_at = uptime();
            let sql = "UPDATE owners SET until = clock_timestamp() + make_interval(secs => $2)
                       WHERE id = $1 AND until > clock_timestamp()";
            if in_time(client.execute(sql, &[&owner, &seconds])).await? == 1 {
                self.note(owner, asked_at);
                return Ok(Some(owner));
            }
            tracing::warn!("the server was out of reach for too long: what was claimed has passed on");
            self.owner = None;
            *locked(&self.shared.lease) = None;
        }
        if !wanted {
            return Ok(None);
        }
        let sql = "INSERT INTO owners (pid, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
                   RETURNING id";
        let pid = i64::from(std::process::id());
        let client = self.client().await?;
        let asked_at = uptime();
        let owner = in_time(client.query_one(sql, &[&pid, &seconds])).await?.get(0);
        self.owner = Some(owner);
        self.note(owner, asked_at);
        Ok(Some(owner))
    }

    fn note(&self, owner: i64, asked_at: Duration) {
        *locked(&self.shared.lease) = Some(Lease { owner, until: asked_at + self.address.lease() });
    }

    async fn client(&mut self) -> Result<&Client, Fault> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let (client, mut connection) = connect(&self.address).await?;
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(told) = message {
                    // Dropped, it wakes everybody who waits.
                    locked(&shared.waiting).remove(told.payload());
                }
            }
        });
        in_time(client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
        Ok(client)
    }

    async fn say_goodbye(mut self) {
        let Some(owner) = self.owner else { return };
        let goodbye = async {
            let sql = "UPDATE owners SET until = '-infinity' WHERE id = $1";
            self.client().await?.execute(sql, &[&owner]).await?;
            Ok::<_, Fault>(())
        };
        // Where it does not arrive, the lease runs out.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
    timeout(PATIENCE, asking).await.map_or(Err(Fault::Silence), |answer| Ok(answer?))
}
