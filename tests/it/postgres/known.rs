//! What a machine knows of a record that is elsewhere: while that is away, and while it is not.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reattach::clock::{Clock, ManualClock, SystemClock};
use reattach::ids::AttachmentId;
use reattach::library::{
    AssetLibrary, AssetOutcome, AssetRef, AssetReport, Known, LibraryError, PlanRules, ResolveOptions, UploadOnMiss,
};
use reattach::record;

use super::{server, world};
use crate::support::keeper::Keeper;
use crate::support::pictures::png;
use crate::support::postgres::Server;
use crate::support::{Ran, World};

const DAY: Duration = Duration::from_hours(24);
const RULES: PlanRules = PlanRules { renew_within: DAY, force: false };
/// How long an answer is believed without another question.
const FRESH: Duration = Duration::from_secs(5);

/// It takes three seconds at most to find out that a server is away; the rest is this machine's, which may be busy.
const SOON: Duration = Duration::from_secs(6);

/// Kills the server; it is started again however the test ends.
struct Away<'a>(&'a Server);

impl<'a> Away<'a> {
    fn begin(server: &'a Server) -> Self {
        server.kill();
        Self(server)
    }

    fn end(self) {
        drop(self);
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.start_again();
    }
}

/// The ids it printed, in order.
fn ids(ran: &Ran) -> Vec<String> {
    ran.events_of("asset").iter().filter_map(|asset| asset["attachment_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn while_the_server_is_away_what_is_known_is_resolved_and_what_is_not_is_named() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    world.put("a.png", png(1));
    world.put("b.png", png(2));
    world.put("new.png", png(3));
    // One is heard of by its upload, the others by a question.
    world.run(["sync", "library/a.png"]).ended_with(0);
    world.run(["alias", "hero", "library/b.png"]).ended_with(0);
    let digest = world.json(["resolve", "library/a.png"]).ended_with(0).asset("a.png")["sha256"].clone();
    let digest = format!("sha256:{}", digest.as_str().expect("a digest"));
    let known = ["resolve", "library/a.png", &digest, "@hero", "library/b.png", "https://example.com/c.png", "-v"];
    let before = world.json(known).ended_with(0);
    let uploads = world.uploads();

    let away = Away::begin(server);
    let begun = Instant::now();
    let answered = world.json(known).ended_with(0);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(ids(&answered), ids(&before));
    assert!(answered.events_of("asset").iter().all(|asset| asset["outcome"] == "reused"), "{answered:?}");
    assert_eq!(answered.stderr.matches("the record is away").count(), 1, "{}", answered.stderr);

    let begun = Instant::now();
    // More than are looked at at once.
    let unknown: Vec<_> = (0..6).map(|number| format!("sha256:{number:064}")).collect();
    let mixed = ["resolve", "library/new.png", "@nobody"].into_iter().chain(unknown.iter().map(String::as_str));
    let unanswered = world.json(mixed.chain(["library/a.png"])).ended_with(6);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(ids(&unanswered), ids(&before)[..1], "what is known is told all the same");
    for name in ["library/new.png", "@nobody", &unknown[5]] {
        assert!(unanswered.stderr.contains(&format!("the id of {name} is not known here")), "{}", unanswered.stderr);
    }
    assert!(unanswered.stderr.contains("reach the record postgres://"), "{}", unanswered.stderr);
    assert!(unanswered.stderr.contains("hint: see whether the server runs"), "{}", unanswered.stderr);
    // Whatever would have to be recorded or healed is not begun.
    world.json(["resolve", "--no-upload", "library/new.png"]).ended_with(6);
    world.run(["send", "--to", "1", "--file", "library/a.png"]).ended_with(6);
    world.run(["sync", "library"]).ended_with(6);
    let truth = world.truth();
    assert_eq!((truth.counters.uploads_accepted, truth.messages.len()), (uploads, 0));

    away.end();
    let back = world.json(["resolve", "library/new.png", "library/a.png"]).ended_with(0);
    assert_eq!((ids(&back)[1].clone(), world.uploads()), (ids(&before)[0].clone(), uploads + 1));
    assert!(!back.stderr.contains("away"), "{}", back.stderr);
}

#[test]
fn a_server_that_says_nothing_is_away_as_well() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let world = World::new().sharing(format!("postgres://postgres@127.0.0.1:{port}/reattach"));
    world.put("a.png", png(1));
    let begun = Instant::now();
    let refused = world.run(["resolve", "library/a.png"]).ended_with(6);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(refused.stderr.contains("it did not answer in time"), "{}", refused.stderr);
}

#[test]
fn a_cache_that_is_gone_or_damaged_knows_nothing_and_is_no_error() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    world.put("a.png", png(1));
    let resolve = ["resolve", "library/a.png"];
    let id = world.run(resolve).ended_with(0).stdout;
    let cache = world.store_of_its_own().join("cache");
    let spoil = |folder: &Path| {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let mut bytes = std::fs::read(&path).expect("bytes");
                for byte in &mut bytes {
                    *byte = byte.wrapping_add(1);
                }
                std::fs::write(&path, bytes).expect("written");
            }
        }
    };
    let spoilt: [&dyn Fn(); 2] = [&|| std::fs::remove_dir_all(&cache).expect("removed"), &|| spoil(&cache)];
    for spoil in spoilt {
        assert_eq!(world.run(resolve).ended_with(0).stdout, id);
        let away = Away::begin(server);
        assert_eq!(world.run(resolve).ended_with(0).stdout, id);
        spoil();
        let refused = world.run(resolve).ended_with(6);
        assert!(refused.stderr.contains("reach the record postgres://"), "{}", refused.stderr);
        away.end();
        assert_eq!(world.run(resolve).ended_with(0).stdout, id);
        spoil();
        assert_eq!(world.run(resolve).ended_with(0).stdout, id);
    }
    assert_eq!(world.uploads(), 1);
}

/// A bot: a library that is kept open.
struct Bot {
    known: Arc<Known>,
    keeper: Keeper,
    library: AssetLibrary,
}

impl Bot {
    async fn start(world: &World, server: &Server, clock: Arc<dyn Clock>) -> Self {
        let address = server.url(world.database());
        let record = record::at(&address.parse().expect("an address")).expect("a record");
        let keeper = Keeper::on(Arc::clone(&record), world, clock);
        let known = Arc::new(Known::of(record).kept_in(Arc::clone(&keeper.inspector.cache), address));
        known.find_out().await.expect("there or away");
        let library = keeper.library().with_known(Arc::clone(&known));
        Self { known, keeper, library }
    }

    async fn ask(&self, name: &AssetRef) -> AssetReport {
        let options = ResolveOptions::uploading(RULES).from_what_is_known();
        self.library.resolve(name, &ResolveOptions { on_miss: UploadOnMiss::Refused, ..options }).await
    }

    async fn upload(&self, name: &AssetRef) -> AttachmentId {
        let report = self.library.resolve(name, &ResolveOptions::uploading(RULES).from_what_is_known()).await;
        report.into_id().expect("uploaded")
    }
}

fn id(report: &AssetReport) -> Option<&AttachmentId> {
    assert_eq!(report.upload.is_some(), report.outcome == AssetOutcome::Reused, "{report:?}");
    report.upload.as_ref().map(|upload| &upload.attachment_id)
}

fn is_not_known(report: &AssetReport) -> bool {
    matches!(report.error.as_deref(), Some(LibraryError::NotKnown { .. }))
}

/// Runs `work` on one thread, whose time can be moved.
fn alone(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}

/// Moves the time nobody's watch shows.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

#[test]
fn a_bot_goes_on_while_the_server_is_away_and_goes_on_asking_when_it_is_back() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let file = |name: &str, number| AssetRef::File(world.put(name, png(number)));
    let (hero, other) = (file("hero.png", 1), file("other.png", 2));
    alone(async {
        let bot = Bot::start(&world, server, Arc::new(SystemClock)).await;
        let uploaded = bot.upload(&hero).await;
        pass(FRESH).await;
        let away = Away::begin(server);
        // The first to ask finds out.
        let begun = Instant::now();
        assert_eq!(id(&bot.ask(&hero).await), Some(&uploaded));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        // Somebody who is not known waits for it in vain, and nobody else after that.
        assert!(is_not_known(&bot.ask(&other).await));
        assert!(begun.elapsed() < SOON * 2, "{:?}", begun.elapsed());
        let begun = Instant::now();
        for _ in 0..20 {
            pass(FRESH).await;
            assert_eq!(id(&bot.ask(&hero).await), Some(&uploaded));
            assert!(is_not_known(&bot.ask(&other).await));
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?} for 40 answers", begun.elapsed());
        assert_eq!(world.uploads(), 1, "nothing is uploaded for want of an answer");

        away.end();
        let begun = Instant::now();
        let answer = loop {
            let report = bot.ask(&other).await;
            if !is_not_known(&report) {
                break report;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it never asks again");
            tokio::task::yield_now().await;
        };
        assert_eq!((answer.outcome, answer.error.is_none()), (AssetOutcome::Missing, true));
        assert_ne!(bot.upload(&other).await, uploaded);
    });
}

#[test]
fn an_id_is_known_until_it_expires_and_no_longer() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let hero = AssetRef::File(world.put("hero.png", png(1)));
    alone(async {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let bot = Bot::start(&world, server, Arc::<ManualClock>::clone(&clock)).await;
        let uploaded = bot.upload(&hero).await;
        let away = Away::begin(server);
        pass(FRESH).await;
        clock.advance(DAY * 89 + Duration::from_hours(23));
        assert_eq!(id(&bot.ask(&hero).await), Some(&uploaded), "nobody can renew it, and it lives");
        clock.advance(Duration::from_hours(1));
        assert!(is_not_known(&bot.ask(&hero).await));
        away.end();
        assert_eq!(world.uploads(), 1);
    });
}

#[test]
fn what_another_process_strikes_off_is_not_served_for_longer_than_a_moment() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let path = world.put("hero.png", png(1));
    let (hero, alias) = (AssetRef::File(path), AssetRef::parse("@hero".as_ref()).expect("an alias"));
    alone(async {
        let bot = Bot::start(&world, server, Arc::new(SystemClock)).await;
        let uploaded = bot.upload(&hero).await;
        world.run(["alias", "hero", "library/hero.png"]).ended_with(0);
        assert_eq!(id(&bot.ask(&alias).await), Some(&uploaded));
        // However long these take on a busy machine, it is the same moment here.
        tokio::time::pause();
        world.run(["forget", "library/hero.png"]).ended_with(0);
        world.run(["alias", "--remove", "hero"]).ended_with(0);
        for name in [&hero, &alias] {
            assert_eq!(id(&bot.ask(name).await), Some(&uploaded), "heard of a moment ago");
        }
        tokio::time::advance(FRESH).await;
        tokio::time::resume();
        assert_eq!(bot.ask(&hero).await.outcome, AssetOutcome::Missing);
        let gone = bot.ask(&alias).await;
        assert!(matches!(gone.error.as_deref(), Some(LibraryError::NoSuchAlias { .. })), "{gone:?}");
        // It is not known to the cache any more either, nor to who starts now.
        let Bot { known, keeper, library } = bot;
        drop((known, library, keeper));
        let away = Away::begin(server);
        let bot = Bot::start(&world, server, Arc::new(SystemClock)).await;
        assert!(is_not_known(&bot.ask(&hero).await) && is_not_known(&bot.ask(&alias).await));
        away.end();
    });
}

#[test]
fn what_this_process_does_is_known_at_once() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let hero = AssetRef::File(world.put("hero.png", png(1)));
    alone(async {
        let bot = Bot::start(&world, server, Arc::new(SystemClock)).await;
        let first = bot.upload(&hero).await;
        assert_eq!(id(&bot.ask(&hero).await), Some(&first));
        let again = ResolveOptions::uploading(PlanRules { force: true, ..RULES });
        let second = bot.library.resolve(&hero, &again).await.upload.expect("uploaded");
        assert_eq!(id(&bot.ask(&hero).await), Some(&second.attachment_id));
        assert_ne!(first, second.attachment_id);
        bot.library.forget(&second.key).await.expect("forgotten");
        assert_eq!(bot.ask(&hero).await.outcome, AssetOutcome::Missing);
    });
}
