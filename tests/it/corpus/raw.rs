//! Files built from their parts, so that any part can lie.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// 64 × 48 pixels of noise, so that the data dwarfs the header; each seed has its own.
pub(super) fn noise(seed: u64, format: ImageFormat) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let image = RgbImage::from_fn(64, 48, |_, _| Rgb([(); 3].map(|()| random.u8(..))));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

/// A chunk of a PNG, its checksum right.
pub(super) fn png_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    [&length(data.len())[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
}

/// What a PNG says of its pixels.
pub(super) fn png_header(width: u32, height: u32, bits: u8, colour: u8) -> Vec<u8> {
    png_chunk(*b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, 0]].concat())
}

/// A PNG of these chunks, between its signature and its end.
pub(super) fn png_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat(), png_chunk(*b"IEND", &[])].concat()
}

/// A PNG that declares so many pixels, has data for a handful of them, and ends as it should.
pub(super) fn vast_png(width: u32, height: u32, bits: u8, colour: u8) -> Vec<u8> {
    png_of(&[png_header(width, height, bits, colour), png_chunk(*b"IDAT", &stored(&[0; 64]))])
}

/// The same PNG with more chunks right behind its header.
pub(super) fn png_with(png: &[u8], chunks: &[u8]) -> Vec<u8> {
    [&png[..33], chunks, &png[33..]].concat()
}

/// A stream of zlib that compresses nothing. For less than 64 KiB.
pub(super) fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("one block");
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let sum = (b << 16 | a).to_be_bytes();
    [&[0x78, 0x01, 0x01][..], &length.to_le_bytes(), &(!length).to_le_bytes(), data, &sum].concat()
}

/// One frame of one pixel.
const GIF_FRAME: &[u8] = &[0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0];

/// A GIF of two colours with these blocks in it.
pub(super) fn gif_of(width: u16, height: u16, blocks: &[u8]) -> Vec<u8> {
    let table = [0, 0, 0, 255, 255, 255];
    [&b"GIF89a"[..], &width.to_le_bytes(), &height.to_le_bytes(), &[0x80, 0, 0], &table, blocks, &[0x3b]].concat()
}

/// A GIF that shows a pixel so many times.
pub(super) fn gif_of_frames(frames: usize) -> Vec<u8> {
    gif_of(1, 1, &GIF_FRAME.repeat(frames))
}

/// A GIF of one pixel on a screen of any size.
pub(super) fn gif_on(width: u16, height: u16) -> Vec<u8> {
    gif_of(width, height, GIF_FRAME)
}

/// A segment of a JPEG.
pub(super) fn jpeg_segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("a short segment");
    [&[0xff, marker][..], &length.to_be_bytes(), data].concat()
}

/// A JPEG of grey blocks: `components` of them for each 8 × 8 pixels, each coded in two bits.
pub(super) struct Jpeg {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) components: u8,
    /// Scans behind the first, each with its own walk over all blocks; `None` for one that is not progressive.
    pub(super) more_scans: Option<usize>,
}

impl Jpeg {
    /// The file, its metadata right behind its start.
    pub(super) fn bytes(&self, metadata: &[u8]) -> Vec<u8> {
        let Self { width, height, components, more_scans } = *self;
        let frame: Vec<u8> = [&[8][..], &height.to_be_bytes(), &width.to_be_bytes(), &[components]]
            .concat()
            .into_iter()
            .chain((1..=components).flat_map(|id| [id, 0x11, 0]))
            .collect();
        // One code of one bit, for what comes to nothing.
        let table = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
        let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8));
        let first_bits = blocks * usize::from(components) * if more_scans.is_some() { 1 } else { 2 };
        let scan = |ids: &[u8], last: u8, first: u8, bits: usize| {
            let which: Vec<u8> = ids.iter().flat_map(|id| [*id, 0]).collect();
            let count = u8::try_from(ids.len()).expect("few");
            let header = [&[count][..], &which, &[first, last, 0]].concat();
            [jpeg_segment(0xda, &header), vec![0; bits.div_ceil(8)]].concat()
        };
        let all: Vec<u8> = (1..=components).collect();
        let last = if more_scans.is_some() { 0 } else { 63 };
        let mut bytes = [
            &[0xff, 0xd8][..],
            metadata,
            &jpeg_segment(0xdb, &[&[0][..], &[1; 64]].concat()),
            &jpeg_segment(if more_scans.is_some() { 0xc2 } else { 0xc0 }, &frame),
            &jpeg_segment(0xc4, &[table(0), table(0x10)].concat()),
            &scan(&all, last, 0, first_bits),
        ]
        .concat();
        for _ in 0..more_scans.unwrap_or(0) {
            bytes.extend(scan(&all[..1], 63, 1, blocks));
        }
        bytes.extend([0xff, 0xd9]);
        bytes
    }
}

/// The segment of a JPEG that holds EXIF, of one directory with these entries: tag, type, count, value; and where it says
/// the next one is.
pub(super) fn exif(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    jpeg_segment(0xe1, &[b"Exif\0\0".to_vec(), tiff_of(entries, next, &[])].concat())
}

/// A TIFF of one directory right behind its header, and whatever follows.
pub(super) fn tiff_of(entries: &[(u16, u16, u32, u32)], next: u32, rest: &[u8]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).expect("few");
    let mut bytes = [&b"II*\0"[..], &8_u32.to_le_bytes(), &count.to_le_bytes()].concat();
    for (tag, sort, count, value) in entries {
        bytes
            .extend([&tag.to_le_bytes()[..], &sort.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    [&bytes[..], &next.to_le_bytes(), rest].concat()
}

/// A grey TIFF of so many pixels in one strip, which it says has so many rows and bytes; the pixels there are follow.
pub(super) fn grey_tiff(width: u32, height: u32, rows: u32, strip_bytes: u32, next: u32) -> Vec<u8> {
    let entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4),
        (277, 3, 1, 1),
        (278, 4, 1, rows),
        (279, 4, 1, strip_bytes),
    ];
    tiff_of(&entries, next, &[0x55; 256])
}

/// A grey TIFF of one tile that is larger than anything.
pub(super) fn tiled_tiff(tile: u32) -> Vec<u8> {
    let entries = [
        (256, 4, 1, 16),
        (257, 4, 1, 16),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, tile),
        (323, 4, 1, tile),
        (324, 4, 1, 8 + 2 + 10 * 12 + 4),
        (325, 4, 1, u32::MAX),
    ];
    tiff_of(&entries, 0, &[0x55; 256])
}

/// A box of an MP4, HEIC or AVIF.
pub(super) fn iso_box(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&length(body.len() + 8)[..], &name, body].concat()
}

pub(super) fn file_type(brand: [u8; 4]) -> Vec<u8> {
    iso_box(*b"ftyp", &[&brand[..], &[0, 0, 2, 0], &brand].concat())
}

/// What a film says of its tracks, with more boxes in the first.
pub(super) fn index(tracks: &[[u8; 4]], more: &[u8]) -> Vec<u8> {
    let track = |kind: &[u8; 4]| {
        let handler = iso_box(*b"hdlr", &[&[0; 8], &kind[..], &[0; 12]].concat());
        iso_box(*b"trak", &[more, &iso_box(*b"mdia", &handler)].concat())
    };
    iso_box(*b"moov", &tracks.iter().flat_map(track).collect::<Vec<_>>())
}

/// A film whose index stands behind its data.
pub(super) fn film(seed: u64) -> Vec<u8> {
    [file_type(*b"isom"), iso_box(*b"mdat", &random(seed, 3_000)), index(&[*b"vide", *b"soun"], &[])].concat()
}

/// A HEIC or AVIF with everything but a picture.
pub(super) fn still(brand: [u8; 4], seed: u64) -> Vec<u8> {
    let size = iso_box(*b"ispe", &[&[0; 4][..], &640_u32.to_be_bytes(), &480_u32.to_be_bytes()].concat());
    let properties = iso_box(*b"iprp", &iso_box(*b"ipco", &size));
    let about = iso_box(*b"meta", &[&[0; 4][..], &properties].concat());
    [file_type(brand), about, iso_box(*b"mdat", &random(seed, 2_000))].concat()
}

/// A chunk of a WebP, WAV or AVI.
pub(super) fn riff_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("small").to_le_bytes();
    [&name[..], &length, data, &vec![0; data.len() % 2]].concat()
}

/// A file of such chunks.
pub(super) fn riff(form: [u8; 4], chunks: &[u8]) -> Vec<u8> {
    riff_chunk(*b"RIFF", &[&form[..], chunks].concat())
}

/// A sound of noise.
pub(super) fn wav(seed: u64) -> Vec<u8> {
    let format = [1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0];
    riff(*b"WAVE", &[riff_chunk(*b"fmt ", &format), riff_chunk(*b"data", &random(seed, 2_000))].concat())
}

/// Frames of MPEG layer III that hold silence.
pub(super) fn mp3(frames: usize) -> Vec<u8> {
    [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat().repeat(frames)
}

/// The tag in front of an MP3, which says it has so many bytes.
pub(super) fn id3(size: u32) -> Vec<u8> {
    let digits = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
    [&b"ID3\x04\0\0"[..], &digits].concat()
}

pub(super) fn pdf(body: &str) -> Vec<u8> {
    format!("%PDF-1.4\n%\u{e2}\u{e3}\n1 0 obj\n{body}\nendobj\ntrailer <</Root 1 0 R>>\n%%EOF\n").into_bytes()
}

/// An archive of one file, which says it unpacks to so many bytes.
pub(super) fn zip(name: &str, unpacked: u32) -> Vec<u8> {
    let name_length = u16::try_from(name.len()).expect("short").to_le_bytes();
    let common =
        [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &2_u32.to_le_bytes(), &unpacked.to_le_bytes()].concat();
    let local = [&b"PK\x03\x04"[..], &common, &name_length, &[0, 0], name.as_bytes(), &[3, 0]].concat();
    let central = [&b"PK\x01\x02\x14\0"[..], &common, &name_length, &[0; 16], name.as_bytes()].concat();
    let start = u32::try_from(local.len()).expect("small").to_le_bytes();
    let size = u32::try_from(central.len()).expect("small").to_le_bytes();
    let end = [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &size, &start, &[0, 0]].concat();
    [local, central, end].concat()
}

/// So many bytes of noise.
pub(super) fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.u8(..)).collect()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("small").to_be_bytes()
}
