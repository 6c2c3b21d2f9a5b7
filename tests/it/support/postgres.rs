//! A PostgreSQL server for tests, from the machine's own binaries: started once, with a database for each test, and gone
//! with the process that started it, however that ends.
//!
//! Shared with the library's own tests, which is why it leans on nothing else.

#![allow(dead_code, reason = "each of those who include it uses a part")]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Set where a missing server is a failure.
const REQUIRED: &str = "REATTACH_TEST_POSTGRES";
/// How long a server may take to start or to recover.
const PATIENCE: Duration = Duration::from_mins(1);

/// Ends the server when its own input does, and removes what it left: the test process holds the other end.
const KEEP: &str = r#"
"$1/postgres" -D "$2/data" >>"$2/log" 2>&1 &
cat >/dev/null
kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")" 2>/dev/null
wait
rm -rf "$2"
"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
    /// As whom it runs; it refuses to run as root.
    user: Option<(u32, u32)>,
    /// What it proves itself with, which is its own authority; `None` where there is no openssl to make it with.
    certificate: Option<PathBuf>,
    keeper: Child,
}

impl Server {
    /// The one server of this process; `None`, and a loud word, where the machine has no PostgreSQL.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&[])).as_ref()
    }

    /// A server of its own, with these settings on top.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let Some(binaries) = binaries() else {
            assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and there is no PostgreSQL here");
            // Past the capture of the test harness.
            let _ = writeln!(
                std::io::stderr(),
                "\nNOT RUN: TESTS OF THE RECORD ON POSTGRESQL, since it is not installed here. To run them: \
                 apt-get install postgresql (its server need not run)\n"
            );
            return None;
        };
        let user = runs_as();
        let folder = tempfile::Builder::new().prefix("reattach-pg-").tempdir().expect("a folder").keep();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("given away");
        }
        let port = free_port();
        let run = |program: &str| as_user(Command::new(binaries.join(program)), user, &folder);
        let data = folder.join("data");
        let made = run("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .arg("--data-checksums")
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let ours = [
            "listen_addresses = '127.0.0.1'",
            &format!("port = {port}"),
            &format!("unix_socket_directories = '{}'", folder.display()),
            "max_connections = 400",
            "shared_buffers = 32MB",
            // What a crash of the machine would do is not what is asked here.
            "fsync = off",
            "autovacuum_naptime = 5s",
        ];
        let text = ours.iter().copied().chain(settings.iter().copied()).collect::<Vec<_>>().join("\n");
        let made = run_openssl(&mut as_user(Command::new("openssl"), user, &folder));
        let certificate = made.then(|| folder.join("server.crt"));
        let tls = certificate.as_ref().map(|certificate| {
            let key = folder.join("server.key");
            format!("ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'", certificate.display(), key.display())
        });
        let text = tls.into_iter().fold(text, |text, tls| format!("{text}\n{tls}"));
        let mut file = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("settings");
        writeln!(file, "{text}").expect("written");
        let keeper = as_user(Command::new("sh"), user, &folder)
            .args(["-c", KEEP, "sh"])
            .arg(&binaries)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let server = Self { binaries, folder, port, user, certificate, keeper };
        server.wait_until_ready();
        Some(server)
    }

    /// A database of its own: an empty one, or one like `template`.
    pub(crate) fn database(&self, template: Option<&str>) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", template.unwrap_or("template0")));
        name
    }

    pub(crate) fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// What `psql` prints for the statements, its columns apart by `|`.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let ran = self.psql(database, sql);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text").trim_end().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        let mut psql = as_user(Command::new(self.binaries.join("psql")), self.user, &self.folder);
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-c", sql]).output().expect("psql runs")
    }

    /// Runs a script as `psql -f` does.
    #[track_caller]
    pub(crate) fn script(&self, text: &str) {
        let path = self.folder.join("script.sql");
        fs::write(&path, text).expect("a script");
        let mut psql = as_user(Command::new(self.binaries.join("psql")), self.user, &self.folder);
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        let ran = psql.args(["-d", "postgres", "-f"]).arg(&path).output().expect("psql runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// Kills the server without a word.
    pub(crate) fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("a pid");
        let pid = pid.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    }

    /// Starts a server that was killed.
    pub(crate) fn start_again(&self) {
        let begun = Instant::now();
        // As long as one of the old server's processes lives, the new one refuses.
        loop {
            let log = fs::OpenOptions::new().append(true).open(self.folder.join("log")).expect("a log");
            let mut server = as_user(Command::new(self.binaries.join("postgres")), self.user, &self.folder)
                .arg("-D")
                .arg(self.folder.join("data"))
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a log"))
                .stderr(log)
                .spawn()
                .expect("postgres runs");
            while server.try_wait().expect("runs").is_none() {
                if self.psql("postgres", "SELECT 1").status.success() {
                    // Reaped when it ends, which it does when the keeper ends it.
                    std::thread::spawn(move || server.wait());
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(begun.elapsed() < PATIENCE, "it does not start again: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_until_ready(&self) {
        let begun = Instant::now();
        while !self.psql("postgres", "SELECT 1").status.success() {
            assert!(begun.elapsed() < PATIENCE, "it does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where `initdb` and `postgres` lie.
pub(crate) fn binaries() -> Option<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").output().ok().filter(|ran| ran.status.success());
    let told = asked.and_then(|ran| String::from_utf8(ran.stdout).ok()).map(|text| PathBuf::from(text.trim()));
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut debian: Vec<_> = debian.collect();
    debian.sort();
    told.into_iter()
        .chain(debian.into_iter().rev())
        .find(|folder| ["initdb", "postgres", "psql"].iter().all(|program| folder.join(program).is_file()))
}

/// As whom a server runs, which refuses to run as root; `None` for whoever runs this.
pub(crate) fn runs_as() -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then(other_user)
}

/// The user and group of `postgres`, or else of `nobody`.
fn other_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).expect("a user to run it as")
}

pub(crate) fn as_user(mut command: Command, user: Option<(u32, u32)>, folder: &Path) -> Command {
    // What ends the tests from the terminal must not end those who are to clean up.
    command.current_dir(folder).env("LC_ALL", "C").process_group(0);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Makes a key and a certificate for this machine; whether it could.
fn run_openssl(openssl: &mut Command) -> bool {
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.crt"]);
    openssl.output().is_ok_and(|ran| ran.status.success())
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
