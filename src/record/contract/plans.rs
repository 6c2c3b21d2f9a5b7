//! What every engine must do when a campaign is planned anew, and for people who are left out.

use super::campaigns::{
    DIGEST, PID, all, claim, doubt, enlist, entry, intent, new, plan, refused, sent, shown, somebody, state, write,
};
use super::{NOW, Store};
use crate::clock::Timestamp;
use crate::delivery::{Event, State};
use crate::ids::Recipient;
use crate::record::{Begun, CampaignId, Change, Entry, LOST, NewCampaign, Reach, Record, RecordError};

pub(in crate::record) async fn those_who_try_it_out_begin_again(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(1, 1), sent(1, 1), intent(2, 0), sent(2, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let (sent, skipped, planned) = (State::Sent, State::Skipped, State::Planned);
    let states = async || all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect::<Vec<_>>();
    let before = states().await;
    plan_for_testers(&*record, &new(2), &[1, 3, 99]).await.expect("planned");
    assert_eq!(states().await, before, "the same message");
    let refused = plan_for_testers(&*record, &another(3), &[1, 3, 99]).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. })), "others got something in two parts: {refused:?}");
    assert_eq!(states().await, before, "it was not planned");
    assert_eq!(record.suppress(campaign, &[somebody(3).recipient], NOW).await.expect("left out"), 1);
    plan_for_testers(&*record, &another(2), &[1, 3, 99]).await.expect("planned");
    assert_eq!(states().await, [planned, planned, sent, planned, skipped, skipped], "but whoever is left out stays so");
    // Though everybody up to the second had their turn.
    let worker = enlist(&*record, campaign).await;
    let rows = claim(&*record, &worker, 9).await;
    assert_eq!(rows.iter().map(|row| (row.key.seq, row.key.part)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
}

/// `new` for three people, of whom some try it out.
async fn plan_for_testers(record: &dyn Record, new: &NewCampaign, testers: &[u64]) -> Result<(), RecordError> {
    let replaces = shown(record).await.digest;
    let testers = testers.iter().map(|psid| somebody(*psid).recipient).collect();
    let new = NewCampaign { replaces, testers, ..new.clone() };
    let begun = record.begin_plan(&new, PID, NOW).await?;
    let Begun::Won(planner) = begun else { panic!("{begun:?}") };
    record.add_recipients(&planner, (1..=3).map(somebody).collect()).await?;
    record.seal_plan(&planner, &new, DIGEST, 0, NOW).await
}

/// The campaign with another message.
pub(super) fn another(parts: u8) -> NewCampaign {
    NewCampaign { message: "{\"text\":\"other\"}".to_owned(), ..new(parts) }
}

pub(in crate::record) async fn a_stage_waits_for_a_yes_and_another_message_for_the_first(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    assert_eq!(shown(&*record).await.stage, 0);
    record.change(campaign, Change::Stage(1, "look".to_owned())).await.expect("changed");
    let campaign = shown(&*record).await;
    assert_eq!((campaign.stage, campaign.paused.as_deref()), (1, Some("look")));
    record.change(campaign.id, Change::Unpause("look".to_owned())).await.expect("a yes");
    record.change(campaign.id, Change::Stage(1, "look".to_owned())).await.expect("said by who comes late");
    let campaign = shown(&*record).await;
    assert_eq!((campaign.stage, campaign.paused), (1, None));
    record.change(campaign.id, Change::Pause("by hand".to_owned())).await.expect("paused");
    record.change(campaign.id, Change::Stage(2, "look".to_owned())).await.expect("changed");
    let campaign = shown(&*record).await;
    assert_eq!((campaign.stage, campaign.paused.as_deref()), (2, Some("by hand; look")), "who paused it has a reason");
    plan(&*record, 1..=4, 1).await;
    assert_eq!(shown(&*record).await.stage, 2, "the same message");
    let other = NewCampaign { replaces: Some(DIGEST), ..another(1) };
    let Begun::Won(planner) = record.begin_plan(&other, PID, NOW).await.expect("begun") else {
        panic!("nobody has it");
    };
    assert_eq!(shown(&*record).await.stage, 2, "it is not planned yet");
    record.seal_plan(&planner, &other, DIGEST, 0, NOW).await.expect("sealed");
    assert_eq!(shown(&*record).await.stage, 0);
}

pub(in crate::record) async fn that_something_may_be_lost_is_told_until_there_is_a_yes(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let pause = async |why: &str| record.change(campaign, Change::Pause(why.to_owned())).await.expect("paused");
    let paused = async || shown(&*record).await.paused;
    pause(LOST).await;
    for why in ["by hand", "by hand, later"] {
        pause(why).await;
        assert_eq!(
            paused().await,
            Some(format!("{LOST}; {why}")),
            "who was about to resume sees that it is another pause"
        );
    }
    let other = NewCampaign { replaces: Some(DIGEST), ..another(1) };
    let Begun::Won(planner) = record.begin_plan(&other, PID, NOW).await.expect("begun") else {
        panic!("nobody has it");
    };
    record.seal_plan(&planner, &other, DIGEST, 0, NOW).await.expect("sealed");
    let why = paused().await.expect("another message finds nothing that was lost");
    assert!(why.starts_with(LOST), "{why}");
    record.change(campaign, Change::Unpause(why)).await.expect("a yes");
    pause("by hand").await;
    assert_eq!(paused().await.as_deref(), Some("by hand"));
}

pub(in crate::record) async fn a_plan_takes_the_place_of_no_other_than_it_knew(store: &dyn Store) {
    let record = store.open().await;
    plan(&*record, 1..=3, 1).await;
    // Another was faster, with a plan this one knows nothing of.
    assert_eq!(record.begin_plan(&new(1), PID, NOW).await.expect("an answer"), Begun::Overtaken);
    assert_eq!(shown(&*record).await.digest, Some(DIGEST), "it stands as it was");
    let knowing = NewCampaign { replaces: Some(DIGEST), ..new(1) };
    assert!(matches!(record.begin_plan(&knowing, PID, NOW).await.expect("an answer"), Begun::Won(_)));
}

pub(in crate::record) async fn people_on_the_stop_list_get_nothing_more(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    let held = record.suppress(campaign, &[somebody(4).recipient], NOW).await;
    assert!(matches!(held, Err(RecordError::Refused { .. })), "{held:?}");
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(2, 0), doubt(2, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let people = [1, 2, 3, 99].map(|psid| somebody(psid).recipient);
    assert_eq!(record.suppress(campaign, &people, NOW).await.expect("suppressed"), 3);
    assert_eq!(record.suppress(campaign, &people, NOW).await.expect("suppressed"), 0);
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    let (skipped, planned) = (State::Skipped, State::Planned);
    let expected = [State::Sent, skipped, State::Unknown, skipped, skipped, skipped, planned, planned];
    assert_eq!(states, expected);
    let worker = enlist(&*record, campaign).await;
    assert_eq!(claim(&*record, &worker, 9).await.iter().map(|row| row.key.seq).collect::<Vec<_>>(), [4]);
}

pub(in crate::record) async fn a_new_plan_keeps_what_was_sent(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(2, 0), sent(2, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let other = record.begin_plan(&NewCampaign { replaces: Some(DIGEST), ..new(3) }, PID, NOW).await;
    assert!(matches!(other, Err(RecordError::Refused { .. })), "{other:?}");
    // 1 and 3 are gone from the list, 5 is new.
    assert_eq!(plan(&*record, [5, 4, 2], 2).await, campaign);
    let (sent, skipped, planned) = (State::Sent, State::Skipped, State::Planned);
    let listed = all(&*record, campaign).await;
    let states: Vec<_> = listed.iter().map(|(.., state)| *state).collect();
    assert_eq!(states, [sent, skipped, sent, planned, planned, planned, planned, planned], "{listed:?}");
    assert_eq!(shown(&*record).await.recipients, 4);
    let worker = enlist(&*record, campaign).await;
    let people: Vec<_> = claim(&*record, &worker, 9).await.into_iter().map(|row| row.recipient.recipient).collect();
    assert_eq!(people, [2, 4, 5].map(|psid| somebody(psid).recipient));
}

pub(in crate::record) async fn a_plan_that_comes_to_nothing_changes_nothing(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    record.change(campaign, Change::Stage(1, "look".to_owned())).await.expect("changed");
    let (before, states) = (shown(&*record).await, all(&*record, campaign).await);
    let testers = vec![somebody(1).recipient];
    let other = NewCampaign { replaces: Some(DIGEST), testers: testers.clone(), ..another(1) };
    let later = Timestamp::from_unix_millis(NOW.as_unix_millis() + 1);
    let Begun::Won(planner) = record.begin_plan(&other, PID, later).await.expect("begun") else { panic!("held") };
    record.add_recipients(&planner, vec![somebody(2)]).await.expect("added");
    record.retire(&planner, NOW).await.expect("cut off");
    let after = shown(&*record).await;
    assert_eq!(after.planned_at, later, "what was planned before may be told from what comes");
    assert_eq!((after.message, after.stage, after.paused), (before.message, 1, Some("look".to_owned())));
    assert_eq!((after.digest, all(&*record, campaign).await), (None, states.clone()));
    // The message they got is planned once more: they have it.
    let same = NewCampaign { testers, ..new(1) };
    let Begun::Won(planner) = record.begin_plan(&same, PID, NOW).await.expect("begun") else { panic!("held") };
    record.add_recipients(&planner, (1..=3).map(somebody).collect()).await.expect("added");
    record.seal_plan(&planner, &same, DIGEST, 0, NOW).await.expect("sealed");
    assert_eq!(all(&*record, campaign).await, states);
    record.verify().await.expect("healthy");
}

/// A campaign in two parts: in doubt to 1, refused to 2, sent to 3 whole, and planned to 4.
async fn in_all_states(record: &dyn Record) -> CampaignId {
    let campaign = plan(record, 1..=4, 2).await;
    let worker = enlist(record, campaign).await;
    claim(record, &worker, 3).await;
    let entries = [intent(1, 0), doubt(1, 0), intent(2, 0), refused(2, 0), intent(3, 0), sent(3, 0), intent(3, 1)];
    write(record, &worker, &entries).await;
    write(record, &worker, &[sent(3, 1)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    campaign
}

/// The people something would be sent to now.
async fn whose_turn_it_is(record: &dyn Record, campaign: CampaignId) -> Vec<u64> {
    let worker = enlist(record, campaign).await;
    let rows = record.claim_deliveries(&worker, Reach::All, 9, NOW).await.expect("claims").rows;
    record.retire(&worker, NOW).await.expect("retired");
    rows.iter().map(|row| row.key.seq).collect()
}

pub(in crate::record) async fn nothing_is_sent_again_to_people_who_are_left_out(store: &dyn Store) {
    let record = store.open().await;
    let campaign = in_all_states(&*record).await;
    let everybody: Vec<_> = (1..=4).map(|psid| somebody(psid).recipient).collect();
    record.suppress(campaign, &everybody, NOW).await.expect("suppressed");
    let again = [entry(1, 0, Event::Resend { due: NOW }), entry(2, 0, Event::Reopen)];
    record.decide(campaign, &again).await.expect("decided");
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [0; 0]);
    assert_eq!(state(&*record, campaign, 1, 0).await, State::Unknown, "it may have arrived all the same");
    assert_eq!(state(&*record, campaign, 2, 0).await, State::Failed);
    // Another plan names them, and another message has them try it out.
    let names_them = NewCampaign { replaces: Some(DIGEST), testers: everybody, ..another(2) };
    let Begun::Won(planner) = record.begin_plan(&names_them, PID, NOW).await.expect("begun") else { panic!("held") };
    record.add_recipients(&planner, (1..=4).map(somebody).collect()).await.expect("added");
    record.seal_plan(&planner, &names_them, DIGEST, 0, NOW).await.expect("sealed");
    record.decide(campaign, &again).await.expect("decided");
    record.decide(campaign, &[entry(1, 0, Event::AssumeNotSent)]).await.expect("decided");
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [0; 0]);
    assert_eq!(state(&*record, campaign, 1, 0).await, State::Skipped);
    // An echo proves that the first part did arrive: the second is for those who are to get something.
    for seq in [1, 2] {
        let echo = entry(seq, 0, Event::Echoed { message_id: format!("m_{seq}") });
        record.decide(campaign, &[echo]).await.expect("decided");
        assert_eq!(state(&*record, campaign, seq, 0).await, State::Sent);
        assert_eq!(whose_turn_it_is(&*record, campaign).await, [0; 0]);
    }
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn whoever_is_on_the_list_again_gets_what_is_left(store: &dyn Store) {
    let record = store.open().await;
    let campaign = in_all_states(&*record).await;
    plan(&*record, 5..=5, 2).await;
    let again = [entry(1, 0, Event::Resend { due: NOW }), entry(2, 0, Event::Reopen)];
    record.decide(campaign, &again).await.expect("decided");
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [5]);
    plan(&*record, 1..=5, 2).await;
    record.decide(campaign, &again).await.expect("decided");
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [2, 5, 1, 6], "4 was gone, and comes last");
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 9).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(1, 1), intent(2, 0), sent(2, 0), intent(2, 1)]).await;
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn what_was_skipped_for_the_time_or_the_window_is_judged_anew(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 4).await;
    let skip = |seq, part, reason: &str| entry(seq, part, Event::Skip { reason: reason.to_owned() });
    let entries = [skip(1, 0, "expired"), skip(2, 0, "window"), skip(3, 0, "stop"), intent(4, 0), sent(4, 0)];
    write(&*record, &worker, &entries).await;
    write(&*record, &worker, &[skip(4, 1, "expired")]).await;
    record.retire(&worker, NOW).await.expect("retired");
    record.change(campaign, Change::Settings("{}".to_owned())).await.expect("changed");
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [0; 0], "nothing is other than it was");
    for assets in ["[1]", "[2]"] {
        record.change(campaign, Change::FreezeAssets(assets.to_owned())).await.expect("changed");
        assert_eq!(shown(&*record).await.assets.as_deref(), Some(assets));
        record.change(campaign, Change::ThawAssets).await.expect("changed");
    }
    record.change(campaign, Change::Settings("{\"later\":true}".to_owned())).await.expect("changed");
    let (planned, skipped) = (State::Planned, State::Skipped);
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, [planned, planned, planned, planned, skipped, skipped, State::Sent, planned]);
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [1, 2, 4]);
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn parts_behind_one_that_did_arrive_are_sent_after_all(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=1, 3).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), doubt(1, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    record.decide(campaign, &[entry(1, 0, Event::AssumeNotSent)]).await.expect("decided");
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), refused(1, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    assert_eq!(state(&*record, campaign, 1, 1).await, State::Skipped);
    record.decide(campaign, &[entry(1, 0, Event::Echoed { message_id: "m_1".to_owned() })]).await.expect("decided");
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, [State::Sent, State::Planned, State::Planned]);
    assert_eq!(whose_turn_it_is(&*record, campaign).await, [1]);
}

pub(in crate::record) async fn a_plan_is_later_than_all_that_was_sent_before_whatever_the_clock_says(
    store: &dyn Store,
) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    let later = Timestamp::from_unix_millis(NOW.as_unix_millis() + 7_200_000);
    let late = |entry| Entry { at: later, ..entry };
    let entries = [intent(1, 0), late(sent(1, 0)), intent(2, 0), late(doubt(2, 0))];
    write(&*record, &worker, &entries).await;
    record.retire(&worker, NOW).await.expect("retired");
    // The clock is put back by two hours.
    let other = NewCampaign { replaces: Some(DIGEST), ..another(1) };
    let Begun::Won(planner) = record.begin_plan(&other, PID, NOW).await.expect("begun") else { panic!("held") };
    assert!(shown(&*record).await.planned_at > later, "one that is cut off as well");
    record.add_recipients(&planner, (1..=4).map(somebody).collect()).await.expect("added");
    record.seal_plan(&planner, &other, DIGEST, 0, NOW).await.expect("sealed");
    let planned_at = shown(&*record).await.planned_at;
    assert!(planned_at > later, "{planned_at}");
    assert_eq!(record.count_untouched(campaign, planned_at, &[]).await.expect("a count"), 2, "3 and 4 had nothing");
    assert_eq!(record.place_of(campaign, 1, planned_at, &[]).await.expect("a place"), Some(3));
}

pub(in crate::record) async fn whoever_had_an_earlier_plan_s_message_is_not_counted_among_the_first(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=5, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 3).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(3, 0), refused(3, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let place = async |nth, since: Timestamp, but_for: &[Recipient]| {
        record.place_of(campaign, nth, since, but_for).await.expect("a place")
    };
    let later = Timestamp::from_unix_millis(NOW.as_unix_millis() + 1);
    assert_eq!((place(2, NOW, &[]).await, place(2, later, &[]).await), (Some(2), Some(4)));
    assert_eq!((place(3, later, &[]).await, place(4, later, &[]).await), (Some(5), None));
    let (two, four) = (somebody(2).recipient, somebody(4).recipient);
    assert_eq!(place(1, later, std::slice::from_ref(&two)).await, Some(4), "2 has tried it out");
    record.suppress(campaign, &[four], NOW).await.expect("left out");
    assert_eq!(place(2, later, &[]).await, Some(5), "4 gets nothing more");
    let count = async |since| record.count_untouched(campaign, since, &[]).await.expect("a count");
    assert_eq!((count(later).await, count(NOW).await), (2, 4));
    record.suppress(campaign, &[somebody(1).recipient], NOW).await.expect("left out");
    assert_eq!(place(1, NOW, &[]).await, Some(1), "1 had it by then");
    // Whoever had a part of it is passed over; whoever was refused, and is to get it again, is not.
    record.decide(campaign, &[entry(3, 0, Event::Reopen)]).await.expect("decided");
    let worker = enlist(&*record, campaign).await;
    let up_to = |place, since| Reach::UpTo { place, since };
    let claimed = async |reach| {
        let claims = record.claim_deliveries(&worker, reach, 9, NOW).await.expect("claims");
        claims.rows.iter().map(|row| row.key.seq).collect::<Vec<_>>()
    };
    assert_eq!(claimed(up_to(3, later)).await, [2, 3]);
    assert_eq!(claimed(up_to(u64::MAX, later)).await, [5]);
}

pub(in crate::record) async fn whom_an_earlier_plan_named_is_no_sample_of_this_one(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let sample = async || record.first_recipient(campaign).await.expect("asked").map(|first| first.recipient);
    assert_eq!(sample().await, Some(somebody(1).recipient));
    plan(&*record, 3..=4, 1).await;
    assert_eq!(sample().await, Some(somebody(3).recipient));
    let all: Vec<Recipient> = (1..=4).map(|psid| somebody(psid).recipient).collect();
    record.suppress(campaign, &all, NOW).await.expect("left out");
    assert_eq!(sample().await, Some(somebody(1).recipient), "anybody, where nobody is left");
}

pub(in crate::record) async fn people_are_silent_who_are_still_to_get_the_first_part(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=6, 2).await;
    let later = Timestamp::from_unix_millis(NOW.as_unix_millis() + 1);
    let silent = async |since| record.count_silent(campaign, since).await.expect("a count");
    assert_eq!((silent(NOW).await, silent(later).await), (0, 6), "all last wrote now");
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 4).await;
    let put_off = entry(4, 0, Event::Defer { due: later });
    let entries = [intent(1, 0), sent(1, 0), intent(2, 0), refused(2, 0), intent(3, 0), doubt(3, 0), put_off];
    write(&*record, &worker, &entries).await;
    record.retire(&worker, NOW).await.expect("retired");
    assert_eq!(silent(later).await, 3, "4 is put off, and the turn of 5 and 6 is to come");
    plan(&*record, [1, 4, 5], 2).await;
    assert_eq!(silent(later).await, 2, "6 is not on the list any more");
    record.suppress(campaign, &[somebody(5).recipient], NOW).await.expect("left out");
    assert_eq!(silent(later).await, 1);
}
