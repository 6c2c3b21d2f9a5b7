//! Watches a program: builds `record_writes.c` and has it loaded before the program.

use std::path::Path;
use std::process::{Command, Stdio};

use super::log::Log;
use crate::support::preload::Preload;

/// What is built and loaded, as long as this lives.
#[derive(Debug)]
pub(crate) struct Shim(Preload);

/// Whether a program's syncs are worth anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syncs {
    Done,
    /// As if it never asked for one: what a power cut then leaves must be noticed, or nothing is proven.
    Ignored,
}

impl Shim {
    /// The shim; `None`, and loudly so, where it cannot be built. A test that gets none has shown nothing.
    pub(crate) fn build() -> Option<Self> {
        Preload::build("power/record_writes.c", "POWER CUTS").map(Self)
    }

    /// Runs the command to its end, which is good with one of the exit codes `ends`, and says what it did to `folder`,
    /// or why it failed. What it writes down stays in the file `log`.
    pub(crate) fn watch(
        &self,
        mut command: Command,
        folder: &Path,
        log: &Path,
        syncs: Syncs,
        ends: &[i32],
    ) -> Result<Log, String> {
        let folder = folder.canonicalize().expect("a folder");
        self.0.before(&mut command);
        command
            .env("RECORD_WRITES_FOLDER", &folder)
            .env("RECORD_WRITES_LOG", log)
            .env("RECORD_WRITES_UNSYNCED", if syncs == Syncs::Ignored { "1" } else { "0" })
            .stdout(Stdio::null());
        let ended = command.output().expect("the binary runs");
        if ended.status.code().is_some_and(|code| ends.contains(&code)) {
            Ok(Log::read(log))
        } else {
            Err(format!("{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr)))
        }
    }
}
