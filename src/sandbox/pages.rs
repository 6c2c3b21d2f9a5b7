//! Who exists in the sandbox: two Pages, one person, one app.

use serde::Serialize;

/// A Page of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SandboxPage {
    /// Its numeric id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The Page access token that speaks for it.
    pub access_token: &'static str,
}

/// The two Pages, the same in every sandbox.
pub const PAGES: [SandboxPage; 2] = [
    SandboxPage { id: "106000000000001", name: "Sandbox Bakery", access_token: "SANDBOX-PAGE-1" },
    SandboxPage { id: "106000000000002", name: "Sandbox Florist", access_token: "SANDBOX-PAGE-2" },
];

/// A *user* access token: valid, but it speaks for a person, so it can neither upload nor send.
pub const USER_TOKEN: &str = "SANDBOX-USER";

/// The app all tokens belong to. Its own token is `APP_ID|APP_SECRET`, as Graph writes app tokens.
pub const APP_ID: &str = "235000000000001";

/// The secret of the app all tokens belong to: the key of `appsecret_proof`.
pub const APP_SECRET: &str = "sandbox-secret";

pub(super) const APP_NAME: &str = "Sandbox App";
pub(super) const USER_ID: &str = "122000000000001";
pub(super) const USER_NAME: &str = "Sandbox Person";

/// Whom a token speaks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bearer {
    Page(&'static SandboxPage),
    User,
    App,
}

impl Bearer {
    pub(super) fn of(token: &str) -> Option<Self> {
        if token == USER_TOKEN {
            return Some(Self::User);
        }
        if token.split_once('|') == Some((APP_ID, APP_SECRET)) {
            return Some(Self::App);
        }
        PAGES.iter().find(|page| page.access_token == token).map(Self::Page)
    }

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Page(page) => page.id,
            Self::User => USER_ID,
            Self::App => APP_ID,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Page(page) => page.name,
            Self::User => USER_NAME,
            Self::App => APP_NAME,
        }
    }
}
