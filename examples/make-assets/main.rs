//! Makes the sample library: `cargo run --example make-assets [FOLDER]` writes every file, by default into
//! `assets-example`.
//!
//! All of it is drawn, played or written here, from nothing: no other tool, no network, no clock and no chance, so that
//! every run gives the same bytes (a test compares them with the folder in the repository).

mod bits;
mod canvas;
mod h264;
mod lettering;
mod mp3;
mod mp4;
mod pdf;
mod pictures;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{Delay, DynamicImage, Frame, RgbImage};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("assets-example"), PathBuf::from);
    for (name, bytes) in library()? {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Every file's name and bytes.
fn library() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let hero = png(&pictures::hero())?;
    Ok(vec![
        ("banners/hero.png", hero.clone()),
        ("banners/spring-sale.jpg", jpeg(&pictures::card())?),
        ("banners/billboard.png", billboard()?),
        ("products/season cover.png", hero),
        ("products/spring tulips 🌷.jpg", jpeg(&pictures::tulips())?),
        ("products/teapot.jpg", jpeg(&pictures::teapot())?),
        ("products/mug.webp", webp(&pictures::mug())?),
        ("products/potted-plant.jpg", png(&pictures::plant())?), // Named wrongly on purpose.
        ("clips/blooming.gif", gif((0..24_u8).map(|frame| pictures::blooming(f32::from(frame) / 23.0)))?),
        ("clips/sunrise.mp4", mp4::sunrise()),
        ("clips/chime.mp3", mp3::chime()),
        ("docs/price-list.pdf", pdf::price_list()),
    ])
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 88))?;
    Ok(bytes)
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new_with_quality(
        &mut bytes,
        CompressionType::Best,
        FilterType::Adaptive,
    ))?;
    Ok(bytes)
}

fn webp(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?;
    Ok(bytes)
}

/// An animation that plays for ever, its last picture held.
fn gif(pictures: impl ExactSizeIterator<Item = RgbImage>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite)?;
    let last = pictures.len() - 1;
    for (number, picture) in pictures.enumerate() {
        let delay = Delay::from_numer_denom_ms(if number == last { 1500 } else { 80 }, 1);
        encoder.encode_frame(Frame::from_parts(DynamicImage::from(picture).into_rgba8(), 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

/// Ninety megapixels in a few kilobytes: two stripes, all rows the same.
fn billboard() -> Result<Vec<u8>> {
    const WIDTH: u32 = 10_000;
    const HEIGHT: u32 = 9_000;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette([0xFF, 0x6B, 0x6B, 0xFF, 0xC9, 0x4D].as_slice());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Up);
    let mut writer = encoder.write_header()?;
    let half = WIDTH as usize / 16;
    let row = [vec![0x00; half], vec![0xFF; half]].concat();
    writer.write_image_data(&row.repeat(HEIGHT as usize))?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_library_in_the_repository_is_what_this_makes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets-example");
        let mut total = 0;
        for (name, bytes) in super::library().unwrap() {
            assert!(
                fs::read(folder.join(name)).unwrap() == bytes,
                "{name} differs: run `cargo run --example make-assets`"
            );
            total += bytes.len();
        }
        assert!(total < 3_000_000, "{total} bytes are too many for a sample");
    }
}
