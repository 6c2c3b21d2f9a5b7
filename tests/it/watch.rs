//! `sync --watch`: what is written to a library is uploaded once it is whole, and nothing before.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::pictures::png;
use crate::support::{Ran, World, sha256, wait_until};

/// A loaded machine may take a while.
const PATIENCE: Duration = Duration::from_secs(30);

/// A watch that runs.
struct Watch {
    child: Child,
    events: Receiver<Value>,
}

impl Watch {
    /// Starts a watch of the library, and returns when its first sync is over.
    fn of(world: &World, more: &[&str]) -> Self {
        world.library();
        let mut command = world.command(["sync", "library", "--watch", "--json"]);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let watch = Self { events: listen(child.stdout.take().expect("a pipe")), child };
        watch.until("the first sync is over", |event| event["event"] == "summary");
        watch
    }

    /// The first event from here on that is meant; all that comes before it is passed over.
    #[track_caller]
    fn until(&self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if is_meant(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("waited in vain until {what}: {seen:#?}");
    }

    #[track_caller]
    fn until_uploaded(&self, name: &str) -> Value {
        let is_it = |event: &Value| event["path"].as_str().is_some_and(|path| path.ends_with(name));
        self.until(name, |event| event["outcome"] == "uploaded" && is_it(event))
    }

    /// Ends it as Ctrl-C does; the objects nobody has asked for yet, and the code it ends with.
    fn interrupt(mut self) -> (Vec<Value>, Option<i32>) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("a signal");
        let code = self.child.wait().expect("ends").code();
        (self.events.iter().collect(), code)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stdout: ChildStdout) -> Receiver<Value> {
    let (told, events) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if told.send(serde_json::from_str(&line).expect("an object")).is_err() {
                return;
            }
        }
    });
    events
}

/// The run of a child that should end without being asked to.
#[track_caller]
fn ended_by_itself(mut child: Child) -> Ran {
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("runs").is_none() && Instant::now() < end {
        thread::yield_now();
    }
    let _ = child.kill();
    Ran::new(child.wait_with_output().expect("ends"))
}

/// What arrived at the sandbox, by name and size.
fn arrived(world: &World) -> Vec<(String, u64)> {
    let files = world.truth().attachments.into_iter().filter_map(|attachment| attachment.file);
    files.map(|file| (file.name, file.size_bytes)).collect()
}

#[test]
fn a_file_written_slowly_is_uploaded_once_and_whole_soon_after_its_last_byte() {
    const PIECES: usize = 6;
    let world = World::new();
    let watch = Watch::of(&world, &["--settle", "2s"]);
    let bytes = [png(1), vec![7; 60_000]].concat();
    let mut file = File::create(world.library().join("slow.png")).expect("a file");
    let mut last_byte = Instant::now();
    for piece in bytes.chunks(bytes.len() / PIECES) {
        file.write_all(piece).expect("written");
        last_byte = Instant::now();
        // Shorter than a file takes to settle, and all of them together much longer.
        assert!(watch.events.recv_timeout(Duration::from_millis(500)).is_err(), "before it is whole");
    }
    watch.until_uploaded("slow.png");
    let took = last_byte.elapsed();
    // What it takes to settle, and at most two seconds more; measured 0.2 s more on a machine of two cores.
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
    watch.until("it is counted", |event| event["event"] == "summary" && event["uploaded"] == 1);
    assert_eq!(arrived(&world), [("slow.png".to_owned(), bytes.len() as u64)]);
}

#[test]
fn a_file_that_settles_is_picked_up_at_once_while_another_is_still_being_uploaded() {
    let world = World::new();
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 20_000}})).expect("a fault");
    world.put("large.png", png(1));
    wait_until("it is uploaded", || world.counts().requests.upload > 0);
    let written = Instant::now();
    world.put("small.png", png(2));
    watch.until_uploaded("small.png");
    assert!(written.elapsed() < Duration::from_secs(15), "{:?}", written.elapsed());
}

#[test]
fn what_an_editor_renames_into_place_and_what_is_moved_in_are_taken() {
    let world = World::new();
    world.put("hero.png", png(1));
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    let temporary = world.put(".hero.png.swp", png(2));
    fs::rename(temporary, world.library().join("hero.png")).expect("renamed");
    watch.until_uploaded("hero.png");
    // A whole folder at once, its files old; and one made step by step.
    let elsewhere = world.store().with_file_name("elsewhere");
    fs::create_dir_all(elsewhere.join("deep")).expect("folders");
    fs::write(elsewhere.join("deep/moved.png"), png(3)).expect("a file");
    fs::rename(elsewhere, world.library().join("moved in")).expect("moved");
    watch.until_uploaded("moved.png");
    world.put("new/er/made.png", png(4));
    watch.until_uploaded("made.png");
    assert_eq!(world.uploads(), 4);
}

#[test]
fn the_rules_of_a_sync_hold_for_a_watch() {
    let world = World::new();
    world.put(".reattachignore", "drafts/\n");
    world.put("drafts/old.png", png(90));
    let watch = Watch::of(&world, &["--settle", "200ms", "--exclude", "*.gif", "--include", "*.png"]);
    for (number, name) in
        ["drafts/new.png", ".hidden.png", "a.gif", "notes.txt", "Thumbs.db", "x.tmp", "sub/.h/b.png"].iter().enumerate()
    {
        world.put(name, png(u32::try_from(number).expect("few")));
    }
    std::os::unix::fs::symlink(world.put("target.dat", png(99)), world.library().join("link.png")).expect("a link");
    world.put("last.png", png(50));
    watch.until_uploaded("last.png");
    watch.until("all is counted", |event| event["event"] == "summary");
    assert_eq!(arrived(&world), [("last.png".to_owned(), png(50).len() as u64)]);
    // A rule that is lifted lets in what it kept out.
    world.put(".reattachignore", "");
    watch.until_uploaded("drafts/new.png");
    watch.until("all is counted", |event| event["event"] == "summary");
    assert_eq!(world.uploads(), 3);
}

#[test]
fn a_single_file_is_watched_though_it_be_replaced_or_removed_for_a_while() {
    let world = World::new();
    world.put("hero.png", png(1));
    let mut command = world.command(["sync", "library/hero.png", "--watch", "--json", "--settle", "200ms"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let watch = Watch { events: listen(child.stdout.take().expect("a pipe")), child };
    watch.until_uploaded("hero.png");
    fs::rename(world.put("other.png", png(2)), world.library().join("hero.png")).expect("renamed");
    watch.until_uploaded("hero.png");
    fs::remove_file(world.library().join("hero.png")).expect("removed");
    world.put("hero.png", png(3));
    watch.until_uploaded("hero.png");
    assert_eq!(world.uploads(), 3);
}

#[test]
fn a_folder_that_is_removed_and_comes_back_is_watched_again() {
    let world = World::new();
    world.put("a.png", png(1));
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    let (library, aside) = (world.library(), world.store().with_file_name("aside"));
    let is = |state: &'static str| move |event: &Value| event["event"] == "watch" && event["state"] == state;
    for (round, name) in ["b.png", "c.png"].into_iter().enumerate() {
        let number = 10 * u32::try_from(round).expect("few");
        if round == 0 {
            fs::rename(&library, &aside).expect("moved away");
        } else {
            fs::remove_dir_all(&library).expect("removed");
        }
        let gone = watch.until("it is gone", is("gone"));
        assert_eq!(gone["path"], "library");
        // What it holds when it comes back is as new as what is written to it later.
        world.put(name, png(number + 2));
        watch.until("it is back", is("back"));
        watch.until_uploaded(name);
        world.put(format!("later {name}"), png(number + 3));
        watch.until_uploaded(&format!("later {name}"));
    }
    assert_eq!(world.uploads(), 5);
    let (_, code) = watch.interrupt();
    assert_eq!(code, Some(130));
}

#[test]
fn a_second_watcher_is_refused_and_told_who_the_first_is() {
    let world = World::new();
    let watch = Watch::of(&world, &[]);
    let roundabout = world.library().join("../library");
    for way in [Path::new("library"), &roundabout] {
        let run = ended_by_itself(world.start([Path::new("sync"), way, Path::new("--watch")])).ended_with(6);
        assert!(run.stderr.contains(&format!("by process {}", watch.child.id())), "{}", run.stderr);
    }
    // Another folder, another Page and a sync that ends are none of its business.
    world.run(["sync", "library"]).ended_with(0);
    let mut child = world
        .command(["sync", "library", "--watch", "--json"])
        .env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-2")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let second = Watch { events: listen(child.stdout.take().expect("a pipe")), child };
    second.until("it watches", |event| event["event"] == "summary");
    // A watcher that was killed holds nothing.
    drop(watch);
    let again = Watch::of(&world, &[]);
    assert_eq!(again.interrupt().1, Some(130));
}

#[test]
fn ctrl_c_finishes_the_upload_under_way_and_records_it() {
    let world = World::new();
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 1_000}})).expect("a fault");
    world.put("a.png", png(1));
    wait_until("it is uploaded", || world.counts().requests.upload > 0);
    let (events, code) = watch.interrupt();
    assert_eq!(code, Some(130));
    let summary = events.last().expect("a summary");
    assert_eq!((&summary["event"], &summary["uploaded"]), (&json!("summary"), &json!(1)));
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 1);
}

#[test]
fn a_token_that_dies_ends_the_watch() {
    let world = World::new();
    let mut watch = Watch::of(&world, &["--settle", "200ms"]);
    let dead = json!({"on": "upload", "fault": {"graph": {"code": 190, "message": "expired"}, "status": 401}});
    world.sandbox().set_faults(dead).expect("a fault");
    world.put("a.png", png(1));
    let error = watch.until("it ends", |event| event["event"] == "error");
    assert_eq!(error["code"], 190);
    assert_eq!(watch.child.wait().expect("ends").code(), Some(4));
}

#[test]
fn an_outage_is_waited_out_and_told_of_once() {
    let world = World::new();
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    // Each try of a file is four requests.
    let down = json!({"on": "upload", "fault": {"status": 503, "body": "down"}, "times": 8});
    world.sandbox().set_faults(down).expect("a fault");
    world.put("a.png", png(1));
    let waiting = watch.until("it waits", |event| event["event"] == "watch");
    assert_eq!(waiting["state"], "waiting");
    let uploaded = watch.until("it is over", |event| event["event"] != "summary");
    assert_eq!((&uploaded["event"], &uploaded["outcome"]), (&json!("asset"), &json!("uploaded")));
    let summary = watch.until("it is counted", |event| event["event"] == "summary");
    assert_eq!((&summary["files"], &summary["failed"]), (&json!(1), &json!(0)));
}

#[test]
fn a_link_that_took_the_place_of_what_has_waited_is_not_followed() {
    let world = World::new();
    let outside = world.library().with_file_name("outside.png");
    std::fs::write(&outside, png(9)).expect("a file");
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    let down = json!({"on": "upload", "fault": {"status": 503, "body": "down"}, "times": 1_000_000});
    world.sandbox().set_faults(down).expect("a fault");
    let linked = world.put("linked.png", png(1));
    watch.until("it waits", |event| event["event"] == "watch");
    std::fs::remove_file(&linked).and_then(|()| std::os::unix::fs::symlink(&outside, &linked)).expect("a link");
    world.sandbox().clear_faults();
    world.put("last.png", png(3));
    watch.until_uploaded("last.png");
    watch.until("all is done", |event| event["event"] == "summary");
    let sent: Vec<_> = world.truth().attachments.iter().filter_map(|kept| kept.file.clone()).collect();
    assert!(sent.iter().all(|file| file.sha256 != sha256(&png(9))), "it lies elsewhere");
}

#[test]
fn a_file_meta_gives_no_clear_word_about_is_named_and_holds_up_nobody() {
    let world = World::new();
    let watch = Watch::of(&world, &["--settle", "200ms"]);
    let (bytes, fault) = (png(1), json!({"status": 500, "body": "no"}));
    let bad = json!({"on": "upload", "sha256": sha256(&bytes), "fault": fault, "times": 1_000_000});
    world.sandbox().set_faults(bad).expect("a fault");
    world.put("bad.png", bytes);
    watch.until("it waits", |event| event["state"] == "waiting");
    world.put("first.png", png(2));
    watch.until_uploaded("first.png");
    // By then it is known whose trouble it is.
    let failed = watch.until("it is named", |event| event["outcome"] == "failed");
    assert!(failed["path"].as_str().is_some_and(|path| path.ends_with("bad.png")), "{failed}");
    let summary = watch.until("it is counted", |event| event["event"] == "summary");
    assert_eq!(summary["failed"], 1);
    for number in 3..9 {
        world.put(format!("{number}.png"), png(number));
        watch.until_uploaded(&format!("{number}.png"));
    }
    world.sandbox().set_faults(json!([])).expect("no fault");
    watch.until_uploaded("bad.png");
}

#[test]
fn what_makes_no_sense_with_a_watch_is_refused() {
    let world = World::new();
    world.put("a.png", png(1));
    let sync = ["sync", "library", "--watch"];
    for more in
        [&["--dry-run"][..], &["--fit-dry-run"], &["--force"], &["--max-uploads", "1"], &["--via", "send", "--to", "1"]]
    {
        ended_by_itself(world.start(sync.iter().chain(more))).ended_with(2);
    }
    world.run(["sync", "library", "--settle", "1s"]).ended_with(2);
    ended_by_itself(world.start(["sync", "nowhere", "--watch"])).ended_with(2);
    assert_eq!(world.uploads(), 0);
}
