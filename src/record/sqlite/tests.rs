//! The contract on SQLite, and what only a file can suffer.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use refinery::{Migration, Runner};
use rusqlite::ffi;
use tempfile::TempDir;

use rusqlite::types::Value;

use super::*;
use crate::record::contract::{self, key, result, store, win};

contract::suite!(place());

/// A folder that holds, or will hold, `record.db`.
struct Place(TempDir);

fn place() -> Place {
    Place(tempfile::tempdir().expect("a temporary folder"))
}

impl Place {
    fn path(&self) -> PathBuf {
        self.0.path().join("data").join("record.db")
    }

    async fn record(&self) -> SqliteRecord {
        SqliteRecord::open(&self.path()).await.expect("a record")
    }

    /// The file as any SQLite shell would open it.
    fn shell(&self) -> Connection {
        fs::create_dir_all(self.path().parent().expect("a folder")).expect("created");
        Connection::open(self.path()).expect("a database")
    }

    /// Damages a closed record by hand.
    fn tamper(&self, sql: &str) {
        self.shell().execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}")).expect("tampered");
    }
}

#[async_trait]
impl contract::Store for Place {
    async fn open(&self) -> Box<dyn Record> {
        Box::new(self.record().await)
    }
}

/// The newest format there is.
fn newest() -> i32 {
    let migrations = embedded::migrations::runner();
    migrations.get_migrations().iter().map(Migration::version).max().expect("a migration")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_stored_is_its_owners_alone() {
    let place = place();
    let record = place.record().await;
    win(&record, &key(1)).await;
    let folder = place.path().parent().expect("a folder").to_owned();
    assert_eq!((mode(&folder), mode(&folder.join("owners"))), (0o700, 0o700));
    for folder in [folder.join("owners"), folder] {
        for file in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            assert!(file.is_dir() || mode(&file) == 0o600, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn what_is_stored_is_durable_as_far_as_sqlite_can_make_it() {
    let place = place();
    let record = place.record().await;
    let state = record.state.lock().expect("the state");
    let pragma =
        |name| state.connection.pragma_query_value(None, name, |row| row.get::<_, Value>(0)).expect("an answer");
    assert_eq!(pragma("journal_mode"), Value::Text("wal".to_owned()));
    assert_eq!(pragma("synchronous"), Value::Integer(2));
    assert_eq!(pragma("foreign_keys"), Value::Integer(1));
    assert_eq!(pragma("user_version"), Value::Integer(newest().into()));
}

#[test]
fn many_may_open_a_new_record_at_once() {
    for _ in 0..10 {
        let place = place();
        std::thread::scope(|scope| {
            let openings: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| file::open(&place.path(), embedded::migrations::runner()).map(drop)))
                .collect();
            for opening in openings {
                opening.join().expect("no panic").expect("opened");
            }
        });
    }
}

#[tokio::test]
async fn a_newer_record_is_refused_and_left_as_it_is() {
    let place = place();
    drop(place.record().await);
    place.tamper("PRAGMA user_version = 99");
    let before = fs::read(place.path()).expect("a file");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(
        matches!(refused, Err(RecordError::NewerFormat { found: 99, known, .. }) if known == newest()),
        "{refused:?}"
    );
    assert_eq!(fs::read(place.path()).expect("a file"), before);
}

#[tokio::test]
async fn a_file_that_is_no_record_is_refused_and_left_as_it_is() {
    let database = place();
    database.tamper("CREATE TABLE recipes (name TEXT)");
    let text = place();
    fs::create_dir_all(text.path().parent().expect("a folder")).expect("created");
    fs::write(text.path(), "shopping list\n".repeat(100)).expect("written");
    for place in [database, text] {
        let before = fs::read(place.path()).expect("a file");
        let refused = SqliteRecord::open(&place.path()).await;
        assert!(matches!(refused, Err(RecordError::NotARecord { .. })), "{refused:?}");
        assert_eq!(fs::read(place.path()).expect("a file"), before);
    }
}

#[tokio::test]
async fn a_record_whose_creation_was_cut_off_is_created_anew() {
    let empty = place();
    fs::create_dir_all(empty.path().parent().expect("a folder")).expect("created");
    fs::write(empty.path(), b"").expect("written");
    let stamped = place();
    let application = i32::from_be_bytes(*b"reat");
    stamped.tamper(&format!("PRAGMA application_id = {application}; PRAGMA journal_mode = wal"));
    for place in [empty, stamped] {
        store(&place.record().await, &key(1), "id").await;
    }
}

#[tokio::test]
async fn an_older_record_is_copied_and_then_migrated() {
    let place = place();
    store(&place.record().await, &key(1), "id").await;
    let second = "ALTER TABLE pages ADD COLUMN note TEXT; PRAGMA user_version = 99;";
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.push(Migration::unapplied("V99__note", second).expect("a migration"));
    let newer = Runner::new(&migrations);
    fs::write(place.path().with_extension("db.before-v99.part"), "of a copy cut off").expect("written");

    let connection = file::open(&place.path(), newer).expect("migrated");
    connection.execute_batch("SELECT note FROM pages; SELECT attachment_id FROM uploads").expect("the new form");
    let copy = place.path().with_extension("db.before-v99");
    assert_eq!(mode(&copy), 0o600);
    let old = SqliteRecord::open(&copy).await.expect("a copy in the old form");
    assert!(old.find(&[key(1)]).await.expect("found")[0].is_some());
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(
        matches!(refused, Err(RecordError::NewerFormat { found: 99, known, .. }) if known == newest()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_nor_do_those_before_it() {
    let place = place();
    store(&place.record().await, &key(1), "id").await;
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    let fine = "DROP TABLE uploads; PRAGMA user_version = 99;";
    migrations.push(Migration::unapplied("V98__fine", fine).expect("a migration"));
    migrations.push(Migration::unapplied("V99__broken", "SELECT nonsense;").expect("a migration"));
    assert!(file::open(&place.path(), Runner::new(&migrations)).is_err());
    assert!(place.record().await.find(&[key(1)]).await.expect("found")[0].is_some());
}

#[tokio::test]
async fn a_place_that_cannot_be_is_unreachable() {
    let place = place();
    fs::write(place.0.path().join("data"), b"a file where the folder should be").expect("written");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(matches!(refused, Err(RecordError::Unreachable { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_full_disk_has_its_own_error_and_costs_nothing_stored() {
    let place = place();
    let record = place.record().await;
    store(&record, &key(1), "id").await;
    let claim = win(&record, &key(2)).await;
    let pages = "PRAGMA max_page_count = 1";
    record.call(move |state| Ok(state.connection.query_row(pages, [], |_| Ok(()))?)).await.expect("limited");
    let large = NewUpload { mime: "x".repeat(100_000), ..result("id") };
    let refused = record.complete(&claim, &large).await;
    assert!(matches!(refused, Err(RecordError::Full { .. })), "{refused:?}");
    assert!(record.find(&[key(1)]).await.expect("found")[0].is_some());
    record.complete(&claim, &result("id")).await.expect("completed");
}

#[tokio::test]
async fn a_record_locked_for_long_has_its_own_error() {
    let place = place();
    let record = place.record().await;
    record.call(|state| Ok(state.connection.busy_timeout(std::time::Duration::ZERO)?)).await.expect("impatient");
    let holder = place.shell();
    holder.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let refused = record.claim(&key(1), Timestamp::from_unix_millis(0)).await;
    assert!(matches!(refused, Err(RecordError::Locked { .. })), "{refused:?}");
    assert_eq!(record.find(&[key(1)]).await.expect("readers wait for nobody"), [None]);
    holder.execute_batch("COMMIT").expect("unlocked");
    win(&record, &key(1)).await;
}

#[tokio::test]
async fn after_a_failed_write_the_record_answers_nothing() {
    let record = place().record().await;
    let failing = record
        .call::<()>(|_| Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None).into()));
    assert!(matches!(failing.await, Err(RecordError::Failed { .. })));
    assert!(matches!(record.find(&[]).await, Err(RecordError::Stopped { .. })));
}

#[tokio::test]
async fn a_damaged_row_is_an_error_wherever_it_is_met() {
    for sql in [
        "UPDATE uploads SET attachment_id = 'another'",
        "UPDATE uploads SET expires_at = expires_at + 1",
        "UPDATE uploads SET sha256 = zeroblob(32)",
        "UPDATE uploads SET kind = 'sculpture'",
        "UPDATE uploads SET state = 'undead'",
        "UPDATE spaces SET page_id = 'a c'",
        "UPDATE spaces SET page_id = '77'",
        "UPDATE spaces SET platform = 'pigeon'",
        "PRAGMA foreign_keys = OFF; DELETE FROM spaces",
    ] {
        let place = place();
        store(&place.record().await, &key(1), "id").await;
        place.tamper(sql);
        let record = place.record().await;
        let verified = record.verify().await;
        assert!(
            matches!(verified, Err(RecordError::Damaged { .. } | RecordError::Corrupt { .. })),
            "{sql}: {verified:?}"
        );
        let listed = record.list(&UploadFilter::default(), None, 10).await;
        assert!(
            matches!(&listed, Err(RecordError::Damaged { .. })) || listed.is_ok_and(|found| found.is_empty()),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_page_identity_that_does_not_parse_is_damage() {
    let place = place();
    let origin: Origin = Origin::GRAPH.parse().expect("an origin");
    let token = TokenFingerprint([1; 16]);
    let page = PageIdentity { id: "1".parse().expect("a Page id"), name: "Shop".to_owned() };
    place
        .record()
        .await
        .remember_page(&origin, token, &page, Timestamp::from_unix_millis(0))
        .await
        .expect("remembered");
    place.tamper("UPDATE pages SET page_id = 'a c'");
    let read = place.record().await.page_of(&origin, token).await;
    assert!(matches!(read, Err(RecordError::Damaged { table: "pages", .. })), "{read:?}");
}

#[tokio::test]
async fn the_first_claim_of_a_record_settles_what_the_dead_left() {
    let place = place();
    let dead = place.record().await;
    win(&dead, &key(1)).await;
    drop(dead);
    let owners = place.path().with_file_name("owners");
    fs::write(owners.join("0123.lock"), b"").expect("a file as a kill leaves it");
    fs::set_permissions(owners.join("0123.lock"), Permissions::from_mode(0o600)).expect("private");
    let record = place.record().await;
    assert_eq!(record.count_orphans().await.expect("counted"), 0);
    win(&record, &key(2)).await;
    assert_eq!(record.count_orphans().await.expect("counted"), 1);
    assert_eq!(fs::read_dir(owners).expect("a folder").count(), 1);
}

#[tokio::test]
async fn no_flipped_bit_is_a_silent_loss() {
    let place = place();
    let record = place.record().await;
    let mut stored = Vec::new();
    for number in 0..100 {
        stored.push(store(&record, &key(number), &format!("id-{number}")).await);
    }
    drop(record);
    let pristine = fs::read(place.path()).expect("a file");
    let keys: Vec<_> = (0..100).map(key).collect();
    let mut noticed = 0;
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = pristine.clone();
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
        fs::write(place.path(), bytes).expect("written");
        let Ok(record) = SqliteRecord::open(&place.path()).await else {
            noticed += 1;
            continue;
        };
        let found = record.find(&keys).await;
        if record.verify().await.is_ok() {
            assert!(found.is_ok_and(|found| found.into_iter().flatten().eq(stored.iter().cloned())), "seed {seed}");
        } else {
            noticed += 1;
            for upload in found.into_iter().flatten().flatten() {
                assert!(stored.contains(&upload), "seed {seed}: {upload:?}");
            }
        }
    }
    assert!(noticed > 20, "{noticed} of 200 damages were noticed");
}
