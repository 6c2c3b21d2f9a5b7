//! Paths and folders → files to look at, one at a time and in a stable order.
//!
//! Walks with the `ignore` crate, by the types folders themselves list: no file is opened or even asked for its size.
//! Memory holds one listing per level of the tree, however many files there are. Links inside folders are not
//! followed. A `.reattachignore` file, written like a `.gitignore`, leaves out what it names; git's own rules do not
//! count. Where one cannot be read nothing below is taken, since it might be what it leaves out.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::{fs, io, vec};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};

use super::limits::{is_media, mime_by_name};
use super::private::Private;
use super::problem::{Problem, ProblemCode};
use super::read::Follow;

/// Folders nested deeper than this are not looked into.
const MAX_DEPTH: usize = 64;

const IGNORE_FILE: &str = ".reattachignore";

/// What systems, browsers and archivers leave lying about, whatever the case of its letters: by whole names, by their
/// beginnings and by their ends.
const JUNK: &[&str] = &[".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", IGNORE_FILE];
const JUNK_BEGINNINGS: &[&str] = &["._", "~$"];
const JUNK_ENDS: &[&str] = &[".tmp", ".part", ".crdownload"];

/// What to take from the folders, beside leaving out junk and what `.reattachignore` files name.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Globs written like lines of a `.gitignore`, each relative to the root it is applied to, or to the current folder
    /// where that root is a file; when there are any, only what matches one is taken.
    pub include: Vec<String>,
    /// Globs of what is left out, even if included.
    pub exclude: Vec<String>,
    /// Whether names that begin with a dot are taken too.
    pub hidden: bool,
    /// What is never taken, and refused where it is a root.
    pub private: Arc<Private>,
}

/// Why a scan could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A root that is not there, or cannot be looked at.
    #[error("look at {}", path.display())]
    NotFound {
        /// The root as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A glob that is none.
    #[error("understand the glob {glob:?}")]
    BadGlob {
        /// The glob as it was given.
        glob: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Something a scan came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file, as far as its folder knows.
    File {
        /// The root it was found under, as given, and the way from there.
        path: PathBuf,
        /// How to open it: a root may be a link, which the user meant to be followed.
        follow: Follow,
    },
    /// Something that cannot be read as a file; the scan goes on.
    Refused {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A symbolic link inside a folder, which was not followed.
    Symlink(PathBuf),
}

/// Whether a change of the file at `path` changes which other files a scan comes upon.
pub(super) fn is_rule(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == IGNORE_FILE)
}

/// Begins a scan of `roots`, in the order given. Each file is found once, even where one root lies within another. A
/// root is taken even if its name is hidden, junk or in a `.reattachignore`; a folder even if it is excluded. A file is
/// not if the globs leave it out: whoever wrote them may have left it to a shell to list the files.
///
/// # Errors
/// A root that does not exist or cannot be looked at, or a glob that is none.
pub fn scan(roots: &[PathBuf], options: &ScanOptions) -> Result<Scan, ScanError> {
    let rules = Arc::new(Rules::new(options)?);
    let mut known = HashSet::new();
    let mut distinct = Vec::new();
    for path in roots {
        let root = Root::new(path).map_err(|source| ScanError::NotFound { path: path.clone(), source })?;
        if known.insert(root.canonical.clone()) {
            distinct.push(root);
        }
    }
    let (roots, known) = (distinct.into_iter(), Arc::new(known));
    Ok(Scan { roots, walk: None, way: Vec::new(), closed: None, rules, known, wanted: None })
}

/// A scan under way: what it has yet to come upon.
pub struct Scan {
    roots: vec::IntoIter<Root>,
    walk: Option<Walk>,
    /// The folders the walk is in: whatever keeps one from being listed does not name it.
    way: Vec<PathBuf>,
    /// The folder whose rules could not be read, while the walk is in it.
    closed: Option<PathBuf>,
    rules: Arc<Rules>,
    /// All roots, so that a walk leaves out those that lie within it: they are walked on their own.
    known: Arc<HashSet<PathBuf>>,
    /// `None`: everything.
    wanted: Option<Arc<Wanted>>,
}

impl Iterator for Scan {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            while let Some(entry) = self.walk.as_mut().and_then(Iterator::next) {
                let found = self.come_upon(entry);
                if found.is_some() {
                    return found;
                }
            }
            let Root { path, canonical, file_type } = self.roots.next()?;
            self.walk = None;
            if self.wanted.as_ref().is_some_and(|wanted| !wanted.leads_to(&path)) {
                continue;
            }
            if !file_type.is_dir() && !self.rules.take_named(&path) {
                continue;
            }
            if self.rules.private.covers(&canonical) {
                return Some(Found::Refused { path, problem: Private::problem() });
            }
            if file_type.is_file() {
                return Some(Found::File { path, follow: Follow::Named });
            } else if !file_type.is_dir() {
                return Some(Found::Refused { path, problem: Problem::not_regular(file_type) });
            }
            if let Some(refused) = canonical.ancestors().skip(1).find_map(refuse_rules_of) {
                return Some(refused);
            }
            self.walk = Some(self.begin(path, canonical));
        }
    }
}

impl Scan {
    /// This scan, coming upon nothing but `paths` and what lies below them: those of them it would have come upon anyway.
    /// Each is a root as it was given, and the way from there. No other folders are looked into than those on the way.
    #[must_use]
    pub fn only(self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { wanted: Some(Arc::new(Wanted::new(paths.into_iter().collect()))), ..self }
    }

    /// What to say of what the walk came upon; `None` for what is nobody's business, such as a folder like any other.
    fn come_upon(&mut self, entry: Result<DirEntry, ignore::Error>) -> Option<Found> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(refuse(&error, self.way.get(depth_of(&error).saturating_sub(1)))),
        };
        if self.closed.as_ref().is_some_and(|closed| entry.path().starts_with(closed)) {
            return None;
        }
        // A root that is a link was opened as the folder it leads to.
        if entry.depth() == 0 || entry.file_type().is_some_and(|file_type| file_type.is_dir()) {
            self.way.truncate(entry.depth());
            self.way.push(entry.path().to_owned());
            // The walk takes rules it cannot read for none.
            if let Some(refused) = refuse_rules_of(entry.path()) {
                self.closed = Some(entry.into_path());
                return Some(refused);
            }
        }
        look(entry)
    }

    fn begin(&self, root: PathBuf, canonical: PathBuf) -> Walk {
        let (rules, known, wanted) = (Arc::clone(&self.rules), Arc::clone(&self.known), self.wanted.clone());
        let alone = known.len() == 1;
        WalkBuilder::new(&root)
            .standard_filters(false)
            .parents(true)
            .add_custom_ignore_filename(IGNORE_FILE)
            .max_depth(Some(MAX_DEPTH))
            // Siblings' paths differ in their names alone, and comparing them takes no parsing.
            .sort_by_file_path(|a, b| a.as_os_str().cmp(b.as_os_str()))
            .filter_entry(move |entry| {
                let relative = || entry.path().strip_prefix(&root).unwrap_or(entry.path());
                wanted.as_ref().is_none_or(|wanted| wanted.leads_to(entry.path()))
                    && rules.take(entry, relative)
                    && (alone || !known.contains(&canonical.join(relative())))
            })
            .build()
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("rules", &self.rules).field("roots", &self.known).finish_non_exhaustive()
    }
}

/// What a scan is narrowed to.
#[derive(Debug)]
struct Wanted {
    paths: HashSet<PathBuf>,
    on_the_way: HashSet<PathBuf>,
}

impl Wanted {
    fn new(paths: HashSet<PathBuf>) -> Self {
        let on_the_way = paths.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
        Self { paths, on_the_way }
    }

    /// Whether `path` is wanted, lies below what is, or on the way there.
    fn leads_to(&self, path: &Path) -> bool {
        self.on_the_way.contains(path) || path.ancestors().any(|path| self.paths.contains(path))
    }
}

/// Where a scan begins, links resolved.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    canonical: PathBuf,
    file_type: fs::FileType,
}

impl Root {
    fn new(path: &Path) -> io::Result<Self> {
        let file_type = fs::metadata(path)?.file_type();
        Ok(Self { path: path.to_owned(), canonical: fs::canonicalize(path)?, file_type })
    }
}

/// What is taken and what is left out.
#[derive(Debug)]
struct Rules {
    include: Gitignore,
    exclude: Gitignore,
    hidden: bool,
    private: Arc<Private>,
}

impl Rules {
    fn new(options: &ScanOptions) -> Result<Self, ScanError> {
        Ok(Self {
            include: globs(&options.include)?,
            exclude: globs(&options.exclude)?,
            hidden: options.hidden,
            private: Arc::clone(&options.private),
        })
    }

    /// Whether to take `entry`; a folder that is not taken is not looked into. Folders are taken even if no glob
    /// includes them, because what they hold may be. `relative` is asked for the way from the root only if a glob needs
    /// it: most scans have none.
    fn take<'a>(&self, entry: &DirEntry, relative: impl Fn() -> &'a Path) -> bool {
        let is_folder = entry.file_type().is_some_and(|file_type| file_type.is_dir());
        let name = entry.file_name();
        let left_out = (!self.hidden && name.as_encoded_bytes().starts_with(b"."))
            || is_junk(name.as_encoded_bytes())
            || self.private.covers_entry(name, entry.ino(), entry.path())
            || (!self.exclude.is_empty() && self.exclude.matched(relative(), is_folder).is_ignore());
        let included = || self.include.matched_path_or_any_parents(relative(), is_folder).is_ignore();
        !left_out && (is_folder || self.include.is_empty() || included())
    }

    /// Whether the globs take a file that is a root, by its path as it was given.
    fn take_named(&self, path: &Path) -> bool {
        let path: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let matches = |globs: &Gitignore| globs.matched_path_or_any_parents(&path, false).is_ignore();
        !matches(&self.exclude) && (self.include.is_empty() || matches(&self.include))
    }
}

fn is_junk(name: &[u8]) -> bool {
    let is = |part: Option<&[u8]>, junk: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(junk.as_bytes()));
    JUNK.iter().any(|junk| is(Some(name), junk))
        || JUNK_BEGINNINGS.iter().any(|junk| is(name.get(..junk.len()), junk))
        || JUNK_ENDS.iter().any(|junk| is(name.len().checked_sub(junk.len()).map(|at| &name[at..]), junk))
}

/// Whether `glob` opens a `[` it does not close: git takes that for a glob which matches nothing, and whoever wrote it
/// to leave something out would not notice.
fn has_open_class(glob: &str) -> bool {
    glob.rfind('[').is_some_and(|open| !glob[..open].ends_with('\\') && !glob[open + 1..].contains(']'))
}

fn globs(lines: &[String]) -> Result<Gitignore, ScanError> {
    let bad = |glob: &str, error: ignore::Error| ScanError::BadGlob { glob: glob.to_owned(), source: error.into() };
    let mut builder = GitignoreBuilder::new("");
    for line in lines {
        if has_open_class(line) {
            return Err(ScanError::BadGlob { glob: line.to_owned(), source: "a [ is not closed".into() });
        }
        builder.add_line(None, line).map_err(|error| bad(line, error))?;
    }
    builder.build().map_err(|error| bad("", error))
}

/// What to say of an entry; `None` for a folder like any other.
fn look(entry: DirEntry) -> Option<Found> {
    if let Some(error) = entry.error() {
        return Some(refuse(error, None));
    }
    let is_root = entry.depth() == 0;
    match entry.file_type() {
        Some(file_type) if is_root || file_type.is_dir() => look_at_folder(entry),
        Some(file_type) if file_type.is_symlink() => Some(Found::Symlink(entry.into_path())),
        Some(file_type) if !file_type.is_file() => {
            Some(Found::Refused { path: entry.into_path(), problem: Problem::not_regular(file_type) })
        }
        _ => Some(Found::File { path: entry.into_path(), follow: Follow::Never }),
    }
}

fn look_at_folder(entry: DirEntry) -> Option<Found> {
    let refused = |path: PathBuf, code, message: String, hint: &str| {
        Some(Found::Refused { path, problem: Problem::error(code, message, hint) })
    };
    if entry.depth() == MAX_DEPTH {
        let message = format!("it is a folder {MAX_DEPTH} levels down, and was not looked into");
        return refused(entry.into_path(), ProblemCode::TooDeep, message, "name this folder itself");
    }
    let mime = mime_by_name(entry.path()).filter(|mime| is_media(mime))?;
    let message = format!("it is a folder, though its name says {mime}");
    let hint = "rename the folder; what it holds is looked at all the same";
    refused(entry.into_path(), ProblemCode::NotARegularFile, message, hint)
}

/// What to say of the ignore file of a folder that has one, if that cannot be read.
fn refuse_rules_of(folder: &Path) -> Option<Found> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let path = folder.join(IGNORE_FILE);
    let error = match fs::symlink_metadata(&path) {
        // Whoever may not look into a folder on the way to a root has never seen its rules.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => return None,
        Err(error) => error,
        // What is no text holds rules nobody can follow.
        Ok(_) => fs::read_to_string(&path).err()?,
    };
    Some(Found::Refused { path, problem: Problem::from_io(&error) })
}

/// What to say of a folder that cannot be listed, which is `folder` where the error names none, or of an ignore file that
/// cannot be used.
fn refuse(error: &ignore::Error, folder: Option<&PathBuf>) -> Found {
    let path = path_of(error).or(folder.map(PathBuf::as_path)).unwrap_or(Path::new(IGNORE_FILE)).to_owned();
    let problem = match error.io_error() {
        Some(error) => Problem::from_io(as_the_system_said(error)),
        None => Problem::error(
            ProblemCode::Unreadable,
            format!("a rule in it cannot be used: {}", reason(error)),
            "correct the rule; until then it leaves nothing out",
        ),
    };
    Found::Refused { path, problem }
}

/// The system's own words, without those of the walk around them, which name the path.
fn as_the_system_said(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    inner.and_then(|inner| inner.downcast_ref()).unwrap_or(error)
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::Partial(errors) => errors.first().and_then(path_of),
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// How many folders below the root it happened.
fn depth_of(error: &ignore::Error) -> usize {
    match error {
        ignore::Error::WithDepth { depth, .. } => *depth,
        _ => 0,
    }
}

/// The error without the path in front of it.
fn reason(error: &ignore::Error) -> &ignore::Error {
    match error {
        ignore::Error::Partial(errors) => errors.first().map_or(error, reason),
        ignore::Error::WithPath { err, .. } | ignore::Error::WithDepth { err, .. } => reason(err),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
