//! What a route asks of whoever calls it: to be let in, or to be let do something.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::access::{Scope, Visitor};
use super::problem::Problem;

/// Somebody who may look. Every route behind the door is given one.
#[derive(Debug, Clone)]
pub(super) struct MayRead(pub(super) Visitor);

/// Somebody who may upload, send and change.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaySend;

impl<S: Sync> FromRequestParts<S> for MayRead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Visitor>().cloned().map(Self).ok_or_else(Problem::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for MaySend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match MayRead::from_request_parts(parts, state).await?.0.scope {
            Scope::Send => Ok(Self),
            Scope::Read => Err(Problem::read_only()),
        }
    }
}
