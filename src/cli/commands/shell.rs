//! `completions` and `man`: made from the command line's own description.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// Prints the completion script.
pub(super) fn completions(output: &Output, shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reattach", &mut script);
    output.raw(&script);
    Exit::Done
}

/// Prints the manual page: the command's, and after it that of each of its subcommands.
pub(super) fn man(output: &Output) -> Exit {
    let mut command = Cli::command();
    command.build();
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    let pages: Vec<_> = std::iter::once(command.clone()).chain(subcommands).collect();
    let mut page = Vec::new();
    for command in pages {
        clap_mangen::Man::new(command).render(&mut page).expect("memory takes all that is written to it");
    }
    output.raw(&page);
    Exit::Done
}
