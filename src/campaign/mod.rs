//! Campaigns: one message to many people, once each, and the truth about every one.
//!
//! A [`CampaignSpec`] says what goes to whom; [`plan()`] writes it down in the record, where it stays as it is. A [`Run`]
//! holds the campaign, looks ahead ([`Run::preflight`]), and sends. What became of each delivery is on the disk before and
//! after every message: an intent before its first byte leaves, a result before the next is begun. So a process that is
//! killed leaves nothing to guess: what may have left is *unknown*, and stays so until somebody settles it
//! ([`settle`]).
//!
//! Nothing here prints or asks; who wants to watch reads a [`Tally`].

mod counts;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hold;
mod nonce;
mod part;
mod pause;
mod permission;
mod plan;
mod portion;
mod preflight;
mod ramp;
mod recipients;
mod run;
mod scribe;
mod sending;
pub mod settle;
mod spec;
mod stand;
mod summary;
mod tally;
mod template;
mod times;
mod unsaved;
mod verdict;

pub use counts::{Counts, VariantCounts};
pub use error::CampaignError;
pub use nonce::Nonce;
pub use part::{Part, Variant};
pub use pause::{Pause, pause};
pub use permission::Permission;
pub use plan::{PlanOptions, Planned, Replan, plan};
pub use portion::Portion;
pub use preflight::{Preflight, PreflightAsset};
pub use ramp::{Ramp, Stage};
pub use recipients::{BadRow, RecipientReader, read_suppressed};
pub use run::{Run, RunParts};
pub use spec::{CampaignMessage, CampaignSpec, Guarantee, Settings};
pub use stand::{State, at_own_pace, counts, must_come_next, next_stage};
pub use summary::{End, RunSummary};
pub use tally::{ErrorCount, Tally, Waiting};
pub use times::{QuietHours, Times, Zone};
pub use unsaved::{Fate, Unsaved};
