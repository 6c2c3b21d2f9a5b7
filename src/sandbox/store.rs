//! The state file: what a sandbox remembers when it is started again.
//!
//! JSON Lines. The first is `{"format":"reattach-sandbox","version":1,"clock_offset_ms":…,"message_salt":…}`, then one
//! `{"attachment":{…}}` for each attachment and one `{"message":{…}}` for each message, both as `truth` has them, oldest
//! first. The file is replaced as a whole: written beside itself (`….tmp`), synced, renamed; nobody else may read it.
//! Faults, counters and whether proofs are required are not kept. Two sandboxes must not share one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((state, 0)),
        Err(source) => return Err(SandboxError::ReadState { path: path.to_owned(), source }),
    };
    let mut header = None;
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|source| SandboxError::ReadState { path: path.to_owned(), source })?;
        restore(&mut state, &mut header, &line).map_err(|problem| SandboxError::DamagedState {
            path: path.to_owned(),
            line: number,
            problem,
        })?;
    }
    let clock_offset_ms = header.map(|header| header.clock_offset_ms);
    let missing = || SandboxError::DamagedState { path: path.to_owned(), line: 1, problem: "it is empty".to_owned() };
    Ok((state, clock_offset_ms.ok_or_else(missing)?))
}

fn restore(state: &mut State, header: &mut Option<Header>, line: &str) -> Result<(), String> {
    let explain = |error: serde_json::Error| error.to_string();
    if header.is_none() {
        let found: Header = serde_json::from_str(line).map_err(explain)?;
        if found.format != FORMAT || found.version != VERSION {
            return Err(format!("{} {} is not {FORMAT} {VERSION}", found.format, found.version));
        }
        state.restore_salt(found.message_salt);
        *header = Some(found);
        return Ok(());
    }
    match serde_json::from_str(line).map_err(explain)? {
        Line::Attachment(attachment) => state.restore_attachment(attachment),
        Line::Message(message) => {
            state.restore_message(message).ok_or("the message is from a Page that does not exist")?;
        }
    }
    Ok(())
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
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    while !write(shared, Path::new(&beside))? {}
    fs::rename(beside, path)
}

/// Writes everything to a new file at `path`; `false` if a reset came in between.
fn write(shared: &Shared, path: &Path) -> io::Result<bool> {
    let mut file = BufWriter::new(create_private(path)?);
    let (header, attachments, count) = {
        let state = shared.state();
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
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
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
