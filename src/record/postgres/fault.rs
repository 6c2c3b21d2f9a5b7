//! From what PostgreSQL and its client say to what a caller can do about it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::SqlState;

use super::address::ServerAddress;
use crate::causes::in_full;
use crate::delivery::IllegalStep;
use crate::record::{Obstacle, RecordError};

/// What went wrong inside a call, before it is said of which server.
#[derive(Debug)]
pub(super) enum Fault {
    Engine(tokio_postgres::Error),
    Pool(PoolError),
    /// The server did not answer in time.
    Silence,
    /// It lacks what it, or one before it, has acknowledged to this process.
    Behind(String),
    /// Already in the caller's terms.
    Known(RecordError),
    /// What was to be stored breaks a rule of ours.
    Refused(Box<dyn Error + Send + Sync>),
    /// The worker's lease is over.
    Lapsed,
    /// The server cannot hold a record.
    Unfit(String),
    /// The tables cannot be changed by who we are.
    Denied(String),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Self::Engine(error),
            PoolError::PostCreateHook(HookError::Message(lacks)) => Self::Behind(lacks.into_owned()),
            error => Self::Pool(error),
        }
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        Self::Known(error)
    }
}

impl From<IllegalStep> for Fault {
    fn from(error: IllegalStep) -> Self {
        Self::Refused(error.into())
    }
}

impl From<refinery::Error> for Fault {
    fn from(error: refinery::Error) -> Self {
        let words = in_full(&error);
        let first: &(dyn Error + 'static) = &error;
        let mut causes = std::iter::successors(Some(first), |cause| (*cause).source());
        let is_denial = |cause: &(dyn Error + 'static)| {
            let cause = cause.downcast_ref::<tokio_postgres::Error>();
            cause.is_some_and(|error| error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
        };
        if causes.any(is_denial) { Self::Denied(words) } else { Self::Unfit(words) }
    }
}

/// What the engine said: its message and code, and never the row it was about, which may name people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

impl Fault {
    /// A server that takes no writes, by its own word.
    pub(super) fn read_only(server: &ServerAddress) -> Self {
        let source = Arc::new(Said("transaction_read_only is on".to_owned()));
        Self::Known(RecordError::Away { server: server.to_string(), obstacle: Obstacle::ReadOnly, source })
    }

    /// What the server answered, by its code.
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Engine(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the server cannot be reached, or not now: the same may work in a while.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Silence | Self::Pool(_) | Self::Behind(_) => true,
            Self::Engine(error) => match error.code() {
                Some(state) => {
                    state.code().starts_with("08")
                        || [
                            SqlState::ADMIN_SHUTDOWN,
                            SqlState::CRASH_SHUTDOWN,
                            SqlState::CANNOT_CONNECT_NOW,
                            SqlState::TOO_MANY_CONNECTIONS,
                            // A primary that has stepped down meanwhile.
                            SqlState::READ_ONLY_SQL_TRANSACTION,
                            SqlState::QUERY_CANCELED,
                            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                        ]
                        .contains(state)
                }
                None => !is_ours(error),
            },
            _ => false,
        }
    }

    /// What stands in the way of one that is away.
    pub(super) fn obstacle(&self) -> Obstacle {
        match (self.state(), self) {
            (Some(&SqlState::READ_ONLY_SQL_TRANSACTION), _) => Obstacle::ReadOnly,
            (Some(&SqlState::TOO_MANY_CONNECTIONS), _) => Obstacle::Crowded,
            // Where one that takes writes was asked for, the client says this of one that does not, in words alone.
            (None, Self::Engine(error)) if in_full(error).contains("does not allow writes") => Obstacle::ReadOnly,
            _ => Obstacle::Unreachable,
        }
    }

    /// This one, or what the server has `said` before, where this is its silence.
    #[must_use]
    pub(super) fn or(self, said: Option<Self>) -> Self {
        match (self, said) {
            (Self::Silence | Self::Pool(_), Some(said)) => said,
            (fault, _) => fault,
        }
    }

    /// Becomes the last thing that was `said`, where it is no silence after that.
    pub(super) fn keep_in(self, said: &mut Option<Self>) {
        // What a server lacks says nothing of the next one that is asked.
        if !matches!(self, Self::Behind(_)) {
            *said = Some(self.or(said.take()));
        }
    }

    /// The error of who finds tables of the form `found` at `server`, and may not change them; any other fault as it is.
    #[must_use]
    pub(super) fn forming(self, server: &ServerAddress, found: i32, needed: i32) -> Self {
        if matches!(self, Self::Denied(_)) || self.state() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::Known(RecordError::Unformed {
                server: server.to_string(),
                found,
                needed,
                source: self.said(),
            });
        }
        self
    }

    /// Whether the server undid it in favour of another: the same at once may work.
    pub(super) fn is_collision(&self) -> bool {
        self.state().is_some_and(
            |state| // Two who insert the same at once: every row that may be there already is asked for first.
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNIQUE_VIOLATION]
                .contains(state),
        )
    }

    /// Whether it waited for somebody else's lock for too long.
    pub(super) fn is_lock(&self) -> bool {
        self.state() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// The error of a call to the record at `server`.
    pub(super) fn using(self, server: &ServerAddress) -> RecordError {
        let path = || PathBuf::from(server.to_string());
        if let Self::Behind(lacks) = self {
            return RecordError::Forgotten { server: server.to_string(), lacks };
        }
        if self.is_away() {
            return RecordError::Away { server: server.to_string(), obstacle: self.obstacle(), source: self.said() };
        }
        let class = self.state().map(|state| state.code().to_owned()).unwrap_or_default();
        match (self, &*class) {
            (Self::Known(error), _) => error,
            (Self::Refused(source), _) => RecordError::Refused { path: path(), source: source.into() },
            (Self::Lapsed, _) => RecordError::Lapsed,
            (fault, "55P03" | "40001" | "40P01") => RecordError::Locked { path: path(), source: fault.said() },
            (fault, "53100") => RecordError::Full { path: path(), source: fault.said() },
            (fault, "XX001" | "XX002") => RecordError::Corrupt { path: path(), what: fault.said().to_string() },
            (fault, "42501" | "3D000" | "28000" | "28P01") => {
                RecordError::NotLetIn { server: server.to_string(), source: fault.said() }
            }
            (fault, class) if class.starts_with("22") || class.starts_with("23") => {
                RecordError::Refused { path: path(), source: fault.said() }
            }
            (fault, _) => RecordError::Failed { path: path(), source: fault.said() },
        }
    }

    /// The error of an attempt to open it, where whatever has no better name is a matter of being let in.
    pub(super) fn opening(self, server: &ServerAddress) -> RecordError {
        match self.using(server) {
            RecordError::Failed { source, .. } => RecordError::NotLetIn { server: server.to_string(), source },
            error => error,
        }
    }

    fn said(self) -> Arc<dyn Error + Send + Sync> {
        Arc::new(Said(self.words()))
    }

    /// What the server or the client said.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Engine(error) => match error.as_db_error() {
                Some(said) => format!("{} ({})", said.message(), said.code().code()),
                None => in_full(error),
            },
            Self::Pool(PoolError::Timeout(_)) => "no connection was to be had in time".to_owned(),
            Self::Pool(error) => in_full(error),
            Self::Silence => "it did not answer in time".to_owned(),
            Self::Unfit(why) | Self::Denied(why) => why.clone(),
            other => format!("{other:?}"),
        }
    }
}

/// Whether it was our mistake, and not the network's.
fn is_ours(error: &tokio_postgres::Error) -> bool {
    // The client tells its kinds of error by their words alone.
    let said = error.to_string();
    ["serializing", "deserializing", "invalid", "expected", "unexpected number", "TLS", "authentication"]
        .iter()
        .any(|word| said.contains(word))
}
