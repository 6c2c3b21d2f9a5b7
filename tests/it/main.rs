//! The whole, from outside: the binary as its users run it, and the library as its callers do, against the sandbox.

mod support;

mod alias;
mod campaign;
mod check;
mod cli;
mod corpus;
mod crash;
mod errors;
mod faults;
mod fit;
mod ha;
mod heal;
mod housekeeping;
mod instagram;
mod library;
mod lifetime;
mod limits;
mod manifest;
mod model;
mod newcomer;
mod pages;
mod postgres;
mod power;
mod rebuild;
mod record;
mod refresh;
mod renames;
mod resolve;
mod secrets;
mod send;
mod service;
mod status;
mod sync;
mod time;
mod watch;
