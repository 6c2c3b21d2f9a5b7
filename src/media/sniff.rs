//! First bytes → media type. The `infer` crate knows the magic numbers; where one is too short to be proof, or a
//! format needs a closer look, this file decides. Names are never looked at.

use super::iso_media;

/// How many bytes are looked at; every magic number stands well within.
const HEAD_BYTES: usize = 8 * 1024;

/// The media type the bytes declare, in its [`canonical`] spelling; `None` when they declare none.
pub(super) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if head.is_empty() {
        return None;
    }
    // Text first: the shortest magic numbers are two letters, and words begin with them.
    if let Some(text) = as_text(head) {
        return Some(sniff_text(text));
    }
    iso_media::sniff(bytes).or_else(|| sniff_binary(head)).map(canonical)
}

/// One spelling for types that go by several names.
pub(super) fn canonical(mime: &str) -> &str {
    match mime {
        "audio/x-wav" | "audio/vnd.wave" => "audio/wav",
        "audio/m4a" | "audio/x-m4a" | "audio/m4b" => "audio/mp4",
        "audio/x-flac" => "audio/flac",
        "audio/opus" => "audio/ogg",
        "audio/x-aiff" => "audio/aiff",
        "audio/mid" => "audio/midi",
        "video/x-m4v" | "video/x-f4v" => "video/mp4",
        "image/heif" => "image/heic",
        "image/apng" => "image/png",
        "image/vnd.microsoft.icon" => "image/x-icon",
        other => other,
    }
}

/// `head` as text, if it is UTF-8 without control characters; a letter cut off by the end of `head` does not count.
fn as_text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let plain = |byte: u8| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    text.bytes().all(plain).then_some(text)
}

fn sniff_text(text: &str) -> &'static str {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let prologue = ["<?xml", "<!--", "<svg", "<!DOCTYPE svg"].iter().any(|start| text.starts_with(start));
    if prologue && text.contains("<svg") && !text.contains("<html") {
        return "image/svg+xml";
    }
    // `infer` takes for a PDF whatever names its mark within a kilobyte: a page may, and so may a letter.
    let start = text.find("%PDF").filter(|at| *at > 0).map_or(text, |at| &text[..at]);
    match infer::get(start.as_bytes()) {
        Some(kind) if matches!(kind.extension(), "html" | "xml" | "sh" | "pdf" | "rtf" | "ps" | "pem") => {
            kind.mime_type()
        }
        _ => "text/plain",
    }
}

fn sniff_binary(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1a, 0x45, 0xdf, 0xa3, ..] if contains(&head[..head.len().min(64)], b"webm") => return Some("video/webm"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => return Some("video/x-matroska"),
        [b'O', b'g', b'g', b'S', ..] if contains(&head[..head.len().min(256)], b"\x80theora") => {
            return Some("video/ogg");
        }
        _ => {}
    }
    match infer::get(head).filter(|kind| is_proof(kind.extension(), head)) {
        Some(kind) => Some(kind.mime_type()),
        None if is_mpeg_audio(head) => Some("audio/mpeg"),
        None => None,
    }
}

/// Whether what `infer` saw is enough to believe it: two or three bytes alone are not.
fn is_proof(extension: &str, head: &[u8]) -> bool {
    match extension {
        "obj" | "bc" | "der" => false,
        "exe" | "dll" => portable_executable(head),
        "bmp" => {
            head.get(14..18).is_some_and(|size| matches!(size, [12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
        }
        "gif" => head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a"),
        "webp" => head.starts_with(b"RIFF"),
        // `infer` looks for its mark within a kilobyte.
        "pdf" => head.starts_with(b"%PDF"),
        _ => true,
    }
}

/// Whether the header that bytes 60–64 point to is there.
fn portable_executable(head: &[u8]) -> bool {
    let at = head.get(60..).and_then(|rest| rest.first_chunk()).map(|at| u32::from_le_bytes(*at));
    at.and_then(|at| usize::try_from(at).ok())
        .and_then(|at| head.get(at..))
        .is_some_and(|header| header.starts_with(b"PE\0\0"))
}

/// A frame header of MPEG layer III, of any version: `infer` knows three of its spellings.
fn is_mpeg_audio(head: &[u8]) -> bool {
    matches!(head, [0xff, version, rates, ..]
        if version & 0xe6 == 0xe2 && version & 0x18 != 0x08 && rates & 0xf0 != 0xf0 && rates & 0x0c != 0x0c)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable() -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[60] = 128;
        bytes[128..132].copy_from_slice(b"PE\0\0");
        bytes
    }

    #[test]
    fn bytes_are_told_by_what_they_begin_with() {
        let padded = |start: &[u8]| [start, &[0; 300]].concat();
        for (bytes, mime) in [
            (padded(b"\xff\xd8\xff\xe0"), Some("image/jpeg")),
            (padded(b"GIF89a"), Some("image/gif")),
            (padded(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp")),
            (padded(b"RIFF\0\0\0\0WAVEfmt "), Some("audio/wav")),
            (padded(b"RIFF\0\0\0\0AVI LIST"), Some("video/x-msvideo")),
            (padded(b"ID3\x04\0"), Some("audio/mpeg")),
            (padded(b"\xff\xfb\x90\x00"), Some("audio/mpeg")),
            (padded(b"\xff\xe3\x18\xc4"), Some("audio/mpeg")),
            (padded(b"\xff\xf1\x50\x80"), Some("audio/aac")),
            (padded(b"fLaC"), Some("audio/flac")),
            (padded(b"OggS\0\x02\0\0\0\0\0\0\0\0vorbis"), Some("audio/ogg")),
            (padded(b"OggS\0\x02\0\0\0\0\0\0\0\0\x80theora"), Some("video/ogg")),
            (padded(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"), Some("video/webm")),
            (padded(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska"), Some("video/x-matroska")),
            (padded(b"%PDF-1.7\n%\xe2\xe3"), Some("application/pdf")),
            (padded(b"PK\x03\x04"), Some("application/zip")),
            (padded(b"\x7fELF\x02\x01"), Some("application/x-executable")),
            (executable(), Some("application/vnd.microsoft.portable-executable")),
            (padded(b"\0\x02\0\x04"), None),
            (padded(b"BM\0\0"), None),
            (padded(b"MZ\0\0"), None),
            (padded(b"\0\0%PDF-1.4"), None),
            (padded(b"GIF\0"), None),
            (vec![], None),
            (vec![0], None),
        ] {
            assert_eq!(sniff(&bytes), mime, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    #[test]
    fn text_is_not_taken_for_what_its_first_letters_spell() {
        for (text, mime) in [
            ("MZ is a beginning", "text/plain"),
            ("BM and BC and GIF and ID3", "text/plain"),
            ("naïve café, no magic", "text/plain"),
            ("\u{feff}<!DOCTYPE html><p>Not found</p>", "text/html"),
            ("  <html ><svg/></html>", "text/html"),
            ("<svg xmlns=\"x\"/>", "image/svg+xml"),
            ("<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<svg/>", "image/svg+xml"),
            ("<!-- drawn --> <svg/>", "image/svg+xml"),
            ("<?xml version=\"1.0\"?><feed/>", "text/xml"),
            ("#!/bin/sh\nrm -r", "text/x-shellscript"),
            ("%PDF-1.4\n1 0 obj", "application/pdf"),
            ("<!DOCTYPE html><p>Not found</p>\n%PDF-1.4", "text/html"),
            ("the mark of a PDF is %PDF", "text/plain"),
        ] {
            assert_eq!(sniff(text.as_bytes()), Some(mime), "{text}");
        }
    }

    #[test]
    fn a_letter_cut_in_half_by_the_window_is_still_text() {
        let long = "é".repeat(HEAD_BYTES);
        assert_eq!(sniff(&[b"x", long.as_bytes()].concat()), Some("text/plain"));
        assert_eq!(sniff(b"caf\xe9 in latin-1"), None);
    }
}
