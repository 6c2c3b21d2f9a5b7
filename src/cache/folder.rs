//! The cache's folder on disk: who holds it, how a damaged one is moved out of the way, who may read it.
//!
//! Knows nothing of what the files hold, except two names of sled's: `db`, which sled locks, and `snap.*.generating`.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Why the cache is not what it was, or not there. Displayed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheNote {
    /// Another process, or another part of this one, has the cache open; nothing is wrong.
    HeldByAnother {
        /// The cache's folder.
        folder: PathBuf,
    },
    /// The cache was damaged; an empty one took its place.
    SetAside {
        /// The cache's folder.
        folder: PathBuf,
        /// Where the damaged one lies now.
        to: PathBuf,
        /// What was wrong with it.
        cause: String,
    },
    /// The cache can be neither opened nor replaced.
    Unusable {
        /// The cache's folder.
        folder: PathBuf,
        /// What stands in the way.
        cause: String,
    },
}

impl fmt::Display for CacheNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeldByAnother { folder } => {
                write!(f, "the cache {} is in use elsewhere: files are read without it", folder.display())
            }
            Self::SetAside { folder, to, cause } => {
                let (folder, to) = (folder.display(), to.display());
                write!(f, "the cache {folder} was damaged ({cause}): it was moved to {to}, a new one begins")
            }
            Self::Unusable { folder, cause } => {
                write!(f, "the cache {} cannot be used ({cause}): files are read without it", folder.display())
            }
        }
    }
}

/// A cache folder nobody else may open, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder where it is missing, and holds it.
    pub(super) fn hold(path: &Path) -> Result<Self, CacheNote> {
        let unusable = |error: io::Error| CacheNote::Unusable { folder: path.to_owned(), cause: error.to_string() };
        create(path).map_err(unusable)?;
        let lock = private_file(&beside(path, "lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CacheNote::HeldByAnother { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something has sled's own file open although our lock was free: its lock file was deleted, or the
    /// program is not ours.
    pub(super) fn is_open_elsewhere(&self) -> bool {
        let taken = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        File::open(self.path.join("db")).is_ok_and(taken)
    }

    /// Returns once sled's own file is open nowhere, or after `longest`.
    pub(super) fn wait_until_closed(&self, longest: Duration) {
        let start = Instant::now();
        while self.is_open_elsewhere() && start.elapsed() < longest {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Deletes snapshots whose writing was cut off. Sled would take one for the newest snapshot and refuse to open
    /// (spacejam/sled#1527); the one before is removed only after the new one is complete, so nothing is lost.
    pub(super) fn remove_unfinished_snapshots(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b"snap.") && name.ends_with(b".generating") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Gives every file here to its owner alone: sled creates them as the umask tells it to.
    pub(super) fn make_private(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let mode = if entry.file_type()?.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Leaves word for the next one to open the folder that it is damaged. Fails silently: then the next one finds
    /// out for itself.
    pub(super) fn mark_damaged(&self, cause: &str) {
        let _ = private_file(&self.marker()).and_then(|mut file| io::Write::write_all(&mut file, cause.as_bytes()));
    }

    /// What an earlier holder found wrong with the folder.
    pub(super) fn damage(&self) -> Option<String> {
        let cause = fs::read(self.marker()).ok()?;
        Some(String::from_utf8_lossy(&cause).into_owned())
    }

    /// Moves the folder out of the way and makes an empty one.
    pub(super) fn set_aside(&self, clock: &dyn Clock, cause: String) -> Result<CacheNote, CacheNote> {
        let folder = self.path.clone();
        let to = beside(&folder, &format!("corrupt-{}", basic_time(clock)));
        let replaced = fs::rename(&folder, &to).and_then(|()| create(&folder));
        match replaced.and_then(|()| remove_if_there(&self.marker())) {
            Ok(()) => Ok(CacheNote::SetAside { folder, to, cause }),
            Err(error) => Err(CacheNote::Unusable { folder, cause: format!("{cause}; moving it failed: {error}") }),
        }
    }

    fn marker(&self) -> PathBuf {
        beside(&self.path, "damaged")
    }
}

/// `FOLDER.EXTENSION`: a neighbour of the folder.
fn beside(folder: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(".");
    name.push(extension);
    name.into()
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The time now in RFC 3339's basic form, which every file system takes as part of a name.
fn basic_time(clock: &dyn Clock) -> String {
    let millis = clock.now().as_unix_millis();
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%S%.3fZ").to_string()
}
