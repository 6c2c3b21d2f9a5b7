//! Manifests: ids that leave one store and come into another, as what they are and nothing better.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use reattach::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::support::pictures::png;
use crate::support::{Ran, World};

const SOMEBODY: &str = "1254459154682919";

/// Writes a file beside the library.
fn write(world: &World, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = world.library().with_file_name(name);
    fs::write(&path, text).expect("a file");
    path
}

/// The same world with a store that knows nothing yet.
fn in_empty_store(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env("REATTACH_STORE", format!("sled:{}", world.library().with_file_name("empty").display()));
    command
}

fn run(mut command: Command) -> Ran {
    Ran::new(command.output().expect("runs"))
}

fn synced_world() -> World {
    let world = World::new();
    for number in 1..=20 {
        world.put(format!("banners/{number}.png"), png(number));
    }
    world.put("hero, the \"first\".gif", crate::support::pictures::picture(99, image::ImageFormat::Gif));
    world.run(["sync", "library"]).ended_with(0);
    world.run(["resolve", "https://example.com/x.png?v=1"]).ended_with(0);
    world.run(["alias", "hero", "library/banners/1.png"]).ended_with(0);
    world.run(["alias", "spring/hero", "@hero"]).ended_with(0);
    world.put("new.png", png(100));
    world.run(["alias", "new", "library/new.png"]).ended_with(0);
    world
}

#[test]
fn an_exported_manifest_imported_into_an_empty_store_leaves_nothing_to_upload() {
    for format in ["json", "csv"] {
        let world = synced_world();
        fs::remove_file(world.library().join("new.png")).expect("gone");
        world.run(["export", "--format", format, "--output", "library/manifest"]).ended_with(0);
        let uploads = world.uploads();
        let import = run(in_empty_store(&world, &["import", "library/manifest", "--json"])).ended_with(0);
        assert_eq!(
            (&import.summary()["imported"], &import.summary()["aliases"]),
            (&json!(23), &json!(3)),
            "{import:?}"
        );
        fs::remove_file(world.library().join("manifest")).expect("gone");
        let sync = run(in_empty_store(&world, &["sync", "library", "--json"])).ended_with(0).summary();
        assert_eq!((&sync["uploaded"], &sync["refreshed"], &sync["reused"]), (&json!(0), &json!(0), &json!(21)));
        for reference in ["@hero", "@spring/hero", "https://example.com/x.png?v=1"] {
            let there = run(in_empty_store(&world, &["resolve", reference])).ended_with(0).stdout;
            assert_eq!(there, world.run(["resolve", reference]).ended_with(0).stdout);
        }
        assert_eq!(world.uploads(), uploads);
    }
}

#[test]
fn a_manifest_that_went_round_is_the_same_to_the_byte() {
    let world = synced_world();
    for format in ["json", "csv"] {
        world.run(["export", "--format", format, "-o", "library/first"]).ended_with(0);
        let first = fs::read_to_string(world.library().join("first")).expect("a file");
        assert!(first.contains("banners/7.png") && !first.contains(world.library().to_str().expect("text")), "{first}");
        assert!(!first.contains("SANDBOX-PAGE"), "no secrets");
        run(in_empty_store(&world, &["import", "library/first"])).ended_with(0);
        run(in_empty_store(&world, &["export", "--format", format, "-o", "library/second"])).ended_with(0);
        assert_eq!(fs::read_to_string(world.library().join("second")).expect("a file"), first);
        let again = run(in_empty_store(&world, &["import", "library/first", "--json"])).ended_with(0).summary();
        assert_eq!((&again["imported"], &again["kept"], &again["aliases"]), (&json!(0), &json!(23), &json!(0)));
    }
    let stdout = world.run(["export"]).ended_with(0).stdout;
    assert!(stdout.contains("\"path\":\"library/banners/7.png\""), "from the current folder: {stdout}");
}

#[test]
fn an_id_without_an_age_is_renewed_and_never_sent() {
    let world = World::new();
    for number in 1..=3 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    let ids: Vec<_> = world.truth().attachments.iter().map(|attachment| attachment.id.clone()).collect();
    let map = json!({"1.png": ids[0], "2.png": ids[1], "gone.png": ids[2]});
    for (name, text) in [
        ("map.json", map.to_string()),
        ("map.csv", format!("\u{feff}Name;ID\r\n1.png;{}\r\n2.png;{}\r\ngone.png;{}\r\n", ids[0], ids[1], ids[2])),
    ] {
        write(&world, name, text);
        let import = run(in_empty_store(&world, &["import", name, "--library", "library", "--json"])).ended_with(3);
        let summary = import.summary();
        assert_eq!(
            (&summary["imported"], &summary["failed"], &summary["unknown_age"]),
            (&json!(2), &json!(1), &json!(2))
        );
        let gone = import.events_of("asset").into_iter().find(|asset| asset["ref"] == "gone.png").expect("named");
        let hint = gone["error"]["hint"].as_str().expect("a hint");
        assert!(hint.starts_with("put the file there, or name another folder"), "{gone}");
        for asset in run(in_empty_store(&world, &["ls", "--json"])).ended_with(0).events_of("asset") {
            assert_eq!((&asset["state"], &asset["expires_at"]), (&json!("unknown_age"), &Value::Null));
        }
        let missing = run(in_empty_store(&world, &["resolve", "--no-upload", "library/1.png", "--json"])).ended_with(3);
        assert_eq!(missing.events_of("asset")[0]["outcome"], "missing");
        run(in_empty_store(&world, &["send", "--to", SOMEBODY, "--file", "library/1.png"])).ended_with(0);
        let sent = json!(world.truth().messages.last().expect("a message").request)["message"].to_string();
        assert!(!ids.iter().any(|id| sent.contains(id.as_str())), "{sent}");
        let sync = run(in_empty_store(&world, &["sync", "library", "--json"])).ended_with(0).summary();
        assert_eq!((&sync["refreshed"], &sync["uploaded"], &sync["reused"]), (&json!(1), &json!(1), &json!(1)));
        let sync = run(in_empty_store(&world, &["sync", "library", "--json"])).ended_with(0).summary();
        assert_eq!(sync["reused"], 3);
        fs::remove_dir_all(world.library().with_file_name("empty")).expect("removed");
    }
}

#[test]
fn a_name_may_be_a_web_address() {
    let world = World::new();
    let map = json!({
        "https://example.com/a.png": "71",
        "HTTPS://Example.com/b.mp4#here": "72",
        "https://example.com/watch": "73",
        "https://example.com/c.png?access_token=x": "74",
    });
    write(&world, "map.json", map.to_string());
    let import = world.json(["import", "map.json"]).ended_with(3);
    assert_eq!((&import.summary()["imported"], &import.summary()["rejected"]), (&json!(2), &json!(2)), "{import:?}");
    assert!(import.stdout.contains("a table with the columns name, id and kind"), "{import:?}");
    write(&world, "table.csv", "name,id,kind\nhttps://example.com/watch,73,video\n");
    world.run(["import", "table.csv"]).ended_with(0);
    let listed = world.json(["ls"]).ended_with(0).events_of("asset");
    let mut listed: Vec<_> = listed.iter().map(|asset| (asset["url"].as_str(), asset["kind"].as_str())).collect();
    listed.sort_unstable();
    let video = |url| (Some(url), Some("video"));
    let all = [(Some("https://example.com/a.png"), Some("image")), video("https://example.com/b.mp4")];
    assert_eq!(listed, [all[0], all[1], video("https://example.com/watch")]);
}

#[test]
fn an_id_of_another_page_platform_or_origin_is_refused_by_name_and_the_others_go_in() {
    let world = World::new();
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    world.run(["export", "-o", "library/manifest.json"]).ended_with(0);
    let text = fs::read_to_string(world.library().join("manifest.json")).expect("a file");
    let page = world.sandbox().pages()[0].id;
    let url = world.sandbox().url();
    for (mine, others) in [(page, "42"), ("\"messenger\"", "\"instagram\""), (url, "https://graph.facebook.com")] {
        let spoilt = text.replacen(mine, others, 1);
        assert_ne!(spoilt, text);
        write(&world, "library/spoilt.json", spoilt);
        let import = run(in_empty_store(&world, &["import", "library/spoilt.json", "--json"])).ended_with(3);
        let refused = import.asset_called("a.png");
        assert_eq!(refused["outcome"], "rejected", "{import:?}");
        let message = refused["error"]["message"].as_str().expect("a message");
        assert!(message.contains(others.trim_matches('"')) && message.contains(mine.trim_matches('"')), "{message}");
        assert_eq!(import.asset_called("b.png")["outcome"], "imported");
        let listed = run(in_empty_store(&world, &["ls", "--json"])).ended_with(0).events_of("asset");
        assert_eq!(listed.len(), 1);
        fs::remove_dir_all(world.library().with_file_name("empty")).expect("removed");
    }
    let mut second = in_empty_store(&world, &["import", "library/manifest.json", "--json"]);
    second.env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-2");
    assert_eq!(run(second).ended_with(3).summary()["rejected"], 2);
}

#[test]
fn a_copy_of_which_too_little_is_said_is_refused_by_name_and_the_others_go_in() {
    let world = World::new();
    let hash = |digit: char| digit.to_string().repeat(64);
    let entry = |path: &str, digit: char, more: &Value| {
        let mut entry = json!({"path": path, "kind": "image", "sha256": hash(digit), "attachment_id": "12",
            "source_sha256": hash('f'), "fit_rules": "fit1;messenger", "recipe": "fit1;messenger;png;2x2",
            "size_bytes": 9, "width": 2, "height": 2});
        entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        entry
    };
    let assets = [
        entry("sizeless.png", 'a', &json!({"size_bytes": 0})),
        entry("flat.png", 'b', &json!({"height": null})),
        entry("odd.png", 'c', &json!({"recipe": "a\0b"})),
        entry("ruleless.png", 'd', &json!({"fit_rules": null})),
        entry("later.png", 'e', &json!({"fit_rules": "fit9;messenger"})),
        entry("copy.png", '1', &json!({})),
    ];
    let manifest = write(&world, "ids.json", json!({"reattach_manifest": 1, "assets": assets}).to_string());
    let ran = world.json(["import", manifest.to_str().expect("a path")]).ended_with(3);
    assert_eq!((&ran.summary()["imported"], &ran.summary()["rejected"]), (&json!(2), &json!(4)), "{}", ran.stdout);
    let shown = |digit: char| world.json(["show", &format!("sha256:{}", hash(digit))]).ended_with(0).events_of("asset");
    assert_eq!(shown('1')[0]["fitted_from"][0]["source_sha256"], json!(hash('f')));
    assert_eq!(shown('e')[0]["fitted_from"].as_array().map_or(0, Vec::len), 0, "by rules nobody knows here");
}

#[test]
fn what_is_on_record_and_fresher_stays() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.run(["export", "-o", "old.json"]).ended_with(0);
    world.run(["sync", "library", "--force"]).ended_with(0);
    let fresh = world.run(["resolve", "library/a.png"]).ended_with(0).stdout;
    write(&world, "map.json", json!({"library/a.png": "1857777774821032"}).to_string());
    for name in ["old.json", "map.json"] {
        assert_eq!(world.json(["import", name]).ended_with(0).summary()["kept"], 1, "{name}");
        assert_eq!(world.run(["resolve", "library/a.png"]).ended_with(0).stdout, fresh);
    }
}

#[test]
fn a_dry_run_imports_nothing() {
    let world = synced_world();
    world.run(["export", "-o", "all.json"]).ended_with(0);
    let import = run(in_empty_store(&world, &["import", "-n", "all.json", "--json"])).ended_with(0).summary();
    assert_eq!((&import["planned"], &import["imported"]), (&json!(23), &json!(0)));
    assert_eq!(run(in_empty_store(&world, &["ls", "--json"])).ended_with(0).events().len(), 0);
    assert_eq!(run(in_empty_store(&world, &["alias", "--json"])).ended_with(0).events().len(), 0);
}

#[test]
fn no_age_in_a_manifest_makes_an_id_younger_than_it_can_be() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.run(["export", "-o", "library/m.json"]).ended_with(0);
    let text = fs::read_to_string(world.library().join("m.json")).expect("a file");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let now = SystemClock.now();
    let days = |days: u64| std::time::Duration::from_hours(24 * days);
    for (uploaded, expires, state) in [
        (now.plus(days(30)), now.plus(days(120)), "unknown_age"),
        (now.minus(days(100)), now.plus(days(1_000)), "expired"),
        (now.minus(days(89)), now.plus(days(1_000)), "due"),
        (now.minus(days(10)), now.minus(days(20)), "unknown_age"),
        (now.minus(days(10)), now.plus(days(1_000)), "live"),
    ] {
        let mut spoilt = manifest.clone();
        let entry = &mut spoilt["assets"][0];
        (entry["uploaded_at"], entry["expires_at"]) = (json!(uploaded), json!(expires));
        write(&world, "library/spoilt.json", spoilt.to_string());
        run(in_empty_store(&world, &["import", "library/spoilt.json"])).ended_with(0);
        let listed = run(in_empty_store(&world, &["ls", "--json"])).ended_with(0).events_of("asset");
        assert_eq!(listed[0]["state"], state, "{listed:?}");
        let limit = json!(now.plus(days(90)));
        assert!(listed[0]["expires_at"].as_str() <= limit.as_str(), "{listed:?}");
        fs::remove_dir_all(world.library().with_file_name("empty")).expect("removed");
    }
}

#[test]
fn a_lock_file_of_bottender_is_imported_and_exported() {
    let world = World::new();
    world.put("assets/deep/hero.png", png(1));
    world.put("assets/changed.png", png(2));
    world.put("assets/twice/x.png", png(3));
    world.put("assets/again/x.png", png(4));
    world.run(["sync", "library/assets/deep"]).ended_with(0);
    let id = world.truth().attachments[0].id.clone();
    let (page, now) = (world.sandbox().pages()[0].id, SystemClock.now().as_unix_millis());
    let sum = |bytes: &[u8]| hex::encode(Sha512::digest(bytes));
    let file = |id: &str, page: &str, bytes: &[u8]| json!({"attachment_id": id, "pageId": page, "uploaded_at": now - 1_000, "checksum": sum(bytes)});
    let lock = json!({"messenger": {
        "hero.png": file(&id, page, &png(1)),
        "changed.png": file("7", page, &png(99)),
        "x.png": file("8", page, &png(4)),
        "else.png": file("9", "42", &png(1)),
        "gone.png": file("10", page, &png(5)),
    }});
    write(&world, "library/bottender-lock.json", lock.to_string());
    let import = run(in_empty_store(&world, &["import", "library/bottender-lock.json", "--json"])).ended_with(3);
    let outcome = |name: &str| import.asset_called(name)["outcome"].as_str().expect("an outcome").to_owned();
    let names = ["hero.png", "changed.png", "x.png", "else.png", "gone.png"];
    assert_eq!(names.map(outcome), ["imported", "rejected", "imported", "rejected", "failed"]);
    let sync = run(in_empty_store(&world, &["sync", "library/assets/deep", "--json"])).ended_with(0).summary();
    assert_eq!(sync["reused"], 1, "its age is known, and it is alive");

    world.run(["export", "--format", "lockfile", "-o", "library/lock.json"]).ended_with(0);
    let written = fs::read_to_string(world.library().join("lock.json")).expect("a file");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    let hero = &written["messenger"]["hero.png"];
    assert_eq!(
        (&hero["attachment_id"], &hero["pageId"], &hero["checksum"]),
        (&json!(id), &json!(page), &json!(sum(&png(1))))
    );
}

#[test]
fn a_name_cannot_lead_out_of_the_library() {
    let world = World::new();
    world.put("a.png", png(1));
    write(&world, "secret.png", png(2));
    std::os::unix::fs::symlink("../secret.png", world.library().join("link.png")).expect("a link");
    let map = json!({"../secret.png": "71", "link.png": "72", "/etc/hostname": "73", "a.png": "74"});
    write(&world, "library/map.json", map.to_string());
    let import = world.json(["import", "library/map.json"]).ended_with(3);
    assert_eq!((&import.summary()["rejected"], &import.summary()["imported"]), (&json!(3), &json!(1)), "{import:?}");
}

#[test]
fn what_is_no_manifest_ends_with_2() {
    let world = World::new();
    for text in
        [&b""[..], b"{\"a.png\": \"1\"", b"{\"a\":\"1\",\"a\":\"2\"}", b"\xff\xfe", b"name,id\n\xe9.png,7\n", b"[]"]
    {
        write(&world, "m", text);
        let run = world.json(["import", "m"]).ended_with(2);
        assert_eq!(run.events_of("error")[0]["class"], "usage", "{}", text.escape_ascii());
    }
    let large = fs::File::create(world.library().join("large")).expect("a file");
    large.set_len(1 << 30).expect("sparse");
    assert!(world.run(["import", "library/large"]).ended_with(2).stderr.contains("over 256 MiB"));
    world.run(["import", "nowhere"]).ended_with(2);
    world.json(["export"]).ended_with(2);
}

#[test]
fn variables_hold_ids_that_are_alive_and_of_one_page() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["alias", "hero", "library/a.png"]).ended_with(0);
    let id = world.run(["resolve", "@hero"]).ended_with(0).stdout.trim().to_owned();
    let text = world.run(["export", "--format", "env"]).ended_with(0).stdout;
    assert_eq!(text, format!("HERO={id}\nLIBRARY_A_PNG={id}\n"));
    write(&world, "map.json", json!({"library/b.png": "71"}).to_string());
    world.put("b.png", png(2));
    world.run(["import", "map.json"]).ended_with(0);
    let run = world.run(["export", "--format", "env"]).ended_with(0);
    assert_eq!(run.stdout, text);
    assert!(run.stderr.contains("left out 1 id"), "{}", run.stderr);
    let mut second = world.command(["resolve", "library/a.png"]);
    second.env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-2").output().expect("runs");
    world.run(["export", "--format", "env"]).ended_with(2);
    world.configure("page = \"shop\"\n[pages.shop]\n");
    assert_eq!(world.run(["export", "--format", "env", "--page", "shop"]).ended_with(0).stdout, text);
}

#[test]
fn a_variable_never_moves_to_another_picture() {
    let world = World::new();
    for number in 1..=2 {
        world.put(format!("{number}.png"), png(number));
        world.run(["sync", "library"]).ended_with(0);
    }
    let id = |number: u8| world.run(["resolve", &format!("library/{number}.png")]).ended_with(0).stdout;
    let (first, second) = (id(1), id(2));
    world.run(["alias", "hero", "library/1.png"]).ended_with(0);
    world.run(["alias", "hero-2", "library/2.png"]).ended_with(0);
    let files = format!("LIBRARY_1_PNG={first}LIBRARY_2_PNG={second}");
    let exported = world.run(["export", "--format", "env"]).ended_with(0);
    assert_eq!(exported.stdout, format!("HERO={first}HERO_2={second}{files}"));
    assert!(!exported.stderr.contains("left out"), "{}", exported.stderr);

    world.run(["alias", "Hero", "library/1.png"]).ended_with(0);
    let exported = world.run(["export", "--format", "env"]).ended_with(0);
    assert_eq!(exported.stdout, format!("HERO={first}HERO_2={second}{files}"), "two names of one picture");

    world.run(["alias", "Hero", "library/2.png"]).ended_with(0);
    let exported = world.run(["export", "--format", "env"]).ended_with(0);
    assert_eq!(exported.stdout, format!("HERO_2={second}{files}"));
    for words in ["left out @hero: HERO would stand for @Hero as well", "left out @Hero: HERO would stand for @hero"] {
        assert!(exported.stderr.contains(words), "{words}: {}", exported.stderr);
    }
}

#[test]
fn what_is_left_out_is_named_and_not_counted() {
    let world = World::new();
    world.put("a/x.png", png(1));
    world.put("b/x.png", png(2));
    world.put("y.png", png(3));
    world.run(["sync", "library"]).ended_with(0);
    let run = world.json(["export", "--format", "lockfile", "-o", "library/lock.json"]).ended_with(0);
    assert_eq!(run.events_of("export")[0]["entries"], 1);
    for words in ["left out a/x.png: x.png would stand for b/x.png", "left out b/x.png: x.png would stand for a/x.png"]
    {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    let lock = world.library().join("lock.json");
    let written: Value = serde_json::from_slice(&fs::read(&lock).expect("a file")).expect("JSON");
    fs::remove_file(lock).expect("removed");
    let names: Vec<_> = written["messenger"].as_object().expect("files").keys().collect();
    assert_eq!(names, ["y.png"]);

    world.put("a-x.png", png(4));
    world.run(["sync", "library"]).ended_with(0);
    let run = world.run(["export", "--format", "env", "-o", "library/ids.env"]).ended_with(0);
    assert!(run.stdout.contains("2 assets"), "{}", run.stdout);
    world.run(["alias", "mine", "library/a-x.png"]).ended_with(0);
    let run = world.run(["export", "--format", "env", "-o", "library/ids.env"]).ended_with(0);
    assert!(run.stdout.contains("3 assets") && run.stderr.contains("left out a-x.png"), "{run:?}");
}

#[test]
fn constants_are_taken_by_their_compilers() {
    let world = World::new();
    world.put("a.png", png(1));
    for name in ["hero", "spring/hero", "hero-1", "hero.1", "7up", "_", "None", "fn", "assets"] {
        world.run(["alias", name, "library/a.png"]).ended_with(0);
    }
    let folder = world.library();
    for (format, name) in [("py", "assets.py"), ("rust", "assets.rs"), ("ts", "assets.ts")] {
        let path = format!("library/{name}");
        let run = world.run(["export", "--format", format, "--output", &path]).ended_with(0);
        assert!(run.stdout.contains("9 names"), "{}", run.stdout);
        let text = fs::read_to_string(folder.join(name)).expect("a file");
        assert!(text.contains("\"@spring/hero\"") && !text.contains(&folder.display().to_string()), "{text}");
    }
    let succeeds =
        |program: &str, arguments: &[&str]| match Command::new(program).args(arguments).current_dir(&folder).output() {
            Ok(output) => assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{program} is not here"),
        };
    succeeds(
        "rustc",
        &["--edition", "2021", "--crate-type", "lib", "--emit", "metadata", "-D", "warnings", "assets.rs"],
    );
    let check = "import assets; assert assets.ASSETS['spring/hero'] == assets.SPRING_HERO == '@spring/hero'";
    succeeds("python3", &["-W", "error", "-c", check]);
}
