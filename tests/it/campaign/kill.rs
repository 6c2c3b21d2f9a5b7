//! kill -9 at any moment: nobody twice, nobody lost, and what is unknown is no more than what was under way.
//!
//! `REATTACH_KILL_CYCLES` sets how often (20 unless it says otherwise), `REATTACH_KILL_SEED` repeats a run.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{FAST, TEXT_AND_PICTURE, campaign, check_against_truth, closing, exported, truth};
use crate::support::World;
use crate::support::pictures::png;

/// How many calls a run has under way at most.
const IN_FLIGHT: usize = 64;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn unknown(world: &World) -> usize {
    exported(world).values().filter(|outcome| *outcome == "unknown").count()
}

#[test]
fn kill_9_at_any_moment_sends_nothing_twice_and_loses_nobody() {
    let cycles = from_environment("REATTACH_KILL_CYCLES", 20);
    let seed = from_environment("REATTACH_KILL_SEED", fastrand::u64(..));
    println!("REATTACH_KILL_SEED={seed} REATTACH_KILL_CYCLES={cycles}");
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new();
    world.configure(FAST);
    world.put("hero.png", png(1));
    // Enough that it does not end before the last kill.
    let people = from_environment("REATTACH_KILL_PEOPLE", (cycles * 100).max(2_000));
    campaign(&world, people, TEXT_AND_PICTURE);
    let (mut kills, mut before) = (0, 0);
    for cycle in 0..cycles {
        let mut child = world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
        let target = world.counts().messages_accepted + random.u64(0..200);
        // Now and then while it is still being planned or opened.
        let patience =
            if random.u8(..) < 26 { Duration::from_millis(random.u64(..60)) } else { Duration::from_secs(20) };
        let began = std::time::Instant::now();
        while world.counts().messages_accepted < target
            && began.elapsed() < patience
            && child.try_wait().expect("runs").is_none()
        {
            std::thread::yield_now();
        }
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&child), Signal::KILL);
        kills += u64::from(child.wait().expect("ends").code().is_none());
        if cycle % 10 == 0 {
            check(&world, &mut before, IN_FLIGHT * 10);
        }
    }
    assert!(kills * 2 >= cycles, "only {kills} of {cycles} runs were killed");
    check(&world, &mut before, IN_FLIGHT * 10);
    // The rest goes out without anybody's help; what is unknown is named, and nothing else is missing.
    let ran = world.json(["campaign", "run", "library/spring.toml", "--yes"]);
    let closed = closing(&ran);
    assert!(matches!(ran.code, Some(0 | 7)), "{ran:?}");
    check_against_truth(&world);
    let (truth, exported) = (truth(&world), exported(&world));
    for (key, outcome) in &exported {
        // A picture waits as long as it is not known whether its text arrived.
        let text = exported.get(&(key.0.clone(), 1)).map(String::as_str);
        let accounted = outcome == "sent" || outcome == "unknown" || (key.1 == 2 && text == Some("unknown"));
        assert!(accounted, "{key:?} is {outcome}");
    }
    let lost = truth.keys().filter(|key| exported[*key] == "unknown").count();
    println!("{kills} kills, {} unknown, {lost} of them had arrived; {closed}", closed["unknown"]);
}

/// Checks the oracle, and that the kills since the last time made no more unknown than was under way.
fn check(world: &World, before: &mut usize, most: usize) {
    if world.run(["campaign", "status", "spring"]).code == Some(2) {
        // It was killed before it had written down its name.
        return;
    }
    check_against_truth(world);
    let now = unknown(world);
    assert!(now - *before <= most, "{} more unknown", now - *before);
    *before = now;
}
