//! What a command works with: settings, output, the clocks, the store, and what reads files.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{CacheNote, FileCache};
use crate::clock::{Clock, Moment};
use crate::graph::{ClockSkew, CorrectedClock, Hook, ServerTime};
use crate::library::{Fitter, Inspector, Known, NoReport, Reporter};
use crate::media::{Bounds, BytePool, Reader};
use crate::record::{self, Record};
use crate::stop::Stop;

use super::args::Global;
use super::config::Settings;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::Bars;
use super::values::human_span;

/// Buffers for files that were read and wait for their turn.
const SURVEY_MEMORY: usize = 192 << 20;

/// What every command is given.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) global: Global,
    pub(super) settings: Settings,
    pub(super) output: Arc<Output>,
    /// The time ages are judged by: Meta's, as soon as it is known and ours is far off.
    pub(super) clock: Arc<dyn Clock>,
    /// The machine's own, which files and waits go by.
    pub(super) machine_clock: Arc<dyn Clock>,
    pub(super) server_time: Arc<ServerTime>,
    /// Cancelled by the first Ctrl-C.
    pub(super) stop: Stop,
    /// What is read from within: the folders of a service.
    pub(super) bounds: Arc<Bounds>,
}

/// What to do where the record's server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenAway {
    /// Nothing can be done without it.
    Fail,
    /// Answer what is known on this machine.
    GoByWhatIsKnown,
}

impl Context {
    /// What a command works with, on a machine that has this clock.
    pub(super) fn new(
        global: Global,
        settings: Settings,
        output: Arc<Output>,
        machine_clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Self {
        let told = Arc::clone(&output);
        let server_time = Arc::new(ServerTime::telling(Hook::new(move |skew: ClockSkew| {
            let side = if skew.ahead_millis > 0 { "behind" } else { "ahead of" };
            // Meta names full seconds, which would make 47 hours of two days.
            let apart = human_span(skew.size().saturating_add(Duration::from_secs(1)));
            told.note(format_args!("this machine's clock is {apart} {side} Meta's: going by Meta's"));
        })));
        let clock = Arc::new(CorrectedClock::new(Arc::clone(&machine_clock), Arc::clone(&server_time)));
        let bounds = Arc::default();
        Self { global, settings, output, clock, machine_clock, server_time, stop, bounds }
    }

    /// How a command that came to its end this way ends: interrupted, where it was.
    pub(super) fn ending(&self, exit: Exit) -> Exit {
        if self.stop.is_requested() { Exit::Interrupted } else { exit }
    }

    /// Returns if there is somebody who may agree to what `about_to` says, or has with `--yes`.
    pub(super) fn may_confirm(&self, about_to: &str) -> Result<(), Failure> {
        if self.global.yes || std::io::stdin().is_terminal() {
            return Ok(());
        }
        Err(refused(format!("{about_to} There is no terminal to ask on")))
    }

    /// Returns if the user agrees to what `about_to` says; asked on the terminal, unless told to ask nothing.
    pub(super) async fn confirm(&self, about_to: &str) -> Result<(), Failure> {
        self.may_confirm(about_to)?;
        if self.global.yes {
            return Ok(());
        }
        let answer = self.ask(&format!("{about_to} Go on? [y/N] ")).await;
        match answer.as_deref().map(str::trim) {
            Some("y" | "Y" | "yes") => Ok(()),
            None if self.stop.is_requested() => Err(Failure::Stopped),
            _ => Err(refused("nothing was done".to_owned())),
        }
    }

    /// The line somebody answers with; `None` at the end of input, and where somebody leaves without an answer.
    pub(super) async fn ask(&self, question: &str) -> Option<String> {
        self.output.ask(question);
        // A thread of its own, which nobody waits for.
        let (said, answer) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut answer = String::new();
            let _ = said.send(matches!(std::io::stdin().read_line(&mut answer), Ok(1..)).then_some(answer));
        });
        tokio::select! {
            answer = answer => answer.ok().flatten(),
            () = self.stop.requested() => None,
        }
    }

    /// Whether there is somebody to ask, who wants to be asked.
    pub(super) fn asks(&self) -> bool {
        !self.global.yes && std::io::stdin().is_terminal()
    }

    /// The record of this store.
    pub(super) async fn record(&self) -> Result<Arc<dyn Record>, Failure> {
        let record = match &self.settings.server {
            Some(server) => record::connect(server).await?,
            None => record::open(&self.settings.record_file()).await?,
        };
        if let Some(reading) = record.clock_reading(&self.settings.origin).await? {
            self.server_time.kept(reading);
        }
        Ok(record)
    }

    /// The record of this store, and what is known of it here; of one that others share, also what is kept in `cache`.
    pub(super) async fn known(
        &self,
        cache: impl FnOnce() -> Arc<FileCache>,
        away: WhenAway,
    ) -> Result<Arc<Known>, Failure> {
        let Some(server) = &self.settings.server else { return Ok(Arc::new(Known::of(self.record().await?))) };
        let record = match away {
            WhenAway::Fail => record::connect(server).await?,
            WhenAway::GoByWhatIsKnown => record::at(server)?,
        };
        let known = Known::of(record).kept_in(cache(), server.to_string());
        if away == WhenAway::GoByWhatIsKnown {
            known.find_out().await?;
        }
        if let Some(reading) = known.clock_reading(&self.settings.origin).await? {
            self.server_time.kept(reading);
        }
        Ok(Arc::new(known))
    }

    /// The same, for those who have no other use for the cache.
    pub(super) async fn known_here(&self) -> Result<Arc<Known>, Failure> {
        self.known(|| Arc::new(self.cache()), WhenAway::Fail).await
    }

    /// Says that ages are not known, where the clock is not to be believed and nobody asks Meta.
    pub(super) fn mention_doubts(&self) {
        if let Moment::Doubtful(now) = self.clock.moment() {
            self.output.note(format_args!(
                "by what Meta last said, this machine's clock ({now}) is wrong, so no age is known: `reattach sync` or \
                 `reattach refresh` asks again"
            ));
        }
    }

    /// What recognises files, with this store's cache.
    pub(super) fn inspector(&self) -> Inspector {
        self.inspector_with(self.cache())
    }

    /// What recognises files by reading them: for a few, that is faster than opening the cache.
    pub(super) fn inspector_without_cache(&self) -> Inspector {
        self.inspector_with(FileCache::disabled())
    }

    /// The same inspector, with copies in place of images that do not fit, where they are wanted.
    pub(super) fn fitting(&self, inspector: Inspector, wanted: bool) -> Inspector {
        let fitter = wanted.then(|| Arc::new(Fitter::new(Arc::clone(&self.clock))));
        Inspector { fitter, ..inspector }
    }

    fn inspector_with(&self, cache: FileCache) -> Inspector {
        let private = Arc::clone(&self.settings.private);
        Inspector { reader: self.reader(SURVEY_MEMORY), cache: Arc::new(cache), private, fitter: None }
    }

    /// What reads files whole, into so many bytes of memory at once.
    pub(super) fn reader(&self, memory: usize) -> Arc<Reader> {
        let reader = Reader::new(Arc::new(BytePool::new(memory)), Arc::clone(&self.machine_clock));
        Arc::new(reader.within(Arc::clone(&self.bounds)))
    }

    fn cache(&self) -> FileCache {
        let opened = FileCache::open(&self.settings.cache_folder(), &*self.machine_clock);
        match opened.note {
            Some(note @ CacheNote::HeldByAnother { .. }) if self.output.is_verbose() => self.output.note(note),
            Some(CacheNote::HeldByAnother { .. }) | None => {}
            Some(note) => self.output.note(note),
        }
        opened.cache
    }

    /// Bars where there is somebody to see them.
    pub(super) fn bars(&self) -> Option<Arc<Bars>> {
        let wanted = !self.global.no_progress && !self.output.is_quiet() && !self.output.bars.is_hidden();
        wanted.then(|| Arc::new(Bars::new(self.output.bars.clone())))
    }
}

/// The bars as the library sees them.
pub(super) fn reporter(bars: Option<Arc<Bars>>) -> Arc<dyn Reporter> {
    match bars {
        Some(bars) => bars,
        None => Arc::new(NoReport),
    }
}

/// Nobody agreed.
fn refused(message: String) -> Failure {
    Failure::Usage { message, hint: "say --yes to go on without a question".into() }
}
