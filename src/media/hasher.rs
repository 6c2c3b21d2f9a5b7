//! SHA-256 of media, as fast as this processor has it.

use aws_lc_rs::digest::{Context, SHA256};
use sha2::{Digest, Sha256};

use crate::ids::ContentHash;

/// Hashes bytes as they come.
pub(crate) enum ContentHasher {
    Sha2(Sha256),
    /// What the program has for TLS. Without instructions of the processor's own it takes less than half as long as `sha2`.
    AwsLc(Context),
}

impl ContentHasher {
    /// Of no bytes yet.
    pub(crate) fn new() -> Self {
        if has_instructions() { Self::sha2() } else { Self::aws_lc() }
    }

    /// The hash of all these.
    pub(crate) fn hash(bytes: &[u8]) -> ContentHash {
        let mut hasher = Self::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes more bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha2(hasher) => hasher.update(bytes),
            Self::AwsLc(context) => context.update(bytes),
        }
    }

    /// The hash of all bytes taken.
    pub(crate) fn finish(self) -> ContentHash {
        ContentHash(match self {
            Self::Sha2(hasher) => hasher.finalize().into(),
            Self::AwsLc(context) => context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"),
        })
    }

    fn sha2() -> Self {
        Self::Sha2(Sha256::new())
    }

    fn aws_lc() -> Self {
        Self::AwsLc(Context::new(&SHA256))
    }
}

/// Whether `sha2` has the processor's own instructions for it.
fn has_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for mut hasher in [ContentHasher::sha2(), ContentHasher::aws_lc()] {
            hasher.update(b"abc");
            assert_eq!(hasher.finish().to_string(), abc);
        }
    }

    proptest! {
        #[test]
        fn whoever_hashes_and_in_whatever_steps_the_hash_is_one(steps in vec(vec(any::<u8>(), 0..300), 0..8)) {
            let (mut one, mut other) = (ContentHasher::sha2(), ContentHasher::aws_lc());
            for step in &steps {
                one.update(step);
                other.update(step);
            }
            let hash = ContentHasher::hash(&steps.concat());
            prop_assert_eq!((one.finish(), other.finish()), (hash, hash));
        }
    }
}
