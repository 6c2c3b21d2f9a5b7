//! The rules of Meta's a request can break, checked before anything leaves.
//!
//! Parameters go by the names Meta's own errors use, such as `message[attachment][payload]`. No variant holds a token or
//! a web address.

use super::tag::{Retirement, Tag};
use crate::ids::{InvalidId, MediaKind};

/// A rule of Meta's the request breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A text of nothing, or of white space.
    #[error("the text is empty")]
    TextEmpty,
    /// More requests than one batch takes.
    #[error("a batch takes 50 requests, and this one has {items}")]
    BatchTooLarge {
        /// How many it has.
        items: usize,
    },
    /// A text over its limit.
    #[error("{parameter} has {length} {unit}; Meta takes {most} at most")]
    TooLong {
        /// Where it stands.
        parameter: String,
        /// How long it is.
        length: usize,
        /// What was counted: characters or bytes.
        unit: &'static str,
        /// How long it may be.
        most: usize,
    },
    /// A list with too few or too many items.
    #[error("{parameter} has {count} items; Meta takes {least} to {most}")]
    ItemCount {
        /// Where it stands.
        parameter: String,
        /// Its items.
        count: usize,
        /// How many it needs.
        least: usize,
        /// How many it may have.
        most: usize,
    },
    /// A value of another type than the parameter's.
    #[error("{parameter} must be {expected}")]
    WrongType {
        /// Where it stands.
        parameter: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A parameter that has to be there.
    #[error("{parameter} is required")]
    Missing {
        /// Where it would stand.
        parameter: String,
    },
    /// A word that is none of the parameter's.
    #[error("{parameter} is {word:?}; Meta knows {}", known.join(", "))]
    UnknownWord {
        /// Where it stands.
        parameter: String,
        /// The beginning of it.
        word: String,
        /// Every word it could be.
        known: Vec<&'static str>,
    },
    /// Keys in an object that has only certain ones.
    #[error("{parameter} has keys Meta does not know: {}", keys.join(", "))]
    UnknownKeys {
        /// The object.
        parameter: String,
        /// The keys.
        keys: Vec<String>,
    },
    /// Neither a message nor an action, or a message with nothing to show.
    #[error("the message is empty: it needs a text, an attachment or another content")]
    NoContent,
    /// Two contents in one message.
    #[error("a message cannot have both {first} and {second}")]
    SeveralContents {
        /// One of them.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// A message together with an action.
    #[error("a message and a sender action cannot be sent at the same time")]
    MessageAndAction,
    /// A parameter that is for messages, together with an action.
    #[error("a sender action cannot be sent with {parameter}")]
    BesideAction {
        /// The parameter.
        parameter: &'static str,
    },
    /// `payload` without an action that takes one.
    #[error("only the sender actions react and unreact take a payload")]
    PayloadWithoutReaction,
    /// Nobody to send it to.
    #[error("nobody is named as recipient")]
    NoRecipient,
    /// Several ways to name the recipient at once.
    #[error("the recipient is named by both {first} and {second}")]
    SeveralRecipients {
        /// One of them.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// A recipient that cannot be one.
    #[error("{parameter} names nobody")]
    RecipientInvalid {
        /// Where it stands.
        parameter: String,
        /// Why not.
        #[source]
        cause: InvalidId,
    },
    /// A name with another recipient than a phone number.
    #[error("a recipient's name goes with a phone number only")]
    NameWithoutPhone,
    /// `MESSAGE_TAG` alone.
    #[error("messaging type MESSAGE_TAG needs a tag")]
    TagMissing,
    /// A tag alone.
    #[error("a tag needs messaging type MESSAGE_TAG")]
    TagWithoutType,
    /// A tag Meta has ended.
    #[error("Meta ended tag {tag} on {}", retirement.since)]
    TagRetired {
        /// The tag.
        tag: Tag,
        /// When it ended, and what to use now.
        retirement: Retirement,
    },
    /// A tag Instagram does not have.
    #[error("tag {tag} is not for Instagram")]
    TagNotOnInstagram {
        /// The tag.
        tag: Tag,
    },
    /// `UTILITY` with an ordinary message.
    #[error("messaging type UTILITY needs a utility template")]
    UtilityWithoutTemplate,
    /// An id that is not made of digits.
    #[error("{parameter} must be made of digits")]
    NotDigits {
        /// Where it stands.
        parameter: String,
    },
    /// A web address that is none.
    #[error("{parameter} should represent a valid URL (http or https)")]
    InvalidUrl {
        /// Where it stands.
        parameter: String,
    },
    /// A web address outside of Facebook in a media template.
    #[error("{parameter} is not a Facebook URL, and a media template takes no other")]
    NotFacebookUrl {
        /// Where it stands.
        parameter: String,
    },
    /// Media without saying which.
    #[error("{parameter} says nothing of which media: it needs attachment_id, url, file or asset")]
    MediaMissing {
        /// Where they would stand.
        parameter: String,
    },
    /// The same media in several ways.
    #[error("{parameter} has both {first} and {second}, and needs exactly one")]
    SeveralMedia {
        /// Where they stand.
        parameter: String,
        /// One of them.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// `file` or `asset` where no attachment id could stand.
    #[error("{parameter} stands where Meta expects no attachment_id")]
    MisplacedReference {
        /// Where it stands.
        parameter: String,
    },
    /// `file` or `asset` that no id has taken the place of.
    #[error("{parameter} is still a {key}, which only this machine knows")]
    Unresolved {
        /// The object that holds it.
        parameter: String,
        /// Its key.
        key: &'static str,
    },
    /// A list of pictures that nobody insisted on.
    #[error("message[attachments] is held back: Meta's reference lists it at times and at times does not")]
    AttachmentList,
    /// A parameter with a place of its own, among those nobody knows.
    #[error("{parameter} has a place of its own in the envelope")]
    NotExtra {
        /// The parameter.
        parameter: String,
    },
    /// A token in the body.
    #[error("{parameter} has no place in a message")]
    SecretInBody {
        /// The parameter.
        parameter: &'static str,
    },
    /// A part type Meta would refuse, or that is none.
    #[error("{mime:?} is not a media type to upload as {kind}")]
    MediaType {
        /// The `type` of the attachment.
        kind: MediaKind,
        /// The media type.
        mime: String,
    },
}

impl InvalidRequest {
    /// What to do about it; `None` where the message says all there is to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TextEmpty => Some("write something, or send something else"),
            Self::NoContent => Some("in a whole request, texts and attachments stand under \"message\""),
            Self::TooLong { .. } => Some("shorten it, or send it in several messages"),
            Self::MessageAndAction | Self::BesideAction { .. } => Some("send the action in a request of its own"),
            Self::SeveralContents { .. } => Some("send them as two messages, one after the other"),
            Self::NoRecipient => Some("name one recipient, such as {\"id\": \"PSID\"}"),
            Self::SeveralRecipients { .. } => Some("keep one of them: a message goes to one person"),
            Self::RecipientInvalid { .. } => Some("copy it from the webhook or the plugin it came from"),
            Self::TagMissing => Some("name the tag, or use RESPONSE or UPDATE within 24 hours"),
            Self::TagWithoutType => Some("set messaging_type to MESSAGE_TAG, or leave the tag out"),
            Self::TagRetired { retirement, .. } => Some(retirement.instead),
            Self::TagNotOnInstagram { .. } => Some("HUMAN_AGENT is the only tag on Instagram"),
            Self::UtilityWithoutTemplate => Some("put an approved template under message.template"),
            Self::NotDigits { .. } => Some("write the id as a text of digits, such as \"123\""),
            Self::NotFacebookUrl { .. } => Some("upload the media and use its attachment_id, or name the file"),
            Self::MisplacedReference { .. } => {
                Some("put it where the attachment_id would stand, such as under payload")
            }
            Self::Unresolved { .. } => Some("resolve it first, and put the attachment id in its place"),
            Self::AttachmentList => {
                Some("send one message per picture, or insist on attachment lists: --allow-attachments")
            }
            Self::SecretInBody { .. } => Some("tokens come from the configuration; take it out of the JSON"),
            Self::ItemCount { .. }
            | Self::BatchTooLarge { .. }
            | Self::WrongType { .. }
            | Self::Missing { .. }
            | Self::UnknownWord { .. }
            | Self::UnknownKeys { .. }
            | Self::PayloadWithoutReaction
            | Self::NameWithoutPhone
            | Self::InvalidUrl { .. }
            | Self::MediaMissing { .. }
            | Self::SeveralMedia { .. }
            | Self::NotExtra { .. }
            | Self::MediaType { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphError;

    #[test]
    fn what_can_be_done_about_it_reaches_those_who_see_the_error() {
        let error = GraphError::from(InvalidRequest::TagWithoutType);
        assert_eq!(error.hint(), Some("set messaging_type to MESSAGE_TAG, or leave the tag out"));
        let error = InvalidRequest::ItemCount { parameter: "a".to_owned(), count: 2, least: 1, most: 1 };
        assert_eq!(GraphError::from(error).hint(), None);
    }
}
