//! The disk fails: every call that reads or changes a file, one after the other, once and for ever after.
//!
//! `fail_calls.c` stands between the program and the system and lets a chosen call fail: with EIO, ENOSPC or EINTR, or by
//! writing half of what it was given ([`calls`]). Seven commands are tried ([`flows`]): each under its faults, then once more
//! without, and what is left is held against what the sandbox has seen ([`trial`]). Every call of a command has its turn
//! with `FAULT_POINTS` high enough; `cargo test` tries some of them, and a few of the pairs of faults, `FAULT_PAIRS`.
//! `FAULT_SEED` begins elsewhere.

mod calls;
mod files;
mod flows;
mod trial;

use std::time::Instant;

use calls::{Calls, Fault, How};
use fastrand::Rng;
use files::{Errand, is_over_too_soon};
use flows::Flow;
use trial::{Outcome, pairs, points, points_among, try_all, try_each};

use crate::support::{account, scratch, setting};

/// How many points `cargo test` tries in all, of those there are.
const USUAL_POINTS: u64 = 150;
const USUAL_PAIRS: u64 = 20;
const USUAL_FILE_POINTS: u64 = 90;

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

/// What is begun is given up once a call fails, and that does not go well either.
#[test]
fn a_cache_whose_disk_fails_once_and_soon_for_good_costs_nothing() {
    let Some(calls) = Calls::build() else { return };
    let points = points(&calls, Flow::Check, &[How::Eio]);
    let once = points.into_iter().filter(|fault| !fault.is_lasting);
    let trials: Vec<_> = once.map(|fault| vec![fault, Fault { at: fault.at + 3, is_lasting: true, ..fault }]).collect();
    let outcome = try_all(&calls, Flow::Check, &trials);
    outcome.is_flawless();
    assert!(outcome.struck * 10 > outcome.trials * 9, "{} of {} struck", outcome.struck, outcome.trials);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_costs_no_other() {
    let Some(calls) = Calls::build() else { return };
    let (began, mut outcome, seed) = (Instant::now(), Outcome::default(), setting("FAULT_SEED", 0));
    let wanted = usize::try_from(setting("FILE_POINTS", USUAL_FILE_POINTS)).expect("a count");
    let mut there_are = 0;
    for errand in Errand::ALL {
        let calm = errand.place().run(&calls, &scratch(), &[]);
        let mut all = points_among(&calm.calls, &[How::Eio, How::Eintr]);
        all.retain(|fault| !is_over_too_soon(&calm.calls, fault));
        there_are += all.len();
        let trials: Vec<_> =
            spread(&all, wanted / Errand::ALL.len(), seed).into_iter().map(|fault| vec![fault]).collect();
        let place = || errand.place();
        outcome.add(try_each(&format!("{errand:?}"), &trials, place, |place, faults| place.try_one(&calls, faults)));
    }
    let count = format!("{} of {there_are} points", outcome.trials);
    account("faults of files", &count, seed, began, outcome.objections.len());
    outcome.is_flawless();
    assert!(outcome.struck * 10 > outcome.trials * 8, "{} of {} struck", outcome.struck, outcome.trials);
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
