//! A whole campaign in this process and in virtual time, its record on the disk, and Meta behind the wall.
//!
//! The clock stands still while anything is done, the record's own threads included, and goes on where all wait: tokio
//! holds its paused clock for as long as a blocking task of a current-thread runtime runs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use reattach::cache::FileCache;
use reattach::campaign::{CampaignSpec, PlanOptions, Replan, Run, RunParts, RunSummary, plan};
use reattach::clock::{Clock, ManualClock, SystemClock, Timestamp};
use reattach::graph::{Answered, Attempt, Body, Call, GraphClient, Phase, RetryPolicy, Transport, TransportError};
use reattach::ids::{KeySpace, Platform};
use reattach::library::{AssetLibrary, Inspector, LibraryParts};
use reattach::media::{BytePool, Reader};
use reattach::record::{self, Campaign, Record};
use reattach::stop::Stop;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::client::graph_options;
use crate::support::secrecy::{Listener, folder_keeps_secrets};

/// The longest wait of one call: `--max-wait`.
const PATIENCE: Duration = Duration::from_mins(15);
const LATENCY: Duration = Duration::from_millis(40);
/// Whoever sends to them finds a defect.
pub(super) const TRAP: &str = "66600000000";

/// A Graph API that takes every message, but for the time of a storm, and keeps count of its own.
#[derive(Debug)]
struct Meta {
    begun: Instant,
    storm: Range<Duration>,
    /// When it cannot be reached.
    outage: Range<Duration>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When each recipient's message was taken.
    taken: BTreeMap<String, Duration>,
    refused: usize,
}

#[async_trait]
impl Transport for Meta {
    async fn execute(&self, call: Call) -> Attempt {
        let now = self.begun.elapsed();
        if self.outage.contains(&now) {
            self.seen.lock().expect("whole").refused += 1;
            return Attempt::Failed { phase: Phase::BeforeRequest, cause: TransportError::new("no route to host") };
        }
        let Body::Json(body) = call.body else {
            // Whether the token may send is not for it to know.
            let body = r#"{"error":{"code":100,"message":"(#100) You must provide an app access token"}}"#.into();
            return Attempt::Answered(Answered { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body });
        };
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let recipient = body["recipient"]["id"].as_str().expect("a PSID").to_owned();
        assert_ne!(recipient, TRAP, "that is the defect");
        let (status, body) = {
            let mut seen = self.seen.lock().expect("whole");
            if self.storm.contains(&now) {
                seen.refused += 1;
                let error =
                    r#"{"error":{"code":613,"message":"(#613) Calls to this api have exceeded the rate limit."}}"#;
                (400, error.to_owned())
            } else {
                assert_eq!(seen.taken.insert(recipient.clone(), now), None, "{recipient} got it twice");
                (200, format!(r#"{{"recipient_id":"{recipient}","message_id":"m_{recipient}"}}"#))
            }
        };
        tokio::time::sleep(LATENCY).await;
        let status = StatusCode::from_u16(status).expect("a status");
        Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
    }
}

/// A place where campaigns are planned and sent, and nothing else happens.
pub(super) struct Room {
    folder: TempDir,
    pub(super) record: Arc<dyn Record>,
    pub(super) clock: Arc<dyn Clock>,
    meta: Arc<Meta>,
}

impl Room {
    /// A room in which it is this time.
    pub(super) async fn at(now: &str) -> Self {
        Self::with_storm(now, Duration::ZERO..Duration::ZERO).await
    }

    /// The same, where Meta cannot be reached for a time, counted from now.
    pub(super) async fn with_outage(now: &str, outage: Range<Duration>) -> Self {
        let room = Self::at(now).await;
        let meta = Meta { begun: room.meta.begun, storm: room.meta.storm.clone(), outage, seen: Mutex::default() };
        Self { meta: Arc::new(meta), ..room }
    }

    /// The same, where Meta refuses everything for a time, counted from now.
    pub(super) async fn with_storm(now: &str, storm: Range<Duration>) -> Self {
        // Thousands of waits for a disk are not what this is about.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let record = record::open(&folder.path().join("record.db")).await.expect("a record");
        let clock = Arc::new(ManualClock::new(now.parse::<Timestamp>().expect("a time")));
        let outage = Duration::ZERO..Duration::ZERO;
        let meta = Arc::new(Meta { begun: Instant::now(), storm, outage, seen: Mutex::default() });
        Self { folder, record, clock, meta }
    }

    /// Plans a campaign for this list, with what the file says beside.
    pub(super) async fn plan(&self, list: &str, rest: &str) -> Campaign {
        self.plan_anew(list, rest, Replan::Refused).await
    }

    pub(super) async fn plan_anew(&self, list: &str, rest: &str, replan: Replan) -> Campaign {
        std::fs::write(self.folder.path().join("people.csv"), list).expect("a file");
        let spec = format!("name = \"spring\"\nrecipients = \"people.csv\"\n{rest}");
        std::fs::write(self.folder.path().join("spring.toml"), spec).expect("a file");
        let spec = CampaignSpec::load(&self.folder.path().join("spring.toml")).expect("a campaign");
        let options = PlanOptions { space: Self::space(), replan, stop: Stop::new() };
        plan(&self.record, &spec, &options, &self.clock).await.expect("a plan").campaign
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).expect("a file");
    }

    /// Sends it, until that ends.
    pub(super) async fn run(&self, campaign: &Campaign) -> RunSummary {
        let listener = Listener::of_this_process();
        let run = Run::begin(self.parts(), campaign).await.expect("nobody else has it");
        let summary = run.send().await.expect("a run");
        listener.heard_no_secret();
        folder_keeps_secrets(self.folder.path(), None);
        summary
    }

    /// When each recipient's message was taken, counted from the beginning.
    pub(super) fn taken(&self) -> BTreeMap<String, Duration> {
        self.meta.seen.lock().expect("whole").taken.clone()
    }

    pub(super) fn refused(&self) -> usize {
        self.meta.seen.lock().expect("whole").refused
    }

    fn space() -> KeySpace {
        let page = "106000000000001".parse().expect("a Page");
        let origin = "https://graph.facebook.com".parse().expect("an origin");
        KeySpace { origin, page, platform: Platform::Messenger }
    }

    pub(super) fn parts(&self) -> RunParts {
        let (record, clock) = (Arc::clone(&self.record), Arc::clone(&self.clock));
        let retry = RetryPolicy { max_wait: PATIENCE, ..RetryPolicy::default() };
        let options = graph_options("https://graph.facebook.com", "SANDBOX-PAGE-1", retry);
        let meta: Arc<dyn Transport> = Arc::<Meta>::clone(&self.meta);
        let graph = Arc::new(GraphClient::new(options, meta, Arc::clone(&clock)));
        let reader = Reader::new(Arc::new(BytePool::new(1 << 20)), Arc::new(SystemClock));
        let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
        let library = AssetLibrary::new(LibraryParts {
            concurrency: 1,
            clock: Arc::clone(&clock),
            ..LibraryParts::new(Arc::clone(&graph), Arc::clone(&record), inspector, Self::space().page)
        });
        RunParts { record, graph, library, clock, stop: Stop::new() }
    }
}
