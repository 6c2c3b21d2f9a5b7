//! Cuts the power of a program at many moments, and holds what is left against what it had promised by then.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use fastrand::Rng;
use serde_json::Value;
use tempfile::TempDir;

use super::disk::Disk;
use super::log::{Event, Log};
use super::shim::{Shim, Syncs};
use crate::support::{account, scratch, setting};

/// Of so many images, one has its power cut a second time while the program recovers.
const TWICE: u64 = 10;
/// Images with something wrong that are kept to be looked at.
const KEPT: usize = 5;
/// Cuts that follow from one run of the program; more of them watch more runs.
const CUTS_OF_A_RUN: u64 = 1_000;

/// What a program does while the power may fail, and what must hold of the disk afterwards.
///
/// The store is a folder two levels below the one that is watched, so that the program makes its own way there.
pub(crate) trait Workload: Sync {
    /// The program, on a store that does not exist. Each line it prints is a promise.
    fn command(&self, store: &Path) -> Command;

    /// What recovers from a first cut, and is cut as well.
    fn again(&self, store: &Path) -> Command;

    /// The exit codes with which it may end while there is power.
    fn ends(&self) -> &[i32] {
        &[0]
    }

    /// What is wrong with what is left of the store, given what happened `before` the cut. May change the store, and
    /// roll dice for what is too slow to do to each.
    fn objection(&self, store: &Path, before: &Past, dice: &mut Rng) -> Option<String>;
}

/// What could be seen of a program from outside until the power failed.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The whole lines it printed.
    pub(crate) printed: Vec<Value>,
    /// What left through its sockets, write by write.
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Past {
    /// What happened after that, until the log is cut there.
    pub(crate) fn add(&mut self, log: &Log, cut: usize) {
        let mut printed = Vec::new();
        for event in &log.events[..cut] {
            match event {
                Event::Printed { bytes } => printed.extend_from_slice(log.bytes(bytes)),
                Event::Sent { bytes, .. } => self.sent.push(log.bytes(bytes).to_vec()),
                _ => {}
            }
        }
        // A line that was being written is no promise.
        let whole = printed.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &printed[..end]);
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        self.printed.extend(lines.map(|line| serde_json::from_slice::<Value>(line).expect("an object")));
    }
}

/// How to cut.
#[derive(Debug)]
pub(crate) struct Cuts {
    pub(crate) images: u64,
    pub(crate) syncs: Syncs,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) images: u64,
    /// How many of them were cut twice.
    pub(crate) twice: u64,
    /// What is wrong with each of those with which something is.
    pub(crate) objections: Vec<String>,
}

impl Outcome {
    /// Tells a closing table of it.
    pub(crate) fn account(&self, what: &str, began: Instant) {
        account(what, &self.images.to_string(), setting("POWER_SEED", 0), began, self.objections.len());
    }

    /// Fails with what is wrong, if anything is.
    #[track_caller]
    pub(crate) fn is_flawless(&self) {
        let (wrong, images) = (self.objections.len(), self.images);
        assert!(wrong == 0, "{wrong} of {images} images:\n{}", self.objections[..wrong.min(2 * KEPT)].join("\n"));
    }
}

/// How many images a main test makes that usually makes so many.
pub(crate) fn images(usual: u64) -> u64 {
    setting("POWER_IMAGES", usual)
}

/// How many those make that matter less, or take longer.
pub(crate) fn fewer_images() -> u64 {
    (images(500) / 10).max(20)
}

/// Watches the program, and cuts.
pub(crate) fn cut(shim: &Shim, workload: &dyn Workload, cuts: &Cuts) -> Outcome {
    let first_seed = setting("POWER_SEED", 0);
    let mut outcome = Outcome::default();
    while outcome.images < cuts.images {
        let count = CUTS_OF_A_RUN.min(cuts.images - outcome.images);
        let run = Run::watch(shim, workload, cuts);
        let (twice, objections) = run.cut(first_seed + outcome.images, count);
        outcome.images += count;
        outcome.twice += twice;
        outcome.objections.extend(objections);
    }
    outcome
}

/// One run of the program, to be cut at many moments.
struct Run<'r> {
    shim: &'r Shim,
    workload: &'r dyn Workload,
    log: Log,
    folder: TempDir,
    /// How many more images with something wrong are kept.
    kept: AtomicUsize,
}

impl<'r> Run<'r> {
    fn watch(shim: &'r Shim, workload: &'r dyn Workload, cuts: &Cuts) -> Self {
        let folder = scratch();
        let disk = folder.path().join("disk");
        fs::create_dir(&disk).expect("a folder");
        let (command, ends) = (workload.command(&store_in(&disk)), workload.ends());
        let log = shim.watch(command, &disk, &folder.path().join("log"), cuts.syncs, ends);
        let log = log.expect("it ends well while there is power");
        let mut expected = Disk::default();
        log.events.iter().for_each(|event| expected.apply(&log, event));
        assert_eq!(expected.difference_to(&log, &disk), None, "the log missed something");
        let kept = if cuts.syncs == Syncs::Done { KEPT } else { 0 };
        Self { shim, workload, log, folder, kept: AtomicUsize::new(kept) }
    }

    /// How many images were cut twice, and what is wrong with which.
    fn cut(&self, first_seed: u64, count: u64) -> (u64, Vec<String>) {
        let mut moments: Vec<(usize, u64)> = (first_seed..first_seed + count)
            .map(|seed| (moment(&self.log, &mut rng(seed, Use::Moment)), seed))
            .collect();
        moments.sort_unstable();
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let objections = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for worker in 0..workers {
                let (moments, objections) = (&moments, &objections);
                scope.spawn(move || {
                    let mut disk = Disk::default();
                    let mut now = 0;
                    for (cut, seed) in moments.iter().skip(worker).step_by(workers) {
                        self.log.events[now..*cut].iter().for_each(|event| disk.apply(&self.log, event));
                        now = *cut;
                        if let Some(objection) = self.image(&disk, *cut, *seed) {
                            objections.lock().expect("no panic").push(objection);
                        }
                    }
                });
            }
        });
        let twice = (first_seed..first_seed + count).filter(|seed| seed % TWICE == 0).count() as u64;
        (twice, objections.into_inner().expect("no panic"))
    }

    /// What is wrong with the image of this seed, if anything.
    fn image(&self, disk: &Disk, cut: usize, seed: u64) -> Option<String> {
        let image = scratch();
        let write = |folder: &Path| disk.write_image(&self.log, &mut rng(seed, Use::Image), folder);
        let mut before = Past::default();
        before.add(&self.log, cut);
        let mut dice = rng(seed, Use::Rest);
        write(image.path());
        let objection = if seed.is_multiple_of(TWICE) {
            self.second_cut(&image, before, seed, &mut dice)?
        } else {
            self.workload.objection(&store_in(image.path()), &before, &mut dice)?
        };
        let kept = self.keep("the image", &self.folder, write);
        Some(format!("seed {seed}, cut at {cut} of {}: {objection}{kept}", self.log.events.len()))
    }

    /// Lets the program recover from a first cut, cuts again, and says what is wrong then.
    fn second_cut(&self, image: &TempDir, mut before: Past, seed: u64, dice: &mut Rng) -> Option<String> {
        let folder = scratch();
        let mut disk = Disk::load(image.path());
        let again = self.workload.again(&store_in(image.path()));
        let log =
            match self.shim.watch(again, image.path(), &folder.path().join("log"), Syncs::Done, self.workload.ends()) {
                Ok(log) => log,
                Err(why) => return Some(format!("it does not recover: {why}")),
            };
        let cut = moment(&log, dice);
        log.events[..cut].iter().for_each(|event| disk.apply(&log, event));
        before.add(&log, cut);
        let write = |folder: &Path| disk.write_image(&log, &mut rng(seed, Use::SecondImage), folder);
        let second = scratch();
        write(second.path());
        let objection = self.workload.objection(&store_in(second.path()), &before, dice)?;
        let kept = self.keep("the second image", &folder, write);
        Some(format!("after a second cut at {cut} of {}: {objection}{kept}", log.events.len()))
    }

    /// Writes the image once more, for somebody to look at, puts the log beside it, and says where.
    fn keep(&self, what: &str, run: &TempDir, write: impl Fn(&Path)) -> String {
        if self.kept.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            return String::new();
        }
        let kept = tempfile::Builder::new().prefix("reattach-power-").tempdir().expect("a folder").keep();
        let disk = kept.join("disk");
        fs::create_dir(&disk).expect("a folder");
        write(&disk);
        fs::copy(run.path().join("log"), kept.join("log")).expect("a copy");
        format!("; {what} is kept in {}", kept.display())
    }
}

/// What chance decides. Each has numbers of its own, so that none hangs together with another.
#[derive(Clone, Copy)]
enum Use {
    Moment,
    Image,
    SecondImage,
    Rest,
}

fn rng(seed: u64, of: Use) -> Rng {
    Rng::with_seed(seed.wrapping_mul(4).wrapping_add(of as u64))
}

fn store_in(disk: &Path) -> PathBuf {
    disk.join("data").join("store")
}

/// How many of the events happen before the power fails: a tenth of the cuts fall before the first line is printed,
/// a fifth right behind a line.
fn moment(log: &Log, rng: &mut Rng) -> usize {
    let prints = |event: &Event| matches!(event, Event::Printed { .. });
    let first = log.events.iter().position(prints).unwrap_or(log.events.len());
    match rng.u8(..10) {
        0 => rng.usize(..=first),
        1 | 2 => {
            let start = rng.usize(..=log.events.len());
            start + log.events[start..].iter().position(prints).map_or(0, |found| found + 1)
        }
        _ => rng.usize(..=log.events.len()),
    }
}
