//! How many different contents a library has, counted at eight bytes each.

use std::mem;

use crate::ids::ContentHash;

/// Counted before they are sorted in among the others.
const RECENT: usize = 1 << 16;

/// Contents, told apart by [`digest_prefix`].
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// No two alike.
    sorted: Vec<u64>,
    /// As they came.
    recent: Vec<u64>,
}

impl Contents {
    pub(super) fn add(&mut self, hash: &ContentHash) {
        self.recent.push(digest_prefix(hash.as_bytes()));
        // The more there are, the seldomer they are gone through.
        if self.recent.len() >= RECENT.max(self.sorted.len() / 16) {
            self.sorted.append(&mut sorted(mem::take(&mut self.recent)));
            #[expect(clippy::stable_sort_primitive, reason = "it merges two sorted runs, where the other begins anew")]
            self.sorted.sort();
            self.sorted.dedup();
        }
    }

    pub(super) fn count(&self) -> u64 {
        let recent = sorted(self.recent.clone());
        let new = recent.iter().filter(|content| self.sorted.binary_search(content).is_err());
        (self.sorted.len() + new.count()) as u64
    }
}

fn sorted(mut contents: Vec<u64>) -> Vec<u64> {
    contents.sort_unstable();
    contents.dedup();
    contents
}

/// Eight bytes of the digest tell contents apart well enough to count them: among ten million, two fall together once
/// in 300,000 libraries.
pub(super) fn digest_prefix(digest: &[u8; 32]) -> u64 {
    let prefix = digest.first_chunk().expect("a digest is longer than its prefix");
    u64::from_be_bytes(*prefix)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(prefix: u64) -> ContentHash {
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&prefix.to_be_bytes());
        ContentHash(digest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn each_counts_once_wherever_it_comes_again(seed: u64, among in 1..200_000u64) {
            let (mut contents, mut seen) = (Contents::default(), HashSet::new());
            for n in 0..3 * RECENT as u64 {
                let prefix = n.wrapping_mul(seed | 1) % among;
                contents.add(&hash(prefix));
                seen.insert(prefix);
            }
            prop_assert_eq!(contents.count(), seen.len() as u64);
        }
    }
}
