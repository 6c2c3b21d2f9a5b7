//! `reattach serve` in a world, and requests to it down to their last byte.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::World;
use super::secrecy::keeps_secrets;

/// How long an answer may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that runs until this is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    /// May do everything.
    pub(crate) token: String,
    /// May only look.
    pub(crate) read_token: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// With names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Served {
    /// The service of the world's library.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    /// The same, with more flags.
    pub(crate) fn start_with(world: &World, flags: &[&str]) -> Self {
        world.library();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--library", "library", "--json"];
        let mut command = world.command(arguments.iter().chain(flags));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawned(command)
    }

    /// What this command starts, whose output is read here.
    pub(crate) fn spawned(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut said).expect("text");
            }
            panic!("it did not start: {line}{said}")
        });
        let url = event["url"].as_str().expect("an address");
        let address = url.split_once("://").expect("a scheme").1.parse().expect("an address");
        let token = |file: &str| {
            let folder = std::path::Path::new(event["token_file"].as_str().expect("a file")).with_file_name(file);
            std::fs::read_to_string(folder).expect("a token").trim().to_owned()
        };
        Self { child, address, token: token("serve.token"), read_token: token("serve-read.token") }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by a signal, and says how it ended.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
        self.child.wait().expect("it ends")
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }

    /// What it says to these very bytes; `None` where it hangs up without a word.
    pub(crate) fn raw(&self, request: impl AsRef<[u8]>) -> Option<Answer> {
        let mut stream = self.connect();
        // It may hang up while it is still being talked to.
        let _ = stream.write_all(request.as_ref());
        read_answer(&mut BufReader::new(stream), request.as_ref().starts_with(b"HEAD "))
    }

    /// A request with these headers besides its Host, and a body where there is one.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
            let _ = write!(request, "Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let request = [request.as_bytes(), body].concat();
        self.raw(request).unwrap_or_else(|| panic!("no answer to {method} {target}"))
    }

    /// The same, by somebody who may do everything.
    pub(crate) fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.ask(method, target, &[("Authorization", &bearer), ("Content-Type", "application/json")], body.as_bytes())
    }

    /// What it says to `GET`, which must be 200.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Value {
        let answer = self.call("GET", target, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next answer on a connection.
pub(crate) fn read_answer(stream: &mut impl BufRead, without_body: bool) -> Option<Answer> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if !without_body {
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        stream.take(length).read_to_end(&mut answer.body).ok()?;
    }
    keeps_secrets("an answer", format!("{:?}", answer.headers).as_bytes());
    keeps_secrets("an answer", &answer.body);
    Some(answer)
}
