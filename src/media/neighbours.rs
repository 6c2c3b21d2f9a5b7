//! Looks at many files, folder by folder: what the system says of a file costs it the way there, and neighbours have the
//! same way.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};

use super::bounds::LOOK;
use super::fingerprint::fingerprint_of;
use super::problem::Problem;
use super::read::{Follow, Reader, Stat};

/// A reader's look at one file after another. Meant for neighbours that are looked at in quick succession: it stays in
/// the folder it is in, wherever that is moved.
#[derive(Debug)]
pub struct Neighbours<'r> {
    reader: &'r Reader,
    folder: Option<(PathBuf, OwnedFd)>,
}

impl<'r> Neighbours<'r> {
    /// In no folder yet.
    pub fn new(reader: &'r Reader) -> Self {
        Self { reader, folder: None }
    }

    /// What [`Reader::stat`] says of the file at `path`.
    ///
    /// # Errors
    /// The same.
    pub fn stat(&mut self, max_bytes: u64, path: &Path, follow: Follow) -> Result<Stat, Problem> {
        match self.quick(path, follow) {
            Some(seen) if (1..=max_bytes).contains(&seen.size_bytes) => Ok(seen),
            // What is wrong with it, the long way tells.
            _ => self.reader.stat(max_bytes, path, follow),
        }
    }

    /// What the system says of a regular file that lies where the last one did, or in a folder that can be entered.
    fn quick(&mut self, path: &Path, follow: Follow) -> Option<Stat> {
        if follow == Follow::Named || self.reader.is_bounded(path) {
            return None;
        }
        let (parent, name) = split(path)?;
        if self.folder.as_ref().is_none_or(|(folder, _)| folder.as_os_str().as_bytes() != parent) {
            let parent = Path::new(OsStr::from_bytes(parent));
            let entered = openat(CWD, parent, LOOK | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
            self.folder = Some((parent.to_owned(), entered));
        }
        let (_, folder) = self.folder.as_ref()?;
        let seen = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let fingerprint = fingerprint_of(&seen)?;
        (FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile)
            .then_some(Stat { size_bytes: fingerprint.size_bytes, fingerprint: Some(fingerprint) })
    }
}

/// A path's folder and the name in it, without taking the whole way apart; `None` where it ends in no name, or has no way.
fn split(path: &Path) -> Option<(&[u8], &[u8])> {
    let path = path.as_os_str().as_bytes();
    let (parent, name) = path.split_at(path.iter().rposition(|byte| *byte == b'/')?);
    match &name[1..] {
        b"" | b"." | b".." => None,
        name => Some((parent, name)).filter(|_| !parent.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::media::{Bounds, BytePool};

    const MAX_BYTES: u64 = 100;

    fn reader() -> Reader {
        Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::new(SystemClock))
    }

    #[test]
    fn whatever_stands_somewhere_is_seen_as_the_reader_sees_it() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |path: &str| home.path().join(path);
        for folder in ["a/b", "c"] {
            fs::create_dir_all(at(folder)).expect("folders");
        }
        for (file, size) in [("a/1", 1), ("a/2", 100), ("a/b/1", 3), ("c/1", 4), ("a/empty", 0), ("a/large", 101)] {
            fs::write(at(file), vec![0; size]).expect("a file");
        }
        symlink(at("c/1"), at("a/link")).expect("a link");
        symlink(at("a"), at("way")).expect("a link");
        let reader = reader();
        let mut looks = Neighbours::new(&reader);
        let paths = [
            "a/1", "a/2", "a/empty", "a/large", "a/link", "a/b", "a/b/1", "c/1", "a/1", "way/2", "gone/1", "c/gone", "",
        ];
        for path in paths.map(at) {
            for follow in [Follow::Never, Follow::Named] {
                let seen = looks.stat(MAX_BYTES, &path, follow);
                assert_eq!(seen, reader.stat(MAX_BYTES, &path, follow), "{} {follow:?}", path.display());
            }
        }
        let quick = ["a/1", "a/2", "a/b/1", "c/1", "way/2"].map(|path| looks.quick(&at(path), Follow::Never));
        assert!(quick.iter().all(Option::is_some), "{quick:?}");
    }

    #[test]
    fn what_is_read_from_within_a_folder_is_not_looked_at_from_elsewhere() {
        let home = tempfile::tempdir().expect("a folder");
        let library = home.path().canonicalize().expect("a path").join("library");
        fs::create_dir(&library).expect("a folder");
        fs::write(home.path().join("secret"), "s").expect("a file");
        fs::write(library.join("1"), "1").expect("a file");
        let reader = reader().within(Arc::new(Bounds::new([&library])));
        let mut looks = Neighbours::new(&reader);
        assert!(looks.quick(&library.join("1"), Follow::Never).is_none());
        symlink(home.path(), library.join("out")).expect("a link");
        assert!(looks.stat(MAX_BYTES, &library.join("1"), Follow::Never).is_ok());
        assert!(looks.stat(MAX_BYTES, &library.join("out/secret"), Follow::Never).is_err());
    }
}
