//! kill -9 at any moment: nobody twice, nobody lost, and what is unknown is no more than what was under way.
//!
//! `REATTACH_KILL_CYCLES` sets how often (20 unless it says otherwise), `REATTACH_KILL_PEOPLE` and
//! `REATTACH_KILL_IN_FLIGHT` how large the campaign is and how many calls it has under way; `REATTACH_KILL_SEED` repeats a
//! run. Each kill leaves what was under way in doubt, and the part behind it waiting: many kills of a small campaign need
//! few calls at once, or there is nothing left to kill.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{FAST, TEXT_AND_PICTURE, campaign, check_against_truth, closing, exported, truth};
use crate::support::World;
use crate::support::pictures::png;

/// What a campaign has under way unless it says otherwise.
const USUALLY_IN_FLIGHT: u64 = 64;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// How many deliveries may have arrived; none where it was killed before it had written down the campaign's name.
fn unknown(world: &World) -> u64 {
    let status = world.json(["campaign", "status", "spring"]);
    if status.code == Some(2) { 0 } else { closing(&status)["unknown"].as_u64().expect("a count") }
}

#[test]
#[expect(clippy::print_stdout, reason = "what repeats a run that failed, and what a long one came to")]
fn kill_9_at_any_moment_sends_nothing_twice_and_loses_nobody() {
    let cycles = from_environment("REATTACH_KILL_CYCLES", 20);
    let seed = from_environment("REATTACH_KILL_SEED", fastrand::u64(..));
    // Enough that it does not end before the last kill.
    let people = from_environment("REATTACH_KILL_PEOPLE", (cycles * 100).max(2_000));
    let in_flight = from_environment("REATTACH_KILL_IN_FLIGHT", USUALLY_IN_FLIGHT);
    println!("REATTACH_KILL_SEED={seed} REATTACH_KILL_CYCLES={cycles}");
    let mut random = fastrand::Rng::with_seed(seed);
    // What one cycle may use up: what it sends, and two parts of everybody who is left in doubt.
    let share = (2 * people / cycles).saturating_sub(2 * in_flight).max(20);
    let world = World::new();
    world.configure(FAST);
    world.put("hero.png", png(1));
    campaign(&world, people, &format!("concurrency = {in_flight}\n{TEXT_AND_PICTURE}"));
    let (mut kills, mut before) = (0, 0);
    for cycle in 1..=cycles {
        kills += u64::from(killed(&world, 2 * share, &mut random));
        let now = unknown(&world);
        assert!(now - before <= in_flight, "{} more are unknown than before one kill", now - before);
        before = now;
        if cycle % 10 == 0 {
            check_against_truth(&world);
        }
    }
    assert!(kills * 2 >= cycles, "only {kills} of {cycles} runs were killed");
    // The rest goes out without anybody's help; what is unknown is named, and nothing else is missing.
    let ran = world.json(["campaign", "run", "library/spring.toml", "--yes"]);
    assert!(matches!(ran.code, Some(0 | 7)), "{ran:?}");
    check_against_truth(&world);
    let (truth, exported) = (truth(&world), exported(&world));
    for (key, outcome) in &exported {
        // A picture waits as long as it is not known whether its text arrived.
        let text = exported.get(&(key.0.clone(), 1)).map(String::as_str);
        let accounted = outcome == "sent" || outcome == "unknown" || (key.1 == 2 && text == Some("unknown"));
        assert!(accounted, "{key:?} is {outcome}");
    }
    let arrived = truth.keys().filter(|key| exported[*key] == "unknown").count();
    println!("{kills} kills, {arrived} of the unknown had arrived; {}", closing(&ran));
}

/// Starts a run and kills it after fewer than `most` messages more, or now and then while it is still being planned or opened.
/// Whether it was still running.
fn killed(world: &World, most: u64, random: &mut fastrand::Rng) -> bool {
    let target = world.counts().messages_accepted + random.u64(0..most);
    let early = random.u8(..) < 26;
    let patience = if early { Duration::from_millis(random.u64(..60)) } else { Duration::from_secs(20) };
    let mut child = world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
    let began = std::time::Instant::now();
    while world.counts().messages_accepted < target
        && began.elapsed() < patience
        && child.try_wait().expect("runs").is_none()
    {
        std::thread::yield_now();
    }
    // It may have ended by itself.
    let _ = kill_process(Pid::from_child(&child), Signal::KILL);
    child.wait().expect("ends").code().is_none()
}
