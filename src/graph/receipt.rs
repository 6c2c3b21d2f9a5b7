//! What the answer to one message says of it, and whether it is the answer to this one.

use super::message::{Content, SendRequest};
use super::outcome::{Outcome, classify};
use super::transport::Attempt;
use super::wire::Acted;
use crate::ids::{AttachmentId, Recipient};

/// Meta's receipt for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message's id: Meta has it. `None` for a sender action, which has none.
    pub message_id: Option<String>,
    /// The recipient's PSID; `None` for those addressed in another way.
    pub recipient_id: Option<String>,
    /// The reusable id of an attachment that was uploaded with the message.
    pub attachment_id: Option<AttachmentId>,
}

/// What became of the request, by what came back.
pub(super) fn read(request: &SendRequest, attempt: &Attempt) -> Outcome<Sent> {
    match &request.content {
        Content::Action(_) => classify::<Acted>(attempt).map(Sent::from),
        _ => classify(attempt),
    }
}

/// The id the answer to a request must name, where it names one.
pub(super) fn named(request: &SendRequest) -> Option<&str> {
    match &request.envelope.recipient {
        Recipient::Psid(psid) => Some(psid),
        _ => None,
    }
}

/// Whether it is the receipt of a message to somebody else.
pub(super) fn is_anothers(request: &SendRequest, outcome: &Outcome<Sent>) -> bool {
    match (named(request), outcome) {
        (Some(psid), Outcome::Done(Sent { recipient_id: Some(id), .. })) => psid != id,
        _ => false,
    }
}
