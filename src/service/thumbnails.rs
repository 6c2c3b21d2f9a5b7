//! Thumbnails: made once for some bytes, by a process of their own, and kept on disk.
//!
//! The child is this very program (`reattach thumbnail`), with the picture on its standard input, no environment, and in a
//! cage it closes behind itself before it looks at a byte: little memory and time, no files, no network, no children. However
//! it ends, nothing else ends with it. What could not be made is remembered as well.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::ids::ContentHash;
use crate::media::thumbnail::MOST_BYTES;

/// Children at once.
const CHILDREN: usize = 2;
/// How long one may take, beyond what the system lets it work.
const PATIENCE: Duration = Duration::from_secs(10);
/// SIGHUP, SIGINT and SIGTERM: who sends them wants the service to end, not the child alone.
const ASKED_TO_END: [i32; 3] = [1, 2, 15];
/// How much of the disk thumbnails may take.
const CAP_BYTES: u64 = 256 << 20;
/// How often it is looked at: after so many new ones.
const LOOK_EVERY: u64 = 512;

/// What was made, and what makes more.
#[derive(Debug)]
pub(super) struct Thumbnails {
    folder: PathBuf,
    /// This program; `None` where there is none to be started.
    program: Option<PathBuf>,
    children: Semaphore,
    made: AtomicU64,
}

impl Thumbnails {
    pub(super) fn new(folder: PathBuf, program: Option<PathBuf>) -> Self {
        Self { folder, program, children: Semaphore::new(CHILDREN), made: AtomicU64::new(0) }
    }

    /// The thumbnail that was made of these bytes; within, `None` where none can be.
    pub(super) async fn kept(&self, hash: ContentHash) -> Option<Option<Bytes>> {
        let kept = tokio::fs::read(self.path(hash)).await.ok()?;
        Some((!kept.is_empty()).then(|| kept.into()))
    }

    /// Makes the thumbnail of `picture`, whose hash this is, and keeps it; `None` where none can be made.
    pub(super) async fn make(&self, hash: ContentHash, picture: Bytes) -> Option<Bytes> {
        let program = self.program.as_deref()?;
        let _turn = self.children.acquire().await.ok()?;
        // Somebody else may have asked for it meanwhile.
        if let Some(kept) = self.kept(hash).await {
            return kept;
        }
        // No child at all, or one that others ended, or that a busy machine kept from its time: that is no fault of the
        // picture's, and not kept.
        let made = match tokio::time::timeout(PATIENCE, child(program, picture)).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                tracing::warn!(%error, "no thumbnail can be made");
                return None;
            }
            Err(_) => return None,
        };
        self.keep(hash, made.as_deref().unwrap_or_default()).await;
        made
    }

    async fn keep(&self, hash: ContentHash, bytes: &[u8]) {
        let (path, bytes) = (self.path(hash), bytes.to_vec());
        let folder = self.made.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY).then(|| self.folder.clone());
        let kept = tokio::task::spawn_blocking(move || {
            if let Some(folder) = folder {
                make_room(&folder, CAP_BYTES);
            }
            write_whole(&path, &bytes)
        });
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "a thumbnail could not be kept");
        }
    }

    fn path(&self, hash: ContentHash) -> PathBuf {
        let digits = hash.to_string();
        self.folder.join(&digits[..2]).join(digits)
    }
}

/// What the child makes of the picture; `None` where it fails, or takes more time or memory than it has.
///
/// # Errors
/// It cannot be started, or was asked to end.
async fn child(program: &Path, picture: Bytes) -> io::Result<Option<Bytes>> {
    let mut command = Command::new(program);
    command.arg("thumbnail").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Ctrl-C is for this process: it may still want the picture.
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let give = async move {
        if let Some(mut stdin) = stdin {
            // A child that does not listen has failed, and says so by its exit.
            let _ = stdin.write_all(&picture).await;
        }
    };
    let take = async move {
        let mut made = Vec::new();
        match stdout {
            Some(stdout) => stdout.take(MOST_BYTES + 1).read_to_end(&mut made).await.map(|_| made),
            None => Ok(made),
        }
    };
    let ((), made) = tokio::join!(give, take);
    judged(child.wait().await?, made?)
}

/// What a child that ended so has made.
fn judged(status: ExitStatus, made: Vec<u8>) -> io::Result<Option<Bytes>> {
    if status.signal().is_some_and(|signal| ASKED_TO_END.contains(&signal)) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let is_good = status.success() && !made.is_empty() && made.len() as u64 <= MOST_BYTES;
    Ok(is_good.then(|| made.into()))
}

/// Writes the file so that nobody sees half of it, and no other user any of it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let draft = path.with_extension(format!("{}-{}", std::process::id(), fastrand::u64(..)));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(bytes)?;
    fs::rename(&draft, path)
}

/// Removes the oldest until a tenth of the room is free again, if it is used up.
fn make_room(folder: &Path, cap: u64) {
    let mut kept = Vec::new();
    for shelf in fs::read_dir(folder).into_iter().flatten().flatten() {
        for file in fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
            if let Ok(metadata) = file.metadata() {
                kept.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), file.path()));
            }
        }
    }
    let mut used: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
    if used <= cap {
        return;
    }
    kept.sort_unstable();
    for (_, bytes, path) in kept {
        if used <= cap / 10 * 9 {
            break;
        }
        // One that is gone, or cannot go, keeps nobody from the next.
        if fs::remove_file(path).is_ok() {
            used -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_for_nobody_elses_eyes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let (thumbnails, shelf) = (folder.path().join("thumbnails"), folder.path().join("thumbnails/ab"));
        write_whole(&shelf.join("1"), b"one").expect("written");
        assert_eq!((mode(&thumbnails), mode(&shelf), mode(&shelf.join("1"))), (0o700, 0o700, 0o600));
    }

    #[test]
    fn the_oldest_go_when_the_room_is_used_up() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..10_u8 {
            let path = folder.path().join("ab").join(number.to_string());
            write_whole(&path, &[number; 100]).expect("written");
            let file = fs::File::options().write(true).open(&path).expect("a file");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + u64::from(number));
            file.set_modified(time).expect("a time");
        }
        make_room(folder.path(), 1_000);
        assert_eq!(fs::read_dir(folder.path().join("ab")).expect("a folder").count(), 10);
        make_room(folder.path(), 600);
        let mut left: Vec<_> = fs::read_dir(folder.path().join("ab")).expect("a folder").flatten().collect();
        left.sort_by_key(fs::DirEntry::file_name);
        let left: Vec<_> = left.iter().map(|file| file.file_name().into_string().expect("text")).collect();
        assert_eq!(left, ["5", "6", "7", "8", "9"]);
    }

    #[test]
    fn what_cannot_be_removed_keeps_nobody_from_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = folder.path().join("ab");
        fs::create_dir_all(shelf.join("in the way")).expect("a folder");
        write_whole(&shelf.join("1"), b"one").expect("written");
        make_room(folder.path(), 0);
        assert!(!shelf.join("1").exists());
    }

    #[test]
    fn a_child_that_was_asked_to_end_says_nothing_of_its_picture() {
        for signal in ASKED_TO_END {
            assert!(judged(ExitStatus::from_raw(signal), b"half".to_vec()).is_err(), "{signal}");
        }
        // Of memory, of time, of being killed for either.
        for signal in [6, 9, 24] {
            assert_eq!(judged(ExitStatus::from_raw(signal), b"half".to_vec()).expect("a verdict"), None, "{signal}");
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_makes_no_thumbnail_and_is_not_asked_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let thumbnails = Thumbnails::new(folder.path().to_owned(), Some("false".into()));
        let hash = ContentHash([7; 32]);
        assert_eq!(thumbnails.kept(hash).await, None);
        assert_eq!(thumbnails.make(hash, Bytes::from_static(b"x")).await, None);
        assert_eq!(thumbnails.kept(hash).await, Some(None));
        let missing = Thumbnails::new(folder.path().to_owned(), Some("no-such-program".into()));
        let other = ContentHash([8; 32]);
        assert_eq!(missing.make(other, Bytes::new()).await, None);
        assert_eq!(missing.kept(other).await, None);
    }
}
