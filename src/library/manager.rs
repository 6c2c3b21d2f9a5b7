//! `AssetLibrary`: one Page's assets, and the live id of each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OnceCell, Semaphore};

use crate::blocking::blocking;
use crate::clock::{Clock, SystemClock};
use crate::graph::{CorrectedClock, Envelope, GraphClient};
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind, PageId, WebUrl};
use crate::media::{BytePool, Follow, Problem, Reader, Verdict, judge, judge_as_file};
use crate::record::{Record, Upload};
use crate::stop::Stop;

use super::budget;
use super::fitter::{Fitter, refused};
use super::fitting::changed;
use super::known::Known;
use super::single_flight::SingleFlight;
use super::subject::{Candidate, media_type_of};
use super::survey::{Inspected, Inspector, readers};
use super::{AssetOutcome, AssetReport, LibraryError, NoReport, Plan, PlanRules, Reporter, plan};

/// What files that are read again for their upload may hold, unless told otherwise.
pub(crate) const UPLOAD_MEMORY: usize = 64 << 20;
/// Uploads that run at once, unless told otherwise.
const CONCURRENCY: usize = 4;

/// What an [`AssetLibrary`] is made of.
#[derive(Debug)]
pub struct LibraryParts {
    /// Talks to Meta. Its origin and platform are those the ids are kept under.
    pub graph: Arc<GraphClient>,
    /// Holds the truth about uploads.
    pub record: Arc<dyn Record>,
    /// Recognises files.
    pub inspector: Inspector,
    /// Reads files again when an upload needs bytes that were only recognised. Its buffers are its own, so that an
    /// upload never waits for memory that is held by files waiting for an upload.
    pub upload_reader: Arc<Reader>,
    /// Whose ids these are: the Page the client's token is of.
    pub page: PageId,
    /// Whether a query makes another asset of a web address.
    pub url_query: UrlQuery,
    /// How many uploads may run at once; at least one.
    pub concurrency: usize,
    /// The time ages are judged by: a [`CorrectedClock`](crate::graph::CorrectedClock) on the client's
    /// [`server_time`](GraphClient::server_time) goes by Meta's.
    pub clock: Arc<dyn Clock>,
    /// Once requested, nobody is waited for any more.
    pub stop: Stop,
    /// Hears of progress.
    pub reporter: Arc<dyn Reporter>,
}

impl LibraryParts {
    /// The usual for `page`, whose token `graph` has: a few uploads at once, files read again as `inspector` reads them but
    /// into buffers of their own, web addresses with their queries, and this machine's time, put right by what `graph` hears
    /// of Meta's. Nothing stops it, and nobody hears of progress.
    pub fn new(graph: Arc<GraphClient>, record: Arc<dyn Record>, inspector: Inspector, page: PageId) -> Self {
        let upload_reader = inspector.reader.with_pool(Arc::new(BytePool::new(UPLOAD_MEMORY)));
        let clock = CorrectedClock::new(Arc::new(SystemClock), Arc::clone(graph.server_time()));
        Self {
            graph,
            record,
            inspector,
            upload_reader: Arc::new(upload_reader),
            page,
            url_query: UrlQuery::default(),
            concurrency: CONCURRENCY,
            clock: Arc::new(clock),
            stop: Stop::new(),
            reporter: Arc::new(NoReport),
        }
    }
}

/// What the query of a web address means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UrlQuery {
    /// Another query, another asset.
    #[default]
    Kept,
    /// Nothing: it only lets Meta in, like a signature that changes each day.
    Ignored,
}

impl UrlQuery {
    /// The asset as its id is stored: of a web address, without its query where that means nothing.
    pub fn asset_of(self, asset: Asset) -> Asset {
        match (self, asset) {
            (Self::Ignored, Asset::Url(url)) => Asset::Url(url.without_query()),
            (_, asset) => asset,
        }
    }
}

/// One Page's library of assets. Clones share everything, single-flight included.
#[derive(Debug, Clone)]
pub struct AssetLibrary {
    pub(super) parts: Arc<LibraryParts>,
    /// Where its ids are valid: what the client says of the Page.
    space: Arc<KeySpace>,
    pub(super) known: Arc<Known>,
    pub(super) upload_slots: Arc<Semaphore>,
    /// How many files may be looked at outside of a survey at once.
    turns: Arc<Semaphore>,
    /// Makes copies again that are on record, wanted anew or not.
    pub(super) fitter: Arc<Fitter>,
    pub(super) flights: Arc<SingleFlight<AssetKey, super::upload::Ensured, LibraryError>>,
    pub(super) asked_the_time: Arc<OnceCell<()>>,
}

/// How what has no id yet gets to Meta.
#[derive(Debug, Clone, Default)]
pub enum Via {
    /// By an upload nobody sees.
    #[default]
    Upload,
    /// With a message to somebody, who gets the attachment.
    Send {
        /// Who, and how.
        envelope: Arc<Envelope>,
        /// Even if an earlier message with the same may have arrived.
        again: bool,
    },
}

/// What a file has to hold to be uploaded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Whatever it holds: the user named it.
    Anything,
    /// The bytes it was recorded with.
    These(ContentHash),
    /// The bytes it held when the user named it.
    StillThese(ContentHash),
    /// These bytes, or a copy of them that fits in their place.
    Fitting(ContentHash),
}

impl AssetLibrary {
    /// The library made of these parts. On a record that others share, its client shares the Page's budget with them from
    /// now on.
    ///
    /// # Panics
    /// On such a record, outside of a tokio runtime.
    pub fn new(parts: LibraryParts) -> Self {
        let space = Arc::new(parts.graph.space(parts.page.clone()));
        if parts.record.is_shared() {
            budget::share(parts.graph.governor(), &parts.record, &space);
        }
        let fitter = parts.inspector.fitter.clone();
        Self {
            fitter: fitter.unwrap_or_else(|| Arc::new(Fitter::new(Arc::clone(&parts.clock)))),
            upload_slots: Arc::new(Semaphore::new(parts.concurrency.max(1))),
            turns: Arc::new(Semaphore::new(readers())),
            flights: Arc::new(SingleFlight::new()),
            asked_the_time: Arc::default(),
            known: Arc::new(Known::of(Arc::clone(&parts.record))),
            space,
            parts: Arc::new(parts),
        }
    }

    /// The same library, its calls made by another client of the same Page, such as one that keeps to a slower pace. From now
    /// on they share the Page's budget.
    ///
    /// Its ids are those of where that client asks: of another origin or platform, it has others.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn through(&self, graph: Arc<GraphClient>) -> Self {
        let parts = &*self.parts;
        for graph in [&parts.graph, &graph] {
            budget::share(graph.governor(), &parts.record, &graph.space(parts.page.clone()));
        }
        Self::new(LibraryParts {
            graph,
            record: Arc::clone(&parts.record),
            inspector: parts.inspector.clone(),
            upload_reader: Arc::clone(&parts.upload_reader),
            page: parts.page.clone(),
            url_query: parts.url_query,
            concurrency: parts.concurrency,
            clock: Arc::clone(&parts.clock),
            stop: parts.stop.clone(),
            reporter: Arc::clone(&parts.reporter),
        })
        .with_known(Arc::clone(&self.known))
    }

    /// The same library, which shares with others what its record lately said.
    #[must_use]
    pub fn with_known(self, known: Arc<Known>) -> Self {
        Self { known, ..self }
    }

    /// Which web addresses are one asset.
    pub fn url_query(&self) -> UrlQuery {
        self.parts.url_query
    }

    /// Where this library's ids are valid.
    pub fn space(&self) -> &KeySpace {
        &self.space
    }

    /// Strikes the key's id off the record, and gives what it was.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, LibraryError> {
        Ok(self.known.forget(key).await?)
    }

    /// What is recorded under `key`.
    pub(super) async fn stored(&self, key: &AssetKey) -> Result<Option<Upload>, LibraryError> {
        Ok(self.parts.record.find(std::slice::from_ref(key)).await?.into_iter().next().flatten())
    }

    /// What lies at `path`, as something to decide about.
    pub(super) async fn look(
        &self,
        path: &Path,
        expected: Expected,
        kind: Option<MediaKind>,
    ) -> Result<Candidate, Box<AssetReport>> {
        let inspected = match expected {
            Expected::Anything => self.inspect(path, Follow::Named).await,
            Expected::Fitting(_) => self.inspect(path, Follow::Never).await,
            Expected::StillThese(_) => self.inspect_recorded(path, Follow::Named).await,
            Expected::These(_) => self.inspect_recorded(path, Follow::Never).await,
        };
        let candidate = as_kind(self.candidate(path.to_owned(), inspected)?, kind)?;
        match expected {
            Expected::Fitting(hash) if candidate.facts.hash != hash => Err(changed(candidate)),
            Expected::Anything | Expected::Fitting(_) => self.fitted(candidate, &self.parts.stop).await,
            Expected::These(hash) | Expected::StillThese(hash) => self.known_as(candidate, hash).await,
        }
    }

    /// What the file at `path` holds.
    pub(super) async fn inspect(&self, path: &Path, follow: Follow) -> Result<Inspected, Problem> {
        self.inspect_with(self.parts.inspector.clone(), path, follow).await
    }

    /// The same of a file of which it may be a copy that is on record, so that it may be larger than what is uploaded.
    pub(super) async fn inspect_recorded(&self, path: &Path, follow: Follow) -> Result<Inspected, Problem> {
        let fitter = Some(Arc::clone(&self.fitter));
        self.inspect_with(Inspector { fitter, ..self.parts.inspector.clone() }, path, follow).await
    }

    async fn inspect_with(&self, inspector: Inspector, path: &Path, follow: Follow) -> Result<Inspected, Problem> {
        // Reading waits for memory, on threads the record needs as well: so never on many of them.
        let _turn = self.turns.acquire().await;
        let (reporter, path) = (Arc::clone(&self.parts.reporter), path.to_owned());
        blocking(move || inspector.inspect(&path, follow, &*reporter)).await
    }

    /// The file as something to decide about; its report where it could not even be looked at.
    pub(super) fn candidate(
        &self,
        path: PathBuf,
        seen: Result<Inspected, Problem>,
    ) -> Result<Candidate, Box<AssetReport>> {
        match seen {
            Ok(Inspected { facts, bytes }) => {
                let verdict = judge(&facts, &path, self.space.platform);
                let asset = Asset::Bytes(facts.hash);
                let key = AssetKey { space: self.space().clone(), kind: verdict.kind, asset };
                Ok(Candidate { path, key, facts, verdict, bytes, shared: None, original: None })
            }
            Err(problem) => Err(Box::new(refused(path, problem, self.parts.inspector.fitter.as_deref()))),
        }
    }

    pub(super) fn plan(&self, candidate: &Candidate, stored: Option<&Upload>, rules: PlanRules) -> Plan {
        plan(&candidate.verdict, stored, self.parts.clock.moment(), rules)
    }
}

/// The candidate as something to send as `kind`: as a file goes whatever it is, as anything else only what it is.
pub(super) fn as_kind(candidate: Candidate, kind: Option<MediaKind>) -> Result<Candidate, Box<AssetReport>> {
    let actual = candidate.verdict.kind;
    match kind {
        Some(MediaKind::File) => {
            let key = AssetKey { kind: MediaKind::File, ..candidate.key };
            let verdict = match candidate.original {
                // What was made of it is what Meta takes.
                Some(_) => Verdict { kind: MediaKind::File, ..candidate.verdict },
                None => judge_as_file(&candidate.facts, &candidate.path, key.space.platform),
            };
            Ok(Candidate { key, verdict, ..candidate })
        }
        Some(asked) if asked != actual => {
            let error = LibraryError::OtherKind { path: candidate.path.clone(), asked, actual };
            Err(Box::new(candidate.report(AssetOutcome::Failed).because(error)))
        }
        _ => Ok(candidate),
    }
}

/// The kind the end of the address promises.
pub(super) fn kind_of(url: &WebUrl) -> Option<MediaKind> {
    media_type_of(url).map(|mime| MediaKind::of_mime(&mime))
}
