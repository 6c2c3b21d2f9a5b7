//! How long a bot waits for an id that is known: `benches/hits.sh` runs it on a PostgreSQL server of its own.
//!
//! `hits URL` puts some files on record and asks for them one after another by the library's `resolve`, as its callers do:
//! by their bytes' digest, by an alias, and by their path, which is looked at each time to see whether it is the file it was.
//! Beside that, in turns with it, a bare prepared `SELECT` of the same rows on a connection of its own.

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reattach::cache::FileCache;
use reattach::clock::{Clock, SystemClock};
use reattach::graph::{GraphClient, GraphOptions, ReqwestTransport};
use reattach::ids::{AliasName, Asset, AssetKey, ContentHash, KeySpace, MediaKind, Platform};
use reattach::library::{
    AssetLibrary, AssetOutcome, AssetRef, Inspector, Known, LibraryParts, PlanRules, ResolveOptions,
};
use reattach::media::{BytePool, Reader};
use reattach::record::{self, Alias, AliasTarget, Record, Upload, UploadState};
use reattach::secret::AccessToken;
use sha2::{Digest, Sha256};

type Failed = Box<dyn Error + Send + Sync>;

const ASSETS: usize = 1_000;
/// How often everything is asked for, each time in turns with all the other ways.
const ROUNDS: usize = 20;
const ORIGIN: &str = "https://graph.facebook.com";

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let url = std::env::args().nth(1).ok_or("usage: hits URL")?;
    let folder = std::env::temp_dir().join(format!("reattach-hits-{:016x}", fastrand::u64(..)));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&url, &folder).await;
    std::fs::remove_dir_all(&folder)?;
    measured
}

/// The ways to ask for one asset.
struct Names {
    hash: ContentHash,
    by: [(&'static str, AssetRef); 3],
}

async fn measure(url: &str, folder: &Path) -> Result<(), Failed> {
    let record = record::connect(&url.parse()?).await?;
    let space = KeySpace { origin: ORIGIN.parse()?, page: "1".parse()?, platform: Platform::Messenger };
    let mut assets = Vec::with_capacity(ASSETS);
    for number in 0..ASSETS {
        assets.push(put_on_record(&*record, &space, folder, number).await?);
    }
    let library = library(&record, url, &space, folder)?;
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let sql = "SELECT attachment_id, state, uploaded_at, expires_at, size_bytes, mime, width, height, source, epoch
               FROM reattach.uploads JOIN reattach.spaces ON spaces.id = space
               WHERE origin = $1 AND page_id = $2 AND platform = $3 AND sha256 = $4 AND kind = $5";
    let bare = client.prepare(sql).await?;

    let rules = PlanRules { renew_within: Duration::from_hours(24), force: false };
    let asked = ResolveOptions::uploading(rules);
    let known = asked.clone().from_what_is_known();
    let mut rows: Vec<(String, Vec<Duration>)> = Vec::new();
    let mut note = |name: String, took: Duration| match rows.iter_mut().find(|(row, _)| *row == name) {
        Some((_, times)) => times.push(took),
        None => rows.push((name, vec![took])),
    };
    for _ in 0..ROUNDS {
        for names in &assets {
            let digest = names.hash.as_bytes().to_vec();
            let begun = Instant::now();
            let found = client.query_one(&bare, &[&ORIGIN, &"1", &"messenger", &digest, &"file"]).await?;
            note("bare SELECT".to_owned(), begun.elapsed());
            drop(found);
            for (way, name) in &names.by {
                for (whose, options) in [("the record", &asked), ("", &known), ("memory", &known)] {
                    let begun = Instant::now();
                    let report = library.resolve(name, options).await;
                    let took = begun.elapsed();
                    if report.outcome != AssetOutcome::Reused {
                        return Err(format!("{name}: {report:?}").into());
                    }
                    // The one between sees to it that memory has it.
                    if !whose.is_empty() {
                        note(format!("{way}, from {whose}"), took);
                    }
                }
            }
        }
    }
    println!("{ASSETS} assets, {ROUNDS} times each, one after another; microseconds");
    println!("{:<28} {:>9} {:>9}", "", "median", "p99");
    for (name, mut times) in rows {
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
        println!("{name:<28} {:>9.1} {:>9.1}", at(50), at(99));
    }
    Ok(())
}

/// A file of its own bytes, their id on record, and an alias for them.
async fn put_on_record(record: &dyn Record, space: &KeySpace, folder: &Path, number: usize) -> Result<Names, Failed> {
    let path = folder.join(format!("{number}.pdf"));
    let bytes = format!("%PDF-1.4\n%{number}\n%%EOF\n").into_bytes();
    std::fs::write(&path, &bytes)?;
    let hash = ContentHash(Sha256::digest(&bytes).into());
    let asset = Asset::Bytes(hash);
    let now = SystemClock.now();
    let upload = Upload {
        key: AssetKey { space: space.clone(), kind: MediaKind::File, asset: asset.clone() },
        attachment_id: (1_857_777_774_821_032 + number).to_string().parse()?,
        uploaded_at: now,
        expires_at: now.plus(reattach::library::ID_LIFETIME),
        size_bytes: bytes.len() as u64,
        mime: "application/pdf".to_owned(),
        dimensions: None,
        source: Some(path.clone()),
        state: UploadState::Live,
    };
    record.adopt(&[upload]).await?;
    let name: AliasName = format!("asset-{number}").parse()?;
    let target = AliasTarget { asset, kind: MediaKind::File, source: None };
    record.set_alias(&Alias { name: name.clone(), target, set_at: now }).await?;
    let by = [("digest", AssetRef::Hash(hash)), ("alias", AssetRef::Alias(name)), ("path", AssetRef::File(path))];
    Ok(Names { hash, by })
}

/// A bot's library, with a cache as it has one.
fn library(record: &Arc<dyn Record>, url: &str, space: &KeySpace, folder: &Path) -> Result<AssetLibrary, Failed> {
    let token = AccessToken::new("NOBODYS").ok_or("no token")?;
    let options = GraphOptions { platform: space.platform, ..GraphOptions::new(space.origin.clone(), token) };
    let graph = GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::new(SystemClock));
    let reader = Reader::new(Arc::new(BytePool::new(64 << 20)), Arc::new(SystemClock));
    let cache = Arc::new(FileCache::open(&folder.join("cache"), &SystemClock).cache);
    let known = Known::of(Arc::clone(record)).kept_in(Arc::clone(&cache), url.to_owned());
    let inspector = Inspector::new(Arc::new(reader), cache);
    let parts = LibraryParts::new(Arc::new(graph), Arc::clone(record), inspector, space.page.clone());
    Ok(AssetLibrary::new(parts).with_known(Arc::new(known)))
}
