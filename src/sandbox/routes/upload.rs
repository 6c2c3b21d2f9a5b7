//! `POST /{page}/message_attachments`: bytes or a URL in, an id out.
//!
//! Source: Messenger Platform, Attachment Upload API and Saving Assets (v25.0).

use serde_json::{Value, json};

use super::super::error::GraphError;
use super::super::pages::SandboxPage;
use super::super::params::{GLOBAL, Params};
use super::super::shape::{self, only};
use super::super::shared::Shared;
use super::attachment::{self, Source};

const PLATFORMS: [&str; 2] = ["messenger", "instagram"];

pub(super) fn run(shared: &Shared, page: &SandboxPage, params: &Params) -> Result<Value, GraphError> {
    let fields = &params.fields;
    only(fields, &[GLOBAL.as_slice(), &["message", "platform"]].concat(), "request")?;
    let platform = shape::one_of(fields, "platform", "platform", &PLATFORMS)?.unwrap_or("messenger");
    let message = shape::object(fields, "message", "message")?.ok_or_else(|| GraphError::required("message"))?;
    only(message, &["attachment"], "message")?;
    let param = "message[attachment]";
    let described = shape::object(message, "attachment", param)?.ok_or_else(|| GraphError::required(param))?;
    let media = attachment::media(described, &params.files, platform, param)?;
    let new = match media.source {
        Source::Saved(_) => return Err(GraphError::parameter("An attachment that has an id cannot be uploaded")),
        Source::Nothing => return Err(GraphError::file_count()),
        Source::Url(_) | Source::File(_) => media.into_new(platform, params.content_length),
    };
    let id = shared.state().add_attachment(page, shared.clock.now(), new);
    shared.counters.upload_accepted();
    shared.changed.notify_one();
    Ok(json!({ "attachment_id": id }))
}
