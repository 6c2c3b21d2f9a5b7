//! Names that mean something to somebody, and entries that are no files.

use std::ffi::OsString;

use image::ImageFormat;

use super::raw::noise;
use super::specimen::Verdict::{self, Refused, Skipped, Taken};
use super::specimen::{Specimen, What, raw_name};

const IMAGE: Verdict = Taken("image", &[]);

/// The most levels of folders that are looked into.
const MAX_DEPTH: usize = 64;

pub(super) fn all() -> Vec<Specimen> {
    [names(), long_names(), kinds(), trees(), left_out()].into_iter().flatten().collect()
}

fn picture(seed: u64) -> What {
    What::Bytes(noise(seed, ImageFormat::Png))
}

/// Any name is taken; which of them may speak to a terminal, a spreadsheet or a page is the business of what shows them.
fn names() -> Vec<Specimen> {
    let combining = format!("e{}.png", "\u{301}".repeat(120));
    let names = [
        "new\nline.png",
        "return\rback.png",
        "tab\there.png",
        "delete\u{7f}.png",
        "escape\u{1b}[31mred.png",
        "title\u{1b}]0;owned\u{7}.png",
        "link\u{1b}]8;;http:\u{2044}\u{2044}127.0.0.1\u{7}click.png",
        "c1\u{9b}31m.png",
        "right to left\u{202e}gnp.png",
        "isolated\u{2066}left.png",
        "zero\u{200b}width.png",
        "line\u{2028}separator.png",
        "byte order\u{feff}.png",
        "family 👨‍👩‍👧‍👦.png",
        &combining,
        "-leading dash.png",
        "--help.png",
        " leading space.png",
        "trailing space.png ",
        "trailing dot.png.",
        "back\\slash.png",
        "quote\"and'tick`.png",
        "{\"event\":\"summary\"}.png",
        "%s%n%x.png",
        "$(touch owned).png",
        ";reboot;.png",
        "=cmd|' /C calc'!A0.png",
        "+1+1.png",
        "@SUM(1).png",
        "\"><img src=x onerror=alert(1)>.png",
        "CON",
        "aux.png",
        "a:stream.png",
        "cafe\u{301}.png",
        "caf\u{e9}.png",
        "Twin.PNG",
        "twin.png",
        "*.png",
        "[a-z]?.png",
        "sha256:00.png",
        "@alias.png",
        "https:.png",
    ];
    let mut all: Vec<_> = (400..)
        .zip(names)
        .map(|(seed, name)| {
            Specimen::new("a name that means something", format!("names/{name}"), picture(seed), IMAGE).shown()
        })
        .collect();
    for (seed, bytes) in
        (450..).zip([&b"names/not \xff text.png"[..], b"names/\xc3\x28.png", b"names/half \xf0\x9f\x98.png"])
    {
        all.push(Specimen::new("a name that is no text", raw_name(bytes), picture(seed), IMAGE).shown());
    }
    // A type has to be read from a name that is text.
    all.push(Specimen::new("a name that is no text", raw_name(b"names/\xff\xfe"), picture(453), IMAGE).shown());
    all
}

/// As long as the system takes, and longer.
fn long_names() -> Vec<Specimen> {
    let sort = "a long name";
    let longest = format!("{}.png", "n".repeat(251));
    let wide = format!("{}.png", "😀".repeat(62));
    // Of a path the system takes 4,095 bytes.
    let folders = |levels: usize| format!("{}/", "d".repeat(250)).repeat(levels);
    vec![
        Specimen::new(sort, longest, picture(460), IMAGE).shown(),
        Specimen::new(sort, wide, picture(461), IMAGE).shown(),
        Specimen::new(sort, format!("{}{}.png", folders(15), "p".repeat(200)), picture(462), IMAGE).shown(),
        Specimen::new(
            "a path too long",
            format!("{}{}.png", folders(16), "p".repeat(200)),
            picture(463),
            Refused("unreadable"),
        ),
    ]
}

/// Nothing but regular files is read, and links within folders are not followed.
fn kinds() -> Vec<Specimen> {
    let not_a_file = Refused("not_a_regular_file");
    let link = |sort, name: &str, to| Specimen::new(sort, format!("links {name}"), What::Link(to), Skipped);
    let locked = if rustix::process::geteuid().is_root() { IMAGE } else { Refused("unreadable") };
    let locked = Specimen::new("nobody may read it", "locked.png", What::Locked(noise(472, ImageFormat::Png)), locked);
    vec![
        Specimen::new("a pipe", "pipe.png", What::Fifo, not_a_file),
        Specimen::new("a pipe", "pipe", What::Fifo, not_a_file),
        Specimen::new("a socket", "socket.jpg", What::Socket, not_a_file),
        Specimen::new("a folder with the name of a file", "folder.jpg", What::Folder, not_a_file),
        Specimen::new("a folder with the name of a file", "folder.jpg/inside.png", picture(470), IMAGE).shown(),
        Specimen::new("a folder with the name of a file", "folder.mp4", What::Folder, not_a_file),
        link("a link to a device", "to zeros.png", "/dev/zero"),
        link("a link to a device", "to noise.png", "/dev/random"),
        link("a link to a device", "to the memory.png", "/proc/self/mem"),
        link("a link inside", "to a good one.png", "good/1.png"),
        link("a link to nowhere", "nowhere.png", "nowhere"),
        link("a link in a circle", "to itself.png", "links to itself.png"),
        link("a link in a circle", "in a circle", "."),
        link("a link outside", "outside.png", "../outside.png"),
        link("a link outside", "to the environment", "/proc/self/environ"),
        link("a link outside", "to everything", "/"),
        Specimen::new("the same bytes", "one of two.png", picture(471), IMAGE).shown(),
        Specimen::new("the same bytes", "two of two.png", What::Twin("one of two.png"), IMAGE).shown(),
        Specimen::new("the same bytes", "a copy of one.png", picture(471), IMAGE).shown(),
        locked.perhaps_not_shown(),
    ]
}

fn trees() -> Vec<Specimen> {
    let down = |levels: usize| "deep/".repeat(levels);
    let sort = "a deep tree";
    vec![
        // The folder at the last level is named, and not looked into.
        Specimen::new(sort, format!("{}in time.png", down(MAX_DEPTH - 1)), picture(480), IMAGE).shown(),
        Specimen::new(sort, format!("{}too deep.png", down(200)), picture(481), Skipped),
        Specimen::new(sort, down(MAX_DEPTH).trim_end_matches('/'), What::Known, Refused("too_deep")),
    ]
}

/// What systems, browsers and archivers leave about, and what is hidden.
fn left_out() -> Vec<Specimen> {
    let names: [OsString; 12] = [
        ".DS_Store",
        "._a.png",
        "Thumbs.db",
        "desktop.ini",
        "DESKTOP.INI",
        "~$letter.docx",
        "half.part",
        "half.crdownload",
        "x.tmp",
        ".hidden.png",
        "...",
        ".git/a.png",
    ]
    .map(Into::into);
    (490..).zip(names).map(|(seed, name)| Specimen::new("nobody's media", name, picture(seed), Skipped)).collect()
}
