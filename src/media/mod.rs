//! Files on disk, from a folder's name to a verdict.

mod iso_media;
pub mod limits;
pub mod pool;
pub mod probe;
pub mod problem;
mod sniff;
mod structure;

pub use limits::{Verdict, judge, judge_size};
pub use pool::{BytePool, PooledBuffer};
pub use probe::{Probe, probe};
pub use problem::{Problem, ProblemCode, Severity};
