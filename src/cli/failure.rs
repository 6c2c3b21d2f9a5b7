//! Why a command could not do its work, and what that means: its words, its exit code, what to do.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::campaign::CampaignError;
use crate::graph::{Certainty, GraphError, Operation, Scope};
use crate::ids::PageId;
use crate::library::LibraryError;
use crate::media::WatchError;
use crate::record::{PageIdentity, RecordError};
use crate::sandbox::SandboxError;

use super::config::{ACCESS_TOKEN, ConfigError, CredentialError};
use super::exit::Exit;
use super::output::{Output, shown_text};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{message}")]
    Usage { message: String, hint: String },
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

    /// What Meta said, where Meta is the reason.
    pub(super) fn graph(&self) -> Option<&GraphError> {
        match self {
            Self::Graph(error) | Self::NewIdRefused { error, .. } => Some(error),
            Self::Library(error) => match &**error {
                LibraryError::Graph(error) => Some(error),
                LibraryError::NotHealed { cause, .. } => match &**cause {
                    LibraryError::Graph(error) => Some(error),
                    _ => None,
                },
                _ => None,
            },
            Self::Campaign(CampaignError::Graph(error) | CampaignError::Library(LibraryError::Graph(error))) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// The exit code it ends the command with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Config(_) | Self::SamePage { .. } => Exit::Usage,
            Self::Credentials(_) | Self::WrongPage { .. } | Self::NotAPage { .. } | Self::NewIdRefused { .. } => {
                Exit::Credentials
            }
            Self::Library(error) => library_exit(error),
            Self::Graph(error) => graph_exit(error),
            Self::Campaign(error) => campaign_exit(error),
            Self::Record(_) | Self::Sandbox(SandboxError::StateInUse { .. }) => Exit::Store,
            Self::Sandbox(_) | Self::File { .. } => Exit::Unexpected,
        }
    }

    /// What sort of failure it is, in one word: Meta's class where Meta gave a code.
    pub(super) fn class(&self) -> &'static str {
        match (self.graph(), self.exit()) {
            (Some(error), _) => graph_class(error),
            (None, Exit::Usage) => "usage",
            (None, Exit::Credentials) => "credentials",
            (None, Exit::Store) => "store",
            (None, _) => "local",
        }
    }

    /// What happened and why, in one line.
    pub(super) fn message(&self) -> String {
        causes(self).fold(self.headline(), |text, cause| format!("{text}: {cause}"))
    }

    /// What happened, as a sentence. Errors of our own stores and files say what we failed to do.
    fn headline(&self) -> String {
        match self {
            Self::Config(_)
            | Self::Credentials(_)
            | Self::Record(_)
            | Self::Sandbox(_)
            | Self::Campaign(CampaignError::Record(_) | CampaignError::Ledger(_)) => format!("failed to {self}"),
            Self::Library(error) if error.says_what_failed() => format!("failed to {self}"),
            Self::Usage { .. }
            | Self::WrongPage { .. }
            | Self::SamePage { .. }
            | Self::NotAPage { .. }
            | Self::NewIdRefused { .. }
            | Self::Library(_)
            | Self::Graph(_)
            | Self::Campaign(_)
            | Self::File { .. } => self.to_string(),
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
            Self::SamePage { .. } => Some("name one of them, or give each its own token".into()),
            Self::NotAPage { .. } => Some(
                "ask Meta for the Page's own token: GET /me/accounts with this one lists them, as does the app's dashboard"
                    .into(),
            ),
            Self::NewIdRefused { .. } => {
                Some("see whether the token is this Page's own, and the platform the one it was uploaded for".into())
            }
            Self::Library(error) => error.hint(),
            Self::Graph(error) => error.hint().map(ToOwned::to_owned),
            Self::Campaign(error) => error.hint(),
            Self::Record(error) => error.hint().map(ToOwned::to_owned),
            Self::Sandbox(error) => error.hint().map(ToOwned::to_owned),
            Self::File { .. } => None,
        }
    }

    /// Whether the same command may succeed later, unchanged.
    pub(super) fn retryable(&self) -> bool {
        match self.graph() {
            Some(error) => error.retryable(),
            None => match self {
                Self::Record(error) | Self::Campaign(CampaignError::Record(error)) => is_passing(error),
                Self::Campaign(CampaignError::Ledger(error)) => is_passing(error),
                _ => false,
            },
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
        let palette = output.palette;
        output.complain(format_args!("{heading} {}", shown_text(&self.headline())));
        for cause in causes(self) {
            output.complain(format_args!("  caused by: {}", shown_text(&cause.to_string())));
        }
        if let Some(hint) = self.hint() {
            output.complain(format_args!("  {} {hint}", palette.strong("hint:")));
        }
    }
}

/// Whether the record may be had in a while.
fn is_passing(error: &RecordError) -> bool {
    matches!(error, RecordError::Locked { .. } | RecordError::Away { .. } | RecordError::Lapsed)
}

/// What caused it, what caused that, and so on.
fn causes(failure: &Failure) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(failure.source(), |cause| (*cause).source())
}

fn library_exit(error: &LibraryError) -> Exit {
    match error {
        LibraryError::Scan(_)
        | LibraryError::Message(_)
        | LibraryError::NoPage
        | LibraryError::Watch(WatchError::Scan(_)) => Exit::Usage,
        LibraryError::Watch(_) => Exit::Unexpected,
        LibraryError::Graph(error) => graph_exit(error),
        LibraryError::Record(_)
        | LibraryError::NotKnown { .. }
        | LibraryError::Watched { .. }
        | LibraryError::WatchLock { .. } => Exit::Store,
        LibraryError::OtherPage { .. } | LibraryError::ReplacedTooOften { .. } => Exit::Credentials,
        LibraryError::Claimed { .. } => Exit::TryLater,
        LibraryError::Unusable { .. }
        | LibraryError::Changed { .. }
        | LibraryError::Superseded { .. }
        | LibraryError::NotRecorded { .. }
        | LibraryError::NoSource { .. }
        | LibraryError::NoSuchAlias { .. }
        | LibraryError::AliasOutdated { .. }
        | LibraryError::NotSaved { .. }
        | LibraryError::OtherKind { .. }
        | LibraryError::KindUnknown { .. } => Exit::SomeFailed,
        LibraryError::Reference { cause, .. } | LibraryError::NotHealed { cause, .. } => library_exit(cause),
    }
}

fn campaign_exit(error: &CampaignError) -> Exit {
    match error {
        CampaignError::Library(error) => library_exit(error),
        CampaignError::Graph(error) => graph_exit(error),
        CampaignError::Record(_)
        | CampaignError::Ledger(_)
        | CampaignError::Held { .. }
        | CampaignError::Unintelligible { .. } => Exit::Store,
        CampaignError::NotPermitted { .. } => Exit::Credentials,
        CampaignError::Stopped => Exit::Interrupted,
        _ => Exit::Usage,
    }
}

fn graph_exit(error: &GraphError) -> Exit {
    match (error.scope(), error.outcome(), error) {
        (_, _, GraphError::Invalid(_)) => Exit::Usage,
        (Some(Scope::Page), ..) => Exit::Credentials,
        (Some(Scope::Rate | Scope::Connection), ..) => Exit::TryLater,
        (_, _, GraphError::Stopped { .. }) => Exit::Interrupted,
        (_, Certainty::Unknown, GraphError::Unknown { operation: Operation::Send | Operation::Batch, .. }) => {
            Exit::UnknownOutcome
        }
        (_, Certainty::Unknown, _) => Exit::TryLater,
        _ => Exit::SomeFailed,
    }
}

fn graph_class(error: &GraphError) -> &'static str {
    match (error.class(), error) {
        (Some(class), _) => class.as_str(),
        (None, GraphError::Invalid(_)) => "bad_request",
        (None, GraphError::RateLimited { .. }) => "rate_limited",
        (None, GraphError::Unreachable { .. }) => "unreachable",
        (None, GraphError::Refused { .. }) => "refused",
        (None, _) => "unknown",
    }
}

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
        ConfigError::Unreadable { .. }
        | ConfigError::WrongVariable { .. }
        | ConfigError::Malformed { .. }
        | ConfigError::TwoPlaces { .. } => None,
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
