//! What every engine must do about ids, and about claims to upload.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{NOW, Store, find, key, result, space, store, upload, win};
use crate::clock::Timestamp;
use crate::ids::{AssetKey, KeySpace, MediaKind, Platform};
use crate::record::{
    Adopted, Claim, Claimed, Completed, Moved, NewUpload, Record, RecordError, Upload, UploadFilter, UploadState,
};

async fn id_of(record: &dyn Record, key: &AssetKey) -> Option<String> {
    find(record, key).await.map(|upload| upload.attachment_id.to_string())
}

async fn list_all(record: &dyn Record, filter: &UploadFilter, limit: usize) -> Vec<Upload> {
    let mut listed: Vec<Upload> = Vec::new();
    loop {
        let after = listed.last().map(|upload| upload.key.clone());
        let page = record.list(filter, after.as_ref(), limit).await.expect("listed");
        assert!(page.len() <= limit);
        assert!(page.iter().all(|upload| Some(&upload.key) != after.as_ref()), "{after:?} comes twice");
        if page.is_empty() {
            return listed;
        }
        listed.extend(page);
    }
}

pub(in crate::record) async fn finding_answers_in_the_order_of_the_keys(store_at: &dyn Store) {
    let record = store_at.open().await;
    assert_eq!(record.find(&[]).await.expect("found"), []);
    let (first, second) = (store(&*record, &key(1), "a").await, store(&*record, &key(2), "b").await);
    let elsewhere = AssetKey { space: space("404"), ..key(1) };
    let keys = [key(2), key(3), elsewhere, key(1), key(2)];
    let found = record.find(&keys).await.expect("found");
    assert_eq!(found, [Some(second.clone()), None, None, Some(first), Some(second)]);
    let many: Vec<_> = (0..2_000).map(key).collect();
    let found = record.find(&many).await.expect("found");
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        (0..2_000).map(|n| n == 1 || n == 2).collect::<Vec<_>>()
    );
}

pub(in crate::record) async fn an_upload_reads_back_as_it_was_stored(store_at: &dyn Store) {
    let extremes = NewUpload {
        attachment_id: "x".repeat(512).parse().expect("an attachment id"),
        uploaded_at: Timestamp::from_unix_millis(i64::MIN),
        expires_at: Timestamp::from_unix_millis(i64::MAX),
        size_bytes: i64::MAX.unsigned_abs(),
        mime: String::new(),
        dimensions: None,
        source: Some(PathBuf::from(OsString::from_vec(b"/library/\xff\n.png".to_vec()))),
    };
    let plain = NewUpload { source: None, size_bytes: 0, ..result("1") };
    let record = store_at.open().await;
    for (number, new) in [(1, extremes), (2, plain), (3, result("2"))] {
        let claim = win(&*record, &key(number)).await;
        record.complete(&claim, &new).await.expect("completed");
        let stored = upload(&key(number), new);
        assert_eq!(find(&*record, &key(number)).await, Some(stored.clone()));
        assert_eq!(find(&*store_at.open().await, &key(number)).await, Some(stored));
    }
}

pub(in crate::record) async fn listing_gives_every_upload_once(store_at: &dyn Store) {
    let record = store_at.open().await;
    let mut stored = Vec::new();
    for number in [5, 3, 9, 1, 7] {
        for page in ["2", "1"] {
            for kind in [MediaKind::Image, MediaKind::File] {
                let key = AssetKey { space: space(page), kind, ..key(number) };
                stored.push(store(&*record, &key, &format!("{number}-{page}-{kind}")).await);
            }
        }
    }
    let all = list_all(&*record, &UploadFilter::default(), 100).await;
    for limit in [1, 3, 7, 20] {
        assert_eq!(list_all(&*record, &UploadFilter::default(), limit).await, all, "pages of {limit}");
    }
    let sorted = |mut uploads: Vec<Upload>| {
        uploads.sort_by(|a, b| a.key.cmp(&b.key));
        uploads
    };
    assert_eq!(sorted(all), sorted(stored));
}

pub(in crate::record) async fn what_is_stored_or_forgotten_meanwhile_moves_nothing_to_another_page(
    store_at: &dyn Store,
) {
    let record = store_at.open().await;
    for number in 0..10 {
        store(&*record, &key(number * 10), "id").await;
    }
    let all = list_all(&*record, &UploadFilter::default(), 100).await;
    let (first, rest) = all.split_at(4);
    let last = &first[3].key;
    record.forget(last).await.expect("forgotten");
    record.forget(&first[0].key).await.expect("forgotten");
    store(&*record, &key(1), "new").await;
    let page = record.list(&UploadFilter::default(), Some(last), 100).await.expect("listed");
    assert!(rest.iter().all(|upload| page.contains(upload)), "{page:?}");
    assert!(page.iter().all(|upload| !first.contains(upload)), "{page:?}");
}

pub(in crate::record) async fn a_filter_selects_by_all_its_fields(store_at: &dyn Store) {
    let record = store_at.open().await;
    let other_space = AssetKey { space: space("2"), ..key(1) };
    let other_kind = AssetKey { kind: MediaKind::File, ..key(1) };
    let here = store(&*record, &key(1), "a").await;
    let there = store(&*record, &other_space, "b").await;
    let as_file = store(&*record, &other_kind, "c").await;
    let other = store(&*record, &key(2), "a").await;
    for (filter, expected) in [
        (UploadFilter { space: Some(space("2")), ..Default::default() }, vec![&there]),
        (UploadFilter { space: Some(space("404")), ..Default::default() }, vec![]),
        (UploadFilter { asset: Some(key(1).asset), ..Default::default() }, vec![&here, &there, &as_file]),
        (UploadFilter { attachment_id: "a".parse().ok(), ..Default::default() }, vec![&here, &other]),
        (
            UploadFilter { space: Some(space("1")), asset: Some(key(1).asset), attachment_id: "c".parse().ok() },
            vec![&as_file],
        ),
        (UploadFilter { space: Some(space("1")), asset: Some(key(2).asset), attachment_id: "c".parse().ok() }, vec![]),
    ] {
        let listed = list_all(&*record, &filter, 2).await;
        assert_eq!(listed.len(), expected.len(), "{filter:?}: {listed:?}");
        assert!(expected.iter().all(|upload| listed.contains(upload)), "{filter:?}: {listed:?}");
    }
}

pub(in crate::record) async fn nothing_crosses_to_another_key(store_at: &dyn Store) {
    let record = store_at.open().await;
    let mine = key(1);
    let others = [
        AssetKey {
            space: KeySpace { origin: "http://127.0.0.1:1".parse().expect("an origin"), ..space("1") },
            ..key(1)
        },
        AssetKey { space: space("2"), ..key(1) },
        AssetKey { space: KeySpace { platform: Platform::Instagram, ..space("1") }, ..key(1) },
        AssetKey { kind: MediaKind::File, ..key(1) },
        key(2),
    ];
    store(&*record, &mine, "mine").await;
    let held = win(&*record, &mine).await;
    for other in &others {
        assert_eq!(find(&*record, other).await, None, "{other:?}");
        assert_eq!(record.forget(other).await.expect("forgotten"), None);
        record.reject(other, &"mine".parse().expect("an attachment id")).await.expect("rejected");
        let claim = win(&*record, other).await;
        let forged = Claim { key: other.clone(), ..held.clone() };
        assert_eq!(record.complete(&forged, &result("forged")).await.expect("completed"), Completed::Superseded);
        record.complete(&claim, &result("theirs")).await.expect("completed");
        assert_eq!(id_of(&*record, other).await.as_deref(), Some("theirs"));
    }
    assert_eq!(find(&*record, &mine).await, Some(upload(&mine, result("mine"))));
}

pub(in crate::record) async fn a_claim_is_held_against_everyone(store_at: &dyn Store) {
    let (one, other) = (store_at.open().await, store_at.open().await);
    win(&*one, &key(1)).await;
    for record in [&one, &other] {
        let later = NOW.plus(Duration::from_hours(1_000));
        assert_eq!(record.claim(&key(1), later).await.expect("an answer"), Claimed::Held { since: NOW });
    }
    win(&*other, &key(2)).await;
    assert_eq!(one.claim(&key(2), NOW).await.expect("an answer"), Claimed::Held { since: NOW });
}

pub(in crate::record) async fn one_of_many_who_claim_at_once_wins(store_at: &dyn Store) {
    let mut records = Vec::new();
    for _ in 0..8 {
        records.push(store_at.open().await);
    }
    for number in 0..10 {
        let key = key(number);
        let answers = futures::future::join_all(records.iter().map(|record| record.claim(&key, NOW))).await;
        let won = answers.into_iter().filter(|answer| matches!(answer, Ok(Claimed::Won(_)))).count();
        assert_eq!(won, 1, "key {number}");
    }
}

pub(in crate::record) async fn the_claim_of_a_closed_record_passes_on_at_once(store_at: &dyn Store) {
    let (gone, stays) = (store_at.open().await, store_at.open().await);
    win(&*stays, &key(9)).await;
    let dead = win(&*gone, &key(1)).await;
    win(&*gone, &key(2)).await;
    drop(gone);
    let claim = win(&*stays, &key(1)).await;
    assert!(claim.epoch > dead.epoch);
    assert_eq!(stays.count_orphans().await.expect("counted"), 2, "both of the owner's claims ended with it");
    assert_eq!(stays.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored);
}

pub(in crate::record) async fn a_released_claim_can_be_won_again(store_at: &dyn Store) {
    let (one, other) = (store_at.open().await, store_at.open().await);
    let claim = win(&*one, &key(1)).await;
    one.release(&claim).await.expect("released");
    one.release(&claim).await.expect("released again");
    win(&*other, &key(1)).await;
    one.release(&claim).await.expect("released too late");
    assert_eq!(one.claim(&key(1), NOW).await.expect("an answer"), Claimed::Held { since: NOW });
    assert_eq!(one.count_orphans().await.expect("counted"), 0);
}

pub(in crate::record) async fn an_abandoned_claim_is_released_with_the_next(store_at: &dyn Store) {
    let (one, other) = (store_at.open().await, store_at.open().await);
    let claim = win(&*one, &key(1)).await;
    one.abandon_claim(&claim);
    let claim = win(&*one, &key(1)).await;
    one.abandon_claim(&claim);
    win(&*one, &key(2)).await;
    win(&*other, &key(1)).await;
    one.abandon_claim(&claim);
    win(&*one, &key(3)).await;
    assert_eq!(one.claim(&key(1), NOW).await.expect("an answer"), Claimed::Held { since: NOW }, "it was too late");
    assert_eq!(one.count_orphans().await.expect("counted"), 0);
}

pub(in crate::record) async fn epochs_of_a_key_only_grow(store_at: &dyn Store) {
    let mut last = i64::MIN;
    for round in 0..3 {
        let record = store_at.open().await;
        for _ in 0..2 {
            let claim = win(&*record, &key(1)).await;
            assert!(claim.epoch > last, "round {round}");
            last = claim.epoch;
            record.release(&claim).await.expect("released");
        }
        let claim = win(&*record, &key(1)).await;
        assert!(claim.epoch > last, "round {round}");
        last = claim.epoch;
        record.complete(&claim, &result("id")).await.expect("completed");
        record.forget(&key(1)).await.expect("forgotten");
    }
}

pub(in crate::record) async fn completing_ends_the_claim_and_answers_the_same_when_asked_again(store_at: &dyn Store) {
    let record = store_at.open().await;
    let claim = win(&*record, &key(1)).await;
    for _ in 0..2 {
        assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored);
    }
    assert_eq!(record.count_orphans().await.expect("counted"), 0);
    win(&*record, &key(1)).await;
}

pub(in crate::record) async fn a_late_result_is_an_orphan_and_not_the_id(store_at: &dyn Store) {
    let (late, record) = (store_at.open().await, store_at.open().await);
    let old = win(&*late, &key(1)).await;
    drop(late);
    let new = win(&*record, &key(1)).await;
    for _ in 0..2 {
        assert_eq!(record.complete(&old, &result("late")).await.expect("completed"), Completed::Superseded);
    }
    assert_eq!(id_of(&*record, &key(1)).await, None);
    assert_eq!(record.complete(&new, &result("new")).await.expect("completed"), Completed::Stored);
    assert_eq!(record.complete(&old, &result("late")).await.expect("completed"), Completed::Superseded);
    assert_eq!(id_of(&*record, &key(1)).await.as_deref(), Some("new"));
    assert_eq!(record.count_orphans().await.expect("counted"), 1);
}

pub(in crate::record) async fn a_result_after_release_is_an_orphan(store_at: &dyn Store) {
    let record = store_at.open().await;
    let claim = win(&*record, &key(1)).await;
    record.release(&claim).await.expect("released");
    assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Superseded);
    assert_eq!(id_of(&*record, &key(1)).await, None);
    assert_eq!(record.count_orphans().await.expect("counted"), 1);
}

pub(in crate::record) async fn a_renewal_takes_the_place_of_what_was(store_at: &dyn Store) {
    let record = store_at.open().await;
    store(&*record, &key(1), "old").await;
    record.reject(&key(1), &"old".parse().expect("an attachment id")).await.expect("rejected");
    let renewed = store(&*record, &key(1), "new").await;
    assert_eq!(list_all(&*record, &UploadFilter::default(), 10).await, [renewed]);
}

pub(in crate::record) async fn nonsense_is_refused_and_leaves_the_claim(store_at: &dyn Store) {
    let record = store_at.open().await;
    let claim = win(&*record, &key(1)).await;
    for nonsense in [
        NewUpload { expires_at: NOW, ..result("id") },
        NewUpload { expires_at: Timestamp::from_unix_millis(0), ..result("id") },
        NewUpload { size_bytes: u64::MAX, ..result("id") },
    ] {
        let refused = record.complete(&claim, &nonsense).await;
        assert!(matches!(refused, Err(RecordError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(find(&*record, &key(1)).await, None);
    assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored);
}

pub(in crate::record) async fn only_the_named_id_is_rejected(store_at: &dyn Store) {
    let record = store_at.open().await;
    store(&*record, &key(1), "new").await;
    record.reject(&key(1), &"old".parse().expect("an attachment id")).await.expect("rejected");
    assert_eq!(find(&*record, &key(1)).await.expect("an upload").state, UploadState::Live);
    record.reject(&key(1), &"new".parse().expect("an attachment id")).await.expect("rejected");
    let rejected = Upload { state: UploadState::Rejected, ..upload(&key(1), result("new")) };
    assert_eq!(find(&*record, &key(1)).await, Some(rejected));
}

pub(in crate::record) async fn an_upload_follows_its_file(store_at: &dyn Store) {
    let record = store_at.open().await;
    let other_page = AssetKey { space: KeySpace { page: "2".parse().expect("a Page"), ..key(1).space }, ..key(1) };
    for key in [&key(1), &key(2), &other_page] {
        store(&*record, key, "id").await;
    }
    let raw = PathBuf::from(OsString::from_vec(b"/elsewhere/\xfe.png".to_vec()));
    let lying = |key: AssetKey, id: &str, source: &PathBuf| Moved {
        key,
        attachment_id: id.parse().expect("an attachment id"),
        source: source.clone(),
    };
    let there = PathBuf::from("/there.png");
    let moves = [
        lying(key(1), "id", &raw),
        lying(key(2), "another", &there),
        lying(key(3), "id", &there),
        lying(other_page.clone(), "id", &there),
    ];
    record.follow(&moves).await.expect("followed");
    let record = store_at.open().await;
    record.verify().await.expect("healthy");
    let lies_at = |key: &AssetKey, source| Some(Upload { source: Some(source), ..upload(key, result("id")) });
    assert_eq!(find(&*record, &key(1)).await, lies_at(&key(1), raw));
    assert_eq!(find(&*record, &key(2)).await, Some(upload(&key(2), result("id"))), "it has another id");
    assert_eq!(find(&*record, &key(3)).await, None);
    assert_eq!(find(&*record, &other_page).await, lies_at(&other_page, there));
}

/// An id from elsewhere that was uploaded, or heard of, so many hours after [`NOW`].
fn from_elsewhere(number: u16, id: &str, state: UploadState, hours: u64) -> Upload {
    let new = NewUpload { uploaded_at: NOW.plus(Duration::from_hours(hours)), ..result(id) };
    Upload { state, ..upload(&key(number), new) }
}

pub(in crate::record) async fn what_came_from_elsewhere_reads_back_as_what_it_is(store_at: &dyn Store) {
    let record = store_at.open().await;
    let states = [UploadState::Live, UploadState::Rejected, UploadState::UnknownAge];
    let uploads: Vec<_> = (0..).zip(states).map(|(number, state)| from_elsewhere(number, "id", state, 0)).collect();
    assert_eq!(record.adopt(&uploads).await.expect("adopted"), [Adopted::Stored; 3]);
    let record = store_at.open().await;
    for upload in &uploads {
        assert_eq!(find(&*record, &upload.key).await.as_ref(), Some(upload));
    }
    let claim = win(&*record, &key(2)).await;
    let again = NewUpload { attachment_id: "id".parse().expect("an attachment id"), ..result("id") };
    assert_eq!(record.complete(&claim, &again).await.expect("completed"), Completed::Stored);
    assert_eq!(find(&*record, &key(2)).await, Some(upload(&key(2), again)), "an upload of our own makes it live");
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn what_came_from_elsewhere_takes_the_place_of_nothing_better(store_at: &dyn Store) {
    use UploadState::{Live, Rejected, UnknownAge};
    let record = store_at.open().await;
    for (number, (stored, new, expected)) in (0..).zip([
        (("a", Live, 5), ("b", Live, 6), Adopted::Stored),
        (("a", Live, 5), ("b", Live, 5), Adopted::Kept),
        (("a", Live, 5), ("b", Live, 4), Adopted::Kept),
        (("a", Live, 5), ("b", UnknownAge, 6), Adopted::Kept),
        (("a", Live, 5), ("b", Rejected, 6), Adopted::Kept),
        (("a", Rejected, 5), ("b", UnknownAge, 1), Adopted::Stored),
        (("a", Rejected, 5), ("b", Live, 1), Adopted::Stored),
        (("a", UnknownAge, 5), ("b", Live, 1), Adopted::Stored),
        (("a", UnknownAge, 5), ("b", UnknownAge, 6), Adopted::Stored),
        (("a", UnknownAge, 5), ("a", UnknownAge, 6), Adopted::Kept),
        (("a", UnknownAge, 5), ("a", Live, 1), Adopted::Stored),
        (("a", Live, 5), ("a", Live, 6), Adopted::Kept),
        (("a", Live, 5), ("a", UnknownAge, 6), Adopted::Kept),
        (("a", Live, 5), ("a", Rejected, 1), Adopted::Stored),
        (("a", Rejected, 5), ("a", Live, 6), Adopted::Kept),
    ]) {
        let [stored, new] = [stored, new].map(|(id, state, hours)| from_elsewhere(number, id, state, hours));
        let [first, second] = record.adopt(&[stored.clone(), new.clone()]).await.expect("adopted")[..] else {
            panic!("two answers")
        };
        assert_eq!((first, second), (Adopted::Stored, expected), "{stored:?} {new:?}");
        let left = if expected == Adopted::Stored { new } else { stored };
        assert_eq!(find(&*record, &left.key).await, Some(left));
    }
}

pub(in crate::record) async fn what_came_from_elsewhere_is_stored_together_or_not_at_all(store_at: &dyn Store) {
    let record = store_at.open().await;
    let fine = from_elsewhere(1, "id", UploadState::UnknownAge, 0);
    let nonsense = Upload { expires_at: NOW, ..from_elsewhere(2, "id", UploadState::UnknownAge, 0) };
    let refused = record.adopt(&[fine, nonsense]).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. })), "{refused:?}");
    assert_eq!(record.find(&[key(1), key(2)]).await.expect("found"), [None, None]);
}

pub(in crate::record) async fn forgetting_gives_what_was_and_leaves_the_claim(store_at: &dyn Store) {
    let record = store_at.open().await;
    let stored = store(&*record, &key(1), "old").await;
    let claim = win(&*record, &key(1)).await;
    assert_eq!(record.forget(&key(1)).await.expect("forgotten"), Some(stored));
    assert_eq!(record.forget(&key(1)).await.expect("forgotten"), None);
    assert_eq!(find(&*record, &key(1)).await, None);
    assert_eq!(record.complete(&claim, &result("new")).await.expect("completed"), Completed::Stored);
}
