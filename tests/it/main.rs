//! The whole, from outside: the binary as its users run it, and the library as its callers do, against the sandbox.

mod support;

mod check;
mod cli;
mod crash;
mod library;
mod record;
mod resolve;
mod send;
mod sync;
