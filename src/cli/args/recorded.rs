//! Commands about what is on record.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::values::duration;
use crate::ids::{AliasName, MediaKind};

/// `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach ls
  reattach ls --json | jq -r .attachment_id")]
pub(in crate::cli) struct LsArgs {}

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach show banners/hero.png
  reattach show sha256:6dcd4ce23d88e2ee9568ba546c007c63d9131c1b74e1c8b2d0d35f1d9e1f1a2b --json")]
pub(in crate::cli) struct ShowArgs {
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(in crate::cli) reference: OsString,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach status
  reattach status --expiring 14d || reattach refresh --all-due --renew-within 14d
  reattach status --json | jq 'select(.expired > 0)'

With --expiring, the exit code is 8 when an id expires within that time, has expired, was rejected
by Meta, or has an age nobody knows; of a file that was replaced, and whose new bytes have an id,
the old id does not count. No token is needed and nobody is asked.")]
pub(in crate::cli) struct StatusArgs {
    /// List what does not last for this long, soonest first, and end with exit code 8 if anything does not.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) expiring: Option<Duration>,
    /// Count ids with less than this left as due.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(in crate::cli) renew_within: Duration,
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

@NAME stands wherever a reference does: `reattach resolve @hero`, or \"asset\": \"@hero\" in a message.
It stands for what the file held when the name was given, on every Page; nothing is uploaded until
an id is asked for.")]
pub(in crate::cli) struct AliasArgs {
    /// The name: letters, digits, -, _, . and /; alone, it says what it stands for.
    #[arg(value_name = "NAME", value_parser = AliasName::with_or_without_at)]
    pub(in crate::cli) name: Option<AliasName>,
    /// What it shall stand for: a path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(in crate::cli) reference: Option<OsString>,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND", requires = "reference")]
    pub(in crate::cli) kind: Option<MediaKind>,
    /// List all names, as without arguments.
    #[arg(long, conflicts_with_all = ["name", "remove"])]
    pub(in crate::cli) list: bool,
    /// Take this name out of use; what it stood for stays.
    #[arg(long, value_name = "NAME", value_parser = AliasName::with_or_without_at, conflicts_with = "name")]
    pub(in crate::cli) remove: Option<AliasName>,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach forget banners/old.png
  reattach forget --page shop,news banners/old.png

The ids of every Page of this Graph origin are struck off, unless --page names some. Nothing is
deleted at Meta, which has no way to.")]
pub(in crate::cli) struct ForgetArgs {
    /// A path, sha256:HEX, @alias, or https://….
    #[arg(value_name = "REF")]
    pub(in crate::cli) reference: OsString,
}

/// `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach migrate --from sqlite:record.db --to postgres://reattach_owner@db.example/reattach
  reattach migrate --from postgres://reattach_owner@db.example/reattach --to sqlite:copy/record.db

Ids, names, campaigns and what became of every message go along; nothing changes where they come
from. Nobody may be at work with either store. What is there is left as it is, so that a copy that
was cut off goes on where it stopped; in the end both are held against each other, row by row.")]
pub(in crate::cli) struct MigrateArgs {
    /// The store it is in: `sqlite:FILE`, `sled:FOLDER` or `postgres://…`.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) from: String,
    /// The store it goes to, empty but for an earlier copy.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) to: String,
}

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach export --output assets.json
  reattach export --format csv --page shop > assets.csv
  reattach export --format env >> .env
  reattach export --format ts --output src/assets.ts

json and csv hold all that `reattach import` needs to restore the ids, and no secrets: an id is of
use to its own Page alone. Paths are relative to the folder of --output, or the current one. env and
lockfile hold the ids of one Page that are alive now; ts, rust and py hold names, each leading to
its alias, and no ids. Names are of capitals, digits and _ in env, rust and py: HERO_1 for @hero-1;
a lockfile has the bare names of files. Where several would be called the same, none of them is:
each is named on stderr, and the exit code stays 0.")]
pub(in crate::cli) struct ExportArgs {
    /// What to write: json, csv, env, lockfile (bottender's), or constants for bots as ts, rust or py.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(in crate::cli) format: ExportFormat,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportFormat {
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
    pub(in crate::cli) const fn as_str(self) -> &'static str {
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
    pub(in crate::cli) const fn is_constants(self) -> bool {
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

FILE is what export writes as json or csv, a bottender-lock.json, {\"hero.png\": \"1857777774821032\"},
or a table with the columns name and id. Ids that are known by a file's name alone are stored under
what the file holds. A name may be a web address, whose end shows its kind unless a column kind
does. An id that does not say when it was uploaded is of unknown age: it is never sent, and renewed
by the next sync.")]
pub(in crate::cli) struct ImportArgs {
    /// The manifest; - for standard input.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// Where its paths are meant from [default: the folder of FILE].
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) library: Option<PathBuf>,
    /// Say what would be imported, and import nothing.
    #[arg(long, short = 'n')]
    pub(in crate::cli) dry_run: bool,
}

/// `prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach prune --expired --rejected --dry-run
  reattach prune --unreferenced --keep banners --keep products
  reattach prune --expired --rejected --yes

It says first what would go, and asks. Ids that are alive and whose file is where it was stay, and
--unreferenced passes over those with an @alias and says how many they are. The ids of every Page of
this Graph origin are looked at, unless --page or --platform names one. On a record that others
share, --unreferenced keeps to what was uploaded from below a --keep folder.")]
pub(in crate::cli) struct PruneArgs {
    /// What goes.
    #[command(flatten)]
    pub(in crate::cli) which: PruneWhich,
    /// With --unreferenced: keep the ids of all bytes that lie under this path, whatever their file was called.
    #[arg(long, value_name = "PATH", requires = "unreferenced")]
    pub(in crate::cli) keep: Vec<PathBuf>,
    /// Say what would go, and strike off nothing.
    #[arg(long, short = 'n')]
    pub(in crate::cli) dry_run: bool,
}

/// What `prune` strikes off: at least one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct PruneWhich {
    /// Ids that have expired.
    #[arg(long)]
    pub(in crate::cli) expired: bool,
    /// Ids whose file is gone, and that have no @alias.
    #[arg(long)]
    pub(in crate::cli) unreferenced: bool,
    /// Ids Meta refused.
    #[arg(long)]
    pub(in crate::cli) rejected: bool,
}

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach verify
  reattach verify banners products
  reattach verify banners --json | jq -r 'select(.state == \"never_uploaded\") | .path'

Every row of the record is read and compared with its checksum; then each file that was uploaded
(from PATH, if there is one) with its bytes: ok, missing, changed or unreadable; replaced, where the
new bytes have an id and no @alias stands for the old ones. With PATH, bytes found under another
name there count as moved, and files that were never uploaded are named. Ends with 3 where a file is
missing, changed, unreadable or never uploaded, and with 6 where the record is damaged.")]
pub(in crate::cli) struct VerifyArgs {
    /// Files and folders; without any, all that was ever uploaded is looked for.
    #[arg(value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,
}
