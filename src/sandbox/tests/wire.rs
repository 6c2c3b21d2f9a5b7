//! HTTP as it is on the wire: bytes written by hand.

use super::*;

/// `body` posted to `path` with these headers; the whole answer, as text.
async fn exchange(lab: &Lab, path: &str, headers: &str, body: &str) -> String {
    let host = lab.url().trim_start_matches("http://");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {BAKERY}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    lab.raw(&request).await.expect("an answer")
}

fn upload_body() -> String {
    concat!(
        "--XyZ\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n",
        "{\"attachment\":{\"type\":\"image\",\"payload\":{\"is_reusable\":true}}}\r\n",
        "--XyZ\r\nContent-Disposition: form-data; name=\"filedata\"; filename=\"shirt.png\"\r\n",
        "Content-Type: image/png\r\n\r\nPNG\r\n--XyZ--\r\n"
    )
    .to_owned()
}

#[tokio::test]
async fn an_upload_written_by_hand_is_understood() {
    let lab = lab().await;
    let body = upload_body();
    let headers = format!("Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n", body.len());
    let answer = exchange(&lab, "/v25.0/me/message_attachments", &headers, &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\n"), "{answer}");
    let seen = lab.only_attachment();
    assert!(answer.ends_with(&format!("\r\n\r\n{{\"attachment_id\":\"{}\"}}", seen.id)), "{answer}");
    assert_eq!(seen.file.map(|file| (file.name, file.size_bytes)), Some(("shirt.png".to_owned(), 3)));
    assert_eq!(seen.content_length, Some(body.len() as u64));
}

#[tokio::test]
async fn a_chunked_body_is_understood_and_noted() {
    let lab = lab().await;
    let body = upload_body();
    let (front, back) = body.split_at(100);
    let chunks = format!("{:x}\r\n{front}\r\n{:x}\r\n{back}\r\n0\r\n\r\n", front.len(), back.len());
    let headers = "Content-Type: multipart/form-data; boundary=\"XyZ\"\r\nTransfer-Encoding: chunked\r\n";
    let answer = exchange(&lab, "/me/message_attachments", headers, &chunks).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(lab.only_attachment().content_length, None);
    let message = hello("7").to_string();
    let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    exchange(&lab, "/me/messages", headers, &format!("{:x}\r\n{message}\r\n0\r\n\r\n", message.len())).await;
    assert!(lab.truth().messages[0].chunked);
}

#[tokio::test]
async fn file_names_in_other_letters_are_refused() {
    let lab = lab().await;
    for name in ["filename=\"tulipán.png\"", "filename=\"a.png\"; filename*=utf-8''tulip%C3%A1n.png", "FileName*=a"] {
        let body = upload_body().replace("filename=\"shirt.png\"", name);
        let headers = format!("Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n", body.len());
        let answer = exchange(&lab, "/me/message_attachments", &headers, &body).await;
        let text = "(#100) File names with non-ASCII characters are not supported";
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(text), "{name}: {answer}");
    }
    assert!(lab.truth().attachments.is_empty());
}

#[tokio::test]
async fn control_routes_turn_strangers_away_and_graph_does_not() {
    let lab = lab().await;
    let host = lab.url().trim_start_matches("http://").to_owned();
    let post = async |path: &str, headers: &str| {
        let request = format!("POST {path} HTTP/1.1\r\n{headers}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        lab.raw(&request).await.expect("an answer").lines().next().map(str::to_owned).unwrap_or_default()
    };
    let forbidden = "HTTP/1.1 403 Forbidden";
    for headers in [
        "Host: evil.example".to_owned(),
        format!("Host: {host}\r\nOrigin: http://evil.example"),
        format!("Host: {host}\r\nSec-Fetch-Site: cross-site"),
    ] {
        for path in ["/__sandbox/reset", "/__sandbox/state", "/__sandbox/nowhere"] {
            assert_eq!(post(path, &headers).await, forbidden, "{path} {headers}");
        }
        assert_eq!(post("/me/messages", &headers).await, "HTTP/1.1 400 Bad Request", "{headers}");
    }
    assert_eq!(post("/__sandbox/reset", &format!("Host: {host}")).await, "HTTP/1.1 200 OK");
    let localhost = host.replace("127.0.0.1", "localhost");
    assert_eq!(post("/__sandbox/reset", &format!("Host: {localhost}")).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let lab = lab().await;
    let cut = upload_body().replace("--XyZ--\r\n", "");
    for (content_type, body, problem) in [
        ("multipart/form-data; boundary=XyZ", cut.as_str(), "The multipart body is malformed"),
        ("multipart/form-data", "x", "The multipart body is malformed"),
        ("multipart/form-data; boundary=other", &upload_body(), "The multipart body is malformed"),
        ("application/json", "{\"message\":", "The request body is not a JSON object"),
        ("application/json", "[]", "The request body is not a JSON object"),
    ] {
        let headers = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        let answer = exchange(&lab, "/me/message_attachments", &headers, body).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(problem), "{content_type}: {answer}");
    }
    assert!(lab.truth().attachments.is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_accepted() {
    let lab = lab().await;
    let body = upload_body();
    let mut stream = lab.connect().await;
    let head = format!(
        "POST /me/message_attachments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BAKERY}\r\nContent-Type: \
         multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n\r\n",
        body.len() + 1
    );
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(body.as_bytes()).await.expect("a body");
    stream.shutdown().await.expect("an end");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an end");
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(lab.truth().attachments.is_empty());
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let lab = lab().await;
    let mut stream = lab.connect().await;
    for _ in 0..3 {
        let body = upload_body() + "an epilogue";
        let request = format!(
            "POST /me/message_attachments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BAKERY}\r\nContent-Type: \
             multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = vec![0; 1_024];
        let length = stream.read(&mut answer).await.expect("an answer");
        assert!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(lab.truth().attachments.len(), 3);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let lab = lab().await;
    let body = upload_body();
    let headers = format!(
        "Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answer = exchange(&lab, "/me/message_attachments", &headers, &body).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn uploads_at_once_are_counted_at_once() {
    let lab = lab().await;
    let body = upload_body();
    let head = format!(
        "POST /me/message_attachments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BAKERY}\r\nExpect: 100-continue\r\n\
         Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = lab.connect().await;
        stream.write_all(head.as_bytes()).await.expect("a head");
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.expect("an interim answer");
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        streams.push(stream);
    }
    for mut stream in streams {
        stream.write_all(body.as_bytes()).await.expect("a body");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let truth = lab.truth();
    assert_eq!(truth.counters.peak_concurrent_uploads, 3);
    let ids: std::collections::HashSet<_> = truth.attachments.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 3);
}
