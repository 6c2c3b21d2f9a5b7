//! Who is calling: the token, its proof, and whether the Page is theirs.
//!
//! Source: Graph API, Secure Graph API Calls with `appsecret_proof` (read 2026).

use std::sync::atomic::Ordering;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::super::error::GraphError;
use super::super::pages::{APP_SECRET, Bearer, SandboxPage};
use super::super::params::Params;
use super::super::shared::Shared;
use super::Call;
use crate::clock::Timestamp;

/// How long a proof with a time in it holds.
const PROOF_LIFETIME: Duration = Duration::from_mins(5);

/// Whom the request's token speaks for, once its proof is checked.
pub(super) fn check(shared: &Shared, params: &Params) -> Result<Bearer, GraphError> {
    let token = params.text("access_token").filter(|token| !token.is_empty()).ok_or_else(GraphError::no_token)?;
    let bearer = Bearer::of(token).ok_or_else(GraphError::unknown_token)?;
    match params.fields.get("appsecret_proof") {
        Some(proof) => check_proof(proof, token, params.fields.get("appsecret_time"), shared.clock.now())?,
        None if shared.proof_required.load(Ordering::Relaxed) => return Err(GraphError::proof_missing()),
        None => {}
    }
    Ok(bearer)
}

/// The Page to act as: the caller's own, under its id or as `me`.
pub(super) fn page(bearer: Bearer, call: &Call) -> Result<&'static SandboxPage, GraphError> {
    match bearer {
        Bearer::User | Bearer::App => Err(GraphError::user_token()),
        Bearer::Page(page) if call.node == "me" || call.node == page.id => Ok(page),
        Bearer::Page(_) => Err(call.unsupported()),
    }
}

fn check_proof(proof: &Value, token: &str, time: Option<&Value>, now: Timestamp) -> Result<(), GraphError> {
    let message = match time {
        None => token.to_owned(),
        Some(time) => {
            let seconds = time.as_str().map_or_else(|| time.as_i64(), |text| text.parse().ok());
            let seconds = seconds.ok_or_else(GraphError::proof_wrong)?;
            let made = Timestamp::from_unix_millis(seconds.saturating_mul(1_000));
            if now.since(made).max(made.since(now)) > PROOF_LIFETIME {
                return Err(GraphError::proof_wrong());
            }
            format!("{token}|{seconds}")
        }
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message.as_bytes());
    let proof = proof.as_str().and_then(|proof| hex::decode(proof).ok()).ok_or_else(GraphError::proof_wrong)?;
    mac.verify_slice(&proof).map_err(|_| GraphError::proof_wrong())
}
