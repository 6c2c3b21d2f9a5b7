//! `resolve`: the live id of a reference, for people and for scripts.

use serde_json::json;

use crate::support::World;
use crate::support::pictures::png;

#[test]
fn a_digest_is_not_answered_with_other_bytes() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.json(["resolve", "library/a.png"]).ended_with(0);
    let digest = format!("sha256:{}", run.asset("a.png")["sha256"].as_str().expect("a digest"));
    world.put("a.png", png(2));
    let run = world.json(["resolve", &digest]).ended_with(0);
    assert_eq!(run.events_of("asset")[0]["outcome"], "reused");
    assert_eq!(world.uploads(), 1);
}

#[test]
fn a_digest_nobody_knows_is_missing() {
    let world = World::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    let run = world.json(["resolve", "--no-upload", &digest]).ended_with(3);
    assert_eq!(run.events_of("asset")[0]["outcome"], "missing");
}

#[test]
fn resolve_of_a_path_that_leads_nowhere_ends_with_2() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["resolve", "library/nowhere.png"]).ended_with(2);
    world.run(["send", "--to", "1", "--file", "library/nowhere.png"]).ended_with(2);
    assert_eq!(world.uploads(), 0);
    let empty = world.run(["resolve", ""]).ended_with(2);
    assert!(empty.stderr.contains("an empty text refers to nothing"), "{}", empty.stderr);
}

#[test]
fn of_several_references_those_that_lead_nowhere_fail_alone() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.json(["resolve", "library/nowhere.png", "library/a.png", "@nobody"]).ended_with(3);
    let outcomes: Vec<_> = run.events_of("asset").iter().map(|asset| asset["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "uploaded", "failed"]);
    assert_eq!(run.problems("nowhere.png"), ["vanished"]);
    assert_eq!((&run.summary()["failed"], &run.summary()["rejected"]), (&2.into(), &0.into()));
    let digest = format!("sha256:{}", "0".repeat(64));
    let told = world.run(["resolve", "--no-upload", &digest]).ended_with(3);
    assert!(told.stderr.contains(&format!("missing   {digest}")), "{}", told.stderr);
}

#[test]
fn resolve_prints_the_bare_id() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.run(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!(run.stdout, format!("{}\n", world.truth().attachments[0].id));
    let again = world.run(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!(again.stdout, run.stdout);
    assert_eq!(world.uploads(), 1);
}

#[test]
fn resolve_of_several_names_each() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    let run = world.run(["resolve", "library/b.png", "library/a.png"]).ended_with(0);
    let lines: Vec<_> = run.stdout.lines().map(|line| line.split_once('\t').expect("ID<TAB>REF")).collect();
    assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["library/b.png", "library/a.png"]);
    assert_ne!(lines[0].0, lines[1].0);
}

#[test]
fn resolve_without_upload_reports_what_is_missing() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.json(["resolve", "--no-upload", "library/a.png"]).ended_with(3);
    assert_eq!(run.asset("a.png")["outcome"], "missing");
    assert_eq!(world.uploads(), 0);
}

#[test]
fn resolve_by_digest_finds_what_was_uploaded() {
    let world = World::new();
    world.put("a.png", png(1));
    let run = world.json(["resolve", "library/a.png"]).ended_with(0);
    let digest = format!("sha256:{}", run.asset("a.png")["sha256"].as_str().expect("a digest"));
    let by_digest = world.run(["resolve", &digest]).ended_with(0);
    assert_eq!(by_digest.stdout.trim(), run.asset("a.png")["attachment_id"]);
    world.run(["resolve", &format!("sha256:{}", "0".repeat(64))]).ended_with(3);
    world.run(["resolve", "sha256:123"]).ended_with(2);
}

#[test]
fn eight_processes_resolving_one_new_file_upload_it_once() {
    let world = World::new();
    world.put("a.png", png(1));
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 300}})).expect("a fault");
    let runs: Vec<_> = (0..8).map(|_| world.start(["resolve", "library/a.png"])).collect();
    let ids: Vec<_> = runs
        .into_iter()
        .map(|child| crate::support::Ran::new(child.wait_with_output().expect("ends")).ended_with(0).stdout)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.uploads(), 1);
}
