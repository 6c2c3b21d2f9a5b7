//! Whose time counts: Meta's, once it is known; and without it, no age is taken for granted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reattach::clock::{Clock, ManualClock, Moment, SystemClock, Timestamp};
use reattach::graph::{Attempt, Call, ReqwestTransport, RetryPolicy, Transport};
use reattach::ids::MediaKind;
use reattach::library::{AssetLibrary, AssetOutcome, AssetRef, AssetReport, PlanRules, ResolveOptions, UploadOnMiss};
use serde_json::json;

use crate::library::{RULES, open, open_at};
use crate::support::World;
use crate::support::keeper::Keeper;
use crate::support::pictures::png;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a process that has just started on a machine with this clock makes of the picture, with no upload allowed.
async fn look(world: &World, machine: &Arc<ManualClock>) -> AssetReport {
    let keeper = Keeper::start(world, Arc::<ManualClock>::clone(machine)).await;
    let rules = PlanRules { renew_within: DAY, force: false };
    let options = ResolveOptions { on_miss: UploadOnMiss::Refused, ..ResolveOptions::uploading(rules) };
    keeper.library().resolve(&AssetRef::File(world.library().join("a.png")), &options).await
}

/// A world with one picture, uploaded by a machine with this clock.
fn uploaded_by(machine: &Arc<ManualClock>) -> World {
    let world = World::new();
    world.put("a.png", png(1));
    world.runtime.block_on(async {
        let keeper = Keeper::start(&world, Arc::<ManualClock>::clone(machine)).await;
        let options = ResolveOptions::uploading(PlanRules { renew_within: DAY, force: false });
        let report = keeper.library().resolve(&AssetRef::File(world.library().join("a.png")), &options).await;
        assert_eq!(report.outcome, AssetOutcome::Uploaded);
    });
    world
}

fn questions(world: &World) -> u64 {
    world.truth().counters.requests.me
}

#[test]
fn an_upload_by_a_machine_whose_clock_is_wrong_is_stamped_with_metas_time() {
    let world = World::new();
    world.put("a.png", png(1));
    world.sandbox().advance_clock(2 * DAY);
    let run = world.json(["sync", "library"]).ended_with(0);
    let made = world.truth().attachments[0].created_at;
    let stamped = run.asset("a.png")["uploaded_at"].as_str().expect("a time").to_owned();
    assert_eq!(stamped[..13], made.to_string()[..13], "to the hour");
    assert_eq!(run.stderr.matches("this machine's clock is 2 d behind Meta's").count(), 1, "{}", run.stderr);
    // Nothing was asked before this one uploaded, and its own answer still puts it right.
    world.put("b.png", png(2));
    let run = world.json(["resolve", "library/b.png"]).ended_with(0);
    assert_eq!(run.asset("b.png")["uploaded_at"].as_str().expect("a time")[..13], made.to_string()[..13]);
}

#[test]
fn while_the_clock_is_doubtful_no_age_is_known_and_resolve_asks_first() {
    let world = World::new();
    world.put("a.png", png(1));
    world.sandbox().advance_clock(2 * DAY);
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset")[0]["state"], "unknown_age");
    let status = world.json(["status"]).ended_with(0);
    assert_eq!((&status.events()[0]["unknown_age"], &status.events()[0]["fresh"]), (&json!(1), &json!(0)));
    let export = world.run(["export", "--format", "env"]).ended_with(0);
    assert_eq!(export.stdout, "", "what may be dead is handed to nobody");
    assert!(export.stderr.contains("no age is known") && export.stderr.contains("left out 1 id"), "{}", export.stderr);
    let asked = questions(&world);
    let run = world.json(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!((run.asset("a.png")["outcome"].as_str(), world.uploads()), (Some("reused"), 1));
    world.run(["send", "--to", "1254459154682919", "--file", "library/a.png"]).ended_with(0);
    assert_eq!((questions(&world), world.uploads()), (asked + 2, 1), "each asks once");
}

/// The machine's clock, which never believes itself.
#[derive(Debug)]
struct Doubting;

#[async_trait::async_trait]
impl Clock for Doubting {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn moment(&self) -> Moment {
        Moment::Doubtful(self.now())
    }

    async fn sleep(&self, span: Duration) {
        SystemClock.sleep(span).await;
    }
}

/// Before its first call, another library makes the asset's id anew.
#[derive(Debug)]
struct Overtaken {
    by: Mutex<Option<(AssetLibrary, AssetRef)>>,
    transport: ReqwestTransport,
}

#[async_trait::async_trait]
impl Transport for Overtaken {
    async fn execute(&self, call: Call) -> Attempt {
        let other = self.by.lock().expect("a lock").take();
        if let Some((library, asset)) = other {
            let anew = ResolveOptions::uploading(PlanRules { force: true, ..RULES });
            assert_eq!(library.resolve(&asset, &anew).await.outcome, AssetOutcome::Refreshed);
        }
        self.transport.execute(call).await
    }
}

#[test]
fn by_a_doubtful_clock_what_another_uploaded_meanwhile_is_no_younger() {
    let world = World::new();
    let asset = AssetRef::File(world.put("a.png", png(1)));
    world.runtime.block_on(async {
        let other = open(&world, 1 << 20).await.library;
        let options = ResolveOptions::uploading(RULES);
        assert_eq!(other.resolve(&asset, &options).await.outcome, AssetOutcome::Uploaded);
        let overtaken = Overtaken { by: Mutex::new(Some((other, asset.clone()))), transport: ReqwestTransport::new() };
        let doubting = open_at(&world, 1 << 20, overtaken, Arc::new(Doubting), RetryPolicy::default()).await;
        assert_eq!(doubting.library.resolve(&asset, &options).await.outcome, AssetOutcome::Refreshed);
    });
    assert_eq!(world.uploads(), 3);
}

#[test]
fn of_the_ids_of_several_kinds_the_one_that_lives_by_metas_time_is_taken() {
    let world = World::new();
    let asset = AssetRef::File(world.put("a.png", png(1)));
    let first_day = SystemClock.now();
    let report = world.runtime.block_on(async {
        let mut hash = None;
        for (day, kind) in [(0_u32, MediaKind::File), (89, MediaKind::Image)] {
            let machine = Arc::new(ManualClock::new(first_day.plus(day * DAY)));
            let library = Keeper::start(&world, machine).await.library();
            let options = ResolveOptions { kind: Some(kind), ..ResolveOptions::uploading(PlanRules::ALIVE) };
            let report = library.resolve(&asset, &options).await;
            assert_eq!(report.outcome, AssetOutcome::Uploaded);
            hash = report.facts.map(|facts| facts.hash);
            world.sandbox().advance_clock(if day == 0 { 89 * DAY } else { 2 * DAY });
        }
        // A machine that fell back to the first day.
        let library = Keeper::start(&world, Arc::new(ManualClock::new(first_day))).await.library();
        let options = ResolveOptions { on_miss: UploadOnMiss::Refused, ..ResolveOptions::uploading(PlanRules::ALIVE) };
        library.resolve(&AssetRef::Hash(hash.expect("a hash")), &options).await
    });
    let kind = report.upload.map(|upload| upload.key.kind);
    assert_eq!((report.outcome, kind), (AssetOutcome::Reused, Some(MediaKind::Image)));
}

#[test]
fn while_the_clock_is_sound_a_hit_asks_nobody() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let before = world.truth().counters.requests;
    world.run(["resolve", "library/a.png"]).ended_with(0);
    assert_eq!(world.truth().counters.requests, before);
}

#[test]
fn what_seems_expired_is_renewed_only_if_meta_agrees_on_the_time() {
    let machine = Arc::new(ManualClock::new(SystemClock.now()));
    let world = uploaded_by(&machine);
    machine.advance(100 * DAY);
    let report = world.runtime.block_on(look(&world, &machine));
    assert_eq!((report.outcome, questions(&world)), (AssetOutcome::Reused, 1));
    world.sandbox().advance_clock(100 * DAY);
    let report = world.runtime.block_on(look(&world, &machine));
    assert_eq!((report.outcome, questions(&world)), (AssetOutcome::Missing, 2));
}

#[test]
fn a_clock_set_back_makes_nothing_fresh_until_meta_has_answered() {
    let machine = Arc::new(ManualClock::new(SystemClock.now()));
    let mut world = uploaded_by(&machine);
    let set_back = |by| Arc::new(ManualClock::new(SystemClock.now().minus(by)));
    let outcome = |world: &World, machine| world.runtime.block_on(look(world, &machine)).outcome;
    assert_eq!(outcome(&world, set_back(2 * HOUR)), AssetOutcome::Reused);
    assert_eq!(questions(&world), 1);
    // With the network gone, and the clock wrong when Meta last answered.
    world.stop_sandbox();
    assert_eq!(outcome(&world, set_back(2 * HOUR)), AssetOutcome::Missing);
    assert_eq!(outcome(&world, set_back(Duration::ZERO)), AssetOutcome::Missing);
}

#[test]
fn with_a_sound_clock_nobody_is_missed() {
    let machine = Arc::new(ManualClock::new(SystemClock.now()));
    let mut world = uploaded_by(&machine);
    // Whose token it is has to be asked once.
    world.run(["sync", "library"]).ended_with(0);
    world.stop_sandbox();
    let outcome = world.runtime.block_on(look(&world, &machine)).outcome;
    assert_eq!(outcome, AssetOutcome::Reused);
    let sync = world.json(["sync", "library"]).ended_with(0);
    assert_eq!(sync.summary()["reused"], 1);
}

#[test]
fn a_token_that_died_ends_a_sync_that_has_nothing_to_upload() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let dead = json!({"on": "me", "fault": {"graph": {"code": 190, "message": "Invalid OAuth access token."},
        "status": 400}, "times": 100});
    world.sandbox().set_faults(dead).expect("a fault");
    for command in [&["sync", "library"][..], &["refresh", "--all-due"], &["refresh", "library/a.png", "--force"]] {
        let run = world.json(command).ended_with(4);
        assert_eq!(run.events_of("error")[0]["code"], 190);
    }
    assert_eq!(world.uploads(), 1);
}

#[test]
fn a_proof_made_by_a_wrong_clock_is_made_anew() {
    let world = World::new();
    world.put("a.png", png(1));
    let sync = || {
        let mut command = world.command(["sync", "library"]);
        command.env("REATTACH_APP_SECRET", "sandbox-secret");
        crate::support::Ran::new(command.output().expect("runs"))
    };
    sync().ended_with(0);
    world.sandbox().require_proof(true);
    world.sandbox().advance_clock(85 * DAY);
    sync().ended_with(0);
    assert_eq!(world.uploads(), 2);
}
