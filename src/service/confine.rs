//! Paths that strangers name: only what lies in a library's folder is any of their business.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// The folders of the library, as they really lie.
#[derive(Debug, Clone, Default)]
pub(super) struct Folders {
    roots: Vec<Folder>,
}

/// One folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// As it was given.
    pub(super) given: PathBuf,
    /// Without links.
    pub(super) real: PathBuf,
    /// What people call it: its last part.
    pub(super) name: String,
}

impl Folders {
    /// Those of `given` that are there.
    pub(super) fn new(given: &[PathBuf]) -> Self {
        let folder = |given: &PathBuf| {
            let real = given.canonicalize().ok()?;
            let name = real.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
            Some(Folder { given: given.clone(), real, name })
        };
        Self { roots: given.iter().filter_map(folder).collect() }
    }

    pub(super) fn all(&self) -> &[Folder] {
        &self.roots
    }

    /// The number of the folder `path` lies in, which has no links in it.
    pub(super) fn of(&self, path: &Path) -> Option<usize> {
        self.roots.iter().position(|root| path.starts_with(&root.real))
    }

    /// Where the file really lies that is called `reference`: from the first folder that has it, or by its whole path.
    ///
    /// # Errors
    /// `outside` for everything outside, be there something or not: what lies there is not told. `Missing` within.
    pub(super) fn file(&self, reference: &str) -> Result<PathBuf, Refused> {
        if reference.contains('\0') {
            return Err(Refused::Outside);
        }
        let written = Path::new(reference);
        let candidates: Vec<PathBuf> = if written.is_absolute() {
            let plain = lexically(written).ok_or(Refused::Outside)?;
            let is_ours = |root: &Folder| plain.starts_with(&root.real) || plain.starts_with(absolute(&root.given));
            if !self.roots.iter().any(is_ours) {
                return Err(Refused::Outside);
            }
            vec![plain]
        } else {
            let plain = lexically(written).ok_or(Refused::Outside)?;
            self.roots.iter().map(|root| root.real.join(&plain)).collect()
        };
        for candidate in candidates {
            match candidate.canonicalize() {
                Ok(real) if self.of(&real).is_some() => return Ok(real),
                Ok(_) => return Err(Refused::Outside),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(_) => return Err(Refused::Missing),
            }
        }
        Err(Refused::Missing)
    }
}

/// Why a path leads to no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It leads out of the library.
    Outside,
    /// It leads nowhere.
    Missing,
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path without `.` and `..`, as far as it can be told from its letters; `None` where it climbs out of where it begins.
fn lexically(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    let mut depth = 0_usize;
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                depth = depth.checked_sub(1)?;
                plain.pop();
            }
            Component::Normal(name) => {
                depth += 1;
                plain.push(name);
            }
            Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_of_the_folders_is_reached() {
        let home = tempfile::tempdir().expect("a folder");
        let library = home.path().join("library");
        fs::create_dir_all(library.join("sub")).expect("folders");
        fs::write(library.join("sub/a.png"), "a").expect("a file");
        fs::write(home.path().join("secret"), "s").expect("a file");
        symlink("../secret", library.join("planted.png")).expect("a link");
        symlink("sub/a.png", library.join("fine.png")).expect("a link");
        let folders = Folders::new(std::slice::from_ref(&library));
        let real = library.canonicalize().expect("a path").join("sub/a.png");
        assert_eq!(folders.file("sub/a.png"), Ok(real.clone()));
        assert_eq!(folders.file("./sub/../sub/a.png"), Ok(real.clone()));
        assert_eq!(folders.file(real.to_str().expect("text")), Ok(real.clone()));
        let secret = home.path().join("secret");
        for outside in
            ["../secret", "sub/../../secret", "/etc/passwd", "/nowhere", "a\0b", secret.to_str().expect("text")]
        {
            assert_eq!(folders.file(outside), Err(Refused::Outside), "{outside}");
        }
        for missing in ["nothing.png", "..%2fsecret", "%2e%2e/secret", "..\\secret", "C:/secret", "file:///etc/passwd"]
        {
            assert_eq!(folders.file(missing), Err(Refused::Missing), "{missing}");
        }
        assert_eq!(folders.file("planted.png"), Err(Refused::Outside));
        assert_eq!(folders.file("fine.png"), Ok(real));
    }
}
