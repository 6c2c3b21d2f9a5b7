//! What every engine must do, clause by clause. `suite!` makes a test of each.
//!
//! A clause gets a [`Store`]: an empty place, on which it opens as many records as it likes, as processes would.

mod budgets;
mod heals;

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Adopted, Alias, AliasTarget, Claim, Claimed, Completed, NewUpload, PageIdentity, Record, RecordError, Upload,
    UploadFilter, UploadState,
};
use crate::clock::{ClockReading, Timestamp};
use crate::facts::Dimensions;
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind, Platform};
use crate::secret::TokenFingerprint;

mod book;
mod campaigns;
mod derivations;
mod doubts;
mod plans;
mod random;
mod requests;

pub(super) use budgets::*;
pub(super) use campaigns::*;
pub(super) use derivations::{
    a_copy_is_found_by_what_it_was_made_of_and_by_itself, another_copy_by_the_same_rules_takes_the_place_of_what_was,
};
pub(super) use doubts::*;
pub(super) use heals::*;
pub(super) use plans::*;
pub(super) use random::*;
pub(super) use requests::*;

/// Makes one test of every clause, each on a `Store` of its own as `$fresh` gives it.
macro_rules! suite {
    ($fresh:expr) => {
        $crate::record::contract::suite! { $fresh =>
            finding_answers_in_the_order_of_the_keys
            an_upload_reads_back_as_it_was_stored
            listing_gives_every_upload_once
            what_is_stored_or_forgotten_meanwhile_moves_nothing_to_another_page
            a_filter_selects_by_all_its_fields
            nothing_crosses_to_another_key
            a_claim_is_held_against_everyone
            one_of_many_who_claim_at_once_wins
            the_claim_of_a_closed_record_passes_on_at_once
            a_released_claim_can_be_won_again
            epochs_of_a_key_only_grow
            completing_ends_the_claim_and_answers_the_same_when_asked_again
            a_late_result_is_an_orphan_and_not_the_id
            a_result_after_release_is_an_orphan
            a_renewal_takes_the_place_of_what_was
            nonsense_is_refused_and_leaves_the_claim
            only_the_named_id_is_rejected
            what_came_from_elsewhere_reads_back_as_what_it_is
            what_came_from_elsewhere_takes_the_place_of_nothing_better
            what_came_from_elsewhere_is_stored_together_or_not_at_all
            forgetting_gives_what_was_and_leaves_the_claim
            a_page_is_known_by_token_and_origin
            the_last_reading_of_the_clocks_is_kept_for_each_origin
            an_alias_reads_back_as_it_was_set
            an_alias_is_re_pointed_and_removed
            whoever_asks_while_an_alias_is_re_pointed_finds_the_one_or_the_other
            a_copy_is_found_by_what_it_was_made_of_and_by_itself
            another_copy_by_the_same_rules_takes_the_place_of_what_was
            a_healthy_record_verifies
            whoever_draws_alone_on_a_budget_may_do_all_of_it
            heals_count_for_their_key_and_within_their_time
            a_refused_id_leads_to_what_it_stood_for_until_its_heal_is_let_go
            a_request_is_taken_up_once_and_answered_alike_ever_after
            a_request_given_back_is_taken_up_anew
            a_request_whose_taker_is_gone_is_abandoned_and_can_be_answered
            one_of_many_takes_a_request_up
            old_requests_are_let_go_of_in_bounded_steps
            a_list_is_kept_in_its_order_without_its_duplicates
            a_plan_that_was_cut_off_is_not_sent
            everybody_is_claimed_once_and_in_order
            parts_follow_one_another
            what_is_not_sent_takes_the_parts_behind_it_along
            an_unknown_part_holds_back_those_behind_it
            a_dead_workers_claims_are_planned_again_and_its_sends_unknown
            a_worker_that_retires_leaves_nothing_held
            entries_are_stored_together_or_not_at_all
            nobody_writes_what_is_not_theirs
            no_intent_is_stored_while_the_campaign_is_paused
            a_retry_waits_until_it_is_due
            what_waits_for_its_time_comes_in_the_order_of_the_times
            nobody_is_given_more_than_they_asked_for
            a_worker_reaches_nobody_it_may_not
            those_who_try_it_out_begin_again
            a_stage_waits_for_a_yes_and_another_message_for_the_first
            a_plan_takes_the_place_of_no_other_than_it_knew
            variants_are_counted_each
            people_on_the_stop_list_get_nothing_more
            a_new_plan_keeps_what_was_sent
            a_plan_that_comes_to_nothing_changes_nothing
            nothing_is_sent_again_to_people_who_are_left_out
            whoever_is_on_the_list_again_gets_what_is_left
            what_was_skipped_for_the_time_or_the_window_is_judged_anew
            parts_behind_one_that_did_arrive_are_sent_after_all
            whoever_had_an_earlier_plan_s_message_is_not_counted_among_the_first
            a_plan_is_later_than_all_that_was_sent_before_whatever_the_clock_says
            operators_decide_what_is_unknown
            counts_and_lists_tell_one_story
            campaigns_of_other_pages_are_others
            every_attempt_in_doubt_is_kept_with_its_intent
            the_echo_of_any_attempt_settles_its_delivery
            an_echo_from_before_somebody_began_again_proves_nothing
            who_got_it_twice_is_named
            an_echo_corrects_what_was_inferred
            what_a_person_got_is_known_of_all_campaigns_of_the_page
            random_work_comes_to_what_the_book_says
        }
    };
    ($fresh:expr => $($clause:ident)*) => {
        $(#[tokio::test]
        async fn $clause() {
            $crate::record::contract::$clause(&$fresh).await;
        })*
    };
}
pub(super) use suite;

/// A place for a record.
#[async_trait]
pub(super) trait Store: Send + Sync {
    /// Opens the record there, once more.
    async fn open(&self) -> Box<dyn Record>;

    /// How much random work it is given, in cases.
    fn cases(&self) -> u32 {
        200
    }
}

pub(super) const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

fn space(page: &str) -> KeySpace {
    KeySpace {
        origin: "https://graph.example".parse().expect("an origin"),
        page: page.parse().expect("a Page id"),
        platform: Platform::Messenger,
    }
}

pub(super) fn key(number: u16) -> AssetKey {
    let mut hash = [0; 32];
    hash[..2].copy_from_slice(&number.to_be_bytes());
    AssetKey { space: space("1"), kind: MediaKind::Image, asset: Asset::Bytes(ContentHash(hash)) }
}

pub(super) fn result(id: &str) -> NewUpload {
    NewUpload {
        attachment_id: id.parse().expect("an attachment id"),
        uploaded_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(90 * 24)),
        size_bytes: 26_214_400,
        mime: "image/png".to_owned(),
        dimensions: Some(Dimensions { width: 1, height: u32::MAX }),
        source: Some("/library/a.png".into()),
    }
}

fn upload(key: &AssetKey, new: NewUpload) -> Upload {
    let NewUpload { attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source } = new;
    let (key, state) = (key.clone(), UploadState::Live);
    Upload { key, attachment_id, uploaded_at, expires_at, size_bytes, mime, dimensions, source, state }
}

pub(super) async fn win(record: &dyn Record, key: &AssetKey) -> Claim {
    match record.claim(key, NOW).await.expect("claimed") {
        Claimed::Won(claim) => claim,
        held @ Claimed::Held { .. } => panic!("{key:?} is {held:?}"),
    }
}

pub(super) async fn store(record: &dyn Record, key: &AssetKey, id: &str) -> Upload {
    let claim = win(record, key).await;
    assert_eq!(record.complete(&claim, &result(id)).await.expect("completed"), Completed::Stored);
    upload(key, result(id))
}

async fn find(record: &dyn Record, key: &AssetKey) -> Option<Upload> {
    record.find(std::slice::from_ref(key)).await.expect("found").remove(0)
}

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

pub(super) async fn finding_answers_in_the_order_of_the_keys(store_at: &dyn Store) {
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

pub(super) async fn an_upload_reads_back_as_it_was_stored(store_at: &dyn Store) {
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

pub(super) async fn listing_gives_every_upload_once(store_at: &dyn Store) {
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

pub(super) async fn what_is_stored_or_forgotten_meanwhile_moves_nothing_to_another_page(store_at: &dyn Store) {
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

pub(super) async fn a_filter_selects_by_all_its_fields(store_at: &dyn Store) {
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

pub(super) async fn nothing_crosses_to_another_key(store_at: &dyn Store) {
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

pub(super) async fn a_claim_is_held_against_everyone(store_at: &dyn Store) {
    let (one, other) = (store_at.open().await, store_at.open().await);
    win(&*one, &key(1)).await;
    for record in [&one, &other] {
        let later = NOW.plus(Duration::from_hours(1_000));
        assert_eq!(record.claim(&key(1), later).await.expect("an answer"), Claimed::Held { since: NOW });
    }
    win(&*other, &key(2)).await;
    assert_eq!(one.claim(&key(2), NOW).await.expect("an answer"), Claimed::Held { since: NOW });
}

pub(super) async fn one_of_many_who_claim_at_once_wins(store_at: &dyn Store) {
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

pub(super) async fn the_claim_of_a_closed_record_passes_on_at_once(store_at: &dyn Store) {
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

pub(super) async fn a_released_claim_can_be_won_again(store_at: &dyn Store) {
    let (one, other) = (store_at.open().await, store_at.open().await);
    let claim = win(&*one, &key(1)).await;
    one.release(&claim).await.expect("released");
    one.release(&claim).await.expect("released again");
    win(&*other, &key(1)).await;
    one.release(&claim).await.expect("released too late");
    assert_eq!(one.claim(&key(1), NOW).await.expect("an answer"), Claimed::Held { since: NOW });
    assert_eq!(one.count_orphans().await.expect("counted"), 0);
}

pub(super) async fn epochs_of_a_key_only_grow(store_at: &dyn Store) {
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

pub(super) async fn completing_ends_the_claim_and_answers_the_same_when_asked_again(store_at: &dyn Store) {
    let record = store_at.open().await;
    let claim = win(&*record, &key(1)).await;
    for _ in 0..2 {
        assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored);
    }
    assert_eq!(record.count_orphans().await.expect("counted"), 0);
    win(&*record, &key(1)).await;
}

pub(super) async fn a_late_result_is_an_orphan_and_not_the_id(store_at: &dyn Store) {
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

pub(super) async fn a_result_after_release_is_an_orphan(store_at: &dyn Store) {
    let record = store_at.open().await;
    let claim = win(&*record, &key(1)).await;
    record.release(&claim).await.expect("released");
    assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Superseded);
    assert_eq!(id_of(&*record, &key(1)).await, None);
    assert_eq!(record.count_orphans().await.expect("counted"), 1);
}

pub(super) async fn a_renewal_takes_the_place_of_what_was(store_at: &dyn Store) {
    let record = store_at.open().await;
    store(&*record, &key(1), "old").await;
    record.reject(&key(1), &"old".parse().expect("an attachment id")).await.expect("rejected");
    let renewed = store(&*record, &key(1), "new").await;
    assert_eq!(list_all(&*record, &UploadFilter::default(), 10).await, [renewed]);
}

pub(super) async fn nonsense_is_refused_and_leaves_the_claim(store_at: &dyn Store) {
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

pub(super) async fn only_the_named_id_is_rejected(store_at: &dyn Store) {
    let record = store_at.open().await;
    store(&*record, &key(1), "new").await;
    record.reject(&key(1), &"old".parse().expect("an attachment id")).await.expect("rejected");
    assert_eq!(find(&*record, &key(1)).await.expect("an upload").state, UploadState::Live);
    record.reject(&key(1), &"new".parse().expect("an attachment id")).await.expect("rejected");
    let rejected = Upload { state: UploadState::Rejected, ..upload(&key(1), result("new")) };
    assert_eq!(find(&*record, &key(1)).await, Some(rejected));
}

/// An id from elsewhere that was uploaded, or heard of, so many hours after [`NOW`].
fn from_elsewhere(number: u16, id: &str, state: UploadState, hours: u64) -> Upload {
    let new = NewUpload { uploaded_at: NOW.plus(Duration::from_hours(hours)), ..result(id) };
    Upload { state, ..upload(&key(number), new) }
}

pub(super) async fn what_came_from_elsewhere_reads_back_as_what_it_is(store_at: &dyn Store) {
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

pub(super) async fn what_came_from_elsewhere_takes_the_place_of_nothing_better(store_at: &dyn Store) {
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

pub(super) async fn what_came_from_elsewhere_is_stored_together_or_not_at_all(store_at: &dyn Store) {
    let record = store_at.open().await;
    let fine = from_elsewhere(1, "id", UploadState::UnknownAge, 0);
    let nonsense = Upload { expires_at: NOW, ..from_elsewhere(2, "id", UploadState::UnknownAge, 0) };
    let refused = record.adopt(&[fine, nonsense]).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. })), "{refused:?}");
    assert_eq!(record.find(&[key(1), key(2)]).await.expect("found"), [None, None]);
}

pub(super) async fn forgetting_gives_what_was_and_leaves_the_claim(store_at: &dyn Store) {
    let record = store_at.open().await;
    let stored = store(&*record, &key(1), "old").await;
    let claim = win(&*record, &key(1)).await;
    assert_eq!(record.forget(&key(1)).await.expect("forgotten"), Some(stored));
    assert_eq!(record.forget(&key(1)).await.expect("forgotten"), None);
    assert_eq!(find(&*record, &key(1)).await, None);
    assert_eq!(record.complete(&claim, &result("new")).await.expect("completed"), Completed::Stored);
}

pub(super) async fn a_page_is_known_by_token_and_origin(store_at: &dyn Store) {
    let record = store_at.open().await;
    let here = space("1").origin;
    let there = "http://127.0.0.1:1".parse().expect("an origin");
    let (token, other) = (TokenFingerprint([1; 16]), TokenFingerprint([2; 16]));
    let page = |id: &str, name: &str| PageIdentity { id: id.parse().expect("a Page id"), name: name.to_owned() };
    record.remember_page(&here, token, &page("1", "Shop"), NOW).await.expect("remembered");
    record.remember_page(&here, token, &page("1", "Café \u{1f4f7}"), NOW).await.expect("remembered anew");
    let record = store_at.open().await;
    assert_eq!(record.page_of(&here, token).await.expect("an answer"), Some(page("1", "Café \u{1f4f7}")));
    assert_eq!(record.page_of(&here, other).await.expect("an answer"), None);
    assert_eq!(record.page_of(&there, token).await.expect("an answer"), None);
}

pub(super) async fn the_last_reading_of_the_clocks_is_kept_for_each_origin(store_at: &dyn Store) {
    let record = store_at.open().await;
    let here = space("1").origin;
    let there = "http://127.0.0.1:1".parse().expect("an origin");
    assert_eq!(record.clock_reading(&here).await.expect("an answer"), None);
    let reading = |hours| ClockReading { theirs: NOW.plus(Duration::from_hours(hours)), ours: NOW };
    for hours in [1, 48] {
        record.keep_clock_reading(&here, reading(hours)).await.expect("kept");
    }
    record.verify().await.expect("healthy");
    let record = store_at.open().await;
    assert_eq!(record.clock_reading(&here).await.expect("an answer"), Some(reading(48)));
    assert_eq!(record.clock_reading(&there).await.expect("an answer"), None);
}

pub(in crate::record) fn alias(name: &str, asset: Asset) -> Alias {
    let target = AliasTarget { asset, kind: MediaKind::Image, source: Some("/library/a.png".into()) };
    Alias { name: name.parse().expect("a name"), target, set_at: NOW }
}

pub(super) async fn an_alias_reads_back_as_it_was_set(store_at: &dyn Store) {
    let record = store_at.open().await;
    let address = Asset::Url("https://a.example/x.png?v=1".parse().expect("an address"));
    let mut odd = alias("spring/hero.v2", address);
    odd.target.kind = MediaKind::File;
    odd.target.source = None;
    let mut raw = alias("Raw", key(2).asset);
    raw.target.source = Some(PathBuf::from(OsString::from_vec(b"/library/\xff\n.png".to_vec())));
    let plain = alias("raw", key(1).asset);
    for alias in [&odd, &plain, &raw] {
        assert_eq!(record.set_alias(alias).await.expect("set"), None);
        assert_eq!(store_at.open().await.alias(&alias.name).await.expect("an answer").as_ref(), Some(alias));
    }
    assert_eq!(record.alias(&"hero".parse().expect("a name")).await.expect("an answer"), None);
    assert_eq!(record.aliases().await.expect("listed"), [raw, plain, odd], "by name, and Raw is not raw");
}

pub(super) async fn an_alias_is_re_pointed_and_removed(store_at: &dyn Store) {
    let record = store_at.open().await;
    let (old, new) = (alias("hero", key(1).asset), alias("hero", key(2).asset));
    record.set_alias(&old).await.expect("set");
    assert_eq!(record.set_alias(&new).await.expect("set"), Some(old));
    assert_eq!(record.aliases().await.expect("listed"), std::slice::from_ref(&new));
    assert_eq!(record.remove_alias(&new.name).await.expect("removed"), Some(new.clone()));
    assert_eq!(record.remove_alias(&new.name).await.expect("removed"), None);
    assert_eq!(record.alias(&new.name).await.expect("an answer"), None);
}

pub(super) async fn whoever_asks_while_an_alias_is_re_pointed_finds_the_one_or_the_other(store_at: &dyn Store) {
    const TURNS: usize = 50;
    let (writer, reader) = (store_at.open().await, store_at.open().await);
    let both = [alias("hero", key(1).asset), alias("hero", key(2).asset)];
    writer.set_alias(&both[0]).await.expect("set");
    // One may be much slower than the other: neither ends before the reader has seen enough, but for a writer nobody sees.
    let (has_seen_both, is_written) = (Cell::new(false), Cell::new(false));
    let writing = async {
        for turn in (1..=100 * TURNS).take_while(|turn| *turn <= TURNS || !has_seen_both.get()) {
            let before = writer.set_alias(&both[turn % 2]).await.expect("set");
            assert_eq!(before.as_ref(), Some(&both[(turn + 1) % 2]));
        }
        is_written.set(true);
    };
    let reading = async {
        let mut seen = [0; 2];
        while !is_written.get() && (seen[0] == 0 || seen[1] == 0 || seen[0] + seen[1] < TURNS) {
            let found = reader.alias(&both[0].name).await.expect("an answer").expect("it never points at nothing");
            let listed = reader.aliases().await.expect("listed");
            assert!(listed.len() == 1 && both.contains(&listed[0]), "{listed:?}");
            seen[both.iter().position(|alias| *alias == found).expect("one of the two")] += 1;
        }
        has_seen_both.set(true);
        seen
    };
    let ((), seen) = futures::join!(writing, reading);
    assert!(seen[0] > 0 && seen[1] > 0, "both were seen: {seen:?}");
}

pub(super) async fn a_healthy_record_verifies(store_at: &dyn Store) {
    let record = store_at.open().await;
    record.verify().await.expect("an empty record is healthy");
    for number in 0..50 {
        store(&*record, &key(number), "id").await;
    }
    win(&*record, &key(99)).await;
    record.set_alias(&alias("hero", key(1).asset)).await.expect("set");
    record.verify().await.expect("healthy");
}
