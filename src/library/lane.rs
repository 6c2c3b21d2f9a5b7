//! One Page's share of a run: what it may still upload, what came of its files, and whether it goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::graph::Scope;
use crate::ids::{Asset, AssetKey, MediaKind};
use crate::stop::Stop;

use super::contents::digest_prefix;
use super::{AssetLibrary, AssetOutcome, AssetReport, LibraryError, Summary, Synced};

/// So many uploads in a row without a clear word from Meta are no accident.
const OUTAGE: u32 = 8;

/// One Page's share of a run.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) library: AssetLibrary,
    /// Requested when nothing more is to be begun here.
    pub(super) stop: Stop,
    /// Requested when nothing more need be made ready for an upload here.
    pub(super) enough: Stop,
    allowance: Allowance,
    summary: Summary,
    halted_by: Option<Arc<LibraryError>>,
    /// Whether it was given up before there was anything to do: nothing is told of its files.
    pub(super) is_left_out: bool,
    /// Uploads in a row of which it is not known what Meta did.
    in_doubt: u32,
    /// What went out with a message, or may have, and has no id: the same bytes under another name would go out again.
    spent: HashMap<Asset, Arc<LibraryError>>,
    /// What was given an id in this run: the same bytes under another name need no other.
    settled: HashSet<(u64, MediaKind)>,
    /// Ids that were left to end.
    replaced: u64,
}

impl Lane {
    pub(super) fn new(library: AssetLibrary, allowance: Allowance, stop: Stop) -> Self {
        let enough = stop.child();
        let lane = Self {
            library,
            stop,
            enough,
            allowance,
            summary: Summary::default(),
            halted_by: None,
            is_left_out: false,
            in_doubt: 0,
            spent: HashMap::new(),
            settled: HashSet::new(),
            replaced: 0,
        };
        lane.mind_the_end();
        lane
    }

    /// What the allowance says to an upload of this.
    pub(super) fn ask(&mut self, asset: &Asset, size_bytes: u64) -> Allowed {
        let allowed = self.allowance.ask(asset, size_bytes);
        self.mind_the_end();
        allowed
    }

    /// What it says now to an upload it spoke about before: others may have come to nothing meanwhile.
    pub(super) fn ask_again(&mut self, before: Allowed, asset: &Asset, size_bytes: u64) -> Allowed {
        if before == Allowed::First { before } else { self.ask(asset, size_bytes) }
    }

    /// Takes back what was allowed to an upload that cannot be begun.
    pub(super) fn take_back(&mut self, asset: &Asset, size_bytes: u64) {
        self.allowance.take_back(asset, size_bytes);
    }

    fn mind_the_end(&self) {
        if self.allowance.uploads_left == 0 {
            self.enough.request();
        }
    }

    /// Whether the key was given an id in this run.
    pub(super) fn has_settled(&self, key: &AssetKey) -> bool {
        self.settled.contains(&content(key))
    }

    /// Why the asset must not go out again, if it must not.
    pub(super) fn spent(&self, asset: &Asset) -> Option<&Arc<LibraryError>> {
        self.spent.get(asset)
    }

    /// Takes note of how an upload ended, and gives the report to hand on.
    pub(super) fn land(&mut self, report: AssetReport) -> AssetReport {
        let Some(error) = &report.error else {
            self.in_doubt = 0;
            self.settled.extend(report.upload.as_ref().map(|upload| content(&upload.key)));
            return report;
        };
        self.in_doubt = if error.is_doubtful() { self.in_doubt + 1 } else { 0 };
        if let (true, Some(hash)) = (error.may_have_sent(), report.sent_hash()) {
            self.spent.insert(Asset::Bytes(hash), Arc::clone(error));
        }
        let nobody_to_send_to =
            matches!(&**error, LibraryError::Graph(error) if error.scope() == Some(Scope::Recipient));
        if error.concerns_every_file() || nobody_to_send_to || self.in_doubt >= OUTAGE {
            self.halt(Arc::clone(error));
        }
        let outcome = if error.is_rate_limit() { AssetOutcome::Deferred } else { report.outcome };
        AssetReport { outcome, ..report }
    }

    /// Begins nothing more here, for this reason.
    pub(super) fn halt(&mut self, error: Arc<LibraryError>) {
        self.halted_by.get_or_insert(error);
        self.stop.request();
    }

    /// Takes note of an id that may end, for the file it was made from was replaced.
    pub(super) fn let_end(&mut self) {
        self.replaced += 1;
    }

    pub(super) fn count(&mut self, report: &AssetReport) {
        self.summary.add(report);
    }

    pub(super) fn close(mut self, elapsed: Duration) -> Synced {
        self.summary.elapsed = elapsed;
        Synced { summary: self.summary, halted_by: self.halted_by, replaced: self.replaced }
    }
}

/// Tells contents apart as well as [`digest_prefix`] does.
fn content(key: &AssetKey) -> (u64, MediaKind) {
    (digest_prefix(&key.asset.digest()), key.kind)
}

/// How much may still be uploaded. The same bytes under another name cost nothing more.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    uploads_left: u64,
    bytes_left: u64,
    granted: HashSet<u64>,
}

/// What an allowance says to one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Its bytes are the first of their kind: upload them.
    First,
    /// Its bytes are being uploaded, or were, under another name.
    Again,
    /// The allowance is spent.
    Later,
}

impl Allowance {
    /// At most so many uploads, of at most so many bytes together.
    pub(super) fn new(max_uploads: Option<u64>, max_bytes: Option<u64>) -> Self {
        Self {
            uploads_left: max_uploads.unwrap_or(u64::MAX),
            bytes_left: max_bytes.unwrap_or(u64::MAX),
            granted: HashSet::new(),
        }
    }

    fn ask(&mut self, asset: &Asset, size_bytes: u64) -> Allowed {
        let content = digest_prefix(&asset.digest());
        if self.granted.contains(&content) {
            return Allowed::Again;
        }
        if self.uploads_left == 0 || size_bytes > self.bytes_left {
            return Allowed::Later;
        }
        self.uploads_left -= 1;
        self.bytes_left -= size_bytes;
        self.granted.insert(content);
        Allowed::First
    }

    fn take_back(&mut self, asset: &Asset, size_bytes: u64) {
        if self.granted.remove(&digest_prefix(&asset.digest())) {
            self.uploads_left = self.uploads_left.saturating_add(1);
            self.bytes_left = self.bytes_left.saturating_add(size_bytes);
        }
    }
}
