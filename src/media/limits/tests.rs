//! One row per rule.

use super::*;
use crate::facts::Dimensions;
use crate::ids::ContentHash;

const ACCEPTED: &[(ProblemCode, Severity)] = &[];

fn facts(mime: impl Into<Option<&'static str>>) -> Facts {
    Facts {
        hash: ContentHash([0; 32]),
        size_bytes: 1_000,
        mime: mime.into().map(|mime| mime.to_owned().into()),
        dimensions: None,
        damage: None,
    }
}

fn codes(verdict: &Verdict) -> Vec<(ProblemCode, Severity)> {
    verdict.problems.iter().map(|problem| (problem.code, problem.severity)).collect()
}

fn error(code: ProblemCode) -> Vec<(ProblemCode, Severity)> {
    vec![(code, Severity::Error)]
}

fn warning(code: ProblemCode) -> Vec<(ProblemCode, Severity)> {
    vec![(code, Severity::Warning)]
}

#[test]
fn the_bytes_decide_what_a_file_is_sent_as() {
    for (seen, name, kind, mime) in [
        (Some("image/png"), "a.png", MediaKind::Image, "image/png"),
        (Some("image/png"), "no extension", MediaKind::Image, "image/png"),
        (Some("image/png"), "a.jpg", MediaKind::Image, "image/png"),
        (Some("image/gif"), "a.txt", MediaKind::Image, "image/gif"),
        (Some("video/mp4"), "a.m4v", MediaKind::Video, "video/mp4"),
        (Some("audio/mp4"), "a.mp4", MediaKind::Audio, "audio/mp4"),
        (Some("video/webm"), "a.weba", MediaKind::Audio, "audio/webm"),
        (Some("application/zip"), "a.apkg", MediaKind::File, "application/zip"),
        (Some("application/zip"), "a.pptx", MediaKind::File, PPTX),
        (Some("text/plain"), "a.csv", MediaKind::File, "text/csv"),
        (Some("text/plain"), "a", MediaKind::File, "text/plain"),
        (None, "a.mp3", MediaKind::Audio, "audio/mpeg"),
        (None, "a.unheardof", MediaKind::File, "application/octet-stream"),
        (None, "a.psd", MediaKind::File, "application/octet-stream"),
    ] {
        let verdict = judge(&facts(seen), Path::new(name), Platform::Messenger);
        assert_eq!((verdict.kind, &*verdict.mime), (kind, mime), "{seen:?} {name}");
    }
}

#[test]
fn what_is_sent_as_a_file_need_be_no_image_meta_takes() {
    let wide = Some(Dimensions { width: 20_000, height: 5_000 });
    let huge = Facts { dimensions: wide, ..facts("image/png") };
    for (facts, name) in
        [(facts("image/svg+xml"), "a.svg"), (facts("image/vnd.adobe.photoshop"), "a.psd"), (huge, "a.png")]
    {
        assert!(!judge(&facts, Path::new(name), Platform::Messenger).accepted(), "{name}");
        let verdict = judge_as_file(&facts, Path::new(name), Platform::Messenger);
        assert_eq!((verdict.kind, codes(&verdict)), (MediaKind::File, ACCEPTED.to_vec()), "{name}");
    }
    for (seen, name, expected) in [("image/png", "a.png", false), ("video/mp4", "a.mp4", false), (PDF, "a.pdf", true)] {
        let verdict = judge_as_file(&facts(seen), Path::new(name), Platform::Instagram);
        assert_eq!(verdict.accepted(), expected, "{name}");
    }
    let program = judge_as_file(&facts("text/html"), Path::new("a.html"), Platform::Messenger);
    assert_eq!(codes(&program), error(ProblemCode::UnsupportedFormat));
}

const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";

#[test]
fn a_name_that_says_the_same_in_other_words_is_no_problem() {
    for (seen, name) in [
        ("image/jpeg", "a.JPG"),
        ("image/jpeg", "a.jfif"),
        ("image/png", "a.apng"),
        ("video/mp4", "a.m4v"),
        ("video/mp4", "a.f4v"),
        ("audio/mp4", "a.m4a"),
        ("audio/mp4", "a.m4b"),
        ("audio/mp4", "a.mp4"),
        ("video/webm", "a.weba"),
        ("video/x-matroska", "a.mka"),
        ("video/x-ms-wmv", "a.wma"),
        ("audio/ogg", "a.opus"),
        ("video/ogg", "a.ogg"),
        ("audio/aiff", "a.aif"),
        ("audio/midi", "a.mid"),
        ("audio/wav", "a.wav"),
        ("audio/flac", "a.flac"),
        ("video/x-msvideo", "a.avi"),
        ("application/font-sfnt", "a.ttf"),
        ("application/zip", "a.docx"),
        ("text/xml", "a.gpx"),
    ] {
        assert_eq!(codes(&judge(&facts(seen), Path::new(name), Platform::Messenger)), ACCEPTED, "{seen} {name}");
    }
}

#[test]
fn usual_extensions_say_what_the_whole_table_says() {
    for (extension, mime) in USUAL_EXTENSIONS {
        assert_eq!(mime_guess::from_ext(extension).first_raw().map(canonical), Some(*mime), "{extension}");
        assert_eq!(mime_by_name(Path::new(&format!("a.{}", extension.to_uppercase()))), Some(*mime), "{extension}");
    }
    let mimes = ["a.png.bin", "a.svg", "a", ".png", "a.", "a.nothing"].map(|name| mime_by_name(Path::new(name)));
    assert_eq!(mimes, [None, Some("image/svg+xml"), None, None, None, None]);
}

#[test]
fn another_type_than_the_name_says_is_named_in_a_warning() {
    for (seen, name, both) in [
        ("image/png", "a.jpg", ["image/jpeg", "image/png"]),
        ("image/png", "a.txt", ["text/plain", "image/png"]),
        ("video/quicktime", "a.mp4", ["video/mp4", "video/quicktime"]),
        ("application/pdf", "a.docx", ["wordprocessingml", "application/pdf"]),
        ("application/zip", "a.pdf", ["application/pdf", "application/zip"]),
    ] {
        let verdict = judge(&facts(seen), Path::new(name), Platform::Messenger);
        assert_eq!(codes(&verdict), warning(ProblemCode::ExtensionMismatch), "{seen} {name}");
        assert!(both.iter().all(|mime| verdict.problems[0].message.contains(mime)), "{:?}", verdict.problems);
    }
}

#[test]
fn a_name_that_promises_media_over_something_else_is_refused() {
    for (seen, name, code) in [
        (Some("text/html"), "a.jpg", ProblemCode::UnsupportedFormat),
        (Some("text/plain"), "a.mp3", ProblemCode::UnsupportedFormat),
        (Some("application/zip"), "a.mp4", ProblemCode::UnsupportedFormat),
        (Some("application/pdf"), "a.png", ProblemCode::UnsupportedFormat),
        (Some("application/x-executable"), "a.gif", ProblemCode::UnsupportedFormat),
        (None, "a.jpeg", ProblemCode::Corrupt),
        (None, "a.webp", ProblemCode::Corrupt),
        (None, "a.mp4", ProblemCode::Corrupt),
    ] {
        for platform in Platform::ALL {
            let verdict = judge(&facts(seen), Path::new(name), platform);
            assert_eq!(codes(&verdict), error(code), "{seen:?} {name} {platform}");
            assert!(!verdict.accepted());
        }
    }
}

#[test]
fn formats_are_judged_by_platform() {
    use ProblemCode::UnsupportedFormat;
    let (ok, refused, doubtful) = (Vec::new(), error(UnsupportedFormat), warning(UnsupportedFormat));
    for (mime, messenger, instagram) in [
        ("image/jpeg", &ok, &ok),
        ("image/png", &ok, &ok),
        ("image/gif", &ok, &ok),
        ("image/webp", &doubtful, &refused),
        ("image/heic", &doubtful, &refused),
        ("image/avif", &doubtful, &refused),
        ("image/bmp", &doubtful, &refused),
        ("image/tiff", &doubtful, &refused),
        ("image/svg+xml", &refused, &refused),
        ("image/jp2", &refused, &refused),
        ("video/mp4", &ok, &ok),
        ("video/quicktime", &ok, &ok),
        ("video/x-matroska", &ok, &refused),
        ("audio/mpeg", &ok, &refused),
        ("audio/mp4", &ok, &ok),
        ("audio/wav", &ok, &ok),
        ("application/pdf", &ok, &ok),
        ("application/zip", &ok, &refused),
        ("text/plain", &ok, &refused),
        ("text/html", &refused, &refused),
        ("application/vnd.microsoft.portable-executable", &refused, &refused),
    ] {
        for (platform, expected) in [(Platform::Messenger, messenger), (Platform::Instagram, instagram)] {
            assert_eq!(&codes(&judge(&facts(mime), Path::new("a"), platform)), expected, "{mime} {platform}");
        }
    }
}

#[test]
fn sizes_are_judged_to_the_byte() {
    use ProblemCode::{Empty, NearSizeLimit, TooLarge};
    for (mime, size_bytes, messenger, instagram) in [
        ("video/mp4", 0, error(Empty), error(Empty)),
        ("video/mp4", 1, vec![], vec![]),
        ("video/mp4", NEAR_LIMIT_BYTES, vec![], vec![]),
        ("video/mp4", NEAR_LIMIT_BYTES + 1, warning(NearSizeLimit), warning(NearSizeLimit)),
        ("video/mp4", MAX_BYTES, warning(NearSizeLimit), warning(NearSizeLimit)),
        ("video/mp4", MAX_BYTES + 1, error(TooLarge), error(TooLarge)),
        ("image/png", MAX_IMAGE_BYTES, vec![], vec![]),
        ("image/png", MAX_IMAGE_BYTES + 1, warning(NearSizeLimit), error(TooLarge)),
        ("image/png", NEAR_LIMIT_BYTES + 1, warning(NearSizeLimit), error(TooLarge)),
    ] {
        let facts = Facts { size_bytes, ..facts(mime) };
        for (platform, expected) in [(Platform::Messenger, &messenger), (Platform::Instagram, &instagram)] {
            assert_eq!(&codes(&judge(&facts, Path::new("a"), platform)), expected, "{mime} {size_bytes} {platform}");
        }
    }
}

#[test]
fn pixels_are_counted_not_sides() {
    for (width, height, expected) in [
        (8_500, 10_000, vec![]),
        (8_500, 10_001, error(ProblemCode::TooManyPixels)),
        (100_000, 100_000, error(ProblemCode::TooManyPixels)),
        (u32::MAX, u32::MAX, error(ProblemCode::TooManyPixels)),
        (u32::MAX, 1, error(ProblemCode::TooManyPixels)),
    ] {
        let facts = Facts { dimensions: Some(Dimensions { width, height }), ..facts("image/png") };
        assert_eq!(codes(&judge(&facts, Path::new("a.png"), Platform::Messenger)), expected, "{width} × {height}");
    }
}

#[test]
fn damage_is_an_error_beside_a_wrong_extension() {
    for damage in [Damage::BadHeader, Damage::Truncated] {
        let facts = Facts { damage: Some(damage), ..facts("image/png") };
        let verdict = judge(&facts, Path::new("a.jpg"), Platform::Messenger);
        let expected = [(ProblemCode::Corrupt, Severity::Error), (ProblemCode::ExtensionMismatch, Severity::Warning)];
        assert_eq!(codes(&verdict), expected, "{damage:?}");
    }
}

#[test]
fn messages_say_what_and_how_much() {
    let problem = judge_size(4_294_967_296).expect("too large");
    insta::assert_snapshot!(problem.message, @"it has 4,294,967,296 bytes; Meta takes at most 26,214,400 (25 MB)");
    let giant = Facts { dimensions: Some(Dimensions { width: 100_000, height: 100_000 }), ..facts("image/png") };
    let verdict = judge(&giant, Path::new("a.png"), Platform::Messenger);
    insta::assert_snapshot!(
        verdict.problems[0].message,
        @"it has 100000 × 100000 = 10,000,000,000 pixels; Meta takes at most 85,000,000"
    );
    assert!(verdict.problems.iter().all(|problem| !problem.hint.is_empty()));
}

#[test]
fn a_name_of_any_bytes_is_judged() {
    for name in ["", ".", "..", ".jpg", "a.", "-rf.png", "\u{202e}gpj.exe", "a\n\u{1b}[2J.png", &"x".repeat(255)] {
        let verdict = judge(&facts("image/png"), Path::new(name), Platform::Messenger);
        assert!(verdict.accepted(), "{name:?}");
    }
}
