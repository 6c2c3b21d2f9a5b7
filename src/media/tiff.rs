//! TIFF: a file of directories, which say where everything else lies.
//!
//! Walks directories only; the pixels are never looked at.
//!
//! Layout (TIFF 6.0): `II*\0` or `MM\0*`, which says in which order the bytes of numbers stand, then where the first
//! directory is: `u32`. A directory is `count: u16`, so many entries, and where the next one is: `u32`, 0 for nowhere. An
//! entry is `tag: u16, type: u16, count: u32`, and four bytes with its value, or the place of a longer one.

use std::iter;

/// Where the strips and the tiles of a picture lie, and how many bytes each has.
const PIXELS: [(u16, u16); 2] = [(273, 279), (324, 325)];

/// From here on a length says nothing: who does not know it writes half or all that can be named.
const NO_LENGTH: u64 = 0x7fff_0000;

/// The numbers of a file that begins like a TIFF.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

/// The value of an entry: a list of numbers.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    at: usize,
    /// Bytes of each: 2 or 4.
    size: usize,
    count: usize,
}

/// Whether pixels of the first picture, or the list of where they lie, are behind the end.
pub(super) fn is_cut_short(bytes: &[u8]) -> bool {
    let Some(tiff) = Tiff::new(bytes) else { return false };
    let Some(directory) = tiff.directories().next() else { return false };
    PIXELS.into_iter().any(|(places, lengths)| tiff.lacks(directory, places, lengths))
}

impl<'a> Tiff<'a> {
    /// The file of these bytes; `None` where they do not begin like one.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_little = match bytes.get(..4)? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        Some(Self { bytes, is_little })
    }

    /// Where the directories are. They may lead in a circle.
    pub(super) fn directories(self) -> impl Iterator<Item = usize> {
        let there = move |at: u32| usize::try_from(at).ok().filter(|at| *at > 0 && self.u16_at(*at).is_some());
        let next = move |directory: &usize| {
            let entries = usize::from(self.u16_at(*directory)?);
            self.u32_at(directory + 2 + 12 * entries).and_then(there)
        };
        iter::successors(self.u32_at(4).and_then(there), next)
    }

    /// Where the entry of this tag is.
    fn entry(self, directory: usize, tag: u16) -> Option<usize> {
        let count = usize::from(self.u16_at(directory)?);
        (0..count).map(|number| directory + 2 + 12 * number).find(|entry| self.u16_at(*entry) == Some(tag))
    }

    /// The one number of four bytes the entry of this tag holds.
    pub(super) fn number(self, directory: usize, tag: u16) -> Option<u32> {
        self.u32_at(self.entry(directory, tag)? + 8)
    }

    /// The numbers the entry of this tag holds; `None` where there is none, or it holds something else.
    fn numbers(self, directory: usize, tag: u16) -> Option<Numbers> {
        let entry = self.entry(directory, tag)?;
        let size = match self.u16_at(entry + 2)? {
            3 => 2,
            4 => 4,
            _ => return None,
        };
        let count = usize::try_from(self.u32_at(entry + 4)?).ok()?;
        let is_short = count.checked_mul(size)? <= 4;
        let at = if is_short { entry + 8 } else { usize::try_from(self.u32_at(entry + 8)?).ok()? };
        Some(Numbers { at, size, count })
    }

    /// One of the numbers; `None` where there is none, or it is behind the end.
    fn nth(self, numbers: Numbers, nth: usize) -> Option<u64> {
        let at = (nth < numbers.count).then(|| numbers.at.checked_add(nth.checked_mul(numbers.size)?)).flatten()?;
        if numbers.size == 2 { self.u16_at(at).map(u64::from) } else { self.u32_at(at).map(u64::from) }
    }

    /// Whether something is behind the end that lies at `places`, each with its own of `lengths`.
    fn lacks(self, directory: usize, places: u16, lengths: u16) -> bool {
        let Some(places) = self.numbers(directory, places) else { return false };
        let lengths = self.numbers(directory, lengths);
        (0..places.count).any(|nth| {
            let length = lengths.and_then(|lengths| self.nth(lengths, nth)).filter(|length| *length < NO_LENGTH);
            let end = self.nth(places, nth).map(|place| place + length.unwrap_or(0));
            end.is_none_or(|end| end > self.bytes.len() as u64)
        })
    }

    fn u16_at(self, at: usize) -> Option<u16> {
        let pair = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    }

    fn u32_at(self, at: usize) -> Option<u32> {
        let four = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF whose directory stands in front of its pixels: strips of four bytes at 60 and 64, and their lengths as short
    /// numbers in the entry itself.
    fn tiff(is_little: bool) -> Vec<u8> {
        let two = |number: u16| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
        let four = |number: u32| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
        let start = if is_little { b"II*\0" } else { b"MM\0*" };
        let places = [&two(273)[..], &two(4), &four(2), &four(50)].concat();
        let lengths = [&two(279)[..], &two(3), &four(2), &two(4), &two(4)].concat();
        let directory = [&two(2)[..], &places, &lengths, &four(0)].concat();
        let bytes = [&start[..], &four(8), &directory, &[0; 12], &four(60), &four(64), &[0; 2], &[7; 8]].concat();
        assert_eq!(bytes.len(), 68);
        bytes
    }

    #[test]
    fn a_picture_lacks_what_lies_behind_the_end() {
        for is_little in [true, false] {
            let whole = tiff(is_little);
            assert!(!is_cut_short(&whole));
            assert!(!is_cut_short(&[&whole[..], b"and more"].concat()));
            // In a strip, in front of one, and in the list of their places.
            for length in [67, 66, 61, 60, 57, 50] {
                assert!(is_cut_short(&whole[..length]), "{length}");
            }
        }
    }

    #[test]
    fn a_length_nobody_wrote_down_says_nothing() {
        let mut bytes = tiff(true);
        // One strip, of four bytes at 60, whose length is a long number.
        bytes[14..22].copy_from_slice(&[1, 0, 0, 0, 60, 0, 0, 0]);
        bytes[24..34].copy_from_slice(&[4, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert!(!is_cut_short(&bytes));
        bytes[30..34].copy_from_slice(&[9, 0, 0, 0]);
        assert!(is_cut_short(&bytes));
        bytes[30..34].copy_from_slice(&[8, 0, 0, 0]);
        assert!(!is_cut_short(&bytes));
    }

    #[test]
    fn what_is_no_list_of_places_says_nothing() {
        assert!(!is_cut_short(b"") && !is_cut_short(b"II*\0") && !is_cut_short(b"II*\0\xff\xff\xff\x7f"));
        let mut bytes = tiff(true);
        bytes[12] = 5;
        assert!(!is_cut_short(&bytes[..40]), "fractions");
        bytes[12] = 4;
        bytes[14..18].fill(0xff);
        assert!(is_cut_short(&bytes), "more places than there are bytes");
    }
}
