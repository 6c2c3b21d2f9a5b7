//! A small picture of a picture.
//!
//! Decoders meet bytes here that anybody may have made, and some of them take more memory or time than their header lets
//! on, or panic. So this belongs into a process of its own, under limits the system keeps: see `service::thumbnails`.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::format::decodable;
use super::limits::grouped;

/// The longer side of a thumbnail, in pixels.
pub const EDGE: u32 = 320;

/// The most bytes of a thumbnail: more than twice what its pixels take unpacked.
pub(crate) const MOST_BYTES: u64 = 1 << 20;

/// The most pixels of a picture one is made of.
const MAX_PIXELS: u64 = 50_000_000;
/// The longest side of such a picture.
const MAX_SIDE: u32 = 16_384;
/// The most memory a decoder may ask for.
const MAX_ALLOC: u64 = 256 << 20;
/// How good the JPEG is, of 100.
const QUALITY: u8 = 82;

/// Whether there may be a thumbnail of what is of this type.
pub(crate) fn may_be_made_of(mime: &str) -> bool {
    decodable(mime).is_some()
}

/// The thumbnail of the picture in `bytes`, no larger than [`EDGE`] × [`EDGE`], turned as EXIF says: a JPEG, or a PNG where
/// something shines through. Of an animation it is the first frame.
///
/// # Errors
/// When the bytes are no picture, or one that asks for too much.
pub fn thumbnail(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::Limits(image::error::LimitError::from_kind(
            image::error::LimitErrorKind::DimensionError,
        )));
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder)?;
    // Smaller first: turning takes as much memory again.
    let mut small = if width.max(height) > EDGE { picture.thumbnail(EDGE, EDGE) } else { picture };
    small.apply_orientation(orientation);
    let mut encoded = Vec::new();
    if small.color().has_alpha() && shines_through(&small) {
        small.to_rgba8().write_with_encoder(PngEncoder::new(&mut encoded))?;
    } else {
        small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut encoded, QUALITY))?;
    }
    Ok(encoded)
}

/// Why there is no thumbnail, for people.
pub(crate) fn why_none(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!(
            "the picture asks for more than a thumbnail is made of: {} pixels a side, {} in all, {} MiB of memory",
            grouped(MAX_SIDE.into()),
            grouped(MAX_PIXELS),
            MAX_ALLOC >> 20
        ),
        ImageError::Unsupported(_) => format!("it is no picture a thumbnail is made of: {error}"),
        _ => format!("the picture cannot be decoded: {error}"),
    }
}

/// The media type of a thumbnail.
pub fn thumbnail_mime(bytes: &[u8]) -> &'static str {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => "image/png",
        _ => "image/jpeg",
    }
}

fn shines_through(picture: &DynamicImage) -> bool {
    picture.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    }

    #[test]
    fn a_thumbnail_is_small_and_keeps_the_shape() {
        let picture: DynamicImage = RgbImage::from_pixel(1_200, 600, Rgb([200, 30, 30])).into();
        let small = thumbnail(&encoded(&picture, ImageFormat::Png)).expect("a thumbnail");
        assert_eq!(thumbnail_mime(&small), "image/jpeg");
        let small = image::load_from_memory(&small).expect("a picture");
        assert_eq!((small.width(), small.height()), (320, 160));
    }

    #[test]
    fn what_shines_through_still_does() {
        let picture: DynamicImage = RgbaImage::from_pixel(10, 20, Rgba([0, 0, 255, 60])).into();
        let small = thumbnail(&encoded(&picture, ImageFormat::Png)).expect("a thumbnail");
        assert_eq!(thumbnail_mime(&small), "image/png");
        let small = image::load_from_memory(&small).expect("a picture").to_rgba8();
        assert_eq!((small.dimensions(), small.get_pixel(3, 3).0[3]), ((10, 20), 60));
    }

    #[test]
    fn what_is_none_or_too_large_is_refused() {
        assert!(thumbnail(b"<svg onload=alert(1)>").is_err());
        assert!(thumbnail(b"").is_err());
        let long: DynamicImage = RgbImage::new(MAX_SIDE + 1, 1).into();
        let refused = thumbnail(&encoded(&long, ImageFormat::Png)).expect_err("too long");
        assert!(why_none(&refused).contains("16,384 pixels a side"), "{refused}");
    }
}
