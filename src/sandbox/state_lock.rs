//! One sandbox for each state file: a lock on a file beside it, which the system lets go of however the process ends.
//!
//! The file beside (`….lock`) stays when the lock goes: to delete it would let two sandboxes hold two of that name.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::server::SandboxError;
use super::store::beside;

/// Holds a state file's lock until it is dropped.
#[derive(Debug)]
pub(super) struct StateLock(#[expect(dead_code, reason = "it is held, not read")] File);

/// Locks the state file `path`, if no other sandbox has it.
pub(super) fn lock(path: &Path) -> Result<StateLock, SandboxError> {
    let failure = |source| SandboxError::WriteState { path: path.to_owned(), source };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside(path, ".lock"));
    let file = opened.map_err(failure)?;
    match file.try_lock() {
        Ok(()) => Ok(StateLock(file)),
        Err(TryLockError::WouldBlock) => Err(SandboxError::StateInUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}
