//! `verify`: the record against itself, and against the files on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;

use crate::cli::args::VerifyArgs;
use crate::cli::context::{Context, reporter};
use crate::cli::events::{VerifyEvent, VerifySummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown;
use crate::cli::values::{count, thousands};
use crate::ids::{Asset, ContentHash, KeySpace};
use crate::library::{Agreement, AssetOutcome, AssetRef, CheckOptions, Inspector, Replacements, check, place_of};
use crate::media::{ProblemCode, ScanOptions};
use crate::record::{Record, UploadFilter};

use super::recorded::each_recorded;

/// Files looked at at once.
const CONCURRENCY: usize = 4;

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<Exit, Failure> {
    let started = Instant::now();
    let record = context.record().await?;
    record.verify().await?;
    context.output.remark(match context.settings.server {
        Some(_) => "the record is sound: every row can be read",
        None => "the record is sound: every row has the checksum it was written with",
    });
    let inspector = context.inspector();
    let on_record = OnRecord::read(context, &*record, &args.paths).await?;
    let OnDisk { mut bytes, large, others: mut verified } =
        look_under(context, &inspector, &args.paths, &on_record).await?;
    // What a copy was made of may be larger than what is uploaded.
    let originals = context.fitting(inspector, true);
    if on_record.has_copies {
        for path in large {
            if let Ok(Asset::Bytes(hash)) = originals.asset_of(&AssetRef::File(path.clone())).await {
                bytes.entry(hash).or_insert(path);
            }
        }
    }
    let replacements = Replacements::on(&record).await?;
    let by = (&replacements, &originals);
    let mut states = futures::stream::iter(on_record.sources)
        .take_while(|_| std::future::ready(!context.stop.is_requested()))
        .map(async |((path, hash), uploaded)| {
            let state = match originals.compare(&path, hash).await {
                Agreement::Missing | Agreement::Changed if bytes.contains_key(&hash) => Agreement::Moved,
                Agreement::Changed if is_replaced(context, by, &path, hash, &uploaded.spaces).await? => {
                    Agreement::Replaced
                }
                state => state,
            };
            Ok::<_, Failure>(Verified { path, hash: Some(hash), size_bytes: uploaded.size_bytes, state })
        })
        .buffered(CONCURRENCY);
    while let Some(file) = states.next().await {
        verified.push(file?);
    }
    verified.sort_by(|a, b| a.path.cmp(&b.path));
    let mut counts: BTreeMap<Agreement, u64> = BTreeMap::new();
    for file in &verified {
        *counts.entry(file.state).or_default() += 1;
        print(context, file, file.hash.and_then(|hash| bytes.get(&hash)).map(PathBuf::as_path));
    }
    Ok(conclude(context, &counts, started))
}

/// A file, and how the record and it agree.
#[derive(Debug)]
struct Verified {
    path: PathBuf,
    /// What was uploaded, or lies there; `None` of what cannot be read and was never uploaded.
    hash: Option<ContentHash>,
    size_bytes: u64,
    state: Agreement,
}

/// What was uploaded from a place.
#[derive(Debug, Default)]
struct Uploaded {
    size_bytes: u64,
    /// The Pages that have it.
    spaces: BTreeSet<KeySpace>,
}

/// What the record says of files.
struct OnRecord {
    /// Where bytes were uploaded from: once, though several Pages have them.
    sources: BTreeMap<(PathBuf, ContentHash), Uploaded>,
    /// All bytes that have an id, or a copy of which has one.
    bytes: HashSet<ContentHash>,
    /// Whether copies went in the place of any of them.
    has_copies: bool,
}

/// What lies under the paths that were given.
#[derive(Debug, Default)]
struct OnDisk {
    /// Where which bytes lie.
    bytes: HashMap<ContentHash, PathBuf>,
    /// Files too large for an upload.
    large: Vec<PathBuf>,
    /// What could have an id, and has none or cannot be read.
    others: Vec<Verified>,
}

impl OnRecord {
    /// What was uploaded from `paths`, or from anywhere where there are none.
    async fn read(context: &Context, record: &dyn Record, paths: &[PathBuf]) -> Result<Self, Failure> {
        let ways = |path: &PathBuf| [place_of(path), absolute(path), std::fs::canonicalize(path)];
        let roots: Vec<_> = paths.iter().flat_map(ways).flatten().collect();
        let is_meant = |source: &Path| paths.is_empty() || roots.iter().any(|root| source.starts_with(root));
        let mut on_record = Self { sources: BTreeMap::new(), bytes: HashSet::new(), has_copies: false };
        each_recorded(context, record, &UploadFilter::default(), |upload| {
            let Some(hash) = upload.key.asset.hash() else { return };
            on_record.bytes.insert(hash);
            if let Some(source) = upload.source.as_deref().filter(|source| is_meant(source)) {
                let uploaded = on_record.sources.entry((source.to_owned(), hash)).or_default();
                uploaded.size_bytes = upload.size_bytes;
                uploaded.spaces.insert(upload.key.space.clone());
            }
        })
        .await?;
        on_record.look_behind_copies(record).await?;
        Ok(on_record)
    }

    /// Whether something was uploaded from there.
    fn knows(&self, path: &Path) -> bool {
        let ways = [place_of(path), absolute(path), std::fs::canonicalize(path)];
        ways.into_iter().flatten().any(|path| self.sources.keys().any(|(source, _)| *source == path))
    }

    /// What was uploaded in place of a file is held against the file itself.
    async fn look_behind_copies(&mut self, record: &dyn Record) -> Result<(), Failure> {
        let copies: Vec<_> = self.sources.keys().cloned().collect();
        for (path, copy) in copies {
            let Some(original) = record.sources_of(&[copy]).await?.into_iter().next() else { continue };
            let uploaded = self.sources.remove(&(path.clone(), copy)).unwrap_or_default();
            self.sources.insert((path, original.source), uploaded);
            self.bytes.insert(original.source);
            self.has_copies = true;
        }
        Ok(())
    }
}

/// Whether other bytes took the place of what was uploaded from `path`, on each Page that has it.
async fn is_replaced(
    context: &Context,
    (replacements, inspector): (&Replacements, &Inspector),
    path: &Path,
    hash: ContentHash,
    spaces: &BTreeSet<KeySpace>,
) -> Result<bool, Failure> {
    for space in spaces {
        if !replacements.covers(inspector, path, space, hash, context.clock.moment()).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What lies under `paths`.
async fn look_under(
    context: &Context,
    inspector: &Inspector,
    paths: &[PathBuf],
    on_record: &OnRecord,
) -> Result<OnDisk, Failure> {
    let mut on_disk = OnDisk::default();
    if paths.is_empty() {
        return Ok(on_disk);
    }
    let scan = ScanOptions { private: Arc::clone(&context.settings.private), ..ScanOptions::default() };
    let options = CheckOptions { scan, platform: context.settings.platform };
    let bars = context.bars();
    check(inspector, paths, &options, reporter(bars.clone()), &context.stop, |report| {
        let Some(path) = &report.path else { return };
        let Some(facts) = &report.facts else {
            let has = |code| report.problems.iter().any(|problem| problem.code == code);
            if (has(ProblemCode::Unreadable) || has(ProblemCode::TooDeep)) && !on_record.knows(path) {
                let unread = Verified { path: path.clone(), hash: None, size_bytes: 0, state: Agreement::Unreadable };
                on_disk.others.push(unread);
            }
            on_disk.large.extend(has(ProblemCode::TooLarge).then(|| path.clone()));
            return;
        };
        on_disk.bytes.entry(facts.hash).or_insert_with(|| path.clone());
        if report.outcome == AssetOutcome::Ok && !on_record.bytes.contains(&facts.hash) {
            let (path, hash, size_bytes) = (path.clone(), Some(facts.hash), facts.size_bytes);
            on_disk.others.push(Verified { path, hash, size_bytes, state: Agreement::NeverUploaded });
        }
    })
    .await?;
    if let Some(bars) = bars {
        bars.clear();
    }
    Ok(on_disk)
}

fn print(context: &Context, file: &Verified, elsewhere: Option<&Path>) {
    let output = &context.output;
    let elsewhere = elsewhere.filter(|_| file.state == Agreement::Moved);
    output.event(&VerifyEvent::new(&file.path, file.hash, file.size_bytes, file.state).moved_to(elsewhere));
    if output.is_json() || (file.state == Agreement::Same && !output.is_verbose()) {
        return;
    }
    let word = format!("{:<14}", file.state.as_str());
    let palette = output.palette;
    let word = if file.state.is_fine() { palette.good(word) } else { palette.warning(word) };
    let to = elsewhere.map_or_else(String::new, |path| format!(" → {}", shown(path)));
    output.result(format_args!("{word} {}{to}", shown(&file.path)));
}

fn conclude(context: &Context, counts: &BTreeMap<Agreement, u64>, started: Instant) -> Exit {
    let output = &context.output;
    output.event(&VerifySummaryEvent::new(|state| counts.get(&state).copied().unwrap_or(0), started.elapsed()));
    let mut parts = vec![count(counts.values().sum(), "file")];
    parts.extend(
        counts.iter().map(|(state, number)| format!("{} {}", thousands(*number), state.as_str().replace('_', " "))),
    );
    output.remark(output.palette.strong(parts.join(", ")));
    let exit = if counts.keys().all(|state| state.is_fine()) { Exit::Done } else { Exit::SomeFailed };
    context.ending(exit)
}
