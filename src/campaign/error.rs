//! Why a campaign cannot be planned or sent.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::graph::{GraphError, InvalidRequest, SEND_PERMISSION};
use crate::ids::{CampaignName, InvalidId, KeySpace, Origin};
use crate::library::LibraryError;
use crate::record::{Holder, RecordError};

use super::ramp::Stage;

/// Why a campaign cannot be planned or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// A file that cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A campaign file that is none.
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A message that breaks a rule of Meta's whoever gets it.
    #[error("part {part} of the message breaks a rule of Meta's")]
    Message {
        /// Which part, from 1.
        part: usize,
        /// The rule.
        source: InvalidRequest,
    },
    /// Something in the message that cannot be filled in.
    #[error("part {part} of the message: {reason}")]
    Template {
        /// Which part, from 1.
        part: usize,
        /// What is wrong.
        reason: String,
    },
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// A list that cannot be read for a quote that is never closed, or closes another field.
    #[error("{}, line {line}: a quote opens here and is not closed where its field ends", path.display())]
    UnclosedQuote {
        /// The list.
        path: PathBuf,
        /// Where, counted from 1.
        line: u64,
    },
    /// A token that may not send.
    #[error("the token may not send: {reason}")]
    NotPermitted {
        /// What Meta says of it.
        reason: String,
    },
    /// A list that lacks a column.
    #[error("{} has no column {column:?}; it has {}", path.display(), if known.is_empty() { "none" } else { known.as_str() })]
    NoColumn {
        /// The list.
        path: PathBuf,
        /// What is missing.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// A list with two columns of a name that is asked for.
    #[error("{} has more than one column {column:?}", path.display())]
    SameColumns {
        /// The list.
        path: PathBuf,
        /// Which name they have.
        column: String,
    },
    /// A list in an encoding that is not read.
    #[error("{} is UTF-16", path.display())]
    Utf16 {
        /// The list.
        path: PathBuf,
    },
    /// A list whose lines end as nobody else's do any more.
    #[error("{} ends its lines with a carriage return (CR) alone", path.display())]
    BareReturns {
        /// The list.
        path: PathBuf,
    },
    /// A list on which nobody can be written to.
    #[error("{} names nobody who can be written to{}", path.display(), first.as_ref().map_or_else(String::new, |first| format!(": {first}")))]
    Nobody {
        /// The list.
        path: PathBuf,
        /// What is wrong with its first row.
        first: Option<String>,
    },
    /// The campaign was planned with something else.
    #[error("the campaign {name} was planned with another {what}")]
    Changed {
        /// Which campaign.
        name: CampaignName,
        /// What is not as it was.
        what: &'static str,
    },
    /// A file of the campaign's is not what it was when the first message left.
    #[error("{reference} holds something else than when the campaign's first message was sent")]
    AssetChanged {
        /// The file as the message names it.
        reference: String,
    },
    /// Somebody else plans or sends it.
    #[error("process {} has been at the campaign {name} since {}", holder.pid, holder.since)]
    Held {
        /// Which campaign.
        name: CampaignName,
        /// Who.
        holder: Holder,
    },
    /// It was planned anew since somebody last looked at it.
    #[error("the campaign {name} was planned anew meanwhile")]
    Overtaken {
        /// Which campaign.
        name: CampaignName,
    },
    /// A yes to a stage that is not the one that comes next.
    #[error("what comes next of the campaign {name} is {}, and not {}", next.as_str(), asked.as_str())]
    OtherStage {
        /// Which campaign.
        name: CampaignName,
        /// The stage somebody said yes to.
        asked: Stage,
        /// The stage a run would send.
        next: Stage,
    },
    /// A campaign that was begun by another way to Meta, which may well lead to the same people.
    #[error("the campaign {name} of this Page was begun at {origin}")]
    BegunElsewhere {
        /// Which campaign.
        name: CampaignName,
        /// Where.
        origin: Origin,
    },
    /// A campaign of another Graph origin, or platform, than the client that is to send it.
    #[error("the campaign {name} is one for {} at {}", space.platform, space.origin)]
    OtherSpace {
        /// Which campaign.
        name: CampaignName,
        /// Where it is to be sent.
        space: Box<KeySpace>,
    },
    /// A message in another number of parts than the one of which something was sent.
    #[error("something of the campaign {name} was sent in {} already, and not in {now}", if *was == 1 { "1 part".into() } else { format!("{was} parts") })]
    OtherParts {
        /// Which campaign.
        name: CampaignName,
        /// How many parts it has.
        was: u8,
        /// How many it would have.
        now: u8,
    },
    /// A message ended in a panic.
    #[error("a message ended in a panic: whether it was sent is unknown, and nothing more is")]
    Panicked,
    /// Its plan was cut off.
    #[error("the plan of the campaign {name} is not complete")]
    NotPlanned {
        /// Which campaign.
        name: CampaignName,
    },
    /// What the record holds of it does not parse.
    #[error("the plan of the campaign {name} cannot be read: {reason}")]
    Unintelligible {
        /// Which campaign.
        name: CampaignName,
        /// Why.
        reason: String,
    },
    /// The plan was stopped.
    #[error("stopped before the plan was complete")]
    Stopped,
    /// The record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record could not be written for any of those who wanted to.
    #[error(transparent)]
    Ledger(Arc<RecordError>),
    /// An asset has no id.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// Meta refused.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl CampaignError {
    /// What the user can do about it, where that is not in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Message { source, .. } => source.hint().map(Into::into),
            Self::Template { .. } => Some("write {{ and }} where a brace is meant".into()),
            Self::NoColumn { column, .. } if column == "recipient" => {
                Some("the first row names the columns; one of them is called recipient".into())
            }
            Self::NoColumn { .. } => Some(
                "what stands between { } in a message is a column, spelled as in the first row; {{ and }} are braces"
                    .into(),
            ),
            Self::SameColumns { .. } => Some("rename or remove all but one: nobody can tell which is meant".into()),
            Self::Utf16 { .. } => Some("save it as UTF-8: spreadsheets call that `CSV UTF-8`".into()),
            Self::BareReturns { .. } => Some(
                "save it with lines that end in LF or CRLF, such as those of `CSV UTF-8`; `CSV (Macintosh)` has others"
                    .into(),
            ),
            Self::Nobody { .. } => Some(
                "put a row for each person below the one that names the columns, with a PSID under recipient".into(),
            ),
            Self::Unreadable { .. } => {
                Some("check its path and permissions; a list is looked for beside the campaign's file".into())
            }
            Self::UnclosedQuote { .. } => Some(
                "close it; a quote that belongs to the text is written twice, within quotes: \"5\"\" wide\"".into(),
            ),
            Self::NotPermitted { .. } => {
                Some(format!("make a new Page access token, and ask for {SEND_PERMISSION} when it is made"))
            }
            Self::Changed { .. } => Some(
                "say --replan: what was sent stays sent, and the rest goes by the new plan; under another name it is \
                 another campaign, and goes to everybody on the list, those who have it too"
                    .into(),
            ),
            Self::AssetChanged { .. } => {
                Some("put the old file back, or plan it anew: `reattach campaign run FILE --replan` goes on with the new one".into())
            }
            Self::Held { name, .. } => {
                Some(format!("wait for it, or pause the campaign: `reattach campaign pause {name}`"))
            }
            Self::BegunElsewhere { .. } => Some(
                "go on with it there (--graph-url): people got it already; under another name it goes to everybody on the \
                 list, those who have it too"
                    .into(),
            ),
            Self::OtherParts { .. } => Some(
                "give it the parts it had: who has which part of another message could not be told; under another name it \
                 goes to everybody on the list, those who have it too"
                    .into(),
            ),
            Self::Panicked => Some("that is a defect of reattach's: report what stands above".into()),
            Self::OtherStage { .. } => Some("look at what those before got, and say yes to what comes next".into()),
            Self::Overtaken { name } => {
                Some(format!("look at what it says now, `reattach campaign status {name}`, and begin again"))
            }
            Self::NotPlanned { .. } => Some("plan it again: `reattach campaign plan FILE.toml`".into()),
            Self::Record(error) => error.hint().map(Into::into),
            Self::Ledger(error) => error.hint().map(Into::into),
            Self::Library(error) => error.hint(),
            Self::Graph(error) => error.hint().map(Into::into),
            _ => None,
        }
    }
}
