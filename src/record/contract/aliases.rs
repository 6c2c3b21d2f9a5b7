//! What every engine must do about names.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{NOW, Store, key};
use crate::ids::{Asset, MediaKind};
use crate::record::{Alias, AliasTarget};

pub(in crate::record) fn alias(name: &str, asset: Asset) -> Alias {
    let target = AliasTarget { asset, kind: MediaKind::Image, source: Some("/library/a.png".into()) };
    Alias { name: name.parse().expect("a name"), target, set_at: NOW }
}

pub(in crate::record) async fn an_alias_reads_back_as_it_was_set(store_at: &dyn Store) {
    let record = store_at.open().await;
    let address = Asset::Url("https://a.example/x.png?v=1".parse().expect("an address"));
    let mut odd = alias("spring/hero.v2", address);
    odd.target.kind = MediaKind::File;
    odd.target.source = None;
    let mut raw = alias("Raw", key(2).asset);
    raw.target.source = Some(PathBuf::from(OsString::from_vec(b"/library/\xff\n.png".to_vec())));
    let plain = alias("raw", key(1).asset);
    for alias in [&odd, &plain, &raw] {
        assert_eq!(record.set_alias(alias).await.expect("set"), None);
        assert_eq!(store_at.open().await.alias(&alias.name).await.expect("an answer").as_ref(), Some(alias));
    }
    assert_eq!(record.alias(&"hero".parse().expect("a name")).await.expect("an answer"), None);
    assert_eq!(record.aliases().await.expect("listed"), [raw, plain, odd], "by name, and Raw is not raw");
}

pub(in crate::record) async fn an_alias_is_re_pointed_and_removed(store_at: &dyn Store) {
    let record = store_at.open().await;
    let (old, new) = (alias("hero", key(1).asset), alias("hero", key(2).asset));
    record.set_alias(&old).await.expect("set");
    assert_eq!(record.set_alias(&new).await.expect("set"), Some(old));
    assert_eq!(record.aliases().await.expect("listed"), std::slice::from_ref(&new));
    assert_eq!(record.remove_alias(&new.name).await.expect("removed"), Some(new.clone()));
    assert_eq!(record.remove_alias(&new.name).await.expect("removed"), None);
    assert_eq!(record.alias(&new.name).await.expect("an answer"), None);
}

pub(in crate::record) async fn whoever_asks_while_an_alias_is_re_pointed_finds_the_one_or_the_other(
    store_at: &dyn Store,
) {
    const TURNS: usize = 50;
    let (writer, reader) = (store_at.open().await, store_at.open().await);
    let both = [alias("hero", key(1).asset), alias("hero", key(2).asset)];
    writer.set_alias(&both[0]).await.expect("set");
    // One may be much slower than the other: neither ends before the reader has seen enough, but for a writer nobody sees.
    let (has_seen_both, is_written) = (Cell::new(false), Cell::new(false));
    let writing = async {
        for turn in (1..=100 * TURNS).take_while(|turn| *turn <= TURNS || !has_seen_both.get()) {
            let before = writer.set_alias(&both[turn % 2]).await.expect("set");
            assert_eq!(before.as_ref(), Some(&both[(turn + 1) % 2]));
        }
        is_written.set(true);
    };
    let reading = async {
        let mut seen = [0; 2];
        while !is_written.get() && (seen[0] == 0 || seen[1] == 0 || seen[0] + seen[1] < TURNS) {
            let found = reader.alias(&both[0].name).await.expect("an answer").expect("it never points at nothing");
            let listed = reader.aliases().await.expect("listed");
            assert!(listed.len() == 1 && both.contains(&listed[0]), "{listed:?}");
            seen[both.iter().position(|alias| *alias == found).expect("one of the two")] += 1;
        }
        has_seen_both.set(true);
        seen
    };
    let ((), seen) = futures::join!(writing, reading);
    assert!(seen[0] > 0 && seen[1] > 0, "both were seen: {seen:?}");
}
