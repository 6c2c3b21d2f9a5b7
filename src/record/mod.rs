//! The record of what was uploaded and what was sent to whom: the truth the library and campaigns act on.
//!
//! Says nothing of files on this machine beyond where an upload came from; that is the cache's, which may vanish. What
//! an engine has accepted is on the disk before it answers.
//!
//! The traits are contracts; `contract` is the suite that holds every engine to them. There are two: SQLite (`sqlite`), a
//! file `record.db`, and beside it `owners/`, where every process that uploads holds a lock; and PostgreSQL (`postgres`), a
//! database that many hosts share, where every process that uploads holds a lease.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

mod aliases;
mod budgets;
mod campaigns;
mod carry;
#[cfg(test)]
mod contract;
mod delivery_rows;
mod derivations;
mod doubts;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod heals;
mod left;
mod pages;
mod patience;
mod postgres;
mod requests;
mod rows;
mod server_times;
mod sqlite;
mod uploads;

pub use self::aliases::{Alias, AliasTarget, Aliases};
pub use self::budgets::Budgets;
pub use self::campaigns::{
    Added, Begun, Campaign, CampaignId, Campaigns, Change, ClaimedRow, Claims, DeliveryKey, Enlisted, Entry, Holder,
    LOST, Ledger, ListedDelivery, NewCampaign, NewRecipient, PartCount, PlanDigest, Reach, Worker, Written,
};
pub use self::carry::{CarriedTable, RecordPlace, carry_over};
pub use self::derivations::{Derivation, Derivations};
pub use self::doubts::{DoubtedAttempt, DoubtfulDelivery, Doubts, Duplicate, Finding, PersonsDelivery, Proof, Proven};
pub use self::error::{Obstacle, RecordError};
pub use self::heals::{Heal, Heals};
pub use self::pages::{PageIdentity, Pages};
pub(crate) use self::patience::patiently;
use self::postgres::PostgresRecord;
pub use self::postgres::{AddressError, ServerAddress};
pub use self::requests::{Answer, Request, Requests, Standing, TakenUp};
pub use self::server_times::ServerTimes;
pub use self::sqlite::SqliteRecord;
pub use self::uploads::{
    Adopted, Claim, Claimed, Completed, Moved, NewUpload, Upload, UploadFilter, UploadState, Uploads,
};

/// The record in the SQLite file at `path`, which is created, with its folder, where it is missing.
///
/// # Errors
/// `NotARecord` and `NewerFormat` leave the file as it was. An older format is migrated, after a copy of the file was
/// made beside it (`PATH.before-vN`).
pub async fn open(path: &Path) -> Result<Arc<dyn Record>, RecordError> {
    Ok(Arc::new(SqliteRecord::open(path).await?))
}

/// The record in the PostgreSQL database at `address`, whose tables are made where they are missing.
///
/// # Errors
/// `Away` where the server cannot be reached, `NotLetIn` where it does not take us, `NewerFormat` where a newer program has
/// changed its tables. An older form is migrated, by one process at a time.
pub async fn connect(address: &ServerAddress) -> Result<Arc<dyn Record>, RecordError> {
    Ok(Arc::new(PostgresRecord::open(address).await?))
}

/// The same record, which is reached, and its tables made, when it is first asked: its server may be away until then.
///
/// # Errors
/// `NotLetIn` where the machine's certificates cannot be read.
pub fn at(address: &ServerAddress) -> Result<Arc<dyn Record>, RecordError> {
    Ok(Arc::new(PostgresRecord::at(address)?))
}

/// All the record knows.
#[async_trait]
pub trait Record:
    Uploads + Pages + Aliases + ServerTimes + Heals + Derivations + Campaigns + Doubts + Ledger + Budgets + Requests
{
    /// Returns if it can be asked now. Tries once, for three seconds at most; a record that is a file on this machine always
    /// can.
    ///
    /// # Errors
    /// `Away` where its server cannot be reached; what [`connect`] says.
    async fn reach(&self) -> Result<(), RecordError> {
        Ok(())
    }

    /// Reads everything there is and compares it with its checksums. Takes seconds where there are millions of rows.
    ///
    /// # Errors
    /// `Corrupt` or `Damaged` with the first thing found wrong.
    async fn verify(&self) -> Result<(), RecordError>;

    /// Returns if it may be written to, as far as that can be told without writing.
    ///
    /// # Errors
    /// `Unreachable` where its file, `Away` where its server takes no writes; `MayOnlyRead` where our role has no right to.
    async fn check_writable(&self) -> Result<(), RecordError> {
        Ok(())
    }
}
