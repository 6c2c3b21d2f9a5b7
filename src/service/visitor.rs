//! What a route asks of whoever calls it: to be let in, or to be let do something.

use std::error::Error;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, FromRequestParts, Query};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::access::{Scope, Visitor};
use super::problem::Problem;
use super::shared::Shared;
use crate::handwritten::plainly;

/// Somebody who may look. Every route behind the door is given one.
#[derive(Debug, Clone)]
pub(super) struct MayRead(pub(super) Visitor);

/// Somebody who may upload, send and change, and has taken a turn to do so.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaySend;

impl<S: Sync> FromRequestParts<S> for MayRead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Visitor>().cloned().map(Self).ok_or_else(Problem::unauthorized)
    }
}

impl FromRequestParts<Arc<Shared>> for MaySend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let MayRead(visitor) = MayRead::from_request_parts(parts, shared).await?;
        may_send(visitor.scope)?;
        shared.rates.effect(&visitor, shared.parts.clock.uptime()).map_err(|wait| {
            shared.metrics.throttled("effect");
            Problem::too_many(wait)
        })?;
        Ok(Self)
    }
}

fn may_send(scope: Scope) -> Result<(), Problem> {
    match scope {
        Scope::Read => Err(Problem::read_only()),
        Scope::Send => Ok(()),
    }
}

/// What the address asks for behind its `?`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        asked_in(&parts.uri).map(Self)
    }
}

/// What stands behind the `?` of an address. A name without a value asks for nothing: forms send all they have.
///
/// # Errors
/// A value that is none of its name's.
pub(super) fn asked_in<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let says_something = |pair: &&str| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty());
    let said: Vec<_> = uri.query().unwrap_or_default().split('&').filter(says_something).collect();
    let uri = format!("/?{}", said.join("&")).parse().map_err(|_| Problem::invalid("the address cannot be read"))?;
    query_of(&uri)
}

fn query_of<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let Query(asked) = Query::try_from_uri(uri).map_err(|rejection| not_understood(&rejection))?;
    Ok(asked)
}

/// Which of the words behind the `?` is none, and why.
fn not_understood(rejection: &QueryRejection) -> Problem {
    let said = rejection.source().map(ToString::to_string).unwrap_or_default();
    let (what, why) = match said.split_once(": ") {
        Some((name, why)) if !name.contains(' ') => (name, why),
        _ => ("the address", &*said),
    };
    Problem::invalid(format!("{what} cannot be understood: {}", plainly(why)))
}

/// The same to the letter, for what must not do more than it is asked for: a name without a value asks for that.
#[derive(Debug)]
pub(super) struct Exactly<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Exactly<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        query_of(&parts.uri).map(Self)
    }
}

/// What stands in one place of the address's path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = extract::Path::from_request_parts(parts, state).await;
        path.map(|extract::Path(part)| Self(part)).map_err(|_| Problem::invalid("a part of the address cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::service::catalogue::Query as Wanted;

    #[test]
    fn what_is_asked_in_vain_is_said_in_plain_words() {
        let why = |asked: &str| {
            let uri = format!("/v1/assets?{asked}").parse().expect("an address");
            asked_in::<Wanted>(&uri).expect_err(asked).detail().to_owned()
        };
        for (asked, said) in [
            ("limit=many", "limit cannot be understood: it is no whole number"),
            ("offset=99999999999999999999", "offset cannot be understood: the number is too large"),
            (
                "sort=odd",
                "sort cannot be understood: `odd` is unknown: use one of `name`, `expires`, `uploaded`, `size`",
            ),
            ("q=a&q=b", "the address cannot be understood: `q` stands there twice"),
        ] {
            assert_eq!(why(asked), said, "{asked}");
        }
    }

    #[test]
    fn a_name_without_a_value_asks_for_nothing() {
        let asked = |address: &str| asked_in::<BTreeMap<String, String>>(&address.parse().expect("an address"));
        let said: Vec<_> = asked("/v1/assets?q=&state=live&kind&page=1=2").expect("a query").into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(said, [pair("page", "1=2"), pair("state", "live")]);
        assert!(asked("/v1/assets?").expect("a query").is_empty());
    }

    #[test]
    fn whoever_may_only_look_may_do_nothing() {
        let status = |scope| may_send(scope).map_err(|problem| problem.status().as_u16());
        assert_eq!((status(Scope::Send), status(Scope::Read)), (Ok(()), Err(403)));
    }
}
