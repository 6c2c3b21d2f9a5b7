//! Requests nobody with good intentions makes. Each is refused with the status beside it, and none changes anything.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Duration;

use crate::support::World;
use crate::support::pictures::png;
use crate::support::served::{Answer, Served};
use crate::support::sha256;

/// A library with a secret beside it, its service, and all of it as it stood before.
struct Fort {
    world: World,
    served: Served,
    before: String,
}

impl Fort {
    fn new() -> Self {
        let world = World::new();
        world.put("hero.png", png(1));
        world.put("secret.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
        std::fs::write(world.library().with_file_name("secret.txt"), "the bytes outside").expect("a file");
        std::os::unix::fs::symlink("../secret.txt", world.library().join("planted.png")).expect("a link");
        std::os::unix::fs::symlink("..", world.library().join("up")).expect("a link");
        world.run(["sync", "library"]);
        let served = Served::start(&world);
        let before = Self::state(&world);
        Self { world, served, before }
    }

    /// All that could have changed: the record, the library, what Meta was told.
    fn state(world: &World) -> String {
        let files: Vec<_> =
            std::fs::read_dir(world.library()).expect("a folder").flatten().map(|f| f.file_name()).collect();
        let (recorded, aliases) = (world.json(["ls"]).stdout, world.json(["alias", "--list"]).stdout);
        let files: std::collections::BTreeSet<_> = files.into_iter().collect();
        let truth = world.truth().counters;
        format!("{recorded}\n{aliases}\n{files:?}\n{} {}", truth.uploads_accepted, truth.messages_accepted)
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.served.token)
    }

    /// The status of a request that is written out, but for its token.
    fn status(&self, request: &str) -> u16 {
        let address = self.served.address.to_string();
        let request = request.replace("HOST", &address).replace("TOKEN", &self.bearer()).replace('\n', "\r\n");
        let answer = self.served.raw(&request);
        if let Some(answer) = &answer {
            self.says_nothing(answer);
        }
        answer.map_or(0, |answer| answer.status)
    }

    /// Nothing of what lies outside, and no word of how it looks inside.
    fn says_nothing(&self, answer: &Answer) {
        let all = format!("{:?} {}", answer.headers, answer.text());
        for secret in ["the bytes outside", &self.served.token, "SANDBOX-PAGE", "panicked", "src/"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        // What hyper itself refuses has passed no door.
        if answer.header("content-type").is_some() {
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{all}");
            assert!(answer.header("content-security-policy").is_some(), "{all}");
        }
    }

    /// Every request is refused as listed; `0` is a connection that was closed without a word.
    #[track_caller]
    fn refuses(&self, attacks: &[(&str, &[u16])]) {
        for (request, statuses) in attacks {
            let status = self.status(request);
            assert!(statuses.contains(&status), "{status} rather than one of {statuses:?} to\n{request}");
        }
        assert_eq!(Self::state(&self.world), self.before, "something has changed");
        assert_eq!(self.served.call("GET", "/healthz", "").status, 200, "it still stands");
    }
}

#[test]
fn names_that_are_not_ours_reach_nobody() {
    let fort = Fort::new();
    fort.refuses(&[
        ("GET /v1/assets HTTP/1.1\nHost: evil.example\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nHost: 127.0.0.1.evil.example\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nHost: localhost.\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nHost: [::ffff:127.0.0.1]\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nHost: 127.0.0.1:1\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nTOKEN\nConnection: close\n\n", &[421, 400]),
        ("GET /v1/assets HTTP/1.1\nHost: HOST\nHost: HOST\nTOKEN\nConnection: close\n\n", &[421, 400]),
        ("GET http://evil.example/v1/assets HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET /v1/assets HTTP/1.1\nHost: user@HOST\nTOKEN\nConnection: close\n\n", &[421]),
        ("GET / HTTP/1.1\nHost: evil.example\nAccept: text/html\nConnection: close\n\n", &[421]),
    ]);
}

#[test]
fn pages_of_other_sites_reach_nothing() {
    let fort = Fort::new();
    fort.refuses(&[
        ("GET /v1/assets HTTP/1.1\nHost: HOST\nOrigin: https://evil.example\nTOKEN\nConnection: close\n\n", &[403]),
        ("GET /v1/assets HTTP/1.1\nHost: HOST\nOrigin: null\nTOKEN\nConnection: close\n\n", &[403]),
        ("GET /v1/assets HTTP/1.1\nHost: HOST\nOrigin: http://localhost:1\nTOKEN\nConnection: close\n\n", &[403]),
        ("GET /v1/assets HTTP/1.1\nHost: HOST\nSec-Fetch-Site: cross-site\nTOKEN\nConnection: close\n\n", &[403]),
        ("GET /v1/events HTTP/1.1\nHost: HOST\nSec-Fetch-Site: cross-site\nTOKEN\nConnection: close\n\n", &[403]),
        ("GET /v1/events HTTP/1.1\nHost: HOST\nOrigin: https://evil.example\nTOKEN\nConnection: close\n\n", &[403]),
        (
            "POST /v1/resolve HTTP/1.1\nHost: HOST\nSec-Fetch-Site: cross-site\nTOKEN\nContent-Length: 11\nConnection: close\n\n{\"refs\":[]}",
            &[403],
        ),
        (
            "POST /v1/resolve HTTP/1.1\nHost: HOST\nSec-Fetch-Site: same-site\nTOKEN\nContent-Length: 11\nConnection: close\n\n{\"refs\":[]}",
            &[403],
        ),
        (
            "OPTIONS /v1/resolve HTTP/1.1\nHost: HOST\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST\nConnection: close\n\n",
            &[403],
        ),
        ("OPTIONS /v1/resolve HTTP/1.1\nHost: HOST\nAccess-Control-Request-Method: POST\nConnection: close\n\n", &[401]),
        ("OPTIONS /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[405]),
        ("GET /v1/events HTTP/1.1\nHost: HOST\nUpgrade: websocket\nConnection: Upgrade\nOrigin: https://evil.example\n\n", &[403]),
    ]);
}

#[test]
fn without_the_token_there_is_nothing_to_see_or_do() {
    let fort = Fort::new();
    let (token, read) = (fort.served.token.clone(), fort.served.read_token.clone());
    let with =
        |value: &str| format!("GET /v1/assets HTTP/1.1\nHost: HOST\nAuthorization: {value}\nConnection: close\n\n");
    let requests = [
        "GET /v1/assets HTTP/1.1\nHost: HOST\nConnection: close\n\n".to_owned(),
        "GET /metrics HTTP/1.1\nHost: HOST\nConnection: close\n\n".to_owned(),
        "GET /v1/events HTTP/1.1\nHost: HOST\nConnection: close\n\n".to_owned(),
        "GET / HTTP/1.1\nHost: HOST\nAccept: */*\nConnection: close\n\n".to_owned(),
        "GET /debug/pprof HTTP/1.1\nHost: HOST\nConnection: close\n\n".to_owned(),
        format!("GET /v1/assets?token={token} HTTP/1.1\nHost: HOST\nConnection: close\n\n"),
        format!("GET /v1/assets?access_token={token} HTTP/1.1\nHost: HOST\nConnection: close\n\n"),
        with("Bearer wrong"),
        with(&format!("Bearer {}", &token[..63])),
        with(&format!("Bearer {token}0")),
        with(&format!("Bearer {}", token.to_uppercase())),
        with(&format!("Basic {token}")),
        with(&token),
        with("Bearer"),
        format!(
            "GET /v1/assets HTTP/1.1\nHost: HOST\nAuthorization: Bearer {token}\nAuthorization: Bearer {token}\nConnection: close\n\n"
        ),
        "GET /v1/assets HTTP/1.1\nHost: HOST\nCookie: reattach-1=send.99999999999999.00\nConnection: close\n\n"
            .to_owned(),
        "POST /v1/campaigns/x/pause HTTP/1.1\nHost: HOST\nX-HTTP-Method-Override: GET\nContent-Length: 0\nConnection: close\n\n".to_owned(),
    ];
    let attacks: Vec<(&str, &[u16])> = requests.iter().map(|request| (request.as_str(), &[401_u16][..])).collect();
    fort.refuses(&attacks);
    // Who may look may do nothing else.
    let reader = |method: &str, target: &str, body: &str| {
        let headers = [("Authorization", &*format!("Bearer {read}"))];
        fort.served.ask(method, target, &headers, body.as_bytes()).status
    };
    for (method, target, body) in [
        ("PUT", "/v1/aliases/x", r#"{"ref":"hero.png"}"#),
        ("DELETE", "/v1/aliases/x", ""),
        ("POST", "/v1/campaigns/x/pause", ""),
        ("POST", "/v1/campaigns/x/resume", ""),
        ("POST", "/v1/campaigns/x/settle", r#"{"assume":"sent"}"#),
        ("POST", "/v1/resolve", r#"{"refs":["secret.svg"]}"#),
    ] {
        assert_eq!(reader(method, target, body), 403, "{method} {target}");
    }
    assert_eq!(reader("GET", "/v1/assets", ""), 200);
    assert_eq!(Fort::state(&fort.world), fort.before);
}

#[test]
fn a_browsers_session_does_nothing_another_site_could_make_it_do() {
    let fort = Fort::new();
    let signed_in = fort.served.call("POST", "/v1/session", "");
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    let (cookie, csrf) =
        (cookie.split(';').next().expect("a cookie"), signed_in.json()["csrf"].as_str().expect("one").to_owned());
    let put = |headers: &[(&str, &str)]| {
        let all: Vec<_> = [("Cookie", cookie)].into_iter().chain(headers.iter().copied()).collect();
        fort.served.ask("PUT", "/v1/aliases/x", &all, br#"{"ref":"hero.png"}"#).status
    };
    assert_eq!(put(&[]), 403);
    assert_eq!(put(&[("Content-Type", "text/plain")]), 403);
    assert_eq!(put(&[("Content-Type", "application/x-www-form-urlencoded")]), 403);
    assert_eq!(put(&[("X-Reattach-CSRF", "x")]), 403);
    assert_eq!(put(&[("X-Reattach-CSRF", &csrf), ("Origin", "https://evil.example")]), 403);
    assert_eq!(put(&[("X-Reattach-CSRF", &csrf), ("Sec-Fetch-Site", "cross-site")]), 403);
    let get = |cookie: &str, word: &str| {
        let headers = [("Cookie", cookie), ("X-Reattach-CSRF", word)];
        fort.served.ask("GET", "/v1/assets", &headers, b"").status
    };
    assert_eq!(get(cookie, &csrf), 200);
    assert_eq!(get(&cookie[..cookie.len() - 1], &csrf), 401);
    assert_eq!(get(&cookie.replace("=send.", "=read."), &csrf), 401);
    assert_eq!(get(&format!("{}=junk; {cookie}", cookie.split('=').next().expect("a name")), &csrf), 200);
    // A browser sends it to every port of this host: whoever has nothing else has nothing.
    for path in ["/v1/assets", "/v1/session", "/v1/campaigns", "/v1/aliases", "/v1/events", "/metrics"] {
        let answer = fort.served.ask("GET", path, &[("Cookie", cookie)], b"");
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.text().contains(&csrf), "{path}");
    }
    assert_eq!(Fort::state(&fort.world), fort.before);
    assert_eq!(put(&[("X-Reattach-CSRF", &csrf)]), 200);
}

#[test]
fn no_path_leads_out_of_the_library() {
    let fort = Fort::new();
    let secret = fort.world.library().with_file_name("secret.txt");
    let resolve = |reference: &str| {
        let body = serde_json::json!({ "refs": [reference] }).to_string();
        let answer = fort.served.call("POST", "/v1/resolve", &body);
        fort.says_nothing(&answer);
        (answer.status, answer.json()["assets"][0]["outcome"].as_str().map(str::to_owned))
    };
    let outside =
        ["../secret.txt", "/etc/passwd", "/proc/self/environ", "hero.png/../../secret.txt", "./../secret.txt"];
    let planted = ["planted.png", "up/secret.txt", "up/library/../secret.txt"];
    let odd = ["a\0b", secret.to_str().expect("text")];
    for reference in outside.into_iter().chain(planted).chain(odd) {
        assert_eq!(resolve(reference), (403, None), "{reference}");
    }
    for nothing in [
        "..%2fsecret.txt",
        "%252e%252e/secret.txt",
        "..\\secret.txt",
        "C:\\secret.txt",
        "\\\\host\\share\\a",
        "file:///etc/passwd",
        "..\u{2215}secret.txt",
    ] {
        assert_eq!(resolve(nothing), (200, Some("failed".to_owned())), "{nothing}");
    }
    let alias = |reference: &str| {
        fort.served.call("PUT", "/v1/aliases/x", &serde_json::json!({ "ref": reference }).to_string()).status
    };
    assert_eq!((alias("../secret.txt"), alias("planted.png"), alias("nothing.png")), (403, 403, 404));
    fort.refuses(&[
        ("GET /v1/assets/../../../etc/passwd HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404, 400]),
        ("GET /v1/assets/..%2f..%2fetc%2fpasswd/content HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404]),
        ("GET /page/..%2f..%2fkeys.rs HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404]),
        ("GET /page/../serve.token HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404]),
        ("GET //evil.example/v1/assets HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404, 421, 400]),
        (
            "GET /v1/assets/0000000000000000000000000000000000000000000000000000000000000000/content HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n",
            &[404],
        ),
        ("GET /v1/assets/1/thumbnail HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n", &[404]),
    ]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let world = World::new();
    world.put("sub/a.png", png(1));
    let (inside, outside) = (sha256(&png(1)), sha256(&png(2)));
    let library = world.library();
    std::fs::create_dir(library.with_file_name("outside")).expect("a folder");
    std::fs::write(library.with_file_name("outside").join("a.png"), png(2)).expect("a file");
    std::os::unix::fs::symlink("../outside", library.join(".other")).expect("a link");
    let served = Served::start(&world);
    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (sub, other) = (library.join("sub"), library.join(".other"));
                renameat_with(CWD, sub, CWD, other, RenameFlags::EXCHANGE).expect("swapped");
            }
        });
        let mut answers = Vec::new();
        for number in 0..400 {
            // Each a question of its own: none is answered from memory.
            let reference = format!("{}sub/a.png", "./".repeat(number));
            let resolve = serde_json::json!({ "refs": [reference] }).to_string();
            answers.push(served.call("POST", "/v1/resolve", &resolve));
            if number % 4 == 0 {
                let alias = serde_json::json!({ "ref": reference }).to_string();
                answers.push(served.call("PUT", "/v1/aliases/a", &alias));
            }
        }
        done.store(true, Ordering::Relaxed);
        answers
    });
    let leaked = answers.iter().filter(|answer| answer.text().contains(&outside)).count();
    assert_eq!(leaked, 0, "of {}", answers.len());
    // Both ends of the swap were met, and nothing but the one file was uploaded.
    let was_inside = answers.iter().filter(|answer| answer.text().contains(&inside)).count();
    let was_outside = answers.iter().filter(|answer| answer.status == 403).count();
    assert!(was_inside > 0 && was_outside > 0, "{was_inside} and {was_outside}");
    assert_eq!(world.truth().counters.uploads_accepted, 1);
}

#[test]
fn what_is_no_request_is_none() {
    let fort = Fort::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"refs\":{deep}}}");
    let keys = (0..1_000_000).map(|number| format!("k{number}=1")).collect::<Vec<_>>().join("&");
    let post = |body: &str| {
        format!(
            "POST /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nContent-Length: {}\nConnection: close\n\n{body}",
            body.len()
        )
    };
    let ranges = (0..1_000).map(|number| format!("{number}-{number}")).collect::<Vec<_>>().join(",");
    let hash = fort.served.get("/v1/assets?q=hero")["assets"][0]["sha256"].as_str().expect("a hash").to_owned();
    let range = |range: &str| {
        format!(
            "GET /v1/assets/{hash}/content HTTP/1.1\nHost: HOST\nTOKEN\nRange: bytes={range}\nConnection: close\n\n"
        )
    };
    let requests: Vec<(String, &[u16])> = vec![
        (post(&deep), &[400]),
        (post("{\"refs\":[\"hero.png\"],\"more\":1}"), &[400]),
        (post("refs=hero.png"), &[400]),
        (post(""), &[400]),
        (post(&format!("{{\"refs\":[{}\"a\"]}}", "\"a\",".repeat(1_000))), &[413]),
        (post(&format!("{{\"refs\":[\"{}\"]}}", "a".repeat(1 << 20))), &[413]),
        (format!("GET /v1/assets?{keys} HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n"), &[414, 431, 400, 0]),
        (format!("GET /v1/assets HTTP/1.1\nHost: HOST\nTOKEN\nX: {}\nConnection: close\n\n", "a".repeat(100_000)), &[431, 400, 0]),
        // Of several ranges, however many, the file comes once.
        (range(&ranges), &[200]),
        (range("0-1,0-1"), &[200]),
        (range("99999999-"), &[416]),
        (range("18446744073709551616-"), &[416]),
        (range("0-18446744073709551616"), &[206]),
        ("TRACE /v1/assets HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[405]),
        ("CONNECT evil.example:443 HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[421, 405, 400]),
        ("DELETE /v1/assets HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[405]),
        ("GET /v1/assets HTTP/3.0\nHost: HOST\nTOKEN\n\n".to_owned(), &[400, 505, 0]),
        ("PRI * HTTP/2.0\n\nSM\n\n".to_owned(), &[400, 505, 0]),
        ("GET /v1/assets?limit=-1 HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[400]),
        ("GET /v1/assets?cursor=5b5d HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[400]),
        ("GET //evil.example HTTP/1.1\nHost: HOST\nTOKEN\nConnection: close\n\n".to_owned(), &[404, 421, 400]),
        // Two lengths, or a length and chunks: whoever stands in between may read it differently.
        ("POST /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nContent-Length: 11\nContent-Length: 12\nConnection: close\n\n{\"refs\":[]}".to_owned(), &[400, 0]),
        ("POST /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nTransfer-Encoding: xchunked\nConnection: close\n\n0\n\n".to_owned(), &[400, 501, 0]),
        ("POST /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nTransfer-Encoding: chunked\nConnection: close\n\n5\n{\"ref\nzz\n".to_owned(), &[400]),
        ("POST /v1/resolve HTTP/1.1\nHost: HOST\nTOKEN\nTransfer-Encoding : chunked\nConnection: close\n\n0\n\n".to_owned(), &[400, 0]),
    ];
    let attacks: Vec<(&str, &[u16])> =
        requests.iter().map(|(request, statuses)| (request.as_str(), *statuses)).collect();
    fort.refuses(&attacks);
}

#[test]
fn a_request_smuggled_behind_another_is_not_answered() {
    let fort = Fort::new();
    // Whatever of it counts, nothing behind it is taken for a request of its own.
    let smuggled = format!(
        "POST /v1/resolve HTTP/1.1\r\nHost: {0}\r\n{1}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT /v1/aliases/x HTTP/1.1\r\nHost: {0}\r\n{1}\r\nContent-Length: 18\r\n\r\n{{\"ref\":\"hero.png\"}}",
        fort.served.address, "X: 1",
    );
    let mut stream = fort.served.connect();
    let _ = stream.write_all(smuggled.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(!said.contains(" 200 "), "{said}");
    assert_eq!(Fort::state(&fort.world), fort.before);
}

#[test]
fn slow_connections_keep_nobody_out() {
    let fort = Fort::new();
    // Many that say nothing more, while others are served.
    let slow: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = fort.served.connect();
            stream.write_all(b"GET /v1/assets HTTP/1.1\r\nHost: ").expect("written");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(fort.served.call("GET", "/v1/assets", "").status, 200);
    }
    drop(slow);
    assert_eq!(Fort::state(&fort.world), fort.before);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let fort = Fort::new();
    let mut stream = fort.served.connect();
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time-out");
    let head = format!(
        "POST /v1/resolve HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Length: 1000\r\n\r\n{{",
        fort.served.address,
        fort.bearer()
    );
    stream.write_all(head.as_bytes()).expect("written");
    let answer = crate::support::served::read_answer(&mut std::io::BufReader::new(stream), false).expect("an answer");
    assert_eq!(answer.status, 408);
    // Without a token it is not even looked for.
    let head =
        format!("POST /v1/resolve HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000000000\r\n\r\n", fort.served.address);
    assert_eq!(fort.served.raw(&head).expect("an answer").status, 401);
}

#[test]
fn names_of_files_stay_names() {
    let world = World::new();
    let odd = [
        "\"><img onerror=alert(1)>.png",
        "a\r\nSet-Cookie: x=1.png",
        "=cmd|calc.png",
        "\u{202e}gnp.exe",
        "</script>.png",
    ];
    for (number, name) in (1..).zip(odd) {
        // A slash is the one sign no name has.
        world.put(name.replace('/', "_"), png(number));
    }
    let served = Served::start(&world);
    let all = served.call("GET", "/v1/assets", "");
    assert_eq!((all.status, all.header("content-type")), (200, Some("application/json")));
    assert_eq!(all.json()["total"], odd.len());
    for asset in all.json()["assets"].as_array().expect("assets") {
        let hash = asset["sha256"].as_str().expect("a hash");
        let content = served.call("GET", &format!("/v1/assets/{hash}/content"), "");
        assert_eq!((content.status, content.header("set-cookie")), (200, None), "{asset}");
        let names: BTreeMap<_, _> = content.headers.iter().cloned().collect();
        assert!(names["content-disposition"].starts_with("inline; filename="), "{names:?}");
    }
}

#[test]
fn who_reads_no_answer_keeps_nobody_from_uploading() {
    let world = World::new();
    let paths: Vec<_> = (0..8_u8)
        .map(|number| {
            let mut bytes = png(u32::from(number));
            bytes.resize(17 << 20, number);
            (sha256(&bytes), world.put(format!("{number}.png"), bytes))
        })
        .collect();
    world.run(["sync", "library"]).ended_with(0);
    let served = Served::start(&world);
    let idle: Vec<_> = paths
        .iter()
        .map(|(hash, _)| {
            let mut stream = served.connect();
            let request = format!(
                "GET /v1/assets/{hash}/content HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
                served.address, served.read_token
            );
            stream.write_all(request.as_bytes()).expect("asked");
            stream
        })
        .collect();
    // Some of them are answered by now, and none reads.
    let mut first = [0; 15];
    (&idle[0]).read_exact(&mut first).expect("an answer");
    world.put("new.png", png(99));
    let answer = served.call("POST", "/v1/resolve?wait=20", r#"{"refs":["new.png"]}"#);
    assert_eq!((answer.status, &answer.json()["assets"][0]["outcome"]), (200, &serde_json::json!("uploaded")));
}
