//! The routes: one file for each subject.

mod aliases;
mod assets;
mod body;
mod campaigns;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod health;
mod listen;
mod messages;
mod pictures;
mod resolve;
mod session;
mod surveys;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Content, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::page;
use super::problem::{PROBLEM_JSON, Problem};
use super::shared::Shared;
use crate::stop::Stop;

/// What every answer says, so that a browser does nothing with it but what the page asks for.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// How large a body may be that is read whole.
const BODY_BYTES: usize = 1 << 20;
/// How long it may take to come.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// How long the rest of it may take once the service stops: what is on the way comes within that.
const BODY_REST: Duration = Duration::from_secs(1);

/// How long a request may take that waits for nobody.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "reattach",
        description = "Reusable Messenger attachment ids for a media library. Every /v1 call needs \
            `Authorization: Bearer TOKEN`; what went wrong is an RFC 9457 problem document.",
    ),
    security(("token" = []))
)]
struct Document;

fn documented() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(resolve::resolve))
        .routes(routes!(messages::send))
        .routes(routes!(assets::list, upload::upload))
        .routes(routes!(assets::one))
        .routes(routes!(pictures::thumbnail))
        .routes(routes!(pictures::content))
        .routes(routes!(aliases::list))
        .routes(routes!(aliases::set, aliases::remove))
        .routes(routes!(surveys::duplicates))
        .routes(routes!(surveys::expiries))
        .routes(routes!(campaigns::list))
        .routes(routes!(campaigns::one))
        .routes(routes!(campaigns::pause))
        .routes(routes!(campaigns::resume))
        .routes(routes!(campaigns::unknown))
        .routes(routes!(campaigns::settle))
        .routes(routes!(listen::events))
        .routes(routes!(session::show, session::begin, session::end))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// The `OpenAPI` document.
pub(super) fn openapi() -> String {
    let mut document = documented().into_openapi();
    tell_of_refusals(&mut document);
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    document.to_pretty_json().unwrap_or_default()
}

/// Adds how any route may be refused, where it says nothing of that itself, and says what problems are served as.
fn tell_of_refusals(document: &mut openapi::OpenApi) {
    const ALWAYS: &[(&str, &str)] = &[
        ("403", "From a page of another site, or by a token or a browser's session that may not do this"),
        ("421", "For a host this service is not"),
        ("500", "Something went wrong that should not"),
    ];
    const BEHIND_THE_DOOR: &[(&str, &str)] = &[
        ("401", "No token, or none this service knows"),
        ("429", "Too many wrong tokens a second"),
        ("503", "The record is out of reach, it took too long, or the service is stopping: ask again"),
    ];
    const WITH_A_BODY: &[(&str, &str)] = &[
        ("400", "A body of another form"),
        ("408", "Its body does not come in time"),
        ("413", "Its body has more than 1 MB"),
    ];
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            let (needs_token, has_body) = (operation.security.is_none(), operation.request_body.is_some());
            let said = [(true, ALWAYS), (needs_token, BEHIND_THE_DOOR), (has_body, WITH_A_BODY)];
            let responses = &mut operation.responses.responses;
            for (status, description) in said.into_iter().filter(|(holds, _)| *holds).flat_map(|(_, said)| said) {
                let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                let refusal = ResponseBuilder::new().description(*description).content(PROBLEM_JSON, problem);
                responses.entry((*status).to_owned()).or_insert_with(|| refusal.into());
            }
            for (_, response) in responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5'])) {
                if let RefOr::T(openapi::Response { content, .. }) = response
                    && let Some(problem) = content.shift_remove("application/json")
                {
                    content.insert(PROBLEM_JSON.to_owned(), problem);
                }
            }
        }
    }
}

/// Everything that is answered.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .route("/", axum::routing::get(page::show))
        .route("/page/{name}", axum::routing::get(page::part))
        .route("/openapi.json", axum::routing::get(document))
        .fallback(async || Problem::not_found("there is nothing of that name"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(upload::BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(&shared), at_the_door))
        .with_state(shared)
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}

/// Lets in whoever may come in, and seals what goes out.
async fn at_the_door(State(shared): State<Arc<Shared>>, mut request: Request<Body>, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (began, route) = (Instant::now(), request.extensions().get::<MatchedPath>().cloned());
    let admitted = match admit(&shared, &method, &mut request) {
        Ok(()) if is_form(&request) => Ok(request),
        Ok(()) => with_body(request, &shared.parts.stop).await,
        Err(problem) => Err(problem),
    };
    let mut response = match admitted {
        Err(problem) => problem.into_response(),
        // A panic is a bug: it ends one answer, and neither the connection nor the service.
        Ok(request) => answered(request, next).await.unwrap_or_else(|| {
            tracing::error!(%method, path, "an answer ended in a panic");
            Problem::unexpected().into_response()
        }),
    };
    seal(response.headers_mut());
    let (route, status, took) = (route.as_ref().map(MatchedPath::as_str), response.status().as_u16(), began.elapsed());
    shared.metrics.answered(route, &method, status, took);
    tracing::info!(%method, route, status, took_us = took.as_micros(), "answered");
    response
}

/// The answer; `None` where it ended in a panic.
async fn answered(request: Request<Body>, next: Next) -> Option<Response> {
    std::panic::AssertUnwindSafe(next.run(request)).catch_unwind().await.ok()
}

fn admit(shared: &Shared, method: &Method, request: &mut Request<Body>) -> Result<(), Problem> {
    shared.access.check_origin(method, request.uri(), request.headers())?;
    let visitor = shared.access.visitor(method, request.uri().path(), request.headers(), shared.parts.clock.now());
    match visitor {
        Ok(visitor) => {
            request.extensions_mut().insert(visitor);
            Ok(())
        }
        Err(_) if is_open(method, request) => Ok(()),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => Err(unknown(shared, request, problem)),
        Err(problem) => Err(problem),
    }
}

/// What to say to somebody nobody knows: `problem`, or that they have tried too often.
fn unknown(shared: &Shared, request: &Request<Body>, problem: Problem) -> Problem {
    let Some(Peer(from)) = request.extensions().get::<Peer>() else { return problem };
    match shared.rates.wrong_token(*from, shared.parts.clock.uptime()) {
        Ok(()) => problem,
        Err(wait) => {
            shared.metrics.throttled("wrong_token");
            Problem::too_many(wait)
        }
    }
}

/// What is for everybody: there is nothing of the library's in it.
fn is_open(method: &Method, request: &Request<Body>) -> bool {
    let path = request.uri().path();
    let is_harmless = matches!(*method, Method::GET | Method::HEAD);
    // The page signs a browser in; anything else that wants it has to show a token.
    let wants_page = || {
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    };
    is_harmless
        && (matches!(path, "/healthz" | "/readyz" | "/openapi.json")
            || path.starts_with("/page/")
            || (path == "/" && wants_page()))
}

/// Files come as they are read, and are counted there.
fn is_form(request: &Request<Body>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/v1/assets"
}

/// The request with its whole body, unless that is too large, breaks off or does not come; less patiently once the service
/// stops, for nothing is begun yet.
async fn with_body(request: Request<Body>, stop: &Stop) -> Result<Request<Body>, Problem> {
    let (head, body) = request.into_parts();
    let mut limited = Request::new(body);
    DefaultBodyLimit::max(BODY_BYTES).apply(&mut limited);
    let stopped = async {
        stop.requested().await;
        tokio::time::sleep(BODY_REST).await;
    };
    let whole = tokio::select! {
        biased;
        whole = tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(limited, &())) => whole,
        () = stopped => return Err(Problem::stopping()),
    };
    match whole {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.into())),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Problem::too_large("the body has more than 1 MB"))
        }
        Ok(Err(_)) => Err(Problem::invalid("the body breaks off, or is not in chunks as it says")),
        Err(_) => Err(Problem::slow()),
    }
}

fn seal(headers: &mut HeaderMap) {
    const SEALS: [(HeaderName, &str); 6] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in SEALS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The answer, unless it does not come in time.
async fn in_time<T>(answer: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Problem::late()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_called_too_large() {
        let status = async |body: Body| {
            let read = with_body(Request::new(body), &Stop::new()).await;
            read.map_or_else(|problem| problem.status().as_u16(), |_| 200)
        };
        let half = [Ok("{\"refs\":"), Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))];
        assert_eq!(status(Body::from_stream(futures::stream::iter(half))).await, 400);
        for (length, expected) in [(BODY_BYTES, 200), (BODY_BYTES + 1, 413)] {
            assert_eq!(status(vec![b' '; length].into()).await, expected, "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_holds_up_no_stop() {
        let stop = Stop::new();
        stop.request();
        let body = Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>());
        let began = tokio::time::Instant::now();
        let problem = with_body(Request::new(body), &stop).await.expect_err("nothing came");
        assert_eq!(problem.status().as_u16(), 503);
        assert!(began.elapsed() < BODY_PATIENCE, "{:?}", began.elapsed());
        let whole = with_body(Request::new(Body::from("whole")), &stop).await;
        assert!(whole.is_ok(), "what is there is taken");
    }

    #[test]
    fn how_a_route_may_refuse_is_documented() {
        let document: Value = serde_json::from_str(&openapi()).expect("json");
        let says = |method: &str, path: &str, statuses: &[&str]| {
            let responses = &document["paths"][path][method]["responses"];
            let lacking: Vec<_> = statuses.iter().filter(|status| !responses[**status].is_object()).collect();
            assert!(lacking.is_empty(), "{method} {path} says nothing of {lacking:?}");
        };
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                says(method, path, &["403", "421"]);
                let is_open = matches!(path.as_str(), "/healthz" | "/readyz");
                assert_ne!(methods[method]["responses"]["401"].is_object(), is_open, "{method} {path}");
            }
        }
        says("post", "/v1/resolve", &["400", "404", "408", "413", "429", "503"]);
        says("post", "/v1/messages", &["400", "404", "408", "413", "429", "502", "503"]);
        says("get", "/v1/assets", &["400", "404", "429"]);
        says("put", "/v1/aliases/{name}", &["400", "404", "422", "503"]);
        for lever in ["resume", "settle"] {
            says("post", &format!("/v1/campaigns/{{name}}/{lever}"), &["400", "404", "409"]);
        }
        says("delete", "/v1/aliases/{name}", &["400", "404"]);
        let key = &document["paths"]["/v1/messages"]["post"]["parameters"][0];
        assert!(key["description"].as_str().is_some_and(|said| said.contains('"') && said.contains('\\')), "{key}");
    }

    #[test]
    fn the_document_is_whole() {
        let document: Value = serde_json::from_str(&openapi()).expect("json");
        let mut waiting = vec![&document];
        while let Some(value) = waiting.pop() {
            if let Some(pointer) = value.get("$ref").and_then(Value::as_str) {
                let target = pointer.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                assert!(target.is_some(), "{pointer} leads nowhere");
            }
            match value {
                Value::Object(fields) => waiting.extend(fields.values()),
                Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let name = operation["operationId"].as_str().expect("a name");
                assert!(names.insert(name), "{method} {path} is called {name} like another");
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let what = response["description"].as_str().unwrap_or_default();
                    assert!(!what.is_empty(), "{method} {path}: {status} is not described");
                    // Whoever asks whether it is ready reads the same object of either status.
                    if status.starts_with(['4', '5']) && (path.as_str(), status.as_str()) != ("/readyz", "503") {
                        let forms: Vec<_> = response["content"].as_object().expect("a body").keys().collect();
                        assert_eq!(forms, [PROBLEM_JSON], "{method} {path}: {status}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_said_to_stand_in_a_path_stands_there() {
        let document: Value = serde_json::from_str(&openapi()).expect("json");
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
                let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
                let places: Vec<_> =
                    named.map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap_or_default())).collect();
                assert!(places.iter().all(|place| path.contains(place)), "{method} {path}: {places:?}");
                assert_eq!(places.len(), path.matches('{').count(), "{method} {path}: {places:?}");
            }
        }
    }
}
