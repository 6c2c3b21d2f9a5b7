//! The record in a SQLite file, beside bare SQLite with the same promises.

use divan::Bencher;
use divan::counter::ItemsCount;
use futures::future::join_all;
use reattach::clock::{Clock, SystemClock};
use reattach::ids::{Asset, AssetKey, KeySpace, MediaKind, Platform};
use reattach::library::ID_LIFETIME;
use reattach::record::{Claim, Claimed, NewUpload, Record, SqliteRecord, Upload, UploadState, Uploads};
use tempfile::TempDir;

use crate::{folder, hash, runtime};

const UPLOADS: u64 = 10_000;
const BATCH: u64 = 64;
const TOGETHER: u64 = 8;

fn key(number: u64) -> AssetKey {
    let origin = "https://graph.facebook.com".parse().expect("an origin");
    let space = KeySpace { origin, page: "1".parse().expect("a Page"), platform: Platform::Messenger };
    AssetKey { space, kind: MediaKind::Image, asset: Asset::Bytes(hash(number)) }
}

fn result(number: u64) -> NewUpload {
    let now = SystemClock.now();
    NewUpload {
        attachment_id: (1_857_777_774_821_032 + number).to_string().parse().expect("an id"),
        uploaded_at: now,
        expires_at: now.plus(ID_LIFETIME),
        size_bytes: 10_000,
        mime: "image/jpeg".to_owned(),
        dimensions: None,
        source: None,
    }
}

async fn open(folder: &TempDir) -> SqliteRecord {
    SqliteRecord::open(&folder.path().join("record.db")).await.expect("a record")
}

async fn win(record: &SqliteRecord, number: u64) -> Claim {
    match record.claim(&key(number), SystemClock.now()).await.expect("an answer") {
        Claimed::Won(claim) => claim,
        Claimed::Held { .. } => panic!("nobody else claims"),
    }
}

#[divan::bench]
fn known_ids_64_at_a_time(bencher: Bencher) {
    let (folder, runtime) = (folder(), runtime());
    let record = runtime.block_on(open(&folder));
    let uploads = (0..UPLOADS).map(|number| {
        let NewUpload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source } = result(number);
        let (key, state) = (key(number), UploadState::Live);
        Upload { key, attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state }
    });
    runtime.block_on(record.adopt(&uploads.collect::<Vec<_>>())).expect("adopted");
    runtime.block_on(record.verify()).expect("healthy");
    let keys: Vec<_> = (0..BATCH).map(|number| key(number * UPLOADS / BATCH)).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| runtime.block_on(record.find(&keys)).expect("found"));
}

/// A claim and its result, each on the disk before anybody hears of it.
#[divan::bench]
fn one_upload(bencher: Bencher) {
    uploads_at_once(bencher, 1);
}

/// The same for eight under way at once, which share the syncs.
#[divan::bench]
fn eight_uploads_at_once(bencher: Bencher) {
    uploads_at_once(bencher, TOGETHER);
}

fn uploads_at_once(bencher: Bencher, together: u64) {
    let (folder, runtime) = (folder(), runtime());
    let record = runtime.block_on(open(&folder));
    let mut next = 0;
    bencher.counter(ItemsCount::new(together)).bench_local(|| {
        let uploads = (next..next + together).map(async |number| {
            let claim = win(&record, number).await;
            record.complete(&claim, &result(number)).await.expect("stored")
        });
        next += together;
        runtime.block_on(join_all(uploads))
    });
}

/// Two transactions of one row each.
#[divan::bench]
fn one_upload_beside_bare_sqlite(bencher: Bencher) {
    let folder = folder();
    let bare = rusqlite::Connection::open(folder.path().join("bare.db")).expect("a database");
    bare.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; CREATE TABLE rows (key BLOB PRIMARY KEY, id TEXT)",
    )
    .expect("a table");
    let mut next = 0;
    bencher.counter(ItemsCount::new(1_u64)).bench_local(|| {
        next += 1;
        let key = hash(next).as_bytes().to_vec();
        bare.execute("INSERT INTO rows (key) VALUES (?1)", [&key]).expect("a row");
        bare.execute("UPDATE rows SET id = '1' WHERE key = ?1", [&key]).expect("a row");
    });
}
