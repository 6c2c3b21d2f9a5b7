//! What every engine must do about ids that were made anew.

use std::time::Duration;

use super::{NOW, Store, key, space};
use crate::clock::Timestamp;
use crate::ids::{Asset, AssetKey, MediaKind};
use crate::record::{Heal, Record};

const HOUR: Duration = Duration::from_hours(1);

async fn heal(record: &dyn Record, key: &AssetKey, refused: &str, at: Timestamp, since: Timestamp) {
    let heal = Heal { key: key.clone(), refused: refused.parse().expect("an attachment id"), at };
    record.remember_heal(&heal, since).await.expect("remembered");
}

pub(in crate::record) async fn heals_count_for_their_key_and_within_their_time(store_at: &dyn Store) {
    let record = store_at.open().await;
    let begin = NOW.minus(HOUR);
    for at in [begin, begin.plus(Duration::from_millis(1)), NOW, NOW, NOW.plus(HOUR)] {
        heal(&*record, &key(1), "old", at, begin).await;
    }
    let record = store_at.open().await;
    assert_eq!(record.count_heals(&key(1), begin, NOW).await.expect("counted"), 3);
    let others = [key(2), AssetKey { kind: MediaKind::File, ..key(1) }, AssetKey { space: space("2"), ..key(1) }];
    for other in others {
        assert_eq!(record.count_heals(&other, begin, NOW).await.expect("counted"), 0, "{other:?}");
    }
    record.verify().await.expect("healthy");
}

pub(in crate::record) async fn a_refused_id_leads_to_what_it_stood_for_until_its_heal_is_let_go(store_at: &dyn Store) {
    let record = store_at.open().await;
    let page = AssetKey { asset: Asset::Url("https://example.com/a.png".parse().expect("an address")), ..key(1) };
    heal(&*record, &key(1), "a", NOW, NOW).await;
    heal(&*record, &page, "b", NOW, NOW).await;
    let of = async |id: &str, page: &str| {
        record.healed(&space(page), &id.parse().expect("an attachment id")).await.expect("an answer")
    };
    assert_eq!(of("a", "1").await, Some(key(1)));
    assert_eq!(of("b", "1").await, Some(page));
    assert_eq!(of("a", "2").await, None, "another Page's ids are none of its");
    assert_eq!(of("c", "1").await, None);
    let later = NOW.plus(HOUR);
    heal(&*record, &key(2), "b", later, later).await;
    assert_eq!(of("a", "1").await, None, "it was let go");
    assert_eq!(of("b", "1").await, Some(key(2)), "the last counts");
}
