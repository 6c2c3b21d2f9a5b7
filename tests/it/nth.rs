//! The disk fails: every call that reads or changes a file, one after the other, once and for ever after.
//!
//! `fail_calls.c` stands between the program and the system and lets a chosen call fail: with EIO, ENOSPC or EINTR, or by
//! writing half of what it was given ([`calls`]). Four commands are tried ([`flows`]): each under its faults, then once more
//! without, and what is left is held against what the sandbox has seen ([`trial`]). Every call of a command has its turn
//! with `FAULT_POINTS` high enough; `cargo test` tries some of them, and a few of the pairs of faults, `FAULT_PAIRS`.
//! `FAULT_SEED` begins elsewhere.

mod calls;
mod flows;
mod trial;

use std::time::Instant;

use calls::{Calls, Fault, How};
use fastrand::Rng;
use flows::Flow;
use trial::{Outcome, pairs, points, try_all};

use crate::support::{account, setting};

/// How many points `cargo test` tries in all, of those there are.
const USUAL_POINTS: u64 = 150;
const USUAL_PAIRS: u64 = 20;

#[test]
fn whichever_call_fails_nothing_is_lost_doubled_or_kept_quiet() {
    let Some(calls) = Calls::build() else { return };
    let (began, mut outcome, seed) = (Instant::now(), Outcome::default(), setting("FAULT_SEED", 0));
    let wanted = usize::try_from(setting("FAULT_POINTS", USUAL_POINTS)).expect("a count");
    let all: Vec<(Flow, Fault)> =
        Flow::ALL.into_iter().flat_map(|flow| with(flow, points(&calls, flow, &How::HONEST))).collect();
    let some = spread(&all, wanted, seed);
    for flow in Flow::ALL {
        let trials: Vec<_> = some.iter().filter(|(of, _)| *of == flow).map(|(_, fault)| vec![*fault]).collect();
        outcome.add(try_all(&calls, flow, &trials));
    }
    let count = format!("{} of {} points", outcome.trials, all.len());
    account("n-th fault", &count, seed, began, outcome.objections.len());
    outcome.is_flawless();
    assert!(outcome.struck * 10 > outcome.trials * 9, "{} of {} struck", outcome.struck, outcome.trials);
}

#[test]
fn two_faults_are_no_worse() {
    let Some(calls) = Calls::build() else { return };
    let (began, mut outcome, seed) = (Instant::now(), Outcome::default(), setting("FAULT_SEED", 0));
    let wanted = usize::try_from(setting("FAULT_PAIRS", USUAL_PAIRS)).expect("a count");
    let mut random = Rng::with_seed(seed);
    for flow in Flow::ALL {
        let points = points(&calls, flow, &How::HONEST);
        outcome.add(try_all(&calls, flow, &pairs(&points, wanted / Flow::ALL.len(), &mut random)));
    }
    account("pairs of faults", &outcome.trials.to_string(), seed, began, outcome.objections.len());
    outcome.is_flawless();
}

#[test]
fn a_disk_that_lies_is_found_out_or_these_tests_would_show_nothing() {
    let Some(calls) = Calls::build() else { return };
    let points = points(&calls, Flow::Campaign, &[How::Lie]);
    let trials: Vec<_> = points.into_iter().step_by(15).map(|fault| vec![fault]).collect();
    let outcome = try_all(&calls, Flow::Campaign, &trials);
    let caught = outcome.objections.len();
    assert!(caught * 3 > outcome.trials, "only {caught} of {} lies were found out", outcome.trials);
}

fn with(flow: Flow, faults: Vec<Fault>) -> impl Iterator<Item = (Flow, Fault)> {
    faults.into_iter().map(move |fault| (flow, fault))
}

/// So many of them, from all parts: others with another seed.
fn spread<T: Clone>(all: &[T], wanted: usize, seed: u64) -> Vec<T> {
    let step = (all.len() / wanted.max(1)).max(1);
    let first = usize::try_from(seed).expect("a small seed") % step;
    all.iter().skip(first).step_by(step).cloned().collect()
}
