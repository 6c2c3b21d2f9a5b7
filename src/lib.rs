//! *Upload once, attach for ever*: reusable Messenger attachment ids for a media library.
//!
//! Messenger sends a picture to any number of people by the id its upload was given. That id belongs to one Page and dies
//! after 90 days. This crate uploads a file's bytes once, keeps which bytes have which id, and sends by id.
//!
//! The types to know:
//!
//! - [`AssetLibrary`](library::AssetLibrary): the live id of a file, or of all files under some folders.
//! - [`GraphClient`](graph::GraphClient): typed calls to Meta, each ending as done, not done or unknown.
//! - [`Message`](graph::Message) and [`SendRequest`](graph::SendRequest): all a Page may say, typed or as Send API JSON.
//! - [`Governor`](graph::Governor): the rate budget of a Page, shared by all its uploads and messages.
//! - [`Record`](record::Record): what was uploaded, and until when it lives. The truth.
//! - [`FileCache`](cache::FileCache): what files' bytes said, so that unchanged files are not read. May vanish.
//! - [`CampaignSpec`](campaign::CampaignSpec) and [`Run`](campaign::Run): one message to many people, once each, and the
//!   truth about every one.
//! - [`Service`](service::Service): ids for bots over HTTP, and a gallery for people.
//! - [`cli::main`]: all of this from a command line, and the only part that prints.
//! - [`Sandbox`](sandbox::Sandbox): a local Graph API for tests and demos.
//!
//! What Messenger would say of the files in a folder takes no token and no network:
//!
//! ```
//! use std::sync::Arc;
//!
//! use reattach::cache::FileCache;
//! use reattach::clock::SystemClock;
//! use reattach::library::{CheckOptions, Inspector, NoReport, check};
//! use reattach::media::{BytePool, Reader};
//! use reattach::stop::Stop;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), reattach::library::LibraryError> {
//! let reader = Reader::new(Arc::new(BytePool::new(64 << 20)), Arc::new(SystemClock));
//! let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
//! let summary = check(
//!     &inspector,
//!     &["assets-example".into()],
//!     &CheckOptions::default(),
//!     Arc::new(NoReport),
//!     &Stop::new(),
//!     |asset| println!("{:?}: {}", asset.path, asset.outcome.as_str()),
//! )
//! .await?;
//! assert_eq!((summary.ok, summary.rejected), (11, 1));
//! # Ok(())
//! # }
//! ```
//!
//! One picture is one upload, however often it is asked for and whatever its name. Here a sandbox stands in for Meta:
//!
//! ```
//! use std::sync::Arc;
//!
//! use reattach::cache::FileCache;
//! use reattach::clock::SystemClock;
//! use reattach::graph::{GraphClient, GraphOptions, ReqwestTransport};
//! use reattach::library::{AssetLibrary, AssetOutcome, AssetRef, Inspector, LibraryParts, PlanRules, ResolveOptions};
//! use reattach::media::{BytePool, Reader};
//! use reattach::secret::AccessToken;
//! use reattach::{record, sandbox};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let meta = sandbox::start(sandbox::SandboxOptions::default()).await?;
//! let page = meta.pages()[0];
//! let token = AccessToken::new(page.access_token).ok_or("no token")?;
//! let options = GraphOptions::new(meta.url().parse()?, token);
//! let graph = GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::new(SystemClock));
//!
//! let folder = tempfile::tempdir()?;
//! let record = record::open(&folder.path().join("record.db")).await?;
//! let reader = Reader::new(Arc::new(BytePool::new(64 << 20)), Arc::new(SystemClock));
//! let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
//! let library = AssetLibrary::new(LibraryParts::new(Arc::new(graph), record, inspector, page.id.parse()?));
//!
//! let copy = folder.path().join("copy.png");
//! std::fs::copy("assets-example/banners/hero.png", &copy)?;
//! let options = ResolveOptions::uploading(PlanRules::USUAL);
//! let first = library.resolve(&AssetRef::File("assets-example/banners/hero.png".into()), &options).await;
//! let second = library.resolve(&AssetRef::File(copy), &options).await;
//! assert_eq!((first.outcome, second.outcome), (AssetOutcome::Uploaded, AssetOutcome::Reused));
//! assert_eq!(first.into_id()?, second.into_id()?);
//! assert_eq!(meta.counts().uploads_accepted, 1);
//! # Ok(())
//! # }
//! ```

#[cfg(not(unix))]
compile_error!("reattach runs on Unix alone");

mod blocking;
pub mod budget;
pub mod cache;
pub mod campaign;
mod causes;
pub mod cli;
pub mod clock;
pub mod delivery;
mod detached;
mod events;
pub mod facts;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod graph;
mod handwritten;
pub mod ids;
#[cfg(test)]
mod interleave;
mod json;
pub mod library;
pub mod media;
pub mod record;
pub mod sandbox;
pub mod secret;
pub mod service;
pub mod stop;
mod sync;
