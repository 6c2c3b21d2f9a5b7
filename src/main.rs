//! The `reattach` command: hands its arguments to the library's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    reattach::cli::main()
}
