//! The service within the test's own process: at a time of the test's choosing, and killed where it likes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reattach::cache::FileCache;
use reattach::clock::Clock;
use reattach::graph::{CorrectedClock, GraphClient, ReqwestTransport, RetryPolicy};
use reattach::library::Inspector;
use reattach::media::{BytePool, Reader};
use reattach::record::PageIdentity;
use reattach::service::{Keys, ServedPage, Service, ServiceParts};
use reattach::stop::Stop;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::library::open_at;
use crate::support::World;

const NO_RETRY: RetryPolicy =
    RetryPolicy { attempts: 1, first_pause: Duration::ZERO, longest_pause: Duration::ZERO, max_wait: Duration::ZERO };

/// A service of the world's library and first Page, on a runtime of its own.
pub(crate) struct Serving {
    runtime: Runtime,
    service: JoinHandle<io::Result<()>>,
    pub(crate) address: SocketAddr,
    /// May do everything.
    pub(crate) token: String,
    /// May look.
    pub(crate) read_token: String,
    stop: Stop,
}

impl Serving {
    pub(crate) fn start(world: &World, clock: Arc<dyn Clock>) -> Self {
        Self::with(world, clock, |clock, _| clock)
    }

    /// The same, where Meta puts `machine` right.
    pub(crate) fn put_right(world: &World, machine: Arc<dyn Clock>) -> Self {
        Self::with(world, machine, |machine, graph| {
            Arc::new(CorrectedClock::new(machine, Arc::clone(graph.server_time())))
        })
    }

    fn with(
        world: &World,
        clock: Arc<dyn Clock>,
        told: impl FnOnce(Arc<dyn Clock>, &GraphClient) -> Arc<dyn Clock>,
    ) -> Self {
        let (runtime, stop) = (Runtime::new().expect("a runtime"), Stop::new());
        let folders = vec![world.library()];
        let opened = runtime.block_on(open_at(world, 1 << 20, ReqwestTransport::new(), Arc::clone(&clock), NO_RETRY));
        let clock = told(clock, &opened.graph);
        let keys = Keys::load(&world.store()).expect("tokens");
        let token = keys.expose().to_owned();
        let read_token = std::fs::read_to_string(world.store().join("serve-read.token")).expect("a token");
        let reader = Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::clone(&clock));
        let cache = Arc::new(FileCache::disabled());
        let page = ServedPage {
            identity: PageIdentity { id: opened.library.space().page.clone(), name: "Bakery".to_owned() },
            name: Some("bakery".to_owned()),
            library: opened.library,
            graph: opened.graph,
            attachment_type: None,
        };
        let (address, service) = runtime.block_on(async {
            let parts = ServiceParts {
                record: reattach::record::open(&world.store().join("record.db")).await.expect("a record"),
                pages: vec![page],
                unserved: Vec::new(),
                folders,
                inspector: Inspector::new(Arc::new(reader), cache),
                keys,
                hosts: Vec::new(),
                tls: None,
                thumbnails: world.store().join("thumbnails"),
                thumbnailer: None,
                clock,
                stop: stop.clone(),
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            (address, tokio::spawn(Service::new(parts, address).serve(listener)))
        });
        Self { runtime, service, address, token, read_token: read_token.trim().to_owned(), stop }
    }

    /// Ends it in the midst of whatever it does, as a kill would: nothing more is written, and its locks are free.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_mins(1));
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        self.stop.request();
        self.runtime.block_on(self.service).expect("no panic").expect("stopped");
        self.runtime.shutdown_timeout(Duration::from_mins(1));
    }
}
