//! `refresh`: ids are made anew before they end, from the files and addresses they were made from.
//!
//! Nothing is uploaded that never was. What ends soonest comes first; a file that is gone or changed is reported, and the
//! others go on. Of one that was replaced nothing is said where all that is due was asked for: its id may end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::ids::{Asset, AssetKey, MediaKind, WebUrl};
use crate::media::{Follow, Problem};
use crate::record::{Upload, UploadFilter};
use crate::stop::Stop;

use super::lane::{Allowance, Allowed};
use super::manager::{AssetLibrary, as_kind};
use super::plan::staleness;
use super::replaced::Replacements;
use super::run::{Run, Turn, Wish, take_turns};
use super::subject::{Subject, WebAddress};
use super::survey::Inspected;
use super::sync::unless_uploaded;
use super::{AssetOutcome, AssetRef, AssetReport, LibraryError, LibraryParts, PlanRules, Synced, Via, without_alias};

/// Rows read from the record at a time.
const ROWS: usize = 1_000;

/// Files whose ids are looked up in the record at a time.
const LOOKUP: usize = 64;

/// What to renew.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// Every id on record that is due, or past it.
    AllDue,
    /// The ids of these, where they are due.
    Of(Vec<AssetRef>),
}

/// How to renew.
#[derive(Debug, Clone)]
pub struct RefreshOptions {
    /// What is due.
    pub rules: PlanRules,
    /// Say what would be renewed, and upload nothing.
    pub dry_run: bool,
    /// Leave the rest for later once this many uploads were begun on a Page.
    pub max_uploads: Option<u64>,
    /// Leave for later whatever would bring a Page's uploads over this many bytes.
    pub max_bytes: Option<u64>,
}

impl AssetLibrary {
    /// Renews ids for all Pages of `libraries`, each file read once for all of them, and hands each report to `each` with
    /// the number of the library it is of. There is one result for each library.
    ///
    /// What is not due is reported as reused, where it was asked for by name. When `stop` is requested, or an error
    /// concerns every file of a Page, nothing new is begun there, and the rest is reported as deferred.
    ///
    /// # Errors
    /// When the record cannot be asked, or there is no library. What goes wrong with single files is in their reports.
    pub async fn refresh_all(
        libraries: &[Self],
        renewal: &Renewal,
        options: &RefreshOptions,
        stop: &Stop,
        each: impl FnMut(usize, &AssetReport),
    ) -> Result<Vec<Synced>, LibraryError> {
        let started = Instant::now();
        let allowance = Allowance::new(options.max_uploads, options.max_bytes);
        let mut run = Run::new(libraries, &allowance, Via::Upload, stop.child(), each)?;
        run.greet().await;
        let mut refresh = Refresh { run, options, files: HashMap::new(), wishes: Vec::new(), replacements: None };
        let end = refresh.go(renewal).await;
        refresh.run.land_all().await;
        end?;
        Ok(refresh.run.lanes.into_iter().map(|lane| lane.close(started.elapsed())).collect())
    }
}

/// One refresh under way.
struct Refresh<'a, F> {
    run: Run<F>,
    options: &'a RefreshOptions,
    /// Where in `wishes` each asset stands, so that all Pages read it together.
    files: HashMap<(Asset, MediaKind), usize>,
    wishes: Vec<Vec<Wish<Due>>>,
    /// Tells what nobody misses; `None` where each id was asked for.
    replacements: Option<Replacements>,
}

/// An id to renew.
struct Due {
    key: AssetKey,
    source: Source,
}

/// Where the bytes of a renewal come from.
#[derive(Clone)]
enum Source {
    /// Where they came from before.
    Recorded,
    /// The file the user named.
    Named(PathBuf),
    /// The address as the user wrote it.
    Address(WebUrl),
}

impl<F: FnMut(usize, &AssetReport)> Refresh<'_, F> {
    async fn go(&mut self, renewal: &Renewal) -> Result<(), LibraryError> {
        match renewal {
            Renewal::AllDue => self.wish_for_all_due().await?,
            Renewal::Of(references) => {
                for reference in references {
                    self.wish_for(reference).await?;
                }
            }
        }
        let mut turns = take_turns(&mut self.run.lanes, std::mem::take(&mut self.wishes)).into_iter();
        loop {
            let batch: Vec<_> = turns.by_ref().take(LOOKUP).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.take(batch).await?;
        }
    }

    async fn wish_for_all_due(&mut self) -> Result<(), LibraryError> {
        self.replacements = Some(Replacements::on(&self.run.lanes[0].library.parts.record).await?);
        for lane in self.run.lanes_taking_part() {
            let library = self.run.lanes[lane].library.clone();
            let parts = &library.parts;
            let filter = UploadFilter { space: Some(library.space().clone()), ..UploadFilter::default() };
            let mut after = None;
            loop {
                let uploads = parts.record.list(&filter, after.as_ref(), ROWS).await?;
                let Some(last) = uploads.last() else { break };
                after = Some(last.key.clone());
                let now = parts.clock.moment();
                let is_due = |upload: &Upload| staleness(upload, now, self.options.rules).is_some();
                for upload in uploads.into_iter().filter(is_due) {
                    self.wish(lane, &upload, Source::Recorded);
                }
            }
        }
        Ok(())
    }

    /// Wishes for all that is on record of `reference`, and reports what need not be renewed.
    async fn wish_for(&mut self, reference: &AssetRef) -> Result<(), LibraryError> {
        let first = Arc::clone(&self.run.lanes[0].library.parts);
        let written = reference;
        let reference = &without_alias(&*first.record, written).await?;
        let asset = first.inspector.asset_of(reference).await.map_err(Arc::new);
        let source = match reference {
            AssetRef::File(path) => Source::Named(path.clone()),
            AssetRef::Url(url) => Source::Address(url.clone()),
            AssetRef::Hash(_) | AssetRef::Alias(_) => Source::Recorded,
        };
        for lane in self.run.lanes_taking_part() {
            let library = self.run.lanes[lane].library.clone();
            let parts = &library.parts;
            let asset = match &asset {
                Ok(asset) => parts.url_query.asset_of(asset.clone()),
                Err(error) => {
                    self.run.report(lane, &unusable(reference).because(Arc::clone(error)));
                    continue;
                }
            };
            let uploads = recorded_of(&library, asset).await?;
            if uploads.is_empty() {
                let error = LibraryError::NotRecorded { reference: written.to_string() };
                self.run.report(lane, &unusable(reference).because(error));
            }
            for upload in uploads {
                if staleness(&upload, parts.clock.moment(), self.options.rules).is_some() {
                    self.wish(lane, &upload, source.clone());
                } else {
                    self.run.report(lane, &AssetReport::recorded(upload, AssetOutcome::Reused));
                }
            }
        }
        Ok(())
    }

    fn wish(&mut self, lane: usize, upload: &Upload, source: Source) {
        let Upload { key, expires_at, size_bytes, .. } = upload.clone();
        let file = (key.asset.clone(), key.kind);
        let place = *self.files.entry(file).or_insert_with(|| {
            self.wishes.push(Vec::new());
            self.wishes.len() - 1
        });
        // Asked for twice, under two names, it is renewed once.
        if self.wishes[place].iter().all(|wish| wish.lane != lane) {
            let asset = key.asset.clone();
            self.wishes[place].push(Wish { lane, expires_at, asset, size_bytes, what: Due { key, source } });
        }
    }

    /// Renews what has its turn, as it stands on record now.
    async fn take(&mut self, batch: Vec<Turn<Due>>) -> Result<(), LibraryError> {
        let keys = batch.iter().flatten().map(|(wish, _)| (wish.lane, wish.what.key.clone()));
        let mut found = self.run.find(keys).await?;
        for turn in batch {
            let mut jobs = Vec::new();
            let mut sources = Sources::default();
            for (Wish { lane, what: due, asset, size_bytes, .. }, allowed) in turn {
                let stored = found[lane].next().flatten();
                let allowed = self.run.lanes[lane].ask_again(allowed, &asset, size_bytes);
                let renewal = match self.outcome_of_turn(lane, stored, allowed) {
                    Ok(stored) => self.renewal(lane, due.source, stored, &mut sources).await?,
                    Err(report) => {
                        self.run.report(lane, &report);
                        None
                    }
                };
                match (renewal, unless_uploaded(allowed, self.options.dry_run)) {
                    (Some((_, stored)), Some(outcome)) => {
                        self.run.report(lane, &AssetReport::recorded(stored, outcome));
                    }
                    (Some((subject, stored)), None) => jobs.push(self.run.job(lane, subject, Some(stored))),
                    (None, _) if allowed == Allowed::First => self.run.lanes[lane].take_back(&asset, size_bytes),
                    (None, _) => {}
                }
            }
            drop(sources);
            self.run.begin(jobs, None).await;
        }
        Ok(())
    }

    /// What is to be renewed; its report where that is not to be done. Somebody else may have renewed or forgotten it.
    fn outcome_of_turn(
        &self,
        lane: usize,
        stored: Option<Upload>,
        allowed: Allowed,
    ) -> Result<Upload, Box<AssetReport>> {
        let Some(stored) = stored else { return Err(Box::new(AssetReport::missing())) };
        let lane = &self.run.lanes[lane];
        let is_due = staleness(&stored, lane.library.parts.clock.moment(), self.options.rules).is_some();
        let outcome = if !is_due {
            Some(AssetOutcome::Reused)
        } else if lane.stop.is_requested() {
            Some(AssetOutcome::Deferred)
        } else {
            (allowed == Allowed::Later).then_some(AssetOutcome::Deferred)
        };
        match outcome {
            Some(outcome) => Err(Box::new(AssetReport::recorded(stored, outcome))),
            None => Ok(stored),
        }
    }

    /// What to upload in place of `stored`; nothing, and a report, where its file is no longer what it was.
    async fn renewal(
        &mut self,
        lane: usize,
        source: Source,
        stored: Upload,
        sources: &mut Sources,
    ) -> Result<Option<(Subject, Upload)>, LibraryError> {
        let library = self.run.lanes[lane].library.clone();
        let failed = |error: LibraryError| AssetReport::recorded(stored.clone(), AssetOutcome::Failed).because(error);
        let report = match subject(&library, source, &stored, sources).await {
            Ok(subject) => return Ok(Some((subject, stored))),
            Err(Unrenewable::Failed(error)) => failed(error),
            Err(Unrenewable::Reported(report)) => *report,
        };
        if self.is_missed(&library.parts, &stored, &report).await? {
            // The id is of the bytes that were there, and not of those that are.
            let report = match report.error.as_deref() {
                Some(LibraryError::Changed { .. }) => {
                    AssetReport { error: report.error, ..AssetReport::recorded(stored, report.outcome) }
                }
                _ => report,
            };
            self.run.report(lane, &report);
        } else {
            self.run.lanes[lane].let_end();
        }
        Ok(None)
    }

    /// Whether anybody will miss an id that cannot be renewed.
    async fn is_missed(
        &self,
        parts: &LibraryParts,
        stored: &Upload,
        report: &AssetReport,
    ) -> Result<bool, LibraryError> {
        let (Some(replacements), Some(LibraryError::Changed { path })) = (&self.replacements, report.error.as_deref())
        else {
            return Ok(true);
        };
        let (Some(old), Some(facts)) = (stored.key.asset.hash(), &report.facts) else { return Ok(true) };
        let now = parts.clock.moment();
        let is_replaced = replacements.took_the_place(&stored.key.space, old, facts.hash, now).await?;
        if is_replaced {
            tracing::info!(?path, attachment_id = %stored.attachment_id, "not renewed: the file was replaced");
        }
        Ok(!is_replaced)
    }
}

/// What is on record of the asset, and of copies that were made of it.
async fn recorded_of(library: &AssetLibrary, asset: Asset) -> Result<Vec<Upload>, LibraryError> {
    let record = &library.parts.record;
    let copies = match &asset {
        Asset::Bytes(hash) => record.copies_of(*hash).await?,
        Asset::Url(_) => Vec::new(),
    };
    let mut uploads = Vec::new();
    for asset in std::iter::once(asset).chain(copies.into_iter().map(|copy| Asset::Bytes(copy.result))) {
        let space = Some(library.space().clone());
        let filter = UploadFilter { space, asset: Some(asset), ..UploadFilter::default() };
        uploads.extend(record.list(&filter, None, MediaKind::ALL.len()).await?);
    }
    Ok(uploads)
}

/// Files that were looked at for one turn: once, however many Pages want them.
type Sources = HashMap<PathBuf, Result<Inspected, Problem>>;

/// Why an id cannot be renewed.
enum Unrenewable {
    Failed(LibraryError),
    Reported(Box<AssetReport>),
}

impl From<LibraryError> for Unrenewable {
    fn from(error: LibraryError) -> Self {
        Self::Failed(error)
    }
}

/// What to upload in place of `stored`.
async fn subject(
    library: &AssetLibrary,
    source: Source,
    stored: &Upload,
    sources: &mut Sources,
) -> Result<Subject, Unrenewable> {
    let key = stored.key.clone();
    let (path, follow) = match (&key.asset, source) {
        (Asset::Url(_), Source::Address(url)) => return Ok(Subject::Web(WebAddress { url, key })),
        (Asset::Url(url), _) => return Ok(Subject::Web(WebAddress { url: url.clone(), key })),
        (Asset::Bytes(_), Source::Named(path)) => (path, Follow::Named),
        (Asset::Bytes(_), _) => match &stored.source {
            Some(path) => (path.clone(), Follow::Never),
            None => return Err(LibraryError::NoSource { reference: key.asset.to_string() }.into()),
        },
    };
    let seen = match sources.get(&path) {
        Some(seen) => seen.clone(),
        None => sources.entry(path.clone()).insert_entry(library.inspect_recorded(&path, follow).await).get().clone(),
    };
    let inspected = seen.map_err(|problem| LibraryError::Unusable { path: path.clone(), problem })?;
    let candidate = match (library.candidate(path, Ok(inspected)), key.asset.hash()) {
        (Ok(candidate), Some(hash)) => library.known_as(candidate, hash).await,
        (candidate, _) => candidate,
    };
    match candidate.and_then(|candidate| as_kind(candidate, Some(key.kind))) {
        Ok(candidate) if !candidate.verdict.accepted() => {
            Err(Unrenewable::Reported(Box::new(candidate.report(AssetOutcome::Rejected).with(Some(stored.clone())))))
        }
        Ok(candidate) => Ok(Subject::File(candidate)),
        Err(report) => Err(Unrenewable::Reported(Box::new(report.with(Some(stored.clone()))))),
    }
}

/// The report of something that leads to no id on record.
fn unusable(reference: &AssetRef) -> AssetReport {
    let path = match reference {
        AssetRef::File(path) => Some(Path::to_owned(path)),
        _ => None,
    };
    let url = match reference {
        AssetRef::Url(url) => Some(url.clone()),
        _ => None,
    };
    AssetReport { path, url, ..AssetReport::bare(AssetOutcome::Failed) }
}
