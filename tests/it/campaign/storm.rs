//! Ten minutes of throttles on everything, in virtual time, through a whole run with its record on the disk.

use std::fmt::Write;
use std::time::Duration;

use reattach::campaign::{Counts, End};
use reattach::delivery::State;

use super::indoors::Room;

const PEOPLE: u64 = 10_000;
const WORKERS: usize = 8;
/// The storm begins when the campaign is well under way.
const CALM: Duration = Duration::from_mins(1);
const STORM: Duration = Duration::from_mins(10);

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_fail_nobody_and_cost_nobody_an_attempt() {
    let mut list = "recipient\n".to_owned();
    (1..=PEOPLE).for_each(|psid| writeln!(list, "{psid}").expect("memory"));
    let rest = format!("concurrency = {WORKERS}\n[[message]]\ntext = \"Hi\"\n");
    let room = Room::with_storm("2026-04-01T12:00:00Z", CALM..CALM + STORM).await;
    let planned = room.plan(&list, &rest).await;
    let summary = room.run(&planned).await;

    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    let all = Counts { total: PEOPLE, sent: PEOPLE, ..Counts::default() };
    assert_eq!((summary.counts, summary.sent, summary.unsaved.len()), (all, PEOPLE, 0));
    let taken = room.taken();
    assert_eq!(taken.len() as u64, PEOPLE, "somebody was forgotten, or got it twice");
    let stored = room.record.deliveries(planned.id, None, None, usize::MAX).await.expect("deliveries");
    assert_eq!(stored.len() as u64, PEOPLE);
    for listed in stored {
        let delivery = (listed.delivery.state, listed.delivery.attempt, listed.delivery.message_id);
        assert_eq!(delivery, (State::Sent, 1, Some(format!("m_{}", listed.recipient))), "{}", listed.key);
    }
    let refused = room.refused();
    assert!((1..=20 + WORKERS).contains(&refused), "{refused} calls during the storm");
    let resumed = taken.values().filter(|at| **at >= CALM + STORM).min().expect("it went on");
    let late = resumed.abs_diff(CALM + STORM);
    assert!(late <= Duration::from_mins(1), "it went on {late:?} after the storm");
}

/// What comes of a campaign to twenty people whose Meta cannot be reached for so many seconds.
async fn through_an_outage(seconds: u64) -> (End, Counts, usize) {
    let mut list = "recipient\n".to_owned();
    (1..=20).for_each(|psid| writeln!(list, "{psid}").expect("memory"));
    let outage = Duration::from_millis(100)..Duration::from_secs(seconds);
    let room = Room::with_outage("2026-04-01T12:00:00Z", outage).await;
    let planned = room.plan(&list, "concurrency = 2\n[[message]]\ntext = \"Hi\"\n").await;
    let summary = room.run(&planned).await;
    assert_eq!(room.taken().len() as u64, summary.counts.sent);
    (summary.end, summary.counts, room.refused())
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_is_waited_out() {
    let (end, counts, tries) = through_an_outage(55).await;
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!(counts, Counts { total: 20, sent: 20, ..Counts::default() });
    assert!(tries < 100, "{tries} tries");
    let (end, counts, _) = through_an_outage(3_600).await;
    assert!(matches!(end, End::Busy(_)), "{end:?}");
    assert_eq!((counts.failed, counts.unknown, counts.sent + counts.pending), (0, 0, 20));
    assert!((1..20).contains(&counts.sent), "{counts:?}");
}
