//! What an entry brings: its id, how old that is, and what it is of.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::facts::{Dimensions, Facts};
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind, WebUrl};
use crate::library::manager::kind_of;
use crate::library::manifest::{self, CopyOf, Entry, FOLDER, Lookup, kind_there};
use crate::library::plan::CLOCK_TOLERANCE;
use crate::library::{ID_LIFETIME, NoReport, in_folder, place_of};
use crate::media::{FitRules, Follow, Found, ScanOptions, Severity, judge, judge_as_file, scan};
use crate::record::{AliasTarget, Derivation, Upload, UploadState};

use super::{Besides, Import, ImportError};

/// What an entry's id is of.
struct Content {
    asset: Asset,
    kind: MediaKind,
    size_bytes: u64,
    mime: String,
    dimensions: Option<Dimensions>,
    source: Option<PathBuf>,
}

/// The entry, of a web address where a name that says what its id is of is one.
fn addressed(entry: Entry) -> Result<Entry, ImportError> {
    let name = entry.path.as_ref().filter(|_| entry.asset.is_none()).and_then(|path| path.to_str());
    let Some(address) = name.filter(|name| WebUrl::is_meant(name)) else { return Ok(entry) };
    let url = WebUrl::given(address).map_err(|error| ImportError::Malformed(error.to_string()))?;
    Ok(Entry { asset: Some(Asset::Url(url)), path: None, ..entry })
}

/// What the entry's bytes were made of; nothing by rules that are not known here.
fn derivation(
    copy: &CopyOf,
    result: ContentHash,
    size_bytes: u64,
    mime: String,
    dimensions: Option<Dimensions>,
) -> Result<Option<Derivation>, ImportError> {
    let CopyOf { source, rules, recipe } = copy.clone();
    let dimensions = dimensions.filter(|sides| sides.width > 0 && sides.height > 0);
    let Some(dimensions) = dimensions.filter(|_| size_bytes > 0 && !recipe.contains('\0')) else {
        return Err(ImportError::Malformed(
            "it is a copy, and has no size, no width and height, or no recipe".to_owned(),
        ));
    };
    let is_known = rules.parse::<FitRules>().is_ok();
    Ok(is_known.then_some(Derivation { source, rules, recipe, result, size_bytes, mime, dimensions }))
}

impl Import {
    /// What the entry brings: its id, and all else.
    pub(super) fn take(&self, entry: Entry) -> Result<(Option<Upload>, Besides), ImportError> {
        self.check_place(&entry)?;
        let entry = addressed(entry)?;
        if entry.attachment_id.is_none() && entry.aliases.is_empty() {
            return Err(ImportError::Malformed("it has no attachment_id".to_owned()));
        }
        let Content { asset, kind, size_bytes, mime, dimensions, source } = self.content(&entry)?;
        let target = AliasTarget { asset: asset.clone(), kind, source: source.clone() };
        let derivation = match (&entry.copy_of, asset.hash()) {
            (Some(copy), Some(result)) => derivation(copy, result, size_bytes, mime.clone(), dimensions)?,
            _ => None,
        };
        let asset = self.options.url_query.asset_of(asset);
        let upload = entry.attachment_id.clone().map(|attachment_id| {
            let (state, uploaded_at, expires_at) = self.age(&entry);
            let key = AssetKey { space: self.options.space.clone(), kind, asset };
            Upload { key, attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state }
        });
        Ok((upload, Besides { target, aliases: entry.aliases, derivation }))
    }

    /// Ids never cross to another Page, platform or origin.
    fn check_place(&self, entry: &Entry) -> Result<(), ImportError> {
        let KeySpace { origin, page, platform } = self.options.space.clone();
        match entry {
            Entry { origin: Some(actual), .. } if *actual != origin => {
                Err(ImportError::OtherOrigin { actual: actual.clone(), ours: origin })
            }
            Entry { platform: Some(actual), .. } if *actual != platform => {
                Err(ImportError::OtherPlatform { actual: *actual, ours: platform })
            }
            Entry { page: Some(actual), .. } if *actual != page => {
                Err(ImportError::OtherPage { actual: actual.clone(), ours: page })
            }
            _ => Ok(()),
        }
    }

    /// How the id stands, and its time. What says nothing, or makes no sense, is of unknown age; a life longer than Meta
    /// gives is cut to that.
    fn age(&self, entry: &Entry) -> (UploadState, Timestamp, Timestamp) {
        let state = entry.state.unwrap_or(UploadState::Live);
        let known = entry.uploaded_at.filter(|time| *time <= self.now.plus(CLOCK_TOLERANCE));
        let known = known.map(|time| (time, entry.expires_at.unwrap_or(time.plus(ID_LIFETIME))));
        if let Some((from, to)) = known.filter(|(from, to)| to > from && state != UploadState::UnknownAge) {
            return (state, from, to.min(from.plus(ID_LIFETIME)));
        }
        let state = if state == UploadState::Rejected { state } else { UploadState::UnknownAge };
        // Whoever should look at the times alone must find nothing to rely on.
        (state, self.now, self.now.plus(Duration::from_millis(1)))
    }

    fn content(&self, entry: &Entry) -> Result<Content, ImportError> {
        let asset = match &entry.asset {
            None => return self.content_of_file(entry),
            Some(asset) => asset.clone(),
        };
        let no_kind = || match &asset {
            Asset::Bytes(_) => "it has no kind",
            Asset::Url(_) => {
                "it has no kind, and its address shows none: a table with the columns name, id and kind does"
            }
        };
        let kind = entry.kind.or_else(|| asset.url().and_then(kind_of));
        let kind = kind.ok_or_else(|| ImportError::Malformed(no_kind().to_owned()))?;
        let source = entry.path.as_ref().map(|path| in_folder(&self.options.library, path));
        Ok(Content {
            asset,
            kind,
            size_bytes: entry.size_bytes.unwrap_or(0),
            mime: entry.mime.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
            dimensions: entry.dimensions,
            source: source.and_then(|path| place_of(&path).ok()),
        })
    }

    /// Of an id that is known by a name, the file of that name says the rest.
    fn content_of_file(&self, entry: &Entry) -> Result<Content, ImportError> {
        let Some(name) = &entry.path else { return Err(ImportError::Malformed("it has no name".to_owned())) };
        let (path, facts) = match &entry.lookup {
            Lookup::Path => self.file(&in_folder(&self.options.library, name))?,
            Lookup::BareName { checksum } => self.file_called(name, checksum.as_deref())?,
        };
        let judged = if entry.kind == Some(MediaKind::File) { judge_as_file } else { judge };
        let verdict = judged(&facts, &path, self.options.space.platform);
        if let Some(problem) = verdict.problems.into_iter().find(|problem| problem.severity == Severity::Error) {
            return Err(ImportError::Unusable { path, problem });
        }
        let usual = match entry.lookup {
            Lookup::Path => verdict.kind,
            Lookup::BareName { .. } => kind_there(facts.mime.as_deref()),
        };
        let kind = entry.kind.unwrap_or(usual);
        if kind != verdict.kind && kind != MediaKind::File {
            return Err(ImportError::Malformed(format!(
                "it is called {kind}, and its file is of kind {}",
                verdict.kind
            )));
        }
        Ok(Content {
            asset: Asset::Bytes(facts.hash),
            kind,
            size_bytes: facts.size_bytes,
            mime: verdict.mime.into_owned(),
            dimensions: facts.dimensions,
            source: place_of(&path).ok(),
        })
    }

    /// A file of the library, and what it holds.
    fn file(&self, path: &Path) -> Result<(PathBuf, Facts), ImportError> {
        let library = &self.options.library;
        let real = fs::canonicalize(path).map_err(|_| ImportError::NoFile { path: path.to_owned() })?;
        if !fs::canonicalize(library).is_ok_and(|library| real.starts_with(library)) {
            return Err(ImportError::Outside { path: path.to_owned(), library: library.clone() });
        }
        let inspected = self.inspector.inspect(path, Follow::Named, &NoReport);
        let inspected = inspected.map_err(|problem| ImportError::Unusable { path: path.to_owned(), problem })?;
        Ok((path.to_owned(), inspected.facts))
    }

    /// The file of this bare name whose bytes have this checksum; without one, the only file of that name.
    fn file_called(&self, name: &Path, checksum: Option<&str>) -> Result<(PathBuf, Facts), ImportError> {
        let beside = in_folder(&self.options.library, name);
        let found = name.file_name().and_then(|name| self.files().get(name));
        let places = if beside.exists() { vec![beside.clone()] } else { found.cloned().unwrap_or_default() };
        let mut files = places.iter().map(|path| self.file(path)).collect::<Result<Vec<_>, _>>()?;
        if let Some(checksum) = checksum {
            let fits = |(path, facts): &(PathBuf, Facts)| {
                manifest::checksum(&self.inspector.reader, path, facts.hash).is_some_and(|sum| sum == checksum)
            };
            let path = files.first().map(|(path, _)| path.clone());
            files.retain(fits);
            if let (Some(path), true) = (path, files.is_empty()) {
                return Err(ImportError::OtherBytes { path });
            }
        }
        let is_one = files.windows(2).all(|pair| pair[0].1.hash == pair[1].1.hash);
        match files.into_iter().next() {
            Some(file) if is_one => Ok(file),
            Some(_) => Err(ImportError::Ambiguous { name: name.display().to_string() }),
            None => Err(ImportError::NoFile { path: beside }),
        }
    }

    fn files(&self) -> &HashMap<OsString, Vec<PathBuf>> {
        self.files.get_or_init(|| {
            let options = ScanOptions { private: Arc::clone(&self.inspector.private), ..ScanOptions::default() };
            let mut files: HashMap<_, Vec<_>> = HashMap::new();
            for found in scan(&[self.options.library.join(FOLDER)], &options).into_iter().flatten() {
                if let Found::File { path, .. } = found
                    && let Some(name) = path.file_name()
                {
                    files.entry(name.to_owned()).or_default().push(path);
                }
            }
            files
        })
    }
}
