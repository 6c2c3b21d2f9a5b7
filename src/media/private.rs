//! Files that must never be uploaded, wherever they lie: our own store, and the places of secrets.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::problem::{Problem, ProblemCode};

/// Files and folders that are nobody's media. Empty by default.
#[derive(Debug, Clone, Default)]
pub struct Private {
    /// With links resolved; of a folder, all it holds is meant.
    paths: Vec<PathBuf>,
    names: Vec<OsString>,
}

impl Private {
    /// These files and folders. One that does not exist yet is taken as it is written.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let resolve = |path: PathBuf| fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path);
        let paths: Vec<_> = paths.into_iter().map(resolve).collect();
        let names = paths.iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
        Self { paths, names }
    }

    /// Whether `path` leads to one of them, or into one.
    pub fn covers(&self, path: &Path) -> bool {
        !self.paths.is_empty()
            && fs::canonicalize(path).is_ok_and(|path| self.paths.iter().any(|private| path.starts_with(private)))
    }

    /// The same for an entry of a folder that is not private itself, at next to no cost where its name is not one of
    /// theirs.
    pub(super) fn covers_entry(&self, name: &OsStr, path: &Path) -> bool {
        self.names.iter().any(|private| private == name) && self.covers(path)
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
        assert!(private.covers_entry("store".as_ref(), &store));
        assert!(!Private::default().covers(&store));
    }
}
