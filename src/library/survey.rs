//! Paths in, recognised files out: the walk, the fingerprint cache and the one read, each on threads of its own.
//!
//! One thread walks, several look at the files it finds. A file whose fingerprint is cached is not opened; any other
//! is read once. What leaves here is in no order, but numbered in the walk's stable order.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, available_parallelism};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::blocking::blocking;
use crate::cache::FileCache;
use crate::facts::Facts;
use crate::ids::Asset;
use crate::media::fit::{MAX_SOURCE_BYTES, may_be_image};
use crate::media::limits::MAX_BYTES;
use crate::media::{Follow, Found, Neighbours, Private, Problem, ProblemCode, Reader, Scan};
use crate::stop::Stop;

use super::{AssetRef, Fitter, LibraryError, NoReport, Progress, Reporter};

/// Files handed from the walk to the readers at a time while some have to be read: few enough to share out.
const BATCH: usize = 64;
/// The same while all are known: a look takes a microsecond or two, and handing over is to take less.
const KNOWN_BATCH: usize = 512;

/// Batches that may be between the walk and whoever takes the results.
const WINDOW: usize = 16;

/// Tells what a file holds: from its fingerprint if it was read before, from its bytes if not.
#[derive(Debug, Clone)]
pub struct Inspector {
    /// Reads files into pooled buffers.
    pub reader: Arc<Reader>,
    /// Remembers what was read.
    pub cache: Arc<FileCache>,
    /// What is never looked at, though it be asked for by name.
    pub private: Arc<Private>,
    /// Makes copies that fit of images the platform would refuse; `None` where none are wanted.
    pub fitter: Option<Arc<Fitter>>,
}

/// What a file holds, and its bytes where they had to be read.
#[derive(Debug, Clone)]
pub(super) struct Inspected {
    pub(super) facts: Facts,
    pub(super) bytes: Option<Bytes>,
}

impl Inspector {
    /// One that takes every file as it is: nothing is private, and no copies are made.
    pub fn new(reader: Arc<Reader>, cache: Arc<FileCache>) -> Self {
        Self { reader, cache, private: Arc::default(), fitter: None }
    }

    /// Looks at one file, reading it only when its fingerprint is not known.
    pub(super) fn inspect(&self, path: &Path, follow: Follow, reporter: &dyn Reporter) -> Result<Inspected, Problem> {
        if self.private.covers(path) {
            return Err(Private::problem());
        }
        reporter.report(Progress::Found(1));
        let seen = match self.recall(&mut Neighbours::new(&self.reader), path, follow) {
            Ok(Some(facts)) => Ok(Inspected { facts, bytes: None }),
            Ok(None) => self.read(path, follow, reporter),
            Err(problem) => Err(problem),
        };
        reporter.report(Progress::Inspected);
        seen
    }

    /// What `reference` points at, as it is known by: a web address itself, anything else by its bytes.
    ///
    /// # Errors
    /// When the file cannot be read; and of an alias, which only the record knows: see
    /// [`without_alias`](super::without_alias).
    pub async fn asset_of(&self, reference: &AssetRef) -> Result<Asset, LibraryError> {
        match reference {
            AssetRef::File(path) => {
                let (inspector, file) = (self.clone(), path.clone());
                let inspected = blocking(move || inspector.inspect(&file, Follow::Named, &NoReport)).await;
                match inspected {
                    Ok(inspected) => Ok(Asset::Bytes(inspected.facts.hash)),
                    Err(problem) => Err(LibraryError::Unusable { path: path.clone(), problem }),
                }
            }
            AssetRef::Hash(hash) => Ok(Asset::Bytes(*hash)),
            AssetRef::Alias(alias) => Err(LibraryError::NoSuchAlias { alias: alias.clone() }),
            AssetRef::Url(url) => Ok(Asset::Url(url.clone())),
        }
    }

    /// What is remembered of the file as it lies there now; `None` when it has to be read.
    pub(super) fn recall(&self, looks: &mut Neighbours, path: &Path, follow: Follow) -> Result<Option<Facts>, Problem> {
        let stat = looks.stat(self.max_bytes(path), path, follow)?;
        Ok(stat.fingerprint.and_then(|fingerprint| self.cache.lookup(&fingerprint)))
    }

    /// How large a file may be to be read.
    fn max_bytes(&self, path: &Path) -> u64 {
        if self.fitter.is_some() && may_be_image(path) { MAX_SOURCE_BYTES } else { MAX_BYTES }
    }

    /// Reads the file and remembers what it holds.
    fn read(&self, path: &Path, follow: Follow, reporter: &dyn Reporter) -> Result<Inspected, Problem> {
        let mut progress = |bytes| reporter.report(Progress::Read(bytes));
        let read = self.reader.read(path, follow, &mut progress);
        let (content, keep_bytes) = match (read, &self.fitter) {
            (Err(problem), Some(fitter)) if problem.code == ProblemCode::TooLarge && may_be_image(path) => {
                // Only a copy of it can be uploaded, which waits its turn without holding on to so much.
                (fitter.reader().read(path, follow, &mut progress)?, false)
            }
            (read, _) => (read?, true),
        };
        if let Some(fingerprint) = content.fingerprint {
            self.cache.remember(fingerprint, content.facts.clone());
        }
        Ok(Inspected { facts: content.facts, bytes: keep_bytes.then_some(content.bytes) })
    }
}

/// Reading threads: two for each core keep a disk busy while others hash.
pub(super) fn readers() -> usize {
    available_parallelism().map_or(2, |cores| (2 * cores.get()).clamp(2, 16))
}

/// Some files of a survey, one after the other in the walk's order.
#[derive(Debug)]
pub(super) struct Chunk<T> {
    /// The first one's place in that order, which counts from 0 without gaps.
    pub(super) first: u64,
    /// What came of each.
    pub(super) files: Vec<T>,
    /// To be dropped when the files are dealt with: the walk goes on only so far ahead.
    pub(super) place: Place,
}

/// A share of a batch's place between the walk and the receiver.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// Surveys what `scan` finds, with `threads` readers, until all is seen or `stop` is requested. What `conclude` makes
/// of each file is made on the reader's thread.
///
/// Whoever receives must drop the places it received, or the survey waits: at most about 8,000 files are between the
/// walk and the receiver.
pub(super) fn survey<T: Send + 'static>(
    inspector: &Inspector,
    scan: Scan,
    threads: usize,
    reporter: &Arc<dyn Reporter>,
    stop: &Stop,
    conclude: impl Fn(PathBuf, Result<Inspected, Problem>) -> T + Clone + Send + 'static,
) -> mpsc::UnboundedReceiver<Chunk<T>> {
    let (found_sender, found) = std::sync::mpsc::sync_channel(WINDOW);
    let (seen, receiver) = mpsc::unbounded_channel();
    let (found, all_known) = (Arc::new(Mutex::new(found)), Arc::new(AtomicBool::new(false)));
    for _ in 0..threads {
        let worker = Worker {
            inspector: inspector.clone(),
            reporter: Arc::clone(reporter),
            stop: stop.clone(),
            all_known: Arc::clone(&all_known),
            conclude: conclude.clone(),
            seen: seen.clone(),
        };
        let found = Arc::clone(&found);
        thread::spawn(move || worker.work(&found));
    }
    let (runtime, stop, reporter) = (tokio::runtime::Handle::current(), stop.clone(), Arc::clone(reporter));
    thread::spawn(move || {
        let places = Arc::new(Semaphore::new(WINDOW));
        let mut batches = Batches { scan, next: 0, size: 1, all_known };
        while !stop.is_requested() {
            let Ok(place) = runtime.block_on(Arc::clone(&places).acquire_owned()) else { return };
            let Some(batch) = batches.next(place) else { return };
            reporter.report(Progress::Found(batch.files.len() as u64));
            if found_sender.send(batch).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Files to look at.
type Batch = Chunk<File>;

struct Batches {
    scan: Scan,
    next: u64,
    /// Grows, so that a few large files are shared out too.
    size: usize,
    /// Whether none of the files looked at last had to be read.
    all_known: Arc<AtomicBool>,
}

impl Batches {
    fn next(&mut self, place: OwnedSemaphorePermit) -> Option<Batch> {
        let files: Vec<_> = self.scan.by_ref().filter_map(File::new).take(self.size).collect();
        let most = if self.all_known.load(Ordering::Relaxed) { KNOWN_BATCH } else { BATCH };
        self.size = most.min(2 * self.size);
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
                tracing::info!(?path, "symbolic link not followed");
                None
            }
        }
    }
}

struct Worker<T, C> {
    inspector: Inspector,
    reporter: Arc<dyn Reporter>,
    stop: Stop,
    all_known: Arc<AtomicBool>,
    conclude: C,
    seen: mpsc::UnboundedSender<Chunk<T>>,
}

impl<T, C: Fn(PathBuf, Result<Inspected, Problem>) -> T> Worker<T, C> {
    fn work(&self, batches: &Mutex<std::sync::mpsc::Receiver<Batch>>) {
        loop {
            let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
            if batch.map_err(drop).and_then(|batch| self.look_at(batch)).is_err() {
                return;
            }
        }
    }

    /// Hands on what came of each file; an error when nobody wants the rest.
    ///
    /// Nothing is held back while a file is read: reading waits for memory, which what is held back may occupy.
    fn look_at(&self, Batch { mut first, files, place }: Batch) -> Result<(), ()> {
        let mut concluded = Vec::with_capacity(files.len());
        let mut looks = Neighbours::new(&self.inspector.reader);
        let mut has_read = false;
        for File { path, follow } in files {
            let reporter = &*self.reporter;
            let seen = match follow.and_then(|follow| Ok((self.inspector.recall(&mut looks, &path, follow)?, follow))) {
                Ok((Some(facts), _)) => Ok(Inspected { facts, bytes: None }),
                Ok((None, follow)) => {
                    self.all_known.store(false, Ordering::Relaxed);
                    has_read = true;
                    first = self.hand_on(first, &mut concluded, &place)?;
                    if self.stop.is_requested() {
                        return Err(());
                    }
                    self.inspector.read(&path, follow, reporter)
                }
                Err(problem) => Err(problem),
            };
            reporter.report(Progress::Inspected);
            concluded.push((self.conclude)(path, seen));
        }
        if !has_read {
            self.all_known.store(true, Ordering::Relaxed);
        }
        self.hand_on(first, &mut concluded, &place).map(drop)
    }

    /// Sends what is there, and returns the number of what comes next.
    fn hand_on(&self, first: u64, concluded: &mut Vec<T>, place: &Place) -> Result<u64, ()> {
        if concluded.is_empty() {
            return Ok(first);
        }
        let files = std::mem::take(concluded);
        let next = first + files.len() as u64;
        self.seen.send(Chunk { first, files, place: Arc::clone(place) }).map_err(drop)?;
        Ok(next)
    }
}
