//! Trees are made in a temporary folder; what a scan finds is told relative to it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mkfifoat, mknodat};
use tempfile::TempDir;

use super::*;

fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, "content").expect("a file");
    }
    folder
}

fn options(include: &[&str], exclude: &[&str]) -> ScanOptions {
    let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
    ScanOptions { include: owned(include), exclude: owned(exclude), hidden: false, ..ScanOptions::default() }
}

/// What a scan finds, one line each: `path`, `path -> link` or `path: code`.
fn found_in(folder: &TempDir, roots: &[&str], options: &ScanOptions) -> Vec<String> {
    let roots: Vec<_> = roots.iter().map(|root| folder.path().join(root)).collect();
    let name = |path: &Path| path.strip_prefix(folder.path()).expect("within").to_string_lossy().into_owned();
    scan(&roots, options)
        .expect("a scan")
        .map(|found| match found {
            Found::File { path, follow: Follow::Never } => name(&path),
            Found::File { path, follow: Follow::Named } => format!("{} (named)", name(&path)),
            Found::Refused { path, problem } => format!("{}: {}", name(&path), problem.code.as_str()),
            Found::Symlink(path) => format!("{} -> link", name(&path)),
        })
        .collect()
}

fn found(folder: &TempDir) -> Vec<String> {
    found_in(folder, &[""], &ScanOptions::default())
}

#[test]
fn files_come_sorted_by_the_bytes_of_their_names() {
    let folder = tree(&["b.png", "B.png", "a/2.png", "a/10.png", "é.png", "a.png"]);
    assert_eq!(found(&folder), ["B.png", "a/10.png", "a/2.png", "a.png", "b.png", "é.png"]);
}

#[test]
fn hidden_files_and_junk_are_left_out() {
    let folder = tree(&[
        ".DS_Store",
        "._a.png",
        ".hidden/a.png",
        "Thumbs.db",
        "DESKTOP.INI",
        "__MACOSX/a.png",
        "a.png",
        "b.png.part",
        "c.crdownload",
        "d.TMP",
        "~$report.docx",
        "party.png",
    ]);
    assert_eq!(found(&folder), ["a.png", "party.png"]);
    let hidden = ScanOptions { hidden: true, ..ScanOptions::default() };
    assert_eq!(found_in(&folder, &[""], &hidden), [".hidden/a.png", "a.png", "party.png"]);
}

#[test]
fn a_root_is_taken_whatever_its_name() {
    let folder = tree(&[".cache/a.png", ".DS_Store", "d.tmp", "e.png"]);
    fs::write(folder.path().join(".reattachignore"), "e.png\n").expect("rules");
    let roots = [".cache", ".DS_Store", "d.tmp", "e.png"];
    let expected = [".cache/a.png", ".DS_Store (named)", "d.tmp (named)", "e.png (named)"];
    assert_eq!(found_in(&folder, &roots, &ScanOptions::default()), expected);
    assert_eq!(found_in(&folder, &roots[..1], &options(&[], &[".cache/"])), expected[..1], "a folder is always taken");
}

#[test]
fn globs_hold_for_files_that_are_roots() {
    let folder = tree(&["a.png", "b.jpg", "draft1.png", "drafts/c.png"]);
    let roots = ["a.png", "b.jpg", "draft1.png", "drafts/c.png"];
    let with = |include: &[&str], exclude: &[&str]| found_in(&folder, &roots, &options(include, exclude));
    assert_eq!(with(&[], &["draft*"]), ["a.png (named)", "b.jpg (named)"]);
    assert_eq!(with(&[], &["drafts/"]), ["a.png (named)", "b.jpg (named)", "draft1.png (named)"]);
    assert_eq!(with(&["*.png"], &["draft1.png"]), ["a.png (named)", "drafts/c.png (named)"]);
    let doubled = PathBuf::from(format!("/{}", folder.path().join("a.png").display()));
    assert_eq!(scan(&[doubled], &options(&["a.png"], &["b.png"])).expect("a scan").count(), 1);
}

#[test]
fn include_narrows_and_exclude_wins() {
    let folder = tree(&["a.png", "b.jpg", "raw/c.png", "raw/deep/d.png", "old/e.png", "._f.png"]);
    let with = |include: &[&str], exclude: &[&str]| found_in(&folder, &[""], &options(include, exclude));
    assert_eq!(with(&["*.png"], &[]), ["a.png", "old/e.png", "raw/c.png", "raw/deep/d.png"]);
    assert_eq!(with(&["*.png"], &["raw/"]), ["a.png", "old/e.png"]);
    assert_eq!(with(&[], &["*.png"]), ["b.jpg"]);
    assert_eq!(with(&["raw/"], &[]), ["raw/c.png", "raw/deep/d.png"]);
    assert_eq!(with(&["/a.png", "old/*"], &["/old/e.png"]), ["a.png"]);
}

#[test]
fn an_ignore_file_is_honoured_even_against_include_and_even_from_above() {
    let folder = tree(&["keep/a.png", "keep/b.png", "drafts/c.png", "d.png"]);
    fs::write(folder.path().join(".reattachignore"), "drafts/\nb.*\n").expect("rules");
    fs::write(folder.path().join(".gitignore"), "*\n").expect("rules of git");
    assert_eq!(found(&folder), ["d.png", "keep/a.png"]);
    assert_eq!(found_in(&folder, &["keep"], &options(&["*.png"], &[])), ["keep/a.png"]);
}

#[test]
fn a_rule_that_cannot_be_used_is_told() {
    let folder = tree(&["a.png"]);
    fs::write(folder.path().join(".reattachignore"), "{a\n").expect("rules");
    assert_eq!(found(&folder), [".reattachignore: unreadable", "a.png"]);
}

#[test]
fn nothing_is_taken_whose_rules_cannot_be_read() {
    let folder = tree(&["a.png", "drafts/b.png", "drafts/deep/c.png", "drafts.png"]);
    // To the superuser a file without a mode is as good as any; a folder is read by nobody.
    fs::create_dir(folder.path().join("drafts/.reattachignore")).expect("a folder");
    assert_eq!(found(&folder), ["a.png", "drafts/.reattachignore: unreadable", "drafts.png"]);
    assert_eq!(found_in(&folder, &["drafts/deep"], &ScanOptions::default()), ["drafts/.reattachignore: unreadable"]);
}

#[test]
fn nothing_is_taken_whose_rules_are_no_text() {
    let latin = b"caf\xe9/\ndrafts/\n".to_vec();
    let utf_16 = "\u{feff}drafts/\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for rules in [latin, utf_16] {
        let folder = tree(&["a.png", "b/c.png", "b/drafts/d.png"]);
        fs::write(folder.path().join("b/.reattachignore"), rules).expect("rules");
        assert_eq!(found(&folder), ["a.png", "b/.reattachignore: unreadable"]);
    }
}

#[test]
fn a_glob_that_is_none_stops_the_scan() {
    let folder = tree(&["a.png"]);
    for broken in [options(&["{a"], &[]), options(&[], &["{a"])] {
        let error = scan(&[folder.path().to_owned()], &broken).expect_err("a bad glob");
        assert!(matches!(&error, ScanError::BadGlob { glob, .. } if glob == "{a"), "{error:?}");
    }
}

#[test]
fn a_root_that_is_not_there_stops_the_scan() {
    let folder = tree(&[]);
    let missing = folder.path().join("missing");
    symlink("nowhere", folder.path().join("dangling")).expect("a link");
    for path in [missing, folder.path().join("dangling")] {
        let error = scan(std::slice::from_ref(&path), &ScanOptions::default()).expect_err("nothing there");
        assert_eq!(error.to_string(), format!("look at {}", path.display()));
    }
}

#[test]
fn links_are_reported_inside_folders_and_followed_where_named() {
    let folder = tree(&["real/a.png", "b.png"]);
    symlink("..", folder.path().join("real/loop")).expect("a link");
    symlink("/etc/passwd", folder.path().join("real/outside.png")).expect("a link");
    symlink("real", folder.path().join("to-folder")).expect("a link");
    symlink("b.png", folder.path().join("to-file")).expect("a link");
    assert_eq!(
        found(&folder),
        [
            "b.png",
            "real/a.png",
            "real/loop -> link",
            "real/outside.png -> link",
            "to-file -> link",
            "to-folder -> link"
        ]
    );
    assert_eq!(
        found_in(&folder, &["to-folder", "to-file"], &ScanOptions::default()),
        ["to-folder/a.png", "to-folder/loop -> link", "to-folder/outside.png -> link", "to-file (named)"]
    );
}

#[test]
fn what_is_no_regular_file_is_refused_and_the_rest_goes_on() {
    let folder = tree(&["a.png", "z.png"]);
    mkfifoat(CWD, folder.path().join("pipe.png"), Mode::RWXU).expect("a pipe");
    let _socket = UnixListener::bind(folder.path().join("socket.png")).expect("a socket");
    let expected = ["a.png", "pipe.png: not_a_regular_file", "socket.png: not_a_regular_file", "z.png"];
    assert_eq!(found(&folder), expected);
    assert_eq!(
        found_in(&folder, &["pipe.png", "a.png"], &ScanOptions::default()),
        ["pipe.png: not_a_regular_file", "a.png (named)"]
    );
    let device = scan(&[PathBuf::from("/dev/zero")], &ScanOptions::default()).expect("a scan").next();
    assert!(matches!(device, Some(Found::Refused { problem, .. }) if problem.message == "it is a device, not a file"));
}

#[test]
fn a_device_inside_a_folder_is_refused() {
    let folder = tree(&["a.png"]);
    let device = folder.path().join("zero.png");
    // Only root may make devices; everybody else sees the named one in the test above.
    if mknodat(CWD, &device, FileType::CharacterDevice, Mode::RWXU, rustix::fs::makedev(1, 5)).is_ok() {
        assert_eq!(found(&folder), ["a.png", "zero.png: not_a_regular_file"]);
    } else {
        assert_eq!(found(&folder), ["a.png"]);
    }
}

#[test]
fn a_folder_named_like_a_picture_is_refused_and_still_walked() {
    let folder = tree(&["a.jpg/b.png", "a.jpg/c.mp4/d.png", "notes.txt/e.png"]);
    assert_eq!(
        found(&folder),
        [
            "a.jpg: not_a_regular_file",
            "a.jpg/b.png",
            "a.jpg/c.mp4: not_a_regular_file",
            "a.jpg/c.mp4/d.png",
            "notes.txt/e.png"
        ]
    );
    assert_eq!(found_in(&folder, &["a.jpg"], &ScanOptions::default())[0], "a.jpg: not_a_regular_file");
}

#[test]
fn a_folder_that_cannot_be_read_is_refused_and_the_rest_goes_on() {
    let folder = tree(&["a.png", "closed/b.png", "z.png"]);
    let closed = folder.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    let lines = found(&folder);
    // Nothing is closed to root.
    let expected = if rustix::process::geteuid().is_root() { "closed/b.png" } else { "closed: unreadable" };
    assert_eq!(lines, ["a.png", expected, "z.png"]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("open again");
}

#[test]
fn a_folder_that_vanishes_during_the_walk_is_refused_and_the_rest_goes_on() {
    let folder = tree(&["a.png", "b/c.png", "z.png"]);
    let mut scan = scan(&[folder.path().to_owned()], &ScanOptions::default()).expect("a scan");
    let path = |name: &str| folder.path().join(name);
    assert_eq!(scan.next(), Some(Found::File { path: path("a.png"), follow: Follow::Never }));
    fs::remove_dir_all(path("b")).expect("removed");
    assert!(matches!(scan.next(), Some(Found::Refused { path: at, problem })
        if at == path("b") && problem.code == ProblemCode::Vanished));
    assert_eq!(scan.next(), Some(Found::File { path: path("z.png"), follow: Follow::Never }));
    assert_eq!(scan.next(), None);
}

#[test]
fn folders_nested_too_deep_are_refused() {
    let deep = "d/".repeat(MAX_DEPTH - 1) + "a.png";
    let deeper = "e/".repeat(MAX_DEPTH) + "b.png";
    let folder = tree(&[&deep, &deeper]);
    let refused = "e/".repeat(MAX_DEPTH).trim_end_matches('/').to_owned() + ": too_deep";
    assert_eq!(found(&folder), [deep, refused]);
}

#[test]
fn overlapping_roots_find_each_file_once() {
    let folder = tree(&["a/b/c.png", "a/d.png", "a/.hidden/e.png"]);
    symlink("a", folder.path().join("again")).expect("a link");
    let at = |roots: &[&str]| found_in(&folder, roots, &ScanOptions::default());
    assert_eq!(at(&["a", "a/b", "a"]), ["a/d.png", "a/b/c.png"]);
    assert_eq!(at(&["a/b", "a"]), ["a/b/c.png", "a/d.png"]);
    assert_eq!(at(&["a", "a/.hidden", "a/d.png"]), ["a/b/c.png", "a/.hidden/e.png", "a/d.png (named)"]);
    assert_eq!(at(&["again", "a"]), ["again/b/c.png", "again/d.png"]);
    assert_eq!(at(&["a/b/c.png", "a/../a/b/c.png"]), ["a/b/c.png (named)"]);
}

#[test]
fn names_of_any_bytes_come_through_unchanged() {
    let folder = tree(&[]);
    let long = "x".repeat(251) + ".png";
    let names: Vec<OsString> = [
        b"-rf.png".to_vec(),
        b"a\nb.png".to_vec(),
        b"a\x1b[2J.png".to_vec(),
        "\u{202e}gnp.exe.png".into(),
        b"not-utf8-\xff\xfe.png".to_vec(),
        "caf\u{e9}.png".into(),
        "cafe\u{301}.png".into(),
        b"photo.png".to_vec(),
        b"PHOTO.PNG".to_vec(),
        long.into_bytes(),
    ]
    .into_iter()
    .map(OsString::from_vec)
    .collect();
    for name in &names {
        fs::write(folder.path().join(name), "content").expect("a file");
    }
    let mut expected: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    expected.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let scan = scan(&[folder.path().to_owned()], &options(&["*.png", "*.PNG"], &["*.gif"])).expect("a scan");
    let paths: Vec<_> = scan
        .map(|found| match found {
            Found::File { path, .. } => path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, expected);
}

#[test]
fn a_narrowed_scan_comes_upon_what_the_whole_one_does_of_these_paths() {
    let folder = tree(&["a.png", "sub/b.png", "sub/c.gif", "sub/.h/d.png", "drafts/e.png", "far/off/f.png", "z.tmp"]);
    fs::write(folder.path().join(".reattachignore"), "drafts/\n").expect("written");
    symlink(folder.path().join("a.png"), folder.path().join("sub/link.png")).expect("a link");
    let roots = [folder.path().to_owned(), folder.path().join("far"), folder.path().join("a.png")];
    let options = options(&["*.png"], &[]);
    let all: Vec<_> = scan(&roots, &options).expect("a scan").collect();
    assert_eq!(all.len(), 4, "{all:?}");
    let of = |found: &Found| match found {
        Found::File { path, .. } | Found::Refused { path, .. } | Found::Symlink(path) => path.clone(),
    };
    for wanted in ["a.png", "sub", "sub/b.png", "sub/c.gif", "sub/.h/d.png", "drafts", "drafts/e.png", "far/off", ""] {
        let wanted = folder.path().join(wanted);
        let narrowed: Vec<_> = scan(&roots, &options).expect("a scan").only([wanted.clone()]).collect();
        let expected: Vec<_> = all.iter().filter(|found| of(found).starts_with(&wanted)).cloned().collect();
        assert_eq!(narrowed, expected, "{}", wanted.display());
    }
    let two = ["sub/b.png", "far/off/f.png"].map(|path| folder.path().join(path));
    assert_eq!(scan(&roots, &options).expect("a scan").only(two).count(), 2);
    assert_eq!(scan(&roots, &options).expect("a scan").only([]).count(), 0);
}
