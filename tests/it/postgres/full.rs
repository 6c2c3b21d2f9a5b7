//! A server whose disk fills up while messages are on their way: a real disk, and really full.

use std::process::Stdio;

use serde_json::json;

use crate::campaign::{FAST, TEXT, campaign, check_against_truth, closing, exported, truth};
use crate::support::postgres::Server;
use crate::support::{Ran, World};

use super::server;
use super::workers::wait_for;

const PEOPLE: u64 = 1_500;
/// How many calls the two have under way at most.
const IN_FLIGHT: usize = 128;

#[test]
fn while_the_servers_disk_is_full_nothing_is_sent_and_afterwards_all_of_it() {
    let Some((_, _turn)) = server() else { return };
    let Some(server) = Server::on_a_small_disk() else { return };
    let url = format!("{}?reattach_lease=2", server.url(&server.database(None)));
    let world = World::new().sharing(url);
    world.configure(FAST);
    campaign(&world, PEOPLE, TEXT);
    let slow = json!({"on": "send", "times": 1_000_000, "when": "after", "fault": {"stall_ms": 50}});
    world.sandbox().set_faults(slow).expect("a fault");
    let run = ["campaign", "run", "library/spring.toml", "--yes", "--json"];
    let home = world.library().parent().expect("a home").to_owned();
    let start = || {
        let mut command = world.command(run);
        // Where it keeps what it cannot write down.
        command.env("TMPDIR", &home).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    };
    let mut workers = vec![start(), start()];
    wait_for(&world, 200, &mut workers);
    server.fill_disk();
    let mut unrecorded = 0;
    for worker in workers {
        let ran = Ran::new(worker.wait_with_output().expect("ends")).ended_with(6);
        assert!(ran.stderr.contains("No space left on device"), "{ran:?}");
        unrecorded += ran.stderr.lines().filter(|line| line.starts_with("not recorded: ")).count();
    }
    assert!(unrecorded <= IN_FLIGHT, "{unrecorded} were not recorded");
    let sent = world.counts().messages_accepted;
    world.run(run).ended_with(6);
    assert_eq!(world.counts().messages_accepted, sent, "a message left that nobody could write down");
    server.empty_disk();
    // Nobody is at work: what they had on its way is over, some minutes before it would be taken for that.
    server.sql(world.database(), "UPDATE reattach.owners SET until = until - interval '3 min'");
    let ended = world.run(run);
    let unknown = closing(&ended)["unknown"].as_u64().expect("a count");
    assert_eq!(unknown, unrecorded as u64, "{ended:?}");
    check_against_truth(&world);
    for file in std::fs::read_dir(&home).expect("a home").flatten().map(|entry| entry.path()) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("reattach-unrecorded-")) {
            world.command(["campaign", "settle", "spring", "--echoes"]).arg(file).output().expect("runs");
        }
    }
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "something is not sent");
    assert_eq!(truth(&world).len() as u64, PEOPLE);
}
