//! Files on their way to whoever looks at them, in memory of their own: however slowly somebody reads an answer, those who
//! recognise and upload files do not wait for it, and no thread waits for memory.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::ContentHash;
use crate::library::Inspector;
use crate::media::limits::MAX_BYTES;
use crate::media::{BytePool, Content, Follow, Private, Reader};

/// How much of the largest files may be in memory at once.
const AT_ONCE: usize = 4;
/// Memory is counted in so many bytes.
const UNIT_BYTES: usize = 64 << 10;
/// Files of those who wait for nobody once they have them: thumbnails are made of these.
const MAKING: usize = 2;

/// Reads files for answers.
#[derive(Debug)]
pub(super) struct Contents {
    reader: Arc<Reader>,
    private: Arc<Private>,
    shown: Arc<Semaphore>,
    made: Arc<Semaphore>,
}

impl Contents {
    /// Of what this inspector may look at.
    pub(super) fn new(inspector: &Inspector) -> Self {
        let each = memory_of(MAX_BYTES);
        let pool = BytePool::new((AT_ONCE + MAKING) * each as usize * UNIT_BYTES);
        let places = |files: usize| Arc::new(Semaphore::new(files * each as usize));
        Self {
            reader: Arc::new(inspector.reader.with_pool(Arc::new(pool))),
            private: Arc::clone(&inspector.private),
            shown: places(AT_ONCE),
            made: places(MAKING),
        }
    }

    /// To be shown to somebody, who may be long about it: the memory counts until the last of the bytes is dropped.
    pub(super) async fn to_show(&self, wanted: Wanted) -> Option<(Content, String)> {
        self.read(wanted, &self.shown).await
    }

    /// The same, to make something of it.
    pub(super) async fn to_make(&self, wanted: Wanted) -> Option<(Content, String)> {
        self.read(wanted, &self.made).await
    }

    /// What the first of the files holds that has the bytes, and what it is called; `None` where none has them.
    async fn read(&self, wanted: Wanted, places: &Arc<Semaphore>) -> Option<(Content, String)> {
        let Wanted { mut paths, hash } = wanted;
        let (reader, private) = (Arc::clone(&self.reader), Arc::clone(&self.private));
        let look = tokio::task::spawn_blocking(move || {
            paths.retain(|path| !private.covers(path));
            let stats = paths.iter().filter_map(|path| reader.stat(MAX_BYTES, path, Follow::Never).ok());
            let largest = stats.map(|stat| stat.size_bytes).max()?;
            Some((paths, largest))
        });
        let (paths, largest) = look.await.ok()??;
        let place = Arc::clone(places).acquire_many_owned(memory_of(largest)).await.ok()?;
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || {
            let (content, path) = paths.iter().find_map(|path| {
                let content = reader.read(path, Follow::Never, &mut |_| {}).ok()?;
                (content.facts.hash == hash).then_some((content, path))
            })?;
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let bytes = Bytes::from_owner(Held { bytes: content.bytes, _place: place });
            Some((Content { bytes, ..content }, name))
        });
        read.await.ok()?
    }
}

/// Which bytes are wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Files that may hold them.
    pub(super) paths: Vec<Arc<Path>>,
    pub(super) hash: ContentHash,
}

/// The memory a file takes in a pool, in units of [`UNIT_BYTES`].
fn memory_of(size_bytes: u64) -> u32 {
    let bytes = usize::try_from(size_bytes).unwrap_or(usize::MAX).next_power_of_two();
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

/// Bytes, and the place they take.
struct Held {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
