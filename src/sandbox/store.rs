//! The state file: what a sandbox remembers when it is started again.
//!
//! JSON Lines. The first is `{"format":"reattach-sandbox","version":1,"lines":…,"clock_offset_ms":…,"message_salt":…}`,
//! where `lines` says how many follow: one `{"attachment":{…}}` for each attachment and one `{"message":{…}}` for each
//! message, both as `truth` has them, oldest first. The file is replaced as a whole: written beside itself (`….tmp`),
//! synced, renamed; nobody else may read it. So a sandbox that is killed leaves a whole file. One that was cut off in some
//! other way is read as far as it goes and kept as `….torn`; one that holds something else is refused.
//!
//! Faults, limits, people, counters and whether proofs are required are not kept. `state_lock` keeps a second sandbox away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::server::SandboxError;
use super::shared::Shared;
use super::state::State;
use super::truth::{TruthAttachment, TruthMessage};

const FORMAT: &str = "reattach-sandbox";
const VERSION: u32 = 1;

/// Changes that come together are written together.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// A file that takes long to write is written less often: at most a tenth of the time goes into it.
const PAUSE_PER_WRITE: u32 = 9;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// How many lines follow; files of older versions do not say.
    #[serde(default)]
    lines: Option<u64>,
    clock_offset_ms: i64,
    message_salt: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Attachment(TruthAttachment),
    Message(TruthMessage),
}

/// What `path` holds and how far its clock was ahead, in milliseconds; an empty state if there is no such file.
pub(super) async fn load(path: PathBuf, seed: Option<u64>) -> Result<(State, i64), SandboxError> {
    let read = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || read(&path, seed)).await
    };
    read.unwrap_or_else(|error| Err(SandboxError::ReadState { path, source: io::Error::other(error) }))
}

fn read(path: &Path, seed: Option<u64>) -> Result<(State, i64), SandboxError> {
    let mut state = State::new(seed);
    let failure = |source| SandboxError::ReadState { path: path.to_owned(), source };
    let damaged = |line, problem| SandboxError::DamagedState { path: path.to_owned(), line, problem };
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((state, 0)),
        Err(source) => return Err(failure(source)),
    };
    let mut line = Vec::new();
    if file.read_until(b'\n', &mut line).map_err(failure)? == 0 {
        return Err(damaged(1, "it is empty".to_owned()));
    }
    let header = Header::read(&line).map_err(|problem| damaged(1, problem))?;
    state.restore_salt(header.message_salt);
    let mut restored = 0;
    let mut cut_off = false;
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(failure)? == 0 {
            break;
        }
        match restore(&mut state, &line) {
            Ok(()) => restored += 1,
            Err(Unreadable::CutOff) if !line.ends_with(b"\n") => cut_off = true,
            Err(Unreadable::CutOff) => return Err(damaged(restored + 2, "the line ends early".to_owned())),
            Err(Unreadable::Foreign(problem)) => return Err(damaged(restored + 2, problem)),
        }
    }
    if cut_off || header.lines.is_some_and(|lines| lines > restored as u64) {
        let aside = beside(path, ".torn");
        fs::copy(path, &aside).map_err(failure)?;
        tracing::warn!(
            file = %path.display(),
            kept_as = %aside.display(),
            lines_read = restored,
            lines_written = header.lines,
            "the sandbox's state file was cut off; what came after is lost"
        );
    }
    Ok((state, header.clock_offset_ms))
}

/// Why a line could not be restored.
#[derive(Debug)]
enum Unreadable {
    /// It is the beginning of something.
    CutOff,
    /// It is something else, and what.
    Foreign(String),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        if error.is_eof() { Self::CutOff } else { Self::Foreign(error.to_string()) }
    }
}

impl Header {
    fn read(line: &[u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(line).map_err(|error| {
            if error.is_eof() { "it was cut off in its first line".to_owned() } else { error.to_string() }
        })?;
        if header.format == FORMAT && header.version == VERSION {
            return Ok(header);
        }
        Err(format!("{} {} is not {FORMAT} {VERSION}", header.format, header.version))
    }
}

fn restore(state: &mut State, line: &[u8]) -> Result<(), Unreadable> {
    match serde_json::from_slice(line)? {
        Line::Attachment(attachment) => state.restore_attachment(attachment),
        Line::Message(message) => {
            let foreign = || Unreadable::Foreign("the message is from a Page that does not exist".to_owned());
            state.restore_message(message).ok_or_else(foreign)?;
        }
    }
    Ok(())
}

/// `path` with `ending` after its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes `path` after changes, until the sandbox stops.
pub(super) async fn keep_saving(shared: Arc<Shared>, path: PathBuf) {
    loop {
        tokio::select! {
            () = shared.changed.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        let started = Instant::now();
        if let Err(error) = save(Arc::clone(&shared), path.clone()).await {
            tracing::warn!(%error, "the sandbox's state is not saved");
        }
        let pause = SHORTEST_PAUSE.max(started.elapsed() * PAUSE_PER_WRITE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Writes `path` now.
pub(super) async fn save(shared: Arc<Shared>, path: PathBuf) -> Result<(), SandboxError> {
    let written = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || replace(&shared, &path)).await
    };
    written.map_err(io::Error::other).flatten().map_err(|source| SandboxError::WriteState { path, source })
}

fn replace(shared: &Shared, path: &Path) -> io::Result<()> {
    let new = beside(path, ".tmp");
    while !write(shared, &new)? {}
    fs::rename(new, path)
}

/// Writes everything to a new file at `path`; `false` if a reset came in between.
fn write(shared: &Shared, path: &Path) -> io::Result<bool> {
    let mut file = BufWriter::new(create_private(path)?);
    let (header, attachments, count) = {
        let state = shared.state();
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            lines: Some(state.attachments().len() as u64 + state.message_count()),
            clock_offset_ms: shared.clock.offset_millis(),
            message_salt: state.message_salt(),
        };
        (header, state.attachments().to_vec(), state.message_count())
    };
    write_line(&mut file, &header)?;
    for attachment in attachments {
        write_line(&mut file, &Line::Attachment(attachment))?;
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    for message in shared.messages(0).take(count) {
        write_line(&mut file, &Line::Message(message))?;
    }
    file.into_inner()?.sync_all()?;
    Ok(shared.state().message_salt() == header.message_salt)
}

fn write_line(file: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
