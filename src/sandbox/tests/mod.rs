//! The sandbox over real sockets: by reqwest, and by bytes written by hand.

mod batch;
mod contents;
mod control;
mod conversations;
mod faults;
mod limits;
mod memory;
mod people;
mod sends;
mod uploads;
mod who;
mod wire;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PAGES, Sandbox, SandboxOptions, TruthAttachment, TruthMessage, start};

const BAKERY: &str = PAGES[0].access_token;
const FLORIST: &str = PAGES[1].access_token;

/// A sandbox and a client for it.
struct Lab {
    sandbox: Sandbox,
    client: Client,
}

async fn lab() -> Lab {
    lab_with(SandboxOptions::default()).await
}

async fn lab_with(options: SandboxOptions) -> Lab {
    Lab { sandbox: start(options).await.expect("a sandbox"), client: Client::new() }
}

impl std::ops::Deref for Lab {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Lab {
    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url()))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url()))
    }

    /// Status and JSON of a message sent as the first Page.
    async fn send(&self, body: &Value) -> (u16, Value) {
        answer(json_body(self.post("/v25.0/me/messages").bearer_auth(BAKERY), body)).await
    }

    /// Status and JSON of a file uploaded as the first Page.
    async fn upload(&self, message: &Value, file: Part) -> (u16, Value) {
        let form = Form::new().text("message", message.to_string()).part("filedata", file);
        answer(self.post("/v25.0/me/message_attachments").bearer_auth(BAKERY).multipart(form)).await
    }

    /// The id of a reusable picture of the first Page.
    async fn saved(&self) -> String {
        let (_, answer) = self.upload(&reusable("image"), png(b"saved")).await;
        answer["attachment_id"].as_str().expect("an id").to_owned()
    }

    /// Status and JSON of a control call.
    async fn control(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(json_body(self.post(&format!("/__sandbox/{path}")), body)).await
    }

    fn only_attachment(&self) -> TruthAttachment {
        let [attachment] = self.truth().attachments.try_into().expect("one attachment");
        attachment
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url().trim_start_matches("http://")).await.expect("a connection")
    }

    /// Everything the sandbox writes in answer to `request` until it closes the connection.
    async fn raw(&self, request: &str) -> std::io::Result<String> {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    }
}

fn json_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.text().await.expect("a body");
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
}

fn reusable(kind: &str) -> Value {
    json!({ "attachment": { "type": kind, "payload": { "is_reusable": true } } })
}

fn png(bytes: &'static [u8]) -> Part {
    typed(bytes, "image/png")
}

fn typed(bytes: &'static [u8], mime: &str) -> Part {
    Part::bytes(bytes).file_name("picture.png").mime_str(mime).expect("a media type")
}

fn hello(recipient: &str) -> Value {
    json!({ "recipient": { "id": recipient }, "messaging_type": "RESPONSE", "message": { "text": "hello" } })
}

/// Checks that `answer` is Graph's refusal with this code, subcode (0 for none) and text.
#[track_caller]
fn assert_refused((status, answer): &(u16, Value), code: u32, subcode: u32, message: &str) {
    let error = &answer["error"];
    let seen =
        (*status, error["code"].as_u64(), error["error_subcode"].as_u64().unwrap_or(0), error["message"].as_str());
    assert_eq!(seen, (400, Some(code.into()), subcode.into(), Some(message)), "{answer}");
    assert!(error["fbtrace_id"].as_str().is_some_and(|id| id.len() == 23), "{answer}");
    assert!(error["type"].is_string(), "{answer}");
}
