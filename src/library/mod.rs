//! The library of assets: what to upload, what to reuse, and the flow of one file from disk to attachment id.
//!
//! Data flows one way: a survey finds and reads files, [`plan()`] decides, [`AssetLibrary`] uploads
//! and records, and an [`AssetReport`] says what became of each file. Nothing here prints; progress goes to a
//! [`Reporter`].

mod alias;
mod budget;
mod check;
mod contents;
mod deliver;
mod duplicates;
mod errand;
mod error;
mod fitter;
mod fitting;
mod heal;
mod import;
mod known;
mod lane;
mod manager;
pub mod manifest;
mod markers;
mod moved;
mod outgoing;
mod place;
mod plan;
mod reference;
mod refresh;
mod replaced;
mod report;
mod resolve;
mod run;
mod single_flight;
mod subject;
mod survey;
mod sync;
mod tenure;
mod time;
mod upload;
mod verify;
mod watch;
mod watch_lock;

pub use alias::{AliasRequest, point_at, without_alias};
pub use check::{CheckOptions, check};
pub use deliver::{Carrier, Delivered};
pub use duplicates::{Duplicates, SameBytes, duplicates};
pub use error::LibraryError;
pub use fitter::Fitter;
pub use import::{ImportError, ImportOptions, ImportOutcome, ImportReport, ImportSummary, import};
pub use known::Known;
pub(crate) use manager::UPLOAD_MEMORY;
pub use manager::{AssetLibrary, LibraryParts, UrlQuery, Via};
pub use markers::{MarkedText, OpenMarker};
pub use outgoing::{Prepared, PreparedAsset};
pub use place::place_of;
pub use plan::{ID_LIFETIME, Plan, PlanRules, Reason, Standing, plan, staleness, standing};
pub use reference::{AssetRef, in_folder};
pub use refresh::{RefreshOptions, Renewal};
pub use replaced::Replacements;
pub use report::{AssetOutcome, AssetReport, NoReport, Progress, Reporter, Summary};
pub use resolve::{Answers, ResolveOptions, UploadOnMiss};
pub use survey::Inspector;
pub use sync::{SyncOptions, Synced};
pub use verify::Agreement;
pub use watch::{WatchOptions, Watched};
pub use watch_lock::WatchLock;
