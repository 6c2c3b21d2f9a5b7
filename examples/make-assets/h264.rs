//! H.264 without an encoder.
//!
//! There is a macroblock that needs none: `I_PCM`, its 384 samples as they are (4:2:0). The first picture is made of
//! these alone; in the others, macroblocks that did not change are skipped, so that only what moves costs bytes.

use image::RgbImage;

use crate::bits::BitWriter;

/// Macroblocks are squares of this many pixels.
const BLOCK: u32 = 16;

/// Sequence parameters: constrained baseline, level 3.0, one reference picture, output in decoding order.
///
/// Width and height are multiples of 16.
pub(crate) fn sequence_parameters(width: u32, height: u32) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put_bytes(&[0x67, 66, 0b1100_0000, 30]);
    for value in [0, 4, 2, 1] {
        exp_golomb(&mut bits, value); // Set 0, eight-bit frame numbers, order type 2, one reference.
    }
    bits.put(0, 1); // No gaps in frame numbers.
    exp_golomb(&mut bits, width / BLOCK - 1);
    exp_golomb(&mut bits, height / BLOCK - 1);
    bits.put(0b1100, 4); // Frames only, direct 8x8 inference; no cropping, no usability information.
    finish(bits)
}

/// Picture parameters: plain CAVLC, and slices may turn the deblocking filter off.
pub(crate) fn picture_parameters() -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put_bytes(&[0x68]);
    bits.put(0b11, 2); // Picture set 0, sequence set 0.
    bits.put(0b00, 2); // CAVLC, no field order.
    bits.put(0b111, 3); // One slice group, one reference by default in either list.
    bits.put(0b000, 3); // No weighted prediction.
    bits.put(0b111, 3); // No offsets to quantizers.
    bits.put(0b100, 3); // Deblocking control; no constrained intra, no redundant pictures.
    finish(bits)
}

/// Every picture as one unit: all of the first, of the others what differs from the one before.
pub(crate) fn pictures(pictures: &[RgbImage]) -> Vec<Vec<u8>> {
    let pictures: Vec<Vec<Macroblock>> = pictures.iter().map(macroblocks).collect();
    let first = pictures.first().map(|first| whole_picture(first));
    let others = (1..).zip(pictures.windows(2)).map(|(number, pair)| changes(number, &pair[0], &pair[1]));
    first.into_iter().chain(others).collect()
}

fn whole_picture(blocks: &[Macroblock]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put_bytes(&[0x65]);
    exp_golomb(&mut bits, 0); // First macroblock.
    exp_golomb(&mut bits, 7); // An I slice, as is the whole picture.
    exp_golomb(&mut bits, 0); // Picture parameter set.
    bits.put(0, 8); // Frame number.
    exp_golomb(&mut bits, 0); // Identity of the random access picture.
    bits.put(0b00, 2); // No marking.
    end_header(&mut bits);
    for block in blocks {
        exp_golomb(&mut bits, 25); // I_PCM.
        bits.put_bytes(block);
    }
    finish(bits)
}

fn changes(number: u32, before: &[Macroblock], after: &[Macroblock]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put_bytes(&[0x41]);
    exp_golomb(&mut bits, 0); // First macroblock.
    exp_golomb(&mut bits, 5); // A P slice, as is the whole picture.
    exp_golomb(&mut bits, 0); // Picture parameter set.
    bits.put(number, 8); // Frame number, of which eight bits are told.
    bits.put(0b000, 3); // Default references, their default order, no marking.
    end_header(&mut bits);
    let mut skipped = 0;
    for (before, after) in before.iter().zip(after) {
        if before == after {
            skipped += 1;
            continue;
        }
        exp_golomb(&mut bits, skipped);
        skipped = 0;
        exp_golomb(&mut bits, 5 + 25); // I_PCM, after the five types of P.
        bits.put_bytes(after);
    }
    if skipped > 0 {
        exp_golomb(&mut bits, skipped);
    }
    finish(bits)
}

/// What both slice headers end in.
fn end_header(bits: &mut BitWriter) {
    bits.put(1, 1); // Quantizer as it is.
    exp_golomb(bits, 1); // No deblocking: the samples are exact.
}

/// The unsigned Exp-Golomb code, `ue(v)`.
fn exp_golomb(bits: &mut BitWriter, value: u32) {
    let length = (value + 1).ilog2();
    bits.put(0, length);
    bits.put(value + 1, length + 1);
}

/// The stop bit, and a three after every two zeros that a start code could be taken for.
fn finish(mut bits: BitWriter) -> Vec<u8> {
    bits.put(1, 1);
    let mut unit = Vec::new();
    let mut zeros = 0;
    for byte in bits.into_bytes() {
        if zeros == 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    unit
}

/// 256 luma samples, then 64 of either chroma (BT.601, studio range).
type Macroblock = [u8; 384];

/// A picture's macroblocks, row by row.
fn macroblocks(picture: &RgbImage) -> Vec<Macroblock> {
    grid(picture.width(), picture.height(), BLOCK).map(|(left, top)| macroblock(picture, left, top)).collect()
}

fn macroblock(picture: &RgbImage, left: u32, top: u32) -> Macroblock {
    let samples = |step, weights: [i32; 3], offset| {
        grid(BLOCK, BLOCK, step).map(move |(x, y)| {
            let [red, green, blue] = picture.get_pixel(left + x, top + y).0.map(i32::from);
            let sum = red * weights[0] + green * weights[1] + blue * weights[2];
            u8::try_from(((sum + 128) >> 8) + offset).expect("the weights keep samples within 16..=240")
        })
    };
    let luma = samples(1, [66, 129, 25], 16);
    let chroma = samples(2, [-38, -74, 112], 128).chain(samples(2, [112, -94, -18], 128));
    let mut block = [0; 384];
    block.iter_mut().zip(luma.chain(chroma)).for_each(|(place, sample)| *place = sample);
    block
}

/// Every `step`-th place of an area, row by row.
fn grid(width: u32, height: u32, step: u32) -> impl Iterator<Item = (u32, u32)> {
    let columns = move |y| (0..width / step).map(move |x| (x * step, y));
    (0..height / step).flat_map(move |y| columns(y * step))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::{BitWriter, changes, exp_golomb, finish, macroblocks, pictures};

    #[test]
    fn no_start_code_appears_inside_a_unit() {
        let mut bits = BitWriter::default();
        bits.put_bytes(&[0x65, 0, 0, 0, 0, 0, 1]);
        assert_eq!(finish(bits), [0x65, 0, 0, 3, 0, 0, 3, 0, 1, 0x80]);
    }

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        let mut bits = BitWriter::default();
        for value in [0, 1, 2, 3, 7] {
            exp_golomb(&mut bits, value);
        }
        assert_eq!(bits.into_bytes(), [0b1010_0110, 0b0100_0001, 0b0000_0000]);
    }

    #[test]
    fn only_macroblocks_that_change_are_written_again() {
        let still = RgbImage::from_pixel(64, 32, Rgb([90, 120, 200]));
        let mut moved = still.clone();
        moved.put_pixel(40, 20, Rgb([255, 255, 255]));
        let units = pictures(&[still.clone(), still.clone(), moved]);
        let lengths: Vec<usize> = units.iter().map(|unit| unit.len() / 384).collect();
        assert_eq!(lengths, [8, 0, 1]);
        assert_eq!(changes(1, &macroblocks(&still), &macroblocks(&still)), units[1]);
    }
}
