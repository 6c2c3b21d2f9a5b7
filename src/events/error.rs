//! What went wrong.

use serde::Serialize;

use crate::fault::{self, Fault, class_of};
use crate::graph::GraphError;

/// `{"event":"error"}`.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorEvent<'a> {
    event: &'static str,
    /// What the configuration calls the Page, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(flatten)]
    body: ErrorBody,
}

impl<'a> ErrorEvent<'a> {
    pub(crate) fn new(body: ErrorBody) -> Self {
        Self { event: "error", page: None, body }
    }

    /// The same, of one Page among several.
    pub(crate) fn of_page(self, page: &'a str) -> Self {
        Self { page: Some(page), ..self }
    }

    /// The object, where there is no output to hand it to.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What went wrong, in the words people get.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorBody {
    pub(crate) code: Option<i64>,
    pub(crate) subcode: Option<i64>,
    pub(crate) class: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) retryable: bool,
    pub(crate) fbtrace_id: Option<String>,
}

impl ErrorBody {
    pub(crate) fn new(
        graph: Option<&GraphError>,
        class: &'static str,
        message: String,
        hint: Option<String>,
        retryable: bool,
    ) -> Self {
        let refusal = graph.and_then(GraphError::refusal);
        Self {
            code: refusal.map(|refusal| refusal.code),
            subcode: refusal.and_then(|refusal| refusal.subcode),
            class,
            message,
            hint,
            retryable,
            fbtrace_id: refusal.and_then(|refusal| refusal.fbtrace_id.clone()),
        }
    }

    /// An error of the library, the record, Meta or a campaign.
    pub(crate) fn of(fault: &dyn Fault) -> Self {
        let class = class_of(fault.sort(), fault.graph());
        let retryable = fault::is_retryable(fault);
        Self::new(fault.graph(), class, fault::message(fault), fault.what_to_do(), retryable)
    }

    /// Something that is wrong here, and of which Meta knows nothing.
    pub(crate) fn local(message: String, hint: Option<String>) -> Self {
        Self::new(None, "local", message, hint, false)
    }
}
