//! `POST /v1/resolve`: the live ids of references.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::events::{AssetEvent, ErrorBody};
use crate::ids::MediaKind;
use crate::library::{AssetLibrary, AssetOutcome, AssetRef, AssetReport, PlanRules, ResolveOptions, UploadOnMiss};
use crate::service::access::Scope;
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::{Asked, MayRead};

use super::body::json_body;

/// References in one call.
const MOST: usize = 1_000;
/// References looked at, or uploaded, at once for one call.
const CONCURRENCY: usize = 8;
/// How long a call waits for its uploads, unless it says.
const USUAL_WAIT: Duration = Duration::from_mins(2);
/// And at most.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    /// Paths in the library's folders, `sha256:HEX`, `@alias`, or web addresses; 1,000 at most.
    refs: Vec<String>,
    /// Whether to upload what has no live id.
    #[serde(default = "yes")]
    upload: bool,
    /// The Page, by its id or configured name; the first one where none is named.
    page: Option<String>,
    /// What to send them as, where that is not what their bytes say.
    #[schema(value_type = Option<String>)]
    kind: Option<MediaKind>,
}

const fn yes() -> bool {
    true
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds after which what is still being uploaded is reported as `pending`; the upload goes on.
    wait: Option<u64>,
}

/// The live id of each reference, uploaded first where there is none.
///
/// An id that is known is answered from what was known a second ago at most, without a look at the file.
#[utoipa::path(
    post,
    path = "/v1/resolve",
    params(Wait),
    request_body = Resolve,
    responses(
        (status = 200, description = "One object for each reference, in their order: `{\"assets\":[…]}`. Its `outcome` is \
            `reused`, `uploaded`, `refreshed`, `missing`, `rejected`, `failed` or `pending`.", body = Object),
        (status = 400, description = "A body of another form, or a text that refers to nothing", body = Problem),
        (status = 403, description = "A path outside of the library, or a token that may not upload", body = Problem),
        (status = 404, description = "The Page is not one of those served", body = Problem),
        (status = 413, description = "More than 1,000 references, or 1 MB", body = Problem),
    )
)]
pub(super) async fn resolve(
    State(shared): State<Arc<Shared>>,
    MayRead(visitor): MayRead,
    Asked(wait): Asked<Wait>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: Resolve = json_body(&body)?;
    if asked.refs.len() > MOST {
        return Err(Problem::too_large(format!("{} references in one call: {MOST} are taken", asked.refs.len())));
    }
    let page = shared.page(asked.page.as_deref())?;
    let wait = wait.wait.map_or(USUAL_WAIT, Duration::from_secs).min(LONGEST_WAIT);
    let call = Call { page: page.identity.id.to_string(), kind: asked.kind };
    let known: Vec<_> = asked.refs.iter().map(|text| shared.answers.get(&call.question(text))).collect();
    shared.metrics.resolved(AssetOutcome::Reused, known.iter().flatten().count() as u64);
    if known.iter().all(Option::is_some) {
        return Ok(answer(known.into_iter().flatten()));
    }
    let on_miss = match (asked.upload, visitor.scope) {
        (false, _) => UploadOnMiss::Refused,
        (true, Scope::Send) => UploadOnMiss::Allowed,
        (true, Scope::Read) => return Err(Problem::read_only()),
    };
    let options = ResolveOptions { on_miss, kind: asked.kind, ..ResolveOptions::uploading(PlanRules::HANDED_OUT) }
        .from_what_is_known();
    // Where a file really lies, the disk says.
    let jobs = shared.looking(|shared| {
        let jobs = asked.refs.into_iter().zip(known);
        jobs.map(|(text, known)| shared.reference(&text).map(|reference| (text, known, reference))).collect()
    });
    let jobs: Vec<_> = jobs.await.flatten()?;
    let deadline = tokio::time::Instant::now() + wait;
    let answers: Vec<_> = futures::stream::iter(jobs)
        .map(|(text, known, reference)| {
            let (shared, options, library) = (&shared, &options, &page.library);
            let question = call.question(&text);
            async move {
                match (known, reference) {
                    (Some(known), _) => known,
                    (None, Err(missing)) => missing_file(&text, &missing),
                    (None, Ok(reference)) => {
                        let job = Job { shared: Arc::clone(shared), library: library.clone(), question, text };
                        job.answer_by(deadline, reference, options.clone()).await
                    }
                }
            }
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    Ok(answer(answers))
}

/// What an answer depends on besides the reference.
struct Call {
    page: String,
    kind: Option<MediaKind>,
}

impl Call {
    fn question(&self, text: &str) -> String {
        let kind = self.kind.map_or("", MediaKind::as_str);
        format!("{}\n{kind}\n{text}", self.page)
    }
}

/// One reference on its way to an id.
struct Job {
    shared: Arc<Shared>,
    library: AssetLibrary,
    question: String,
    text: String,
}

impl Job {
    /// What became of it; that it is under way, where it takes longer. It goes on, be it waited for or not.
    async fn answer_by(self, deadline: tokio::time::Instant, reference: AssetRef, options: ResolveOptions) -> Arc<str> {
        let text = self.text.clone();
        let task = tokio::spawn(async move { self.answer(&reference, &options).await });
        match tokio::time::timeout_at(deadline, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => local(&text, "failed", "something went wrong that should not; the service's log says what"),
            Err(_) => pending(&text),
        }
    }

    async fn answer(&self, reference: &AssetRef, options: &ResolveOptions) -> Arc<str> {
        let epoch = self.shared.answers.epoch();
        let report = self.library.resolve(reference, options).await;
        self.shared.metrics.resolved(report.outcome, 1);
        let json: Arc<str> = asset_json(&report, &self.text).into();
        match report.outcome {
            AssetOutcome::Reused => self.shared.answers.keep(&self.question, Arc::clone(&json), epoch),
            AssetOutcome::Uploaded | AssetOutcome::Refreshed => {
                self.shared.changed();
                self.shared.news.tell("asset", json.to_string());
            }
            _ => {}
        }
        json
    }
}

/// What became of a reference, as JSON.
pub(super) fn asset_json(report: &AssetReport, text: &str) -> String {
    serde_json::to_string(&AssetEvent::new(report).asked_for_as(text.to_owned())).unwrap_or_default()
}

fn missing_file(text: &str, missing: &Problem) -> Arc<str> {
    local(text, "failed", missing.detail())
}

fn pending(text: &str) -> Arc<str> {
    let error = ErrorBody::local("it is still being uploaded: ask again".to_owned(), None);
    unanswered(text, "pending", ErrorBody { retryable: true, ..error })
}

pub(super) fn local(text: &str, outcome: &'static str, message: &str) -> Arc<str> {
    unanswered(text, outcome, ErrorBody::local(message.to_owned(), None))
}

fn unanswered(text: &str, outcome: &'static str, error: ErrorBody) -> Arc<str> {
    serde_json::to_string(&AssetEvent::unanswered(text.to_owned(), outcome, error)).unwrap_or_default().into()
}

/// The objects, as one.
fn answer(assets: impl IntoIterator<Item = Arc<str>>) -> Response {
    let mut body = String::from("{\"assets\":[");
    for (place, asset) in assets.into_iter().enumerate() {
        if place > 0 {
            body.push(',');
        }
        body.push_str(&asset);
    }
    body.push_str("]}");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
