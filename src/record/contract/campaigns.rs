//! What every engine must do with campaigns and their deliveries.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{NOW, Store, space};
use crate::clock::Timestamp;
use crate::delivery::{Event, Refusal, State};
use crate::ids::{CampaignName, Recipient};
use crate::record::{
    Added, Begun, Campaign, CampaignId, Change, ClaimedRow, DeliveryKey, Enlisted, Entry, NewCampaign, NewRecipient,
    Reach, Record, RecordError, Worker, Written,
};

pub(super) const DIGEST: [u8; 32] = [7; 32];
pub(super) const PID: u32 = 4_711;

fn name() -> CampaignName {
    "spring".parse().expect("a name")
}

pub(in crate::record) fn new(parts: u8) -> NewCampaign {
    let (message, settings) = ("{}".to_owned(), "{}".to_owned());
    NewCampaign { space: space("1"), name: name(), message, settings, parts, replaces: None, testers: Vec::new() }
}

pub(in crate::record) fn somebody(psid: u64) -> NewRecipient {
    let variables = Map::from_iter([("name".to_owned(), Value::from(format!("n{psid}")))]);
    NewRecipient {
        recipient: Recipient::Psid(psid.to_string()),
        variables,
        last_interaction_at: Some(NOW),
        timezone: Some("Asia/Tokyo".to_owned()),
    }
}

async fn begin(record: &dyn Record, parts: u8) -> Worker {
    let known = record.campaign(&space("1"), &name(), NOW).await.expect("an answer");
    let new = NewCampaign { replaces: known.and_then(|known| known.digest), ..new(parts) };
    match record.begin_plan(&new, PID, NOW).await.expect("begun") {
        Begun::Won(planner) => planner,
        other => panic!("{other:?}"),
    }
}

/// A plan of `people`, whose PSIDs count from 1.
pub(in crate::record) async fn plan(
    record: &dyn Record,
    people: impl IntoIterator<Item = u64>,
    parts: u8,
) -> CampaignId {
    let planner = begin(record, parts).await;
    record.add_recipients(&planner, people.into_iter().map(somebody).collect()).await.expect("added");
    record.seal_plan(&planner, &new(parts), DIGEST, 0, NOW).await.expect("sealed");
    planner.campaign
}

pub(super) async fn shown(record: &dyn Record) -> Campaign {
    record.campaign(&space("1"), &name(), NOW).await.expect("an answer").expect("a campaign")
}

pub(in crate::record) async fn enlist(record: &dyn Record, campaign: CampaignId) -> Worker {
    match record.enlist(campaign, PID, NOW).await.expect("an answer") {
        Enlisted::Won(worker) => worker,
        held @ Enlisted::Held(_) => panic!("{held:?}"),
    }
}

pub(in crate::record) async fn claim(record: &dyn Record, worker: &Worker, limit: usize) -> Vec<ClaimedRow> {
    record.claim_deliveries(worker, Reach::All, limit, NOW).await.expect("claims").rows
}

pub(in crate::record) fn entry(seq: u64, part: u8, event: Event) -> Entry {
    Entry { key: DeliveryKey { seq, part }, event, at: NOW }
}

pub(in crate::record) fn intent(seq: u64, part: u8) -> Entry {
    entry(seq, part, Event::Intend { nonce: 7, variant: None })
}

pub(in crate::record) fn sent(seq: u64, part: u8) -> Entry {
    entry(seq, part, Event::Sent { message_id: Some(format!("m_{seq}_{part}")) })
}

pub(in crate::record) fn refused(seq: u64, part: u8) -> Entry {
    let refusal = Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() };
    entry(seq, part, Event::Refused(refusal))
}

pub(in crate::record) fn doubt(seq: u64, part: u8) -> Entry {
    entry(seq, part, Event::Doubt { why: Refusal::in_words("reset".to_owned()) })
}

pub(in crate::record) async fn write(record: &dyn Record, worker: &Worker, entries: &[Entry]) {
    let written = record.write(worker, entries).await.expect("written");
    assert!(written.iter().all(|written| *written == Written::Stored), "{written:?}");
}

/// Every delivery: recipient, part, state.
pub(super) async fn all(record: &dyn Record, campaign: CampaignId) -> Vec<(u64, u8, State)> {
    let listed = record.deliveries(campaign, None, None, 1_000).await.expect("listed");
    listed.iter().map(|listed| (listed.key.seq, listed.key.part, listed.delivery.state)).collect()
}

pub(super) async fn state(record: &dyn Record, campaign: CampaignId, seq: u64, part: u8) -> State {
    let found = all(record, campaign).await.into_iter().find(|(s, p, _)| (*s, *p) == (seq, part));
    found.expect("a delivery").2
}

pub(in crate::record) async fn a_list_is_kept_in_its_order_without_its_duplicates(store: &dyn Store) {
    let record = store.open().await;
    assert_eq!(record.campaign(&space("1"), &name(), NOW).await.expect("an answer"), None);
    let planner = begin(&*record, 1).await;
    let added = record.add_recipients(&planner, [3, 1, 3].map(somebody).to_vec()).await.expect("added");
    assert_eq!(added, Added { accepted: 2, duplicates: 1 });
    let added = record.add_recipients(&planner, [1, 2].map(somebody).to_vec()).await.expect("added");
    assert_eq!(added, Added { accepted: 1, duplicates: 1 });
    record.seal_plan(&planner, &new(1), DIGEST, 4, NOW).await.expect("sealed");
    let campaign = shown(&*record).await;
    assert_eq!((campaign.recipients, campaign.duplicates, campaign.malformed), (3, 2, 4));
    assert_eq!((campaign.digest, campaign.holder, campaign.started_at), (Some(DIGEST), None, None));
    let worker = enlist(&*record, campaign.id).await;
    let people: Vec<_> = claim(&*record, &worker, 10).await.into_iter().map(|row| row.recipient).collect();
    assert_eq!(people, [3, 1, 2].map(somebody));
}

pub(in crate::record) async fn a_plan_that_was_cut_off_is_not_sent(store: &dyn Store) {
    let record = store.open().await;
    let planner = begin(&*record, 1).await;
    record.add_recipients(&planner, vec![somebody(1)]).await.expect("added");
    drop(record);
    let record = store.open().await;
    assert_eq!(shown(&*record).await.digest, None);
    let refused = record.enlist(planner.campaign, PID, NOW).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. })), "{refused:?}");
    let late = record.add_recipients(&planner, vec![somebody(2)]).await;
    assert!(matches!(late, Err(RecordError::Refused { .. })), "{late:?}");
    let campaign = plan(&*record, [1, 2], 1).await;
    assert_eq!(all(&*record, campaign).await, [(1, 0, State::Planned), (2, 0, State::Planned)]);
}

pub(in crate::record) async fn one_works_on_a_campaign_at_a_time(store: &dyn Store) {
    let (one, two) = (store.open().await, store.open().await);
    let campaign = plan(&*one, [1], 1).await;
    let worker = enlist(&*one, campaign).await;
    let Enlisted::Held(holder) = two.enlist(campaign, PID + 1, NOW).await.expect("an answer") else {
        panic!("two work on it");
    };
    assert_eq!((holder.pid, holder.since), (PID, NOW));
    assert_eq!(shown(&*two).await.holder, Some(holder));
    assert!(matches!(two.begin_plan(&new(1), PID, NOW).await.expect("an answer"), Begun::Held(_)));
    one.retire(&worker, NOW).await.expect("retired");
    assert!(enlist(&*two, campaign).await.epoch > worker.epoch);
}

pub(in crate::record) async fn everybody_is_claimed_once_and_in_order(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=5, 1).await;
    let worker = enlist(&*record, campaign).await;
    let mut seen = Vec::new();
    for limit in [2, 2, 2, 2] {
        seen.extend(claim(&*record, &worker, limit).await.into_iter().map(|row| row.key.seq));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    write(&*record, &worker, &[entry(2, 0, Event::Release)]).await;
    assert_eq!(claim(&*record, &worker, 9).await[0].key.seq, 2);
}

pub(in crate::record) async fn parts_follow_one_another(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, [1], 3).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), sent(1, 0)]).await;
    assert_eq!(state(&*record, campaign, 1, 1).await, State::Claimed);
    assert_eq!(claim(&*record, &worker, 1).await, []);
    write(&*record, &worker, &[intent(1, 1), sent(1, 1)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    let worker = enlist(&*record, campaign).await;
    assert_eq!(claim(&*record, &worker, 1).await[0].key, DeliveryKey { seq: 1, part: 2 });
}

pub(in crate::record) async fn what_is_not_sent_takes_the_parts_behind_it_along(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, [1, 2], 3).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    let skip = entry(2, 0, Event::Skip { reason: "window".to_owned() });
    write(&*record, &worker, &[intent(1, 0), sent(1, 0), intent(1, 1), refused(1, 1), skip]).await;
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    let skipped = State::Skipped;
    assert_eq!(states, [State::Sent, State::Failed, skipped, skipped, skipped, skipped]);
    record.decide(campaign, &[entry(1, 1, Event::Reopen)]).await.expect("reopened");
    assert_eq!(state(&*record, campaign, 1, 2).await, State::Planned);
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 1), sent(1, 1), intent(1, 2), sent(1, 2)]).await;
    assert_eq!(state(&*record, campaign, 1, 2).await, State::Sent);
}

pub(in crate::record) async fn an_unknown_part_holds_back_those_behind_it(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, [1], 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), doubt(1, 0)]).await;
    assert_eq!(claim(&*record, &worker, 1).await, []);
    assert_eq!(all(&*record, campaign).await, [(1, 0, State::Unknown), (1, 1, State::Planned)]);
    record.decide(campaign, &[entry(1, 0, Event::AssumeSent)]).await.expect("decided");
    assert_eq!(claim(&*record, &worker, 1).await[0].key, DeliveryKey { seq: 1, part: 1 });
}

pub(in crate::record) async fn a_dead_workers_claims_are_planned_again_and_its_sends_unknown(store: &dyn Store) {
    let (alive, dying) = (store.open().await, store.open().await);
    let campaign = plan(&*alive, 1..=3, 1).await;
    let worker = enlist(&*dying, campaign).await;
    claim(&*dying, &worker, 3).await;
    write(&*dying, &worker, &[intent(1, 0), intent(2, 0), sent(2, 0)]).await;
    drop(dying);
    assert_eq!(shown(&*alive).await.holder, None);
    let states: Vec<_> = all(&*alive, campaign).await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, [State::Unknown, State::Sent, State::Planned]);
    let worker = enlist(&*alive, campaign).await;
    let rows = claim(&*alive, &worker, 9).await;
    assert_eq!(rows.iter().map(|row| row.key.seq).collect::<Vec<_>>(), [3]);
}

pub(in crate::record) async fn a_worker_that_retires_leaves_nothing_held(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    write(&*record, &worker, &[intent(1, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    assert_eq!(all(&*record, campaign).await, [(1, 0, State::Unknown), (2, 0, State::Planned)]);
    let late = record.write(&worker, &[sent(1, 0)]).await;
    assert!(matches!(late, Err(RecordError::Refused { .. } | RecordError::Lapsed)), "{late:?}");
}

pub(in crate::record) async fn an_abandoned_worker_is_retired_by_the_next(store: &dyn Store) {
    let record = store.open().await;
    let planner = begin(&*record, 1).await;
    record.abandon_worker(&planner);
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    write(&*record, &worker, &[intent(1, 0)]).await;
    record.abandon_worker(&worker);
    let next = enlist(&*record, campaign).await;
    assert_eq!(all(&*record, campaign).await, [(1, 0, State::Unknown), (2, 0, State::Planned), (3, 0, State::Planned)]);
    record.abandon_worker(&worker);
    assert_eq!(claim(&*record, &next, 1).await.len(), 1, "another is no more");
}

pub(in crate::record) async fn entries_are_stored_together_or_not_at_all(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    let illegal = record.write(&worker, &[intent(1, 0), sent(2, 0)]).await;
    assert!(matches!(illegal, Err(RecordError::Refused { .. })), "{illegal:?}");
    assert_eq!(state(&*record, campaign, 1, 0).await, State::Claimed);
}

pub(in crate::record) async fn nobody_writes_what_is_not_theirs(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    let stranger = Worker { epoch: worker.epoch + 1, ..worker };
    for (who, what) in [(stranger, intent(1, 0)), (worker, intent(2, 0)), (worker, entry(2, 0, Event::Release))] {
        let refused = record.write(&who, std::slice::from_ref(&what)).await;
        assert!(matches!(refused, Err(RecordError::Refused { .. } | RecordError::Lapsed)), "{what:?}: {refused:?}");
    }
    let refused = record.claim_deliveries(&stranger, Reach::All, 1, NOW).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. } | RecordError::Lapsed)), "{refused:?}");
}

pub(in crate::record) async fn no_intent_is_stored_while_the_campaign_is_paused(store: &dyn Store) {
    let (sender, operator) = (store.open().await, store.open().await);
    let campaign = plan(&*sender, 1..=2, 1).await;
    let worker = enlist(&*sender, campaign).await;
    claim(&*sender, &worker, 2).await;
    write(&*sender, &worker, &[intent(1, 0)]).await;
    operator.change(campaign, Change::Pause("lunch".to_owned())).await.expect("paused");
    let written = sender.write(&worker, &[sent(1, 0), intent(2, 0)]).await.expect("written");
    assert_eq!(written, [Written::Stored, Written::Paused]);
    assert_eq!(all(&*sender, campaign).await, [(1, 0, State::Sent), (2, 0, State::Claimed)]);
    operator.change(campaign, Change::PauseUnlessPaused("no more budget".to_owned())).await.expect("paused already");
    assert_eq!(shown(&*sender).await.paused.as_deref(), Some("lunch"));
    // Somebody saw another pause than the one that is on.
    operator.change(campaign, Change::Unpause("breakfast".to_owned())).await.expect("nothing");
    assert_eq!(shown(&*sender).await.paused.as_deref(), Some("lunch"));
    operator.change(campaign, Change::Unpause("lunch".to_owned())).await.expect("unpaused");
    write(&*sender, &worker, &[intent(2, 0)]).await;
    operator.change(campaign, Change::PauseUnlessPaused("no more budget".to_owned())).await.expect("paused");
    assert_eq!(shown(&*sender).await.paused.as_deref(), Some("no more budget"));
}

pub(in crate::record) async fn a_retry_waits_until_it_is_due(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, [1, 2], 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 2).await;
    let due = [NOW.plus(Duration::from_mins(2)), NOW.plus(Duration::from_mins(3))];
    for (seq, due) in (1..).zip(due) {
        let retry = entry(seq, 0, Event::DoubtAndRetry { why: Refusal::in_words("reset".to_owned()), due });
        write(&*record, &worker, &[intent(seq, 0), retry]).await;
    }
    // Whoever is asked for by name comes no sooner.
    let both = [1, 2].map(|psid| somebody(psid).recipient);
    for reach in [Reach::All, Reach::These(&both)] {
        let early = record.claim_deliveries(&worker, reach, 2, NOW).await.expect("claims");
        assert_eq!((early.rows.len(), early.next_due), (0, Some(due[0])), "{reach:?}");
    }
    for (reach, seq, due) in [(Reach::All, 1, due[0]), (Reach::These(&both), 2, due[1])] {
        let rows = record.claim_deliveries(&worker, reach, 2, due).await.expect("claims").rows;
        let seen: Vec<_> = rows.iter().map(|row| (row.key.seq, row.attempt)).collect();
        assert_eq!(seen, [(seq, 1)], "{reach:?}");
    }
}

pub(in crate::record) async fn what_waits_for_its_time_comes_in_the_order_of_the_times(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 4).await;
    let hours = |hours| NOW.plus(Duration::from_hours(hours));
    let defer = |seq, due| entry(seq, 0, Event::Defer { due: hours(due) });
    write(&*record, &worker, &[defer(1, 3), defer(2, 1), defer(3, 2), defer(4, 9)]).await;
    let early = record.claim_deliveries(&worker, Reach::All, 9, NOW).await.expect("claims");
    assert_eq!((early.rows.len(), early.next_due), (0, Some(hours(1))));
    let claims = record.claim_deliveries(&worker, Reach::All, 9, hours(3)).await.expect("claims");
    assert_eq!(claims.rows.iter().map(|row| (row.key.seq, row.attempt)).collect::<Vec<_>>(), [(2, 0), (3, 0), (1, 0)]);
    assert_eq!(claims.next_due, Some(hours(9)));
    // Put off is not in doubt: a worker that goes leaves it planned.
    record.retire(&worker, hours(3)).await.expect("retired");
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, [State::Planned, State::Planned, State::Planned, State::RetryAt]);
}

pub(in crate::record) async fn nobody_is_given_more_than_they_asked_for(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=6, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 3).await;
    let defer = |seq| entry(seq, 0, Event::Defer { due: NOW });
    write(&*record, &worker, &[entry(1, 0, Event::Release), defer(2), defer(3)]).await;
    // One that was given back, those whose time has come, and then whoever is new.
    let seqs = |rows: Vec<ClaimedRow>| rows.into_iter().map(|row| row.key.seq).collect::<Vec<_>>();
    assert_eq!(seqs(claim(&*record, &worker, 2).await), [1, 2]);
    assert_eq!(seqs(claim(&*record, &worker, 2).await), [3, 4]);
    assert_eq!(seqs(claim(&*record, &worker, 9).await), [5, 6]);
}

pub(in crate::record) async fn a_worker_reaches_nobody_it_may_not(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=6, 2).await;
    let worker = enlist(&*record, campaign).await;
    let claim = async |reach: Reach<'_>, limit| {
        let claims = record.claim_deliveries(&worker, reach, limit, NOW).await.expect("claims");
        claims.rows.iter().map(|row| (row.key.seq, row.key.part)).collect::<Vec<_>>()
    };
    let these = [5, 99, 2].map(|psid| somebody(psid).recipient);
    assert_eq!(claim(Reach::These(&these), 1).await, [(5, 0)]);
    assert_eq!(claim(Reach::These(&these), 1).await, [(2, 0)], "though somebody stands before them");
    assert_eq!(claim(Reach::These(&these), 9).await, []);
    write(&*record, &worker, &[intent(5, 0), sent(5, 0), entry(5, 1, Event::Release), intent(2, 0), refused(2, 0)])
        .await;
    // What is left of those who have begun; and nothing of those who are through.
    assert_eq!(claim(Reach::These(&these), 9).await, [(5, 1)]);
    write(&*record, &worker, &[entry(5, 1, Event::Release)]).await;
    assert_eq!(claim(Reach::UpTo { place: 3, since: NOW }, 9).await, [(1, 0), (3, 0)]);
    write(&*record, &worker, &[entry(3, 0, Event::Defer { due: NOW.plus(Duration::from_mins(1)) })]).await;
    let early = record.claim_deliveries(&worker, Reach::UpTo { place: 2, since: NOW }, 9, NOW).await.expect("claims");
    assert_eq!((early.rows.len(), early.next_due), (0, None));
    assert_eq!(claim(Reach::All, 9).await, [(5, 1), (4, 0), (6, 0)]);
    assert_eq!(record.place_of(campaign, 6, NOW, &[]).await.expect("a place"), Some(6));
    assert_eq!(record.place_of(campaign, 7, NOW, &[]).await.expect("none"), None);
}

pub(in crate::record) async fn variants_are_counted_each(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 3).await;
    let intend = |seq, variant: &str| entry(seq, 0, Event::Intend { nonce: 7, variant: Some(variant.to_owned()) });
    let entries = [intend(1, "a"), sent(1, 0), intend(2, "b"), sent(2, 0), intend(3, "a"), entry(3, 0, Event::NotSent)];
    write(&*record, &worker, &entries).await;
    let mut counts = record.count(campaign, NOW).await.expect("counts");
    counts.sort_by_key(|count| (count.state, count.variant.clone()));
    let seen: Vec<_> = counts.iter().map(|count| (count.state, count.variant.as_deref(), count.count)).collect();
    let expected = [(State::Planned, None, 1), (State::Claimed, None, 1), (State::Sent, Some("a"), 1)];
    assert_eq!(seen, [&expected[..], &[(State::Sent, Some("b"), 1)]].concat());
    let listed = record.deliveries(campaign, Some(State::Sent), None, 9).await.expect("listed");
    assert_eq!(listed[1].delivery.variant.as_deref(), Some("b"));
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn operators_decide_what_is_unknown(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 3).await;
    let doubts: Vec<_> = (1..=3).flat_map(|seq| [intent(seq, 0), doubt(seq, 0)]).collect();
    write(&*record, &worker, &doubts).await;
    let echo = entry(1, 0, Event::Echoed { message_id: "m_1".to_owned() });
    let twice = record.decide(campaign, &[echo.clone(), echo.clone()]).await;
    assert!(matches!(twice, Err(RecordError::Refused { .. })), "{twice:?}");
    record.decide(campaign, &[echo, entry(2, 0, Event::AssumeNotSent)]).await.expect("decided");
    let states: Vec<_> = all(&*record, campaign).await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, [State::Sent, State::Planned, State::Unknown]);
    let unknown = record.deliveries(campaign, Some(State::Unknown), None, 9).await.expect("listed");
    assert_eq!((unknown.len(), unknown[0].key.seq, unknown[0].delivery.nonce), (1, 3, Some(7)));
}

pub(in crate::record) async fn counts_and_lists_tell_one_story(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=7, 2).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 5).await;
    let entries = [intent(1, 0), sent(1, 0), intent(2, 0), refused(2, 0), intent(3, 0), doubt(3, 0), intent(4, 0)];
    write(&*record, &worker, &entries).await;
    let counts = record.count(campaign, NOW).await.expect("counts");
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 14);
    let listed = all(&*record, campaign).await;
    for counted in counts {
        let found = listed.iter().filter(|(_, part, state)| (*part, *state) == (counted.part, counted.state)).count();
        assert_eq!(found as u64, counted.count, "{counted:?}");
    }
    for state in State::ALL {
        let mut paged = Vec::new();
        while let Some(next) =
            record.deliveries(campaign, Some(state), paged.last().copied(), 1).await.expect("listed").pop()
        {
            paged.push(next.key);
        }
        let expected: Vec<_> =
            listed.iter().filter(|row| row.2 == state).map(|row| DeliveryKey { seq: row.0, part: row.1 }).collect();
        assert_eq!(paged, expected, "{state}");
    }
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn campaigns_of_other_pages_are_others(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, [1], 1).await;
    let elsewhere = NewCampaign { space: space("2"), ..new(1) };
    let Begun::Won(other) = record.begin_plan(&elsewhere, PID, NOW).await.expect("begun") else {
        panic!("it is another campaign");
    };
    record.seal_plan(&other, &elsewhere, DIGEST, 0, NOW).await.expect("sealed");
    assert_ne!(other.campaign, campaign);
    record.change(campaign, Change::Uploads(2)).await.expect("changed");
    record.change(campaign, Change::FreezeAssets(json!(["a"]).to_string())).await.expect("changed");
    record.change(campaign, Change::FreezeAssets(json!(["b"]).to_string())).await.expect("changed");
    let campaigns = record.campaigns(Timestamp::from_unix_millis(0)).await.expect("listed");
    let seen: Vec<_> = campaigns.iter().map(|c| (c.id, c.space.page.as_str(), c.uploads, c.recipients)).collect();
    assert_eq!(seen, [(campaign, "1", 2, 1), (other.campaign, "2", 0, 0)]);
    assert_eq!(campaigns[0].assets.as_deref(), Some("[\"a\"]"));
}
