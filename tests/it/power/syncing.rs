//! `sync` of a library: each line it prints about a file is a promise that the file's id is on record.

use std::path::Path;
use std::process::Command;

use fastrand::Rng;

use super::cuts::{Past, Workload};
use crate::support::pictures::png;
use crate::support::reopened::Reopened;
use crate::support::{Ran, World};

/// On so many images, one is synced to its end.
const ENDED: u64 = 50;
/// The files lie in so many folders, of which one is synced by what recovers from a first cut.
const FOLDERS: u32 = 15;

/// A library of small files, synced against a sandbox.
pub(crate) struct Syncing {
    world: World,
    files: u32,
}

impl Syncing {
    pub(crate) fn of(files: u32) -> Self {
        let world = World::new();
        for number in 0..files {
            world.put(format!("{}/{number}.png", number % FOLDERS), png(number));
        }
        Self { world, files }
    }

    fn sync(&self, path: &str, store: &Path) -> Command {
        let mut command = self.world.command(["sync", path, "--json"]);
        command.env("REATTACH_STORE", format!("sled:{}", store.display()));
        command
    }

    /// What is wrong with how a sync of what was left ends; `recorded` need no upload.
    fn objection_to_the_end(&self, store: &Path, recorded: usize) -> Option<String> {
        let ran = Ran::new(self.sync("library", store).output().expect("the binary runs"));
        if ran.code != Some(0) {
            return Some(format!("sync ended with {:?}: {}", ran.code, ran.stderr));
        }
        let uploaded = ran.summary()["uploaded"].as_u64();
        let missing = u64::from(self.files) - recorded as u64;
        (uploaded != Some(missing)).then(|| format!("{uploaded:?} were uploaded, and {missing} were missing"))
    }
}

impl Workload for Syncing {
    fn command(&self, store: &Path) -> Command {
        self.sync("library", store)
    }

    fn again(&self, store: &Path) -> Command {
        self.sync("library/0", store)
    }

    fn objection(&self, store: &Path, before: &Past, dice: &mut Rng) -> Option<String> {
        let record = match Reopened::of(&self.world, store) {
            Ok(record) => record,
            Err(error) => return Some(error.to_string()),
        };
        if let Some(lost) = record.lost(&before.printed) {
            return Some(lost);
        }
        let (begun, known) =
            (before.sent.iter().filter(|bytes| is_upload(bytes)).count(), known(&store.join("record.db")));
        if begun > known {
            return Some(format!("{begun} uploads were begun, and {known} are known of"));
        }
        if dice.u64(..ENDED) == 0 { self.objection_to_the_end(store, record.uploads.len()) } else { None }
    }
}

/// Whether a write to a socket begins an upload.
fn is_upload(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.starts_with(b"POST ") && String::from_utf8_lossy(line).contains("/message_attachments")
}

/// How many uploads have left a trace: they ended, they are claimed, or their claim's owner is no more.
fn known(database: &Path) -> usize {
    let database = rusqlite::Connection::open(database).expect("it was open before");
    let sql = "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM claims) + (SELECT count(*) FROM orphans)";
    let count: i64 = database.query_row(sql, [], |row| row.get(0)).expect("a count");
    usize::try_from(count).expect("a count")
}
