//! Which request is which.

use http::{Method, Uri};

use super::super::error::GraphError;
use super::conversation;

/// What a request is after, as faults and counters tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Target {
    Upload,
    Send,
    Me,
    DebugToken,
    Conversations,
    Batch,
    Other,
}

/// A Graph path taken apart: `/v25.0/{node}/{edge}`, the version being optional.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) node: String,
    pub(super) edge: String,
}

impl Call {
    pub(super) fn of(method: Method, uri: &Uri) -> Self {
        Self::at(method, uri.path())
    }

    /// The call `method` makes at `path`, which may begin with a slash or not.
    pub(super) fn at(method: Method, path: &str) -> Self {
        let path = path.trim_matches('/');
        let path = match path.split_once('/').unwrap_or((path, "")) {
            (first, rest) if is_version(first) => rest,
            _ => path,
        };
        let (node, edge) = path.split_once('/').unwrap_or((path, ""));
        Self { method, node: node.to_owned(), edge: edge.to_owned() }
    }

    pub(super) fn target(&self) -> Target {
        match (&self.method, self.edge.as_str()) {
            (&Method::POST, "message_attachments") => Target::Upload,
            (&Method::POST, "messages") => Target::Send,
            (&Method::POST, "") => Target::Batch,
            (&Method::GET, "") if self.node == "debug_token" => Target::DebugToken,
            (&Method::GET, "conversations") => Target::Conversations,
            (&Method::GET, "") if self.node.starts_with(conversation::PREFIX) => Target::Conversations,
            (&Method::GET, "") if !self.node.is_empty() => Target::Me,
            _ => Target::Other,
        }
    }

    /// The refusal of a path or method nothing answers to.
    pub(super) fn unsupported(&self) -> GraphError {
        match self.edge.as_str() {
            "" | "conversations" | "message_attachments" | "messages" => {
                GraphError::unsupported(self.method.as_str(), &self.node)
            }
            edge => GraphError::unknown_path(edge),
        }
    }
}

/// Whether `segment` looks like `v25.0`.
fn is_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}
