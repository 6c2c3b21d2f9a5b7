//! The record in a SQLite file: write-ahead log, `synchronous=FULL`, one connection, every call on a thread that may
//! block.

mod aliases;
mod budgets;
mod campaigns;
mod carry;
mod claims;
mod deliveries;
mod derivations;
mod doubts;
mod fault;
mod file;
mod head;
mod heals;
mod ledger;
mod owners;
mod plans;
mod requests;
mod reserve;
mod server_times;
#[cfg(test)]
mod tests;
mod together;
mod uploads;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, MAIN_DB, Transaction, TransactionBehavior, params};
use tokio::task::spawn_blocking;

use self::fault::Fault;
use self::head::{Head, Mark};
use self::owners::Owners;
use self::reserve::Reserve;
use self::together::{Queue, Turn};
use self::uploads::column;
use super::left::Left;
use super::rows;
use super::{
    Adopted, Alias, Aliases, Claim, Claimed, Completed, Heal, Heals, Moved, NewUpload, PageIdentity, Pages, Record,
    RecordError, ServerTimes, Upload, UploadFilter, Uploads,
};
use crate::blocking::blocking;
use crate::clock::{ClockReading, Timestamp};
use crate::ids::{AliasName, AssetKey, AttachmentId, KeySpace, Origin};
use crate::secret::TokenFingerprint;

/// How many statements are kept prepared: more than there are.
const STATEMENTS: usize = 100;

/// How often to ask whether a key is free.
const POLL: Duration = Duration::from_millis(50);

mod embedded {
    refinery::embed_migrations!("src/record/migrations/sqlite");
}

/// The record in a SQLite file. Several may be open on one file, in this process and others.
pub struct SqliteRecord {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    left: Arc<Left>,
    queue: Arc<Queue>,
    budgets: budgets::Pages,
}

struct State {
    connection: Connection,
    owners: Owners,
    mark: Mark,
    reserve: Reserve,
    /// Workers and claims of ours that are over: the lock says that they live, and they do not.
    left: Arc<Left>,
    /// Why a write failed. After that nothing the engine says can be relied on: least of all a second try that succeeds.
    failed: Option<String>,
}

impl SqliteRecord {
    /// Whether there is a record at `path`, or was one whose mark is left.
    pub fn is_begun(path: &Path) -> bool {
        path.exists() || Mark::beside(path).read().is_some()
    }

    /// The record in the file at `path`, as [`open`](super::open) says.
    pub async fn open(path: &Path) -> Result<Self, RecordError> {
        let path = path.to_owned();
        blocking(move || {
            let (connection, mark) =
                file::open(&path, embedded::migrations::runner()).map_err(|fault| fault.opening(&path))?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            let (owners, reserve) = (Owners::beside(&path), Reserve::beside(&path));
            let left = Arc::<Left>::default();
            let mut state = State { connection, owners, mark, reserve, left: Arc::clone(&left), failed: None };
            state.distrust_where_unmarked().map_err(|fault| fault.opening(&path))?;
            Ok(Self {
                path,
                state: Arc::new(Mutex::new(state)),
                left,
                queue: Arc::default(),
                budgets: budgets::Pages::default(),
            })
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, RecordError> {
        let (path, state) = (self.path.clone(), Arc::clone(&self.state));
        blocking(move || state.lock().unwrap_or_else(PoisonError::into_inner).attempt(&path, work)).await
    }

    /// The same for a write that may share its transaction, and so the time the disk takes, with others.
    async fn write_together<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Turn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, RecordError> {
        let (answer, lead) = self.queue.push(work);
        if let Some(lead) = lead {
            let (path, state) = (self.path.clone(), Arc::clone(&self.state));
            spawn_blocking(move || {
                let done = lead.take_up(&mut state.lock().unwrap_or_else(PoisonError::into_inner), &path);
                // Whoever has an answer, and closes the record, finds it closed.
                drop(state);
                done.tell(&path);
            });
        }
        let why = match answer.await {
            Ok(Some(result)) => return result,
            Ok(None) => "the runtime that was to write has ended",
            Err(_) => "whoever was to write panicked",
        };
        Err(RecordError::Stopped { path: self.path.clone(), why: why.to_owned() })
    }
}

impl fmt::Debug for SqliteRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRecord").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Uploads for SqliteRecord {
    async fn find(&self, keys: &[AssetKey]) -> Result<Vec<Option<Upload>>, RecordError> {
        let keys = keys.to_vec();
        self.call(move |state| uploads::find(&state.connection.transaction()?, keys)).await
    }

    async fn list(
        &self,
        filter: &UploadFilter,
        after: Option<&AssetKey>,
        limit: usize,
    ) -> Result<Vec<Upload>, RecordError> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.call(move |state| uploads::list(&state.connection.transaction()?, &filter, after.as_ref(), limit)).await
    }

    async fn claim(&self, key: &AssetKey, now: Timestamp) -> Result<Claimed, RecordError> {
        let key = key.clone();
        self.write_together(move |turn| claims::claim(turn, key, now)).await
    }

    /// Nobody tells; asking costs next to nothing.
    async fn until_free(&self, _: &AssetKey) {
        tokio::time::sleep(POLL).await;
    }

    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, RecordError> {
        let (claim, upload) = (claim.clone(), upload.clone());
        self.write_together(move |turn| claims::complete(turn.transaction, &claim, &upload)).await
    }

    async fn adopt(&self, uploads: &[Upload]) -> Result<Vec<Adopted>, RecordError> {
        let uploads = uploads.to_vec();
        self.call(move |state| state.write(|transaction| uploads::adopt(transaction, uploads))).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        let ended = claim.clone();
        let released = self.write_together(move |turn| claims::release(turn.transaction, &ended)).await;
        if released.is_err() {
            self.abandon_claim(claim);
        }
        released
    }

    fn abandon_claim(&self, claim: &Claim) {
        self.left.claims.add(claim.clone());
    }

    async fn follow(&self, moves: &[Moved]) -> Result<(), RecordError> {
        let moves = moves.to_vec();
        self.call(move |state| state.write(|transaction| uploads::follow(transaction, &moves))).await
    }

    async fn reject(&self, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), RecordError> {
        let (key, attachment_id) = (key.clone(), attachment_id.clone());
        self.call(move |state| state.write(|transaction| uploads::reject(transaction, &key, &attachment_id))).await
    }

    async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, RecordError> {
        let key = key.clone();
        self.call(move |state| state.write(|transaction| uploads::forget(transaction, &key))).await
    }

    async fn count_orphans(&self) -> Result<u64, RecordError> {
        self.call(|state| {
            let count: i64 = state.connection.query_row("SELECT count(*) FROM orphans", [], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
        .await
    }
}

#[async_trait]
impl Pages for SqliteRecord {
    async fn page_of(&self, origin: &Origin, token: TokenFingerprint) -> Result<Option<PageIdentity>, RecordError> {
        const TABLE: &str = "pages";
        let origin = origin.clone();
        self.call(move |state| {
            let mut query = state.connection.prepare_cached(
                "SELECT page_id, name, learnt_at, checksum FROM pages WHERE origin = ?1 AND token = ?2",
            )?;
            let mut found = query.query(params![origin.as_str(), token.0])?;
            let Some(row) = found.next()? else { return Ok(None) };
            let (id, name): (String, String) = (column(row, TABLE, 0)?, column(row, TABLE, 1)?);
            let checksum = rows::page_checksum(origin.as_str(), &token.0, &id, &name, column(row, TABLE, 2)?);
            if column::<i64>(row, TABLE, 3)? != i64::from(checksum) {
                return Err(rows::damaged(TABLE, format!("the checksum of {id} is wrong")).into());
            }
            Ok(Some(PageIdentity { id: rows::parse(TABLE, &id)?, name }))
        })
        .await
    }

    async fn remember_page(
        &self,
        origin: &Origin,
        token: TokenFingerprint,
        page: &PageIdentity,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let (origin, page) = (origin.clone(), page.clone());
        self.call(move |state| {
            state.write(|transaction| {
                let (origin, id, now) = (origin.as_str(), page.id.as_str(), now.as_unix_millis());
                let checksum = rows::page_checksum(origin, &token.0, id, &page.name, now);
                let values = params![origin, token.0, id, page.name, now, checksum];
                transaction.prepare_cached("REPLACE INTO pages VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(values)?;
                Ok(())
            })
        })
        .await
    }
}

#[async_trait]
impl ServerTimes for SqliteRecord {
    async fn clock_reading(&self, origin: &Origin) -> Result<Option<ClockReading>, RecordError> {
        let origin = origin.clone();
        self.call(move |state| server_times::find(&state.connection, &origin)).await
    }

    async fn keep_clock_reading(&self, origin: &Origin, reading: ClockReading) -> Result<(), RecordError> {
        let origin = origin.clone();
        self.call(move |state| state.write(|transaction| server_times::keep(transaction, &origin, reading))).await
    }
}

#[async_trait]
impl Heals for SqliteRecord {
    async fn remember_heal(&self, heal: &Heal, since: Timestamp) -> Result<(), RecordError> {
        let heal = heal.clone();
        self.call(move |state| state.write(|transaction| heals::remember(transaction, &heal, since))).await
    }

    async fn count_heals(&self, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, RecordError> {
        let key = key.clone();
        self.call(move |state| heals::count(&state.connection.transaction()?, &key, after, now)).await
    }

    async fn healed(&self, space: &KeySpace, refused: &AttachmentId) -> Result<Option<AssetKey>, RecordError> {
        let (space, refused) = (space.clone(), refused.clone());
        self.call(move |state| heals::of_id(&state.connection.transaction()?, &space, &refused)).await
    }
}

#[async_trait]
impl Aliases for SqliteRecord {
    async fn alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        let name = name.clone();
        self.call(move |state| aliases::get(&state.connection, &name)).await
    }

    async fn set_alias(&self, alias: &Alias) -> Result<Option<Alias>, RecordError> {
        let alias = alias.clone();
        self.call(move |state| state.write(|transaction| aliases::set(transaction, &alias))).await
    }

    async fn remove_alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        let name = name.clone();
        self.call(move |state| state.write(|transaction| aliases::remove(transaction, &name))).await
    }

    async fn aliases(&self) -> Result<Vec<Alias>, RecordError> {
        self.call(|state| aliases::list(&state.connection)).await
    }
}

#[async_trait]
impl Record for SqliteRecord {
    async fn verify(&self) -> Result<(), RecordError> {
        let path = self.path.clone();
        self.call(move |state| {
            // Read before the record, which may go on in between, but never back.
            let reached = state.mark.read();
            let transaction = state.connection.transaction()?;
            let found: String = transaction.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(RecordError::Corrupt { path, what: found }.into());
            }
            Head::of(&transaction)?.reaches(reached, &path)?;
            aliases::list(&transaction)?;
            uploads::verify_rows(&transaction)?;
            server_times::verify_rows(&transaction)?;
            heals::verify_rows(&transaction)?;
            derivations::verify_rows(&transaction)?;
            requests::verify_rows(&transaction)?;
            campaigns::verify_rows(&transaction)
        })
        .await
    }

    async fn check_writable(&self) -> Result<(), RecordError> {
        self.call(|state| {
            if state.connection.is_readonly(MAIN_DB)? {
                let words = "it can be read, and not written to";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, words).into());
            }
            Ok(())
        })
        .await
    }
}

impl State {
    /// Works on the record at `path` for as long as no write has failed.
    fn attempt<T>(&mut self, path: &Path, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, RecordError> {
        if let Some(why) = &self.failed {
            return Err(RecordError::Stopped { path: path.to_owned(), why: why.clone() });
        }
        let result = work(self);
        // What the system refuses beside the record, such as another open file, says nothing of what is in it.
        let is_its_own = matches!(result, Err(Fault::Engine(_)));
        let result = result.map_err(|fault| fault.using(path));
        if let (true, Err(RecordError::Failed { source, .. })) = (is_its_own, &result) {
            self.failed = Some(source.to_string());
        }
        result
    }

    /// Without its own mark nobody can tell whether the record is an older copy: who is to go on with a campaign has to say so.
    fn distrust_where_unmarked(&mut self) -> Result<(), Fault> {
        let head = Head::of(&self.connection)?;
        if !self.mark.is_of(head)
            && !campaigns::with_somebody_left(&self.connection.transaction()?)?.is_empty()
            // Whoever began it may have made the mark in between.
            && !self.mark.is_of(head)
        {
            self.write(campaigns::pause_what_is_left)?;
        }
        Ok(())
    }

    /// Does `work` in a transaction that waits its turn to write, and makes what it did durable.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction) -> Result<T, Fault>) -> Result<T, Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = transaction.total_changes();
        let result = work(&transaction)?;
        commit(transaction, before, &mut self.mark)?;
        Ok(result)
    }
}

/// Makes the transaction durable, and counts it if it has changed anything since there were `before` changes. Fails where it
/// is durable in a file that is the record's no more.
fn commit(transaction: Transaction, before: u64, mark: &mut Mark) -> Result<(), Fault> {
    if transaction.total_changes() == before {
        return Ok(transaction.commit()?);
    }
    let head = Head::advance(&transaction)?;
    transaction.commit()?;
    mark.keep(head)
}
