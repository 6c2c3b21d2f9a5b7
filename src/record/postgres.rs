//! The record in a PostgreSQL database that many processes on many hosts share.
//!
//! Nothing of it is on this machine. Who is alive is a matter of leases (`owners`), what was committed of receipts
//! (`session`); no reliance on the isolation of transactions beyond unique keys and row locks.

mod acknowledged;
mod address;
mod aliases;
mod budgets;
mod campaigns;
mod carry;
mod claiming;
mod claims;
mod connect;
mod deliveries;
mod derivations;
mod doubts;
mod fault;
mod format;
mod heals;
mod housekeeping;
mod ledger;
mod owners;
mod plans;
mod requests;
mod server_times;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod uploads;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{sleep, timeout};

pub use self::address::{AddressError, ServerAddress};
use self::fault::Fault;
use self::owners::Owners;
use self::session::Sessions;
use self::uploads::column;
use super::left::Left;
use super::rows;
use super::{
    Adopted, Alias, Aliases, Claim, Claimed, Completed, Heal, Heals, Moved, NewUpload, PageIdentity, Pages, Record,
    RecordError, ServerTimes, Upload, UploadFilter, Uploads,
};
use crate::clock::{ClockReading, Timestamp};
use crate::ids::{AliasName, AssetKey, AttachmentId, KeySpace, Origin};
use crate::secret::TokenFingerprint;

/// How soon to ask again whether a key is free, should nothing be heard.
const POLL: Duration = Duration::from_millis(500);
/// After so many tries it is said what is waited for.
const WORTH_TELLING: u32 = 5;

/// The record in a PostgreSQL database. Any number may be open on one database, anywhere.
pub(super) struct PostgresRecord {
    sessions: Sessions,
    owners: Owners,
    /// As which owner each worker was enlisted.
    workers: Mutex<HashMap<i64, i64>>,
    left: Left,
}

impl PostgresRecord {
    /// The record at `address`, as [`connect`](super::connect) says.
    pub(super) async fn open(address: &ServerAddress) -> Result<Self, RecordError> {
        Self::open_with(address, format::migrations()).await
    }

    async fn open_with(address: &ServerAddress, migrations: refinery::Runner) -> Result<Self, RecordError> {
        let record = Self::at(address)?;
        record.sessions.form(migrations).await.map_err(|fault| fault.opening(address))?;
        Ok(record)
    }

    /// The record at `address`, as [`at`](super::at) says.
    pub(super) fn at(address: &ServerAddress) -> Result<Self, RecordError> {
        let sessions = Sessions::new(address.clone());
        let sessions = sessions.map_err(|error| Fault::Unfit(error.to_string()).opening(address))?;
        Ok(Self { sessions, owners: Owners::new(address.clone()), workers: Mutex::default(), left: Left::default() })
    }

    /// The owner this record claims as now.
    async fn own(&self) -> Result<i64, RecordError> {
        self.own_within(session::ABSENCE).await
    }

    /// The same, however long the server may be away.
    async fn own_within(&self, absence: Duration) -> Result<i64, RecordError> {
        let mut said: Option<Fault> = None;
        let waiting = async {
            let mut tries = 0;
            loop {
                let owning = async {
                    self.sessions.formed().await?;
                    self.owners.own().await
                };
                match owning.await {
                    Err(fault) if fault.is_away() => {
                        if tries == WORTH_TELLING {
                            self.sessions.say_it_is_waited_for(&fault);
                        }
                        tries += 1;
                        fault.keep_in(&mut said);
                        sleep(POLL).await;
                    }
                    done => return done,
                }
            }
        };
        let own = timeout(absence, waiting).await;
        let own = own.unwrap_or_else(|_| Err(said.unwrap_or(Fault::Silence)));
        own.map_err(|fault| fault.using(self.sessions.address()))
    }
}

impl PostgresRecord {
    async fn release_once(&self, claim: &Claim) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { claims::release(&tx, claim).await }).await
    }

    /// Releases claims that are over and still held.
    async fn release_abandoned(&self) {
        for claim in self.left.claims.all() {
            match self.release_once(&claim).await {
                Ok(()) => self.left.claims.settled(std::slice::from_ref(&claim)),
                Err(error) => tracing::warn!(%error, "a claim that is over is still held"),
            }
        }
    }
}

impl fmt::Debug for PostgresRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRecord").field("address", self.sessions.address()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Uploads for PostgresRecord {
    async fn find(&self, keys: &[AssetKey]) -> Result<Vec<Option<Upload>>, RecordError> {
        self.sessions.ask(|tx| async move { uploads::find(&tx, keys).await }).await
    }

    async fn list(
        &self,
        filter: &UploadFilter,
        after: Option<&AssetKey>,
        limit: usize,
    ) -> Result<Vec<Upload>, RecordError> {
        self.sessions.read(|tx| async move { uploads::list(&tx, filter, after, limit).await }).await
    }

    async fn claim(&self, key: &AssetKey, now: Timestamp) -> Result<Claimed, RecordError> {
        self.release_abandoned().await;
        let owner = self.own().await?;
        self.sessions.write(|tx| async move { claims::claim(&tx, owner, key, now).await }).await
    }

    async fn until_free(&self, key: &AssetKey) {
        let name = claims::name(key);
        tokio::select! {
            () = self.owners.finished(&name) => {}
            () = sleep(POLL) => {}
        }
    }

    async fn complete(&self, claim: &Claim, upload: &NewUpload) -> Result<Completed, RecordError> {
        self.sessions.write(|tx| async move { claims::complete(&tx, claim, upload).await }).await
    }

    async fn adopt(&self, uploads: &[Upload]) -> Result<Vec<Adopted>, RecordError> {
        self.sessions.write(|tx| async move { uploads::adopt(&tx, uploads).await }).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        let released = self.release_once(claim).await;
        if released.is_err() {
            self.abandon_claim(claim);
        }
        released
    }

    fn abandon_claim(&self, claim: &Claim) {
        self.left.claims.add(claim.clone());
    }

    async fn follow(&self, moves: &[Moved]) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { uploads::follow(&tx, moves).await }).await
    }

    async fn reject(&self, key: &AssetKey, attachment_id: &AttachmentId) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { uploads::reject(&tx, key, attachment_id).await }).await
    }

    async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, RecordError> {
        self.sessions.write(|tx| async move { uploads::forget(&tx, key).await }).await
    }

    async fn count_orphans(&self) -> Result<u64, RecordError> {
        self.sessions
            .ask(|tx| async move {
                let row = tx.one("SELECT count(*) FROM orphans", &[]).await?;
                Ok(row.map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or_default()))
            })
            .await
    }
}

#[async_trait]
impl Pages for PostgresRecord {
    async fn page_of(&self, origin: &Origin, token: TokenFingerprint) -> Result<Option<PageIdentity>, RecordError> {
        const TABLE: &str = "pages";
        self.sessions
            .ask(|tx| async move {
                let sql = "SELECT page_id, name FROM pages WHERE origin = $1 AND token = $2";
                let Some(row) = tx.one(sql, &[&origin.as_str(), &token.0.to_vec()]).await? else { return Ok(None) };
                let id: String = column(&row, TABLE, 0)?;
                Ok(Some(PageIdentity { id: rows::parse(TABLE, &id)?, name: column(&row, TABLE, 1)? }))
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
        self.sessions
            .write(|tx| async move {
                let sql = "INSERT INTO pages (origin, token, page_id, name, learnt_at) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (origin, token) DO UPDATE SET page_id = excluded.page_id, name = excluded.name,
                           learnt_at = excluded.learnt_at";
                let (token, learnt_at) = (token.0.to_vec(), now.as_unix_millis());
                tx.execute(sql, &[&origin.as_str(), &token, &page.id.as_str(), &page.name, &learnt_at]).await?;
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl ServerTimes for PostgresRecord {
    async fn clock_reading(&self, origin: &Origin) -> Result<Option<ClockReading>, RecordError> {
        self.sessions.ask(|tx| async move { server_times::find(&tx, origin).await }).await
    }

    async fn keep_clock_reading(&self, origin: &Origin, reading: ClockReading) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { server_times::keep(&tx, origin, reading).await }).await
    }
}

#[async_trait]
impl Heals for PostgresRecord {
    async fn remember_heal(&self, heal: &Heal, since: Timestamp) -> Result<(), RecordError> {
        self.sessions.write(|tx| async move { heals::remember(&tx, heal, since).await }).await
    }

    async fn count_heals(&self, key: &AssetKey, after: Timestamp, now: Timestamp) -> Result<u64, RecordError> {
        self.sessions.read(|tx| async move { heals::count(&tx, key, after, now).await }).await
    }

    async fn healed(&self, space: &KeySpace, refused: &AttachmentId) -> Result<Option<AssetKey>, RecordError> {
        self.sessions.read(|tx| async move { heals::of_id(&tx, space, refused).await }).await
    }
}

#[async_trait]
impl Aliases for PostgresRecord {
    async fn alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        self.sessions.ask(|tx| async move { aliases::get(&tx, name).await }).await
    }

    async fn set_alias(&self, alias: &Alias) -> Result<Option<Alias>, RecordError> {
        self.sessions.write(|tx| async move { aliases::set(&tx, alias).await }).await
    }

    async fn remove_alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError> {
        self.sessions.write(|tx| async move { aliases::remove(&tx, name).await }).await
    }

    async fn aliases(&self) -> Result<Vec<Alias>, RecordError> {
        self.sessions.ask(|tx| async move { aliases::list(&tx).await }).await
    }
}

#[async_trait]
impl Record for PostgresRecord {
    async fn reach(&self) -> Result<(), RecordError> {
        self.sessions.reach().await
    }

    /// The server looks at its checksums as it reads, where its cluster has them (`initdb --data-checksums`).
    async fn verify(&self) -> Result<(), RecordError> {
        self.sessions
            .read(|tx| async move {
                aliases::list(&tx).await?;
                uploads::verify_rows(&tx).await?;
                server_times::verify_rows(&tx).await?;
                heals::verify_rows(&tx).await?;
                derivations::verify_rows(&tx).await?;
                requests::verify_rows(&tx).await?;
                doubts::verify_rows(&tx).await?;
                campaigns::verify_rows(&tx).await
            })
            .await
    }

    async fn check_writable(&self) -> Result<(), RecordError> {
        let address = self.sessions.address();
        self.sessions
            .ask(|tx| async move {
                // What lies in `receipts` is let go of by whoever may.
                let sql = "SELECT current_setting('transaction_read_only') = 'on', current_user::text,
                                  (SELECT min(relname::text) FROM pg_class
                                   WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                                       AND relname NOT IN ('refinery_schema_history', 'receipts')
                                       AND NOT (has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE')
                                           AND has_table_privilege(oid, 'DELETE')))";
                let Some(row) = tx.one(sql, &[]).await? else { return Ok(()) };
                if row.get(0) {
                    return Err(Fault::read_only(address));
                }
                match row.get(2) {
                    Some(table) => {
                        let server = address.to_string();
                        Err(RecordError::MayOnlyRead { server, role: row.get(1), table }.into())
                    }
                    None => Ok(()),
                }
            })
            .await
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
