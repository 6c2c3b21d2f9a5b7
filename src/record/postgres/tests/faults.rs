//! Connections that are cut at the worst moment, by a proxy between the record and its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;

use super::*;
use crate::record::Obstacle;

/// Where to cut the connection of a transaction that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The server never hears the COMMIT.
    BeforeCommit,
    /// The server commits, and its answer is lost.
    AfterCommit,
}

/// A way to the server that is cut as often as asked.
struct Proxy {
    port: u16,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    async fn before(place: &Place, cut: Cut) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (server, cuts) = (place.server.port(), Arc::new(AtomicU32::new(0)));
        let left = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
                tokio::spawn(forward(client, server, cut, Arc::clone(&left)));
            }
        });
        Self { port, cuts }
    }

    async fn record(&self, place: &Place) -> PostgresRecord {
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", self.port, place.database);
        PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record")
    }

    /// Cuts the next transaction that changes something.
    fn arm(&self) {
        self.cuts.store(1, Ordering::SeqCst);
    }

    fn was_used(&self) -> bool {
        self.cuts.load(Ordering::SeqCst) == 0
    }
}

async fn forward(client: TcpStream, server: TcpStream, cut: Cut, left: Arc<AtomicU32>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = talk(&mut from_client, &mut to_server, cut, &left);
    let back = answer(&mut from_server, &mut to_client);
    // Whoever ends first ends both.
    let cut_off = tokio::select! { cut_off = there => cut_off, () = back => false };
    if cut_off && cut == Cut::AfterCommit {
        drop(to_client);
        drop(from_client);
        // Until the server has said that it is done.
        let mut answer = [0; 1_024];
        let _ = from_server.read(&mut answer).await;
    }
}

/// Whether it was cut off.
async fn talk(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, cut: Cut, left: &AtomicU32) -> bool {
    let (mut bytes, mut writes) = (vec![0; 64 << 10], false);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let said = &bytes[..count];
        let says = |word: &[u8]| said.windows(word.len()).any(|window| window == word);
        writes |= says(b"INSERT INTO receipts");
        let is_it = writes
            && says(b"COMMIT")
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if is_it && cut == Cut::BeforeCommit {
            return true;
        }
        if to.write_all(said).await.is_err() || is_it {
            return is_it;
        }
        writes &= !says(b"COMMIT") && !says(b"ROLLBACK");
    }
    false
}

async fn answer(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn whatever_is_cut_off_at_its_commit_is_done_once_and_says_so() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let Some(place) = place() else { return };
        let proxy = Proxy::before(&place, cut).await;
        let record = proxy.record(&place).await;
        let used = |what: &str| assert!(proxy.was_used(), "{what} was not cut off ({cut:?})");

        record.own().await.expect("an owner");
        proxy.arm();
        let Claimed::Won(claim) = claimed(&record, 1).await else { panic!("it is free ({cut:?})") };
        used("the claim");
        proxy.arm();
        assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored, "{cut:?}");
        used("the upload");
        proxy.arm();
        assert!(record.forget(&key(1)).await.expect("forgotten").is_some(), "it says what was forgotten ({cut:?})");
        used("forgetting");
        let heal = Heal { key: key(1), refused: "old".parse().expect("an id"), at: NOW };
        proxy.arm();
        record.remember_heal(&heal, NOW).await.expect("remembered");
        used("the heal");
        let before = NOW.minus(Duration::from_secs(1));
        assert_eq!(record.count_heals(&key(1), before, NOW).await.expect("counted"), 1, "{cut:?}");

        let campaign = contract::plan(&record, 1..=3, 1).await;
        proxy.arm();
        let worker = contract::enlist(&record, campaign).await;
        used("enlisting");
        proxy.arm();
        let rows = record.claim_deliveries(&worker, Reach::All, 2, NOW).await.expect("claims").rows;
        used("the claim of deliveries");
        assert_eq!(rows.iter().map(|row| row.key.seq).collect::<Vec<_>>(), [1, 2], "{cut:?}");
        let entry = |event| Entry { key: rows[0].key, event, at: NOW };
        for event in [Event::Intend { nonce: 7, variant: None }, Event::Sent { message_id: Some("m".to_owned()) }] {
            proxy.arm();
            assert_eq!(record.write(&worker, &[entry(event)]).await.expect("written"), [Written::Stored], "{cut:?}");
            used("the ledger");
        }
        let listed = record.deliveries(campaign, None, None, 9).await.expect("listed");
        let states: Vec<_> = listed.iter().map(|row| (row.delivery.state, row.delivery.attempt)).collect();
        assert_eq!(states, [(State::Sent, 1), (State::Claimed, 0), (State::Planned, 0)], "{cut:?}");
        record.verify().await.expect("healthy");
    }
}

#[tokio::test]
async fn sessions_that_are_ended_at_any_moment_cost_nothing_but_time() {
    let Some(place) = place() else { return };
    let records = [place.record().await, place.record().await];
    let working = futures::future::join_all(records.iter().enumerate().map(|(worker, record)| async move {
        for number in 0..60_u16 {
            let number = number * 2 + u16::try_from(worker).expect("small");
            contract::store(record, &key(number), &number.to_string()).await;
        }
    }));
    let ending = async {
        let terminate = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            place.database
        );
        loop {
            let (server, terminate) = (place.server, terminate.clone());
            spawn_blocking(move || server.sql("postgres", &terminate)).await.expect("ended");
        }
    };
    tokio::select! {
        _ = working => {}
        () = ending => {}
    }
    let found = records[0].find(&(0..120).map(key).collect::<Vec<_>>()).await.expect("found");
    for (number, upload) in found.into_iter().enumerate() {
        assert_eq!(upload.expect("an upload").attachment_id.as_str(), number.to_string());
    }
    assert_eq!(records[0].count_orphans().await.expect("counted"), 0);
}

#[tokio::test]
async fn two_who_lock_each_other_out_are_tried_again() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    contract::store(&record, &key(1), "a").await;
    contract::store(&record, &key(2), "b").await;
    let gate = &tokio::sync::Barrier::new(2);
    let tries = &AtomicU32::new(0);
    let both = |first: u16, second: u16| {
        let sessions = &record.sessions;
        async move {
            let once = &AtomicU32::new(0);
            sessions
                .write(|tx| async move {
                    tries.fetch_add(1, Ordering::SeqCst);
                    uploads::forget(&tx, &key(first)).await?;
                    if once.fetch_add(1, Ordering::SeqCst) == 0 {
                        gate.wait().await;
                    }
                    uploads::forget(&tx, &key(second)).await
                })
                .await
        }
    };
    let (one, other) = tokio::join!(both(1, 2), both(2, 1));
    one.expect("done");
    other.expect("done");
    assert_eq!(tries.load(Ordering::SeqCst), 3, "one of them was undone, and tried again");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_undone_and_a_lock_is_not_waited_for_for_ever() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    contract::store(&record, &key(1), "id").await;
    let url = format!("{}?options=-c%20statement_timeout%3D300%20-c%20lock_timeout%3D100", place.address_text());
    let hasty = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    let slow = hasty.sessions.write_within(Duration::from_millis(100), |tx| async move {
        uploads::forget(&tx, &key(1)).await?;
        tx.rows("SELECT pg_sleep(60)", &[]).await.map(drop)
    });
    let slow = slow.await;
    assert!(matches!(slow, Err(RecordError::Away { .. })), "{slow:?}");
    let gate = &tokio::sync::Barrier::new(2);
    let holding = record.sessions.write(|tx| async move {
        uploads::forget(&tx, &key(1)).await?;
        gate.wait().await;
        gate.wait().await;
        Err::<(), _>(Fault::Refused("nothing is to come of it".into()))
    });
    let waiting = async {
        gate.wait().await;
        let forget = |tx| async move { uploads::forget(&tx, &key(1)).await };
        let locked = hasty.sessions.write_within(Duration::from_millis(100), forget).await;
        let patient = hasty.sessions.write(forget);
        let (_, forgotten) = tokio::join!(gate.wait(), patient);
        (locked, forgotten)
    };
    let (held, (locked, forgotten)) = tokio::join!(holding, waiting);
    assert!(matches!(held, Err(RecordError::Refused { .. })), "{held:?}");
    assert!(matches!(locked, Err(RecordError::Locked { .. })), "{locked:?}");
    assert!(forgotten.expect("forgotten").is_some(), "nothing came of either");
}

#[tokio::test]
async fn who_holds_a_lock_and_is_gone_is_waited_for_until_the_server_misses_it() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    contract::store(&record, &key(1), "id").await;
    let url = format!("{}?options=-c%20lock_timeout%3D50", place.address_text());
    let hasty = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    let gone = record.sessions.connection().await.expect("a connection");
    gone.batch_execute("SET idle_in_transaction_session_timeout = 1000; BEGIN; SELECT FROM uploads FOR UPDATE")
        .await
        .expect("locked");
    assert!(hasty.forget(&key(1)).await.expect("forgotten").is_some());
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_when_a_statement_has_had_its_time() {
    let Some(place) = place() else { return };
    let network = silence::Proxy::before(place.server.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}", network.port(), place.database);
    let record = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    let begun = tokio::time::Instant::now();
    let (network, key) = (&network, &key(1));
    let cut_off = record.sessions.write_within(Duration::ZERO, |tx| async move {
        network.fall_silent();
        // From here on there is nothing to wait for but the time.
        tokio::time::pause();
        uploads::forget(&tx, key).await
    });
    let cut_off = cut_off.await;
    assert!(matches!(cut_off, Err(RecordError::Away { .. })), "{cut_off:?}");
    assert!((30..45).contains(&begun.elapsed().as_secs()), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_host_that_says_nothing_keeps_nobody_from_the_other() {
    let Some(place) = place() else { return };
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let (silent, port) = (nobody.local_addr().expect("an address").port(), place.server.port());
    let hosts = format!("127.0.0.1:{silent},127.0.0.1:{port}");
    let address = format!("postgres://postgres@{hosts}/{}?connect_timeout=1", place.database);
    let address: ServerAddress = address.parse().expect("an address");
    // Half of them come to the wrong one first.
    let begun = std::time::Instant::now();
    let opened = futures::future::join_all((0..16).map(|_| async {
        let record = PostgresRecord::open(&address).await?;
        record.own().await.map(drop)
    }));
    for opened in opened.await {
        opened.expect("a record, and an owner");
    }
    assert!(begun.elapsed() < Duration::from_secs(9), "after {:?}", begun.elapsed());
}

/// Returns when a session is at the statement, its work done here and not on the standby.
async fn until_it_waits_for_the_standby(pair: &Arc<Pair>, statement: &'static str) {
    let pair = Arc::clone(pair);
    let waiting =
        format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '{statement}%'");
    spawn_blocking(move || pair.primary.wait_until(&waiting, "1")).await.expect("it waits");
}

#[tokio::test]
async fn what_the_standby_lacks_does_not_count_as_committed_whatever_was_lost_on_the_way() {
    let Some(pair) = Pair::start().map(Arc::new) else { return };
    let url = pair.url(&pair.primary.database(None));
    let record = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    let Claimed::Won(claim) = claimed(&record, 1).await else { panic!("it is free") };
    pair.standby.kill();
    pair.primary.wait_until("SELECT count(*) FROM pg_stat_replication", "0");
    let upload = result("id");
    let complete = record.complete(&claim, &upload);
    let lose_the_answer = async {
        until_it_waits_for_the_standby(&pair, "COMMIT").await;
        // Committed from here on, for all this server knows, and nobody told.
        pair.primary.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'");
        until_it_waits_for_the_standby(&pair, "INSERT INTO receipts").await;
    };
    let mut complete = std::pin::pin!(complete);
    tokio::select! {
        early = &mut complete => panic!("{early:?}, although the standby does not have it"),
        () = lose_the_answer => {}
    }
    let (again, promoting) = (Arc::clone(&pair), Arc::clone(&pair));
    let (completed, again) = tokio::join!(complete, spawn_blocking(move || again.standby.start_again()));
    again.expect("it is back");
    assert_eq!(completed.expect("completed"), Completed::Stored);
    pair.primary.kill();
    spawn_blocking(move || promoting.standby.promote()).await.expect("promoted");
    assert!(record.find(&[key(1)]).await.expect("found")[0].is_some(), "it is where it was said to be");
}

#[tokio::test]
async fn a_full_disk_has_its_own_error_and_costs_nothing_stored() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    contract::store(&record, &key(1), "id").await;
    // What the server says when its disk is full, from a trigger: nothing else of it is special.
    place.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON uploads FOR EACH ROW EXECUTE FUNCTION full_disk()",
    );
    let Claimed::Won(claim) = claimed(&record, 2).await else { panic!("it is free") };
    let refused = record.complete(&claim, &result("id")).await;
    assert!(matches!(refused, Err(RecordError::Full { .. })), "{refused:?}");
    assert!(record.find(&[key(1)]).await.expect("found")[0].is_some());
    place.sql("DROP TRIGGER full_disk ON uploads");
    assert_eq!(record.complete(&claim, &result("id")).await.expect("completed"), Completed::Stored);
}

/// An address of a role that may do all and have no more than so many connections.
fn role_with(place: &Place, connections: u8) -> ServerAddress {
    let role = format!("few_{}", place.database);
    place.sql(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}; GRANT USAGE ON SCHEMA reattach TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reattach TO {role}"
    ));
    place.address_text().replace("postgres@", &format!("{role}@")).parse().expect("an address")
}

#[tokio::test]
async fn a_server_that_takes_no_writes_or_no_connection_is_named_as_such_in_the_end() {
    let Some(place) = place() else { return };
    let moment = Duration::from_millis(100);
    let told = |error: RecordError| {
        let RecordError::Away { obstacle, source, .. } = &error else { panic!("{error:?}") };
        (*obstacle, source.to_string(), error.hint().unwrap_or_default())
    };
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", place.address_text());
    let record = PostgresRecord::open(&url.parse().expect("an address")).await.expect("it can be read");
    let forgotten = record.sessions.write_within(moment, |tx| async move { uploads::forget(&tx, &key(1)).await }).await;
    let owned = record.own_within(Duration::from_secs(5)).await;
    for error in [forgotten.map(drop).expect_err("no writes"), owned.map(drop).expect_err("no writes")] {
        assert!(error.to_string().starts_with("write to the record postgres://"), "{error}");
        let (obstacle, words, hint) = told(error);
        assert_eq!(obstacle, Obstacle::ReadOnly);
        assert!(
            words.contains("read-only") && words.contains("(25006)") && hint.contains("primary"),
            "{words}: {hint}"
        );
    }
    let record = PostgresRecord::at(&role_with(&place, 0)).expect("a record");
    let asked = record.sessions.ask_within(moment, |tx| async move { tx.one("SELECT", &[]).await }).await;
    let (obstacle, words, hint) = told(asked.map(drop).expect_err("no connection"));
    assert_eq!(obstacle, Obstacle::Crowded);
    assert!(words.contains("too many connections") && words.contains("(53300)"), "{words}");
    assert!(hint.contains("nine at most"), "{hint}");
}

#[tokio::test]
async fn a_server_that_gives_fewer_connections_than_asked_for_is_shared_all_the_same() {
    let Some(place) = place() else { return };
    place.record().await;
    let record = PostgresRecord::open(&role_with(&place, 2)).await.expect("a record");
    // One keeps it alive, and one is left for all else.
    record.own().await.expect("an owner");
    let keys: Vec<_> = (0..12).map(key).collect();
    futures::future::join_all(keys.iter().map(|key| contract::store(&record, key, "id"))).await;
    assert!(record.find(&keys).await.expect("found").iter().all(Option::is_some));
}

#[tokio::test]
async fn more_callers_than_connections_take_turns() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    let keys: Vec<_> = (0..100).map(key).collect();
    let asked = futures::future::join_all((0..200).map(|_| record.find(&keys))).await;
    assert!(asked.into_iter().all(|found| found.is_ok()));
    let sessions = format!("SELECT count(*) <= 8 FROM pg_stat_activity WHERE datname = '{}'", place.database);
    assert_eq!(place.server.sql("postgres", &sessions), "t");
}
