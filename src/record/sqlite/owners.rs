//! Who is alive: every open record that claims holds an operating-system lock on `owners/NAME.lock` beside the
//! record's file. The lock dies with its process, however that ends, so no clock is needed to tell.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The owners beside one record, and the one this record claims as.
#[derive(Debug)]
pub(super) struct Owners {
    folder: PathBuf,
    own: Option<Owner>,
}

#[derive(Debug)]
struct Owner {
    name: String,
    path: PathBuf,
    _lock: File,
}

impl Owners {
    pub(super) fn beside(record: &Path) -> Self {
        Self { folder: record.with_file_name("owners"), own: None }
    }

    pub(super) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// The name this record claims under, alive until `self` is dropped.
    pub(super) fn own(&mut self) -> io::Result<String> {
        if self.own.is_none() {
            match DirBuilder::new().mode(0o700).create(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.own = Some(Owner::new(&self.folder)?);
        }
        Ok(self.own.as_ref().map(|owner| owner.name.clone()).unwrap_or_default())
    }

    /// Whether the owner of that name still runs. One whose file is gone does not.
    pub(super) fn is_alive(&self, name: &str) -> io::Result<bool> {
        is_locked(&file_of(&self.folder, name))
    }

    /// Removes the files of owners that are no more.
    pub(super) fn remove_dead(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "lock") {
                remove_unless_locked(&path)?;
            }
        }
        Ok(())
    }
}

impl Owner {
    fn new(folder: &Path) -> io::Result<Self> {
        loop {
            let name = format!("{:032x}", fastrand::u128(..));
            let path = file_of(folder, &name);
            let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            lock.lock()?;
            // Between those two lines another may have taken the file for a dead owner's, and removed it.
            if lock.metadata()?.nlink() > 0 {
                return Ok(Self { name, path, _lock: lock });
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // What stays is removed by the next owner.
        let _ = fs::remove_file(&self.path);
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.lock"))
}

fn is_locked(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => probe(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_unless_locked(path: &Path) -> io::Result<()> {
    let removed = File::open(path).and_then(|file| if probe(&file)? { Ok(()) } else { fs::remove_file(path) });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether an owner holds the lock. Asking with a shared lock, two that ask do not take each other for the owner.
fn probe(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_until_its_record_is_closed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let record = folder.path().join("record.db");
        let (mut first, second) = (Owners::beside(&record), Owners::beside(&record));
        let name = first.own().expect("an owner");
        assert_eq!(first.own().expect("the same owner"), name);
        assert!(second.is_alive(&name).expect("an answer") && first.is_alive(&name).expect("an answer"));
        drop(first);
        assert!(!second.is_alive(&name).expect("an answer"));
        assert_eq!(fs::read_dir(folder.path().join("owners")).expect("a folder").count(), 0);
    }

    #[test]
    fn only_files_of_the_dead_are_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut owners = Owners::beside(&folder.path().join("record.db"));
        let name = owners.own().expect("an owner");
        let left_by_a_kill = folder.path().join("owners").join("00.lock");
        fs::write(&left_by_a_kill, b"").expect("a file");
        owners.remove_dead().expect("removed");
        assert!(owners.is_alive(&name).expect("an answer") && !left_by_a_kill.exists());
    }

    #[test]
    fn no_newborn_owner_is_taken_for_dead() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let record = folder.path().join("record.db");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut owners = Owners::beside(&record);
                        let name = owners.own().expect("an owner");
                        owners.remove_dead().expect("removed");
                        assert!(owners.is_alive(&name).expect("an answer"));
                    }
                });
            }
        });
    }
}
