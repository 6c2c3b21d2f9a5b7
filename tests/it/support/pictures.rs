//! Small real files, each different for each number.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture of 24 × 16 pixels, unlike that of every other number.
pub(crate) fn picture(number: u32, format: ImageFormat) -> Vec<u8> {
    let [_, red, green, blue] = number.to_be_bytes();
    let image = RgbImage::from_fn(24, 16, |x, _| Rgb([red, green.wrapping_add((x % 2) as u8), blue]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut bytes, format).expect("the format can be written");
    bytes.into_inner()
}

/// A PNG, unlike that of every other number.
pub(crate) fn png(number: u32) -> Vec<u8> {
    picture(number, ImageFormat::Png)
}
