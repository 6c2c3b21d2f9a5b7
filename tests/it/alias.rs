//! Aliases: names for assets that are good wherever a reference is, on every Page.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::pictures::png;
use crate::support::{Ran, World};

const SOMEBODY: &str = "1254459154682919";

fn as_second_page(mut command: Command) -> Ran {
    Ran::new(command.env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-2").output().expect("runs"))
}

#[test]
fn an_alias_is_given_without_an_upload_and_resolves_on_every_page() {
    let world = World::new();
    world.put("banner.png", png(1));
    let run = world.json(["alias", "hero", "library/banner.png"]).ended_with(0);
    let event = &run.events_of("alias")[0];
    assert_eq!(
        (&event["alias"], &event["outcome"], &event["kind"]),
        (&json!("hero"), &json!("created"), &json!("image"))
    );
    assert_eq!(world.uploads(), 0);
    let first = world.run(["resolve", "@hero"]).ended_with(0).stdout;
    let second = as_second_page(world.command(["resolve", "@hero"])).ended_with(0).stdout;
    assert_eq!(world.uploads(), 2);
    assert_ne!(first, second, "each Page has its own id");
    assert_eq!(world.run(["resolve", "library/banner.png"]).ended_with(0).stdout, first);
    assert_eq!(world.run(["resolve", "@hero"]).ended_with(0).stdout, first);
    assert_eq!(world.uploads(), 2);
}

#[test]
fn an_alias_is_taken_wherever_a_reference_is() {
    let world = World::new();
    world.put("banner.png", png(1));
    world.run(["alias", "@hero", "library/banner.png"]).ended_with(0);
    world.run(["alias", "spring/hero", "@hero"]).ended_with(0);
    world.run(["send", "--to", SOMEBODY, "--asset", "@hero"]).ended_with(0);
    let message = json!({"attachment": {"type": "image", "payload": {"asset": "@spring/hero"}}});
    fs::write(world.library().join("card.json"), message.to_string()).expect("a file");
    world.run(["send", "--to", SOMEBODY, "--message", "library/card.json"]).ended_with(0);
    let truth = world.truth();
    let id = truth.attachments[0].id.as_str();
    for message in &truth.messages {
        assert_eq!(json!(message.request)["message"]["attachment"]["payload"], json!({"attachment_id": id}));
    }
    assert_eq!((truth.messages.len(), world.uploads()), (2, 1));

    let shown = world.json(["show", "@hero"]).ended_with(0);
    assert_eq!(shown.events_of("asset")[0]["aliases"], json!(["hero", "spring/hero"]));
    assert!(world.run(["show", "@hero"]).ended_with(0).stdout.contains("@hero  @spring/hero"));
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset")[0]["aliases"], json!(["hero", "spring/hero"]));
    assert!(world.run(["ls"]).ended_with(0).stdout.contains("@spring/hero"));
    world.run(["forget", "@hero"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events().len(), 0);
    world.run(["show", "@hero"]).ended_with(3);
    let told = world.run(["refresh", "@hero"]).ended_with(3).stdout;
    assert!(told.starts_with("✗ failed    @hero\n    @hero is not on record\n"), "{told}");
    assert!(told.contains("`reattach resolve` uploads it"), "{told}");
    world.run(["resolve", "@hero"]).ended_with(0);
    assert_eq!(world.uploads(), 2, "the name outlives the ids");
}

#[test]
fn an_alias_stands_for_the_bytes_it_was_made_of() {
    let world = World::new();
    world.put("banner.png", png(1));
    world.run(["alias", "hero", "library/banner.png"]).ended_with(0);
    world.put("banner.png", png(2));
    let run = world.run(["resolve", "@hero"]).ended_with(3);
    assert!(run.stderr.contains("other bytes") && run.stderr.contains("reattach alias hero"), "{}", run.stderr);
    assert_eq!(world.uploads(), 0);
    let run = world.json(["alias", "hero", "library/banner.png"]).ended_with(0);
    assert_eq!(run.events_of("alias")[0]["outcome"], "repointed");
    world.run(["resolve", "@hero"]).ended_with(0);
    fs::remove_file(world.library().join("banner.png")).expect("gone");
    world.run(["resolve", "@hero"]).ended_with(0);
    assert_eq!(world.uploads(), 1, "an id that lives needs no file");
    let again = world.json(["alias", "hero", "@hero"]).ended_with(0);
    assert_eq!(again.events_of("alias")[0]["outcome"], "unchanged");
}

#[test]
fn bytes_are_looked_for_where_they_were_last_uploaded_from_too() {
    let world = World::new();
    world.put("old.png", png(1));
    world.run(["alias", "hero", "library/old.png"]).ended_with(0);
    fs::rename(world.library().join("old.png"), world.library().join("new.png")).expect("moved");
    world.run(["resolve", "library/new.png"]).ended_with(0);
    let old = world.truth().attachments[0].id.clone();
    assert!(world.sandbox().revoke(&old));
    world.run(["send", "--to", SOMEBODY, "--asset", "@hero"]).ended_with(0);
    assert_eq!(world.uploads(), 2);
}

#[test]
fn names_are_listed_shown_and_removed() {
    let world = World::new();
    world.put("banner.png", png(1));
    assert!(world.run(["alias"]).ended_with(0).stdout.contains("no aliases yet"));
    for name in ["b", "a"] {
        world.run(["alias", name, "library/banner.png"]).ended_with(0);
    }
    let listed = world.json(["alias", "--list"]).ended_with(0).events_of("alias");
    assert_eq!(listed.iter().map(|alias| &alias["alias"]).collect::<Vec<_>>(), ["a", "b"]);
    assert!(world.run(["alias", "a"]).ended_with(0).stdout.contains("banner.png"));
    world.run(["alias", "--remove", "@a"]).ended_with(0);
    for arguments in [&["alias", "--remove", "a"][..], &["alias", "a"], &["resolve", "@a"], &["alias", "c", "@a"]] {
        let run = world.run(arguments).ended_with(3);
        assert!(run.stderr.contains("there is no alias @a"), "{}", run.stderr);
    }
    assert_eq!(world.json(["alias"]).ended_with(0).events().len(), 1);
}

#[test]
fn what_the_platform_would_refuse_gets_no_name() {
    let world = World::new();
    world.put("empty.png", b"");
    let run = world.run(["alias", "hero", "library/empty.png"]).ended_with(3);
    assert!(run.stderr.contains("empty"), "{}", run.stderr);
    world.run(["alias", "hero", "library/nowhere.png"]).ended_with(2);
    world.run(["alias", "he ro", "library/empty.png"]).ended_with(2);
    world.run(["alias", "hero", "https://example.com/clip"]).ended_with(3);
    world.run(["alias", "hero", &format!("sha256:{}", "0".repeat(64))]).ended_with(3);
    assert_eq!(world.json(["alias"]).ended_with(0).events().len(), 0);
}

#[test]
fn an_address_and_a_digest_can_have_names() {
    let world = World::new();
    world.put("banner.png", png(1));
    let digest = world.json(["resolve", "library/banner.png"]).ended_with(0);
    let digest = format!("sha256:{}", digest.asset("banner.png")["sha256"].as_str().expect("a digest"));
    world.run(["alias", "bytes", &digest]).ended_with(0);
    world.run(["alias", "clip", "https://example.com/clip", "--kind", "video"]).ended_with(0);
    world.run(["resolve", "@bytes"]).ended_with(0);
    assert_eq!(world.uploads(), 1);
    let run = world.json(["resolve", "@clip"]).ended_with(0);
    assert_eq!(
        (&run.events_of("asset")[0]["kind"], &run.events_of("asset")[0]["ref"]),
        (&json!("video"), &json!("@clip"))
    );
    assert_eq!(world.uploads(), 2);
}

/// Writes `replies.txt` beside the library, and gives its path.
fn text(world: &World, text: &[u8]) -> std::path::PathBuf {
    let path = world.library().with_file_name("replies.txt");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn markers_in_a_text_become_live_ids() {
    let world = World::new();
    world.put("banner.png", png(1));
    world.put("other.png", png(2));
    world.run(["alias", "hero", "library/banner.png"]).ended_with(0);
    text(&world, b"a <<asset:hero>>\n\xff <<asset:@hero>> <<asset:library/other.png>> <<asset:hero>>");
    let run = world.command(["resolve", "--aliases-in", "replies.txt"]).output().expect("runs");
    assert_eq!(run.status.code(), Some(0));
    let ids: Vec<_> = world.truth().attachments.iter().map(|attachment| attachment.id.clone()).collect();
    let stderr = String::from_utf8_lossy(&run.stderr);
    let hero = world.run(["resolve", "@hero"]).ended_with(0).stdout.trim().to_owned();
    let other = ids.iter().find(|id| **id != hero).expect("another");
    let expected = [b"a ", hero.as_bytes(), b"\n\xff ", hero.as_bytes(), b" ", other.as_bytes(), b" ", hero.as_bytes()];
    assert_eq!(run.stdout, expected.concat());
    assert!(stderr.contains(&format!("@hero → {hero}  (2 times)\n")), "{stderr}");
    assert!(stderr.contains(&format!("library/other.png → {other}\n")), "{stderr}");
    assert_eq!(world.uploads(), 2);
}

#[test]
fn one_marker_without_an_id_and_nothing_is_written() {
    let world = World::new();
    world.put("banner.png", png(1));
    world.run(["alias", "hero", "library/banner.png"]).ended_with(0);
    let path =
        text(&world, b"<<asset:hero>> <<asset:villain>> <<asset:library/gone.png>> <<asset:sha256:zz>> <<asset:>>");
    let out = path.with_file_name("out.txt");
    fs::write(&out, "as it was").expect("a file");
    let run = world.run(["resolve", "--aliases-in", "replies.txt", "--output", "out.txt"]).ended_with(3);
    for name in ["<<asset:villain>>", "library/gone.png", "sha256:zz", "<<asset:>>", "nothing was written"] {
        assert!(run.stderr.contains(name), "{name} in {}", run.stderr);
    }
    assert_eq!((run.stdout.as_str(), fs::read_to_string(&out).expect("a file").as_str()), ("", "as it was"));
    text(&world, b"\n<<asset:hero\n>>");
    assert!(world.run(["resolve", "--aliases-in", "replies.txt"]).ended_with(2).stderr.contains("line 2"));
}

#[test]
fn a_text_goes_to_a_file_and_its_events_to_stdout() {
    let world = World::new();
    world.put("banner.png", png(1));
    let path = text(&world, b"<<asset:library/banner.png>>");
    world.json(["resolve", "--aliases-in", "replies.txt"]).ended_with(2);
    world.run(["resolve", "--aliases-in", "replies.txt", "--output", "library/../replies.txt"]).ended_with(2);
    assert_eq!(world.uploads(), 0);
    let run = world.json(["resolve", "--aliases-in", "replies.txt", "--output", "out.txt"]).ended_with(0);
    let id = world.truth().attachments[0].id.clone();
    assert_eq!(fs::read_to_string(path.with_file_name("out.txt")).expect("a file"), id);
    assert_eq!(run.events_of("asset")[0]["attachment_id"], id.as_str());
    assert_eq!(
        (&run.events_of("text")[0]["output"], &run.events_of("text")[0]["markers"]),
        (&json!("out.txt"), &json!(1))
    );
    text(&world, b"no markers, and no token needed");
    let mut command = world.command(["resolve", "--aliases-in", "replies.txt"]);
    let run = Ran::new(command.env_remove("REATTACH_ACCESS_TOKEN").output().expect("runs")).ended_with(0);
    assert_eq!(run.stdout, "no markers, and no token needed");
}

#[test]
fn where_queries_mean_nothing_an_address_is_shown_and_forgotten_with_any() {
    let world = World::new();
    world.configure("url_query = \"ignore\"\n");
    let clip = format!("{}/clip.mp4", world.url);
    let with = |query: &str| format!("{clip}?{query}");
    let resolve = |query: &str| world.run(["resolve", "--kind", "video", &with(query)]);
    let id = resolve("v=1").ended_with(0).stdout;
    assert_eq!(resolve("v=2").ended_with(0).stdout, id);
    world.run(["alias", "--kind", "video", "clip", &with("v=3")]).ended_with(0);
    for reference in [with("v=4"), "@clip".to_owned()] {
        let shown = world.json(["show", &reference]).ended_with(0).events_of("asset");
        assert_eq!((&shown[0]["attachment_id"], &shown[0]["aliases"]), (&json!(id.trim()), &json!(["clip"])));
    }
    world.run(["forget", &with("v=5")]).ended_with(0);
    world.run(["show", "@clip"]).ended_with(3);
}
