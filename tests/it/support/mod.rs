//! A world for a test: a sandbox, a home of its own, a library to fill, and the binary to run in it.

pub(crate) mod client;
pub(crate) mod keeper;
pub(crate) mod marks;
pub(crate) mod pictures;
pub(crate) mod postgres;
pub(crate) mod preload;
pub(crate) mod proxy;
pub(crate) mod reopened;
pub(crate) mod secrecy;
pub(crate) mod served;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use self::secrecy::{Listener, folder_keeps_secrets, keeps_secrets};
use reattach::sandbox::{self, Counts, Sandbox, SandboxOptions, Truth};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Returns once it is so; looked at again and again, and not for ever.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A sandbox and a home folder, both gone when the test ends.
pub(crate) struct World {
    sandbox: Option<Sandbox>,
    pub(crate) url: String,
    /// Where ids are kept, if not in the world itself.
    shared_store: Option<String>,
    home: TempDir,
    /// What the binary logs, all of it.
    log: TempDir,
    // Dropped last: the sandbox runs on it.
    pub(crate) runtime: Runtime,
}

/// The hash of some bytes, as Meta's side and ours write it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::within(TempDir::new().expect("a folder"))
    }

    /// A world whose home is this folder.
    pub(crate) fn within(home: TempDir) -> Self {
        Listener::of_this_process();
        let runtime = Runtime::new().expect("a runtime");
        let sandbox = runtime.block_on(sandbox::start(SandboxOptions::default())).expect("a sandbox");
        let url = sandbox.url().to_owned();
        Self { url, shared_store: None, sandbox: Some(sandbox), home, log: scratch(), runtime }
    }

    /// The same world, its ids kept in the store at `url`.
    pub(crate) fn sharing(mut self, url: String) -> Self {
        self.shared_store = Some(url);
        self
    }

    /// The sandbox, while it runs.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("the sandbox was stopped")
    }

    /// Stops the sandbox: from here on nobody listens where it did.
    pub(crate) fn stop_sandbox(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.runtime.block_on(sandbox.shutdown()).expect("stopped");
        }
    }

    /// The folder of files to upload.
    pub(crate) fn library(&self) -> PathBuf {
        let library = self.home.path().join("library");
        std::fs::create_dir_all(&library).expect("a folder");
        library
    }

    /// Where the cache and the record are kept.
    pub(crate) fn store(&self) -> PathBuf {
        self.home.path().join("store")
    }

    /// The folder of the store it has where it is told of none.
    pub(crate) fn store_of_its_own(&self) -> PathBuf {
        self.home.path().join(".local/share/reattach")
    }

    /// The database its ids are kept in.
    pub(crate) fn database(&self) -> &str {
        let url = self.shared_store.as_deref().expect("a shared store");
        url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a database")
    }

    /// The file the binary logs to.
    pub(crate) fn log(&self) -> PathBuf {
        self.log.path().join("log")
    }

    /// Puts a file into the library.
    pub(crate) fn put(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.library().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Writes `reattach.toml` where the binary runs.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.home.path().join("reattach.toml"), text).expect("a file");
    }

    /// The binary in this world, speaking for the sandbox's first Page.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let own = || format!("sled:{}", self.store().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_reattach"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("REATTACH_STORE", self.shared_store.clone().unwrap_or_else(own))
            .env("REATTACH_GRAPH_URL", &self.url)
            .env("REATTACH_ACCESS_TOKEN", "SANDBOX-PAGE-1")
            .stdin(Stdio::null());
        // Whoever asks for a log wants to read it.
        if !command.get_args().any(|argument| argument.as_encoded_bytes().starts_with(b"-v")) {
            command.env("REATTACH_LOG", "trace").env("REATTACH_LOG_FILE", self.log());
        }
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::new(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs the binary with `--json`.
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::new(self.command(arguments).arg("--json").output().expect("the binary runs"))
    }

    /// Starts the binary and leaves it running, its output kept for later.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }

    /// What the sandbox has seen so far.
    pub(crate) fn truth(&self) -> Truth {
        self.sandbox().truth()
    }

    /// What the sandbox has counted so far: much cheaper than all it has seen.
    pub(crate) fn counts(&self) -> Counts {
        self.sandbox().counts()
    }

    /// How many uploads the sandbox has taken so far.
    pub(crate) fn uploads(&self) -> u64 {
        self.truth().counters.uploads_accepted
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Whoever fails already need not fail again.
        if std::thread::panicking() {
            return;
        }
        folder_keeps_secrets(self.log.path(), None);
        // What is in the library is the test's own.
        folder_keeps_secrets(self.home.path(), Some(&self.home.path().join("library")));
        if let Some(dump) = self.shared_store.as_deref().and_then(postgres::dump) {
            keeps_secrets("the shared record", &dump);
        }
        Listener::of_this_process().heard_no_secret();
    }
}

/// A number from the environment, for runs longer than those of `cargo test`.
pub(crate) fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Prints what a long run came to, as a line `just torture` puts into its closing table.
#[expect(clippy::print_stdout, reason = "what a long run came to")]
pub(crate) fn account(what: &str, count: &str, seed: u64, began: Instant, objections: usize) {
    println!("torture: {what}|{count}|{seed}|{}|{objections}", began.elapsed().as_secs());
}

/// A folder in memory, where there is one: what is made in it by the thousand need not outlive anything.
pub(crate) fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder")
}

/// The same command, started by another program: what that one is to do before, and with it.
pub(crate) fn within(outer: &[&str], command: &Command) -> Command {
    let mut started = Command::new(outer[0]);
    started.args(&outer[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
    started.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    started.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    started.current_dir(command.get_current_dir().expect("a home")).stdin(Stdio::null());
    started
}

/// A run of the binary that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        keeps_secrets("stdout", &output.stdout);
        keeps_secrets("stderr", &output.stderr);
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same run, which must have ended with this exit code.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The objects it printed.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The objects of one sort.
    pub(crate) fn events_of(&self, event: &str) -> Vec<Value> {
        self.events().into_iter().filter(|object| object["event"] == event).collect()
    }

    /// The closing counts.
    pub(crate) fn summary(&self) -> Value {
        self.events_of("summary").pop().expect("a summary")
    }

    /// The object about the file of this name.
    #[track_caller]
    pub(crate) fn asset(&self, name: &str) -> Value {
        let is_it = |asset: &Value| asset["path"].as_str().is_some_and(|path| path.ends_with(name));
        let assets = self.events_of("asset");
        assets.iter().find(|asset| is_it(asset)).cloned().unwrap_or_else(|| panic!("no {name} in {assets:#?}"))
    }

    /// The object about what the user, or a manifest, called this.
    #[track_caller]
    pub(crate) fn asset_called(&self, name: &str) -> Value {
        let assets = self.events_of("asset");
        let found = assets.iter().find(|asset| asset["ref"].as_str().is_some_and(|called| called.ends_with(name)));
        found.cloned().unwrap_or_else(|| panic!("no {name} in {assets:#?}"))
    }

    /// The codes of the problems of the file of this name.
    #[track_caller]
    pub(crate) fn problems(&self, name: &str) -> Vec<String> {
        let problems = self.asset(name)["problems"].as_array().expect("problems").clone();
        problems.iter().map(|problem| problem["code"].as_str().expect("a code").to_owned()).collect()
    }
}
