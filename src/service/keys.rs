//! The service's two tokens: one that may do everything, one that may only look.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::access::Scope;

/// The file of the token that may do everything.
const SEND: &str = "serve.token";
/// The file of the token that may only look.
const READ: &str = "serve-read.token";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can neither be read nor made.
    #[error("keep the service's token in {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("trust the token in {}: others may read or replace it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// It is too short to be one.
    #[error("use the token in {}: it is shorter than 32 characters", path.display())]
    Short {
        /// Which file.
        path: PathBuf,
    },
}

/// Who may come in: whoever knows one of two tokens.
#[derive(Debug, Clone)]
pub struct Keys {
    send: SecretString,
    read: SecretString,
}

impl Keys {
    /// The tokens kept in `folder`, made there where they are missing: 256 random bits each, for our eyes only.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        Ok(Self { send: token_in(&folder.join(SEND))?, read: token_in(&folder.join(READ))? })
    }

    /// Where in `folder` the token lies that may do everything.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(SEND)
    }

    /// The token that may do everything, to hand to whoever shall.
    pub fn expose(&self) -> &str {
        self.send.expose_secret()
    }

    /// What somebody who shows this token may do. Digests are compared, so that how long it takes tells nothing.
    pub(super) fn scope_of(&self, shown: &[u8]) -> Option<Scope> {
        let is = |token: &SecretString| Sha256::digest(token.expose_secret().as_bytes()) == Sha256::digest(shown);
        match (is(&self.send), is(&self.read)) {
            (true, _) => Some(Scope::Send),
            (false, true) => Some(Scope::Read),
            (false, false) => None,
        }
    }

    /// The key sessions of that scope are signed with: they end when its token is made anew.
    pub(super) fn signing(&self, scope: Scope) -> [u8; 32] {
        let token = match scope {
            Scope::Read => &self.read,
            Scope::Send => &self.send,
        };
        Sha256::new().chain_update(b"session\0").chain_update(token.expose_secret()).finalize().into()
    }
}

fn token_in(path: &Path) -> Result<SecretString, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !is_ours_alone(&metadata) => return Err(KeyError::Exposed { path: path.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    match text.trim() {
        token if token.len() < 32 => Err(KeyError::Short { path: path.to_owned() }),
        token => Ok(token.into()),
    }
}

/// Writes a new token, unless another process was first. It appears under its name only whole.
fn make(path: &Path) -> io::Result<()> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension(format!("token-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{}", hex::encode(bits)).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn is_ours_alone(metadata: &fs::Metadata) -> bool {
    metadata.is_file() && metadata.permissions().mode().trailing_zeros() >= 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_once_and_differ() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::load(&folder.path().join("store")).expect("keys");
        let again = Keys::load(&folder.path().join("store")).expect("keys");
        assert_eq!(keys.expose(), again.expose());
        assert_eq!(keys.expose().len(), 64);
        assert_eq!(keys.scope_of(keys.expose().as_bytes()), Some(Scope::Send));
        assert_eq!(keys.scope_of(keys.read.expose_secret().as_bytes()), Some(Scope::Read));
        assert_eq!(keys.scope_of(&keys.expose().as_bytes()[..63]), None);
        assert_eq!(keys.scope_of(b""), None);
    }

    #[test]
    fn a_token_others_can_read_is_not_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        Keys::load(folder.path()).expect("keys");
        let path = folder.path().join(SEND);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
        assert!(matches!(Keys::load(folder.path()), Err(KeyError::Exposed { .. })));
    }
}
