//! What every engine must do with attempts that may have arrived.

use std::time::Duration;

use super::campaigns::{
    DIGEST, PID, claim, doubt, enlist, entry, intent, new, plan, refused, sent, somebody, state, write,
};
use super::plans::another;
use super::{NOW, Store, space};
use crate::delivery::{Doubted, Event, Refusal, State};
use crate::record::{
    Begun, CampaignId, DeliveryKey, DoubtedAttempt, Entry, Finding, NewCampaign, Proof, Proven, Reach, Record,
    RecordError, Worker,
};

const LATER: Duration = Duration::from_mins(3);

fn key(seq: u64) -> DeliveryKey {
    DeliveryKey { seq, part: 0 }
}

fn echo(seq: u64, attempt: u32, nonce: u32) -> Proof {
    Proof { key: key(seq), attempt, nonce, message_id: format!("m_{seq}_{attempt}") }
}

/// Claims and tries every delivery that is due, under this nonce, and leaves it in doubt.
async fn try_in_doubt(record: &dyn Record, worker: &Worker, nonce: u32) {
    let now = NOW.plus(LATER * nonce);
    let rows = record.claim_deliveries(worker, Reach::All, 9, now).await.expect("claims").rows;
    let entries = rows.into_iter().flat_map(|row| {
        let retry = Event::DoubtAndRetry { why: Refusal::in_words("reset".to_owned()), due: now };
        [Event::Intend { nonce, variant: None }, retry].map(|event| Entry { key: row.key, event, at: now })
    });
    write(record, worker, &entries.collect::<Vec<_>>()).await;
}

async fn prove(record: &dyn Record, campaign: CampaignId, proof: Proof) -> Proven {
    record.prove(campaign, &[proof], NOW).await.expect("an answer")[0]
}

async fn message_id(record: &dyn Record, campaign: CampaignId, seq: u64) -> Option<String> {
    let listed = record.deliveries(campaign, None, None, 99).await.expect("listed");
    listed.into_iter().find(|listed| listed.key == key(seq)).expect("a delivery").delivery.message_id
}

pub(in crate::record) async fn every_attempt_in_doubt_is_kept_with_its_intent(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    try_in_doubt(&*record, &worker, 1).await;
    try_in_doubt(&*record, &worker, 2).await;
    let rows = record.claim_deliveries(&worker, Reach::All, 2, NOW.plus(LATER * 3)).await.expect("claims").rows;
    assert_eq!(rows.len(), 2);
    write(&*record, &worker, &[intent(1, 0), intent(2, 0), refused(2, 0)]).await;
    drop(record);
    // The first is in flight when its process dies, the second refused, the third waits.
    let record = store.open().await;
    record.count(campaign, NOW.plus(LATER * 9)).await.expect("whoever looks buries the dead");
    let unknown = record.doubtful(campaign, State::Unknown, None, 9).await.expect("listed");
    let kept = |attempt: u32, nonce, intended_at| DoubtedAttempt {
        doubted: Doubted { attempt, nonce, intended_at: Some(intended_at) },
        message_id: None,
    };
    let twice = [kept(1, 1, NOW.plus(LATER)), kept(2, 2, NOW.plus(LATER * 2))];
    assert_eq!(unknown[0].attempts, [&twice[..], &[kept(3, 7, NOW)]].concat());
    assert_eq!((unknown.len(), &unknown[1].attempts[..]), (2, &twice[..]), "what was refused is in no doubt");
    assert_eq!((unknown[0].listed.key, &unknown[0].variables), (key(1), &somebody(1).variables));
    let waiting = record.doubtful(campaign, State::RetryAt, Some(key(2)), 9).await.expect("listed");
    assert_eq!((waiting.len(), &waiting[0].attempts[..]), (1, &twice[..]));
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn the_echo_of_any_attempt_settles_its_delivery(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=5, 2).await;
    let worker = enlist(&*record, campaign).await;
    try_in_doubt(&*record, &worker, 1).await;
    try_in_doubt(&*record, &worker, 2).await;
    claim_later(&*record, &worker).await;
    let ends = [(1, Event::Release), (2, Event::Release), (3, Event::Release)].map(|(seq, event)| entry(seq, 0, event));
    write(&*record, &worker, &ends).await;
    write(&*record, &worker, &[intent(4, 0), doubt(4, 0)]).await;
    assert_eq!(prove(&*record, campaign, echo(5, 1, 1)).await, Proven::Held, "a worker is at it");
    record.retire(&worker, NOW).await.expect("retired");
    let words = [(2, Event::InferredNotSent), (4, Event::AssumeNotSent)].map(|(seq, event)| entry(seq, 0, event));
    record.decide(campaign, &words).await.expect("decided");
    let states = [State::RetryAt, State::Planned, State::RetryAt, State::Planned, State::RetryAt];
    for (seq, expected) in (1..).zip(states) {
        assert_eq!(state(&*record, campaign, seq, 0).await, expected, "{seq}");
        assert_eq!(prove(&*record, campaign, echo(seq, 1, 2)).await, Proven::Foreign, "another's nonce");
        assert_eq!(prove(&*record, campaign, echo(seq, 1, 1)).await, Proven::Settled);
        assert_eq!(prove(&*record, campaign, echo(seq, 1, 1)).await, Proven::Known);
        assert_eq!(state(&*record, campaign, seq, 0).await, State::Sent);
        assert_eq!(state(&*record, campaign, seq, 1).await, State::Planned, "the part behind follows");
        assert_eq!(message_id(&*record, campaign, seq).await, Some(format!("m_{seq}_1")));
    }
    assert_eq!(prove(&*record, campaign, echo(99, 1, 1)).await, Proven::Forgotten);
    assert_eq!(record.duplicates(campaign).await.expect("listed"), []);
}

pub(in crate::record) async fn an_echo_of_what_is_not_on_record_is_not_taken_for_anothers(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=4, 1).await;
    // Nothing was sent to the third, who leaves no trace.
    plan(&*record, (1..=4).filter(|psid| *psid != 3), 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 9).await;
    write(&*record, &worker, &[intent(4, 0), sent(4, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    for seq in [0, 1, 3, 99] {
        assert_eq!(prove(&*record, campaign, echo(seq, 1, 1)).await, Proven::Forgotten, "{seq}");
    }
    assert_eq!(prove(&*record, campaign, echo(4, 2, 1)).await, Proven::Forgotten);
    assert_eq!(prove(&*record, campaign, echo(4, 1, 1)).await, Proven::Foreign, "another's nonce");
    assert_eq!(state(&*record, campaign, 1, 0).await, State::Planned);
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn an_echo_from_before_somebody_began_again_proves_nothing(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    try_in_doubt(&*record, &worker, 1).await;
    record.retire(&worker, NOW).await.expect("retired");
    let testers = vec![somebody(1).recipient];
    let other = NewCampaign { replaces: Some(DIGEST), testers, ..another(1) };
    let Begun::Won(planner) = record.begin_plan(&other, PID, NOW).await.expect("begun") else { panic!("held") };
    record.add_recipients(&planner, (1..=2).map(somebody).collect()).await.expect("added");
    record.seal_plan(&planner, &other, DIGEST, 0, NOW).await.expect("sealed");
    assert_eq!(prove(&*record, campaign, echo(1, 1, 1)).await, Proven::Forgotten, "it was of another message");
    assert_eq!(state(&*record, campaign, 1, 0).await, State::Planned);
    assert_eq!(prove(&*record, campaign, echo(2, 1, 1)).await, Proven::Settled);
    record.verify().await.expect("healthy");
}

async fn claim_later(record: &dyn Record, worker: &Worker) {
    let rows = record.claim_deliveries(worker, Reach::All, 9, NOW.plus(LATER * 3)).await.expect("claims").rows;
    assert_eq!(rows.len(), 5);
}

pub(in crate::record) async fn who_got_it_twice_is_named(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=3, 1).await;
    let worker = enlist(&*record, campaign).await;
    try_in_doubt(&*record, &worker, 1).await;
    try_in_doubt(&*record, &worker, 2).await;
    record.claim_deliveries(&worker, Reach::All, 9, NOW.plus(LATER * 3)).await.expect("claims");
    let receipt = entry(1, 0, Event::Sent { message_id: Some("m_1_3".to_owned()) });
    write(&*record, &worker, &[intent(1, 0), receipt, intent(2, 0), refused(2, 0), intent(3, 0), sent(3, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    // By its receipt, and then two echoes of earlier attempts.
    assert_eq!(prove(&*record, campaign, echo(1, 3, 7)).await, Proven::Known);
    assert_eq!(prove(&*record, campaign, echo(1, 2, 2)).await, Proven::Twice);
    assert_eq!(prove(&*record, campaign, echo(1, 2, 2)).await, Proven::Known);
    assert_eq!(prove(&*record, campaign, echo(1, 1, 1)).await, Proven::Twice);
    // By two echoes.
    assert_eq!(prove(&*record, campaign, echo(2, 2, 2)).await, Proven::Settled);
    assert_eq!(prove(&*record, campaign, echo(2, 1, 1)).await, Proven::Twice);
    let duplicates = record.duplicates(campaign).await.expect("listed");
    let others: Vec<_> = duplicates.iter().map(|one| (one.listed.key.seq, one.others.join(" "))).collect();
    assert_eq!(others, [(1, "m_1_1 m_1_2".to_owned()), (2, "m_2_1".to_owned())]);
    assert_eq!(message_id(&*record, campaign, 2).await.as_deref(), Some("m_2_2"));
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn an_echo_corrects_what_was_inferred(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    try_in_doubt(&*record, &worker, 1).await;
    try_in_doubt(&*record, &worker, 2).await;
    record.retire(&worker, NOW).await.expect("retired");
    let finding = |attempt, message_id: &str| Finding { attempt, message_id: message_id.to_owned() };
    let nothing = record.infer_sent(campaign, key(1), &[], NOW).await;
    assert!(matches!(nothing, Err(RecordError::Refused { .. })), "{nothing:?}");
    record.infer_sent(campaign, key(1), &[finding(1, "m_a"), finding(2, "m_b")], NOW).await.expect("inferred");
    let again = record.infer_sent(campaign, key(1), &[finding(1, "m_a")], NOW).await;
    assert!(matches!(again, Err(RecordError::Refused { .. })), "{again:?}");
    assert_eq!(message_id(&*record, campaign, 1).await.as_deref(), Some("m_a"));
    let others = async || -> Vec<String> {
        record.duplicates(campaign).await.expect("listed").into_iter().flat_map(|one| one.others).collect()
    };
    assert_eq!(others().await, ["m_b"]);
    // The first was another's message; the second was right.
    assert_eq!(prove(&*record, campaign, echo(1, 1, 1)).await, Proven::Settled);
    assert_eq!(message_id(&*record, campaign, 1).await.as_deref(), Some("m_1_1"));
    assert_eq!(others().await, ["m_b"]);
    let known = Proof { message_id: "m_b".to_owned(), ..echo(1, 2, 2) };
    assert_eq!(prove(&*record, campaign, known).await, Proven::Known);
    record.decide(campaign, &[entry(2, 0, Event::InferredNotSent)]).await.expect("decided");
    let worker = enlist(&*record, campaign).await;
    assert_eq!(claim(&*record, &worker, 9).await.len(), 1, "it is to be sent");
}

pub(in crate::record) async fn what_a_person_got_is_known_of_all_campaigns_of_the_page(store: &dyn Store) {
    let record = store.open().await;
    let campaign = plan(&*record, 1..=2, 1).await;
    let worker = enlist(&*record, campaign).await;
    claim(&*record, &worker, 1).await;
    write(&*record, &worker, &[intent(1, 0), doubt(1, 0)]).await;
    let mut others = Vec::new();
    for (name, page) in [("autumn", "1"), ("winter", "2")] {
        let new = NewCampaign { name: name.parse().expect("a name"), space: space(page), ..new(1) };
        let Begun::Won(planner) = record.begin_plan(&new, PID, NOW).await.expect("begun") else { panic!("held") };
        record.add_recipients(&planner, vec![somebody(2), somebody(1)]).await.expect("added");
        record.seal_plan(&planner, &new, DIGEST, 0, NOW).await.expect("sealed");
        let worker = enlist(&*record, planner.campaign).await;
        claim(&*record, &worker, 9).await;
        write(&*record, &worker, &[intent(2, 0), sent(2, 0)]).await;
        others.push(planner.campaign);
    }
    let found = record.deliveries_to(&space("1"), &somebody(1).recipient).await.expect("found");
    let seen: Vec<_> = found.iter().map(|one| (one.campaign, one.key.seq, one.attempts.len())).collect();
    assert_eq!(seen, [(campaign, 1, 1), (others[0], 2, 0)]);
    assert_eq!(found[1].delivery.message_id.as_deref(), Some("m_2_0"));
    assert_eq!(record.deliveries_to(&space("3"), &somebody(1).recipient).await.expect("found"), []);
    assert_eq!(record.deliveries_to(&space("1"), &somebody(3).recipient).await.expect("found"), []);
}
