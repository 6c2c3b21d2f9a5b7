//! The library of assets: what to upload, what to reuse, and the flow of one file from disk to attachment id.
//!
//! Data flows one way: a survey finds and reads files, [`plan()`] decides, [`AssetLibrary`] uploads
//! and records, and an [`AssetReport`] says what became of each file. Nothing here prints; progress goes to a
//! [`Reporter`].

mod check;
mod deliver;
mod duplicates;
mod error;
mod heal;
mod manager;
mod outgoing;
mod plan;
mod reference;
mod report;
mod single_flight;
mod subject;
mod survey;
mod sync;
mod upload;
mod verify;
mod watch;
mod watch_lock;

pub use check::{CheckOptions, check};
pub use deliver::{Carrier, Delivered};
pub use duplicates::{Duplicates, SameBytes, duplicates};
pub use error::LibraryError;
pub use manager::{AssetLibrary, LibraryParts, ResolveOptions, UploadOnMiss, UrlQuery, Via};
pub use outgoing::{Prepared, PreparedAsset};
pub use plan::{ID_LIFETIME, Plan, PlanRules, Reason, plan, staleness};
pub use reference::AssetRef;
pub use report::{AssetOutcome, AssetReport, NoReport, Progress, Reporter, Summary};
pub use survey::Inspector;
pub use sync::{SyncOptions, Synced};
pub use verify::Agreement;
pub use watch::{WatchOptions, Watched};
pub use watch_lock::WatchLock;
