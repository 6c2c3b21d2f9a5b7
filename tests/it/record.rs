//! `ls`, `show`, `forget`, and what becomes of the stores.

use std::fs;

use crate::support::World;
use crate::support::pictures::png;

#[test]
fn forget_leaves_other_graph_origins_alone() {
    let (world, elsewhere) = (World::new(), World::new());
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let other =
        world.command(["forget", "library/a.png"]).env("REATTACH_GRAPH_URL", elsewhere.sandbox().url()).output();
    crate::support::Ran::new(other.expect("runs")).ended_with(3);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 1);
    world.run(["forget", "library/a.png"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 0);
}

#[test]
fn a_file_that_is_gone_can_still_be_shown_and_forgotten() {
    let world = World::new();
    let path = world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    fs::remove_file(path).expect("gone");
    assert_eq!(world.json(["show", "library/a.png"]).ended_with(0).events_of("asset").len(), 1);
    world.run(["forget", "library/a.png"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 0);
    world.run(["show", "library/a.png"]).ended_with(2);
}

#[test]
fn ls_show_and_forget_tell_one_story() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    let empty = world.run(["ls"]).ended_with(0);
    assert!(empty.stdout.contains("nothing is on record"), "{}", empty.stdout);
    world.run(["sync", "library"]).ended_with(0);
    let listed = world.json(["ls"]).ended_with(0).events_of("asset");
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|asset| asset["state"] == "live"), "{listed:#?}");
    let shown = world.json(["show", "library/a.png"]).ended_with(0).events_of("asset");
    assert_eq!(shown.len(), 1);
    assert!(listed.contains(&shown[0]));
    let forgotten = world.json(["forget", "library/a.png"]).ended_with(0).events_of("asset");
    assert_eq!(forgotten[0]["attachment_id"], shown[0]["attachment_id"]);
    world.run(["show", "library/a.png"]).ended_with(3);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 1);
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 1);
}

#[test]
fn a_cache_in_use_elsewhere_is_gone_without_and_said_so_under_v() {
    let world = World::new();
    world.put("a.png", png(1));
    let held = reattach::cache::FileCache::open(&world.store().join("cache"), &reattach::clock::SystemClock);
    assert!(held.note.is_none());
    let quiet = world.run(["sync", "library"]).ended_with(0);
    assert_eq!(quiet.stderr, "");
    let told = world.run(["-v", "check", "library"]).ended_with(0);
    assert!(told.stderr.contains("in use elsewhere"), "{}", told.stderr);
}

#[test]
fn a_record_of_a_newer_format_is_refused_untouched() {
    let world = World::new();
    world.run(["ls"]).ended_with(0);
    let record = rusqlite::Connection::open(world.store().join("record.db")).expect("a record");
    record.pragma_update(None, "user_version", 99).expect("a version");
    let run = world.run(["ls"]).ended_with(6);
    assert!(run.stderr.contains("format is 99") && run.stderr.contains("hint:"), "{}", run.stderr);
    let version: i32 = record.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert_eq!(version, 99);
}

#[test]
fn an_older_copy_of_the_record_is_used_only_when_told_so() {
    let world = World::new();
    let record = world.store().join("record.db");
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let copy = fs::read(&record).expect("a record");
    world.put("b.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    fs::write(&record, copy).expect("put back");
    let refused = world.run(["sync", "library"]).ended_with(6);
    assert!(refused.stderr.contains("newest changes are gone") && refused.stderr.contains("delete record.db.mark"));
    let copied = fs::read(&record).expect("a record");
    fs::remove_file(&record).expect("gone");
    assert!(world.run(["doctor"]).ended_with(6).stdout.contains("newest changes are gone"));
    fs::write(&record, copied).expect("put back");
    fs::remove_file(world.store().join("record.db.mark")).expect("a mark");
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 1);
}

#[test]
fn a_store_survives_the_loss_of_its_cache() {
    let world = World::new();
    for number in 0..3 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    fs::remove_dir_all(world.store().join("cache")).expect("gone");
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 0);
    for file in fs::read_dir(world.store().join("cache")).expect("a cache") {
        let path = file.expect("a file").path();
        if path.is_file() {
            fs::write(path, b"not what sled writes").expect("spoiled");
        }
    }
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 0);
    assert_eq!(world.uploads(), 3);
}
