//! Pictures that ask for more than they are worth, and rare ones that are fine.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageEncoder, ImageFormat, Luma, Rgba, RgbaImage};

use super::raw::{
    Jpeg, exif, gif_of, gif_of_frames, gif_on, grey_tiff, jpeg_segment, noise, png_chunk, png_header, png_of, png_with,
    riff, riff_chunk, still, stored, tiled_tiff, vast_png,
};
use super::specimen::Verdict::{self, Refused, Taken};
use super::specimen::{Specimen, What};

const IMAGE: Verdict = Taken("image", &[]);
const DOUBTFUL: Verdict = Taken("image", &["unsupported_format"]);
const VAST: Verdict = Refused("too_many_pixels");

/// What a bomb unpacks to.
const BOMB_BYTES: usize = 64 << 20;

pub(super) fn all() -> Vec<Specimen> {
    [vast(), animated(), scans(), hidden_weight(), tiffs(), metadata(), rare(), unnamed_formats(), drawings()]
        .into_iter()
        .flatten()
        .collect()
}

/// Headers of more pixels than 85 million, with next to no data behind them.
fn vast() -> Vec<Specimen> {
    let mut bmp = noise(200, ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    let jpeg = Jpeg { width: 65_500, height: 65_500, components: 1, more_scans: None };
    // A frame of 65,500 pixels square would be a megabyte of zeros: this one ends early, with its end behind it.
    let jpeg = [&jpeg.bytes(&[])[..2_000], &[0xff, 0xd9]].concat();
    let webp = riff_chunk(*b"VP8L", &[&[0x2f, 0xff, 0xff, 0xff, 0x0f][..], &[0; 65]].concat());
    let webp = riff(*b"WEBP", &webp);
    let sort = "more pixels than Meta takes";
    vec![
        Specimen::bytes(sort, "100000 square, 1 bit.png", vast_png(100_000, 100_000, 1, 0), VAST).told("cannot_fit"),
        Specimen::bytes(sort, "20000 square, RGB.png", vast_png(20_000, 20_000, 8, 2), VAST).told("cannot_fit"),
        // Its pixels come to 507 MB, which a copy may take: but they are not there.
        Specimen::bytes(sort, "13000 square, RGB.png", vast_png(13_000, 13_000, 8, 2), VAST).told("cannot_fit"),
        Specimen::bytes(sort, "two thousand million in a row.png", vast_png(0x7fff_ffff, 1, 1, 0), VAST)
            .told("cannot_fit"),
        Specimen::bytes(sort, "a screen of 65535 square.gif", gif_on(65_535, 65_535), VAST).told("cannot_fit"),
        Specimen::bytes(sort, "65500 square.jpg", jpeg, VAST).told("cannot_fit").perhaps_not_shown(),
        // Cut short as well, which is said first.
        Specimen::bytes(sort, "2147483647 square.bmp", bmp, Refused("corrupt")),
        Specimen::bytes(sort, "16384 square.webp", webp, VAST).told("cannot_fit"),
        Specimen::bytes(sort, "60000 square.tiff", grey_tiff(60_000, 60_000, 60_000, 256, 0), VAST).told("cannot_fit"),
        Specimen::bytes("no pixels at all", "0 wide.png", vast_png(0, 5, 8, 0), Refused("corrupt")),
        Specimen::bytes("no pixels at all", "0 high.gif", gif_on(9, 0), Refused("corrupt")).perhaps_not_shown(),
    ]
}

/// A hundred thousand frames each. The first is what the gallery shows.
fn animated() -> Vec<Specimen> {
    const FRAMES: usize = 100_000;
    let sort = "a hundred thousand frames";
    let control = |number: u32| {
        let place = [0; 8];
        let fields =
            [&number.to_be_bytes()[..], &1_u32.to_be_bytes(), &1_u32.to_be_bytes(), &place, &[0, 1, 0, 1, 0, 0]];
        png_chunk(*b"fcTL", &fields.concat())
    };
    let pixel = stored(&[0, 0x55]);
    let count = u32::try_from(FRAMES).expect("small");
    let mut chunks = vec![
        png_header(1, 1, 8, 0),
        png_chunk(*b"acTL", &[count.to_be_bytes(), [0; 4]].concat()),
        control(0),
        png_chunk(*b"IDAT", &pixel),
    ];
    for frame in 1..count {
        chunks.push(control(frame * 2 - 1));
        chunks.push(png_chunk(*b"fdAT", &[&(frame * 2).to_be_bytes()[..], &pixel].concat()));
    }
    let mut webp = Cursor::new(Vec::new());
    DynamicImage::from(GrayImage::from_pixel(1, 1, Luma([9]))).write_to(&mut webp, ImageFormat::WebP).expect("encoded");
    let frame = [&[0; 12][..], &[10, 0, 0, 0], &webp.get_ref()[12..]].concat();
    let start = [
        riff_chunk(*b"VP8X", &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        riff_chunk(*b"ANIM", &[0; 6]),
        riff_chunk(*b"ANMF", &frame).repeat(FRAMES),
    ];
    vec![
        Specimen::bytes(sort, "dance.gif", gif_of_frames(FRAMES), IMAGE).shown(),
        Specimen::bytes(sort, "dance.png", png_of(&chunks), IMAGE).shown(),
        Specimen::bytes(sort, "dance.webp", riff(*b"WEBP", &start.concat()), DOUBTFUL)
            .told("animated")
            .perhaps_not_shown(),
    ]
}

/// Progressive JPEGs whose every scan walks over all there is.
fn scans() -> Vec<Specimen> {
    let of =
        |side, more_scans| Jpeg { width: side, height: side, components: 1, more_scans: Some(more_scans) }.bytes(&[]);
    let sort = "a JPEG of a thousand scans";
    vec![
        Specimen::bytes(sort, "8 square, 1000 scans.jpg", of(8, 1_000), IMAGE).perhaps_not_shown(),
        Specimen::bytes(sort, "4096 square, 200 scans.jpg", of(4_096, 200), IMAGE).perhaps_not_shown(),
        // Too large to be sent, so that a copy is wanted.
        Specimen::new(
            sort,
            "2048 square, 100 scans, 25 MB.jpg",
            What::Sparse(of(2_048, 100), 26_214_401),
            Refused("too_large"),
        )
        .copied_or_told(),
    ]
}

/// Metadata that unpacks to far more than it takes.
fn hidden_weight() -> Vec<Specimen> {
    let sort = "metadata that unpacks to 64 MiB";
    let packed = |name: &[u8; 4], keyword: &[u8], text: String| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.add_ztxt_chunk("Comment".to_owned(), text).expect("a text");
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&[0])).expect("encoded");
        let at = bytes.windows(4).position(|window| window == b"zTXt").expect("a chunk");
        let length = u32::from_be_bytes(*bytes[at - 4..].first_chunk().expect("a length"));
        let data = &bytes[at + 4 + "Comment\0\0".len()..at + 4 + usize::try_from(length).expect("small")];
        png_chunk(*name, &[keyword, data].concat())
    };
    let text = "a".repeat(BOMB_BYTES);
    let png = |seed| noise(seed, ImageFormat::Png);
    vec![
        Specimen::bytes(sort, "zTXt.png", png_with(&png(210), &packed(b"zTXt", b"Comment\0\0", text.clone())), IMAGE)
            .perhaps_not_shown(),
        Specimen::bytes(
            sort,
            "iTXt.png",
            png_with(&png(211), &packed(b"iTXt", b"Comment\0\x01\0\0\0", text.clone())),
            IMAGE,
        )
        .perhaps_not_shown(),
        Specimen::bytes(sort, "iCCP.png", png_with(&png(212), &packed(b"iCCP", b"profile\0\0", text)), IMAGE)
            .perhaps_not_shown(),
        Specimen::bytes(
            "thousands of chunks",
            "chunks.png",
            png_with(&png(213), &png_chunk(*b"tEXt", b"a\0b").repeat(50_000)),
            IMAGE,
        )
        .shown(),
        Specimen::bytes(
            "thousands of chunks",
            "comments.gif",
            gif_of(1, 1, &[&[0x21, 0xfe, 1, b'x', 0].repeat(200_000)[..], &gif_on(1, 1)[19..34]].concat()),
            IMAGE,
        )
        .shown(),
        Specimen::bytes(
            "thousands of chunks",
            "segments.jpg",
            Jpeg { width: 16, height: 16, components: 3, more_scans: None }
                .bytes(&jpeg_segment(0xfe, b"comment").repeat(50_000)),
            IMAGE,
        )
        .perhaps_not_shown(),
    ]
}

/// TIFFs whose directory lies. Its pixels are not looked at before a copy is made of them.
fn tiffs() -> Vec<Specimen> {
    let sort = "a TIFF whose directory lies";
    vec![
        Specimen::bytes(sort, "plain.tiff", grey_tiff(16, 16, 16, 256, 0), DOUBTFUL).copied().shown(),
        Specimen::bytes(sort, "a strip of 4 GB.tiff", grey_tiff(16, 16, u32::MAX, u32::MAX, 0), DOUBTFUL)
            .copied_or_told()
            .perhaps_not_shown(),
        Specimen::bytes(sort, "a strip behind the end.tiff", grey_tiff(16, 16, 16, 257, 0), Refused("corrupt"))
            .perhaps_not_shown(),
        Specimen::bytes(sort, "strips of no rows.tiff", grey_tiff(16, 16, 0, 256, 0), Refused("corrupt"))
            .perhaps_not_shown(),
        Specimen::bytes(sort, "vast tile.tiff", tiled_tiff(1 << 30), DOUBTFUL).copied_or_told().perhaps_not_shown(),
        Specimen::bytes(sort, "its own next.tiff", grey_tiff(16, 16, 16, 256, 8), Refused("corrupt")),
        Specimen::bytes(sort, "next far away.tiff", grey_tiff(16, 16, 16, 256, u32::MAX - 1), DOUBTFUL)
            .copied()
            .shown(),
        Specimen::bytes(sort, "no directory.tiff", *b"II*\0\xff\xff\xff\x7f________", Refused("corrupt")),
    ]
}

/// What cameras write beside the picture, right and wrong.
fn metadata() -> Vec<Specimen> {
    let jpeg = |metadata: &[u8]| {
        let whole = noise(230, ImageFormat::Jpeg);
        [&whole[..2], metadata, &whole[2..]].concat()
    };
    let mut all: Vec<_> = (0..=9)
        .map(|value| {
            let bytes = jpeg(&exif(&[(0x0112, 3, 1, value)], 0));
            Specimen::bytes("a picture that is turned", &format!("turned {value}.jpg"), bytes, IMAGE).shown()
        })
        .collect();
    let sort = "EXIF that leads nowhere";
    for (name, segment) in [
        ("its own next.jpg", exif(&[(0x0112, 3, 1, 6)], 8)),
        ("its own sub-directory.jpg", exif(&[(0x8769, 4, 1, 8)], 0)),
        ("four thousand million letters.jpg", exif(&[(0x010e, 2, u32::MAX, 8)], 0)),
        ("an orientation of many.jpg", exif(&[(0x0112, 3, u32::MAX, 1)], 0)),
        ("no TIFF.jpg", jpeg_segment(0xe1, b"Exif\0\0neither nor")),
    ] {
        all.push(Specimen::bytes(sort, name, jpeg(&segment), IMAGE).shown());
    }
    all
}

/// Everything a PNG or JPEG may be, and seldom is.
fn rare() -> Vec<Specimen> {
    let png = |image: DynamicImage| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).expect("encoded");
        bytes.into_inner()
    };
    let palette = [
        png_header(4, 1, 8, 3),
        png_chunk(*b"PLTE", &[9, 8, 7, 6, 5, 4]),
        png_chunk(*b"IDAT", &stored(&[0, 0, 1, 0, 1])),
    ];
    let one_bit = [png_header(4, 1, 1, 0), png_chunk(*b"IDAT", &stored(&[0, 0xa0]))];
    let mut profiled = Vec::new();
    let mut encoder = PngEncoder::new(&mut profiled);
    encoder.set_icc_profile(vec![7; 200]).expect("a profile");
    encoder.write_image(&[5; 12], 2, 2, image::ExtendedColorType::Rgb8).expect("encoded");
    let sort = "a rare sort of picture";
    let jpeg = |components, more_scans| Jpeg { width: 24, height: 24, components, more_scans }.bytes(&[]);
    vec![
        Specimen::bytes(sort, "grey.png", png(GrayImage::from_pixel(5, 5, Luma([1])).into()), IMAGE).shown(),
        Specimen::bytes(sort, "grey and clear.png", png(GrayAlphaImage::new(5, 5).into()), IMAGE).shown(),
        Specimen::bytes(sort, "clear.png", png(RgbaImage::from_pixel(5, 5, Rgba([1, 2, 3, 4])).into()), IMAGE).shown(),
        Specimen::bytes(sort, "16 bits.png", png(DynamicImage::new_rgb16(6, 6)), IMAGE).shown(),
        Specimen::bytes(sort, "palette.png", png_of(&palette), IMAGE).shown(),
        Specimen::bytes(sort, "1 bit.png", png_of(&one_bit), IMAGE).shown(),
        Specimen::bytes(sort, "profile.png", profiled, IMAGE).shown(),
        Specimen::bytes(sort, "grey.jpg", jpeg(1, None), IMAGE).shown(),
        Specimen::bytes(sort, "colour.jpg", jpeg(3, None), IMAGE).shown(),
        Specimen::bytes(sort, "CMYK.jpg", jpeg(4, None), IMAGE).shown(),
        Specimen::bytes(sort, "progressive.jpg", jpeg(1, Some(1)), IMAGE).shown(),
        Specimen::bytes(sort, "long and thin.png", png(GrayImage::new(1, 20_000).into()), IMAGE),
    ]
}

/// Formats Meta does not name: some it may take, the others it does not.
fn unnamed_formats() -> Vec<Specimen> {
    let of = |format| {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgba8(16, 16).write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    };
    let sort = "a format Meta does not name";
    vec![
        Specimen::bytes(sort, "a.webp", noise(240, ImageFormat::WebP), DOUBTFUL).copied().shown(),
        Specimen::bytes(sort, "a.bmp", noise(241, ImageFormat::Bmp), DOUBTFUL).copied().shown(),
        Specimen::bytes(sort, "a.tif", noise(242, ImageFormat::Tiff), DOUBTFUL).copied().shown(),
        Specimen::bytes(sort, "a.heic", still(*b"heic", 243), DOUBTFUL).told("cannot_fit"),
        Specimen::bytes(sort, "a.avif", still(*b"avif", 244), DOUBTFUL).told("cannot_fit"),
        Specimen::bytes(sort, "a.ico", of(ImageFormat::Ico), Refused("unsupported_format")).copied().shown(),
        Specimen::bytes(sort, "bare.jxl", *b"\xff\x0a\xfa\x7f\x01\x90\x08\x06", Refused("unsupported_format"))
            .told("cannot_fit"),
        Specimen::bytes(
            sort,
            "boxed.jxl",
            *b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ",
            Refused("unsupported_format"),
        )
        .told("cannot_fit"),
        Specimen::bytes(
            sort,
            "a.jp2",
            *b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ",
            Refused("unsupported_format"),
        )
        .told("cannot_fit"),
    ]
}

/// SVG is refused as an image, whatever it does: so nothing in it is ever looked at.
fn drawings() -> Vec<Specimen> {
    let svg = |inside: &str| format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{inside}</svg>");
    let entity = |(name, before): (char, char)| format!("<!ENTITY {name} \"{}\">", format!("&{before};").repeat(10));
    let entities = ('b'..='j').zip('a'..='i').map(entity).collect::<Vec<_>>().concat();
    let laughs =
        format!("<?xml version=\"1.0\"?><!DOCTYPE svg [<!ENTITY a \"ha\">{entities}]>{}", svg("<text>&j;</text>"));
    let outside = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE svg [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{}",
        svg("<text>&x;</text>")
    );
    [
        ("plain.svg", svg("<rect width=\"5\" height=\"5\"/>")),
        ("script.svg", svg("<script>alert(1)</script>")),
        ("event.svg", svg("<rect onclick=\"alert(1)\"/>")),
        ("laughs.svg", laughs),
        ("outside.svg", outside),
        ("linked.svg", svg("<image href=\"http://127.0.0.1:9/x.png\"/>")),
        ("drawing.png", svg("<rect/><!-- an SVG by another name -->")),
    ]
    .map(|(name, text)| Specimen::bytes("SVG", name, text, Refused("unsupported_format")).told("cannot_fit"))
    .into()
}
