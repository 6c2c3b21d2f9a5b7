//! What a user can ask to be sent, and the rules Meta enforces on it, checked before anything leaves.
//!
//! A message is Send API JSON. The types here write such JSON and nothing else, so what is typed and what was written by
//! hand meet the same rules, and keys nobody here knows are kept: Meta decides about them.
//!
//! Words are sent as Meta's samples write them: attachment types, content types, buttons and sender actions in small
//! letters, everything else in capitals. Both are read.

mod action;
mod attachment;
mod body;
mod button;
mod describe;
mod draft;
mod envelope;
mod error;
mod fields;
mod quick_reply;
mod recipient;
mod references;
mod request;
mod saving;
mod tag;
mod template;
mod utility;

pub use action::SenderAction;
pub use attachment::{Attachment, MediaSource};
pub use body::Message;
pub use button::{Button, WebView, WebViewHeight};
pub use draft::Draft;
pub use envelope::{Allow, Envelope, InvalidMessagingType, InvalidNotificationType, MessagingType, NotificationType};
pub use error::InvalidRequest;
pub use quick_reply::{PaymentType, QuickReply, QuickReplyData, QuickReplyType};
pub use recipient::FullName;
pub use references::{Reference, ReferenceKey};
pub use request::{Content, SendRequest};
pub use tag::{Retirement, Tag};
pub use template::MediaTemplate;
pub use utility::{ComponentType, TemplateComponent, TemplateParameter, UtilityTemplate};

#[cfg(test)]
mod tests;
