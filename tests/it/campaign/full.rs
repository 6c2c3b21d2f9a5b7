//! A disk that fills up while messages are on their way: a real one, a small file system of its own that ends with the
//! processes that use it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::{TEXT, campaign, closing, fast_world};
use crate::support::{Ran, World, wait_until};

const PEOPLE: u64 = 2_000;

/// What happens in the small file system: a run, during which the disk fills up once a line is read; then there is room
/// again, what could not be recorded is taken in, and the campaign goes on.
const SCRIPT: &str = r#"
    mkdir -p store tmp && mount -t tmpfs -o size=8m tmpfs store && echo mounted || exit 99
    "$REATTACH" campaign run library/spring.toml --yes --json > run.out 2> run.err &
    read -r reserve
    [ "$reserve" = kept ] || rm store/record.db.reserve
    dd if=/dev/zero of=store/filler bs=4k 2> /dev/null
    wait $!
    echo $? > run.code
    ls store > store.list
    rm store/filler
    "$REATTACH" campaign status spring --json > status.out
    for file in tmp/reattach-unrecorded-*; do
        [ -e "$file" ] && "$REATTACH" campaign settle spring --echoes "$file" --json > settle.out
    done
    "$REATTACH" campaign run library/spring.toml --yes --json > again.out
    echo $? > again.code
    "$REATTACH" campaign export spring --json > export.out
"#;

/// The script's process; `None`, and loudly so, where no file system of one's own can be had.
fn start(world: &World) -> Option<Child> {
    let run = world.command([""; 0]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT]).env_clear();
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("REATTACH", run.get_program());
    let home = run.get_current_dir().expect("a home");
    command.current_dir(home).env("TMPDIR", home.join("tmp")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    if child.stdout.as_mut().expect("piped").read_exact(&mut [0; 8]).is_ok() {
        return Some(child);
    }
    child.wait().expect("ends");
    // To the terminal itself: what a passed test prints is not shown.
    let _ = writeln!(std::io::stderr(), "NOT RUN: campaign::full needs `unshare --map-root-user --mount`");
    None
}

/// What came of it.
struct Story {
    run: Ran,
    again: Ran,
    files: String,
    status: Ran,
    settled: String,
    exported: Ran,
}

/// Fills the disk up while messages are on their way, with the room for results kept or gone.
fn fill_up(world: &World, reserve: &str) -> Option<Story> {
    campaign(world, PEOPLE, TEXT);
    let slow = json!({"on": "send", "times": 1_000_000, "when": "after", "fault": {"stall_ms": 50}});
    world.sandbox().set_faults(slow).expect("a fault");
    let mut child = start(world)?;
    wait_until("messages", || world.counts().messages_accepted >= 70);
    writeln!(child.stdin.as_mut().expect("piped"), "{reserve}").expect("it reads");
    child.wait().expect("ends");
    let home = world.library().parent().expect("a home").to_owned();
    let text = |name: &str| std::fs::read_to_string(home.join(name)).unwrap_or_default();
    let ran = |out: &str, err: &str, code: &str| Ran {
        code: text(code).trim().parse().ok(),
        stdout: text(out),
        stderr: text(err),
    };
    Some(Story {
        run: ran("run.out", "run.err", "run.code"),
        again: ran("again.out", "", "again.code"),
        files: text("store.list"),
        status: ran("status.out", "", ""),
        settled: text("settle.out"),
        exported: ran("export.out", "", ""),
    })
}

#[track_caller]
fn everybody_has_it_once(world: &World, story: &Story) {
    assert_eq!(closing(&story.again)["sent"], PEOPLE, "{:?}", story.again);
    let truth = super::truth(world);
    assert_eq!(truth.len() as u64, PEOPLE);
    assert!(truth.values().all(|count| *count == 1), "somebody got something twice");
    let exported = story.exported.events();
    assert!(exported.iter().all(|event| event["outcome"] == "sent") && exported.len() as u64 == PEOPLE);
}

#[test]
fn what_has_left_when_the_disk_fills_up_has_room_kept_for_it() {
    let world = fast_world();
    let Some(story) = fill_up(&world, "kept") else { return };
    let ended = story.run.ended_with(6);
    assert!(!ended.stderr.contains("not recorded"), "{ended:?}");
    assert!(!story.files.contains("record.db.reserve") && story.files.contains("filler"), "{}", story.files);
    let status = closing(&story.status);
    assert_eq!((&status["unknown"], &status["failed"]), (&json!(0), &json!(0)), "all results found room: {status}");
    let story = Story { run: ended, ..story };
    everybody_has_it_once(&world, &story);
}

#[test]
fn what_finds_no_room_at_all_is_kept_elsewhere_and_taken_in_again() {
    let world = fast_world();
    let Some(story) = fill_up(&world, "gone") else { return };
    let ended = story.run.ended_with(6);
    let unrecorded = ended.stderr.lines().filter(|line| line.starts_with("not recorded: ")).count();
    assert!(unrecorded > 0 && ended.stderr.contains("--echoes "), "{ended:?}");
    assert_eq!(closing(&story.status)["unknown"], unrecorded);
    assert!(story.settled.contains(r#""unknown":0"#), "{}", story.settled);
    let story = Story { run: ended, ..story };
    everybody_has_it_once(&world, &story);
}
