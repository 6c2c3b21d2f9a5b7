//! What a program is at while its disk fails: seven commands, on as little as shows everything.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::trial::End;
use crate::campaign::{FAST, TEXT_AND_PICTURE, campaign};
use crate::support::pictures::png;
use crate::support::reopened::{Accepted, Reopened, add_accepted};
use crate::support::{World, scratch};

const PEOPLE: u64 = 3;
const PARTS: u64 = 2;
const FILES: u32 = 3;
/// What an export takes the place of.
const OLD: &str = "the export before";
/// What is imported, and how it is made.
const MANIFEST: &str = "all.json";
const EXPORT_MANIFEST: [&str; 3] = ["export", "--output", "library/all.json"];

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// `sync` of a small library, on no store.
    Sync,
    /// `campaign run` for a few people.
    Campaign,
    /// `resolve`, of what is on record and what is not.
    Resolve,
    /// `export` over an export.
    Export,
    /// `check` of a small library, on no store.
    Check,
    /// `import` of a manifest into an empty record.
    Import,
    /// `campaign plan` for a few people, all of its files on that disk.
    Plan,
}

/// The place of a flow: its world, and what its store looks like each time it begins.
pub(crate) struct Stage {
    flow: Flow,
    world: World,
    /// A copy of it is what the program finds.
    store: TempDir,
}

impl Flow {
    pub(crate) const ALL: [Self; 7] =
        [Self::Sync, Self::Campaign, Self::Resolve, Self::Export, Self::Check, Self::Import, Self::Plan];

    pub(crate) fn stage(self) -> Stage {
        let world = World::new();
        world.configure(FAST);
        for number in 0..FILES {
            world.put(format!("{number}.png"), png(number));
        }
        world.put("hero.png", png(99));
        campaign(&world, PEOPLE, TEXT_AND_PICTURE);
        let stage = Stage { flow: self, world, store: scratch() };
        let prepare: &[&[&str]] = match self {
            Self::Sync | Self::Check => &[],
            Self::Campaign | Self::Plan => &[&["ls"]],
            Self::Import => &[&["sync", "library/0.png", "library/1.png", "library/2.png"], &EXPORT_MANIFEST],
            Self::Resolve => &[&["sync", "library/0.png", "library/1.png"]],
            Self::Export => &[&["sync", "library/0.png", "library/1.png", "library/2.png"]],
        };
        for arguments in prepare {
            let ended =
                Stage::on(stage.world.command(*arguments), stage.store.path()).output().expect("the binary runs");
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
        let bring = |name: &str| fs::copy(stage.world.library().join(name), stage.store.path().join(name));
        match self {
            Self::Import => {
                bring(MANIFEST).expect("copied");
                fs::remove_dir_all(stage.store.path().join("data")).expect("forgotten");
            }
            Self::Plan => {
                for name in ["people.csv", "spring.toml", "hero.png"] {
                    bring(name).expect("copied");
                }
            }
            _ => {}
        }
        stage
    }
}

impl Stage {
    /// The command on the store below `data`.
    fn on(mut command: Command, data: &Path) -> Command {
        command.env("REATTACH_STORE", format!("sled:{}", store_in(data).display())).env("TMPDIR", data);
        // What is told of a disk that fails is told in the log as well.
        command.env_remove("REATTACH_LOG").env_remove("REATTACH_LOG_FILE");
        command
    }

    /// A folder as the program finds it, and a sandbox that has seen nothing yet.
    pub(crate) fn data(&self) -> TempDir {
        self.world.sandbox().reset();
        let data = scratch();
        copy(self.store.path(), data.path());
        if self.flow == Flow::Export {
            fs::write(export_in(data.path()), OLD).expect("a file");
        }
        data
    }

    /// The flow's command on such a folder.
    pub(crate) fn command(&self, data: &Path) -> Command {
        let arguments: &[&str] = match self.flow {
            Flow::Sync => &["sync", "library/0.png", "library/1.png", "library/2.png", "--json"],
            Flow::Campaign => &["campaign", "run", "library/spring.toml", "--yes", "--json"],
            Flow::Resolve => &["resolve", "library/0.png", "library/1.png", "library/2.png", "--json"],
            Flow::Export => &["export", "--format", "csv", "--output"],
            Flow::Check => &["check", "library/0.png", "library/1.png", "library/2.png", "--json"],
            Flow::Import => &["import", "--json"],
            Flow::Plan => &["campaign", "plan", "--json"],
        };
        let mut command = Self::on(self.world.command(arguments), data);
        match self.flow {
            Flow::Export => command.arg(export_in(data)),
            Flow::Import => command.arg(data.join(MANIFEST)),
            Flow::Plan => command.arg(data.join("spring.toml")),
            _ => &mut command,
        };
        command
    }

    /// What is wrong with what is left, after the command ended as `first` under faults and as `again` without.
    pub(crate) fn objection(&self, data: &Path, first: &End, again: &End) -> Option<String> {
        let record = match Reopened::of(&self.world, &store_in(data)) {
            Ok(record) => record,
            Err(error) => return Some(format!("the record: {error}")),
        };
        if let Some(lost) = record.lost(first.printed.iter().chain(&again.printed)) {
            return Some(lost);
        }
        match self.flow {
            Flow::Sync | Flow::Resolve => self.objection_to_uploads(&record, first),
            Flow::Campaign => self.objection_to_sends(&record, first),
            Flow::Export => objection_to_export(data, first),
            Flow::Check => objection_to_check(again),
            Flow::Import => objection_to_count("files are on record", record.uploads.len(), FILES.into()),
            Flow::Plan => objection_to_count("deliveries are planned", record.ledger.len(), PEOPLE * PARTS),
        }
    }

    fn objection_to_uploads(&self, record: &Reopened, first: &End) -> Option<String> {
        if record.uploads.len() != FILES as usize {
            return Some(format!("{} files are on record instead of {FILES}", record.uploads.len()));
        }
        let missing = if self.flow == Flow::Sync { u64::from(FILES) } else { 1 };
        let repeated = self.world.counts().uploads_accepted - missing;
        if repeated > missing {
            return Some(format!("{repeated} uploads were repeated, and no more than {missing} were under way"));
        }
        let known: HashSet<&String> = record.uploads.values().collect();
        let attachments = self.world.truth().attachments;
        let dropped = attachments.iter().filter(|attachment| !known.contains(&attachment.id)).count();
        (dropped > 0 && first.code == Some(0)).then(|| format!("{dropped} ids were dropped, and nobody was told"))
    }

    fn objection_to_sends(&self, record: &Reopened, first: &End) -> Option<String> {
        let mut accepted = Accepted::new();
        add_accepted(&self.world, 0, &mut accepted);
        let wanted = usize::try_from(PEOPLE * PARTS).expect("few");
        let objection = record.objection(&accepted).or_else(|| record.left_out(wanted));
        if objection.is_some() {
            return objection;
        }
        // Who is unknown was left so by the first run, which has to have said so in one of its ways.
        let (unknown, told) = (record.unknown(), first.code.is_some_and(|code| matches!(code, 1 | 6 | 7)));
        (unknown > 0 && !told).then(|| format!("{unknown} are unknown, and the run ended with {:?}", first.code))
    }
}

fn objection_to_count(what: &str, found: usize, wanted: u64) -> Option<String> {
    (found as u64 != wanted).then(|| format!("{found} {what} instead of {wanted}"))
}

/// Whatever became of the cache, a check is of the files.
fn objection_to_check(again: &End) -> Option<String> {
    let fine = again.printed.iter().filter(|line| line["outcome"] == "ok").count();
    objection_to_count("files are fine", fine, FILES.into())
}

/// The export is the one before or the new one, and the new one where the command says so.
fn objection_to_export(data: &Path, first: &End) -> Option<String> {
    let now = fs::read_to_string(export_in(data)).unwrap_or_default();
    if now.lines().count() != 1 + FILES as usize {
        return Some(format!("the second run left this export: {now:?}"));
    }
    let after_first = first.export.as_deref().unwrap_or_default();
    let expected: &[&str] = if first.code == Some(0) { &[&now] } else { &[&now, OLD] };
    (!expected.contains(&after_first)).then(|| format!("the first run left this export: {after_first:?}"))
}

/// The export in a folder, if there is one.
pub(crate) fn export(data: &Path) -> Option<String> {
    fs::read_to_string(export_in(data)).ok()
}

fn export_in(data: &Path) -> PathBuf {
    data.join("export.csv")
}

fn store_in(data: &Path) -> PathBuf {
    data.join("data").join("store")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
