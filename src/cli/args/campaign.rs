//! `campaign` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::campaign::Stage;
use crate::cli::values::tag;
use crate::graph::{MessagingType, Tag};
use crate::ids::CampaignName;

/// `campaign`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  reattach campaign plan spring.toml
  reattach campaign run spring.toml
  reattach campaign run --name spring --to recipients.csv --file hero.png
  reattach campaign status spring
  reattach campaign resume spring --scope failed

FILE.toml says what goes to whom:
  name = \"spring\"
  recipients = \"recipients.csv\"       # column `recipient`, and one for each variable; or JSONL
  [[message]]                         # parts, sent in order to each recipient
  text = \"Hi {first_name}, spring is here\"
  [[message]]
  file = \"hero.png\"                   # uploaded once, sent by its id

What may have been sent when a process was killed or an answer was lost is `unknown`: it is not
sent again unless you say so (`campaign settle`).")]
pub(in crate::cli) struct CampaignArgs {
    /// What to do.
    #[command(subcommand)]
    pub(in crate::cli) command: CampaignCommand,
}

/// What to do with campaigns.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CampaignCommand {
    /// Read the list and write the plan down; nothing is sent.
    #[command(
        after_help = "Example:\n  reattach campaign plan spring.toml --json | jq 'select(.event == \"bad_row\")'"
    )]
    Plan {
        /// The campaign file.
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        /// Plan anew with another list or message, or other contents of its files; what was sent stays sent.
        #[arg(long)]
        replan: bool,
    },
    /// Plan once, look ahead, and send.
    Run(RunArgs),
    /// Say where a campaign stands.
    #[command(after_help = "Example:\n  reattach campaign status spring --json | jq .state")]
    Status {
        /// Its name.
        name: CampaignName,
    },
    /// Have whoever sends it stop after what is under way.
    #[command(after_help = "Example:\n  reattach campaign pause spring")]
    Pause {
        /// Its name.
        name: CampaignName,
    },
    /// Go on with a campaign that is planned: what was sent is not sent again.
    Resume(ResumeArgs),
    /// Show what may have been sent, and say what became of it.
    Settle(SettleArgs),
    /// Print what became of each recipient.
    Export(LedgerExportArgs),
    /// List all campaigns.
    #[command(after_help = "Example:\n  reattach campaign list --json | jq -r .name")]
    List,
}

/// `campaign run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach campaign run spring.toml
  reattach campaign run spring.toml --suppress opted-out.txt --yes
  reattach campaign run --name spring --to recipients.csv --file hero.png
  reattach campaign run --name hello --to recipients.csv --text 'Hi {first_name}'

Where another process sends it already, this looks on and ends as that one does; Ctrl-C ends the
looking on alone.")]
pub(in crate::cli) struct RunArgs {
    /// The campaign file.
    #[arg(value_name = "FILE.toml", required_unless_present = "name", conflicts_with_all = ["name", "to", "CampaignContent"])]
    pub(in crate::cli) spec: Option<PathBuf>,
    /// The campaign's name, without a file.
    #[arg(long, value_name = "NAME", requires = "to", requires = "CampaignContent")]
    pub(in crate::cli) name: Option<CampaignName>,
    /// The list of recipients, without a file.
    #[arg(long, value_name = "LIST", requires = "name")]
    pub(in crate::cli) to: Option<PathBuf>,
    /// What they get.
    #[command(flatten)]
    pub(in crate::cli) content: CampaignContent,
    /// Why it is sent, without a file: RESPONSE, UPDATE or MESSAGE_TAG [default: UPDATE].
    #[arg(long, value_name = "TYPE", requires = "name")]
    pub(in crate::cli) messaging_type: Option<MessagingType>,
    /// The message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG", value_parser = tag, requires = "name")]
    pub(in crate::cli) tag: Option<Tag>,
    /// People who get nothing: a recipient a line, or a list with a column `recipient`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) suppress: Option<PathBuf>,
    /// Plan anew with another list or message, or other contents of its files; what was sent stays sent.
    #[arg(long)]
    pub(in crate::cli) replan: bool,
}

/// What to send, without a campaign file: one of these.
#[derive(Debug, Args)]
#[group(id = "CampaignContent", multiple = false)]
pub(in crate::cli) struct CampaignContent {
    /// This file, by its id; uploaded first if it has none.
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(in crate::cli) file: Option<String>,
    /// This text; {column} stands for what the list says of each recipient.
    #[arg(long, value_name = "TEXT", requires = "name")]
    pub(in crate::cli) text: Option<String>,
}

/// `campaign resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach campaign resume spring
  reattach campaign resume spring --scope failed --yes
  reattach campaign resume spring --stage canary --yes

Where another process sends it, this looks on, as `campaign run` does.")]
pub(in crate::cli) struct ResumeArgs {
    /// Its name.
    pub(in crate::cli) name: CampaignName,
    /// What to send, beside what is pending: what failed, or what is unknown, of which some may then arrive twice.
    #[arg(long, value_name = "SCOPE", default_value = "pending")]
    pub(in crate::cli) scope: ResumeScope,
    /// The stage this is the yes to: where the campaign has come to another, nothing is sent.
    #[arg(long)]
    pub(in crate::cli) stage: Option<ResumeStage>,
    /// People who get nothing more: a recipient a line, or a list with a column `recipient`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) suppress: Option<PathBuf>,
}

/// What to send. The values have no help of their own, which would stretch everybody's to two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ResumeScope {
    Pending,
    Failed,
    Unknown,
}

/// A stage to say yes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ResumeStage {
    Testers,
    Canary,
    Everybody,
}

impl From<ResumeStage> for Stage {
    fn from(stage: ResumeStage) -> Self {
        match stage {
            ResumeStage::Testers => Self::Testers,
            ResumeStage::Canary => Self::Canary,
            ResumeStage::Everybody => Self::Everybody,
        }
    }
}

/// `campaign settle`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach campaign settle spring
  reattach campaign settle spring --echoes webhooks.jsonl
  reattach campaign settle spring --from-conversations
  reattach campaign settle spring --from-conversations --assume not-sent

webhooks.jsonl holds the bodies of Meta's message_echoes webhooks, one a line; where they are kept
as {\"headers\": {\"X-Hub-Signature-256\": …}, \"body\": \"…\"}, their signature is checked against the app
secret. An echo of any attempt proves it; who got a message twice is named.

--from-conversations asks Meta for the conversation with each person, two calls a second. A message
of the right look and time is taken for the one that may have arrived; where there is none, and it
can no longer arrive, the next run sends it. Both are inferred, and a later echo corrects them. It
needs pages_read_engagement and pages_manage_metadata beside pages_messaging.

What is assumed not sent is sent by the next run: --assume not-sent behind --from-conversations
leaves out what may be among their messages, or may still arrive, and behind --echoes it takes a
file that can be read to its end. Exit code 7: something is still unknown.")]
pub(in crate::cli) struct SettleArgs {
    /// Its name.
    pub(in crate::cli) name: CampaignName,
    /// Take all that is still unknown, once all evidence was looked at, for this.
    #[arg(long, value_name = "WHAT")]
    pub(in crate::cli) assume: Option<SettleAssumption>,
    /// Webhooks in which messages came back, or what a run left that could not record it: certain evidence.
    #[arg(long, value_name = "FILE.jsonl")]
    pub(in crate::cli) echoes: Option<PathBuf>,
    /// Ask Meta for the conversations: evidence that is not certain.
    #[arg(long)]
    pub(in crate::cli) from_conversations: bool,
}

/// What to take the unknown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SettleAssumption {
    Sent,
    NotSent,
}

/// `campaign export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach campaign export spring > spring.csv
  reattach campaign export spring --format jsonl | jq -r 'select(.outcome == \"failed\") | .recipient'")]
pub(in crate::cli) struct LedgerExportArgs {
    /// Its name.
    pub(in crate::cli) name: CampaignName,
    /// csv or jsonl [default: csv; with --json, jsonl].
    #[arg(long, value_name = "FORMAT")]
    pub(in crate::cli) format: Option<LedgerFormat>,
    /// Name people by their place in the list.
    #[arg(long)]
    pub(in crate::cli) redact: bool,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LedgerFormat {
    Csv,
    Jsonl,
}
