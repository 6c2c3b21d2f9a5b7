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

/// Whole files in memory at once.
const AT_ONCE: usize = 4;

/// Reads files for answers.
#[derive(Debug)]
pub(super) struct Contents {
    reader: Arc<Reader>,
    private: Arc<Private>,
    places: Arc<Semaphore>,
}

impl Contents {
    /// Of what this inspector may look at.
    pub(super) fn new(inspector: &Inspector) -> Self {
        let each = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX).next_power_of_two();
        let reader = inspector.reader.with_pool(Arc::new(BytePool::new(AT_ONCE * each)));
        let (private, places) = (Arc::clone(&inspector.private), Arc::new(Semaphore::new(AT_ONCE)));
        Self { reader: Arc::new(reader), private, places }
    }

    /// What the first of these files holds that has the bytes, and what it is called; `None` where none has them. The next
    /// files are read once the last of these bytes are dropped.
    pub(super) async fn read(&self, paths: Vec<Arc<Path>>, hash: ContentHash) -> Option<(Content, String)> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (reader, private) = (Arc::clone(&self.reader), Arc::clone(&self.private));
        let read = tokio::task::spawn_blocking(move || {
            let (content, path) = paths.iter().filter(|path| !private.covers(path)).find_map(|path| {
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
