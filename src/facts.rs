//! What is known of a file: which file it was (`Fingerprint`) and what its bytes say (`Facts`).
//!
//! Facts depend on nothing but the bytes, so they can be remembered; verdicts, which also depend on the name, the
//! platform and its limits, are made anew each time (`media::limits`).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
    #[serde(deserialize_with = "media_type")]
    pub mime: Option<Cow<'static, str>>,
    /// Width and height in pixels, where the bytes are an image whose header could be read.
    pub dimensions: Option<Dimensions>,
    /// What is wrong with the bytes themselves, such as a picture cut short.
    pub damage: Option<Damage>,
}

/// What most files of a library are. A library of many thousands is told from memory, and to keep a text for each of them
/// would take longer than to look it up.
const USUAL_MEDIA_TYPES: &[&str] =
    &["image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "application/pdf"];

fn media_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'static, str>>, D::Error> {
    struct MediaType(Cow<'static, str>);

    struct Reads;

    impl Visitor<'_> for Reads {
        type Value = MediaType;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a media type")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<MediaType, E> {
            let usual = USUAL_MEDIA_TYPES.iter().copied().find(|usual| *usual == text);
            Ok(MediaType(usual.map_or_else(|| text.to_owned().into(), Cow::Borrowed)))
        }
    }

    impl<'de> Deserialize<'de> for MediaType {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Reads)
        }
    }

    let found = Option::<MediaType>::deserialize(deserializer)?;
    Ok(found.map(|MediaType(text)| text))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_media_types_are_read_without_a_text_of_their_own() {
        for (mime, is_usual) in [("image/png", true), ("image/x-portable-anymap", false)] {
            let facts = Facts {
                hash: ContentHash([7; 32]),
                size_bytes: 1,
                mime: Some(mime.to_owned().into()),
                dimensions: None,
                damage: None,
            };
            let bytes = postcard::to_allocvec(&facts).expect("facts have no form postcard lacks");
            let read: Facts = postcard::from_bytes(&bytes).expect("facts");
            assert_eq!(read, facts);
            assert_eq!(matches!(read.mime, Some(Cow::Borrowed(_))), is_usual, "{mime}");
        }
    }
}
