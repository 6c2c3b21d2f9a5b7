//! C files that are built and loaded before a program, to stand between it and the system.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// One that is built, as long as this lives.
#[derive(Debug)]
pub(crate) struct Preload {
    folder: TempDir,
}

impl Preload {
    /// The library made of `source`, a path within `tests/it`; `None`, and loudly so, where it cannot be built. A test
    /// that gets none has shown nothing, which is told as `what` was not.
    pub(crate) fn build(source: &str, what: &str) -> Option<Self> {
        let not_run = |why: &str| {
            // `eprintln!` would be kept from whoever watches tests that pass.
            let _ = writeln!(io::stderr(), "WARNING: {what} WERE NOT TRIED: {why}.");
            None
        };
        if !cfg!(all(target_os = "linux", target_pointer_width = "64", target_env = "gnu")) {
            return not_run("it needs Linux and its dynamic loader");
        }
        let built = Self { folder: TempDir::new().expect("a folder") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(source);
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut building = Command::new(compiler);
        building.args(["-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", "-pthread", "-o"]);
        match building.arg(built.library()).arg(source).output() {
            Err(error) => not_run(&format!("there is no C compiler: {error}")),
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(built)
            }
        }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("libpreloaded.so")
    }

    /// Has it loaded before the command's program.
    pub(crate) fn before(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.library());
    }
}
