//! Bits into bytes, most significant first: the order in which both MPEG audio and H.264 are written.

/// Bytes with room left in the last one.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    length_bits: usize,
}

impl BitWriter {
    /// Appends the lowest `width` bits of `value`.
    pub(crate) fn put(&mut self, value: u32, width: u32) {
        for shift in (0..width).rev() {
            if self.length_bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if value >> shift & 1 == 1 {
                self.bytes[self.length_bits / 8] |= 0x80 >> (self.length_bits % 8);
            }
            self.length_bits += 1;
        }
    }

    /// Appends the bits of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        for bit in 0..other.length_bits {
            self.put(u32::from(other.bytes[bit / 8] >> (7 - bit % 8)), 1);
        }
    }

    /// Appends whole bytes, after zero bits up to the next byte boundary.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.length_bits = self.bytes.len() * 8;
    }

    /// How many bits there are.
    pub(crate) fn length_bits(&self) -> usize {
        self.length_bits
    }

    /// The bytes, the last one filled up with zero bits.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::BitWriter;

    #[test]
    fn bits_fill_bytes_from_the_top_and_bytes_start_on_a_boundary() {
        let mut bits = BitWriter::default();
        bits.put(0b1, 1);
        bits.put(0b0110, 4);
        bits.put_bytes(&[0xAB]);
        let mut tail = BitWriter::default();
        tail.put(0b11, 2);
        bits.append(&tail);
        assert_eq!(bits.length_bits(), 18);
        assert_eq!(bits.into_bytes(), [0b1011_0000, 0xAB, 0b1100_0000]);
    }
}
