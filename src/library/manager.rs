//! `AssetLibrary`: one Page's assets, and the live id of each.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};

use crate::clock::Clock;
use crate::graph::{Envelope, GraphClient};
use crate::ids::{AliasName, Asset, AssetKey, ContentHash, KeySpace, MediaKind, WebUrl};
use crate::media::{FitRules, Follow, Problem, Reader, Verdict, judge};
use crate::record::{AliasTarget, Claim, Record, Upload};
use crate::stop::Stop;

use super::alias::target_of;
use super::budget;
use super::fitter::Fitter;
use super::fitting::changed;
use super::known::{Found, Known};
use super::plan::staleness;
use super::single_flight::SingleFlight;
use super::subject::{Candidate, Subject, WebAddress, media_type_of};
use super::survey::{Inspected, Inspector, readers};
use super::{AssetOutcome, AssetRef, AssetReport, LibraryError, Plan, PlanRules, Reporter, plan};

/// What an [`AssetLibrary`] is made of.
#[derive(Debug)]
pub struct LibraryParts {
    /// Talks to Meta.
    pub graph: Arc<GraphClient>,
    /// Holds the truth about uploads.
    pub record: Arc<dyn Record>,
    /// Recognises files.
    pub inspector: Inspector,
    /// Reads files again when an upload needs bytes that were only recognised. Its buffers are its own, so that an
    /// upload never waits for memory that is held by files waiting for an upload.
    pub upload_reader: Arc<Reader>,
    /// Whose ids these are.
    pub space: KeySpace,
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
    pub(super) known: Arc<Known>,
    pub(super) upload_slots: Arc<Semaphore>,
    /// How many files may be looked at outside of a survey at once.
    turns: Arc<Semaphore>,
    /// Makes copies again that are on record, wanted anew or not.
    pub(super) fitter: Arc<Fitter>,
    pub(super) flights: Arc<SingleFlight<AssetKey, super::upload::Ensured, LibraryError>>,
    pub(super) asked_the_time: Arc<OnceCell<()>>,
    /// Claims that are over and that the record could not be told so of.
    pub(super) unreleased: Arc<Mutex<Vec<Claim>>>,
}

/// Whether `resolve` may upload what has no live id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOnMiss {
    /// Upload it.
    Allowed,
    /// Report it missing.
    Refused,
}

/// Whose word an id is taken on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// That of the record as it is now.
    #[default]
    OnRecord,
    /// What a record that others share said a moment ago as well; and, while it is away, whatever it said of an id that has
    /// not expired. For those who only want to be told: what is to be sent may have to be healed, and a heal recorded.
    Known,
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

/// How a reference is resolved.
#[derive(Debug, Clone)]
pub struct ResolveOptions {
    /// Which ids are good enough.
    pub rules: PlanRules,
    /// Whether to upload what has no live id.
    pub on_miss: UploadOnMiss,
    /// The `type` to send it as; `None` takes what its bytes, or the end of its address, say.
    pub kind: Option<MediaKind>,
    /// How it is uploaded.
    pub via: Via,
    /// Whose word an id is taken on.
    pub answers: Answers,
}

impl ResolveOptions {
    /// Whatever has no id that `rules` find good enough is uploaded, as what it is.
    pub fn uploading(rules: PlanRules) -> Self {
        Self { rules, on_miss: UploadOnMiss::Allowed, kind: None, via: Via::Upload, answers: Answers::OnRecord }
    }

    /// The same, quicker, and also while the record is away: see [`Answers::Known`].
    #[must_use]
    pub fn from_what_is_known(self) -> Self {
        Self { answers: Answers::Known, ..self }
    }
}

/// How an asset stands.
enum Standing {
    /// It has an id that is good enough.
    Good(Upload),
    /// It has none on record, or this one, which should not be used any more.
    Wanting(Option<Upload>),
}

/// All kinds bytes may have been sent as, in the order in which they are preferred where several are as good.
const KINDS: [MediaKind; 4] = [MediaKind::Audio, MediaKind::File, MediaKind::Image, MediaKind::Video];

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
        budget::share(parts.graph.governor(), &parts.record, &parts.space);
        let fitter = parts.inspector.fitter.clone();
        Self {
            fitter: fitter.unwrap_or_else(|| Arc::new(Fitter::new(Arc::clone(&parts.clock)))),
            upload_slots: Arc::new(Semaphore::new(parts.concurrency.max(1))),
            turns: Arc::new(Semaphore::new(readers())),
            flights: Arc::new(SingleFlight::new()),
            asked_the_time: Arc::default(),
            unreleased: Arc::default(),
            known: Arc::new(Known::of(Arc::clone(&parts.record))),
            parts: Arc::new(parts),
        }
    }

    /// The same library, its calls made by another client of the same Page, such as one that keeps to a slower pace.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn through(&self, graph: Arc<GraphClient>) -> Self {
        let parts = &*self.parts;
        Self::new(LibraryParts {
            graph,
            record: Arc::clone(&parts.record),
            inspector: parts.inspector.clone(),
            upload_reader: Arc::clone(&parts.upload_reader),
            space: parts.space.clone(),
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

    /// Where this library's ids are valid.
    pub fn space(&self) -> &KeySpace {
        &self.parts.space
    }

    /// The report of one reference: its live id, uploaded first where none is known and that is allowed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves an upload that has begun running to its end.
    pub async fn resolve(&self, reference: &AssetRef, options: &ResolveOptions) -> AssetReport {
        match reference {
            AssetRef::File(path) => self.resolve_file(path, Expected::Anything, options).await,
            AssetRef::Hash(hash) => self.resolve_hash(*hash, None, options).await,
            AssetRef::Alias(name) => match self.target_of(name, options.answers).await {
                Ok(target) => self.resolve_target(name, target, options).await,
                Err(error) => AssetReport::failed(error),
            },
            AssetRef::Url(url) => self.resolve_url(url, options).await,
        }
    }

    /// Strikes the key's id off the record, and gives what it was.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, LibraryError> {
        Ok(self.known.forget(key).await?)
    }

    async fn target_of(&self, name: &AliasName, answers: Answers) -> Result<AliasTarget, LibraryError> {
        match answers {
            Answers::OnRecord => target_of(&*self.parts.record, name).await,
            Answers::Known => match self.known.alias(name).await {
                Ok(target) => target.ok_or_else(|| LibraryError::NoSuchAlias { alias: name.clone() }),
                Err(error) => Err(LibraryError::not_known(name, error)),
            },
        }
    }

    /// The report of what an alias stands for, sent as it was when the name was given unless another kind is asked for.
    async fn resolve_target(&self, name: &AliasName, target: AliasTarget, options: &ResolveOptions) -> AssetReport {
        let options = ResolveOptions { kind: options.kind.or(Some(target.kind)), ..options.clone() };
        match (&target.asset, &target.source) {
            (Asset::Url(url), _) => self.resolve_url(url, &options).await,
            (Asset::Bytes(hash), source) => {
                let report = self.resolve_hash(*hash, source.as_deref(), &options).await;
                match report.error.as_deref() {
                    Some(LibraryError::Changed { path }) => {
                        let outdated = LibraryError::AliasOutdated { alias: name.clone(), path: path.clone() };
                        report.because(outdated)
                    }
                    Some(LibraryError::NotRecorded { .. } | LibraryError::NoSource { .. }) => {
                        report.because(LibraryError::NoSource { reference: name.to_string() })
                    }
                    _ => report,
                }
            }
        }
    }

    async fn resolve_file(&self, path: &Path, expected: Expected, options: &ResolveOptions) -> AssetReport {
        let candidate = match self.look(path, expected, options.kind).await {
            Ok(candidate) => candidate,
            Err(report) => return *report,
        };
        if !candidate.verdict.accepted() {
            return candidate.report(AssetOutcome::Rejected);
        }
        let keys = std::slice::from_ref(&candidate.key);
        match (self.standing(keys, || path.display(), options).await, options.on_miss) {
            (Err(error), _) => candidate.report(AssetOutcome::Failed).because(error),
            (Ok(Standing::Good(upload)), _) => candidate.report(AssetOutcome::Reused).with(Some(upload)),
            (Ok(Standing::Wanting(_)), UploadOnMiss::Refused) => candidate.report(AssetOutcome::Missing),
            (Ok(Standing::Wanting(stored)), UploadOnMiss::Allowed) => {
                let subject = Subject::File(candidate);
                let meter = self.planned(&subject);
                self.upload(subject, stored, meter, &options.via).await
            }
        }
    }

    async fn resolve_url(&self, url: &WebUrl, options: &ResolveOptions) -> AssetReport {
        let Some(kind) = options.kind.or_else(|| kind_of(url)) else {
            return AssetReport::failed(LibraryError::KindUnknown { url: url.to_string() });
        };
        let asset = self.parts.url_query.asset_of(Asset::Url(url.clone()));
        let key = AssetKey { space: self.parts.space.clone(), kind, asset };
        let subject = Subject::Web(WebAddress { url: url.clone(), key });
        let keys = std::slice::from_ref(subject.key());
        match (self.standing(keys, || url, options).await, options.on_miss) {
            (Err(error), _) => subject.report(AssetOutcome::Failed).because(error),
            (Ok(Standing::Good(upload)), _) => subject.report(AssetOutcome::Reused).with(Some(upload)),
            (Ok(Standing::Wanting(_)), UploadOnMiss::Refused) => subject.report(AssetOutcome::Missing),
            (Ok(Standing::Wanting(stored)), UploadOnMiss::Allowed) => {
                let meter = self.planned(&subject);
                self.upload(subject, stored, meter, &options.via).await
            }
        }
    }

    /// How the asset stands that may be stored under any of `keys`, on the word the options allow.
    async fn standing<N: fmt::Display>(
        &self,
        keys: &[AssetKey],
        name: impl Fn() -> N,
        options: &ResolveOptions,
    ) -> Result<Standing, LibraryError> {
        let rules = options.rules;
        let stored = match options.answers {
            Answers::OnRecord => self.parts.record.find(keys).await?,
            Answers::Known => {
                let now = self.parts.clock.moment();
                if let Some(upload) = self.known.fresh(keys).find(|upload| staleness(upload, now, rules).is_none()) {
                    return Ok(Standing::Good(upload));
                }
                // Nobody can renew it now: it will do for as long as it lives.
                let rules = PlanRules { renew_within: Duration::ZERO, ..rules };
                let is_alive = |upload: &Upload| staleness(upload, self.parts.clock.moment(), rules).is_none();
                match self.known.find(keys, is_alive).await {
                    Ok(Found::OnRecord(stored)) => stored,
                    Ok(Found::Before(upload)) => return Ok(Standing::Good(*upload)),
                    Err(error) => return Err(LibraryError::not_known(name(), error)),
                }
            }
        };
        // The live one first, where it was sent as several kinds.
        let now = self.parts.clock.now();
        let stored = stored.into_iter().flatten().min_by_key(|upload| staleness(upload, now, rules).is_some());
        Ok(match stored {
            Some(upload) if self.staleness_by_metas_time(&upload, rules).await.is_none() => Standing::Good(upload),
            stored => Standing::Wanting(stored),
        })
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

    /// Bytes that have no live id are looked for where they were uploaded from, and at `remembered`.
    async fn resolve_hash(
        &self,
        hash: ContentHash,
        remembered: Option<&Path>,
        options: &ResolveOptions,
    ) -> AssetReport {
        let reference = || format!("sha256:{hash}");
        if self.parts.inspector.fitter.is_some() {
            match self.resolve_fitting(hash, remembered, options).await {
                Ok(Some(report)) => return report,
                Ok(None) => {}
                Err(error) => return AssetReport::failed(error),
            }
        }
        let keys = self.keys(hash, options.kind);
        let standing = match self.standing(&keys, reference, options).await {
            Ok(standing) => standing,
            Err(error) => return AssetReport::failed(error),
        };
        match (standing, options.on_miss) {
            (Standing::Good(upload), _) => AssetReport::recorded(upload, AssetOutcome::Reused),
            (Standing::Wanting(Some(stored)), UploadOnMiss::Refused) => {
                AssetReport::recorded(stored, AssetOutcome::Missing).with(None)
            }
            (Standing::Wanting(None), UploadOnMiss::Refused) => AssetReport::missing(),
            (Standing::Wanting(stored), UploadOnMiss::Allowed) => {
                let kind = stored.as_ref().map(|upload| upload.key.kind).or(options.kind);
                let options = ResolveOptions { kind, ..options.clone() };
                let recorded = stored.as_ref().and_then(|upload| upload.source.as_deref());
                let places = recorded.into_iter().chain(remembered.filter(|path| Some(*path) != recorded));
                match (self.resolve_one_of(places, Expected::These(hash), &options).await, stored) {
                    (Some(report), _) => report,
                    (None, Some(stored)) => AssetReport::recorded(stored, AssetOutcome::Failed)
                        .because(LibraryError::NoSource { reference: reference() }),
                    (None, None) => AssetReport::failed(LibraryError::NotRecorded { reference: reference() }),
                }
            }
        }
    }

    /// The report of the copy that fits, where the bytes need one; `None` where they do not, or where that cannot be told,
    /// as they are nowhere any more and no copy of them is on record.
    async fn resolve_fitting(
        &self,
        hash: ContentHash,
        remembered: Option<&Path>,
        options: &ResolveOptions,
    ) -> Result<Option<AssetReport>, LibraryError> {
        let rules = FitRules::of(self.parts.space.platform);
        let copy = self.known_copy(hash, rules).await?.map(|known| known.result);
        let mut places: Vec<_> = remembered.map(Path::to_owned).into_iter().collect();
        for hash in std::iter::once(hash).chain(copy) {
            let uploads = self.parts.record.find(&self.keys(hash, None)).await?;
            places.extend(uploads.into_iter().flatten().filter_map(|upload| upload.source));
        }
        let places = places.iter().map(PathBuf::as_path);
        let report = self.resolve_one_of(places, Expected::Fitting(hash), options).await;
        match (report.filter(is_of_these_bytes), copy) {
            (Some(report), _) => Ok(Some(report)),
            (None, None) => Ok(None),
            (None, Some(copy)) => {
                let reference = || format!("sha256:{hash}");
                Ok(match self.standing(&self.keys(copy, options.kind), reference, options).await? {
                    Standing::Good(upload) => Some(AssetReport::recorded(upload, AssetOutcome::Reused)),
                    Standing::Wanting(_) => None,
                })
            }
        }
    }

    /// Where bytes may be on record here.
    fn keys(&self, hash: ContentHash, kind: Option<MediaKind>) -> Vec<AssetKey> {
        let key = |kind| AssetKey { space: self.parts.space.clone(), kind, asset: Asset::Bytes(hash) };
        KINDS.into_iter().filter(|known| kind.is_none_or(|asked| asked == *known)).map(key).collect()
    }

    /// The report of the first file that still holds these bytes; of the last, where none does.
    async fn resolve_one_of(
        &self,
        places: impl Iterator<Item = &Path>,
        expected: Expected,
        options: &ResolveOptions,
    ) -> Option<AssetReport> {
        let mut last = None;
        for path in places {
            let report = self.resolve_file(path, expected, options).await;
            if is_of_these_bytes(&report) {
                return Some(report);
            }
            last = Some(report);
        }
        last
    }

    /// The file as something to decide about; its report where it could not even be looked at.
    pub(super) fn candidate(
        &self,
        path: PathBuf,
        seen: Result<Inspected, Problem>,
    ) -> Result<Candidate, Box<AssetReport>> {
        match seen {
            Ok(Inspected { facts, bytes }) => {
                let verdict = judge(&facts, &path, self.parts.space.platform);
                let asset = Asset::Bytes(facts.hash);
                let key = AssetKey { space: self.parts.space.clone(), kind: verdict.kind, asset };
                Ok(Candidate { path, key, facts, verdict, bytes, shared: None, original: None })
            }
            Err(problem) => Err(Box::new(AssetReport::refused(path, problem))),
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
            let verdict = Verdict { kind: MediaKind::File, ..candidate.verdict };
            Ok(Candidate { key, verdict, ..candidate })
        }
        Some(asked) if asked != actual => {
            let error = LibraryError::OtherKind { path: candidate.path.clone(), asked, actual };
            Err(Box::new(candidate.report(AssetOutcome::Failed).because(error)))
        }
        _ => Ok(candidate),
    }
}

/// Whether the file still held the bytes that were asked for, whatever came of them.
fn is_of_these_bytes(report: &AssetReport) -> bool {
    report.facts.is_some() && !matches!(report.error.as_deref(), Some(LibraryError::Changed { .. }))
}

/// The kind the end of the address promises.
pub(super) fn kind_of(url: &WebUrl) -> Option<MediaKind> {
    media_type_of(url).map(|mime| MediaKind::of_mime(&mime))
}

/// Runs `work`, which blocks, away from the tasks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Never begun: the runtime is going down, and nobody will hear the answer.
            Err(_) => std::future::pending().await,
        },
    }
}
