//! The platform's limits, and the verdict on a file: what it is sent as, and what stands against that.
//!
//! The only place that knows them. Pure: facts, a name and a platform go in. Says nothing about what was read.

use std::borrow::Cow;
use std::path::Path;

use super::problem::{Problem, ProblemCode, Severity};
use super::sniff::canonical;
use crate::facts::{Damage, Facts};
use crate::ids::{MediaKind, Platform};

/// The most bytes of any attachment, on both platforms: 25 MB, taken as MiB because Meta does not say which.
///
/// Source: Meta, "Saving Assets" (updated 2026-04-22) and "Attachment Upload API" (v25.0), read 2026-09.
pub const MAX_BYTES: u64 = 26_214_400;

/// From here on an attachment may be refused: the limit applies "after encoding", which Meta does anew.
///
/// Source: Meta, "Saving Assets" (updated 2026-04-22), read 2026-09; the margin is ours.
pub const NEAR_LIMIT_BYTES: u64 = 24_000_000;

/// The most bytes of an image: a limit on Instagram, and on Messenger for images fetched from a URL.
///
/// Source: Meta, Instagram "Attachment Upload" (2026-06-30) and Messenger "Saving Assets" (2026-04-22), read 2026-09.
pub const MAX_IMAGE_BYTES: u64 = 8_388_608;

/// The most pixels of an image.
///
/// Source: Meta, "Send Messages" (v10.0 guide), not contradicted since, read 2026-09.
pub const MAX_PIXELS: u64 = 85_000_000;

/// Image formats Meta names, on both platforms.
///
/// Source: Meta, Instagram "Attachment Upload" (2026-06-30), read 2026-09; Messenger publishes no list of its own.
const IMAGE_FORMATS: &[&str] = &["image/jpeg", "image/png", "image/gif"];

/// Image formats Meta does not name, but which Messenger may take: sent with a warning.
const UNDOCUMENTED_IMAGE_FORMATS: &[&str] = &["image/webp", "image/heic", "image/avif", "image/bmp", "image/tiff"];

/// What Instagram takes beside images.
///
/// Source: Meta, Instagram "Attachment Upload" (2026-06-30), read 2026-09.
const INSTAGRAM_FORMATS: &[&str] = &[
    "video/mp4",
    "video/ogg",
    "video/x-msvideo",
    "video/quicktime",
    "video/webm",
    "audio/aac",
    "audio/mp4",
    "audio/wav",
    PDF,
];

const PDF: &str = "application/pdf";

/// Programs and web pages, which Meta refuses with code 546 ("isn't allowed"). It publishes no list.
const BLOCKED_FORMATS: &[&str] = &[
    "application/java",
    "application/vnd.android.dex",
    "application/vnd.android.dey",
    "application/vnd.microsoft.portable-executable",
    "application/x-executable",
    "application/x-mach-binary",
    "text/html",
    "text/x-shellscript",
];

/// What most names of a library end in. A walk asks for every file, and searching the whole table takes longer than a look at
/// the file itself.
const USUAL_EXTENSIONS: &[(&str, &str)] = &[
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("mp4", "video/mp4"),
    ("pdf", PDF),
];

/// Formats whose first bytes are always recognised: bytes that are not, are not of that format.
const UNMISTAKABLE_FORMATS: &[&str] = &[
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "image/heic",
    "image/avif",
    "video/mp4",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
    "video/x-msvideo",
    "audio/mp4",
    "audio/ogg",
    "audio/flac",
    "audio/wav",
];

/// Wrappings that say little of what is inside: the name may know better, unless it promises media or PDF.
const WRAPPINGS: &[&str] =
    &["text/plain", "text/xml", "application/zip", "application/gzip", "application/x-ole-storage"];

/// Containers, by what their bytes say and what their name may add.
const CONTAINERS: &[(&str, &str)] = &[
    ("video/webm", "audio/webm"),
    ("video/x-matroska", "audio/x-matroska"),
    ("video/x-ms-wmv", "audio/x-ms-wma"),
    ("video/x-ms-wmv", "video/x-ms-asf"),
];

/// What a file is sent as, and what stands against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The attachment `type` it is sent as.
    pub kind: MediaKind,
    /// The media type it is sent with, such as `image/png`.
    pub mime: Cow<'static, str>,
    /// Everything that is wrong with it; empty when nothing is.
    pub problems: Vec<Problem>,
}

impl Verdict {
    /// Whether the file may be uploaded: warnings do not keep it from that.
    pub fn accepted(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }
}

/// The verdict on a file with these facts and this name. Of `name` only the extension counts, and that only where the
/// bytes leave a doubt.
pub fn judge(facts: &Facts, name: &Path, platform: Platform) -> Verdict {
    Case::new(facts, name, platform).verdict()
}

/// The same of a file that is to be sent as one, be it an image, a video or a sound.
pub fn judge_as_file(facts: &Facts, name: &Path, platform: Platform) -> Verdict {
    Case { kind: MediaKind::File, ..Case::new(facts, name, platform) }.verdict()
}

/// Why a file of `size_bytes` need not even be opened; `None` when it may be read.
pub fn judge_size(size_bytes: u64) -> Option<Problem> {
    match size_bytes {
        0 => Some(Problem::error(ProblemCode::Empty, "it has no bytes", "export or download it again")),
        1..=MAX_BYTES => None,
        _ => Some(Problem::error(
            ProblemCode::TooLarge,
            format!("it has {} bytes; Meta takes at most {} (25 MB)", grouped(size_bytes), grouped(MAX_BYTES)),
            "compress it, shorten it, or send a link instead",
        )),
    }
}

/// What a file of this name is sent as, as far as that can be told without its bytes.
pub(crate) fn media_by_name(name: &Path) -> (MediaKind, &'static str) {
    let mime = mime_by_name(name).unwrap_or("application/octet-stream");
    (MediaKind::of_mime(mime), mime)
}

/// One file before the judge.
struct Case<'a> {
    facts: &'a Facts,
    /// What the bytes say.
    seen: Option<&'a str>,
    /// What the name says.
    named: Option<&'static str>,
    /// What it is sent as.
    mime: Cow<'static, str>,
    kind: MediaKind,
    platform: Platform,
}

impl<'a> Case<'a> {
    fn new(facts: &'a Facts, name: &Path, platform: Platform) -> Self {
        let seen = facts.mime.as_deref();
        let named = mime_by_name(name);
        let mime = match (&facts.mime, named) {
            (Some(seen), Some(named)) if yields_to_name(seen, named) => Cow::Borrowed(named),
            (Some(seen), _) => seen.clone(),
            (None, Some(named)) => Cow::Borrowed(named),
            (None, None) => Cow::Borrowed("application/octet-stream"),
        };
        let kind = MediaKind::of_mime(&mime);
        Self { facts, seen, named, mime, kind, platform }
    }

    fn verdict(self) -> Verdict {
        let problems = match judge_size(self.facts.size_bytes) {
            Some(problem) => vec![problem],
            None => [self.unfit(), self.damage(), self.pixels(), self.weight(), self.mismatch()]
                .into_iter()
                .flatten()
                .collect(),
        };
        Verdict { kind: self.kind, mime: self.mime, problems }
    }

    /// Why the platform would refuse what the file is, whatever its size.
    fn unfit(&self) -> Option<Problem> {
        self.false_claim().or_else(|| self.blocked()).or_else(|| self.format())
    }

    /// The name promises media, and the bytes are none.
    fn false_claim(&self) -> Option<Problem> {
        let named = self.named.filter(|named| is_media(named))?;
        match self.seen {
            Some(seen) if !is_media(seen) => Some(Problem::error(
                ProblemCode::UnsupportedFormat,
                format!("its name says {named}, but it is {seen}"),
                "put the real file in its place; a failed download often leaves a web page under the file's name",
            )),
            None if UNMISTAKABLE_FORMATS.contains(&named) => Some(Problem::error(
                ProblemCode::Corrupt,
                format!("its name says {named}, but its first bytes are of no known format"),
                "put the real file in its place, or give it its true extension",
            )),
            _ => None,
        }
    }

    fn blocked(&self) -> Option<Problem> {
        BLOCKED_FORMATS.contains(&&*self.mime).then(|| {
            Problem::error(
                ProblemCode::UnsupportedFormat,
                format!("it is {}; Meta refuses programs and web pages (code 546)", self.mime),
                "send a link to it, or a PDF",
            )
        })
    }

    fn format(&self) -> Option<Problem> {
        let refused = |takes: &str, hint: &str| {
            let message = format!("it is {}; {takes}", self.mime);
            Some(Problem::error(ProblemCode::UnsupportedFormat, message, hint))
        };
        match (self.platform, self.kind) {
            (_, MediaKind::Image) if IMAGE_FORMATS.contains(&&*self.mime) => None,
            (Platform::Messenger, MediaKind::Image) if UNDOCUMENTED_IMAGE_FORMATS.contains(&&*self.mime) => {
                Some(Problem::warning(
                    ProblemCode::UnsupportedFormat,
                    format!("it is {}; Meta names JPEG, PNG and GIF only", self.mime),
                    "convert it to JPEG or PNG to be sure that everybody sees it",
                ))
            }
            (_, MediaKind::Image) => refused("images must be JPEG, PNG or GIF", "convert it to JPEG or PNG"),
            (Platform::Instagram, MediaKind::File) if self.mime != PDF => {
                refused("Instagram takes no files but PDF", "convert it to PDF")
            }
            (Platform::Messenger, _) | (Platform::Instagram, MediaKind::File) => None,
            (Platform::Instagram, _) if INSTAGRAM_FORMATS.contains(&&*self.mime) => None,
            (Platform::Instagram, MediaKind::Video) => {
                refused("Instagram takes MP4, MOV, WebM, Ogg and AVI video", "convert it to MP4")
            }
            (Platform::Instagram, MediaKind::Audio) => {
                refused("Instagram takes AAC, M4A, MP4 and WAV audio", "convert it to M4A")
            }
        }
    }

    fn damage(&self) -> Option<Problem> {
        let (message, hint) = match self.facts.damage? {
            Damage::BadHeader => ("its first bytes promise an image, but its header cannot be read", "export it again"),
            Damage::Truncated => ("it ends before its own structure says it does", "copy or download it again"),
        };
        Some(Problem::error(ProblemCode::Corrupt, message, hint))
    }

    fn pixels(&self) -> Option<Problem> {
        let is_image = self.kind == MediaKind::Image;
        let dimensions = self.facts.dimensions.filter(|dimensions| is_image && dimensions.pixels() > MAX_PIXELS)?;
        Some(Problem::error(
            ProblemCode::TooManyPixels,
            format!(
                "it has {} × {} = {} pixels; Meta takes at most {}",
                dimensions.width,
                dimensions.height,
                grouped(dimensions.pixels()),
                grouped(MAX_PIXELS)
            ),
            "scale it down",
        ))
    }

    /// Sizes that fit under the limit of all attachments, and yet may be too much.
    fn weight(&self) -> Option<Problem> {
        let size = self.facts.size_bytes;
        let has = || format!("it has {} bytes", grouped(size));
        match (self.platform, self.kind) {
            (Platform::Instagram, MediaKind::Image) if size > MAX_IMAGE_BYTES => Some(Problem::error(
                ProblemCode::TooLarge,
                format!("{}; Instagram takes images of at most {} (8 MB)", has(), grouped(MAX_IMAGE_BYTES)),
                "scale it down or compress it",
            )),
            _ if size > NEAR_LIMIT_BYTES => Some(Problem::warning(
                ProblemCode::NearSizeLimit,
                format!("{}, and Meta's limit of {} counts after it encodes the file anew", has(), grouped(MAX_BYTES)),
                "compress it a little to be safe",
            )),
            (Platform::Messenger, MediaKind::Image) if size > MAX_IMAGE_BYTES => Some(Problem::warning(
                ProblemCode::NearSizeLimit,
                format!("{}; Meta documents {} (8 MB) for images, for URLs at least", has(), grouped(MAX_IMAGE_BYTES)),
                "scale it down if Meta refuses it",
            )),
            _ => None,
        }
    }

    /// The name promises something other than the bytes hold, and the file can be sent all the same.
    fn mismatch(&self) -> Option<Problem> {
        let (seen, named) = (self.seen?, self.named?);
        let told_apart = is_media(seen) || (!is_media(named) && [seen, named].contains(&PDF));
        (told_apart && self.mime != named && subtype(seen) != subtype(named)).then(|| {
            Problem::warning(
                ProblemCode::ExtensionMismatch,
                format!("its name says {named}, but it is {seen}; it is sent as {}", self.mime),
                "give it the extension of what it is",
            )
        })
    }
}

/// What the extension says, in the spelling used for bytes; `None` when it says nothing.
pub(super) fn mime_by_name(name: &Path) -> Option<&'static str> {
    let extension = name.extension()?.to_str()?;
    let usual = USUAL_EXTENSIONS.iter().find(|(usual, _)| extension.eq_ignore_ascii_case(usual));
    let mime = match usual {
        Some((_, mime)) => *mime,
        None => canonical(mime_guess::from_ext(extension).first_raw()?),
    };
    (mime != "application/octet-stream").then_some(mime)
}

/// Whether a type is an image, a video or a sound.
pub(super) fn is_media(mime: &str) -> bool {
    MediaKind::of_mime(mime) != MediaKind::File
}

fn yields_to_name(seen: &str, named: &str) -> bool {
    let promises_little = !is_media(named) && named != PDF;
    (WRAPPINGS.contains(&seen) && promises_little) || CONTAINERS.contains(&(seen, named))
}

fn subtype(mime: &str) -> &str {
    mime.split_once('/').map_or(mime, |(_, subtype)| subtype)
}

/// The number with a comma before every third digit: `26,214,400`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
