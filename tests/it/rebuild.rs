//! The cache may be deleted, cut short or flipped bit by bit: every answer stays right, and nothing is uploaded again.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use reattach::cache::{FileCache, silence_engine_panics};
use reattach::clock::SystemClock;
use reattach::facts::Facts;
use reattach::graph::{ReqwestTransport, RetryPolicy};
use reattach::library::{
    AssetOutcome, AssetRef, CheckOptions, Inspector, NoReport, ResolveOptions, UploadOnMiss, check,
};
use reattach::media::{BytePool, Reader};
use reattach::record::{Upload, UploadFilter};
use reattach::stop::Stop;

use crate::library::{RULES, open_at, options};
use crate::support::World;
use crate::support::pictures::png;

const FILES: u32 = 40;
const DAMAGES: u64 = 200;
const BY_COMMAND: u64 = 8;

/// What must be answered whatever lies in the cache.
#[derive(Debug, PartialEq)]
struct Answers {
    facts: BTreeMap<PathBuf, Option<Facts>>,
    resolved: Vec<Option<Upload>>,
    recorded: Vec<Upload>,
}

/// Whether files had to be read, for want of a cache that knows them.
#[derive(Debug, PartialEq)]
enum Cache {
    KnewAll,
    HadGaps,
}

fn inspector(world: &World, pool: &Arc<BytePool>) -> Inspector {
    let reader = Reader::new(Arc::clone(pool), Arc::new(SystemClock));
    let cache = FileCache::open(&world.store().join("cache"), &SystemClock).cache;
    Inspector::new(Arc::new(reader), Arc::new(cache))
}

/// Checks, syncs, resolves and lists.
async fn ask(world: &World, paths: &[PathBuf]) -> (Answers, Cache) {
    let pool = Arc::new(BytePool::new(16 << 20));
    let mut facts = BTreeMap::new();
    let (roots, options_for_check) = ([world.library()], CheckOptions::default());
    let note = |report: &reattach::library::AssetReport| {
        facts.insert(report.path.clone().expect("a path"), report.facts.clone());
    };
    let summary =
        check(&inspector(world, &pool), &roots, &options_for_check, Arc::new(NoReport), &Stop::new(), note).await;
    assert_eq!(summary.expect("a check").ok, u64::from(FILES));
    let clock = Arc::new(SystemClock);
    let opened = open_at(world, 16 << 20, ReqwestTransport::new(), clock, RetryPolicy::default()).await;
    let synced = opened.library.sync(&roots, &options(), &Stop::new(), |_| {}).await.expect("a sync").summary;
    assert_eq!((synced.uploaded, synced.reused), (0, u64::from(FILES)));
    let mut resolved = Vec::new();
    for path in paths.iter().step_by(13) {
        let known = ResolveOptions { on_miss: UploadOnMiss::Refused, ..ResolveOptions::uploading(RULES) };
        let report = opened.library.resolve(&AssetRef::File(path.clone()), &known).await;
        assert_eq!(report.outcome, AssetOutcome::Reused, "{report:?}");
        resolved.push(report.upload);
    }
    let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
    let recorded = record.list(&UploadFilter::default(), None, 1_000).await.expect("a list");
    let cache = if pool.peak_bytes() == 0 { Cache::KnewAll } else { Cache::HadGaps };
    (Answers { facts, resolved, recorded }, cache)
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_in(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// A copy of everything in `from`; what was at `to` is gone.
fn copy(from: &Path, to: &Path) {
    if to.is_dir() {
        fs::remove_dir_all(to).expect("removed");
    } else if to.exists() {
        fs::remove_file(to).expect("removed");
    }
    for file in files_in(from) {
        let copy = to.join(file.strip_prefix(from).expect("within"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("folders");
        fs::copy(file, copy).expect("copied");
    }
}

/// Does one thing to the cache that no program of ours would.
fn damage(random: &mut Rng, cache: &Path) -> String {
    let files = files_in(cache);
    let file = &files[random.usize(..files.len())];
    let mut bytes = fs::read(file).expect("a file");
    let what = random.u8(..8);
    match what {
        0 => fs::remove_dir_all(cache).expect("removed"),
        1 => fs::remove_file(file).expect("removed"),
        2 => {
            fs::remove_dir_all(cache).expect("removed");
            fs::write(cache, "a file where the folder should be").expect("written");
        }
        3 => {
            bytes.truncate(random.usize(..=bytes.len()));
            fs::write(file, bytes).expect("written");
        }
        4 => {
            let mut file = OpenOptions::new().append(true).open(file).expect("a file");
            file.write_all(&[random.u8(..); 100]).expect("written");
        }
        5 if !bytes.is_empty() => {
            let from = random.usize(..bytes.len());
            let to = (from + random.usize(..4_096)).min(bytes.len());
            bytes[from..to].fill(random.u8(..));
            fs::write(file, bytes).expect("written");
        }
        _ => {
            // Where there is something: most of these files is nothing but zeros.
            let used: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
            for _ in 0..random.usize(1..=8) {
                if let Some(at) = random.choice(&used) {
                    bytes[*at] ^= 1 << random.u8(..8);
                }
            }
            fs::write(file, bytes).expect("written");
        }
    }
    format!("{what} of {}", file.display())
}

/// What a damaged cache was moved to is of no more use here.
fn tidy(world: &World) {
    for entry in fs::read_dir(world.store()).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.file_name().to_string_lossy().starts_with("cache.corrupt-") {
            fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path())).expect("removed");
        }
    }
}

/// A library that is uploaded and known, and a copy of what the cache holds of it.
fn known() -> (World, Vec<PathBuf>, PathBuf) {
    let world = World::new();
    let paths: Vec<_> = (0..FILES).map(|number| world.put(format!("{number}.png"), png(number))).collect();
    world.run(["sync", "library"]).ended_with(0);
    let pristine = world.store().with_file_name("pristine");
    copy(&world.store().join("cache"), &pristine);
    (world, paths, pristine)
}

#[test]
fn two_hundred_damages_of_the_cache_change_no_answer_and_cost_no_upload() {
    silence_engine_panics();
    let (world, paths, pristine) = known();
    let cache = world.store().join("cache");
    let (expected, knowledge) = world.runtime.block_on(ask(&world, &paths));
    assert_eq!(knowledge, Cache::KnewAll);
    let mut gaps = 0;
    assert_eq!((expected.facts.len(), expected.recorded.len()), (FILES as usize, FILES as usize));
    for seed in 0..DAMAGES {
        copy(&pristine, &cache);
        let what = damage(&mut Rng::with_seed(seed), &cache);
        let (answers, knowledge) = world.runtime.block_on(ask(&world, &paths));
        gaps += u64::from(knowledge == Cache::HadGaps);
        assert!(answers == expected, "seed {seed}, damage {what}: {answers:#?}");
        tidy(&world);
    }
    assert!(gaps > DAMAGES / 4, "only {gaps} of the damages did any");
    assert_eq!(world.uploads(), u64::from(FILES));
}

#[test]
fn every_command_answers_as_before_whatever_happened_to_the_cache() {
    let (world, paths, pristine) = known();
    let cache = world.store().join("cache");
    let answers = || {
        let resolve: Vec<_> = [Path::new("resolve")].into_iter().chain(paths.iter().map(PathBuf::as_path)).collect();
        let mut said = Vec::new();
        for run in [world.json(["check", "library"]), world.json(["sync", "library"]), world.json(resolve)] {
            let mut events = run.ended_with(0).events_of("asset");
            events.sort_by_key(|event| event["path"].as_str().map(ToOwned::to_owned));
            said.push(format!("{events:#?}"));
        }
        for run in [world.run(["ls"]), world.run(["verify", "library"]), world.run(["duplicates", "library"])] {
            said.push(run.ended_with(0).stdout);
        }
        said
    };
    let expected = answers();
    for seed in 0..BY_COMMAND {
        copy(&pristine, &cache);
        let what = damage(&mut Rng::with_seed(1_000 + seed), &cache);
        assert_eq!(answers(), expected, "seed {seed}, damage {what}");
        tidy(&world);
    }
    assert_eq!(world.uploads(), u64::from(FILES));
}

#[test]
fn a_cache_that_was_deleted_is_as_good_as_new_after_one_run() {
    let (world, ..) = known();
    fs::remove_dir_all(world.store().join("cache")).expect("removed");
    world.run(["sync", "library"]).ended_with(0);
    world.runtime.block_on(async {
        let opened = open_at(&world, 1 << 20, ReqwestTransport::new(), Arc::new(SystemClock), RetryPolicy::default());
        let opened = opened.await;
        let synced =
            opened.library.sync(&[world.library()], &options(), &Stop::new(), |_| {}).await.expect("a sync").summary;
        assert_eq!((synced.reused, opened.survey_pool.peak_bytes()), (u64::from(FILES), 0));
    });
    assert_eq!(world.uploads(), u64::from(FILES));
}
