//! Several processes that send in one Page's name: together never more than it may, and little less.
//!
//! What is promised is what leaves: never more than the rate in any second, which is held to exactly where it can be seen.
//! What arrives may come closer together, by a handshake that only some calls need or a machine that is busy with other
//! things. That no second may hold more than Meta takes, and no few seconds more than their rate.

use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use reattach::cache::FileCache;
use reattach::clock::{Clock, SystemClock, Timestamp};
use reattach::graph::{Answered, Attempt, Call, GraphClient, Message, RetryPolicy, SendRequest, Transport};
use reattach::ids::{PageId, Recipient};
use reattach::library::{AssetLibrary, Inspector, LibraryParts};
use reattach::media::{BytePool, Reader};
use reattach::record;
use serde_json::json;

use crate::campaign::{TEXT, campaign, truth};
use crate::support::client::graph_options;
use crate::support::postgres::Server;
use crate::support::{World, wait_until};

use super::workers::wait_for;
use super::{server, world};

const RATE: u32 = 30;
/// More than that in a second, and Meta blocks the Page.
const META_MINDS: u32 = 40;
const SECOND: Duration = Duration::from_secs(1);
/// A second, less what a busy machine may hold up of what left before.
const NEARLY_A_SECOND: Duration = Duration::from_millis(900);

/// A planned campaign for more people than get it, and two processes that send it, each as fast as the Page may.
fn two_at_work(server: &Server) -> (World, Vec<Child>) {
    let world = world(server);
    campaign(&world, 5_000, TEXT);
    world.json(["campaign", "plan", "library/spring.toml"]).ended_with(0);
    let run = ["campaign", "run", "library/spring.toml", "--yes", "--json"];
    let workers = (0..2).map(|_| world.start(run)).collect();
    (world, workers)
}

fn end(mut workers: Vec<Child>) {
    for worker in &mut workers {
        worker.kill().expect("killed");
        worker.wait().expect("ended");
    }
}

/// When messages arrived, in their order.
fn times(world: &World) -> Vec<Timestamp> {
    world.truth().messages.iter().map(|message| message.at).collect()
}

/// What arrived is as even as can be said of it.
fn assert_even(times: &[Timestamp]) {
    for (span, limit) in [(SECOND, META_MINDS), (SECOND * 5, 5 * RATE)] {
        let until = |first: Timestamp| times.partition_point(|at| *at <= first.plus(span));
        let most = times.iter().enumerate().map(|(place, first)| until(*first) - place).max();
        assert!(most <= Some(limit as usize), "{most:?} within {span:?}");
    }
}

/// How many messages a second there were from one of them to another.
fn pace(times: &[Timestamp]) -> f64 {
    let (first, last) = (times[0], times[times.len() - 1]);
    let count = u32::try_from(times.len() - 1).expect("few");
    f64::from(count) / last.since(first).as_secs_f64()
}

#[test]
fn two_processes_share_a_pages_rate_and_what_a_killed_one_had_is_the_others() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = two_at_work(server);
    wait_for(&world, 400, &mut workers);
    let killed_at = SystemClock.now();
    end(vec![workers.remove(0)]);
    // With half the rate, until the lease is over and a second more; and then with all of it.
    wait_for(&world, 400 + 6 * 15 + 120, &mut workers);
    let went_on_at = SystemClock.now();
    wait_for(&world, 400 + 6 * 15 + 240, &mut workers);
    end(workers);
    let times = times(&world);
    assert_even(&times);
    let between = |from: Timestamp, until: Timestamp| -> Vec<_> {
        times.iter().copied().filter(|at| (from..until).contains(at)).collect()
    };
    // The first seconds are the one's who came first.
    let both = pace(&between(times[0].plus(SECOND * 4), killed_at));
    assert!(both >= 0.9 * f64::from(RATE), "{both} a second");
    let one = pace(&between(went_on_at, times[times.len() - 1]));
    assert!(one >= 0.9 * f64::from(RATE), "{one} a second, alone");
    assert!(truth(&world).values().all(|count| *count == 1), "somebody got something twice");
}

#[test]
fn a_throttle_one_process_meets_stops_the_other_within_a_second() {
    let Some((server, _turn)) = server() else { return };
    let (world, mut workers) = two_at_work(server);
    wait_for(&world, 200, &mut workers);
    let throttle = json!({"on": "send", "fault": {
        "graph": {"code": 613, "message": "slow down"}, "status": 400, "headers": {"Retry-After": "9"},
    }});
    world.sandbox().set_faults(throttle).expect("a fault");
    wait_until("it is throttled", || world.counts().faults_fired > 0);
    let (throttled_at, began) = (SystemClock.now(), Instant::now());
    let sent = world.counts().messages_accepted;
    wait_for(&world, sent + 150, &mut workers);
    assert!(began.elapsed() > SECOND * 9, "nobody waited");
    end(workers);
    let times = times(&world);
    let after = times.partition_point(|at| *at <= throttled_at.plus(SECOND));
    let silence = times[after].since(throttled_at);
    assert!(silence >= SECOND * 8 + NEARLY_A_SECOND, "after {silence:?} somebody called again");
    assert_even(&times);
    // Both go on, slowed down.
    let pace = pace(&times[after + 60..]);
    assert!((14.0..25.0).contains(&pace), "{pace} a second");
}

/// A Meta that takes everything, and notes when it left.
#[derive(Debug, Default)]
struct Meta(Mutex<Vec<Instant>>);

#[async_trait]
impl Transport for Meta {
    async fn execute(&self, _: Call) -> Attempt {
        self.0.lock().expect("whole").push(Instant::now());
        tokio::time::sleep(Duration::from_millis(40)).await;
        let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
        Attempt::Answered(Answered { status, headers, body: r#"{"recipient_id":"1","message_id":"m"}"#.into() })
    }
}

/// A bot on a connection of its own to the record at `url`, sending as fast as it may.
async fn bot(url: &str, meta: &Arc<Meta>) {
    let record = record::connect(&url.parse().expect("an address")).await.expect("a record");
    let (origin, page): (_, PageId) = ("https://graph.facebook.com", "1".parse().expect("a Page"));
    let options = graph_options(origin, "SANDBOX-PAGE-1", RetryPolicy::default());
    let graph = Arc::new(GraphClient::new(options, Arc::<Meta>::clone(meta), Arc::new(SystemClock)));
    let reader = Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::new(SystemClock));
    let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
    let _library = AssetLibrary::new(LibraryParts::new(Arc::clone(&graph), record, inspector, page.clone()));
    let request = SendRequest::new(Recipient::Psid("1".to_owned()), Message::text("hi"));
    let endless = futures::stream::repeat(()).map(|()| graph.send(&page, &request)).buffer_unordered(16);
    endless.for_each(async |sent| _ = sent.expect("sent")).await;
}

#[test]
fn however_many_bots_come_and_go_no_second_holds_more_than_the_page_may() {
    let Some((server, _turn)) = server() else { return };
    let (url, meta) = (server.url(&server.database(None)), Arc::<Meta>::default());
    let stay = async |from: u32, seconds: u32| {
        tokio::time::sleep(SECOND * from).await;
        let _ = tokio::time::timeout(SECOND * seconds, bot(&url, &meta)).await;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { futures::join!(stay(0, 8), stay(1, 11), stay(3, 3)) });
    let left = meta.0.lock().expect("whole").clone();
    let until = |first: Instant| left.partition_point(|at| *at <= first + SECOND);
    let most = left.iter().enumerate().map(|(place, first)| until(*first) - place).max();
    assert!(most <= Some(RATE as usize), "{most:?} left in a second");
    assert!(left.len() >= 12 * RATE as usize * 70 / 100, "{} left", left.len());
}
