//! Bytes keep their id, whatever becomes of the files that hold them: moved, copied, linked, overwritten, gone and back.
//! `RENAME_CASES` says how many libraries are tried (120).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reattach::library::AssetOutcome;
use reattach::record::UploadFilter;
use reattach::stop::Stop;

use crate::library::{Opened, open, options};
use crate::support::World;

/// What happens to a library between two syncs.
#[derive(Debug, Clone)]
enum Change {
    Write { name: u8, content: u8 },
    Copy { from: u8, to: u8 },
    Link { from: u8, to: u8 },
    Rename { from: u8, to: u8 },
    RenameFolder,
    Remove { name: u8 },
}

fn change() -> impl Strategy<Value = Change> {
    let (name, content) = (|| 0..8_u8, 0..4_u8);
    prop_oneof![
        3 => (name(), content).prop_map(|(name, content)| Change::Write { name, content }),
        1 => (name(), name()).prop_map(|(from, to)| Change::Copy { from, to }),
        1 => (name(), name()).prop_map(|(from, to)| Change::Link { from, to }),
        3 => (name(), name()).prop_map(|(from, to)| Change::Rename { from, to }),
        1 => Just(Change::RenameFolder),
        1 => name().prop_map(|name| Change::Remove { name }),
    ]
}

/// One library; its contents are unlike those of every other.
struct Shelf {
    folder: PathBuf,
    number: u32,
}

impl Shelf {
    fn path(&self, name: u8) -> PathBuf {
        self.folder.join(["spring", "autumn"][usize::from(name % 2)]).join(format!("{name}.pdf"))
    }

    fn bytes(&self, content: u8) -> Vec<u8> {
        format!("%PDF-1.4\n%{} {content}\n%%EOF\n", self.number).into_bytes()
    }

    /// Whatever cannot be done, such as to rename what is not there, changes nothing.
    fn change(&self, change: &Change) {
        for folder in ["spring", "autumn"] {
            fs::create_dir_all(self.folder.join(folder)).expect("a folder");
        }
        let done = match change {
            Change::Write { name, content } => fs::write(self.path(*name), self.bytes(*content)),
            // Copied onto itself, or onto another name of itself, a file would be emptied.
            Change::Copy { from, to } => fs::read(self.path(*from)).and_then(|bytes| fs::write(self.path(*to), bytes)),
            Change::Link { from, to } => fs::hard_link(self.path(*from), self.path(*to)),
            Change::Rename { from, to } => fs::rename(self.path(*from), self.path(*to)),
            Change::RenameFolder => {
                let aside = self.folder.join("aside");
                fs::rename(self.folder.join("spring"), &aside)
                    .and_then(|()| fs::rename(self.folder.join("autumn"), self.folder.join("spring")))
                    .and_then(|()| fs::rename(&aside, self.folder.join("autumn")))
            }
            Change::Remove { name } => fs::remove_file(self.path(*name)),
        };
        drop(done);
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = fs::read_dir(&self.folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let files = folders.flat_map(|folder| fs::read_dir(folder).expect("a folder"));
        files
            .map(|file| file.expect("an entry").path())
            .map(|path| (path.clone(), fs::read(path).expect("bytes")))
            .collect()
    }
}

/// The outcome and the id of each file after a sync.
async fn sync(opened: &Opened, folder: &Path) -> BTreeMap<PathBuf, (AssetOutcome, String)> {
    let mut seen = BTreeMap::new();
    let each = |report: &reattach::library::AssetReport| {
        let id = report.upload.as_ref().map(|upload| upload.attachment_id.to_string()).unwrap_or_default();
        seen.insert(report.path.clone().expect("a path"), (report.outcome, id));
    };
    opened.library.sync(&[folder.to_owned()], &options(), &Stop::new(), each).await.expect("a sync");
    seen
}

/// Where the bytes with that id lie, by the record.
async fn source_of(opened: &Opened, id: &str) -> PathBuf {
    let filter = UploadFilter { attachment_id: Some(id.parse().expect("an id")), ..UploadFilter::default() };
    let found = opened.record.list(&filter, None, 2).await.expect("a record");
    let [upload] = found.as_slice() else { panic!("{found:?}") };
    upload.source.clone().expect("a path")
}

#[test]
fn bytes_are_uploaded_once_under_whatever_names_they_come_and_go() {
    let world = World::new();
    let opened = world.runtime.block_on(open(&world, 1 << 20));
    let cases = std::env::var("RENAME_CASES").map_or(120, |cases| cases.parse().expect("a number"));
    let shelves = Cell::new(0);
    let rounds = prop::collection::vec(prop::collection::vec(change(), 1..8), 1..5);
    let tried =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() }).run(&rounds, |rounds| {
            let number = shelves.replace(shelves.get() + 1);
            let shelf = Shelf { folder: world.library().join(number.to_string()), number };
            fs::create_dir_all(&shelf.folder).expect("a folder");
            let before = world.counts().uploads_accepted;
            // Whatever was ever there, and its id.
            let mut known: BTreeMap<Vec<u8>, String> = BTreeMap::new();
            for changes in rounds {
                for change in &changes {
                    shelf.change(change);
                }
                let seen = world.runtime.block_on(sync(&opened, &shelf.folder));
                let files = shelf.files();
                prop_assert_eq!(seen.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
                for (path, (outcome, id)) in seen {
                    let bytes = &files[&path];
                    let recorded = world.runtime.block_on(source_of(&opened, &id));
                    prop_assert_eq!(files.get(&recorded), Some(bytes), "{:?} of {:?}", recorded, path);
                    let is_new = !known.contains_key(bytes);
                    prop_assert!(
                        matches!(outcome, AssetOutcome::Uploaded | AssetOutcome::Reused),
                        "{path:?} {outcome:?}"
                    );
                    prop_assert!(
                        is_new || outcome == AssetOutcome::Reused || known[bytes] == id,
                        "{path:?} {outcome:?}"
                    );
                    prop_assert_eq!(known.entry(bytes.clone()).or_insert_with(|| id.clone()), &id);
                }
                prop_assert_eq!(world.counts().uploads_accepted - before, known.len() as u64);
            }
            Ok(())
        });
    tried.expect("an id for all bytes");
}
