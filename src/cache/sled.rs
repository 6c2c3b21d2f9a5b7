//! The cache's engine: sled behind a write-back table of decoded buckets, and everything that keeps sled's faults away
//! from the caller.
//!
//! Sled panics on bytes it does not like, at open and later. Every call into it is therefore guarded; the first
//! failure ends its use for this run, and damage is left for the next open to set aside.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Db;

use super::bucket::{Bucket, BucketKey};
use super::folder::{CacheNote, Folder};
use super::sealed;
use crate::clock::Clock;
use crate::facts::{Facts, Fingerprint};

/// Decoded buckets kept at once: the files of 32,768 neighbouring inodes, about 5 MB.
const SLOTS: usize = 1024;
/// Entries remembered before they are written together.
const BATCH: usize = 1024;
/// The tree of notes, and the version of their seal. What a caller keeps in them has a version of its own, in its keys.
const NOTES: &str = "notes";
const NOTE_FORMAT: u8 = 1;
/// What sled may keep in memory, by its own count.
const ENGINE_BYTES: u64 = 8 << 20;
/// How often a bucket is looked at for one reading. Sled counts what it keeps only at every 64th look at one of its 256
/// parts; a walk that looks at each bucket once would have it keep 28 MB of them.
const LOOKS: usize = 4;

/// What opening a cache gives: always a cache, and a word about it where there is something to say.
#[derive(Debug)]
pub struct Opened {
    /// The cache; a disabled one where the folder cannot be used.
    pub cache: FileCache,
    /// Why it is empty or disabled, for people.
    pub note: Option<CacheNote>,
}

/// What files' bytes said when they were last read. May know nothing at any time; what it says is never wrong.
///
/// To be shared between threads, and called from those that may wait for a disk.
pub struct FileCache(Option<Store>);

impl FileCache {
    /// The cache in `folder`, which is created where it is missing. A damaged one is moved aside, under a name that
    /// carries the time of `clock`; one that is open elsewhere, in this process or another, is left alone.
    pub fn open(folder: &Path, clock: &dyn Clock) -> Opened {
        match Store::open(folder, clock) {
            Ok((store, note)) => Opened { cache: Self(Some(store)), note },
            Err(note) => Opened { cache: Self::disabled(), note: Some(note) },
        }
    }

    /// A cache that knows nothing and remembers nothing.
    pub fn disabled() -> Self {
        Self(None)
    }

    /// What the bytes of exactly this file say; `None` when they must be read.
    pub fn lookup(&self, fingerprint: &Fingerprint) -> Option<Facts> {
        let slot = self.0.as_ref()?.slot(BucketKey::of(fingerprint))?;
        slot.bucket.get(fingerprint).cloned()
    }

    /// Keeps what the bytes of this file say, in place of what was known of the same inode. Kept in memory first;
    /// written a thousand at a time, and when the cache is dropped.
    pub fn remember(&self, fingerprint: Fingerprint, facts: Facts) {
        if let Some(store) = &self.0 {
            store.remember(fingerprint, facts);
        }
    }

    /// The note under `key`; `None` where there is none that can be read.
    pub fn note<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        let sealed = self.0.as_ref()?.engine(|db| db.open_tree(NOTES)?.get(key))??;
        sealed::unseal(NOTE_FORMAT, key, &sealed)
    }

    /// Puts each note under its key, in place of what was there; takes away what is `None`. Once this returns, they outlive
    /// this process.
    pub fn keep_notes<T: Serialize>(&self, notes: &[(Vec<u8>, Option<T>)]) {
        let Some(store) = &self.0 else { return };
        store.engine(|db| {
            let tree = db.open_tree(NOTES)?;
            let mut is_changed = false;
            for (key, note) in notes {
                let note = note.as_ref().map(|note| sealed::seal(NOTE_FORMAT, key, note));
                // The engine writes whatever it is given, changed or not, and is slow to let go of it.
                if tree.get(key)?.as_deref() == note.as_deref() {
                    continue;
                }
                match note {
                    Some(note) => tree.insert(key, note)?,
                    None => tree.remove(key)?,
                };
                is_changed = true;
            }
            if is_changed { tree.flush().map(drop) } else { Ok(()) }
        });
    }
}

impl fmt::Debug for FileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.0.as_ref().map(|store| store.folder.path());
        f.debug_struct("FileCache").field("folder", &folder).finish_non_exhaustive()
    }
}

struct Store {
    /// Sled, until it failed or the cache is being dropped.
    db: Option<Db>,
    failed: AtomicBool,
    /// Each bucket has one slot it can stand in, and whoever holds the slot's lock alone reads or writes that bucket,
    /// so no write can be lost between two threads.
    slots: Box<[Mutex<Slot>]>,
    unwritten: AtomicUsize,
    folder: Folder,
}

#[derive(Default)]
struct Slot {
    key: Option<BucketKey>,
    bucket: Bucket,
    changed: bool,
}

impl Store {
    fn open(path: &Path, clock: &dyn Clock) -> Result<(Self, Option<CacheNote>), CacheNote> {
        let folder = Folder::hold(path)?;
        let mut note = folder.damage().map(|cause| folder.set_aside(clock, cause)).transpose()?;
        if folder.is_open_elsewhere() {
            return Err(CacheNote::HeldByAnother { folder: path.to_owned() });
        }
        let unusable = |cause| CacheNote::Unusable { folder: path.to_owned(), cause };
        let db = match open_engine(&folder) {
            Ok(db) => db,
            Err(Failure::Passing(cause)) => return Err(unusable(cause)),
            Err(Failure::Damage(cause)) => {
                note = Some(folder.set_aside(clock, cause)?);
                open_engine(&folder).map_err(|failure| unusable(failure.into_cause()))?
            }
        };
        let slots = (0..SLOTS).map(|_| Mutex::default()).collect();
        let store =
            Self { db: Some(db), failed: AtomicBool::new(false), slots, unwritten: AtomicUsize::new(0), folder };
        Ok((store, note))
    }

    fn remember(&self, fingerprint: Fingerprint, facts: Facts) {
        let Some(mut slot) = self.slot(BucketKey::of(&fingerprint)) else { return };
        slot.bucket.put(fingerprint, facts);
        slot.changed = true;
        drop(slot);
        if self.unwritten.fetch_add(1, Ordering::Relaxed) + 1 >= BATCH {
            self.write_all();
        }
    }

    /// The slot of the bucket, with the bucket in it; `None` once the engine has failed.
    fn slot(&self, key: BucketKey) -> Option<MutexGuard<'_, Slot>> {
        let mut slot = lock(&self.slots[key.slot(SLOTS)]);
        if slot.key != Some(key) {
            self.write(&mut slot)?;
            let bucket = self.read(key)?;
            *slot = Slot { key: Some(key), bucket, changed: false };
        }
        (!self.failed.load(Ordering::Relaxed)).then_some(slot)
    }

    fn read(&self, key: BucketKey) -> Option<Bucket> {
        let name = key.to_bytes();
        let value = self.engine(|db| {
            for _ in 1..LOOKS {
                db.contains_key(name)?;
            }
            db.get(name)
        })?;
        Some(value.and_then(|value| Bucket::decode(key, &value)).unwrap_or_default())
    }

    fn write(&self, slot: &mut Slot) -> Option<()> {
        if let (Some(key), true) = (slot.key, slot.changed) {
            self.engine(|db| db.insert(key.to_bytes(), slot.bucket.encode(key)))?;
            slot.changed = false;
        }
        Some(())
    }

    /// Hands every changed bucket to the engine, and the engine's buffers to the system, where they outlive this
    /// process.
    fn write_all(&self) {
        self.unwritten.store(0, Ordering::Relaxed);
        if self.slots.iter().all(|slot| self.write(&mut lock(slot)).is_some()) {
            self.engine(|db| db.flush());
        }
    }

    /// What `call` gives; `None` once the engine has failed, which it is never asked to explain twice.
    fn engine<T>(&self, call: impl FnOnce(&Db) -> sled::Result<T>) -> Option<T> {
        let db = self.db.as_ref().filter(|_| !self.failed.load(Ordering::Relaxed))?;
        let failure = match panic::catch_unwind(AssertUnwindSafe(|| call(db))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => Failure::from(error),
            Err(panic) => Failure::Damage(panic_message(&*panic)),
        };
        self.failed.store(true, Ordering::Relaxed);
        if let Failure::Damage(cause) = failure {
            self.folder.mark_damaged(&cause);
        }
        None
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.write_all();
        let Some(db) = self.db.take() else { return };
        if self.failed.load(Ordering::Relaxed) {
            // Its destructors would walk the same damage again, and a second panic inside one ends the process.
            std::mem::forget(db);
        } else if let Err(cause) = close_engine(db) {
            self.folder.mark_damaged(&cause);
        } else {
            // Sled's own threads may keep its file for a moment more; our lock must outlast theirs.
            self.folder.wait_until_closed(Duration::from_millis(100));
        }
        let _ = self.folder.make_private();
    }
}

/// Why the engine is of no use: because of what is on the disk, or of something that will pass.
enum Failure {
    Damage(String),
    Passing(String),
}

impl Failure {
    fn into_cause(self) -> String {
        match self {
            Self::Damage(cause) | Self::Passing(cause) => cause,
        }
    }
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            damage => Self::Damage(one_line(&damage.to_string())),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let cause = one_line(&error.to_string());
        match error.kind() {
            PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull => Self::Passing(cause),
            _ => Self::Damage(cause),
        }
    }
}

/// Keeps the panics inside sled, all of which the cache catches, off stderr; every other panic is reported as before.
///
/// For programs, once, when they start: the panic hook is the program's, so the cache does not touch it unasked.
pub fn silence_engine_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|place| !place.file().contains("/sled-0.34.")) {
            report(panic);
        }
    }));
}

/// Opens sled in a thread of its own, whose end by panic is a result like any other.
fn open_engine(folder: &Folder) -> Result<Db, Failure> {
    folder.remove_unfinished_snapshots()?;
    let config = sled::Config::new().path(folder.path()).cache_capacity(ENGINE_BYTES).flush_every_ms(None);
    let opening = thread::Builder::new()
        .name("cache-open".to_owned())
        .spawn(move || config.open())
        .map_err(|error| Failure::Passing(error.to_string()))?;
    let db = opening.join().map_err(|panic| Failure::Damage(panic_message(&*panic)))??;
    if let Err(error) = folder.make_private() {
        // There is nothing in it that could be lost.
        let _ = close_engine(db);
        return Err(error.into());
    }
    Ok(db)
}

/// Closes sled, which panics where it cannot write what it still has to.
fn close_engine(db: Db) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(|| drop(db))).map_err(|panic| panic_message(&*panic))
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    one_line(message.unwrap_or("sled panicked"))
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_does_not_condemn_the_cache() {
        let failure = |kind| Failure::from(sled::Error::Io(io::Error::from(kind)));
        assert!(matches!(failure(io::ErrorKind::StorageFull), Failure::Passing(_)));
        assert!(matches!(failure(io::ErrorKind::UnexpectedEof), Failure::Damage(_)));
    }
}
