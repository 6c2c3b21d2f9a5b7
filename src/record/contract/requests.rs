//! What every engine must do about requests that may be repeated.

use std::time::Duration;

use futures::future::join_all;

use super::{NOW, Store};
use crate::clock::Timestamp;
use crate::ids::ContentHash;
use crate::record::requests::LET_GO;
use crate::record::{Answer, Record, Request, Standing, TakenUp};

const DAY: Duration = Duration::from_hours(24);

fn request(key: &str, digest: u8, at: Timestamp) -> Request {
    Request { key: key.parse().expect("a key"), digest: ContentHash([digest; 32]), at }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.to_owned() }
}

async fn take_up(record: &dyn Record, request: &Request) -> TakenUp {
    record.take_up(request, request.at.minus(DAY)).await.expect("an answer")
}

pub(in crate::record) async fn a_request_is_taken_up_once_and_answered_alike_ever_after(store_at: &dyn Store) {
    let (record, other) = (store_at.open().await, store_at.open().await);
    let (first, second) = (request("a", 1, NOW), request("a", 2, NOW.plus(Duration::from_secs(1))));
    assert_eq!(take_up(&*record, &first).await, TakenUp::New);
    for record in [&record, &other] {
        assert_eq!(take_up(&**record, &second).await, TakenUp::Known(first.clone(), Standing::UnderWay));
    }
    let said = answer(200, "{\"message_id\":\"m_é\"}");
    record.answer(&first, &said).await.expect("kept");
    record.answer(&first, &answer(502, "{}")).await.expect("an answer");
    record.give_back(&first).await.expect("an answer");
    drop(record);
    for record in [other, store_at.open().await] {
        let known = TakenUp::Known(first.clone(), Standing::Answered(said.clone()));
        assert_eq!(take_up(&*record, &second).await, known);
        assert_eq!(take_up(&*record, &request("b", 1, NOW)).await, TakenUp::New, "another key is another request");
        record.give_back(&request("b", 1, NOW)).await.expect("given back");
        record.verify().await.expect("healthy");
    }
}

pub(in crate::record) async fn a_request_given_back_is_taken_up_anew(store_at: &dyn Store) {
    let record = store_at.open().await;
    let (first, second) = (request("a", 1, NOW), request("a", 1, NOW.plus(Duration::from_secs(1))));
    assert_eq!(take_up(&*record, &first).await, TakenUp::New);
    record.give_back(&first).await.expect("given back");
    assert_eq!(take_up(&*record, &second).await, TakenUp::New);
    // It has nothing to do with the first any more.
    record.give_back(&first).await.expect("an answer");
    record.answer(&first, &answer(200, "{}")).await.expect("an answer");
    assert_eq!(take_up(&*record, &first).await, TakenUp::Known(second, Standing::UnderWay));
}

pub(in crate::record) async fn a_request_whose_taker_is_gone_is_abandoned_and_can_be_answered(store_at: &dyn Store) {
    let (record, other) = (store_at.open().await, store_at.open().await);
    let taken = request("a", 1, NOW);
    assert_eq!(take_up(&*record, &taken).await, TakenUp::New);
    drop(record);
    for _ in 0..2 {
        assert_eq!(take_up(&*other, &taken).await, TakenUp::Known(taken.clone(), Standing::Abandoned));
    }
    let unknown = answer(502, "{}");
    other.answer(&taken, &unknown).await.expect("kept");
    assert_eq!(take_up(&*other, &taken).await, TakenUp::Known(taken.clone(), Standing::Answered(unknown)));
}

pub(in crate::record) async fn one_of_many_takes_a_request_up(store_at: &dyn Store) {
    let records = [store_at.open().await, store_at.open().await];
    for key in ["a", "b", "c"] {
        let wanted: Vec<_> = (0..16).map(|digest| request(key, digest, NOW)).collect();
        let taken = wanted.iter().zip(records.iter().cycle()).map(|(wanted, record)| take_up(&**record, wanted));
        let taken = join_all(taken).await;
        let new: Vec<_> = wanted.iter().zip(&taken).filter(|(_, taken)| **taken == TakenUp::New).collect();
        assert_eq!(new.len(), 1, "{taken:?}");
        let others = TakenUp::Known(new[0].0.clone(), Standing::UnderWay);
        assert_eq!(taken.iter().filter(|taken| **taken == others).count(), 15);
    }
}

pub(in crate::record) async fn old_requests_are_let_go_of_in_bounded_steps(store_at: &dyn Store) {
    let record = store_at.open().await;
    let old = |number: u16| request(&number.to_string(), 1, NOW.plus(Duration::from_millis(number.into())));
    for number in 0..LET_GO + 2 {
        assert_eq!(take_up(&*record, &old(number)).await, TakenUp::New);
        record.answer(&old(number), &answer(200, "{}")).await.expect("kept");
    }
    // At the end of its day the last is still there, and one millisecond later it is as if it had never been.
    let last = LET_GO + 1;
    let at_the_end = Request { digest: ContentHash([2; 32]), ..request(&last.to_string(), 2, old(last).at.plus(DAY)) };
    assert_eq!(take_up(&*record, &at_the_end).await, TakenUp::Known(old(last), Standing::Answered(answer(200, "{}"))));
    let later = Request { at: at_the_end.at.plus(Duration::from_millis(1)), ..at_the_end };
    assert_eq!(take_up(&*record, &later).await, TakenUp::New);
    assert_eq!(take_up(&*record, &later).await, TakenUp::Known(later.clone(), Standing::UnderWay));
    // Those before it went with it, but for the youngest.
    let ever = Timestamp::from_unix_millis(0);
    let young = record.take_up(&old(LET_GO), ever).await.expect("an answer");
    assert_eq!(young, TakenUp::Known(old(LET_GO), Standing::Answered(answer(200, "{}"))));
    for number in [0, LET_GO - 1] {
        assert_eq!(record.take_up(&old(number), ever).await.expect("an answer"), TakenUp::New, "{number}");
    }
    record.verify().await.expect("healthy");
}
