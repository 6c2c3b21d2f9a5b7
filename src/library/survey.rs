//! Paths in, recognised files out: the walk, the fingerprint cache and the one read, each on threads of its own.
//!
//! One thread walks, several look at the files it finds. A file whose fingerprint is cached is not opened; any other
//! is read once. What leaves here is in no order, but numbered in the walk's stable order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::cache::FileCache;
use crate::facts::Facts;
use crate::ids::ContentHash;
use crate::media::{Content, Follow, Found, Problem, Reader, Scan, stat};

use super::manager::blocking;
use super::{AssetRef, LibraryError, NoReport, Progress, Reporter, Stop};

/// Files handed from the walk to the readers at a time: enough to make the handing over cheap, few enough to share out.
const BATCH: usize = 16;

/// Batches that may be between the walk and whoever takes the results.
const WINDOW: usize = 512;

/// Tells what a file holds: from its fingerprint if it was read before, from its bytes if not.
#[derive(Debug, Clone)]
pub struct Inspector {
    /// Reads files into pooled buffers.
    pub reader: Arc<Reader>,
    /// Remembers what was read.
    pub cache: Arc<FileCache>,
}

/// What a file holds, and its bytes where they had to be read.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) facts: Facts,
    pub(super) bytes: Option<Bytes>,
}

impl Inspector {
    /// Looks at one file, reading it only when its fingerprint is not known.
    pub(super) fn inspect(&self, path: &Path, follow: Follow, reporter: &dyn Reporter) -> Result<Inspected, Problem> {
        match self.recall(path, follow, reporter)? {
            Some(facts) => Ok(Inspected { facts, bytes: None }),
            None => self.read(path, follow, reporter).map(|c| Inspected { facts: c.facts, bytes: Some(c.bytes) }),
        }
    }

    /// The digest of what `reference` points at.
    ///
    /// # Errors
    /// When the file cannot be read, or the reference is neither a file nor a digest.
    pub async fn hash_of(&self, reference: &AssetRef) -> Result<ContentHash, LibraryError> {
        match reference {
            AssetRef::File(path) => {
                let (inspector, file) = (self.clone(), path.clone());
                let inspected = blocking(move || inspector.inspect(&file, Follow::Named, &NoReport)).await;
                match inspected {
                    Ok(inspected) => Ok(inspected.facts.hash),
                    Err(problem) => Err(LibraryError::Unreadable { path: path.clone(), problem }),
                }
            }
            AssetRef::Hash(hash) => Ok(*hash),
            AssetRef::Alias(alias) => Err(LibraryError::NoSuchAlias { alias: alias.clone() }),
            AssetRef::Url(url) => Err(LibraryError::WebAddress { url: url.to_string() }),
        }
    }

    /// What is remembered of the file as it lies there now; `None` when it has to be read.
    fn recall(&self, path: &Path, follow: Follow, reporter: &dyn Reporter) -> Result<Option<Facts>, Problem> {
        let stat = stat(path, follow)?;
        reporter.report(Progress::Found(stat.size_bytes));
        let facts = stat.fingerprint.and_then(|fingerprint| self.cache.lookup(&fingerprint));
        if facts.is_some() {
            reporter.report(Progress::Inspected(stat.size_bytes));
        }
        Ok(facts)
    }

    /// Reads the file and remembers what it holds.
    pub(super) fn read(&self, path: &Path, follow: Follow, reporter: &dyn Reporter) -> Result<Content, Problem> {
        let content = self.reader.read(path, follow, &mut |bytes| reporter.report(Progress::Inspected(bytes)))?;
        if let Some(fingerprint) = content.fingerprint {
            self.cache.remember(fingerprint, content.facts.clone());
        }
        Ok(content)
    }
}

/// One file of a survey.
#[derive(Debug)]
pub(super) struct Surveyed {
    /// Its place in the walk's order, from 0 without gaps.
    pub(super) index: u64,
    pub(super) path: PathBuf,
    pub(super) seen: Result<Inspected, Problem>,
    /// To be dropped when the file is dealt with: the walk goes on only so far ahead.
    pub(super) place: Place,
}

/// A share of one batch's place in the window.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// Surveys what `scan` finds, with `threads` readers, until all is seen or `stop` is cancelled.
///
/// Whoever receives must drop what it received, or the survey waits: at most about 8,000 files are between the walk
/// and the receiver.
pub(super) fn survey(
    inspector: &Inspector,
    scan: Scan,
    threads: usize,
    reporter: &Arc<dyn Reporter>,
    stop: &Stop,
) -> mpsc::UnboundedReceiver<Surveyed> {
    let (found_sender, found) = std::sync::mpsc::sync_channel(WINDOW);
    let (seen, receiver) = mpsc::unbounded_channel();
    let found = Arc::new(Mutex::new(found));
    for _ in 0..threads {
        let worker = Worker {
            inspector: inspector.clone(),
            reporter: Arc::clone(reporter),
            stop: stop.clone(),
            seen: seen.clone(),
        };
        let found = Arc::clone(&found);
        thread::spawn(move || worker.work(&found));
    }
    let (runtime, stop) = (tokio::runtime::Handle::current(), stop.clone());
    thread::spawn(move || {
        let places = Arc::new(Semaphore::new(WINDOW));
        let mut batches = Batches { scan, next: 0 };
        while !stop.is_requested() {
            let Ok(place) = runtime.block_on(Arc::clone(&places).acquire_owned()) else { return };
            let Some(batch) = batches.next(place) else { return };
            if found_sender.send(batch).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Some files of the walk, the first of them numbered `first`.
struct Batch {
    first: u64,
    files: Vec<File>,
    place: Place,
}

struct Batches {
    scan: Scan,
    next: u64,
}

impl Batches {
    fn next(&mut self, place: OwnedSemaphorePermit) -> Option<Batch> {
        let files: Vec<_> = self.scan.by_ref().filter_map(File::new).take(BATCH).collect();
        let first = self.next;
        self.next += files.len() as u64;
        (!files.is_empty()).then(|| Batch { first, files, place: Arc::new(place) })
    }
}

/// A file to look at, or what was wrong with it before anybody could.
struct File {
    path: PathBuf,
    follow: Result<Follow, Problem>,
}

impl File {
    fn new(found: Found) -> Option<Self> {
        match found {
            Found::File { path, follow } => Some(Self { path, follow: Ok(follow) }),
            Found::Refused { path, problem } => Some(Self { path, follow: Err(problem) }),
            Found::Symlink(path) => {
                tracing::info!(path = %path.display(), "symbolic link not followed");
                None
            }
        }
    }
}

struct Worker {
    inspector: Inspector,
    reporter: Arc<dyn Reporter>,
    stop: Stop,
    seen: mpsc::UnboundedSender<Surveyed>,
}

impl Worker {
    fn work(&self, found: &Mutex<std::sync::mpsc::Receiver<Batch>>) {
        loop {
            let batch = found.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Batch { first, files, place }) = batch else { return };
            for (index, file) in (first..).zip(files) {
                if self.stop.is_requested() {
                    return;
                }
                let File { path, follow } = file;
                let seen = follow.and_then(|follow| self.inspector.inspect(&path, follow, &*self.reporter));
                // Nobody listening means nobody wants the rest.
                if self.seen.send(Surveyed { index, path, seen, place: Arc::clone(&place) }).is_err() {
                    return;
                }
            }
        }
    }
}
