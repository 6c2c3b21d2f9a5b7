//! Ten minutes of throttles on everything, in virtual time, through a whole run with its record on the disk.
//!
//! The clock stands still while anything is done, the record's own threads included, and goes on where all wait: tokio
//! holds its paused clock for as long as a blocking task of a current-thread runtime runs.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use reattach::cache::FileCache;
use reattach::campaign::{CampaignSpec, Counts, End, PlanOptions, Replan, Run, RunParts, plan};
use reattach::clock::{Clock, ManualClock, SystemClock, Timestamp};
use reattach::delivery::State;
use reattach::graph::{Answered, Attempt, Body, Call, GraphClient, RetryPolicy, Transport};
use reattach::ids::{KeySpace, Platform};
use reattach::library::{AssetLibrary, Inspector, LibraryParts, NoReport, UrlQuery};
use reattach::media::{BytePool, Reader};
use reattach::record::{self, Record};
use reattach::stop::Stop;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::client::graph_options;

const PEOPLE: u64 = 10_000;
const WORKERS: usize = 8;
/// The storm begins when the campaign is well under way.
const CALM: Duration = Duration::from_mins(1);
const STORM: Duration = Duration::from_mins(10);
/// The longest wait of one call: `--max-wait`.
const PATIENCE: Duration = Duration::from_mins(15);
const LATENCY: Duration = Duration::from_millis(40);

/// A Graph API that takes every message, but for the time of the storm, and keeps count of its own.
#[derive(Debug)]
struct Weather {
    begun: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// How often each recipient's message was taken.
    taken: HashMap<String, u64>,
    /// When.
    taken_at: Vec<Duration>,
    refused_at: Vec<Duration>,
}

#[async_trait]
impl Transport for Weather {
    async fn execute(&self, call: Call) -> Attempt {
        let now = self.begun.elapsed();
        let Body::Json(body) = call.body else {
            // Whether the token may send is not for it to know.
            let body = r#"{"error":{"code":100,"message":"(#100) You must provide an app access token"}}"#.into();
            return Attempt::Answered(Answered { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body });
        };
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let recipient = body["recipient"]["id"].as_str().expect("a PSID").to_owned();
        let (status, body) = {
            let mut seen = self.seen.lock().expect("whole");
            if (CALM..CALM + STORM).contains(&now) {
                seen.refused_at.push(now);
                (
                    400,
                    r#"{"error":{"code":613,"message":"(#613) Calls to this api have exceeded the rate limit."}}"#
                        .to_owned(),
                )
            } else {
                seen.taken_at.push(now);
                *seen.taken.entry(recipient.clone()).or_default() += 1;
                (200, format!(r#"{{"recipient_id":"{recipient}","message_id":"m_{recipient}"}}"#))
            }
        };
        tokio::time::sleep(LATENCY).await;
        let status = StatusCode::from_u16(status).expect("a status");
        Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
    }
}

fn parts(transport: Arc<Weather>, record: &Arc<dyn Record>, clock: &Arc<dyn Clock>) -> RunParts {
    let retry = RetryPolicy { max_wait: PATIENCE, ..RetryPolicy::default() };
    let options = graph_options("https://graph.facebook.com", "PAGE-TOKEN", retry);
    let space = KeySpace {
        origin: options.origin.clone(),
        page: "106000000000001".parse().expect("a Page"),
        platform: Platform::Messenger,
    };
    let graph = Arc::new(GraphClient::new(options, transport, Arc::clone(clock)));
    let reader = || Arc::new(Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::new(SystemClock)));
    let cache = Arc::new(FileCache::disabled());
    let library = AssetLibrary::new(LibraryParts {
        graph: Arc::clone(&graph),
        record: Arc::clone(record),
        inspector: Inspector { reader: reader(), cache, private: Arc::default(), fitter: None },
        upload_reader: reader(),
        space,
        url_query: UrlQuery::Kept,
        concurrency: 1,
        clock: Arc::clone(clock),
        stop: Stop::new(),
        reporter: Arc::new(NoReport),
    });
    RunParts { record: Arc::clone(record), graph, library, clock: Arc::clone(clock), stop: Stop::new() }
}

fn write_campaign(folder: &Path) -> CampaignSpec {
    let mut list = "recipient\n".to_owned();
    (1..=PEOPLE).for_each(|psid| writeln!(list, "{psid}").expect("memory"));
    std::fs::write(folder.join("people.csv"), list).expect("a file");
    let spec = format!(
        "name = \"spring\"\nrecipients = \"people.csv\"\nconcurrency = {WORKERS}\n[[message]]\ntext = \"Hi\"\n"
    );
    std::fs::write(folder.join("spring.toml"), spec).expect("a file");
    CampaignSpec::load(&folder.join("spring.toml")).expect("a campaign")
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_fail_nobody_and_cost_nobody_an_attempt() {
    // Twenty thousand waits for a disk are not what this is about.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_775_044_800_000)));
    let record = record::open(&folder.path().join("record.db")).await.expect("a record");
    let spec = write_campaign(folder.path());
    let weather = Arc::new(Weather { begun: Instant::now(), seen: Mutex::default() });
    let parts = parts(Arc::clone(&weather), &record, &clock);
    let space = parts.library.space().clone();
    let options = PlanOptions { space, replan: Replan::Refused, stop: Stop::new() };
    let planned = plan(&record, &spec, &options, &clock).await.expect("a plan");
    let run = Run::begin(parts, planned.campaign.clone()).await.expect("nobody else has it");
    let summary = run.send().await.expect("a run");

    assert!(matches!(summary.end, End::Finished), "{:?}", summary.end);
    let all = Counts { total: PEOPLE, sent: PEOPLE, ..Counts::default() };
    assert_eq!((summary.counts, summary.sent, summary.unsaved.len()), (all, PEOPLE, 0));
    let seen = std::mem::take(&mut *weather.seen.lock().expect("whole"));
    assert_eq!(seen.taken.len() as u64, PEOPLE, "somebody was forgotten");
    assert!(seen.taken.values().all(|count| *count == 1), "somebody got it twice");
    let stored = record.deliveries(planned.campaign.id, None, None, usize::MAX).await.expect("deliveries");
    assert_eq!(stored.len() as u64, PEOPLE);
    for listed in stored {
        let delivery = (listed.delivery.state, listed.delivery.attempt, listed.delivery.message_id);
        assert_eq!(delivery, (State::Sent, 1, Some(format!("m_{}", listed.recipient))), "{}", listed.key);
    }
    let refused = seen.refused_at.len();
    assert!((1..=20 + WORKERS).contains(&refused), "{refused} calls during the storm");
    let resumed = seen.taken_at.iter().find(|at| **at >= CALM + STORM).expect("it went on");
    let late = resumed.abs_diff(CALM + STORM);
    assert!(late <= Duration::from_mins(1), "it went on {late:?} after the storm");
}
