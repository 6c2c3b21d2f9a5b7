//! Three of each on loopback, in a folder of their own, all of it gone with the process that started it.
//!
//! A process belongs to a node if it works in the node's folder: Patroni, the server it has started, and all of that one's.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::postgres::{as_user, binaries, free_port, runs_as};

/// How many servers there are, and etcds.
const NODES: usize = 3;
/// How long the whole may take to be there, at first or again.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one that is asked may take: a frozen one accepts, and says nothing.
const ANSWER: Duration = Duration::from_secs(1);
/// Longer than Patroni lets its server alone.
const ROUND: Duration = Duration::from_secs(3);
/// How often is asked.
const POLL: Duration = Duration::from_millis(100);

/// Ends everything when its own input does, politely at first, and removes what it left: the test holds the other end.
const KEEP: &str = r#"
cd /
cat >/dev/null
working_in() {
    find /proc -mindepth 2 -maxdepth 2 -name cwd -lname "$1" 2>/dev/null | cut -d / -f 3
}
working_in "$1*" | xargs -r kill -CONT
# Those of the nodes and etcds themselves. Patroni stops the server it has started.
working_in "$1/????[0-9]" | xargs -r kill -TERM
latest=$(($(date +%s) + 15))
while [ "$(working_in "$1*")" ] && [ "$(date +%s)" -lt "$latest" ]; do
    sleep 0.2
done
working_in "$1*" | xargs -r kill -KILL
rm -rf "$1"
"#;

/// What decides who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    /// Patroni 4 over etcd.
    Current,
    /// Debian 12's Patroni 3.0.2 over the older API of etcd.
    Debian,
    /// The same over the newer one, which loses.
    DebianOverEtcd3,
}

impl Manager {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Current => "Patroni 4, `etcd3`",
            Self::Debian => "Patroni 3.0.2, `etcd`",
            Self::DebianOverEtcd3 => "Patroni 3.0.2, `etcd3`",
        }
    }

    fn section(self) -> &'static str {
        if self == Self::Debian { "etcd" } else { "etcd3" }
    }

    fn patroni(self, tools: &Path) -> Command {
        if self == Self::Current {
            return Command::new(tools.join("venv/bin/patroni"));
        }
        let mut command = Command::new("/usr/bin/python3");
        command.arg(tools.join("debian/usr/bin/patroni"));
        command.env("PYTHONPATH", tools.join("debian/usr/lib/python3/dist-packages"));
        command
    }
}

/// The servers and all that belongs to them.
#[derive(Debug)]
pub(super) struct Lab {
    folder: PathBuf,
    tools: PathBuf,
    manager: Manager,
    user: Option<(u32, u32)>,
    ports: [u16; NODES],
    patronis: [Option<Child>; NODES],
    etcds: Vec<Child>,
    keeper: Child,
    runtime: Runtime,
}

impl Lab {
    /// Starts all, and returns when one leads and the others follow it.
    pub(super) fn start(tools: &Path, manager: Manager) -> Self {
        let user = runs_as();
        let folder = tempfile::Builder::new().prefix("reattach-ha-").tempdir().expect("a folder").keep();
        let folder = folder.canonicalize().expect("a path");
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("given away");
        }
        let keeper = as_user(Command::new("sh"), user, &folder)
            .args(["-c", KEEP, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let mut lab = Self {
            folder,
            tools: tools.to_owned(),
            manager,
            user,
            ports: [(); NODES].map(|()| free_port()),
            patronis: [const { None }; NODES],
            etcds: Vec::new(),
            keeper,
            runtime: Runtime::new().expect("a runtime"),
        };
        let clients = lab.start_etcds();
        for node in 0..NODES {
            lab.configure(node, &clients);
            lab.start_node(node);
        }
        lab.wait_until_whole();
        lab
    }

    /// All servers, as a client names them.
    pub(super) fn url(&self, database: &str) -> String {
        let hosts = self.ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        format!("postgres://postgres@{hosts}/{database}?target_session_attrs=read-write&load_balance_hosts=random")
    }

    /// The one that leads, of those that answer.
    pub(super) fn leader(&self) -> Option<usize> {
        (0..NODES).find(|node| self.ask(*node, "postgres", "SELECT pg_is_in_recovery()").as_deref() == Some("f"))
    }

    /// What the leader answers.
    pub(super) fn sql(&self, database: &str, sql: &str) -> String {
        let leader = self.leader().unwrap_or_else(|| panic!("nobody leads: {}", self.logs()));
        self.ask_for(PATIENCE, leader, database, sql).unwrap_or_else(|| panic!("no answer to {sql}: {}", self.logs()))
    }

    /// Kills a node as a whole.
    pub(super) fn kill(&mut self, node: usize) {
        // At one moment, as far as that can be had.
        signal_all(&self.node(node), Signal::STOP);
        signal_all(&self.node(node), Signal::KILL);
        self.patronis[node].take().expect("it runs").wait().expect("ended");
    }

    /// Stops a node as a whole: its connections stay open, and nothing comes over them. The server first, as where a disk
    /// hangs, so that Patroni is asking it whether all is well, and goes on from there when it wakes.
    pub(super) fn freeze(&self, node: usize) {
        signal_all(&self.node(node).join("data"), Signal::STOP);
        std::thread::sleep(ROUND);
        signal_all(&self.node(node), Signal::STOP);
    }

    /// Lets a frozen node go on as if nothing had been.
    pub(super) fn thaw(&self, node: usize) {
        signal_all(&self.node(node), Signal::CONT);
    }

    /// Starts a node that is not running.
    pub(super) fn start_node(&mut self, node: usize) {
        let log = log(&self.folder.join(format!("node{node}.log")));
        let mut patroni = as_user(self.manager.patroni(&self.tools), self.user, &self.node(node));
        patroni.arg("patroni.yml").stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.patronis[node] = Some(patroni.spawn().expect("Patroni runs"));
    }

    /// Returns when one leads, the others follow it, and what it acknowledges is on another's disk as well.
    pub(super) fn wait_until_whole(&self) {
        let sql = "SELECT count(*) = 2 AND count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) > 0
                   FROM pg_stat_replication WHERE state = 'streaming'";
        let mut is_whole =
            || self.leader().and_then(|leader| self.ask(leader, "postgres", sql)).as_deref() == Some("t");
        self.wait("three servers that belong together", &mut is_whole);
    }

    /// Returns when it is so.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, is_so: &mut dyn FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}: {}", self.logs());
            std::thread::sleep(POLL);
        }
    }

    /// The end of each node's log.
    pub(super) fn logs(&self) -> String {
        let tail = |node| {
            let log = fs::read_to_string(self.folder.join(format!("node{node}.log"))).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            format!("\n== node {node}\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        (0..NODES).map(tail).collect()
    }

    fn ask(&self, node: usize, database: &str, sql: &str) -> Option<String> {
        self.ask_for(ANSWER, node, database, sql)
    }

    /// The first column of the first row a node answers with, if it answers.
    fn ask_for(&self, patience: Duration, node: usize, database: &str, sql: &str) -> Option<String> {
        let url = format!("postgres://postgres@127.0.0.1:{}/{database}", self.ports[node]);
        let asking = async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.ok()?;
            tokio::spawn(connection);
            let answer = client.simple_query(sql).await.ok()?;
            Some(answer.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
                _ => None,
            }))
        };
        let answer = self.runtime.block_on(async { timeout(patience, asking).await });
        answer.ok().flatten().map(Option::unwrap_or_default)
    }

    fn node(&self, node: usize) -> PathBuf {
        self.folder.join(format!("node{node}"))
    }

    /// The addresses their clients use.
    fn start_etcds(&mut self) -> String {
        let own = |port: u16| format!("http://127.0.0.1:{port}");
        let (peers, clients) = ([(); NODES].map(|()| free_port()), [(); NODES].map(|()| free_port()));
        let cluster =
            std::array::from_fn::<_, NODES, _>(|member| format!("m{member}={}", own(peers[member]))).join(",");
        for (member, (peer, client)) in peers.into_iter().zip(clients).enumerate() {
            let folder = self.make_folder(&format!("etcd{member}"));
            let log = log(&self.folder.join(format!("etcd{member}.log")));
            let mut etcd = as_user(Command::new(self.tools.join("debian/usr/bin/etcd")), self.user, &folder);
            etcd.args(["--name", &format!("m{member}"), "--data-dir", "data", "--enable-v2"])
                .args(["--listen-peer-urls", &own(peer), "--initial-advertise-peer-urls", &own(peer)])
                .args(["--listen-client-urls", &own(client), "--advertise-client-urls", &own(client)])
                .args(["--initial-cluster", &cluster, "--initial-cluster-state", "new"])
                // A machine that does all of it at once is slow to answer.
                .args(["--heartbeat-interval", "300", "--election-timeout", "3000"])
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a log"))
                .stderr(log);
            self.etcds.push(etcd.spawn().expect("etcd runs"));
        }
        clients.map(|port| format!("127.0.0.1:{port}")).join(",")
    }

    fn configure(&self, node: usize, etcds: &str) {
        let folder = self.make_folder(&format!("node{node}"));
        let text = include_str!("patroni.yml")
            .replace("NODE", &format!("node{node}"))
            .replace("FOLDER", folder.to_str().expect("a path"))
            .replace("BINARIES", binaries().expect("PostgreSQL is installed").to_str().expect("a path"))
            .replace("SECTION", self.manager.section())
            .replace("ETCDS", etcds)
            .replace("REST_PORT", &free_port().to_string())
            .replace("PORT", &self.ports[node].to_string());
        fs::write(folder.join("patroni.yml"), text).expect("a file");
    }

    fn make_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("given away");
        }
        folder
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        for child in self.patronis.iter_mut().flatten().chain(&mut self.etcds) {
            let _ = child.wait();
        }
    }
}

/// Tells every process that works in the folder, those that are begun meanwhile as well.
fn signal_all(folder: &Path, signal: Signal) {
    let mut told = HashSet::new();
    loop {
        let found: Vec<_> = processes_in(folder).into_iter().filter(|process| told.insert(*process)).collect();
        if found.is_empty() {
            return;
        }
        for process in found {
            // It may have ended by itself.
            let _ = kill_process(process, signal);
        }
    }
}

fn processes_in(folder: &Path) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("processes").flatten().filter_map(|entry| {
        let process = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let works_in = fs::read_link(entry.path().join("cwd")).ok()?;
        works_in.starts_with(folder).then_some(process)
    });
    processes.collect()
}

fn log(path: &Path) -> fs::File {
    fs::OpenOptions::new().create(true).append(true).open(path).expect("a log")
}
