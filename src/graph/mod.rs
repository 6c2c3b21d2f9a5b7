//! Meta's Graph API: one transport, one retry loop, typed calls, and a verdict for every answer.
//!
//! A call goes down through [`GraphClient`] (what to ask) → `retry` (whether to ask again) → [`Transport`] (one request,
//! once) and comes back through `classify` (what is now known: done, not done, or unknown). Nothing in here remembers
//! ids or recipients, and nothing prints.

mod api_version;
mod batch;
mod catalogue;
mod client;
mod conversation;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod governor;
mod hook;
mod message;
mod outcome;
mod receipt;
mod redact;
mod retry;
mod server_time;
mod token;
mod transport;
mod upload;
mod usage;
mod wire;

pub use api_version::{ApiVersion, InvalidApiVersion};
pub use batch::MAX_BATCH;
pub use catalogue::{CATALOGUE, Class, Entry, is_unlisted, lookup};
pub use client::{CALL_TIMEOUT, GraphClient, GraphOptions};
pub use conversation::{Conversation, ConversationMessage, MessageDetails};
pub use error::{Certainty, DaySpent, Failure, GraphError, NoShare, Operation, Refusal};
pub use governor::{Governor, Load, Pace, PaceLimits};
pub use hook::Hook;
pub use message::{
    Allow, Attachment, Button, ComponentType, Content, Draft, Envelope, FullName, InvalidMessagingType,
    InvalidNotificationType, InvalidRequest, MediaSource, MediaTemplate, Message, MessagingType, NotificationType,
    PaymentType, QuickReply, QuickReplyData, QuickReplyType, Reference, ReferenceKey, Retirement, SendRequest,
    SenderAction, Tag, TemplateComponent, TemplateParameter, UtilityTemplate, WebView, WebViewHeight,
};
pub use outcome::{Retry, Scope};
pub use receipt::Sent;
pub use retry::{RetryPolicy, Waiting, Why};
pub use server_time::{ClockSkew, CorrectedClock, ServerTime};
pub use token::{Identity, SEND_PERMISSION, TokenFacts, TokenOwner};
pub use transport::{
    Answered, Attempt, Auth, Body, Call, FilePart, Form, Phase, ReqwestTransport, Transport, TransportError,
};
pub use upload::{FileUpload, UrlUpload};
