//! Files on disk, from a folder's name to a verdict: which files there are ([`scan()`]), what one of them holds
//! ([`Reader`]), and whether the platform will take it ([`judge`]).
//!
//! Everything here is synchronous and meant for plain threads. A file is read once, into a buffer of the [`BytePool`];
//! its hash, type and dimensions come from that buffer, and the same buffer is what an upload sends. Nothing here
//! remembers, uploads or prints.

mod bounds;
mod fingerprint;
pub mod fit;
mod format;
mod hasher;
mod iso_media;
pub mod limits;
mod neighbours;
mod pool;
mod private;
mod probe;
mod problem;
mod read;
mod scan;
mod settling;
mod sniff;
mod structure;
pub mod thumbnail;
mod tiff;
mod watch;

pub use bounds::Bounds;
pub(crate) use bounds::enter;
pub use fingerprint::{Trust, fingerprint, trust};
pub use fit::{Fit, FitRules, FittedCopy, fit};
pub(crate) use hasher::ContentHasher;
pub use limits::{Verdict, judge, judge_as_file, judge_size};
pub use neighbours::Neighbours;
pub use pool::{BytePool, PooledBuffer};
pub use private::Private;
pub use probe::{Probe, probe};
pub use problem::{Problem, ProblemCode, Severity};
pub use read::{Content, Follow, Reader, Stat, stat};
pub use scan::{Found, Scan, ScanError, ScanOptions, scan};
pub use watch::{Seen, WatchError, Watcher};
