//! Folders under watch: which files in them were written, as soon as they are complete.
//!
//! The system says that something happened to a path, and no more is taken from it. What lies there is looked at anew, by
//! the very rules a [`scan()`] goes by, once it has settled ([`Settling`]). Where the system says nothing any more (a
//! folder that was removed, a queue that ran over) whole folders are looked at again.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind::PermissionDenied;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::fingerprint::fingerprint;
use super::problem::Problem;
use super::scan::{Found, ScanError, ScanOptions, is_rule, scan};
use super::settling::{Settling, Touched};
use crate::clock::Timestamp;

/// How often the watched folders themselves are looked for: the system does not say when one comes back.
const ROOT_POLL: Duration = Duration::from_millis(500);

/// How long the system may take to watch a folder that was just made, and to tell of what is written there.
const UNWATCHED: Duration = Duration::from_secs(2);

/// How often folders are looked at that the system does not watch.
const BLIND_POLL: Duration = Duration::from_mins(1);

/// More paths than this at once are no news but a flood: everything is looked at instead.
const FLOOD: usize = 100_000;

/// Why folders cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A folder that is not there, or a pattern that is none.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The system watches no more folders for this user.
    #[error("watch {}: the system watches no more folders for this user", path.display())]
    TooMany {
        /// The folder given.
        path: PathBuf,
    },
    /// This user may have no more watchers, or this process no more open files.
    #[error("watch {}: this user has as many watchers, or this process as many open files, as the system allows", path.display())]
    TooManyWatchers {
        /// The first folder given.
        path: PathBuf,
    },
    /// The system does not watch it.
    #[error("watch {}", path.display())]
    Refused {
        /// The folder given.
        path: PathBuf,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a look at the watched folders brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A file that is new, or was perhaps written, and has settled.
    File(PathBuf),
    /// Something that cannot be read as a file.
    Refused {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A watched folder is no longer there.
    Gone(PathBuf),
    /// It is there again, and watched again.
    Back(PathBuf),
    /// The system lost count of what happened: everything was looked at instead.
    Lost,
    /// The system watches no more folders for this user: some are looked at once a minute instead.
    Blind,
}

/// Watches folders. Looks are blocking.
#[derive(Debug)]
pub struct Watcher {
    roots: Vec<Root>,
    options: ScanOptions,
    settling: Settling,
    quiet: Duration,
    /// Folders the system may not watch yet: what comes into them may go untold.
    young: HashMap<PathBuf, Young>,
    /// Folders the system does not watch, or not all of, with links resolved.
    blind: HashSet<PathBuf>,
    groped_at: Instant,
    inbox: Arc<Inbox>,
    system: RecommendedWatcher,
    polled_at: Instant,
}

/// A folder that was made just now.
#[derive(Debug)]
struct Young {
    since: Instant,
    /// What is known of what it holds, however deep.
    known: HashSet<PathBuf>,
}

/// A folder that is watched, or the folder of a file that is.
#[derive(Debug)]
struct Root {
    /// As it was given.
    path: PathBuf,
    /// With links resolved: events speak of this.
    canonical: PathBuf,
    is_file: bool,
    /// Device and inode of what the system watches; `None` while it is gone.
    watched: Option<(u64, u64)>,
    /// When it was watched anew, if that was just now: the end of the old watch may still take the new one with it.
    in_doubt: Option<Timestamp>,
}

/// What the system said since the last look.
#[derive(Debug, Default)]
struct Inbox(Mutex<News>);

#[derive(Debug, Default)]
struct News {
    paths: HashSet<PathBuf>,
    /// Folders that came up and are not watched.
    unwatched: HashSet<PathBuf>,
    /// Because there are too many.
    too_many: bool,
    lost: bool,
}

impl Watcher {
    /// Watches `roots`, folders or files; a file counts when nothing has changed about it for `quiet`. `stir` is called,
    /// often, when a look may be worth it.
    pub fn new(
        roots: &[PathBuf],
        options: ScanOptions,
        quiet: Duration,
        stir: impl Fn() + Send + 'static,
    ) -> Result<Self, WatchError> {
        scan(roots, &options)?;
        let inbox = Arc::new(Inbox::default());
        let hear = Arc::clone(&inbox);
        let handler = move |event| {
            hear.take_in(event);
            stir();
        };
        let refused = |error: notify::Error| {
            let path = roots.first().cloned().unwrap_or_default();
            match &error.kind {
                notify::ErrorKind::Io(io) if io.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                    WatchError::TooManyWatchers { path }
                }
                _ => WatchError::Refused { path, source: error.into() },
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = Self {
            roots: roots.iter().map(|root| Root::new(root)).collect(),
            options,
            settling: Settling::new(quiet),
            quiet,
            young: HashMap::new(),
            blind: HashSet::new(),
            groped_at: Instant::now(),
            inbox,
            system: RecommendedWatcher::new(handler, config).map_err(refused)?,
            polled_at: Instant::now(),
        };
        for root in &mut watcher.roots {
            root.watch(&mut watcher.system, &mut watcher.blind)?;
        }
        Ok(watcher)
    }

    /// Whether there is nothing to see before something happens.
    pub fn is_quiet(&self) -> bool {
        self.settling.is_empty() && self.young.is_empty() && self.inbox.is_empty()
    }

    /// Lets the file settle once more.
    pub fn wait_again(&mut self, path: PathBuf, now: Instant) {
        self.settling.touch(path, now);
    }

    /// All files there are now. Those written within the last moments have to settle first.
    pub fn look_at_all(&mut self, now: Instant, time: Timestamp) -> Vec<Seen> {
        let roots: Vec<_> = self.present().map(|root| root.path.clone()).collect();
        self.look_at(&roots, now, time)
    }

    /// What has come to light since the last look.
    pub fn look(&mut self, now: Instant, time: Timestamp) -> Vec<Seen> {
        let mut seen = Vec::new();
        if now.saturating_duration_since(self.polled_at) >= ROOT_POLL {
            self.polled_at = now;
            self.look_for_roots(now, time, &mut seen);
        }
        let News { paths, unwatched, too_many, lost } = self.inbox.take();
        // Of a folder that is new the system may have begun to watch some.
        let parents = unwatched.iter().filter_map(|path| path.parent());
        self.blind.extend(parents.map(Path::to_owned).chain(unwatched.iter().cloned()));
        seen.extend(too_many.then_some(Seen::Blind));
        let is_due = now.saturating_duration_since(self.groped_at) >= BLIND_POLL;
        if !self.blind.is_empty() && (is_due || paths.iter().any(|path| self.blind.contains(path))) {
            self.groped_at = now;
            self.grope(now, time);
        }
        let paths: Vec<_> = paths.iter().filter_map(|path| self.as_given(path)).collect();
        if lost || paths.iter().any(|path| is_rule(path)) {
            seen.extend(lost.then_some(Seen::Lost));
            seen.extend(self.look_at_all(now, time));
        }
        let grown_up = self.grown_up(now);
        let is_folder = |path: &PathBuf| self.touch(path.clone(), now) == Touched::Folder;
        let folders: Vec<_> = paths.into_iter().filter(is_folder).collect();
        self.young.extend(folders.iter().map(|path| (path.clone(), Young { since: now, known: HashSet::new() })));
        for found in self.found_in(folders).into_iter().chain(grown_up) {
            match found {
                Found::File { path, .. } => drop(self.touch(path, now)),
                other => seen.extend(refused(other)),
            }
        }
        let settled = self.settling.settled(now);
        for found in self.found_in(settled) {
            match found {
                Found::File { path, .. } => seen.push(Seen::File(path)),
                other => seen.extend(refused(other)),
            }
        }
        seen
    }

    fn touch(&mut self, path: PathBuf, now: Instant) -> Touched {
        if !self.young.is_empty() {
            for folder in path.ancestors() {
                if let Some(young) = self.young.get_mut(folder) {
                    young.known.insert(path.clone());
                }
            }
        }
        self.settling.touch(path, now)
    }

    /// What lies in folders the system is sure to watch by now, and nobody told of.
    fn grown_up(&mut self, now: Instant) -> Vec<Found> {
        let is_grown = |_: &PathBuf, young: &mut Young| now.saturating_duration_since(young.since) >= UNWATCHED;
        let (mut folders, mut known) = (Vec::new(), HashSet::new());
        for (folder, young) in self.young.extract_if(is_grown) {
            folders.push(folder);
            known.extend(young.known);
        }
        let is_known = |found: &Found| matches!(found, Found::File { path, .. } if known.contains(path));
        let mut found = self.found_in(folders);
        found.retain(|found| !is_known(found));
        found
    }

    /// Says of each root whether it went or came back. Whatever it holds when it comes back is news.
    fn look_for_roots(&mut self, now: Instant, time: Timestamp, seen: &mut Vec<Seen>) {
        let mut back = Vec::new();
        for root in &mut self.roots {
            let there = root.there();
            if there == root.watched && root.in_doubt.is_none() {
                continue;
            }
            if there != root.watched && root.watched.is_some() {
                seen.push(Seen::Gone(root.path.clone()));
            }
            root.unwatch(&mut self.system);
            let looked_at = root.in_doubt.take();
            if there.is_some() && root.watch(&mut self.system, &mut self.blind).is_ok() {
                if looked_at.is_none() {
                    root.in_doubt = Some(time);
                    seen.push(Seen::Back(root.path.clone()));
                }
                back.push((root.path.clone(), looked_at));
            }
        }
        for (root, looked_at) in back {
            let mut news = self.look_at(std::slice::from_ref(&root), now, time);
            if let Some(looked_at) = looked_at {
                let since = time.since(looked_at) + ROOT_POLL;
                news.retain(|seen| matches!(seen, Seen::File(path) if !is_older(path, since, time)));
            }
            seen.extend(news);
        }
    }

    /// Has the system watch what it did not, and looks at what was written there lately.
    fn grope(&mut self, now: Instant, time: Timestamp) {
        let folders = mem::take(&mut self.blind);
        for folder in &folders {
            if watch_all(&mut self.system, folder, &mut self.blind).is_err() && folder.is_dir() {
                self.blind.insert(folder.clone());
            }
        }
        let folders = folders.iter().filter_map(|folder| self.as_given(folder)).collect();
        for found in self.found_in(folders) {
            // What cannot be read was told when everything was looked at.
            if let Found::File { path, .. } = found
                && !is_older(&path, 2 * BLIND_POLL, time)
            {
                self.touch(path, now);
            }
        }
    }

    /// The files under these roots: the settled ones are told, the others have to settle.
    fn look_at(&mut self, roots: &[PathBuf], now: Instant, time: Timestamp) -> Vec<Seen> {
        let mut seen = Vec::new();
        // A root that went just now is found missing at the next look.
        for found in scan(roots, &self.options).into_iter().flatten() {
            match found {
                Found::File { path, .. } if is_older(&path, self.quiet, time) => seen.push(Seen::File(path)),
                Found::File { path, .. } => drop(self.settling.touch(path, now)),
                other => seen.extend(refused(other)),
            }
        }
        seen
    }

    /// What a scan would come upon of these paths.
    fn found_in(&self, paths: Vec<PathBuf>) -> Vec<Found> {
        if paths.is_empty() {
            return Vec::new();
        }
        let roots: Vec<_> = self.present().map(|root| root.path.clone()).collect();
        scan(&roots, &self.options).map(|scan| scan.only(paths).collect()).unwrap_or_default()
    }

    fn present(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter(|root| root.watched.is_some() && root.path.exists())
    }

    /// A path of the system's as a scan would call it; `None` where no root holds it.
    fn as_given(&self, path: &Path) -> Option<PathBuf> {
        let holds =
            |root: &&Root| if root.is_file { path == root.canonical } else { path.starts_with(&root.canonical) };
        let root = self.roots.iter().filter(holds).max_by_key(|root| root.canonical.as_os_str().len())?;
        let way = path.strip_prefix(&root.canonical).ok()?;
        Some(if way == Path::new("") { root.path.clone() } else { root.path.join(way) })
    }
}

impl Root {
    fn new(path: &Path) -> Self {
        let is_file = path.is_file();
        Self { path: path.to_owned(), canonical: PathBuf::new(), is_file, watched: None, in_doubt: None }
    }

    /// What the system is asked to watch: of a file its folder, as a file that is replaced is another file.
    fn place(&self) -> &Path {
        let folder = self.canonical.parent().filter(|_| self.is_file);
        folder.unwrap_or(&self.canonical)
    }

    /// Device and inode of the place as it is now.
    fn there(&self) -> Option<(u64, u64)> {
        let place = if self.is_file { self.place() } else { &self.path };
        let print = fingerprint(&fs::metadata(place).ok()?)?;
        Some((print.device, print.inode))
    }

    /// Folders in it that may not be read go to `blind`.
    fn watch(&mut self, system: &mut RecommendedWatcher, blind: &mut HashSet<PathBuf>) -> Result<(), WatchError> {
        let path = || self.path.clone();
        if !self.is_file || self.canonical == Path::new("") {
            self.canonical =
                fs::canonicalize(&self.path).map_err(|source| ScanError::NotFound { path: path(), source })?;
        }
        let there = self.there();
        let watched = if self.is_file {
            system.watch(self.place(), RecursiveMode::NonRecursive)
        } else {
            watch_all(system, self.place(), blind)
        };
        watched.map_err(|error| match error.kind {
            notify::ErrorKind::MaxFilesWatch => WatchError::TooMany { path: path() },
            _ => WatchError::Refused { path: path(), source: error.into() },
        })?;
        self.watched = there;
        Ok(())
    }

    fn unwatch(&mut self, system: &mut RecommendedWatcher) {
        // What is gone is not watched any more in any case.
        let _ = system.unwatch(self.place());
        self.watched = None;
    }
}

/// Has the system watch a folder and all in it, but for what it may not read, which goes to `blind`.
fn watch_all(system: &mut RecommendedWatcher, folder: &Path, blind: &mut HashSet<PathBuf>) -> notify::Result<()> {
    let watched = system.watch(folder, RecursiveMode::Recursive);
    let is_denied =
        |error: &notify::Error| matches!(&error.kind, notify::ErrorKind::Io(io) if io.kind() == PermissionDenied);
    if !watched.as_ref().is_err_and(is_denied) {
        return watched;
    }
    // Behind what it may not read it has not gone on.
    let Ok(entries) = fs::read_dir(folder) else {
        blind.insert(folder.to_owned());
        return Ok(());
    };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for entry in entries.flatten().filter(is_folder) {
        watch_all(system, &entry.path(), blind)?;
    }
    Ok(())
}

impl Inbox {
    fn take_in(&self, event: notify::Result<notify::Event>) {
        let mut news = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if event.need_rescan() => news.lost = true,
            Ok(event) if is_news(event.kind) => news.paths.extend(event.paths),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "not everything can be watched");
                let is_told_where = !error.paths.is_empty();
                news.too_many |= is_told_where && matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
                news.lost |= !is_told_where;
                news.unwatched.extend(error.paths);
            }
        }
        if news.paths.len() > FLOOD {
            news.paths.clear();
            news.lost = true;
        }
    }

    fn take(&self) -> News {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        let news = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        news.paths.is_empty() && news.unwatched.is_empty() && !news.lost
    }
}

/// Whether the event may be of bytes that changed: reading, our own included, is none.
fn is_news(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// Whether nothing has happened to the file for so long.
fn is_older(path: &Path, quiet: Duration, time: Timestamp) -> bool {
    let Some(print) = fs::symlink_metadata(path).ok().and_then(|metadata| fingerprint(&metadata)) else { return false };
    let last_ns = print.modified_ns.max(print.changed_ns);
    time.since(Timestamp::from_unix_millis(last_ns / 1_000_000)) > quiet
}

fn refused(found: Found) -> Option<Seen> {
    match found {
        Found::Refused { path, problem } => Some(Seen::Refused { path, problem }),
        Found::Symlink(path) => {
            tracing::info!(?path, "symbolic link not followed");
            None
        }
        Found::File { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};

    use super::*;
    use crate::clock::{Clock, SystemClock};

    const QUIET: Duration = Duration::from_secs(1);

    fn watched(names: &[&str]) -> (tempfile::TempDir, Watcher) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            fs::write(folder.path().join(name), "content").expect("a file");
        }
        let roots = [folder.path().to_owned()];
        let watcher = Watcher::new(&roots, ScanOptions::default(), QUIET, || {}).expect("a watcher");
        (folder, watcher)
    }

    fn names(seen: &[Seen]) -> Vec<String> {
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        seen.iter()
            .map(|seen| match seen {
                Seen::File(path) => name(path),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_queue_that_ran_over_has_everything_looked_at() {
        let (_folder, mut watcher) = watched(&["a.png", "b.png", "x.tmp"]);
        let later = SystemClock.now().plus(2 * QUIET);
        let event = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        watcher.inbox.take_in(Ok(event));
        assert!(!watcher.is_quiet());
        assert_eq!(names(&watcher.look(Instant::now(), later)), ["Lost", "a.png", "b.png"]);
        watcher.inbox.take_in(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert_eq!(names(&watcher.look(Instant::now(), later)), ["Lost", "a.png", "b.png"]);
    }

    #[test]
    fn what_came_into_a_new_folder_before_the_system_watched_it_is_seen_once() {
        let (folder, mut watcher) = watched(&[]);
        watcher.system.unwatch(folder.path()).expect("nobody watches any more");
        let (start, time) = (Instant::now(), SystemClock.now());
        let new = folder.path().join("new");
        fs::create_dir_all(new.join("deep")).expect("folders");
        fs::write(new.join("first.png"), "content").expect("a file");
        let made = notify::Event::new(EventKind::Create(CreateKind::Folder)).add_path(new.clone());
        watcher.inbox.take_in(Ok(made));
        assert_eq!(watcher.look(start, time), []);
        fs::write(new.join("deep/untold.png"), "content").expect("a file");
        assert_eq!(names(&watcher.look(start + QUIET, time)), ["first.png"]);
        assert_eq!(watcher.look(start + UNWATCHED, time), []);
        assert_eq!(names(&watcher.look(start + UNWATCHED + QUIET, time)), ["untold.png"]);
        assert!(watcher.is_quiet());
    }

    #[test]
    fn what_the_system_does_not_watch_is_looked_at_once_a_minute() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("new");
        fs::create_dir(&new).expect("a folder");
        let roots = [folder.path().to_owned()];
        let mut watcher = Watcher::new(&roots, ScanOptions::default(), QUIET, || {}).expect("a watcher");
        watcher.system.unwatch(folder.path()).expect("nobody watches any more");
        let (start, time) = (watcher.groped_at, SystemClock.now());
        let too_many = notify::Error::new(notify::ErrorKind::MaxFilesWatch).add_path(new.clone());
        watcher.inbox.take_in(Err(too_many));
        assert_eq!(watcher.look(start, time), [Seen::Blind]);
        fs::write(new.join("late.png"), "content").expect("a file");
        assert_eq!(watcher.look(start + BLIND_POLL / 2, time), []);
        assert_eq!(watcher.look(start + BLIND_POLL, time), []);
        assert_eq!(names(&watcher.look(start + BLIND_POLL + QUIET, time)), ["late.png"]);
        assert!(watcher.blind.is_empty(), "it is watched again");
    }

    #[test]
    fn what_was_written_just_now_has_to_settle_even_at_the_first_look() {
        let (folder, mut watcher) = watched(&["a.png"]);
        let (start, time) = (Instant::now(), SystemClock.now());
        assert_eq!(watcher.look_at_all(start, time), []);
        assert!(!watcher.is_quiet());
        assert_eq!(watcher.look(start + QUIET, time), [Seen::File(folder.path().join("a.png"))]);
    }

    #[test]
    fn reading_is_no_news_and_a_flood_is_no_list() {
        let inbox = Inbox::default();
        let event = |kind, path: PathBuf| Ok(notify::Event::new(kind).add_path(path));
        inbox.take_in(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "a".into()));
        inbox.take_in(event(EventKind::Access(AccessKind::Close(AccessMode::Read)), "a".into()));
        assert!(inbox.is_empty());
        inbox.take_in(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "a".into()));
        assert_eq!(inbox.take().paths.len(), 1);
        for number in 0..=FLOOD {
            inbox.take_in(event(EventKind::Create(CreateKind::File), number.to_string().into()));
        }
        let news = inbox.take();
        assert!(news.lost && news.paths.is_empty());
    }

    #[test]
    fn a_change_under_two_roots_is_told_of_the_inner_one() {
        let (folder, _) = watched(&[]);
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        let roots = [folder.path().to_owned(), folder.path().join("./inner")];
        let watcher = Watcher::new(&roots, ScanOptions::default(), QUIET, || {}).expect("a watcher");
        let canonical = fs::canonicalize(&inner).expect("a folder");
        assert_eq!(watcher.as_given(&canonical.join("a.png")), Some(roots[1].join("a.png")));
        assert_eq!(watcher.as_given(&canonical), Some(roots[1].clone()));
        assert_eq!(watcher.as_given(Path::new("/elsewhere")), None);
    }
}
