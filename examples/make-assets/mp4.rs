//! A sunrise as MP4: three seconds of H.264 in an ISO base media file (ISO/IEC 14496-12 and -15).

use crate::{h264, pictures};

const WIDTH: u16 = 480;
const HEIGHT: u16 = 272;
const FRAMES: u16 = 36;
const FRAMES_PER_SECOND: u32 = 12;

/// Nothing turned, nothing scaled.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The whole file: type, index, pictures; the index first, so that a player can start at once.
pub(crate) fn sunrise() -> Vec<u8> {
    let samples: Vec<Vec<u8>> = h264::pictures(&pictures::sunrise(FRAMES))
        .into_iter()
        .map(|unit| [&length(&unit).to_be_bytes(), unit.as_slice()].concat())
        .collect();
    let file_type = atom(*b"ftyp", &[b"isom\0\0\x02\0isomavc1mp41"]);
    // The index tells where the pictures start, and is as long whatever it tells.
    let start = length(&file_type) + length(&movie(&samples, 0)) + 8;
    [file_type, movie(&samples, start), atom(*b"mdat", &[&samples.concat()])].concat()
}

fn movie(samples: &[Vec<u8>], start: u32) -> Vec<u8> {
    let duration = u32::from(FRAMES);
    let (width, height) = (u32::from(WIDTH) << 16, u32::from(HEIGHT) << 16);
    let timing = [0, 0, 0, FRAMES_PER_SECOND, duration];
    let header = words(&[&timing, &[0x1_0000, 0x100_0000, 0, 0], &MATRIX, &[0; 6], &[2]]);
    let track_header = words(&[&[3, 0, 0, 1, 0, duration, 0, 0, 0, 0], &MATRIX, &[width, height]]);
    let media_header = words(&[&timing, &[u32::from_be_bytes(*b"\x55\xC4\0\0")]]); // The language "und".
    let media_information = [
        atom(*b"vmhd", &[&words(&[&[1, 0, 0]])]),
        atom(*b"dinf", &[&atom(*b"dref", &[&words(&[&[0, 1]]), &atom(*b"url ", &[&words(&[&[1]])])])]),
        sample_table(samples, start),
    ];
    let media = [
        atom(*b"mdhd", &[&media_header]),
        atom(*b"hdlr", &[&words(&[&[0, 0]]), b"vide", &[0; 13]]),
        atom(*b"minf", &[&media_information.concat()]),
    ];
    let track = atom(*b"trak", &[&atom(*b"tkhd", &[&track_header]), &atom(*b"mdia", &[&media.concat()])]);
    atom(*b"moov", &[&atom(*b"mvhd", &[&header]), &track])
}

/// What a sample is, how long it lasts and where it stands: all in one chunk, the first one complete in itself.
fn sample_table(samples: &[Vec<u8>], start: u32) -> Vec<u8> {
    let count = u32::from(FRAMES);
    let sizes: Vec<u32> = samples.iter().map(|sample| length(sample)).collect();
    atom(
        *b"stbl",
        &[
            &atom(*b"stsd", &[&words(&[&[0, 1]]), &sample_entry()]),
            &atom(*b"stts", &[&words(&[&[0, 1, count, 1]])]),
            &atom(*b"stss", &[&words(&[&[0, 1, 1]])]),
            &atom(*b"stsc", &[&words(&[&[0, 1, 1, count, 1]])]),
            &atom(*b"stsz", &[&words(&[&[0, 0, count], &sizes])]),
            &atom(*b"stco", &[&words(&[&[0, 1, start]])]),
        ],
    )
}

fn sample_entry() -> Vec<u8> {
    let sequence = h264::sequence_parameters(WIDTH.into(), HEIGHT.into());
    let picture = h264::picture_parameters();
    let size = u32::from(WIDTH) << 16 | u32::from(HEIGHT);
    let visual = words(&[&[0, 1, 0, 0, 0, 0, size, 0x48_0000, 0x48_0000, 0]]);
    let configuration = atom(
        *b"avcC",
        &[
            &[1, sequence[1], sequence[2], sequence[3], 0xFF, 0xE1], // Lengths of four bytes, one sequence set.
            &short_length(&sequence),
            &sequence,
            &[1],
            &short_length(&picture),
            &picture,
        ],
    );
    atom(*b"avc1", &[&visual, &[0, 1], &[0; 32], &[0, 24, 0xFF, 0xFF], &configuration])
}

/// A box: its length, its name, what it holds.
fn atom(name: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [(length(&body) + 8).to_be_bytes().as_slice(), &name, &body].concat()
}

fn words(runs: &[&[u32]]) -> Vec<u8> {
    runs.iter().copied().flatten().flat_map(|word| word.to_be_bytes()).collect()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("the whole clip is less than a megabyte")
}

fn short_length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("a parameter set is a few bytes").to_be_bytes()
}
