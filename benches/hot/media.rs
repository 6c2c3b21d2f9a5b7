//! A file that is read, hashed and recognised.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use reattach::clock::SystemClock;
use reattach::media::{BytePool, Follow, Reader, probe};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::folder;

const MB: usize = 1_000_000;

fn picture(folder: &TempDir) -> PathBuf {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets-example/banners/spring-sale.jpg");
    let mut bytes = fs::read(sample).expect("a picture");
    // Its end stays its end.
    let room = bytes.len() - 2;
    bytes.splice(room..room, std::iter::repeat_n(0, MB - bytes.len()));
    let path = folder.path().join("picture.jpg");
    fs::write(&path, bytes).expect("written");
    path
}

#[divan::bench]
fn a_megabyte(bencher: Bencher) {
    let folder = folder();
    let path = picture(&folder);
    let reader = Reader::new(Arc::new(BytePool::new(8 << 20)), Arc::new(SystemClock));
    bencher
        .counter(BytesCount::new(MB))
        .bench_local(|| reader.read(&path, Follow::Named, &mut |_| {}).expect("read").facts.hash);
}

#[divan::bench]
fn a_megabyte_beside_fs_read_and_sha256(bencher: Bencher) {
    let folder = folder();
    let path = picture(&folder);
    bencher.counter(BytesCount::new(MB)).bench_local(|| Sha256::digest(fs::read(&path).expect("read")));
}

#[divan::bench]
fn what_its_first_bytes_say(bencher: Bencher) {
    let folder = folder();
    let bytes = fs::read(picture(&folder)).expect("read");
    bencher.bench_local(|| probe(black_box(&bytes)));
}
