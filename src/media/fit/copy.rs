//! The making of a copy: decode, turn, scale, and encode until it fits.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use image::ImageFormat;

use super::picture::{Picture, broken};
use super::steps::{Original, Step, Steps, within};
use super::still::{Pictures, is_lossy_webp, pictures};
use super::{CopyLimits, FitRules, left_alone, no_decoder};
use crate::facts::Facts;
use crate::media::format::decodable;
use crate::media::hasher::ContentHasher;
use crate::media::probe::{Probe, probe};
use crate::media::problem::{Problem, ProblemCode};

/// The longest time a copy may take. The largest pictures take a tenth of it.
const LONGEST: Duration = Duration::from_mins(2);

/// When the making of a copy is given up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// As long from now as a copy may take.
    pub fn usual() -> Self {
        Self::after(LONGEST)
    }

    /// So long from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    pub(super) fn never() -> Self {
        Self(None)
    }

    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    pub(super) fn problem() -> Problem {
        left_alone("no copy that fits can be made: it takes too long", "export it as JPEG or PNG, and smaller")
    }

    fn check(self) -> Result<(), Problem> {
        if self.is_over() { Err(Self::problem()) } else { Ok(()) }
    }
}

/// A copy that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FittedCopy {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub facts: Facts,
    /// How it was made: the rules, the form and the size, such as `fit1;messenger;jpeg;q=85;4000x3000`.
    pub recipe: String,
}

/// A copy of the image in `bytes`, whose first bytes declare `mime`, that fits by `rules`. Takes seconds, and for the
/// largest pictures more than a gigabyte of memory: to be called once at a time, from where blocking is allowed.
///
/// # Errors
/// Why there can be none: it is animated, asks for too much memory or time, or cannot be decoded.
pub fn make_copy(bytes: Bytes, mime: &str, rules: FitRules, deadline: Deadline) -> Result<FittedCopy, Problem> {
    // Decoders meet bytes nobody has seen, and some panic at them.
    catch_unwind(AssertUnwindSafe(|| make(bytes, mime, rules, rules.limits(), deadline)))
        .unwrap_or_else(|_| Err(broken()))
}

pub(super) fn make(
    bytes: Bytes,
    mime: &str,
    rules: FitRules,
    limits: CopyLimits,
    deadline: Deadline,
) -> Result<FittedCopy, Problem> {
    let format = decodable(mime).ok_or_else(|| no_decoder(mime))?;
    one_picture(mime, &bytes)?;
    let original = match format {
        ImageFormat::Png => Original::Png,
        ImageFormat::Jpeg => Original::Lossy,
        ImageFormat::WebP if is_lossy_webp(&bytes) => Original::Lossy,
        _ => Original::Lossless,
    };
    let picture = Picture::decode(bytes, format, deadline)?.upright(|size| within(size, limits.pixels))?;
    let steps = Steps { size: picture.size(), transparent: picture.is_transparent(), original, limits };
    let mut step = steps.first();
    loop {
        deadline.check()?;
        let bytes = picture.encode(step.form, step.size)?;
        match steps.after(step, bytes.len() as u64) {
            Some(next) => step = next,
            None => return Ok(finished(bytes, step, rules)),
        }
    }
}

fn one_picture(mime: &str, bytes: &[u8]) -> Result<(), Problem> {
    match pictures(mime, bytes) {
        Pictures::One => Ok(()),
        Pictures::Animated => Err(Problem::warning(
            ProblemCode::Animated,
            "no copy that fits is made of it: it is animated, and would stand still",
            "make it smaller, or shorter, in the program it comes from",
        )),
        Pictures::Pages => Err(left_alone(
            "no copy that fits is made of it: it has several pages, and would keep one",
            "export each page as a picture of its own",
        )),
    }
}

fn finished(bytes: Vec<u8>, step: Step, rules: FitRules) -> FittedCopy {
    let Probe { mime, dimensions, damage } = probe(&bytes);
    let hash = ContentHasher::hash(&bytes);
    let facts = Facts { hash, size_bytes: bytes.len() as u64, mime: mime.map(Cow::Borrowed), dimensions, damage };
    let recipe = format!("{rules};{};{}x{}", step.form, step.size.width, step.size.height);
    FittedCopy { bytes, facts, recipe }
}
