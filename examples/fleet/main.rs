//! A fleet in virtual time: `cargo run --release --example fleet` plays 200 workers that send for 1,000 Pages, half of whom
//! die, and says whether what reattach promises was kept. `--seed N` plays another run of luck, and the same one again.
//!
//! What decides is reattach's own: every message passes [`GraphClient::send_once`] and a [`Governor`], its answer is judged
//! by `classify`, its row goes from state to state by [`Delivery::step`]. What stands in for the world is written here: a
//! Meta that takes down what it is sent (`meta`), and the record that PostgreSQL would hold (`record`, `budget`): leases
//! renewed by a heartbeat, claims that pass over locked rows, and a Page's rate leased in slices. Time is tokio's, and
//! stands still while anybody has something to do: a discrete-event simulation whose events are the program's own.
//!
//! `--without second|lease|lock|news` leaves a safeguard out, which must show: the program ends with 1 wherever a promise
//! is broken.
//!
//! [`GraphClient::send_once`]: reattach::graph::GraphClient::send_once
//! [`Governor`]: reattach::graph::Governor
//! [`Delivery::step`]: reattach::delivery::Delivery::step

#![expect(clippy::cast_precision_loss, reason = "small numbers")]

mod budget;
mod lane;
mod meta;
mod record;
mod report;
mod scenario;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use reattach::clock::{ManualClock, Timestamp};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use meta::Meta;
use record::Record;
use report::{Blow, Report};
use scenario::{Safeguard, Scenario};
use worker::{LOOK, Worker, World};

/// No run takes longer, unless something is stuck.
const LONGEST: Duration = Duration::from_hours(1);

/// Plays a fleet of workers in virtual time, and says whether every promise was kept.
#[derive(Debug, Parser)]
struct Args {
    /// Whose luck: the same number gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// Leaves a safeguard out; the run must then fail.
    #[arg(long, value_name = "SAFEGUARD", value_parser = PossibleValuesParser::new(Safeguard::ALL.map(|(word, _)| word)))]
    without: Option<String>,
}

#[expect(clippy::print_stdout, reason = "an example talks")]
fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let without = Safeguard::ALL.into_iter().find(|(word, _)| Some(*word) == args.without.as_deref());
    let scenario = Scenario { without: without.map(|(_, safeguard)| safeguard), ..Scenario::whole(args.seed) };
    let report = play(&scenario)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays it to its end, and says how it went.
fn play(scenario: &Scenario) -> std::io::Result<Report> {
    // One thread and no time of its own: the same seed gives the same run.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    fastrand::seed(scenario.seed);
    Ok(runtime.block_on(run(scenario)))
}

async fn run(scenario: &Scenario) -> Report {
    let campaigns = scenario.campaigns();
    let began = Instant::now();
    let meta = Arc::new(Meta::new(scenario, &campaigns));
    let record = Record::new(scenario, &campaigns);
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_800_000_000_000)));
    let world = Arc::new(World { record, meta, clock, without: scenario.without });
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x574f_524b);
    let mut crew: Vec<(Arc<Worker>, AbortHandle)> = Vec::new();
    for _ in 0..scenario.workers {
        let worker = Worker::new(&world);
        let living = tokio::spawn(Arc::clone(&worker).live(LOOK.mul_f64(rng.f64())));
        crew.push((worker, living.abort_handle()));
    }

    sleep_until(began + scenario.loss_at).await;
    rng.shuffle(&mut crew);
    let dying = crew.split_off(scenario.workers / 2);
    let loss = Blow::dealt(&world, began, dying.iter().map(|(worker, _)| worker), campaigns.len());
    for (_, living) in &dying {
        living.abort();
    }

    let (after, lasts) = scenario.cut;
    sleep_until(began + after).await;
    // Those with work, so that it is felt.
    crew.sort_by_key(|(worker, _)| std::cmp::Reverse(Blow::weight(&world, worker, campaigns.len())));
    let cut_off = crew.iter().take(scenario.workers.div_ceil(40)).map(|(worker, _)| worker);
    let cut = Blow::dealt(&world, began, cut_off.clone(), campaigns.len());
    for worker in cut_off {
        worker.link.cut_until(Instant::now() + lasts);
    }

    while !world.record.is_over() && began.elapsed() < LONGEST {
        sleep(Duration::from_secs(1)).await;
    }
    Report::new(scenario, &campaigns, &world, &[loss, cut])
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
