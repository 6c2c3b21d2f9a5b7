//! One value of the cache: the facts of up to 32 neighbouring inodes.
//!
//! Key: device, then inode / 32, both big-endian `u64`. Value, [sealed]: `Vec<(Fingerprint, Facts)>`.

use super::sealed;
use crate::facts::{Facts, Fingerprint};

/// To be raised whenever the stored form of `Fingerprint` or `Facts` changes, or `media::probe` comes to say other
/// things of the same bytes: older values then count as misses.
const FORMAT: u8 = 2;
const INODES: u64 = 32;

/// Names the bucket a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketKey {
    device: u64,
    group: u64,
}

impl BucketKey {
    pub(super) fn of(fingerprint: &Fingerprint) -> Self {
        Self { device: fingerprint.device, group: fingerprint.inode / INODES }
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.device) << 64 | u128::from(self.group)).to_be_bytes()
    }

    /// A number below `slots` that neighbouring buckets do not share.
    pub(super) fn slot(self, slots: usize) -> usize {
        let spread = self.device.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.group);
        usize::try_from(spread % slots as u64).expect("a remainder is smaller than its divisor")
    }
}

/// What is known of the files of one bucket: at most one entry an inode.
#[derive(Debug, Default)]
pub(super) struct Bucket(Vec<(Fingerprint, Facts)>);

impl Bucket {
    /// The facts of exactly this file, as it is now.
    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<&Facts> {
        self.0.iter().find(|(known, _)| known == fingerprint).map(|(_, facts)| facts)
    }

    /// Replaces whatever was known of the same inode.
    pub(super) fn put(&mut self, fingerprint: Fingerprint, facts: Facts) {
        match self.0.iter_mut().find(|(known, _)| known.inode == fingerprint.inode) {
            Some(entry) => *entry = (fingerprint, facts),
            None => self.0.push((fingerprint, facts)),
        }
    }

    pub(super) fn encode(&self, key: BucketKey) -> Vec<u8> {
        sealed::seal(FORMAT, &key.to_bytes(), &self.0)
    }

    /// The bucket stored as `value`; `None` when that is damaged, of another format, or belongs elsewhere.
    pub(super) fn decode(key: BucketKey, value: &[u8]) -> Option<Self> {
        sealed::unseal(FORMAT, &key.to_bytes(), value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::HEADER;
    use super::*;
    use crate::facts::{Damage, Dimensions};
    use crate::ids::ContentHash;

    fn file(inode: u64, modified_ns: i64) -> Fingerprint {
        Fingerprint { device: 7, inode, size_bytes: 3, modified_ns, changed_ns: -1 }
    }

    fn facts(byte: u8) -> Facts {
        Facts {
            hash: ContentHash([byte; 32]),
            size_bytes: 3,
            mime: Some("image/png".into()),
            dimensions: Some(Dimensions { width: 300, height: 2 }),
            damage: Some(Damage::Truncated),
        }
    }

    fn sample() -> (BucketKey, Bucket) {
        let mut bucket = Bucket::default();
        bucket.put(file(65, 1), facts(1));
        bucket.put(file(66, 1), facts(2));
        (BucketKey::of(&file(65, 1)), bucket)
    }

    #[test]
    fn a_stored_bucket_reads_back_and_is_always_written_the_same_way() {
        let (key, bucket) = sample();
        let value = bucket.encode(key);
        assert_eq!(Bucket::decode(key, &value).expect("a bucket").0, bucket.0);
        let entry =
            |inode, byte: &str| format!("07{inode}030201{}030109696d6167652f706e6701ac02020101", byte.repeat(32));
        let body = format!("02{}{}", entry("41", "01"), entry("42", "02"));
        assert_eq!(hex::encode(&value[HEADER..]), body, "raise FORMAT when the stored form changes");
        assert_eq!(value[0], FORMAT);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (key, bucket) = sample();
        let value = bucket.encode(key);
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Bucket::decode(key, &damaged).is_none(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(Bucket::decode(key, &value[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn a_value_under_another_key_is_none() {
        let (key, bucket) = sample();
        let elsewhere = BucketKey::of(&file(640, 1));
        assert!(Bucket::decode(elsewhere, &bucket.encode(key)).is_none());
    }

    #[test]
    fn only_the_whole_fingerprint_finds_the_facts() {
        let (_, bucket) = sample();
        assert_eq!(bucket.get(&file(65, 1)), Some(&facts(1)));
        assert_eq!(bucket.get(&file(65, 2)), None);
        assert_eq!(bucket.get(&Fingerprint { changed_ns: 0, ..file(65, 1) }), None);
        assert_eq!(bucket.get(&Fingerprint { device: 8, ..file(65, 1) }), None);
    }

    #[test]
    fn a_changed_file_replaces_what_it_was() {
        let (_, mut bucket) = sample();
        bucket.put(file(65, 2), facts(3));
        assert_eq!(bucket.get(&file(65, 1)), None);
        assert_eq!(bucket.get(&file(65, 2)), Some(&facts(3)));
        assert_eq!(bucket.0.len(), 2);
    }

    #[test]
    fn neighbouring_inodes_share_a_bucket_and_neighbouring_buckets_share_no_slot() {
        let key = |inode| BucketKey::of(&file(inode, 0));
        assert_eq!(key(64), key(95));
        assert_ne!(key(95), key(96));
        assert_ne!(key(95).slot(1024), key(96).slot(1024));
        assert_eq!(hex::encode(key(96).to_bytes()), "00000000000000070000000000000003");
    }
}
