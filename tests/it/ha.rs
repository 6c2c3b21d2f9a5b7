//! A record whose server fails over by itself: three PostgreSQL servers, three Patronis, three etcds on this machine, and
//! their leader killed or frozen while files are uploaded and a campaign is sent.
//!
//! It takes minutes and programs that few machines have, so it runs only where `REATTACH_HA` names the folder `.ci/ha` has
//! put them in. It lies here, and not in a place of its own, for the sake of the world, the oracle of campaigns and the
//! PostgreSQL binaries it shares with the rest.

mod lab;
mod trial;
mod witness;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::lab::{Lab, Manager};
use self::trial::{Fault, Trial};

/// The folder with the programs.
const TOOLS: &str = "REATTACH_HA";

/// Where the programs are, for one test at a time: they measure time. `None`, and a loud word, where nobody has asked for
/// this.
fn tools() -> Option<(PathBuf, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::new(());
    let Some(tools) = std::env::var_os(TOOLS) else {
        // Past the capture of the test harness.
        let _ =
            writeln!(std::io::stderr(), "\nNOT RUN: FAIL-OVER BY PATRONI, which takes minutes. To run it: just ha\n");
        return None;
    };
    Some((tools.into(), TURN.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Nothing acknowledged is lost, nobody gets anything twice, and everything ends well by itself.
fn a_leader_may_die_or_freeze_under(manager: Manager) {
    let Some((tools, _turn)) = tools() else { return };
    let mut lab = Lab::start(&tools, manager);
    for fault in [Fault::Killed, Fault::Frozen] {
        let trial = Trial::run(&mut lab, fault, "10m");
        trial.tell(manager);
        trial.must_have_lost_nothing(&lab);
    }
}

#[test]
fn a_leader_may_die_or_freeze_under_the_current_patroni() {
    a_leader_may_die_or_freeze_under(Manager::Current);
}

#[test]
fn a_leader_may_die_or_freeze_under_debians_patroni_over_the_older_api() {
    a_leader_may_die_or_freeze_under(Manager::Debian);
}

/// The negative control: a leader that wakes takes its place back, and with it goes what the other had acknowledged.
#[test]
fn debians_patroni_over_the_newer_api_is_seen_to_lose_what_was_acknowledged() {
    let Some((tools, _turn)) = tools() else { return };
    let mut lab = Lab::start(&tools, Manager::DebianOverEtcd3);
    // Whoever waits for what cannot come gives up soon.
    let trial = Trial::run(&mut lab, Fault::Frozen, "1m");
    trial.tell(Manager::DebianOverEtcd3);
    trial.must_have_lost_something_and_said_so(&lab);
}

#[test]
fn the_settings_of_the_page_are_those_that_were_tried() {
    let page = std::fs::read_to_string("docs/HA.md").expect("the page");
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("settings");
    let tried: Vec<_> = include_str!("ha/patroni.yml").lines().collect();
    for line in shown.lines() {
        assert!(tried.contains(&line), "{line}");
    }
}
