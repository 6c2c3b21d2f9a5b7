//! A server that repeats what it heard: the token as it came, as part of an address, cut, or in another spelling of JSON.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A way to repeat what was heard.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) answer: &'static str,
}

/// `{heard}` stands for the token; the length of what comes behind the headers is put in.
pub(super) const FORMS: &[Form] = &[
    Form {
        name: "an error that quotes it",
        answer: "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
            {\"error\":{\"message\":\"Malformed access token {heard}\",\"type\":\"OAuthException\",\"code\":190,\"fbtrace_id\":\"{heard}\"}}",
    },
    Form {
        name: "an error to be tried again",
        answer: "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
            {\"error\":{\"message\":\"{heard}\",\"error_user_msg\":\"{heard}\",\"error_user_title\":\"{heard}\",\"code\":2,\"is_transient\":true}}",
    },
    Form {
        name: "an address of the next page",
        answer: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
            {\"id\":\"106\",\"name\":\"{heard}\",\"attachment_id\":\"{heard}\",\"message_id\":\"{heard}\",\"recipient_id\":\"{heard}\",\
            \"data\":[],\"paging\":{\"next\":\"https://graph.facebook.com/v25.0/me?access_token={heard}\"}}",
    },
    Form {
        name: "a page of HTML",
        answer: "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n\
            <html><body>Authorization: Bearer {heard}</body></html>",
    },
    Form {
        name: "a redirect",
        answer: "HTTP/1.1 302 Found\r\nLocation: https://graph.example/?access_token={heard}\r\nContent-Length: 0\r\n\r\n",
    },
    Form {
        name: "headers",
        answer: "HTTP/1.1 403 {heard}\r\nWWW-Authenticate: Bearer {heard}\r\nX-Fb-Trace-Id: {heard}\r\nContent-Length: 0\r\n\r\n",
    },
    Form { name: "no HTTP", answer: "{heard} is not HTTP\r\n\r\n" },
    Form {
        name: "JSON that breaks off",
        answer: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{\"id\":\"{heard}\",\"name\":\"{heard}",
    },
];

/// A server that answers every request the same way, and remembers what it was told.
pub(super) struct Echo {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
}

/// What a server was told.
#[derive(Default)]
struct Told {
    everything: Vec<u8>,
    asked: Vec<String>,
}

impl Echo {
    pub(super) fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, told) = (listener.local_addr().expect("an address"), Arc::<Mutex<Told>>::default());
        let hears = Arc::clone(&told);
        // Whoever still waits for a connection ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hears = Arc::clone(&hears);
                thread::spawn(move || {
                    // The other side may hang up at any moment.
                    let _ = converse(stream, answer, &hears);
                });
            }
        });
        Self { address, told }
    }

    pub(super) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// What it was asked for: the first line of each request.
    pub(super) fn asked(&self) -> String {
        self.told.lock().expect("not poisoned").asked.join("\n")
    }

    /// Whether it was told this.
    pub(super) fn heard(&self, word: &str) -> bool {
        String::from_utf8_lossy(&self.told.lock().expect("not poisoned").everything).contains(word)
    }
}

fn converse(mut stream: TcpStream, answer: &str, told: &Mutex<Told>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::new();
    let mut some = [0; 4096];
    // What comes behind the headers is of no interest; a hello of TLS has none.
    while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.first() != Some(&0x16) {
        match stream.read(&mut some)? {
            0 => break,
            count => request.extend_from_slice(&some[..count]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    {
        let mut told = told.lock().expect("not poisoned");
        told.everything.extend_from_slice(&request);
        told.asked.extend(text.lines().next().map(str::to_owned));
    }
    let authorization = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.to_ascii_lowercase().ends_with("authorization").then(|| value.split(' ').next_back())?
    });
    let answer = answer.replace("{heard}", authorization.unwrap_or_default());
    let length = answer.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    stream.write_all(answer.replace("{length}", &length.to_string()).as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // Whoever closes on unread bytes resets the connection, and takes the answer back.
    while stream.read(&mut some)? > 0 {}
    Ok(())
}
