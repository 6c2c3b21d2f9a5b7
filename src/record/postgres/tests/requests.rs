//! Requests that move from one engine to the other with all there is.

use super::*;
use crate::ids::ContentHash;
use crate::record::{Answer, RecordPlace, Request, Requests, SqliteRecord, Standing, TakenUp, carry_over};

#[tokio::test]
async fn requests_are_carried_with_their_answers_and_none_while_it_is_under_way() {
    let Some(place) = place() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (file, back) = (folder.path().join("record.db"), folder.path().join("back/record.db"));
    let request = |key: &str| Request { key: key.parse().expect("a key"), digest: ContentHash([7; 32]), at: NOW };
    let (said, open) = (request("said"), request("open"));
    let answer = Answer { status: 200, body: "{\"message_id\":\"m_1\"}".into() };
    let record = SqliteRecord::open(&file).await.expect("a record");
    for request in [&said, &open] {
        assert_eq!(record.take_up(request, NOW).await.expect("an answer"), TakenUp::New);
    }
    record.answer(&said, &answer).await.expect("kept");
    let (here, there, back) = (RecordPlace::File(file), RecordPlace::Server(place.address()), RecordPlace::File(back));
    let refused = carry_over(&here, &there, NOW, |_| {}).await;
    assert!(matches!(refused, Err(RecordError::AtWork { .. })), "{refused:?}");
    drop(record);
    carry_over(&here, &there, NOW, |_| {}).await.expect("carried");
    let shared = place.record().await;
    let of = async |record: &dyn Record, request: &Request| record.take_up(request, NOW).await.expect("an answer");
    assert_eq!(of(&shared, &said).await, TakenUp::Known(said.clone(), Standing::Answered(answer.clone())));
    assert_eq!(of(&shared, &open).await, TakenUp::Known(open.clone(), Standing::Abandoned));
    // One that is under way there stays there.
    let new = request("new");
    assert_eq!(of(&shared, &new).await, TakenUp::New);
    let refused = carry_over(&there, &back, NOW, |_| {}).await;
    assert!(matches!(refused, Err(RecordError::AtWork { .. })), "{refused:?}");
    drop(shared);
    carry_over(&there, &back, NOW, |_| {}).await.expect("carried");
    let RecordPlace::File(back) = back else { unreachable!("it is a file") };
    let record = SqliteRecord::open(&back).await.expect("a record");
    assert_eq!(of(&record, &said).await, TakenUp::Known(said.clone(), Standing::Answered(answer)));
    assert_eq!(of(&record, &new).await, TakenUp::Known(new.clone(), Standing::Abandoned));
    record.verify().await.expect("healthy");
}
