//! A campaign that is broken off, however often and wherever, and gone on with, comes to what one run comes to.
//! `RESUME_CASES` says how many campaigns are tried (100).

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reattach::campaign::{Counts, End, RunParts};
use reattach::delivery::{Event, State};
use reattach::record::{Campaign, Entry};
use reattach::stop::Stop;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use super::hold::{begun, ended, planned_for};
use super::indoors::Room;

/// How a run is broken off, so many milliseconds after it began.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// It is asked to stop.
    Stop(u64),
    /// It is dropped with all that is under way.
    Drop(u64),
}

fn breaks() -> impl Strategy<Value = Vec<Break>> {
    let one = (0..400_u64, any::<bool>()).prop_map(|(at, stops)| if stops { Break::Stop(at) } else { Break::Drop(at) });
    prop::collection::vec(one, 0..7)
}

async fn broken_off(room: &Room, campaign: &Campaign, how: Break) {
    let stop = Stop::new();
    let run = begun(RunParts { stop: stop.clone(), ..room.parts() }, campaign).await;
    match how {
        Break::Drop(after) => drop(timeout(Duration::from_millis(after), run.send()).await),
        Break::Stop(after) => {
            let asking = async {
                sleep(Duration::from_millis(after)).await;
                stop.request();
            };
            let (summary, ()) = tokio::join!(run.send(), asking);
            let end = summary.expect("a run").end;
            assert!(matches!(end, End::Interrupted | End::Finished), "{end:?}");
        }
    }
}

async fn play(people: u64, concurrency: u8, breaks: &[Break]) {
    let room = Room::at("2026-04-01T12:00:00Z").await;
    let campaign =
        planned_for(&room, people, &format!("concurrency = {concurrency}\n[[message]]\ntext = \"Hi\"\n")).await;
    for how in breaks {
        broken_off(&room, &campaign, *how).await;
    }
    let counts = ended(&room, &campaign).await.counts;
    let dropped = breaks.iter().filter(|how| matches!(how, Break::Drop(_))).count() as u64;
    assert_eq!(
        counts,
        Counts { total: people, sent: people - counts.unknown, unknown: counts.unknown, ..Counts::default() }
    );
    assert!(counts.unknown <= dropped * u64::from(concurrency), "{counts:?}");

    // What is in doubt is decided as it was.
    let (taken, now) = (room.taken(), room.clock.now());
    let unknown = room.record.deliveries(campaign.id, Some(State::Unknown), None, usize::MAX).await.expect("a list");
    let truth = unknown.into_iter().map(|listed| {
        let arrived = taken.contains_key(&listed.recipient.to_string());
        Entry { key: listed.key, event: if arrived { Event::AssumeSent } else { Event::AssumeNotSent }, at: now }
    });
    room.record.decide(campaign.id, &truth.collect::<Vec<_>>()).await.expect("decided");
    let counts = ended(&room, &campaign).await.counts;
    assert_eq!(counts, Counts { total: people, sent: people, ..Counts::default() });
    assert_eq!(room.taken().len() as u64, people, "somebody was forgotten");
}

#[test]
fn whatever_it_was_broken_off_by_everybody_gets_it_once() {
    let cases = std::env::var("RESUME_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let mut runner =
        TestRunner::new(Config { cases, max_shrink_iters: 50, failure_persistence: None, ..Config::default() });
    let stories = (1..60_u64, 1..9_u8, breaks());
    let tried = runner.run(&stories, |(people, concurrency, breaks)| {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(play(people, concurrency, &breaks));
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}
