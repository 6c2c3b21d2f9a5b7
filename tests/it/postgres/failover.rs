//! A server and its synchronous standby, the one killed and the other promoted while processes are at work.
//!
//! `REATTACH_FAILOVER_PEOPLE` and `REATTACH_FAILOVER_KILLS` make it as long as a night has room for,
//! `REATTACH_FAILOVER_LEASE` is how many seconds a lease lasts, and `REATTACH_FAILOVER_SEED` repeats a run.

use std::collections::{BTreeMap, HashMap};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::campaign::{TEXT, TEXT_AND_PICTURE, check_against_truth, exported, truth};
use crate::support::pictures::png;
use crate::support::postgres::Pair;
use crate::support::proxy::Proxy;
use crate::support::{Ran, World, wait_until};

use super::server;
use super::workers::{PATIENCE, end_without, from_environment, kill_worker, sending_from, wait_for, wait_until_still};

const WORKERS: usize = 4;
/// How many calls a worker has under way at most.
const IN_FLIGHT: usize = 64;
/// How long after a server is back nothing may be stuck, a lease aside.
const STUCK: Duration = Duration::from_secs(30);

#[test]
#[expect(clippy::print_stdout, reason = "what repeats a run that failed, and what a long one came to")]
fn a_campaign_goes_on_through_crashes_and_on_the_standby_that_takes_over() {
    let Some((_, _turn)) = server() else { return };
    let Some(pair) = Pair::start() else { return };
    let people = from_environment("REATTACH_FAILOVER_PEOPLE", 1_500);
    let kills = from_environment("REATTACH_FAILOVER_KILLS", 2);
    let lease = from_environment("REATTACH_FAILOVER_LEASE", 2);
    let seed = from_environment("REATTACH_FAILOVER_SEED", fastrand::u64(..));
    println!("REATTACH_FAILOVER_SEED={seed} _PEOPLE={people} _KILLS={kills} _LEASE={lease}");
    let (mut random, began) = (fastrand::Rng::with_seed(seed), Instant::now());
    let url = format!("{}&reattach_lease={lease}", pair.url(&pair.primary.database(None)));
    // One more, who dies with the server.
    let (world, mut workers) = sending_from(url, people, TEXT_AND_PICTURE, WORKERS + 1);
    let promotion = random.u64(1..=kills + 1);
    let (mut now, mut killed, mut stuck) = (&pair.primary, 0, Duration::ZERO);
    for kill in 1..=kills + 1 {
        wait_for(&world, kill * people * 2 / (kills + 2) + random.u64(1..50), &mut workers);
        now.kill();
        if kill == promotion {
            killed = kill_worker(workers.swap_remove(random.usize(..workers.len())));
            wait_until_still(&world);
            now = &pair.standby;
            now.promote();
        } else {
            now.start_again();
        }
        let (back, sent) = (Instant::now(), world.counts().messages_accepted);
        wait_for(&world, sent + 1, &mut workers);
        stuck = stuck.max(back.elapsed());
    }
    assert!(stuck <= Duration::from_secs(lease) + STUCK, "nothing left for {stuck:?}");
    end_without(killed, &world, now, workers);
    check_against_truth(&world);
    let (truth, exported) = (truth(&world), exported(&world));
    let unknown = exported.values().filter(|outcome| *outcome == "unknown").count();
    assert!(unknown <= IN_FLIGHT, "{unknown} are unknown, and who was killed had {IN_FLIGHT} under way at most");
    for (key, outcome) in &exported {
        // A picture waits as long as it is not known whether its text arrived.
        let text = exported.get(&(key.0.clone(), 1)).map(String::as_str);
        let accounted = outcome == "sent" || outcome == "unknown" || (key.1 == 2 && text == Some("unknown"));
        assert!(accounted, "{key:?} is {outcome}");
    }
    println!(
        "{kills} crashes and a promotion in {:.0?}: {} arrived, {unknown} are unknown, nothing left for {stuck:.1?} at most",
        began.elapsed(),
        truth.len(),
    );
}

#[test]
#[expect(clippy::print_stdout, reason = "what a run came to")]
fn every_file_has_one_id_and_none_that_was_printed_is_lost_when_the_standby_takes_over() {
    const FILES: usize = 60;
    let Some((_, _turn)) = server() else { return };
    let Some(pair) = Pair::start() else { return };
    let lease = from_environment("REATTACH_FAILOVER_LEASE", 2);
    let url = format!("{}&reattach_lease={lease}", pair.url(&pair.primary.database(None)));
    let world = World::new().sharing(url);
    for number in 0..FILES {
        world.put(format!("{number}.png"), png(u32::try_from(number).expect("small")));
    }
    world.run(["ls"]).ended_with(0);
    // So that many are under way when it happens.
    let slow = json!({"on": "upload", "times": 1_000_000, "when": "after", "fault": {"stall_ms": 100}});
    world.sandbox().set_faults(slow).expect("a fault");
    let processes: Vec<_> = (0..WORKERS).map(|_| world.start(["sync", "library", "--json"])).collect();
    wait_until("a third is uploaded", || world.counts().uploads_accepted >= FILES as u64 / 3);
    pair.primary.kill();
    // Longer than the lease: what was claimed passes on.
    std::thread::sleep(Duration::from_secs(lease + 1));
    pair.standby.promote();
    let mut printed = HashMap::new();
    for process in processes {
        for asset in Ran::new(process.wait_with_output().expect("ends")).ended_with(0).events_of("asset") {
            let (path, id) = (asset["path"].to_string(), asset["attachment_id"].to_string());
            let first = printed.entry(path).or_insert_with(|| id.clone());
            assert_eq!(*first, id, "two ids were printed for one file");
        }
    }
    let known = world.json(["sync", "library", "--dry-run"]).ended_with(0).events_of("asset");
    let known: BTreeMap<_, _> =
        known.iter().map(|asset| (asset["path"].to_string(), asset["attachment_id"].to_string())).collect();
    assert_eq!(known, printed.into_iter().collect(), "what is known is not what was printed");
    assert_eq!(known.len(), FILES);
    let repeats = world.uploads() - FILES as u64;
    let orphans = pair.standby.sql(world.database(), "SELECT count(*) FROM reattach.orphans");
    println!("{repeats} uploads were repeated, {orphans} claims had passed on");
    assert!(repeats <= orphans.parse().expect("a count"), "{repeats} were repeated, and {orphans} had passed on");
    assert!(repeats <= (WORKERS * 4) as u64, "{repeats} were repeated, and each process has 4 under way at most");
}

/// So soon a server that says nothing is given up: six seconds after a statement, and four after a connection.
const HASTY: &str = "reattach_lease=2&connect_timeout=4&options=-c%20statement_timeout%3D1s";

/// Returns when this many connections more were opened, from both of two processes, and none of them was any use.
fn wait_until_they_try_again(proxy: &Proxy) {
    let (before, began) = (proxy.opened(), Instant::now());
    // One of each keeps it alive, and the others have work to do.
    while proxy.opened() < before + 4 {
        assert!(began.elapsed() < PATIENCE, "they wait for an answer for ever");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn everybody_has_it(world: &World, workers: Vec<Child>) {
    for worker in workers {
        Ran::new(worker.wait_with_output().expect("ends")).ended_with(0);
    }
    check_against_truth(world);
    assert!(exported(world).values().all(|outcome| outcome == "sent"), "something is not sent");
}

#[test]
fn while_nothing_comes_through_nothing_is_sent_and_afterwards_all_of_it() {
    let Some((server, _turn)) = server() else { return };
    let proxy = Proxy::before(server.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?{HASTY}", proxy.port(), server.database(None));
    let (world, mut workers) = sending_from(url, 1_000, TEXT, 2);
    wait_for(&world, 200, &mut workers);
    proxy.fall_silent();
    wait_until_still(&world);
    let sent = world.counts().messages_accepted;
    wait_until_they_try_again(&proxy);
    assert_eq!(world.counts().messages_accepted, sent, "somebody sends what nobody can write down");
    proxy.speak_again();
    everybody_has_it(&world, workers);
}

#[test]
fn a_primary_nobody_can_reach_any_more_is_left_for_the_standby() {
    let Some((_, _turn)) = server() else { return };
    let Some(pair) = Pair::start() else { return };
    let (primary, standby) = (Proxy::before(pair.primary.port()), Proxy::before(pair.standby.port()));
    let (one, other, database) = (primary.port(), standby.port(), pair.primary.database(None));
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/{database}?{HASTY}");
    let (world, mut workers) = sending_from(url, 1_000, TEXT, 2);
    wait_for(&world, 200, &mut workers);
    primary.fall_silent();
    wait_until_still(&world);
    let sent = world.counts().messages_accepted;
    wait_until_they_try_again(&primary);
    assert_eq!(world.counts().messages_accepted, sent, "somebody sends what nobody can write down");
    // It is alive all the while, and takes itself for the one that can be written to.
    pair.standby.promote();
    everybody_has_it(&world, workers);
    assert_eq!(pair.primary.sql("postgres", "SELECT pg_is_in_recovery()"), "f");
}
