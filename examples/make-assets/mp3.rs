//! A chime as MP3: MPEG-1 Layer III, 48 kHz, mono, 32 kbit/s, four notes that ring out.
//!
//! Layer III stores a granule of sound (576 samples) as 576 frequency lines, line `k` at `(2k + 1) * 20.83` Hz. A steady
//! tone on one line needs only a single quantized value of one per granule, whose sign follows the tone's phase, and a
//! gain: so each granule here is a run of zeros, a one, and a volume that falls.

use crate::bits::BitWriter;

/// The line of each note and for how many granules (12 ms each) it rings: near a major chord and its octave.
const NOTES: [(u32, u32); 4] = [(27, 18), (34, 18), (41, 18), (55, 110)];
/// `global_gain` as a note is struck; one less is 1.5 dB quieter.
const LOUDEST: u32 = 204;
/// 48 kHz at 32 kbit/s makes every frame exactly this long, padding never needed.
const FRAME_BYTES: usize = 96;

/// The whole file, about two seconds.
pub(crate) fn chime() -> Vec<u8> {
    let granules: Vec<Granule> = NOTES.iter().flat_map(|&(line, length)| note(line, length)).collect();
    granules.chunks_exact(2).flat_map(frame).collect()
}

/// Twelve milliseconds of sound.
struct Granule {
    line: u32,
    negative: bool,
    gain: u32,
}

fn note(line: u32, length: u32) -> impl Iterator<Item = Granule> {
    (0..length).map(move |age| {
        // From one granule to the next the phase moves by a quarter turn, forwards on even lines, backwards on odd.
        let turn = if line.is_multiple_of(2) { age } else { 3 * age };
        Granule { line, negative: matches!(turn % 4, 1 | 2), gain: LOUDEST - age / 3 }
    })
}

/// One frame (ISO/IEC 11172-3, 2.4.1): header, side information, the two granules' Huffman codes, zeros.
fn frame(granules: &[Granule]) -> Vec<u8> {
    let mut frame = BitWriter::default();
    frame.put_bytes(&[0xFF, 0xFB, 0x14, 0xC4]); // MPEG-1 Layer III without CRC; 32 kbit/s, 48 kHz; mono, original.
    frame.put(0, 9 + 5 + 4); // No bits borrowed from earlier frames, private bits, no shared scale factors.
    let codes: Vec<BitWriter> = granules.iter().map(huffman_codes).collect();
    for (granule, codes) in granules.iter().zip(&codes) {
        let length_bits = u32::try_from(codes.length_bits()).expect("a granule is a few dozen bits");
        frame.put(length_bits, 12);
        frame.put(granule.line / 2 + 1, 9); // Pairs of lines up to the last that sounds.
        frame.put(granule.gain, 8);
        frame.put(0, 4 + 1); // No scale factors, a long window.
        for _region in 0..3 {
            frame.put(1, 5); // Huffman table 1: values up to one.
        }
        frame.put(0, 4 + 3 + 3); // Region borders and flags, without meaning here.
    }
    for codes in &codes {
        frame.append(codes);
    }
    let mut frame = frame.into_bytes();
    frame.resize(FRAME_BYTES, 0);
    frame
}

/// Huffman table 1: `1` is a pair of zeros, `01` (1, 0), `001` (0, 1), each one followed by its sign.
fn huffman_codes(granule: &Granule) -> BitWriter {
    let mut codes = BitWriter::default();
    for _pair in 0..granule.line / 2 {
        codes.put(1, 1);
    }
    codes.put(1, if granule.line.is_multiple_of(2) { 2 } else { 3 });
    codes.put(u32::from(granule.negative), 1);
    codes
}

#[cfg(test)]
mod tests {
    use super::{FRAME_BYTES, NOTES, chime};

    #[test]
    fn every_frame_starts_where_the_one_before_says() {
        let granules: u32 = NOTES.iter().map(|&(_, length)| length).sum();
        let file = chime();
        let frames: Vec<&[u8]> = file.chunks(FRAME_BYTES).collect();
        assert_eq!(frames.len(), granules as usize / 2);
        assert!(frames.iter().all(|frame| frame.len() == FRAME_BYTES && frame.starts_with(&[0xFF, 0xFB, 0x14])));
    }
}
