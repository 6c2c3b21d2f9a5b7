//! `GET /debug_token?input_token=…`: what a token is.
//!
//! The caller's own token may be any of the sandbox's: they all belong to its one app.
//!
//! Source: Graph API reference, `debug_token` (read 2026); Facebook Login, Debugging Access Tokens (read 2026).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::error::GraphError;
use super::super::pages::{APP_ID, APP_NAME, Bearer, USER_ID};
use super::super::params::Params;
use crate::clock::Timestamp;

const SCOPES: [&str; 5] =
    ["pages_manage_metadata", "pages_messaging", "pages_read_engagement", "pages_show_list", "public_profile"];

/// How long an app may read a person's data after they last used it.
const DATA_ACCESS: Duration = Duration::from_hours(24 * 90);

pub(super) fn run(params: &Params, now: Timestamp) -> Result<Value, GraphError> {
    let token = params.text("input_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| GraphError::required("input_token"))?;
    let mut data = json!({ "app_id": APP_ID, "application": APP_NAME, "is_valid": true, "scopes": SCOPES });
    let kind = match Bearer::of(token) {
        Some(bearer @ Bearer::Page(_)) => {
            data["profile_id"] = bearer.id().into();
            "PAGE"
        }
        Some(Bearer::User) => "USER",
        Some(Bearer::App) => {
            return Ok(json!({ "data": {
                "app_id": APP_ID, "type": "APP", "application": APP_NAME, "is_valid": true, "scopes": []
            } }));
        }
        None => {
            let error = json!({ "code": 190, "message": "Invalid OAuth access token." });
            return Ok(json!({ "data": { "error": error, "is_valid": false, "scopes": [] } }));
        }
    };
    data["type"] = kind.into();
    data["user_id"] = USER_ID.into();
    // The sandbox's tokens never expire, which Graph writes as zero.
    data["expires_at"] = 0.into();
    data["data_access_expires_at"] = (now.plus(DATA_ACCESS).as_unix_millis() / 1_000).into();
    Ok(json!({ "data": data }))
}
