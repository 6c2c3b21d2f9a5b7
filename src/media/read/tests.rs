//! Files are changed from the progress callback, so every race happens on cue.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use image::{DynamicImage, ImageFormat};
use rustix::fs::{CWD, Mode, mkfifoat};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::facts::Dimensions;
use crate::media::ProblemCode;

const CAPACITY: usize = 64 * 1024 * 1024;

/// A reader whose clock shows a time long after every file was written.
fn reader() -> Reader {
    reader_at(Timestamp::from_unix_millis(i64::MAX / 2_000_000))
}

fn reader_at(now: Timestamp) -> Reader {
    Reader::new(Arc::new(BytePool::new(CAPACITY)), Arc::new(ManualClock::new(now)))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(folder: &TempDir, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file");
    path
}

fn code(path: &Path) -> ProblemCode {
    let read = reader().read(path, Follow::Never, &mut |_| ()).map(|content| content.facts);
    read.expect_err("a problem").code
}

#[test]
fn one_read_gives_bytes_hash_type_dimensions_and_fingerprint() {
    let folder = folder();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(400, 300).write_to(&mut png, ImageFormat::Png).expect("encoded");
    let bytes = [&png.into_inner()[..], &vec![7; 1_000_000]].concat();
    let path = file(&folder, "a.png", &bytes);
    let mut steps = Vec::new();
    let content = reader().read(&path, Follow::Never, &mut |step| steps.push(step)).expect("read");
    assert_eq!(content.bytes, bytes);
    assert_eq!(content.facts.hash, ContentHash(Sha256::digest(&bytes).into()));
    assert_eq!(content.facts.size_bytes, bytes.len() as u64);
    assert_eq!(content.facts.mime.as_deref(), Some("image/png"));
    assert_eq!(content.facts.dimensions, Some(Dimensions { width: 400, height: 300 }));
    assert_eq!(content.facts.damage, None);
    assert_eq!(content.fingerprint, stat(&path, Follow::Never).expect("stat").fingerprint);
    assert!(content.fingerprint.is_some());
    assert_eq!(steps.iter().sum::<u64>(), bytes.len() as u64);
    assert!(steps.len() > 3);
}

#[test]
fn files_of_hopeless_size_are_refused_unread() {
    let folder = folder();
    assert_eq!(code(&file(&folder, "empty.png", b"")), ProblemCode::Empty);
    let sparse = folder.path().join("sparse.mp4");
    File::create(&sparse).and_then(|file| file.set_len(4 << 30)).expect("a sparse file");
    let refused = stat(&sparse, Follow::Never).expect_err("too large");
    assert_eq!(refused.code, ProblemCode::TooLarge);
    assert_eq!(reader().read(&sparse, Follow::Never, &mut |_| panic!("it was read")).expect_err("too large"), refused);
}

#[test]
fn the_largest_file_allowed_is_read_whole() {
    let folder = folder();
    let path = folder.path().join("large.bin");
    File::create(&path).and_then(|file| file.set_len(super::super::limits::MAX_BYTES)).expect("a sparse file");
    let content = reader().read(&path, Follow::Never, &mut |_| ()).expect("read");
    assert_eq!(content.bytes.len() as u64, super::super::limits::MAX_BYTES);
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = folder();
    let pipe = folder.path().join("pipe.png");
    mkfifoat(CWD, &pipe, Mode::RWXU).expect("a pipe");
    let socket = folder.path().join("socket.png");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    for (path, word) in [
        (pipe.as_path(), "a named pipe"),
        (socket.as_path(), "a socket"),
        (Path::new("/dev/zero"), "a device"),
        (folder.path(), "a folder"),
    ] {
        for follow in [Follow::Never, Follow::Named] {
            let problem = reader().read(path, follow, &mut |_| ()).expect_err(word);
            assert_eq!(problem.code, ProblemCode::NotARegularFile);
            assert_eq!(problem.message, format!("it is {word}, not a file"));
            assert_eq!(stat(path, follow).expect_err(word), problem);
        }
    }
}

#[test]
fn a_link_is_followed_only_where_named() {
    let folder = folder();
    file(&folder, "real.txt", b"content");
    let link = folder.path().join("link.txt");
    symlink("real.txt", &link).expect("a link");
    assert_eq!(code(&link), ProblemCode::NotARegularFile);
    assert_eq!(stat(&link, Follow::Never).expect_err("a link").code, ProblemCode::NotARegularFile);
    assert_eq!(reader().read(&link, Follow::Named, &mut |_| ()).expect("read").bytes, "content");
    assert_eq!(stat(&link, Follow::Named).expect("stat").size_bytes, 7);
}

#[test]
fn a_file_that_is_gone_is_told_from_one_that_cannot_be_read() {
    let folder = folder();
    let path = file(&folder, "a.txt", b"content");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("closed");
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root.
        assert!(reader().read(&path, Follow::Never, &mut |_| ()).is_ok());
    } else {
        assert_eq!(code(&path), ProblemCode::Unreadable);
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!(code(&path), ProblemCode::Vanished);
    assert_eq!(code(&path.join("below")), ProblemCode::Vanished);
}

/// Reads a file of 600,000 bytes, doing something to it after the first step.
fn read_while(interfere: impl Fn(&Path)) -> Result<Content, Problem> {
    let folder = folder();
    let path = file(&folder, "a.txt", &vec![b'x'; 600_000]);
    let mut undisturbed = true;
    reader().read(&path, Follow::Never, &mut |_| {
        if std::mem::take(&mut undisturbed) {
            interfere(&path);
        }
    })
}

fn open_for_writing(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).expect("opened")
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let grow = |path: &Path| open_for_writing(path).set_len(700_000).expect("grown");
    let shrink = |path: &Path| open_for_writing(path).set_len(300_000).expect("shrunk");
    let rewrite = |path: &Path| {
        let mut file = open_for_writing(path);
        file.write_all(b"y").expect("written");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("dated");
    };
    let grow_for_ever = |path: &Path| open_for_writing(path).set_len(1 << 40).expect("grown");
    for (name, interfere) in [
        ("grow", &grow as &dyn Fn(&Path)),
        ("shrink", &shrink),
        ("rewrite", &rewrite),
        ("grow for ever", &grow_for_ever),
    ] {
        let problem = read_while(interfere).expect_err(name);
        assert_eq!(problem.code, ProblemCode::ChangedWhileReading, "{name}");
    }
}

#[test]
fn a_file_longer_than_the_system_said_is_refused() {
    let folder = folder();
    let mut file = File::open(file(&folder, "a.txt", b"longer than five")).expect("opened");
    let problem = read_whole(&mut file, &mut [0; 5], &mut |_| ()).expect_err("more bytes");
    assert_eq!(problem.code, ProblemCode::ChangedWhileReading);
}

#[test]
fn a_file_replaced_or_removed_by_name_is_read_from_the_handle_that_was_checked() {
    let replace = |path: &Path| {
        fs::remove_file(path).expect("removed");
        fs::write(path, "another").expect("written");
    };
    let content = read_while(replace).expect("read");
    assert_eq!(content.bytes, vec![b'x'; 600_000]);
    assert_eq!(content.fingerprint, None, "its inode changed when its name went");
}

#[test]
fn a_change_hidden_by_setting_the_time_back_is_not_remembered() {
    let hide = |path: &Path| {
        let mut file = open_for_writing(path);
        let modified = file.metadata().and_then(|metadata| metadata.modified()).expect("dated");
        file.write_all(b"y").expect("written");
        file.set_modified(modified).expect("dated back");
        // The kernel's clock ticks every few milliseconds: change the inode until it shows.
        let shown = |file: &File| fingerprint(&file.metadata().expect("metadata")).expect("unix").changed_ns;
        let before = shown(&file);
        while shown(&file) == before {
            file.set_modified(modified).expect("dated back");
        }
    };
    assert_eq!(read_while(hide).expect("read").fingerprint, None);
}

fn last_change(path: &Path) -> Timestamp {
    let print = stat(path, Follow::Never).expect("stat").fingerprint.expect("unix");
    Timestamp::from_unix_millis(print.modified_ns.max(print.changed_ns) / 1_000_000)
}

#[test]
fn a_file_written_just_now_is_waited_for_and_remembered() {
    let folder = folder();
    let path = file(&folder, "a.txt", b"content");
    let content = reader_at(last_change(&path)).read(&path, Follow::Never, &mut |_| ()).expect("read");
    assert!(content.fingerprint.is_some());
}

#[test]
fn a_file_from_the_future_is_read_but_not_remembered() {
    let folder = folder();
    let path = file(&folder, "a.txt", b"content");
    let early = last_change(&path).minus(Duration::from_hours(1));
    let content = reader_at(early).read(&path, Follow::Never, &mut |_| ()).expect("read");
    assert_eq!((content.bytes.as_ref(), content.fingerprint), (&b"content"[..], None));
}

#[test]
fn names_of_any_bytes_can_be_read_and_twins_by_case_are_two_files() {
    let folder = folder();
    let long = "x".repeat(255);
    for name in [&b"-rf"[..], b"a\nb", b"\x1b[2J", "\u{202e}gnp".as_bytes(), b"\xff\xfe", long.as_bytes(), b"a", b"A"] {
        let path = file(&folder, OsStr::from_bytes(name), name);
        assert_eq!(reader().read(&path, Follow::Never, &mut |_| ()).expect("read").bytes, name);
    }
    assert_eq!(reader().read(&folder.path().join("a"), Follow::Never, &mut |_| ()).expect("read").bytes, "a");
}

#[test]
fn the_budget_is_free_again_after_a_problem() {
    let folder = folder();
    let path = file(&folder, "a.txt", &vec![b'x'; 600_000]);
    let pool = Arc::new(BytePool::new(1024 * 1024));
    let reader = Reader::new(Arc::clone(&pool), Arc::new(ManualClock::new(Timestamp::from_unix_millis(0))));
    for _ in 0..3 {
        let shrink = &mut |_| open_for_writing(&path).set_len(1).expect("shrunk");
        assert!(reader.read(&path, Follow::Never, shrink).is_err());
        fs::write(&path, vec![b'x'; 600_000]).expect("whole again");
    }
    assert_eq!(pool.peak_bytes(), 1024 * 1024);
}
