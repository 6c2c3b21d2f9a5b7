//! Which requests go wrong, and how: a script consumed in order, or a seed.
//!
//! This decides; `spoil` does it. Nothing here draws from the system's randomness: the same script or seed and the same
//! requests give the same faults.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::routes::Target;

/// What was planned to go wrong. `Default` is nothing.
#[derive(Debug, Default, Serialize)]
pub(super) struct Faults {
    script: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeded: Option<Seeded>,
}

/// One line of a script.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    on: On,
    #[serde(default)]
    when: When,
    fault: Fault,
    /// How often it still strikes.
    #[serde(default = "one")]
    times: u32,
    /// It strikes each time this many requests have matched.
    #[serde(default = "one")]
    every: u32,
    /// Only messages to this recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// Only uploads of these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip)]
    matched: u32,
}

const fn one() -> u32 {
    1
}

/// Which requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Upload,
    Send,
    Me,
    #[serde(rename = "debug_token")]
    DebugToken,
    Conversations,
    /// A batch as a whole.
    Batch,
    /// Single requests and whole batches; not the requests in them.
    #[default]
    Any,
}

impl On {
    fn covers(self, request: Candidate) -> bool {
        let target = request.target;
        match self {
            Self::Upload => target == Target::Upload,
            Self::Send => target == Target::Send,
            Self::Me => target == Target::Me,
            Self::DebugToken => target == Target::DebugToken,
            Self::Conversations => target == Target::Conversations,
            Self::Batch => target == Target::Batch,
            Self::Any => !request.in_batch,
        }
    }
}

/// How far a request gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum When {
    /// Its body is not read.
    Head,
    /// It is read, and the work is not done.
    #[default]
    Before,
    /// The work is done.
    After,
}

/// What goes wrong: steps in this order, each only where it is asked for. Wait, answer something else, add headers, cut
/// the body, end the connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the scripts users write")]
pub(super) struct Fault {
    /// Nothing: this request is let through.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) pass: bool,
    /// The answer never comes.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) stall: bool,
    /// Everything below happens this much later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stall_ms: Option<u64>,
    /// Answer this status, with `body` or nothing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// Answer a Graph error with these fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) graph: Option<Map<String, Value>>,
    /// Answer Facebook's outage page.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) html: bool,
    /// More headers for the answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// Answer `null`, as Graph does for a request of a batch that took too long.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) null: bool,
    /// Half the body, sound as HTTP.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) truncate: bool,
    /// One byte of the body each so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drip_ms: Option<u64>,
    /// The connection ends in the answer's head.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) mid_head: bool,
    /// The connection ends in the answer's body.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) mid_body: bool,
    /// The connection ends with FIN.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) close: bool,
    /// The connection ends with RST.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) reset: bool,
    /// A batch's list of answers lacks its last.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) drop_last: bool,
    /// It has its last twice.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) extra: bool,
    /// Its first two have changed places.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) swap: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Faults drawn from a seed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seeded {
    seed: u64,
    /// The share of requests that go wrong, from 0 to 1.
    rate: f64,
    #[serde(default)]
    on: On,
    /// How often each subject was seen: what is drawn depends on that, and not on how connections interleave.
    #[serde(skip)]
    seen: HashMap<String, u64>,
}

/// What is known of a request when a fault is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) target: Target,
    /// Who it is for, or which bytes it brings: what tells it from others, whatever their order.
    pub(super) subject: &'a str,
    pub(super) recipient: Option<&'a str>,
    pub(super) sha256: Option<&'a str>,
    /// Whether it is one of several in a batch.
    pub(super) in_batch: bool,
}

impl Faults {
    /// The faults a control call describes: a rule, a list of rules, or a seed with a rate. Says what is wrong, else.
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let explain = |error: serde_json::Error| error.to_string();
        if value.get("seed").is_some() {
            let seeded: Seeded = serde_json::from_value(value).map_err(explain)?;
            if !(0.0..=1.0).contains(&seeded.rate) {
                return Err(format!("rate is {}, which is not between 0 and 1", seeded.rate));
            }
            return Ok(Self { script: Vec::new(), seeded: Some(seeded) });
        }
        let rules = if let Value::Array(rules) = value { rules } else { vec![value] };
        let script: Vec<Rule> =
            rules.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(explain)?;
        for (place, rule) in script.iter().enumerate() {
            rule.check().map_err(|problem| format!("rule {}: {problem}", place + 1))?;
        }
        Ok(Self { script, seeded: None })
    }

    /// The fault that strikes as soon as a request's head is there.
    pub(super) fn strike_head(&mut self, target: Target) -> Option<Fault> {
        let request = Candidate { target, subject: "", recipient: None, sha256: None, in_batch: false };
        self.next_of_script(|when| when == When::Head, request).map(|(_, fault)| fault)
    }

    /// The fault that strikes a request that was read.
    pub(super) fn strike(&mut self, request: Candidate) -> Option<(When, Fault)> {
        self.next_of_script(|when| when != When::Head, request)
            .or_else(|| self.seeded.as_mut().and_then(|seeded| seeded.draw(request)))
    }

    /// The first rule that strikes; those before it only count the request.
    fn next_of_script(&mut self, at: impl Fn(When) -> bool, request: Candidate) -> Option<(When, Fault)> {
        let place = self.script.iter_mut().position(|rule| at(rule.when) && rule.strikes(request))?;
        let rule = &mut self.script[place];
        rule.times -= 1;
        if rule.times > 0 {
            return Some((rule.when, rule.fault.clone()));
        }
        let rule = self.script.remove(place);
        Some((rule.when, rule.fault))
    }
}

impl Rule {
    fn strikes(&mut self, request: Candidate) -> bool {
        // To name somebody, or bytes, is to mean every message to them and every upload of these.
        let is_named = self.recipient.is_some() || self.sha256.is_some();
        let covers = self.on.covers(request) || (self.on == On::Any && is_named);
        let is_meant = |named: &Option<String>, actual| named.is_none() || named.as_deref() == actual;
        let matches = covers && is_meant(&self.recipient, request.recipient) && is_meant(&self.sha256, request.sha256);
        if matches {
            self.matched += 1;
        }
        matches && self.matched.is_multiple_of(self.every)
    }

    fn check(&self) -> Result<(), String> {
        if self.times == 0 || self.every == 0 {
            return Err("times and every count from 1".to_owned());
        }
        if self.when == When::Head && (self.recipient.is_some() || self.sha256.is_some()) {
            return Err("neither recipient nor bytes are known while only the head is there".to_owned());
        }
        self.fault.check()?;
        if self.fault.spoils_a_list() && self.on != On::Batch {
            return Err("drop_last, extra and swap spoil a list of answers; say on: batch".to_owned());
        }
        if self.when != When::After && self.fault.spoils_an_answer() && !self.fault.replaces_the_answer() {
            return Err(
                "there is an answer to spoil only after the work; say when: after, or what to answer".to_owned()
            );
        }
        Ok(())
    }
}

impl Fault {
    pub(super) fn ends_the_connection(&self) -> bool {
        self.reset || self.close || self.mid_head || self.mid_body
    }

    fn replaces_the_answer(&self) -> bool {
        self.status.is_some() || self.graph.is_some() || self.html || self.null
    }

    pub(super) fn spoils_a_list(&self) -> bool {
        self.drop_last || self.extra || self.swap
    }

    fn spoils_an_answer(&self) -> bool {
        let changes = !self.headers.is_empty() || self.body.is_some() || self.truncate || self.drip_ms.is_some();
        changes || self.mid_head || self.mid_body || self.spoils_a_list()
    }

    fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err("an empty fault; to let a request through, say pass: true".to_owned());
        }
        if let Some(status) = self.status
            && !(200..600).contains(&status)
        {
            return Err(format!("{status} is not the status of an answer"));
        }
        if self.body.is_some() && (self.status.is_none() || self.graph.is_some() || self.html) {
            return Err("body goes with status, and not with graph or html".to_owned());
        }
        if self.null && (self.status.is_some() || self.graph.is_some() || self.html) {
            return Err("null goes without status, graph and html".to_owned());
        }
        for (name, value) in &self.headers {
            if name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err() {
                return Err(format!("{name:?}: {value:?} is not a header"));
            }
        }
        Ok(())
    }
}

impl Seeded {
    fn draw(&mut self, request: Candidate) -> Option<(When, Fault)> {
        if !self.on.covers(request) {
            return None;
        }
        let nth = self.seen.entry(request.subject.to_owned()).or_insert(0);
        *nth += 1;
        let digest: [u8; 32] = Sha256::digest(format!("{}\n{nth}\n{}", self.seed, request.subject)).into();
        let seed = digest[..8].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let mut random = Rng::with_seed(seed);
        (random.f64() < self.rate).then(|| random.choice(menu()).expect("the menu is not empty"))
    }
}

/// What a seed chooses from: only what a client can live through without waiting.
fn menu() -> Vec<(When, Fault)> {
    let graph = |error: Value| Fault { graph: error.as_object().cloned(), ..Fault::default() };
    let unavailable = Fault { status: Some(StatusCode::SERVICE_UNAVAILABLE.as_u16()), ..Fault::default() };
    let rate_limit = graph(json!({ "code": 613, "message": "(#613) Calls to this api have exceeded the rate limit." }));
    let hiccup = graph(json!({ "code": 2, "message": "Please retry your request later.", "is_transient": true }));
    let html = Fault { html: true, ..Fault::default() };
    let reset = Fault { reset: true, ..Fault::default() };
    let close = Fault { close: true, ..Fault::default() };
    let truncate = Fault { truncate: true, ..Fault::default() };
    let mid_head = Fault { mid_head: true, ..Fault::default() };
    let mid_body = Fault { mid_body: true, ..Fault::default() };
    let mut menu = vec![(When::Before, rate_limit)];
    menu.extend([truncate, mid_head, mid_body].map(|fault| (When::After, fault)));
    for fault in [unavailable, hiccup, html, reset, close] {
        menu.extend([(When::Before, fault.clone()), (When::After, fault)]);
    }
    menu
}
