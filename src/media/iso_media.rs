//! MP4, MOV, HEIC and AVIF: files made of boxes, each with its size and a four-letter name in front.
//!
//! Walks box headers only; the media data itself is skipped, never looked at.
//!
//! Layout (ISO/IEC 14496-12): `size: u32 be, name: [u8; 4]`, then `size: u64 be` if the first size is 1; a size of 0
//! reaches to the end. `moov` → `trak` → `mdia` → `hdlr` names what a track holds, at bytes 8–12 of its body.

use std::iter;

/// One box, whose body may be cut off by the end of the file.
struct IsoBox<'a> {
    name: &'a [u8; 4],
    body: &'a [u8],
    whole: bool,
}

/// The boxes of `bytes`, one after the other, until something stands there that is none.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = IsoBox<'_>> {
    iter::from_fn(move || {
        let size = u64::from(u32::from_be_bytes(*rest.first_chunk()?));
        let name = rest.get(4..)?.first_chunk()?;
        let (header, size) = match size {
            0 => (8, rest.len() as u64),
            1 => (16, u64::from_be_bytes(*rest.get(8..)?.first_chunk()?)),
            size => (8, size),
        };
        if size < header as u64 {
            return None;
        }
        let end = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        let whole = size <= rest.len() as u64;
        let (current, next) = rest.split_at(end);
        rest = next;
        Some(IsoBox { name, body: current.get(header..)?, whole })
    })
}

/// The media type of `bytes`; `None` when they are not made of boxes.
pub(super) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let first = boxes(bytes).next()?;
    match first.name {
        b"ftyp" => Some(by_brand(first.body, bytes)),
        // QuickTime files older than `ftyp`.
        b"moov" | b"mdat" => Some("video/quicktime"),
        b"wide" | b"free" | b"skip" | b"pnot" if first.whole => Some("video/quicktime"),
        _ => None,
    }
}

fn by_brand(ftyp: &[u8], bytes: &[u8]) -> &'static str {
    let brands = || ftyp.chunks_exact(4);
    match brands().next().unwrap_or_default() {
        b"avif" | b"avis" => "image/avif",
        b"mif1" | b"msf1" | b"miaf" if brands().any(|brand| matches!(brand, b"avif" | b"avis")) => "image/avif",
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" | b"miaf" => "image/heic",
        b"crx " => "image/x-canon-cr3",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " | b"M4P " => "audio/mp4",
        [b'3', b'g', b'2', _] => "video/3gpp2",
        [b'3', b'g', ..] => "video/3gpp",
        _ if has_sound_alone(bytes) => "audio/mp4",
        _ => "video/mp4",
    }
}

/// Whether there are tracks, and none of them is video: many music files carry the brand of a film.
fn has_sound_alone(bytes: &[u8]) -> bool {
    let mut kinds = children(bytes, *b"moov")
        .flat_map(|body| children(body, *b"trak"))
        .flat_map(|body| children(body, *b"mdia"))
        .flat_map(|body| children(body, *b"hdlr"))
        .filter_map(|body| body.get(8..12))
        .peekable();
    kinds.peek().is_some() && kinds.all(|kind| kind != b"vide")
}

fn children(bytes: &[u8], name: [u8; 4]) -> impl Iterator<Item = &[u8]> {
    boxes(bytes).filter(move |child| *child.name == name).map(|child| child.body)
}

/// Whether the file ends inside a box it needs, or before the one called `index`, without which nobody can play it.
pub(super) fn is_cut_short(bytes: &[u8], index: [u8; 4]) -> bool {
    let mut indexed = false;
    for part in boxes(bytes) {
        if !part.whole && matches!(part.name, b"ftyp" | b"moov" | b"moof" | b"meta" | b"mdat") {
            return true;
        }
        indexed |= *part.name == index;
    }
    !indexed
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A box with its header.
    pub(in crate::media) fn iso_box(name: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("a small box");
        [&size.to_be_bytes()[..], &name, body].concat()
    }

    /// A film without pictures in it, with the tracks named, index behind the data.
    pub(in crate::media) fn film(brand: [u8; 4], tracks: &[[u8; 4]]) -> Vec<u8> {
        let track = |kind: &[u8; 4]| {
            let handler = iso_box(*b"hdlr", &[&[0; 8], &kind[..], &[0; 12]].concat());
            iso_box(*b"trak", &iso_box(*b"mdia", &handler))
        };
        let index: Vec<u8> = tracks.iter().flat_map(track).collect();
        [
            iso_box(*b"ftyp", &[&brand[..], &[0, 0, 2, 0], b"isom"].concat()),
            iso_box(*b"mdat", &[7; 4_000]),
            iso_box(*b"moov", &index),
        ]
        .concat()
    }

    #[test]
    fn the_brand_decides_and_the_tracks_correct_it() {
        for (brand, tracks, mime) in [
            (b"isom", vec![*b"vide", *b"soun"], "video/mp4"),
            (b"isom", vec![*b"soun"], "audio/mp4"),
            (b"mp42", vec![], "video/mp4"),
            (b"M4A ", vec![*b"soun"], "audio/mp4"),
            (b"M4V ", vec![*b"vide"], "video/mp4"),
            (b"qt  ", vec![*b"vide"], "video/quicktime"),
            (b"3gp5", vec![*b"vide"], "video/3gpp"),
            (b"3g2a", vec![*b"vide"], "video/3gpp2"),
            (b"heic", vec![], "image/heic"),
            (b"avif", vec![], "image/avif"),
        ] {
            assert_eq!(sniff(&film(*brand, &tracks)), Some(mime), "{brand:?} {tracks:?}");
        }
        let shared_brand = iso_box(*b"ftyp", b"mif1\0\0\0\0mif1avif");
        assert_eq!(sniff(&shared_brand), Some("image/avif"));
        assert_eq!(sniff(b"\0\0\0\x01moov"), None);
    }

    #[test]
    fn a_film_cut_anywhere_shows_it() {
        let whole = film(*b"isom", &[*b"vide"]);
        assert!(!is_cut_short(&whole, *b"moov"));
        for percent in [10, 50, 90, 99] {
            assert!(is_cut_short(&whole[..whole.len() * percent / 100], *b"moov"), "{percent}");
        }
    }

    #[test]
    fn bytes_behind_the_last_box_are_no_damage() {
        for garbage in [&b"\xff\xff\xff\xffjunk"[..], &[0; 3], b"\0\0\0\0\0\0\0\0\0", &[0xff; 100]] {
            let film = [&film(*b"isom", &[*b"vide"])[..], garbage].concat();
            assert!(!is_cut_short(&film, *b"moov"), "{garbage:?}");
        }
    }

    #[test]
    fn a_box_may_count_in_64_bits_or_reach_to_the_end() {
        let index = iso_box(*b"moov", &[]);
        let long = [&1_u32.to_be_bytes()[..], b"mdat", &24_u64.to_be_bytes(), &[0; 8], &index].concat();
        assert!(!is_cut_short(&long, *b"moov"));
        assert!(is_cut_short(&long[..20], *b"moov"));
        let open = [&index[..], &[0, 0, 0, 0], b"mdat", &[5; 100]].concat();
        assert!(!is_cut_short(&open, *b"moov"));
    }
}
