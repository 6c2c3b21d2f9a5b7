//! Files and folders nobody may change, root included (`chattr +i`): a library is only read, and a store says so.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde_json::json;

use crate::support::World;
use crate::support::pictures::{picture, png};

/// What cannot be changed as long as this lives.
struct Immutable(PathBuf);

impl Immutable {
    /// `None`, and loudly so, where nothing can be made so.
    fn make(path: &Path) -> Option<Self> {
        if let Err(error) = flag(path, true) {
            // `eprintln!` would be kept from whoever watches tests that pass.
            let _ = writeln!(std::io::stderr(), "NOT RUN: WHAT NOBODY MAY CHANGE, which needs root and ext4: {error}");
            return None;
        }
        assert!(File::create(path.join("x")).is_err() && File::options().append(true).open(path).is_err());
        Some(Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        flag(&self.0, false).expect("as it was");
    }
}

fn flag(path: &Path, is_on: bool) -> rustix::io::Result<()> {
    let file = File::open(path).expect("it is there");
    let mut flags = ioctl_getflags(&file)?;
    flags.set(IFlags::IMMUTABLE, is_on);
    ioctl_setflags(&file, flags)
}

#[test]
fn a_library_nobody_may_change_is_read_as_any_other() {
    let world = World::new();
    let files = [
        world.put("a.png", png(1)),
        world.put("b/c.png", png(2)),
        world.put("b/scan.tiff", picture(3, ImageFormat::Tiff)),
    ];
    let everything = files.iter().cloned().chain([world.library().join("b"), world.library()]);
    let Some(_held) = everything.map(|path| Immutable::make(&path)).collect::<Option<Vec<_>>>() else { return };
    let checked = world.json(["check", "library"]).ended_with(0);
    assert_eq!((&checked.summary()["ok"], &checked.summary()["files"]), (&json!(3), &json!(3)));
    let fitted = world.json(["sync", "library", "--fit"]).ended_with(0);
    assert_eq!((&fitted.summary()["uploaded"], world.uploads()), (&json!(3), 3));
    assert_eq!(world.json(["sync", "library", "--fit"]).ended_with(0).summary()["reused"], json!(3));
    assert_eq!(world.json(["sync", "library/b"]).ended_with(0).summary()["files"], json!(2));
}

#[test]
fn doctor_names_a_folder_no_record_can_be_made_in() {
    let world = World::new();
    let Some(_held) = Immutable::make(&world.library()) else { return };
    let run = world.run(["doctor", "--store", "sled:library/not/yet"]).ended_with(6);
    assert!(run.stdout.contains("record.db cannot be made"), "{}", run.stdout);
}

#[test]
fn a_store_nobody_may_change_is_named_and_nothing_is_uploaded() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["ls"]).ended_with(0);
    for held in [world.store(), world.store().join("record.db")] {
        let Some(_held) = Immutable::make(&held) else { return };
        let run = world.run(["sync", "library"]).ended_with(6);
        assert!(run.stderr.contains("record.db"), "{}", run.stderr);
        assert_eq!(world.uploads(), 0, "{}", run.stderr);
    }
    world.run(["sync", "library"]).ended_with(0);
    let target = world.library().join("exports");
    std::fs::create_dir(&target).expect("a folder");
    let Some(_held) = Immutable::make(&target) else { return };
    let run = world.run(["export", "--output", "library/exports/all.json"]).ended_with(2);
    let said = run.stderr.contains("library/exports/all.json") && run.stderr.contains("Operation not permitted");
    assert!(said, "{}", run.stderr);
}
