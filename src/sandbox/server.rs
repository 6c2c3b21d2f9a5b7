//! Starting and stopping a sandbox, and the handle to one in the same process.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::faults::Faults;
use super::limits::Limits;
use super::pages::{PAGES, SandboxPage};
use super::people::People;
use super::shared::Shared;
use super::state::State;
use super::time::SandboxClock;
use super::truth::{Counts, Truth, TruthMessage};
use super::{connection, routes, state_lock, store};
use crate::clock::{Clock, SystemClock, Timestamp};

/// How long the sandbox waits when the system cannot give it another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// Where to remember what was accepted; `None` to forget it at the end.
    pub state_file: Option<PathBuf>,
    /// Makes ids repeatable: the same requests in the same order get the same ids.
    pub seed: Option<u64>,
    /// The real time, and what stalls wait by.
    pub clock: Arc<dyn Clock>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { port: 0, state_file: None, seed: None, clock: Arc::new(SystemClock) }
    }
}

/// Why a sandbox failed to start or to save what it knows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The port is taken, or not ours to take.
    #[error("listen on 127.0.0.1:{port}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another sandbox has the state file.
    #[error("start from the state file {}: another sandbox is using it", path.display())]
    StateInUse {
        /// The file.
        path: PathBuf,
    },
    /// The state file is there, but cannot be read.
    #[error("read the state file {}", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The state file does not hold what a sandbox writes.
    #[error("understand line {line} of the state file {}: {problem}", path.display())]
    DamagedState {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The state file cannot be written.
    #[error("write the state file {}", path.display())]
    WriteState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SandboxError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => Some("choose another port, or 0 for any that is free"),
            Self::StateInUse { .. } => Some("stop the other sandbox, or choose another file with --state"),
            Self::DamagedState { .. } => Some("move it away to start anew, or choose another file with --state"),
            Self::ReadState { .. } | Self::WriteState { .. } => {
                Some("name a file with --state, in a folder that is there and may be written to")
            }
        }
    }
}

/// Control input that makes no sense; its text says what is wrong.
#[derive(Debug, Error)]
#[error("understand the control input: {0}")]
pub struct ControlError(pub(super) String);

/// A running sandbox. Dropping it stops it at once, without a last write of its state file, which is free
/// again once what was under way has ended.
#[derive(Debug)]
pub struct Sandbox {
    url: String,
    shared: Arc<Shared>,
    state_file: Option<PathBuf>,
    tasks: TaskTracker,
}

/// Starts a sandbox on 127.0.0.1.
///
/// # Errors
/// The port cannot be had; the state file is another sandbox's, or cannot be read, understood or written.
pub async fn start(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
    let SandboxOptions { port, state_file, seed, clock } = options;
    let listen = |source| SandboxError::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let lock = state_file.as_deref().map(state_lock::lock).transpose()?;
    let (state, offset_millis) = match &state_file {
        Some(path) => store::load(path.clone(), seed).await?,
        None => (State::new(seed), 0),
    };
    let shared = Arc::new(Shared::new(SandboxClock::new(clock, offset_millis), state, lock));
    let tasks = TaskTracker::new();
    if let Some(path) = &state_file {
        // A file that cannot be written should be known now, not when something is to be remembered.
        store::save(Arc::clone(&shared), path.clone()).await?;
        tasks.spawn(store::keep_saving(Arc::clone(&shared), path.clone()));
    }
    let router = routes::router(Arc::clone(&shared), address.port());
    tasks.spawn(accept(listener, router, Arc::clone(&shared), tasks.clone()));
    Ok(Sandbox { url: format!("http://{address}"), shared, state_file, tasks })
}

async fn accept(listener: TcpListener, router: Router, shared: Arc<Shared>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and whole: nothing is gained by holding them back.
                let _ = stream.set_nodelay(true);
                tasks.spawn(connection::serve(stream, router.clone(), Arc::clone(&shared)));
            }
            // Out of file descriptors, most likely: some will be free again.
            Err(_) => shared.clock.sleep(ACCEPT_PAUSE).await,
        }
    }
}

impl Sandbox {
    /// Its origin, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its two Pages, with their tokens.
    pub fn pages(&self) -> &'static [SandboxPage; 2] {
        &PAGES
    }

    /// What it accepted so far, every message included.
    pub fn truth(&self) -> Truth {
        self.shared.truth(0, usize::MAX)
    }

    /// What it has counted so far: cheap, however much it has seen.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// The messages and sender actions it accepted, from the one after number `since`: for logs too long for `truth`.
    pub fn messages(&self, since: u64) -> impl Iterator<Item = TruthMessage> {
        self.shared.messages(since)
    }

    /// Replaces the faults to come by those `faults` describes, in the words of `POST /__sandbox/faults`.
    ///
    /// # Errors
    /// `faults` is not understood; those of before stay.
    pub fn set_faults(&self, faults: Value) -> Result<(), ControlError> {
        *self.shared.faults() = Faults::parse(faults).map_err(ControlError)?;
        Ok(())
    }

    /// Lets everything go well from here on.
    pub fn clear_faults(&self) {
        *self.shared.faults() = Faults::default();
    }

    /// Limits what each Page may do from here on, in the words of `POST /__sandbox/limits`.
    ///
    /// # Errors
    /// `limits` is not understood; those of before stay.
    pub fn set_limits(&self, limits: Value) -> Result<(), ControlError> {
        *self.shared.limits() = Limits::parse(limits).map_err(ControlError)?;
        Ok(())
    }

    /// Lets Pages do as much as they like from here on.
    pub fn clear_limits(&self) {
        *self.shared.limits() = Limits::default();
    }

    /// Says of people when they last wrote and whether they can be reached, in the words of `POST /__sandbox/people`.
    /// Whoever was described before and is not named stays as they were.
    ///
    /// # Errors
    /// `people` is not understood; nothing changes.
    pub fn describe_people(&self, people: Value) -> Result<(), ControlError> {
        let described = People::parse(people).map_err(ControlError)?;
        self.shared.people().add(described);
        Ok(())
    }

    /// Lets everybody be reached at any time from here on.
    pub fn forget_people(&self) {
        *self.shared.people() = People::default();
    }

    /// Its time.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Moves its time to `now`, from where it goes on.
    pub fn set_clock(&self, now: Timestamp) {
        self.move_clock(self.now(), now);
    }

    /// Moves its time forward.
    pub fn advance_clock(&self, span: Duration) {
        let now = self.now();
        self.move_clock(now, now.plus(span));
    }

    fn move_clock(&self, from: Timestamp, to: Timestamp) {
        self.shared.clock.shift(from, to);
        self.shared.changed.notify_one();
    }

    /// Makes an attachment id useless before its time; `false` if there is no such id.
    pub fn revoke(&self, attachment_id: &str) -> bool {
        self.shared.revoke(attachment_id)
    }

    /// Whether calls without `appsecret_proof` are refused from now on. At first they are not.
    pub fn require_proof(&self, required: bool) {
        self.shared.proof_required.store(required, Ordering::Relaxed);
    }

    /// Makes it as new: nothing accepted, no faults, no limits, nobody described, real time.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Returns once somebody calls `POST /__sandbox/stop`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait(&self) {
        self.shared.stop.cancelled().await;
    }

    /// Ends every connection, then writes the state file a last time.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub async fn shutdown(self) -> Result<(), SandboxError> {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        match self.state_file.clone() {
            Some(path) => store::save(Arc::clone(&self.shared), path).await,
            None => Ok(()),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
