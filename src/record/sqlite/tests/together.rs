//! Writes that share a transaction.

use futures::future::{join_all, poll_immediate};
use rusqlite::ffi;

use super::*;
use crate::record::contract::NOW;

/// All of them are begun while the disk is busy with something else.
async fn while_busy<T>(record: &SqliteRecord, writes: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut writes: Vec<_> = writes.into_iter().map(Box::pin).collect();
    {
        let busy = record.state.lock().expect("the state");
        for write in &mut writes {
            assert!(poll_immediate(write).now_or_never().expect("a look").is_none());
        }
        drop(busy);
    }
    join_all(writes).await
}

fn changes(record: &SqliteRecord) -> i64 {
    let state = record.state.lock().expect("the state");
    state.connection.query_row("SELECT changes FROM head", [], |row| row.get(0)).expect("a number")
}

fn claims(record: &SqliteRecord) -> i64 {
    let state = record.state.lock().expect("the state");
    state.connection.query_row("SELECT count(*) FROM claims", [], |row| row.get(0)).expect("a number")
}

/// Claims, and then fails for that reason.
async fn claim(record: &SqliteRecord, why: Option<Fault>) -> Result<Claimed, RecordError> {
    record
        .write_together(|turn| {
            let claimed = claims::claim(turn, key(9), NOW)?;
            why.map_or(Ok(claimed), Err)
        })
        .await
}

#[tokio::test]
async fn what_waits_for_the_disk_is_written_at_once_and_each_gets_its_own_answer() {
    let place = place();
    let record = place.record().await;
    let before = changes(&record);
    let keys: Vec<_> = [1, 2, 3, 2].into_iter().map(key).collect();
    let answers = while_busy(&record, keys.iter().map(|key| record.claim(key, NOW)).collect()).await;
    assert_eq!(changes(&record) - before, 1);
    for (key, answer) in keys.iter().zip(&answers).take(3) {
        assert!(matches!(answer, Ok(Claimed::Won(claim)) if claim.key == *key), "{answer:?}");
    }
    assert!(matches!(answers[3], Ok(Claimed::Held { .. })), "{:?}", answers[3]);
}

#[tokio::test]
async fn one_that_is_refused_takes_nothing_from_the_others() {
    let place = place();
    let record = place.record().await;
    let refusals = [Some(Fault::Refused("it breaks a rule".into())), None, None];
    let writes = refusals.into_iter().map(|why| claim(&record, why)).collect();
    let answers = while_busy(&record, writes).await;
    let [Err(RecordError::Refused { .. }), Ok(Claimed::Won(_)), Ok(Claimed::Held { .. })] = answers[..] else {
        panic!("{answers:?}");
    };
    win(&record, &key(1)).await;
}

#[tokio::test]
async fn what_ends_the_transaction_is_told_to_all_and_leaves_nothing() {
    let place = place();
    let record = place.record().await;
    let full = || Some(Fault::System(std::io::ErrorKind::StorageFull.into()));
    let writes = [None, full(), None].into_iter().map(|why| claim(&record, why)).collect();
    let answers = while_busy(&record, writes).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(RecordError::Full { .. }))), "{answers:?}");
    assert_eq!(claims(&record), 0);
    // Once there is room, all goes on.
    win(&record, &key(1)).await;
}

#[tokio::test]
async fn after_a_disk_that_failed_nobody_is_told_that_anything_was_written() {
    let place = place();
    let record = place.record().await;
    let broken = || Some(Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None)));
    let writes = [None, broken()].into_iter().map(|why| claim(&record, why)).collect();
    let answers = while_busy(&record, writes).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(RecordError::Failed { .. }))), "{answers:?}");
    let later = record.claim(&key(1), NOW).await;
    assert!(matches!(later, Err(RecordError::Stopped { .. })), "{later:?}");
}

#[tokio::test]
async fn what_the_system_refuses_beside_the_record_says_nothing_of_it() {
    let place = place();
    let record = place.record().await;
    let no_file = || Some(Fault::System(std::io::Error::from_raw_os_error(24)));
    let answers = while_busy(&record, vec![claim(&record, no_file())]).await;
    assert!(matches!(answers[..], [Err(RecordError::Failed { .. })]), "{answers:?}");
    win(&record, &key(1)).await;
}

#[tokio::test]
async fn those_whom_nobody_leads_any_more_learn_it_and_the_next_leads_again() {
    let place = place();
    let record = place.record().await;
    let (abandoned, lead) = record.queue.push(|_| Ok(()));
    let (waiting, none) = record.queue.push(|_| Ok(()));
    assert!(none.is_none());
    drop(lead);
    assert!(matches!((abandoned.await, waiting.await), (Ok(None), Ok(None))));
    win(&record, &key(1)).await;
}

#[tokio::test]
async fn a_panic_and_a_runtime_that_has_ended_have_words_of_their_own() {
    let place = place();
    let record = place.record().await;
    let why = |answer: Result<(), RecordError>| match answer {
        Err(RecordError::Stopped { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let panicked = record.write_together(|_| panic!("as the test wants it")).await;
    assert_eq!(why(panicked), "whoever was to write panicked");
    let ended = std::thread::spawn(ended).join().expect("a runtime");
    let unwritten = {
        let _entered = ended.enter();
        record.write_together(|_| Ok(())).now_or_never().expect("an answer at once")
    };
    assert_eq!(why(unwritten), "the runtime that was to write has ended");
    win(&record, &key(1)).await;
}
