//! `--fit`: an image Meta would refuse goes up as a copy that fits, once.

use std::fs;
use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::pictures::{picture, png};

const SOMEBODY: &str = "1254459154682919";

/// What the log says whenever a picture is decoded to make a copy.
const MAKING: &str = "making a copy that fits";

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

/// A picture of so many pixels that compress well.
fn stripes(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| if (x + y) % 200 < 100 { Rgb([200, 30, 90]) } else { Rgb([20, 160, 220]) })
}

/// The hashes of all files the sandbox was sent, in the order they came.
fn sent(world: &World) -> Vec<String> {
    world
        .truth()
        .attachments
        .iter()
        .map(|attachment| attachment.file.as_ref().expect("a file").sha256.clone())
        .collect()
}

/// From its upload to its message: one decode, one upload.
#[test]
fn a_copy_goes_up_once_and_is_sent_by_its_id() {
    let world = World::new();
    let path = world.put("scan.tiff", encoded(stripes(300, 200), ImageFormat::Tiff));
    world.put("hero.png", png(1));
    let first = world.json(["sync", "library", "--fit", "-v"]).ended_with(0);
    assert_eq!(first.stderr.matches(MAKING).count(), 1, "{}", first.stderr);
    let asset = first.asset("scan.tiff");
    let fitted = &asset["fitted"];
    assert_eq!((&asset["outcome"], &asset["mime"]), (&json!("uploaded"), &json!("image/tiff")));
    assert_eq!(
        (&asset["size_bytes"], &asset["problems"]),
        (&json!(fs::metadata(&path).expect("a file").len()), &json!([]))
    );
    assert_eq!(fitted["source_sha256"], asset["sha256"]);
    assert_ne!(fitted["sha256"], asset["sha256"]);
    assert_eq!((&fitted["recipe"], &fitted["mime"]), (&json!("fit1;messenger;png;300x200"), &json!("image/png")));
    assert_eq!((&fitted["width"], &fitted["height"]), (&json!(300), &json!(200)));
    let copies = world.truth().attachments;
    let copy = copies.iter().find(|attachment| attachment.id == asset["attachment_id"].as_str().expect("an id"));
    let file = copy.and_then(|attachment| attachment.file.clone()).expect("a file");
    assert_eq!(file.sha256, fitted["sha256"].as_str().expect("a hash"));
    assert_eq!((file.name.as_str(), file.mime.as_deref()), ("scan.png", Some("image/png")));
    assert_eq!(json!(file.size_bytes), fitted["size_bytes"]);

    let second = world.json(["sync", "library", "--fit", "-v"]).ended_with(0);
    assert_eq!((&second.summary()["uploaded"], &second.summary()["reused"]), (&json!(0), &json!(2)));
    assert_eq!(second.asset("scan.tiff")["attachment_id"], asset["attachment_id"]);
    let message = world.json(["send", "--to", SOMEBODY, "--file", "library/scan.tiff", "--fit", "-v"]).ended_with(0);
    assert_eq!(message.events_of("send")[0]["attachment_id"], asset["attachment_id"]);
    for run in [&second, &message] {
        assert!(!run.stderr.contains(MAKING), "{}", run.stderr);
    }
    assert_eq!(world.uploads(), 2);

    let shown = world.run(["show", "library/scan.tiff"]).ended_with(0);
    let source = asset["sha256"].as_str().expect("a hash");
    assert!(shown.stdout.contains(&format!("copy of   {source}")), "{}", shown.stdout);
    let hash = format!("sha256:{}", file.sha256);
    let shown = world.json(["show", &hash]).ended_with(0).events_of("asset");
    assert_eq!(shown[0]["fitted_from"], json!([fitted]));
    assert_eq!(shown[0]["path"], path.to_str().expect("a path"));
    let id = world.run(["resolve", &hash]).ended_with(0).stdout;
    assert_eq!(id.trim(), asset["attachment_id"].as_str().expect("an id"));
}

/// `send` alone makes the copy as well; what is sent is what `sync` would have uploaded.
#[test]
fn a_message_carries_a_copy_nobody_made_before() {
    let world = World::new();
    world.put("scan.tiff", encoded(stripes(300, 200), ImageFormat::Tiff));
    let send = ["send", "--to", SOMEBODY, "--file", "library/scan.tiff"];
    world.json(send.iter().chain(&["--fit"])).ended_with(0);
    let run = world.json(["sync", "library", "--fit"]).ended_with(0);
    assert_eq!(sent(&world), [run.asset("scan.tiff")["fitted"]["sha256"].as_str().expect("a hash")]);
    world.json(send.iter().chain(&["--save", "--fit"])).ended_with(0);
    assert_eq!(world.uploads(), 1);
    // Without --fit it goes as it is, which Messenger may take.
    world.json(send).ended_with(0);
    assert_eq!(sent(&world)[1], run.asset("scan.tiff")["sha256"].as_str().expect("a hash"));
}

#[test]
#[ignore = "scaling ninety megapixels takes a minute where nothing is optimised"]
fn the_billboard_of_the_sample_library_goes_up() {
    let world = World::new();
    let banners = concat!(env!("CARGO_MANIFEST_DIR"), "/assets-example/banners");
    world.json(["sync", banners]).ended_with(3);
    let run = world.json(["sync", banners, "--fit"]).ended_with(0);
    let fitted = &run.asset("billboard.png")["fitted"];
    assert_eq!(fitted["recipe"], "fit1;messenger;png;9718x8746");
    assert_eq!(sent(&world).last().map(String::as_str), fitted["sha256"].as_str());
    let again = world.json(["sync", banners, "--fit", "-v"]).ended_with(0);
    assert_eq!((&again.summary()["uploaded"], again.stderr.contains(MAKING)), (&json!(0), false));
}

#[test]
fn formats_meta_does_not_name_become_ones_it_does() {
    let world = World::new();
    world.put("photo.webp", picture(1, ImageFormat::WebP));
    world.put("scan.tiff", picture(2, ImageFormat::Tiff));
    world.put("old.bmp", picture(3, ImageFormat::Bmp));
    world.put("plain.png", picture(4, ImageFormat::Png));
    let run = world.json(["sync", "library", "--fit"]).ended_with(0);
    for name in ["photo.webp", "scan.tiff", "old.bmp"] {
        let asset = run.asset(name);
        assert_eq!((&asset["outcome"], &asset["fitted"]["mime"]), (&json!("uploaded"), &json!("image/png")), "{name}");
        assert_eq!(asset["problems"], json!([]), "{name}");
    }
    assert_eq!(run.asset("plain.png").get("fitted"), None);
    let mut names: Vec<_> =
        world.truth().attachments.iter().map(|a| a.file.as_ref().expect("a file").name.clone()).collect();
    names.sort();
    assert_eq!(names, ["old.png", "photo.png", "plain.png", "scan.png"]);
    let bytes = |run: &Value| run["bytes_uploaded"].as_u64().expect("bytes");
    let copies: u64 = world.truth().attachments.iter().map(|a| a.file.as_ref().expect("a file").size_bytes).sum();
    assert_eq!(bytes(&run.summary()), copies);
}

#[test]
fn a_transparent_picture_is_made_smaller_until_it_fits() {
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(5);
    let noise = RgbaImage::from_fn(1_450, 1_450, |_, _| Rgba([(); 4].map(|()| random.u8(..))));
    world.put("cut-out.png", encoded(noise, ImageFormat::Png));
    let arguments = ["sync", "library", "--platform", "instagram"];
    assert_eq!(world.json(arguments).ended_with(3).problems("cut-out.png"), ["too_large"]);
    let run = world.json(arguments.iter().chain(&["--fit"])).ended_with(0);
    let fitted = &run.asset("cut-out.png")["fitted"];
    assert!(fitted["size_bytes"].as_u64() < Some(8_000_000) && fitted["width"].as_u64() < Some(1_450), "{fitted}");
    assert_eq!(fitted["mime"], "image/png");
    assert_eq!(sent(&world), [fitted["sha256"].as_str().expect("a hash")]);
}

#[test]
fn what_instagram_refuses_for_its_size_becomes_small_enough() {
    let world = World::new();
    world.put("wall.bmp", encoded(stripes(1_800, 1_600), ImageFormat::Bmp));
    let arguments = ["sync", "library", "--platform", "instagram"];
    assert_eq!(world.json(arguments).ended_with(3).problems("wall.bmp"), ["unsupported_format", "too_large"]);
    let run = world.json(arguments.iter().chain(&["--fit"])).ended_with(0);
    let fitted = &run.asset("wall.bmp")["fitted"];
    assert_eq!(fitted["recipe"], "fit1;instagram;png;1800x1600");
    assert_eq!(sent(&world), [fitted["sha256"].as_str().expect("a hash")]);
}

/// Twice the size of what may be uploaded, and read all the same.
#[test]
fn a_file_too_large_to_be_uploaded_is_read_where_a_copy_is_wanted() {
    let world = World::new();
    world.put("wall.bmp", encoded(stripes(3_000, 3_000), ImageFormat::Bmp));
    world.put("not an image.mp4", vec![0; 27_000_000]);
    let refused = world.json(["sync", "library"]).ended_with(3);
    assert_eq!(refused.asset("wall.bmp")["sha256"], Value::Null, "it is not even read");
    let run = world.json(["sync", "library", "--fit", "-v"]).ended_with(3);
    assert_eq!(run.asset("not an image.mp4")["sha256"], Value::Null, "nor is this");
    assert_eq!(run.asset("wall.bmp")["fitted"]["mime"], "image/png");
    assert_eq!(run.stderr.matches(MAKING).count(), 1, "{}", run.stderr);
    let again = world.json(["sync", "library", "--fit", "-v"]).ended_with(3);
    assert_eq!(again.asset("wall.bmp")["attachment_id"], run.asset("wall.bmp")["attachment_id"]);
    assert!(!again.stderr.contains(MAKING), "{}", again.stderr);
    assert_eq!(world.uploads(), 1);
    let shown = world.json(["show", "library/wall.bmp"]).ended_with(0);
    assert_eq!(shown.asset("wall.bmp")["attachment_id"], run.asset("wall.bmp")["attachment_id"]);
}

#[test]
fn what_cannot_be_copied_says_why() {
    let world = World::new();
    world.put("logo.svg", br#"<svg xmlns="http://www.w3.org/2000/svg"/>"#);
    let mut gif = Vec::new();
    let frame = |shade| Frame::new(RgbaImage::from_pixel(9, 9, Rgba([shade, 0, 0, 255])));
    GifEncoder::new(&mut gif).encode_frames([frame(1), frame(200)]).expect("encoded");
    gif.resize(9_000_000, 0);
    world.put("dance.gif", gif);
    let problems = |platform: &str, name: &str| {
        let run = world.json(["sync", "library", "--fit", "--platform", platform]).ended_with(3);
        (run.asset(name)["outcome"].clone(), run.problems(name).join(" "))
    };
    assert_eq!(problems("messenger", "logo.svg"), (json!("rejected"), "unsupported_format cannot_fit".into()));
    assert_eq!(problems("instagram", "dance.gif"), (json!("rejected"), "too_large animated".into()));
    assert_eq!(problems("messenger", "dance.gif").0, "reused");
    let text = world.run(["sync", "library", "--fit", "--platform", "instagram"]).ended_with(3).stdout;
    assert!(
        text.contains("animated: no copy that fits is made of it: it is animated, and would stand still"),
        "{text}"
    );
}

#[test]
fn what_is_too_large_for_a_copy_says_so_beside() {
    let world = World::new();
    for name in ["wall.png", "film.mp4"] {
        let file = fs::File::create(world.library().join(name)).expect("a file");
        file.set_len(200_000_001).expect("sparse");
    }
    for arguments in [["sync", "library", "--fit"], ["check", "library", "--fit-dry-run"]] {
        let run = world.json(arguments).ended_with(3);
        assert_eq!(run.problems("wall.png"), ["too_large", "cannot_fit"]);
        assert_eq!(run.problems("film.mp4"), ["too_large"]);
        let message = run.asset("wall.png")["problems"][1]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("at most 200,000,000 bytes"), "{message}");
    }
    assert_eq!(world.json(["sync", "library"]).ended_with(3).problems("wall.png"), ["too_large"]);
}

#[test]
fn a_dry_run_says_what_a_copy_would_come_to_and_uploads_nothing() {
    let world = World::new();
    world.put("scan.tiff", encoded(stripes(300, 200), ImageFormat::Tiff));
    world.put("hero.png", png(1));
    let checked = world.json(["check", "library", "--fit-dry-run"]).ended_with(0);
    assert_eq!(checked.asset("scan.tiff")["outcome"], "ok");
    let planned = world.json(["sync", "library", "--fit-dry-run"]).ended_with(0);
    assert_eq!(planned.asset("scan.tiff")["outcome"], "planned");
    assert_eq!(planned.asset("scan.tiff")["fitted"], checked.asset("scan.tiff")["fitted"]);
    let text = world.run(["check", "library", "--fit-dry-run"]).ended_with(0).stdout;
    let line = text.lines().find(|line| line.contains("scan.tiff")).expect("a line");
    assert!(line.starts_with("✓ ok        library/scan.tiff  180."), "{line}");
    assert!(line.contains(" kB → ") && line.ends_with("  300×200 TIFF → PNG"), "{line}");
    assert_eq!(world.uploads(), 0);
}

#[test]
fn an_id_that_is_due_is_renewed_with_the_same_copy() {
    let world = World::new();
    world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    world.run(["sync", "library", "--fit"]).ended_with(0);
    let renewed = world.json(["sync", "library", "--fit", "--renew-within", "91d"]).ended_with(0);
    assert_eq!(renewed.asset("scan.tiff")["outcome"], "refreshed");
    assert_eq!((sent(&world).len(), &sent(&world)[0]), (2, &sent(&world)[1]));
}

#[test]
fn no_copy_is_made_that_may_not_be_uploaded() {
    let world = World::new();
    world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    let run = world.json(["sync", "library", "--fit", "--max-uploads", "0", "-v"]).ended_with(0);
    assert_eq!(run.asset("scan.tiff")["outcome"], "deferred");
    assert!(!run.stderr.contains(MAKING), "{}", run.stderr);
}

#[test]
fn a_file_sent_as_a_file_is_sent_as_it_is() {
    let world = World::new();
    let path = world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    world.run(["resolve", "--fit", "--kind", "file", "library/scan.tiff"]).ended_with(0);
    let file = world.truth().attachments[0].file.clone().expect("a file");
    assert_eq!((file.name.as_str(), file.size_bytes), ("scan.tiff", fs::metadata(path).expect("a file").len()));
}

#[test]
fn forgetting_a_file_forgets_the_id_of_its_copy() {
    let world = World::new();
    world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    world.run(["resolve", "--fit", "library/scan.tiff"]).ended_with(0);
    world.run(["forget", "library/scan.tiff"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset"), [Value::Null; 0]);
    world.run(["resolve", "--fit", "library/scan.tiff"]).ended_with(0);
    assert_eq!(world.uploads(), 2);
}

#[test]
fn a_copy_is_kept_as_long_as_its_original_lies_anywhere_or_has_a_name() {
    let world = World::new();
    world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    world.run(["sync", "library", "--fit"]).ended_with(0);
    let ids = || world.json(["ls"]).ended_with(0).events_of("asset").len();
    fs::rename(world.library().join("scan.tiff"), world.library().join("page.tiff")).expect("renamed");
    world.run(["prune", "--unreferenced", "--keep", "library", "--yes"]).ended_with(0);
    assert_eq!(ids(), 1);
    world.run(["prune", "--unreferenced", "--yes"]).ended_with(0);
    assert_eq!(ids(), 0);
}

#[test]
fn bytes_that_are_known_by_a_name_or_their_hash_get_their_copy_too() {
    let world = World::new();
    let path = world.put("scan.tiff", picture(1, ImageFormat::Tiff));
    world.run(["alias", "scan", "library/scan.tiff"]).ended_with(0);
    let hash = world.json(["check", "library"]).asset("scan.tiff")["sha256"].as_str().expect("a hash").to_owned();
    let as_it_is = world.json(["resolve", "@scan"]).ended_with(0).events_of("asset")[0]["attachment_id"].clone();
    let resolved = world.json(["resolve", "--fit", "@scan"]).ended_with(0);
    let asset = &resolved.events_of("asset")[0];
    assert_eq!((&asset["outcome"], &asset["fitted"]["source_sha256"]), (&json!("uploaded"), &json!(hash)));
    let message = world.json(["send", "--to", SOMEBODY, "--fit", "--asset", "@scan"]).ended_with(0);
    assert_eq!(message.events_of("send")[0]["attachment_id"], asset["attachment_id"]);
    // Even when the file is gone.
    fs::remove_file(path).expect("removed");
    for reference in ["@scan", &format!("sha256:{hash}")] {
        let found = world.json(["resolve", "--fit", reference]).ended_with(0);
        let found = &found.events_of("asset")[0];
        assert_eq!((&found["outcome"], &found["attachment_id"]), (&json!("reused"), &asset["attachment_id"]));
    }
    assert_eq!(world.json(["resolve", "@scan"]).ended_with(0).events_of("asset")[0]["attachment_id"], as_it_is);
    assert_eq!(sent(&world), [hash.as_str(), asset["fitted"]["sha256"].as_str().expect("a hash")]);
}

#[test]
fn a_copy_that_was_handed_on_is_made_again() {
    let world = World::new();
    world.put("scan.tiff", encoded(stripes(300, 200), ImageFormat::Tiff));
    let first = world.json(["sync", "library", "--fit"]).ended_with(0);
    for manifest in ["library/ids.json", "library/ids.csv"] {
        let format = if manifest.ends_with("csv") { "csv" } else { "json" };
        world.run(["export", "--format", format, "--output", manifest]).ended_with(0);
        let store = format!("sled:{}", world.library().with_file_name(format).display());
        let there = |args: &[&str]| world.json([&["--store", &store], args].concat());
        there(&["import", manifest]).ended_with(0);
        fs::remove_file(world.library().with_file_name(manifest)).expect("a manifest");
        there(&["verify", "library"]).ended_with(0);
        let renewed = there(&["refresh", "library/scan.tiff", "--force"]).ended_with(0);
        assert_eq!(renewed.asset("scan.tiff")["outcome"], "refreshed");
        let synced = there(&["sync", "library", "--fit", "-v"]).ended_with(0);
        assert_eq!(synced.asset("scan.tiff")["attachment_id"], renewed.asset("scan.tiff")["attachment_id"]);
        assert_ne!(synced.asset("scan.tiff")["attachment_id"], first.asset("scan.tiff")["attachment_id"]);
    }
    let sent = sent(&world);
    assert!(sent.len() == 3 && sent.iter().all(|hash| *hash == sent[0]), "{sent:?}");
}

#[test]
fn an_original_too_large_for_an_upload_is_found_where_it_was_moved() {
    let world = World::new();
    let path = world.put("wall.bmp", encoded(stripes(3_000, 3_000), ImageFormat::Bmp));
    assert!(fs::metadata(&path).expect("a file").len() > 25 << 20);
    world.run(["sync", "library", "--fit"]).ended_with(0);
    fs::rename(&path, world.library().join("moved.bmp")).expect("renamed");
    let run = world.json(["verify", "library"]).ended_with(0);
    assert_eq!(run.events_of("verify")[0]["state"], "moved");
    assert!(run.events_of("verify")[0]["moved_to"].as_str().expect("a path").ends_with("moved.bmp"));
}

#[test]
fn bytes_that_need_no_copy_go_by_the_ids_they_have() {
    let world = World::new();
    world.put("a.png", png(1));
    let known = world.run(["resolve", "--kind", "file", "library/a.png"]).ended_with(0).stdout;
    let hash = format!("sha256:{}", sent(&world)[0]);
    assert_eq!(world.run(["resolve", "--fit", &hash]).ended_with(0).stdout, known);
    assert_eq!(world.run(["resolve", "--fit", "--no-upload", &hash]).ended_with(0).stdout, known);
    assert_eq!(world.uploads(), 1);
}
