//! A PostgreSQL server for tests, from the machine's own binaries: started once, with a database for each test, and gone
//! with the process that started it, however that ends.
//!
//! Shared with the library's own tests, which is why it leans on nothing else.

#![allow(dead_code, reason = "each of those who include it uses a part")]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
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

/// The same with the server's tables on a disk of its own, which nobody else sees and which is gone with it. Its log of
/// what it does is elsewhere: without that it could not go on at all.
const KEEP_ON_A_SMALL_DISK: &str = r#"
unshare --mount sh -c '
    mkdir "$2/disk" && mount -t tmpfs -o size=64m tmpfs "$2/disk" &&
    cp -a "$2/data/." "$2/disk" && chown --reference="$2/data" "$2/disk" && chmod 700 "$2/disk" &&
    mount --bind "$2/disk" "$2/data" && exec setpriv --reuid="$4" --regid="$5" --clear-groups sh -c "$3" sh "$1" "$2"
' sh "$@"
rm -rf "$2"
"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    home: Home,
    /// What it proves itself with, which is its own authority; `None` where there is no openssl to make it with.
    certificate: Option<PathBuf>,
    keeper: Child,
}

/// Where a server lives, running or not.
#[derive(Debug)]
struct Home {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
    /// As whom it runs; it refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Server {
    /// The one server of this process; `None`, and a loud word, where the machine has no PostgreSQL.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&[])).as_ref()
    }

    /// A server of its own, with these settings on top.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let home = Home::new()?;
        let certificate = home.furnish(settings);
        Some(Self::run(home, certificate))
    }

    /// A server whose disk can be filled up; `None`, and a loud word, where only root could have that.
    pub(crate) fn on_a_small_disk() -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let mut mount = Command::new("unshare");
        mount.args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null());
        if !is_root || !mount.status().is_ok_and(|status| status.success()) {
            let is_required = is_root && std::env::var_os(REQUIRED).is_some();
            assert!(!is_required, "{REQUIRED} is set, and root cannot mount anything here");
            let _ = writeln!(
                std::io::stderr(),
                "\nNOT RUN: A SERVER WHOSE DISK IS FULL, which needs root and its mounts\n"
            );
            return None;
        }
        let home = Home::new()?;
        let (uid, gid) = home.user?;
        home.furnish(&[]);
        let mut keeper = Command::new("sh");
        keeper.current_dir(&home.folder).process_group(0).args(["-c", KEEP_ON_A_SMALL_DISK, "sh"]);
        keeper.arg(&home.binaries).arg(&home.folder).args([KEEP, &uid.to_string(), &gid.to_string()]);
        Some(Self::kept(keeper, home, None))
    }

    /// Fills its disk up.
    pub(crate) fn fill_disk(&self) {
        self.sql("postgres", "COPY (SELECT) TO PROGRAM 'dd if=/dev/zero of=filler bs=4k 2>&1 || true'");
    }

    /// Makes room on it again.
    pub(crate) fn empty_disk(&self) {
        self.sql("postgres", "COPY (SELECT) TO PROGRAM 'rm filler'");
    }

    /// A standby of this server. From here on whatever this one says is committed is on the standby's disk as well.
    pub(crate) fn standby(&self) -> Self {
        let home = Home::new().expect("as before");
        let mut copy = home.command("pg_basebackup");
        copy.args(["-R", "-c", "fast", "--no-sync", "-h", "127.0.0.1", "-U", "postgres"]);
        done(copy.args(["-p", &self.port().to_string(), "-D"]).arg(home.data()));
        home.set(&["ssl = off", "wal_retrieve_retry_interval = 100ms"]);
        let standby = Self::run(home, None);
        // After the copy was made: the standby waits for nobody when it takes over.
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.wait_until("SELECT sync_state FROM pg_stat_replication", "sync");
        standby
    }

    /// Makes a standby the one that can be written to.
    pub(crate) fn promote(&self) {
        assert_eq!(self.sql("postgres", "SELECT pg_promote()"), "t");
    }

    fn run(home: Home, certificate: Option<PathBuf>) -> Self {
        let mut keeper = as_user(Command::new("sh"), home.user, &home.folder);
        keeper.args(["-c", KEEP, "sh"]).arg(&home.binaries).arg(&home.folder);
        Self::kept(keeper, home, certificate)
    }

    fn kept(mut keeper: Command, home: Home, certificate: Option<PathBuf>) -> Self {
        home.set(&[
            &format!("port = {}", home.port),
            &format!("unix_socket_directories = '{}'", home.folder.display()),
        ]);
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { home, certificate, keeper: keeper.expect("sh runs") };
        let begun = Instant::now();
        while !server.psql("postgres", "SELECT 1").status.success() {
            assert!(begun.elapsed() < PATIENCE, "it does not start: {}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
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
        self.home.port
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())
    }

    /// What `psql` prints for the statements, its columns apart by `|`.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let ran = self.psql(database, sql);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text").trim_end().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        self.home.psql().args(["-Atd", database, "-c", sql]).output().expect("psql runs")
    }

    /// Runs a script as `psql -f` does.
    #[track_caller]
    pub(crate) fn script(&self, text: &str) {
        let path = self.home.folder.join("script.sql");
        fs::write(&path, text).expect("a script");
        done(self.home.psql().args(["-d", "postgres", "-f"]).arg(&path));
    }

    /// Returns when the statement's answer is this.
    #[track_caller]
    pub(crate) fn wait_until(&self, sql: &str, answer: &str) {
        let begun = Instant::now();
        while self.sql("postgres", sql) != answer {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {answer} of {sql}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server without a word. Its sessions have ended when this returns.
    pub(crate) fn kill(&self) {
        let pid = fs::read_to_string(self.home.data().join("postmaster.pid")).expect("a pid");
        let pid = pid.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid");
        let sessions = children(pid);
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        let begun = Instant::now();
        // They notice when they next have nothing to do, and answer until then.
        while sessions.iter().any(|session| rustix::process::test_kill_process(*session).is_ok()) {
            assert!(begun.elapsed() < PATIENCE, "its sessions go on: {}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts a server that was killed.
    pub(crate) fn start_again(&self) {
        let begun = Instant::now();
        // As long as one of the old server's processes lives, the new one refuses.
        loop {
            let log = fs::OpenOptions::new().append(true).open(self.home.folder.join("log")).expect("a log");
            let mut server = (self.home.command("postgres").arg("-D").arg(self.home.data()))
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

    fn log(&self) -> String {
        fs::read_to_string(self.home.folder.join("log")).unwrap_or_default()
    }
}

impl Home {
    /// A folder for a server, and a port; `None`, and a loud word, where the machine has no PostgreSQL.
    fn new() -> Option<Self> {
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
        Some(Self { binaries, folder, port: free_port(), user })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes a cluster with these settings on top. What it proves itself with, where there is openssl to make that with.
    fn furnish(&self, settings: &[&str]) -> Option<PathBuf> {
        let mut initdb = self.command("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("--data-checksums").arg("-X").arg(self.folder.join("wal"));
        done(initdb.arg("-D").arg(self.data()));
        self.set(&[
            "listen_addresses = '127.0.0.1'",
            "max_connections = 400",
            "shared_buffers = 32MB",
            // What a crash of the machine would do is not what is asked here.
            "fsync = off",
            "autovacuum_naptime = 5s",
        ]);
        self.set(settings);
        let made = run_openssl(&mut as_user(Command::new("openssl"), self.user, &self.folder));
        let certificate = made.then(|| self.folder.join("server.crt"));
        if let Some(certificate) = &certificate {
            let key = self.folder.join("server.key");
            self.set(&[
                "ssl = on",
                &format!("ssl_cert_file = '{}'", certificate.display()),
                &format!("ssl_key_file = '{}'", key.display()),
            ]);
        }
        certificate
    }

    /// One of PostgreSQL's programs.
    fn command(&self, program: &str) -> Command {
        as_user(Command::new(self.binaries.join(program)), self.user, &self.folder)
    }

    fn psql(&self) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        psql
    }

    /// Adds to its settings; the last word counts.
    fn set(&self, settings: &[&str]) {
        let file = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        writeln!(file.expect("settings"), "{}", settings.join("\n")).expect("written");
    }
}

#[track_caller]
fn done(command: &mut Command) {
    let ran = command.output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// A server and its synchronous standby.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) primary: Server,
    pub(crate) standby: Server,
}

impl Pair {
    /// A pair of its own; `None`, and a loud word, where the machine has no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let primary = Server::start(&[])?;
        let standby = primary.standby();
        Some(Self { primary, standby })
    }

    /// Whichever of the two can be written to.
    pub(crate) fn url(&self, database: &str) -> String {
        let (one, other) = (self.primary.port(), self.standby.port());
        format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/{database}?target_session_attrs=read-write")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The processes this one has started, and that are still there.
fn children(pid: i32) -> Vec<rustix::process::Pid> {
    let parent_of = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name, which may hold anything: the state, and the parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.filter(|entry| parent_of(entry) == Some(pid));
    let pid = |entry: fs::DirEntry| rustix::process::Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    ours.filter_map(pid).collect()
}

/// All that the database at `url` holds, as SQL; `None` where its server is gone, says nothing, or has left its binaries.
pub(crate) fn dump(url: &str) -> Option<Vec<u8>> {
    let mut dump = Command::new(binaries()?.join("pg_dump"));
    let ran = dump.args(["--inserts", "--dbname", url]).env("PGCONNECT_TIMEOUT", "5").output().ok()?;
    ran.status.success().then_some(ran.stdout)
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
