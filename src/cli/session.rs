//! What a command works with: settings, output, the store, and the Page's library.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;

use crate::cache::{CacheNote, FileCache};
use crate::clock::{Clock, Moment};
use crate::graph::{
    ClockSkew, CorrectedClock, Governor, GraphClient, GraphOptions, Hook, ReqwestTransport, RetryPolicy, ServerTime,
    TokenOwner, Waiting, Why,
};
use crate::ids::{KeySpace, PageId};
use crate::library::{AssetLibrary, Fitter, Inspector, Known, LibraryParts, NoReport, Reporter};
use crate::media::{Bounds, BytePool, Reader};
use crate::record::{self, PageIdentity, Pages, Record};
use crate::secret::AccessToken;
use crate::stop::Stop;

use super::args::Global;
use super::config::{PageSettings, Settings};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::Bars;
use super::values::{human_span, local_time};
use crate::events::PageOf;

/// Buffers for files that were read and wait for their turn.
const SURVEY_MEMORY: usize = 192 << 20;
/// Buffers for files that are read again by an upload.
const UPLOAD_MEMORY: usize = 64 << 20;

/// A shorter pause before another attempt is over before it is read about.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

/// Waits that end so close together are one.
const SAME_WAIT_MILLIS: i64 = 1_000;

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

/// The Page a token belongs to, and the client that speaks for it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) graph: Arc<GraphClient>,
    pub(super) page: PageIdentity,
    /// What the configuration calls the Page.
    pub(super) name: Option<String>,
}

impl Session {
    /// The Page as one of several.
    pub(super) fn page_of(&self) -> PageOf {
        let name = self.name.clone().unwrap_or_else(|| self.page.name.clone());
        PageOf { name, id: self.page.id.clone() }
    }
}

/// The Pages that can be worked for, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) open: Vec<Session>,
    pub(super) failed: Vec<(String, Failure)>,
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

    /// Returns if the user agrees to what `about_to` says; asked on the terminal, unless told to ask nothing.
    pub(super) async fn confirm(&self, about_to: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        let refused =
            |message: String| Err(Failure::Usage { message, hint: "say --yes to go on without a question".into() });
        if !std::io::stdin().is_terminal() {
            return refused(format!("{about_to} There is no terminal to ask on"));
        }
        let answer = self.ask(&format!("{about_to} Go on? [y/N] ")).await;
        match answer.as_deref().map(str::trim) {
            Some("y" | "Y" | "yes") => Ok(()),
            None if self.stop.is_requested() => Err(Failure::Stopped),
            _ => refused("nothing was done".to_owned()),
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
            self.server_time.recall(reading);
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
            self.server_time.recall(reading);
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

    fn reader(&self, memory: usize) -> Arc<Reader> {
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

    /// The client of the chosen Page, and whose token it has. Meta is asked only about a token never seen before.
    pub(super) async fn session(&self, owners: &dyn Pages) -> Result<Session, Failure> {
        self.session_of(self.settings.page.chosen()?, owners).await
    }

    /// The same for every Page asked for. Where it is one alone, what is wrong with it is the command's own failure.
    pub(super) async fn sessions(&self, owners: &dyn Pages) -> Result<Sessions, Failure> {
        let pages = self.settings.page.all()?;
        let opened = join_all(pages.iter().map(|page| self.session_of(page, owners))).await;
        let mut sessions = Sessions::default();
        for (page, opened) in pages.iter().zip(opened) {
            let name = page.name.clone().unwrap_or_default();
            match opened {
                Ok(session) => match sessions.open.iter().find(|other| other.page.id == session.page.id) {
                    Some(other) => return Err(Failure::SamePage { pages: [other.page_of().name, name] }),
                    None => sessions.open.push(session),
                },
                Err(failure) if pages.len() == 1 => return Err(failure),
                Err(failure) => sessions.failed.push((name, failure)),
            }
        }
        Ok(sessions)
    }

    async fn session_of(&self, page: &PageSettings, owners: &dyn Pages) -> Result<Session, Failure> {
        let token = page.access_token()?;
        let graph = Arc::new(self.graph_client(page, token.clone())?);
        let identity = self.identity(owners, &graph, &token).await?;
        match &page.id {
            Some(expected) if *expected != identity.id => {
                Err(Failure::WrongPage { expected: expected.clone(), actual: identity.id, actual_name: identity.name })
            }
            _ => Ok(Session { graph, page: identity, name: page.name.clone() }),
        }
    }

    pub(super) fn graph_client(&self, page: &PageSettings, token: AccessToken) -> Result<GraphClient, Failure> {
        let options = GraphOptions {
            origin: self.settings.origin.clone(),
            api_version: self.settings.api_version.clone(),
            token,
            app_secret: page.app_secret()?,
            auth: page.auth,
            platform: self.settings.platform,
            retry: RetryPolicy { max_wait: self.global.max_wait, ..RetryPolicy::default() },
        };
        let output = Arc::clone(&self.output);
        let client = GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::clone(&self.machine_clock))
            .with_server_time(Arc::clone(&self.server_time))
            .with_governor(Arc::new(Governor::new(page.limits)));
        let clock = Arc::clone(&self.machine_clock);
        let told_until = AtomicI64::new(i64::MIN);
        let client = client.until(self.stop.clone());
        Ok(client.with_reporter(Hook::new(move |waiting: Waiting| {
            if waiting.until.since(clock.now()) < WORTH_A_WORD {
                return;
            }
            let back = local_time(waiting.until);
            let why = match &waiting.why {
                Why::Failed(error) => return output.note(format_args!("trying again at {back}: {error}")),
                Why::Limit(Some(refusal)) => refusal.to_string(),
                Why::Limit(None) => "its limit is used up".to_owned(),
            };
            // All calls wait for the same, and one of them may say so.
            let until = waiting.until.as_unix_millis();
            if told_until.fetch_max(until, Ordering::Relaxed).saturating_add(SAME_WAIT_MILLIS) < until {
                output.note(format_args!("waiting for Meta: back at {back} ({why})"));
            }
        })))
    }

    async fn identity(
        &self,
        owners: &dyn Pages,
        graph: &GraphClient,
        token: &AccessToken,
    ) -> Result<PageIdentity, Failure> {
        let (origin, fingerprint) = (&self.settings.origin, token.fingerprint());
        if let Some(known) = owners.page_of(origin, fingerprint).await? {
            return Ok(known);
        }
        let identity = graph.me().await?;
        let owner = match identity.owner {
            Some(TokenOwner::User) => Some("the person".to_owned()),
            Some(TokenOwner::Other(word)) => Some(format!("the {word}")),
            Some(TokenOwner::Page) | None => None,
        };
        let (id, name) = (identity.id, identity.name.unwrap_or_default());
        if let Some(owner) = owner {
            return Err(Failure::NotAPage { owner, id, name });
        }
        let identity = PageIdentity { id, name };
        owners.remember_page(origin, fingerprint, &identity, self.clock.now()).await?;
        Ok(identity)
    }

    /// The id of the chosen Page. Meta is asked only where neither the configuration nor the record knows it.
    pub(super) async fn page_id(&self, record: &dyn Record) -> Result<PageId, Failure> {
        self.id_of(self.settings.page.chosen()?, record).await
    }

    /// The same for every Page asked for.
    pub(super) async fn page_ids(&self, record: &dyn Record) -> Result<Vec<PageId>, Failure> {
        let mut ids = Vec::new();
        for page in self.settings.page.all()? {
            ids.push(self.id_of(page, record).await?);
        }
        Ok(ids)
    }

    async fn id_of(&self, page: &PageSettings, record: &dyn Record) -> Result<PageId, Failure> {
        match &page.id {
            Some(id) => Ok(id.clone()),
            None => Ok(self.session_of(page, record).await?.page.id),
        }
    }

    /// The library of the session's Page.
    pub(super) fn library(
        &self,
        session: &Session,
        record: Arc<dyn Record>,
        inspector: Inspector,
        concurrency: usize,
        bars: Option<Arc<Bars>>,
    ) -> AssetLibrary {
        self.library_with(session, record, inspector, self.reader(UPLOAD_MEMORY), concurrency, bars)
    }

    /// The library of each session's Page; memory they share.
    pub(super) fn libraries(
        &self,
        sessions: &[Session],
        known: &Arc<Known>,
        inspector: &Inspector,
        concurrency: usize,
        bars: Option<&Arc<Bars>>,
    ) -> Vec<AssetLibrary> {
        let reader = self.reader(UPLOAD_MEMORY);
        let library = |session| {
            let (record, reader) = (Arc::clone(known.record()), Arc::clone(&reader));
            let library = self.library_with(session, record, inspector.clone(), reader, concurrency, bars.cloned());
            library.with_known(Arc::clone(known))
        };
        sessions.iter().map(library).collect()
    }

    fn library_with(
        &self,
        session: &Session,
        record: Arc<dyn Record>,
        inspector: Inspector,
        upload_reader: Arc<Reader>,
        concurrency: usize,
        bars: Option<Arc<Bars>>,
    ) -> AssetLibrary {
        AssetLibrary::new(LibraryParts {
            graph: Arc::clone(&session.graph),
            record,
            inspector,
            upload_reader,
            space: KeySpace {
                origin: self.settings.origin.clone(),
                page: session.page.id.clone(),
                platform: self.settings.platform,
            },
            url_query: self.settings.url_query,
            concurrency,
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
            reporter: reporter(bars),
        })
    }
}

/// The bars as the library sees them.
pub(super) fn reporter(bars: Option<Arc<Bars>>) -> Arc<dyn Reporter> {
    match bars {
        Some(bars) => bars,
        None => Arc::new(NoReport),
    }
}
