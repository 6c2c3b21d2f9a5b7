//! A copy that fits: what becomes of an image the platform would refuse, or whose format Meta does not name.
//!
//! [`fit`] says from facts alone whether a copy is wanted; [`make_copy`] makes it from the bytes. The same bytes by the
//! same [`FitRules`] give the same copy, byte for byte. A copy has the pixels as they are meant to be seen (turned as EXIF
//! says), the colour profile unless it is sRGB, and nothing else of the original: no EXIF, no place where it was taken.
//! Nothing here reads files or remembers.

mod copy;
mod picture;
mod profile;
mod steps;
mod still;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::format::decodable;
use super::limits::{MAX_IMAGE_BYTES, MAX_PIXELS, NEAR_LIMIT_BYTES, Verdict, grouped, mime_by_name};
use super::problem::{Problem, ProblemCode, Severity};
use crate::facts::{Damage, Dimensions, Facts};
use crate::ids::{MediaKind, Platform};

pub use copy::{Deadline, FittedCopy, make_copy};

/// The most bytes of an image that a copy is made of.
pub const MAX_SOURCE_BYTES: u64 = 200_000_000;

/// The most pixels of an image that a copy is made of.
pub const MAX_SOURCE_PIXELS: u64 = 200_000_000;

/// By which rules copies are made. Written `fit1;messenger`: the number changes when the same source would become
/// another copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FitRules {
    platform: Platform,
}

impl FitRules {
    /// The rules for copies that `platform` takes.
    pub fn of(platform: Platform) -> Self {
        Self { platform }
    }

    fn limits(self) -> CopyLimits {
        let bytes = match self.platform {
            Platform::Messenger => NEAR_LIMIT_BYTES,
            Platform::Instagram => COMFORTABLE_BYTES,
        };
        CopyLimits { bytes, new_png_bytes: COMFORTABLE_BYTES, pixels: MAX_PIXELS }
    }
}

/// What a copy may come to.
#[derive(Debug, Clone, Copy)]
struct CopyLimits {
    /// The most bytes: what is sure to be taken, whatever Meta means by MB.
    bytes: u64,
    /// The most bytes of a PNG of an opaque picture that was none before: beyond, a JPEG says it in fewer.
    new_png_bytes: u64,
    /// The most pixels.
    pixels: u64,
}

/// What Meta documents for images, taken as the smaller of what MB may mean.
const COMFORTABLE_BYTES: u64 = 8_000_000;
const _: () = assert!(COMFORTABLE_BYTES <= MAX_IMAGE_BYTES);

impl fmt::Display for FitRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fit1;{}", self.platform)
    }
}

/// Rules that are none, or no longer those of this program.
#[derive(Debug, thiserror::Error)]
#[error("copies are not made by the rules {0:?} here")]
pub struct UnknownRules(String);

impl FromStr for FitRules {
    type Err = UnknownRules;

    fn from_str(text: &str) -> Result<Self, UnknownRules> {
        let rules = Platform::ALL.map(Self::of).into_iter().find(|rules| rules.to_string() == text);
        rules.ok_or_else(|| UnknownRules(text.to_owned()))
    }
}

/// What to do about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// Nothing: it fits, or what stands against it no copy would mend.
    AsItIs,
    /// A copy goes in its place, as far as its header tells.
    Copy(FitRules),
    /// It would need a copy, and none can be made: why.
    LeftAlone(Problem),
}

/// What to do about a file with these facts and this verdict. Files that are no images are none of our business.
pub fn fit(facts: &Facts, verdict: &Verdict, platform: Platform) -> Fit {
    let beyond_mending = verdict.problems.iter().any(|problem| problem.severity == Severity::Error && !mends(problem));
    if verdict.kind != MediaKind::Image || beyond_mending || !verdict.problems.iter().any(mends) {
        return Fit::AsItIs;
    }
    if matches!(facts.damage, Some(Damage::BadHeader | Damage::Truncated)) {
        return Fit::AsItIs;
    }
    if facts.mime.as_deref().and_then(decodable).is_none() {
        return Fit::LeftAlone(no_decoder(&verdict.mime));
    }
    match facts.dimensions.map(Dimensions::pixels) {
        Some(pixels) if pixels > MAX_SOURCE_PIXELS => Fit::LeftAlone(too_many_pixels(pixels)),
        _ => Fit::Copy(FitRules::of(platform)),
    }
}

/// Whether a file of this name may be an image that is read only to make a copy of it.
pub fn may_be_image(name: &std::path::Path) -> bool {
    mime_by_name(name).is_some_and(|mime| mime.starts_with("image/"))
}

/// Why there is no copy of the file of this name, which was refused unread for `problem`; `None` where no copy was to be
/// made of it, or its size is not what is wrong.
pub fn too_large_to_copy(name: &std::path::Path, problem: &Problem) -> Option<Problem> {
    let is_wanted = problem.code == ProblemCode::TooLarge && may_be_image(name);
    is_wanted.then(|| {
        let most = grouped(MAX_SOURCE_BYTES);
        let message = format!("no copy that fits can be made: at most {most} bytes are read to make one");
        left_alone(message, "scale it down in the program it comes from")
    })
}

/// The extension of a file of this type.
pub fn extension(mime: &str) -> &'static str {
    if mime == "image/jpeg" { "jpg" } else { "png" }
}

/// Whether a copy can mend it.
fn mends(problem: &Problem) -> bool {
    matches!(problem.code, ProblemCode::TooLarge | ProblemCode::TooManyPixels | ProblemCode::UnsupportedFormat)
}

// A file these stand against is refused for what is wrong with it, or goes as it is: so they are warnings.

fn left_alone(message: impl Into<String>, hint: &str) -> Problem {
    Problem::warning(ProblemCode::CannotFit, message, hint)
}

fn no_decoder(mime: &str) -> Problem {
    left_alone(format!("no copy that fits can be made: {mime} cannot be decoded here"), "export it as JPEG or PNG")
}

fn too_many_pixels(pixels: u64) -> Problem {
    let most = grouped(MAX_SOURCE_PIXELS);
    let message = format!("no copy that fits can be made: of {} pixels, at most {most} are decoded", grouped(pixels));
    left_alone(message, "scale it down in the program it comes from")
}
