//! The command line as users type it. Names are fixed: scripts rely on them.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which is no Markdown")]

mod campaign;
mod library;
mod recorded;
mod send;
mod serve;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::graph::ApiVersion;
use crate::ids::{Origin, Platform};

use super::exit::EXIT_CODES;
use super::values::{OriginParser, duration};

pub(super) use campaign::{
    CampaignArgs, CampaignCommand, LedgerExportArgs, LedgerFormat, ResumeArgs, ResumeScope, RunArgs, SettleArgs,
    SettleAssumption,
};
pub(super) use library::{CheckArgs, DuplicatesArgs, RefreshArgs, ResolveArgs, SyncArgs, Way};
pub(super) use recorded::{
    AliasArgs, ExportArgs, ExportFormat, ForgetArgs, ImportArgs, LsArgs, MigrateArgs, PruneArgs, ShowArgs, StatusArgs,
    VerifyArgs,
};
pub(super) use send::{SendArgs, SendContent};
pub(super) use serve::ServeArgs;

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
    /// Where ids are kept: `sled:FOLDER`, or `postgres://…` to share them [default: a folder in the platform's data folder]
    /// [env: REATTACH_STORE].
    #[arg(long, global = true, value_name = "URL")]
    pub(super) store: Option<String>,
    /// Another Graph API, such as the sandbox [default: https://graph.facebook.com] [env: REATTACH_GRAPH_URL].
    #[arg(long, global = true, value_name = "URL", value_parser = OriginParser)]
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
    // On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
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
    /// Carry the record to another store: to a server many share, or back.
    Migrate(MigrateArgs),
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
    /// Serve ids over HTTP to a bot in any language, and the library as a page.
    Serve(ServeArgs),
    /// Run a local Graph API for demos and tests.
    Sandbox(SandboxArgs),
    /// See the whole story on a small library, against a sandbox in the same process.
    Demo(DemoArgs),
    /// Make one thumbnail: what `serve` starts for each.
    #[command(hide = true)]
    Thumbnail,
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

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach explain 100/2018047
  reattach explain '(#613)' 10/2018278
  reattach explain -1/2018012
  reattach explain --all")]
pub(super) struct ExplainArgs {
    /// A code, or code/subcode.
    #[arg(value_name = "CODE[/SUBCODE]", required_unless_present = "all", allow_negative_numbers = true)]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// As wide as help is printed where no terminal says otherwise.
    const COLUMNS: usize = 100;

    #[test]
    fn no_line_that_is_broken_by_hand_is_broken_again() {
        let mut pending = vec![Cli::command()];
        while let Some(command) = pending.pop() {
            let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in notes.lines() {
                assert!(line.chars().count() <= COLUMNS, "{}: {line}", command.get_name());
            }
            pending.extend(command.get_subcommands().cloned());
        }
    }
}
