//! Uploads and campaigns in virtual time, with all luck drawn from a seed: processes that crash, freeze and lose their
//! leases over a disk, a network, a clock and a Meta that fail.
//!
//! What decides is reattach's own, from `resolve` and `Run` down to the ledger in SQLite. What stands in for the world is
//! written here: [`meta`] and the way to it, the disk's and the clock's moods ([`record`], [`life`]), and the weather
//! ([`town`]). Time is tokio's, and goes on where everybody waits. Nothing else has a say in what comes next – threads
//! answer before anybody goes on – so a seed plays the same run each time, which is asserted.
//!
//! `SIMULATION_SEEDS` says how many seeds are played (otherwise 26), `SIMULATION_SEED` plays one and tells its events:
//! `SIMULATION_SEED=7 cargo test --test it simulation::promises -- --nocapture`.

mod life;
mod meta;
mod mistakes;
mod oracle;
mod record;
mod town;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use mistakes::Mistake;
use tempfile::TempDir;
use town::Town;
use world::{Fault, World, locked};

use crate::support::secrecy::{Listener, folder_keeps_secrets};

/// How many seeds `cargo test` plays.
const SEEDS: u64 = 26;
/// Seeds that have shown a mistake of ours, played in every run: of permits nobody gave back, of campaigns and claims held by
/// nobody, of a clock that was set, and of one that nobody put right.
const TELLING: [u64; 9] = [34, 93, 220, 343, 363, 642, 694, 6512, 9870];
/// How many of them are played twice.
const REPLAYED: u64 = 4;
/// Within how many seeds a mistake must show.
const MOST_TO_FIND: usize = 40;

/// What one seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Played {
    digest: String,
    events: u64,
    lines: Vec<String>,
    faults: BTreeMap<Fault, u64>,
    objections: Vec<String>,
}

/// Waits for a disk are not what this is about.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

/// A record nothing has happened to: making its tables takes longer than playing with them.
fn template() -> &'static PathBuf {
    static TEMPLATE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = TEMPLATE.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("record.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        drop(runtime.block_on(async { life::open(&path) }));
        (folder, path)
    });
    path
}

fn play(seed: u64, mistake: Option<Mistake>, tells: bool) -> Played {
    let (folder, template) = (folder(), template());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // One thread that may block does what it is asked for in order.
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    fastrand::seed(seed);
    let listener = Listener::of_this_process();
    let played = runtime.block_on(async {
        let world = Arc::new(World::new(seed, mistake, folder.path().to_owned(), tells));
        std::fs::create_dir_all(world.record().parent().expect("a folder")).expect("a folder");
        std::fs::copy(template, world.record()).expect("a copy");
        world.note(format_args!("{:?}", world.scenario));
        let town = Town::new(Arc::clone(&world));
        town.play().await;
        let (digest, events, lines) = world.trace();
        Played { digest, events, lines, faults: world.faults(), objections: world.objections() }
    });
    listener.heard_no_secret();
    folder_keeps_secrets(folder.path(), None);
    played
}

/// How to see a run again.
fn replay(seed: u64) -> String {
    format!("SIMULATION_SEED={seed} cargo test --test it simulation::promises -- --nocapture")
}

/// Plays the seeds on every core.
fn play_all(seeds: &[u64], each: impl Fn(u64, Played) + Sync) {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    each(seed, play(seed, None, false));
                }
            });
        }
    });
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
#[expect(clippy::print_stdout, reason = "the events of a replay, and what a long run came to")]
fn promises_are_kept_whatever_the_seed_brings() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let played = play(seed, None, true);
        for line in &played.lines {
            println!("{line}");
        }
        println!("digest {} of {} events", played.digest, played.events);
        assert_eq!(played.objections, [""; 0], "seed {seed}");
        return;
    }
    let first = setting("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let telling = TELLING.into_iter().filter(|seed| *seed >= first);
    let chosen: Vec<u64> = (0..first).chain(telling).collect();
    let seeds = chosen.len();
    let begun = std::time::Instant::now();
    let faults: Mutex<BTreeMap<Fault, u64>> = Mutex::default();
    let objections: Mutex<BTreeMap<u64, Vec<String>>> = Mutex::default();
    let events = AtomicU64::new(0);
    play_all(&chosen, |seed, played| {
        events.fetch_add(played.events, Ordering::Relaxed);
        for (fault, times) in played.faults {
            *locked(&faults).entry(fault).or_default() += times;
        }
        if !played.objections.is_empty() {
            locked(&objections).insert(seed, played.objections);
        }
    });
    let (faults, objections) = (faults.into_inner().expect("whole"), objections.into_inner().expect("whole"));
    println!("{seeds} seeds, {} events: {faults:?}", events.into_inner());
    crate::support::account("simulation", &format!("{seeds} seeds"), 0, begun, objections.len());
    let told: Vec<_> =
        objections.iter().map(|(seed, what)| format!("{}\n  {}", replay(*seed), what.join("\n  "))).collect();
    assert!(told.is_empty(), "{} of {seeds} seeds:\n{}", told.len(), told.join("\n"));
    let missing: Vec<_> = Fault::ALL.into_iter().filter(|fault| !faults.contains_key(fault)).collect();
    assert!(missing.is_empty(), "{missing:?} did not happen in {seeds} seeds");
}

#[test]
fn a_seed_plays_the_same_run_every_time() {
    for seed in 0..REPLAYED {
        let (once, again) = (play(seed, None, true), play(seed, None, true));
        let differs = once.lines.iter().zip(&again.lines).find(|(once, again)| once != again);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once, again, "seed {seed}");
    }
    assert_ne!(play(0, None, false).digest, play(1, None, false).digest);
}

#[test]
fn every_mistake_is_found_out() {
    let objects = |seed, mistake| !play(seed, mistake, false).objections.is_empty();
    // What is objected to without the mistake as well does not show it.
    let shows = |seed, mistake| objects(seed, Some(mistake)) && !objects(seed, None);
    let shows = |mistake: Mistake| (mistake.first_seed()..).take(MOST_TO_FIND).any(|seed| shows(seed, mistake));
    let missed = std::thread::scope(|scope| {
        let tried = Mistake::ALL.map(|mistake| (mistake, scope.spawn(move || shows(mistake))));
        let missed =
            tried.into_iter().filter_map(|(mistake, shown)| (!shown.join().expect("played")).then_some(mistake));
        missed.collect::<Vec<_>>()
    });
    assert_eq!(missed, [], "these show in none of {MOST_TO_FIND} seeds");
}
