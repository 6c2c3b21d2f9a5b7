//! A record that is carried to another file.

use super::*;
use crate::delivery::Event;
use crate::record::contract::{NOW, claim, doubt, enlist, entry, intent, plan, write};
use crate::record::{ListedDelivery, RecordPlace, carry_over};

#[tokio::test]
async fn where_either_has_moved_on_nothing_is_added_to_the_other() {
    let (from, to) = (place(), place());
    let record = from.record().await;
    let campaign = plan(&record, 1..=2, 2).await;
    let worker = enlist(&record, campaign).await;
    claim(&record, &worker, 2).await;
    write(&record, &worker, &[intent(1, 0), doubt(1, 0), intent(2, 0), doubt(2, 0)]).await;
    record.retire(&worker, NOW).await.expect("retired");
    drop(record);
    let (here, there) = (RecordPlace::File(from.path()), RecordPlace::File(to.path()));
    carry_over(&here, &there, NOW, |_| {}).await.expect("carried");
    carry_over(&here, &there, NOW, |_| {}).await.expect("nothing is to be done");
    let record = from.record().await;
    // The second parts have rows of their own now, behind the last that there are.
    record.decide(campaign, &[1, 2].map(|seq| entry(seq, 0, Event::AssumeSent))).await.expect("decided");
    drop(record);
    let listed = async || -> Vec<ListedDelivery> {
        to.record().await.deliveries(campaign, None, None, 9).await.expect("listed")
    };
    let before = listed().await;
    let refused = carry_over(&here, &there, NOW, |_| {}).await;
    assert!(matches!(refused, Err(RecordError::Unlike { table: "deliveries", .. })), "{refused:?}");
    assert_eq!(listed().await, before);
}
