//! A run that comes to nothing lets go of its campaign, in a process that lives on.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use reattach::campaign::{CampaignError, Counts, End, Pause, Replan, Run, RunParts, RunSummary, pause};
use reattach::record::{Campaign, Change};
use tokio::runtime::Runtime;

use super::indoors::{Room, TRAP};

const PEOPLE: u64 = 40;

async fn planned(room: &Room, message: &str) -> Campaign {
    planned_for(room, PEOPLE, message).await
}

pub(super) async fn planned_for(room: &Room, people: u64, message: &str) -> Campaign {
    let people: Vec<_> = (1..=people).map(|psid| psid.to_string()).collect();
    room.plan(&format!("recipient\n{}\n", people.join("\n")), message).await
}

/// A run, once whatever was dropped has let go.
pub(super) async fn begun(parts: RunParts, campaign: &Campaign) -> Run {
    for _ in 0..1_000 {
        match Run::begin(parts.clone(), campaign).await {
            Ok(run) => return run,
            Err(CampaignError::Held { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it is held by nobody")
}

/// What comes of it in the end.
pub(super) async fn ended(room: &Room, campaign: &Campaign) -> RunSummary {
    begun(room.parts(), campaign).await.send().await.expect("a run")
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_lets_go() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign = planned(&room, "[[message]]\ntext = \"Hi\"\n").await;
    drop(Run::begin(room.parts(), &campaign).await.expect("nobody has it"));
    assert_eq!(ended(&room, &campaign).await.counts, Counts { total: PEOPLE, sent: PEOPLE, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn one_that_would_go_another_way_than_was_planned_is_refused() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let mut campaign = planned(&room, "[[message]]\ntext = \"Hi\"\n").await;
    campaign.space.origin = "http://localhost:9".parse().expect("an origin");
    let refused = Run::begin(room.parts(), &campaign).await;
    assert!(matches!(refused, Err(CampaignError::OtherSpace { .. })), "{refused:?}");
}

/// What the future gives, unless it still waits after so many polls: then it is given up.
async fn given_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut polled) = (Box::pin(future), 0);
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(given) => Poll::Ready(Some(given)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_up_while_it_begins_lets_go_wherever_that_was() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign = planned(&room, "[[message]]\ntext = \"Hi\"\n").await;
    let mut polls = 1;
    while !matches!(given_up_after(polls, Run::begin(room.parts(), &campaign)).await, Some(Ok(_))) {
        begun(room.parts(), &campaign).await.give_up().await.expect("let go of");
        polls += 1;
    }
    assert!(polls > 2, "it waits for nothing");
    assert_eq!(ended(&room, &campaign).await.counts.sent, PEOPLE);
}

#[test]
fn one_that_is_dropped_outside_of_its_runtime_lets_go() {
    let [here, there] = [(); 2].map(|()| Runtime::new().expect("a runtime"));
    let (room, campaign) = here.block_on(async {
        let room = Room::at("2026-04-01T12:00:00Z").await;
        let campaign = planned(&room, "[[message]]\ntext = \"Hi\"\n").await;
        (room, campaign)
    });
    let begin = async || Run::begin(room.parts(), &campaign).await.expect("nobody has it");
    let run = here.block_on(begin());
    drop(run);
    let run = here.block_on(begin());
    drop(here);
    drop(run);
    there.block_on(begin());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_while_it_sends_leaves_nobody_held() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign = planned(&room, "concurrency = 4\n[[message]]\ntext = \"Hi\"\n").await;
    let run = Run::begin(room.parts(), &campaign).await.expect("nobody has it");
    let sending = tokio::time::timeout(Duration::from_millis(300), run.send()).await;
    assert!(sending.is_err(), "it ended before it was dropped");
    let Counts { total, sent, unknown, pending, failed, .. } = ended(&room, &campaign).await.counts;
    assert_eq!((total, sent + unknown, pending, failed), (PEOPLE, PEOPLE, 0, 0));
    assert!((1..=4).contains(&unknown), "{unknown} were under way");
    assert_eq!(room.taken().len() as u64, PEOPLE, "somebody was forgotten");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_of_a_plan_that_is_there_no_more() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let seen = planned(&room, "[[message]]\ntext = \"Helo\"\n").await;
    let anew = room.plan_anew("recipient\n1\n", "[[message]]\ntext = \"Hello\"\n", Replan::Allowed).await;
    let begun = Run::begin(room.parts(), &seen).await;
    assert!(matches!(begun, Err(CampaignError::Overtaken { .. })), "{begun:?}");
    // It has let go; and what is there now is sent.
    assert_eq!(ended(&room, &anew).await.counts.sent, 1);
    assert_eq!(room.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_of_what_is_paused_by_hand_is_another() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign = planned(&room, "[[message]]\ntext = \"Hi\"\n").await;
    let now = async || {
        let Campaign { space, name, .. } = &campaign;
        room.record.campaign(space, name, room.clock.now()).await.expect("an answer").expect("a campaign")
    };
    pause(&*room.record, campaign.id, room.clock.now()).await.expect("paused");
    let seen = now().await;
    assert_eq!(Pause::of(&seen), Some(Pause::ByHand));
    // Whoever is about to go on with it lifts the pause they have seen, and not these.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        pause(&*room.record, campaign.id, room.clock.now()).await.expect("paused");
    }
    let why = seen.paused.expect("a reason");
    room.record.change(campaign.id, Change::Unpause(why)).await.expect("an answer");
    assert_eq!(Pause::of(&now().await), Some(Pause::ByHand));
    let summary = ended(&room, &campaign).await;
    assert!(matches!(summary.end, End::Paused(_)) && room.taken().is_empty(), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_defect_pauses_it_for_all_who_send_it() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let list = format!("recipient\n1\n{TRAP}\n2\n");
    let campaign = room.plan(&list, "concurrency = 1\n[[message]]\ntext = \"Hi\"\n").await;
    let summary = ended(&room, &campaign).await;
    assert!(matches!(summary.end, End::Panicked), "{summary:?}");
    assert!(summary.campaign.paused.is_some_and(|why| why.contains("panic")), "others go on into it");
    assert_eq!((summary.counts.sent, summary.counts.pending), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_whose_look_ahead_fails_lets_go() {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    room.put("hero.png", &crate::support::pictures::png(1));
    let campaign = planned(&room, "[[message]]\nfile = \"hero.png\"\n").await;
    room.put("hero.png", &crate::support::pictures::png(2));
    for _ in 0..2 {
        let run = Run::begin(room.parts(), &campaign).await;
        assert!(run.expect("nobody has it").send().await.is_err(), "it holds something else now");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_heard_while_meta_takes_nothing() {
    for people in [2, PEOPLE] {
        let room = Room::with_storm("2026-04-01T12:00:00Z", Duration::ZERO..Duration::from_mins(10)).await;
        let campaign = planned_for(&room, people, "concurrency = 4\n[[message]]\ntext = \"Hi\"\n").await;
        let run = begun(room.parts(), &campaign).await;
        let operator = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            pause(&*room.record, campaign.id, room.clock.now()).await.expect("paused");
            tokio::time::sleep(Duration::from_secs(15)).await;
        };
        let (summary, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(74), run.send()), operator);
        let summary = summary.expect("it waits on").expect("a run");
        assert!(matches!(summary.end, End::Paused(None)), "{:?}", summary.end);
        assert_eq!(Pause::of(&summary.campaign), Some(Pause::ByHand), "nobody says it again");
        assert_eq!((summary.counts.sent, summary.counts.unknown, summary.counts.failed), (0, 0, 0));
    }
}
