//! Colour profiles, as far as a copy must know them: which colours one is for, and whether it is sRGB.
//!
//! An ICC profile begins with 128 bytes, the colour space at 16; then `count: u32 be` and as many
//! `signature: [u8; 4], offset: u32 be, length: u32 be`. The name stands in the tag `desc`, in ASCII or UTF-16.

/// Longer ones are left out of a copy: they would be half of it.
const MAX_BYTES: usize = 4 << 20;

/// The profile to be kept in a copy of grey or of colour; `None` where it says nothing, or nothing of these colours.
pub(super) fn worth_keeping(profile: Vec<u8>, grey: bool) -> Option<Vec<u8>> {
    let space: &[u8] = if grey { b"GRAY" } else { b"RGB " };
    let fits = profile.get(16..20) == Some(space) && profile.len() <= MAX_BYTES;
    (fits && !is_srgb(&profile)).then_some(profile)
}

/// What everybody assumes of a picture that has no profile.
fn is_srgb(profile: &[u8]) -> bool {
    let name = name(profile).unwrap_or_default();
    let letters: Vec<u8> = name.iter().copied().filter(|byte| *byte != 0).collect();
    letters.windows(4).any(|letters| letters == b"sRGB")
}

fn name(profile: &[u8]) -> Option<&[u8]> {
    let count = number(profile.get(128..132)?)?;
    let tags = profile[132..].chunks_exact(12).take(count);
    let tag = tags.into_iter().find(|tag| tag.starts_with(b"desc"))?;
    let (offset, length) = (number(&tag[4..8])?, number(&tag[8..12])?);
    profile.get(offset..offset.checked_add(length)?)
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A profile of nothing but its header and its name.
    pub(in super::super) fn profile(space: [u8; 4], name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes[16..20].copy_from_slice(&space);
        bytes[36..40].copy_from_slice(b"acsp");
        let length = u32::try_from(name.len()).expect("short").to_be_bytes();
        bytes.extend([&1_u32.to_be_bytes()[..], b"desc", &144_u32.to_be_bytes(), &length, name].concat());
        let size = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        bytes[..4].copy_from_slice(&size);
        bytes
    }

    #[test]
    fn what_everybody_assumes_is_not_kept() {
        let utf16: Vec<u8> = "sRGB built-in".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for name in [&b"desc\0\0\0\0\0\0\0\x12sRGB IEC61966-2.1"[..], &utf16] {
            assert_eq!(worth_keeping(profile(*b"RGB ", name), false), None);
        }
        let wide = profile(*b"RGB ", b"desc\0\0\0\0\0\0\0\x0bDisplay P3");
        assert_eq!(worth_keeping(wide.clone(), false), Some(wide));
    }

    #[test]
    fn a_profile_for_other_colours_is_not_kept() {
        assert_eq!(worth_keeping(profile(*b"CMYK", b"Coated"), false), None);
        assert_eq!(worth_keeping(profile(*b"RGB ", b"Display P3"), true), None);
        assert!(worth_keeping(profile(*b"GRAY", b"Dot gain"), true).is_some());
    }

    #[test]
    fn bytes_that_are_no_profile_are_not_kept() {
        for bytes in [vec![], vec![0xff; 40], vec![0xff; 4_000]] {
            assert_eq!(worth_keeping(bytes, false), None);
        }
        let mut endless = profile(*b"RGB ", b"Display P3");
        endless[136..144].fill(0xff);
        assert!(worth_keeping(endless, false).is_some(), "a name that cannot be read is not sRGB's");
    }
}
