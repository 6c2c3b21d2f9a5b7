//! Bytes → what they are: media type, dimensions, and damage that shows without decoding.
//!
//! Nothing is decoded and nothing but the bytes is looked at. Total: any bytes give an answer, in microseconds.

use std::io::Cursor;

use image::{ImageError, ImageFormat, ImageReader, Limits};

use super::format::decodable;
use super::sniff::sniff;
use super::structure::is_cut_short;
use crate::facts::{Damage, Dimensions};

/// What bytes say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The media type the first bytes declare; `None` when they declare none.
    pub mime: Option<&'static str>,
    /// Width and height in pixels, where the bytes are an image whose header could be read.
    pub dimensions: Option<Dimensions>,
    /// What is wrong with the bytes, if it shows in their structure.
    pub damage: Option<Damage>,
}

/// Reads what `bytes`, one whole file, say of themselves.
pub fn probe(bytes: &[u8]) -> Probe {
    let Some(mime) = sniff(bytes) else {
        return Probe { mime: None, dimensions: None, damage: None };
    };
    let measured = measure(mime, bytes);
    let damage = if is_cut_short(mime, bytes) {
        Some(Damage::Truncated)
    } else if matches!(measured, Measured::Unreadable) {
        Some(Damage::BadHeader)
    } else {
        None
    };
    let dimensions = if let Measured::Image(dimensions) = measured { Some(dimensions) } else { None };
    Probe { mime: Some(mime), dimensions, damage }
}

/// What came of looking for width and height.
enum Measured {
    Image(Dimensions),
    /// It says it is an image, but its header cannot be read.
    Unreadable,
    /// It is no image, or of a format nobody here can measure.
    NotAnImage,
}

fn measure(mime: &str, bytes: &[u8]) -> Measured {
    let format = match mime {
        "image/heic" | "image/avif" => return measure_with_imagesize(bytes),
        // It holds several pictures, each of its own size.
        "image/x-icon" => return Measured::NotAnImage,
        mime => match decodable(mime) {
            Some(format) => format,
            None => return Measured::NotAnImage,
        },
    };
    match header_dimensions(format, bytes) {
        // To `image`, a WebP that is 16,384 pixels long is not long at all.
        Ok((0, _) | (_, 0)) if format == ImageFormat::WebP => measure_with_imagesize(bytes),
        Ok((width, height)) => Measured::of(width, height),
        // The header is in order, but holds more, or something rarer, than `image` would decode.
        Err(ImageError::Limits(_) | ImageError::Unsupported(_)) => measure_with_imagesize(bytes),
        // A preview or a profile may push a JPEG's frame header out of what `image` was given.
        Err(_) if format == ImageFormat::Jpeg && bytes.len() > 1024 * 1024 => measure_whole(bytes),
        // To `image`, a BMP with a side over 65,535 pixels is broken.
        Err(_) if format == ImageFormat::Bmp => measure_with_imagesize(bytes),
        Err(_) => Measured::Unreadable,
    }
}

impl Measured {
    fn of(width: u32, height: u32) -> Self {
        if width == 0 || height == 0 { Self::Unreadable } else { Self::Image(Dimensions { width, height }) }
    }
}

fn header_dimensions(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), ImageError> {
    // `image` copies all it is given of a JPEG, so it is never given much; most headers are short.
    let prefixes: &[usize] = if format == ImageFormat::Jpeg { &[64 * 1024, 1024 * 1024] } else { &[usize::MAX] };
    let mut result = Err(ImageError::IoError(std::io::ErrorKind::UnexpectedEof.into()));
    for prefix in prefixes {
        let window = &bytes[..bytes.len().min(*prefix)];
        let mut reader = ImageReader::with_format(Cursor::new(window), format);
        reader.limits(header_limits());
        result = reader.into_dimensions();
        if result.is_ok() || window.len() == bytes.len() {
            break;
        }
    }
    result
}

/// Enough for any colour profile, and nothing near an image.
fn header_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(16 * 1024 * 1024);
    limits
}

/// The boxes or chunks that name the dimensions stand in front of the picture.
fn measure_with_imagesize(bytes: &[u8]) -> Measured {
    measure_whole(&bytes[..bytes.len().min(1024 * 1024)])
}

fn measure_whole(bytes: &[u8]) -> Measured {
    match imagesize::blob_size(bytes) {
        Ok(size) => match (size.width.try_into(), size.height.try_into()) {
            (Ok(width), Ok(height)) => Measured::of(width, height),
            _ => Measured::Unreadable,
        },
        Err(_) => Measured::Unreadable,
    }
}

#[cfg(test)]
mod tests;
