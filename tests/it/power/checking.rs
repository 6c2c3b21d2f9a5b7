//! `check` of a library, for the sake of its cache: whatever the power leaves of it, every command goes on, says the
//! same of every file, and leaves a sound cache behind. It promises nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use serde_json::Value;

use super::cuts::{Past, Workload};
use crate::support::{Ran, World};

/// The files lie in so many folders, one of which is checked after a cut.
const FOLDERS: u32 = 100;

/// A library of more files than the cache keeps back before it writes.
pub(crate) struct Checking {
    world: World,
    /// What there is to say of the files that are checked after a cut.
    truth: HashMap<String, Value>,
    /// How many caches were so damaged that a new one had to begin.
    pub(crate) damaged: AtomicU64,
}

impl Checking {
    pub(crate) fn of(files: u32) -> Self {
        let world = World::new();
        for number in 0..files {
            world.put(format!("{}/{number}.txt", number % FOLDERS), format!("file {number}"));
        }
        let ran = world.json(["check", "library/0"]).ended_with(0);
        Self { world, truth: hashes(&ran), damaged: AtomicU64::new(0) }
    }

    fn check(&self, path: &str, store: &Path) -> Command {
        let mut command = self.world.command(["check", path, "--json"]);
        command.env("REATTACH_STORE", format!("sled:{}", store.display()));
        command
    }

    /// What is wrong with a check, if anything.
    fn objection_to(&self, ran: &Ran) -> Option<String> {
        if ran.code != Some(0) {
            return Some(format!("check ended with {:?}: {}", ran.code, ran.stderr));
        }
        (hashes(ran) != self.truth).then(|| format!("check says what is not so: {}", ran.stdout))
    }
}

impl Workload for Checking {
    fn command(&self, store: &Path) -> Command {
        self.check("library", store)
    }

    fn again(&self, store: &Path) -> Command {
        self.check("library/0", store)
    }

    fn objection(&self, store: &Path, _: &Past, _: &mut Rng) -> Option<String> {
        let check = || Ran::new(self.check("library/0", store).output().expect("the binary runs"));
        let (healing, healed) = (check(), check());
        self.damaged.fetch_add(u64::from(!healing.stderr.is_empty()), Ordering::Relaxed);
        let objection = [&healing, &healed].into_iter().find_map(|ran| self.objection_to(ran));
        objection.or_else(|| (!healed.stderr.is_empty()).then(|| format!("it did not heal: {}", healed.stderr)))
    }
}

fn hashes(ran: &Ran) -> HashMap<String, Value> {
    let assets = ran.events_of("asset");
    assets.iter().map(|asset| (asset["path"].as_str().expect("a path").to_owned(), asset["sha256"].clone())).collect()
}
