//! The whole, from outside: the binary as its users run it, and the library as its callers do, against the sandbox.

mod support;

mod check;
mod cli;
mod crash;
mod errors;
mod faults;
mod instagram;
mod library;
mod lifetime;
mod limits;
mod pages;
mod record;
mod refresh;
mod resolve;
mod send;
mod status;
mod sync;
mod time;
