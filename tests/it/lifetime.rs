//! The life of a library over many months: ids are renewed before they end, and no more often than that takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reattach::clock::{SystemClock, Timestamp};
use reattach::graph::{GraphClient, Message, ReqwestTransport, RetryPolicy, SendRequest};
use reattach::ids::{AttachmentId, MediaKind};
use reattach::library::AssetOutcome;
use reattach::stop::Stop;
use serde_json::json;

use crate::library::options;
use crate::support::World;
use crate::support::client::{graph_options, unhindered};
use crate::support::keeper::Keeper;
use crate::support::pictures::png;

const DAY: Duration = Duration::from_hours(24);
const DAYS: u32 = 200;

/// One night's sync, as a process of its own on a machine whose clock stands still while Meta's moves on: the ids.
async fn nightly_sync(world: &World) -> Vec<AttachmentId> {
    let keeper = Keeper::start(world, Arc::new(SystemClock)).await;
    let mut ids = Vec::new();
    let synced = keeper
        .library()
        .sync(&[world.library()], &options(), &Stop::new(), |report| {
            ids.extend(report.live_upload().map(|upload| upload.attachment_id.clone()));
        })
        .await
        .expect("a sync");
    assert!(synced.halted_by.is_none(), "{synced:?}");
    ids
}

fn client(world: &World) -> GraphClient {
    let options = graph_options(world.sandbox().url(), "SANDBOX-PAGE-1", RetryPolicy::default());
    unhindered(options, ReqwestTransport::new(), Arc::new(SystemClock))
}

/// When each id was made, and when it ends.
fn lives(world: &World) -> HashMap<String, (Timestamp, Timestamp)> {
    let attachments = world.truth().attachments.into_iter();
    attachments.map(|attachment| (attachment.id, (attachment.created_at, attachment.expires_at))).collect()
}

#[track_caller]
fn assert_no_more_uploads_than_it_takes(world: &World, assets: u32) {
    let most = u64::from(assets) * u64::from(DAYS.div_ceil(83));
    assert!(world.uploads() <= most, "{} uploads, and {most} would do", world.uploads());
}

#[test]
fn a_nightly_sync_keeps_every_asset_sendable_on_every_day_of_200() {
    const ASSETS: u32 = 24;
    let world = World::new();
    for number in 0..ASSETS {
        world.put(format!("{number}.png"), png(number));
    }
    let (client, page) = (client(&world), world.sandbox().pages()[0].id.parse().expect("a Page"));
    world.runtime.block_on(async {
        for day in 0..DAYS {
            let ids = nightly_sync(&world).await;
            assert_eq!(ids.len(), ASSETS as usize, "day {day}");
            // The last moment before the next night's sync is the worst.
            world.sandbox().advance_clock(DAY);
            for id in &ids {
                let message = Message::attachment(MediaKind::Image, id);
                let request = SendRequest::new("1254459154682919".parse().expect("a PSID"), message);
                let sent = client.send(&page, &request).await;
                assert!(sent.is_ok(), "day {day}: {sent:?}");
            }
        }
    });
    let lives = lives(&world);
    let truth = world.truth();
    assert_eq!(truth.message_count, u64::from(ASSETS * DAYS));
    for message in truth.messages {
        let id = message.request["message"]["attachment"]["payload"]["attachment_id"].as_str().expect("an id");
        let age = message.at.since(lives[id].0);
        assert!(age <= 89 * DAY, "{id} was sent at the age of {age:?}");
    }
    assert_no_more_uploads_than_it_takes(&world, ASSETS);
    assert!(world.uploads() > u64::from(ASSETS), "nothing was renewed");
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
#[ignore = "5,000 assets take minutes"]
fn a_nightly_sync_keeps_5_000_assets_alive_on_every_day_of_200() {
    const ASSETS: u32 = 5_000;
    let world = World::new();
    for number in 0..ASSETS {
        world.put(format!("{}/{number}.png", number % 50), png(number));
    }
    let mut oldest = Duration::ZERO;
    world.runtime.block_on(async {
        for day in 0..DAYS {
            let ids = nightly_sync(&world).await;
            assert_eq!(ids.len(), ASSETS as usize, "day {day}");
            world.sandbox().advance_clock(DAY);
            let (lives, now) = (lives(&world), world.sandbox().now());
            for id in ids {
                let (made, ends) = lives[id.as_str()];
                assert!(ends > now, "day {day}: {id} is dead");
                oldest = oldest.max(now.since(made));
            }
        }
    });
    assert!(oldest <= 89 * DAY, "{oldest:?}");
    assert_no_more_uploads_than_it_takes(&world, ASSETS);
    println!("{} uploads, the oldest id in use was {} days old", world.uploads(), oldest.as_secs() / 86_400);
}

#[test]
fn an_allowance_is_spent_on_what_ends_soonest() {
    let world = World::new();
    for (number, name) in ["c.png", "b.png", "a.png"].into_iter().enumerate() {
        world.put(name, png(u32::try_from(number).expect("small")));
        world.run(["sync", "library"]).ended_with(0);
        world.sandbox().advance_clock(DAY);
    }
    world.sandbox().advance_clock(82 * DAY);
    for renewed in ["c.png", "b.png", "a.png"] {
        let run = world.json(["sync", "library", "--max-uploads", "1"]).ended_with(0);
        assert_eq!(run.summary()["refreshed"], 1);
        assert_eq!(run.asset(renewed)["outcome"], "refreshed");
    }
    assert_eq!(world.uploads(), 6);
}

#[test]
fn what_has_no_id_comes_before_what_still_has_one() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    world.sandbox().advance_clock(85 * DAY);
    world.put("z.png", png(2));
    let run = world.json(["sync", "library", "--max-uploads", "1"]).ended_with(0);
    assert_eq!(run.asset("z.png")["outcome"], "uploaded");
    assert_eq!(run.asset("a.png")["outcome"], "deferred");
    let told = world.run(["sync", "library", "--max-uploads", "0"]).ended_with(0);
    assert!(told.stdout.contains("deferred  library/a.png"), "{}", told.stdout);
}

#[test]
fn a_sync_that_is_stopped_puts_off_the_renewals_that_are_left() {
    let world = World::new();
    for number in 0..12 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    world.sandbox().advance_clock(85 * DAY);
    world.sandbox().set_faults(json!({"on": "upload", "fault": {"stall_ms": 20}, "times": 12})).expect("a fault");
    let summary = world.runtime.block_on(async {
        let keeper = Keeper::start(&world, Arc::new(SystemClock)).await;
        let stop = Stop::new();
        let stop_at_the_first = |report: &reattach::library::AssetReport| {
            if report.outcome == AssetOutcome::Refreshed {
                stop.request();
            }
        };
        keeper.library().sync(&[world.library()], &options(), &stop, stop_at_the_first).await.expect("a sync").summary
    });
    assert!((1..=5).contains(&summary.refreshed), "{summary:?}");
    assert_eq!(summary.refreshed + summary.deferred, 12);
}
