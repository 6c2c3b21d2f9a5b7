//! Does a file end where its own structure says it does? Walks from header to header, so the cost is that of the
//! structure and not of the bytes. What follows the end is nobody's business; what the data decodes to is not asked.

use super::{iso_media, tiff};

/// Whether `bytes`, known to be `mime`, stop before their end. Formats that do not say where they end never do.
pub(super) fn is_cut_short(mime: &str, bytes: &[u8]) -> bool {
    match mime {
        "image/jpeg" => jpeg_end(bytes).is_none(),
        "image/png" => png_end(bytes).is_none(),
        "image/gif" => gif_end(bytes).is_none(),
        "image/webp" => riff_end(bytes).is_none(),
        "image/bmp" => bmp_pixels_end(bytes).is_some_and(|end| end > bytes.len() as u64),
        "image/tiff" => tiff::is_cut_short(bytes),
        "audio/wav" | "video/x-msvideo" => recording_end(bytes).is_some_and(|end| end > bytes.len() as u64),
        "image/heic" | "image/avif" => iso_media::is_cut_short(bytes, *b"meta"),
        "video/mp4" | "audio/mp4" | "video/quicktime" | "video/3gpp" | "video/3gpp2" => {
            iso_media::is_cut_short(bytes, *b"moov")
        }
        _ => false,
    }
}

/// Where the last end-of-image marker stands, if it comes after the first scan. Thumbnails inside the metadata have
/// such a marker too, but stand before it.
fn jpeg_end(bytes: &[u8]) -> Option<usize> {
    let scan = jpeg_scan(bytes, |_| {})?;
    bytes[scan..].windows(2).rposition(|pair| pair == [0xff, 0xd9])
}

/// Whether a JPEG is sure to be of the kind that is decoded a few rows at a time: nothing stands in front of its first scan
/// but tables, metadata and the header of such a frame.
pub(super) fn is_baseline_jpeg(bytes: &[u8]) -> bool {
    let mut is_plain = true;
    let scan = jpeg_scan(bytes, |marker| {
        is_plain &= matches!(marker, 0xc0 | 0xc1 | 0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe);
    });
    is_plain && scan.is_some_and(|at| bytes[at..].starts_with(&[0xff, 0xda]))
}

/// Where the first scan begins, or whatever else ends the walk over the segments in front of it; `each` is told the marker
/// of every one.
fn jpeg_scan(bytes: &[u8], mut each: impl FnMut(u8)) -> Option<usize> {
    let mut at = 2;
    loop {
        match *bytes.get(at..at + 2)? {
            [0xff, 0xff] => at += 1,
            [0xff, marker @ (0x01 | 0xd0..=0xd8)] => {
                each(marker);
                at += 2;
            }
            [0xff, 0xda | 0xd9] => return Some(at),
            [0xff, marker] => {
                each(marker);
                at += 2 + usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?));
            }
            _ => return Some(at),
        }
    }
}

/// Where the `IEND` chunk ends. A chunk is `length: u32 be, name: [u8; 4]`, the data, and four bytes of checksum.
fn png_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 8_usize;
    loop {
        let header = bytes.get(at..)?.first_chunk::<8>()?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        at = at.checked_add(12)?.checked_add(usize::try_from(length).ok()?)?;
        if &header[4..] == b"IEND" {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

/// Where the trailer stands, or whatever else ends the walk over the blocks in front of it.
fn gif_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 13 + gif_colour_table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x2c => at = gif_sub_blocks_end(bytes, at + 11 + gif_colour_table(*bytes.get(at + 9)?))?,
            0x21 => at = gif_sub_blocks_end(bytes, at + 2)?,
            _ => return Some(at),
        }
    }
}

/// How many bytes the colour table takes that these flags announce.
pub(super) fn gif_colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

pub(super) fn gif_sub_blocks_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

/// Where the pixels of a BMP end, if they are stored plainly and by a header that says so: `offset: u32 le` at 10, `width:
/// i32, height: i32` at 18, `bits: u16` of a pixel at 28, `packing: u32` at 30. Every row but the last takes whole words.
fn bmp_pixels_end(bytes: &[u8]) -> Option<u64> {
    let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let is_plain = u32_at(14)? >= 40 && matches!(u32_at(30)?, 0 | 3 | 6);
    let (width, height) = (u32_at(18)?, u32_at(22)?.cast_signed().unsigned_abs());
    let bits = u16::from_le_bytes(*bytes.get(28..)?.first_chunk()?);
    let row = (u64::from(width) * u64::from(bits)).div_ceil(8);
    let rows = row.next_multiple_of(4).checked_mul(u64::from(height.checked_sub(1)?))?;
    u64::from(u32_at(10)?).checked_add(rows.checked_add(row)?).filter(|_| is_plain)
}

/// Where the outermost chunk of a recording ends at the earliest: some writers count its header in. Those who write as they
/// record, and never come back, leave a length of half or all that can be named, which says nothing.
fn recording_end(bytes: &[u8]) -> Option<u64> {
    let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    (length < 0x7fff_0000).then_some(u64::from(length))
}

/// Where the outermost chunk ends: `RIFF`, `length: u32 le`, the data.
fn riff_end(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    (end <= bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_marker_of_a_thumbnail_does_not_end_a_jpeg() {
        let with_thumbnail = b"\xff\xd8\xff\xe1\x00\x06\xff\xd8\xff\xd9\xff\xda\x00\x02scan data".to_vec();
        assert!(is_cut_short("image/jpeg", &with_thumbnail));
        assert!(!is_cut_short("image/jpeg", &[&with_thumbnail[..], b"\xff\xd9"].concat()));
    }

    #[test]
    fn a_jpeg_is_baseline_by_its_frame_and_not_by_what_its_metadata_hold() {
        let start = b"\xff\xd8\xff\xe1\x00\x06\xff\xc2\xff\xda";
        let scan = b"\xff\xda\x00\x02scan data\xff\xd9";
        let is_baseline = |between: &[u8]| is_baseline_jpeg(&[&start[..], between, scan].concat());
        assert!(is_baseline(b"\xff\xc0\x00\x04__"));
        assert!(is_baseline(b"\xff\xdb\x00\x02\xff\xff\xc1\x00\x04__\xff\xc4\x00\x02"));
        assert!(!is_baseline(b"\xff\xc2\x00\x04__"));
        // Where decoders may go on otherwise than this walk, nobody is sure.
        for odd in [&b"\xff\xc0\x00\x04__junk"[..], b"\xff\x00\xc2\x00\x04__", b"\xff\xd0\x00\x04__", b"\xff\xd9"] {
            assert!(!is_baseline(odd), "{odd:x?}");
        }
        assert!(!is_baseline_jpeg(start) && !is_baseline_jpeg(b"\xff\xd8"));
    }

    #[test]
    fn a_png_needs_the_checksum_of_its_last_chunk() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82";
        assert!(!is_cut_short("image/png", png));
        assert!(is_cut_short("image/png", &png[..png.len() - 1]));
        assert!(is_cut_short("image/png", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT"));
    }

    #[test]
    fn a_bmp_ends_behind_its_last_pixel() {
        // Three pixels of three bytes, twice: a row takes twelve bytes, and the last may do without its padding.
        let mut bmp =
            [&b"BM________\x36\0\0\0\x28\0\0\0\x03\0\0\0\x02\0\0\0\x01\0\x18\0"[..], &[0; 24], &[7; 21]].concat();
        bmp[6..10].fill(0);
        assert!(!is_cut_short("image/bmp", &bmp));
        assert!(is_cut_short("image/bmp", &bmp[..bmp.len() - 1]));
        // Top down.
        bmp[22..26].copy_from_slice(&(-2_i32).to_le_bytes());
        assert!(is_cut_short("image/bmp", &bmp[..bmp.len() - 1]) && !is_cut_short("image/bmp", &bmp));
        // Packed: nobody knows.
        bmp[30] = 1;
        assert!(!is_cut_short("image/bmp", &bmp[..60]));
        bmp[18..26].fill(0xff);
        bmp[30] = 0;
        assert!(is_cut_short("image/bmp", &bmp));
    }

    #[test]
    fn a_recording_may_be_of_a_length_nobody_wrote_down() {
        let wav = |length: u32| [&b"RIFF"[..], &length.to_le_bytes(), b"WAVE", &[0; 20]].concat();
        for whole in [24, 32, 0, u32::MAX, 0x7fff_ffff, 0x7fff_f024] {
            assert!(!is_cut_short("audio/wav", &wav(whole)), "{whole}");
        }
        assert!(is_cut_short("audio/wav", &wav(33)) && is_cut_short("video/x-msvideo", &wav(500)));
    }

    #[test]
    fn a_format_without_a_known_end_is_never_cut_short() {
        assert!(!is_cut_short("application/pdf", b"%PDF-1.7"));
        assert!(!is_cut_short("audio/mpeg", b"ID3"));
    }
}
