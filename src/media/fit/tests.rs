//! Pictures are drawn here, so that every pixel is known.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{
    DynamicImage, Frame, GrayImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Luma, LumaA, Rgb, RgbImage,
    Rgba, RgbaImage,
};

use super::profile::tests::profile;
use super::*;
use crate::facts::Dimensions;
use crate::ids::ContentHash;
use crate::media::structure::is_baseline_jpeg;
use crate::media::{judge, probe};

const MESSENGER: Platform = Platform::Messenger;
const INSTAGRAM: Platform = Platform::Instagram;

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

/// Noise compresses to nothing less than itself.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut random = fastrand::Rng::with_seed(3);
    RgbImage::from_fn(width, height, |_, _| Rgb([(); 3].map(|()| random.u8(..))))
}

fn smooth(width: u32, height: u32) -> RgbImage {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).expect("a shade");
    RgbImage::from_fn(width, height, |x, y| Rgb([shade(x, width), shade(y, height), 90]))
}

fn facts(bytes: &[u8]) -> Facts {
    let found = probe(bytes);
    Facts {
        hash: ContentHash([0; 32]),
        size_bytes: bytes.len() as u64,
        mime: found.mime.map(Into::into),
        dimensions: found.dimensions,
        damage: found.damage,
    }
}

fn copy(bytes: &[u8], platform: Platform) -> Result<FittedCopy, Problem> {
    let mime = probe(bytes).mime.expect("a type");
    make_copy(Bytes::copy_from_slice(bytes), mime, FitRules::of(platform), Deadline::usual())
}

#[track_caller]
fn pixels(copy: &FittedCopy) -> DynamicImage {
    image::load_from_memory(&copy.bytes).expect("the copy decodes")
}

#[track_caller]
fn assert_fits(copy: &FittedCopy, platform: Platform) {
    let name = format!("copy.{}", extension(copy.facts.mime.as_deref().expect("a type")));
    let verdict = judge(&copy.facts, Path::new(&name), platform);
    assert!(verdict.accepted(), "{:?}", verdict.problems);
    assert_eq!(facts(&copy.bytes).dimensions, copy.facts.dimensions);
}

/// What is to be done about a file of this type, size and name.
fn decided(mime: &str, size_bytes: u64, dimensions: (u32, u32), platform: Platform) -> Fit {
    let dimensions = Some(Dimensions { width: dimensions.0, height: dimensions.1 });
    let facts =
        Facts { hash: ContentHash([0; 32]), size_bytes, mime: Some(mime.to_owned().into()), dimensions, damage: None };
    let verdict = judge(&facts, Path::new("name without an extension"), platform);
    fit(&facts, &verdict, platform)
}

#[test]
fn what_the_platform_takes_is_left_as_it_is() {
    for mime in ["image/jpeg", "image/png", "image/gif"] {
        assert_eq!(decided(mime, 26_214_400, (8_500, 10_000), MESSENGER), Fit::AsItIs, "{mime}");
        assert_eq!(decided(mime, 8_388_608, (8_500, 10_000), INSTAGRAM), Fit::AsItIs, "{mime}");
    }
}

#[test]
fn what_is_no_image_is_none_of_our_business() {
    for mime in ["video/mp4", "application/pdf", "application/x-executable", "text/html"] {
        assert_eq!(decided(mime, 30_000_000, (1, 1), MESSENGER), Fit::AsItIs, "{mime}");
        assert_eq!(decided(mime, 1_000, (1, 1), INSTAGRAM), Fit::AsItIs, "{mime}");
    }
}

#[test]
fn what_is_over_a_limit_gets_a_copy() {
    for platform in [MESSENGER, INSTAGRAM] {
        let copied = Fit::Copy(FitRules::of(platform));
        assert_eq!(decided("image/jpeg", 26_214_401, (100, 100), platform), copied);
        assert_eq!(decided("image/png", 1_000, (8_500, 10_001), platform), copied);
    }
    assert_eq!(decided("image/png", 8_388_609, (100, 100), INSTAGRAM), Fit::Copy(FitRules::of(INSTAGRAM)));
    assert_eq!(decided("image/png", 8_388_609, (100, 100), MESSENGER), Fit::AsItIs);
}

#[test]
fn formats_meta_does_not_name_get_a_copy_where_they_can_be_decoded() {
    for platform in [MESSENGER, INSTAGRAM] {
        for mime in ["image/webp", "image/bmp", "image/tiff", "image/x-icon"] {
            assert_eq!(decided(mime, 1_000, (10, 10), platform), Fit::Copy(FitRules::of(platform)), "{mime}");
        }
        for mime in ["image/heic", "image/avif", "image/svg+xml", "image/vnd.adobe.photoshop"] {
            let Fit::LeftAlone(problem) = decided(mime, 1_000, (10, 10), platform) else { panic!("{mime}") };
            assert_eq!((problem.code, problem.severity), (ProblemCode::CannotFit, Severity::Warning), "{mime}");
            assert!(problem.message.contains(mime) && problem.hint.contains("JPEG or PNG"), "{problem:?}");
        }
    }
}

#[test]
fn a_header_that_promises_too_much_is_refused_unread() {
    let Fit::LeftAlone(problem) = decided("image/png", 1_000, (100_000, 100_000), MESSENGER) else { panic!() };
    assert_eq!(problem.code, ProblemCode::CannotFit);
    assert!(problem.message.contains("10,000,000,000"), "{}", problem.message);
}

#[test]
fn damaged_files_are_left_to_their_damage() {
    let whole = encoded(noise(40, 40), ImageFormat::WebP);
    let cut = facts(&whole[..whole.len() / 2]);
    let verdict = judge(&cut, Path::new("a.webp"), MESSENGER);
    assert_eq!(fit(&cut, &verdict, MESSENGER), Fit::AsItIs);
}

#[test]
fn rules_read_back_as_they_are_written() {
    for platform in [MESSENGER, INSTAGRAM] {
        let rules = FitRules::of(platform);
        assert_eq!(rules.to_string().parse::<FitRules>().expect("rules"), rules);
    }
    assert_eq!(FitRules::of(MESSENGER).to_string(), "fit1;messenger");
    assert!("fit0;messenger".parse::<FitRules>().is_err());
}

#[test]
fn every_format_that_can_be_decoded_becomes_png_or_jpeg() {
    let picture = smooth(60, 40);
    for (format, mime) in [
        (ImageFormat::Bmp, "image/png"),
        (ImageFormat::Tiff, "image/png"),
        (ImageFormat::Ico, "image/png"),
        (ImageFormat::WebP, "image/png"),
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
    ] {
        let drawn = DynamicImage::from(picture.clone());
        // An icon has an alpha channel, used or not.
        let drawn = if format == ImageFormat::Ico { drawn.into_rgba8().into() } else { drawn };
        let copy = copy(&encoded(drawn, format), MESSENGER).expect("a copy");
        assert_eq!(copy.facts.mime.as_deref(), Some(mime), "{format:?}");
        assert_eq!(copy.facts.dimensions, Some(Dimensions { width: 60, height: 40 }), "{format:?}");
        if mime == "image/png" {
            assert_eq!(pixels(&copy).into_rgb8(), picture, "{format:?}");
        }
        assert_fits(&copy, MESSENGER);
    }
}

/// A WebP of one red pixel, as encoders for photographs write it.
const LOSSY_WEBP: &[u8] = b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x02\0\x34\x25\xa4\0\x03\x70\0\xfe\xfb\xfd\x50\0";

#[test]
fn a_webp_made_for_photographs_becomes_a_jpeg() {
    let copy = copy(LOSSY_WEBP, MESSENGER).expect("a copy");
    assert_eq!(copy.recipe, "fit1;messenger;jpeg;q=90;1x1");
}

#[test]
fn the_same_bytes_by_the_same_rules_give_the_same_copy() {
    let bytes = encoded(noise(300, 200), ImageFormat::Tiff);
    let first = copy(&bytes, MESSENGER).expect("a copy");
    assert_eq!(copy(&bytes, MESSENGER).expect("a copy"), first);
    assert_eq!(first.recipe, "fit1;messenger;png;300x200");
}

/// A copy within limits that small pictures are beyond.
fn copy_within(bytes: &[u8], max_bytes: u64, max_pixels: u64) -> FittedCopy {
    let limits = CopyLimits { bytes: max_bytes, new_png_bytes: max_bytes / 2, pixels: max_pixels };
    let mime = probe(bytes).mime.expect("a type");
    let copy = copy::make(Bytes::copy_from_slice(bytes), mime, FitRules::of(MESSENGER), limits, Deadline::usual());
    let copy = copy.expect("a copy");
    let size = copy.facts.dimensions.expect("dimensions");
    assert!(copy.facts.size_bytes <= max_bytes && size.pixels() <= max_pixels, "{:?}", copy.facts);
    copy
}

fn size(copy: &FittedCopy) -> Dimensions {
    copy.facts.dimensions.expect("dimensions")
}

#[test]
fn a_picture_of_too_many_pixels_is_scaled_until_they_are_few_enough() {
    let copy = copy_within(&encoded(smooth(940, 910), ImageFormat::Png), 1_000_000, 85_000);
    let size = size(&copy);
    assert!(size.pixels() > 84_000, "{size:?}");
    assert_eq!(copy.recipe, format!("fit1;messenger;png;{}x{}", size.width, size.height));
    let corner = pixels(&copy).into_rgb8()[(size.width - 2, size.height - 2)];
    assert!(corner.0[0] > 248 && corner.0[1] > 248 && corner.0[2].abs_diff(90) < 4, "{corner:?}");
}

#[test]
fn an_opaque_png_too_large_even_when_smaller_becomes_a_jpeg() {
    let bytes = encoded(noise(260, 200), ImageFormat::Png);
    let copy = copy_within(&bytes, 75_000, 85_000);
    assert!(copy.recipe.starts_with("fit1;messenger;jpeg;q="), "{}", copy.recipe);
    assert_eq!(copy.facts.mime.as_deref(), Some("image/jpeg"));
}

#[test]
fn a_bitmap_becomes_a_jpeg_where_a_png_would_be_heavy() {
    let copy = copy_within(&encoded(noise(200, 200), ImageFormat::Bmp), 200_000, 85_000);
    assert_eq!(copy.recipe, "fit1;messenger;jpeg;q=90;200x200");
}

#[test]
fn a_transparent_png_too_large_stays_one_and_stays_transparent() {
    let noise = noise(170, 150);
    let image = RgbaImage::from_fn(170, 150, |x, y| {
        let Rgb([red, green, blue]) = noise[(x, y)];
        Rgba([red, green, blue, if x < 85 { 0 } else { 255 }])
    });
    let copy = copy_within(&encoded(image, ImageFormat::Png), 40_000, 85_000);
    let size = size(&copy);
    assert_eq!(copy.facts.mime.as_deref(), Some("image/png"));
    assert!(size.width < 170, "{size:?}");
    let smaller = pixels(&copy).into_rgba8();
    assert_eq!(smaller[(10, size.height / 2)].0[3], 0);
    assert_eq!(smaller[(size.width - 10, size.height / 2)].0[3], 255);
}

#[test]
fn what_is_hidden_by_transparency_does_not_bleed_into_what_is_seen() {
    let image =
        RgbaImage::from_fn(
            940,
            910,
            |x, _| {
                if (x / 50) % 2 == 0 { Rgba([255, 0, 0, 0]) } else { Rgba([0, 0, 255, 255]) }
            },
        );
    let copy = copy_within(&encoded(image, ImageFormat::Png), 1_000_000, 85_000);
    let smaller = pixels(&copy).into_rgba8();
    let seen: Vec<_> = smaller.pixels().filter(|pixel| pixel.0[3] > 128).collect();
    assert!(seen.len() > 30_000 && seen.iter().all(|pixel| pixel.0[0] < 8), "red shines through");
}

#[test]
fn a_jpeg_too_large_loses_quality_before_size() {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 100).encode_image(&noise(250, 200)).expect("encoded");
    let copy = copy_within(&bytes, bytes.len() as u64 / 2, 85_000);
    assert!(copy.recipe.starts_with("fit1;messenger;jpeg;q="), "{}", copy.recipe);
    assert!(copy.recipe.ends_with(";250x200"), "{}", copy.recipe);
    let copy = copy_within(&bytes, bytes.len() as u64 / 8, 85_000);
    assert!(size(&copy).width < 250, "{}", copy.recipe);
}

#[test]
fn what_metadata_hold_makes_no_jpeg_progressive() {
    let jpeg = encoded(smooth(64, 48), ImageFormat::Jpeg);
    assert!(is_baseline_jpeg(&jpeg));
    let jpeg = [&jpeg[..2], b"\xff\xe1\x00\x06\xff\xc2\xff\xda", &jpeg[2..]].concat();
    assert!(is_baseline_jpeg(&jpeg));
    assert_eq!(probe(&jpeg).dimensions, Some(Dimensions { width: 64, height: 48 }));
}

#[test]
fn an_alpha_channel_nothing_shines_through_is_no_transparency() {
    let opaque = |alpha| DynamicImage::from(RgbaImage::from_pixel(8, 8, Rgba([9, 9, 9, alpha])));
    let color = |image| pixels(&copy(&encoded(image, ImageFormat::Tiff), MESSENGER).expect("a copy")).color();
    assert!(!color(opaque(255)).has_alpha());
    assert!(color(opaque(254)).has_alpha());
    let grey = |alpha| DynamicImage::from(image::GrayAlphaImage::from_pixel(8, 8, LumaA([9, alpha])));
    assert!(!pixels(&copy(&encoded(grey(255), ImageFormat::Png), MESSENGER).expect("a copy")).color().has_alpha());
}

#[test]
fn sixteen_bits_a_channel_become_eight() {
    let deep = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(8, 8, Rgb([0xffff, 0x8080, 0]));
    let copy = copy(&encoded(DynamicImage::from(deep), ImageFormat::Tiff), MESSENGER).expect("a copy");
    assert_eq!(pixels(&copy).into_rgb8()[(0, 0)], Rgb([255, 128, 0]));
}

/// The four corners of a picture: red and green above, blue and white below.
const CORNERS: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];

fn cornered() -> RgbImage {
    RgbImage::from_fn(64, 32, |x, y| Rgb(CORNERS[usize::from(x >= 32) + 2 * usize::from(y >= 16)]))
}

/// An EXIF block with nothing in it but this orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [&b"MM\0*\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat()
}

/// What EXIF says of a picture, as the corner that is seen at the top left, the top right and the bottom left.
const ORIENTATIONS: [(u8, [usize; 4]); 8] = [
    (1, [0, 1, 2, 3]),
    (2, [1, 0, 3, 2]),
    (3, [3, 2, 1, 0]),
    (4, [2, 3, 0, 1]),
    (5, [0, 2, 1, 3]),
    (6, [2, 0, 3, 1]),
    (7, [3, 1, 2, 0]),
    (8, [1, 3, 0, 2]),
];

#[test]
fn a_copy_is_turned_as_exif_says_and_says_so_no_more() {
    for (orientation, corners) in ORIENTATIONS {
        let (mut jpeg, mut png) = (Vec::new(), Vec::new());
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
        encoder.set_exif_metadata(exif(orientation)).expect("EXIF");
        encoder.encode_image(&cornered()).expect("encoded");
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif(orientation)).expect("EXIF");
        encoder.write_image(&cornered(), 64, 32, image::ExtendedColorType::Rgb8).expect("encoded");
        for bytes in [jpeg, png] {
            let copy = copy(&bytes, MESSENGER).expect("a copy");
            let turned = orientation > 4;
            let (width, height) = if turned { (32, 64) } else { (64, 32) };
            assert_eq!(copy.facts.dimensions, Some(Dimensions { width, height }), "{orientation}");
            let pixels = pixels(&copy).into_rgb8();
            let seen = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)].map(|at| pixels[at]);
            for (place, (seen, corner)) in seen.into_iter().zip(corners).enumerate() {
                let off = seen.0.iter().zip(CORNERS[corner]).map(|(a, b)| a.abs_diff(b)).max();
                assert!(off < Some(12), "{orientation} at {place}: {seen:?}");
            }
            let mut reader = ImageReader::new(Cursor::new(&copy.bytes)).with_guessed_format().expect("a format");
            reader.no_limits();
            let mut decoder = reader.into_decoder().expect("a decoder");
            assert_eq!(decoder.exif_metadata().expect("read"), None, "{orientation}");
        }
    }
}

#[test]
fn a_vast_picture_is_turned_after_it_was_scaled() {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif(6)).expect("EXIF");
    let vast = GrayImage::from_fn(1_720, 500, |x, _| Luma([if x < 860 { 255 } else { 0 }]));
    encoder.write_image(&vast, 1_720, 500, image::ExtendedColorType::L8).expect("encoded");
    let copy = copy_within(&bytes, 1_000_000, 85_000);
    let size = size(&copy);
    assert!(size.height > 3 * size.width, "{size:?}");
    assert_eq!(copy.recipe, format!("fit1;messenger;png;{}x{}", size.width, size.height));
    let pixels = pixels(&copy).into_luma8();
    assert_eq!((pixels[(9, 9)].0, pixels[(9, size.height - 9)].0), ([255], [0]));
}

#[test]
fn a_colour_profile_is_kept_unless_everybody_assumes_it() {
    let with_profile = |name: &[u8]| {
        let (mut jpeg, mut png) = (Vec::new(), Vec::new());
        let mut encoder = JpegEncoder::new(&mut jpeg);
        encoder.set_icc_profile(profile(*b"RGB ", name)).expect("a profile");
        encoder.encode_image(&cornered()).expect("encoded");
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_icc_profile(profile(*b"RGB ", name)).expect("a profile");
        encoder.write_image(&cornered(), 64, 32, image::ExtendedColorType::Rgb8).expect("encoded");
        [jpeg, png]
    };
    let kept = |bytes: &[u8]| {
        let copy = copy(bytes, MESSENGER).expect("a copy");
        let reader = ImageReader::new(Cursor::new(&copy.bytes)).with_guessed_format().expect("a format");
        reader.into_decoder().expect("a decoder").icc_profile().expect("read")
    };
    for bytes in with_profile(b"Display P3") {
        assert_eq!(kept(&bytes), Some(profile(*b"RGB ", b"Display P3")));
    }
    for bytes in with_profile(b"sRGB IEC61966-2.1") {
        assert_eq!(kept(&bytes), None);
    }
}

#[test]
fn what_moves_is_left_alone() {
    let mut gif = Vec::new();
    let frame = |shade| Frame::new(RgbaImage::from_pixel(9, 9, Rgba([shade, 0, 0, 255])));
    GifEncoder::new(&mut gif).encode_frames([frame(1), frame(200)]).expect("encoded");
    let mut still = Vec::new();
    GifEncoder::new(&mut still).encode_frames([frame(1)]).expect("encoded");
    let png = encoded(smooth(9, 9), ImageFormat::Png);
    let control = [&b"\0\0\0\x08acTL\0\0\0\x02\0\0\0\0"[..], &[0; 4]].concat();
    let apng = [&png[..33], &control, &png[33..]].concat();
    let animation = b"VP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0ANIM\x06\0\0\0\0\0\0\0\0\0";
    let webp = [&b"RIFF\x28\0\0\0WEBP"[..], animation].concat();
    for (name, bytes) in [("gif", &gif), ("apng", &apng), ("webp", &webp)] {
        assert_eq!(copy(bytes, MESSENGER).expect_err(name).code, ProblemCode::Animated, "{name}");
    }
    assert_eq!(copy(&still, MESSENGER).expect("a copy").facts.mime.as_deref(), Some("image/png"));
}

/// A TIFF of grey pixels with one directory for each of `kinds`, which are its `NewSubfileType`s.
fn tiff(kinds: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x0c\0\0\0\x80\0\0\0".to_vec();
    for (page, kind) in kinds.iter().enumerate() {
        let entry = |tag: u16, kind: u16, value: u32| {
            [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let entries = [
            entry(254, 4, u32::from(*kind)),
            entry(256, 3, 1),
            entry(257, 3, 1),
            entry(258, 3, 8),
            entry(259, 3, 1),
            entry(262, 3, 1),
            entry(273, 4, 8),
            entry(278, 3, 1),
            entry(279, 4, 1),
        ];
        bytes.extend(9_u16.to_le_bytes());
        bytes.extend(entries.concat());
        let next = if page + 1 == kinds.len() { 0 } else { u32::try_from(bytes.len() + 4).expect("short") };
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

#[test]
fn a_document_of_several_pages_is_left_alone() {
    assert!(copy(&tiff(&[0]), MESSENGER).is_ok());
    assert!(copy(&tiff(&[0, 1, 4]), MESSENGER).is_ok(), "previews and masks are no pages");
    let problem = copy(&tiff(&[0, 0]), MESSENGER).expect_err("two pages");
    assert_eq!(problem.code, ProblemCode::CannotFit);
    assert!(problem.message.contains("several pages"), "{}", problem.message);
}

/// A PNG whose header says it is larger than it is.
fn bomb(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let mut bytes = encoded(smooth(9, 9), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes[24..26].copy_from_slice(&[depth, color]);
    let checksum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn a_bomb_costs_a_refusal_before_any_pixel_is_decoded() {
    for (bytes, word) in [
        (bomb(100_000, 100_000, 8, 2), "pixels"),
        (bomb(14_200, 14_000, 8, 2), "memory"),
        (bomb(12_000, 12_000, 16, 6), "memory"),
    ] {
        let before = peak_bytes();
        let problem = copy(&bytes, MESSENGER).expect_err("a bomb");
        assert_eq!(problem.code, ProblemCode::CannotFit);
        assert!(problem.message.contains(word), "{}", problem.message);
        // Other tests use memory at the same time; none of them half a gigabyte between these two lines.
        assert!(peak_bytes() < before + (400 << 20), "{word}");
    }
}

/// The most memory this process ever had, where the system says.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

#[test]
fn pixels_that_are_not_there_are_no_copy() {
    let problem = copy(&bomb(2_000, 2_000, 8, 2), MESSENGER).expect_err("its data ends early");
    assert_eq!(problem.code, ProblemCode::CannotFit);
}

#[test]
fn a_copy_that_takes_too_long_is_given_up() {
    let bytes = Bytes::from(encoded(noise(400, 400), ImageFormat::Bmp));
    let problem = make_copy(bytes, "image/bmp", FitRules::of(MESSENGER), Deadline::after(Duration::ZERO));
    assert!(problem.expect_err("no time").message.contains("too long"));
}

#[test]
fn mangled_pictures_give_a_copy_or_a_reason() {
    let formats = [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Jpeg, ImageFormat::Ico];
    let mut random = fastrand::Rng::with_seed(11);
    for format in formats {
        let whole = encoded(noise(30, 30), format);
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let Some(mime) = probe(&bytes).mime.filter(|mime| decodable(mime).is_some()) else { continue };
            match make_copy(bytes.into(), mime, FitRules::of(MESSENGER), Deadline::usual()) {
                Ok(copy) => assert_eq!(copy.facts.damage, None),
                Err(problem) => assert!(!problem.hint.is_empty()),
            }
        }
    }
}
