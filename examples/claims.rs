//! How fast recipients are claimed on a PostgreSQL server: `benches/claims.sh` runs it, beside pgbench.
//!
//! `claims URL plan PEOPLE` writes a campaign for so many down; `claims URL claim LIMIT WORKERS` has so many workers, each
//! with a record of its own, claim all that is to be sent, `LIMIT` at a time, and says how many rows a second that was.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "an example talks, and of small numbers")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use reattach::clock::{Clock, SystemClock};
use reattach::ids::{KeySpace, Platform, Recipient};
use reattach::record::{self, Begun, Enlisted, NewCampaign, NewRecipient, Reach, Record};
use serde_json::{Map, Value};

type Failed = Box<dyn Error + Send + Sync>;

/// People who are added to a plan at once, as many as `plan` does.
const CHUNK: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [url, "plan", people] => plan(&*open(url).await?, people.parse()?).await,
        [url, "claim", limit, workers] => claim(url, limit.parse()?, workers.parse()?).await,
        _ => Err("usage: claims URL plan PEOPLE | claims URL claim LIMIT WORKERS".into()),
    }
}

async fn open(url: &str) -> Result<Arc<dyn Record>, Failed> {
    Ok(record::connect(&url.parse()?).await?)
}

async fn plan(record: &dyn Record, people: u64) -> Result<(), Failed> {
    let space =
        KeySpace { origin: "https://graph.facebook.com".parse()?, page: "1".parse()?, platform: Platform::Messenger };
    let (message, settings) = ("{}".to_owned(), "{}".to_owned());
    let new =
        NewCampaign { space, name: "spring".parse()?, message, settings, parts: 1, replaces: None, testers: vec![] };
    let now = SystemClock.now();
    let Begun::Won(planner) = record.begin_plan(&new, std::process::id(), now).await? else {
        return Err("there is a plan already".into());
    };
    let somebody = |number: u64| NewRecipient {
        recipient: Recipient::Psid((1_254_459_154_000_000 + number).to_string()),
        variables: Map::from_iter([("first_name".to_owned(), Value::from("Ada"))]),
        last_interaction_at: Some(now),
        timezone: None,
    };
    for first in (0..people).step_by(usize::try_from(CHUNK)?) {
        record.add_recipients(&planner, (first..people.min(first + CHUNK)).map(somebody).collect()).await?;
    }
    record.seal_plan(&planner, &new, [7; 32], 0, now).await?;
    println!("{}", planner.campaign.0);
    Ok(())
}

async fn claim(url: &str, limit: usize, workers: usize) -> Result<(), Failed> {
    let mut ready = Vec::new();
    for _ in 0..workers {
        let record = open(url).await?;
        let now = SystemClock.now();
        let campaign = record.campaigns(now).await?.first().ok_or("there is no campaign")?.id;
        match record.enlist(campaign, std::process::id(), now).await? {
            Enlisted::Won(worker) => ready.push((record, worker)),
            Enlisted::Held(_) => return Err("somebody plans it".into()),
        }
    }
    let began = Instant::now();
    let claiming = ready.iter().map(|(record, worker)| {
        let (record, worker) = (Arc::clone(record), *worker);
        tokio::spawn(async move {
            let mut rows = 0;
            loop {
                match record.claim_deliveries(&worker, Reach::All, limit, SystemClock.now()).await?.rows.len() {
                    0 => return Ok::<_, Failed>(rows),
                    more => rows += more,
                }
            }
        })
    });
    let mut rows = 0;
    for claimed in futures::future::join_all(claiming).await {
        rows += claimed??;
    }
    println!("{:.0}", rows as f64 / began.elapsed().as_secs_f64());
    Ok(())
}
