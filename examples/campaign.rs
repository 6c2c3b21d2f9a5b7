//! A campaign without the command line: plan, look ahead, send, and read what became of everybody.
//!
//! Runs against a sandbox in the same process. With an argument it measures: `cargo run --release --example campaign --
//! 20000` sends to so many people as fast as it can, with the ledger and without, and says how large the ledger is. With
//! the address of a PostgreSQL database behind that, the ledger is there.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "an example talks, and of small numbers")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use reattach::cache::FileCache;
use reattach::campaign::{CampaignSpec, PlanOptions, Replan, Run, RunParts, plan};
use reattach::clock::{Clock, SystemClock};
use reattach::graph::{Governor, GraphClient, GraphOptions, Message, PaceLimits, ReqwestTransport, SendRequest};
use reattach::ids::{PageId, Recipient};
use reattach::library::{AssetLibrary, Inspector, LibraryParts};
use reattach::media::{BytePool, Reader};
use reattach::record::{self, Record};
use reattach::sandbox::{Sandbox, SandboxOptions};
use reattach::secret::AccessToken;
use reattach::stop::Stop;

/// Messages under way at once when the bare transport is measured, as many as a run has.
const IN_FLIGHT: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let people: Option<u64> = std::env::args().nth(1).map(|word| word.parse()).transpose()?;
    let shared = std::env::args().nth(2);
    let sandbox = reattach::sandbox::start(SandboxOptions::default()).await?;
    let folder = std::env::temp_dir().join(format!("reattach-example-{:016x}", fastrand::u64(..)));
    std::fs::create_dir_all(&folder)?;
    let told = match people {
        None => tell(&sandbox, &folder, None, 20).await,
        Some(people) => measure(&sandbox, &folder, shared.as_deref(), people).await,
    };
    std::fs::remove_dir_all(&folder)?;
    sandbox.shutdown().await?;
    told
}

/// Sends a campaign to `people`, and says what came of it.
async fn tell(sandbox: &Sandbox, folder: &Path, shared: Option<&str>, people: u64) -> Result<(), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let record = match shared {
        Some(url) => record::connect(&url.parse()?).await?,
        None => record::open(&folder.join("record.db")).await?,
    };
    let graph = Arc::new(client(sandbox)?);
    let library = library(sandbox, &graph, &record)?;

    // What goes to whom.
    write_campaign(folder, people)?;
    let spec = CampaignSpec::load(&folder.join("spring.toml"))?;

    // Written down once, and from then on it does not change. Planning again attaches to what is there.
    let options = PlanOptions { space: library.space().clone(), replan: Replan::Refused, stop: Stop::new() };
    let began = Instant::now();
    let planned = plan(&record, &spec, &options, &clock).await?;
    println!("planned {} recipients in {:.2?}", planned.campaign.recipients, began.elapsed());

    // Nobody else can send it while we hold it.
    let parts = RunParts { record: Arc::clone(&record), graph, library, clock: Arc::clone(&clock), stop: Stop::new() };
    let mut run = Run::begin(parts, &planned.campaign).await?;
    let ahead = run.preflight().await?;
    println!("{} calls ahead; {}: {}", ahead.calls, ahead.delivery.as_str(), ahead.delivery.promise());
    let summary = run.send().await?;

    let counts = summary.counts;
    println!("{} sent, {} failed, {} unknown of {}", counts.sent, counts.failed, counts.unknown, counts.total);
    let per_second = counts.sent as f64 / summary.elapsed.as_secs_f64();
    println!("{:.2?}, {per_second:.0} a second, each with its intent and its result on the disk", summary.elapsed);

    // What became of everybody, from the record.
    let first = record.deliveries(summary.campaign.id, None, None, 3).await?;
    for listed in first {
        println!(
            "  {} is {} ({})",
            listed.recipient,
            listed.delivery.state,
            listed.delivery.message_id.unwrap_or_default()
        );
    }
    Ok(())
}

/// The same, beside the bare transport in the same run.
async fn measure(sandbox: &Sandbox, folder: &Path, shared: Option<&str>, people: u64) -> Result<(), Box<dyn Error>> {
    tell(sandbox, folder, shared, people).await?;
    if shared.is_none() {
        let size = std::fs::metadata(folder.join("record.db"))?.len();
        println!("ledger: {} bytes a recipient", size / people);
    }
    let graph = client(sandbox)?;
    let page: PageId = sandbox.pages()[0].id.parse()?;
    let began = Instant::now();
    let sends = futures::stream::iter(0..people).map(|number| {
        let request = SendRequest::new(Recipient::Psid(format!("{}", 1_000_000 + number)), Message::text("Hi there"));
        let (graph, page) = (graph.clone(), page.clone());
        tokio::spawn(async move { graph.send(&page, &request).await.is_ok() })
    });
    let sent =
        sends.buffer_unordered(IN_FLIGHT).filter(|sent| std::future::ready(matches!(sent, Ok(true)))).count().await;
    let per_second = sent as f64 / began.elapsed().as_secs_f64();
    println!("without a ledger: {sent} sent in {:.2?}, {per_second:.0} a second", began.elapsed());
    Ok(())
}

fn write_campaign(folder: &Path, people: u64) -> std::io::Result<()> {
    let mut list = String::from("recipient,first_name\n");
    for number in 0..people {
        // Writing to a string does not fail.
        let _ = writeln!(list, "{},Ada", 1_254_459_154_000_000 + number);
    }
    std::fs::write(folder.join("people.csv"), list)?;
    let batch = std::env::var("BATCH").unwrap_or_else(|_| "1".to_owned());
    let spec = format!(
        "name = \"spring-sale\"\nrecipients = \"people.csv\"\nbatch = {batch}\n[[message]]\ntext = \"Hi {{first_name}}\"\n"
    );
    std::fs::write(folder.join("spring.toml"), spec)
}

/// A client of the sandbox's first Page, with no pace to keep.
fn client(sandbox: &Sandbox) -> Result<GraphClient, Box<dyn Error>> {
    let token = AccessToken::new(sandbox.pages()[0].access_token).ok_or("no token")?;
    let options = GraphOptions::new(sandbox.url().parse()?, token);
    let fast = 10_000_000;
    let limits =
        PaceLimits { messages_per_second: fast, media_per_second: fast, calls_per_second: fast, calls_per_day: None };
    let client = GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::new(SystemClock));
    Ok(client.with_governor(Arc::new(Governor::new(limits))))
}

fn library(
    sandbox: &Sandbox,
    graph: &Arc<GraphClient>,
    record: &Arc<dyn Record>,
) -> Result<AssetLibrary, Box<dyn Error>> {
    let reader = Reader::new(Arc::new(BytePool::new(64 << 20)), Arc::new(SystemClock));
    let inspector = Inspector::new(Arc::new(reader), Arc::new(FileCache::disabled()));
    let page = sandbox.pages()[0].id.parse()?;
    Ok(AssetLibrary::new(LibraryParts::new(Arc::clone(graph), Arc::clone(record), inspector, page)))
}
