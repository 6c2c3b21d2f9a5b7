//! The disk of the library fails: folders that cannot be listed, files that cannot be looked at, opened or read to their end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::ImageFormat;
use tempfile::TempDir;

use super::calls::{Call, Calls, Fault, read};
use crate::support::pictures::{picture, png};
use crate::support::{Ran, World, scratch};

/// What is in the library, and what its rules leave out.
const FILES: [&str; 4] = ["a.png", "drafts/b.png", "drafts/c.png", "scan.tiff"];
const LEFT_OUT: &str = "hidden.png";
/// Finished, or some of it failed; and the folder itself is out of reach, as if it had been misspelled.
const DONE: i32 = 0;
const SOME_FAILED: i32 = 3;
const NOT_FOUND: i32 = 2;

/// What is done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    Check,
    Sync,
    /// `sync` that makes a copy of one.
    Fit,
}

impl Errand {
    pub(super) const ALL: [Self; 3] = [Self::Check, Self::Sync, Self::Fit];

    pub(super) fn place(self) -> Place {
        let world = World::new();
        for (number, name) in (0..).zip(FILES.iter().filter(|name| name.ends_with("png"))) {
            world.put(name, png(number));
        }
        world.put("scan.tiff", picture(8, ImageFormat::Tiff));
        world.put(LEFT_OUT, png(9));
        world.put(".reattachignore", LEFT_OUT);
        let mut place = Place { errand: self, world, sent: Vec::new() };
        let store = scratch();
        Ran::new(place.command(&store).output().expect("the binary runs")).ended_with(DONE);
        place.sent = place.sent_now();
        place
    }
}

/// A library, and what is sent of it while its disk is well.
pub(super) struct Place {
    errand: Errand,
    world: World,
    sent: Vec<String>,
}

/// How a run ended, and what it did in the library.
pub(super) struct End {
    ran: Ran,
    pub(super) calls: Vec<Call>,
}

impl Place {
    fn command(&self, store: &TempDir) -> Command {
        let arguments: &[&str] = match self.errand {
            Errand::Check => &["check", "library", "--json"],
            Errand::Sync => &["sync", "library", "--json"],
            Errand::Fit => &["sync", "library", "--fit", "--json"],
        };
        let mut command = self.world.command(arguments);
        command.env("REATTACH_STORE", format!("sled:{}", store.path().display()));
        command
    }

    /// What the sandbox has, in order.
    fn sent_now(&self) -> Vec<String> {
        let attachments = self.world.truth().attachments.into_iter();
        let mut sent: Vec<_> = attachments.map(|attachment| attachment.file.expect("a file").sha256).collect();
        sent.sort();
        sent
    }

    pub(super) fn run(&self, calls: &Calls, store: &TempDir, faults: &[Fault]) -> End {
        let folder = scratch();
        let log = folder.path().join("log");
        let mut command = self.command(store);
        calls.spoil(&mut command, faults, &self.world.library(), &log);
        End { ran: Ran::new(command.output().expect("the binary runs")), calls: read(&log) }
    }

    /// Whether anything happened under these faults, and what is wrong with what came of it.
    pub(super) fn try_one(&self, calls: &Calls, faults: &[Fault]) -> (bool, Option<String>) {
        self.world.sandbox().reset();
        let store = scratch();
        let first = self.run(calls, &store, faults);
        let sent = self.sent_now();
        let again = self.run(calls, &store, &[]);
        let struck: Vec<&Call> = first.calls.iter().filter(|call| call.how.is_some()).collect();
        let objection = self
            .objection(&first.ran, &struck)
            .or_else(|| sent.iter().find(|hash| !self.sent.contains(hash)).map(|hash| format!("{hash} was sent")))
            .or_else(|| self.objection_to_second(&again.ran));
        let told = objection.map(|objection| {
            let struck: Vec<_> = struck.iter().map(|call| format!("{} {:?}", call.kind, call.path)).collect();
            format!("{objection}\n  struck: {}\n  first: {:#?}", struck.join(", "), first.ran)
        });
        (!struck.is_empty(), told)
    }

    /// What is wrong with how it ended, given what happened to it.
    fn objection(&self, ran: &Ran, struck: &[&Call]) -> Option<String> {
        if ran.stderr.contains("panicked at") {
            return Some("it panicked".to_owned());
        }
        let hurts = struck.iter().any(|call| !call.is_gentle());
        match ran.code {
            Some(DONE) => return self.objection_to_files(ran, &[]),
            Some(NOT_FOUND) if struck.iter().any(|call| call.path.is_empty()) => {
                let is_told = ran.stderr.contains("library") && ran.stderr.contains("Input/output error");
                return (!is_told).then(|| "it does not say what is out of reach, and why".to_owned());
            }
            Some(SOME_FAILED) if hurts => {}
            code => return Some(format!("it ended with {code:?}")),
        }
        let struck: Vec<&str> = struck.iter().map(|call| call.path.as_str()).collect();
        self.objection_to_files(ran, &struck)
    }

    /// What is wrong with what is said of each file: nothing but these may be, or what is below them, and those are named.
    fn objection_to_files(&self, ran: &Ran, struck: &[&str]) -> Option<String> {
        let library = self.world.library();
        let within = |path: &str| {
            let path = self.world.library().with_file_name(path);
            path.strip_prefix(&library).map(Path::to_owned).unwrap_or(path)
        };
        let mut done = BTreeSet::new();
        let mut named = false;
        for asset in ran.events_of("asset") {
            let path: PathBuf = within(asset["path"].as_str().expect("a path"));
            if asset["outcome"] == "ok" || asset["outcome"] == "uploaded" || asset["outcome"] == "reused" {
                done.insert(path);
                continue;
            }
            let is_told = asset.to_string().contains("Input/output error");
            if !is_told || !struck.iter().any(|struck| Path::new(struck) == path) {
                return Some(format!("nothing happened to it, or it is not said what: {asset}"));
            }
            named = true;
        }
        if done.contains(Path::new(LEFT_OUT)) {
            return Some("what is left out was taken".to_owned());
        }
        let spared = |file: &str| !struck.iter().any(|struck| below(file, struck));
        let left = FILES.into_iter().find(|file| spared(file) && !done.contains(Path::new(file)));
        left.map(|file| format!("nothing became of {file}"))
            .or_else(|| (!struck.is_empty() && !named).then(|| "nothing is named".to_owned()))
    }

    /// What is wrong with the second run, or with what is sent after it.
    fn objection_to_second(&self, again: &Ran) -> Option<String> {
        if again.code != Some(DONE) {
            return Some(format!("the second run ended with {again:?}"));
        }
        let sent = self.sent_now();
        self.objection_to_files(again, &[])
            .or_else(|| (sent != self.sent).then(|| format!("{sent:?} was sent instead of {:?}", self.sent)))
    }
}

/// Whether a fault is of no interest: rules that cannot be read, and a moment later can. The walk takes them for none, and
/// who looks after it sees nothing.
pub(super) fn is_over_too_soon(calls: &[Call], fault: &Fault) -> bool {
    let struck = calls.iter().filter(|call| call.may(fault.how)).nth(usize::try_from(fault.at).expect("few") - 1);
    !fault.is_lasting && struck.is_some_and(|call| call.path.ends_with(".reattachignore"))
}

/// Whether what happened to this file or folder, or to the rules in it, may have cost the file.
fn below(file: &str, struck: &str) -> bool {
    let folder = struck.strip_suffix(".reattachignore").unwrap_or(struck);
    Path::new(file).starts_with(folder.trim_end_matches('/'))
}
