//! From a reference to an id: a file, bytes by their hash, an alias, a web address.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ids::{AliasName, Asset, AssetKey, ContentHash, MediaKind, WebUrl};
use crate::media::FitRules;
use crate::record::{AliasTarget, RecordError, Upload, UploadFilter};

use super::alias::target_of;
use super::known::Found;
use super::manager::{AssetLibrary, Expected, Via, kind_of};
use super::plan::staleness;
use super::subject::{Candidate, Subject, WebAddress};
use super::{AssetOutcome, AssetRef, AssetReport, LibraryError, PlanRules};

/// How many ids of other Pages are asked where their bytes lie.
const OTHERS: usize = 1_000;

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

impl AssetLibrary {
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
        match self.look(path, expected, options.kind).await {
            Ok(candidate) => self.resolve_candidate(candidate, options).await,
            Err(report) => *report,
        }
    }

    async fn resolve_candidate(&self, candidate: Candidate, options: &ResolveOptions) -> AssetReport {
        if !candidate.verdict.accepted() {
            return candidate.report(AssetOutcome::Rejected);
        }
        let keys = std::slice::from_ref(&candidate.key);
        match (self.standing(keys, || candidate.path.display(), options).await, options.on_miss) {
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
        let key = AssetKey { space: self.space().clone(), kind, asset };
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
        let now = self.parts.clock.moment();
        let mut stored: Vec<_> = stored.into_iter().flatten().collect();
        stored.sort_by_key(|upload| staleness(upload, now, rules).is_some());
        let mut wanting = None;
        for upload in stored {
            if self.staleness_by_metas_time(&upload, rules).await.is_none() {
                return Ok(Standing::Good(upload));
            }
            wanting.get_or_insert(upload);
        }
        Ok(Standing::Wanting(wanting))
    }

    /// Bytes that have no live id are looked for where they were uploaded from, at `remembered`, and where other Pages have
    /// them from.
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
                match (Box::pin(self.resolve_bytes(hash, places, &options)).await, stored) {
                    (Some(report), _) => report,
                    (None, Some(stored)) => AssetReport::recorded(stored, AssetOutcome::Failed)
                        .with(None)
                        .because(LibraryError::NoSource { reference: reference() }),
                    (None, None) => AssetReport::failed(LibraryError::NotRecorded { reference: reference() }),
                }
            }
        }
    }

    /// The report of bytes that were at one of these places, from there or from wherever another Page has them; `None` where
    /// there is no place.
    async fn resolve_bytes(
        &self,
        hash: ContentHash,
        places: impl Iterator<Item = &Path>,
        options: &ResolveOptions,
    ) -> Option<AssetReport> {
        let report = self.resolve_one_of(places, Expected::These(hash), options).await?;
        if is_of_these_bytes(&report) {
            return Some(report);
        }
        let places = match self.places_on_record(hash).await {
            Ok(places) => places,
            Err(error) => return Some(AssetReport::failed(error.into())),
        };
        let places = places.iter().map(PathBuf::as_path);
        let elsewhere = self.resolve_one_of(places, Expected::These(hash), options).await;
        elsewhere.filter(is_of_these_bytes).or(Some(report))
    }

    /// Wherever any Page has these bytes from.
    pub(super) async fn places_on_record(&self, hash: ContentHash) -> Result<BTreeSet<PathBuf>, RecordError> {
        let filter = UploadFilter { asset: Some(Asset::Bytes(hash)), ..UploadFilter::default() };
        let uploads = self.parts.record.list(&filter, None, OTHERS).await?;
        Ok(uploads.into_iter().filter_map(|upload| upload.source).collect())
    }

    /// The report of bytes that need no copy, or of the copy that fits where they need one; `None` where that cannot be told,
    /// as they are nowhere any more and no copy of them is on record.
    async fn resolve_fitting(
        &self,
        hash: ContentHash,
        remembered: Option<&Path>,
        options: &ResolveOptions,
    ) -> Result<Option<AssetReport>, LibraryError> {
        let rules = FitRules::of(self.space().platform);
        let copy = self.known_copy(hash, rules).await?.map(|known| known.result);
        let mut places: Vec<_> = remembered.map(Path::to_owned).into_iter().collect();
        for hash in std::iter::once(hash).chain(copy) {
            let uploads = self.parts.record.find(&self.keys(hash, None)).await?;
            places.extend(uploads.into_iter().flatten().filter_map(|upload| upload.source));
        }
        for path in &places {
            match self.look(path, Expected::Fitting(hash), options.kind).await {
                Ok(candidate) if candidate.original.is_none() && candidate.verdict.accepted() => {
                    // They need no copy: any id of theirs will do.
                    let keys = self.keys(hash, options.kind);
                    return Ok(Some(match self.standing(&keys, || path.display(), options).await? {
                        Standing::Good(upload) => AssetReport::recorded(upload, AssetOutcome::Reused),
                        Standing::Wanting(_) => self.resolve_candidate(candidate, options).await,
                    }));
                }
                Ok(candidate) => return Ok(Some(self.resolve_candidate(candidate, options).await)),
                Err(report) if is_of_these_bytes(&report) => return Ok(Some(*report)),
                Err(_) => {}
            }
        }
        let Some(copy) = copy else { return Ok(None) };
        let reference = || format!("sha256:{hash}");
        Ok(match self.standing(&self.keys(copy, options.kind), reference, options).await? {
            Standing::Good(upload) => Some(AssetReport::recorded(upload, AssetOutcome::Reused)),
            Standing::Wanting(_) => None,
        })
    }

    /// Where bytes may be on record here.
    fn keys(&self, hash: ContentHash, kind: Option<MediaKind>) -> Vec<AssetKey> {
        let key = |kind| AssetKey { space: self.space().clone(), kind, asset: Asset::Bytes(hash) };
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
}

/// Whether the file still held the bytes that were asked for, whatever came of them.
fn is_of_these_bytes(report: &AssetReport) -> bool {
    report.facts.is_some() && !matches!(report.error.as_deref(), Some(LibraryError::Changed { .. }))
}
