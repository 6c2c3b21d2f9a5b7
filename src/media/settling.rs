//! Is a file complete? Nobody outside can tell while it is being written, but a file that keeps its size and its times for a
//! while is taken for one.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::fingerprint::fingerprint;
use crate::facts::Fingerprint;

/// Files that are perhaps still being written.
#[derive(Debug)]
pub(super) struct Settling {
    quiet: Duration,
    waiting: HashMap<PathBuf, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    shape: Shape,
    since: Instant,
}

/// What a write changes about a file.
type Shape = (u64, Option<Fingerprint>);

/// What lies at a path something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    /// A file, or something like one: it has to settle now.
    File,
    /// A folder, which has nothing to settle; what it holds is another matter.
    Folder,
    /// Nothing any more.
    Nothing,
}

impl Settling {
    /// Nothing yet. A file settles when nothing has changed about it for `quiet`.
    pub(super) fn new(quiet: Duration) -> Self {
        Self { quiet, waiting: HashMap::new() }
    }

    /// Takes note that something happened to what lies at `path`.
    pub(super) fn touch(&mut self, path: PathBuf, now: Instant) -> Touched {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Touched::Folder,
            Ok(metadata) => {
                self.waiting.insert(path, Waiting { shape: shape(&metadata), since: now });
                Touched::File
            }
            Err(_) => {
                self.waiting.remove(&path);
                Touched::Nothing
            }
        }
    }

    /// The files that have settled, which are not waited for any more. One that is gone is forgotten.
    pub(super) fn settled(&mut self, now: Instant) -> Vec<PathBuf> {
        let quiet = self.quiet;
        let mut settled = Vec::new();
        self.waiting.retain(|path, waiting| {
            if now.saturating_duration_since(waiting.since) < quiet {
                return true;
            }
            match fs::symlink_metadata(path).ok().map(|metadata| shape(&metadata)) {
                Some(shape) if shape == waiting.shape => settled.push(path.clone()),
                Some(shape) => {
                    *waiting = Waiting { shape, since: now };
                    return true;
                }
                None => {}
            }
            false
        });
        settled
    }

    /// Whether nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn shape(metadata: &fs::Metadata) -> Shape {
    (metadata.len(), fingerprint(metadata))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const QUIET: Duration = Duration::from_secs(1);
    const STEP: Duration = Duration::from_millis(600);

    #[test]
    fn a_file_settles_when_nothing_changed_for_so_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        fs::write(&path, "a").expect("a file");
        let (mut settling, start) = (Settling::new(QUIET), Instant::now());
        assert_eq!(settling.touch(path.clone(), start), Touched::File);
        assert!(settling.settled(start + STEP).is_empty());
        assert_eq!(settling.settled(start + QUIET), [path]);
        assert!(settling.is_empty() && settling.settled(start + 2 * QUIET).is_empty(), "it is told once");
    }

    #[test]
    fn a_write_nobody_told_of_begins_the_wait_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let mut file = fs::File::create(&path).expect("a file");
        let (mut settling, start) = (Settling::new(QUIET), Instant::now());
        settling.touch(path.clone(), start);
        file.write_all(b"half").expect("written");
        assert!(settling.settled(start + QUIET).is_empty());
        assert!(settling.settled(start + QUIET + STEP).is_empty());
        assert_eq!(settling.settled(start + 2 * QUIET), [path]);
    }

    #[test]
    fn every_touch_begins_the_wait_anew_and_what_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, gone] = ["a.png", "b.png"].map(|name| folder.path().join(name));
        fs::write(&path, "a").expect("a file");
        fs::write(&gone, "b").expect("a file");
        let (mut settling, start) = (Settling::new(QUIET), Instant::now());
        settling.touch(gone.clone(), start);
        settling.touch(path.clone(), start);
        settling.touch(path.clone(), start + STEP);
        fs::remove_file(&gone).expect("removed");
        assert!(settling.settled(start + QUIET).is_empty());
        assert_eq!(settling.settled(start + STEP + QUIET), [path]);
        assert!(settling.is_empty());
        assert_eq!(settling.touch(gone, start), Touched::Nothing);
        assert_eq!(settling.touch(folder.path().to_owned(), start), Touched::Folder);
        assert!(settling.is_empty());
    }
}
