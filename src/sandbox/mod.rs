//! A local Graph API: a witness for tests and demos, not an accomplice.
//!
//! It is written from Meta's reference and shares nothing with this crate's client: not a type, not a field name. So a
//! mistake in one cannot agree with itself in the other. It answers every `/vN.N/` prefix on 127.0.0.1 for two Pages, is
//! strict where Meta is strict and refuses in Meta's codes and words, lets ids expire by a clock that can be moved, does
//! wrong on request, and keeps a log of what it accepted. [`HELP`] lists the control routes.
//!
//! It does not keep files' bytes, fetch URLs, batch, limit rates, or know messaging windows.

mod connection;
mod control;
mod counters;
mod faults;
mod pages;
mod params;
mod recipient;
mod routes;
mod server;
mod shape;
mod shared;
mod spoil;
mod state;
mod store;
mod time;
mod truth;
mod wire;

pub use control::HELP;
pub use pages::{APP_SECRET, PAGES, SandboxPage, USER_TOKEN};
pub use server::{ControlError, Sandbox, SandboxError, SandboxOptions, start};
pub use truth::{Counts, RequestCounts, Truth, TruthAttachment, TruthFile, TruthMessage};

#[cfg(test)]
mod tests;
