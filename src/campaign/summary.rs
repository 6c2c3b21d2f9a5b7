//! How a run of a campaign ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::ramp::Stage;
use super::tally::ErrorCount;
use super::unsaved::Unsaved;
use crate::graph::GraphError;
use crate::ids::Recipient;
use crate::library::LibraryError;
use crate::record::{Campaign, RecordError};

/// How a run came to its end.
#[derive(Debug, Clone)]
pub enum End {
    /// There was nothing more to send.
    Finished,
    /// It was asked to stop, and finished what was under way.
    Interrupted,
    /// The campaign was paused: by its own brakes, for this reason, or by somebody, whose reason the record has.
    Paused(Option<String>),
    /// A stage is through; the next one waits for a yes.
    Stage {
        /// Which.
        stage: Stage,
        /// Whether anybody of it is known to have the message.
        has_arrived: bool,
    },
    /// Meta takes nothing from this Page.
    Page {
        /// What it said.
        error: GraphError,
        /// Whose message it said it of, where it may hold for them alone.
        to: Option<Recipient>,
    },
    /// Meta's limits, or the network, stood in the way for too long.
    Busy(GraphError),
    /// The record could not be written.
    Store(Arc<RecordError>),
    /// A defect of ours: what became of a message is unknown, and the next could go the same way.
    Panicked,
    /// A file's new id was refused as well, or it cannot be uploaded again.
    Asset(Arc<LibraryError>),
}

/// In a few words, which name nobody.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("nothing more to send"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Paused(None) => f.write_str("paused"),
            Self::Paused(Some(why)) => write!(f, "paused: {why}"),
            Self::Stage { stage, has_arrived } => f.write_str(stage.outcome(*has_arrived)),
            Self::Page { error, .. } | Self::Busy(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Panicked => f.write_str("a defect of reattach's"),
            Self::Asset(error) => error.fmt(f),
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// Why it is over.
    pub end: End,
    /// The campaign as it stands now.
    pub campaign: Campaign,
    /// Where its deliveries stand now, this run's and all before.
    pub counts: Counts,
    /// What this run sent.
    pub sent: u64,
    /// How Meta refused in this run.
    pub errors: Vec<ErrorCount>,
    /// What the record could not be told.
    pub unsaved: Vec<Unsaved>,
    /// How long it took.
    pub elapsed: Duration,
}
