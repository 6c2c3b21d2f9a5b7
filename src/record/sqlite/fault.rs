//! From what SQLite and the system say to what a caller can do about it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::file::folder_of;
use crate::delivery::IllegalStep;
use crate::record::RecordError;

/// What went wrong inside a call, before it is said of which file.
#[derive(Debug)]
pub(super) enum Fault {
    Engine(rusqlite::Error),
    System(io::Error),
    /// Already in the caller's terms.
    Known(RecordError),
    /// What was to be stored breaks a rule of ours.
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        Self::Known(error)
    }
}

impl From<IllegalStep> for Fault {
    fn from(error: IllegalStep) -> Self {
        Self::Refused(error.into())
    }
}

impl From<refinery::Error> for Fault {
    fn from(error: refinery::Error) -> Self {
        let what = error.to_string();
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
        Self::Engine(match cause {
            Some(rusqlite::Error::SqliteFailure(failure, _)) => rusqlite::Error::SqliteFailure(*failure, Some(what)),
            _ => rusqlite::Error::ToSqlConversionFailure(error.into()),
        })
    }
}

impl Fault {
    /// Whether it is the write's own doing, and the transaction it belongs to is none the worse for it.
    pub(super) fn is_a_refusal(&self) -> bool {
        match self {
            Self::Known(_) | Self::Refused(_) => true,
            Self::Engine(error) => code_of(error) == Some(ErrorCode::ConstraintViolation),
            Self::System(_) => false,
        }
    }

    /// The error of a call that used the open record at `path`.
    pub(super) fn using(self, path: &Path) -> RecordError {
        let path = path.to_owned();
        match self {
            Self::Known(error) => error,
            Self::Refused(source) => RecordError::Refused { path, source: source.into() },
            Self::System(error) => {
                let kind = error.kind();
                let source = Arc::new(error);
                match kind {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RecordError::Full { path, source },
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                        RecordError::Unreachable { path, source }
                    }
                    _ => RecordError::Failed { path, source },
                }
            }
            Self::Engine(error) => {
                let code = code_of(&error);
                let source = Arc::new(error);
                match code {
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RecordError::Locked { path, source },
                    Some(ErrorCode::DiskFull) => RecordError::Full { path, source },
                    Some(ErrorCode::DatabaseCorrupt) => RecordError::Corrupt { path, what: source.to_string() },
                    Some(ErrorCode::NotADatabase) => RecordError::NotARecord { path },
                    Some(ErrorCode::ConstraintViolation) => RecordError::Refused { path, source },
                    Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                        match denial(&path) {
                            Some(error) => RecordError::Unreachable { path, source: Arc::new(error) },
                            None => RecordError::Unreachable { path, source },
                        }
                    }
                    _ => RecordError::Failed { path, source },
                }
            }
        }
    }

    /// Whether nothing was written, and another time it may be: the record is locked, or its disk is full.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::System(error) => matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            Self::Engine(error) => matches!(
                code_of(error),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
            ),
            Self::Known(_) | Self::Refused(_) => false,
        }
    }

    /// The error of an attempt to open `path`, where whatever has no better name is a matter of reaching it.
    pub(super) fn opening(self, path: &Path) -> RecordError {
        match self.using(path) {
            RecordError::Failed { path, source } => RecordError::Unreachable { path, source },
            error => error,
        }
    }
}

/// What SQLite says it was. A disk without room for the memory that is shared beside the record, which readers need as well,
/// is full.
fn code_of(error: &rusqlite::Error) -> Option<ErrorCode> {
    let failure = error.sqlite_error()?;
    Some(if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE { ErrorCode::DiskFull } else { failure.code })
}

/// The system's own words for why the file or its folder cannot be written to, which SQLite keeps to itself. Nothing is
/// opened: to close it would give up the locks SQLite holds on it.
fn denial(path: &Path) -> Option<io::Error> {
    let is_denial = |errno: &Errno| matches!(*errno, Errno::ROFS | Errno::ACCESS | Errno::PERM);
    let denied = |place: &Path| access(place, Access::WRITE_OK).err().filter(is_denial);
    denied(path).or_else(|| denied(folder_of(path))).map(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn used(code: i32) -> RecordError {
        Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).using(Path::new("r.db"))
    }

    #[test]
    fn each_failure_gets_the_name_of_what_can_be_done_about_it() {
        assert!(matches!(used(ffi::SQLITE_BUSY), RecordError::Locked { .. }));
        assert!(matches!(used(ffi::SQLITE_BUSY_TIMEOUT), RecordError::Locked { .. }));
        assert!(matches!(used(ffi::SQLITE_FULL), RecordError::Full { .. }));
        assert!(matches!(used(ffi::SQLITE_IOERR_SHMSIZE), RecordError::Full { .. }));
        assert!(matches!(used(ffi::SQLITE_CORRUPT), RecordError::Corrupt { .. }));
        assert!(matches!(used(ffi::SQLITE_NOTADB), RecordError::NotARecord { .. }));
        assert!(matches!(used(ffi::SQLITE_CONSTRAINT_CHECK), RecordError::Refused { .. }));
        assert!(matches!(used(ffi::SQLITE_READONLY), RecordError::Unreachable { .. }));
        assert!(matches!(used(ffi::SQLITE_IOERR_FSYNC), RecordError::Failed { .. }));
        let full = Fault::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full.using(Path::new("r.db")), RecordError::Full { .. }));
    }

    #[test]
    fn what_waits_for_room_may_pass_as_well_for_a_reader() {
        let may_pass = |code| Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).may_pass();
        assert!(may_pass(ffi::SQLITE_IOERR_SHMSIZE) && !may_pass(ffi::SQLITE_IOERR_SHMMAP));
    }

    #[test]
    fn a_place_that_may_not_be_written_to_is_told_in_the_systems_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.db");
        fs::write(&path, b"").expect("a file");
        assert!(denial(&path).is_none());
        if rustix::process::geteuid().is_root() {
            return;
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).expect("closed");
        let fault = Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None));
        let error = fault.using(&path);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("open");
        let RecordError::Unreachable { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains("Permission denied"), "{source}");
    }

    #[test]
    fn every_message_follows_failed_to_and_names_the_file() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_IOERR] {
            let message = used(code).to_string();
            assert!(message.contains("r.db") && message.starts_with(char::is_lowercase), "{message}");
        }
    }
}
