//! Pictures are made with the `image` crate's own encoders, then cut, mangled and lied about.

use std::time::{Duration, Instant};

use image::{DynamicImage, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::media::iso_media::tests::{film, iso_box};

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::Png, "image/png"),
    (ImageFormat::Gif, "image/gif"),
    (ImageFormat::WebP, "image/webp"),
    (ImageFormat::Bmp, "image/bmp"),
    (ImageFormat::Tiff, "image/tiff"),
];

/// 120 × 80 pixels of noise, so that the data dwarfs the header.
fn picture(format: ImageFormat) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let image = DynamicImage::from(RgbImage::from_fn(120, 80, |_, _| image::Rgb([(); 3].map(|()| random.u8(..)))));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

/// A HEIC or AVIF file with everything but a picture.
fn still(brand: [u8; 4], width: u32, height: u32) -> Vec<u8> {
    let size = iso_box(*b"ispe", &[&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat());
    let properties = iso_box(*b"iprp", &iso_box(*b"ipco", &size));
    [
        iso_box(*b"ftyp", &[&brand[..], &[0; 4], &brand].concat()),
        iso_box(*b"meta", &[&[0; 4][..], &properties].concat()),
        iso_box(*b"mdat", &[9; 2_000]),
    ]
    .concat()
}

#[test]
fn every_format_gives_type_and_dimensions() {
    for (format, mime) in FORMATS {
        let expected =
            Probe { mime: Some(mime), dimensions: Some(Dimensions { width: 120, height: 80 }), damage: None };
        assert_eq!(probe(&picture(format)), expected, "{mime}");
    }
    for (brand, mime) in [(*b"heic", "image/heic"), (*b"avif", "image/avif")] {
        let expected =
            Probe { mime: Some(mime), dimensions: Some(Dimensions { width: 640, height: 480 }), damage: None };
        assert_eq!(probe(&still(brand, 640, 480)), expected, "{mime}");
    }
}

#[test]
fn a_picture_cut_short_is_damaged_wherever_it_was_cut() {
    let pictures = FORMATS.map(|(format, _)| picture(format));
    let stills = [still(*b"heic", 640, 480), still(*b"avif", 640, 480)];
    // BMP has no end of its own, and TIFF keeps its header behind the picture.
    let ends = pictures.iter().take(4).chain(&stills);
    for whole in ends {
        for percent in [10, 50, 90, 99] {
            let cut = probe(&whole[..whole.len() * percent / 100]);
            assert_eq!(cut.damage, Some(Damage::Truncated), "{:?} at {percent} %", cut.mime);
        }
    }
    let tiff = &pictures[5];
    for percent in [10, 50, 90, 99] {
        assert_eq!(probe(&tiff[..tiff.len() * percent / 100]).damage, Some(Damage::BadHeader), "tiff at {percent} %");
    }
}

#[test]
fn bytes_behind_a_picture_are_no_damage() {
    for (format, mime) in FORMATS {
        let longer = [&picture(format)[..], b"appended by a careless tool"].concat();
        assert_eq!(probe(&longer).damage, None, "{mime}");
    }
}

#[test]
fn an_image_header_that_cannot_be_read_is_damage() {
    for (format, mime) in FORMATS.into_iter().take(4) {
        let mut bytes = picture(format);
        let header = match format {
            ImageFormat::Jpeg => {
                let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
                frame + 4..frame + 10
            }
            ImageFormat::Png => 16..29,
            ImageFormat::Gif => 6..10,
            _ => 12..30,
        };
        bytes[header].fill(0);
        assert_eq!(probe(&bytes), Probe { mime: Some(mime), dimensions: None, damage: Some(Damage::BadHeader) });
    }
}

/// The header of a picture of 100,000 × 100,000 pixels, or of as many as the format can name.
fn giant(format: ImageFormat) -> (Vec<u8>, u32) {
    let mut bytes = picture(format);
    let side = match format {
        ImageFormat::Png => {
            bytes[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
            bytes[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
            let checksum = crc32fast::hash(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
            100_000
        }
        ImageFormat::Bmp => {
            bytes[18..22].copy_from_slice(&100_000_u32.to_le_bytes());
            bytes[22..26].copy_from_slice(&100_000_u32.to_le_bytes());
            100_000
        }
        ImageFormat::Gif => {
            bytes[6..10].fill(0xff);
            65_535
        }
        _ => {
            let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
            bytes[frame + 5..frame + 9].fill(0xff);
            65_535
        }
    };
    (bytes, side)
}

#[test]
fn a_giant_header_is_measured_and_nothing_is_allocated_for_it() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp] {
        let (bytes, side) = giant(format);
        let start = Instant::now();
        assert_eq!(probe(&bytes).dimensions, Some(Dimensions { width: side, height: side }), "{format:?}");
        assert!(start.elapsed() < Duration::from_millis(500), "{format:?}");
    }
}

#[test]
fn a_webp_may_be_as_long_as_its_header_can_say() {
    for (dimensions, width, height) in
        [(0x3fff_u32, 16_384, 1), (0x3fff << 14, 1, 16_384), (0x0fff_ffff, 16_384, 16_384)]
    {
        let data = [&[0x2f][..], &dimensions.to_le_bytes(), &[0; 65]].concat();
        let webp = [&b"RIFF\x52\0\0\0WEBPVP8L\x46\0\0\0"[..], &data].concat();
        let found = probe(&webp);
        assert_eq!((found.dimensions, found.damage), (Some(Dimensions { width, height }), None));
    }
}

#[test]
fn a_long_jpeg_header_is_read_to_its_end() {
    let whole = picture(ImageFormat::Jpeg);
    for segments in [2, 20] {
        let profile = [&[0xff, 0xe2, 0xff, 0xff][..], &vec![0; 0xfffd]].concat();
        let long = [&whole[..2], &profile.repeat(segments), &whole[2..]].concat();
        assert_eq!(probe(&long).dimensions, Some(Dimensions { width: 120, height: 80 }), "{segments}");
        assert_eq!(probe(&long).damage, None, "{segments}");
    }
}

#[test]
fn a_png_with_more_metadata_than_we_would_hold_is_still_measured() {
    let whole = picture(ImageFormat::Png);
    let mut text = b"tEXtComment\0".to_vec();
    text.resize(20 * 1024 * 1024, b'x');
    let length = u32::try_from(text.len() - 4).expect("small").to_be_bytes();
    let chunk = [&length[..], &text, &crc32fast::hash(&text).to_be_bytes()].concat();
    let long = [&whole[..33], &chunk, &whole[33..]].concat();
    let found = probe(&long);
    assert_eq!((found.dimensions, found.damage), (Some(Dimensions { width: 120, height: 80 }), None));
}

#[test]
fn what_is_no_picture_has_no_dimensions_and_no_damage() {
    for bytes in [&b"<html ><body>Not found"[..], b"PK\x03\x04 zip", b"plain", &film(*b"isom", &[*b"vide"]), &[]] {
        let found = probe(bytes);
        assert_eq!((found.dimensions, found.damage), (None, None), "{found:?}");
    }
}

/// A whole file of some format, to be mutated.
fn sample() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<_> = FORMATS
        .map(|(format, _)| picture(format))
        .into_iter()
        .chain([still(*b"heic", 9, 9), still(*b"avif", 9, 9), film(*b"isom", &[*b"vide", *b"soun"])])
        .collect();
    prop::sample::select(files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let found = probe(&bytes);
        prop_assert_eq!(found.clone(), probe(&bytes));
        prop_assert!(found.mime.is_some() || found.damage.is_none());
    }

    #[test]
    fn mutated_files_give_an_answer(
        mut bytes in sample(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        early in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let window = if early { bytes.len().min(200) } else { bytes.len() };
        for (at, value) in changes {
            bytes[at.index(window)] = value;
        }
        bytes.truncate(cut.index(bytes.len() * 2).max(1));
        let found = probe(&bytes);
        prop_assert!(found.dimensions.is_none_or(|size| size.pixels() > 0));
    }
}
