//! The command line: reads what the user typed, runs the command, prints, and ends with an exit code.
//!
//! The only part of the crate that prints, reads environment variables or knows about exit codes.

mod args;
mod assets;
mod commands;
mod config;
mod context;
mod events;
mod exit;
mod failure;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod output;
mod progress;
mod session;
mod values;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::clock::SystemClock;
use crate::events::ErrorEvent;
use crate::stop::Stop;

use args::{Cli, ColorWhen, Global};
use config::Settings;
use context::Context;
use exit::Exit;
use failure::Failure;
use output::Output;

/// How long what is under way may take to finish after the first interruption.
const GRACE: Duration = Duration::from_secs(30);

/// How long an abandoned command may take to go.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the command line the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(arguments()) {
        Ok(cli) => cli,
        Err(error) => return refused(&error).into(),
    };
    let as_json = matches!(&cli.command, args::Command::Serve(args) if args.log_json);
    let output = Arc::new(Output::new(&cli.global));
    if let Err(failure) = start_log(&cli.global, as_json) {
        return conclude(Err(failure), &output).into();
    }
    crate::cache::silence_engine_panics();
    // A broken configuration must not break the start of a shell.
    let exit = match commands::run_without_settings(&output, &cli.command) {
        Some(ended) => conclude(ended, &output),
        None => run_to_the_end(cli, &output),
    };
    output.flush();
    match exit {
        Exit::Done if !output.is_complete() => Exit::Unexpected.into(),
        exit => exit.into(),
    }
}

/// What the process was started with, error codes below zero in brackets: with a subcode, they would be taken for flags.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.iter().any(|argument| argument == "explain") {
        arguments.iter_mut().for_each(in_brackets);
    }
    arguments
}

fn in_brackets(argument: &mut OsString) {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(text) = argument.to_str()
        && let Some((code, subcode)) = text.strip_prefix('-').and_then(|rest| rest.split_once('/'))
        && is_number(code)
        && is_number(subcode)
    {
        *argument = format!("({text})").into();
    }
}

/// Runs a command on threads of its own.
fn run_to_the_end(cli: Cli, output: &Arc<Output>) -> Exit {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli, output));
            // What still runs now was told to stop and did not.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            output.complain(format_args!("error: the system gave no threads to work with: {error}"));
            Exit::Unexpected
        }
    }
}

/// Says why a command failed, if it did.
fn conclude(ended: Result<Exit, Failure>, output: &Output) -> Exit {
    ended.unwrap_or_else(|failure| {
        output.event(&ErrorEvent::new(failure.body()));
        failure.print(output);
        failure.exit()
    })
}

/// A command line that is none, or asks for help alone. Scripts that asked for JSON get the error as JSON as well.
fn refused(error: &clap::Error) -> Exit {
    // A closed stdout or stderr leaves nobody to tell.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => {
            if std::env::args_os().any(|argument| argument == "--json") {
                // What is missing stands on lines of its own; the usage comes behind an empty one.
                let text = error.to_string();
                let message: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
                let message = message.join(" ").trim_start_matches("error: ").to_owned();
                let failure = Failure::Usage { message, hint: "see --help".into() };
                let _ = writeln!(std::io::stdout(), "{}", ErrorEvent::new(failure.body()).to_json());
            }
            Exit::Usage
        }
    }
}

/// Runs one command until it ends, or until it is interrupted and does not end in time.
async fn run(cli: Cli, output: &Arc<Output>) -> Exit {
    let (stop, abandon) = (Stop::new(), Stop::new());
    outlive_a_full_file();
    // A task of its own: the command may be waiting for a terminal that takes nothing more.
    tokio::spawn(interruptions(Arc::clone(output), stop.clone(), abandon.clone()));
    tokio::select! {
        ended = perform(cli, Arc::clone(output), stop.clone()) => match conclude(ended, output) {
            // Whoever ended it is not to try again.
            Exit::TryLater if stop.is_requested() => Exit::Interrupted,
            exit => exit,
        },
        () = abandon.requested() => Exit::Interrupted,
    }
}

async fn perform(cli: Cli, output: Arc<Output>, stop: Stop) -> Result<Exit, Failure> {
    let global = config::with_environment(cli.global)?;
    let settings = Settings::load(&global)?;
    let context = Context::new(global, settings, output, Arc::new(SystemClock), stop);
    commands::run(&context, cli.command).await
}

/// Requests `stop` at the first signal, and `abandon` at the second, or when the time to finish is over. A process that
/// cannot even be abandoned ends a moment later.
#[expect(clippy::exit, reason = "whoever asks twice does not want to wait for what does not come back")]
async fn interruptions(output: Arc<Output>, stop: Stop, abandon: Stop) {
    signal().await;
    stop.request();
    output.note("stopping: finishing what is under way (once more to stop at once)");
    let _ = tokio::time::timeout(GRACE, signal()).await;
    abandon.request();
    tokio::time::sleep(PATIENCE).await;
    std::process::exit(Exit::Interrupted as i32);
}

/// A file that may grow no further (`ulimit -f`) is an error of the write that found out, and no reason to die of a signal.
fn outlive_a_full_file() {
    use tokio::signal::unix::{SignalKind, signal};
    // Once somebody has listened for it, it is deadly no more, though nobody listens any longer.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}

/// Returns at the next request to end: Ctrl-C, or a TERM or HUP signal.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    // Who was told to outlive the terminal (`nohup`) must not start listening for its end.
    let hangup = (!is_hangup_ignored()).then(SignalKind::hangup);
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hangup);
    let signals = kinds.filter_map(|kind| signal(kind).ok()).map(|mut signal| {
        Box::pin(async move {
            signal.recv().await;
        })
    });
    futures::future::select_all(signals).await;
}

/// Whether this process was started with HUP ignored, where the system says so.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Logs to the file `REATTACH_LOG_FILE` names, and without one to stderr.
fn start_log(global: &Global, as_json: bool) -> Result<(), Failure> {
    let level = match global.verbose {
        0 => "reattach=warn",
        1 => "reattach=info",
        2 => "reattach=debug",
        _ => "reattach=trace",
    };
    let filter = EnvFilter::try_from_env("REATTACH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let to = match std::env::var_os("REATTACH_LOG_FILE") {
        Some(path) => BoxMakeWriter::new(Arc::new(files::append(Path::new(&path))?)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(to).with_target(false);
    if as_json {
        log.json().init();
    } else {
        log.with_ansi(global.color == ColorWhen::Always).init();
    }
    Ok(())
}
