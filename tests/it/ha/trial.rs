//! One fault of the leader while several processes upload the same files and several others send a campaign, and what had
//! become of everything when it was over.

use std::collections::HashSet;
use std::process::Child;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::lab::{Lab, Manager};
use super::witness::{Testimony, Witness};
use crate::campaign::{TEXT, campaign, check_against_truth, exported, truth};
use crate::support::pictures::png;
use crate::support::{Ran, World};

/// How many files, people, and processes for each of the two.
const FILES: u32 = 600;
const PEOPLE: u64 = 1_500;
const PROCESSES: usize = 3;
/// So slow that the fault comes in the middle.
const PACE: &str = "[limits]\nmessages_per_second = 60\nmedia_per_second = 60\ncalls_per_second = 90\n";
/// How many rows the new leader has acknowledged, and how many messages have left, when the old one wakes.
const ENOUGH: usize = 50;
/// How long everything may take from its beginning.
const PATIENCE: Duration = Duration::from_mins(4);

/// What happens to the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// All of it is killed at once, and started again when another leads.
    Killed,
    /// All of it is stopped, and goes on as if nothing had been when another leads.
    Frozen,
}

/// What had become of everything.
pub(super) struct Trial {
    fault: Fault,
    witness: Testimony,
    /// From the fault until all three were in their places again.
    whole: Duration,
    /// The longest time without a message.
    silence: Duration,
    sent: usize,
    unknown: usize,
    /// Who got something twice.
    twice: usize,
    /// Messages that were accepted, of which the record says otherwise.
    denied: usize,
    /// People of whom the record says neither sent nor unknown.
    left: usize,
    uploads: u64,
    /// Ids that were told to somebody and are not in the record.
    forgotten: usize,
    /// Uploads of which nobody has the id, as the record counts them.
    orphans: u64,
    /// How the processes ended: exit codes, and the first words of those that did not end well.
    ends: Vec<(Option<i32>, String)>,
    world: World,
}

impl Trial {
    /// Does it to the leader there is, and returns when all is in its place again. `max_wait` is how long the processes wait
    /// for a share of the Page's budget.
    pub(super) fn run(lab: &mut Lab, fault: Fault, max_wait: &str) -> Self {
        let database = format!("trial{}", fastrand::u32(..));
        lab.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"));
        lab.sql(&database, "CREATE TABLE witness (id bigint PRIMARY KEY)");
        let witness = Witness::start(lab.url(&database));
        let world = World::new().sharing(lab.url(&database));
        world.configure(PACE);
        for number in 0..FILES {
            world.put(format!("files/{number}.png"), png(number));
        }
        campaign(&world, PEOPLE, TEXT);
        world.run(["ls"]).ended_with(0);
        let sync = ["sync", "library/files", "--json", "--max-wait", max_wait];
        let send = ["campaign", "run", "library/spring.toml", "--yes", "--json", "--max-wait", max_wait];
        let uploading = (0..PROCESSES).map(|_| Running::new(world.start(sync)));
        let processes: Vec<_> = uploading.chain((0..PROCESSES).map(|_| Running::new(world.start(send)))).collect();
        lab.wait("uploads and messages", &mut || {
            let counts = world.counts();
            counts.uploads_accepted > u64::from(FILES) / 4 && counts.messages_accepted > PEOPLE / 4
        });
        assert!(processes.iter().all(|running| !running.thread.is_finished()), "some had ended before the fault");

        let struck = strike(lab, fault, &witness, &world);
        lab.wait_until_whole();
        let whole = struck.elapsed();
        let ran = ended(processes);
        let witness = witness.ask();
        Self::take_stock(lab, fault, world, witness, whole, &ran)
    }

    fn take_stock(lab: &Lab, fault: Fault, world: World, witness: Testimony, whole: Duration, ran: &[Ran]) -> Self {
        let (truth, exported) = (truth(&world), exported(&world));
        let count = |outcome: &str| exported.values().filter(|told| *told == outcome).count();
        let (sent, unknown) = (count("sent"), count("unknown"));
        let said = |key| matches!(exported.get(key).map(String::as_str), Some("sent" | "unknown"));
        let known = ids(&world.json(["ls"]).ended_with(0));
        let told: HashSet<String> = ran.iter().flat_map(ids).collect();
        let times: Vec<_> = world.truth().messages.iter().map(|message| message.at).collect();
        let orphans = lab.sql(world.database(), "SELECT count(*) FROM reattach.orphans");
        Self {
            fault,
            witness,
            whole,
            silence: times.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default(),
            sent,
            unknown,
            twice: truth.values().filter(|count| **count > 1).count(),
            denied: truth.keys().filter(|key| !said(key)).count(),
            left: exported.len() - sent - unknown,
            uploads: world.uploads(),
            forgotten: told.difference(&known).count(),
            orphans: orphans.parse().expect("a number"),
            ends: ran.iter().map(|ran| (ran.code, last_words(ran))).collect(),
            world,
        }
    }

    /// The witness misses rows, so what finds none missing can be believed; and who was at work said so.
    pub(super) fn must_have_lost_something_and_said_so(&self, lab: &Lab) {
        assert!(self.witness.missing > 0, "what loses acknowledged rows was not seen to: {}", lab.logs());
        let said = |words: &String| words.contains("what was acknowledged is not there");
        assert!(self.ends.iter().any(|(code, words)| *code == Some(6) && said(words)), "{:?}", self.ends);
    }

    pub(super) fn must_have_lost_nothing(&self, lab: &Lab) {
        let logs = || lab.logs();
        assert_eq!(self.witness.missing, 0, "acknowledged rows are missing: {}", logs());
        check_against_truth(&self.world);
        assert_eq!((self.twice, self.denied, self.left), (0, 0, 0), "{}", logs());
        assert_eq!(self.sent + self.unknown, usize::try_from(PEOPLE).expect("few"), "somebody is lost: {}", logs());
        assert_eq!(self.forgotten, 0, "an id that was told is not there: {}", logs());
        assert_eq!(self.uploads, u64::from(FILES) + self.orphans, "uploads that nobody named: {}", logs());
        let expected = if self.unknown == 0 { &[Some(0)][..] } else { &[Some(0), Some(7)][..] };
        assert!(self.ends.iter().all(|(code, _)| expected.contains(code)), "{}", logs());
    }

    /// A row of the table of `docs/HA.md`.
    #[expect(clippy::print_stdout, reason = "what it is for")]
    pub(super) fn tell(&self, manager: Manager) {
        let (secs, Testimony { acknowledged, missing, silence }) = (Duration::as_secs_f64, &self.witness);
        println!(
            "| {} | {:?} | {missing} of {acknowledged} | {:.1} s | {:.1} s | {:.1} s | {} | {} | {} | {} | {} | {} + {} |",
            manager.name(),
            self.fault,
            secs(silence),
            secs(&self.silence),
            secs(&self.whole),
            self.twice,
            self.denied,
            self.left,
            self.unknown,
            self.forgotten,
            self.uploads - self.orphans,
            self.orphans,
        );
        for (code, words) in self.ends.iter().filter(|(code, _)| *code != Some(0)) {
            println!("    ended with {code:?}: {words}");
        }
    }
}

/// When it happened; returns once another leads and the old leader runs again.
fn strike(lab: &mut Lab, fault: Fault, witness: &Witness, world: &World) -> Instant {
    let old = lab.leader().expect("a leader");
    let struck = Instant::now();
    match fault {
        Fault::Killed => lab.kill(old),
        Fault::Frozen => lab.freeze(old),
    }
    lab.wait("another leader", &mut || lab.leader().is_some_and(|new| new != old));
    let (rows, messages) = (witness.acknowledged(), world.counts().messages_accepted);
    lab.wait("work that goes on", &mut || {
        witness.acknowledged() >= rows + ENOUGH && world.counts().messages_accepted >= messages + ENOUGH as u64
    });
    match fault {
        Fault::Killed => lab.start_node(old),
        Fault::Frozen => lab.thaw(old),
    }
    struck
}

/// A process whose output is read as it comes.
struct Running {
    process: Pid,
    thread: JoinHandle<Ran>,
}

impl Running {
    fn new(child: Child) -> Self {
        let process = Pid::from_child(&child);
        Self { process, thread: spawn(|| Ran::new(child.wait_with_output().expect("ends"))) }
    }
}

/// Waits for all, and ends those that take too long.
fn ended(processes: Vec<Running>) -> Vec<Ran> {
    let began = Instant::now();
    while processes.iter().any(|running| !running.thread.is_finished()) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ran = processes.into_iter().map(|Running { process, thread }| {
        if !thread.is_finished() {
            let _ = kill_process(process, Signal::KILL);
        }
        thread.join().expect("no panic")
    });
    ran.collect()
}

/// What it said at its end, but for what it warned of on the way.
fn last_words(ran: &Ran) -> String {
    let words = ran.stderr.lines().filter(|line| !line.contains(" WARN ") && !line.starts_with("not recorded: "));
    let errors = ran.stdout.lines().filter(|line| line.contains("\"event\":\"error\""));
    words.chain(errors).collect::<Vec<_>>().join(" ")
}

/// The ids that were told of.
fn ids(ran: &Ran) -> HashSet<String> {
    ran.events_of("asset").iter().filter_map(|asset| asset["attachment_id"].as_str().map(ToOwned::to_owned)).collect()
}
