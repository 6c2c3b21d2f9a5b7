//! Pages' libraries in this process, with clocks that can be moved and reads that are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reattach::cache::FileCache;
use reattach::clock::{Clock, SystemClock};
use reattach::graph::{CorrectedClock, GraphClient, ReqwestTransport, RetryPolicy, ServerTime, Transport};
use reattach::ids::PageId;
use reattach::library::{AssetLibrary, Inspector, LibraryParts, Progress, Reporter};
use reattach::media::{BytePool, Reader};
use reattach::record::Record;

use super::World;
use super::client::graph_options;

/// Counts the bytes that were read from files.
#[derive(Debug, Default)]
pub(crate) struct ReadCounter(AtomicU64);

impl ReadCounter {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Reporter for ReadCounter {
    fn report(&self, progress: Progress) {
        if let Progress::Read(bytes) = progress {
            self.0.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

/// What the libraries of one process share, on the world's store: as a process that has just started.
pub(crate) struct Keeper {
    pub(crate) record: Arc<dyn Record>,
    pub(crate) reads: Arc<ReadCounter>,
    url: String,
    machine: Arc<dyn Clock>,
    server_time: Arc<ServerTime>,
    pub(crate) inspector: Inspector,
    upload_reader: Arc<Reader>,
}

impl Keeper {
    pub(crate) async fn start(world: &World, machine: Arc<dyn Clock>) -> Self {
        let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
        let keeper = Self::on(record, world, machine);
        let origin = world.url.parse().expect("an origin");
        if let Some(kept) = keeper.record.clock_reading(&origin).await.expect("an answer") {
            keeper.server_time.kept(kept);
        }
        keeper
    }

    /// The same on any record, not told what time it is.
    pub(crate) fn on(record: Arc<dyn Record>, world: &World, machine: Arc<dyn Clock>) -> Self {
        // Files are as old as the real clock says.
        let reader = || Arc::new(Reader::new(Arc::new(BytePool::new(64 << 20)), Arc::new(SystemClock)));
        let cache = Arc::new(FileCache::open(&world.store().join("cache"), &SystemClock).cache);
        Self {
            record,
            reads: Arc::default(),
            url: world.url.clone(),
            machine,
            server_time: Arc::default(),
            inspector: Inspector::new(reader(), cache),
            upload_reader: reader(),
        }
    }

    /// The library of the sandbox's first Page.
    pub(crate) fn library(&self) -> AssetLibrary {
        self.page("106000000000001", "SANDBOX-PAGE-1", ReqwestTransport::new())
    }

    /// The library of any Page, reached in any way.
    pub(crate) fn page(&self, id: &str, token: &str, transport: impl Transport + 'static) -> AssetLibrary {
        let page: PageId = id.parse().expect("a Page");
        let options = graph_options(&self.url, token, RetryPolicy::default());
        let graph = GraphClient::new(options, Arc::new(transport), Arc::clone(&self.machine))
            .with_server_time(Arc::clone(&self.server_time));
        AssetLibrary::new(LibraryParts {
            upload_reader: Arc::clone(&self.upload_reader),
            clock: Arc::new(CorrectedClock::new(Arc::clone(&self.machine), Arc::clone(&self.server_time))),
            reporter: Arc::<ReadCounter>::clone(&self.reads),
            ..LibraryParts::new(Arc::new(graph), Arc::clone(&self.record), self.inspector.clone(), page)
        })
    }
}
