//! Folders that are read from within: a path that lies in one of them is opened beneath it, or not at all.
//!
//! What a path leads to may change between a look at it and the open: somebody who may write in the folder swaps a part of
//! the path for a link. So the folder itself is opened first, and the rest of the path from there, where the system
//! refuses every step that leads out. Linux does so in one call; where it cannot, and on other systems, each part is opened
//! by itself, and none of them may be a link.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::read::Follow;

/// What is opened to be looked at only: that needs no right to read, and wakes no device.
#[cfg(target_os = "linux")]
pub(super) const LOOK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK: OFlags = OFlags::NONBLOCK;

/// Where the way through a path may lead.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// To wherever its links lead, but not out of the folder it begins in.
    Within,
    /// Through no link at all.
    Straight,
}

/// Folders that are read from within. None by default, which bounds nothing.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Without links.
    folders: Vec<PathBuf>,
}

impl Bounds {
    /// Those of `folders` that are there.
    pub fn new<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self { folders: folders.into_iter().filter_map(|folder| folder.canonicalize().ok()).collect() }
    }

    /// Whether the path lies in one of the folders.
    pub(super) fn cover(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// The file at `path`, opened with these flags; `None` where the path lies in none of the folders.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Option<io::Result<File>> {
        let (folder, rest) = self.folders.iter().find_map(|folder| Some((folder, path.strip_prefix(folder).ok()?)))?;
        // Nobody has resolved a path that climbs, and it may well lie elsewhere.
        let climbs = rest.components().any(|part| part == Component::ParentDir);
        // Of the path of the folder itself nothing is left, and nothing names nothing.
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        (!climbs).then(|| step(enter(folder)?, rest, flags, Way::Within).map(File::from))
    }

    /// What the system says of what stands at `path`; `None` where the path lies in none of the folders.
    pub(super) fn look(&self, path: &Path, follow: Follow) -> Option<io::Result<Metadata>> {
        Some(self.open(path, LOOK | follow.flags())?.and_then(|file| file.metadata()))
    }
}

/// The folder itself, to open by its descriptor what lies in it. No part of `folder` may be a link.
///
/// # Errors
/// Those of opening it.
pub(crate) fn enter(folder: &Path) -> io::Result<OwnedFd> {
    step(CWD, folder, LOOK | OFlags::DIRECTORY, Way::Straight)
}

#[cfg(target_os = "linux")]
fn step(from: impl AsFd, path: &Path, flags: OFlags, way: Way) -> io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    use rustix::io::Errno;

    let links = match way {
        Way::Within => ResolveFlags::BENEATH,
        Way::Straight => ResolveFlags::NO_SYMLINKS,
    };
    let resolve = links | ResolveFlags::NO_MAGICLINKS;
    match openat2(from.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
        // Before Linux 5.6, or in a container that was made before it.
        Err(Errno::NOSYS | Errno::PERM) => part_by_part(from, path, flags),
        opened => Ok(opened?),
    }
}

#[cfg(not(target_os = "linux"))]
fn step(from: impl AsFd, path: &Path, flags: OFlags, _: Way) -> io::Result<OwnedFd> {
    part_by_part(from, path, flags)
}

/// Opens one part of the path after the other, none of them a link.
fn part_by_part(from: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { LOOK | OFlags::DIRECTORY } else { flags };
        let folder = at.as_ref().map_or(from.as_fd(), AsFd::as_fd);
        at = Some(openat(folder, part.as_os_str(), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
    }
    at.ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with files and links in it, beside one that is none of its business.
    fn library() -> (tempfile::TempDir, PathBuf, Bounds) {
        let home = tempfile::tempdir().expect("a folder");
        let library = home.path().canonicalize().expect("a path").join("library");
        fs::create_dir_all(library.join("sub")).expect("folders");
        fs::create_dir(home.path().join("outside")).expect("a folder");
        fs::write(library.join("sub/a"), "inside").expect("a file");
        fs::write(home.path().join("outside/a"), "outside").expect("a file");
        for (link, to) in [("fine", "sub"), ("out", "../outside"), ("far", "/etc"), ("sub/up", "../..")] {
            symlink(to, library.join(link)).expect("a link");
        }
        let bounds = Bounds::new([&library]);
        (home, library, bounds)
    }

    fn read(file: io::Result<File>) -> io::Result<String> {
        io::read_to_string(file?)
    }

    #[test]
    fn no_link_on_the_way_leads_out() {
        let (_home, library, bounds) = library();
        let within = |path: &str| read(bounds.open(&library.join(path), OFlags::empty()).expect("of the folder"));
        assert_eq!(within("sub/a").expect("read"), "inside");
        assert_eq!(within("fine/a").expect("read"), "inside");
        for way in ["out/a", "far/passwd", "sub/up/outside/a"] {
            assert!(within(way).is_err(), "{way}");
            assert!(bounds.look(&library.join(way), Follow::Named).expect("of the folder").is_err(), "{way}");
        }
        let look = |path: &str, follow| bounds.look(&library.join(path), follow).expect("of the folder");
        assert_eq!(look("fine/a", Follow::Never).expect("metadata").len(), 6);
        assert!(look("fine", Follow::Never).expect("metadata").is_symlink());
        assert!(look("fine", Follow::Named).expect("metadata").is_dir());
        // The folder itself is one as well.
        assert!(look("", Follow::Named).expect("metadata").is_dir());
        assert!(part_by_part(enter(&library).expect("a folder"), ".".as_ref(), LOOK).is_ok());
    }

    #[test]
    fn what_lies_elsewhere_is_not_bounded() {
        let (home, library, bounds) = library();
        for elsewhere in [home.path().join("outside/a"), library.join("../outside/a"), "library/sub/a".into()] {
            assert!(bounds.open(&elsewhere, OFlags::empty()).is_none(), "{}", elsewhere.display());
        }
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_entered() {
        let (home, library, bounds) = library();
        enter(&library).expect("a folder");
        fs::rename(&library, home.path().join("before")).expect("moved");
        symlink("outside", &library).expect("a link");
        assert!(enter(&library).is_err());
        assert!(bounds.open(&library.join("a"), OFlags::empty()).expect("of the folder").is_err());
    }

    #[test]
    fn part_by_part_no_link_is_followed() {
        let (_home, library, _) = library();
        let within = |path: &str| read(part_by_part(enter(&library)?, path.as_ref(), OFlags::empty()).map(File::from));
        assert_eq!(within("sub/a").expect("read"), "inside");
        for way in ["fine/a", "out/a", "far/passwd", "sub/up/outside/a", ""] {
            assert!(within(way).is_err(), "{way}");
        }
        let whole = part_by_part(CWD, &library.join("sub/a"), OFlags::empty()).map(File::from);
        assert_eq!(read(whole).expect("read"), "inside");
    }
}
