//! The whole, from outside: the binary as its users run it, and the library as its callers do, against the sandbox.

mod support;

mod campaign;
mod check;
mod cli;
mod crash;
mod errors;
mod faults;
mod instagram;
mod library;
mod limits;
mod model;
mod record;
mod resolve;
mod send;
mod sync;
