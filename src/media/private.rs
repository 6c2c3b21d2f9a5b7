//! Files that must never be uploaded, wherever they lie: our own store, and the places of secrets.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::problem::{Problem, ProblemCode};

/// Files and folders that are nobody's media. Empty by default.
#[derive(Debug, Clone, Default)]
pub struct Private {
    /// With links resolved; of a folder, all it holds is meant.
    paths: Vec<PathBuf>,
    names: Vec<OsString>,
    /// The files among them, and those right in the folders: a hard link is the same file under another name.
    files: Vec<FileId>,
}

/// A device, and an inode there.
type FileId = (u64, u64);

impl Private {
    /// These files and folders. One that does not exist yet is taken as it is written.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let resolve = |path: PathBuf| fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path);
        let paths: Vec<_> = paths.into_iter().map(resolve).collect();
        let names = paths.iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
        let held =
            paths.iter().filter_map(|path| fs::read_dir(path).ok()).flatten().flatten().map(|entry| entry.path());
        let files = paths.iter().cloned().chain(held).filter_map(|path| file_id(&path)).collect();
        Self { paths, names, files }
    }

    /// These, and one more.
    #[must_use]
    pub fn and(&self, path: PathBuf) -> Self {
        let more = Self::new([path]);
        Self {
            paths: [&*self.paths, &*more.paths].concat(),
            names: [&*self.names, &*more.names].concat(),
            files: [&*self.files, &*more.files].concat(),
        }
    }

    /// Whether `path` leads to one of them, or into one.
    pub fn covers(&self, path: &Path) -> bool {
        let is_within = |path: PathBuf| self.paths.iter().any(|private| path.starts_with(private));
        !self.paths.is_empty()
            && (fs::canonicalize(path).is_ok_and(is_within) || file_id(path).is_some_and(|id| self.files.contains(&id)))
    }

    /// The same for an entry of a folder that is not private itself, at next to no cost where neither its name nor its
    /// inode is one of theirs.
    pub(super) fn covers_entry(&self, name: &OsStr, inode: Option<u64>, path: &Path) -> bool {
        let may_be = self.names.iter().any(|private| private == name)
            || inode.is_some_and(|inode| self.files.iter().any(|(_, private)| *private == inode));
        may_be && self.covers(path)
    }

    /// What to say of such a file when it is asked for by name.
    pub fn problem() -> Problem {
        Problem::error(
            ProblemCode::Private,
            "it holds reattach's own data, its configuration or a secret",
            "such a file is never uploaded; name another",
        )
    }
}

/// Which file `path` leads to; `None` of a folder, and of what is not there.
fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_covers_all_it_holds_by_any_way() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = folder.path().join("store");
        fs::create_dir_all(store.join("cache")).expect("a folder");
        fs::write(store.join("cache/db"), "x").expect("a file");
        fs::write(folder.path().join("storehouse"), "x").expect("a file");
        let private = Private::new([store.clone()]);
        assert!(private.covers(&store) && private.covers(&store.join("cache/db")));
        assert!(private.covers(&folder.path().join("store/../store/cache/db")));
        assert!(!private.covers(folder.path()) && !private.covers(&folder.path().join("storehouse")));
        assert!(private.covers_entry("store".as_ref(), None, &store));
        let more = private.and(folder.path().join("storehouse"));
        assert!(more.covers(&folder.path().join("storehouse")) && more.covers(&store.join("cache/db")));
        assert!(!Private::default().covers(&store));
    }

    #[test]
    fn a_private_file_is_private_by_any_name() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (token, store) = (folder.path().join("token"), folder.path().join("store"));
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        fs::create_dir(&store).expect("a folder");
        for file in [&token, &other, &store.join("serve.token")] {
            fs::write(file, "x").expect("a file");
        }
        let private = Private::new([token.clone(), store.clone()]);
        let inode = |path: &Path| Some(fs::metadata(path).expect("a file").ino());
        for secret in [token, store.join("serve.token")] {
            fs::hard_link(secret, &link).expect("a link");
            assert!(private.covers(&link) && private.covers_entry("link".as_ref(), inode(&link), &link));
            fs::remove_file(&link).expect("the link");
        }
        assert!(!private.covers(&other) && !private.covers_entry("other".as_ref(), inode(&other), &other));
    }
}
