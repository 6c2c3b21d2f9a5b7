//! What is known of a file: which file it was (`Fingerprint`) and what its bytes say (`Facts`).
//!
//! Facts depend on nothing but the bytes, so they can be remembered; verdicts, which also depend on the name, the
//! platform and its limits, are made anew each time (`media::limits`).

use serde::{Deserialize, Serialize};

use crate::ids::ContentHash;

/// Which file this was when it was read, as `stat` tells it. Names are no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The device the file lies on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When its bytes last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When its inode last changed, in nanoseconds since 1970.
    pub changed_ns: i64,
}

/// What a file's bytes say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// SHA-256 of the bytes.
    pub hash: ContentHash,
    /// How many bytes there are.
    pub size_bytes: u64,
    /// The media type its first bytes declare, such as `image/png`; `None` when they declare none.
    pub mime: Option<String>,
    /// Width and height in pixels, where the bytes are an image whose header could be read.
    pub dimensions: Option<Dimensions>,
    /// What is wrong with the bytes themselves, such as a picture cut short.
    pub damage: Option<Damage>,
}

/// Width and height in pixels, as the header declares them (before any EXIF rotation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dimensions {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Dimensions {
    /// Width times height.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A defect that shows in the bytes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Damage {
    /// The first bytes promise an image, but its header cannot be read.
    BadHeader,
    /// The file ends before its own structure says it does.
    Truncated,
}
