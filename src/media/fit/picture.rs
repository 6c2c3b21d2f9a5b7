//! Bytes → pixels, and pixels to fewer of them: everything `image` and `fast_image_resize` are needed for.
//!
//! Nothing is decoded before its header has said how much memory that takes. Pixels have eight bits a channel from here on.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, GrayAlphaImage, GrayImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader, Limits, RgbImage, RgbaImage,
};

use super::copy::Deadline;
use super::profile::worth_keeping;
use super::steps::Form;
use super::{MAX_SOURCE_PIXELS, left_alone, too_many_pixels};
use crate::facts::Dimensions;
use crate::media::limits::grouped;
use crate::media::problem::Problem;
use crate::media::structure::is_baseline_jpeg;

/// The most memory the pixels of one picture may take: an RGB picture of 178 megapixels.
const MAX_PIXEL_BYTES: u64 = 512 << 20;

/// The most memory a decoder may need for them and for itself.
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// A picture as it is to be seen, once it is turned.
pub(super) struct Picture {
    image: DynamicImage,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
}

impl Picture {
    /// The picture in `bytes`.
    ///
    /// # Errors
    /// Why it cannot be had: it asks for too much memory or time, or its bytes make no sense.
    pub(super) fn decode(bytes: Bytes, format: ImageFormat, deadline: Deadline) -> Result<Self, Problem> {
        let effort = effort(format, &bytes);
        let mut reader = ImageReader::with_format(Timed { bytes: Cursor::new(bytes), deadline }, format);
        reader.limits(limits());
        let problem = |error: ImageError| why(&error, deadline);
        let mut decoder = reader.into_decoder().map_err(problem)?;
        affordable(&decoder, effort)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let profile = decoder.icc_profile().ok().flatten();
        let image = in_eight_bits(DynamicImage::from_decoder(decoder).map_err(problem)?);
        let profile = profile.and_then(|profile| worth_keeping(profile, !image.color().has_color()));
        Ok(Self { image, orientation, profile })
    }

    /// Its width and height as stored, before it is turned.
    fn stored_size(&self) -> Dimensions {
        Dimensions { width: self.image.width(), height: self.image.height() }
    }

    /// The same, turned as it is to be seen, and no larger than `within` makes its stored size.
    pub(super) fn upright(mut self, within: impl Fn(Dimensions) -> Dimensions) -> Result<Self, Problem> {
        let size = within(self.stored_size());
        if size != self.stored_size() {
            // Smaller first: turning takes as much memory again.
            self.image = resized(&self.image, size)?;
        }
        self.image.apply_orientation(self.orientation);
        Ok(Self { orientation: Orientation::NoTransforms, ..self })
    }

    /// Width and height, of an upright picture.
    pub(super) fn size(&self) -> Dimensions {
        self.stored_size()
    }

    /// Whether anything shines through it.
    pub(super) fn is_transparent(&self) -> bool {
        self.image.color().has_alpha()
    }

    /// The bytes of a file that shows it at this size.
    pub(super) fn encode(&self, form: Form, size: Dimensions) -> Result<Vec<u8>, Problem> {
        let smaller = (size != self.size()).then(|| resized(&self.image, size)).transpose()?;
        let image = smaller.as_ref().unwrap_or(&self.image);
        let mut bytes = Vec::new();
        let written = match form {
            Form::Png => self.write(PngEncoder::new(&mut bytes), image),
            Form::Jpeg { quality } => self.write(JpegEncoder::new_with_quality(&mut bytes, quality), image),
        };
        written.map_err(|error| why(&error, Deadline::never()))?;
        Ok(bytes)
    }

    fn write(&self, mut encoder: impl ImageEncoder, image: &DynamicImage) -> Result<(), ImageError> {
        if let Some(profile) = &self.profile {
            encoder.set_icc_profile(profile.clone()).map_err(ImageError::Unsupported)?;
        }
        encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXEL_BYTES);
    limits
}

/// How many times the memory of its pixels a decoder takes.
fn effort(format: ImageFormat, bytes: &[u8]) -> u64 {
    match format {
        // Of a progressive one, all coefficients at once, two bytes each, until the last scan is read.
        ImageFormat::Jpeg if !is_baseline_jpeg(bytes) => 3,
        ImageFormat::Tiff => 2,
        _ => 1,
    }
}

/// Refuses a picture whose header asks for too much. `image` itself does not, once a decoder is taken from its reader.
fn affordable(decoder: &impl ImageDecoder, effort: u64) -> Result<(), Problem> {
    let (width, height) = decoder.dimensions();
    let pixels = Dimensions { width, height }.pixels();
    if pixels > MAX_SOURCE_PIXELS {
        return Err(too_many_pixels(pixels));
    }
    let bytes = decoder.total_bytes();
    if bytes > MAX_PIXEL_BYTES || bytes.saturating_mul(effort) > MAX_DECODER_BYTES {
        return Err(too_much_memory());
    }
    Ok(())
}

/// The same pixels with eight bits a channel, and without an alpha channel nothing shines through.
fn in_eight_bits(image: DynamicImage) -> DynamicImage {
    let image = match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        ColorType::L16 => image.into_luma8().into(),
        ColorType::La16 => image.into_luma_alpha8().into(),
        ColorType::Rgba16 | ColorType::Rgba32F => image.into_rgba8().into(),
        _ => image.into_rgb8().into(),
    };
    let opaque = |bytes: &[u8], channels| bytes.chunks_exact(channels).all(|pixel| pixel[channels - 1] == 0xff);
    match image.color() {
        ColorType::La8 if opaque(image.as_bytes(), 2) => image.into_luma8().into(),
        ColorType::Rgba8 if opaque(image.as_bytes(), 4) => image.into_rgb8().into(),
        _ => image,
    }
}

/// The picture at another size, each pixel weighed by what shines through it.
fn resized(image: &DynamicImage, size: Dimensions) -> Result<DynamicImage, Problem> {
    let pixels = match image.color() {
        ColorType::L8 => PixelType::U8,
        ColorType::La8 => PixelType::U8x2,
        ColorType::Rgb8 => PixelType::U8x3,
        _ => PixelType::U8x4,
    };
    let Dimensions { width, height } = size;
    let mut smaller = Image::new(width, height, pixels);
    let source = ImageRef::new(image.width(), image.height(), image.as_bytes(), pixels).map_err(|_| broken())?;
    let lanczos = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut smaller, &lanczos).map_err(|_| broken())?;
    let buffer = smaller.into_vec();
    let smaller = match pixels {
        PixelType::U8 => GrayImage::from_raw(width, height, buffer).map(DynamicImage::from),
        PixelType::U8x2 => GrayAlphaImage::from_raw(width, height, buffer).map(DynamicImage::from),
        PixelType::U8x3 => RgbImage::from_raw(width, height, buffer).map(DynamicImage::from),
        _ => RgbaImage::from_raw(width, height, buffer).map(DynamicImage::from),
    };
    smaller.ok_or_else(broken)
}

/// What a decoder's refusal means. Its own words may quote the file, and go to the log alone.
fn why(error: &ImageError, deadline: Deadline) -> Problem {
    tracing::debug!(%error, "a picture cannot be decoded");
    match error {
        _ if deadline.is_over() => Deadline::problem(),
        ImageError::Limits(_) => too_much_memory(),
        ImageError::Unsupported(_) => left_alone(
            "no copy that fits can be made: it is of a rare kind that cannot be decoded here",
            "export it as JPEG or PNG",
        ),
        _ => broken(),
    }
}

pub(super) fn broken() -> Problem {
    left_alone(
        "no copy that fits can be made: its pixels cannot be decoded",
        "open it in another program, and export it",
    )
}

fn too_much_memory() -> Problem {
    left_alone(
        format!("no copy that fits can be made: decoding it takes over {} bytes of memory", grouped(MAX_PIXEL_BYTES)),
        "scale it down in the program it comes from",
    )
}

/// Bytes that cannot be read any more once the time is over: most decoders read as they go.
struct Timed {
    bytes: Cursor<Bytes>,
    deadline: Deadline,
}

impl Timed {
    fn in_time(&self) -> io::Result<()> {
        if self.deadline.is_over() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time()?;
        self.bytes.read(buffer)
    }
}

impl BufRead for Timed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.in_time()?;
        self.bytes.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for Timed {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(position)
    }
}
