//! Whose an access token is, what it may do, and until when, as Meta says.

use crate::clock::Timestamp;
use crate::ids::PageId;

/// The permission without which a token can neither upload nor send.
///
/// **Source**: Messenger Platform, "Send a Message" and "Saving Assets" (read 2026): required permissions.
pub const SEND_PERMISSION: &str = "pages_messaging";

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The Page's id, or a person's.
    pub id: PageId,
    /// Its name.
    pub name: Option<String>,
    /// What it is; `None` where the server does not say.
    pub owner: Option<TokenOwner>,
}

/// What a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOwner {
    /// A Page.
    Page,
    /// A person.
    User,
    /// Something else, by Meta's word for it.
    Other(String),
}

impl TokenOwner {
    pub(super) fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "page" => Self::Page,
            "user" => Self::User,
            _ => Self::Other(word.to_owned()),
        }
    }
}

/// What Meta knows of a token.
///
/// **Source**: Graph API reference, `debug_token` (v25.0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The app it was made for.
    pub app_id: Option<String>,
    /// What it speaks for.
    pub owner: Option<TokenOwner>,
    /// Whether it works.
    pub is_valid: bool,
    /// When it ends; `None` where it does not, or that is not said.
    pub expires_at: Option<Timestamp>,
    /// When it may read no data any more; `None` where that is not said.
    pub data_access_expires_at: Option<Timestamp>,
    /// The permissions it was given.
    pub scopes: Vec<String>,
    /// Why it does not work.
    pub error: Option<String>,
}

impl TokenFacts {
    /// Whether Meta lists what the token may do, and this is not among it.
    pub fn lacks_send_permission(&self) -> bool {
        !self.scopes.is_empty() && !self.scopes.iter().any(|scope| scope == SEND_PERMISSION)
    }
}
