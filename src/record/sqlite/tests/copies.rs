//! Records that were copied, moved or replaced: whoever may have been sent something is not sent it again unasked.

use std::fs;

use super::*;
use crate::record::contract::NOW;

/// Where the mark lies.
fn mark_of(place: &Place) -> PathBuf {
    place.path().with_extension("db.mark")
}

/// The record and its mark, in another folder.
fn copied(place: &Place) -> Place {
    let copy = self::place();
    fs::create_dir(copy.path().parent().expect("a folder")).expect("created");
    for name in ["record.db", "record.db.mark"] {
        fs::copy(place.path().with_file_name(name), copy.path().with_file_name(name)).expect("copied");
    }
    copy
}

/// A mark of the old form, which says so much of the record, but for so many changes more.
fn old_mark(place: &Place, more: i64) -> Vec<u8> {
    let query = "SELECT record, changes FROM head";
    let (mut bytes, changes): (Vec<u8>, i64) =
        place.shell().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a head");
    bytes.extend((changes + more).to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

#[tokio::test]
async fn a_copy_with_its_mark_sends_to_nobody_unasked_and_the_original_goes_on() {
    let place = place();
    let campaign = contract::plan(&place.record().await, 1..=2, 1).await;
    let copy = copied(&place);
    for _ in 0..2 {
        assert_eq!(paused(&copy.record().await).await.as_deref(), Some(LOST), "until somebody says yes");
    }
    let record = copy.record().await;
    record.change(campaign, Change::Unpause(LOST.to_owned())).await.expect("a yes");
    record.verify().await.expect("healthy");
    drop(record);
    assert_eq!(paused(&copy.record().await).await, None, "its mark is its own by now");
    assert_eq!(paused(&place.record().await).await, None, "the original has its own");
}

#[tokio::test]
async fn a_copied_mark_tells_still_how_far_the_record_had_come() {
    let place = place();
    contract::plan(&place.record().await, 1..=2, 1).await;
    let old = fs::read(place.path()).expect("a file");
    store(&place.record().await, &key(1), "id").await;
    let copy = copied(&place);
    fs::write(copy.path(), old).expect("put back");
    let refused = SqliteRecord::open(&copy.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { lost: 2, .. })), "{refused:?}");
    fs::remove_file(copy.path()).expect("gone");
    let refused = SqliteRecord::open(&copy.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_record_in_a_renamed_folder_goes_on() {
    let place = place();
    contract::plan(&place.record().await, 1..=2, 1).await;
    let folder = place.0.path().join("renamed");
    fs::rename(place.path().parent().expect("a folder"), &folder).expect("renamed");
    let record = SqliteRecord::open(&folder.join("record.db")).await.expect("a record");
    assert_eq!(paused(&record).await, None);
}

#[tokio::test]
async fn a_mark_of_the_old_form_is_believed_until_the_next_change() {
    let place = place();
    contract::plan(&place.record().await, 1..=2, 1).await;
    fs::write(mark_of(&place), old_mark(&place, 1)).expect("written");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { lost: 1, .. })), "{refused:?}");
    let old = old_mark(&place, 0);
    fs::write(mark_of(&place), &old).expect("written");
    let record = place.record().await;
    assert_eq!(paused(&record).await, None, "nobody can tell that it was copied");
    assert_eq!(fs::read(mark_of(&place)).expect("a mark"), old);
    store(&record, &key(1), "id").await;
    drop(record);
    assert!(fs::read(mark_of(&place)).expect("a mark").len() > old.len());
    assert_eq!(paused(&copied(&place).record().await).await.as_deref(), Some(LOST));
    assert_eq!(paused(&place.record().await).await, None);
}

#[tokio::test]
async fn whoever_has_it_open_stops_where_another_file_takes_its_place() {
    let place = place();
    let record = place.record().await;
    store(&record, &key(1), "id").await;
    let (own, other) = (place.path().with_file_name("own.db"), place.path().with_file_name("other.db"));
    fs::copy(place.path(), &other).expect("copied");
    let mark = fs::read(mark_of(&place)).expect("a mark");
    fs::rename(place.path(), &own).expect("moved away");
    fs::rename(other, place.path()).expect("replaced");
    let claimed = record.claim(&key(2), NOW).await;
    assert!(matches!(claimed, Err(RecordError::Replaced { .. })), "{claimed:?}");
    let forgotten = record.forget(&key(1)).await;
    assert!(matches!(forgotten, Err(RecordError::Replaced { .. })), "{forgotten:?}");
    assert_eq!(fs::read(mark_of(&place)).expect("a mark"), mark, "it is not about that file");
    fs::remove_file(place.path()).expect("taken away");
    let claimed = record.claim(&key(3), NOW).await;
    assert!(matches!(claimed, Err(RecordError::Replaced { .. })), "{claimed:?}");
    fs::rename(own, place.path()).expect("put back");
    win(&record, &key(4)).await;
}
