use bytes::Bytes;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::graph::catalogue::{CATALOGUE, lookup};
use crate::graph::error::Operation;
use crate::graph::receipt::Sent;
use crate::graph::retry::allowed;
use crate::graph::token::Identity;
use crate::graph::transport::TransportError;
use crate::ids::AttachmentId;

fn answered(status: u16, body: impl Into<Bytes>) -> Attempt {
    let status = StatusCode::from_u16(status).expect("a status");
    Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
}

fn refused(status: u16, code: i64, subcode: Option<i64>, is_transient: Option<bool>) -> Attempt {
    let error = serde_json::json!({ "error": {
        "message": "words", "code": code, "error_subcode": subcode, "is_transient": is_transient,
    }});
    answered(status, error.to_string())
}

/// The verdict of `attempt` as send and as upload, which must agree, and what each may try again.
fn verdict(attempt: &Attempt) -> Verdict {
    let send = verdict_of(&classify::<Sent>(attempt));
    assert_eq!(send, verdict_of(&classify::<AttachmentId>(attempt)), "{attempt:?}");
    assert_eq!(send, verdict_of(&classify::<Identity>(attempt)), "{attempt:?}");
    send
}

fn verdict_of<T>(outcome: &Outcome<T>) -> Verdict {
    match outcome {
        Outcome::Done(_) => Verdict::Done,
        Outcome::NotDone { scope, retry, .. } => Verdict::NotDone(*scope, *retry),
        Outcome::Unknown { retry, .. } => Verdict::Unknown(*retry),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Done,
    NotDone(Scope, Retry),
    Unknown(Retry),
}

const IN_DOUBT: Verdict = Verdict::Unknown(Retry::Backoff);

/// Every row of the error table: code, subcode, class letter, and whether a second try is known to help.
///
/// T transient, A ambiguous, R rate, K token, P permission, S stop, W window, U recipient, I attachment, M media, B bad
/// request; `D` marks a row whose code proves nothing although its subcode is documented.
#[rustfmt::skip]
const ROWS: &[(i64, &[i64], char)] = &[
    (100, &[2_018_074], 'I'),
    (100, &[2_018_008, 2_018_294, 2_018_047], 'm'),
    (100, &[2_018_109], 'M'),
    (100, &[2_018_005, 2_018_034, 2_018_014, 0], 'B'),
    (100, &[2_018_001], 'U'),
    (100, &[33], 'P'),
    (100, &[2_018_164, 2_018_320, 2_018_328, 1_893_029], 'B'),
    (100, &[2_534_013], 'P'), (100, &[2_534_014], 'U'), (100, &[2_534_015, 2_534_025], 'B'),
    (100, &[2_534_029], 'S'),
    (100, &[2_534_037], 'W'),
    (546, &[0], 'M'),
    (389, &[0], 'M'),
    (324, &[2_069_019, 0], 'm'),
    (100, &[2_018_173, 2_018_175, 2_018_182], 'M'),
    (100, &[2_018_183, 2_018_184, 2_018_185, 2_018_186, 2_018_187, 2_018_188], 'B'),
    (2_018_173, &[0], 'M'), (2_018_175, &[0], 'M'), (2_018_182, &[0], 'M'), (2_018_183, &[0], 'B'),
    (2_018_184, &[0], 'B'), (2_018_185, &[0], 'B'), (2_018_186, &[0], 'B'), (2_018_187, &[0], 'B'), (2_018_188, &[0], 'B'),
    (10, &[2_018_278, 2_018_065, 2_534_022], 'W'),
    (10, &[2_018_108], 'U'),
    (10, &[1_893_063], 'S'),
    (10, &[1_893_015], 'W'), (10, &[1_404_170], 'S'), (10, &[2_018_336], 'U'), (10, &[2_534_077], 'P'),
    (10, &[0], 'P'),
    (551, &[1_545_041, 1_893_047, 0], 'U'),
    (200, &[1_545_041], 'U'),
    (200, &[2_018_028, 2_018_027, 0], 'P'),
    (200, &[2_018_021, 2_534_041], 'P'),
    (201, &[0, 7], 'P'), (299, &[0], 'P'),
    (230, &[0], 'P'),
    (190, &[0, 458, 459, 460, 463, 464, 467, 492, 999], 'K'),
    (102, &[0], 'K'),
    (4, &[0, 2_018_022], 'R'),
    (4, &[2_018_354], 'W'),
    (17, &[0, 2_446_079], 'R'), (32, &[0], 'R'), (341, &[0], 'R'),
    (613, &[0, 2_534_040, 1996], 'R'),
    (613, &[2_018_338, 1_893_016], 'W'),
    (80_006, &[0], 'R'),
    (80_001, &[0], 'R'), (80_002, &[0], 'R'),
    (9, &[2_018_352], 'W'),
    (368, &[0, 1_390_008], 'S'),
    (2022, &[0], 'S'),
    (1200, &[0, 2_018_024], 'T'),
    (-1, &[0, 2_018_012], 'A'),
    (1, &[0, 99], 'A'),
    (1, &[1_357_046], 'A'),
    (2, &[0], 'A'),
    (2, &[2_018_344], 'D'),
    (3, &[0], 'P'),
    (10_900, &[0], 'W'), (10_901, &[0], 'W'), (10_903, &[0], 'W'),
    (2_018_300, &[0], 'W'), (2_018_321, &[0], 'W'),
    (9_000_001, &[0], 'B'),
    (506, &[0], 'B'),
];

fn rows() -> impl Iterator<Item = (i64, Option<i64>, char)> {
    ROWS.iter().flat_map(|(code, subcodes, class)| {
        subcodes.iter().map(|subcode| (*code, (*subcode != 0).then_some(*subcode), *class))
    })
}

fn expected(class: char) -> (Class, Verdict) {
    let never = |scope| Verdict::NotDone(scope, Retry::Never);
    match class {
        'T' => (Class::Transient, IN_DOUBT),
        'A' => (Class::Ambiguous, IN_DOUBT),
        'D' => (Class::Permission, IN_DOUBT),
        'R' => (Class::RateLimit, Verdict::NotDone(Scope::Rate, Retry::Throttled(None))),
        'K' => (Class::Token, never(Scope::Page)),
        'P' => (Class::Permission, never(Scope::Page)),
        'S' => (Class::Stop, never(Scope::Page)),
        'W' => (Class::Window, never(Scope::Recipient)),
        'U' => (Class::Recipient, never(Scope::Recipient)),
        'I' => (Class::Attachment, never(Scope::Attachment)),
        'M' => (Class::Media, never(Scope::Media)),
        'm' => (Class::Media, Verdict::NotDone(Scope::Media, Retry::Once)),
        'B' => (Class::Request, never(Scope::Request)),
        other => panic!("no class {other}"),
    }
}

#[test]
fn every_listed_error_has_its_class_scope_and_retry() {
    for (code, subcode, letter) in rows() {
        let (class, expected) = expected(letter);
        assert_eq!(lookup(code, subcode).map(|entry| entry.class), Some(class), "{code}/{subcode:?}");
        for status in [400, 401, 403, 404, 408, 429] {
            for is_transient in [None, Some(false)] {
                let verdict = verdict(&refused(status, code, subcode, is_transient));
                assert_eq!(verdict, expected, "{code}/{subcode:?}, HTTP {status}");
            }
        }
    }
}

#[test]
fn the_table_of_tests_and_the_catalogue_list_the_same_codes() {
    for entry in CATALOGUE {
        assert!(rows().any(|(code, subcode, _)| (code, subcode) == (entry.code, entry.subcode)), "{entry:?}");
    }
}

#[test]
fn a_transient_refusal_is_in_doubt_unless_it_is_a_throttle() {
    for (code, subcode, class) in rows() {
        let expected = if class == 'R' { expected('R').1 } else { IN_DOUBT };
        assert_eq!(verdict(&refused(400, code, subcode, Some(true))), expected, "{code}/{subcode:?}");
    }
}

#[test]
fn a_listed_error_proves_nothing_under_another_status() {
    for (code, subcode, _) in rows() {
        for status in [500, 502, 503, 504, 302, 307, 101] {
            assert_eq!(verdict(&refused(status, code, subcode, Some(false))), IN_DOUBT, "{code}/{subcode:?} {status}");
        }
        assert_eq!(verdict(&refused(200, code, subcode, None)), Verdict::Unknown(Retry::Once), "{code}/{subcode:?}");
    }
}

#[test]
fn a_send_is_repeated_for_throttles_and_missing_connections_only() {
    let tried_again = |operation, attempt: &Attempt| {
        let retry = match verdict(attempt) {
            Verdict::NotDone(scope, retry) => allowed(operation, Some(scope), retry),
            Verdict::Unknown(retry) => allowed(operation, None, retry),
            Verdict::Done => panic!("no error is done"),
        };
        retry != Retry::Never
    };
    for (code, subcode, class) in rows() {
        for is_transient in [false, true] {
            let attempt = refused(400, code, subcode, Some(is_transient));
            assert_eq!(tried_again(Operation::Send, &attempt), class == 'R', "send: {code}/{subcode:?}");
            let may_pass = is_transient || "RTADm".contains(class);
            assert_eq!(tried_again(Operation::Upload, &attempt), may_pass, "upload: {code}/{subcode:?}");
        }
    }
    for (phase, safe) in [(Phase::BeforeRequest, true), (Phase::RequestIncomplete, true), (Phase::AfterRequest, false)]
    {
        let attempt = failed(phase);
        assert_eq!(tried_again(Operation::Send, &attempt), safe, "{phase:?}");
        assert!(tried_again(Operation::Upload, &attempt), "{phase:?}");
        assert!(tried_again(Operation::Read, &attempt), "{phase:?}");
    }
}

fn failed(phase: Phase) -> Attempt {
    Attempt::Failed { phase, cause: TransportError::new("reset") }
}

#[test]
fn a_request_that_never_arrived_whole_was_not_carried_out() {
    let unreached = Verdict::NotDone(Scope::Connection, Retry::Backoff);
    assert_eq!(verdict(&failed(Phase::BeforeRequest)), unreached);
    assert_eq!(verdict(&failed(Phase::RequestIncomplete)), unreached);
    assert_eq!(verdict(&failed(Phase::AfterRequest)), IN_DOUBT);
}

#[test]
fn an_answer_with_its_id_is_done() {
    let sent = br#"{"recipient_id":"1008372609250235","message_id":"m_AG5Hz2U"}"#.as_slice();
    assert_eq!(
        classify::<Sent>(&answered(200, sent)),
        Outcome::Done(Sent {
            message_id: Some("m_AG5Hz2U".to_owned()),
            recipient_id: Some("1008372609250235".to_owned()),
            attachment_id: None
        })
    );
    let uploaded = br#"{"attachment_id":"1857777774821032"}"#.as_slice();
    assert_eq!(verdict_of(&classify::<AttachmentId>(&answered(201, uploaded))), Verdict::Done);
    let page = br#"{"id":"1010101010","name":"Shop"}"#.as_slice();
    assert_eq!(verdict_of(&classify::<Identity>(&answered(200, page))), Verdict::Done);
}

#[test]
fn a_good_status_without_its_id_is_in_doubt_and_tried_once_more() {
    let deep = "[".repeat(100_000);
    let deep_id = format!(r#"{{"a":{}{},"id":"1"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{}",
        "null",
        "<html>Sorry, something went wrong.</html>",
        r#"{"id":7,"message_id":7,"attachment_id":1857777774821032}"#,
        r#"{"id":1.8e15,"message_id":1.8e15,"attachment_id":1.8e15}"#,
        r#"{"id":null,"message_id":null,"attachment_id":null}"#,
        r#"{"id":"","message_id":"","attachment_id":""}"#,
        r#"{"id":"12","message_id":"m_1","attachment_id":"12""#,
        r#"[{"id":"12","message_id":"m_1","attachment_id":"12"}]"#,
        r#"{"id":"12","message_id":"m_1","attachment_id":"12","error":{"message":"no","code":100}}"#,
        r#"{"error":{"message":"no","code":613}}"#,
        &deep,
    ] {
        assert_eq!(verdict(&answered(200, body.to_owned())), Verdict::Unknown(Retry::Once), "{body:.80}");
    }
    assert_eq!(verdict_of(&classify::<Sent>(&answered(200, deep_id))), Verdict::Unknown(Retry::Once));
}

#[test]
fn an_error_without_a_listed_code_is_in_doubt() {
    for (status, body) in [
        (400, r#"{"error":{}}"#),
        (400, r#"{"error":{"message":"no code"}}"#),
        (400, r#"{"error":{"message":"new","code":31337}}"#),
        (400, r#"{"error":{"message":"new","code":31337,"error_subcode":2018074}}"#),
        (400, r#"{"error":"invalid_token"}"#),
        (400, "<html>"),
        (400, ""),
        (408, ""),
        (500, "<html>Sorry, something went wrong.</html>"),
        (502, ""),
        (503, r#"{"error":{"message":"(#613) limit","code":613}}"#),
        (504, ""),
        (301, ""),
        (302, r#"{"id":"12","message_id":"m_1","attachment_id":"12"}"#),
    ] {
        assert_eq!(verdict(&answered(status, body)), IN_DOUBT, "HTTP {status} {body}");
    }
    assert_eq!(verdict(&answered(400, b"{\"error\":{\"code\":100,\"message\":\"\xff\"}}".as_slice())), IN_DOUBT);
}

#[test]
fn what_may_be_asked_twice_takes_a_refusal_of_the_page_at_its_word_whatever_its_status() {
    let word = |attempt: &Attempt| verdict_of(&classify::<Identity>(attempt).at_its_word());
    for status in [200, 400, 500, 503] {
        assert_eq!(word(&refused(status, 190, None, None)), Verdict::NotDone(Scope::Page, Retry::Never), "{status}");
    }
    for doubtful in [refused(500, 190, None, Some(true)), refused(500, 2, None, None), refused(200, 100, None, None)] {
        assert_eq!(word(&doubtful), verdict_of(&classify::<Identity>(&doubtful)), "{doubtful:?}");
        assert!(matches!(word(&doubtful), Verdict::Unknown(_)), "{doubtful:?}");
    }
}

#[test]
fn a_bare_429_is_in_doubt_but_waited_out_like_a_throttle() {
    for body in ["", "Too Many Requests", r#"{"error":{}}"#] {
        assert_eq!(verdict(&answered(429, body)), Verdict::Unknown(Retry::Throttled(None)), "{body}");
    }
}

#[test]
fn a_503_is_in_doubt_and_waited_out_as_long_as_it_says() {
    for body in ["", "busy", r#"{"error":{"message":"(#613) limit","code":613}}"#] {
        for (retry_after, retry) in [
            ("30", Retry::Throttled(Some(Duration::from_secs(30)))),
            ("0", Retry::Throttled(Some(Duration::from_secs(1)))),
            ("soon", Retry::Backoff),
        ] {
            let mut attempt = answered(503, body);
            let Attempt::Answered(Answered { headers, .. }) = &mut attempt else { panic!("it was answered") };
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static(retry_after));
            assert_eq!(verdict(&attempt), Verdict::Unknown(retry), "{retry_after}, {body}");
            let Attempt::Answered(Answered { status, .. }) = &mut attempt else { panic!("it was answered") };
            *status = StatusCode::BAD_GATEWAY;
            assert_eq!(verdict(&attempt), IN_DOUBT, "{body}");
        }
    }
}

#[test]
fn a_throttle_carries_the_wait_meta_names() {
    let mut attempt = refused(400, 613, None, Some(true));
    let Attempt::Answered(Answered { headers, .. }) = &mut attempt else { panic!("it was answered") };
    headers.insert(
        "x-business-use-case-usage",
        HeaderValue::from_static(r#"{"1":[{"type":"messenger","estimated_time_to_regain_access":3}]}"#),
    );
    let wait = Some(Duration::from_mins(3));
    assert_eq!(verdict(&attempt), Verdict::NotDone(Scope::Rate, Retry::Throttled(wait)));
}

#[test]
fn a_missing_app_secret_proof_is_the_pages_set_up() {
    let body = r#"{"error":{"message":"API calls from the server require an appsecret_proof argument","code":100}}"#;
    assert_eq!(verdict(&answered(400, body)), Verdict::NotDone(Scope::Page, Retry::Never));
}

/// How much doubt a verdict leaves: a certainty either way, or none.
fn doubt(verdict: Verdict) -> u8 {
    u8::from(matches!(verdict, Verdict::Unknown(_)))
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![
        Just(serde_json::json!("m_1")),
        Just(serde_json::json!("12")),
        Just(serde_json::json!(12)),
        Just(serde_json::json!(null))
    ];
    let code = prop_oneof![prop::sample::select(vec![1, 2, 4, 10, 100, 190, 230, 368, 551, 613]), any::<i64>()];
    let answer = (id, code, any::<Option<i64>>(), 0..4).prop_map(|(id, code, subcode, kind)| {
        let error = serde_json::json!({ "message": "words", "code": code, "error_subcode": subcode });
        let body = match kind {
            0 => serde_json::json!({ "error": error }),
            1 => serde_json::json!({ "error": error, "message_id": id }),
            2 => serde_json::json!({ "error": code, "message_id": id }),
            _ => serde_json::json!({ "message_id": id, "attachment_id": id, "id": id }),
        };
        body.to_string().into_bytes()
    });
    prop_oneof![answer, any::<Vec<u8>>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_answer_gets_a_verdict(status in 100..1000_u16, body in any::<Vec<u8>>()) {
        let attempt = answered(status, body);
        let outcome = classify::<Sent>(&attempt);
        if let Outcome::Done(sent) = &outcome {
            prop_assert!(sent.message_id.as_ref().is_some_and(|id| !id.is_empty()));
        }
        if let Outcome::NotDone { .. } = &outcome {
            prop_assert!((400..500).contains(&status));
        }
    }

    #[test]
    fn more_doubt_never_becomes_less(status in 200..600_u16, body in bodies(), cut in any::<prop::sample::Index>()) {
        let whole = verdict_of(&classify::<Sent>(&answered(status, body.clone())));
        for worse in [500, 502, 302] {
            let worse = verdict_of(&classify::<Sent>(&answered(worse, body.clone())));
            prop_assert_eq!(doubt(worse), 1);
        }
        if body.starts_with(b"{") {
            let cut = cut.index(body.len());
            let truncated = verdict_of(&classify::<Sent>(&answered(status, body[..cut].to_vec())));
            prop_assert!(doubt(truncated) >= doubt(whole), "{:?} but {:?}", whole, truncated);
        }
        if let Ok(serde_json::Value::Object(mut object)) = serde_json::from_slice(&body)
            && let Some(serde_json::Value::Object(error)) = object.get_mut("error")
        {
            error.insert("is_transient".to_owned(), true.into());
            let body = serde_json::Value::from(object).to_string();
            let transient = verdict_of(&classify::<Sent>(&answered(status, body)));
            let throttle = matches!(transient, Verdict::NotDone(Scope::Rate, _));
            prop_assert!(throttle || doubt(transient) >= doubt(whole));
        }
        prop_assert_eq!(doubt(verdict(&failed(Phase::AfterRequest))), 1);
    }
}

#[test]
fn a_code_that_proves_nothing_holds_for_nobody_whatever_its_subcode_says() {
    for (code, subcode, letter) in rows() {
        let scope = match expected(letter).1 {
            Verdict::NotDone(scope, _) => Some(scope),
            Verdict::Done | Verdict::Unknown(_) => None,
        };
        assert_eq!(lookup(code, subcode).expect("a row").scope(), scope, "{code}/{subcode:?}");
    }
}
