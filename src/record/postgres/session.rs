//! Connections, and work on them: tried again where nothing can have come of it, and otherwise found out about first.
//!
//! Whatever changes anything is one transaction with a receipt in it. If the answer to its COMMIT is lost, the receipt
//! tells whether it was committed, and only where it was not is the work done again. Where the receipts of what was
//! committed are missing, a server is not used.
//!
//! The way to the server and back is what most statements wait for. So a transaction begins with its first statement, in
//! one go, and statements that do not need each other's answers are joined: the server takes them in their order.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolConfig, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use futures::future::join;
use refinery::Runner;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::acknowledged::Acknowledged;
use super::address::ServerAddress;
use super::connect::Connector;
use super::fault::Fault;
use super::{format, locked};
use crate::clock::{Clock, SystemClock};
use crate::record::RecordError;

/// How many connections a process has at most, but for the one that keeps it alive.
const MOST: usize = 8;
/// How long to wait for one of them, and for its word that it is still one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may take to show that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// How much longer than the server works on a statement we wait for its answer.
const MARGIN: Duration = Duration::from_secs(5);
/// The first pause before a server that is away is asked again; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long a server may be away before a call fails.
pub(super) const ABSENCE: Duration = Duration::from_mins(1);
/// The same of what a campaign is waiting for, which has nothing better to do.
pub(super) const LONG_ABSENCE: Duration = Duration::from_mins(10);
/// The same of what is over before long.
const SHORT_ABSENCE: Duration = Duration::from_secs(2);

/// The connections of one record.
pub(super) struct Sessions {
    pool: Pool,
    address: ServerAddress,
    /// Set once the tables are known to have the form this version needs.
    formed: Arc<AtomicBool>,
    /// What gives them that form, while it does.
    forming: tokio::sync::Mutex<Option<JoinHandle<Result<(), Fault>>>>,
    acknowledged: Acknowledged,
    /// Whether it was said that the server is waited for, and it has not done since what was asked of it.
    is_waited_for: AtomicBool,
}

/// A transaction, or a statement alone. Clones are the same one.
#[derive(Clone)]
pub(super) struct Tx(Arc<Open>);

struct Open {
    client: Option<Object>,
    /// What is to be said before the first statement.
    begin: Mutex<Option<String>>,
    /// How long to wait for an answer.
    patience: Duration,
    /// Whether the connection can be used again. One whose transaction was left open is closed.
    settled: AtomicBool,
}

/// What a piece of work may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One statement.
    Ask,
    /// Several, which all see the same.
    Read,
    Write,
    /// The same, but that a server that dies may forget it. Whatever is written later is on the disk no sooner than this.
    Claim,
    /// Several that change something, and may be done twice.
    Note,
}

impl Mode {
    /// Whether it must not be done twice.
    fn is_done_once(self) -> bool {
        matches!(self, Self::Write | Self::Claim)
    }
}

/// What a transaction's receipt is found by. Begins with the time, as UUIDs of version 7 do, so that receipts lie in the
/// order they were written in: no page of their index is touched again, and the old ones are found without the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket(String);

impl Ticket {
    fn draw() -> Self {
        let millis = SystemClock.now().as_unix_millis().clamp(0, (1 << 48) - 1);
        Self(format!("{millis:012x}{:04x}{:016x}", fastrand::u16(..), fastrand::u64(..)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an attempt ended.
enum Attempt<T> {
    Done(T),
    /// Nothing has come of it.
    Failed(Fault),
    /// It may have been committed, under this ticket.
    Doubtful(T, Ticket, Fault),
}

impl Sessions {
    pub(super) fn new(address: ServerAddress) -> io::Result<Self> {
        let verified = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let connector = Connector::new(address.clone())?;
        let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(connector.patience()), recycle: Some(PATIENCE) };
        let manager = Manager::from_connect(address.config().clone(), connector, verified);
        let config = PoolConfig { timeouts, ..PoolConfig::new(MOST) };
        let acknowledged = Acknowledged::new(MOST);
        let known = acknowledged.clone();
        let fit = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let known = known.clone();
            Box::pin(async move {
                // What was answered is on the disk, whatever the server's own settings say; stronger ones stay.
                let sql = "SELECT set_config('synchronous_commit', 'on', false)
                           WHERE current_setting('synchronous_commit') = 'off'";
                client.simple_query(sql).await.map_err(HookError::Backend)?;
                known.is_known_to(client).await
            })
        });
        let pool = Pool::builder(manager).config(config).runtime(Runtime::Tokio1).post_create(fit).build();
        let (pool, formed, forming) = (pool.map_err(io::Error::other)?, Arc::default(), tokio::sync::Mutex::default());
        Ok(Self { pool, address, formed, forming, acknowledged, is_waited_for: AtomicBool::new(false) })
    }

    pub(super) fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Brings the tables to the newest form of `migrations`, unless that was done before.
    pub(super) async fn form(&self, migrations: Runner) -> Result<(), Fault> {
        let mut forming = self.forming.lock().await;
        if self.is_formed() {
            return Ok(());
        }
        // What failed while nobody waited for it says nothing of now.
        drop(forming.take_if(|forming| forming.is_finished()));
        let formed = forming.get_or_insert_with(|| self.begin_to_form(migrations)).await;
        *forming = None;
        formed.unwrap_or_else(|stopped| match stopped.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime it was begun on is gone.
            Err(_) => Err(Fault::Silence),
        })
    }

    /// Goes on when nobody waits for it any more: what takes longer than its callers wait would be begun anew by each.
    fn begin_to_form(&self, migrations: Runner) -> JoinHandle<Result<(), Fault>> {
        let (pool, address, formed) = (self.pool.clone(), self.address.clone(), Arc::clone(&self.formed));
        tokio::spawn(async move {
            // Not the pool's any more: it is closed however this ends, and its lock and settings end with it.
            let mut client = Object::take(client(&pool).await?);
            format::prepare(&mut client, &address, migrations).await?;
            formed.store(true, Ordering::SeqCst);
            Ok::<_, Fault>(())
        })
    }

    fn is_formed(&self) -> bool {
        self.formed.load(Ordering::SeqCst)
    }

    /// Returns if the server is there, lets us in and has our tables. Asks once.
    pub(super) async fn reach(&self) -> Result<(), RecordError> {
        let reached = timeout(SIGN_OF_LIFE, self.connection()).await.unwrap_or(Err(Fault::Silence));
        reached.map(drop).map_err(|fault| fault.opening(&self.address))
    }

    /// Returns once the tables are known to have their form.
    pub(super) async fn formed(&self) -> Result<(), Fault> {
        if self.is_formed() {
            return Ok(());
        }
        let formed = self.form(format::migrations()).await;
        formed.map_err(|fault| if fault.is_away() { fault } else { fault.opening(&self.address).into() })
    }

    /// A connection that was alive just now.
    pub(super) async fn connection(&self) -> Result<Object, Fault> {
        self.formed().await?;
        client(&self.pool).await
    }

    /// The answer to one statement.
    pub(super) async fn ask<T, F, Fut>(&self, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Ask, ABSENCE, work).await
    }

    /// What several statements find, all of them at one moment.
    pub(super) async fn read<T, F, Fut>(&self, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Read, ABSENCE, work).await
    }

    /// Does `work`, all or nothing, and makes it durable. It may be begun several times, and is done once.
    pub(super) async fn write<T, F, Fut>(&self, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Write, ABSENCE, work).await
    }

    /// The same as [`ask`](Self::ask), however long the server may be away.
    pub(super) async fn ask_within<T, F, Fut>(&self, absence: Duration, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Ask, absence, work).await
    }

    /// The same as [`write`](Self::write), however long the server may be away.
    pub(super) async fn write_within<T, F, Fut>(&self, absence: Duration, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Write, absence, work).await
    }

    /// The same, for what nobody is told of before something else is written: it is not waited for until it is on the
    /// disk.
    pub(super) async fn claim_within<T, F, Fut>(&self, absence: Duration, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Claim, absence, work).await
    }

    /// Does `work`, all or nothing, and once or more: nothing is left behind that says whether it was done.
    pub(super) async fn note<T, F, Fut>(&self, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        self.run(Mode::Note, SHORT_ABSENCE, work).await
    }

    async fn run<T, F, Fut>(&self, mode: Mode, absence: Duration, work: F) -> Result<T, RecordError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        let mut absence = Absence::begin(absence);
        loop {
            let fault = match self.attempt(mode, &work).await {
                Attempt::Done(value) => {
                    // One that takes no writes answers all the same.
                    if !matches!(mode, Mode::Ask | Mode::Read) {
                        self.is_waited_for.store(false, Ordering::SeqCst);
                    }
                    return Ok(value);
                }
                Attempt::Failed(fault) => fault,
                Attempt::Doubtful(value, ticket, fault) => {
                    if self.was_committed(&ticket, &mut absence).await? {
                        if mode == Mode::Write {
                            self.acknowledged.note(ticket);
                        }
                        return Ok(value);
                    }
                    fault
                }
            };
            self.pause(&mut absence, fault).await?;
        }
    }

    /// Returns when it is worth trying again.
    async fn pause(&self, absence: &mut Absence, fault: Fault) -> Result<(), RecordError> {
        if let (Fault::Behind(_), Some(since)) = (&fault, self.acknowledged.missed_since()) {
            // Another may lead. Where none does, no wait brings back what is lost.
            absence.ends = absence.ends.min(since + ABSENCE);
        }
        if absence.is_worth_telling() && fault.is_away() {
            self.say_it_is_waited_for(&fault);
        }
        absence.pause(fault).await.map_err(|fault| fault.using(&self.address))
    }

    /// Says what is waited for, once.
    pub(super) fn say_it_is_waited_for(&self, fault: &Fault) {
        if !self.is_waited_for.swap(true, Ordering::SeqCst) {
            tracing::warn!(server = %self.address, cause = %fault.words(), "waiting for the record");
        }
    }

    async fn attempt<T, F, Fut>(&self, mode: Mode, work: &F) -> Attempt<T>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Fault>> + Send,
    {
        let ticket = Ticket::draw();
        let tx = match self.begin(mode, &ticket).await {
            Ok(tx) => tx,
            Err(fault) => return Attempt::Failed(fault),
        };
        match work(tx.clone()).await {
            Err(fault) => {
                // A server that is silent would be waited for once more, and a connection that cannot even do this is
                // not used again.
                if !fault.is_away() && (mode == Mode::Ask || tx.batch("ROLLBACK").await.is_ok()) {
                    tx.settle(true);
                }
                Attempt::Failed(fault)
            }
            Ok(value) if mode == Mode::Ask => {
                tx.settle(true);
                Attempt::Done(value)
            }
            Ok(value) => match tx.batch("COMMIT").await {
                Ok(()) => {
                    if mode == Mode::Write {
                        self.acknowledged.note(ticket);
                    }
                    tx.settle(true);
                    Attempt::Done(value)
                }
                Err(fault) if mode.is_done_once() && fault.is_away() => Attempt::Doubtful(value, ticket, fault),
                Err(fault) => Attempt::Failed(fault),
            },
        }
    }

    async fn begin(&self, mode: Mode, ticket: &Ticket) -> Result<Tx, Fault> {
        let (client, patience) = (Some(self.connection().await?), self.address.statement() + MARGIN);
        let receipt = || format!("INSERT INTO receipts_in_order (ticket, committed) VALUES ('{}', true)", ticket.0);
        let begin = match mode {
            Mode::Ask => None,
            Mode::Read => Some("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned()),
            Mode::Note => Some("BEGIN".to_owned()),
            Mode::Write => Some(format!("BEGIN; {}", receipt())),
            Mode::Claim => Some(format!("BEGIN; SET LOCAL synchronous_commit = off; {}", receipt())),
        };
        Ok(Tx(Arc::new(Open { client, begin: Mutex::new(begin), patience, settled: AtomicBool::new(false) })))
    }

    /// Whether the transaction with this ticket was committed. It never will be, once this has said no.
    async fn was_committed(&self, ticket: &Ticket, absence: &mut Absence) -> Result<bool, RecordError> {
        loop {
            let asking = async {
                let tx = self.begin(Mode::Ask, ticket).await?;
                // Waits for a transaction with the same ticket that is not at its end. And writes in any case: what was
                // committed before it is then on the standby as well, if there is one that is to have it.
                let sql = "INSERT INTO receipts_in_order (ticket, committed) VALUES ($1::text::uuid, false)
                           ON CONFLICT (ticket) DO UPDATE SET at = receipts_in_order.at RETURNING committed";
                let committed = tx.one(sql, &[&ticket.0]).await?.is_some_and(|row| row.get(0));
                tx.settle(true);
                Ok::<_, Fault>(committed)
            };
            match asking.await {
                Ok(committed) => return Ok(committed),
                Err(fault) => {
                    self.pause(absence, fault).await?;
                }
            }
        }
    }
}

/// A connection of its own use.
async fn client(pool: &Pool) -> Result<Object, Fault> {
    // The pool's own limits leave out what a new one is asked, and a server that hangs keeps its connections open.
    Ok(timeout(2 * PATIENCE, pool.get()).await.unwrap_or(Err(PoolError::Timeout(TimeoutType::Create)))?)
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(&self.address).finish()
    }
}

/// How long the server has been away, as far as one call knows.
struct Absence {
    ends: Instant,
    pause: Duration,
    /// The last thing the server said.
    said: Option<Fault>,
}

impl Absence {
    fn begin(longest: Duration) -> Self {
        Self { ends: Instant::now() + longest, pause: FIRST_PAUSE, said: None }
    }

    /// Whether it has been away for a few seconds.
    fn is_worth_telling(&self) -> bool {
        self.pause == LAST_PAUSE
    }

    /// Returns when it is worth trying again; gives the fault back where it is not, or what the server said before it fell
    /// silent.
    async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        // What holds a lock for so long is a transaction whose client the server has yet to miss, or one that waits for a
        // standby.
        if !(fault.is_away() || fault.is_collision() || fault.is_lock()) || Instant::now() + self.pause > self.ends {
            return Err(fault.or(self.said.take()));
        }
        if fault.is_away() {
            fault.keep_in(&mut self.said);
        }
        // Not all at once.
        sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        Ok(())
    }
}

impl Tx {
    pub(super) async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
        self.say(Box::pin(async {
            let client = self.client();
            let statement = client.prepare_cached(sql).await?;
            Ok(client.query(&statement, values).await?)
        }))
        .await
    }

    /// The first row, if there is any.
    pub(super) async fn one(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows it changed.
    pub(super) async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Fault> {
        self.say(Box::pin(async {
            let client = self.client();
            let statement = client.prepare_cached(sql).await?;
            Ok(client.execute(&statement, values).await?)
        }))
        .await
    }

    async fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.say(Box::pin(async { Ok(self.client().batch_execute(sql).await?) })).await
    }

    /// Says something; before the first, in one go with it, what is to be said before all. What is said is boxed, for it is
    /// joined with others.
    async fn say<T>(&self, statement: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let first = locked(&self.0.begin).take();
        let said = async {
            let Some(first) = first else { return statement.await };
            // In this order they are sent, and answered.
            let (begun, said) = join(Box::pin(self.client().batch_execute(&first)), statement).await;
            begun?;
            said
        };
        timeout(self.0.patience, said).await.unwrap_or(Err(Fault::Silence))
    }

    fn client(&self) -> &Object {
        self.0.client.as_ref().expect("it is there until it is dropped")
    }

    fn settle(&self, reusable: bool) {
        self.0.settled.store(reusable, Ordering::SeqCst);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.settled.load(Ordering::SeqCst)
            && let Some(client) = self.client.take()
        {
            // Closed with its transaction: the server undoes it.
            drop(Object::take(client));
        }
    }
}
