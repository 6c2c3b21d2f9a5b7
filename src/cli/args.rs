//! The command line as users type it. Names are fixed: scripts rely on them.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which is no Markdown")]

mod campaign;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::graph::{ApiVersion, MessagingType, NotificationType, Tag};
use crate::ids::{AliasName, AttachmentId, MediaKind, Origin, Platform, Recipient};
use crate::media::{Private, ScanOptions};

use super::exit::EXIT_CODES;
use super::values::{alias, duration, size, tag};

pub(super) use campaign::{
    CampaignArgs, CampaignCommand, LedgerExportArgs, LedgerFormat, ResumeArgs, ResumeScope, RunArgs, SettleArgs,
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
    /// The configured Pages to work for [default: the only one, or the one called `default`] [env: REATTACH_PAGE].
    #[arg(long, global = true, value_name = "NAME[,NAME…]")]
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
    /// Renew ids before they expire; upload nothing else.
    Refresh(RefreshArgs),
    /// Print the live attachment id of a file.
    Resolve(ResolveArgs),
    /// Send one message.
    Send(SendArgs),
    /// Send a message to many people, once each.
    Campaign(CampaignArgs),
    /// List the ids on record.
    Ls(LsArgs),
    /// Count the ids on record by how they stand, and say which expire soon.
    Status(StatusArgs),
    /// Show all that is on record about one file.
    Show(ShowArgs),
    /// Give a file a name that is good on every Page.
    Alias(AliasArgs),
    /// Strike a file's ids off the record; the file stays.
    Forget(ForgetArgs),
    /// Write what is on record into a file: ids to keep or to hand on, or names for bots.
    Export(ExportArgs),
    /// Take ids from a manifest, a bottender-lock.json, or a map from names to ids.
    Import(ImportArgs),
    /// Strike off the record what is of no use any more; no file is touched.
    Prune(PruneArgs),
    /// Compare the record with itself, and with the files on disk.
    Verify(VerifyArgs),
    /// Find files that hold the same bytes; needs no token and no network.
    Duplicates(DuplicatesArgs),
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
  reattach check . --exclude 'drafts/' --json | jq 'select(.outcome == \"rejected\")'
  reattach check banners --fit-dry-run")]
pub(super) struct CheckArgs {
    /// Which files.
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Say which copies `sync --fit` would make of images, and what they would come to.
    #[arg(long)]
    pub(super) fit_dry_run: bool,
}

/// `sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach sync banners --dry-run
  reattach sync banners products --max-uploads 500
  reattach sync . --renew-within 14d --json
  reattach sync banners --page shop,news
  reattach sync banners --fit
  reattach sync banners --watch
  reattach sync banners --via send --to 1254459154682919 --yes

--fit makes a copy of each image that is over a limit of the platform, or of a format Meta does not name (WebP, TIFF, BMP,
ICO), and uploads that. Copies are PNG or JPEG; they are turned as EXIF says, keep their colour profile, and carry neither
EXIF nor the place where a picture was taken. What is animated is left alone. The files stay as they are.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct SyncArgs {
    /// Which files.
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Upload a copy that fits in place of each image that does not.
    #[arg(long)]
    pub(super) fit: bool,
    /// Say what --fit would make of each image, and upload nothing.
    #[arg(long)]
    pub(super) fit_dry_run: bool,
    /// Say what would be uploaded, and upload nothing.
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
    /// Renew ids with less than this left.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(super) renew_within: Duration,
    /// How many uploads may run at once, for each Page.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) concurrency: u16,
    /// Begin at most this many uploads for each Page; the rest is left for later.
    #[arg(long, value_name = "N")]
    pub(super) max_uploads: Option<u64>,
    /// Upload at most this many bytes (`500MB`, `2GiB`) for each Page; the rest is left for later.
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
    /// Go on: upload whatever is written to the paths, until Ctrl-C (exit code 130).
    #[arg(long, conflicts_with_all = ["dry_run", "force", "max_uploads", "max_bytes", "to"])]
    pub(super) watch: bool,
    /// With --watch: a file is complete when nothing has changed about it for so long.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, requires = "watch")]
    pub(super) settle: Duration,
}

/// How files get to Meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    Upload,
    Send,
}

/// `refresh`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach refresh --all-due
  reattach refresh --all-due --page shop,news --max-uploads 500
  reattach refresh banners/hero.png https://example.com/hero.png --force

What expires soonest is renewed first, from the file or address it was uploaded from. What is not due is left alone.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["references", "all_due"]))]
pub(super) struct RefreshArgs {
    /// A path, sha256:HEX, or https://… that is on record.
    #[arg(value_name = "REF")]
    pub(super) references: Vec<OsString>,
    /// Renew every id on record that is due, expired or rejected.
    #[arg(long)]
    pub(super) all_due: bool,
    /// Say what would be renewed, and upload nothing.
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
    /// Renew ids with less than this left.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(super) renew_within: Duration,
    /// How many uploads may run at once, for each Page.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) concurrency: u16,
    /// Begin at most this many uploads for each Page; the rest is left for later.
    #[arg(long, value_name = "N")]
    pub(super) max_uploads: Option<u64>,
    /// Upload at most this many bytes (`500MB`, `2GiB`) for each Page; the rest is left for later.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_bytes: Option<u64>,
    /// Renew what is named even if it is not due.
    #[arg(long, conflicts_with = "all_due")]
    pub(super) force: bool,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach resolve banners/hero.png
  reattach resolve @hero https://example.com/hero.png
  reattach resolve --no-upload sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b
  id=$(reattach resolve hero.png) && echo \"$id\"
  reattach resolve --aliases-in replies.json --output replies.live.json

One reference prints its id; several print ID<TAB>REF, one a line, and for several Pages ID<TAB>PAGE<TAB>REF.

In a text, <<asset:hero>> stands for the id of the alias hero, and <<asset:REF>> for that of any other reference; paths are
meant from where the text lies. What was put in is listed on stderr. If one has no id, nothing is written.")]
pub(super) struct ResolveArgs {
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(required_unless_present = "aliases_in", value_name = "REF")]
    pub(super) references: Vec<OsString>,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<MediaKind>,
    /// Upload nothing: report what has no live id as missing.
    #[arg(long)]
    pub(super) no_upload: bool,
    /// Print this text with the live id in place of each <<asset:REF>>; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["references", "kind"])]
    pub(super) aliases_in: Option<PathBuf>,
    /// Write the text to this file instead.
    #[arg(long, value_name = "FILE", requires = "aliases_in")]
    pub(super) output: Option<PathBuf>,
    /// Upload a copy that fits in place of an image that does not, as `sync --fit` does.
    #[arg(long)]
    pub(super) fit: bool,
}

/// `send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach send --to 1254459154682919 --file banners/hero.png
  reattach send --to 1254459154682919 --text 'Spring is here'
  reattach send --to user_ref:abc --attachment-id 1857777774821032 --kind image
  reattach send --to 1254459154682919 --url https://example.com/hero.png
  reattach send --to 1254459154682919 --asset @hero
  reattach send --to 1254459154682919 --message card.json
  reattach send --to 1254459154682919 --action typing_on

RECIPIENT is a PSID (digits), or user_ref:…, comment:…, post:…, phone:+…, player:…, otn:…, notification:…, login:….

FILE.json holds Send API JSON: a whole body, or the object under `message`. Anywhere in it, \"file\": \"hero.png\" or
\"asset\": \"@hero\" stands for the attachment_id, and is replaced by the live one before the message is sent.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// Upload the --file, --url or --asset with this message, in one step, and keep its id.
    #[arg(long, conflicts_with_all = ["attachment_id", "text", "message", "action"])]
    pub(super) save: bool,
    /// Send a copy that fits in place of an image that does not, as `sync --fit` uploads it.
    #[arg(long, conflicts_with_all = ["attachment_id", "url", "text", "action"])]
    pub(super) fit: bool,
}

/// What to send: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SendContent {
    /// This file, by its live attachment id; uploaded first if it has none.
    #[arg(long, value_name = "PATH")]
    pub(super) file: Option<PathBuf>,
    /// What this reference stands for, as --file: a path, sha256:HEX, @alias, or https://….
    #[arg(long, value_name = "REF")]
    pub(super) asset: Option<String>,
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
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(super) reference: OsString,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach status
  reattach status --expiring 14d || reattach refresh --all-due --renew-within 14d
  reattach status --json | jq 'select(.expired > 0)'

With --expiring, the exit code is 8 when an id expires within that time, has expired, was rejected by Meta, or has an age
nobody knows. No token is needed and nobody is asked.")]
pub(super) struct StatusArgs {
    /// List what does not last for this long, soonest first, and end with exit code 8 if anything does not.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) expiring: Option<Duration>,
    /// Count ids with less than this left as due.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(super) renew_within: Duration,
}

/// `alias`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach alias hero banners/hero.png
  reattach alias spring @hero
  reattach alias clip https://example.com/clip --kind video
  reattach alias --list
  reattach alias --remove spring

@NAME stands wherever a reference does: `reattach resolve @hero`, or \"asset\": \"@hero\" in a message. It stands for what
the file held when the name was given, on every Page; nothing is uploaded until an id is asked for.")]
pub(super) struct AliasArgs {
    /// The name: letters, digits, -, _, . and /; alone, it says what it stands for.
    #[arg(value_name = "NAME", value_parser = alias)]
    pub(super) name: Option<AliasName>,
    /// What it shall stand for: a path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(super) reference: Option<OsString>,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND", requires = "reference")]
    pub(super) kind: Option<MediaKind>,
    /// List all names, as without arguments.
    #[arg(long, conflicts_with_all = ["name", "remove"])]
    pub(super) list: bool,
    /// Take this name out of use; what it stood for stays.
    #[arg(long, value_name = "NAME", value_parser = alias, conflicts_with = "name")]
    pub(super) remove: Option<AliasName>,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach forget banners/old.png
  reattach forget --page shop,news banners/old.png

The ids of every Page of this Graph origin are struck off, unless --page names some. Nothing is deleted at Meta, which has
no way to.")]
pub(super) struct ForgetArgs {
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(super) reference: OsString,
}

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach export --output assets.json
  reattach export --format csv --page shop > assets.csv
  reattach export --format env >> .env
  reattach export --format ts --output src/assets.ts

json and csv hold all that `reattach import` needs to restore the ids, and no secrets: an id is of use to its own Page
alone. Paths are relative to the folder of --output, or the current one. env and lockfile hold the ids of one Page that
are alive now; ts, rust and py hold names, each leading to its alias, and no ids.")]
pub(super) struct ExportArgs {
    /// What to write: json, csv, env, lockfile (bottender's), or constants for bots as ts, rust or py.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(super) format: ExportFormat,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    Json,
    Csv,
    Env,
    Lockfile,
    Ts,
    Rust,
    Py,
}

impl ExportFormat {
    /// The word it is chosen by.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Env => "env",
            Self::Lockfile => "lockfile",
            Self::Ts => "ts",
            Self::Rust => "rust",
            Self::Py => "py",
        }
    }

    /// Whether it holds names and no ids.
    pub(super) const fn is_constants(self) -> bool {
        matches!(self, Self::Ts | Self::Rust | Self::Py)
    }
}

/// `import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach import assets.json --dry-run
  reattach import bottender-lock.json
  reattach import ids.csv --library banners --page shop

FILE is what export writes as json or csv, a bottender-lock.json, {\"hero.png\": \"1857777774821032\"}, or a table with the
columns name and id. Ids that are known by a file's name alone are stored under what the file holds. An id that does not
say when it was uploaded is of unknown age: it is never sent, and renewed by the next sync.")]
pub(super) struct ImportArgs {
    /// The manifest; - for standard input.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Where its paths are meant from [default: the folder of FILE].
    #[arg(long, value_name = "FOLDER")]
    pub(super) library: Option<PathBuf>,
    /// Say what would be imported, and import nothing.
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
}

/// `prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach prune --expired --rejected --dry-run
  reattach prune --unreferenced --keep banners --keep products
  reattach prune --expired --rejected --yes

It says first what would go, and asks. Ids that are alive and whose file is where it was stay. The ids of every Page of
this Graph origin are looked at, unless --page or --platform names one.")]
pub(super) struct PruneArgs {
    /// What goes.
    #[command(flatten)]
    pub(super) which: PruneWhich,
    /// With --unreferenced: keep the ids of all bytes that lie under this path, whatever their file was called.
    #[arg(long, value_name = "PATH", requires = "unreferenced")]
    pub(super) keep: Vec<PathBuf>,
    /// Say what would go, and strike off nothing.
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
}

/// What `prune` strikes off: at least one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct PruneWhich {
    /// Ids that have expired.
    #[arg(long)]
    pub(super) expired: bool,
    /// Ids whose file is gone.
    #[arg(long)]
    pub(super) unreferenced: bool,
    /// Ids Meta refused.
    #[arg(long)]
    pub(super) rejected: bool,
}

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach verify
  reattach verify banners products
  reattach verify banners --json | jq -r 'select(.state == \"never_uploaded\") | .path'

Every row of the record is read and compared with its checksum; then each file that was uploaded (from PATH, if there is
one) with its bytes: ok, missing, changed or unreadable. With PATH, bytes found under another name there count as moved,
and files that were never uploaded are named. Ends with 3 where a file is missing, changed, unreadable or never uploaded,
and with 6 where the record is damaged.")]
pub(super) struct VerifyArgs {
    /// Files and folders; without any, all that was ever uploaded is looked for.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
}

/// `duplicates`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach duplicates banners products
  reattach duplicates . --json | jq -r 'select(.event == \"duplicates\") | .paths[1:][]'

Those that waste most come first. For Messenger they waste nothing: the same bytes are uploaded once, whatever they are
called.")]
pub(super) struct DuplicatesArgs {
    /// Which files.
    #[command(flatten)]
    pub(super) selection: Selection,
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
