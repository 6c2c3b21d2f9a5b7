//! One watcher for each folder and Page: two would do everything twice.
//!
//! A lock is a file `NAME.lock` in the store, which holds who has it. It stays when it is let go: only the system's lock on
//! it counts, and that ends with its process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ids::KeySpace;

use super::LibraryError;

/// The right to watch some folders for one Page, as long as it lives.
#[derive(Debug)]
pub struct WatchLock(#[expect(dead_code, reason = "held, not used")] Vec<File>);

impl WatchLock {
    /// The right to watch `roots` for the Page of `space`, kept in `folder`.
    ///
    /// # Errors
    /// `Watched` when another has one of them under watch; `WatchLock` when that cannot be found out.
    pub fn hold(folder: &Path, space: &KeySpace, roots: &[PathBuf]) -> Result<Self, LibraryError> {
        let failed = |source| LibraryError::WatchLock { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mut names: Vec<_> = roots.iter().map(|root| (name(space, root), root)).collect();
        // The same folder twice is one.
        names.sort();
        names.dedup_by(|(a, _), (b, _)| a == b);
        let hold = |(name, root): (String, &PathBuf)| lock(&folder.join(name), root).map_err(failed)?;
        names.into_iter().map(hold).collect::<Result<_, _>>().map(Self)
    }
}

/// The lock file at `path`, held; or who holds it.
fn lock(path: &Path, root: &Path) -> io::Result<Result<File, LibraryError>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever has only just taken it may not have said so yet.
            let _ = file.read_to_string(&mut holder);
            Ok(Err(LibraryError::Watched { path: root.to_owned(), process: holder.trim().parse().ok() }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the lock of a folder is called: the same for every way to it.
fn name(space: &KeySpace, root: &Path) -> String {
    let canonical = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let mut digest = Sha256::new();
    for part in [space.origin.as_str(), space.page.as_str(), space.platform.as_str()] {
        digest.update(part);
        digest.update([0]);
    }
    digest.update(canonical.as_os_str().as_bytes());
    format!("{}.lock", hex::encode(&digest.finalize()[..16]))
}
