//! Upload once, attach for ever.

pub mod cache;
pub mod clock;
pub mod facts;
pub mod graph;
pub mod ids;
pub mod library;
pub mod media;
pub mod record;
pub mod sandbox;
pub mod secret;

/// The command line.
pub mod cli {
    /// Runs the command line.
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}
