//! Which copy to try first, and which after one that came out too large. Pure: sizes go in.

use std::fmt;

use super::CopyLimits;
use crate::facts::Dimensions;

/// The best and the poorest quality a JPEG is given, and the one it gets when it is made smaller.
const BEST: u8 = 90;
const POOREST: u8 = 75;
const WHEN_SMALLER: u8 = 80;

/// What is left of each side at least, before an opaque picture becomes a JPEG rather than a smaller PNG.
const SENSIBLE: f64 = 0.7;

/// The longest side a JPEG can have.
const MAX_JPEG_SIDE: u32 = 65_535;

/// What a copy is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Png,
    Jpeg { quality: u8 },
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Png => f.write_str("png"),
            Self::Jpeg { quality } => write!(f, "jpeg;q={quality}"),
        }
    }
}

/// One try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) form: Form,
    pub(super) size: Dimensions,
}

/// The picture to copy, and what the copy may come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// Its size, which is within the limits.
    pub(super) size: Dimensions,
    pub(super) transparent: bool,
    pub(super) original: Original,
    pub(super) limits: CopyLimits,
}

/// What the picture was encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Original {
    Png,
    /// Something else that keeps every pixel.
    Lossless,
    /// Something made for photographs.
    Lossy,
}

impl Steps {
    /// What to try first.
    pub(super) fn first(&self) -> Step {
        if self.original == Original::Lossy && !self.transparent {
            self.best_jpeg()
        } else {
            Step { form: Form::Png, size: self.size }
        }
    }

    /// What to try after a step that came to `size_bytes`; `None` where it fits.
    pub(super) fn after(&self, step: Step, size_bytes: u64) -> Option<Step> {
        let budget = self.budget(step.form);
        if size_bytes <= budget || step.size.pixels() == 1 {
            return None;
        }
        let (ratio, smaller) = shrunk(step.size, budget, size_bytes);
        Some(match step.form {
            Form::Png if self.transparent => Step { size: smaller, ..step },
            Form::Png if self.original == Original::Png && step.size == self.size && ratio >= SENSIBLE => {
                Step { size: smaller, ..step }
            }
            Form::Png => self.best_jpeg(),
            Form::Jpeg { quality } if quality > POOREST => {
                let far_off = size_bytes > budget / 2 * 3;
                Step { form: Form::Jpeg { quality: if far_off { POOREST } else { quality - 5 } }, ..step }
            }
            Form::Jpeg { .. } => Step { form: Form::Jpeg { quality: WHEN_SMALLER }, size: smaller },
        })
    }

    /// The most bytes of a copy of this form.
    pub(super) fn budget(&self, form: Form) -> u64 {
        match form {
            Form::Png if !self.transparent && self.original != Original::Png => self.limits.new_png_bytes,
            _ => self.limits.bytes,
        }
    }

    fn best_jpeg(&self) -> Step {
        let longest = self.size.width.max(self.size.height);
        let ratio = (f64::from(MAX_JPEG_SIDE) / f64::from(longest)).min(1.0);
        Step { form: Form::Jpeg { quality: BEST }, size: scaled(self.size, ratio) }
    }
}

/// The size, or the largest of its shape that has at most `max_pixels`.
pub(super) fn within(size: Dimensions, max_pixels: u64) -> Dimensions {
    if size.pixels() <= max_pixels {
        return size;
    }
    let smaller = scaled(size, ratio(max_pixels, size.pixels()));
    // A side of one pixel does not get shorter.
    let longest = |other: u32| u32::try_from(max_pixels / u64::from(other)).unwrap_or(u32::MAX);
    if smaller.width >= smaller.height {
        Dimensions { width: smaller.width.min(longest(smaller.height)), ..smaller }
    } else {
        Dimensions { height: smaller.height.min(longest(smaller.width)), ..smaller }
    }
}

/// How much smaller a picture should be so that `size_bytes` become a little less than `budget`; each side by a twentieth
/// at least.
fn shrunk(size: Dimensions, budget: u64, size_bytes: u64) -> (f64, Dimensions) {
    let ratio = ratio(budget, size_bytes) * 0.95;
    (ratio, scaled(size, ratio))
}

/// What becomes of a side when `from` becomes `to` by area.
#[expect(clippy::cast_precision_loss, reason = "the largest numbers here have 38 bits")]
fn ratio(to: u64, from: u64) -> f64 {
    (to as f64 / from as f64).sqrt()
}

fn scaled(size: Dimensions, ratio: f64) -> Dimensions {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ratio of at most one")]
    let shortened = |side: u32| ((f64::from(side) * ratio) as u32).max(1);
    Dimensions { width: shortened(size.width), height: shortened(size.height) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Dimensions = Dimensions { width: 4_000, height: 3_000 };

    fn steps(original: Original, transparent: bool) -> Steps {
        let limits = CopyLimits { bytes: 1_000_000, new_png_bytes: 500_000, pixels: PICTURE.pixels() };
        Steps { size: PICTURE, transparent, original, limits }
    }

    /// All that is tried while every copy comes to `size_of` it.
    fn tried(steps: &Steps, size_of: impl Fn(Step) -> u64) -> Vec<String> {
        let mut step = steps.first();
        let mut tried = Vec::new();
        loop {
            tried.push(format!("{} {}x{}", step.form, step.size.width, step.size.height));
            match steps.after(step, size_of(step)) {
                Some(next) => step = next,
                None => return tried,
            }
        }
    }

    #[test]
    fn what_fits_at_once_is_kept_at_its_best() {
        for (original, first) in [(Original::Png, "png"), (Original::Lossless, "png"), (Original::Lossy, "jpeg;q=90")] {
            assert_eq!(tried(&steps(original, false), |_| 500_000), [format!("{first} 4000x3000")]);
        }
        assert_eq!(tried(&steps(Original::Lossy, true), |_| 500_000), ["png 4000x3000"]);
    }

    #[test]
    fn a_png_stays_one_where_a_little_smaller_is_enough() {
        let by_area = |step: Step| step.size.pixels() / 10;
        assert_eq!(tried(&steps(Original::Png, false), by_area), ["png 4000x3000", "png 3468x2601"]);
    }

    #[test]
    fn an_opaque_picture_becomes_a_jpeg_rather_than_a_stamp() {
        let size = |step: Step| if step.form == Form::Png { 2_500_000 } else { 900_000 };
        assert_eq!(tried(&steps(Original::Png, false), size), ["png 4000x3000", "jpeg;q=90 4000x3000"]);
        let stubborn = |step: Step| if step.form == Form::Png { 1_100_000 } else { 900_000 };
        let tries = tried(&steps(Original::Png, false), stubborn);
        assert_eq!(tries, ["png 4000x3000", "png 3623x2717", "jpeg;q=90 4000x3000"]);
        let other = |step: Step| if step.form == Form::Png { 600_000 } else { 300_000 };
        assert_eq!(tried(&steps(Original::Lossless, false), other), ["png 4000x3000", "jpeg;q=90 4000x3000"]);
    }

    #[test]
    fn a_transparent_picture_stays_a_png_however_small() {
        let by_area = |step: Step| step.size.pixels();
        let tries = tried(&steps(Original::Png, true), by_area);
        assert_eq!(tries, ["png 4000x3000", "png 1096x822"]);
    }

    #[test]
    fn a_jpeg_loses_quality_first_and_size_then() {
        let a_little_too_much = |step: Step| if step.size == PICTURE { 1_010_000 } else { 1 };
        let tries = tried(&steps(Original::Lossy, false), a_little_too_much);
        assert_eq!(
            tries,
            [
                "jpeg;q=90 4000x3000",
                "jpeg;q=85 4000x3000",
                "jpeg;q=80 4000x3000",
                "jpeg;q=75 4000x3000",
                "jpeg;q=80 3781x2835"
            ]
        );
        let far_off = tried(&steps(Original::Lossy, false), |step| step.size.pixels() / 3);
        assert_eq!(far_off[..3], ["jpeg;q=90 4000x3000", "jpeg;q=75 4000x3000", "jpeg;q=80 1900x1425"]);
    }

    #[test]
    fn trying_comes_to_an_end_whatever_the_sizes() {
        for (original, transparent) in [(Original::Png, true), (Original::Png, false), (Original::Lossy, false)] {
            let tries = tried(&steps(original, transparent), |_| 1_050_000);
            assert!(tries.len() < 500, "{}", tries.len());
            assert!(tries.last().is_some_and(|last| last.ends_with(" 1x1")), "{tries:?}");
        }
    }

    #[test]
    fn a_size_within_the_limit_is_the_largest_of_its_shape() {
        let within = |width, height| {
            let Dimensions { width, height } = super::within(Dimensions { width, height }, 85_000_000);
            (width, height)
        };
        assert_eq!(within(8_500, 10_000), (8_500, 10_000));
        assert_eq!(within(10_000, 9_000), (9_718, 8_746));
        assert_eq!(within(190_000_000, 1), (85_000_000, 1));
        assert_eq!(within(1, 190_000_000), (1, 85_000_000));
    }

    #[test]
    fn no_jpeg_is_longer_than_a_jpeg_can_be() {
        let long = Steps { size: Dimensions { width: 131_070, height: 600 }, ..steps(Original::Lossy, false) };
        assert_eq!(long.first().size, Dimensions { width: 65_535, height: 300 });
    }
}
