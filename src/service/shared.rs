//! What all requests share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::ids::Platform;
use crate::library::AssetRef;

use super::access::Access;
use super::answers::Answers;
use super::campaigns::Campaigns;
use super::catalogue::Catalogue;
use super::confine::{Folders, Refused};
use super::contents::Contents;
use super::ends::Ends;
use super::metrics::Metrics;
use super::news::News;
use super::problem::Problem;
use super::rates::Rates;
use super::thumbnails::Thumbnails;
use super::tokens::Tokens;
use super::{ServedPage, ServiceParts, UnservedPage};

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: ServiceParts,
    pub(super) access: Access,
    pub(super) rates: Rates,
    pub(super) folders: Folders,
    pub(super) answers: Answers,
    pub(super) catalogue: Catalogue,
    pub(super) contents: Contents,
    pub(super) news: News,
    pub(super) metrics: Metrics,
    pub(super) campaigns: Campaigns,
    pub(super) tokens: Tokens,
    pub(super) thumbnails: Thumbnails,
    /// Messages on their way, be they waited for or not.
    pub(super) sends: TaskTracker,
    /// What became of them, as far as the record has not heard.
    pub(super) ends: Ends,
}

impl Shared {
    pub(super) fn new(parts: ServiceParts, address: SocketAddr) -> Self {
        let run = u64::try_from(parts.clock.now().as_unix_millis()).unwrap_or_default();
        Self {
            access: Access::new(parts.keys.clone(), address, &parts.hosts),
            rates: Rates::new(),
            folders: Folders::new(&parts.folders),
            answers: Answers::default(),
            catalogue: Catalogue::default(),
            contents: Contents::new(&parts.inspector),
            news: News::new(run),
            metrics: Metrics::new(),
            campaigns: Campaigns::default(),
            tokens: Tokens::default(),
            thumbnails: Thumbnails::new(parts.thumbnails.clone(), parts.thumbnailer.clone()),
            sends: TaskTracker::new(),
            ends: Ends::default(),
            parts,
        }
    }

    /// The Page asked for by its id or name; the first where none is.
    ///
    /// # Errors
    /// It is not served. Where that is the first, no other takes its place: messages would come from it.
    pub(super) fn page(&self, asked: Option<&str>) -> Result<&ServedPage, Problem> {
        let ServiceParts { pages, unserved, .. } = &self.parts;
        let is_missing = |page: &&UnservedPage| asked.map_or(page.is_first, |asked| page.name == asked);
        if let Some(page) = unserved.iter().find(is_missing) {
            return Err(Problem::unserved(page));
        }
        let Some(asked) = asked else {
            return pages.first().ok_or_else(|| Problem::not_found("this service works for no Page"));
        };
        let is_it = |page: &&ServedPage| page.identity.id.as_str() == asked || page.name.as_deref() == Some(asked);
        pages.iter().find(is_it).ok_or_else(|| Problem::not_found(format!("this service does not work for {asked:?}")))
    }

    /// The platform all its Pages are for.
    pub(super) fn platform(&self) -> Result<Platform, Problem> {
        let page = self.parts.pages.first().ok_or_else(|| Problem::not_found("this service works for no Page"))?;
        Ok(page.library.space().platform)
    }

    /// What `text` refers to; within, why it leads to no file of the library.
    ///
    /// # Errors
    /// It is no reference, or a path out of the library.
    pub(super) fn reference(&self, text: &str) -> Result<Result<AssetRef, Problem>, Problem> {
        // The empty path is the library's folder itself, which nobody means.
        if text.is_empty() {
            return Err(Problem::invalid("an empty text refers to nothing"));
        }
        let reference = AssetRef::parse(text.as_ref()).map_err(|error| Problem::invalid(error.to_string()))?;
        match reference {
            AssetRef::File(_) => Ok(self.file(text)?.map(AssetRef::File)),
            other => Ok(Ok(other)),
        }
    }

    /// Asks the disk, which may be a folder of a network that hangs, on a thread nobody waits for but this caller.
    pub(super) async fn looking<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || look(&shared)).await.map_err(|_| Problem::unexpected())
    }

    /// Where the file of that path really lies; within, that there is none in the library.
    ///
    /// # Errors
    /// It leads out of the library.
    pub(super) fn file(&self, path: &str) -> Result<Result<PathBuf, Problem>, Problem> {
        match self.folders.file(path) {
            Ok(path) => Ok(Ok(path)),
            Err(Refused::Outside) => Err(Problem::outside(path)),
            Err(Refused::Missing) => Ok(Err(Problem::no_file(path))),
        }
    }

    /// Something was uploaded, renamed or found dead: what was answered before is old.
    pub(super) fn changed(&self) {
        self.answers.forget();
        self.catalogue.forget();
    }
}
