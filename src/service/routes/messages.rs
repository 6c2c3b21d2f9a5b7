//! `POST /v1/messages`: one message, once, however often it is asked for.
//!
//! A request with a key is written down before anything is done about it, and so is its answer. What Meta did not clearly
//! refuse is never sent again: a request whose answer was lost is answered as `unknown`. Where certainly nothing was sent and
//! another try may fare better, the key is given back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::{Moment, Timestamp, uptime};
use crate::delivery::LONGEST_CALL;
use crate::events::SendEvent;
use crate::fault::{Fault, Sort};
use crate::graph::{
    Certainty, Content, Governor, GraphError, Message, Operation, Reference, ReferenceKey, SendRequest, Sent,
};
use crate::ids::{ContentHash, RequestKey};
use crate::library::{AssetOutcome, AssetRef, Carrier, Delivered, LibraryError, PlanRules, Prepared, PreparedAsset};
use crate::record::{Answer, Request, Standing, TakenUp};
use crate::service::ServedPage;
use crate::service::ends::{Ended, Ends};
use crate::service::problem::{PROBLEM_JSON, Problem};
use crate::service::shared::Shared;
use crate::service::visitor::MaySend;

use super::body::{no_object, not_asked_for};
use super::resolve::asset_json;

/// The header that names a request.
pub(super) const KEY: &str = "idempotency-key";
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// How long a key is kept, with its answer.
const KEPT: Duration = Duration::from_hours(24);
/// How long after it was taken up a message may leave: its files are uploaded first.
const LATEST: Duration = Duration::from_mins(10);
/// How long a message waits for Meta's rate limits.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether they hold while its files are uploaded.
const LOOK: Duration = Duration::from_secs(1);
/// How much longer than a message can take a request is held to be under way: clocks may differ.
const MARGIN: Duration = Duration::from_mins(1);
/// How long to wait for Meta to say what time it is.
const ASKING: Duration = Duration::from_secs(3);
/// When to ask again about a request that is under way, in seconds.
const ASK_AGAIN_SECONDS: u32 = 2;
/// When to ask again where nobody knows how long a limit holds, in seconds.
const LIMIT_SECONDS: u32 = 30;

/// Sends one message, and answers with Meta's receipt.
///
/// Under one `Idempotency-Key`, a message is sent once, and the same answer is given for 24 hours. Without the header, it is
/// sent as often as it is asked for.
#[utoipa::path(
    post,
    path = "/v1/messages",
    params((
        "Idempotency-Key" = Option<String>,
        Header,
        description = "1 to 255 visible ASCII characters, without `\"` and `\\`. It may stand in quotes, which are no part of it"
    )),
    request_body(
        content = Object,
        description = "A body of the Send API. `\"file\": \"path\"` or `\"asset\": \"@alias\"` may stand for an \
            `attachment_id`, and `page` names the Page."
    ),
    responses(
        (
            status = 200,
            description = "Sent: `{\"event\":\"send\",\"recipient_id\",\"message_id\",\"outcome\":\"sent\",…}`",
            body = Object
        ),
        (status = 400, description = "No message, or a key that is none. Nothing was sent", body = Problem),
        (status = 403, description = "A path outside of the library. Nothing was sent", body = Problem),
        (status = 404, description = "No such file, or the Page is not one of those served. Nothing was sent", body = Problem),
        (status = 409, description = "The first request under this key is under way: ask again", body = Problem),
        (status = 422, description = "Meta refused it, or the key is another request's. Nothing was sent", body = Problem),
        (status = 429, description = "Meta's rate limit, or too many a second. Nothing was sent: ask again", body = Problem),
        (status = 502, description = "`unknown-outcome`: it may have been sent. Else nothing was", body = Problem),
        (status = 503, description = "Nothing was sent by this request: ask again", body = Problem),
    )
)]
pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let key = key_in(&headers)?;
    let (page, request) = read(&body)?;
    let page = shared.page(page.as_deref())?.clone();
    let began = uptime();
    let job = Job { shared: Arc::clone(&shared), page, request, began };
    // Whoever hangs up does not stop what was begun.
    let task = shared.sends.spawn(async move {
        match key {
            None => job.deliver().await.map(|answer| respond(&answer)),
            Some(key) => job.answer(key, &body).await,
        }
    });
    task.await.unwrap_or_else(|_| Err(Problem::unexpected()))
}

pub(super) fn key_in(headers: &HeaderMap) -> Result<Option<RequestKey>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().map_err(|_| Problem::invalid("the Idempotency-Key is no text"))?;
            key.parse().map(Some).map_err(|error| Problem::invalid(format!("{error}")))
        }
        (Some(_), Some(_)) => Err(Problem::invalid("the request has two Idempotency-Keys")),
    }
}

/// The Page a body names, and what it wants sent.
pub(super) fn read(body: &[u8]) -> Result<(Option<String>, SendRequest), Problem> {
    let json = crate::json::from_slice(body).map_err(|error| not_asked_for(&error))?;
    let Value::Object(mut json) = json else { return Err(no_object()) };
    let page = match json.shift_remove("page") {
        None | Some(Value::Null) => None,
        Some(Value::String(page)) => Some(page),
        Some(_) => return Err(Problem::invalid("page must be the id or the name of a Page")),
    };
    Ok((page, SendRequest::from_json(json).map_err(GraphError::from)?))
}

/// A message that was asked for.
struct Job {
    shared: Arc<Shared>,
    page: ServedPage,
    request: SendRequest,
    /// By [`uptime`].
    began: Duration,
}

impl Job {
    /// The answer to the request of this key: the one it was given before, or else what comes of doing it.
    async fn answer(&self, key: RequestKey, body: &[u8]) -> Result<Response, Problem> {
        // No key is older than it is, for a clock that is set or put right meanwhile: to forget one is to send its message again.
        let _ = timeout(ASKING, self.page.library.ask_the_time_if_in_doubt()).await;
        let (record, clock) = (&self.shared.parts.record, &self.shared.parts.clock);
        let now = clock.earliest();
        let since = match clock.moment() {
            Moment::Sure(_) => now.minus(KEPT),
            Moment::Doubtful(_) => Timestamp::from_unix_millis(i64::MIN),
        };
        let request = Request { key, digest: self.digest(body), at: clock.now() };
        self.shared.ends.settle(&**record, &request.key).await?;
        match record.take_up(&request, since).await? {
            TakenUp::New => {}
            TakenUp::Known(known, _) if known.digest != request.digest => return Err(Problem::other_request()),
            TakenUp::Known(_, Standing::Answered(answer)) => return Ok(replayed(&answer)),
            TakenUp::Known(known, Standing::UnderWay) if !is_overdue(known.at, now) => {
                return Err(Problem::under_way(ASK_AGAIN_SECONDS));
            }
            TakenUp::Known(known, _) => {
                let lost = kept(&Problem::lost_track());
                record.answer(&known, &lost).await?;
                self.shared.metrics.message("unknown");
                return Ok(replayed(&lost));
            }
        }
        let ended = self.deliver().await;
        let end = ended.as_ref().map_or(Ended::GivenBack, |answer| Ended::Answered(answer.clone()));
        Ends::keep(&self.shared, request, end).await;
        ended.map(|answer| respond(&answer))
    }

    /// SHA-256 of the body and of whom it is sent for.
    fn digest(&self, body: &[u8]) -> ContentHash {
        let space = self.page.library.space();
        let mut hasher = Sha256::new();
        for word in [space.origin.as_str(), space.page.as_str(), space.platform.as_str()] {
            hasher.update(word);
            hasher.update(b"\0");
        }
        ContentHash(hasher.chain_update(body).finalize().into())
    }

    /// Does it, whatever was done before: how it ended.
    ///
    /// # Errors
    /// Nothing was sent, and the same may be tried again.
    async fn deliver(&self) -> Result<Answer, Problem> {
        let ended = self.attempt().await;
        self.shared.metrics.message(ended.as_ref().map_or("failed", |(outcome, _)| *outcome));
        ended.map(|(_, answer)| answer)
    }

    /// The same, with what became of the message in a word.
    async fn attempt(&self) -> Result<(&'static str, Answer), Problem> {
        let request = self.confined().await.map_err(|problem| problem.of_message("failed"))?;
        let recipient = request.envelope.recipient.to_string();
        let prepared = unless_held_up(self.preparing(request), self.page.graph.governor()).await;
        let prepared = prepared.map_err(|error| self.unsent(&error))?;
        let prepared = prepared.map_err(|_| Problem::unexpected().of_message("failed"))?;
        let prepared = prepared.map_err(|error| self.unsent(&error))?;
        let assets = prepared.assets().to_vec();
        let before = ids_of(prepared.request());
        let once = Once { page: &self.page, began: self.began };
        let delivered = self.page.library.deliver(prepared, &once).await;
        let (request, ended) = match delivered {
            Delivered::Sent { request, sent } => {
                let event = SendEvent::new(recipient).carrying(&request.content).sent(&sent);
                let body = serde_json::to_string(&event).unwrap_or_default();
                (Some(request), Ok(("sent", Answer { status: StatusCode::OK.as_u16(), body })))
            }
            Delivered::Failed { request, error } => (Some(request), self.failure(&error)),
            Delivered::NewIdRefused { request, error } => (Some(request), Err(self.unsent(&error))),
            Delivered::NotHealed { error, .. } => (None, Err(self.unsent(&error))),
            Delivered::Stopped => (None, Err(Problem::stopping().of_message("failed"))),
        };
        self.tell_of_heals(&assets, &before, request.as_ref()).await;
        ended
    }

    /// The request, its paths as they really lie in the library.
    async fn confined(&self) -> Result<SendRequest, Problem> {
        let Content::Message(message) = &self.request.content else { return Ok(self.request.clone()) };
        let references = message.references();
        let texts = self.shared.looking(|shared| real_paths(shared, references)).await??;
        Ok(SendRequest { content: message.with_references(&texts).into(), ..self.request.clone() })
    }

    /// What a message that did not get Meta's receipt ended as.
    fn failure(&self, error: &GraphError) -> Result<(&'static str, Answer), Problem> {
        let stays = |outcome| (outcome, kept(&Problem::of(error).of_message(outcome)));
        match (error, error.outcome(), error.sort()) {
            (_, Certainty::Unknown, _) => Ok(stays("unknown")),
            (GraphError::Stopped { .. }, ..) if !self.shared.parts.stop.is_requested() => {
                Err(Problem::late().of_message("failed"))
            }
            (_, Certainty::NotDone, Sort::Item) => Ok(stays("failed")),
            (_, Certainty::NotDone, _) => Err(self.unsent(error)),
        }
    }

    /// The message with its ids. What is uploaded for it goes on, be it waited for or not: the next try has its id.
    fn preparing(&self, request: SendRequest) -> JoinHandle<Result<Prepared, LibraryError>> {
        let (shared, library) = (Arc::clone(&self.shared), self.page.library.clone());
        self.shared.sends.spawn(async move {
            let prepared = library.prepare(request, Path::new(""), PlanRules::HANDED_OUT).await?;
            tell_of_uploads(&shared, prepared.assets());
            Ok(prepared)
        })
    }

    /// The problem of a message that was certainly not sent, for a reason that may pass.
    fn unsent(&self, fault: &dyn Fault) -> Problem {
        let problem = match fault.graph() {
            Some(GraphError::RateLimited { wait, .. }) => {
                let wait = wait.or_else(|| self.page.graph.governor().pace().shut_for);
                Problem::limited(fault, wait.map_or(LIMIT_SECONDS, whole_seconds))
            }
            _ => Problem::of_file(fault),
        };
        problem.of_message("failed")
    }

    /// Tells of ids Meta refused: what took their places, in the message as it went out last.
    async fn tell_of_heals(&self, assets: &[PreparedAsset], before: &[String], request: Option<&SendRequest>) {
        let after = request.map(ids_of);
        if after.as_deref() == Some(before) {
            return;
        }
        self.shared.changed();
        for (old, new) in before.iter().zip(after.into_iter().flatten()).filter(|(old, new)| *old != new) {
            let Some(asset) = assets.iter().find(|asset| asset.upload.attachment_id.as_str() == old) else { continue };
            let key = asset.upload.key.clone();
            let on_record = self.shared.parts.record.find(&[key]).await.ok().and_then(|mut found| found.pop()?);
            if let Some(upload) = on_record.filter(|upload| upload.attachment_id.as_str() == new) {
                let healed = PreparedAsset { upload, outcome: AssetOutcome::Refreshed, ..asset.clone() };
                self.shared.news.tell("asset", asset_json(&healed.report(), &asset.reference));
            }
        }
    }
}

/// Each path by its place in the message, as it really lies in the library.
fn real_paths(shared: &Shared, references: Vec<Reference>) -> Result<Vec<(String, String)>, Problem> {
    let mut texts = Vec::new();
    for reference in references {
        let path = match reference.key {
            ReferenceKey::File => shared.file(&reference.text)??,
            ReferenceKey::Asset => match shared.reference(&reference.text)?? {
                AssetRef::File(path) => path,
                _ => continue,
            },
        };
        let path = path.into_os_string().into_string();
        let path = path.map_err(|_| Problem::invalid("a path is not UTF-8: name its asset by hash or alias"))?;
        texts.push((reference.pointer, path));
    }
    Ok(texts)
}

/// Whether a message that was taken up then must have come to an end.
fn is_overdue(since: Timestamp, now: Timestamp) -> bool {
    now.since(since) > LATEST + LONGEST_CALL + MARGIN
}

fn ids_of(request: &SendRequest) -> Vec<String> {
    let ids = request.content.message().map(Message::attachment_ids).unwrap_or_default();
    ids.into_iter().map(str::to_owned).collect()
}

/// Sends once each time it is asked, and not after the message's time.
#[derive(Debug)]
struct Once<'a> {
    page: &'a ServedPage,
    began: Duration,
}

#[async_trait]
impl Carrier for Once<'_> {
    async fn carry(&self, request: &SendRequest) -> Result<Sent, GraphError> {
        let ServedPage { graph, identity, attachment_type, .. } = self.page;
        let request = attachment_type.map_or_else(|| request.clone(), |word| request.with_attachment_type(word));
        let in_time = async { uptime() < self.began + LATEST };
        let mut patience = PATIENCE;
        graph.send_once(&identity.id, &request, &mut patience, in_time).await
    }
}

/// Tells of ids that are new.
fn tell_of_uploads(shared: &Shared, assets: &[PreparedAsset]) {
    let mut new = assets.iter().filter(|asset| asset.outcome != AssetOutcome::Reused).peekable();
    if new.peek().is_some() {
        shared.changed();
    }
    for asset in new {
        shared.news.tell("asset", asset_json(&asset.report(), &asset.reference));
    }
}

/// What `uploading` comes to.
///
/// # Errors
/// Meta's rate limits would be waited for longer than a message waits.
///
/// # Cancel safety
/// That of `uploading`.
async fn unless_held_up<T>(uploading: impl Future<Output = T>, governor: &Governor) -> Result<T, GraphError> {
    let held_up = async {
        let mut waited = Duration::ZERO;
        loop {
            // What needs no upload is done by then.
            tokio::time::sleep(LOOK).await;
            match governor.pace().shut_for {
                Some(wait) if waited + wait > PATIENCE => return wait,
                Some(_) => waited += LOOK,
                None => {}
            }
        }
    };
    tokio::select! {
        biased;
        done = uploading => Ok(done),
        wait = held_up => {
            let (operation, wait) = (Operation::Upload, Some(wait));
            Err(GraphError::RateLimited { operation, wait, refusal: None, spent: None })
        }
    }
}

fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

/// The problem as the answer that stays.
fn kept(problem: &Problem) -> Answer {
    Answer { status: problem.status().as_u16(), body: problem.to_json() }
}

fn respond(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let form = if status.is_success() { "application/json" } else { PROBLEM_JSON };
    (status, [(CONTENT_TYPE, form)], answer.body.clone()).into_response()
}

fn replayed(answer: &Answer) -> Response {
    ([(REPLAYED, "true")], respond(answer)).into_response()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::clock::ManualClock;
    use crate::graph::{Answered, Attempt, Call, GraphClient, GraphOptions, RetryPolicy, Transport};
    use crate::ids::Origin;
    use crate::secret::AccessToken;

    /// Lets nobody through.
    #[derive(Debug)]
    struct Throttle;

    #[async_trait]
    impl Transport for Throttle {
        async fn execute(&self, _: Call) -> Attempt {
            let body = r#"{"error":{"message":"too many","code":613}}"#.into();
            Attempt::Answered(Answered { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_not_waited_for_where_meta_lets_nobody_through() {
        let options =
            GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), AccessToken::new("TOKEN").expect("a token"));
        let clock = ManualClock::new(Timestamp::from_unix_millis(1_800_000_000_000));
        let policy = RetryPolicy { max_wait: Duration::ZERO, ..RetryPolicy::default() };
        let client = GraphClient::new(options, Arc::new(Throttle), Arc::new(clock)).with_retry(policy);
        let uploading = async {
            client.me().await.expect_err("too many");
            pending::<()>().await;
        };
        let began = tokio::time::Instant::now();
        let error = unless_held_up(uploading, client.governor()).await.expect_err("held up");
        let GraphError::RateLimited { wait: Some(wait), .. } = error else { panic!("{error}") };
        assert!(wait > PATIENCE && began.elapsed() <= PATIENCE, "{wait:?} {:?}", began.elapsed());
        assert_eq!(unless_held_up(ready(7), client.governor()).await.expect("needs no upload"), 7);
    }

    #[test]
    fn nobody_is_told_to_ask_again_too_early() {
        let seconds = [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (49_999, 50)];
        for (millis, expected) in seconds {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), expected, "{millis} ms");
        }
    }
}
