//! Real sockets, scripted: what the far side does, and how far we say the request got.

use std::net::SocketAddr;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::graph::transport::FilePart;

const CANARY: &str = "EAAB0123456789-canary";
/// More than two sockets hold between them, so that the server decides how much of it leaves.
const LARGE: usize = 24 * 1024 * 1024;

fn call(address: SocketAddr, body: Body) -> Call {
    Call {
        method: Method::POST,
        url: Url::parse(&format!("http://{address}/v25.0/1/messages?appsecret_proof=proof-canary")).expect("a URL"),
        token: AccessToken::new(CANARY).expect("a token"),
        body,
        auth: Auth::Header,
        timeout: Duration::from_mins(10),
    }
}

fn json() -> Body {
    Body::Json(Bytes::from_static(br#"{"recipient":{"id":"1"}}"#))
}

fn upload(size: usize, progress: Option<Hook<u64>>) -> Body {
    let file = FilePart {
        field: "filedata",
        filename: "shirt.png".to_owned(),
        mime: "image/png".to_owned(),
        bytes: Bytes::from(vec![b'x'; size]),
        progress,
    };
    Body::Multipart(Form { fields: vec![("message".to_owned(), "{}".to_owned())], file })
}

/// What comes of sending `body` to a server that does `script` with the connection.
async fn attempt(body: Body, script: impl AsyncFnOnce(TcpStream)) -> Attempt {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        script(stream).await;
    };
    let transport = ReqwestTransport::new();
    let (attempt, ()) = tokio::join!(transport.execute(call(address, body)), serve);
    let shown = format!("{attempt:?}");
    assert!(!shown.contains("canary") && !shown.contains("appsecret"), "{shown}");
    attempt
}

fn phase(attempt: &Attempt) -> Phase {
    match attempt {
        Attempt::Failed { phase, .. } => *phase,
        Attempt::Answered(answered) => panic!("answered: {answered:?}"),
    }
}

/// The whole request: head and body, by its Content-Length.
async fn read_request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut request = Vec::new();
    let head_length = loop {
        stream.read_buf(&mut request).await.expect("a request");
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let mut body = request.split_off(head_length);
    let head = String::from_utf8(request).expect("ASCII").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    while body.len() < length {
        stream.read_buf(&mut body).await.expect("the body");
    }
    (head, body)
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("an option");
    drop(stream);
}

async fn answer(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("an answer");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    for body in [Body::Empty, json(), upload(10, None)] {
        let attempt = ReqwestTransport::new().execute(call(address, body)).await;
        assert_eq!(phase(&attempt), Phase::BeforeRequest);
        let shown = format!("{attempt:?}");
        assert!(shown.contains("refused") && !shown.contains("canary") && !shown.contains("v25.0"), "{shown}");
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut secure = call(address, json());
    secure.url.set_scheme("https").expect("a scheme");
    let transport = ReqwestTransport::new();
    let plain = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        answer(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    };
    let attempt = tokio::select! {
        attempt = transport.execute(secure) => attempt,
        () = plain => unreachable!("it waits for ever"),
    };
    assert_eq!(phase(&attempt), Phase::BeforeRequest);
}

#[tokio::test]
async fn an_upload_reset_before_it_is_read_was_cut_short() {
    let attempt = self::attempt(upload(LARGE, None), async |stream| {
        stream.peek(&mut [0]).await.expect("a request");
        reset(stream);
    })
    .await;
    assert_eq!(phase(&attempt), Phase::RequestIncomplete);
    let attempt = self::attempt(upload(LARGE, None), async |stream| reset(stream)).await;
    assert!(phase(&attempt) <= Phase::RequestIncomplete);
}

#[tokio::test]
async fn an_upload_closed_on_the_way_was_cut_short() {
    let attempt = attempt(upload(LARGE, None), async |mut stream| {
        let mut start = vec![0; LARGE / 4];
        stream.read_exact(&mut start).await.expect("a beginning");
        drop(stream);
    })
    .await;
    assert_eq!(phase(&attempt), Phase::RequestIncomplete);
}

#[tokio::test]
async fn a_short_body_that_was_handed_over_is_in_doubt_even_if_nobody_read_it() {
    let attempt = attempt(json(), async |stream| {
        stream.peek(&mut [0]).await.expect("a request");
        reset(stream);
    })
    .await;
    assert_eq!(phase(&attempt), Phase::AfterRequest);
}

#[tokio::test]
async fn a_connection_lost_at_any_point_of_the_answer_is_in_doubt() {
    for sent in [
        "",
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"message_id\":\"m_1\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{\"message_id\":\"m_1\"}\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 80\r\n\r\n{\"error\":{\"code\":100}}",
        "nonsense\r\n\r\n",
    ] {
        for ending in [drop::<TcpStream>, reset] {
            let attempt = attempt(json(), async |mut stream| {
                read_request(&mut stream).await;
                answer(&mut stream, sent).await;
                ending(stream);
            })
            .await;
            assert_eq!(phase(&attempt), Phase::AfterRequest, "{sent:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle_of_an_upload_is_in_doubt() {
    let attempt = attempt(upload(LARGE, None), async |mut stream| {
        let mut start = vec![0; 1000];
        stream.read_exact(&mut start).await.expect("a beginning");
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{").await;
        stream.shutdown().await.expect("an end");
        let mut rest = Vec::new();
        let _ended_either_way = stream.read_to_end(&mut rest).await;
    })
    .await;
    assert_eq!(phase(&attempt), Phase::AfterRequest);
}

#[tokio::test]
async fn whole_answers_come_back_whatever_they_say() {
    for (status, head, body) in [
        (302, "302 Found\r\nLocation: http://127.0.0.1:1/elsewhere", ""),
        (200, "200 OK\r\nContent-Type: text/html", "<html>Sorry, something went wrong.</html>"),
        (500, "500 Internal Server Error", "{\"error\":{\"code\":2}}"),
    ] {
        let attempt = attempt(json(), async |mut stream| {
            read_request(&mut stream).await;
            answer(&mut stream, &format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        })
        .await;
        let Attempt::Answered(answered) = attempt else { panic!("no answer: {attempt:?}") };
        assert_eq!((answered.status.as_u16(), answered.body), (status, Bytes::from(body)));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_at_a_mebibyte() {
    let attempt = attempt(json(), async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n{\"message_id\":\"m_1\",\"more\":\"").await;
        let filler = vec![b'x'; 64 * 1024];
        let mut written = 0;
        while stream.write_all(&filler).await.is_ok() {
            written += filler.len();
            assert!(written < 64 * ANSWER_LIMIT_BYTES, "it reads on and on");
        }
    })
    .await;
    assert_eq!(phase(&attempt), Phase::AfterRequest);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_after_a_hundred_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    for (body, expected) in [(json(), Phase::AfterRequest), (upload(LARGE, None), Phase::RequestIncomplete)] {
        let transport = ReqwestTransport::new();
        let silent = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut start = [0; 100];
            stream.read_exact(&mut start).await.expect("a beginning");
            tokio::time::pause();
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        let attempt = tokio::select! {
            attempt = transport.execute(call(address, body)) => attempt,
            () = silent => unreachable!("it waits for ever"),
        };
        assert_eq!(phase(&attempt), expected);
        let waited = started.elapsed();
        assert!((STALL_TIMEOUT..STALL_TIMEOUT * 2).contains(&waited), "{waited:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_its_time_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let dripping = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_request(&mut stream).await;
        tokio::time::pause();
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n").await;
        loop {
            tokio::time::sleep(Duration::from_secs(50)).await;
            answer(&mut stream, "x").await;
        }
    };
    let transport = ReqwestTransport::new();
    let attempt = tokio::select! {
        attempt = transport.execute(call(address, json())) => attempt,
        () = dripping => unreachable!("it drips for ever"),
    };
    let Attempt::Failed { phase, cause } = attempt else { panic!("no answer was whole") };
    assert_eq!((phase, cause.to_string().as_str()), (Phase::AfterRequest, "timed out after 600 s"));
}

#[tokio::test]
async fn a_send_is_plain_json_of_known_length_with_the_token_in_its_header() {
    attempt(json(), async |mut stream| {
        let (head, body) = read_request(&mut stream).await;
        assert!(head.starts_with("post /v25.0/1/messages?appsecret_proof=proof-canary http/1.1\r\n"), "{head}");
        for line in [
            format!("authorization: bearer {}", CANARY.to_ascii_lowercase()),
            "content-type: application/json".to_owned(),
            "content-length: 24".to_owned(),
            concat!("user-agent: reattach/", env!("CARGO_PKG_VERSION")).to_owned(),
        ] {
            assert_eq!(head.lines().filter(|header| *header == line).count(), 1, "{line}: {head}");
        }
        assert!(!head.contains("transfer-encoding") && !head.contains("accept-encoding"), "{head}");
        assert_eq!(body, br#"{"recipient":{"id":"1"}}"#);
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
}

#[tokio::test]
async fn an_upload_is_a_form_of_known_length_and_reports_its_progress() {
    let size = 2 * SLICE_BYTES + 1;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let progress = Hook::new(move |taken| log.lock().unwrap().push(taken));
    attempt(upload(size, Some(progress)), async |mut stream| {
        let (head, body) = read_request(&mut stream).await;
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let boundary = head.lines().find_map(|line| line.split_once("multipart/form-data; boundary="));
        let boundary = boundary.expect("a form").1;
        let text = String::from_utf8(body).expect("ASCII");
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n{{}}\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"filedata\"; filename=\"shirt.png\"\r\n\
             Content-Type: image/png\r\n\r\n{}\r\n--{boundary}--\r\n",
            "x".repeat(size)
        );
        assert!(text == expected, "{text:.400}");
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let slice = SLICE_BYTES as u64;
    assert_eq!(*seen.lock().unwrap(), [slice, 2 * slice, 2 * slice + 1]);
}

#[tokio::test]
async fn a_request_that_was_given_up_hands_out_nothing_more() {
    let journey = Arc::new(Journey::new(3 * SLICE_BYTES as u64));
    assert!(journey.take(SLICE_BYTES).is_some());
    assert_eq!(journey.give_up(), Phase::RequestIncomplete);
    assert_eq!(journey.take(SLICE_BYTES), None);
    assert_eq!(journey.give_up(), Phase::RequestIncomplete);
}

#[tokio::test]
async fn a_token_in_the_query_arrives_there_and_shows_nowhere_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let transport = ReqwestTransport::new();
    let call = Call { auth: Auth::Query, ..call(address, json()) };
    assert!(!format!("{call:?}").contains("canary"));
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.expect("a request");
        String::from_utf8_lossy(&head[..read]).into_owned()
    };
    let (attempt, head) = tokio::join!(transport.execute(call), serve);
    let shown = format!("{attempt:?} {attempt}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(head.contains(&format!("&access_token={CANARY} HTTP/1.1")), "{head}");
    assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
}
