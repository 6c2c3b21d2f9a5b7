//! `sync --watch`: a library that is kept as it is on disk, one line for each thing that happens.

use std::path::{Path, PathBuf};

use crate::cli::assets::{print_report, print_sync_summary};
use crate::cli::context::Context;
use crate::cli::events::WatchEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::human_span;
use crate::library::{AssetLibrary, WatchLock, WatchOptions, Watched};

/// Where in the store the locks of watchers lie.
const LOCKS: &str = "watchers";

pub(super) async fn run(
    context: &Context,
    library: &AssetLibrary,
    roots: &[PathBuf],
    options: &WatchOptions,
) -> Result<Exit, Failure> {
    let _only_watcher = WatchLock::hold(&context.settings.store.join(LOCKS), library.space(), roots)?;
    let halted_by = library
        .watch(roots, options, &context.stop, |watched| {
            print(context, &watched);
            context.output.flush();
        })
        .await?;
    match halted_by {
        Some(error) => Err(Failure::of_library(&error)),
        None => Ok(context.ending(Exit::Done)),
    }
}

fn print(context: &Context, watched: &Watched<'_>) {
    let output = &context.output;
    match watched {
        Watched::Begun(root) => {
            tell(context, "watching", root, format_args!("watching {}: Ctrl-C ends it", shown(root)));
        }
        Watched::Asset(report) => print_report(output, report, None),
        Watched::Idle(summary) => print_sync_summary(output, summary, None),
        Watched::Gone(root) => {
            tell(context, "gone", root, format_args!("{} is gone: waiting for it to come back", shown(root)));
        }
        Watched::Back(root) => tell(context, "back", root, format_args!("{} is back", shown(root))),
        Watched::Lost => {
            output.event(&WatchEvent::new("lost", None));
            output.note("more happened than the system can tell of: looking at everything");
        }
        Watched::Blind => {
            output.event(&WatchEvent::new("blind", None));
            output.note(
                "the system watches no more folders for this user: what came since is looked at once a minute (raise \
                 fs.inotify.max_user_watches)",
            );
        }
        Watched::Waiting { error, pause } => {
            output.event(&WatchEvent::new("waiting", None).because(error.to_string()));
            let (error, pause) = (shown_text(&error.to_string()), human_span(*pause));
            output.note(format_args!("nothing goes through, trying again in {pause} and further apart: {error}"));
        }
    }
}

fn tell(context: &Context, state: &'static str, root: &Path, words: impl std::fmt::Display) {
    context.output.event(&WatchEvent::new(state, Some(root)));
    context.output.note(words);
    context.output.flush();
}
