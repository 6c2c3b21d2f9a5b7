//! Ends that somebody wants: Ctrl-C, and what a rerun finds. `kill -9` at any moment has a file of its own, `kill.rs`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::pictures::png;
use crate::support::{World, wait_until};

/// Starts a sync and ends it with `signal` once it has printed `lines` objects; returns what it had printed by then.
fn sync_until(world: &World, lines: usize, signal: Signal) -> (Vec<Value>, Child) {
    let mut child = world
        .command(["sync", "library", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < lines
        && let Some(Ok(line)) = stdout.next()
    {
        seen.push(serde_json::from_str(&line).expect("an object"));
    }
    // It may have ended by itself.
    let _ = kill_process(Pid::from_child(&child), signal);
    // A line that was being written when the end came is no promise.
    seen.extend(stdout.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()));
    (seen, child)
}

/// Returns once the first upload of `child` has reached the sandbox.
fn wait_for_upload(world: &World, child: &mut Child) {
    wait_until("it uploads", || {
        assert!(child.try_wait().expect("runs").is_none(), "it ended by itself");
        world.counts().requests.upload > 0
    });
}

fn ids(events: &[Value]) -> HashSet<String> {
    let assets = events.iter().filter(|event| event["event"] == "asset");
    assets.filter_map(|asset| asset["attachment_id"].as_str().map(ToOwned::to_owned)).collect()
}

fn recorded(world: &World) -> HashSet<String> {
    ids(&world.json(["ls"]).ended_with(0).events())
}

#[test]
fn a_rerun_after_a_kill_waits_for_nobody() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["ls"]).ended_with(0);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall": true}})).expect("a fault");
    let mut child = world.start(["sync", "library"]);
    wait_for_upload(&world, &mut child);
    child.kill().expect("killed");
    child.wait().expect("ended");
    world.sandbox().clear_faults();
    let started = std::time::Instant::now();
    world.run(["sync", "library"]).ended_with(0);
    // The dead process's claim has no lease to run out: anything near a time-out would show here.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(recorded(&world).len(), 1);
}

#[test]
fn an_interrupted_send_that_was_not_begun_is_not_sent() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["ls"]).ended_with(0);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 5_000}})).expect("a fault");
    let mut child = world.start(["send", "--to", "1", "--file", "library/a.png"]);
    wait_for_upload(&world, &mut child);
    kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert_eq!((world.uploads(), world.truth().message_count), (1, 0));
    assert_eq!(recorded(&world).len(), 1);
}

#[test]
fn a_send_that_is_abandoned_is_called_unknown() {
    let world = World::new();
    world.run(["ls"]).ended_with(0);
    world.sandbox().set_faults(json!({"on": "send", "when": "after", "fault": {"stall": true}})).expect("a fault");
    let child = world.start(["send", "--to", "1", "--text", "x", "--json"]);
    wait_until("the message", || world.counts().messages_accepted > 0);
    let process = Pid::from_child(&child);
    kill_process(process, Signal::INT).expect("a signal");
    // Two signals at once may be taken for one.
    let ended = std::thread::spawn(move || crate::support::Ran::new(child.wait_with_output().expect("ends")));
    wait_until("it ends", || {
        let _ = kill_process(process, Signal::INT);
        ended.is_finished()
    });
    let ran = ended.join().expect("ended").ended_with(130);
    assert_eq!(ran.events_of("send")[0]["outcome"], "unknown");
}

#[test]
fn an_interrupted_resolve_records_what_was_under_way() {
    let world = World::new();
    let paths: Vec<_> = (0..30).map(|number| world.put(format!("{number}.png"), png(number))).collect();
    world.run(["ls"]).ended_with(0);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 100}, "times": 30})).expect("a fault");
    let arguments = std::iter::once("resolve".into()).chain(paths.into_iter().map(Into::into));
    let mut child = world.start(arguments.collect::<Vec<std::ffi::OsString>>());
    wait_for_upload(&world, &mut child);
    kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(world.uploads() < 30);
    assert_eq!(recorded(&world).len() as u64, world.uploads());
}

#[test]
fn an_interrupted_sync_finishes_what_is_under_way_and_says_so() {
    for signal in [Signal::INT, Signal::TERM] {
        let world = World::new();
        for number in 0..60 {
            world.put(format!("{number}.png"), png(number));
        }
        world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 150}, "times": 60})).expect("a fault");
        let (seen, child) = sync_until(&world, 6, signal);
        let ended = child.wait_with_output().expect("ends");
        assert_eq!(ended.status.code(), Some(130));
        let summary = seen.iter().find(|event| event["event"] == "summary").expect("a summary");
        assert_eq!(summary["failed"], 0);
        assert!(summary["uploaded"].as_u64().expect("a count") < 60);
        assert_eq!(recorded(&world).len() as u64, world.uploads());
    }
}
