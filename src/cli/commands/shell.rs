//! `completions` and `man`: made from the command line's own description.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;

/// Prints the completion script.
pub(super) fn completions(context: &Context, shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reattach", &mut script);
    context.output.raw(&script);
    Exit::Done
}

/// Prints the manual page: the command and, after it, each of its subcommands.
pub(super) fn man(context: &Context) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut pages = vec![command.clone()];
    pages.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
    let mut page = Vec::new();
    for command in pages {
        clap_mangen::Man::new(command).render(&mut page).map_err(|source| Failure::File {
            action: "written",
            path: "the manual page".into(),
            source,
        })?;
    }
    context.output.raw(&page);
    Ok(Exit::Done)
}
