//! A local Graph API: a witness for tests and demos, not an accomplice.
//!
//! It is written from Meta's reference and shares nothing with this crate's client: not a type, not a field name. So a
//! mistake in one cannot agree with itself in the other. It answers every `/vN.N/` prefix on 127.0.0.1 for two Pages, is
//! strict where Meta is strict and refuses in Meta's codes and words, lets ids expire by a clock that can be moved, does
//! wrong on request, and keeps a log of what it accepted. [`HELP`] lists the control routes.
//!
//! It knows uploads, messages, sender actions, batches, conversations, `me` and `debug_token`. Until it is told otherwise, everybody can
//! be reached at any time and nothing is limited: control calls describe people, with their messaging windows and errors,
//! and set rate limits. It does not keep files' bytes, fetch URLs, look into templates other than the media template and
//! utility templates, or resolve references from one request of a batch to another.

mod connection;
mod control;
mod counters;
mod error;
mod faults;
mod help;
mod limits;
mod pages;
mod params;
mod people;
mod recipient;
mod recipient_errors;
mod routes;
mod server;
mod shape;
mod shared;
mod spoil;
mod state;
mod state_lock;
mod store;
mod time;
mod truth;
mod visitor;
mod wire;

pub use help::HELP;
pub use pages::{APP_ID, APP_SECRET, PAGES, SandboxPage, USER_TOKEN};
pub use server::{ControlError, Sandbox, SandboxError, SandboxOptions, start};
pub use truth::{Counts, RequestCounts, Truth, TruthAttachment, TruthFile, TruthMessage};

#[cfg(test)]
mod tests;
