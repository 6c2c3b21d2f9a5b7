//! The service: ids for bots over HTTP, and the gallery for people, beside one record.
//!
//! [`Service::new`] is given what a process works with, and [`Service::serve`] answers until it is told to stop. What
//! comes in passes `access` first (whose Host, which origin, what token), then one of the `routes`, which ask the same
//! library, record and campaigns as the command line. Answers are the objects of `--json`; what went wrong is a
//! RFC 9457 problem document.

mod access;
mod answers;
mod campaigns;
mod catalogue;
mod confine;
mod connection;
mod contents;
mod ends;
mod keys;
mod metrics;
mod news;
mod page;
mod problem;
mod rates;
mod rest;
mod routes;
mod shared;
mod thumbnails;
mod tls;
mod tokens;
mod visitor;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::graph::GraphClient;
use crate::library::{AssetLibrary, Inspector};
use crate::record::{PageIdentity, Record};
use crate::stop::Stop;

pub use keys::{KeyError, Keys};
pub use tls::{Tls, TlsError};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use routes::fuzzing;

use campaigns::Campaigns;
use catalogue::Catalogue;
use shared::Shared;

/// What a [`Service`] is made of.
#[derive(Debug)]
pub struct ServiceParts {
    /// Holds the truth.
    pub record: Arc<dyn Record>,
    /// The Pages it works for, the first of them where a request names none; at least one.
    pub pages: Vec<ServedPage>,
    /// Those it was to work for as well, and cannot.
    pub unserved: Vec<UnservedPage>,
    /// The folders whose files may be named by their path, and into which the gallery uploads. They should be the
    /// [`Bounds`](crate::media::Bounds) of the readers of `pages` and `inspector`: else a link that takes the place of a
    /// folder on the way, just after it was looked at, is followed.
    pub folders: Vec<PathBuf>,
    /// Recognises files.
    pub inspector: Inspector,
    /// Who may come in.
    pub keys: Keys,
    /// Names by which it may be called besides its address, such as that of a proxy in front of it.
    pub hosts: Vec<String>,
    /// What it shows of itself; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// Where it keeps thumbnails.
    pub thumbnails: PathBuf,
    /// The program that makes one: `reattach`, which is run as `reattach thumbnail`; `None` for no thumbnails.
    pub thumbnailer: Option<PathBuf>,
    /// The time ages are judged by.
    pub clock: Arc<dyn Clock>,
    /// Once requested, nobody new is let in, and what is under way is finished.
    pub stop: Stop,
}

/// A Page a service cannot work for.
#[derive(Debug, Clone)]
pub struct UnservedPage {
    /// What the configuration calls it.
    pub name: String,
    /// Why.
    pub why: String,
    /// Whether it is the one requests are for that name none: they are for no other then.
    pub is_first: bool,
}

/// One Page of a service.
#[derive(Debug, Clone)]
pub struct ServedPage {
    /// Whose ids they are.
    pub identity: PageIdentity,
    /// What the configuration calls it.
    pub name: Option<String>,
    /// Its assets.
    pub library: AssetLibrary,
    /// Talks to Meta for it.
    pub graph: Arc<GraphClient>,
    /// The `type` attachments are sent as, where that is not what they are: Instagram's, where one is configured.
    pub attachment_type: Option<&'static str>,
}

/// A service that is ready to answer.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    /// The service made of these parts, called by the address it listens on.
    pub fn new(parts: ServiceParts, address: SocketAddr) -> Self {
        Self { shared: Arc::new(Shared::new(parts, address)) }
    }

    /// Answers on `listener` until its stop is requested and what was under way is answered.
    ///
    /// # Errors
    /// When the listener gives out for good.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let router = routes::router(Arc::clone(&self.shared));
        Catalogue::look_again(&self.shared, Duration::ZERO);
        let (tls, stop) = (self.shared.parts.tls.clone(), self.shared.parts.stop.clone());
        tokio::spawn(Campaigns::look_on(Arc::clone(&self.shared)));
        let accepted = connection::accept(listener, tls, router, stop).await;
        self.shared.campaigns.at_rest().await;
        // Whoever hung up has begun a message all the same.
        self.shared.sends.close();
        self.shared.sends.wait().await;
        accepted
    }

    /// The `OpenAPI` document, as `GET /openapi.json` gives it.
    pub fn openapi() -> String {
        routes::openapi()
    }
}
