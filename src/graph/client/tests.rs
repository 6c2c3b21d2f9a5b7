use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::graph::error::Certainty;
use crate::graph::message::{InvalidRequest, Message, MessagingType, SenderAction};
use crate::graph::retry::Why;
use crate::graph::token::TokenOwner;
use crate::graph::transport::{Form, Phase, TransportError};
use crate::ids::MediaKind;

/// Answers from a list, and remembers what it was asked.
#[derive(Debug, Default)]
struct Scripted {
    attempts: Mutex<Vec<Attempt>>,
    calls: Mutex<Vec<Call>>,
    /// How many had been asked when it was last started afresh.
    afresh: Mutex<usize>,
}

#[async_trait]
impl Transport for Scripted {
    async fn execute(&self, call: Call) -> Attempt {
        self.calls.lock().unwrap().push(call);
        self.attempts.lock().unwrap().remove(0)
    }

    fn start_afresh(&self) {
        *self.afresh.lock().unwrap() = self.calls().len();
    }
}

impl Scripted {
    fn new(attempts: Vec<Attempt>) -> Arc<Self> {
        Arc::new(Self { attempts: Mutex::new(attempts), ..Self::default() })
    }

    fn client(self: &Arc<Self>, app_secret: Option<&str>) -> GraphClient {
        let token = AccessToken::new("PAGE-TOKEN-canary").expect("a token");
        let options = GraphOptions {
            app_secret: app_secret.and_then(AppSecret::new),
            ..GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), token)
        };
        let clock = ManualClock::new(Timestamp::from_unix_millis(1_760_000_000_999));
        GraphClient::new(options, Arc::<Self>::clone(self), Arc::new(clock))
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn answer(status: u16, body: &'static str) -> Attempt {
    let status = StatusCode::from_u16(status).expect("a status");
    Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
}

fn page() -> PageId {
    "1234567890".parse().expect("a Page")
}

fn text(text: &str) -> SendRequest {
    SendRequest::new("99".parse().expect("a PSID"), Message::text(text))
}

fn file(kind: MediaKind, mime: &str) -> FileUpload<'_> {
    FileUpload {
        platform: Platform::Messenger,
        kind,
        filename: "hemd für été.png",
        mime,
        bytes: Bytes::from_static(b"bytes"),
        progress: None,
    }
}

#[tokio::test]
async fn an_upload_goes_to_the_pages_attachments_and_brings_an_id() {
    let meta = Scripted::new(vec![answer(200, r#"{"attachment_id":"1857777774821032"}"#)]);
    let id = meta.client(None).upload_file(&page(), file(MediaKind::Image, "image/png")).await.expect("an id");
    assert_eq!(id.as_str(), "1857777774821032");
    let [call] = &meta.calls()[..] else { panic!("one call") };
    assert_eq!(call.method, Method::POST);
    assert_eq!(call.url.as_str(), "https://graph.facebook.com/v25.0/1234567890/message_attachments");
    assert_eq!(call.token.expose(), "PAGE-TOKEN-canary");
    let Body::Multipart(Form { fields, file }) = &call.body else { panic!("a form") };
    assert_eq!(fields[0].1, r#"{"attachment":{"type":"image","payload":{"is_reusable":true}}}"#);
    assert_eq!((file.field, &*file.filename, &*file.mime), ("filedata", "hemd f_r _t_.png", "image/png"));
}

#[tokio::test]
async fn a_send_goes_to_the_pages_messages_and_brings_a_receipt() {
    let meta = Scripted::new(vec![answer(200, r#"{"recipient_id":"99","message_id":"m_1"}"#)]);
    let sent = meta.client(None).send(&page(), &text("hi")).await.expect("a receipt");
    assert_eq!((sent.message_id.as_deref(), sent.recipient_id.as_deref()), (Some("m_1"), Some("99")));
    let [call] = &meta.calls()[..] else { panic!("one call") };
    assert_eq!(call.url.as_str(), "https://graph.facebook.com/v25.0/1234567890/messages");
    assert!(matches!(&call.body, Body::Json(body) if body.starts_with(br#"{"recipient":{"id":"99"}"#)));
}

#[tokio::test]
async fn the_receipt_of_somebody_elses_message_leaves_a_doubt_and_no_connection() {
    let anothers = || answer(200, r#"{"recipient_id":"98","message_id":"m_1"}"#);
    let meta = Scripted::new(vec![anothers(), answer(200, r#"{"recipient_id":"99","message_id":"m_2"}"#), anothers()]);
    let client = meta.client(None);
    let error = client.send(&page(), &text("hi")).await.expect_err("another's");
    assert_eq!(error, GraphError::Unknown { operation: Operation::Send, failure: Failure::OutOfStep });
    assert_eq!(*meta.afresh.lock().unwrap(), 1);
    client.send(&page(), &text("hi")).await.expect("its own");
    assert_eq!(*meta.afresh.lock().unwrap(), 1);
    // Of those who are not asked for by PSID nobody knows what it is.
    let by_phone = SendRequest::new("phone:+14155550123".parse().expect("a recipient"), Message::text("hi"));
    client.send(&page(), &by_phone).await.expect("theirs");
}

#[tokio::test]
async fn only_the_api_is_asked_what_time_it_is() {
    let dated = |status, body| {
        let Attempt::Answered(mut answered) = answer(status, body) else { unreachable!() };
        answered.headers.insert("date", "Thu, 09 Oct 2025 12:00:00 GMT".parse().expect("a date"));
        Attempt::Answered(answered)
    };
    let id = r#"{"id":"1234567890","name":"Shop"}"#;
    let refusal = r#"{"error":{"message":"no","code":190}}"#;
    for (status, body, is_believed) in [
        (504, "<html>", false),
        (200, "<html>", false),
        (502, r#"{"message":"gateway"}"#, false),
        (200, "", false),
        (200, id, true),
        (400, refusal, true),
    ] {
        let client = Scripted::new(vec![dated(status, body)])
            .client(None)
            .with_retry(RetryPolicy { attempts: 1, ..RetryPolicy::default() });
        let _ = client.me().await;
        assert_eq!(client.clock_skew().is_some(), is_believed, "{status} {body}");
    }
}

#[tokio::test]
async fn me_asks_for_id_and_name() {
    let meta = Scripted::new(vec![answer(200, r#"{"id":"1234567890","name":"Shop"}"#)]);
    let identity = meta.client(None).me().await.expect("an identity");
    assert_eq!(identity, Identity { id: page(), name: Some("Shop".to_owned()), owner: None });
    let [call] = &meta.calls()[..] else { panic!("one call") };
    assert_eq!(
        (&call.method, call.url.as_str()),
        (&Method::GET, "https://graph.facebook.com/v25.0/me?fields=id%2Cname&metadata=1")
    );
}

#[tokio::test]
async fn where_meta_takes_no_question_about_the_type_me_asks_without() {
    let meta = Scripted::new(vec![
        answer(400, r#"{"error":{"code":100,"message":"(#100) The metadata parameter is no longer supported"}}"#),
        answer(200, r#"{"id":"1234567890","name":"Shop"}"#),
        answer(400, r#"{"error":{"code":190,"message":"Error validating access token"}}"#),
    ]);
    let client = meta.client(None);
    assert_eq!(client.me().await.expect("an identity").id, page());
    let asked: Vec<_> = meta.calls().iter().map(|call| call.url.query().unwrap_or_default().to_owned()).collect();
    assert_eq!(asked, ["fields=id%2Cname&metadata=1", "fields=id%2Cname"]);
    assert!(client.me().await.is_err());
    assert_eq!(meta.calls().len(), 3, "a token that is refused is refused for any question");
}

#[tokio::test(start_paused = true)]
async fn every_attempt_carries_a_proof_of_its_own() {
    let meta = Scripted::new(vec![
        answer(400, r#"{"error":{"message":"(#613) limit","code":613,"is_transient":true}}"#),
        answer(200, r#"{"id":"1","name":"Shop"}"#),
    ]);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&waits);
    let client = meta.client(Some("app-canary")).with_reporter(Hook::new(move |waiting: Waiting| {
        let Why::Limit(Some(refusal)) = waiting.why else { panic!("{:?}", waiting.why) };
        log.lock().unwrap().push((waiting.until, refusal.to_string()));
    }));
    client.me().await.expect("an identity");
    let queries: Vec<_> = meta.calls().iter().map(|call| call.url.query().unwrap_or_default().to_owned()).collect();
    assert_eq!(
        queries,
        [
            "fields=id%2Cname&metadata=1&appsecret_proof=208fd786ca4a4c8fc9d3249735a21b4a7c0271aa1dcd7cd0f540840e571a26ea&appsecret_time=1760000000",
            "fields=id%2Cname&metadata=1&appsecret_proof=8545c142f9419d5e1c545e3311c3b1f1e601e1a9747ff275ad7143a9bbdc6cc9&appsecret_time=1760000050",
        ]
    );
    let until = Timestamp::from_unix_millis(1_760_000_050_999);
    let why = "(#613) limit (code 613)".to_owned();
    assert_eq!(*waits.lock().unwrap(), [(until, why)]);
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_never_leaves() {
    let meta = Scripted::new(vec![]);
    let error = meta.client(None).send(&page(), &text("")).await.expect_err("a rule");
    assert_eq!(error, GraphError::Invalid(InvalidRequest::TextEmpty));
    for (kind, mime) in [(MediaKind::Audio, "video/mp4"), (MediaKind::Image, "png"), (MediaKind::File, "a/b\r\nX: y")] {
        let error = meta.client(None).upload_file(&page(), file(kind, mime)).await.expect_err("a rule");
        assert_eq!(error, GraphError::Invalid(InvalidRequest::MediaType { kind, mime: mime.to_owned() }));
    }
    assert!(meta.calls().is_empty());
}

#[tokio::test]
async fn a_token_echoed_by_the_server_shows_nowhere() {
    let body = r#"{"error":{"message":"Malformed access token PAGE-TOKEN-canary","code":190,"type":"OAuthException"}}"#;
    let meta = Scripted::new(vec![answer(400, body)]);
    let client = meta.client(Some("app-canary"));
    let error = client.send(&page(), &text("hi")).await.expect_err("a refusal");
    assert_eq!(error.to_string(), "Meta refused the send: Malformed access token [token] (code 190)");
    assert!(!format!("{error:?} {client:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn an_upload_in_doubt_is_repeated_whole_and_a_send_in_doubt_is_not() {
    let lost = || Attempt::Failed { phase: Phase::AfterRequest, cause: TransportError::new("reset") };
    let meta = Scripted::new(vec![lost(), answer(200, r#"{"attachment_id":"1"}"#)]);
    meta.client(None).upload_file(&page(), file(MediaKind::Image, "image/png")).await.expect("an id");
    let sizes: Vec<_> = meta.calls().iter().map(|call| call.body.counted_bytes()).collect();
    assert_eq!(sizes, [5, 5]);

    let meta = Scripted::new(vec![lost()]);
    let error = meta.client(None).send(&page(), &text("hi")).await.expect_err("in doubt");
    assert_eq!((error.outcome(), meta.calls().len()), (Certainty::Unknown, 1));
    let cause = std::error::Error::source(&error).expect("a cause");
    assert_eq!(cause.to_string(), "no whole answer came back");
}

#[tokio::test]
async fn calls_can_be_spawned() {
    let meta = Scripted::new(vec![answer(200, r#"{"attachment_id":"1"}"#), answer(200, r#"{"message_id":"m_1"}"#)]);
    let client = meta.client(None);
    let calls = tokio::spawn(async move {
        let id = client.upload_file(&page(), file(MediaKind::Image, "image/png")).await?;
        let message = Message::attachment(MediaKind::Image, &id);
        client.send(&page(), &SendRequest::new("99".parse().expect("a PSID"), message)).await
    });
    assert_eq!(calls.await.expect("no panic").expect("a receipt").message_id.as_deref(), Some("m_1"));
}

#[tokio::test]
async fn large_files_get_more_time() {
    let bytes = Bytes::from(vec![0; 25 * 1024 * 1024]);
    let meta = Scripted::new(vec![answer(200, r#"{"attachment_id":"1"}"#)]);
    let upload = FileUpload { bytes, ..file(MediaKind::Image, "image/png") };
    meta.client(None).upload_file(&page(), upload).await.expect("an id");
    assert_eq!(meta.calls()[0].timeout, Duration::from_secs(120 + 400));
}

#[tokio::test]
async fn a_sender_action_is_answered_without_a_message_id_and_a_message_is_not() {
    let acted = r#"{"recipient_id":"99"}"#;
    let meta = Scripted::new(vec![answer(200, acted), answer(200, acted)]);
    let client = meta.client(None);
    let action = SendRequest::new("99".parse().expect("a PSID"), SenderAction::TypingOn);
    let sent = client.send(&page(), &action).await.expect("done");
    assert_eq!((sent.message_id, sent.recipient_id.as_deref()), (None, Some("99")));
    let error = client.send(&page(), &text("hi")).await.expect_err("no message id, no proof");
    assert_eq!(error.outcome(), Certainty::Unknown);
}

#[tokio::test]
async fn a_web_address_is_uploaded_by_telling_meta() {
    let meta = Scripted::new(vec![answer(200, r#"{"attachment_id":"7"}"#), answer(200, r#"{"attachment_id":"8"}"#)]);
    let client = meta.client(None);
    for platform in Platform::ALL {
        let upload = UrlUpload { platform, kind: MediaKind::Video, url: "https://example.com/a.mp4?x=1" };
        client.upload_url(&page(), upload).await.expect("an id");
    }
    let bodies: Vec<_> = meta
        .calls()
        .into_iter()
        .map(|call| match call.body {
            Body::Json(text) => String::from_utf8(text.to_vec()).expect("text"),
            other => panic!("{other:?}"),
        })
        .collect();
    let message = r#""message":{"attachment":{"type":"video","payload":{"url":"https://example.com/a.mp4?x=1","is_reusable":true}}}"#;
    assert_eq!(bodies, [format!("{{{message}}}"), format!("{{{message},\"platform\":\"instagram\"}}")]);
    assert!(meta.calls()[0].url.path().ends_with("/message_attachments"));
}

#[tokio::test]
async fn a_file_goes_with_its_message_in_one_step_and_only_once() {
    let receipt = r#"{"recipient_id":"99","message_id":"m_1","attachment_id":"1857777774821032"}"#;
    let meta = Scripted::new(vec![answer(200, receipt), answer(500, "<html>")]);
    let client = meta.client(None);
    let mut envelope = Envelope::new("99".parse().expect("a PSID"));
    envelope.messaging_type = MessagingType::Update;
    let sent = client.send_file(&page(), &envelope, file(MediaKind::Image, "image/png")).await.expect("a receipt");
    assert_eq!(sent.attachment_id.expect("an id").as_str(), "1857777774821032");
    let Body::Multipart(form) = &meta.calls()[0].body else { panic!("a form") };
    let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("recipient", r#"{"id":"99"}"#),
            ("messaging_type", "UPDATE"),
            ("message", r#"{"attachment":{"type":"image","payload":{"is_reusable":true}}}"#),
        ]
    );
    assert_eq!((form.file.field, form.file.filename.as_str()), ("filedata", "hemd f_r _t_.png"));
    assert!(meta.calls()[0].url.path().ends_with("/1234567890/messages"));
    let error = client.send_file(&page(), &envelope, file(MediaKind::Image, "image/png")).await.expect_err("in doubt");
    assert_eq!((error.outcome(), error.retryable(), meta.calls().len()), (Certainty::Unknown, false, 2));
}

#[tokio::test]
async fn whose_a_token_is_and_what_it_may_is_read_as_far_as_meta_says() {
    let told = |status: u16, body: &str| answer(200, json!([{ "code": status, "body": body }]).to_string().leak());
    let meta = Scripted::new(vec![
        answer(200, r#"{"id":"1","name":"Ada","metadata":{"type":"user","connections":{}}}"#),
        told(
            200,
            r#"{"data":{"app_id":"5","type":"PAGE","is_valid":true,"expires_at":0,"scopes":["pages_messaging",7],"data_access_expires_at":1760000000}}"#,
        ),
        told(200, r#"{"data":{"is_valid":false,"error":{"code":190,"message":"expired"},"expires_at":1}}"#),
        told(400, r#"{"error":{"code":100,"message":"(#100) You must provide an app access token"}}"#),
    ]);
    let client = meta.client(None);
    assert_eq!(client.me().await.expect("an identity").owner, Some(TokenOwner::User));
    let facts = client.inspect_token().await.expect("facts");
    assert_eq!((facts.app_id.as_deref(), &facts.owner, facts.is_valid), (Some("5"), &Some(TokenOwner::Page), true));
    assert_eq!((facts.expires_at, &facts.scopes[..]), (None, &["pages_messaging".to_owned()][..]));
    assert_eq!(facts.data_access_expires_at, Some(Timestamp::from_unix_millis(1_760_000_000_000)));
    let facts = client.inspect_token().await.expect("facts");
    assert_eq!((facts.is_valid, facts.error.as_deref()), (false, Some("expired")));
    assert_eq!(facts.expires_at, Some(Timestamp::from_unix_millis(1_000)));
    let refused = client.inspect_token().await.expect_err("Meta does not say");
    assert_eq!(refused.refusal().map(|refusal| refusal.code), Some(100));
    let mut calls = meta.calls();
    assert!(calls.iter().all(|call| !call.url.as_str().contains("canary")), "an address holds the token");
    let Body::Form(form) = calls.pop().expect("a call").body else { panic!("a batch is a form") };
    let asked = String::from_utf8(form.to_vec()).expect("text");
    assert!(asked.contains("debug_token%3Finput_token%3DPAGE-TOKEN-canary"), "{asked}");
}

#[test]
fn no_message_is_waited_for_longer_than_others_leave_it_alone() {
    let large = || Bytes::from(vec![b' '; 4 << 20]);
    for body in [Body::Empty, Body::Json(large()), Body::Form(large())] {
        assert!((CALL_TIMEOUT..=LONGEST_CALL).contains(&patience(&body)), "{body:?}");
    }
}
