//! Files that are something other than they say, or two things at once; and films and sounds with a twist.

use image::ImageFormat;

use super::raw::{file_type, film, gif_of, id3, index, iso_box, mp3, noise, pdf, random, riff, riff_chunk, wav, zip};
use super::specimen::Specimen;
use super::specimen::Verdict::{self, Refused, Taken};

const IMAGE: Verdict = Taken("image", &[]);
const MISNAMED_IMAGE: Verdict = Taken("image", &["extension_mismatch"]);
const FILE: Verdict = Taken("file", &[]);
const VIDEO: Verdict = Taken("video", &[]);
const AUDIO: Verdict = Taken("audio", &[]);

const PAGE: &str = "<!DOCTYPE html><html><body>404 Not Found</body></html>";

pub(super) fn all() -> Vec<Specimen> {
    [lies(), polyglots(), names_of_types(), films(), sounds(), documents()].into_iter().flatten().collect()
}

/// The bytes decide what a file is; a name that promises media over bytes that are none is a lie.
fn lies() -> Vec<Specimen> {
    let png = |seed| noise(seed, ImageFormat::Png);
    let sort = "another type than the name says";
    let mut all = vec![
        Specimen::bytes(sort, "a picture.mp4", png(300), MISNAMED_IMAGE).shown(),
        Specimen::bytes(sort, "a picture.jpg", png(301), MISNAMED_IMAGE).shown(),
        Specimen::bytes(sort, "a picture.txt", png(302), MISNAMED_IMAGE).shown(),
        Specimen::bytes(sort, "a picture.pdf", png(303), MISNAMED_IMAGE).shown(),
        Specimen::bytes(sort, "a film.png", film(304), Taken("video", &["extension_mismatch"])),
        Specimen::bytes(sort, "a document.docx", pdf("of another sort"), Taken("file", &["extension_mismatch"])),
        Specimen::bytes(sort, "an archive.pdf", zip("a.txt", 3), Taken("file", &["extension_mismatch"])),
    ];
    let elf = [&b"\x7fELF\x02\x01\x01\0"[..], &random(305, 100)].concat();
    for (name, bytes) in [
        ("a page.jpg", PAGE.as_bytes()),
        ("a page.png", PAGE.as_bytes()),
        ("a page.mp4", PAGE.as_bytes()),
        ("a page.mp3", PAGE.as_bytes()),
        ("a program.png", &elf),
        ("a script.gif", b"#!/bin/sh\nrm -r /\n"),
        ("an archive.png", &zip("b.txt", 3)),
        ("a document.jpg", &pdf("in disguise")),
        ("words.webp", b"just words"),
    ] {
        all.push(Specimen::bytes("media by its name alone", name, bytes, Refused("unsupported_format")));
    }
    // What a player would fetch from wherever it says.
    for (name, bytes) in [
        (
            "a playlist.mp4",
            &b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nhttp://127.0.0.1:9/latest/meta-data/\n#EXT-X-ENDLIST\n"
                [..],
        ),
        ("a playlist of files.mov", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("a concatenation.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ] {
        all.push(Specimen::bytes("a playlist in place of a film", name, bytes, Refused("unsupported_format")));
    }
    let sort = "noise under the name of media";
    for name in [
        "noise.jpeg",
        "noise.png",
        "noise.gif",
        "noise.webp",
        "noise.tif",
        "noise.heic",
        "noise.mp4",
        "noise.mov",
        "noise.ogg",
    ] {
        let bytes = [&[0xa5, 0x01][..], &random(310, 200)].concat();
        all.push(Specimen::bytes(sort, name, bytes, Refused("corrupt")));
    }
    all
}

/// Two things at once: the first bytes are what everybody goes by.
fn polyglots() -> Vec<Specimen> {
    let script = b"GIF89a=1;/* a picture to some */alert(1)//";
    let comment = [&[0x21, 0xfe, 9][..], b"alert(1);", &[0]].concat();
    let frame = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0];
    let sort = "two things at once";
    vec![
        Specimen::bytes(sort, "jpeg and zip.jpg", [noise(320, ImageFormat::Jpeg), zip("x.class", 9)].concat(), IMAGE)
            .shown(),
        Specimen::bytes(
            sort,
            "jpeg and zip.zip",
            [noise(321, ImageFormat::Jpeg), zip("x.class", 9)].concat(),
            MISNAMED_IMAGE,
        )
        .shown(),
        Specimen::bytes(sort, "png and html.png", [noise(322, ImageFormat::Png), PAGE.into()].concat(), IMAGE).shown(),
        Specimen::bytes(
            sort,
            "png and html.html",
            [noise(323, ImageFormat::Png), PAGE.into()].concat(),
            MISNAMED_IMAGE,
        )
        .shown(),
        Specimen::bytes(sort, "gif and script.gif", gif_of(1, 1, &[&comment[..], &frame].concat()), IMAGE).shown(),
        Specimen::bytes(sort, "script that begins like one.gif", *script, Refused("unsupported_format")),
        Specimen::bytes(sort, "script that begins like one.js", *script, FILE),
        Specimen::bytes(sort, "pdf and html.pdf", pdf("<html><script>alert(1)</script></html>"), FILE),
        Specimen::bytes(
            sort,
            "html and pdf.pdf",
            [PAGE.into(), pdf("behind it")].concat(),
            Refused("unsupported_format"),
        ),
        Specimen::bytes(
            sort,
            "bmp and script.bmp",
            [noise(324, ImageFormat::Bmp), script.to_vec()].concat(),
            Taken("image", &["unsupported_format"]),
        )
        .copied()
        .shown(),
    ]
}

/// Names with two types or none, and types nobody may send.
fn names_of_types() -> Vec<Specimen> {
    let png = |seed| noise(seed, ImageFormat::Png);
    let jpeg = |seed| noise(seed, ImageFormat::Jpeg);
    let mut program = vec![0; 256];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 128;
    program[128..132].copy_from_slice(b"PE\0\0");
    let sort = "a name of two types, or none";
    vec![
        // That a name says a program is no promise of another type.
        Specimen::bytes(sort, "photo.png.exe", png(330), IMAGE).shown(),
        Specimen::bytes(sort, "photo.jpg.png", png(331), IMAGE).shown(),
        Specimen::bytes(sort, "photo", png(332), IMAGE).shown(),
        Specimen::bytes(sort, "photo.", jpeg(333), IMAGE).shown(),
        Specimen::bytes(sort, "PHOTO.JPG", jpeg(334), IMAGE).shown(),
        Specimen::bytes(sort, "photo.unheardof", jpeg(335), IMAGE).shown(),
        Specimen::bytes("programs and pages", "setup.exe", program.clone(), Refused("unsupported_format")),
        Specimen::bytes("programs and pages", "setup.exe.txt", program, Refused("unsupported_format")),
        Specimen::bytes("programs and pages", "run.sh", "#!/bin/sh\necho\n", Refused("unsupported_format")),
        Specimen::bytes("programs and pages", "index.html", PAGE, Refused("unsupported_format")),
        Specimen::bytes("programs and pages", "no name", PAGE.to_owned() + " ", Refused("unsupported_format")),
        Specimen::bytes(
            "programs and pages",
            "tool",
            [&b"\x7fELF\x02\x01\x01\0"[..], &[0; 99]].concat(),
            Refused("unsupported_format"),
        ),
    ]
}

/// Films: their boxes are walked and their data never looked at.
fn films() -> Vec<Specimen> {
    let film_of = |parts: &[Vec<u8>]| [file_type(*b"isom"), parts.concat()].concat();
    let data = |seed| iso_box(*b"mdat", &random(seed, 500));
    let both = || index(&[*b"vide", *b"soun"], &[]);
    let edits = iso_box(*b"edts", &iso_box(*b"elst", &[&[0; 4][..], &u32::MAX.to_be_bytes(), &[0; 24]].concat()));
    let mut deep = iso_box(*b"mdia", &[]);
    for _ in 0..20_000 {
        deep = iso_box(*b"udta", &deep);
        if deep.len() > 160_000 {
            break;
        }
    }
    let large = [&1_u32.to_be_bytes()[..], b"mdat", &(16_u64 + 300).to_be_bytes(), &random(341, 300)].concat();
    let lying = [&1_u32.to_be_bytes()[..], b"mdat", &u64::MAX.to_be_bytes(), &random(342, 300)].concat();
    let to_the_end = [&0_u32.to_be_bytes()[..], b"mdat", &random(343, 300)].concat();
    let backwards = [&7_u32.to_be_bytes()[..], b"mdat", &random(344, 300)].concat();
    let sort = "a film's boxes";
    vec![
        Specimen::bytes(sort, "index behind.mp4", film_of(&[data(350), both()]), VIDEO),
        Specimen::bytes(sort, "index in front.mp4", film_of(&[both(), data(351)]), VIDEO),
        Specimen::bytes(sort, "no index.mp4", film_of(&[data(352)]), Refused("corrupt")),
        Specimen::bytes(sort, "sound alone.mp4", film_of(&[data(353), index(&[*b"soun"], &[])]), AUDIO),
        Specimen::bytes(
            sort,
            "four thousand million edits.mp4",
            film_of(&[data(354), index(&[*b"vide"], &edits)]),
            VIDEO,
        ),
        Specimen::bytes(sort, "boxes within boxes.mp4", film_of(&[data(355), index(&[*b"vide"], &deep)]), VIDEO),
        Specimen::bytes(sort, "ten thousand tracks.mp4", film_of(&[data(356), index(&[*b"vide"; 10_000], &[])]), VIDEO),
        Specimen::bytes(sort, "a long size.mp4", film_of(&[large, both()]), VIDEO),
        Specimen::bytes(sort, "a size beyond all.mp4", film_of(&[lying, both()]), Refused("corrupt")),
        Specimen::bytes(sort, "data to the end.mp4", film_of(&[both(), to_the_end]), VIDEO),
        Specimen::bytes(sort, "a size smaller than its header.mp4", film_of(&[backwards, both()]), Refused("corrupt")),
        Specimen::bytes(sort, "a film.mov", [file_type(*b"qt  "), data(357), both()].concat(), VIDEO),
        Specimen::bytes(sort, "a film.3gp", [file_type(*b"3gp4"), data(358), both()].concat(), VIDEO),
        Specimen::bytes(
            sort,
            "a film.webm",
            [&b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"[..], &random(359, 99)].concat(),
            VIDEO,
        ),
        Specimen::bytes(sort, "a film.avi", riff(*b"AVI ", &riff_chunk(*b"LIST", &random(360, 99))), VIDEO),
    ]
}

fn sounds() -> Vec<Specimen> {
    const TAG: u32 = 10 << 20;
    let tagged = |claimed, there: usize, seed| [id3(claimed), random(seed, there), mp3(3)].concat();
    let mut streamed = wav(370);
    streamed[4..8].fill(0xff);
    let sort = "a sound";
    vec![
        Specimen::bytes(sort, "a tag of 10 MB.mp3", tagged(TAG, TAG as usize, 371), AUDIO),
        Specimen::bytes(sort, "a tag longer than the file.mp3", tagged(0x0fff_ffff, 100, 372), AUDIO),
        Specimen::bytes(sort, "no tag.mp3", mp3(7), AUDIO),
        Specimen::bytes(
            sort,
            "a.ogg",
            [&b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis"[..], &random(373, 99)].concat(),
            AUDIO,
        ),
        Specimen::bytes(sort, "a.flac", [&b"fLaC\0\0\0\x22"[..], &random(374, 99)].concat(), AUDIO),
        Specimen::bytes(sort, "a.wav", wav(375), AUDIO),
        // Its writer did not know how long it would get, and never came back to say.
        Specimen::bytes(sort, "streamed.wav", streamed, AUDIO),
    ]
}

/// Documents and archives go up as they are: nobody unpacks them.
fn documents() -> Vec<Specimen> {
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &random(380, 40), &u32::MAX.to_le_bytes()].concat();
    let sort = "documents and archives";
    vec![
        Specimen::bytes(sort, "plain.pdf", pdf("plain"), FILE),
        Specimen::bytes(sort, "script.pdf", pdf("<< /S /JavaScript /JS (app.alert(1)) >>"), FILE),
        Specimen::bytes(sort, "a bomb.zip", zip("bomb", u32::MAX), FILE),
        Specimen::bytes(sort, "climbs out.zip", zip("../../../etc/passwd", 9), FILE),
        Specimen::bytes(sort, "a letter.docx", zip("word/document.xml", 9), FILE),
        Specimen::bytes(sort, "a bomb.gz", gzip, FILE),
        Specimen::bytes(sort, "latin.txt", *b"caf\xe9 in another century", FILE),
        Specimen::bytes(sort, "wide.txt", *b"\xff\xfew\0i\0d\0e\0", FILE),
        Specimen::bytes(sort, "nuls.txt", vec![0; 500], FILE),
        Specimen::bytes(sort, "formula.csv", "=cmd|' /C calc'!A0,1\n", FILE),
        Specimen::bytes(sort, "escape.txt", "\u{1b}]8;;http://127.0.0.1:9\u{7}click\u{1b}]8;;\u{7}", FILE),
        Specimen::bytes(
            sort,
            "entities.xml",
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            FILE,
        ),
    ]
}
