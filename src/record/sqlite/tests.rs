//! The contract on SQLite, and what only a file can suffer.

mod carry;
mod copies;
mod damage;
mod together;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use futures::FutureExt;
use refinery::{Migration, Runner};
use rusqlite::ffi;
use tempfile::TempDir;

use rusqlite::types::Value;

use super::*;
use crate::delivery::Event;
use crate::record::contract::{self, key, result, store, win};
use crate::record::rows::UploadRow;
use crate::record::{Answer, Campaigns, Change, Derivations, LOST, Ledger, Reach, Request, Requests, UploadState};

contract::suite!(place());
contract::suite! { place() => one_works_on_a_campaign_at_a_time }

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

/// The newest format this program knows.
fn newest() -> i32 {
    embedded::migrations::runner().get_migrations().iter().map(Migration::version).max().expect("a migration")
}

/// A runtime that has ended. To be called outside of any.
fn ended() -> tokio::runtime::Handle {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").handle().clone()
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
    let is_told = |known| known == newest();
    assert!(matches!(refused, Err(RecordError::NewerFormat { found: 99, known, .. }) if is_told(known)), "{refused:?}");
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
    let next = newest() + 1;
    let added = format!("ALTER TABLE pages ADD COLUMN note TEXT; PRAGMA user_version = {next};");
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.push(Migration::unapplied(&format!("V{next}__note"), &added).expect("a migration"));
    let newer = Runner::new(&migrations);
    fs::write(place.path().with_extension(format!("db.before-v{next}.part")), "of a copy cut off").expect("written");

    let (connection, _) = file::open(&place.path(), newer).expect("migrated");
    connection.execute_batch("SELECT note FROM pages; SELECT attachment_id FROM uploads").expect("the new form");
    let copy = place.path().with_extension(format!("db.before-v{next}"));
    assert_eq!(mode(&copy), 0o600);
    let old = SqliteRecord::open(&copy).await.expect("a copy in the old form");
    assert!(old.find(&[key(1)]).await.expect("found")[0].is_some());
    let refused = SqliteRecord::open(&place.path()).await;
    let is_told = |found, known| (found, known) == (next, newest());
    assert!(
        matches!(refused, Err(RecordError::NewerFormat { found, known, .. }) if is_told(found, known)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_record_from_before_unknown_ages_keeps_its_ids_and_takes_them() {
    let place = place();
    let migrations = embedded::migrations::runner().get_migrations().clone();
    let old: Vec<_> = migrations.into_iter().filter(|migration| migration.version() < 6).collect();
    fs::create_dir(place.path().parent().expect("a folder")).expect("created");
    let mut connection = Connection::open(place.path()).expect("a file");
    connection.pragma_update(None, "application_id", i32::from_be_bytes(*b"reat")).expect("a name");
    Runner::new(&old).run(&mut connection).expect("an old record");
    let transaction = connection.transaction().expect("a transaction");
    for number in 0..100 {
        let (key, state) = (key(number), [UploadState::Live, UploadState::Rejected][usize::from(number % 2)]);
        let space = uploads::space_id_for_writing(&transaction, &key.space).expect("a space");
        uploads::store(&transaction, space, &key, &UploadRow::new(&result("id"), state, 7)).expect("stored");
    }
    transaction.commit().expect("committed");
    drop(connection);

    let record = place.record().await;
    record.verify().await.expect("healthy");
    let listed = record.list(&UploadFilter::default(), None, 1_000).await.expect("listed");
    assert_eq!(listed.len(), 100);
    assert_eq!(listed.iter().filter(|upload| upload.state == UploadState::Rejected).count(), 50);
    let adopted = Upload { state: UploadState::UnknownAge, ..listed[1].clone() };
    let adopted = Upload { attachment_id: "other".parse().expect("an attachment id"), ..adopted };
    assert_eq!(record.adopt(&[adopted]).await.expect("adopted"), [Adopted::Stored]);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_nor_do_those_before_it() {
    let place = place();
    store(&place.record().await, &key(1), "id").await;
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    let (next, after) = (newest() + 1, newest() + 2);
    let fine = format!("DROP TABLE uploads; PRAGMA user_version = {next};");
    migrations.push(Migration::unapplied(&format!("V{next}__fine"), &fine).expect("a migration"));
    migrations.push(Migration::unapplied(&format!("V{after}__broken"), "SELECT nonsense;").expect("a migration"));
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
async fn a_worker_who_could_not_be_retired_is_no_more_once_that_can_be_written() {
    let place = place();
    let record = place.record().await;
    record.call(|state| Ok(state.connection.busy_timeout(std::time::Duration::ZERO)?)).await.expect("impatient");
    let campaign = contract::plan(&record, 1..=3, 1).await;
    let worker = contract::enlist(&record, campaign).await;
    let holder = place.shell();
    holder.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let refused = record.retire(&worker, contract::NOW).await;
    assert!(matches!(refused, Err(RecordError::Locked { .. })), "{refused:?}");
    let shown = record.campaigns(contract::NOW).await.expect("who looks is answered");
    assert!(shown[0].holder.is_some());
    holder.execute_batch("COMMIT").expect("unlocked");
    let shown = record.campaigns(contract::NOW).await.expect("campaigns");
    assert_eq!(shown[0].holder, None);
    contract::enlist(&record, campaign).await;
}

#[tokio::test]
async fn after_a_failed_write_the_record_answers_nothing_but_why() {
    let record = place().record().await;
    let failing = record
        .call::<()>(|_| Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None).into()));
    assert!(matches!(failing.await, Err(RecordError::Failed { .. })));
    let stopped = record.find(&[]).await.expect_err("it failed before");
    assert!(matches!(stopped, RecordError::Stopped { .. }));
    assert!(stopped.to_string().ends_with("an earlier write failed (Error code 1034: disk I/O error)"), "{stopped}");
}

#[test]
fn where_the_runtime_has_ended_nothing_is_answered() {
    let place = place();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let record = runtime.block_on(place.record());
    let ended = ended();
    let _entered = ended.enter();
    assert!(record.find(&[key(1)]).now_or_never().is_none());
    assert!(SqliteRecord::open(&place.path()).now_or_never().is_none());
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

/// A delivery that only seems to be planned would be sent a second time.
#[tokio::test]
async fn a_damaged_ledger_is_an_error_wherever_it_is_met() {
    for sql in [
        "UPDATE deliveries SET state = 'planned', worker = NULL",
        "UPDATE deliveries SET attempt = attempt + 1",
        "UPDATE deliveries SET nonce = 7",
        "UPDATE deliveries SET at = at + 1",
        "UPDATE deliveries SET variant = 'b'",
        "UPDATE campaign_recipients SET recipient = recipient || '0'",
        "UPDATE campaign_recipients SET variables = NULL",
        "UPDATE campaign_recipients SET timezone = 'Europe/Berlin'",
    ] {
        let place = place();
        let record = place.record().await;
        let campaign = contract::plan(&record, 1..=2, 1).await;
        let worker = contract::enlist(&record, campaign).await;
        record.claim_deliveries(&worker, Reach::All, 1, contract::NOW).await.expect("claims");
        drop(record);
        place.tamper(sql);
        let record = place.record().await;
        let verified = record.verify().await;
        assert!(matches!(verified, Err(RecordError::Damaged { .. })), "{sql}: {verified:?}");
        let found = record.deliveries(campaign, None, None, 9).await;
        assert!(matches!(found, Err(RecordError::Damaged { .. })), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn whoever_was_claimed_and_has_no_row_any_more_is_damage() {
    for (seq, is_damage) in [(1, true), (2, true), (3, false)] {
        let place = place();
        let record = place.record().await;
        let campaign = contract::plan(&record, 1..=3, 1).await;
        let worker = contract::enlist(&record, campaign).await;
        contract::claim(&record, &worker, 2).await;
        record.retire(&worker, contract::NOW).await.expect("retired");
        drop(record);
        place.tamper(&format!("DELETE FROM deliveries WHERE seq = {seq}"));
        let skip = contract::entry(seq, 0, Event::Skip { reason: "stop".to_owned() });
        let skipped = place.record().await.decide(campaign, &[skip]).await;
        assert_eq!(matches!(skipped, Err(RecordError::Damaged { .. })), is_damage, "{seq}: {skipped:?}");
        assert_eq!(skipped.is_ok(), !is_damage, "{seq}: {skipped:?}");
    }
}

#[tokio::test]
async fn a_damaged_alias_is_an_error_wherever_it_is_met() {
    for sql in [
        "UPDATE aliases SET name = 'villain'",
        "UPDATE aliases SET sha256 = zeroblob(32)",
        "UPDATE aliases SET url = 'https://a.example/x.png'",
        "UPDATE aliases SET kind = 'file'",
        "UPDATE aliases SET source = NULL",
    ] {
        let place = place();
        let alias = contract::alias("hero", key(1).asset);
        place.record().await.set_alias(&alias).await.expect("set");
        place.tamper(sql);
        let record = place.record().await;
        for refused in [record.verify().await, record.aliases().await.map(drop)] {
            assert!(matches!(refused, Err(RecordError::Damaged { table: "aliases", .. })), "{sql}: {refused:?}");
        }
        let found = record.alias(&alias.name).await;
        assert!(matches!(found, Err(RecordError::Damaged { .. }) | Ok(None)), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn a_damaged_request_is_an_error_wherever_it_is_met() {
    for sql in [
        "UPDATE requests SET digest = zeroblob(32)",
        "UPDATE requests SET at = at + 1",
        "UPDATE requests SET status = 201",
        "UPDATE requests SET body = '{\"message_id\":\"m_2\"}'",
        "UPDATE requests SET status = NULL, body = NULL",
    ] {
        let place = place();
        let digest = crate::ids::ContentHash([1; 32]);
        let request = Request { key: "a".parse().expect("a key"), digest, at: contract::NOW };
        let record = place.record().await;
        record.take_up(&request, request.at).await.expect("an answer");
        let answer = Answer { status: 200, body: "{\"message_id\":\"m_1\"}".to_owned() };
        record.answer(&request, &answer).await.expect("kept");
        drop(record);
        place.tamper(sql);
        let record = place.record().await;
        for refused in [record.verify().await, record.take_up(&request, request.at).await.map(drop)] {
            assert!(matches!(refused, Err(RecordError::Damaged { table: "requests", .. })), "{sql}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_damaged_derivation_is_an_error_wherever_it_is_met() {
    for sql in [
        "UPDATE derivations SET result = zeroblob(32)",
        "UPDATE derivations SET rules = 'fit9'",
        "UPDATE derivations SET size_bytes = size_bytes + 1",
        "UPDATE derivations SET source = x'01'",
    ] {
        let place = place();
        let hash = |byte| crate::ids::ContentHash([byte; 32]);
        let derivation = crate::record::Derivation {
            source: hash(1),
            rules: "fit1;messenger".to_owned(),
            recipe: "fit1;messenger;png;2x1".to_owned(),
            result: hash(2),
            size_bytes: 70,
            mime: "image/png".to_owned(),
            dimensions: crate::facts::Dimensions { width: 2, height: 1 },
        };
        let now = Timestamp::from_unix_millis(0);
        place.record().await.remember_derivation(&derivation, now).await.expect("remembered");
        place.tamper(sql);
        let record = place.record().await;
        let verified = record.verify().await;
        assert!(
            matches!(verified, Err(RecordError::Damaged { .. } | RecordError::Corrupt { .. })),
            "{sql}: {verified:?}"
        );
        let found = record.copies_of(hash(1)).await;
        assert!(
            matches!(&found, Err(RecordError::Damaged { .. })) || found.is_ok_and(|found| found.is_empty()),
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

/// Why its only campaign is paused.
async fn paused(record: &SqliteRecord) -> Option<String> {
    record.campaigns(contract::NOW).await.expect("campaigns").remove(0).paused
}

#[tokio::test]
async fn without_its_mark_a_record_sends_to_nobody_unasked() {
    let place = place();
    let mark = place.path().with_extension("db.mark");
    let campaign = contract::plan(&place.record().await, 1..=2, 1).await;
    assert_eq!(paused(&place.record().await).await, None, "it has its mark");
    fs::write(&mark, "torn").expect("a mark that says nothing");
    assert_eq!(paused(&place.record().await).await, None, "a power cut may leave that");
    fs::remove_file(&mark).expect("taken away");
    let record = place.record().await;
    assert_eq!(paused(&record).await.as_deref(), Some(LOST));
    record.change(campaign, Change::Unpause(LOST.to_owned())).await.expect("a yes");
    assert_eq!(paused(&place.record().await).await, None, "it has a mark again");
    let another = self::place();
    store(&another.record().await, &key(1), "id").await;
    fs::copy(another.path().with_extension("db.mark"), &mark).expect("another's mark");
    let record = place.record().await;
    assert_eq!(paused(&record).await.as_deref(), Some(LOST), "it was put beside another's mark");
    record.change(campaign, Change::Unpause(LOST.to_owned())).await.expect("a yes");
    let worker = contract::enlist(&record, campaign).await;
    contract::claim(&record, &worker, 2).await;
    let all = [1, 2].map(|seq| [contract::intent(seq, 0), contract::sent(seq, 0)]).concat();
    contract::write(&record, &worker, &all).await;
    record.retire(&worker, contract::NOW).await.expect("retired");
    drop(record);
    fs::remove_file(&mark).expect("taken away");
    assert_eq!(paused(&place.record().await).await, None, "nobody is left to send to");
}
