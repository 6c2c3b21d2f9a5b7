//! `check`: every sort of file gets its own verdict, and none disturbs the others.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use image::ImageFormat;
use serde_json::json;

use crate::support::World;
use crate::support::pictures::{picture, png};

#[test]
fn the_sample_library_is_judged_as_its_page_says() {
    let world = World::new();
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/assets-example");
    let run = world.json(["check", library]).ended_with(3);
    let summary = run.summary();
    assert_eq!((&summary["files"], &summary["unique"]), (&json!(12), &json!(11)));
    assert_eq!((&summary["ok"], &summary["rejected"], &summary["warned"]), (&json!(11), &json!(1), &json!(2)));
    assert_eq!(run.problems("billboard.png"), ["too_many_pixels"]);
    assert_eq!(run.problems("mug.webp"), ["unsupported_format"]);
    assert_eq!(run.problems("potted-plant.jpg"), ["extension_mismatch"]);
    assert_eq!(run.asset("potted-plant.jpg")["mime"], "image/png");
    for (name, kind) in [
        ("hero.png", "image"),
        ("blooming.gif", "image"),
        ("sunrise.mp4", "video"),
        ("chime.mp3", "audio"),
        ("price-list.pdf", "file"),
    ] {
        assert_eq!(run.asset(name)["kind"], kind, "{name}");
        assert_eq!(run.problems(name), [""; 0], "{name}");
    }
    assert_eq!((&run.asset("hero.png")["width"], &run.asset("hero.png")["height"]), (&json!(1200), &json!(628)));
}

#[test]
fn reports_come_in_a_stable_order() {
    let world = World::new();
    for number in 0..200 {
        world.put(format!("{}/{number}.png", number % 9), png(number));
    }
    let first = world.json(["check", "library"]).ended_with(0);
    let again = world.json(["check", "library"]).ended_with(0);
    let paths = |run: &crate::support::Ran| {
        run.events_of("asset").iter().map(|asset| asset["path"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&first), paths(&again));
    let mut sorted = paths(&first);
    sorted.sort();
    assert_eq!(paths(&first), sorted);
}

#[test]
fn hidden_files_and_junk_are_left_out() {
    let world = World::new();
    for name in ["a.png", ".hidden.png", ".DS_Store", "Thumbs.db", "._a.png", ".git/b.png"] {
        world.put(name, png(1));
    }
    assert_eq!(world.json(["check", "library"]).ended_with(0).summary()["files"], 1);
    assert_eq!(world.json(["check", "library", "--hidden"]).summary()["files"], 3);
}

#[test]
fn include_and_exclude_choose_and_exclude_wins() {
    let world = World::new();
    for name in ["a.png", "b.jpg", "drafts/c.png", "d.txt"] {
        world.put(name, picture(1, if name.ends_with("jpg") { ImageFormat::Jpeg } else { ImageFormat::Png }));
    }
    let files = |flags: &[&str]| {
        let run = world.json(["check", "library"].iter().chain(flags));
        let mut names: Vec<_> = run
            .events_of("asset")
            .iter()
            .map(|a| a["path"].as_str().expect("a path").rsplit('/').next().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(&["--include", "*.png"]), ["a.png", "c.png"]);
    assert_eq!(files(&["--include", "*.png", "--exclude", "drafts/"]), ["a.png"]);
    assert_eq!(files(&["library/a.png", "library/b.jpg", "--include", "*.png", "--exclude", "a*"]), ["c.png"]);
    assert_eq!(files(&["--exclude", "*.txt", "--exclude", "*.jpg"]), ["a.png", "c.png"]);
}

#[test]
fn a_glob_that_would_leave_nothing_out_is_refused() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["check", "library", "--exclude", "img[0-"]).ended_with(2);
}

#[test]
fn symbolic_links_are_not_followed() {
    let world = World::new();
    let outside = world.library().parent().expect("home").join("secret.png");
    fs::write(&outside, png(7)).expect("a file");
    world.put("a.png", png(1));
    symlink(&outside, world.library().join("link.png")).expect("a link");
    symlink(world.library(), world.library().join("loop")).expect("a link");
    symlink("nowhere", world.library().join("dangling.png")).expect("a link");
    assert_eq!(world.json(["check", "library"]).ended_with(0).summary()["files"], 1);
}

/// Every sort of bad file at once, with good ones among them: each gets its own problem, and the good ones are fine.
#[test]
fn bad_files_get_a_problem_each_and_stop_nobody() {
    let world = World::new();
    let library = world.library();
    world.put("good.png", png(1));
    world.put("zz good.jpg", picture(2, ImageFormat::Jpeg));
    world.put("empty.png", b"");
    fs::File::create(library.join("sparse.mp4")).and_then(|file| file.set_len(4 << 30)).expect("a sparse file");
    rustix::fs::mkfifoat(rustix::fs::CWD, library.join("fifo.png"), rustix::fs::Mode::RWXU).expect("a fifo");
    std::os::unix::net::UnixListener::bind(library.join("socket.png")).expect("a socket");
    fs::create_dir(library.join("folder.jpg")).expect("a folder");
    world.put("half.png", &png(3)[..png(3).len() / 2]);
    world.put("half.jpg", &picture(3, ImageFormat::Jpeg)[..200]);
    world.put("lie.jpg", b"<!doctype html><html><body>not found</body></html>");
    world.put("noise.png", [0xA5; 300]);
    world.put("vast.png", vast_png());
    let started = Instant::now();
    let run = world.json(["check", "library"]).ended_with(3);
    assert!(started.elapsed() < Duration::from_secs(20), "something hung");
    for (name, problem) in [
        ("/empty.png", "empty"),
        ("/sparse.mp4", "too_large"),
        ("/fifo.png", "not_a_regular_file"),
        ("/socket.png", "not_a_regular_file"),
        ("/folder.jpg", "not_a_regular_file"),
        ("/half.png", "corrupt"),
        ("/half.jpg", "corrupt"),
        ("/vast.png", "too_many_pixels"),
    ] {
        assert_eq!(run.problems(name), [problem], "{name}");
        assert_eq!(run.asset(name)["outcome"], "rejected", "{name}");
    }
    // What is refused for its size says which.
    for (name, size) in [("/empty.png", 0_u64), ("/sparse.mp4", 4 << 30)] {
        assert_eq!(run.asset(name)["size_bytes"], size, "{name}");
    }
    let told = world.run(["check", "library/sparse.mp4"]).ended_with(3).stdout;
    assert!(told.contains("library/sparse.mp4  4.3 GB"), "{told}");
    for name in ["/lie.jpg", "/noise.png"] {
        assert_eq!(run.asset(name)["outcome"], "rejected", "{name}");
        assert_eq!(run.problems(name).len(), 1, "{name}");
    }
    for name in ["/good.png", "/zz good.jpg"] {
        assert_eq!((run.asset(name)["outcome"].as_str(), run.problems(name).len()), (Some("ok"), 0), "{name}");
    }
    for asset in run.events_of("asset") {
        for problem in asset["problems"].as_array().expect("problems") {
            assert!(problem["message"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
            assert!(problem["hint"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
    }
}

/// A PNG that declares 100,000 × 100,000 pixels and is otherwise whole.
fn vast_png() -> Vec<u8> {
    let mut bytes = png(1);
    bytes[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_device_named_outright_is_refused() {
    let world = World::new();
    let run = world.json(["check", "/dev/zero"]).ended_with(3);
    assert_eq!(run.problems("/dev/zero"), ["not_a_regular_file"]);
}

#[test]
fn a_file_that_may_not_be_read_is_unreadable() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let locked = world.put("locked.png", png(1));
    world.put("open.png", png(2));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("a mode");
    if fs::read(&locked).is_ok() {
        // The superuser reads everything; what it may not do is enter another process's memory.
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o600)).expect("a mode");
        let run = world.json(["check", "/proc/self/mem"]).ended_with(3);
        assert_eq!(run.asset("/proc/self/mem")["outcome"], "rejected");
        return;
    }
    let run = world.json(["check", "library"]).ended_with(3);
    assert_eq!(run.problems("locked.png"), ["unreadable"]);
    assert_eq!(run.asset("open.png")["outcome"], "ok");
}

#[test]
fn names_of_every_sort_are_taken_and_cannot_speak_to_the_terminal() {
    let world = World::new();
    let long = format!("{}.png", "n".repeat(251));
    let names = [
        "new\nline.png",
        "esc\u{1b}[31mred.png",
        "rtl\u{202e}gnp.png",
        "-leading-dash.png",
        "emoji 🌞.png",
        &long,
        "Twin.png",
        "twin.png",
        "=cmd|' /C calc'!A0.png",
    ];
    for (number, name) in (0..).zip(names) {
        world.put(name, png(number));
    }
    let raw = world.library().join(OsStr::from_bytes(b"not \xff text.png"));
    fs::write(&raw, png(99)).expect("a file");
    let run = world.json(["check", "library"]).ended_with(0);
    assert_eq!((&run.summary()["files"], &run.summary()["ok"]), (&json!(10), &json!(10)));
    for name in names {
        assert_eq!(run.asset(name)["outcome"], "ok", "{name:?}");
    }
    let odd = run.asset("text.png");
    assert!(odd["path"].as_str().expect("a path").contains('\u{fffd}'));
    let bytes = hex::decode(odd["path_bytes_hex"].as_str().expect("the bytes")).expect("hexadecimal");
    assert!(bytes.ends_with(b"not \xff text.png"));
    let text = world.run(["check", "-v", "library", "--color", "never"]).ended_with(0).stdout;
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    assert!(text.contains("not \\xff text.png"), "{text}");
    let synced = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(synced.summary()["uploaded"], 10);
    for attachment in world.truth().attachments {
        let name = attachment.file.expect("a file").name;
        assert!(name.is_ascii() && !name.contains(['"', '\n', '/', '\\']) && !name.is_empty(), "{name:?}");
    }
}
