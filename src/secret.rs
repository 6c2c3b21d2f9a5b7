//! Secrets that no log, error or `Debug` can show.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A Page access token. `Debug` and `Display` never show it; memory is wiped when it is dropped.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// The token found in `text`, without surrounding white space; `None` when nothing is left or when it holds
    /// a character no header may carry.
    pub fn new(text: &str) -> Option<Self> {
        secret(text).map(Self)
    }

    /// The token itself: for the `Authorization` header and the proof, nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A short digest that tells tokens apart and gives none away: half of SHA-256.
    pub fn fingerprint(&self) -> TokenFingerprint {
        let digest: [u8; 32] = Sha256::digest(self.expose()).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        TokenFingerprint(half)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// Tells two tokens apart without holding either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenFingerprint(pub [u8; 16]);

/// An app secret, the key of `appsecret_proof`. Shown no more than a token is.
#[derive(Clone)]
pub struct AppSecret(SecretString);

impl AppSecret {
    /// The secret found in `text`, without surrounding white space; `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        secret(text).map(Self)
    }

    /// The secret itself: the key of the proof, nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecret(…)")
    }
}

fn secret(text: &str) -> Option<SecretString> {
    let text = text.trim();
    let usable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let token = AccessToken::new(" EAAB-canary\n").expect("a token");
        let app_secret = AppSecret::new("app-canary").expect("a secret");
        assert_eq!(token.expose(), "EAAB-canary");
        assert!(!format!("{token:?} {app_secret:?} {:?}", token.fingerprint()).contains("canary"));
    }

    #[test]
    fn a_token_with_a_line_break_inside_is_none() {
        assert!(AccessToken::new("EAAB\nHost: evil").is_none());
        assert!(AccessToken::new("  ").is_none());
    }

    #[test]
    fn fingerprints_tell_tokens_apart() {
        let of = |text| AccessToken::new(text).expect("a token").fingerprint();
        assert_eq!(of("a"), of("a "));
        assert_ne!(of("a"), of("b"));
    }
}
