//! `sync --watch`: a library that is kept as it is on disk.
//!
//! What settles under the watched folders goes through [`AssetLibrary::sync`] in small batches, several at a time, so that a
//! large upload holds up nobody. What a bad moment put off (a limit, the network) is tried again by and by.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};

use crate::blocking::blocking;
use crate::graph::Scope;
use crate::media::{ProblemCode, ScanError, Seen, Watcher, scan};
use crate::stop::Stop;

use super::manager::AssetLibrary;
use super::{AssetOutcome, AssetReport, LibraryError, Summary, SyncOptions, Synced};

/// Files of one batch: few, so that little time passes between a file's settling and its reading.
const BATCH: usize = 64;
/// Batches under way at once.
const BATCHES: usize = 4;
/// Between two looks while something settles.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks while nothing stirs; folders that are gone have to be looked for.
const IDLE: Duration = Duration::from_millis(500);
/// The first pause after a failure that was nobody's fault; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Ids come due without a file changing, and some file systems say nothing of what others write.
const LOOK_AT_ALL: Duration = Duration::from_hours(24);

/// How to watch.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How to sync what was written.
    pub sync: SyncOptions,
    /// A file is complete when nothing has changed about it for so long.
    pub settle: Duration,
}

/// Something a watch has to tell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Watched<'a> {
    /// From now on whatever is written in this folder, or to this file, is heard of.
    Begun(&'a Path),
    /// What became of a file. One about which Meta gives no clear word, while others go through, has failed, and is tried again
    /// by itself; it is told of once more when that comes to something.
    Asset(&'a AssetReport),
    /// All that was written so far is dealt with: counts since the last time.
    Idle(&'a Summary),
    /// A watched folder is gone. It is waited for.
    Gone(&'a Path),
    /// It is back, and looked at anew.
    Back(&'a Path),
    /// The system lost count of what happened; everything is looked at anew.
    Lost,
    /// The system watches no more folders for this user: some are looked at once a minute. Told once.
    Blind,
    /// Nothing goes through for now; it is tried again after `pause`. Told once, until something does.
    Waiting {
        /// Why.
        error: &'a LibraryError,
        /// Until the next try; later ones are further apart.
        pause: Duration,
    },
}

impl AssetLibrary {
    /// Syncs `roots`, and from then on whatever is written there, until `stop` is requested: what is under way is finished
    /// and recorded then.
    ///
    /// A file is taken when it has settled, by the rules of a scan; one whose writer pauses for longer than that counts as
    /// complete. Everything is looked at once a day besides, for the sake of ids that come due.
    ///
    /// Gives what made going on pointless, such as a dead token; `None` when it was stopped.
    ///
    /// # Errors
    /// When the roots cannot be watched, or the record cannot be asked.
    pub async fn watch(
        &self,
        roots: &[PathBuf],
        options: &WatchOptions,
        stop: &Stop,
        mut each: impl FnMut(Watched<'_>) + Send,
    ) -> Result<Option<Arc<LibraryError>>, LibraryError> {
        let stirred = Arc::new(Notify::new());
        let stir = Arc::clone(&stirred);
        let (places, scan, settle) = (roots.to_vec(), options.sync.scan.clone(), options.settle);
        let watcher = blocking(move || Watcher::new(&places, scan, settle, move || stir.notify_one())).await?;
        for root in roots {
            each(Watched::Begun(root));
        }
        let (told, reports) = mpsc::unbounded_channel();
        let stop = stop.child();
        let _on_every_way_out = stop.on_drop();
        let run = Run {
            library: self,
            roots,
            options: &options.sync,
            stop,
            watcher: Some(watcher),
            stirred,
            looked_at: None,
            looked_at_all: None,
            is_blind: false,
            settle,
            ready: BTreeSet::new(),
            batches: FuturesUnordered::new(),
            told,
            reports,
            summary: Summary::default(),
            since: Instant::now(),
            unsaid: true,
            outage: None,
            went_through: 0,
            doubtful: HashMap::new(),
            halted_by: None,
            each,
        };
        run.until_stopped().await
    }
}

/// A batch that has come to its end.
struct Landed {
    files: Vec<PathBuf>,
    synced: Result<Synced, LibraryError>,
}

/// One watch under way.
struct Run<'a, F> {
    library: &'a AssetLibrary,
    roots: &'a [PathBuf],
    options: &'a SyncOptions,
    stop: Stop,
    /// `None` only while it looks, on a thread that may block.
    watcher: Option<Watcher>,
    stirred: Arc<Notify>,
    looked_at: Option<Instant>,
    looked_at_all: Option<Instant>,
    /// It was told that some folders are not watched.
    is_blind: bool,
    /// Settled files nobody has taken yet.
    ready: BTreeSet<PathBuf>,
    batches: FuturesUnordered<BoxFuture<'a, Landed>>,
    told: mpsc::UnboundedSender<AssetReport>,
    reports: mpsc::UnboundedReceiver<AssetReport>,
    summary: Summary,
    /// When the first file of the summary was taken.
    since: Instant,
    settle: Duration,
    /// Whether the summary is to be told though it be empty: the first is.
    unsaid: bool,
    outage: Option<Pause>,
    /// Files that went through.
    went_through: u64,
    /// Files about which Meta gave no clear word.
    doubtful: HashMap<PathBuf, Doubtful>,
    halted_by: Option<Result<Arc<LibraryError>, LibraryError>>,
    each: F,
}

/// A pause after failures, each longer than the one before.
#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Pause {
    /// The one after this.
    fn after(before: Option<Self>) -> Self {
        let length = before.map_or(FIRST_PAUSE, |before| (2 * before.length).min(LONGEST_PAUSE));
        Self { length, until: Instant::now() + length }
    }

    fn is_on(self) -> bool {
        Instant::now() < self.until
    }
}

/// A file about which Meta gave no clear word.
#[derive(Debug)]
struct Doubtful {
    /// How many others had gone through by then.
    went_through: u64,
    /// Where the trouble is its own: until when it waits.
    alone: Option<Pause>,
    /// Whether it is under way, or will be with the others.
    is_ready: bool,
}

/// Whose trouble it is that a file did not go through.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Meta's, or the network's.
    Everybodys,
    /// That of this file alone, which was told before, or not.
    ItsOwn { is_news: bool },
}

impl<F: FnMut(Watched<'_>) + Send> Run<'_, F> {
    async fn until_stopped(mut self) -> Result<Option<Arc<LibraryError>>, LibraryError> {
        while !self.stop.is_requested() {
            self.look().await;
            self.launch();
            self.say_if_idle();
            self.wait().await;
        }
        while let Some(landed) = self.batches.next().await {
            self.landed(landed);
        }
        self.unsaid |= self.summary.files > 0;
        self.say_if_idle();
        self.halted_by.transpose()
    }

    /// Returns when there may be something to do.
    async fn wait(&mut self) {
        let is_quiet = self.watcher.as_ref().is_some_and(Watcher::is_quiet);
        let pause = if is_quiet { IDLE } else { TICK };
        let clock = Arc::clone(&self.library.parts.clock);
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.requested() => {}
            Some(report) = self.reports.recv() => {
                self.tell(&report);
                self.tell_all();
            }
            Some(landed) = self.batches.next() => self.landed(landed),
            // A write is seldom alone.
            () = async { self.stirred.notified().await; clock.sleep(TICK).await }, if is_quiet => {}
            () = clock.sleep(pause) => {}
        }
    }

    /// Takes in what the watcher sees.
    async fn look(&mut self) {
        let is_soon = self.looked_at.is_some_and(|last| last.elapsed() < TICK);
        let Some(mut watcher) = self.watcher.take_if(|_| !is_soon) else { return };
        let (now, time) = (Instant::now(), self.library.parts.clock.now());
        let all = self.looked_at_all.is_none_or(|last| now.duration_since(last) >= LOOK_AT_ALL);
        if all {
            self.looked_at_all = Some(now);
        }
        let (watcher, seen) = blocking(move || {
            let mut seen = if all { watcher.look_at_all(now, time) } else { Vec::new() };
            seen.extend(watcher.look(now, time));
            (watcher, seen)
        })
        .await;
        (self.watcher, self.looked_at) = (Some(watcher), Some(Instant::now()));
        for seen in seen {
            match seen {
                Seen::File(path) => {
                    // Whatever trouble there was, it was about what lay there before.
                    self.doubtful.remove(&path);
                    self.ready.insert(path);
                }
                Seen::Refused { path, problem } => self.tell(&AssetReport::refused(path, problem)),
                Seen::Gone(path) => (self.each)(Watched::Gone(&path)),
                Seen::Back(path) => (self.each)(Watched::Back(&path)),
                Seen::Lost => (self.each)(Watched::Lost),
                Seen::Blind if mem::replace(&mut self.is_blind, true) => {}
                Seen::Blind => (self.each)(Watched::Blind),
            }
        }
    }

    /// Begins batches, as many as may run.
    fn launch(&mut self) {
        // So few of those that have trouble of their own that they are no outage together.
        let under_way = self.doubtful.values().filter(|doubtful| doubtful.alone.is_some() && doubtful.is_ready).count();
        let is_due = |doubtful: &&mut Doubtful| !doubtful.is_ready && !doubtful.alone.is_some_and(Pause::is_on);
        let due = self.doubtful.iter_mut().filter(|(_, doubtful)| is_due(doubtful));
        for (path, doubtful) in due.take(BATCHES.saturating_sub(under_way)) {
            doubtful.is_ready = true;
            self.ready.insert(path.clone());
        }
        if self.outage.is_some_and(Pause::is_on) {
            return;
        }
        // After a failure one batch finds out whether it is over.
        let most = if self.outage.is_some() { 1 } else { BATCHES };
        while self.batches.len() < most && !self.ready.is_empty() {
            if self.summary.files == 0 && self.batches.is_empty() {
                self.since = Instant::now();
            }
            let files: Vec<_> = std::iter::from_fn(|| self.ready.pop_first()).take(BATCH).collect();
            // They have waited for long: a rule may name them by now. To look for each anew costs a look at its whole folder.
            let has_waited = self.outage.is_some() || files.iter().any(|file| self.doubtful.contains_key(file));
            let is_within = |root: &&PathBuf| files.iter().any(|file| file.starts_with(root));
            let roots: Vec<_> = self.roots.iter().filter(is_within).cloned().collect();
            let (library, options, stop, told) = (self.library, self.options, self.stop.clone(), self.told.clone());
            self.batches.push(Box::pin(async move {
                let tell = |_, report: &AssetReport| drop(told.send(report.clone()));
                let synced = async {
                    let scan = if has_waited {
                        scan(&roots, &options.scan)?.only(files.iter().cloned())
                    } else {
                        // A link may have taken the place of one that was found.
                        let is_there = |file: &&PathBuf| roots.contains(file) || !file.is_symlink();
                        scan(&files.iter().filter(is_there).cloned().collect::<Vec<_>>(), &options.scan)?
                    };
                    let synced = AssetLibrary::sync_found(slice::from_ref(library), &roots, scan, options, &stop, tell);
                    synced.await?.pop().ok_or(LibraryError::NoPage)
                };
                let synced = synced.await;
                Landed { files, synced }
            }));
        }
    }

    fn landed(&mut self, Landed { files, synced }: Landed) {
        self.tell_all();
        match synced {
            Ok(Synced { summary, halted_by, .. }) => {
                for file in &files {
                    // Nothing was said of what lies there no more, or is not to be taken any more.
                    if !self.ready.contains(file) && self.doubtful.get(file).is_some_and(|doubtful| doubtful.is_ready) {
                        self.doubtful.remove(file);
                    }
                }
                if let Some(error) = halted_by {
                    self.put_off(error);
                } else if summary.uploaded + summary.refreshed > 0 && !self.outage.is_some_and(Pause::is_on) {
                    self.outage = None;
                }
            }
            // Their folder is gone, or was for a moment.
            Err(LibraryError::Scan(ScanError::NotFound { .. })) => {
                for file in files {
                    self.wait_again(file);
                }
            }
            Err(error) => self.halt(Err(error)),
        }
    }

    fn tell_all(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.tell(&report);
        }
    }

    /// Tells what became of a file, unless it is to be tried again.
    fn tell(&mut self, report: &AssetReport) {
        let problem = |code| report.problems.iter().any(|problem| problem.code == code);
        let is_bad_moment = |error: &LibraryError| is_passing(error) || error.is_doubtful();
        match (&report.path, &report.error) {
            _ if self.halted_by.is_some() && report.outcome == AssetOutcome::Deferred => {}
            // Whoever wrote it goes on writing, or has removed it: that is news of its own.
            (Some(path), _) if problem(ProblemCode::ChangedWhileReading) => self.wait_again(path.clone()),
            (Some(path), _) if problem(ProblemCode::Vanished) => drop(self.doubtful.remove(path)),
            (Some(path), None) if report.outcome == AssetOutcome::Deferred && !self.stop.is_requested() => {
                self.ready.insert(path.clone());
            }
            (Some(path), Some(error)) if is_bad_moment(error) && !self.stop.is_requested() => {
                match if error.is_doubtful() { self.trouble_of(path) } else { Trouble::Everybodys } {
                    Trouble::Everybodys => {
                        self.ready.insert(path.clone());
                        self.put_off(Arc::clone(error));
                    }
                    Trouble::ItsOwn { is_news: false } => {}
                    Trouble::ItsOwn { is_news: true } => {
                        self.summary.add(report);
                        (self.each)(Watched::Asset(report));
                    }
                }
            }
            _ => {
                if let Some(path) = &report.path {
                    self.doubtful.remove(path);
                }
                self.went_through +=
                    u64::from(matches!(report.outcome, AssetOutcome::Uploaded | AssetOutcome::Refreshed));
                self.summary.add(report);
                (self.each)(Watched::Asset(report));
            }
        }
    }

    /// Takes note that Meta gave no clear word about this file. Where others have gone through since it last did so, the trouble
    /// is the file's own, which waits by itself.
    fn trouble_of(&mut self, path: &Path) -> Trouble {
        let went_through = self.went_through;
        let before = self.doubtful.remove(path);
        let was_alone = before.as_ref().and_then(|before| before.alone);
        let is_alone = was_alone.is_some() || before.is_some_and(|before| before.went_through < went_through);
        let alone = is_alone.then(|| Pause::after(was_alone));
        self.doubtful.insert(path.to_owned(), Doubtful { went_through, alone, is_ready: !is_alone });
        if is_alone { Trouble::ItsOwn { is_news: was_alone.is_none() } } else { Trouble::Everybodys }
    }

    fn wait_again(&mut self, path: PathBuf) {
        self.doubtful.remove(&path);
        if let Some(watcher) = &mut self.watcher {
            watcher.wait_again(path, Instant::now());
        }
    }

    /// Pauses, if the error is one that passes; ends the watch otherwise.
    fn put_off(&mut self, error: Arc<LibraryError>) {
        if !is_passing(&error) && !error.is_doubtful() {
            return self.halt(Ok(error));
        }
        // What was begun before the pause says no more than what began it.
        if self.outage.is_some_and(Pause::is_on) {
            return;
        }
        let pause = Pause::after(self.outage);
        if self.outage.replace(pause).is_none() {
            (self.each)(Watched::Waiting { error: &error, pause: pause.length });
        }
    }

    fn halt(&mut self, error: Result<Arc<LibraryError>, LibraryError>) {
        self.halted_by.get_or_insert(error);
        self.stop.request();
    }

    fn say_if_idle(&mut self) {
        let is_idle = self.batches.is_empty() && self.ready.is_empty() && self.halted_by.is_none();
        // What was written just before the watch began is part of the first count.
        let is_young = self.since.elapsed() < 2 * self.settle + IDLE;
        let is_first_settling =
            self.unsaid && is_young && self.watcher.as_ref().is_some_and(|watcher| !watcher.is_quiet());
        let stopping = self.stop.is_requested();
        if (is_idle && (self.summary.files > 0 || self.unsaid) && !is_first_settling) || (stopping && self.unsaid) {
            self.summary.elapsed = self.since.elapsed();
            (self.each)(Watched::Idle(&self.summary));
            self.summary = Summary::default();
            self.unsaid = false;
        }
    }
}

/// Whether the moment is at fault, and not the token, the Page or the record.
fn is_passing(error: &LibraryError) -> bool {
    let ours = |error: &LibraryError| matches!(error, LibraryError::Graph(error) if error.scope() != Some(Scope::Page));
    error.concerns_every_file() && ours(error)
}
