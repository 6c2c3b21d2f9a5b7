//! Meta, and the way to it: a small model of the Send API that keeps a truth of its own, behind a network that loses, delays,
//! doubles and spoils what passes.
//!
//! **Source**: Messenger Platform, "Send API", "Saving Assets", "Error Codes"; Graph API, "Batch Requests".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::header::DATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use reattach::campaign::Nonce;
use reattach::graph::{Answered, Attempt, Body, Call, Phase, Transport, TransportError};
use reattach::ids::Asset;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout};
use url::form_urlencoded;

use super::life::{Life, START};
use super::mistakes::Mistake;
use super::record::content_of;
use super::world::{Fault, World, locked};

pub(super) const PAGE: &str = "106000000000001";
/// How long an attachment lives.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// A message Meta took.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) nonce: Nonce,
    pub(super) recipient: String,
    pub(super) message_id: String,
}

/// An attachment.
#[derive(Debug)]
struct Made {
    content: String,
    at: Instant,
    is_lost: bool,
}

#[derive(Debug)]
pub(super) struct Meta {
    world: Arc<World>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    truth: Vec<Taken>,
    made: BTreeMap<String, Made>,
    uploading: Vec<(String, Arc<Life>)>,
    storm_until: Instant,
    token_dead_until: Instant,
    /// People who cannot be written to.
    gone: BTreeSet<String>,
    /// What each part of a message must draw on.
    expected: BTreeMap<u8, String>,
    messages: u64,
}

/// What a request comes to on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    /// It never leaves.
    Unreachable,
    /// Half of it leaves.
    CutShort,
    /// It leaves, and never arrives.
    Lost,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// Its answer takes minutes.
    Slow(Duration),
    /// The answer comes twice, or one answer of a batch does.
    Doubled,
    /// It was carried out, and the answer is an error, or cut off.
    Wrong(u8),
}

impl Way {
    fn draw(world: &World) -> Self {
        let way = world.draw(|rng| match rng.u8(0..100) {
            0..3 => Self::Unreachable,
            3..4 => Self::CutShort,
            4..5 => Self::Lost,
            5..7 => Self::AnswerLost,
            7..9 => Self::Slow(Duration::from_secs(rng.u64(1..150))),
            9..10 => Self::Doubled,
            10..12 => Self::Wrong(rng.u8(0..4)),
            _ => Self::Clear,
        });
        let fault = match way {
            _ if world.is_calm() => return Self::Clear,
            Self::Clear => return way,
            Self::Unreachable | Self::CutShort | Self::Lost => Fault::RequestDropped,
            Self::AnswerLost => Fault::AnswerDropped,
            Self::Slow(_) => Fault::AnswerDelayed,
            Self::Doubled => Fault::AnswerDoubled,
            Self::Wrong(_) => Fault::AnswerWrong,
        };
        world.befell(fault, format_args!("{way:?}"));
        way
    }
}

/// What Meta says: a status and a JSON text.
type Said = (u16, String);

fn error(status: u16, code: i64, subcode: Option<i64>, message: &str) -> Said {
    let mut error = json!({"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC"});
    if let Some(subcode) = subcode {
        error["error_subcode"] = subcode.into();
    }
    (status, json!({ "error": error }).to_string())
}

impl Meta {
    pub(super) fn new(world: &Arc<World>, gone: BTreeSet<String>, expected: BTreeMap<u8, String>) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            truth: Vec::new(),
            made: BTreeMap::new(),
            uploading: Vec::new(),
            storm_until: now,
            token_dead_until: now,
            gone,
            expected,
            messages: 0,
        };
        Arc::new(Self { world: Arc::clone(world), state: Mutex::new(state) })
    }

    /// The messages it took, in their order.
    pub(super) fn truth(&self) -> Vec<Taken> {
        locked(&self.state).truth.clone()
    }

    /// Refuses everything for its rate, for so long.
    pub(super) fn storm(&self, span: Duration) {
        locked(&self.state).storm_until = Instant::now() + span;
    }

    /// Knows the token no more, for so long.
    pub(super) fn kill_token(&self, span: Duration) {
        locked(&self.state).token_dead_until = Instant::now() + span;
    }

    pub(super) fn calm_down(&self) {
        let now = Instant::now();
        let mut state = locked(&self.state);
        (state.storm_until, state.token_dead_until) = (now, now);
    }

    /// Takes note of attachments whose time is over.
    pub(super) fn age(&self) {
        let old = locked(&self.state).made.values().filter(|made| made.at.elapsed() >= LIFETIME).count();
        if old > 0 {
            self.world.befell(Fault::IdAge, old);
        }
    }

    /// Forgets an attachment before its time.
    pub(super) fn lose_an_id(&self) {
        let mut state = locked(&self.state);
        let alive: Vec<_> = state.made.values_mut().filter(|made| !made.is_lost).collect();
        let chosen = self.world.draw(|rng| rng.usize(..)) % alive.len().max(1);
        if let Some(made) = alive.into_iter().nth(chosen) {
            made.is_lost = true;
        }
    }

    /// Whether it gave this id to this content.
    pub(super) fn is_of(&self, id: &str, content: &str) -> bool {
        locked(&self.state).made.get(id).is_some_and(|made| made.content == content)
    }

    /// Whoever uploads the same thing meanwhile, and has the right to.
    fn begin_upload(self: &Arc<Self>, life: &Arc<Life>, content: String) -> Uploading {
        let mut state = locked(&self.state);
        if !life.holds(&content) && life.claimed_once(&content).is_none() {
            self.world.object(format!("{life:?} uploads {content} without a claim"));
        }
        let others = state.uploading.iter().filter(|(other, _)| *other == content);
        if let Some((_, other)) = others.into_iter().find(|(_, other)| other.holds(&content) && life.holds(&content)) {
            self.world.object(format!("{life:?} uploads {content} while {other:?} does"));
        }
        state.uploading.push((content.clone(), Arc::clone(life)));
        Uploading { meta: Arc::clone(self), content, life: Arc::clone(life) }
    }

    fn answer(&self, path: &str, body: &Body, way: Way) -> Said {
        let now = Instant::now();
        let (in_storm, token_dead) = {
            let state = locked(&self.state);
            (now < state.storm_until, now < state.token_dead_until)
        };
        if in_storm {
            self.world.befell(Fault::Storm, path);
            return error(400, 613, None, "(#613) Calls to this api have exceeded the rate limit.");
        }
        if token_dead {
            self.world.befell(Fault::TokenDeath, path);
            return error(400, 190, Some(460), "The session has been invalidated: the password was changed.");
        }
        if way == Way::Wrong(1) {
            return error(500, 2, None, "(#2) Service temporarily unavailable");
        }
        let said = match body {
            Body::Empty => (200, json!({"id": PAGE, "name": "The Page", "metadata": {"type": "page"}}).to_string()),
            Body::Form(form) => self.batch(form, way),
            Body::Json(text) => {
                let value: Value = serde_json::from_slice(text).expect("JSON");
                if path.ends_with("/messages") { self.send(&value) } else { self.upload(&content_in(&value)) }
            }
            Body::Multipart(form) => self.upload(&content_of_bytes(&form.file.bytes)),
        };
        match way {
            Way::Wrong(0) => error(500, 1, Some(1_357_046), "The messages are all sent, but an error came back"),
            Way::Wrong(2) => (502, "<html>Bad Gateway</html>".to_owned()),
            Way::Wrong(_) => (said.0, said.1[..said.1.len() / 2].to_owned()),
            Way::Doubled if !matches!(body, Body::Form(_)) => (said.0, format!("{0}{0}", said.1)),
            _ => said,
        }
    }

    fn batch(&self, form: &[u8], way: Way) -> Said {
        let batch = form_urlencoded::parse(form).find(|(name, _)| name == "batch").expect("a batch").1;
        let items: Vec<Value> = serde_json::from_str(&batch).expect("a list");
        let mut answers = Vec::new();
        for item in &items {
            let said = if item["method"] == "POST" {
                let fields = form_urlencoded::parse(item["body"].as_str().expect("a body").as_bytes());
                let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                let request = fields.map(|(name, text)| (name.into_owned(), value(&text))).collect();
                self.send(&Value::Object(request))
            } else {
                error(400, 100, None, "(#100) You must provide an app access token")
            };
            answers.push(match said {
                _ if self.world.strikes(10) => {
                    self.world.befell(Fault::AnswerDropped, "of an item");
                    Value::Null
                }
                (code, body) => json!({"code": code, "headers": [], "body": body}),
            });
        }
        if way == Way::Doubled {
            let twice = self.world.draw(|rng| rng.usize(0..answers.len()));
            answers.insert(twice, answers[twice].clone());
        }
        (200, Value::from(answers).to_string())
    }

    fn upload(&self, content: &str) -> Said {
        let mut state = locked(&self.state);
        let id = format!("{}", 1_857_000_000_000_000_u64 + state.made.len() as u64);
        self.world.note(format_args!("made {id} of {content}"));
        let made = Made { content: content.to_owned(), at: Instant::now(), is_lost: false };
        state.made.insert(id.clone(), made);
        (200, json!({ "attachment_id": id }).to_string())
    }

    fn send(&self, request: &Value) -> Said {
        let recipient = request["recipient"]["id"].as_str().map(ToOwned::to_owned);
        let recipient = recipient.unwrap_or_else(|| request["recipient"]["id"].to_string());
        let message = &request["message"];
        let nonce = Nonce::in_metadata(message["metadata"].as_str().unwrap_or_default()).expect("a nonce of ours");
        let mut state = locked(&self.state);
        if state.gone.contains(&recipient) {
            return error(400, 551, Some(1_545_041), "(#551) This person isn't available right now.");
        }
        if let Some(id) = message["attachment"]["payload"]["attachment_id"].as_str() {
            match state.made.get(id) {
                Some(made) if made.is_alive() && state.expected.get(&nonce.key.part) == Some(&made.content) => {}
                Some(made) if made.is_alive() => {
                    self.world.object(format!("{recipient} is sent {id} in part {}: another thing", nonce.key.part));
                }
                made => {
                    let fault = if made.is_some_and(|made| made.is_lost) { Fault::IdLoss } else { Fault::IdAge };
                    self.world.befell(fault, id);
                    return error(400, 100, Some(2_018_074), "(#100) Possible invalid ID");
                }
            }
        } else if message["text"].as_str() != Some(&text_for(&recipient)) {
            self.world.object(format!("{recipient} is sent {message}"));
        }
        state.messages += 1;
        let message_id = format!("m_{}", state.messages);
        self.world.note(format_args!("took {message_id} for {recipient}: {nonce}"));
        if !self.world.is_intended(nonce.campaign.as_str(), nonce.key, nonce.random) {
            self.world.object(format!("{nonce} was sent, and nothing on the disk says so"));
        }
        state.truth.push(Taken { nonce, recipient: recipient.clone(), message_id: message_id.clone() });
        (200, json!({"recipient_id": recipient, "message_id": message_id}).to_string())
    }
}

impl Made {
    fn is_alive(&self) -> bool {
        !self.is_lost && self.at.elapsed() < LIFETIME
    }
}

/// What somebody is told who has this id.
fn text_for(recipient: &str) -> String {
    format!("Hi N{recipient}")
}

fn content_in(request: &Value) -> String {
    let url = request["message"]["attachment"]["payload"]["url"].as_str().expect("a web address");
    content_of(&Asset::Url(url.parse().expect("a web address")))
}

pub(super) fn content_of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An upload under way, as its client sees it.
struct Uploading {
    meta: Arc<Meta>,
    content: String,
    life: Arc<Life>,
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let mut state = locked(&self.meta.state);
        let ours = |(content, life): &(String, Arc<Life>)| *content == self.content && Arc::ptr_eq(life, &self.life);
        if let Some(place) = state.uploading.iter().position(ours) {
            state.uploading.remove(place);
        }
    }
}

/// The network, as one life of a process sees it.
pub(super) struct Network {
    pub(super) life: Arc<Life>,
    pub(super) meta: Arc<Meta>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Network").field(&self.life).finish()
    }
}

impl Network {
    /// A request on its way, which goes on although nobody waits for it any more.
    async fn carry(
        meta: Arc<Meta>,
        path: String,
        body: Body,
        way: Way,
        (there, back): (Duration, Duration),
    ) -> Attempt {
        let failed = |reason: &str| Attempt::Failed { phase: Phase::AfterRequest, cause: TransportError::new(reason) };
        sleep(there).await;
        if way == Way::Lost {
            return failed("connection reset");
        }
        let (status, body) = meta.answer(&path, &body, way);
        if let Way::Slow(long) = way {
            sleep(long).await;
        }
        sleep(back).await;
        if way == Way::AnswerLost {
            return failed("connection reset");
        }
        let now = START.plus(meta.world.elapsed());
        let second = now.as_unix_millis() / 1_000;
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date =
            date.timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(second).expect("a time")).expect("a date");
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_str(&date).expect("a header"))]);
        let status = StatusCode::from_u16(status).expect("a status");
        Attempt::Answered(Answered { status, headers, body: body.into() })
    }

    fn mistaken(&self, body: &Body, attempt: Attempt) -> Attempt {
        let Attempt::Failed { phase: Phase::AfterRequest, cause } = &attempt else { return attempt };
        let Body::Json(text) = body else { return attempt };
        let value: Value = serde_json::from_slice(text).expect("JSON");
        let Some(recipient) = value["recipient"]["id"].as_str() else { return attempt };
        let said = |(status, body): Said| {
            let status = StatusCode::from_u16(status).expect("a status");
            Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
        };
        match self.life.world.mistake {
            Some(Mistake::LostIsNotSent) => Attempt::Failed { phase: Phase::BeforeRequest, cause: cause.clone() },
            Some(Mistake::LostIsSent) => {
                said((200, json!({"recipient_id": recipient, "message_id": "m_0"}).to_string()))
            }
            Some(Mistake::LostIsRefused) => {
                said(error(400, 551, None, "(#551) This person isn't available right now."))
            }
            _ => attempt,
        }
    }
}

#[async_trait]
impl Transport for Network {
    async fn execute(&self, call: Call) -> Attempt {
        let (life, world) = (&self.life, &self.life.world);
        life.gate().await;
        let path = call.url.path().to_owned();
        let _uploading = match &call.body {
            Body::Multipart(form) => Some(self.meta.begin_upload(life, content_of_bytes(&form.file.bytes))),
            Body::Json(text) if path.ends_with("/message_attachments") => {
                let request = serde_json::from_slice(text).expect("JSON");
                Some(self.meta.begin_upload(life, content_in(&request)))
            }
            _ => None,
        };
        let way = Way::draw(world);
        let times = (world.millis(5, 150), world.millis(5, 250));
        world.note(format_args!("{life:?} calls {path}: {way:?}"));
        if let Way::Unreachable | Way::CutShort = way {
            sleep(times.0).await;
            life.gate().await;
            let phase = if way == Way::CutShort { Phase::RequestIncomplete } else { Phase::BeforeRequest };
            return Attempt::Failed { phase, cause: TransportError::new("connection refused") };
        }
        let body = call.body.clone();
        let carried = tokio::spawn(Self::carry(Arc::clone(&self.meta), path, call.body, way, times));
        let attempt = timeout(call.timeout, carried).await.map_or_else(
            |_| Attempt::Failed { phase: Phase::AfterRequest, cause: TransportError::new("no answer in time") },
            |carried| carried.expect("Meta does not panic"),
        );
        life.gate().await;
        world.note(format_args!("{life:?} hears {attempt}"));
        self.mistaken(&body, attempt)
    }
}
