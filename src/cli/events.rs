//! The objects only commands print: names fixed, fields only ever added.

mod closing;
mod keeping;
mod manifest;

pub(super) use closing::{SummaryEvent, TextEvent};
pub(super) use keeping::{
    DuplicatesEvent, DuplicatesSummaryEvent, PruneSummaryEvent, StatusEvent, VerifyEvent, VerifySummaryEvent,
    WatchEvent,
};
pub(super) use manifest::{ExportEvent, ImportEvent, ImportSummaryEvent};
