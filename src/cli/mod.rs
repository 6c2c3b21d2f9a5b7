//! The command line: reads what the user typed, runs the command, prints, and ends with an exit code.
//!
//! The only part of the crate that prints, reads environment variables or knows about exit codes.

mod args;
mod assets;
mod commands;
mod config;
mod events;
mod exit;
mod failure;
mod output;
mod progress;
mod session;
mod values;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use crate::clock::SystemClock;
use crate::library::Stop;

use args::{Cli, ColorWhen, Global};
use config::Settings;
use events::ErrorEvent;
use exit::Exit;
use failure::Failure;
use output::Output;
use session::Context;

/// How long what is under way may take to finish after the first interruption.
const GRACE: Duration = Duration::from_secs(30);

/// Runs the command line the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr leaves nobody to tell.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            }
            .into();
        }
    };
    log_to_stderr(&cli.global);
    crate::cache::silence_engine_panics();
    let output = Arc::new(Output::new(&cli.global));
    let exit = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli, &output));
            // What still runs now was told to stop and did not.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            output.complain(format_args!("error: the system gave no threads to work with: {error}"));
            Exit::Unexpected
        }
    };
    output.flush();
    exit.into()
}

/// Runs one command until it ends, or until it is interrupted and does not end in time.
async fn run(cli: Cli, output: &Arc<Output>) -> Exit {
    let stop = Stop::new();
    let ended = tokio::select! {
        ended = perform(cli, Arc::clone(output), stop.clone()) => ended,
        () = interruptions(output, &stop) => return Exit::Interrupted,
    };
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            output.event(&ErrorEvent::new(&failure));
            failure.print(output);
            failure.exit()
        }
    }
}

async fn perform(cli: Cli, output: Arc<Output>, stop: Stop) -> Result<Exit, Failure> {
    let settings = Settings::load(&cli.global)?;
    let context = Context { global: cli.global, settings, output, clock: Arc::new(SystemClock), stop };
    commands::run(&context, cli.command).await
}

/// Cancels `stop` at the first signal; returns at the second, or when the time to finish is over.
async fn interruptions(output: &Output, stop: &Stop) {
    signal().await;
    stop.request();
    output.note("stopping: finishing what is under way (once more to stop at once)");
    let _ = tokio::time::timeout(GRACE, signal()).await;
}

/// Returns at the next request to end: Ctrl-C, or where there is such a thing, a TERM or HUP signal.
#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = kinds.into_iter().filter_map(|kind| signal(kind).ok()).map(|mut signal| {
        Box::pin(async move {
            signal.recv().await;
        })
    });
    futures::future::select_all(signals).await;
}

/// Returns at the next Ctrl-C.
#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn log_to_stderr(global: &Global) {
    let level = match global.verbose {
        0 => "reattach=warn",
        1 => "reattach=info",
        2 => "reattach=debug",
        _ => "reattach=trace",
    };
    let filter = EnvFilter::try_from_env("REATTACH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(global.color == ColorWhen::Always)
        .with_target(false)
        .init();
}
