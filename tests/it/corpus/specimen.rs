//! A file nobody would want in a library, and what the rules say of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

/// One entry of the corpus.
pub(super) struct Specimen {
    /// What sort of trouble it is.
    pub(super) sort: &'static str,
    /// Where it lies, from the library on.
    pub(super) name: OsString,
    pub(super) what: What,
    pub(super) verdict: Verdict,
    pub(super) copy: Fit,
    pub(super) shown: Shown,
}

/// What lies there.
pub(super) enum What {
    Bytes(Vec<u8>),
    /// So many bytes of nothing, behind these.
    Sparse(Vec<u8>, u64),
    Fifo,
    Socket,
    /// With a good picture in it, which is another specimen.
    Folder,
    Link(&'static str),
    /// Another name of an entry before it.
    Twin(&'static str),
    /// Nobody may read it; but the superuser does.
    Locked(Vec<u8>),
    /// It came with one before it.
    Known,
}

/// What `check` and `sync` must say. **Source**: the README's table of problems, and the limits of `media::limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes up as this kind, with these warnings.
    Taken(&'static str, &'static [&'static str]),
    /// It stays here, for this reason before all others.
    Refused(&'static str),
    /// Nothing is said of it.
    Skipped,
}

/// What `--fit` must make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It needs no copy, or no copy would help.
    AsItIs,
    /// A copy goes in its place.
    Copied,
    /// It needs a copy, and none can be made: it is told why, in this word.
    Told(&'static str),
    /// It needs a copy, and its pixels may be too damaged for one.
    CopiedOrTold,
}

/// Whether the gallery has a picture of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Yes,
    No,
    /// Its pixels are damaged, or take long: whatever the decoder makes of that, it comes to an end.
    PerhapsNot,
}

impl Specimen {
    pub(super) fn new(sort: &'static str, name: impl Into<OsString>, what: What, verdict: Verdict) -> Self {
        Self { sort, name: name.into(), what, verdict, copy: Fit::AsItIs, shown: Shown::No }
    }

    pub(super) fn bytes(sort: &'static str, name: &str, bytes: impl Into<Vec<u8>>, verdict: Verdict) -> Self {
        Self::new(sort, name, What::Bytes(bytes.into()), verdict)
    }

    pub(super) fn copied(self) -> Self {
        Self { copy: Fit::Copied, ..self }
    }

    pub(super) fn told(self, why: &'static str) -> Self {
        Self { copy: Fit::Told(why), ..self }
    }

    pub(super) fn copied_or_told(self) -> Self {
        Self { copy: Fit::CopiedOrTold, ..self }
    }

    pub(super) fn shown(self) -> Self {
        Self { shown: Shown::Yes, ..self }
    }

    pub(super) fn perhaps_not_shown(self) -> Self {
        Self { shown: Shown::PerhapsNot, ..self }
    }

    /// Puts it into the library.
    pub(super) fn plant(&self, library: &Path) {
        let path = library.join(&self.name);
        match &self.what {
            What::Bytes(bytes) => write(library, &self.name, bytes),
            What::Sparse(bytes, length) => {
                write(library, &self.name, bytes);
                let file = fs::File::options().write(true).open(path).expect("a file");
                file.set_len(*length).expect("a sparse file");
            }
            What::Fifo => mkfifoat(CWD, path, Mode::RWXU).expect("a pipe"),
            What::Socket => drop(UnixListener::bind(path).expect("a socket")),
            What::Folder => fs::create_dir(path).expect("a folder"),
            What::Link(to) => symlink(to, path).expect("a link"),
            What::Twin(of) => fs::hard_link(library.join(of), path).expect("a link"),
            What::Locked(bytes) => {
                write(library, &self.name, bytes);
                rustix::fs::chmod(path, Mode::empty()).expect("a mode");
            }
            What::Known => assert!(path.exists()),
        }
    }
}

/// Writes a file whose path may be longer than the system takes at once: folder by folder.
fn write(library: &Path, name: &OsString, bytes: &[u8]) {
    let name = Path::new(name);
    let mut folder = rustix::fs::open(library, OFlags::DIRECTORY, Mode::empty()).expect("a folder");
    for part in name.parent().into_iter().flat_map(Path::components) {
        let _ = rustix::fs::mkdirat(&folder, part.as_os_str(), Mode::RWXU);
        folder = rustix::fs::openat(&folder, part.as_os_str(), OFlags::DIRECTORY, Mode::empty()).expect("a folder");
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
    let last = name.file_name().expect("a name");
    let file = rustix::fs::openat(&folder, last, flags, Mode::RUSR | Mode::WUSR).expect("a new file");
    std::io::Write::write_all(&mut fs::File::from(file), bytes).expect("written");
}

/// A name of bytes that are no text.
pub(super) fn raw_name(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
