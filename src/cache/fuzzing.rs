//! What an engine may give back of what it was given.

use super::bucket::{Bucket, BucketKey};
use super::sealed::{HEADER, checksum};
use crate::facts::Fingerprint;

/// A stored bucket: as it is, and with a checksum that is right.
pub(crate) fn bucket(value: &[u8]) {
    let fingerprint = Fingerprint { device: 7, inode: 65, size_bytes: 3, modified_ns: 1, changed_ns: -1 };
    let key = BucketKey::of(&fingerprint);
    let mut sealed = value.to_vec();
    if let Some((header, body)) = sealed.split_first_chunk_mut::<HEADER>() {
        header[1..].copy_from_slice(&checksum(&key.to_bytes(), body).to_le_bytes());
    }
    for value in [value, &sealed] {
        let Some(bucket) = Bucket::decode(key, value) else { continue };
        let _ = bucket.get(&fingerprint);
        let again = bucket.encode(key);
        assert!(Bucket::decode(key, &again).is_some_and(|bucket| bucket.encode(key) == again));
    }
}
