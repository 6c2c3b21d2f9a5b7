//! The command line as users type it. Names are fixed: scripts rely on them.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which is no Markdown")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::graph::{ApiVersion, MessagingType};
use crate::ids::{AttachmentId, MediaKind, Origin, Platform, Recipient};
use crate::media::{Private, ScanOptions};

use super::exit::EXIT_CODES;
use super::values::{duration, size};

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
    /// List the ids on record.
    Ls(LsArgs),
    /// Show all that is on record about one file.
    Show(ShowArgs),
    /// Strike a file's ids off the record; the file stays.
    Forget(ForgetArgs),
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
  reattach sync . --renew-within 14d --json")]
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
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach resolve banners/hero.png
  reattach resolve --no-upload sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b
  id=$(reattach resolve hero.png) && echo \"$id\"

One reference prints its id; several print ID<TAB>REF, one a line.")]
pub(super) struct ResolveArgs {
    /// A path or sha256:HEX.
    #[arg(required = true, value_name = "REF")]
    pub(super) references: Vec<OsString>,
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

RECIPIENT is a PSID (digits), or user_ref:…, comment:…, post:…, phone:+…, player:…, otn:…, notification:…, login:….")]
pub(super) struct SendArgs {
    /// Who gets it.
    #[arg(long, value_name = "RECIPIENT")]
    pub(super) to: Recipient,
    /// What they get.
    #[command(flatten)]
    pub(super) content: SendContent,
    /// What the attachment id stands for: image, video, audio or file.
    #[arg(long, value_name = "KIND", requires = "attachment_id")]
    pub(super) kind: Option<MediaKind>,
    /// Why it is sent: RESPONSE, UPDATE, MESSAGE_TAG or UTILITY.
    #[arg(long, value_name = "TYPE", default_value = "RESPONSE")]
    pub(super) messaging_type: MessagingType,
    /// The message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Option<String>,
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
    /// This text.
    #[arg(long, value_name = "TEXT")]
    pub(super) text: Option<String>,
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
    /// A path or sha256:HEX.
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
    /// A path or sha256:HEX.
    #[arg(value_name = "REF")]
    pub(super) reference: OsString,
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
