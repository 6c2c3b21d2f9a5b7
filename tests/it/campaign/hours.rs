//! When people get a campaign: not before it starts, not while they sleep, and not once it is stale.

use std::fmt::Write;
use std::time::Duration;

use reattach::campaign::{End, Stage};
use reattach::delivery::State;
use reattach::record::{Campaign, Change};

use super::indoors::Room;

const HI: &str = "[[message]]\ntext = \"Hi\"\n";
const NIGHT: &str = "quiet_hours = \"21:00-08:00\"\ntimezone = \"UTC\"\n";

/// Three people who live elsewhere, and one of whom the list does not say where.
const PEOPLE: &str = "recipient,timezone\n1,Asia/Tokyo\n2,Europe/Berlin\n3,\n4,America/Los_Angeles\n";

fn hours(room: &Room) -> Vec<(String, u64)> {
    room.taken().into_iter().map(|(recipient, at)| (recipient, at.as_secs() / 3_600)).collect()
}

fn after(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(recipient, hour)| ((*recipient).to_owned(), *hour)).collect()
}

async fn again(room: &Room, campaign: &Campaign) -> Campaign {
    let found = room.record.campaign(&campaign.space, &campaign.name, room.clock.now()).await.expect("an answer");
    found.expect("a campaign")
}

#[tokio::test(start_paused = true)]
async fn everybody_is_awake_when_it_arrives() {
    // In Tokyo it is 23:00, in Los Angeles 6:00.
    let room = Room::at("2026-12-01T14:00:00Z").await;
    let campaign = room.plan(PEOPLE, &format!("{NIGHT}{HI}")).await;
    let summary = room.run(&campaign).await;
    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    assert_eq!((summary.counts.sent, summary.counts.pending), (4, 0));
    assert_eq!(hours(&room), after(&[("1", 9), ("2", 0), ("3", 0), ("4", 2)]));
}

#[tokio::test(start_paused = true)]
async fn who_sleeps_past_the_end_gets_nothing() {
    let room = Room::at("2026-12-01T14:00:00Z").await;
    let end = "expires_at = 2026-12-01T20:00:00Z\n";
    let campaign = room.plan(PEOPLE, &format!("{NIGHT}{end}{HI}")).await;
    let summary = room.run(&campaign).await;
    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    assert_eq!((summary.counts.sent, summary.counts.skipped), (3, 1));
    assert_eq!(hours(&room), after(&[("2", 0), ("3", 0), ("4", 2)]));
    assert!(summary.elapsed < Duration::from_hours(3), "nobody waits for who sleeps past the end");
    let skipped = room.record.deliveries(campaign.id, Some(State::Skipped), None, 9).await.expect("deliveries");
    assert_eq!((skipped[0].key.seq, skipped[0].delivery.reason.as_deref()), (1, Some("expired")));
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_left_out_and_not_delivered_stale() {
    let room = Room::at("2026-12-01T14:00:00Z").await;
    let mut list = "recipient\n".to_owned();
    (1..=600).for_each(|psid| writeln!(list, "{psid}").expect("memory"));
    let end = "expires_at = \"2026-12-01T14:00:10Z\"\n";
    let campaign = room.plan(&list, &format!("{end}{HI}")).await;
    let summary = room.run(&campaign).await;
    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    assert_eq!(summary.counts.sent + summary.counts.skipped, 600);
    assert!(room.taken().values().all(|at| *at < Duration::from_secs(11)), "{:?}", room.taken());
    // Ten seconds at the usual pace, and what was on its way.
    assert!((280..=330).contains(&summary.counts.sent), "{:?}", summary.counts);
}

/// Lifts the pause behind a stage.
async fn say_yes(room: &Room, campaign: &Campaign) {
    let why = again(room, campaign).await.paused.expect("it waits for a yes");
    room.record.change(campaign.id, Change::Unpause(why)).await.expect("changed");
}

#[tokio::test(start_paused = true)]
async fn it_begins_when_it_is_to_begin_and_those_who_try_it_out_need_not_wait() {
    let room = Room::at("2026-12-01T05:00:00Z").await;
    let start = "start_at = 2026-12-01T10:30:00+01:00\ntesters = [\"7\"]\ncanary = 2\n";
    let campaign = room.plan("recipient\n1\n2\n3\n", &format!("{start}{NIGHT}{HI}")).await;
    let summary = room.run(&campaign).await;
    assert!(matches!(summary.end, End::Stage { stage: Stage::Testers, has_arrived: true }), "{:?}", summary.end);
    assert_eq!(hours(&room), after(&[("7", 0)]), "at night, and at once");
    say_yes(&room, &campaign).await;
    let summary = room.run(&again(&room, &campaign).await).await;
    assert!(matches!(summary.end, End::Stage { stage: Stage::Canary, has_arrived: true }), "{:?}", summary.end);
    assert_eq!(hours(&room), after(&[("1", 4), ("2", 4), ("7", 0)]));
    say_yes(&room, &campaign).await;
    let summary = room.run(&again(&room, &campaign).await).await;
    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    assert_eq!(room.taken().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_a_run_that_waits_for_the_morning() {
    let room = Room::at("2026-12-01T23:00:00Z").await;
    let campaign = room.plan("recipient\n1\n", &format!("{NIGHT}{HI}")).await;
    let pause = async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        room.record.change(campaign.id, Change::Pause("enough".to_owned())).await.expect("changed");
    };
    let (summary, ()) = futures::join!(room.run(&campaign), pause);
    assert!(matches!(summary.end, End::Paused(_)), "{:?}", summary.end);
    assert!(summary.elapsed < Duration::from_mins(2), "{:?}", summary.elapsed);
    assert_eq!((summary.counts.pending, room.taken().len()), (1, 0));
}
