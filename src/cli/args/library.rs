//! Commands that look at files: `check`, `sync`, `refresh`, `resolve`, `duplicates`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::values::{duration, size, tag};
use crate::graph::{MessagingType, Tag};
use crate::ids::{MediaKind, Recipient};
use crate::media::{Private, ScanOptions};

/// Which files under the paths.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Selection {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// Take only files that match, in gitignore style; may be given more than once. Globs are relative to a PATH that is a
    /// folder, and a PATH that is a file is matched as it is written.
    #[arg(long, value_name = "GLOB")]
    pub(in crate::cli) include: Vec<String>,
    /// Leave out files that match, in gitignore style, files given as PATH too; wins over --include.
    #[arg(long, value_name = "GLOB")]
    pub(in crate::cli) exclude: Vec<String>,
    /// Take hidden files too.
    #[arg(long)]
    pub(in crate::cli) hidden: bool,
}

impl Selection {
    /// The patterns, as the walk takes them.
    pub(in crate::cli) fn scan_options(&self, private: &Arc<Private>) -> ScanOptions {
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
pub(in crate::cli) struct CheckArgs {
    /// Which files.
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Say which copies `sync --fit` would make of images, and what they would come to.
    #[arg(long)]
    pub(in crate::cli) fit_dry_run: bool,
}

/// What is due, and how much of it is uploaded.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Portion {
    /// Renew ids with less than this left.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(in crate::cli) renew_within: Duration,
    /// How many uploads may run at once, for each Page.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(in crate::cli) concurrency: u16,
    /// Begin at most this many uploads for each Page; the rest is left for later.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_uploads: Option<u64>,
    /// Upload at most this many bytes (`500MB`, `2GiB`) for each Page; the rest is left for later.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(in crate::cli) max_bytes: Option<u64>,
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

--fit makes a copy of each image that is over a limit of the platform, or of a format Meta does not
name (WebP, TIFF, BMP, ICO), and uploads that. Copies are PNG or JPEG; they are turned as EXIF says,
keep their colour profile, and carry neither EXIF nor the place where a picture was taken. What is
animated is left alone. The files stay as they are.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct SyncArgs {
    /// Which files.
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Upload a copy that fits in place of each image that does not.
    #[arg(long)]
    pub(in crate::cli) fit: bool,
    /// Say what --fit would make of each image, and upload nothing.
    #[arg(long)]
    pub(in crate::cli) fit_dry_run: bool,
    /// Say what would be uploaded, and upload nothing.
    #[arg(long, short = 'n')]
    pub(in crate::cli) dry_run: bool,
    /// What is due, and how much is uploaded.
    #[command(flatten)]
    pub(in crate::cli) portion: Portion,
    /// Upload even what is alive.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// How files get to Meta: by an upload nobody sees, or each with a message.
    #[arg(long, value_name = "WAY", default_value = "upload")]
    pub(in crate::cli) via: Way,
    /// Who gets the messages of --via send.
    #[arg(long, value_name = "RECIPIENT", required_if_eq("via", "send"))]
    pub(in crate::cli) to: Option<Recipient>,
    /// Why they are sent: RESPONSE, UPDATE or MESSAGE_TAG [default: RESPONSE].
    #[arg(long, value_name = "TYPE", requires = "to")]
    pub(in crate::cli) messaging_type: Option<MessagingType>,
    /// Their message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG", value_parser = tag, requires = "to")]
    pub(in crate::cli) tag: Option<Tag>,
    /// Go on: upload whatever is written to the paths, until Ctrl-C (exit code 130).
    #[arg(long, conflicts_with_all = ["dry_run", "fit_dry_run", "force", "max_uploads", "max_bytes", "to"])]
    pub(in crate::cli) watch: bool,
    /// With --watch: a file is complete when nothing has changed about it for so long.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, requires = "watch")]
    pub(in crate::cli) settle: Duration,
}

/// How files get to Meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Way {
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

What expires soonest is renewed first, from the file or address it was uploaded from. What is not
due is left alone; so is, with --all-due, the old id of a file that was replaced and uploaded anew.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["references", "all_due"]))]
pub(in crate::cli) struct RefreshArgs {
    /// A path, sha256:HEX, or https://… that is on record.
    #[arg(value_name = "REF")]
    pub(in crate::cli) references: Vec<OsString>,
    /// Renew every id on record that is due, expired or rejected.
    #[arg(long)]
    pub(in crate::cli) all_due: bool,
    /// Say what would be renewed, and upload nothing.
    #[arg(long, short = 'n')]
    pub(in crate::cli) dry_run: bool,
    /// What is due, and how much is uploaded.
    #[command(flatten)]
    pub(in crate::cli) portion: Portion,
    /// Renew what is named even if it is not due.
    #[arg(long, conflicts_with = "all_due")]
    pub(in crate::cli) force: bool,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach resolve banners/hero.png
  reattach resolve @hero https://example.com/hero.png
  reattach resolve --no-upload \\
       sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b
  id=$(reattach resolve hero.png) && echo \"$id\"
  reattach resolve --aliases-in replies.json --output replies.live.json

One reference prints its id; several print ID<TAB>REF, one a line, and for several Pages
ID<TAB>PAGE<TAB>REF.

In a text, <<asset:hero>> stands for the id of the alias hero, and <<asset:REF>> for that of any
other reference; paths are meant from where the text lies. What was put in is listed on stderr. If
one has no id, nothing is written.")]
pub(in crate::cli) struct ResolveArgs {
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(required_unless_present = "aliases_in", value_name = "REF")]
    pub(in crate::cli) references: Vec<OsString>,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) kind: Option<MediaKind>,
    /// Upload nothing: report what has no live id as missing.
    #[arg(long)]
    pub(in crate::cli) no_upload: bool,
    /// Print this text with the live id in place of each <<asset:REF>>; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["references", "kind"])]
    pub(in crate::cli) aliases_in: Option<PathBuf>,
    /// Write the text to this file instead.
    #[arg(long, value_name = "FILE", requires = "aliases_in", conflicts_with = "references")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Upload a copy that fits in place of an image that does not, as `sync --fit` does.
    #[arg(long)]
    pub(in crate::cli) fit: bool,
}

/// `duplicates`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach duplicates banners products
  reattach duplicates . --json | jq -r 'select(.event == \"duplicates\") | .paths[1:][]'

Those that waste most come first. For Messenger they waste nothing: the same bytes are uploaded
once, whatever they are called.")]
pub(in crate::cli) struct DuplicatesArgs {
    /// Which files.
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
}
