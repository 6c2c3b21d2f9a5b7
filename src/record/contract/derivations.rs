//! Clauses on what was made of what.

use super::{NOW, Store};
use crate::facts::Dimensions;
use crate::ids::ContentHash;
use crate::record::{Derivation, RecordError};

fn derivation(source: u8, rules: &str, result: u8) -> Derivation {
    Derivation {
        source: ContentHash([source; 32]),
        rules: rules.to_owned(),
        recipe: format!("{rules};png;1x4294967295"),
        result: ContentHash([result; 32]),
        size_bytes: i64::MAX.unsigned_abs(),
        mime: "image/png".to_owned(),
        dimensions: Dimensions { width: 1, height: u32::MAX },
    }
}

pub(in crate::record) async fn a_copy_is_found_by_what_it_was_made_of_and_by_itself(store_at: &dyn Store) {
    let (one, other) = (derivation(1, "fit1;messenger", 8), derivation(1, "fit1;instagram", 9));
    let twin = derivation(2, "fit1;messenger", 8);
    let record = store_at.open().await;
    for made in [&one, &other, &twin, &one] {
        record.remember_derivation(made, NOW).await.expect("remembered");
    }
    for record in [record, store_at.open().await] {
        let hash = |byte| ContentHash([byte; 32]);
        assert_eq!(record.copies_of(hash(1)).await.expect("found"), [other.clone(), one.clone()]);
        assert_eq!(record.sources_of(&[hash(8)]).await.expect("found"), [one.clone(), twin.clone()]);
        let of_both = record.sources_of(&[hash(9), hash(8)]).await.expect("found");
        assert_eq!(of_both, [other.clone(), one.clone(), twin.clone()]);
        assert_eq!(record.copies_of(hash(8)).await.expect("found"), []);
        assert_eq!(record.sources_of(&[hash(1)]).await.expect("found"), []);
    }
}

pub(in crate::record) async fn another_copy_by_the_same_rules_takes_the_place_of_what_was(store_at: &dyn Store) {
    let record = store_at.open().await;
    let (old, new) = (derivation(1, "fit1;messenger", 8), derivation(1, "fit1;messenger", 9));
    record.remember_derivation(&old, NOW).await.expect("remembered");
    record.remember_derivation(&new, NOW).await.expect("remembered");
    assert_eq!(record.copies_of(new.source).await.expect("found"), std::slice::from_ref(&new));
    assert_eq!(record.sources_of(&[old.result]).await.expect("found"), []);
    let nonsense = Derivation { size_bytes: 0, ..old };
    let refused = record.remember_derivation(&nonsense, NOW).await;
    assert!(matches!(refused, Err(RecordError::Refused { .. })), "{refused:?}");
    assert_eq!(record.copies_of(new.source).await.expect("found"), [new]);
    record.verify().await.expect("healthy");
}
