//! Is it one picture? A copy of an animation, or of a document of several pages, would lose all but the first.
//!
//! Walks from header to header, as `structure` does; bytes that make no sense are taken for one picture, which then does
//! not decode.

use crate::media::structure::{gif_colour_table, gif_sub_blocks_end};
use crate::media::tiff::Tiff;

/// Pages looked at before a TIFF counts as a document; a chain that leads in a circle ends here too.
const MAX_PAGES: usize = 100;

/// How many pictures a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pictures {
    One,
    /// They follow each other in time.
    Animated,
    /// They lie behind each other.
    Pages,
}

/// How many pictures `bytes`, known to be `mime`, hold.
pub(super) fn pictures(mime: &str, bytes: &[u8]) -> Pictures {
    let animated = match mime {
        "image/gif" => gif_frames(bytes) > 1,
        "image/png" => png_frames(bytes) > 1,
        "image/webp" => webp_chunk(bytes, *b"ANIM").is_some(),
        "image/tiff" if tiff_pages(bytes).is_some_and(|pages| pages > 1) => return Pictures::Pages,
        _ => false,
    };
    if animated { Pictures::Animated } else { Pictures::One }
}

/// Whether a WebP is of the kind made for photographs.
pub(super) fn is_lossy_webp(bytes: &[u8]) -> bool {
    webp_chunk(bytes, *b"VP8 ").is_some()
}

/// The images of a GIF; two are as many as a thousand.
fn gif_frames(bytes: &[u8]) -> u32 {
    let mut frames = 0;
    let mut walk = || {
        let mut at = 13 + gif_colour_table(*bytes.get(10)?);
        while frames < 2 {
            match *bytes.get(at)? {
                0x2c => {
                    frames += 1;
                    let table = gif_colour_table(*bytes.get(at + 9)?);
                    at = gif_sub_blocks_end(bytes, at + 11 + table)?;
                }
                0x21 => at = gif_sub_blocks_end(bytes, at + 2)?,
                _ => return None,
            }
        }
        Some(())
    };
    let _ = walk();
    frames
}

/// What the chunk `acTL` announces, which stands before the picture; 1 where there is none.
fn png_frames(bytes: &[u8]) -> u32 {
    let mut at = 8_usize;
    while let Some([a, b, c, d, name @ ..]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match name {
            b"acTL" => return bytes.get(at + 8..).and_then(be_u32).unwrap_or(1),
            b"IDAT" | b"IEND" => break,
            _ => {}
        }
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let Some(next) = usize::try_from(length).ok().and_then(|length| at.checked_add(12)?.checked_add(length)) else {
            break;
        };
        at = next;
    }
    1
}

/// Where the first chunk of this name begins, among those that are in no other.
fn webp_chunk(bytes: &[u8], name: [u8; 4]) -> Option<usize> {
    let mut at = 12_usize;
    loop {
        let header = bytes.get(at..)?.first_chunk::<8>()?;
        if header[..4] == name {
            return Some(at);
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let length = usize::try_from(length).ok()?;
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?;
    }
}

/// The pages of a TIFF: its directories, but for previews and masks of others.
fn tiff_pages(bytes: &[u8]) -> Option<usize> {
    let tiff = Tiff::new(bytes)?;
    // NewSubfileType: 1 a smaller version, 4 a mask.
    let is_page = |directory: &usize| tiff.number(*directory, 254).is_none_or(|kind| kind & 5 == 0);
    Some(tiff.directories().take(MAX_PAGES).filter(is_page).count())
}

fn be_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}
