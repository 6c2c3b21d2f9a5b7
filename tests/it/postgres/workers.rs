//! Several processes that send one campaign, while their server, or one of them, is killed: nobody twice, nobody lost,
//! nothing stuck.
//!
//! `REATTACH_PG_PEOPLE` and `REATTACH_PG_KILLS` make it as long as a night has room for, `REATTACH_PG_OUTAGE` keeps the
//! server away for so many seconds the first time, and `REATTACH_PG_SEED` repeats a run.

use std::collections::HashSet;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::campaign::{FAST, TEXT, TEXT_AND_PICTURE, campaign, check_against_truth, closing, exported, truth};
use crate::support::pictures::png;
use crate::support::postgres::Server;
use crate::support::{Ran, World, wait_until};

use super::server;

/// How long anything may take: far longer than it does.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);
/// So long without a message is a standstill, where hundreds leave each second.
const STILL: Duration = Duration::from_millis(700);

pub(super) fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn sending(server: &Server, lease: u32, people: u64, parts: &str, workers: usize) -> (World, Vec<Child>) {
    let url = format!("{}?reattach_lease={lease}", server.url(&server.database(None)));
    sending_from(url, people, parts, workers)
}

/// A campaign in the store at `url`, and this many processes that plan and send it together.
pub(super) fn sending_from(url: String, people: u64, parts: &str, workers: usize) -> (World, Vec<Child>) {
    let world = World::new().sharing(url);
    world.configure(FAST);
    world.put("hero.png", png(1));
    campaign(&world, people, parts);
    let run = ["campaign", "run", "library/spring.toml", "--yes", "--json", "-v"];
    let workers = (0..workers).map(|_| world.start(run)).collect();
    (world, workers)
}

pub(super) fn wait_for(world: &World, messages: u64, workers: &mut [Child]) {
    let began = Instant::now();
    while world.counts().messages_accepted < messages {
        assert!(began.elapsed() < PATIENCE, "{} of {messages} messages", world.counts().messages_accepted);
        assert!(workers.iter_mut().any(|worker| worker.try_wait().expect("runs").is_none()), "all ended by themselves");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns when all of them are on record as senders: who finds no server gives up sooner than who has lost it.
fn wait_for_all(world: &World, server: &Server, workers: &mut [Child]) {
    // Before the first message there is not even a record.
    wait_for(world, 1, workers);
    let sql = format!("SELECT count(DISTINCT pid) >= {} FROM reattach.campaign_workers", workers.len());
    wait_until("all have begun", || {
        std::thread::sleep(Duration::from_millis(50));
        workers.iter_mut().any(|worker| worker.try_wait().expect("runs").is_some())
            || server.sql(world.database(), &sql) == "t"
    });
}

/// Returns when nothing has left for a while.
pub(super) fn wait_until_still(world: &World) {
    let began = Instant::now();
    loop {
        let before = world.counts().messages_accepted;
        std::thread::sleep(STILL);
        if world.counts().messages_accepted == before {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "messages leave although nobody can write them down");
    }
}

/// The id of the process that was.
pub(super) fn kill_worker(mut worker: Child) -> u32 {
    worker.kill().expect("killed");
    worker.wait().expect("ended");
    worker.id()
}

/// Returns when all the others have ended by themselves.
pub(super) fn end_without(killed: u32, world: &World, server: &Server, mut workers: Vec<Child>) {
    // The longest call it may have begun is over a few minutes later: not to be waited for here.
    let later = format!(
        "UPDATE reattach.owners SET until = until - interval '3 min' WHERE until < now() - interval '2 s' AND pid = {killed}",
    );
    let ended = |worker: &mut Child| worker.try_wait().expect("runs").is_some();
    let began = Instant::now();
    while !workers.iter_mut().all(&ended) {
        server.sql(world.database(), &later);
        assert!(began.elapsed() < PATIENCE, "they wait for what nobody will bring");
        std::thread::sleep(Duration::from_millis(200));
    }
    for worker in workers {
        let ran = Ran::new(worker.wait_with_output().expect("ends"));
        assert!(matches!(ran.code, Some(0 | 7)), "{ran:?}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "what repeats a run that failed")]
fn workers_share_a_campaign_through_any_number_of_server_crashes() {
    let Some((server, _turn)) = server() else { return };
    let (people, kills) = (from_environment("REATTACH_PG_PEOPLE", 1_500), from_environment("REATTACH_PG_KILLS", 5));
    let seed = from_environment("REATTACH_PG_SEED", fastrand::u64(..));
    println!("REATTACH_PG_SEED={seed} REATTACH_PG_PEOPLE={people} REATTACH_PG_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (world, mut workers) = sending(server, 30, people, TEXT_AND_PICTURE, 4);
    wait_for_all(&world, server, &mut workers);
    for kill in 1..=kills {
        wait_for(&world, kill * people * 2 / (kills + 1) + random.u64(1..50), &mut workers);
        server.kill();
        if kill == 1 {
            wait_until_still(&world);
            std::thread::sleep(Duration::from_secs(from_environment("REATTACH_PG_OUTAGE", 0)));
        }
        server.start_again();
    }
    let mut shares = Vec::new();
    for worker in workers {
        let ran = Ran::new(worker.wait_with_output().expect("ends")).ended_with(0);
        shares.push(closing(&ran)["sent"].as_u64().expect("a count"));
    }
    check_against_truth(&world);
    // Nobody but the server was killed, so every answer was written down in the end.
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "something is not sent");
    assert_eq!(truth(&world).len() as u64, people * 2);
    let mut reached = std::collections::HashMap::new();
    for message in world.truth().messages {
        let part = u8::from(message.request["message"].get("attachment").is_some());
        let before = reached.insert(message.recipient().expect("a recipient"), part);
        assert_eq!(before, (part == 1).then_some(0), "the parts came in another order");
    }
    assert_eq!(world.uploads(), 1);
}

#[test]
fn an_outage_longer_than_the_lease_is_outlived_as_well() {
    let Some((server, _turn)) = server() else { return };
    // Whoever begins again sends whole batches at once.
    let (world, mut workers) = sending(server, 1, 1_000, &format!("batch = 20\n{TEXT}"), 2);
    wait_for_all(&world, server, &mut workers);
    wait_for(&world, 200, &mut workers);
    server.kill();
    wait_until_still(&world);
    std::thread::sleep(Duration::from_secs(1));
    server.start_again();
    for worker in workers {
        let ran = Ran::new(worker.wait_with_output().expect("ends")).ended_with(0);
        assert!(ran.stderr.contains("out of reach for too long"), "{}", ran.stderr);
    }
    check_against_truth(&world);
    // Their answers came while the server was away, and were written down in the end.
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "something is not sent");
}

#[test]
fn what_a_dying_server_forgot_is_claimed_anew_and_goes_to_everybody_once() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = sending(server, 30, 2_000, TEXT_AND_PICTURE, 2);
    // Claims are not waited for until they are on the disk. As if the last ones had not been.
    let forget = "WITH gone AS (DELETE FROM reattach.deliveries WHERE state = 'claimed' AND part = 0 RETURNING seq)
                  UPDATE reattach.campaigns SET frontier = coalesce((SELECT min(seq) FROM gone) - 1, frontier)";
    for messages in [300, 900] {
        wait_for(&world, messages, &mut workers);
        server.sql(world.database(), forget);
    }
    let mut began_anew = 0;
    for worker in workers {
        let ran = Ran::new(worker.wait_with_output().expect("ends")).ended_with(0);
        began_anew += ran.stderr.matches("going on with what is left").count();
    }
    assert!(began_anew > 0, "nobody had anything to lose");
    check_against_truth(&world);
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "somebody is lost, or in doubt");
}

#[test]
fn sessions_that_are_ended_at_any_moment_cost_nobody_anything() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = sending(server, 30, 800, TEXT, 2);
    wait_for(&world, 200, &mut workers);
    let end_all =
        format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}'", world.database());
    let mut ended = 0;
    while workers.iter_mut().any(|worker| worker.try_wait().expect("runs").is_none()) {
        ended += server.sql("postgres", &end_all).parse::<u32>().expect("a count");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ended > 10, "only {ended} were ended");
    for worker in workers {
        Ran::new(worker.wait_with_output().expect("ends")).ended_with(0);
    }
    check_against_truth(&world);
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "something is not sent");
}

#[test]
fn what_a_killed_worker_had_goes_to_the_others_and_what_it_was_sending_is_unknown() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = sending(server, 1, 1_000, TEXT, 3);
    wait_for(&world, 200, &mut workers);
    let killed = kill_worker(workers.remove(0));
    end_without(killed, &world, server, workers);
    check_against_truth(&world);
    let exported = exported(&world);
    let unknown = exported.values().filter(|outcome| *outcome == "unknown").count();
    assert!(unknown <= 64, "{unknown} are unknown, and it had 64 under way at most");
    assert!(exported.values().all(|outcome| outcome == "sent" || outcome == "unknown"), "somebody is lost");
}

#[test]
fn a_worker_taken_for_dead_still_says_what_became_of_its_messages() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = sending(server, 30, 40, TEXT, 0);
    let slow = json!({"on": "send", "times": 40, "when": "after", "fault": {"stall_ms": 4_000}});
    world.sandbox().set_faults(slow).expect("a fault");
    workers.push(world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]));
    wait_for(&world, 40, &mut workers);
    // Its host was asleep, as far as the others can tell.
    server.sql(world.database(), "UPDATE reattach.owners SET until = until - interval '5 min'");
    let buried = world.json(["campaign", "status", "spring"]).ended_with(0);
    assert!(closing(&buried)["unknown"].as_u64() > Some(0), "{buried:?}");
    let ran = Ran::new(workers.remove(0).wait_with_output().expect("ends")).ended_with(0);
    assert!(!ran.stderr.contains("not recorded"), "{ran:?}");
    check_against_truth(&world);
    assert!(exported(&world).values().all(|outcome| outcome == "sent"), "Meta has them, and said so");
    assert_eq!(truth(&world).len(), 40);
}

#[test]
fn workers_that_begin_at_once_with_other_bytes_under_a_name_do_not_both_send() {
    let Some((server, _turn)) = server() else { return };
    let (world, _) = sending(server, 30, 20, "[[message]]\nfile = \"hero.png\"\n", 0);
    world.run(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    // Both look ahead before either has said what it sends.
    let slow = json!({"on": "upload", "times": 2, "fault": {"stall_ms": 2_000}});
    world.sandbox().set_faults(slow).expect("a fault");
    let run = || world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
    let first = run();
    wait_until("the first uploads", || world.counts().requests.upload == 1);
    // What the other machine has under that name.
    world.put("hero.png", png(2));
    let ran = [first, run()].map(|worker| Ran::new(worker.wait_with_output().expect("ends")));
    let (done, refused) = if ran[0].code == Some(0) { (&ran[0], &ran[1]) } else { (&ran[1], &ran[0]) };
    assert_eq!((done.code, refused.code), (Some(0), Some(2)), "{ran:?}");
    assert!(refused.stdout.contains("hero.png holds something else"), "{refused:?}");
    let sent = world.truth().messages;
    let pictures: HashSet<_> =
        sent.iter().map(|message| message.request["message"]["attachment"].to_string()).collect();
    assert_eq!((sent.len(), pictures.len()), (20, 1), "{pictures:?}");
}
