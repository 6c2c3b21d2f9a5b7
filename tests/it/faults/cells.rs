//! The cells of the matrix: what goes wrong, where, and how often.

use std::fmt;
use std::time::Duration;

use super::Endpoint;
use super::server::PAUSES;

/// One way for one call to go wrong.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) endpoint: Endpoint,
    pub(super) fault: Fault,
    pub(super) strike: Strike,
    /// What tells it from its neighbours.
    name: String,
    large: bool,
}

/// How often the fault strikes; after that, all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    Once,
    Always,
}

/// What goes wrong, and in which phase.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    RefusedPort,
    BeforeBytes(End),
    LateToRead(Duration),
    MidRequest(End),
    AfterRequest(End),
    LateToAnswer(Duration),
    MidHead(End),
    MidBody(End),
    AfterBody(End),
    Drip {
        pause: Duration,
        bytes: usize,
    },
    Answer(Reply),
    /// A gigabyte.
    Endless,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
    Stall,
    Late(Duration),
}

/// An answer, byte by byte.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    /// `{there}` stands for the address of somebody else.
    headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    /// What `Content-Length` says beyond the truth; `None` for an answer in chunks without an end.
    excess: Option<isize>,
    pub(super) meaning: Meaning,
    /// Whether a server that answers so may have done its work.
    pub(super) may_be_done: bool,
}

/// What an answer says to somebody who reads it carefully.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// 2xx, with the id as a text.
    Success,
    /// 2xx, without it.
    Broken,
    /// 2xx, with two ids.
    SuccessOrBroken,
    /// It ends before its time.
    CutOff,
    /// Nothing: `null`, or not even that.
    Silence,
    /// No answer of the API's.
    Noise { status: u16 },
    /// A Graph error.
    Error { status: u16, code: i64, subcode: Option<i64>, transient: bool },
    /// One for each request of a batch.
    Items(Vec<Self>),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}, {:?}{}", self.endpoint, self.name, self.strike, if self.large { ", large" } else { "" })
    }
}

impl Cell {
    fn new(endpoint: Endpoint, name: impl Into<String>, fault: Fault, strike: Strike) -> Self {
        Self { endpoint, name: name.into(), fault, strike, large: false }
    }

    fn answer(endpoint: Endpoint, name: impl Into<String>, reply: Reply) -> Self {
        Self::new(endpoint, name, Fault::Answer(reply), Strike::Once)
    }

    /// Whether more is to be sent than sockets hold.
    pub(super) fn is_large(&self) -> bool {
        self.large
    }

    /// What each item of the batch was answered with, where the answer as a whole was one.
    pub(super) fn items(&self) -> Option<&[Meaning]> {
        match &self.fault {
            Fault::Answer(Reply { meaning: Meaning::Items(items), .. }) => Some(items),
            _ => None,
        }
    }

    pub(super) fn good_answer_bytes(&self) -> usize {
        good(self.endpoint).to_bytes("").len()
    }
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>, meaning: Meaning) -> Self {
        let refused = |meaning: &Meaning| matches!(meaning, Meaning::Error { status: 400..=499, code, transient, .. } if !transient && ![-1, 1, 2, 1200].contains(code));
        let may_be_done = !refused(&meaning) && !is_throttle(&meaning);
        Self { status, headers: Vec::new(), body: body.into(), excess: Some(0), meaning, may_be_done }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn claiming(self, excess: isize) -> Self {
        Self { excess: Some(excess), ..self }
    }

    pub(super) fn to_bytes(&self, there: &str) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} X\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {}\r\n", value.replace("{there}", there)).bytes());
        }
        match self.excess {
            Some(excess) => {
                let length = self.body.len().checked_add_signed(excess).expect("no less than nothing");
                bytes.extend(format!("Content-Length: {length}\r\n\r\n").bytes());
            }
            None => bytes.extend(format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", self.body.len()).bytes()),
        }
        bytes.extend(&self.body);
        bytes
    }
}

/// Whether nothing was done for sure, although the error calls itself transient.
fn is_throttle(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Error { status: 400..=499, code: 4 | 17 | 32 | 613 | 80_001 | 80_002 | 80_006, .. })
}

/// The answer of a day on which all is well.
pub(super) fn good(endpoint: Endpoint) -> Reply {
    let body = match endpoint {
        Endpoint::Upload => r#"{"attachment_id":"1857777774821032"}"#.to_owned(),
        Endpoint::Send => sent("11"),
        Endpoint::Batch => list(&[item(200, &sent("11")), item(200, &sent("22"))]),
    };
    Reply::new(200, body, Meaning::Success)
}

fn sent(psid: &str) -> String {
    format!(r#"{{"recipient_id":"{psid}","message_id":"m_{psid}"}}"#)
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// An item of a batch's answer.
fn item(status: u16, body: &str) -> String {
    let body = body.replace('\\', r"\\").replace('"', r#"\""#);
    format!(r#"{{"code":{status},"headers":[],"body":"{body}"}}"#)
}

fn error_body(code: i64, subcode: Option<i64>, transient: bool) -> String {
    let subcode = subcode.map_or_else(String::new, |subcode| format!(r#","error_subcode":{subcode}"#));
    format!(
        r#"{{"error":{{"message":"(#{code}) No.","type":"OAuthException","code":{code}{subcode},"is_transient":{transient},"fbtrace_id":"A1"}}}}"#
    )
}

/// Code, subcode, and whether it calls itself transient.
const ERRORS: [(i64, Option<i64>, bool); 38] = [
    (-1, None, false),
    (1, None, false),
    (1, Some(99), false),
    (1, Some(1_357_046), false),
    (2, None, false),
    (2, None, true),
    (4, None, false),
    (4, None, true),
    (10, None, false),
    (10, Some(2_018_278), false),
    (17, None, false),
    (32, None, false),
    (32, None, true),
    (100, None, false),
    (100, None, true),
    (100, Some(2_018_001), false),
    (100, Some(2_018_047), false),
    (100, Some(2_018_074), false),
    (100, Some(2_018_074), true),
    (100, Some(2_018_109), false),
    (102, None, false),
    (190, None, false),
    (190, Some(460), false),
    (190, Some(463), false),
    (190, None, true),
    (200, None, false),
    (200, Some(1_545_041), false),
    (230, None, false),
    (368, None, false),
    (551, None, false),
    (551, Some(1_545_041), true),
    (613, None, false),
    (613, None, true),
    (613, Some(2_018_338), false),
    (1200, None, false),
    (80_006, None, false),
    (424_242, None, false),
    (424_242, None, true),
];

/// Every phase of a connection, ended in every way.
pub(super) fn connections(endpoint: Endpoint) -> Vec<Cell> {
    let ends = [End::Fin, End::Reset, End::Stall].into_iter().chain(PAUSES.map(End::Late));
    let mut faults = vec![Fault::RefusedPort];
    for end in ends {
        faults.extend([
            Fault::BeforeBytes(end),
            Fault::MidRequest(end),
            Fault::AfterRequest(end),
            Fault::MidHead(end),
            Fault::MidBody(end),
            Fault::AfterBody(end),
        ]);
    }
    for pause in PAUSES {
        faults.extend([Fault::LateToRead(pause), Fault::LateToAnswer(pause)]);
    }
    faults.push(Fault::Drip { pause: Duration::from_secs(1), bytes: 1 });
    faults.push(Fault::Drip { pause: Duration::from_millis(500), bytes: 3 });
    faults.push(Fault::Drip { pause: Duration::ZERO, bytes: 1 });
    let mut cells = Vec::new();
    for fault in faults {
        let (is_late, name) = (matches!(fault, Fault::BeforeBytes(_) | Fault::MidRequest(_)), format!("{fault:?}"));
        for strike in [Strike::Once, Strike::Always] {
            // A port cannot be refused once and then be there.
            if strike == Strike::Once && matches!(fault, Fault::RefusedPort) {
                continue;
            }
            let cell = Cell::new(endpoint, name.clone(), fault.clone(), strike);
            if endpoint == Endpoint::Upload && is_late {
                cells.push(Cell { large: true, ..cell.clone() });
            }
            cells.push(cell);
        }
    }
    cells
}

/// Every error of the API, under every status it may come with.
pub(super) fn refusals(endpoint: Endpoint) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (code, subcode, transient) in ERRORS {
        for status in [400, 403, 200, 500] {
            let meaning = Meaning::Error { status, code, subcode, transient };
            let reply = Reply::new(status, error_body(code, subcode, transient), meaning);
            cells.push(Cell::answer(
                endpoint,
                format!("{status} with {code}/{subcode:?}, transient {transient}"),
                reply,
            ));
        }
    }
    cells
}

/// Answers that are no answers.
pub(super) fn answers(endpoint: Endpoint) -> Vec<Cell> {
    const HTML: &str = "<!DOCTYPE html><html><title>Error</title>Sorry, something went wrong.</html>";
    let mut cells = Vec::new();
    let mut push = |name: String, reply: Reply| cells.push(Cell::answer(endpoint, name, reply));
    let good_body = good(endpoint).body;
    let refusal = error_body(100, Some(2_018_001), false).into_bytes();
    for sixteenth in 1..16 {
        let cut = |body: &[u8]| body[..body.len() * sixteenth / 16].to_vec();
        push(format!("{sixteenth}/16 of a good answer"), Reply::new(200, cut(&good_body), Meaning::Broken));
        let noise = Meaning::Noise { status: 400 };
        push(format!("{sixteenth}/16 of an error"), Reply::new(400, cut(&refusal), noise));
    }
    for status in [400, 403, 404, 408, 429, 500, 502, 503, 504] {
        for (what, body) in [("nothing", ""), ("HTML", HTML), ("an empty error", r#"{"error":{}}"#)] {
            push(format!("{status} with {what}"), Reply::new(status, body, Meaning::Noise { status }));
        }
    }
    for status in [429, 503] {
        let reply = Reply::new(status, HTML, Meaning::Noise { status }).with("Retry-After", "7");
        push(format!("{status} with Retry-After"), reply);
    }
    for status in [301, 302, 303, 307, 308] {
        let reply = |place| Reply::new(status, "", Meaning::Noise { status }).with("Location", place);
        push(format!("{status} to elsewhere"), reply("http://{there}/v25.0/1/messages"));
        push(format!("{status} to https"), reply("https://{there}/"));
    }
    let deep = "[".repeat(100_000);
    let bomb = gzip_bomb();
    for (what, body) in [
        ("nothing", &b""[..]),
        ("null", b"null"),
        ("an empty object", b"{}"),
        ("a text", br#""1857777774821032""#),
        ("HTML", HTML.as_bytes()),
        ("an empty error", br#"{"error":{}}"#),
        ("an error that is a text", br#"{"error":"no"}"#),
        ("deep brackets", deep.as_bytes()),
        ("no text at all", b"\xff\xfe{}"),
    ] {
        push(format!("200 with {what}"), Reply::new(200, body, Meaning::Broken));
    }
    push("200 with a gzip bomb".into(), Reply::new(200, bomb, Meaning::Broken).with("Content-Encoding", "gzip"));
    push("a length too long".into(), Reply::new(200, good_body.clone(), Meaning::CutOff).claiming(10));
    push("a length too short".into(), Reply::new(200, good_body.clone(), Meaning::Broken).claiming(-5));
    push("chunks without an end".into(), Reply { excess: None, ..Reply::new(200, good_body, Meaning::CutOff) });
    for (what, body) in [
        ("two codes", r#"{"error":{"message":"no","code":1,"code":100}}"#),
        ("two other codes", r#"{"error":{"message":"no","code":100,"code":1}}"#),
        ("two errors", r#"{"error":{"message":"no","code":1},"error":{"message":"no","code":100}}"#),
        ("a code past all numbers", r#"{"error":{"message":"no","code":100000000000000000000100}}"#),
        ("a code of a half", r#"{"error":{"message":"no","code":100.5}}"#),
        ("an error in a list", r#"[{"error":{"message":"no","code":100}}]"#),
    ] {
        push(format!("400 with {what}"), Reply::new(400, body, Meaning::Noise { status: 400 }));
    }
    cells.extend(strange_ids(endpoint));
    for strike in [Strike::Once, Strike::Always] {
        cells.push(Cell::new(endpoint, "a gigabyte", Fault::Endless, strike));
    }
    for (what, reply) in [
        ("always 503", Reply::new(503, HTML, Meaning::Noise { status: 503 })),
        ("always an empty object", Reply::new(200, "{}", Meaning::Broken)),
    ] {
        cells.push(Cell::new(endpoint, what, Fault::Answer(reply), Strike::Always));
    }
    cells
}

/// 2xx whose id is not what it should be.
fn strange_ids(endpoint: Endpoint) -> Vec<Cell> {
    let (name, rest) = match endpoint {
        Endpoint::Upload => ("attachment_id", ""),
        Endpoint::Send => ("message_id", r#","recipient_id":"11""#),
        // The ids of a batch are in its items.
        Endpoint::Batch => return Vec::new(),
    };
    let mut cells = Vec::new();
    for id in
        ["7", "9007199254740993", "18577777748210321857777774821032", "1.8e15", "null", "\"\"", "{}", "[\"1\"]", "true"]
    {
        let reply = Reply::new(200, format!(r#"{{"{name}":{id}{rest}}}"#), Meaning::Broken);
        cells.push(Cell::answer(endpoint, format!("200 with the id {id}"), reply));
    }
    let error = r#","error":{"code":1,"message":"no"}"#;
    let reply = Reply::new(200, format!(r#"{{"{name}":"17"{rest}{error}}}"#), Meaning::Broken);
    cells.push(Cell::answer(endpoint, "200 with an id and an error", reply));
    let reply = Reply::new(200, format!(r#"{{"{name}":"17","{name}":"18"{rest}}}"#), Meaning::SuccessOrBroken);
    cells.push(Cell::answer(endpoint, "200 with two ids", reply));
    let mut body = format!(r#"{{"{name}":"17"#).into_bytes();
    body.extend(b"\xff\xff\"}");
    cells.push(Cell::answer(endpoint, "200 with an id that is no text", Reply::new(200, body, Meaning::Broken)));
    cells
}

/// Lists that a batch is answered with.
pub(super) fn items(endpoint: Endpoint) -> Vec<Cell> {
    let fine = || item(200, &sent("22"));
    let mut cells = Vec::new();
    let mut push = |name: String, items: &[String], meanings: Vec<Meaning>| {
        let reply = Reply { may_be_done: true, ..Reply::new(200, list(items), Meaning::Items(meanings)) };
        cells.push(Cell::answer(endpoint, name, reply));
    };
    for (code, subcode, transient) in ERRORS {
        for status in [400, 200, 500] {
            let meaning = Meaning::Error { status, code, subcode, transient };
            let refused = item(status, &error_body(code, subcode, transient));
            let name = format!("item {status} with {code}/{subcode:?}, transient {transient}");
            push(name, &[refused, fine()], vec![meaning, Meaning::Success]);
        }
    }
    let null = || "null".to_owned();
    let first = || item(200, &sent("11"));
    push("null, fine".into(), &[null(), fine()], vec![Meaning::Silence, Meaning::Success]);
    push("fine, null".into(), &[first(), null()], vec![Meaning::Success, Meaning::Silence]);
    push("null, null".into(), &[null(), null()], vec![Meaning::Silence, Meaning::Silence]);
    push("one missing".into(), &[first()], vec![Meaning::SuccessOrBroken, Meaning::Silence]);
    push("all missing".into(), &[], vec![Meaning::Silence, Meaning::Silence]);
    let extra = [first(), fine(), first()];
    push("one too many".into(), &extra, vec![Meaning::SuccessOrBroken, Meaning::SuccessOrBroken]);
    push("swapped".into(), &[fine(), first()], vec![Meaning::Silence, Meaning::Silence]);
    let error = || item(400, &error_body(551, None, false));
    push("an error, and one missing".into(), &[error()], vec![Meaning::Silence, Meaning::Silence]);
    push("an error, and a stranger".into(), &[error(), first()], vec![Meaning::Silence, Meaning::Silence]);
    for (what, strange) in [
        ("a text", r#""ok""#),
        ("an empty object", "{}"),
        ("no body", r#"{"code":200}"#),
        ("a code that is a text", r#"{"code":"200","body":"{\"recipient_id\":\"11\",\"message_id\":\"m_1\"}"}"#),
        ("a body cut short", r#"{"code":200,"body":"{\"recipient_id\":\"11\",\"mess"}"#),
        ("an id that is a number", r#"{"code":200,"body":"{\"recipient_id\":\"11\",\"message_id\":7}"}"#),
        ("HTML", r#"{"code":502,"body":"<html>"}"#),
    ] {
        push(format!("{what}, fine"), &[strange.to_owned(), fine()], vec![Meaning::Silence, Meaning::Success]);
    }
    cells
}

/// 64 MiB of zeros in 67 kB: one compressed mebibyte, over and over, as the format allows.
fn gzip_bomb() -> Vec<u8> {
    const BEGIN: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d\x08\x5f\xa0\x00";
    const END: &[u8] = b"\x3e\x03\x1c\xea\x38\xa7\x00\x00\x10\x00";
    let zeros = vec![0; 1_051 - BEGIN.len() - END.len()];
    [BEGIN, &zeros, END].concat().repeat(64)
}
