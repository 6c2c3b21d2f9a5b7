//! Making a picture of the library.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::facts::Dimensions;
use crate::ids::{AliasName, Asset, AttachmentId, ContentHash, MediaKind, PageId};
use crate::library::{AssetOutcome, AssetReport, CheckOptions, NoReport, Standing, check, standing};
use crate::media::limits::media_by_name;
use crate::media::{self, ProblemCode, ScanOptions};
use crate::record::UploadFilter;

use super::super::problem::Problem;
use super::super::shared::Shared;
use super::query::{Sort, sorted};

/// Rows read from the record at a time.
const ROWS: usize = 4_096;

/// The library at one moment.
#[derive(Debug)]
pub(in crate::service) struct Snapshot {
    pub(in crate::service) rows: Vec<Row>,
    /// The rows' numbers in each order.
    pub(super) orders: HashMap<Sort, Vec<u32>>,
    /// The files in the folders, by their bytes.
    pub(in crate::service) files: HashMap<ContentHash, Vec<Arc<Path>>>,
    pub(super) names: HashMap<Asset, Vec<AliasName>>,
    pub(super) pages: Vec<PageId>,
    /// Another one, another library.
    pub(in crate::service) revision: u64,
}

/// One asset on one Page; or a file that is on none.
#[derive(Debug, Hash)]
pub(in crate::service) struct Row {
    /// `None` of a file that is refused unread: nobody knows its bytes.
    pub(super) asset: Option<Asset>,
    pub(in crate::service) path: Option<Arc<Path>>,
    /// Path or address in small letters, to be sorted and searched by.
    pub(super) folded: Box<str>,
    pub(in crate::service) folder: Option<usize>,
    pub(in crate::service) kind: MediaKind,
    pub(in crate::service) mime: Arc<str>,
    pub(in crate::service) size_bytes: Option<u64>,
    pub(in crate::service) dimensions: Option<Dimensions>,
    pub(in crate::service) state: State,
    /// What the platform would refuse the file for.
    pub(super) problems: Vec<media::Problem>,
    pub(in crate::service) upload: Option<RowUpload>,
}

/// What is on record of it.
#[derive(Debug, Hash)]
pub(in crate::service) struct RowUpload {
    pub(in crate::service) attachment_id: AttachmentId,
    /// The Page's number among those served.
    pub(super) page: usize,
    pub(in crate::service) uploaded_at: Option<Timestamp>,
    pub(in crate::service) expires_at: Option<Timestamp>,
}

/// How an asset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::service) enum State {
    /// There is an id.
    Recorded(Standing),
    /// There is none yet.
    NotUploaded,
    /// The platform would refuse the file.
    Unfit,
}

impl State {
    pub(in crate::service) const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded(standing) => standing.as_str(),
            Self::NotUploaded => "not_uploaded",
            Self::Unfit => Standing::Rejected.as_str(),
        }
    }
}

/// One file as it was seen.
struct Seen {
    path: Arc<Path>,
    /// `None` where it is refused unread.
    hash: Option<ContentHash>,
    kind: MediaKind,
    mime: Arc<str>,
    size_bytes: Option<u64>,
    dimensions: Option<Dimensions>,
    is_fit: bool,
    /// Why it is not.
    problems: Vec<media::Problem>,
}

impl Seen {
    /// The file a report is of; `None` where it is gone.
    fn of(report: &AssetReport, mimes: &mut HashSet<Arc<str>>) -> Option<Self> {
        let path = report.path.as_deref()?;
        if report.problems.iter().any(|problem| problem.code == ProblemCode::Vanished) {
            return None;
        }
        let (kind, mime) = match &report.media {
            Some((kind, mime)) => (*kind, &**mime),
            None => media_by_name(path),
        };
        let is_fit = report.outcome == AssetOutcome::Ok;
        Some(Self {
            path: Arc::from(path),
            hash: report.facts.as_ref().map(|facts| facts.hash),
            kind,
            mime: interned(mimes, mime),
            size_bytes: report.size_bytes(),
            dimensions: report.facts.as_ref().and_then(|facts| facts.dimensions),
            is_fit,
            problems: if is_fit { Vec::new() } else { report.problems.clone() },
        })
    }
}

impl Snapshot {
    pub(super) async fn take(shared: &Shared) -> Result<Self, Problem> {
        let parts = &shared.parts;
        let mut mimes = HashSet::new();
        let seen = look_through(shared, &mut mimes).await?;
        let mut files: HashMap<ContentHash, Vec<Arc<Path>>> = HashMap::new();
        for file in &seen {
            if let Some(hash) = file.hash {
                files.entry(hash).or_default().push(Arc::clone(&file.path));
            }
        }
        let (mut rows, mut uploaded) = (Vec::with_capacity(seen.len()), HashSet::new());
        for (number, page) in parts.pages.iter().enumerate() {
            let filter = UploadFilter { space: Some(page.library.space().clone()), ..UploadFilter::default() };
            let mut after = None;
            loop {
                let uploads = parts.record.list(&filter, after.as_ref(), ROWS).await?;
                after = uploads.last().map(|last| last.key.clone()).filter(|_| uploads.len() == ROWS);
                for upload in uploads {
                    let hash = upload.key.asset.hash();
                    let here = hash.and_then(|hash| files.get(&hash)).and_then(|paths| paths.first());
                    let path = here.cloned().or_else(|| upload.source.as_deref().map(Arc::from));
                    uploaded.extend(hash);
                    rows.push(Row {
                        folded: folded(path.as_deref(), Some(&upload.key.asset)),
                        folder: path.as_deref().and_then(|path| shared.folders.of(path)),
                        path,
                        kind: upload.key.kind,
                        mime: interned(&mut mimes, &upload.mime),
                        size_bytes: upload.known_size(),
                        dimensions: upload.dimensions,
                        state: State::Recorded(standing(&upload, parts.clock.moment())),
                        problems: Vec::new(),
                        upload: Some(RowUpload {
                            page: number,
                            uploaded_at: upload.known_upload_time(),
                            expires_at: upload.known_expiry(),
                            attachment_id: upload.attachment_id,
                        }),
                        asset: Some(upload.key.asset),
                    });
                }
                if after.is_none() {
                    break;
                }
            }
        }
        for file in seen {
            if file.hash.is_none_or(|hash| uploaded.insert(hash)) {
                rows.push(Row::of_file(file, shared));
            }
        }
        let aliases = parts.record.aliases().await?;
        let url_query = parts.pages.first().map(|page| page.library.url_query()).unwrap_or_default();
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for alias in &aliases {
            names.entry(url_query.asset_of(alias.target.asset.clone())).or_default().push(alias.name.clone());
        }
        let mut revision = DefaultHasher::new();
        rows.hash(&mut revision);
        for alias in &aliases {
            (&alias.name, &alias.target.asset).hash(&mut revision);
        }
        let orders = Sort::ALL.map(|sort| (sort, sorted(&rows, sort))).into();
        let pages = parts.pages.iter().map(|page| page.identity.id.clone()).collect();
        Ok(Self { orders, rows, files, names, pages, revision: revision.finish() })
    }

    /// The names of a row's asset.
    pub(in crate::service) fn names_of(&self, row: &Row) -> &[AliasName] {
        row.asset.as_ref().and_then(|asset| self.names.get(asset)).map_or(&[], Vec::as_slice)
    }

    /// All rows of these bytes.
    pub(in crate::service) fn rows_of(&self, hash: ContentHash) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.sha256() == Some(hash))
    }

    pub(in crate::service) fn revision_word(&self) -> String {
        format!("{:016x}", self.revision)
    }
}

impl Row {
    fn of_file(file: Seen, shared: &Shared) -> Self {
        let asset = file.hash.map(Asset::Bytes);
        Self {
            folded: folded(Some(&file.path), asset.as_ref()),
            folder: shared.folders.of(&file.path),
            asset,
            path: Some(file.path),
            kind: file.kind,
            mime: file.mime,
            size_bytes: file.size_bytes,
            dimensions: file.dimensions,
            state: if file.is_fit { State::NotUploaded } else { State::Unfit },
            problems: file.problems,
            upload: None,
        }
    }

    /// SHA-256 of its bytes; `None` of a web address, and of a file that is refused unread.
    pub(in crate::service) fn sha256(&self) -> Option<ContentHash> {
        self.asset.as_ref().and_then(Asset::hash)
    }
}

/// Looks at every file in the folders that are there; those the cache knows are not read.
async fn look_through(shared: &Shared, mimes: &mut HashSet<Arc<str>>) -> Result<Vec<Seen>, Problem> {
    let parts = &shared.parts;
    let (mut roots, mut seen) = (Vec::new(), Vec::new());
    for folder in shared.folders.all() {
        // The others are shown though one of them, on a share, be away.
        match tokio::fs::metadata(&folder.real).await {
            Ok(_) => roots.push(folder.real.clone()),
            Err(error) => {
                tracing::warn!(folder = %folder.real.display(), %error, "a folder of the library is not there");
            }
        }
    }
    if roots.is_empty() {
        return Ok(seen);
    }
    let private = Arc::clone(&parts.inspector.private);
    let platform = parts.pages.first().map(|page| page.library.space().platform).unwrap_or_default();
    let options = CheckOptions { scan: ScanOptions { private, ..ScanOptions::default() }, platform };
    check(&parts.inspector, &roots, &options, Arc::new(NoReport), &parts.stop, |report| {
        seen.extend(Seen::of(report, mimes));
    })
    .await
    .map_err(|error| {
        tracing::warn!(%error, "the library could not be looked through");
        Problem::unexpected()
    })?;
    Ok(seen)
}

fn interned(known: &mut HashSet<Arc<str>>, word: &str) -> Arc<str> {
    if let Some(known) = known.get(word) {
        return Arc::clone(known);
    }
    let word: Arc<str> = word.into();
    known.insert(Arc::clone(&word));
    word
}

fn folded(path: Option<&Path>, asset: Option<&Asset>) -> Box<str> {
    let text = path.map(|path| path.to_string_lossy().into_owned()).or_else(|| asset.map(Asset::to_string));
    text.unwrap_or_default().to_lowercase().into()
}
