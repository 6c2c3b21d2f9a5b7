//! How a user points at an asset: a path, `sha256:HEX`, `@alias` or a URL.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::ids::{AliasName, ContentHash, InvalidId, WebUrl};

/// A reference to an asset, as written on a command line or in a message.
///
/// A file whose name begins like another form is named with a path: `./@hero`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AssetRef {
    /// A file on this machine.
    File(PathBuf),
    /// Bytes known by their digest alone: `sha256:` and 64 hexadecimal digits.
    Hash(ContentHash),
    /// A name given with `reattach alias`.
    Alias(AliasName),
    /// A file Meta can fetch.
    Url(WebUrl),
}

impl AssetRef {
    /// Reads a reference; anything that is no other form is a path.
    pub fn parse(text: &OsStr) -> Result<Self, InvalidId> {
        let Some(word) = text.to_str() else { return Ok(Self::File(text.into())) };
        if let Some(digits) = word.strip_prefix("sha256:") {
            Ok(Self::Hash(digits.parse()?))
        } else if let Some(name) = word.strip_prefix('@') {
            Ok(Self::Alias(name.parse()?))
        } else if WebUrl::is_meant(word) {
            Ok(Self::Url(WebUrl::given(word)?))
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

/// The path as it is meant from `folder`, where `.` needs no mention.
pub fn in_folder(folder: &Path, path: &Path) -> PathBuf {
    if folder == Path::new(".") { path.to_owned() } else { folder.join(path) }
}

impl fmt::Display for AssetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Hash(hash) => write!(f, "sha256:{hash}"),
            Self::Alias(name) => name.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_first_letters() {
        let parse = |text: &str| AssetRef::parse(text.as_ref()).expect(text);
        assert_eq!(parse("banners/hero.png"), AssetRef::File("banners/hero.png".into()));
        assert_eq!(parse("./@hero"), AssetRef::File("./@hero".into()));
        assert_eq!(parse("@hero"), AssetRef::Alias("hero".parse().expect("a name")));
        assert_eq!(parse("C:/hero.png"), AssetRef::File("C:/hero.png".into()));
        assert_eq!(parse(&format!("sha256:{}", "ab".repeat(32))), AssetRef::Hash(ContentHash([0xab; 32])));
        assert!(matches!(parse("https://example.com/a.png"), AssetRef::Url(_)));
    }

    #[test]
    fn half_a_digest_or_name_is_refused_rather_than_taken_for_a_file() {
        assert!(AssetRef::parse("sha256:abcd".as_ref()).is_err());
        assert!(AssetRef::parse("@".as_ref()).is_err());
    }
}
