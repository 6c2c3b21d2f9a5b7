//! `send`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::values::tag;
use crate::graph::{MessagingType, NotificationType, Tag};
use crate::ids::{AttachmentId, MediaKind, Recipient};

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

RECIPIENT is a PSID (digits), or user_ref:…, comment:…, post:…, phone:+…, player:…, otn:…,
notification:…, login:….

FILE.json holds Send API JSON: a whole body, or the object under `message`. Anywhere in it,
\"file\": \"hero.png\" or \"asset\": \"@hero\" stands for the attachment_id, and is replaced by the live one
before the message is sent.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct SendArgs {
    /// Who gets it; may be left out where the --message file names somebody.
    #[arg(long, value_name = "RECIPIENT", required_unless_present = "message")]
    pub(in crate::cli) to: Option<Recipient>,
    /// What they get.
    #[command(flatten)]
    pub(in crate::cli) content: SendContent,
    /// What it is sent as: image, video, audio or file [default: what a file or address shows].
    #[arg(long, value_name = "KIND", conflicts_with_all = ["text", "message", "action"])]
    pub(in crate::cli) kind: Option<MediaKind>,
    /// What goes with react and unreact: '{"message_id":"m_…","reaction":"😊"}'.
    #[arg(long, value_name = "JSON", requires = "action")]
    pub(in crate::cli) payload: Option<String>,
    /// Why it is sent: RESPONSE, UPDATE, MESSAGE_TAG or UTILITY [default: RESPONSE].
    #[arg(long, value_name = "TYPE", conflicts_with = "action")]
    pub(in crate::cli) messaging_type: Option<MessagingType>,
    /// The message tag, with MESSAGE_TAG.
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub(in crate::cli) tag: Option<Tag>,
    /// Send a tag Meta has ended all the same.
    #[arg(long)]
    pub(in crate::cli) allow_retired_tag: bool,
    /// Send a list of pictures under `attachments`, which not every Page may.
    #[arg(long)]
    pub(in crate::cli) allow_attachments: bool,
    /// How loudly it arrives: REGULAR, SILENT_PUSH or NO_PUSH.
    #[arg(long, value_name = "TYPE")]
    pub(in crate::cli) notification_type: Option<NotificationType>,
    /// The persona that speaks.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) persona_id: Option<String>,
    /// A text that comes back in the echo webhook, fewer than 1000 characters.
    #[arg(long, value_name = "TEXT", conflicts_with = "action")]
    pub(in crate::cli) metadata: Option<String>,
    /// The message it replies to.
    #[arg(long, value_name = "MID")]
    pub(in crate::cli) reply_to: Option<String>,
    /// Upload the --file, --url or --asset with this message, in one step, and keep its id.
    #[arg(long, conflicts_with_all = ["attachment_id", "text", "message", "action"])]
    pub(in crate::cli) save: bool,
    /// Send a copy that fits in place of an image that does not, as `sync --fit` uploads it.
    #[arg(long, conflicts_with_all = ["attachment_id", "url", "text", "action"])]
    pub(in crate::cli) fit: bool,
}

/// What to send: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct SendContent {
    /// This file, by its live attachment id; uploaded first if it has none.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// What this reference stands for, as --file: a path, sha256:HEX, @alias, or https://….
    #[arg(long, value_name = "REF")]
    pub(in crate::cli) asset: Option<String>,
    /// The attachment with this id.
    #[arg(long, value_name = "ID", requires = "kind")]
    pub(in crate::cli) attachment_id: Option<AttachmentId>,
    /// What Meta finds at this address, by its live attachment id.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// This text.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) text: Option<String>,
    /// The Send API JSON in this file; - for standard input.
    #[arg(long, value_name = "FILE.json")]
    pub(in crate::cli) message: Option<PathBuf>,
    /// No message, but typing_on, typing_off, mark_seen, react or unreact.
    #[arg(long, value_name = "ACTION")]
    pub(in crate::cli) action: Option<String>,
}
