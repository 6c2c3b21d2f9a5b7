//! Meta, as far as it matters here, and the one who watches: what left, when, and what came of it.
//!
//! It accepts what it is sent, after a while; refuses some Pages for some time, for their rate, now one call and now
//! another; and loses an answer now and then, having accepted the message. What counts is taken down as a call leaves, before anybody else knows of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, StatusCode};
use reattach::graph::{Answered, Attempt, Body, Call, Phase, Transport, TransportError};
use tokio::time::{Instant, sleep};

use crate::lane::Door;
use crate::locked;
use crate::scenario::{Planned, Scenario};

/// The first recipient's id.
const FIRST_PSID: u64 = 1_000_000_000;
/// Of a throttled Page's calls, one in so many is refused: whoever meets none of them must hear of it from others.
const REFUSED: u32 = 40;
/// One answer in so many is lost.
const LOST: u32 = 20_000;
/// How long it takes until that shows.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the first refusal of a Page is looked at for what still leaves after it.
const AFTERMATH: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);

/// The id of a recipient at Meta.
pub(crate) fn psid(seq: u32) -> String {
    (FIRST_PSID + u64::from(seq)).to_string()
}

/// All that Meta knows.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) began: Instant,
    throttle: (Instant, Instant),
    pages: Vec<Mutex<Truth>>,
    rng: Mutex<Rng>,
}

/// What became of one Page's calls.
#[derive(Debug)]
pub(crate) struct Truth {
    /// How often each recipient got the message.
    pub(crate) accepted: Vec<u8>,
    /// The most calls that left within one second, wherever it began.
    pub(crate) worst_second: usize,
    /// Calls that left in each second since the beginning.
    pub(crate) by_second: Vec<u32>,
    /// When the first and the last left.
    pub(crate) span: Option<(Instant, Instant)>,
    /// When Meta first refused one, and when, shortly after, the last one left nevertheless.
    pub(crate) refused: Option<(Instant, Instant)>,
    /// Answers that were lost.
    pub(crate) lost: u32,
    is_throttled: bool,
    last_second: VecDeque<Instant>,
}

/// What Meta does with a call.
enum Fate {
    Answer(String),
    Refusal,
    Silence,
}

impl Meta {
    pub(crate) fn new(scenario: &Scenario, campaigns: &[Planned]) -> Self {
        let began = Instant::now();
        let (after, lasts) = scenario.throttle;
        let truth = |planned: &Planned| Truth {
            accepted: vec![0; planned.people as usize],
            worst_second: 0,
            by_second: Vec::new(),
            span: None,
            refused: None,
            lost: 0,
            is_throttled: planned.is_throttled,
            last_second: VecDeque::new(),
        };
        Self {
            began,
            throttle: (began + after, began + after + lasts),
            pages: campaigns.iter().map(truth).map(Mutex::new).collect(),
            rng: Mutex::new(Rng::with_seed(scenario.seed ^ 0x4d45_5441)),
        }
    }

    /// What is known of a Page.
    pub(crate) fn truth(&self, page: usize) -> MutexGuard<'_, Truth> {
        locked(&self.pages[page])
    }

    fn receive(&self, page: usize, seq: u32) -> (Fate, Duration) {
        let now = Instant::now();
        let mut truth = self.truth(page);
        truth.note(now, self.began);
        let mut rng = locked(&self.rng);
        let takes = Duration::from_micros(rng.u64(80_000..400_000));
        let is_throttled = truth.is_throttled && now >= self.throttle.0 && now < self.throttle.1;
        if is_throttled && rng.u32(0..REFUSED) == 0 {
            return (Fate::Refusal, takes);
        }
        truth.accepted[seq as usize] += 1;
        if rng.u32(0..LOST) == 0 {
            truth.lost += 1;
            return (Fate::Silence, SILENCE);
        }
        (Fate::Answer(psid(seq)), takes)
    }
}

impl Truth {
    fn note(&mut self, now: Instant, began: Instant) {
        while self.last_second.front().is_some_and(|&left| left + SECOND <= now) {
            self.last_second.pop_front();
        }
        self.last_second.push_back(now);
        self.worst_second = self.worst_second.max(self.last_second.len());
        let second = usize::try_from((now - began).as_secs()).unwrap_or(usize::MAX);
        self.by_second.resize(self.by_second.len().max(second + 1), 0);
        self.by_second[second] += 1;
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        if let Some((at, last)) = &mut self.refused
            && now < *at + AFTERMATH
        {
            *last = now;
        }
    }
}

/// The way from one slice of a Page's rate to Meta.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) meta: Arc<Meta>,
    pub(crate) page: usize,
    pub(crate) door: Arc<Door>,
}

#[async_trait]
impl Transport for Wire {
    async fn execute(&self, call: Call) -> Attempt {
        let seq = recipient(&call.body).expect("a message to one of the recipients");
        self.door.has_left(seq);
        let (fate, takes) = self.meta.receive(self.page, seq);
        sleep(takes).await;
        match fate {
            Fate::Answer(psid) => {
                answer(StatusCode::OK, format!(r#"{{"recipient_id":"{psid}","message_id":"m_{}_{psid}"}}"#, self.page))
            }
            Fate::Refusal => {
                let now = Instant::now();
                self.meta.truth(self.page).refused.get_or_insert((now, now));
                let error = r#"{"error":{"message":"(#613) Calls to this api have exceeded the rate limit.","type":"OAuthException","code":613,"fbtrace_id":"A"}}"#;
                answer(StatusCode::BAD_REQUEST, error.to_owned())
            }
            Fate::Silence => {
                Attempt::Failed { phase: Phase::AfterRequest, cause: TransportError::new("the connection was closed") }
            }
        }
    }
}

fn answer(status: StatusCode, body: String) -> Attempt {
    Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: Bytes::from(body) })
}

/// Whose message it is, by their number.
fn recipient(body: &Body) -> Option<u32> {
    let Body::Json(text) = body else { return None };
    let text = std::str::from_utf8(text).ok()?;
    let id = text.split_once(r#""recipient":{"id":""#)?.1.split_once('"')?.0;
    u32::try_from(id.parse::<u64>().ok()?.checked_sub(FIRST_PSID)?).ok()
}
