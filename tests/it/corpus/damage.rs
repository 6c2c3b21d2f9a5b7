//! Bytes that are too few, too many, or not what they were.

use std::ops::Range;

use image::ImageFormat;

use super::raw::{film, mp3, noise, pdf, random, still, wav};
use super::specimen::Verdict::{Refused, Taken};
use super::specimen::{Specimen, What};

const DOUBTFUL: &[&str] = &["unsupported_format"];
const NEAR: &[&str] = &["near_size_limit"];

/// A format whose files say how long they are, so that one which was cut short shows it.
struct Format {
    extension: &'static str,
    kind: &'static str,
    /// What is said of a whole one.
    warnings: &'static [&'static str],
    whole: fn(u64) -> Vec<u8>,
    /// How many bytes tell what it is.
    signature: usize,
    /// Places where a changed byte makes it a file without a readable header, or one that ends too early.
    vital: &'static [usize],
    /// Where its data is: what that decodes to is not asked.
    data: Range<usize>,
    is_drawn: bool,
}

fn formats() -> [Format; 8] {
    let noise_of = |extension, warnings, whole, vital, data| Format {
        extension,
        kind: "image",
        warnings,
        whole,
        signature: 12,
        vital,
        data,
        is_drawn: true,
    };
    [
        Format {
            signature: 3,
            ..noise_of("jpg", &[], |seed| noise(seed, ImageFormat::Jpeg), &[0, 1, 2], 700..usize::MAX)
        },
        // Signature, length and name of the header, width, height, depth, and its checksum.
        Format {
            signature: 8,
            ..noise_of(
                "png",
                &[],
                |seed| noise(seed, ImageFormat::Png),
                &[0, 1, 4, 8, 12, 18, 19, 22, 24, 30],
                60..usize::MAX,
            )
        },
        Format { signature: 10, ..noise_of("gif", &[], |seed| noise(seed, ImageFormat::Gif), &[0, 1, 2, 3], 40..780) },
        // The length of all of it, made larger.
        noise_of("webp", DOUBTFUL, |seed| noise(seed, ImageFormat::WebP), &[0, 3, 6, 7], 60..usize::MAX),
        // The place of the pixels, and how many there are.
        Format {
            signature: 18,
            ..noise_of("bmp", DOUBTFUL, |seed| noise(seed, ImageFormat::Bmp), &[0, 1, 12, 15, 20, 24], 60..usize::MAX)
        },
        Format {
            extension: "heic",
            kind: "image",
            warnings: DOUBTFUL,
            whole: |seed| still(*b"heic", seed),
            signature: 12,
            vital: &[0, 1, 4, 5, 7],
            data: 110..usize::MAX,
            is_drawn: false,
        },
        Format {
            extension: "mp4",
            kind: "video",
            warnings: &[],
            whole: film,
            signature: 12,
            vital: &[0, 1, 4, 5, 7],
            data: 40..usize::MAX,
            is_drawn: false,
        },
        Format {
            extension: "wav",
            kind: "audio",
            warnings: &[],
            whole: wav,
            signature: 12,
            vital: &[0, 1, 2, 3, 8, 9],
            data: 50..usize::MAX,
            is_drawn: false,
        },
    ]
}

pub(super) fn all() -> Vec<Specimen> {
    let mut all = Vec::new();
    for (number, format) in (1_000..).step_by(100).zip(formats()) {
        all.extend(format.cut_short(number));
        all.extend(format.of_its_signature());
        all.extend(format.with_more_behind(number));
        all.extend(format.flipped(number));
    }
    all.extend(sizes());
    all.extend(without_an_end());
    all
}

impl Format {
    /// Nobody can show a picture of bytes that are missing.
    fn cut_short(&self, seed: u64) -> Vec<Specimen> {
        [10, 50, 90, 99]
            .map(|percent| {
                let whole = (self.whole)(seed + percent);
                let share = whole.len() * usize::try_from(percent).expect("small") / 100;
                let name = format!("cut at {percent}.{}", self.extension);
                let cut = Specimen::bytes("cut short", &name, &whole[..share], Refused("corrupt"));
                if self.is_drawn { cut.perhaps_not_shown() } else { cut }
            })
            .into()
    }

    fn of_its_signature(&self) -> Vec<Specimen> {
        let name = format!("signature alone.{}", self.extension);
        let start = (self.whole)(1)[..self.signature].to_vec();
        vec![Specimen::bytes("nothing behind the signature", &name, start, Refused("corrupt")).perhaps_not_shown()]
    }

    fn with_more_behind(&self, seed: u64) -> Vec<Specimen> {
        let more = [(self.whole)(seed + 5), b"left behind by a careless tool".to_vec()].concat();
        let verdict = Taken(self.kind, self.warnings);
        let whole = Specimen::bytes("more behind its end", &format!("longer.{}", self.extension), more, verdict);
        let whole = if self.warnings == DOUBTFUL && self.is_drawn { whole.copied() } else { whole };
        let whole = if self.extension == "heic" { whole.told("cannot_fit") } else { whole };
        vec![if self.is_drawn { whole.shown() } else { whole }]
    }

    /// One bit is another: where the file says what it is, nobody can read it; in its data, nobody minds. 25 of each.
    fn flipped(&self, seed: u64) -> Vec<Specimen> {
        let mut random = fastrand::Rng::with_seed(seed);
        let whole = (self.whole)(seed + 6);
        let vital = self.vital.iter().map(|at| (*at, 7, Refused("corrupt")));
        let harmless = std::iter::repeat_with(|| {
            // The last few bytes are its end.
            let end = self.data.end.min(whole.len() - 600.min(whole.len() / 3));
            let at = random.usize(self.data.start..end);
            (at, random.u8(..8), Taken(self.kind, self.warnings))
        });
        let flips: Vec<_> = vital.chain(harmless).take(25).collect();
        let specimen = |(number, (at, bit, verdict)): (usize, (usize, u8, _))| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let name = format!("flipped/{number:02} byte {at}.{}", self.extension);
            let flipped = Specimen::bytes("a bit that is another", &name, bytes, verdict);
            let flipped = match (verdict, self.warnings) {
                (Taken(..), DOUBTFUL) if self.extension == "heic" => flipped.told("cannot_fit"),
                // A BMP has no checksums: any pixels are pixels.
                (Taken(..), DOUBTFUL) if self.extension == "bmp" => flipped.copied(),
                (Taken(..), DOUBTFUL) => flipped.copied_or_told(),
                _ => flipped,
            };
            if self.is_drawn { flipped.perhaps_not_shown() } else { flipped }
        };
        flips.into_iter().enumerate().map(specimen).collect()
    }
}

/// From nothing to more than anybody would send. 25 MB are 26,214,400 bytes.
fn sizes() -> Vec<Specimen> {
    let mut all = Vec::new();
    for name in ["nothing.png", "nothing.mp4", "nothing.txt", "nothing", "nothing.pdf"] {
        all.push(Specimen::bytes("no bytes", name, [], Refused("empty")));
    }
    for (name, verdict) in [
        ("one byte.png", Refused("corrupt")),
        ("one byte.jpg", Refused("corrupt")),
        ("one byte.mp4", Refused("corrupt")),
        ("one byte.dat", Taken("file", &[])),
        ("one byte", Taken("file", &[])),
        ("one byte.mp3", Taken("audio", &[])),
    ] {
        all.push(Specimen::bytes("one byte", name, [0xfe], verdict));
    }
    for (name, bytes) in [("one letter.txt", "a"), ("one line break", "\n")] {
        all.push(Specimen::bytes("one byte", name, bytes, Taken("file", &[])));
    }
    let sparse = |name: &str, start: &[u8], length, verdict| {
        Specimen::new("near the limit of 25 MB", name, What::Sparse(start.to_vec(), length), verdict)
    };
    let png = noise(90, ImageFormat::Png);
    all.extend([
        sparse("24 MB.bin", &random(2, 16), 24_000_000, Taken("file", &[])),
        sparse("24 MB and a byte.bin", &random(3, 16), 24_000_001, Taken("file", NEAR)),
        sparse("25 MB.png", &png, 26_214_400, Taken("image", NEAR)).shown(),
        sparse("25 MB and a byte.png", &png, 26_214_401, Refused("too_large")).copied(),
        sparse("25 MB and a byte.mp4", &film(91), 26_214_401, Refused("too_large")),
        sparse("201 MB.png", &png, 201_000_000, Refused("too_large")).told("cannot_fit"),
        sparse("8 MB and a byte.png", &noise(92, ImageFormat::Png), 8_388_609, Taken("image", NEAR)).shown(),
    ]);
    for name in ["4 GB.mp4", "4 GB.png", "4 GB"] {
        let large = Specimen::new("far over the limit", name, What::Sparse(film(1), 4 << 30), Refused("too_large"));
        // By its name it may be an image, and nobody reads so much to see that it is none.
        all.push(if name == "4 GB.png" { large.told("cannot_fit") } else { large });
    }
    all
}

/// Formats that do not say where they end: what is there is all there is.
fn without_an_end() -> Vec<Specimen> {
    let mut all = Vec::new();
    for (number, percent) in (0..).zip([10, 50, 90, 99]) {
        let cut = |whole: Vec<u8>| whole[..whole.len() * percent / 100].to_vec();
        let sort = "cut short where nobody can tell";
        all.extend([
            Specimen::bytes(sort, &format!("cut at {percent}.mp3"), cut(mp3(20 + number)), Taken("audio", &[])),
            Specimen::bytes(
                sort,
                &format!("cut at {percent}.txt"),
                cut(b"word ".repeat(50 + number)),
                Taken("file", &[]),
            ),
            Specimen::bytes(
                sort,
                &format!("cut at {percent}.pdf"),
                cut(pdf(&"<< >> ".repeat(90 + number))),
                Taken("file", &[]),
            ),
        ]);
        // A TIFF's header stands behind its pixels: without it there is nothing.
        let tiff = cut(noise(80 + number as u64, ImageFormat::Tiff));
        all.push(
            Specimen::bytes("cut short", &format!("cut at {percent}.tiff"), tiff, Refused("corrupt"))
                .perhaps_not_shown(),
        );
    }
    all
}
