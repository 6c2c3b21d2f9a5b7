//! `prune`, `duplicates`, `verify`: the record and the files, kept in order.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use image::ImageFormat;
use reattach::clock::{Clock, ManualClock, SystemClock};
use reattach::graph::{ReqwestTransport, RetryPolicy};
use reattach::library::{AssetOutcome, AssetRef, ResolveOptions};
use serde_json::{Value, json};

use crate::library::{RULES, open_at};
use crate::support::pictures::{picture, png};
use crate::support::{Ran, World};

/// Uploads a file as somebody did so long ago.
fn uploaded_days_ago(world: &World, name: &str, days: u64) {
    let path = world.library().join(name);
    world.runtime.block_on(async {
        let then = SystemClock.now().minus(Duration::from_hours(24 * days));
        let clock = Arc::new(ManualClock::new(then));
        let opened = open_at(world, 1 << 20, ReqwestTransport::new(), clock, RetryPolicy::default()).await;
        let report = opened.library.resolve(&AssetRef::File(path), &ResolveOptions::uploading(RULES)).await;
        assert_eq!(report.outcome, AssetOutcome::Uploaded, "{report:?}");
    });
}

fn file_name(path: &Value) -> String {
    path.as_str().expect("a path").rsplit('/').next().expect("a name").to_owned()
}

/// The files of these events, and how each stands, sorted.
fn states(run: &Ran, event: &str) -> Vec<(String, String)> {
    let of = |event: &Value| (file_name(&event["path"]), event["state"].as_str().expect("a state").to_owned());
    let mut states: Vec<_> = run.events_of(event).iter().map(of).collect();
    states.sort();
    states
}

fn on_record(world: &World) -> Vec<String> {
    let mut names: Vec<_> =
        world.json(["ls"]).ended_with(0).events_of("asset").iter().map(|asset| file_name(&asset["path"])).collect();
    names.sort();
    names
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

/// A record with one id of each sort: alive, expired, refused, and alive without its file.
fn of_each_sort() -> World {
    let world = World::new();
    for (number, name) in (1..).zip(["alive.png", "old.png", "refused.png", "gone.png"]) {
        world.put(name, png(number));
    }
    uploaded_days_ago(&world, "old.png", 91);
    let ids = world.run(["resolve", "library/alive.png", "library/refused.png", "library/gone.png"]).ended_with(0);
    let refused = ids.stdout.lines().find(|line| line.contains("refused")).expect("an id").to_owned();
    let refused = refused.split('\t').next().expect("an id");
    assert!(world.sandbox().revoke(refused));
    // Its file is out of reach when Meta refuses it, so the id is struck off and not replaced.
    let (here, aside) = (world.library().join("refused.png"), world.library().join("aside"));
    fs::rename(&here, &aside).expect("moved");
    world.run(["send", "--to", "1", "--attachment-id", refused, "--kind", "image"]).ended_with(3);
    fs::rename(&aside, &here).expect("moved back");
    fs::remove_file(world.library().join("gone.png")).expect("removed");
    assert_eq!(on_record(&world), ["alive.png", "gone.png", "old.png", "refused.png"]);
    world
}

#[test]
fn prune_strikes_off_what_it_was_asked_to_and_nothing_alive() {
    let world = of_each_sort();
    for (flag, name, reason) in [
        ("--expired", "old.png", "expired"),
        ("--rejected", "refused.png", "rejected"),
        ("--unreferenced", "gone.png", "unreferenced"),
    ] {
        let before = on_record(&world);
        let dry = world.json(["prune", flag, "--dry-run"]).ended_with(0);
        assert_eq!(states(&dry, "asset"), pairs(&[(name, reason)]));
        assert_eq!(dry.events_of("prune_summary")[0]["forgotten"], 0);
        assert_eq!(on_record(&world), before, "a dry run strikes off nothing");
        let run = world.json(["prune", flag, "--yes"]).ended_with(0);
        assert_eq!(states(&run, "asset"), pairs(&[(name, "forgotten")]));
        let summary = &run.events_of("prune_summary")[0];
        assert_eq!((&summary["ids"], &summary["forgotten"], &summary[reason]), (&json!(1), &json!(1), &json!(1)));
    }
    assert_eq!(on_record(&world), ["alive.png"]);
    let run = world.run(["prune", "--expired", "--rejected", "--unreferenced"]).ended_with(0);
    assert!(run.stdout.contains("nothing to prune"), "{}", run.stdout);
    assert!(world.library().join("refused.png").exists(), "no file is touched");
}

#[test]
fn prune_says_first_what_would_go_and_asks() {
    let world = of_each_sort();
    let before = on_record(&world);
    let run = world.run(["prune", "--expired", "--rejected", "--unreferenced"]).ended_with(2);
    for words in ["old.png", "refused.png", "gone.png", "- expired", "- unreferenced"] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    assert!(run.stderr.contains("3 ids") && run.stderr.contains("--yes"), "{}", run.stderr);
    assert_eq!(on_record(&world), before);
    world.run(["prune"]).ended_with(2);
    world.run(["prune", "--yes", "--dry-run"]).ended_with(2);
    world.run(["prune", "--expired", "--keep", "library"]).ended_with(2);
    assert_eq!(on_record(&world), before);
}

#[test]
fn prune_keeps_what_has_a_name_and_says_so() {
    let world = World::new();
    for (number, name) in (1..).zip(["hero.png", "gone.png"]) {
        world.put(name, png(number));
    }
    world.put("scan.tiff", picture(3, ImageFormat::Tiff));
    world.run(["sync", "library", "--fit"]).ended_with(0);
    world.run(["alias", "hero", "library/hero.png"]).ended_with(0);
    world.run(["alias", "scan", "library/scan.tiff"]).ended_with(0);
    for name in ["hero.png", "gone.png", "scan.tiff"] {
        fs::remove_file(world.library().join(name)).expect("removed");
    }
    let summary = || world.json(["prune", "--unreferenced", "--dry-run"]).ended_with(0).events_of("prune_summary");
    assert_eq!((&summary()[0]["ids"], &summary()[0]["kept_named"]), (&json!(1), &json!(2)), "a copy's file has a name");
    let run = world.run(["prune", "--unreferenced", "--yes"]).ended_with(0);
    assert!(run.stdout.contains("kept 2 ids whose file is gone, because of an @alias"), "{}", run.stdout);
    world.run(["alias", "--remove", "hero"]).ended_with(0);
    assert_eq!((&summary()[0]["ids"], &summary()[0]["kept_named"]), (&json!(1), &json!(1)));
    let run = world.json(["prune", "--expired", "--dry-run"]).ended_with(0);
    assert_eq!(run.events_of("prune_summary")[0]["kept_named"], 0, "it was not asked about files that are gone");
}

#[test]
fn a_file_under_another_name_keeps_its_id_where_prune_is_told_of_it() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    fs::rename(world.library().join("a.png"), world.library().join("b.png")).expect("renamed");
    let run = world.json(["prune", "--unreferenced", "--keep", "library", "--yes"]).ended_with(0);
    assert_eq!(run.events_of("prune_summary")[0]["ids"], 0);
    let run = world.json(["prune", "--unreferenced", "--dry-run"]).ended_with(0);
    assert_eq!(run.events_of("prune_summary")[0]["ids"], 1);
}

#[test]
fn the_record_follows_files_that_sync_finds_under_another_name() {
    let world = World::new();
    for (number, name) in (1..).zip(["a.png", "kept.png", "spring/b.png", "twin.png"]) {
        world.put(name, png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    let at = |name: &str| world.library().join(name);
    fs::copy(at("twin.png"), at("copy.png")).expect("copied");
    fs::rename(at("a.png"), at("c.png")).expect("renamed");
    fs::rename(at("spring"), at("summer")).expect("renamed");

    let before = on_record(&world);
    world.run(["sync", "library", "--dry-run"]).ended_with(0);
    assert_eq!(on_record(&world), before, "a dry run records nothing");
    world.run(["sync", "library"]).ended_with(0);
    // Of two with the same bytes, the one they were uploaded from stands on record while it is there.
    assert_eq!(on_record(&world), ["b.png", "c.png", "kept.png", "twin.png"]);
    let verified = world.json(["verify"]).ended_with(0);
    let all_are = |state| pairs(&["b.png", "c.png", "kept.png", "twin.png"].map(|name| (name, state)));
    assert_eq!(states(&verified, "verify"), all_are("ok"));
    fs::remove_file(at("twin.png")).expect("removed");
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(on_record(&world), ["b.png", "c.png", "copy.png", "kept.png"]);
    let pruned = world.json(["prune", "--unreferenced", "--dry-run"]).ended_with(0);
    assert_eq!(pruned.events_of("prune_summary")[0]["ids"], 0);
    assert_eq!(world.counts().uploads_accepted, 4);
    let renewed = world.json(["refresh", "--all-due", "--renew-within", "90d"]).ended_with(0);
    assert_eq!(renewed.events_of("asset").len(), 4);
}

#[test]
fn the_record_follows_to_files_and_not_to_links_and_whatever_becomes_of_the_id() {
    let world = World::new();
    let old = world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let (new, link) = (world.library().join("b.png"), world.library().join("link.png"));
    fs::rename(&old, &new).expect("renamed");
    // A link stands where it was, and another is asked for by name.
    std::os::unix::fs::symlink(&new, &old).expect("a link");
    std::os::unix::fs::symlink(&new, &link).expect("a link");
    world.run(["sync", "library/link.png"]).ended_with(0);
    assert_eq!(on_record(&world), ["a.png"]);
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(on_record(&world), ["b.png"]);
    fs::rename(&new, world.library().join("c.png")).expect("renamed");
    world.json(["sync", "library", "--force", "--max-uploads", "0"]).ended_with(0);
    assert_eq!(on_record(&world), ["c.png"], "it was found, though it was not renewed");
    assert_eq!(world.counts().uploads_accepted, 1);
}

#[test]
fn the_record_follows_files_without_a_cache() {
    let world = World::new();
    let paths = [world.put("a.png", png(1)), world.put("b.png", png(2))];
    world.run(["sync", "library"]).ended_with(0);
    let before: Vec<_> = world.json(["ls"]).ended_with(0).events_of("asset");
    let aside = world.library().join("aside");
    fs::rename(&paths[0], &aside).expect("renamed");
    fs::rename(&paths[1], &paths[0]).expect("renamed");
    fs::rename(&aside, &paths[1]).expect("renamed");
    // Who has the cache open keeps others from it.
    let opened = world.runtime.block_on(open_at(
        &world,
        1 << 20,
        ReqwestTransport::new(),
        Arc::new(SystemClock),
        RetryPolicy::default(),
    ));
    world.run(["sync", "library"]).ended_with(0);
    drop(opened);
    let named = |events: &[Value]| -> Vec<_> {
        let mut named: Vec<_> =
            events.iter().map(|asset| (file_name(&asset["path"]), asset["sha256"].clone())).collect();
        named.sort_by_key(|(name, _)| name.clone());
        named
    };
    let [(a, of_a), (b, of_b)] = named(&before).try_into().expect("two");
    assert_eq!(named(&world.json(["ls"]).ended_with(0).events_of("asset")), [(a, of_b), (b, of_a)]);
}

#[test]
fn a_file_follows_when_other_bytes_have_taken_its_name() {
    let world = World::new();
    let (old, new) = (world.put("banner.png", png(1)), world.library().join("last year.png"));
    world.run(["sync", "library"]).ended_with(0);
    fs::rename(&old, &new).expect("renamed");
    world.put("banner.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(on_record(&world), ["banner.png", "last year.png"]);
    let verified = world.json(["verify"]).ended_with(0);
    assert_eq!(states(&verified, "verify"), pairs(&[("banner.png", "ok"), ("last year.png", "ok")]));
}

#[test]
fn prune_leaves_other_pages_alone_when_one_is_named() {
    let world = World::new();
    world.configure(
        "[pages.one]\nid = \"106000000000001\"\naccess_token_env = \"ONE\"\n\
         [pages.two]\nid = \"106000000000002\"\naccess_token_env = \"TWO\"\n",
    );
    world.put("a.png", png(1));
    let on = |page: &str, arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.args(["--page", page, "--json"]).env_remove("REATTACH_ACCESS_TOKEN");
        command.env("ONE", "SANDBOX-PAGE-1").env("TWO", "SANDBOX-PAGE-2");
        Ran::new(command.output().expect("runs")).ended_with(0)
    };
    for page in ["one", "two"] {
        on(page, &["sync", "library"]);
    }
    fs::remove_file(world.library().join("a.png")).expect("removed");
    let run = on("two", &["prune", "--unreferenced", "--yes"]);
    assert_eq!(run.events_of("prune_summary")[0]["forgotten"], 1);
    assert_eq!(on("one", &["ls"]).events_of("asset").len(), 1);
    assert_eq!(on("two", &["ls"]).events_of("asset").len(), 0);
}

#[test]
fn duplicates_come_by_what_they_waste() {
    let world = World::new();
    for name in ["a.png", "b.png", "sub/c.png"] {
        world.put(name, png(1));
    }
    let large = [png(2), vec![0; 10_000]].concat();
    world.put("x.png", &large);
    world.put("y.png", &large);
    world.put("alone.png", png(3));
    world.put("empty.png", b"");
    fs::hard_link(world.library().join("x.png"), world.library().join("z.png")).expect("a link");
    let mut command = world.command(["duplicates", "library", "--json"]);
    let output = command.env_remove("REATTACH_ACCESS_TOKEN").env("REATTACH_GRAPH_URL", "http://127.0.0.1:9").output();
    let run = Ran::new(output.expect("runs")).ended_with(0);
    let groups = run.events_of("duplicates");
    let names = |group: &Value| group["paths"].as_array().expect("paths").iter().map(file_name).collect::<Vec<_>>();
    assert_eq!(
        groups.iter().map(names).collect::<Vec<_>>(),
        [vec!["x.png", "y.png", "z.png"], vec!["a.png", "b.png", "c.png"]]
    );
    let (small, large) = (png(1).len() as u64, large.len() as u64);
    // A second name of one file takes up nothing.
    assert_eq!((&groups[0]["copies"], &groups[0]["wasted_bytes"]), (&json!(2), &json!(large)));
    assert_eq!((&groups[1]["copies"], &groups[1]["wasted_bytes"]), (&json!(3), &json!(2 * small)));
    let summary = &run.events_of("duplicates_summary")[0];
    assert_eq!((&summary["files"], &summary["sets"]), (&json!(7), &json!(2)));
    assert_eq!((&summary["wasted_bytes"], &summary["not_compared"]), (&json!(large + 2 * small), &json!(1)));
    let run = world.run(["duplicates", "library/sub"]).ended_with(0);
    assert!(run.stdout.starts_with("1 file, 0 B wasted"), "{}", run.stdout);
}

#[test]
fn verify_tells_files_apart_by_how_they_agree_with_the_record() {
    let world = World::new();
    for (number, name) in (1..).zip(["same.png", "gone.png", "other.png", "moved.png"]) {
        world.put(name, png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    world.run(["verify"]).ended_with(0);
    world.run(["verify", "library"]).ended_with(0);
    fs::remove_file(world.library().join("gone.png")).expect("removed");
    world.put("other.png", png(13));
    fs::rename(world.library().join("moved.png"), world.library().join("here.png")).expect("renamed");
    let run = world.json(["verify"]).ended_with(3);
    assert_eq!(
        states(&run, "verify"),
        pairs(&[("gone.png", "missing"), ("moved.png", "missing"), ("other.png", "changed"), ("same.png", "ok")])
    );
    world.put("new.png", png(5));
    world.put("empty.png", b"");
    let run = world.json(["verify", "library"]).ended_with(3);
    let expected = [
        ("gone.png", "missing"),
        ("moved.png", "moved"),
        ("new.png", "never_uploaded"),
        ("other.png", "changed"),
        ("other.png", "never_uploaded"),
        ("same.png", "ok"),
    ];
    assert_eq!(states(&run, "verify"), pairs(&expected));
    let moved = run.events_of("verify").into_iter().find(|event| event["state"] == "moved").expect("moved");
    assert_eq!(file_name(&moved["moved_to"]), "here.png");
    let summary = &run.events_of("verify_summary")[0];
    assert_eq!((&summary["ok"], &summary["missing"], &summary["never_uploaded"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(world.uploads(), 4);
}

#[test]
fn a_file_that_was_never_uploaded_is_worth_an_exit_code_only_where_it_was_asked_about() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.put("sub/new.png", png(2));
    world.run(["verify"]).ended_with(0);
    world.run(["verify", "library/a.png"]).ended_with(0);
    let run = world.run(["verify", "library/sub"]).ended_with(3);
    assert!(run.stdout.contains("never_uploaded") && run.stdout.contains("new.png"), "{}", run.stdout);
}

#[test]
fn verify_ends_with_the_store_s_code_where_the_record_is_damaged() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let record = rusqlite::Connection::open(world.store().join("record.db")).expect("a record");
    record.execute("UPDATE uploads SET mime = 'image/gif'", []).expect("damaged");
    drop(record);
    let run = world.run(["verify"]).ended_with(6);
    assert!(run.stderr.contains("checksum"), "{}", run.stderr);
}

/// What cannot be read may be what an id stands for, and an ignore file that is no text may leave out anything.
#[test]
fn what_cannot_be_read_is_told_by_verify_and_keeps_prune_from_guessing() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    fs::rename(world.library().join("b.png"), world.library().join("c.png")).expect("renamed");
    world.put("drafts/.reattachignore", b"caf\xe9/\n");
    world.put("drafts/secret.png", png(3));
    let run = world.json(["verify", "library/drafts"]).ended_with(3);
    assert_eq!(states(&run, "verify"), pairs(&[(".reattachignore", "unreadable")]));
    let run = world.json(["sync", "library/drafts"]).ended_with(3);
    assert_eq!((run.events_of("asset").len(), world.uploads()), (1, 2));
    let prune = ["prune", "--unreferenced", "--keep", "library", "--yes"];
    let refused = world.run(prune).ended_with(3);
    assert!(refused.stderr.contains(".reattachignore"), "{}", refused.stderr);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 2);
    fs::remove_file(world.library().join("drafts/.reattachignore")).expect("removed");
    world.run(prune).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 2);
}

#[test]
fn a_library_named_by_a_step_back_stays_where_it_is() {
    let world = World::new();
    world.put("a.png", png(1));
    let work = world.library().with_file_name("work");
    fs::create_dir(&work).expect("a folder");
    let sync = || Ran::new(world.command(["sync", "../library", "--json"]).current_dir(&work).output().expect("runs"));
    assert_eq!(sync().ended_with(0).summary()["uploaded"], 1);
    assert_eq!(sync().ended_with(0).summary()["reused"], 1);
    fs::remove_dir(&work).expect("gone");
    let listed = world.json(["ls"]).ended_with(0).events_of("asset");
    let place = listed[0]["path"].as_str().expect("a path");
    assert!(place.ends_with("/library/a.png") && !place.contains(".."), "{place}");
    world.run(["verify"]).ended_with(0);
    world.run(["prune", "--unreferenced", "--yes"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 1);
}
