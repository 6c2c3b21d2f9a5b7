//! One trial after the other: the command under faults, the same without, and whether that was all legal.

use std::fs::{self, File};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use fastrand::Rng;
use serde_json::Value;

use super::calls::{Call, Calls, Fault, How, read};
use super::flows::{Flow, Stage, export};
use crate::support::scratch;
use crate::support::secrecy::{folder_keeps_secrets, keeps_secrets};

/// The exit codes of the documentation that a fault of the disk can lead to: unexpected, a list or manifest that cannot be
/// read, some failed, store, unknown.
const CODES: [i32; 6] = [0, 1, 2, 3, 6, 7];
/// Objections that are told in full.
const TOLD: usize = 20;
/// So many calls later the second of two faults strikes at the latest, where it strikes soon.
const SOON: u64 = 8;

/// How a command ended, and what can be known of it.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    /// The whole lines it printed.
    pub(crate) printed: Vec<Value>,
    pub(crate) stderr: String,
    /// The file it exports to.
    pub(crate) export: Option<String>,
    /// What it did on the disk.
    calls: Vec<Call>,
}

/// What came of many trials.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trials: usize,
    /// In how many of them something happened: no two runs make the same calls.
    pub(crate) struck: usize,
    pub(crate) objections: Vec<String>,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.struck += other.struck;
        self.objections.extend(other.objections);
    }

    /// Fails with what is wrong, if anything is.
    #[track_caller]
    pub(crate) fn is_flawless(&self) {
        let (wrong, trials) = (self.objections.len(), self.trials);
        assert!(wrong == 0, "{wrong} of {trials} trials:\n{}", self.objections[..wrong.min(TOLD)].join("\n"));
    }
}

/// Every point there is in a flow: each call to which something can happen, once and for ever after.
pub(crate) fn points(calls: &Calls, flow: Flow, hows: &[How]) -> Vec<Fault> {
    let stage = flow.stage();
    let data = stage.data();
    let calm = run(calls, &stage, data.path(), &[]);
    assert_eq!(calm.code, Some(0), "{flow:?} ends well while the disk does: {}", calm.stderr);
    points_among(&calm.calls, hows)
}

/// Every point there is in these calls.
pub(crate) fn points_among(calls: &[Call], hows: &[How]) -> Vec<Fault> {
    let lasting = |at, how| [false, true].map(|is_lasting| Fault { at, how, is_lasting });
    let count = |how: How| calls.iter().filter(|call| call.may(how)).count() as u64;
    hows.iter().flat_map(|how| (1..=count(*how)).flat_map(|at| lasting(at, *how))).collect()
}

/// So many pairs of what can happen: any two, or in half of them the same soon again, while what the first broke off is given
/// up. But not two signals that come again and again, which leave no call in peace.
pub(crate) fn pairs(points: &[Fault], count: usize, random: &mut Rng) -> Vec<Vec<Fault>> {
    let never_ends = |pair: &[Fault]| pair.iter().all(|fault| fault.is_lasting && fault.how == How::Eintr);
    let one = |random: &mut Rng| points[random.usize(..points.len())];
    let mut pair = || {
        let first = one(random);
        if random.bool() {
            return vec![first, one(random)];
        }
        let again = Fault { at: first.at + random.u64(2..=SOON), is_lasting: random.bool(), ..first };
        vec![Fault { is_lasting: false, ..first }, again]
    };
    std::iter::repeat_with(&mut pair).filter(|pair| !never_ends(pair)).take(count).collect()
}

/// Tries each of these, on as many processors as there are.
pub(crate) fn try_all(calls: &Calls, flow: Flow, trials: &[Vec<Fault>]) -> Outcome {
    try_each(&format!("{flow:?}"), trials, || flow.stage(), |stage, faults| try_one(calls, stage, faults))
}

/// The same for whatever is tried on a stage of its own, and says whether anything happened and what is wrong.
pub(crate) fn try_each<S>(
    name: &str,
    trials: &[Vec<Fault>],
    stage: impl Fn() -> S + Sync,
    try_one: impl Fn(&S, &[Fault]) -> (bool, Option<String>) + Sync,
) -> Outcome {
    let (next, struck, objections) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                let stage = stage();
                while let Some(faults) = trials.get(next.fetch_add(1, Relaxed)) {
                    let (has_struck, objection) = try_one(&stage, faults);
                    struck.fetch_add(usize::from(has_struck), Relaxed);
                    if let Some(objection) = objection {
                        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                        let told = format!("{name}, FAIL_CALLS={}: {objection}", faults.join(","));
                        objections.lock().expect("no panic").push(told);
                    }
                }
            });
        }
    });
    Outcome {
        trials: trials.len(),
        struck: struck.into_inner(),
        objections: objections.into_inner().expect("no panic"),
    }
}

/// Whether anything happened, and what is wrong with what the program made of it.
fn try_one(calls: &Calls, stage: &Stage, faults: &[Fault]) -> (bool, Option<String>) {
    let data = stage.data();
    let first = run(calls, stage, data.path(), faults);
    let struck: Vec<&Call> = first.calls.iter().filter(|call| call.how.is_some()).collect();
    let again = run(calls, stage, data.path(), &[]);
    let objection = objection_to_end(&first, &struck)
        .or_else(|| objection_to_second(&first, &again, &struck))
        .or_else(|| stage.objection(data.path(), &first, &again));
    let told = objection.map(|objection| {
        let some: Vec<String> = struck.iter().take(3).map(|call| format!("{} {}", call.kind, call.path)).collect();
        format!("{objection}\n  struck: {} of {}: {}", struck.len(), first.calls.len(), some.join(", "))
    });
    (!struck.is_empty(), told)
}

/// What is wrong with how it ended, given what happened to it.
fn objection_to_end(end: &End, struck: &[&Call]) -> Option<String> {
    let stderr = &end.stderr;
    let Some(code) = end.code else {
        return Some(format!("it was ended, by a signal or for want of an end: {stderr}"));
    };
    if stderr.contains("panicked at") {
        return Some(format!("it panicked: {stderr}"));
    }
    if !CODES.contains(&code) {
        return Some(format!("it ended with {code}, which is not for that: {stderr}"));
    }
    if code == 0 {
        return None;
    }
    if struck.iter().all(|call| call.is_gentle()) {
        return Some(format!("it ended with {code}, and had only to go on: {stderr}"));
    }
    if struck.iter().all(|call| call.path.contains("/cache")) {
        return Some(format!("it ended with {code} for its cache's sake: {stderr}"));
    }
    let mut words = struck.iter().filter_map(|call| call.how).flat_map(How::words);
    if !words.any(|words| stderr.contains(words)) {
        return Some(format!("it ended with {code}, and does not say why: {stderr}"));
    }
    let names = ["record.db", "export.csv", "what was printed", "all.json", "people.csv", "spring.toml", "hero.png"];
    (!names.iter().any(|name| stderr.contains(name))).then(|| format!("{code} does not say of what: {stderr}"))
}

/// What is wrong with how it ended the second time.
fn objection_to_second(first: &End, again: &End, struck: &[&Call]) -> Option<String> {
    let may_doubt = struck.iter().any(|call| !call.is_gentle());
    let is_well = again.code == Some(0) || again.code == Some(7) && may_doubt;
    let objection = || format!("the second run ended with {:?}: {}", again.code, again.stderr);
    (!is_well).then(|| format!("{}; the first with {:?}: {}", objection(), first.code, first.stderr))
}

/// Runs the command with these faults. What it prints goes to a file of its folder: printing can fail as well.
fn run(calls: &Calls, stage: &Stage, data: &Path, faults: &[Fault]) -> End {
    let (folder, out) = (scratch(), data.join("printed"));
    let log = folder.path().join("log");
    let mut command = stage.command(data);
    calls.spoil(&mut command, faults, data, &log);
    command.stdout(File::create(&out).expect("a file")).stderr(Stdio::piped());
    let ended = command.spawn().and_then(Child::wait_with_output).expect("the binary runs");
    let printed = fs::read(&out).expect("a file");
    keeps_secrets("stderr", &ended.stderr);
    folder_keeps_secrets(data, None);
    // A line that was not written whole is no promise.
    let whole = printed.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &printed[..end]);
    let lines = whole.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    End {
        code: ended.status.code(),
        printed: lines.collect(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        export: export(data),
        calls: read(&log),
    }
}
