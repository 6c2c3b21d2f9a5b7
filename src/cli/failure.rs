//! Why a command could not do its work, and what that means: its words, its exit code, what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::campaign::CampaignError;
use crate::causes::{causes, with_causes};
use crate::events::ErrorBody;
use crate::fault::{self, Fault, Sort, class_of};
use crate::graph::GraphError;
use crate::ids::{AttachmentId, KeySpace, PageId};
use crate::library::LibraryError;
use crate::record::{PageIdentity, RecordError};
use crate::sandbox::SandboxError;
use crate::service::{KeyError, TlsError};

use super::config::{ACCESS_TOKEN, ConfigError, CredentialError};
use super::exit::Exit;
use super::output::{Output, shown_text};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{message}")]
    Usage { message: String, hint: String },
    #[error("nothing was done")]
    Stopped,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error("the token is for the Page {actual_name} ({actual}), not for {expected}")]
    WrongPage { expected: PageId, actual: PageId, actual_name: String },
    #[error("{} and {} are the same Page", pages[0], pages[1])]
    SamePage { pages: [String; 2] },
    #[error("the token belongs to {owner} {name} ({id}), and not to a Page")]
    NotAPage { owner: String, id: PageId, name: String },
    #[error("the Page {} ({}) may not send the id it was just given", page.name, page.id)]
    NewIdRefused {
        page: Box<PageIdentity>,
        #[source]
        error: GraphError,
    },
    #[error("{id} is an id of the Page {} for {} at {}", space.page, space.platform, space.origin)]
    AnothersId { id: AttachmentId, space: Box<KeySpace> },
    #[error(transparent)]
    Library(Arc<LibraryError>),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{} could not be {action}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
}

impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        Self::Library(Arc::new(error))
    }
}

impl Failure {
    /// The same failure, told of one asset.
    pub(super) fn of_library(error: &Arc<LibraryError>) -> Self {
        Self::Library(Arc::clone(error))
    }

    /// The error of the library below, where that is what it is.
    fn fault(&self) -> Option<&dyn Fault> {
        match self {
            Self::Library(error) => Some(&**error),
            Self::Graph(error) => Some(error),
            Self::Record(error) => Some(error),
            Self::Campaign(error) => Some(error),
            _ => None,
        }
    }

    /// What Meta said, where Meta is the reason.
    pub(super) fn graph(&self) -> Option<&GraphError> {
        match self {
            Self::NewIdRefused { error, .. } => Some(error),
            _ => self.fault()?.graph(),
        }
    }

    /// The exit code it ends the command with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Config(_)
            | Self::SamePage { .. }
            | Self::Tls(_)
            | Self::Listen { .. }
            | Self::Sandbox(SandboxError::Listen { .. }) => Exit::Usage,
            Self::Credentials(_)
            | Self::WrongPage { .. }
            | Self::NotAPage { .. }
            | Self::NewIdRefused { .. }
            | Self::AnothersId { .. } => Exit::Credentials,
            Self::Stopped => Exit::Interrupted,
            Self::Sandbox(SandboxError::StateInUse { .. }) | Self::Keys(_) => Exit::Store,
            Self::File { source, .. }
            | Self::Sandbox(SandboxError::ReadState { source, .. } | SandboxError::WriteState { source, .. })
                if is_of_its_path(source) =>
            {
                Exit::Usage
            }
            _ => self.fault().map_or(Exit::Unexpected, |fault| fault.sort().into()),
        }
    }

    /// It as an object of JSON.
    pub(super) fn body(&self) -> ErrorBody {
        let class = match (self.graph(), self.exit()) {
            (None, Exit::Usage) => "usage",
            (None, Exit::Credentials) => "credentials",
            (None, Exit::Store) => "store",
            (graph, _) => class_of(self.fault().map_or(Sort::Unexpected, Fault::sort), graph),
        };
        ErrorBody::new(self.graph(), class, self.message(), self.hint(), self.retryable())
    }

    /// What happened and why, in one line.
    pub(super) fn message(&self) -> String {
        with_causes(&self.headline(), self)
    }

    /// What happened, as a sentence. Errors of our own stores and files say what we failed to do.
    fn headline(&self) -> String {
        match self {
            Self::Config(_)
            | Self::Credentials(_)
            | Self::Sandbox(_)
            | Self::Keys(_)
            | Self::Tls(_)
            | Self::Listen { .. } => format!("failed to {self}"),
            _ => self.fault().map_or_else(|| self.to_string(), fault::headline),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Config(error) => config_hint(error),
            Self::Credentials(error) => Some(credential_hint(error)),
            Self::WrongPage { expected, .. } => {
                Some(format!("use a Page access token of {expected}, or choose the right Page with --page"))
            }
            Self::AnothersId { .. } => {
                Some("an id is good for its own Page and platform alone: send it for those, or name the file".into())
            }
            Self::SamePage { .. } => Some("name one of them, or give each its own token".into()),
            Self::NotAPage { .. } => Some(
                "ask Meta for the Page's own token: GET /me/accounts with this one lists them, as does the app's dashboard"
                    .into(),
            ),
            Self::NewIdRefused { .. } => {
                Some("see whether the token is this Page's own, and the platform the one it was uploaded for".into())
            }
            Self::Sandbox(error) => error.hint().map(ToOwned::to_owned),
            Self::Keys(KeyError::Exposed { path }) => Some(format!("chmod 600 {}, as a regular file", path.display())),
            Self::Keys(_) => Some("delete the file, and a new token is made; programs and browsers need that one then".into()),
            Self::Listen { .. } => Some("choose another address with --listen; port 0 takes any that is free".into()),
            Self::File { source, .. } if is_of_its_path(source) => {
                Some("check the path: its folder has to be there, and you need the right to write in it".into())
            }
            Self::File { .. } | Self::Tls(_) | Self::Stopped => None,
            Self::Library(_) | Self::Graph(_) | Self::Record(_) | Self::Campaign(_) => self.fault()?.what_to_do(),
        }
    }

    /// Whether the same command may succeed later, unchanged.
    pub(super) fn retryable(&self) -> bool {
        match self {
            Self::NewIdRefused { error, .. } => error.retryable(),
            Self::Stopped => true,
            _ => self.fault().is_some_and(fault::is_retryable),
        }
    }

    /// Prints it for people: what happened, what caused it, what to do.
    pub(super) fn print(&self, output: &Output) {
        self.print_as(output, &output.palette.bad("error:"));
    }

    /// The same, of one Page among several.
    pub(super) fn print_of(&self, page: &str, output: &Output) {
        self.print_as(output, &format!("{} {page}:", output.palette.bad("error:")));
    }

    fn print_as(&self, output: &Output, heading: &str) {
        let (palette, headline) = (output.palette, self.headline());
        output.complain(format_args!("{heading} {}", shown_text(&headline)));
        for cause in causes(&headline, self) {
            output.complain(format_args!("  caused by: {}", shown_text(&cause)));
        }
        if let Some(hint) = self.hint() {
            output.complain(format_args!("  {} {hint}", palette.strong("hint:")));
        }
    }
}

/// Whether it is the path that is wrong, and not the disk.
fn is_of_its_path(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | PermissionDenied | InvalidInput | InvalidFilename)
}

/// What people write who would put a secret into the configuration itself.
const SECRET_FIELDS: [&str; 3] = ["`access_token` is unknown", "`token` is unknown", "`app_secret` is unknown"];

fn config_hint(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::NoPageChosen { .. } => Some("name one with --page, or set page = \"…\" in the file".into()),
        ConfigError::SeveralPages { .. } => Some("name one with --page, and run the command once for each".into()),
        ConfigError::UnknownStore { .. } => {
            Some("for example --store sled:/var/lib/reattach or --store postgres://reattach@db.example/reattach".into())
        }
        ConfigError::Address { .. } => Some("docs/POSTGRES.md says what may stand in it".into()),
        ConfigError::Passfile(error) => Some(credential_hint(error)),
        ConfigError::StrangeOrigin { path, .. } => {
            Some(format!("if you trust it with your token, say so: --config {}", path.display()))
        }
        ConfigError::NoHome => Some("say where with --store sled:FOLDER".into()),
        ConfigError::UnknownPage { .. } => Some("Pages are configured as [pages.NAME] in reattach.toml".into()),
        ConfigError::Malformed { reason, .. } if SECRET_FIELDS.iter().any(|field| reason.contains(field)) => Some(
            "a secret does not stand in the configuration: access_token_env or app_secret_env names the variable that \
             holds it, access_token_file or app_secret_file the file"
                .into(),
        ),
        ConfigError::Malformed { .. } => Some("the README shows one that works, under Configuration".into()),
        ConfigError::Unreadable { .. } => Some("check its path and permissions".into()),
        ConfigError::WrongVariable { .. } | ConfigError::TwoPlaces { .. } => None,
    }
}

fn credential_hint(error: &CredentialError) -> String {
    match error {
        CredentialError::Missing { variable } if variable != ACCESS_TOKEN => {
            format!("set {variable}, which the configuration names, or correct its name there")
        }
        CredentialError::Missing { .. } => format!(
            "set {ACCESS_TOKEN} to a Page access token with the pages_messaging permission, or name its place in \
             reattach.toml (access_token_env, access_token_file); `reattach sandbox` needs no real one"
        ),
        CredentialError::Unusable { .. } => "a token is one word of letters, digits and signs".into(),
        CredentialError::Unreadable { .. } => "check its path and permissions".into(),
        CredentialError::Exposed { path, .. } => format!("chmod 600 {}, as a regular file", path.display()),
    }
}
