//! What is told to be committed is, on as many disks as the server was told; and a server that lacks it is not used.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;

/// What any call that is not to wait for long comes to.
async fn asked(record: &PostgresRecord) -> Result<(), RecordError> {
    record
        .sessions
        .ask_within(Duration::from_millis(100), |tx| async move { tx.one("SELECT 1", &[]).await.map(drop) })
        .await
}

#[tokio::test]
async fn a_server_that_lacks_what_was_acknowledged_is_not_used_until_it_has_it() {
    let Some(place) = place() else { return };
    let (record, other) = (place.record().await, place.record().await);
    contract::plan(&record, 1..=3, 1).await;
    for number in 0..20 {
        contract::store(&record, &key(number), "id").await;
    }
    // The last of them has still to get it. Another has left the list since.
    place.sql("DELETE FROM campaign_recipients WHERE seq = 2; UPDATE campaigns SET recipients = 2, frontier = 2");
    let cut = |change: &str| {
        place.sql(&format!(
            "BEGIN; {change}; COMMIT; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = '{}' AND pid <> pg_backend_pid()",
            place.database
        ));
    };
    // As after any other cut.
    cut("SELECT");
    asked(&record).await.expect("all is there");
    assert_eq!(place.sql("SELECT count(*) FROM campaigns WHERE paused IS NULL"), "1");
    // The last change is lost, as where an asynchronous standby takes over.
    place.sql("UPDATE campaigns SET paused = '10 of 30 messages failed'");
    cut("CREATE TABLE lost AS SELECT * FROM receipts_in_order ORDER BY at DESC LIMIT 1;
         DELETE FROM receipts_in_order WHERE ticket IN (SELECT ticket FROM lost)");
    let refused = asked(&record).await;
    assert!(
        matches!(&refused, Err(RecordError::Forgotten { lacks, .. }) if lacks == "of the last 8 changes it lacks 1"),
        "{refused:?}"
    );
    asked(&other).await.expect("it was told of nothing");
    assert_eq!(
        place.sql("SELECT count(*) FROM campaigns WHERE paused LIKE '%lost what it had acknowledged%'"),
        "1",
        "so this one has to know"
    );
    // Found out about under that ticket, and never committed.
    cut("INSERT INTO receipts_in_order SELECT ticket, false, at FROM lost");
    assert!(matches!(asked(&record).await, Err(RecordError::Forgotten { .. })));
    cut("UPDATE receipts_in_order SET committed = true");
    asked(&record).await.expect("this one has it");
}

#[tokio::test]
async fn a_commit_that_waits_for_a_standby_is_not_called_done_when_its_time_is_over() {
    let settings = ["synchronous_standby_names = 'nobody'", "synchronous_commit = local"];
    let Some(server) = Server::start(&settings) else { return };
    let url = server.url(&server.database(None));
    let patient = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    contract::store(&patient, &key(1), "id").await;
    let url = format!("{url}?options=-c%20synchronous_commit%3Don%20-c%20statement_timeout%3D100");
    let hasty = PostgresRecord::open(&url.parse().expect("an address")).await.expect("a record");
    let key = key(1);
    let forgetting = hasty.forget(&key);
    tokio::pin!(forgetting);
    let server = Arc::new(server);
    let ask = async |sql: &'static str| {
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || server.sql("postgres", sql)).await.expect("an answer")
    };
    let waits = async {
        let long = "SELECT count(*) FROM pg_stat_activity
                    WHERE wait_event = 'SyncRep' AND clock_timestamp() - state_change > interval '300 ms'";
        while ask(long).await != "1" {}
    };
    tokio::select! {
        done = &mut forgetting => panic!("it is on no other disk: {done:?}"),
        () = waits => {}
    }
    ask("ALTER SYSTEM SET synchronous_standby_names = ''").await;
    ask("SELECT pg_reload_conf()").await;
    assert!(forgetting.await.expect("committed").is_some());
}

#[tokio::test]
async fn a_server_that_hangs_before_its_first_answer_is_not_waited_for_for_ever() {
    let Some(place) = place() else { return };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("postgres://postgres@{}/{}", listener.local_addr().expect("an address"), place.database);
    let (hangs, hung) = oneshot::channel();
    let server = place.server.port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
        let (mut said, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                count = client.read(&mut said) => {
                    let said = &said[..count.expect("words")];
                    if said.windows(10).any(|window| window == b"set_config") {
                        break;
                    }
                    server.write_all(said).await.expect("said");
                }
                count = server.read(&mut answered) => {
                    client.write_all(&answered[..count.expect("words")]).await.expect("answered");
                }
            }
        }
        hangs.send(()).expect("somebody listens");
        // Held open.
        std::future::pending::<()>().await;
    });
    let opening = tokio::spawn(async move { PostgresRecord::open(&url.parse().expect("an address")).await.map(drop) });
    hung.await.expect("it hangs");
    // From here on nothing but time passes.
    tokio::time::pause();
    let refused = timeout(Duration::from_mins(5), opening).await.expect("it is given up").expect("no panic");
    assert!(matches!(refused, Err(RecordError::Away { .. })), "{refused:?}");
}
