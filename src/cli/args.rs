//! The command line as users type it. Names are fixed: scripts rely on them.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which is no Markdown")]

mod campaign;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::graph::{ApiVersion, MessagingType, NotificationType, Tag};
use crate::ids::{AttachmentId, MediaKind, Origin, Platform, Recipient};
use crate::media::{Private, ScanOptions};

use super::exit::EXIT_CODES;
use super::values::{duration, size, tag};

pub(super) use campaign::{
    CampaignArgs, CampaignCommand, ExportArgs, ExportFormat, ResumeArgs, ResumeScope, RunArgs, SettleArgs,
    SettleAssumption,
};

/// Upload once, attach for ever: reusable Messenger attachment ids for a media library.
#[derive(Debug, Parser)]
#[command(name = "reattach", version, max_term_width = 120, after_help = EXIT_CODES)]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub(super) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What applies to every command.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Configuration file [default: ./reattach.toml, else the platform's configuration folder] [env: REATTACH_CONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The configured Page to work for [default: the only one, or the one called `default`] [env: REATTACH_PAGE].
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) page: Option<String>,
    /// Where ids are kept: `sled:FOLDER` [default: a folder in the platform's data folder] [env: REATTACH_STORE].
    #[arg(long, global = true, value_name = "URL")]
    pub(super) store: Option<String>,
    /// Another Graph API, such as the sandbox [default: https://graph.facebook.com] [env: REATTACH_GRAPH_URL].
    #[arg(long, global = true, value_name = "URL")]
    pub(super) graph_url: Option<Origin>,
    /// Graph API version [default: v25.0] [env: REATTACH_API_VERSION].
    #[arg(long, global = true, value_name = "vN.N")]
    pub(super) api_version: Option<ApiVersion>,
    /// Whose limits and wire form: messenger or instagram [default: messenger].
    #[arg(long, global = true, value_name = "PLATFORM")]
    pub(super) platform: Option<Platform>,
    /// Print JSON Lines on stdout: one object a line.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The longest wait for Meta's rate limits before giving up with exit code 5.
    #[arg(long, global = true, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(super) max_wait: Duration,
    /// Ask no questions.
    #[arg(short, long, global = true)]
    pub(super) yes: bool,
    /// Print nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more; twice for every request.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Colours in what is printed for people.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorWhen,
    /// Draw no progress bars.
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
}

/// When to use colours. The values have no help of their own, which would stretch everybody's to two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    // On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look at files and say what the platform would say; needs no token and no network.
    Check(CheckArgs),
    /// Upload what is missing or due, reuse the rest.
    Sync(SyncArgs),
    /// Print the live attachment id of a file.
    Resolve(ResolveArgs),
    /// Send one message.
    Send(SendArgs),
    /// Send a message to many people, once each.
    Campaign(CampaignArgs),
    /// List the ids on record.
    Ls(LsArgs),
    /// Show all that is on record about one file.
    Show(ShowArgs),
    /// Strike a file's ids off the record; the file stays.
    Forget(ForgetArgs),
    /// Say what an error code of Meta's means, and what to do about it.
    Explain(ExplainArgs),
    /// Check everything the other commands rely on.
    #[command(after_help = "Examples:\n  reattach doctor\n  reattach doctor --json | jq 'select(.state != \"ok\")'")]
    Doctor,
    /// Run a local Graph API for demos and tests.
    Sandbox(SandboxArgs),
    /// See the whole story on a small library, against a sandbox in the same process.
    Demo(DemoArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  reattach completions bash > /etc/bash_completion.d/reattach")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    #[command(after_help = "Example:\n  reattach man > /usr/local/share/man/man1/reattach.1")]
    Man,
}

/// Which files under the paths.
#[derive(Debug, Clone, Args)]
pub(super) struct Selection {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Take only files that match, in gitignore style; may be given more than once.
    #[arg(long, value_name = "GLOB")]
    pub(super) include: Vec<String>,
    /// Leave out files that match, in gitignore style; wins over --include.
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Take hidden files too.
    #[arg(long)]
    pub(super) hidden: bool,
}

impl Selection {
    /// The patterns, as the walk takes them.
    pub(super) fn scan_options(&self, private: &Arc<Private>) -> ScanOptions {
        ScanOptions {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            hidden: self.hidden,
            private: Arc::clone(private),
        }
    }
}

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach check banners
  reattach check . --exclude 'drafts/' --json | jq 'select(.outcome == \"rejected\")'")]
pub(super) struct CheckArgs {
    /// Which files.
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// `sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach sync banners --dry-run
  reattach sync banners products --max-uploads 500
  reattach sync . --renew-within 14d --json
  reattach sync banners --via send --to 1254459154682919 --yes")]
pub(super) struct SyncArgs {
    /// Which files.
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Say what would be uploaded, and upload nothing.
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
    /// Renew ids with less than this left.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(super) renew_within: Duration,
    /// How many uploads may run at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) concurrency: u16,
    /// Begin at most this many uploads; the rest is left for later.
    #[arg(long, value_name = "N")]
    pub(super) max_uploads: Option<u64>,
    /// Upload at most this many bytes (`500MB`, `2GiB`); the rest is left for later.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_bytes: Option<u64>,
    /// Upload even what is alive.
    #[arg(long)]
    pub(super) force: bool,
    /// How files get to Meta: by an upload nobody sees, or each with a message.
    #[arg(long, value_name = "WAY", default_value = "upload")]
    pub(super) via: Way,
    /// Who gets the messages of --via send.
    #[arg(long, value_name = "RECIPIENT", required_if_eq("via", "send"))]
    pub(super) to: Option<Recipient>,
    /// Why they are sent: RESPONSE, UPDATE or MESSAGE_TAG [default: RESPONSE].
    #[arg(long, value_name = "TYPE", requires = "to")]
    pub(super) messaging_type: Option<MessagingType>,
    /// Their message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG", value_parser = tag, requires = "to")]
    pub(super) tag: Option<Tag>,
}

/// How files get to Meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    Upload,
    Send,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach resolve banners/hero.png
  reattach resolve https://example.com/hero.png
  reattach resolve --no-upload sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b
  id=$(reattach resolve hero.png) && echo \"$id\"

One reference prints its id; several print ID<TAB>REF, one a line.")]
pub(super) struct ResolveArgs {
    /// A path, sha256:HEX, or https://….
    #[arg(required = true, value_name = "REF")]
    pub(super) references: Vec<OsString>,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<MediaKind>,
    /// Upload nothing: report what has no live id as missing.
    #[arg(long)]
    pub(super) no_upload: bool,
}

/// `send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach send --to 1254459154682919 --file banners/hero.png
  reattach send --to 1254459154682919 --text 'Spring is here'
  reattach send --to user_ref:abc --attachment-id 1857777774821032 --kind image
  reattach send --to 1254459154682919 --url https://example.com/hero.png
  reattach send --to 1254459154682919 --message card.json
  reattach send --to 1254459154682919 --action typing_on

RECIPIENT is a PSID (digits), or user_ref:…, comment:…, post:…, phone:+…, player:…, otn:…, notification:…, login:….

FILE.json holds Send API JSON: a whole body, or the object under `message`. Anywhere in it, \"file\": \"hero.png\" or
\"asset\": \"sha256:…\" stands for the attachment_id, and is replaced by the live one before the message is sent.")]
pub(super) struct SendArgs {
    /// Who gets it; may be left out where the --message file names somebody.
    #[arg(long, value_name = "RECIPIENT", required_unless_present = "message")]
    pub(super) to: Option<Recipient>,
    /// What they get.
    #[command(flatten)]
    pub(super) content: SendContent,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND", conflicts_with_all = ["text", "message", "action"])]
    pub(super) kind: Option<MediaKind>,
    /// What goes with react and unreact: '{"message_id":"m_…","reaction":"😊"}'.
    #[arg(long, value_name = "JSON", requires = "action")]
    pub(super) payload: Option<String>,
    /// Why it is sent: RESPONSE, UPDATE, MESSAGE_TAG or UTILITY [default: RESPONSE].
    #[arg(long, value_name = "TYPE", conflicts_with = "action")]
    pub(super) messaging_type: Option<MessagingType>,
    /// The message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub(super) tag: Option<Tag>,
    /// Send a tag Meta has ended all the same.
    #[arg(long)]
    pub(super) allow_retired_tag: bool,
    /// Send a list of pictures under `attachments`, which not every Page may.
    #[arg(long)]
    pub(super) allow_attachments: bool,
    /// How loudly it arrives: REGULAR, SILENT_PUSH or NO_PUSH.
    #[arg(long, value_name = "TYPE")]
    pub(super) notification_type: Option<NotificationType>,
    /// The persona that speaks.
    #[arg(long, value_name = "ID")]
    pub(super) persona_id: Option<String>,
    /// A text that comes back in the echo webhook, fewer than 1000 characters.
    #[arg(long, value_name = "TEXT", conflicts_with = "action")]
    pub(super) metadata: Option<String>,
    /// The message it replies to.
    #[arg(long, value_name = "MID")]
    pub(super) reply_to: Option<String>,
    /// Upload the --file or --url with this message, in one step, and keep its id.
    #[arg(long, conflicts_with_all = ["attachment_id", "text", "message", "action"])]
    pub(super) save: bool,
}

/// What to send: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SendContent {
    /// This file, by its live attachment id; uploaded first if it has none.
    #[arg(long, value_name = "PATH")]
    pub(super) file: Option<PathBuf>,
    /// The attachment with this id.
    #[arg(long, value_name = "ID", requires = "kind")]
    pub(super) attachment_id: Option<AttachmentId>,
    /// What Meta finds at this address, by its live attachment id.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// This text.
    #[arg(long, value_name = "TEXT")]
    pub(super) text: Option<String>,
    /// The Send API JSON in this file; - for standard input.
    #[arg(long, value_name = "FILE.json")]
    pub(super) message: Option<PathBuf>,
    /// No message, but typing_on, typing_off, mark_seen, react or unreact.
    #[arg(long, value_name = "ACTION")]
    pub(super) action: Option<String>,
}

/// `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach ls
  reattach ls --json | jq -r .attachment_id")]
pub(super) struct LsArgs {}

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach show banners/hero.png
  reattach show sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b --json")]
pub(super) struct ShowArgs {
    /// A path, sha256:HEX, or https://….
    #[arg(value_name = "REF")]
    pub(super) reference: OsString,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach forget banners/old.png
  reattach forget --page shop banners/old.png

The ids of every Page of this Graph origin are struck off, unless --page names one. Nothing is deleted at Meta, which has
no way to.")]
pub(super) struct ForgetArgs {
    /// A path, sha256:HEX, or https://….
    #[arg(value_name = "REF")]
    pub(super) reference: OsString,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach explain 100/2018047
  reattach explain '(#613)' 10/2018278
  reattach explain --all")]
pub(super) struct ExplainArgs {
    /// A code, or code/subcode.
    #[arg(value_name = "CODE[/SUBCODE]", required_unless_present = "all", allow_hyphen_values = true)]
    pub(super) codes: Vec<String>,
    /// List every code that is known.
    #[arg(long, conflicts_with = "codes")]
    pub(super) all: bool,
}

/// `sandbox`.
#[derive(Debug, Args)]
#[command(after_help = crate::sandbox::HELP)]
pub(super) struct SandboxArgs {
    /// The port on 127.0.0.1; 0 for any free one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) port: u16,
    /// Keep what was uploaded and sent in this file, and start from it.
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reattach demo")]
pub(super) struct DemoArgs {
    /// The library to show it on.
    #[arg(value_name = "FOLDER", default_value = "assets-example")]
    pub(super) library: PathBuf,
}
