//! Bodies of JSON, read with words for what is wrong with them.

use serde::de::DeserializeOwned;

use crate::service::problem::Problem;

/// What the body says.
///
/// # Errors
/// A body that is no JSON, or not the JSON that is asked for. Nothing in it is told back but its place.
pub(super) fn json_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| not_asked_for(&error))
}

/// What is wrong with a body that could not be read.
pub(super) fn not_asked_for(error: &serde_json::Error) -> Problem {
    Problem::invalid(format!("the body is not what is asked for: {error}"))
}
