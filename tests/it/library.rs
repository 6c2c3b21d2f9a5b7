//! The library as its callers use it, without the command line.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use image::ImageFormat;
use reattach::cache::FileCache;
use reattach::clock::{Clock, ManualClock, SystemClock};
use reattach::graph::{Attempt, Call, GraphClient, ReqwestTransport, RetryPolicy, Transport};
use reattach::ids::{Asset, AssetKey, ContentHash, MediaKind};
use reattach::library::{
    AssetLibrary, AssetOutcome, AssetRef, AssetReport, Fitter, ID_LIFETIME, Inspector, LibraryError, LibraryParts,
    PlanRules, ResolveOptions, SyncOptions, Via,
};
use reattach::media::{BytePool, Reader, ScanOptions};
use reattach::record::{Derivation, Record, Upload, UploadState};
use reattach::stop::Stop;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::support::World;
use crate::support::client::{graph_options, unhindered};
use crate::support::pictures::{picture, png};

pub(crate) const RULES: PlanRules = PlanRules { renew_within: Duration::from_hours(7 * 24), force: false };

/// A library on the world's store, its client, and the pools its bytes go through.
pub(crate) struct Opened {
    pub(crate) library: AssetLibrary,
    pub(crate) graph: Arc<GraphClient>,
    pub(crate) record: Arc<dyn Record>,
    pub(crate) survey_pool: Arc<BytePool>,
    upload_pool: Arc<BytePool>,
}

pub(crate) async fn open(world: &World, memory: usize) -> Opened {
    open_with(world, memory, ReqwestTransport::new()).await
}

async fn open_with(world: &World, memory: usize, transport: impl Transport + 'static) -> Opened {
    open_at(world, memory, transport, Arc::new(SystemClock), RetryPolicy::default()).await
}

/// A library with copies in place of images that do not fit.
async fn open_fitting(world: &World, fitter: &Arc<Fitter>) -> Opened {
    let (clock, fitter) = (Arc::new(SystemClock), Some(Arc::clone(fitter)));
    build(world, 1 << 20, ReqwestTransport::new(), clock, RetryPolicy::default(), fitter).await
}

/// The library at the time of `clock`, in no hurry to spare Meta.
pub(crate) async fn open_at(
    world: &World,
    memory: usize,
    transport: impl Transport + 'static,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
) -> Opened {
    build(world, memory, transport, clock, retry, None).await
}

async fn build(
    world: &World,
    memory: usize,
    transport: impl Transport + 'static,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    fitter: Option<Arc<Fitter>>,
) -> Opened {
    let clock = || Arc::clone(&clock);
    let options = graph_options(world.sandbox().url(), "SANDBOX-PAGE-1", retry);
    let page = world.sandbox().pages()[0].id.parse().expect("a Page");
    let (survey_pool, upload_pool) = (Arc::new(BytePool::new(memory)), Arc::new(BytePool::new(memory)));
    let reader = |pool: &Arc<BytePool>| Arc::new(Reader::new(Arc::clone(pool), clock()));
    let cache = FileCache::open(&world.store().join("cache"), &SystemClock).cache;
    let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
    let graph = Arc::new(unhindered(options, transport, clock()));
    let inspector = Inspector { fitter, ..Inspector::new(reader(&survey_pool), Arc::new(cache)) };
    let library = AssetLibrary::new(LibraryParts {
        upload_reader: reader(&upload_pool),
        clock: clock(),
        ..LibraryParts::new(Arc::clone(&graph), Arc::clone(&record), inspector, page)
    });
    Opened { library, graph, record, survey_pool, upload_pool }
}

/// A sync of all there is to do.
pub(crate) fn options() -> SyncOptions {
    SyncOptions {
        scan: ScanOptions::default(),
        rules: RULES,
        dry_run: false,
        max_uploads: None,
        max_bytes: None,
        via: Via::Upload,
    }
}

async fn sync(opened: &Opened, folder: &Path) -> reattach::library::Summary {
    let synced = opened.library.sync(&[folder.to_owned()], &options(), &Stop::new(), |_| {}).await;
    synced.expect("a sync").summary
}

#[test]
fn sixty_four_calls_for_one_new_file_make_one_upload() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 200}})).expect("a fault");
    world.runtime.block_on(async {
        let opened = open(&world, 1 << 20).await;
        let reference = AssetRef::File(path);
        let options = ResolveOptions::uploading(RULES);
        let calls = (0..64).map(|_| opened.library.resolve(&reference, &options));
        let reports = join_all(calls).await;
        let ids: Vec<_> = reports.iter().map(|r| r.upload.as_ref().expect("an id").attachment_id.clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(reports.iter().filter(|r| r.outcome == AssetOutcome::Uploaded).count(), 1);
    });
    assert_eq!(world.uploads(), 1);
}

#[test]
fn an_id_is_on_record_under_the_origin_its_client_asked() {
    let (here, there) = (World::new(), World::new());
    let reference = AssetRef::File(here.put("hero.png", png(1)));
    here.runtime.block_on(async {
        let opened = open(&here, 1 << 20).await;
        let through = opened.library.through(open(&there, 1 << 20).await.graph);
        for (library, world) in [(&opened.library, &here), (&through, &there)] {
            let report = library.resolve(&reference, &ResolveOptions::uploading(RULES)).await;
            assert_eq!(report.outcome, AssetOutcome::Uploaded, "{report:?}");
            let space = report.upload.expect("an id").key.space;
            assert_eq!((&space, space.origin.as_str()), (library.space(), world.url.as_str()));
        }
    });
    assert_eq!((here.uploads(), there.uploads()), (1, 1));
}

#[test]
fn a_digest_whose_id_is_over_and_whose_bytes_are_nowhere_has_no_id() {
    let world = World::new();
    world.runtime.block_on(async {
        let opened = open(&world, 1 << 20).await;
        let (hash, uploaded_at) = (ContentHash([7; 32]), SystemClock.now().minus(2 * ID_LIFETIME));
        let space = opened.library.space().clone();
        let upload = Upload {
            key: AssetKey { space, kind: MediaKind::Image, asset: Asset::Bytes(hash) },
            attachment_id: "1857777774821032".parse().expect("an id"),
            uploaded_at,
            expires_at: uploaded_at.plus(ID_LIFETIME),
            size_bytes: 4,
            mime: "image/png".to_owned(),
            dimensions: None,
            source: None,
            state: UploadState::Live,
        };
        opened.record.adopt(&[upload]).await.expect("adopted");
        let report = opened.library.resolve(&AssetRef::Hash(hash), &ResolveOptions::uploading(RULES)).await;
        assert_eq!((report.outcome, report.upload.is_none()), (AssetOutcome::Failed, true), "{report:?}");
        assert_eq!(report.facts.as_ref().map(|facts| facts.hash), Some(hash), "what is known of it is still said");
        let why = report.into_id().expect_err("it is over");
        assert!(matches!(*why, LibraryError::NoSource { .. }), "{why:?}");
    });
}

#[test]
fn a_digest_whose_file_changed_is_not_renewed_with_other_bytes() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    world.runtime.block_on(async {
        let opened = open(&world, 1 << 20).await;
        let first = opened.library.resolve(&AssetRef::File(path), &ResolveOptions::uploading(RULES)).await;
        let hash = first.facts.expect("facts").hash;
        world.put("hero.png", png(2));
        let renew = PlanRules { renew_within: Duration::from_hours(91 * 24), force: false };
        let second = opened.library.resolve(&AssetRef::Hash(hash), &ResolveOptions::uploading(renew)).await;
        assert_eq!(second.outcome, AssetOutcome::Failed);
    });
    assert_eq!(world.uploads(), 1);
}

#[test]
fn what_another_renewed_meanwhile_takes_nothing_of_the_allowance() {
    const PASSED: Duration = Duration::from_hours(85 * 24);
    let world = World::new();
    for (name, number) in [("a.png", 1), ("b.png", 2)] {
        world.put(name, png(number));
        world.run(["resolve", &format!("library/{name}")]).ended_with(0);
    }
    world.put("c.png", "no picture");
    world.sandbox().advance_clock(PASSED);
    let outcomes = world.runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(SystemClock.now().plus(PASSED)));
        let opened = open_at(&world, 1 << 20, ReqwestTransport::new(), clock, RetryPolicy::default()).await;
        let (mut outcomes, one) = (Vec::new(), SyncOptions { max_uploads: Some(1), ..options() });
        let heard = |report: &AssetReport| {
            if report.outcome == AssetOutcome::Rejected {
                // Those on record are still to have their turns.
                world.run(["refresh", "library/a.png"]).ended_with(0);
            }
            outcomes.push(report.outcome);
        };
        opened.library.sync(&[world.library()], &one, &Stop::new(), heard).await.expect("a sync");
        outcomes
    });
    assert_eq!(outcomes, [AssetOutcome::Rejected, AssetOutcome::Reused, AssetOutcome::Refreshed]);
    assert_eq!(world.uploads(), 4);
}

/// A library of one bitmap under two names, for which Meta names no format.
fn world_of_a_bitmap() -> World {
    let world = World::new();
    for name in ["a.bmp", "b/copy of a.bmp"] {
        world.put(name, picture(1, ImageFormat::Bmp));
    }
    world
}

#[test]
fn a_copy_that_is_on_record_is_not_made_again() {
    let world = world_of_a_bitmap();
    let fitter = || Arc::new(Fitter::new(Arc::new(SystemClock)));
    world.runtime.block_on(async {
        let (first, second) = (fitter(), fitter());
        let summary = sync(&open_fitting(&world, &first).await, &world.library()).await;
        assert_eq!((summary.uploaded, summary.reused, first.copies_made()), (1, 1, 1));
        let summary = sync(&open_fitting(&world, &second).await, &world.library()).await;
        assert_eq!((summary.uploaded, summary.reused, second.copies_made()), (0, 2, 0));
    });
    assert_eq!(world.uploads(), 1);
}

#[test]
fn a_copy_is_made_again_when_its_id_is_due_and_is_the_same() {
    let world = world_of_a_bitmap();
    let renew = PlanRules { renew_within: Duration::from_hours(91 * 24), force: false };
    world.runtime.block_on(async {
        let fitter = Arc::new(Fitter::new(Arc::new(SystemClock)));
        let fitting = open_fitting(&world, &fitter).await.library;
        let reference = AssetRef::File(world.library().join("a.bmp"));
        let report = fitting.resolve(&reference, &ResolveOptions::uploading(RULES)).await;
        assert_eq!(report.outcome, AssetOutcome::Uploaded);
        let copy = report.fitted.expect("a copy");
        assert_eq!(report.facts.expect("facts").hash, copy.source);
        drop(fitting);
        // Whoever asks for the copy by its own hash gets it, whether copies are wanted or not.
        let plain = open(&world, 1 << 20).await.library;
        let hash = AssetRef::Hash(copy.result);
        let again = plain.resolve(&hash, &ResolveOptions::uploading(renew)).await;
        assert_eq!((again.outcome, again.fitted), (AssetOutcome::Refreshed, Some(copy)));
        world.put("a.bmp", picture(2, ImageFormat::Bmp));
        world.put("b/copy of a.bmp", picture(2, ImageFormat::Bmp));
        let changed = plain.resolve(&hash, &ResolveOptions::uploading(renew)).await;
        assert_eq!(changed.outcome, AssetOutcome::Failed);
    });
    let sent: Vec<_> =
        world.truth().attachments.iter().filter_map(|a| a.file.clone()).map(|file| file.sha256).collect();
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
}

#[test]
fn a_copy_that_comes_out_otherwise_than_recorded_is_another_copy() {
    let world = world_of_a_bitmap();
    let fitter = || Arc::new(Fitter::new(Arc::new(SystemClock)));
    world.runtime.block_on(async {
        let reference = AssetRef::File(world.library().join("a.bmp"));
        let (dry, renew) = (SyncOptions { dry_run: true, ..options() }, ResolveOptions::uploading(RULES));
        let fitting = open_fitting(&world, &fitter()).await.library;
        let mut planned = Vec::new();
        let roots = [world.library()];
        fitting.sync(&roots, &dry, &Stop::new(), |report| planned.push(report.clone())).await.expect("a sync");
        let copy = planned[0].fitted.clone().expect("a copy");
        // As if another version of the encoder had made it.
        let other = Derivation { result: ContentHash([7; 32]), ..copy.clone() };
        let record = reattach::record::open(&world.store().join("record.db")).await.expect("a record");
        record.remember_derivation(&other, SystemClock.now()).await.expect("remembered");
        let fitting = open_fitting(&world, &fitter()).await.library;
        let report = fitting.resolve(&reference, &renew).await;
        assert_eq!((report.outcome, report.fitted), (AssetOutcome::Uploaded, Some(copy.clone())));
        assert_eq!(record.copies_of(copy.source).await.expect("found"), [copy]);
    });
    assert_eq!(world.uploads(), 1);
}

#[test]
fn a_refused_upload_leaves_nobody_waiting() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    let refusal = json!({"on": "upload", "fault": {"graph": {"code": 100, "message": "no"}, "status": 400}});
    world.sandbox().set_faults(refusal).expect("a fault");
    world.runtime.block_on(async {
        let opened = open(&world, 1 << 20).await;
        let reference = AssetRef::File(path);
        let refused = opened.library.resolve(&reference, &ResolveOptions::uploading(RULES)).await;
        assert_eq!(refused.outcome, AssetOutcome::Failed);
        let options = ResolveOptions::uploading(RULES);
        let again = opened.library.resolve(&reference, &options);
        let again = tokio::time::timeout(Duration::from_secs(20), again).await.expect("it waits for its own claim");
        assert_eq!(again.outcome, AssetOutcome::Uploaded);
    });
}

/// Panics at its first upload, and then does its work.
#[derive(Debug)]
struct PanicsOnce {
    panicked: AtomicBool,
    transport: ReqwestTransport,
}

#[async_trait::async_trait]
impl Transport for PanicsOnce {
    async fn execute(&self, call: Call) -> Attempt {
        assert!(self.panicked.swap(true, Ordering::SeqCst), "as the test wants it");
        self.transport.execute(call).await
    }
}

#[test]
fn an_upload_that_panics_leaves_nobody_waiting() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    world.runtime.block_on(async {
        let transport = PanicsOnce { panicked: AtomicBool::new(false), transport: ReqwestTransport::new() };
        let opened = open_with(&world, 1 << 20, transport).await;
        let reference = AssetRef::File(path);
        let options = ResolveOptions::uploading(RULES);
        let first = opened.library.resolve(&reference, &options);
        assert!(AssertUnwindSafe(first).catch_unwind().await.is_err());
        let options = ResolveOptions::uploading(RULES);
        let again = opened.library.resolve(&reference, &options);
        let again = tokio::time::timeout(Duration::from_secs(20), again).await.expect("it waits for a dead claim");
        assert_eq!(again.outcome, AssetOutcome::Uploaded);
    });
}

/// Tells of every call, and answers none.
#[derive(Debug)]
struct Silent(Arc<Notify>);

#[async_trait::async_trait]
impl Transport for Silent {
    async fn execute(&self, _: Call) -> Attempt {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[test]
fn an_upload_whose_runtime_ends_leaves_nobody_waiting() {
    let world = World::new();
    let reference = AssetRef::File(world.put("hero.png", png(1)));
    let options = ResolveOptions::uploading(RULES);
    let runtime = Runtime::new().expect("a runtime");
    let first = runtime.block_on(async {
        let calls = Arc::new(Notify::new());
        let first = open_with(&world, 1 << 20, Silent(Arc::clone(&calls))).await;
        tokio::select! {
            report = first.library.resolve(&reference, &options) => panic!("{report:?}"),
            () = calls.notified() => {}
        }
        first
    });
    drop(runtime);
    let report = world.runtime.block_on(async {
        let Opened { graph, library, .. } = open(&world, 1 << 20).await;
        let reader = Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::new(SystemClock));
        let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
        let parts = LibraryParts::new(graph, Arc::clone(&first.record), inspector, library.space().page.clone());
        // Whoever would have to wait for the claim fails at once.
        parts.stop.request();
        AssetLibrary::new(parts).resolve(&reference, &options).await
    });
    assert_eq!(report.outcome, AssetOutcome::Uploaded, "{:?}", report.error);
}

#[test]
fn an_unchanged_library_is_not_read_again() {
    let world = World::new();
    for number in 0..20 {
        world.put(format!("{number}.png"), png(number));
    }
    world.runtime.block_on(async {
        let first = open(&world, 64 << 20).await;
        assert_eq!(sync(&first, &world.library()).await.uploaded, 20);
        assert!(first.survey_pool.peak_bytes() > 0, "the first sync must read");
        drop(first);
        let second = open(&world, 64 << 20).await;
        let summary = sync(&second, &world.library()).await;
        assert_eq!((summary.uploaded, summary.reused), (0, 20));
        assert_eq!((second.survey_pool.peak_bytes(), second.upload_pool.peak_bytes()), (0, 0));
    });
}

#[test]
fn recognised_files_are_read_again_only_to_be_uploaded() {
    let world = World::new();
    for number in 0..20 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["check", "library"]).ended_with(0);
    world.runtime.block_on(async {
        let opened = open(&world, 64 << 20).await;
        assert_eq!(sync(&opened, &world.library()).await.uploaded, 20);
        assert_eq!(opened.survey_pool.peak_bytes(), 0);
        assert!(opened.upload_pool.peak_bytes() > 0);
    });
}

#[test]
fn memory_stays_within_the_pools_however_much_waits_for_its_upload() {
    const POOL: usize = 4 << 20;
    let world = World::new();
    for number in 0..40_u8 {
        let mut bytes = png(number.into());
        bytes.extend(std::iter::repeat_n(number, 1 << 20));
        world.put(format!("{number}.png"), bytes);
    }
    // Half of them are recognised, so that both pools are in use at once.
    world.run(["check", "library/1.png", "library/2.png", "library/3.png"]).ended_with(0);
    world.runtime.block_on(async {
        let opened = open(&world, POOL).await;
        assert_eq!(sync(&opened, &world.library()).await.uploaded, 40);
        assert!(opened.survey_pool.peak_bytes() <= POOL);
        assert!(opened.upload_pool.peak_bytes() <= POOL);
    });
}

#[test]
fn a_sync_that_is_stopped_records_what_it_finished() {
    let world = World::new();
    for number in 0..30 {
        world.put(format!("{number}.png"), png(number));
    }
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 20}, "times": 30})).expect("a fault");
    world.runtime.block_on(async {
        let opened = open(&world, 64 << 20).await;
        let stop = Stop::new();
        let mut uploaded = 0;
        let synced = opened
            .library
            .sync(&[world.library()], &options(), &stop, |report| {
                uploaded += u64::from(report.outcome == AssetOutcome::Uploaded);
                if uploaded == 5 {
                    stop.request();
                }
            })
            .await
            .expect("a sync");
        assert_eq!(synced.summary.uploaded, uploaded);
        assert!((5..=9).contains(&uploaded), "{uploaded} were uploaded");
    });
    let recorded = world.json(["ls"]).ended_with(0).events_of("asset").len() as u64;
    assert_eq!(recorded, world.uploads());
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 30 - recorded);
}
