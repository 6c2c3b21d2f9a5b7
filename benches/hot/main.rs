//! Hot paths one by one, each beside the least that could do its work: `cargo bench`, or `cargo bench -- record`.

mod cache;
mod campaign;
mod graph;
mod media;
mod record;

use divan::Divan;
use reattach::ids::ContentHash;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    Divan::from_args().main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Of its own for each number.
fn hash(number: u64) -> ContentHash {
    ContentHash(Sha256::digest(number.to_le_bytes()).into())
}
