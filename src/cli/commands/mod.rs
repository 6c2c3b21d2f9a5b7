//! One file for each command: it puts the library to work and prints what came of it.

mod alias;
mod campaign;
mod check;
mod crew;
mod demo;
mod doctor;
mod duplicates;
mod explain;
mod export;
mod forget;
mod import;
mod ls;
mod markers;
mod migrate;
mod prune;
mod recorded;
mod references;
mod refresh;
mod resolve;
mod sandbox;
mod send;
mod serve;
mod shell;
mod show;
pub(super) mod status;
mod sync;
mod thumbnail;
mod verify;
mod watch;

use super::args::Command;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Runs one command.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check::run(context, args).await,
        Command::Sync(args) => sync::run(context, args).await,
        Command::Refresh(args) => refresh::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Resolve(args) => resolve::run(context, args).await,
        Command::Send(args) => send::run(context, args).await,
        Command::Campaign(args) => campaign::run(context, args).await,
        Command::Ls(args) => ls::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Alias(args) => alias::run(context, args).await,
        Command::Export(args) => export::run(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Forget(args) => forget::run(context, args).await,
        Command::Prune(args) => prune::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Duplicates(args) => duplicates::run(context, args).await,
        Command::Migrate(args) => migrate::run(context, args).await,
        Command::Doctor => doctor::run(context).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Sandbox(args) => sandbox::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::Completions { .. } | Command::Man | Command::Explain(_) | Command::Thumbnail => {
            run_without_settings(&context.output, &command).unwrap_or(Ok(Exit::Unexpected))
        }
    }
}

/// Runs a command that needs no settings; `None` when it does.
pub(super) fn run_without_settings(output: &Output, command: &Command) -> Option<Result<Exit, Failure>> {
    match command {
        Command::Completions { shell } => Some(Ok(shell::completions(output, *shell))),
        Command::Man => Some(Ok(shell::man(output))),
        Command::Explain(args) => Some(explain::run(output, args)),
        Command::Thumbnail => Some(Ok(thumbnail::run(output))),
        _ => None,
    }
}
