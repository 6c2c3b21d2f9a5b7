//! One budget for all who draw on it, through a server.

use std::time::{Duration, Instant};

use super::*;
use crate::budget::{Ask, LEASE, News, PoolAsk, Rates, Slice, Standing};
use crate::ids::{Origin, PageId};
use crate::record::Budgets;

const RATE: u32 = 30;

fn rates(messages: u32) -> Rates {
    Rates { messages, ..Rates::default() }
}

fn ask(number: i64, demand: u32, using: u32) -> Ask {
    Ask {
        number,
        page: rates(RATE),
        group: None,
        demand: rates(demand),
        using: rates(using),
        spent: rates(0),
        pool: None,
        heard: 0,
        news: News::default(),
    }
}

async fn draw(record: &PostgresRecord, owner: i64, ask: &Ask) -> Slice {
    let (origin, page): (Origin, PageId) = ("https://graph.example".parse().unwrap(), "1".parse().unwrap());
    record.draw(&origin, &page, owner, ask).await.expect("a slice")
}

#[tokio::test]
async fn a_slice_passes_on_when_its_holder_keeps_to_less() {
    let Some(place) = place() else { return };
    let (one, other) = (place.record().await, place.record().await);
    let first = draw(&one, 1, &ask(1, 99, 0)).await;
    assert_eq!((first.rates, first.held, first.lasts), (rates(30), rates(30), LEASE));
    assert_eq!(draw(&other, 2, &ask(1, 99, 0)).await.rates, rates(0));
    let less = draw(&one, 1, &ask(2, 99, 30)).await;
    assert_eq!((less.rates, less.held), (rates(15), rates(30)));
    assert_eq!(draw(&other, 2, &ask(2, 99, 0)).await.rates, rates(0), "it has not said that it keeps to it");
    let kept = draw(&one, 1, &ask(3, 99, 15)).await;
    assert_eq!((kept.rates, kept.held), (rates(15), rates(15)));
    assert_eq!(draw(&other, 2, &ask(3, 99, 0)).await.rates, rates(15), "nothing had left");
    let (origin, page): (Origin, PageId) = ("https://graph.example".parse().unwrap(), "2".parse().unwrap());
    assert_eq!(
        other.draw(&origin, &page, 2, &ask(1, 99, 0)).await.unwrap().rates,
        rates(30),
        "another Page's is its own"
    );
}

#[tokio::test]
async fn an_ask_that_comes_late_is_not_heard() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    draw(&record, 1, &ask(2, 99, 0)).await;
    assert_eq!(draw(&record, 1, &ask(1, 99, 0)).await, Slice::nothing());
    assert_eq!(draw(&record, 2, &ask(1, 99, 0)).await.rates, rates(0), "what the first was given is still its own");
}

#[tokio::test]
async fn however_many_ask_at_once_they_get_no_more_than_there_is() {
    let Some(place) = place() else { return };
    let records = futures::future::join_all((0..4).map(|_| place.record())).await;
    let draws = (0..40)
        .zip(records.iter().cycle())
        .map(|(owner, record)| async move { draw(record, owner, &ask(1, 20, 0)).await.rates.messages });
    let all = futures::future::join_all(draws).await;
    assert_eq!(all.iter().sum::<u32>(), RATE, "{all:?}");
}

#[tokio::test]
async fn the_servers_clock_says_when_a_dead_holders_slice_is_free() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    draw(&record, 1, &ask(1, 99, 0)).await;
    let later = |millis: u32| {
        place.sql(&format!("UPDATE slices SET until = until - {millis}, lingers_until = 0 WHERE owner = 1"))
    };
    let began = Instant::now();
    later(4_000);
    let still = draw(&record, 2, &ask(1, 99, 0)).await.rates;
    if began.elapsed() < Duration::from_millis(900) {
        assert_eq!(still, rates(0), "what left within its lease counts for a second");
    }
    later(1_100);
    assert_eq!(draw(&record, 2, &ask(2, 99, 0)).await.rates, rates(30));
    assert_eq!(place.sql("SELECT owner FROM slices"), "2", "nothing is left of the dead");
}

#[tokio::test]
async fn a_throttle_is_told_to_all_and_once_though_its_answer_be_lost() {
    let Some(place) = place() else { return };
    let (one, other) = (place.record().await, place.record().await);
    let shut = News { shut_for: Some(Duration::from_mins(1)), throttles: 1, opened: false };
    for _ in 0..2 {
        let told = draw(&one, 1, &Ask { news: shut, ..ask(1, 9, 0) }).await;
        assert_eq!((told.throttles, told.standing), (1, Standing::Over));
    }
    let heard = draw(&other, 2, &ask(1, 9, 0)).await;
    assert!(matches!(heard.standing, Standing::Shut(left) if left > Duration::from_mins(1)), "{heard:?}");
    let opened = News { opened: true, ..News::default() };
    draw(&one, 1, &Ask { heard: 1, news: opened, ..ask(2, 9, 0) }).await;
    assert_eq!(draw(&other, 2, &ask(2, 9, 0)).await.standing, Standing::Open);
}

#[tokio::test]
async fn the_calls_of_a_day_are_counted_once_whoever_makes_them() {
    let Some(place) = place() else { return };
    let (one, other) = (place.record().await, place.record().await);
    let pool = |number, calls, unspent| Ask { pool: Some(PoolAsk { limit: 100, calls, unspent }), ..ask(number, 9, 0) };
    let mut taken = 0;
    for number in 1..60 {
        for (record, owner) in [(&one, 1), (&other, 2)] {
            let portion = draw(record, owner, &pool(number, 9, None)).await.portion.expect("a portion");
            taken += portion.calls;
            assert_eq!(portion.back_in.is_some(), portion.left == 0, "{portion:?}");
        }
    }
    assert_eq!(taken, 100);
    let minute: i64 = place.sql("SELECT max(minute) FROM budget_minutes").parse().expect("a minute");
    let back = draw(&one, 1, &pool(60, 0, Some((minute, 30)))).await.portion.expect("a portion");
    assert_eq!(back.left, 30);
    // A day and a minute later.
    place.sql("UPDATE budget_minutes SET minute = minute - 1442");
    assert_eq!(draw(&one, 1, &pool(61, 9, None)).await.portion.expect("a portion").left, 100);
}
