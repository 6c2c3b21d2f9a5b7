//! What every engine must do, clause by clause. `suite!` makes a test of each.
//!
//! A clause gets a [`Store`]: an empty place, on which it opens as many records as it likes, as processes would.

mod aliases;
mod book;
mod budgets;
mod campaigns;
mod derivations;
mod doubts;
mod heals;
mod plans;
mod random;
mod requests;
mod uploads;

use std::time::Duration;

use async_trait::async_trait;

pub(super) use self::aliases::*;
pub(super) use self::budgets::*;
pub(super) use self::campaigns::*;
pub(super) use self::derivations::{
    a_copy_is_found_by_what_it_was_made_of_and_by_itself, another_copy_by_the_same_rules_takes_the_place_of_what_was,
};
pub(super) use self::doubts::*;
pub(super) use self::heals::*;
pub(super) use self::plans::*;
pub(super) use self::random::*;
pub(super) use self::requests::*;
pub(super) use self::uploads::*;
use super::{Claim, Claimed, Completed, NewUpload, PageIdentity, Record, Upload, UploadState};
use crate::clock::{ClockReading, Timestamp};
use crate::facts::Dimensions;
use crate::ids::{Asset, AssetKey, ContentHash, KeySpace, MediaKind, Platform};
use crate::secret::TokenFingerprint;

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
            an_abandoned_claim_is_released_with_the_next
            epochs_of_a_key_only_grow
            completing_ends_the_claim_and_answers_the_same_when_asked_again
            a_late_result_is_an_orphan_and_not_the_id
            a_result_after_release_is_an_orphan
            a_renewal_takes_the_place_of_what_was
            nonsense_is_refused_and_leaves_the_claim
            only_the_named_id_is_rejected
            an_upload_follows_its_file
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
            all_who_draw_get_no_more_than_the_page_may
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
            an_abandoned_worker_is_retired_by_the_next
            entries_are_stored_together_or_not_at_all
            nobody_writes_what_is_not_theirs
            no_intent_is_stored_while_the_campaign_is_paused
            a_retry_waits_until_it_is_due
            what_waits_for_its_time_comes_in_the_order_of_the_times
            nobody_is_given_more_than_they_asked_for
            a_worker_reaches_nobody_it_may_not
            those_who_try_it_out_begin_again
            a_stage_waits_for_a_yes_and_another_message_for_the_first
            that_something_may_be_lost_is_told_until_there_is_a_yes
            whom_an_earlier_plan_named_is_no_sample_of_this_one
            people_are_silent_who_are_still_to_get_the_first_part
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
            an_echo_of_what_is_not_on_record_is_not_taken_for_anothers
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

pub(super) fn upload(key: &AssetKey, new: NewUpload) -> Upload {
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

pub(super) async fn a_healthy_record_verifies(store_at: &dyn Store) {
    let record = store_at.open().await;
    record.verify().await.expect("an empty record is healthy");
    for number in 0..50 {
        store(&*record, &key(number), "id").await;
    }
    win(&*record, &key(99)).await;
    record.set_alias(&alias("hero", key(1).asset)).await.expect("set");
    record.verify().await.expect("healthy");
    record.check_writable().await.expect("it was written to");
}
