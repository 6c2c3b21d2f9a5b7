//! What is remembered of a file among 100,000.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use reattach::cache::FileCache;
use reattach::clock::SystemClock;
use reattach::facts::{Facts, Fingerprint};

use crate::{folder, hash};

const FILES: u64 = 100_000;

fn fingerprint(number: u64) -> Fingerprint {
    Fingerprint { device: 1, inode: number, size_bytes: 10_000, modified_ns: 1, changed_ns: 1 }
}

#[divan::bench]
fn a_fingerprint(bencher: Bencher) {
    let folder = folder();
    let cache = FileCache::open(&folder.path().join("cache"), &SystemClock).cache;
    for number in 0..FILES {
        let facts = Facts { hash: hash(number), size_bytes: 10_000, mime: None, dimensions: None, damage: None };
        cache.remember(fingerprint(number), facts);
    }
    let mut next = 0;
    bencher.counter(ItemsCount::new(64_u64)).bench_local(|| {
        for _ in 0..64 {
            next = (next + 1) % FILES;
            assert!(cache.lookup(black_box(&fingerprint(next))).is_some());
        }
    });
}
