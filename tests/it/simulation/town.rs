//! A run: processes that upload and send from one record, and the weather they live in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use reattach::cache::FileCache;
use reattach::campaign::settle::{Echo, apply_echoes};
use reattach::campaign::{
    CampaignError, CampaignSpec, Counts, End, PlanOptions, Replan, Run, RunParts, RunSummary, counts, plan,
};
use reattach::clock::Clock;
use reattach::graph::{CorrectedClock, Governor, GraphClient, PaceLimits, RetryPolicy, ServerTime};
use reattach::ids::{Asset, CampaignName, KeySpace, Platform};
use reattach::library::{
    AssetLibrary, AssetRef, AssetReport, Inspector, LibraryError, LibraryParts, PlanRules, RefreshOptions, Renewal,
    ResolveOptions,
};
use reattach::media::{BytePool, Reader};
use reattach::record::{Campaign, Change, Record, RecordError};
use tokio::time::{Instant, sleep, timeout};

use super::life::{Life, SkewedClock};
use super::meta::{Meta, Network, PAGE, content_of_bytes};
use super::oracle;
use super::record::{Desk, content_of, kind};
use super::world::{Fault, World, locked, prompt};
use crate::support::client::graph_options;
use crate::support::pictures;

const ORIGIN: &str = "https://graph.facebook.com";
/// What the second part of a message draws on; Meta fetches it.
const ADDRESSES: [&str; 2] = ["https://cdn.example/hero.png", "https://cdn.example/mug.jpg"];
const FILE: &str = "teapot.png";
/// The longest it may take until all is at its end once nothing goes wrong any more.
const LONGEST: Duration = Duration::from_hours(2);
/// The days between two campaigns.
const DAYS: std::ops::RangeInclusive<u64> = 60..=100;

pub(super) struct Town {
    pub(super) world: Arc<World>,
    pub(super) meta: Arc<Meta>,
    lives: Mutex<Vec<Option<Arc<Life>>>>,
    clocks: Vec<Arc<SkewedClock>>,
}

/// What one life has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Nothing is left to be done.
    Done,
    /// Another has to go on.
    Again,
}

/// Why a life ends early: the record is of no use to it.
struct Useless;

pub(super) fn space() -> KeySpace {
    KeySpace {
        origin: ORIGIN.parse().expect("an origin"),
        page: PAGE.parse().expect("a Page"),
        platform: Platform::Messenger,
    }
}

/// The name of a run's campaign of this number.
pub(super) fn campaign_name(number: usize) -> CampaignName {
    format!("season-{number}").parse().expect("a name")
}

fn psid(place: u64) -> String {
    (4_000_000 + place).to_string()
}

impl Town {
    pub(super) fn new(world: Arc<World>) -> Arc<Self> {
        let gone = (1..=world.scenario.recipients).filter(|_| world.draw(|rng| rng.u8(0..40)) == 0).map(psid);
        let gone: BTreeSet<String> = gone.collect();
        let address = Asset::Url(ADDRESSES[0].parse().expect("a web address"));
        let expected = BTreeMap::from([(1, content_of(&address))]);
        let meta = Meta::new(&world, gone, expected);
        let clocks = (0..world.scenario.processes).map(|_| Arc::new(SkewedClock::new(&world))).collect();
        let lives = Mutex::new(vec![None; world.scenario.processes]);
        std::fs::write(world.path(FILE), pictures::png(8)).expect("a file");
        Arc::new(Self { world, meta, lives, clocks })
    }

    /// Plays all there is to play.
    pub(super) async fn play(self: &Arc<Self>) {
        for number in 0..self.world.scenario.campaigns {
            if number > 0 {
                let days = self.world.draw(|rng| rng.u64(DAYS));
                sleep(Duration::from_hours(24 * days)).await;
                self.meta.age();
            }
            self.season(number).await;
        }
    }

    /// One campaign, in bad weather and then in good.
    async fn season(self: &Arc<Self>, number: usize) {
        let world = &self.world;
        self.write_files(number);
        world.set_calm(false);
        let processes = (0..world.scenario.processes).map(|process| {
            let town = Arc::clone(self);
            tokio::spawn(async move { town.supervise(process, number).await })
        });
        let processes: Vec<_> = processes.collect();
        let began = Instant::now();
        while began.elapsed() < world.scenario.trouble {
            sleep(world.millis(500, 15_000)).await;
            self.bad_weather();
        }
        world.set_calm(true);
        self.meta.calm_down();
        let guard = tokio::spawn(Arc::clone(self).bury_the_silent());
        let aborts: Vec<_> = processes.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        if timeout(LONGEST, join_all(processes)).await.is_err() {
            world.object(format!("season {number} is not at its end after {} h of calm", LONGEST.as_secs() / 3_600));
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
            self.lives().iter().for_each(|life| life.end());
        }
        guard.abort();
        oracle::judge(self, number);
    }

    fn write_files(&self, number: usize) {
        let scenario = &self.world.scenario;
        let mut list = "recipient,first_name\n".to_owned();
        for place in 1..=scenario.recipients {
            let psid = psid(place);
            writeln!(list, "{psid},N{psid}").expect("text");
        }
        std::fs::write(self.world.path("people.csv"), list).expect("a file");
        let delivery = if scenario.at_least_once { "at-least-once" } else { "at-most-once" };
        let mut spec = format!(
            "name = \"{}\"\nrecipients = \"people.csv\"\ndelivery = \"{delivery}\"\nbatch = {}\ntimezone = \"UTC\"\n\n\
             [[message]]\ntext = \"Hi {{first_name}}\"\n",
            campaign_name(number),
            scenario.batch
        );
        if scenario.parts > 1 {
            let address = ADDRESSES[0];
            write!(
                spec,
                "\n[[message]]\nmessage = {{ attachment = {{ type = \"image\", payload = {{ asset = \"{address}\" }} }} }}\n"
            )
            .expect("text");
        }
        std::fs::write(self.world.path("season.toml"), spec).expect("a file");
    }

    fn lives(&self) -> Vec<Arc<Life>> {
        locked(&self.lives).iter().flatten().cloned().collect()
    }

    fn bad_weather(&self) {
        let world = &self.world;
        let lives = self.lives();
        let chosen = (!lives.is_empty()).then(|| &lives[world.draw(|rng| rng.usize(0..lives.len()))]);
        match (world.draw(|rng| rng.u8(0..14)), chosen) {
            (0 | 1, _) => self.meta.storm(world.millis(2_000, 60_000)),
            (2, _) => self.meta.kill_token(world.millis(2_000, 30_000)),
            (3 | 4, _) => self.meta.lose_an_id(),
            (5, _) => world.fill_disk(world.millis(500, 20_000)),
            (6..=8, Some(life)) => life.freeze(world.millis(5_000, 120_000)),
            (9, _) => {
                world.befell(Fault::PowerCut, lives.len());
                world.cut_power();
                for life in &lives {
                    life.end();
                }
            }
            (10 | 11, _) => self.clocks[world.draw(|rng| rng.usize(0..self.clocks.len()))].jump(),
            (12, Some(life)) => {
                world.befell(Fault::Stop, life.name.as_str());
                life.stop.request();
            }
            _ => {}
        }
        if world.scenario.leases {
            for life in &lives {
                life.bury_if_silent();
            }
        }
    }

    /// The server's part, where there are leases.
    async fn bury_the_silent(self: Arc<Self>) {
        loop {
            sleep(Duration::from_secs(1)).await;
            if self.world.scenario.leases {
                self.lives().iter().for_each(|life| life.bury_if_silent());
            }
        }
    }

    /// One process: it is started anew for as long as there is anything to do.
    async fn supervise(self: &Arc<Self>, process: usize, season: usize) {
        let mut number = 0;
        loop {
            number += 1;
            let life = Life::begin(&self.world, format!("p{process}.{season}.{number}"));
            locked(&self.lives)[process] = Some(Arc::clone(&life));
            let beat = tokio::spawn(Arc::clone(&life).beat());
            let (town, of) = (Arc::clone(self), Arc::clone(&life));
            let work = async move { Day::new(&town, &of, process, season).go().await };
            let mut work = tokio::spawn(work);
            let ended = tokio::select! {
                biased;
                () = life.over() => None,
                ended = &mut work => Some(ended),
            };
            work.abort();
            beat.abort();
            life.end();
            locked(&self.lives)[process] = None;
            match ended {
                Some(Ok(Ended::Done)) => return self.world.note(format_args!("{life:?} is done")),
                Some(Err(error)) if error.is_panic() => self.world.object(format!("{life:?} panicked: {error}")),
                _ => {}
            }
            sleep(self.world.millis(50, 20_000)).await;
        }
    }
}

/// What one life does.
struct Day {
    town: Arc<Town>,
    life: Arc<Life>,
    record: Arc<dyn Record>,
    graph: Arc<GraphClient>,
    library: AssetLibrary,
    clock: Arc<dyn Clock>,
    season: usize,
}

impl Day {
    fn new(town: &Arc<Town>, life: &Arc<Life>, process: usize, season: usize) -> Self {
        let machine: Arc<dyn Clock> = Arc::<SkewedClock>::clone(&town.clocks[process]);
        let server_time = Arc::<ServerTime>::default();
        let clock: Arc<dyn Clock> = Arc::new(CorrectedClock::new(Arc::clone(&machine), Arc::clone(&server_time)));
        let record: Arc<dyn Record> = Arc::new(Desk(Arc::clone(life)));
        let network = Network { life: Arc::clone(life), meta: Arc::clone(&town.meta) };
        let limits = PaceLimits { messages_per_second: town.world.scenario.per_second, ..PaceLimits::default() };
        let graph = GraphClient::new(
            graph_options(ORIGIN, "SANDBOX-PAGE-1", RetryPolicy::default()),
            Arc::new(network),
            Arc::clone(&machine),
        );
        let graph = graph.with_server_time(server_time).with_governor(Arc::new(Governor::new(limits)));
        let graph = Arc::new(graph.until(life.stop.clone()));
        let reader = Reader::new(Arc::new(BytePool::new(1 << 20)), machine);
        let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
        let library = AssetLibrary::new(LibraryParts {
            concurrency: 2,
            clock: Arc::clone(&clock),
            stop: life.stop.clone(),
            ..LibraryParts::new(Arc::clone(&graph), Arc::clone(&record), inspector, space().page)
        });
        let (town, life) = (Arc::clone(town), Arc::clone(life));
        Self { town, life, record, graph, library, clock, season }
    }

    async fn go(&self) -> Ended {
        let world = &self.town.world;
        if world.draw(fastrand::Rng::bool) {
            self.resolve_all().await;
        }
        if world.draw(|rng| rng.u8(0..4)) == 0 {
            self.refresh().await;
        }
        loop {
            if self.life.stop.is_requested() {
                return Ended::Again;
            }
            match self.turn().await {
                Ok(Some(ended)) => {
                    self.resolve_in_the_end().await;
                    return ended;
                }
                Ok(None) => {}
                Err(Useless) => return Ended::Again,
            }
            sleep(world.millis(500, 10_000)).await;
        }
    }

    /// The live ids of all there is, each asked for by several at once.
    async fn resolve_all(&self) -> Vec<AssetReport> {
        let file = self.town.world.path(FILE);
        let mut references = vec![AssetRef::File(file.clone()), AssetRef::File(file.clone())];
        for address in [ADDRESSES[0], ADDRESSES[1], ADDRESSES[1], ADDRESSES[0]] {
            references.push(AssetRef::Url(address.parse().expect("a web address")));
        }
        let options = ResolveOptions::uploading(PlanRules::USUAL);
        // Each by itself is prompt: together they would depend on how fast a thread is.
        let resolve = |reference| prompt(self.library.resolve(reference, &options));
        let reports = join_all(references.iter().map(resolve)).await;
        for (reference, report) in references.iter().zip(&reports) {
            let content = match reference {
                AssetRef::Url(url) => content_of(&Asset::Url(url.clone())),
                _ => content_of_bytes(&std::fs::read(&file).expect("a file")),
            };
            let id = report.upload.as_ref().filter(|_| report.error.is_none()).map(|upload| &upload.attachment_id);
            let id = id.map(reattach::ids::AttachmentId::as_str);
            self.town.world.note(format_args!(
                "{:?} resolved {content}: {} {id:?}",
                self.life,
                report.outcome.as_str()
            ));
            if let Some(id) = id.filter(|id| !self.town.meta.is_of(id, &content)) {
                self.town.world.object(format!("{:?} was told {id} for {content}, which is not of it", self.life));
            }
        }
        reports
    }

    /// Once nothing goes wrong any more, everything has an id, and nobody stands in anybody's way.
    async fn resolve_in_the_end(&self) {
        let world = &self.town.world;
        if !world.is_calm() {
            return;
        }
        for report in self.resolve_all().await {
            let Some(error) = report.error.filter(|_| !self.life.stop.is_requested()) else { continue };
            // What Meta lost again and again is left alone for an hour.
            if !matches!(*error, LibraryError::ReplacedTooOften { .. }) {
                world.object(format!("{:?} has no id in the end: {}", self.life, kind(&error)));
            }
        }
    }

    async fn refresh(&self) {
        let options = RefreshOptions { rules: PlanRules::USUAL, dry_run: false, max_uploads: None, max_bytes: None };
        let libraries = std::slice::from_ref(&self.library);
        let refresh = AssetLibrary::refresh_all(libraries, &Renewal::AllDue, &options, &self.life.stop, |_, _| {});
        let refreshed = prompt(refresh).await;
        self.town.world.note(format_args!("{:?} refreshed: {}", self.life, refreshed.is_ok()));
    }

    /// One look at the campaign, and what there is to do about it.
    async fn turn(&self) -> Result<Option<Ended>, Useless> {
        let world = &self.town.world;
        let name = campaign_name(self.season);
        let found = self.record.campaign(&space(), &name, self.clock.now()).await;
        let campaign = match self.of_record(found)? {
            Some(Some(campaign)) if campaign.digest.is_some() => campaign,
            Some(_) => return self.plan().await.map(|()| None),
            None => return Ok(None),
        };
        let counts = counts(&*self.record, &campaign, self.clock.now()).await;
        let Some(counts) = self.of_record(counts)? else { return Ok(None) };
        if campaign.started_at.is_some() && counts.pending == counts.held_back && campaign.holder.is_none() {
            return Ok(Some(Ended::Done));
        }
        if world.draw(|rng| rng.u8(0..3)) == 0 {
            self.hear_echoes(&campaign).await?;
        }
        if let Some(why) = campaign.paused.clone() {
            let resumed = self.record.change(campaign.id, Change::Unpause(why)).await;
            self.of_record(resumed)?;
            return Ok(None);
        }
        let parts = RunParts {
            record: Arc::clone(&self.record),
            graph: Arc::clone(&self.graph),
            library: self.library.clone(),
            clock: Arc::clone(&self.clock),
            stop: self.life.stop.clone(),
        };
        let run = match Run::begin(parts, &campaign).await {
            Ok(run) => run,
            Err(error) => return self.of_campaign(&error).map(|()| None),
        };
        let running: BoxFuture<'_, _> = Box::pin(run.send());
        match running.await {
            Ok(summary) => self.close(&summary).map(|()| None),
            Err(error) => self.of_campaign(&error).map(|()| None),
        }
    }

    async fn plan(&self) -> Result<(), Useless> {
        let spec = CampaignSpec::load(&self.town.world.path("season.toml")).expect("a campaign");
        let options = PlanOptions { space: space(), replan: Replan::Refused, stop: self.life.stop.clone() };
        match prompt(plan(&self.record, &spec, &options, &self.clock)).await {
            Ok(_) => Ok(()),
            Err(error) => self.of_campaign(&error),
        }
    }

    /// Echoes of what Meta took so far: some of it, and in any order, and twice.
    async fn hear_echoes(&self, campaign: &Campaign) -> Result<(), Useless> {
        let ours = |taken: &super::meta::Taken| taken.nonce.campaign == campaign.name;
        let mut echoes: Vec<_> = self.town.meta.truth().into_iter().filter(ours).collect();
        let share = self.town.world.draw(|rng| {
            rng.shuffle(&mut echoes);
            rng.usize(0..=echoes.len())
        });
        let echo = |taken: &super::meta::Taken| Echo {
            nonce: taken.nonce.clone(),
            message_id: taken.message_id.clone(),
            to: None,
        };
        let echoes: Vec<_> = echoes[..share].iter().chain(&echoes[..share / 2]).map(echo).collect();
        match apply_echoes(&*self.record, campaign.id, &echoes, self.clock.now()).await {
            Ok(_) => Ok(()),
            Err(error) => self.of_campaign(&error),
        }
    }

    fn close(&self, summary: &RunSummary) -> Result<(), Useless> {
        let RunSummary { end, counts, sent, .. } = summary;
        let name = kind(end);
        self.town.world.note(format_args!("{:?} ends {name}: {sent} sent, {} in all", self.life, counts.sent));
        let Counts { total, pending, sent, failed, unknown, skipped, .. } = counts;
        let told = pending + sent + failed + unknown + skipped;
        if told != *total {
            self.town.world.object(format!("{told} deliveries are told of {total}: {counts:?}"));
        }
        match end {
            // A command ends there, and its lock with it; a service goes on.
            End::Store(error) if is_useless(error) || self.town.world.draw(fastrand::Rng::bool) => Err(Useless),
            _ => Ok(()),
        }
    }

    /// What the record says, where it says anything; `Useless` where it will say no more.
    fn of_record<T>(&self, said: Result<T, RecordError>) -> Result<Option<T>, Useless> {
        match said {
            Ok(said) => Ok(Some(said)),
            Err(error) if is_useless(&error) => Err(Useless),
            Err(error) => {
                self.town.world.note(format_args!("{:?} is told {}", self.life, kind(&error)));
                Ok(None)
            }
        }
    }

    fn of_campaign(&self, error: &CampaignError) -> Result<(), Useless> {
        self.town.world.note(format_args!("{:?} is told {}", self.life, kind(error)));
        let causes = std::iter::successors(std::error::Error::source(error), |cause| (*cause).source());
        let useless = causes.filter_map(|cause| cause.downcast_ref::<RecordError>()).any(is_useless);
        if useless || self.life.has_failed() { Err(Useless) } else { Ok(()) }
    }
}

fn is_useless(error: &RecordError) -> bool {
    matches!(error, RecordError::Failed { .. } | RecordError::Stopped { .. })
}
