//! Watches a program: builds `record_writes.c` and has it loaded before the program.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::log::Log;
use tempfile::TempDir;

/// What is built and loaded, as long as this lives.
#[derive(Debug)]
pub(crate) struct Shim {
    folder: TempDir,
}

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
        if !cfg!(all(target_os = "linux", target_pointer_width = "64", target_env = "gnu")) {
            return not_run("it needs Linux and its dynamic loader");
        }
        let folder = TempDir::new().expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/record_writes.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut building = Command::new(compiler);
        building.args(["-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", "-pthread", "-o"]);
        match building.arg(library_in(folder.path())).arg(source).output() {
            Err(error) => not_run(&format!("there is no C compiler: {error}")),
            Ok(built) => {
                assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
                Some(Self { folder })
            }
        }
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
        command
            .env("LD_PRELOAD", library_in(self.folder.path()))
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

fn library_in(folder: &Path) -> PathBuf {
    folder.join("librecord_writes.so")
}

fn not_run<T>(why: &str) -> Option<T> {
    // `eprintln!` would be kept from whoever watches tests that pass.
    let _ = writeln!(io::stderr(), "WARNING: POWER CUTS WERE NOT TRIED: {why}.");
    None
}
