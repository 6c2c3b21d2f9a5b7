//! The cache as its callers see it, on healthy folders and on damaged ones: 200, or `DAMAGE_TRIALS`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use super::{CacheNote, FileCache, Opened, silence_engine_panics};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::facts::{Dimensions, Facts, Fingerprint};
use crate::ids::ContentHash;

fn file(number: u64) -> Fingerprint {
    let time = 1_760_000_000_000_000_000 + i64::try_from(number).expect("a small number");
    Fingerprint { device: 66_306, inode: 4_000 + number, size_bytes: number, modified_ns: time, changed_ns: time }
}

fn facts(number: u64) -> Facts {
    let mut hash = [0; 32];
    fastrand::Rng::with_seed(number).fill(&mut hash);
    let dimensions = Some(Dimensions { width: 1_920, height: 1_080 });
    Facts { hash: ContentHash(hash), size_bytes: number, mime: Some("image/jpeg".into()), dimensions, damage: None }
}

fn open(folder: &Path) -> Opened {
    FileCache::open(folder, &SystemClock)
}

fn open_quietly(folder: &Path) -> FileCache {
    let Opened { cache, note } = open(folder);
    assert_eq!(note, None);
    cache
}

const NOTES: u64 = 30;

fn note_key(number: u64) -> Vec<u8> {
    format!("note {number}").into_bytes()
}

/// A folder for a cache, inside one that is removed with the returned value.
fn place() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().expect("a temporary folder");
    let folder = outer.path().join("cache");
    (outer, folder)
}

/// A closed cache that knows the first `count` files.
fn filled(count: u64) -> (TempDir, PathBuf) {
    let (outer, folder) = place();
    let cache = open_quietly(&folder);
    (0..count).for_each(|number| cache.remember(file(number), facts(number)));
    drop(cache);
    (outer, folder)
}

/// How many of the first `count` files the cache knows. Panics when it has one of them wrong.
fn known(cache: &FileCache, count: u64) -> usize {
    (0..count)
        .filter(|&number| {
            let found = cache.lookup(&file(number));
            assert!(found.is_none() || found == Some(facts(number)), "file {number} got {found:?}");
            found.is_some()
        })
        .count()
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    let mut modes: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), mode(&entry.path())))
        .collect();
    modes.sort();
    modes
}

#[test]
fn what_was_remembered_is_found_at_once_and_by_the_next_to_open() {
    let (_outer, folder) = place();
    let cache = open_quietly(&folder);
    assert_eq!(cache.lookup(&file(1)), None);
    cache.remember(file(1), facts(1));
    assert_eq!(cache.lookup(&file(1)), Some(facts(1)));
    drop(cache);
    assert_eq!(open_quietly(&folder).lookup(&file(1)), Some(facts(1)));
}

#[test]
fn notes_are_found_under_their_key_alone_until_they_are_taken_away() {
    let (outer, folder) = place();
    let cache = open_quietly(&folder);
    let (a, b): (&[u8], &[u8]) = (b"a", b"b");
    assert_eq!(cache.note::<String>(a), None);
    cache.keep_notes(&[(a.to_vec(), Some("one".to_owned())), (b.to_vec(), Some("two".to_owned()))]);
    cache.remember(file(1), facts(1));
    let as_left_by_a_kill = outer.path().join("killed");
    copy(&folder, &as_left_by_a_kill);
    for cache in [cache, open_quietly(&as_left_by_a_kill)] {
        assert_eq!((cache.note(a), cache.note(b)), (Some("one".to_owned()), Some("two".to_owned())));
        assert_eq!(cache.note::<(u64, u64, u64, u64, u64)>(a), None, "a form it has not");
        cache.keep_notes::<String>(&[(a.to_vec(), None)]);
        assert_eq!((cache.note::<String>(a), cache.note(b)), (None, Some("two".to_owned())));
    }
    FileCache::disabled().keep_notes(&[(a.to_vec(), Some(1))]);
    assert_eq!(FileCache::disabled().note::<i32>(a), None);
}

#[test]
fn more_files_than_memory_holds_are_all_found() {
    // One file in each of 3,000 buckets: three share a slot.
    let files = || (0..3_000).map(|number| (file(number * 32), facts(number)));
    let (_outer, folder) = place();
    let cache = open_quietly(&folder);
    files().for_each(|(file, facts)| cache.remember(file, facts));
    assert!(files().all(|(file, facts)| cache.lookup(&file) == Some(facts)));
    drop(cache);
    let cache = open_quietly(&folder);
    assert!(files().all(|(file, facts)| cache.lookup(&file) == Some(facts)));
}

#[test]
fn a_full_batch_outlives_a_process_that_is_killed() {
    let (outer, folder) = place();
    let cache = open_quietly(&folder);
    (0..1_024).for_each(|number| cache.remember(file(number), facts(number)));
    let as_left_by_a_kill = outer.path().join("killed");
    copy(&folder, &as_left_by_a_kill);
    assert_eq!(known(&open_quietly(&as_left_by_a_kill), 1_024), 1_024);
}

#[test]
fn threads_that_share_a_bucket_lose_nothing() {
    let (_outer, folder) = place();
    let cache = open_quietly(&folder);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                (thread..4_000).step_by(4).for_each(|number| cache.remember(file(number), facts(number)));
            });
        }
    });
    drop(cache);
    assert_eq!(known(&open_quietly(&folder), 4_000), 4_000);
}

#[test]
fn a_cache_that_is_open_is_left_to_its_holder() {
    let (_outer, folder) = filled(1);
    let holder = open_quietly(&folder);
    let second = open(&folder);
    assert_eq!(second.note, Some(CacheNote::HeldByAnother { folder: folder.clone() }));
    second.cache.remember(file(2), facts(2));
    assert_eq!(second.cache.lookup(&file(1)), None);
    assert_eq!(known(&holder, 3), 1);
    drop((holder, second));
    assert_eq!(known(&open_quietly(&folder), 3), 1);
}

#[test]
fn a_cache_that_is_being_opened_is_left_to_who_opens_it() {
    let (outer, folder) = filled(1);
    let lock = fs::File::open(outer.path().join("cache.lock")).expect("a lock file");
    lock.lock().expect("locked");
    assert_eq!(open(&folder).note, Some(CacheNote::HeldByAnother { folder }));
}

#[test]
fn a_deleted_lock_file_does_not_let_a_second_one_in() {
    let (outer, folder) = filled(1);
    let holder = open_quietly(&folder);
    fs::remove_file(outer.path().join("cache.lock")).expect("a lock file");
    assert_eq!(open(&folder).note, Some(CacheNote::HeldByAnother { folder }));
    assert_eq!(known(&holder, 1), 1);
}

#[test]
fn everything_stored_is_its_owners_alone() {
    let (outer, folder) = filled(2_000);
    assert_eq!(modes(outer.path()), [("cache".to_owned(), 0o700), ("cache.lock".to_owned(), 0o600)]);
    for (name, mode) in modes(&folder) {
        assert_eq!(mode, if name == "blobs" { 0o700 } else { 0o600 }, "{name}");
    }
}

#[test]
fn a_snapshot_cut_off_while_written_costs_nothing() {
    let (_outer, folder) = filled(10);
    fs::write(folder.join("snap.ffffffffffffffff.generating"), b"half").expect("a file");
    assert_eq!(known(&open_quietly(&folder), 10), 10);
}

#[test]
fn a_damaged_folder_is_set_aside_under_the_time_it_was_found() {
    #[derive(Debug)]
    struct Noon;
    #[async_trait::async_trait]
    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_millis(1_760_000_000_123)
        }
        async fn sleep(&self, _: std::time::Duration) {}
    }

    let (outer, folder) = filled(10);
    fs::write(folder.join("conf"), [0xff; 62]).expect("a file");
    let Opened { cache, note } = FileCache::open(&folder, &Noon);
    let Some(CacheNote::SetAside { folder: from, to, cause }) = note else { panic!("{note:?}") };
    assert_eq!((from, to.clone()), (folder.clone(), outer.path().join("cache.corrupt-20251009T085320.123Z")));
    assert!(to.join("db").exists() && !cause.is_empty());
    assert_eq!(known(&cache, 10), 0);
    cache.remember(file(1), facts(1));
    drop(cache);
    assert_eq!(known(&open_quietly(&folder), 10), 1);
}

#[test]
fn damage_met_while_in_use_ends_that_use_and_is_set_aside_by_the_next_to_open() {
    let (outer, folder) = filled(10_000);
    let cache = open_quietly(&folder);
    assert!(cache.lookup(&file(9_999)).is_some());
    let log = folder.join("db");
    let length = fs::metadata(&log).expect("sled's log").len();
    fs::write(&log, vec![0xa5; usize::try_from(length).expect("a small file")]).expect("overwritten in place");
    assert!(known(&cache, 10_000) < 10_000);
    cache.remember(file(1), facts(1));
    assert_eq!(known(&cache, 10_000), 0, "nothing more is said, not even from memory");
    drop(cache);
    assert!(outer.path().join("cache.damaged").exists());

    let Opened { cache, note } = open(&folder);
    assert!(matches!(note, Some(CacheNote::SetAside { .. })), "{note:?}");
    assert_eq!(known(&cache, 10_000), 0);
    drop(cache);
    assert_eq!(open(&folder).note, None);
}

#[test]
fn a_place_where_no_folder_can_be_gives_a_disabled_cache() {
    let outer = tempfile::tempdir().expect("a temporary folder");
    let file_in_the_way = outer.path().join("cache");
    fs::write(&file_in_the_way, b"").expect("a file");
    let Opened { cache, note } = open(&file_in_the_way);
    assert!(matches!(note, Some(CacheNote::Unusable { .. })), "{note:?}");
    cache.remember(file(1), facts(1));
    assert_eq!(cache.lookup(&file(1)), None);
}

#[test]
fn notes_are_one_line_each() {
    let folder = PathBuf::from("/data/cache");
    let cause = "bad page".to_owned();
    let to = PathBuf::from("/data/cache.corrupt-1");
    let notes = [
        CacheNote::HeldByAnother { folder: folder.clone() },
        CacheNote::SetAside { folder: folder.clone(), to, cause: cause.clone() },
        CacheNote::Unusable { folder, cause },
    ];
    assert_eq!(
        notes.map(|note| note.to_string()),
        [
            "the cache /data/cache is in use elsewhere: files are read without it",
            "the cache /data/cache was damaged (bad page): it was moved to /data/cache.corrupt-1, a new one begins",
            "the cache /data/cache cannot be used (bad page): files are read without it",
        ]
    );
}

#[test]
fn a_program_may_silence_sleds_panics_and_no_others() {
    static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let (_outer, folder) = filled(6_000);
    // The first pages of the log gone, the snapshot that points to them intact: sled panics while it opens.
    let log = folder.join("db");
    let mut bytes = fs::read(&log).expect("sled's log");
    bytes[20..4_000].fill(0xa5);
    fs::write(&log, bytes).expect("written");
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        REPORTED.lock().expect("a list").push(panic.to_string());
        report(panic);
    }));
    silence_engine_panics();

    let note = open(&folder).note.expect("a note").to_string();
    assert!(note.contains("(tried to serialize Uninitialized)"), "{note}");
    assert!(panic::catch_unwind(|| panic!("ours")).is_err());
    let reported = REPORTED.lock().expect("a list");
    assert!(reported.iter().any(|message| message.contains("ours")), "{reported:?}");
    assert!(!reported.iter().any(|message| message.contains("sled-0.34")), "{reported:?}");
}

#[test]
#[expect(clippy::print_stdout, reason = "what a long run came to")]
fn damages_cost_hits_and_nothing_else() {
    const FILES: u64 = 3_000;
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (trials, first_seed): (u64, u64) = (number("DAMAGE_TRIALS", 200), number("DAMAGE_SEED", 0));
    let began = std::time::Instant::now();
    let (_outer, pristine) = filled(FILES);
    let notes: Vec<(Vec<u8>, Option<u64>)> = (0..NOTES).map(|note| (note_key(note), Some(note))).collect();
    open_quietly(&pristine).keep_notes(&notes);
    let (mut kept, mut replaced) = (0, 0);
    for seed in first_seed..first_seed + trials {
        let (trial, folder) = place();
        copy(&pristine, &folder);
        damage(&folder, &mut fastrand::Rng::with_seed(seed));

        let Opened { cache, note } = open(&folder);
        assert!(matches!(note, None | Some(CacheNote::SetAside { .. })), "seed {seed}: {note:?}");
        let hits = known(&cache, FILES);
        for note in 0..NOTES {
            let found = cache.note::<u64>(&note_key(note));
            assert!(found.is_none() || found == Some(note), "seed {seed}: note {note} got {found:?}");
        }
        (0..FILES).step_by(20).for_each(|number| cache.remember(file(number), facts(number)));
        drop(cache);

        let found_later = trial.path().join("cache.damaged").exists();
        let Opened { cache, note } = open(&folder);
        assert_eq!(note.is_some(), found_later, "seed {seed}: {note:?}");
        (0..100).for_each(|number| cache.remember(file(number), facts(number)));
        assert_eq!(known(&cache, 100), 100, "seed {seed}: the cache after its repair");
        *if hits > 0 { &mut kept } else { &mut replaced } += 1;
    }
    println!("torture: damaged caches|{trials}, {replaced} replaced|{first_seed}|{}|0", began.elapsed().as_secs());
    assert!(kept > 0 && replaced > 0, "the damage was all of one kind: {kept} kept, {replaced} replaced");
}

/// Deletes, cuts, or flips bits in one of the folder's files, or in all of them.
fn damage(folder: &Path, rng: &mut fastrand::Rng) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    rng.shuffle(&mut files);
    files.truncate(if rng.u8(..4) == 0 { files.len() } else { 1 });
    let way = rng.u8(..5);
    for path in files {
        let mut bytes = fs::read(&path).expect("a file");
        match way {
            0 => {
                fs::remove_file(&path).expect("removed");
                continue;
            }
            1 => bytes.truncate(rng.usize(..bytes.len())),
            2 => {
                let start = rng.usize(..bytes.len());
                let end = bytes.len().min(start + rng.usize(1..5_000));
                rng.fill(&mut bytes[start..end]);
            }
            _ => (0..rng.usize(1..64)).for_each(|_| {
                let at = rng.usize(..bytes.len());
                bytes[at] ^= 1 << rng.u8(..8);
            }),
        }
        fs::write(&path, bytes).expect("written");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
