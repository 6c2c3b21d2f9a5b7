//! References as commands take them: read, checked, and resolved to ids that may be sent.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::library::{AssetRef, Inspector};

/// Reading this much takes less time than opening the cache that would spare it.
const READ_RATHER_THAN_RECALL: u64 = 8 << 20;

/// A path that leads nowhere is a mistake in the command, not in a file.
pub(super) fn must_exist(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::Usage {
            message: format!("there is no file {}", path.display()),
            hint: "check the path; it is read from the current folder".into(),
        }),
        _ => Ok(()),
    }
}

/// Reads a reference, as a usage failure where it is none.
pub(super) fn reference(text: &OsStr) -> Result<AssetRef, Failure> {
    let refused = |message: String| Failure::Usage {
        message,
        hint: "a reference is a path, sha256: with 64 hexadecimal digits, an @alias, or a web address".into(),
    };
    if text.is_empty() {
        return Err(refused("an empty text refers to nothing".into()));
    }
    AssetRef::parse(text).map_err(|error| refused(error.to_string()))
}

/// What recognises the references' files: with the cache only where that is faster than reading them.
pub(super) fn inspector_for(context: &Context, references: &[AssetRef]) -> Inspector {
    let size = |reference: &AssetRef| match reference {
        AssetRef::File(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    let total = references.iter().map(size).fold(0, u64::saturating_add);
    if total > READ_RATHER_THAN_RECALL { context.inspector() } else { context.inspector_without_cache() }
}
