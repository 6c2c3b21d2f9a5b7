//! Meta's Graph API: one transport, one retry loop, typed calls, and a verdict for every answer.
//!
//! A call goes down through [`GraphClient`] (what to ask) → `retry` (whether to ask again) → [`Transport`] (one request,
//! once) and comes back through [`classify`] (what is now known: done, not done, or unknown). Nothing in here remembers
//! ids or recipients, and nothing prints.

mod catalogue;
mod client;
mod error;
mod hook;
mod message;
mod outcome;
mod redact;
mod retry;
mod transport;
mod usage;
mod wire;

pub use catalogue::{CATALOGUE, Class, Entry, lookup};
pub use client::{ApiVersion, FileUpload, GraphClient, GraphOptions, Identity, InvalidApiVersion, Sent};
pub use error::{Certainty, Failure, GraphError, Operation, Refusal};
pub use hook::Hook;
pub use message::{InvalidMessagingType, InvalidRequest, Message, MessagingType, SendRequest};
pub use outcome::{Answer, Outcome, Retry, Scope, classify};
pub use retry::{RetryPolicy, Waiting};
pub use transport::{
    Answered, Attempt, Body, Call, FilePart, Form, Phase, ReqwestTransport, Transport, TransportError,
};
