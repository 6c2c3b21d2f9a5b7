//! One bounded read: a file's bytes into one pooled buffer, hashed on the way, then probed.
//!
//! A file is opened once, without following links and without waiting for pipes, and everything known of it comes
//! from that one handle, so it does not matter what happens to its name meanwhile. What lies in a reader's [`Bounds`] is
//! opened beneath them, whatever happens to the way there. User files are never mapped into
//! memory: one that shrinks would kill the process.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use rustix::fs::OFlags;

use super::bounds::Bounds;
use super::fingerprint::{Trust, fingerprint, trust};
use super::hasher::ContentHasher;
use super::limits::{MAX_BYTES, judge_size};
use super::pool::BytePool;
use super::probe::{Probe, probe};
use super::problem::Problem;
use crate::clock::Clock;
use crate::facts::{Damage, Facts, Fingerprint};
use crate::ids::ContentHash;

/// How much is read before it is hashed: small enough to be hashed from the processor's own cache.
const STEP_BYTES: usize = 256 * 1024;

/// Whether a path that is a symbolic link may be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Found while walking: a link there may lead anywhere.
    Never,
    /// Named by the user, who means what the link leads to.
    Named,
}

impl Follow {
    /// What an open is told of it.
    pub(super) fn flags(self) -> OFlags {
        match self {
            Self::Never => OFlags::NOFOLLOW,
            Self::Named => OFlags::empty(),
        }
    }
}

/// What a file is before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its length; neither zero nor over the limit.
    pub size_bytes: u64,
    /// Which file it is, to look up what is remembered of it; `None` where one of its times cannot be counted in
    /// nanoseconds.
    pub fingerprint: Option<Fingerprint>,
}

impl Stat {
    fn new(metadata: &Metadata, max_bytes: u64) -> Result<Self, Problem> {
        if !metadata.is_file() {
            return Err(Problem::not_regular(metadata.file_type()));
        }
        match judge_size(metadata.len()) {
            Some(problem) if !(1..=max_bytes).contains(&metadata.len()) => {
                Err(Problem { size_bytes: Some(metadata.len()), ..problem })
            }
            _ => Ok(Self { size_bytes: metadata.len(), fingerprint: fingerprint(metadata) }),
        }
    }
}

/// What the system says of the file at `path`, without reading it.
///
/// # Errors
/// The problem that makes it useless to open: not a regular file, empty, too large, gone, or out of reach.
pub fn stat(path: &Path, follow: Follow) -> Result<Stat, Problem> {
    Stat::new(&look(path, follow).map_err(|error| Problem::from_io(&error))?, MAX_BYTES)
}

fn look(path: &Path, follow: Follow) -> io::Result<Metadata> {
    match follow {
        Follow::Never => fs::symlink_metadata(path),
        Follow::Named => fs::metadata(path),
    }
}

/// A whole file: its bytes and all that is known of them.
#[derive(Debug, Clone)]
pub struct Content {
    /// The bytes, in a buffer of the pool; its budget is free again when the last clone is dropped.
    pub bytes: Bytes,
    /// What the bytes say.
    pub facts: Facts,
    /// Which file they came from; `Some` only if a later change of the file is sure to change this fingerprint too,
    /// so that the facts may be remembered under it.
    pub fingerprint: Option<Fingerprint>,
}

/// Reads files into buffers of one pool.
pub struct Reader {
    pool: Arc<BytePool>,
    clock: Arc<dyn Clock>,
    max_bytes: u64,
    bounds: Arc<Bounds>,
}

impl Reader {
    /// A reader that takes its buffers from `pool` and judges the age of files by `clock`.
    pub fn new(pool: Arc<BytePool>, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock, max_bytes: MAX_BYTES, bounds: Arc::default() }
    }

    /// The same, for files of up to `max_bytes`, though no more than an attachment's can be uploaded.
    #[must_use]
    pub fn up_to(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same, in buffers of another pool.
    #[must_use]
    pub fn with_pool(&self, pool: Arc<BytePool>) -> Self {
        Self { pool, clock: Arc::clone(&self.clock), max_bytes: self.max_bytes, bounds: Arc::clone(&self.bounds) }
    }

    /// The same, that reads what lies in these folders from within them.
    #[must_use]
    pub fn within(self, bounds: Arc<Bounds>) -> Self {
        Self { bounds, ..self }
    }

    /// Whether what lies at `path` is read from within a folder.
    pub(super) fn is_bounded(&self, path: &Path) -> bool {
        self.bounds.cover(path)
    }

    /// What the system says of the file at `path`, which may have `max_bytes`, without reading it.
    ///
    /// # Errors
    /// Those of the function [`stat`].
    pub fn stat(&self, max_bytes: u64, path: &Path, follow: Follow) -> Result<Stat, Problem> {
        let seen = self.bounds.look(path, follow).unwrap_or_else(|| look(path, follow));
        Stat::new(&seen.map_err(|error| Problem::from_io(&error))?, max_bytes)
    }

    /// Reads, hashes and probes the file at `path`. Blocks until the pool has room, and up to 20 ms for a file that
    /// was written just now. `progress` hears after every step how many bytes it read.
    ///
    /// # Errors
    /// The problem that kept the file from being read whole: those of [`stat`], or that it changed meanwhile.
    pub fn read(&self, path: &Path, follow: Follow, progress: &mut dyn FnMut(u64)) -> Result<Content, Problem> {
        // What stands at the path explains better than the system's error why it cannot be opened.
        let explained =
            |error| self.stat(self.max_bytes, path, follow).err().unwrap_or_else(|| Problem::from_io(&error));
        let mut file = self.open(path, follow).map_err(explained)?;
        let (before, settled) = self.settle(&file)?;
        let size_bytes = usize::try_from(before.len()).expect("a size under the limit fits in memory");
        let mut buffer = self.pool.take(size_bytes);
        let hash = read_whole(&mut file, &mut buffer, progress)?;
        let after = inspect(&file)?;
        if (before.len(), before.modified().ok()) != (after.len(), after.modified().ok()) {
            return Err(Problem::changed());
        }
        let Probe { mime, dimensions, damage } = probe_guarded(&buffer);
        let facts = Facts { hash, size_bytes: before.len(), mime: mime.map(Cow::Borrowed), dimensions, damage };
        // Times can be set back; the time of the inode's own change cannot.
        let fingerprint = settled.filter(|settled| fingerprint(&after) == Some(*settled));
        Ok(Content { bytes: buffer.into(), facts, fingerprint })
    }

    fn open(&self, path: &Path, follow: Follow) -> io::Result<File> {
        // A pipe without a writer would block the open for ever.
        let flags = follow.flags() | OFlags::NONBLOCK;
        let anywhere = || OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        self.bounds.open(path, flags).unwrap_or_else(anywhere)
    }

    /// What `file` is now, and its fingerprint if a read that begins now may be remembered under it.
    fn settle(&self, file: &File) -> Result<(Metadata, Option<Fingerprint>), Problem> {
        let mut metadata = inspect(file)?;
        if let Some(Trust::Young { wait }) = self.trust(&metadata) {
            thread::sleep(wait);
            metadata = inspect(file)?;
        }
        Stat::new(&metadata, self.max_bytes)?;
        let settled = self.trust(&metadata) == Some(Trust::Settled);
        let fingerprint = fingerprint(&metadata).filter(|_| settled);
        Ok((metadata, fingerprint))
    }

    fn trust(&self, metadata: &Metadata) -> Option<Trust> {
        fingerprint(metadata).map(|print| trust(&print, self.clock.now()))
    }
}

/// [`probe`], with a parser's panic taken for what it means: bytes nobody should decode.
fn probe_guarded(bytes: &[u8]) -> Probe {
    let broken = |_| Probe { mime: None, dimensions: None, damage: Some(Damage::BadHeader) };
    std::panic::catch_unwind(|| probe(bytes)).unwrap_or_else(broken)
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("pool", &self.pool).finish_non_exhaustive()
    }
}

fn inspect(file: &File) -> Result<Metadata, Problem> {
    file.metadata().map_err(|error| Problem::from_io(&error))
}

/// Fills `buffer` with the whole of `file` and returns its hash.
fn read_whole(file: &mut File, buffer: &mut [u8], progress: &mut dyn FnMut(u64)) -> Result<ContentHash, Problem> {
    let mut hasher = ContentHasher::new();
    for step in buffer.chunks_mut(STEP_BYTES) {
        file.read_exact(step).map_err(|error| read_problem(&error))?;
        hasher.update(step);
        progress(step.len() as u64);
    }
    match file.read_exact(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(hasher.finish()),
        Err(error) => Err(read_problem(&error)),
        Ok(()) => Err(Problem::changed()),
    }
}

fn read_problem(error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::UnexpectedEof { Problem::changed() } else { Problem::from_io(error) }
}

#[cfg(test)]
mod tests;
