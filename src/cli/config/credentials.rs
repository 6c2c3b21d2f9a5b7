//! Where the secrets of a Page are kept, and how they are read: from a variable, or from a file nobody else may read.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::secret::AccessToken;

use super::ConfigError;

/// The Page's token, where the configuration names no other place.
pub(in crate::cli) const ACCESS_TOKEN: &str = "REATTACH_ACCESS_TOKEN";
/// The app's secret, where the configuration names no other place.
pub(in crate::cli) const APP_SECRET: &str = "REATTACH_APP_SECRET";

/// No usable token.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum CredentialError {
    /// A secret is not where it should be.
    #[error("find the Page's token or secret: {variable} is not set")]
    Missing {
        /// The variable that was looked at.
        variable: String,
    },
    /// The variable or file holds no token.
    #[error("read a secret from {place}: it is empty or holds spaces")]
    Unusable {
        /// Where it was looked for.
        place: String,
    },
    /// The file cannot be read.
    #[error("read a secret from {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("read a secret from {}: {why}", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Where a secret is kept.
#[derive(Debug, Clone, Default)]
pub(super) enum Place {
    #[default]
    Usual,
    Given(AccessToken),
    Nowhere,
    Variable(String),
    File(PathBuf),
}

impl Place {
    pub(super) fn of(
        name: &'static str,
        variable: Option<&String>,
        file: Option<&PathBuf>,
    ) -> Result<Self, ConfigError> {
        match (variable, file) {
            (Some(_), Some(_)) => Err(ConfigError::TwoPlaces { name }),
            (Some(variable), None) => Ok(Self::Variable(variable.clone())),
            (None, Some(file)) => Ok(Self::File(file.clone())),
            (None, None) => Ok(Self::Usual),
        }
    }

    pub(super) fn variable(&self, usual: &str) -> String {
        if let Self::Variable(name) = self { name.clone() } else { usual.to_owned() }
    }

    /// The secret and where it was found; `None` when the variable is not set or empty.
    pub(super) fn read(&self, usual: &str) -> Result<Option<(String, String)>, CredentialError> {
        if let Self::File(path) = self {
            return read_secret_file(path).map(|text| Some((text, path.display().to_string())));
        }
        if let Self::Nowhere = self {
            return Ok(None);
        }
        let variable = self.variable(usual);
        Ok(env::var(&variable).ok().filter(|text| !text.trim().is_empty()).map(|text| (text, variable)))
    }
}

pub(super) fn read_secret_file(path: &Path) -> Result<String, CredentialError> {
    let unreadable = |source| CredentialError::Unreadable { path: path.to_owned(), source };
    let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
    if let Some(why) = exposure(&metadata, is_credential(path)) {
        return Err(CredentialError::Exposed { path: path.to_owned(), why });
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// Whether it is one that systemd shows this service alone: by an access list, whose mask stands where else the rights of a
/// group do.
///
/// **Source**: systemd.exec(5), "Credentials"; systemd's issue 29435.
fn is_credential(path: &Path) -> bool {
    env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| path.parent() == Some(Path::new(&folder)))
}

/// What is wrong with the place of a secret; `None` when only its owner can get at it, or the service it is a credential of.
fn exposure(metadata: &fs::Metadata, is_credential: bool) -> Option<&'static str> {
    if !metadata.is_file() {
        return Some("it is not a regular file (links are not followed)");
    }
    let others = if is_credential { 0o037 } else { 0o077 };
    (metadata.permissions().mode() & others != 0).then_some("others may read it")
}
