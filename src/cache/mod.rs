//! What this machine remembers of what it would otherwise have to find out again: what a file's bytes said when they were
//! last read, and what a record that is kept elsewhere last said.
//!
//! Nothing here is truth. The whole folder may be deleted, cut short or overwritten at any time: the worst that can
//! follow is that files are read again, and that nobody answers in a record's place while it is away. Uploads and their ids
//! live in `record`; `library::known` says what of it may be kept here, and for how long it is believed.
//!
//! Fingerprints are stored as a sled tree of *buckets*, one for each 32 neighbouring inodes of a device (layout:
//! `bucket`), because files of one library lie close together: 100,000 files are about 3,200 values, read as they are
//! asked for, so memory does not grow with the library. Notes, of whatever sort, lie in a tree of their own.
//!
//! Beside the folder `NAME` stand `NAME.lock` (who has it open), for a while `NAME.damaged` (why the next one to open
//! it must not trust it) and `NAME.corrupt-TIME` (a damaged cache that was set aside).

mod bucket;
mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod sealed;
mod sled;
#[cfg(test)]
mod tests;

pub use self::folder::CacheNote;
pub use self::sled::{FileCache, Opened, silence_engine_panics};
