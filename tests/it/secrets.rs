//! No secret gets out: not in what is printed, logged, stored, exported, answered over HTTP, or shown in the list of
//! processes; not whole, not in part, and in no other spelling.
//!
//! Everything runs with every log of every package switched on (`REATTACH_LOG=trace`).

mod echo;
mod witness;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use self::echo::{Echo, FORMS, Form};
use self::witness::Witness;
use crate::support::pictures::{picture, png};
use crate::support::postgres::{Server, dump};
use crate::support::secrecy::{Listener, found, spelled};
use crate::support::served::{Served, read_answer};
use crate::support::{Ran, World, within};

/// What the sandbox takes.
const TOKEN: &str = "SANDBOX-PAGE-1";
const APP_SECRET: &str = "sandbox-secret";
/// As long as one of Meta's, and of its letters.
const LONG_TOKEN: &str = "EAAGcanaryZCpsBAE7ZB3xyQ2wLk9ZBmV4tNf8ZD";
/// With all that a URL writes otherwise.
const PASSWORD: &str = "canary/of+a pass:word";
const PASSWORD_IN_A_URL: &str = "canary%2Fof%2Ba%20pass%3Aword";
const OTHER_PASSWORD: &str = "another-canary-of-PGPASSWORD";

/// The binary as it is run here, saying all it can.
fn command(world: &World, arguments: &[&str]) -> Command {
    let scratch = world.library().with_file_name("tmp");
    fs::create_dir_all(&scratch).expect("a folder");
    let mut command = world.command(arguments);
    command.env("REATTACH_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env("TMPDIR", scratch);
    command.env_remove("REATTACH_LOG_FILE");
    command.env("REATTACH_APP_SECRET", APP_SECRET);
    command
}

/// Everything that lies about once all is done: the store, temporary files, exports.
fn left_behind(witness: &mut Witness, world: &World) {
    witness.folder(world.library().parent().expect("home"));
}

#[test]
fn the_commands_keep_secrets() {
    let world = World::new();
    let mut witness = Witness::default();
    for number in 0..3 {
        world.put(format!("{number}.png"), png(number));
    }
    world.put("scan.tiff", picture(9, image::ImageFormat::Tiff));
    world.put("broken.png", b"\x89PNG\r\n\x1a\n");
    world.put(
        "message.json",
        r#"{"recipient":{"id":"11"},"message":{"attachment":{"type":"image","payload":{"file":"0.png"}}}}"#,
    );
    world.put("people.csv", "recipient,name\n11,Ada\n22,Grace\n33,Edsger\n");
    world.put(
        "spring.toml",
        "name = \"spring\"\nrecipients = \"people.csv\"\n[[message]]\ntext = \"Hi {name}\"\n[[message]]\nfile = \"1.png\"\n",
    );
    let echo = json!({"headers": {"X-Hub-Signature-256": "sha256=00"}, "body": "{\"entry\":[]}"});
    world.put("echoes.jsonl", format!("{echo}\nno webhook\n"));
    let lost = json!({"on": "send", "when": "after", "times": 1, "fault": {"reset": true}});
    let mut run = |arguments: &[&str]| {
        let output = command(&world, arguments).output().expect("it runs");
        witness.run(&arguments.join(" "), &output);
        output.status.code().expect("an exit code")
    };
    for arguments in [
        &["doctor"][..],
        &["check", "library"],
        &["sync", "library", "--fit", "--json"],
        &["sync", "library", "--force", "--yes"],
        &["resolve", "library/0.png", "--json"],
        &["send", "--to", "11", "--text", "x"],
        &["send", "--to", "11", "--file", "library/0.png", "--json"],
        &["send", "--message", "library/message.json"],
        &["send", "--to", "x1", "--text", "x"],
        &["campaign", "plan", "library/spring.toml"],
    ] {
        run(arguments);
    }
    world.sandbox().set_faults(lost).expect("a fault");
    assert_eq!(run(&["campaign", "run", "library/spring.toml", "--yes"]), 7);
    for arguments in [
        &["campaign", "settle", "spring", "--echoes", "library/echoes.jsonl"][..],
        &["campaign", "settle", "spring", "--from-conversations"],
        &["campaign", "status", "spring", "--json"],
        &["campaign", "export", "spring"],
        &["alias", "hero", "library/0.png"],
        &["export", "--format", "json", "--output", "library/all.json"],
        &["export", "--format", "csv", "--output", "library/all.csv"],
        &["export", "--format", "env", "--output", "library/all.env"],
        &["export", "--format", "ts", "--output", "library/all.ts"],
        &["import", "library/all.json"],
        &["ls", "--json"],
        &["show", "library/0.png"],
        &["verify", "library"],
        &["status"],
        &["refresh", "--all-due"],
        &["prune", "--expired", "--dry-run"],
        &["--graph-url", "http://127.0.0.1:1", "sync", "library", "--max-wait", "1s"],
    ] {
        run(arguments);
    }
    assert!(world.truth().message_count >= 8 && world.uploads() >= 5, "they did something");
    left_behind(&mut witness, &world);
    witness.saw(&["TRACE checkout", "asking Meta", "record.db", "tmp"]);
    witness.keeps(&[TOKEN, APP_SECRET]);
}

#[test]
fn the_service_keeps_secrets() {
    let world = World::new();
    let mut witness = Witness::default();
    world.put("hero.png", png(1));
    world.put("vast.png", picture(2, image::ImageFormat::Png));
    world.run(["sync", "library"]).ended_with(0);
    let log = world.library().with_file_name("serve.log");
    let mut serve =
        command(&world, &["serve", "--listen", "127.0.0.1:0", "--library", "library", "--json", "--log-json"]);
    serve.stdout(Stdio::piped()).stderr(fs::File::create(&log).expect("a file"));
    let served = Served::spawned(serve);
    let bearer = format!("Bearer {}", served.token);
    let reader = format!("Bearer {}", served.read_token);
    let half = format!("Bearer {}x", &served.token[..served.token.len() - 1]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = Witness::default();
            while !is_over.load(Ordering::Relaxed) {
                seen.processes(served.process());
                thread::yield_now();
            }
            seen
        });
        for (method, target, who, body) in [
            ("GET", "/", "", ""),
            ("GET", "/healthz", "", ""),
            ("GET", "/readyz", "", ""),
            ("GET", "/openapi.json", bearer.as_str(), ""),
            ("GET", "/metrics", &bearer, ""),
            ("GET", "/v1/assets", &bearer, ""),
            ("GET", "/v1/assets", &reader, ""),
            ("GET", "/v1/assets", &half, ""),
            ("GET", "/v1/assets?access_token=nobody", "", ""),
            ("GET", "/v1/campaigns", &bearer, ""),
            ("POST", "/v1/resolve", &bearer, r#"{"refs":["hero.png","vast.png","nothing.png","../outside.png"]}"#),
            ("POST", "/v1/messages", &bearer, r#"{"recipient":{"id":"11"},"message":{"text":"x"}}"#),
            ("POST", "/v1/messages", &reader, r#"{"recipient":{"id":"11"},"message":{"text":"x"}}"#),
            ("POST", "/v1/messages", &bearer, "{"),
            ("DELETE", "/v1/assets", &bearer, ""),
        ] {
            let signed = [("Authorization", who), ("Content-Type", "application/json")];
            let headers = if who.is_empty() { &signed[1..] } else { &signed[..] };
            let answer = served.ask(method, target, headers, body.as_bytes());
            witness.add(&format!("{method} {target}"), format!("{:?}", answer.headers).as_bytes());
            witness.add(&format!("{method} {target}"), &answer.body);
        }
        let assets = served.get("/v1/assets")["assets"].clone();
        for asset in assets.as_array().expect("assets") {
            let hash = asset["sha256"].as_str().expect("a hash");
            for what in ["", "/thumbnail", "/content"] {
                let answer = served.call("GET", &format!("/v1/assets/{hash}{what}"), "");
                assert_eq!(answer.status, 200, "{}", answer.text());
                witness.add(what, &answer.body);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let seen = watching.join().expect("no panic");
        seen.saw(&["serve", "thumbnail"]);
        witness.join(seen);
    });
    let (token, read_token) = (served.token.clone(), served.read_token.clone());
    drop(served);
    for file in ["serve.token", "serve-read.token"] {
        // The one place of each, for its owner alone.
        let path = world.store().join(file);
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        fs::remove_file(path).expect("removed");
    }
    left_behind(&mut witness, &world);
    witness.saw(&["TRACE", "record.db", "serve.log", "openapi"]);
    witness.keeps(&[TOKEN, APP_SECRET, &token, &read_token]);
}

/// A server that says back what it was told, in all the ways servers do.
#[test]
fn an_answer_that_echoes_the_token_is_repeated_to_nobody() {
    let told = |form: &Form| {
        let world = World::new();
        world.put("a.png", png(1));
        let mut witness = Witness::default();
        let echo = Echo::start(form.answer);
        for arguments in [
            &["doctor"][..],
            &["sync", "library", "--max-wait", "1s"],
            &["resolve", "library/a.png", "--json", "--max-wait", "1s"],
            &["send", "--to", "11", "--text", "x", "--max-wait", "1s"],
        ] {
            let mut command = command(&world, arguments);
            command.env("REATTACH_GRAPH_URL", echo.url("http")).env("REATTACH_ACCESS_TOKEN", LONG_TOKEN);
            witness.run(form.name, &command.output().expect("it runs"));
        }
        assert!(echo.heard(LONG_TOKEN), "{}: it was told the token", form.name);
        // Whoever is asked writes down what for.
        witness.add("what was asked for", echo.asked().as_bytes());
        left_behind(&mut witness, &world);
        witness.saw(&["TRACE", "GET /v25.0/me"]);
        witness.keeps(&[LONG_TOKEN, APP_SECRET]);
    };
    // Most of the time is spent on waiting before it is tried again.
    thread::scope(|scope| {
        for form in FORMS {
            scope.spawn(|| told(form));
        }
    });
}

#[test]
fn what_stands_between_us_and_meta_learns_no_token_and_its_password_is_not_shown() {
    for (name, answer) in [
        ("refuses", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        ("echoes", "HTTP/1.1 403 {heard}\r\nX-Heard: {heard}\r\nContent-Length: 0\r\n\r\n"),
        ("lets through and talks nonsense", "HTTP/1.1 200 OK\r\n\r\nno TLS {heard}"),
        ("hangs up", ""),
    ] {
        let world = World::new();
        world.put("a.png", png(1));
        let mut witness = Witness::default();
        let proxy = Echo::start(answer);
        let with_password = proxy.url("http").replace("http://", &format!("http://somebody:{PASSWORD_IN_A_URL}@"));
        for variable in ["HTTPS_PROXY", "ALL_PROXY"] {
            let mut command = command(&world, &["sync", "library", "--max-wait", "1s"]);
            command.env("REATTACH_GRAPH_URL", "https://graph.example").env(variable, &with_password);
            command.env("REATTACH_ACCESS_TOKEN", LONG_TOKEN);
            witness.run(name, &command.output().expect("it runs"));
        }
        assert!(proxy.heard("CONNECT graph.example:443"), "{name}: it was asked");
        assert!(!proxy.heard(LONG_TOKEN), "{name}: it was told the token");
        left_behind(&mut witness, &world);
        witness.saw(&["TRACE"]);
        witness.keeps(&[LONG_TOKEN, APP_SECRET, PASSWORD, PASSWORD_IN_A_URL]);
    }
    // A server that was to be Meta and speaks no TLS.
    let (world, mut witness, server) = (World::new(), Witness::default(), Echo::start("no TLS {heard}"));
    let mut command = command(&world, &["doctor"]);
    command.env("REATTACH_GRAPH_URL", server.url("https")).env("REATTACH_ACCESS_TOKEN", LONG_TOKEN);
    witness.run("no TLS", &command.output().expect("it runs"));
    assert!(!server.heard(LONG_TOKEN));
    left_behind(&mut witness, &world);
    witness.keeps(&[LONG_TOKEN, APP_SECRET]);
}

#[test]
fn the_password_of_a_shared_record_is_not_shown() {
    let Some(server) = Server::shared() else { return };
    let mut witness = Witness::default();
    let own = World::new();
    own.put("a.png", png(1));
    own.run(["sync", "library"]).ended_with(0);
    let database = server.database(None);
    let plain = server.url(&database);
    let with_password = plain.replace("postgres@", &format!("postgres:{PASSWORD_IN_A_URL}@"));
    let mut run = |world: &World, store: &str, arguments: &[&str]| {
        let mut command = command(world, arguments);
        command.env("REATTACH_STORE", store).env("PGPASSWORD", OTHER_PASSWORD);
        let output = command.output().expect("it runs");
        witness.run(&arguments.join(" "), &output);
        Ran::new(output)
    };
    let from = format!("sled:{}", own.store().display());
    run(&own, &plain, &["migrate", "--from", &from, "--to", &plain]).ended_with(0);
    for arguments in [&["sync", "library"][..], &["doctor"], &["ls", "--json"], &["send", "--to", "11", "--text", "x"]]
    {
        run(&own, &with_password, arguments).ended_with(0);
    }
    for store in [
        with_password.replace(&database, "no_such_database"),
        format!("postgres://somebody:{PASSWORD_IN_A_URL}@127.0.0.1:1/r?connect_timeout=1"),
        format!("postgres://somebody:{PASSWORD_IN_A_URL}@127.0.0.1:port/r"),
        format!("postgres://somebody:p@{PASSWORD_IN_A_URL}@127.0.0.1:1/r?connect_timeout=1"),
        format!("postgres://somebody:{PASSWORD_IN_A_URL}@127.0.0.1/r?nonsense={PASSWORD_IN_A_URL}"),
        format!("mysql://somebody:{PASSWORD_IN_A_URL}@127.0.0.1/r"),
    ] {
        assert_ne!(run(&own, &store, &["ls"]).code, Some(0), "{store}");
    }
    left_behind(&mut witness, &own);
    let dump = dump(&plain).expect("its server is there");
    assert!(String::from_utf8_lossy(&dump).contains("Sandbox Bakery"), "what every shared record is searched in");
    witness.add("the record", &dump);
    witness.saw(&["TRACE", "asking Meta", "postgres://postgres@127.0.0.1"]);
    witness.keeps(&[TOKEN, APP_SECRET, PASSWORD, PASSWORD_IN_A_URL, OTHER_PASSWORD]);
}

/// Whoever may list processes sees how they were started.
#[test]
fn no_process_is_started_with_a_secret() {
    let world = World::new();
    world.put("a.png", png(1));
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 300}})).expect("a fault");
    let mut child =
        command(&world, &["sync", "library"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = child.stderr.take().expect("stderr");
    let reading = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.read_to_end(&mut said).map(|_| said)
    });
    let mut witness = Witness::default();
    while child.try_wait().expect("a child").is_none() {
        witness.processes(child.id());
        thread::yield_now();
    }
    witness.add("stderr", &reading.join().expect("no panic").expect("text"));
    witness.saw(&["sync", "TRACE"]);
    witness.keeps(&[TOKEN, APP_SECRET]);
}

/// Where there is no memory to go on with, it panics or is ended; what it says then is said by nobody who knows of secrets.
#[test]
fn a_process_that_breaks_down_shows_no_secret() {
    let world = World::new();
    world.put("a.png", png(1));
    let mut witness = Witness::default();
    let mut broken = 0;
    for kilobytes in (20..=320).step_by(20).map(|megabytes: u32| (megabytes << 10).to_string()) {
        // Where there is no memory to say so, the standard library may wait for itself, for ever.
        let ended = ["timeout", "--signal=KILL", "8"];
        let limited = ["sh", "-c", "ulimit -v \"$0\"; exec \"$@\"", &kilobytes];
        let mut sync = within(&[&ended[..], &limited[..]].concat(), &command(&world, &["sync", "library"]));
        let output = sync.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        broken += u32::from(said.contains("panicked") || said.contains("memory allocation"));
        witness.run(&kilobytes, &output);
    }
    assert!(broken > 0, "none of them broke down");
    left_behind(&mut witness, &world);
    witness.keeps(&[TOKEN, APP_SECRET]);
}

/// What a core file holds is whatever was in memory: the service leaves none.
#[test]
#[cfg(target_os = "linux")]
fn the_service_leaves_no_core_file() {
    use std::os::unix::process::ExitStatusExt;

    let world = World::new();
    let dumping = ["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"];
    let serve = world.command(["serve", "--listen", "127.0.0.1:0", "--library", "library", "--json"]);
    world.library();
    let mut serve = within(&dumping, &serve);
    serve.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut served = Served::spawned(serve);
    let status = served.end(Signal::ABORT);
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped(), "its tokens are in a file");
}

/// A token that is a flag, or stands in a file others may read, is refused before it is used.
#[test]
fn a_secret_that_is_a_flag_is_none() {
    let world = World::new();
    for flag in ["--access-token", "--token", "--app-secret"] {
        let run = world.run(["sync", "library", flag, LONG_TOKEN]).ended_with(2);
        assert!(
            found(&run.stderr, LONG_TOKEN).is_none() || run.stderr.contains("unexpected argument"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(world.truth().counters.requests.me, 0);
}

/// As every test does, whatever it is about.
#[test]
fn whatever_is_run_is_listened_to_at_its_most_talkative() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.run(["sync", "library"]).ended_with(0);
    let log = fs::read_to_string(world.log()).expect("a log");
    assert!(log.contains("TRACE checkout") && log.contains("asking Meta"), "{log}");
    assert!(!run.stderr.contains("asking Meta"), "stderr is for what it says: {}", run.stderr);
    assert_eq!(fs::metadata(world.log()).expect("a log").permissions().mode() & 0o777, 0o600);
    let nowhere = world.command(["ls"]).env("REATTACH_LOG_FILE", "nowhere/log").output().expect("it runs");
    assert!(Ran::new(nowhere).ended_with(2).stderr.contains("nowhere/log could not be opened"));
}

#[test]
fn a_test_that_leaves_a_secret_behind_fails() {
    let leaks = |leak: &dyn Fn(&World)| {
        let world = World::new();
        world.run(["ls"]).ended_with(0);
        leak(&world);
        catch_unwind(AssertUnwindSafe(|| drop(world))).is_err()
    };
    assert!(!leaks(&|_| {}));
    assert!(leaks(&|world| fs::write(world.store().join("row"), format!("x{TOKEN}")).expect("written")));
    assert!(leaks(&|world| fs::write(world.store().join(TOKEN), "").expect("written")));
    assert!(leaks(&|world| fs::write(world.log(), "Bearer U0FOREJPWC1QQUdFLTE=").expect("written")));
    let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nSANDBOX-PAGE-1";
    assert!(catch_unwind(|| read_answer(&mut &answers[..], false)).is_err());
    let printed = Output { status: ExitStatus::default(), stdout: TOKEN.into(), stderr: Vec::new() };
    assert!(catch_unwind(|| Ran::new(printed)).is_err());
    let (listener, log) = Listener::new();
    tracing::subscriber::with_default(log, || {
        tracing::trace!("nothing");
        listener.heard_no_secret();
        tracing::trace!(word = TOKEN);
    });
    assert!(catch_unwind(AssertUnwindSafe(|| listener.heard_no_secret())).is_err());
}

#[test]
fn every_spelling_of_a_secret_is_found() {
    let hidden = |text: &str| found(&format!("before {text} behind"), LONG_TOKEN).is_some();
    for (name, text) in spelled(LONG_TOKEN) {
        assert!(hidden(&text), "{name}: {text}");
    }
    assert!(hidden(&LONG_TOKEN[..12]) && hidden(&LONG_TOKEN[LONG_TOKEN.len() - 12..]) && hidden(&LONG_TOKEN[9..21]));
    assert!(!hidden(&LONG_TOKEN[..11]) && !hidden("nothing of the sort"));
}
