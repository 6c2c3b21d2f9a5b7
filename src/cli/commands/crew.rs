//! Work on all Pages that were asked for, told Page by Page where they are several.

use std::cell::LazyCell;
use std::sync::{Arc, OnceLock};

use crate::cli::assets::{exit_for, print_report};
use crate::cli::context::{Context, WhenAway};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::progress::Bars;
use crate::cli::session::Session;
use crate::events::{ErrorEvent, PageOf};
use crate::library::{AssetLibrary, AssetOutcome, AssetReport, Inspector, LibraryError, Summary, Synced};

/// Prints counts, of one Page where there are several.
type TellSummary = fn(&Output, &Summary, Option<&PageOf>);

/// The libraries of all Pages that can be worked for.
pub(super) struct Crew<'a> {
    context: &'a Context,
    pub(super) libraries: Vec<AssetLibrary>,
    pages: Vec<PageOf>,
    /// Whether more than one Page was asked for, so that each thing said has to say of which.
    pub(super) is_several: bool,
    bars: Option<Arc<Bars>>,
    /// The Page of which people are told what is wrong with files themselves: the first that has any such.
    speaker: OnceLock<usize>,
    /// How the Pages ended that are done with.
    exit: Exit,
}

impl<'a> Crew<'a> {
    /// Opens the record and the libraries. Where several Pages were asked for, those that cannot be worked for are told
    /// of and left out.
    pub(super) async fn gather(
        context: &'a Context,
        inspector: impl FnOnce() -> Inspector,
        concurrency: usize,
        away: WhenAway,
    ) -> Result<Self, Failure> {
        let inspector = LazyCell::new(inspector);
        let known = context.known(|| Arc::clone(&inspector.cache), away).await?;
        let sessions = context.sessions(&*known).await?;
        let is_several = sessions.open.len() + sessions.failed.len() > 1;
        let mut exit = Exit::Done;
        for (page, failure) in &sessions.failed {
            exit = exit.or_worse(complain(context, page, failure));
        }
        let pages = sessions.open.iter().map(Session::page_of).collect();
        let bars = context.bars();
        let libraries = context.libraries(&sessions.open, &known, &inspector, concurrency, bars.as_ref());
        Ok(Self { context, libraries, pages, is_several, bars, speaker: OnceLock::new(), exit })
    }

    /// The Page with this number; `None` where it is the only one.
    pub(super) fn page(&self, number: usize) -> Option<&PageOf> {
        self.pages.get(number).filter(|_| self.is_several)
    }

    /// Prints what became of one file on one Page. What is wrong with a file itself is told to people once.
    pub(super) fn print(&self, number: usize, report: &AssetReport) {
        let output = &self.context.output;
        let is_told = || *self.speaker.get_or_init(|| number) == number;
        if report.outcome != AssetOutcome::Rejected || output.is_json() || is_told() {
            print_report(output, report, self.page(number));
            output.flush();
        }
    }

    /// Closes the command: counts, as `tell` tells them, and failures by Page, and then all together.
    pub(super) fn close(mut self, synced: Vec<Synced>, tell: TellSummary) -> Result<Exit, Failure> {
        if let Some(bars) = self.bars.take() {
            bars.clear();
        }
        let output = &self.context.output;
        if !self.is_several {
            let Some(Synced { summary, halted_by, .. }) = synced.into_iter().next() else { return Ok(self.exit) };
            tell(output, &summary, None);
            let exit = exit_for(&summary);
            let Some(error) = halted_by else { return Ok(self.context.ending(exit)) };
            let failure = Failure::of_library(&error);
            if exit.or_worse(failure.exit()) == failure.exit() {
                return Err(failure);
            }
            // What may have been sent weighs more than why no more was.
            output.event(&ErrorEvent::new(failure.body()));
            failure.print(output);
            return Ok(exit);
        }
        for (page, Synced { summary, halted_by, .. }) in self.pages.iter().zip(&synced) {
            tell(output, summary, Some(page));
            self.exit = self.exit.or_worse(self.end_of(page, summary, halted_by.as_ref()));
        }
        if !synced.is_empty() {
            tell(output, &Summary::total(synced.iter().map(|synced| &synced.summary)), None);
        }
        Ok(self.context.ending(self.exit))
    }

    fn end_of(&self, page: &PageOf, summary: &Summary, halted_by: Option<&Arc<LibraryError>>) -> Exit {
        match halted_by {
            Some(error) => exit_for(summary).or_worse(complain(self.context, &page.name, &Failure::of_library(error))),
            None => exit_for(summary),
        }
    }
}

/// Says what is wrong with one Page among several, and gives the exit code that makes.
fn complain(context: &Context, page: &str, failure: &Failure) -> Exit {
    context.output.event(&ErrorEvent::new(failure.body()).of_page(page));
    failure.print_of(page, &context.output);
    failure.exit()
}
