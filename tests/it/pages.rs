//! Several Pages at once: one library fanned out, each file read once, no id on a Page that is not its own.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reattach::clock::SystemClock;
use reattach::graph::{Answered, Attempt, Call, ReqwestTransport, Transport};
use reattach::library::{AssetLibrary, AssetReport, LibraryError};
use reattach::stop::Stop;
use serde_json::{Value, json};

use crate::library::options;
use crate::support::keeper::Keeper;
use crate::support::pictures::png;
use crate::support::served::Served;
use crate::support::{Ran, World};

const DAY: Duration = Duration::from_hours(24);
const BOTH: [&str; 2] = ["--page", "shop,news"];

/// A world whose configuration knows both Pages of the sandbox.
fn with_two_pages() -> World {
    let world = World::new();
    world.configure(
        "[pages.shop]\nid = \"106000000000001\"\naccess_token_env = \"SHOP\"\n\
         [pages.news]\naccess_token_env = \"NEWS\"\n",
    );
    world
}

fn run_with(world: &World, arguments: &[&str], news: &str) -> Ran {
    let mut command = world.command(arguments);
    command.env("SHOP", "SANDBOX-PAGE-1").env("NEWS", news).env_remove("REATTACH_ACCESS_TOKEN");
    Ran::new(command.output().expect("runs"))
}

fn run(world: &World, arguments: &[&str]) -> Ran {
    run_with(world, arguments, "SANDBOX-PAGE-2")
}

/// The id of each file on each Page, as it was told.
fn told(run: &Ran) -> HashMap<(String, String), String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let key = |asset: &Value| (text(&asset["page_id"]), text(&asset["sha256"]));
    run.events_of("asset").iter().map(|asset| (key(asset), text(&asset["attachment_id"]))).collect()
}

#[test]
fn an_alias_finds_its_bytes_where_another_page_has_them_from() {
    let world = with_two_pages();
    let old = world.put("a.png", png(1));
    run(&world, &["sync", "library", "--page", "shop"]).ended_with(0);
    run(&world, &["alias", "hero", "library/a.png", "--page", "shop"]).ended_with(0);
    std::fs::rename(old, world.library().join("b.png")).expect("renamed");
    run(&world, &["resolve", "@hero", "--page", "news"]).ended_with(3);
    run(&world, &["sync", "library", "--page", "shop"]).ended_with(0);
    let resolved = run(&world, &["resolve", "@hero", "--page", "news", "--json"]).ended_with(0);
    let asset = &resolved.events_of("asset")[0];
    assert_eq!((&asset["outcome"], &asset["page_id"]), (&json!("uploaded"), &json!("106000000000002")));
    assert!(asset["path"].as_str().expect("a path").ends_with("b.png"), "{asset}");
    // What no name stands for is not looked for elsewhere.
    let hash = format!("sha256:{}", asset["sha256"].as_str().expect("a hash"));
    run(&world, &["forget", "@hero", "--page", "news", "--yes"]).ended_with(0);
    run(&world, &["resolve", &hash, "--page", "news"]).ended_with(3);
    assert_eq!(world.uploads(), 2);
}

#[test]
fn one_sync_gives_each_page_ids_of_its_own() {
    let world = with_two_pages();
    for number in 0..5 {
        world.put(format!("{number}.png"), png(number));
    }
    let first = run(&world, &["sync", "library", "--json", BOTH[0], BOTH[1]]).ended_with(0);
    assert_eq!(world.uploads(), 10);
    let summaries = first.events_of("summary");
    let page = |summary: &Value| (summary["page"].clone(), summary["page_id"].clone());
    assert_eq!(page(&summaries[0]), (json!("shop"), json!("106000000000001")));
    assert_eq!(page(&summaries[1]), (json!("news"), json!("106000000000002")));
    assert_eq!((&summaries[0]["uploaded"], &summaries[1]["uploaded"]), (&json!(5), &json!(5)));
    let total = &summaries[2];
    assert_eq!((total.get("page"), &total["uploaded"], &total["files"]), (None, &json!(10), &json!(5)));
    assert_eq!(first.events().last(), Some(total));
    let words = run(&world, &["sync", "library", BOTH[0], BOTH[1]]).ended_with(0).stdout;
    assert!(
        words.contains("shop: 5 files, 0 uploaded") && words.contains("\n5 files, 0 uploaded, 10 reused"),
        "{words}"
    );
    let second = run(&world, &["sync", "library", "--json", BOTH[0], BOTH[1]]).ended_with(0);
    assert_eq!((&second.summary()["uploaded"], &second.summary()["reused"]), (&json!(0), &json!(10)));
    assert_eq!((world.uploads(), told(&first)), (10, told(&second)));
}

#[test]
fn ids_never_cross_between_pages_or_origins() {
    let (world, elsewhere) = (with_two_pages(), World::new());
    for number in 0..3 {
        world.put(format!("{number}.png"), png(number));
    }
    let elsewhere_url = elsewhere.sandbox().url().to_owned();
    let sync = ["sync", "library", "--json", BOTH[0], BOTH[1]];
    let here = run(&world, &sync).ended_with(0);
    let there = run(&world, &[&sync[..], &["--graph-url", &elsewhere_url]].concat()).ended_with(0);
    assert_eq!((world.uploads(), elsewhere.uploads()), (6, 6));
    for (run, world) in [(&here, &world), (&there, &elsewhere)] {
        let truth: HashMap<_, _> = world
            .truth()
            .attachments
            .into_iter()
            .map(|made| ((made.page_id, made.file.expect("a file").sha256), made.id))
            .collect();
        assert_eq!(told(run), truth);
    }
    // And they are sent by nobody else: each Page's own is the one that is found for it.
    let found = run(&world, &["resolve", "library/0.png", BOTH[0], BOTH[1]]).ended_with(0);
    let lines: Vec<Vec<&str>> = found.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.iter().map(|line| line[1]).collect::<Vec<_>>(), ["shop", "news"]);
    assert!(lines.iter().all(|line| line[2] == "library/0.png"), "{lines:?}");
    for (line, page) in lines.iter().zip(["106000000000001", "106000000000002"]) {
        let made = world.truth().attachments.into_iter().find(|made| made.id == line[0]).expect("made here");
        assert_eq!(made.page_id, page);
    }
    assert_eq!((world.uploads(), elsewhere.uploads()), (6, 6));
}

#[test]
fn a_dead_token_on_one_page_does_not_stop_the_others() {
    let world = with_two_pages();
    for number in 0..8 {
        world.put(format!("{number}.png"), png(number));
    }
    let sync = ["sync", "library", "--json", BOTH[0], BOTH[1]];
    // Dead from the start, and one that nobody has set.
    for news in ["DEAD", ""] {
        let run = run_with(&world, &sync, news).ended_with(4);
        assert_eq!(run.events_of("error")[0]["page"], "news");
        assert_eq!(run.summary()["failed"], 0);
    }
    assert_eq!(world.uploads(), 8);
    // Dead since it was last used: the Page is left out, whichever it is.
    let dead = json!({"on": "me", "fault": {"graph": {"code": 190, "message": "dead"}, "status": 400}});
    run(&world, &["resolve", "library/0.png", "--page", "news"]).ended_with(0);
    world.sandbox().set_faults(dead).expect("a fault");
    let left_out = run(&world, &[&sync[..], &["--dry-run"]].concat()).ended_with(4);
    let files: HashSet<u64> =
        left_out.events_of("summary").iter().filter_map(|summary| summary["files"].as_u64()).collect();
    assert_eq!((files, left_out.events_of("error").len()), (HashSet::from([0, 8]), 1));
    // Dead when the first upload is made: the fault strikes whoever comes, so the other Page has nothing to do.
    let dead =
        json!({"on": "upload", "fault": {"graph": {"code": 190, "message": "dead"}, "status": 400}, "times": 100});
    world.sandbox().set_faults(dead).expect("a fault");
    let halted = run(&world, &sync).ended_with(4);
    let [shop, news, _] = &halted.events_of("summary")[..] else { panic!("{halted:?}") };
    assert_eq!((&shop["reused"], &shop["deferred"]), (&json!(8), &json!(0)));
    assert_eq!(&news["reused"], &json!(1));
    let left = |word: &str| news[word].as_u64().expect("a count");
    assert_eq!(left("failed") + left("deferred"), 7);
    assert!(left("failed") <= 4, "{news}");
    world.sandbox().clear_faults();
    run(&world, &sync).ended_with(0);
    assert_eq!(world.uploads(), 16);
}

#[test]
fn what_is_wrong_with_a_file_is_told_once_whichever_page_is_left_out() {
    for (shop, exit) in [("SANDBOX-PAGE-1", 3), ("DEAD", 4)] {
        let world = with_two_pages();
        world.put("empty.png", "");
        let mut command = world.command(["sync", "library", "--quiet", BOTH[0], BOTH[1]]);
        command.env("SHOP", shop).env("NEWS", "SANDBOX-PAGE-2").env_remove("REATTACH_ACCESS_TOKEN");
        let run = Ran::new(command.output().expect("runs")).ended_with(exit);
        assert_eq!(run.stdout.matches("empty.png").count(), 1, "{shop}: {}", run.stdout);
    }
}

/// A service of both Pages, by these tokens.
fn served(world: &World, shop: &str) -> Served {
    world.library();
    let mut command =
        world.command(["serve", "--listen", "127.0.0.1:0", "--library", "library", "--json", BOTH[0], BOTH[1]]);
    command.env("SHOP", shop).env("NEWS", "SANDBOX-PAGE-2").env_remove("REATTACH_ACCESS_TOKEN");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Served::spawned(command)
}

#[test]
fn no_page_takes_the_place_of_the_first() {
    let world = with_two_pages();
    let message = |served: &Served, page: &str| {
        let body = format!(r#"{{"recipient":{{"id":"1001"}},"message":{{"text":"hi"}}{page}}}"#);
        served.call("POST", "/v1/messages", &body)
    };
    let both = served(&world, "SANDBOX-PAGE-1");
    assert_eq!((message(&both, "").status, both.call("GET", "/readyz", "").status), (200, 200));
    assert_eq!(world.truth().messages[0].page_id, "106000000000001");
    drop(both);
    let one = served(&world, "EAAdead");
    for page in ["", r#","page":"shop""#] {
        let refused = message(&one, page);
        assert!(refused.status == 502 && refused.json()["type"] == "urn:reattach:problem:credentials", "{refused:?}");
        assert!(refused.text().contains("the Page shop is not served"), "{}", refused.text());
    }
    assert_eq!(one.call("GET", "/readyz", "").json()["token"], "failed");
    // Whoever looks still sees what there is, and no campaign is taken for the missing Page's.
    assert_eq!((one.call("GET", "/v1/session", "").status, one.call("PUT", "/v1/aliases/x", "{}").status), (200, 400));
    assert_eq!(one.call("POST", "/v1/campaigns/spring/resume", "").status, 502);
    assert_eq!(message(&one, r#","page":"news""#).status, 200);
    assert_eq!(world.truth().messages.len(), 2);
}

#[test]
fn a_campaign_is_told_by_its_page_where_two_have_one_of_that_name() {
    let world = with_two_pages();
    crate::campaign::campaign(&world, 3, crate::campaign::TEXT);
    for page in ["shop", "news"] {
        run(&world, &["campaign", "plan", "library/spring.toml", "--page", page]).ended_with(0);
    }
    run(&world, &["campaign", "run", "library/spring.toml", "--page", "news", "--yes"]).ended_with(0);
    let served = served(&world, "SANDBOX-PAGE-1");
    for path in ["/v1/campaigns/spring", "/v1/campaigns/spring/unknown"] {
        assert_eq!(served.call("GET", path, "").status, 409);
    }
    for lever in ["pause", "resume", "settle"] {
        let answer = served.call("POST", &format!("/v1/campaigns/spring/{lever}"), r#"{"assume":"not-sent"}"#);
        assert_eq!(answer.status, 409, "{lever}: {answer:?}");
    }
    let of = |page: &str| served.call("GET", &format!("/v1/campaigns/spring?page={page}"), "");
    assert_eq!(
        (of("news").json()["state"].clone(), of("106000000000001").json()["state"].clone()),
        (json!("finished"), json!("planned"))
    );
    let paused = served.call("POST", "/v1/campaigns/spring/pause?page=shop", "");
    assert_eq!(
        (paused.json()["page_id"].clone(), paused.json()["state"].clone()),
        (json!("106000000000001"), json!("paused"))
    );
    assert_eq!(of("nobody").status, 404);
    assert_eq!(world.truth().messages.len(), 3);
}

#[test]
fn each_page_has_an_allowance_of_its_own_and_renewals_keep_their_order() {
    let world = with_two_pages();
    for (number, name) in ["b.png", "a.png"].into_iter().enumerate() {
        world.put(name, png(u32::try_from(number).expect("small")));
        run(&world, &["sync", "library", BOTH[0], BOTH[1]]).ended_with(0);
        world.sandbox().advance_clock(DAY);
    }
    world.sandbox().advance_clock(83 * DAY);
    let renewed = run(&world, &["sync", "library", "--max-uploads", "1", "--json", BOTH[0], BOTH[1]]).ended_with(0);
    for page in ["shop", "news"] {
        let outcomes: HashMap<_, _> = renewed
            .events_of("asset")
            .into_iter()
            .filter(|asset| asset["page"] == page)
            .map(|asset| (asset["path"].as_str().expect("a path").ends_with("b.png"), asset["outcome"].clone()))
            .collect();
        assert_eq!(outcomes, HashMap::from([(true, json!("refreshed")), (false, json!("deferred"))]), "{page}");
    }
}

#[test]
fn commands_that_cannot_take_several_pages_end_with_2() {
    let world = with_two_pages();
    world.put("a.png", png(1));
    let several = |arguments: &[&str]| run(&world, &[arguments, &BOTH].concat());
    several(&["send", "--to", "1", "--text", "hi"]).ended_with(2);
    several(&["sync", "library", "--via", "send", "--to", "1", "--yes"]).ended_with(2);
    assert_eq!(world.truth().message_count, 0);
    several(&["check", "library"]).ended_with(0);
    run(&world, &["sync", "library", "--page", "shop,nobody"]).ended_with(2);
    let same = run_with(&world, &["sync", "library", BOTH[0], BOTH[1]], "SANDBOX-PAGE-1").ended_with(2);
    assert!(same.stderr.contains("shop and news are the same Page"), "{}", same.stderr);
    assert_eq!(world.uploads(), 0);
}

#[test]
fn what_is_on_record_is_listed_and_forgotten_for_the_pages_named() {
    let world = with_two_pages();
    world.put("a.png", png(1));
    run(&world, &["sync", "library", BOTH[0], BOTH[1]]).ended_with(0);
    let status = |page| run(&world, &["status", "--json", "--page", page]).ended_with(0).events_of("status");
    assert_eq!(status("shop,news").len(), 2);
    assert_eq!(status("news")[0]["page_id"], "106000000000002");
    assert_eq!(status("shop")[0]["page"], "shop");
    run(&world, &["forget", "library/a.png", "--page", "news"]).ended_with(0);
    assert_eq!(run(&world, &["ls", "--json", BOTH[0], BOTH[1]]).ended_with(0).events_of("asset").len(), 1);
    run(&world, &["forget", "library/a.png", BOTH[0], BOTH[1]]).ended_with(0);
    assert!(run(&world, &["ls", "--json"]).ended_with(0).events_of("asset").is_empty());
}

/// A Page that takes every upload.
#[derive(Debug)]
struct TakesAll {
    next: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl Transport for TakesAll {
    async fn execute(&self, _: Call) -> Attempt {
        let id = 9_000_000_000_000_000 + self.next.fetch_add(1, Ordering::SeqCst);
        let body = json!({ "attachment_id": id.to_string() }).to_string().into();
        Attempt::Answered(Answered { status: http::StatusCode::OK, headers: http::HeaderMap::new(), body })
    }
}

/// Syncs `files` files to `pages` Pages, twice; a new file is read once, and a recognised one too.
fn each_file_is_read_once(pages: u64, files: u32) {
    let world = World::new();
    let mut bytes = 0;
    for number in 0..files {
        let picture = png(number);
        bytes += picture.len() as u64;
        world.put(format!("{number}.png"), picture);
    }
    for is_recognised in [false, true] {
        if is_recognised {
            std::fs::remove_file(world.store().join("record.db")).expect("a record");
            std::fs::remove_file(world.store().join("record.db.mark")).expect("its mark");
            let _ = std::fs::remove_file(world.store().join("record.db-wal"));
            let _ = std::fs::remove_file(world.store().join("record.db-shm"));
        }
        world.runtime.block_on(async {
            let keeper = Keeper::start(&world, Arc::new(SystemClock)).await;
            let next = Arc::new(AtomicU64::new(0));
            let library = |number: u64| {
                let transport = TakesAll { next: Arc::clone(&next) };
                keeper.page(&(106_000_000_000_001 + number).to_string(), "TOKEN", transport)
            };
            let libraries: Vec<AssetLibrary> = (0..pages).map(library).collect();
            let mut ids = HashSet::new();
            let each = |page: usize, report: &AssetReport| {
                let upload = report.upload.as_ref().expect("an id");
                assert_eq!(upload.key.space, *libraries[page].space());
                assert!(ids.insert(upload.attachment_id.clone()), "{} twice", upload.attachment_id);
            };
            let (roots, stop) = ([world.library()], Stop::new());
            let synced = AssetLibrary::sync_all(&libraries, &roots, &options(), &stop, each).await.expect("a sync");
            assert!(synced.iter().all(|page| page.summary.uploaded == u64::from(files)), "{synced:?}");
            assert_eq!(ids.len() as u64, pages * u64::from(files));
            assert_eq!(keeper.reads.bytes(), bytes, "recognised: {is_recognised}");
        });
    }
}

#[test]
fn files_too_large_for_the_memory_they_share_still_reach_every_page() {
    let world = World::new();
    for number in 0..5_u8 {
        let mut bytes = png(number.into());
        bytes.extend(std::iter::repeat_n(number, 20_000_000));
        world.put(format!("{number}.png"), bytes);
    }
    // Recognised, so that each has to be read again, and four of them at once are twice the memory there is.
    world.run(["check", "library"]).ended_with(0);
    world.runtime.block_on(async {
        let keeper = Keeper::start(&world, Arc::new(SystemClock)).await;
        let next = Arc::new(AtomicU64::new(0));
        let library = |number: u64| {
            keeper.page(&(106_000_000_000_001 + number).to_string(), "TOKEN", TakesAll { next: Arc::clone(&next) })
        };
        let libraries: Vec<AssetLibrary> = (0..3).map(library).collect();
        let (roots, options, stop) = ([world.library()], options(), Stop::new());
        let sync = AssetLibrary::sync_all(&libraries, &roots, &options, &stop, |_, _| {});
        let synced = tokio::time::timeout(Duration::from_mins(2), sync).await.expect("it waits for itself");
        assert!(synced.expect("a sync").iter().all(|page| page.summary.uploaded == 5));
    });
}

#[test]
fn a_token_of_another_page_ends_that_pages_part() {
    let world = World::new();
    world.put("a.png", png(1));
    world.runtime.block_on(async {
        let keeper = Keeper::start(&world, Arc::new(SystemClock)).await;
        let page = |id: &str| keeper.page(id, "SANDBOX-PAGE-1", ReqwestTransport::new());
        let libraries = [page("106000000000001"), page("106000000000002")];
        let (roots, options, stop) = ([world.library()], options(), Stop::new());
        let synced = AssetLibrary::sync_all(&libraries, &roots, &options, &stop, |_, _| {}).await.expect("a sync");
        let halted = |page: usize| synced[page].halted_by.as_deref();
        assert!(halted(0).is_none());
        assert!(matches!(halted(1), Some(LibraryError::OtherPage { .. })), "{synced:?}");
        assert_eq!((synced[0].summary.uploaded, synced[1].summary.files), (1, 0));
    });
    assert_eq!(world.uploads(), 1);
}

#[test]
fn twenty_pages_read_each_file_once() {
    each_file_is_read_once(20, 15);
}

#[test]
#[ignore = "10,000 uploads, twice, take minutes"]
fn twenty_pages_read_each_of_500_files_once() {
    each_file_is_read_once(20, 500);
}
