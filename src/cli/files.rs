//! Files commands read whole and write whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::output::shown;
use crate::blocking::blocking;
use crate::stop::Stop;

/// No text or manifest is larger.
const LARGEST: u64 = 256 << 20;

/// The bytes of `file`; `-` is standard input. `None` where `stop` is requested first: whoever writes to a terminal or a
/// pipe takes as long as they like.
pub(super) async fn read_unless(stop: &Stop, file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let owned = file.to_owned();
    tokio::select! {
        bytes = blocking(move || read(&owned)) => bytes.map(Some),
        () = stop.requested() => Ok(None),
    }
}

/// The same, however long it takes.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |why: &dyn std::fmt::Display| Failure::Usage {
        message: format!("{} could not be read: {why}", name(file)),
        hint: "give a file, or - for standard input".into(),
    };
    let mut bytes = Vec::new();
    let read = if is_stdin(file) {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| match file.metadata()?.len() {
            0..=LARGEST => file.take(LARGEST + 1).read_to_end(&mut bytes),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        })
    };
    match read {
        Ok(_) if bytes.len() as u64 <= LARGEST => Ok(bytes),
        Err(error) if error.kind() != io::ErrorKind::FileTooLarge => Err(refuse(&error)),
        _ => Err(refuse(&format_args!("it is over {} MiB", LARGEST >> 20))),
    }
}

/// What people call it.
pub(super) fn name(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_owned() } else { shown(file) }
}

/// The folder it lies in, from which its paths are meant; the current one for standard input.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") && !is_stdin(file) => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// `file`, to be written on at its end; for its owner alone where it is new.
pub(super) fn append(file: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    opened.map_err(|source| Failure::File { action: "opened", path: file.to_owned(), source })
}

/// Writes `bytes` to `file`, which holds what it held or all of them, whatever happens meanwhile.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = match fs::metadata(file) {
        // A pipe or a device cannot be put in place of anything.
        Ok(metadata) if !metadata.is_file() => {
            OpenOptions::new().write(true).open(file).and_then(|mut device| device.write_all(bytes))
        }
        known => replace(file, bytes, known.ok().map(|metadata| metadata.permissions())),
    };
    written.map_err(|source| Failure::File { action: "written", path: file.to_owned(), source })
}

fn replace(file: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    // Through a link, as an editor would.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".{:08x}.part", fastrand::u32(..)));
    let part = file.with_file_name(name);
    let writing = || {
        let mut writer = OpenOptions::new().write(true).create_new(true).open(&part)?;
        permissions.map_or(Ok(()), |permissions| writer.set_permissions(permissions))?;
        writer.write_all(bytes)?;
        writer.sync_all()?;
        fs::rename(&part, &file)?;
        File::open(folder_of(&file))?.sync_all()
    };
    writing().inspect_err(|_| {
        // There may be nothing to remove, and the first error is the one that matters.
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        write(&file, b"old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        std::os::unix::fs::symlink("a.txt", &link).expect("a link");
        write(&link, b"new").expect("written");
        assert_eq!(fs::read(&file).expect("a file"), b"new");
        assert_eq!(fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("metadata").is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left over");
    }

    #[test]
    fn what_is_too_large_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("large");
        File::create(&file).expect("a file").set_len(1 << 40).expect("sparse");
        let refused = read(&file).expect_err("too large").to_string();
        assert!(refused.contains("over 256 MiB"), "{refused}");
    }

    #[test]
    fn where_the_runtime_has_ended_nothing_is_read() {
        let ended = tokio::runtime::Builder::new_current_thread().build().expect("a runtime").handle().clone();
        let _entered = ended.enter();
        let read = futures::FutureExt::now_or_never(read_unless(&Stop::new(), Path::new("/dev/null")));
        assert!(read.is_none());
    }

    #[test]
    fn a_file_nobody_can_write_is_named() {
        let refused = write(Path::new("/nowhere/at/all"), b"x").expect_err("no folder").to_string();
        assert!(refused.contains("/nowhere/at/all"), "{refused}");
        write(Path::new("/dev/null"), b"x").expect("a device takes it");
    }
}
