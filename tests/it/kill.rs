//! `kill -9` at any moment: nothing that was on record is lost, nobody gets anything twice, and what is in doubt is no
//! more than what was under way.
//!
//! Three kinds of work ([`Work`]), with one to eight calls at once, are killed until they have come to their end: one kill
//! in ten falls while the program opens its store, the others at any moment of what it does. After each kill the record is
//! opened anew, verified, and held against what the sandbox has seen. Then the same command goes on, without anybody's
//! help. `KILL_CYCLES` says how often (120 unless it says otherwise), `KILL_SEED` what chance decides from (0): not when
//! the scheduler lets a signal through.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::num::NonZero;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::campaign::{FAST, TEXT_AND_PICTURE, campaign};
use crate::support::pictures::png;
use crate::support::reopened::{Accepted, Reopened, add_accepted};
use crate::support::{World, account, scratch, setting};

const USUAL_CYCLES: u64 = 120;
const FILES: u32 = 60;
const PEOPLE: u64 = 60;
const PARTS: u64 = 2;
const MOST_WORKERS: u64 = 8;
/// A kill comes this much later than what it waits for, at most: anywhere in a call and what is written down of it.
const LATE: Duration = Duration::from_millis(3);
/// How often to look whether it is time.
const LOOK: Duration = Duration::from_micros(200);
/// What it takes to open the store, generously.
const OPENING: Duration = Duration::from_millis(40);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A sync of a library.
    Upload,
    /// A campaign of texts and a picture.
    Send,
    /// Both at once, on one store.
    Mixed,
}

/// What is killed, what became of it so far, and what must not grow less.
struct Story {
    world: World,
    work: Work,
    workers: u64,
    /// Ids that were printed, or found on record.
    known: HashMap<String, String>,
    accepted: Accepted,
    last: u64,
    /// What earlier kills left in doubt.
    unknown: u64,
    unrecorded: u64,
}

/// What came of all.
#[derive(Debug, Default)]
struct Sum {
    kills: AtomicU64,
    early: AtomicU64,
    stories: AtomicU64,
    unknown: AtomicU64,
    arrived: AtomicU64,
    repeated: AtomicU64,
}

#[test]
#[expect(clippy::print_stdout, reason = "what a long run came to")]
fn kill_9_at_any_moment_loses_nothing_and_sends_nothing_twice() {
    let (cycles, seed, began) = (setting("KILL_CYCLES", USUAL_CYCLES), setting("KILL_SEED", 0), Instant::now());
    let (sum, next, objections) = (Sum::default(), AtomicU64::new(seed), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while sum.kills.load(Relaxed) < cycles {
                    let seed = next.fetch_add(1, Relaxed);
                    let mut story = Story::new(&mut Rng::with_seed(seed));
                    if let Err(objection) = story.tell(&sum, &mut Rng::with_seed(!seed)) {
                        let (work, workers) = (story.work, story.workers);
                        let told = format!("story {seed}, {work:?} with {workers} at once: {objection}");
                        objections.lock().expect("no panic").push(told);
                    }
                }
            });
        }
    });
    let objections = objections.into_inner().expect("no panic");
    let kills = sum.kills.load(Relaxed);
    account("kill -9", &kills.to_string(), seed, began, objections.len());
    println!("{sum:?}");
    assert!(objections.is_empty(), "{} of {kills} kills:\n{}", objections.len(), objections.join("\n"));
    // A tenth of what is to be killed is killed while it opens; some of it ends by itself.
    let (early, unknown) = (sum.early.load(Relaxed), sum.unknown.load(Relaxed));
    assert!(early * 20 >= kills, "only {early} of {kills} were killed while they opened");
    assert!(unknown * 20 >= kills, "only {unknown} were in doubt after {kills} kills: they were killed at no moment");
}

impl Story {
    fn new(random: &mut Rng) -> Self {
        let world = World::within(scratch());
        world.configure(FAST);
        let work = [Work::Upload, Work::Send, Work::Mixed][random.usize(..3)];
        let workers = random.u64(1..=MOST_WORKERS);
        world.put("hero.png", png(FILES));
        if work != Work::Send {
            for number in 0..FILES {
                world.put(format!("{}/{number}.png", number % 7), png(number));
            }
        }
        campaign(&world, PEOPLE, &format!("concurrency = {workers}\n{TEXT_AND_PICTURE}"));
        let (known, accepted) = (HashMap::new(), Accepted::new());
        Self { world, work, workers, known, accepted, last: 0, unknown: 0, unrecorded: 0 }
    }

    /// Kills it until it is done, and looks at what is left each time.
    fn tell(&mut self, sum: &Sum, random: &mut Rng) -> Result<(), String> {
        loop {
            let is_early = random.u8(..10) == 0;
            let (is_killed, printed) = self.kill(is_early, random)?;
            self.look(&printed)?;
            if !is_killed {
                break;
            }
            sum.kills.fetch_add(1, Relaxed);
            sum.early.fetch_add(u64::from(is_early), Relaxed);
        }
        self.end(sum)
    }

    /// Starts what there is to do, and kills it. Whether anything was still running, and what it had printed.
    fn kill(&self, is_early: bool, random: &mut Rng) -> Result<(bool, Vec<Value>), String> {
        let (started, done) = (Instant::now(), self.done());
        let mut children = self.start();
        let readers: Vec<_> = children.iter_mut().map(reader).collect();
        if is_early {
            let wait = random.f32();
            wait_for(|| started.elapsed() >= OPENING.mul_f32(wait));
        } else {
            let (more, late) = (random.u64(..=self.share()), random.f32());
            wait_for(|| self.done() >= done + more || all_have_ended(&mut children));
            let then = Instant::now();
            wait_for(|| then.elapsed() >= LATE.mul_f32(late));
        }
        for child in &children {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(child), Signal::KILL);
        }
        let codes: Vec<Option<i32>> = children.iter_mut().map(|child| child.wait().expect("ends").code()).collect();
        let printed: Vec<Vec<u8>> = readers.into_iter().map(|reader| reader.join().expect("no panic")).collect();
        let strange = codes.iter().position(|code| !matches!(code, None | Some(0 | 7)));
        if let Some(child) = strange {
            return Err(format!("one ended with {:?}: {}", codes[child], String::from_utf8_lossy(&printed[child])));
        }
        Ok((codes.contains(&None), printed.iter().flat_map(|printed| whole_lines(printed)).collect()))
    }

    fn start(&self) -> Vec<Child> {
        let workers = self.workers.to_string();
        let sync: &[&str] = &["sync", "library", "--concurrency", &workers, "--json"];
        let campaign: &[&str] = &["campaign", "run", "library/spring.toml", "--yes", "--json"];
        let commands: &[&[&str]] = match self.work {
            Work::Upload => &[sync],
            Work::Send => &[campaign],
            Work::Mixed => &[sync, campaign],
        };
        let start = |arguments: &&[&str]| {
            self.world.command(*arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
        };
        commands.iter().map(start).collect()
    }

    /// How much the sandbox has accepted.
    fn done(&self) -> u64 {
        let counts = self.world.counts();
        counts.uploads_accepted + counts.messages_accepted
    }

    /// What one life may get done, at most: so that there are several.
    fn share(&self) -> u64 {
        let (files, messages) = (u64::from(FILES), PEOPLE * PARTS);
        match self.work {
            Work::Upload => files / 5,
            Work::Send => messages / 5,
            Work::Mixed => (files + messages) / 5,
        }
    }

    /// Opens the record anew, and holds it against what was known before and what the sandbox has seen.
    fn look(&mut self, printed: &[Value]) -> Result<(), String> {
        let record = Reopened::of(&self.world, &self.world.store()).map_err(|error| format!("the record: {error}"))?;
        self.last = add_accepted(&self.world, self.last, &mut self.accepted);
        if let Some(objection) = record.lost(printed).or_else(|| record.objection(&self.accepted)) {
            return Err(objection);
        }
        if let Some((asset, id)) = self.known.iter().find(|(asset, id)| record.uploads.get(*asset) != Some(*id)) {
            return Err(format!("{asset} was on record as {id}, and is {:?}", record.uploads.get(asset)));
        }
        // One more than the workers: a campaign resolves its picture before they begin.
        let under_way = self.workers + u64::from(self.work != Work::Upload);
        let unknown = record.unknown() as u64;
        if unknown > self.unknown + self.workers {
            return Err(format!("{} more are unknown, {} were under way", unknown - self.unknown, self.workers));
        }
        let ids: HashSet<&String> = record.uploads.values().collect();
        let unrecorded = self.world.counts().uploads_accepted - ids.len() as u64;
        if unrecorded > self.unrecorded + under_way {
            return Err(format!(
                "{} more ids have no record, {under_way} were under way",
                unrecorded - self.unrecorded
            ));
        }
        (self.unknown, self.unrecorded, self.known) = (unknown, unrecorded, record.uploads);
        Ok(())
    }

    /// What is left once it has come to its end by itself.
    fn end(&mut self, sum: &Sum) -> Result<(), String> {
        let record = Reopened::of(&self.world, &self.world.store()).map_err(|error| format!("the record: {error}"))?;
        let files = if self.work == Work::Send { 1 } else { FILES as usize + 1 };
        if record.uploads.len() < files {
            return Err(format!("{} files are on record instead of {files}", record.uploads.len()));
        }
        if self.work != Work::Upload {
            let wanted = usize::try_from(PEOPLE * PARTS).expect("few");
            if let Some(left_out) = record.left_out(wanted) {
                return Err(left_out);
            }
        }
        let is_unknown = |key| record.ledger[key].delivery.state == reattach::delivery::State::Unknown;
        let arrived = self.accepted.keys().filter(|key| is_unknown(key)).count() as u64;
        sum.stories.fetch_add(1, Relaxed);
        sum.unknown.fetch_add(self.unknown, Relaxed);
        sum.arrived.fetch_add(arrived, Relaxed);
        sum.repeated.fetch_add(self.unrecorded, Relaxed);
        Ok(())
    }
}

/// Returns when it is so. One that spun would take the processor from what it waits for.
fn wait_for(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::park_timeout(LOOK);
    }
}

fn all_have_ended(children: &mut [Child]) -> bool {
    children.iter_mut().all(|child| child.try_wait().expect("runs").is_some())
}

/// Reads what a child prints, to the end.
fn reader(child: &mut Child) -> thread::JoinHandle<Vec<u8>> {
    let mut stdout = child.stdout.take().expect("a pipe");
    thread::spawn(move || {
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).expect("a pipe");
        printed
    })
}

/// The objects that were printed whole: a line that was being written is no promise.
fn whole_lines(printed: &[u8]) -> Vec<Value> {
    let whole = printed.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &printed[..end]);
    whole.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
