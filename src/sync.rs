//! Locks, and what else threads wait for: those of the standard library and of tokio. In tests that are built with
//! `--cfg shuttle` they are shuttle's, and [`orders`] decides before each step with one of them whose it is.

#[cfg(test)]
#[cfg(shuttle)]
pub(crate) mod orders;

#[cfg(all(test, shuttle))]
pub(crate) use orders::{Notify, Turn, Turnstile, spawn};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(crate) use tokio::{spawn, sync::Notify};

/// Lets one through at a time, in the order in which they came.
#[cfg(not(all(test, shuttle)))]
pub(crate) type Turnstile = tokio::sync::Mutex<()>;
/// As long as it lives, nobody else is let through.
#[cfg(not(all(test, shuttle)))]
pub(crate) type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;
