//! What went wrong.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::graph::GraphError;

/// `{"event":"error"}`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ErrorEvent<'a> {
    event: &'static str,
    /// What the configuration calls the Page, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(flatten)]
    body: ErrorBody,
}

impl<'a> ErrorEvent<'a> {
    pub(in crate::cli) fn new(failure: &Failure) -> Self {
        Self { event: "error", page: None, body: ErrorBody::of(failure) }
    }

    /// The same, of one Page among several.
    pub(in crate::cli) fn of_page(self, page: &'a str) -> Self {
        Self { page: Some(page), ..self }
    }

    /// The object, where there is no output to hand it to.
    pub(in crate::cli) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What went wrong, in the words people get.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ErrorBody {
    code: Option<i64>,
    subcode: Option<i64>,
    class: &'static str,
    message: String,
    hint: Option<String>,
    retryable: bool,
    fbtrace_id: Option<String>,
}

impl ErrorBody {
    /// Something that is wrong here, and of which Meta knows nothing.
    pub(super) fn local(message: String, hint: Option<String>) -> Self {
        let (code, subcode, fbtrace_id) = (None, None, None);
        Self { code, subcode, class: "local", message, hint, retryable: false, fbtrace_id }
    }

    pub(in crate::cli) fn of(failure: &Failure) -> Self {
        let graph = failure.graph();
        Self {
            code: graph.and_then(GraphError::refusal).map(|refusal| refusal.code),
            subcode: graph.and_then(GraphError::refusal).and_then(|refusal| refusal.subcode),
            class: failure.class(),
            message: failure.message(),
            hint: failure.hint(),
            retryable: failure.retryable(),
            fbtrace_id: graph.and_then(GraphError::refusal).and_then(|refusal| refusal.fbtrace_id.clone()),
        }
    }
}
