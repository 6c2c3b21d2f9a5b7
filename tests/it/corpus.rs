//! Files nobody would want in a library, each with the verdict the rules have for it: damaged, lying, vast, packed, oddly
//! named or no files at all. Whatever they are, nothing panics, nothing hangs, memory stays small, and the good files
//! among them are none the worse for it.
//!
//! All of them are made by code, the same in every run. To add one, say beside it what the README's table of problems and
//! the limits in `media::limits` say of it, not what the program does.

mod damage;
mod entries;
mod lies;
mod pictures;
mod raw;
mod specimen;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use image::ImageFormat;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::raw::{film, noise, wav};
use self::specimen::{Fit, Shown, Specimen, Verdict, What};
use crate::support::served::Served;
use crate::support::{Ran, World};

/// The most of a processor any of them may take. That is not a matter of what else the machine does.
const MOST_WORK: Duration = Duration::from_secs(5);

/// Who says nothing for so long hangs.
const SILENCE: Duration = Duration::from_mins(2);

/// The most memory any command may take over them.
const MOST_BYTES: u64 = 300 << 20;

/// All specimens, in the order they are to be planted in.
fn corpus() -> &'static [Specimen] {
    static CORPUS: OnceLock<Vec<Specimen>> = OnceLock::new();
    CORPUS.get_or_init(|| [damage::all(), pictures::all(), lies::all(), entries::all()].into_iter().flatten().collect())
}

/// Files there is nothing to say against.
fn good() -> [(String, Vec<u8>); 6] {
    let name = |name: &str| format!("good/{name}");
    [
        (name("1.png"), noise(1, ImageFormat::Png)),
        (name("2.jpg"), noise(2, ImageFormat::Jpeg)),
        (name("3.gif"), noise(3, ImageFormat::Gif)),
        (name("4.mp4"), film(4)),
        (name("5.wav"), wav(5)),
        (name("6.txt"), b"six".to_vec()),
    ]
}

fn plant_good(world: &World) {
    for (name, bytes) in good() {
        world.put(name, bytes);
    }
}

/// A world whose library is the corpus, with the good files in it.
fn planted() -> World {
    let world = World::new();
    plant_good(&world);
    std::fs::write(world.library().with_file_name("outside.png"), noise(7, ImageFormat::Png)).expect("a file");
    for specimen in corpus() {
        specimen.plant(&world.library());
    }
    world
}

/// A run of the binary over the corpus, which must have kept to what is asked of all of them.
fn over_the_corpus(world: &World, arguments: &[&str]) -> Assets {
    let mut child = world.start(arguments.iter().chain(&["--json"]));
    let mut stderr = child.stderr.take().expect("stderr");
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.read_to_end(&mut said).map(|_| said)
    });
    let stdout = BufReader::new(child.stdout.take().expect("stdout"));
    let (speaks, heard) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines() {
            let _ = speaks.send(line.expect("text"));
        }
    });
    let (mut lines, mut peak, mut worked) = (Vec::new(), 0, Duration::ZERO);
    loop {
        let line = match heard.recv_timeout(SILENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().expect("killed");
                panic!("it hangs after {:?}", lines.last());
            }
        };
        // The most it ever had; while it tears down, it takes no more.
        peak = peak_bytes(child.id()).unwrap_or(peak);
        let work = work(child.id()).unwrap_or(worked);
        assert!(work.saturating_sub(worked) < MOST_WORK, "{work:?} after {worked:?}, before {line}");
        worked = work;
        lines.push(line);
    }
    let status = child.wait().expect("it ends");
    let stderr = said.join().expect("no panic").expect("text");
    let run = Ran::new(Output { status, stdout: lines.join("\n").into_bytes(), stderr }).ended_with(3);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert!((1..MOST_BYTES).contains(&peak), "{arguments:?} took {} MiB", peak >> 20);
    Assets::of(&run)
}

/// How long processors have worked for the process and those of its children that are gone, while it lives.
fn work(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name, which may hold anything, ends with the last bracket.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// The most memory the process ever had, while it lives.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// What was said of each file, by its name as it is on disk.
struct Assets(BTreeMap<Vec<u8>, Value>);

impl Assets {
    fn of(run: &Ran) -> Self {
        let assets = run.events_of("asset");
        let count = assets.len();
        let named = assets.into_iter().map(|asset| {
            let path = match asset["path_bytes_hex"].as_str() {
                Some(bytes) => hex::decode(bytes).expect("hexadecimal"),
                None => asset["path"].as_str().expect("a path").as_bytes().to_vec(),
            };
            (path.strip_prefix(b"library/").expect("a path in the library").to_vec(), asset)
        });
        let named: BTreeMap<_, _> = named.collect();
        assert_eq!(named.len(), count, "each is spoken of once");
        Self(named)
    }

    /// What differs from what should be said of each specimen, in words; and that nothing is said of anything else.
    fn differences(&self, differs: impl Fn(&Specimen, Option<&Value>) -> Option<String>) -> Vec<String> {
        let mut names: BTreeSet<Vec<u8>> = good().into_iter().map(|(name, _)| name.into_bytes()).collect();
        let differing = corpus().iter().filter_map(|specimen| {
            names.insert(specimen.name.as_bytes().to_vec());
            let asset = self.0.get(specimen.name.as_bytes());
            let difference = differs(specimen, asset)?;
            Some(format!("{} ({}): {difference}", specimen.name.display(), specimen.sort))
        });
        let differing: Vec<_> = differing.collect();
        let unknown = self.0.keys().filter(|name| !names.contains(*name));
        let unknown = unknown.map(|name| format!("{:?} is none of ours", String::from_utf8_lossy(name)));
        differing.into_iter().chain(unknown).collect()
    }

    /// What is said of the good ones, without what depends on the moment.
    fn good(&self) -> Vec<Value> {
        let what = ["sha256", "kind", "mime", "size_bytes", "width", "height", "problems"];
        let of = |(name, _): (String, Vec<u8>)| {
            let asset = &self.0[name.as_bytes()];
            json!([name, what.map(|field| asset[field].clone())])
        };
        good().into_iter().map(of).collect()
    }
}

/// What the good files are called where nothing else is.
fn good_alone() -> Vec<Value> {
    let world = World::new();
    plant_good(&world);
    let run = world.json(["check", "library"]).ended_with(0);
    Assets::of(&run).good()
}

/// The codes of an asset's problems of one severity.
fn problems<'a>(asset: &'a Value, severity: &str) -> Vec<&'a str> {
    let problems = asset["problems"].as_array().expect("problems").iter();
    let told = |problem: &&Value| {
        ["message", "hint"].iter().all(|text| problem[text].as_str().is_some_and(|text| !text.is_empty()))
    };
    assert!(problems.clone().all(|problem| told(&problem)), "{asset}");
    problems
        .filter(|problem| problem["severity"] == severity)
        .map(|problem| problem["code"].as_str().expect("a code"))
        .collect()
}

/// How an asset's verdict differs from the one expected, where it does; `done` are the outcomes of what is taken.
fn verdict_differs(expected: Verdict, asset: Option<&Value>, done: &[&str]) -> Option<String> {
    let as_expected = match (expected, asset) {
        (Verdict::Skipped, None) => true,
        (Verdict::Taken(kind, warnings), Some(asset)) => {
            done.contains(&asset["outcome"].as_str().expect("an outcome"))
                && asset["kind"] == kind
                && problems(asset, "error").is_empty()
                && problems(asset, "warning") == warnings
        }
        (Verdict::Refused(reason), Some(asset)) => {
            asset["outcome"] == "rejected" && problems(asset, "error").first() == Some(&reason)
        }
        _ => false,
    };
    (!as_expected).then(|| format!("expected {expected:?}, and it is {}", asset.unwrap_or(&Value::Null)))
}

/// How what `--fit` made of an asset differs from what it should have.
fn fit_differs(specimen: &Specimen, asset: Option<&Value>, done: &[&str]) -> Option<String> {
    let Some(asset) = asset else { return verdict_differs(specimen.verdict, asset, done) };
    let is_copied = !asset["fitted"].is_null()
        && done.contains(&asset["outcome"].as_str().expect("an outcome"))
        && asset["problems"] == json!([]);
    let told = |why: Option<&str>| {
        let warnings = problems(asset, "warning");
        let stands = match specimen.verdict {
            Verdict::Taken(..) => problems(asset, "error").is_empty(),
            Verdict::Refused(reason) => asset["outcome"] == "rejected" && problems(asset, "error").contains(&reason),
            Verdict::Skipped => false,
        };
        asset["fitted"].is_null()
            && stands
            && why.map_or(warnings.contains(&"cannot_fit"), |why| warnings.contains(&why))
    };
    let as_expected = match specimen.copy {
        Fit::AsItIs => return verdict_differs(specimen.verdict, Some(asset), done),
        Fit::Copied => is_copied,
        Fit::Told(why) => told(Some(why)),
        Fit::CopiedOrTold => is_copied || told(None),
    };
    (!as_expected).then(|| format!("expected {:?}, and it is {asset}", specimen.copy))
}

fn nothing(differences: &[String]) {
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn there_are_enough_of_them() {
    let sorts: BTreeSet<_> = corpus().iter().map(|specimen| specimen.sort).collect();
    assert!(corpus().len() >= 320 && sorts.len() >= 40, "{} of {}", corpus().len(), sorts.len());
}

#[test]
fn check_has_the_right_word_for_each() {
    let world = planted();
    let assets = over_the_corpus(&world, &["check", "library"]);
    nothing(&assets.differences(|specimen, asset| verdict_differs(specimen.verdict, asset, &["ok"])));
    assert_eq!(assets.good(), good_alone());
    // What was learnt is remembered, and is the same.
    let again = over_the_corpus(&world, &["check", "library"]);
    nothing(&again.differences(|specimen, asset| verdict_differs(specimen.verdict, asset, &["ok"])));
}

#[test]
fn what_is_named_itself_is_judged_no_milder() {
    let world = planted();
    for specimen in corpus().iter().filter(|specimen| matches!(specimen.what, What::Link(_))) {
        let path = std::path::Path::new("library").join(&specimen.name);
        let leads_to_a_file = path.ends_with("links to a good one.png") || path.ends_with("links outside.png");
        if path.ends_with("links in a circle") || path.ends_with("links to everything") {
            continue;
        }
        // Whoever names a link means what it leads to, but never a device.
        let run = world.run([std::ffi::OsStr::new("check"), path.as_os_str()]);
        assert_eq!(run.code == Some(0), leads_to_a_file, "{path:?}: {}{}", run.stdout, run.stderr);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}

#[test]
fn sync_uploads_what_is_taken_and_nothing_else() {
    let world = planted();
    let assets = over_the_corpus(&world, &["sync", "library", "--yes"]);
    nothing(&assets.differences(|specimen, asset| verdict_differs(specimen.verdict, asset, &["uploaded", "reused"])));
    assert_eq!(assets.good(), good_alone());
    let taken = |asset: &&Value| asset["outcome"] != "rejected";
    let expected: BTreeSet<_> =
        assets.0.values().filter(taken).map(|asset| asset["sha256"].as_str().expect("a hash").to_owned()).collect();
    let files = world.truth().attachments.into_iter().map(|attachment| attachment.file.expect("a file"));
    let sent: BTreeSet<_> = files.map(|file| file.sha256).collect();
    assert_eq!(sent, expected, "the very bytes, and no others");
}

#[test]
fn a_copy_is_made_where_one_can_be() {
    let world = planted();
    let dry = over_the_corpus(&world, &["check", "library", "--fit-dry-run"]);
    nothing(&dry.differences(|specimen, asset| fit_differs(specimen, asset, &["ok"])));
    assert_eq!(dry.good(), good_alone());
    let assets = over_the_corpus(&world, &["sync", "library", "--fit", "--yes"]);
    nothing(&assets.differences(|specimen, asset| fit_differs(specimen, asset, &["uploaded", "reused"])));
}

#[test]
fn the_gallery_shows_what_can_be_shown() {
    let world = planted();
    let served = Served::start(&world);
    let mut differences = Vec::new();
    for specimen in corpus() {
        let What::Bytes(bytes) = &specimen.what else { continue };
        let answer = served.call("GET", &format!("/v1/assets/{}/thumbnail", hex::encode(Sha256::digest(bytes))), "");
        let picture = image::load_from_memory(&answer.body);
        let as_expected = match (specimen.shown, answer.status) {
            (Shown::Yes | Shown::PerhapsNot, 200) => {
                picture.is_ok_and(|picture| picture.width().max(picture.height()) <= 320)
            }
            (Shown::No | Shown::PerhapsNot, 404) => true,
            _ => false,
        };
        if !as_expected {
            differences.push(format!("{:?}: {:?}, and it is {}", specimen.name, specimen.shown, answer.status));
        }
    }
    nothing(&differences);
    for (name, bytes) in good().into_iter().take(3) {
        let target = format!("/v1/assets/{}/thumbnail", hex::encode(Sha256::digest(bytes)));
        assert_eq!(served.call("GET", &target, "").status, 200, "{name}");
    }
    let peak = peak_bytes(served.process()).expect("it lives");
    assert!(peak < MOST_BYTES, "it took {} MiB", peak >> 20);
}

#[test]
fn a_thumbnail_by_hand_goes_to_a_file_and_none_is_explained() {
    let world = World::new();
    let by_hand = |picture: &Path| {
        let small = world.library().join("small");
        let mut command = world.command(["thumbnail"]);
        command.stdin(File::open(picture).expect("a picture")).stdout(File::create(&small).expect("a file"));
        let run = Ran::new(command.output().expect("it runs"));
        (run, fs::read(small).expect("a file"))
    };
    let (run, small) = by_hand(&world.put("a.png", noise(1, ImageFormat::Png)));
    run.ended_with(0);
    assert!(image::load_from_memory(&small).is_ok(), "{} bytes", small.len());

    let mut long = Cursor::new(Vec::new());
    image::RgbImage::new(60_000, 1).write_to(&mut long, ImageFormat::Png).expect("encoded");
    let long = world.put("long.png", long.into_inner());
    let large = world.library().join("large");
    File::create(&large).and_then(|large| large.set_len(30 << 20)).expect("sparse");
    for (picture, words) in [
        (long, "16,384 pixels a side"),
        (large, "over 26,214,400 bytes"),
        (world.put("text.png", "no picture"), "no picture a thumbnail is made of"),
        ("/dev/null".into(), "no picture a thumbnail is made of"),
    ] {
        let (run, small) = by_hand(&picture);
        let run = run.ended_with(3);
        assert!(run.stderr.contains(words) && small.is_empty(), "{}: {}", picture.display(), run.stderr);
    }
}

/// The child that makes thumbnails, which the system ends where it does not end itself.
#[test]
fn no_picture_takes_more_memory_than_it_may() {
    let world = World::new();
    for specimen in pictures::all() {
        let What::Bytes(bytes) = specimen.what else { continue };
        let mut command = world.command(["thumbnail"]);
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let (process, mut stdin) = (child.id(), child.stdin.take().expect("stdin"));
        let giving = thread::spawn(move || stdin.write_all(&bytes));
        let (mut peak, mut worked) = (0, Duration::ZERO);
        let status = loop {
            peak = peak_bytes(process).unwrap_or(peak);
            worked = work(process).unwrap_or(worked);
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            thread::yield_now();
        };
        // It may have ended before it heard all.
        let _ = giving.join().expect("no panic");
        assert!(peak < MOST_BYTES, "{:?} took {} MiB", specimen.name, peak >> 20);
        // The system ends it in the second after.
        assert!(worked < MOST_WORK + Duration::from_secs(1), "{:?}: {worked:?}", specimen.name);
        // Refused, or ended by the system for its time; never a panic.
        assert!(specimen.shown != Shown::Yes || status.success(), "{:?}: {status}", specimen.name);
    }
}
